/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/messages.h - what sends and edits ask alike.
 */
#pragma once

#include "edge/rest/server/call.h"

/** CALL_GO_ON when the file is ready and the caller's own. Else the call has its reply. */
enum call_next message_check_media(struct call *call, struct pg *db, struct cq_id media);
