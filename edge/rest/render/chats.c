/* SPDX-License-Identifier: MIT */
#include "edge/rest/render/chats.h"

#include "edge/rest/render/messages.h"
#include "lib/json/write.h"
#include "schemas/frame.h"

static void out_members(struct cq_buf *out, const struct member_row *members, size_t n)
{
    out_key(out, "members");
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i ? ",{" : "{");
        out_id(out, "userId", members[i].user);
        out_text(out, "name", members[i].name);
        out_text(out, "role", span_str(member_role_word(members[i].role)));
        if (!id_is_zero(members[i].invited_by))
            out_id(out, "invitedBy", members[i].invited_by);
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

static void out_my_seq(struct cq_buf *out, int64_t delivered, int64_t read)
{
    out_key(out, "mySeq");
    buf_add_byte(out, '{');
    out_i64(out, "delivered", delivered);
    out_i64(out, "read", read);
    buf_add_byte(out, '}');
}

static inline void out_json(struct cq_buf *out, const char *name, struct cq_span value)
{
    if (!value.n)
        return;
    out_key(out, name);
    buf_add_span(out, value);
}

#define OUT_NUMBER_ out_i64
#define OUT_JSON_ out_json
#define OUT_(kind, name, member, sql) OUT_##kind##_(out, name, row->member);

void render_chat(struct cq_buf *out, const struct chat_row *row, const struct member_row *members,
                 size_t members_n, int64_t now_ms)
{
    buf_add_byte(out, '{');
    out_id(out, "chatId", row->id);
    out_text(out, "kind", span_str(row->is_group ? "group" : "direct"));
    out_text(out, "name", row->name);
    if (!id_is_zero(row->peer))
        out_id(out, "peer", row->peer);
    out_text(out, "role",
             span_str(row->present || !row->is_group ? member_role_word(row->role) : "left"));
    if (!row->present && !row->is_group)
        out_bool(out, "blocked", true);
    if (members)
        out_members(out, members, members_n);
    if (row->has_message) {
        out_key(out, "lastMessage");
        render_message(out, &row->message);
    }
    CHAT_COLUMNS(OUT_)
    out_my_seq(out, row->my_delivered, row->my_read);
    if (row->muted_until_ms > now_ms)
        out_i64(out, "mutedUntil", row->muted_until_ms);
    if (row->timer_s)
        out_i64(out, "timer", row->timer_s);
    buf_add_byte(out, '}');
}

void render_marks(struct cq_buf *out, struct cq_span marks)
{
    buf_add_byte(out, '{');
    out_json(out, "marks", marks);
    buf_add_byte(out, '}');
}

void render_marks_of(struct cq_buf *out, struct cq_id chat, struct cq_span marks)
{
    buf_add_byte(out, '{');
    out_id(out, "chatId", chat);
    out_json(out, "marks", marks);
    buf_add_byte(out, '}');
}

void render_opened(struct cq_buf *out, const struct opened_row *row)
{
    buf_add_byte(out, '{');
    out_id(out, "chatId", row->chat);
    out_text(out, "kind", span_str("direct"));
    out_text(out, "name", row->name);
    out_id(out, "peer", row->peer);
    out_text(out, "role", span_str("member"));
    out_i64(out, "lineSeq", 0);
    out_i64(out, "unread", 0);
    out_i64(out, "unreadMentions", 0);
    out_i64(out, "delivered", 0);
    out_i64(out, "read", 0);
    out_json(out, "marks", row->marks);
    out_my_seq(out, 0, 0);
    buf_add_byte(out, '}');
}
