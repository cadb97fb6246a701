/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/chats.h - who may ask about a chat.
 */
#pragma once

#include "edge/rest/server/call.h"
#include "edge/rest/view/chats.h"

/** *ret: the chat, when the caller is in it now (CALL_GO_ON). Else the call has its reply: 404, or
 * what the database's failure means. */
enum call_next chat_admit(struct call *call, struct pg *db, struct cq_id chat,
                          struct chat_view *ret);

/** The same when the caller is in it or was: who left still has what was said until then. */
enum call_next chat_admit_reader(struct call *call, struct pg *db, struct cq_id chat,
                                 struct chat_view *ret);

/** call_submit_chat() for a chat that the caller may write to: a direct one is named by its peer, too. */
struct chat_action *chat_submit(struct call *call, const struct chat_view *chat,
                                struct cq_span client_id);
