/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/render/chats.h - chats as JSON objects (pure).
 */
#pragma once

#include "edge/rest/view/chats.h"

/** `members` NULL: the answer has none. `now_ms` decides whether it is still muted. */
void render_chat(struct cq_buf *out, const struct chat_row *row, const struct member_row *members,
                 size_t members_n, int64_t now_ms);

/** An object with `marks`, JSON as the view made it; without it when there is none. The second names
 * their chat, too. */
void render_marks(struct cq_buf *out, struct cq_span marks);
void render_marks_of(struct cq_buf *out, struct cq_id chat, struct cq_span marks);

/** A direct chat that nobody wrote in. */
void render_opened(struct cq_buf *out, const struct opened_row *row);
