/* SPDX-License-Identifier: MIT */
#include "schemas/frame.h"

#include "lib/base/status.h"
#include "lib/json/write.h"

/* ---- words ---------------------------------------------------------------------------- */

static const char *const type_words[] = { "text", "image", "video", "audio", "document" };
static const char *const role_words[] = { "member", "admin", "owner" };
static const char *const change_words[] = { "add", "remove", "promote", "demote", "make_owner" };

_Static_assert(ARRAY_LEN(type_words) == MESSAGE_TYPE_N, "a word for each type");
_Static_assert(ARRAY_LEN(role_words) == MEMBER_ROLE_N, "a word for each role");
_Static_assert(ARRAY_LEN(change_words) == MEMBER_CHANGE_KIND_N, "a word for each change");

const char *message_type_word(enum message_type t)
{
    return t < MESSAGE_TYPE_N ? type_words[t] : "";
}

const char *member_role_word(enum member_role r)
{
    return r < MEMBER_ROLE_N ? role_words[r] : "";
}

const char *member_change_word(enum member_change_kind k)
{
    return k < MEMBER_CHANGE_KIND_N ? change_words[k] : "";
}

bool message_type_parse(struct cq_span word, enum message_type *ret)
{
    for (unsigned i = 0; i < MESSAGE_TYPE_N; i++)
        if (span_eq_str(word, type_words[i])) {
            *ret = (enum message_type)i;
            return true;
        }
    return false;
}

/* ---- frames --------------------------------------------------------------------------- */

void frame_message(struct cq_buf *out, const struct chat_event *e)
{
    const struct message_accepted *m = &e->event.u.message_accepted;

    if (e->event.kind != CHAT_EVENT_MESSAGE_ACCEPTED)
        return;
    out_word(out, "t", "message");
    out_id(out, "id", m->id);
    out_text(out, "clientId", e->client_id);
    out_id(out, "chatId", e->chat_id);
    out_i64(out, "seq", e->seq);
    out_id(out, "from", e->user_id);
    if (m->has_peer)
        out_id(out, "peer", m->peer);
    out_word(out, "type", message_type_word(m->type));
    out_text(out, "content", m->content);
    if (m->has_media_id)
        out_id(out, "mediaId", m->media_id);
    out_i64(out, "sentAt", e->at_ms);
    buf_add_byte(out, '}');
}

/* ---- excerpts ------------------------------------------------------------------------- */

/* Take a JSON string off the front of `*s`; `*ret` is what stands between its quotes. */
static bool take_string(struct cq_span *s, struct cq_span *ret)
{
    size_t i = 1;

    if (!s->n || s->p[0] != '"')
        return false;
    while (i < s->n && s->p[i] != '"')
        i += s->p[i] == '\\' ? 2 : 1;
    if (i >= s->n)
        return false;
    *ret = span_of(s->p + 1, i - 1);
    *s = span_of(s->p + i + 1, s->n - i - 1);
    return true;
}

/* Take one member, `"name":value` and the comma or brace behind it. `*ret` is a string's inside,
 * or a plain value. */
static bool take_member(struct cq_span *s, struct cq_span *ret_name, struct cq_span *ret)
{
    size_t i = 0;

    if (!take_string(s, ret_name) || !s->n || s->p[0] != ':')
        return false;
    *s = span_of(s->p + 1, s->n - 1);
    if (s->n && s->p[0] == '"') {
        if (!take_string(s, ret))
            return false;
    } else {
        while (i < s->n && s->p[i] != ',' && s->p[i] != '}')
            i++;
        *ret = span_of(s->p, i);
        *s = span_of(s->p + i, s->n - i);
    }
    if (!s->n || (s->p[0] != ',' && s->p[0] != '}'))
        return false;
    *s = span_of(s->p + 1, s->n - 1);
    return true;
}

/* The longest start of what stands inside a JSON string that ends between two characters. */
static struct cq_span cut_escaped(struct cq_span s, size_t max)
{
    size_t i = 0, n;

    for (; i < s.n; i += n) {
        n = 1;
        if (s.p[i] == '\\')
            n = i + 1 < s.n && s.p[i + 1] == 'u' ? JSON_ESCAPED_MAX : 2;
        while (i + n < s.n && (s.p[i + n] & 0xC0) == 0x80)
            n++;
        if (i + n > max || i + n > s.n)
            break;
    }
    return span_of(s.p, i);
}

void frame_excerpt(struct cq_buf *out, struct cq_span frame)
{
    static const char mark[] = "\xE2\x80\xA6"; /* an ellipsis */
    enum { AROUND = 64 };                      /* bytes beside the content, at most */
    struct cq_span name, value, type = { NULL, 0 }, content = { NULL, 0 };
    bool caption = false;

    while (frame.n && take_member(&frame, &name, &value)) {
        if (span_eq_str(name, "type"))
            type = value;
        if (span_eq_str(name, "content") || span_eq_str(name, "caption"))
            content = value;
        caption |= span_eq_str(name, "mediaId") || span_eq_str(name, "caption");
    }
    if (frame.n || !type.n || type.n > AROUND / 2)
        return;
    buf_add_str(out, "\"type\":\"");
    buf_add_span(out, type);
    buf_add_str(out, caption ? "\",\"caption\":\"" : "\",\"content\":\"");
    if (content.n > FRAME_EXCERPT_MAX - AROUND) {
        buf_add_span(out, cut_escaped(content, FRAME_EXCERPT_MAX - AROUND - sizeof mark));
        buf_add_str(out, mark);
    } else {
        buf_add_span(out, content);
    }
    buf_add_str(out, "\"}");
}

static void put_members(struct cq_buf *out, const struct group_started *g)
{
    out_key(out, "members");
    buf_add_byte(out, '[');
    for (size_t i = 0; i < g->members_n; i++) {
        if (i)
            buf_add_byte(out, ',');
        buf_add_byte(out, '{');
        out_id(out, "userId", g->members[i].user_id);
        out_word(out, "role", member_role_word(g->members[i].role));
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

static void put_changes(struct cq_buf *out, const struct membership_changed *m)
{
    out_key(out, "changes");
    buf_add_byte(out, '[');
    for (size_t i = 0; i < m->changes_n; i++) {
        if (i)
            buf_add_byte(out, ',');
        buf_add_byte(out, '{');
        out_id(out, "userId", m->changes[i].user_id);
        out_word(out, "change", member_change_word(m->changes[i].change));
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

void frame_chat(struct cq_buf *out, const struct chat_event *e)
{
    bool started = e->event.kind == CHAT_EVENT_GROUP_STARTED;
    bool changed = e->event.kind == CHAT_EVENT_MEMBERSHIP_CHANGED;

    if (!started && !changed && e->event.kind != CHAT_EVENT_GROUP_NAMED)
        return;
    out_word(out, "t", changed ? "member" : "chat");
    out_id(out, "chatId", e->chat_id);
    out_i64(out, "seq", e->seq);
    if (!changed) {
        out_text(out, "name",
                 started ? e->event.u.group_started.name : e->event.u.group_named.name);
    }
    out_id(out, "by", e->user_id);
    out_i64(out, "at", e->at_ms);
    if (started)
        put_members(out, &e->event.u.group_started);
    if (changed)
        put_changes(out, &e->event.u.membership_changed);
    buf_add_byte(out, '}');
}

void frame_media(struct cq_buf *out, const struct chat_event *e)
{
    const struct media_processed *m = &e->event.u.media_processed;

    if (e->event.kind != CHAT_EVENT_MEDIA_PROCESSED)
        return;
    out_word(out, "t", "media");
    out_id(out, "mediaId", m->media_id);
    out_id(out, "chatId", e->chat_id);
    out_i64(out, "width", m->width);
    out_i64(out, "height", m->height);
    out_i64(out, "durationMs", m->duration_ms);
    out_bool(out, "thumbnail", m->thumbnail_key.n != 0);
    buf_add_byte(out, '}');
}

void frame_rejected(struct cq_buf *out, const struct rejection *r)
{
    out_word(out, "t", "rejected");
    out_text(out, "clientId", r->client_id);
    out_id(out, "id", r->id);
    out_id(out, "chatId", r->chat_id);
    out_text(out, "code", r->code);
    buf_add_byte(out, '}');
}

void frame_receipt_rejected(struct cq_buf *out, const struct rejection *r)
{
    out_word(out, "t", "receipt_rejected");
    out_id(out, "chatId", r->chat_id);
    out_text(out, "code", r->code);
    buf_add_byte(out, '}');
}

void frame_status(struct cq_buf *out, struct cq_id chat, int64_t delivered, int64_t read,
                  int64_t at_ms)
{
    out_word(out, "t", "status");
    out_id(out, "chatId", chat);
    out_i64(out, "delivered", delivered);
    out_i64(out, "read", read);
    out_i64(out, "at", at_ms);
    buf_add_byte(out, '}');
}

void frame_read(struct cq_buf *out, struct cq_id chat, int64_t seq, int64_t at_ms)
{
    out_word(out, "t", "read");
    out_id(out, "chatId", chat);
    out_i64(out, "seq", seq);
    out_i64(out, "at", at_ms);
    buf_add_byte(out, '}');
}

void frame_ready(struct cq_buf *out, struct cq_id session, struct cq_span at)
{
    out_word(out, "t", "ready");
    out_id(out, "session", session);
    out_text(out, "at", at);
    buf_add_byte(out, '}');
}
