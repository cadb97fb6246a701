/* SPDX-License-Identifier: MIT */
#include "schemas/frame.h"

#include "lib/base/status.h"

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

/* ---- JSON ----------------------------------------------------------------------------- */

enum { ESCAPED_MAX = 6 }; /* bytes that one byte may become */

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

/* Nonzero when some byte of x equals c; exact while no byte of x has its high bit. */
static inline uint64_t has_byte(uint64_t x, uint8_t c)
{
    uint64_t y = x ^ (ONES * c);

    return (y - ONES) & ~y & HIGHS;
}

/* Whether eight bytes are ASCII that stands for itself. A '<' is not: "</" is escaped. */
static inline bool eight_plain(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return !((x & HIGHS) | ((x - ONES * 0x20) & ~x & HIGHS) | has_byte(x, '"') | has_byte(x, '\\') |
             has_byte(x, '<'));
}

static uint8_t *put_escape(uint8_t *to, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn.fr"; /* 0x08 to 0x0d; 0x0b has none */

    *to++ = '\\';
    if (c >= 0x20) {
        *to++ = c;
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        *to++ = (uint8_t)letters[c - 0x08];
    } else {
        memcpy(to, "u00", 3);
        to[3] = (uint8_t)hex[c >> 4];
        to[4] = (uint8_t)hex[c & 15];
        to += 5;
    }
    return to;
}

/* Length of the valid UTF-8 sequence that begins at s.p[0] >= 0x80, 0 when there is none. */
static size_t sequence(struct cq_span s)
{
    for (size_t n = 2; n <= 4 && n <= s.n; n++)
        if (span_is_utf8(span_of(s.p, n)))
            return n;
    return 0;
}

/* One character of `*s`, escaped, to `to` (ESCAPED_MAX bytes of room). */
static uint8_t *put_char(uint8_t *to, struct cq_span *s, uint8_t before)
{
    uint8_t c = s->p[0];
    size_t n = 1;

    if (c >= 0x80) {
        n = sequence(*s);
        if (n) {
            memcpy(to, s->p, n);
            to += n;
        } else {
            memcpy(to, "\xEF\xBF\xBD", 3); /* U+FFFD: never put bad bytes on a socket */
            to += 3;
            n = 1;
        }
    } else if (c < 0x20 || c == '"' || c == '\\' || (c == '/' && before == '<')) {
        to = put_escape(to, c);
    } else {
        *to++ = c;
    }
    s->p += n;
    s->n -= n;
    return to;
}

void frame_json_string(struct cq_buf *out, struct cq_span s)
{
    enum { STRETCH = 256 }; /* bytes of input a reservation: plain text must not reserve sixfold */
    uint8_t before = 0;

    buf_add_byte(out, '"');
    while (s.n) {
        size_t stop = s.n > STRETCH ? s.n - STRETCH : 0; /* bytes left when this stretch is done */
        uint8_t *to = buf_reserve(out, (s.n - stop) * ESCAPED_MAX + 8);

        if (!to)
            return;
        while (s.n > stop) {
            if (s.n - stop >= 8 && before != '<' && eight_plain(s.p)) {
                memcpy(to, s.p, 8);
                before = s.p[7];
                s.p += 8;
                s.n -= 8;
                to += 8;
                continue;
            }
            uint8_t c = s.p[0];

            to = put_char(to, &s, before);
            before = c;
        }
        out->n = (size_t)(to - out->p);
    }
    buf_add_byte(out, '"');
}

#define PUT(out, literal) buf_add((out), (literal), sizeof(literal) - 1)

static void put_id(struct cq_buf *out, struct cq_id id)
{
    uint8_t *to = buf_reserve(out, CQ_ID_TEXT_LEN + 3);

    if (!to)
        return;
    to[0] = '"';
    id_format(id, (char *)to + 1);
    to[CQ_ID_TEXT_LEN + 1] = '"';
    out->n += CQ_ID_TEXT_LEN + 2;
}

/* Our own words need no escaping. */
static void put_word(struct cq_buf *out, const char *word)
{
    buf_add_byte(out, '"');
    buf_add_str(out, word);
    buf_add_byte(out, '"');
}

/* ---- frames --------------------------------------------------------------------------- */

void frame_message(struct cq_buf *out, const struct chat_event *e)
{
    const struct message_accepted *m = &e->event.u.message_accepted;

    if (e->event.kind != CHAT_EVENT_MESSAGE_ACCEPTED)
        return;
    PUT(out, "\"t\":\"message\",\"id\":");
    put_id(out, m->id);
    PUT(out, ",\"clientId\":");
    frame_json_string(out, e->client_id);
    PUT(out, ",\"chatId\":");
    put_id(out, e->chat_id);
    PUT(out, ",\"seq\":");
    buf_add_i64(out, e->seq);
    PUT(out, ",\"from\":");
    put_id(out, e->user_id);
    if (m->has_peer) {
        PUT(out, ",\"peer\":");
        put_id(out, m->peer);
    }
    PUT(out, ",\"type\":");
    put_word(out, message_type_word(m->type));
    PUT(out, ",\"content\":");
    frame_json_string(out, m->content);
    if (m->has_media_id) {
        PUT(out, ",\"mediaId\":");
        put_id(out, m->media_id);
    }
    PUT(out, ",\"sentAt\":");
    buf_add_i64(out, e->at_ms);
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
            n = i + 1 < s.n && s.p[i + 1] == 'u' ? ESCAPED_MAX : 2;
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
    PUT(out, "\"type\":\"");
    buf_add_span(out, type);
    buf_add_str(out, caption ? "\",\"caption\":\"" : "\",\"content\":\"");
    if (content.n > FRAME_EXCERPT_MAX - AROUND) {
        buf_add_span(out, cut_escaped(content, FRAME_EXCERPT_MAX - AROUND - sizeof mark));
        buf_add_str(out, mark);
    } else {
        buf_add_span(out, content);
    }
    PUT(out, "\"}");
}

static void put_members(struct cq_buf *out, const struct group_started *g)
{
    PUT(out, ",\"members\":[");
    for (size_t i = 0; i < g->members_n; i++) {
        if (i)
            buf_add_byte(out, ',');
        PUT(out, "{\"userId\":");
        put_id(out, g->members[i].user_id);
        PUT(out, ",\"role\":");
        put_word(out, member_role_word(g->members[i].role));
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

static void put_changes(struct cq_buf *out, const struct membership_changed *m)
{
    PUT(out, ",\"changes\":[");
    for (size_t i = 0; i < m->changes_n; i++) {
        if (i)
            buf_add_byte(out, ',');
        PUT(out, "{\"userId\":");
        put_id(out, m->changes[i].user_id);
        PUT(out, ",\"change\":");
        put_word(out, member_change_word(m->changes[i].change));
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
    PUT(out, "\"t\":");
    put_word(out, changed ? "member" : "chat");
    PUT(out, ",\"chatId\":");
    put_id(out, e->chat_id);
    PUT(out, ",\"seq\":");
    buf_add_i64(out, e->seq);
    if (!changed) {
        PUT(out, ",\"name\":");
        frame_json_string(out,
                          started ? e->event.u.group_started.name : e->event.u.group_named.name);
    }
    PUT(out, ",\"by\":");
    put_id(out, e->user_id);
    PUT(out, ",\"at\":");
    buf_add_i64(out, e->at_ms);
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
    PUT(out, "\"t\":\"media\",\"mediaId\":");
    put_id(out, m->media_id);
    PUT(out, ",\"chatId\":");
    put_id(out, e->chat_id);
    PUT(out, ",\"width\":");
    buf_add_i64(out, m->width);
    PUT(out, ",\"height\":");
    buf_add_i64(out, m->height);
    PUT(out, ",\"durationMs\":");
    buf_add_i64(out, m->duration_ms);
    PUT(out, ",\"thumbnail\":");
    buf_add_str(out, m->thumbnail_key.n ? "true}" : "false}");
}

void frame_rejected(struct cq_buf *out, const struct rejection *r)
{
    PUT(out, "\"t\":\"rejected\",\"clientId\":");
    frame_json_string(out, r->client_id);
    PUT(out, ",\"id\":");
    put_id(out, r->id);
    PUT(out, ",\"chatId\":");
    put_id(out, r->chat_id);
    PUT(out, ",\"code\":");
    frame_json_string(out, r->code);
    buf_add_byte(out, '}');
}

void frame_receipt_rejected(struct cq_buf *out, const struct rejection *r)
{
    PUT(out, "\"t\":\"receipt_rejected\",\"chatId\":");
    put_id(out, r->chat_id);
    PUT(out, ",\"code\":");
    frame_json_string(out, r->code);
    buf_add_byte(out, '}');
}

void frame_status(struct cq_buf *out, struct cq_id chat, int64_t delivered, int64_t read,
                  int64_t at_ms)
{
    PUT(out, "\"t\":\"status\",\"chatId\":");
    put_id(out, chat);
    PUT(out, ",\"delivered\":");
    buf_add_i64(out, delivered);
    PUT(out, ",\"read\":");
    buf_add_i64(out, read);
    PUT(out, ",\"at\":");
    buf_add_i64(out, at_ms);
    buf_add_byte(out, '}');
}

void frame_read(struct cq_buf *out, struct cq_id chat, int64_t seq, int64_t at_ms)
{
    PUT(out, "\"t\":\"read\",\"chatId\":");
    put_id(out, chat);
    PUT(out, ",\"seq\":");
    buf_add_i64(out, seq);
    PUT(out, ",\"at\":");
    buf_add_i64(out, at_ms);
    buf_add_byte(out, '}');
}

void frame_ready(struct cq_buf *out, struct cq_id session, struct cq_span at)
{
    PUT(out, "\"t\":\"ready\",\"session\":");
    put_id(out, session);
    PUT(out, ",\"at\":");
    frame_json_string(out, at);
    buf_add_byte(out, '}');
}
