/* SPDX-License-Identifier: MIT */
/*
 * schemas/excerpt.c - what a push shows of a frame.
 */
#include "schemas/frame.h"

#include "lib/json/write.h"

/* Take a JSON string off the front of `*json`; `*ret` is what stands between its quotes. */
static bool take_string(struct cq_span *json, struct cq_span *ret)
{
    size_t i = 1;

    if (!json->n || json->p[0] != '"')
        return false;
    while (i < json->n && json->p[i] != '"')
        i += json->p[i] == '\\' ? 2 : 1;
    if (i >= json->n)
        return false;
    *ret = span_of(json->p + 1, i - 1);
    *json = span_of(json->p + i + 1, json->n - i - 1);
    return true;
}

/* Bytes of a plain value, or of a list or an object with all that is in it. */
static size_t skip_value(struct cq_span json)
{
    size_t depth = 0;

    for (struct cq_span text, rest = json; rest.n;) {
        uint8_t byte = rest.p[0];

        if (!depth && (byte == ',' || byte == '}'))
            return json.n - rest.n;
        depth += byte == '[' || byte == '{';
        depth -= depth && (byte == ']' || byte == '}');
        if (byte != '"')
            rest = span_of(rest.p + 1, rest.n - 1);
        else if (!take_string(&rest, &text))
            break;
    }
    return json.n;
}

/* Take one member, `"name":value` and the comma or brace behind it. `*ret` is a string's inside,
 * or the value as it stands. */
static bool take_member(struct cq_span *json, struct cq_span *ret_name, struct cq_span *ret)
{
    size_t i = 0;

    if (!take_string(json, ret_name) || !json->n || json->p[0] != ':')
        return false;
    *json = span_of(json->p + 1, json->n - 1);
    if (json->n && json->p[0] == '"') {
        if (!take_string(json, ret))
            return false;
    } else {
        i = skip_value(*json);
        *ret = span_of(json->p, i);
        *json = span_of(json->p + i, json->n - i);
    }
    if (!json->n || (json->p[0] != ',' && json->p[0] != '}'))
        return false;
    *json = span_of(json->p + 1, json->n - 1);
    return true;
}

/* What beside its text says whom a message wakes, as it stands; too long to be ours: nothing. */
static struct cq_span kept_of(struct cq_span value, size_t max)
{
    return value.n <= max ? value : span_of(NULL, 0);
}

static void put_kept(struct cq_buf *out, const char *name, struct cq_span value)
{
    if (!value.n)
        return;
    out_key(out, name);
    buf_add_span(out, value);
}

/* The longest start of what stands inside a JSON string that ends between two characters. */
static struct cq_span cut_escaped(struct cq_span text, size_t max)
{
    size_t i = 0, n;

    for (; i < text.n; i += n) {
        n = 1;
        if (text.p[i] == '\\')
            n = i + 1 < text.n && text.p[i + 1] == 'u' ? JSON_ESCAPED_MAX : 2;
        while (i + n < text.n && (text.p[i + n] & 0xC0) == 0x80)
            n++;
        if (i + n > max || i + n > text.n)
            break;
    }
    return span_of(text.p, i);
}

/* Of a place, or a card: what it is called. */
static struct cq_span name_of(struct cq_span object)
{
    struct cq_span rest = object.n ? span_of(object.p + 1, object.n - 1) : object, name, value;

    while (rest.n && take_member(&rest, &name, &value))
        if (span_eq_str(name, "name"))
            return value;
    return span_of(NULL, 0);
}

void frame_excerpt(struct cq_buf *out, struct cq_span frame)
{
    static const char mark[] = "\xE2\x80\xA6"; /* an ellipsis */
    enum {
        AROUND = 120,     /* bytes beside the content and what is kept, at most */
        QUOTED_MAX = 128, /* {"id":…,"seq":…} */
        EXPIRES_MAX = 32,
        MENTIONS_MAX = LIMIT_MESSAGE_SENT_MENTIONS * (CQ_ID_TEXT_LEN + 3) + 2
    };
    struct cq_span name, value, type = { NULL, 0 }, content = { NULL, 0 };
    struct cq_span shows = { NULL, 0 }, called = { NULL, 0 };
    struct cq_span quoted = { NULL, 0 }, mentions = { NULL, 0 }, expires = { NULL, 0 };
    bool caption = false;
    size_t room;

    _Static_assert(AROUND + QUOTED_MAX + MENTIONS_MAX + EXPIRES_MAX + 256 < FRAME_EXCERPT_MAX,
                   "room for a text");

    while (frame.n && take_member(&frame, &name, &value)) {
        if (span_eq_str(name, "type"))
            type = value;
        if (span_eq_str(name, "content") || span_eq_str(name, "caption"))
            content = value;
        caption |= span_eq_str(name, "mediaId") || span_eq_str(name, "caption");
        if (span_eq_str(name, "shows")) /* of an excerpt */
            shows = kept_of(value, AROUND / 6);
        if (span_eq_str(name, "location") || span_eq_str(name, "contact") ||
            span_eq_str(name, "voice")) {
            shows = name;
            called = name_of(value);
        }
        if (span_eq_str(name, "replyTo"))
            quoted = kept_of(value, QUOTED_MAX);
        if (span_eq_str(name, "mentions"))
            mentions = kept_of(value, MENTIONS_MAX);
        if (span_eq_str(name, "expiresAt"))
            expires = kept_of(value, EXPIRES_MAX);
    }
    if (!type.n && content.n)
        type = span_str("text"); /* of an edited message the view knows better */
    if (frame.n || !type.n || type.n > AROUND / 4)
        return;
    if (!content.n)
        content = called;
    buf_add_str(out, "\"type\":\"");
    buf_add_span(out, type);
    buf_add_str(out, caption ? "\",\"caption\":\"" : "\",\"content\":\"");
    room = FRAME_EXCERPT_MAX - AROUND - quoted.n - mentions.n - expires.n;
    if (content.n > room) {
        buf_add_span(out, cut_escaped(content, room - sizeof mark));
        buf_add_str(out, mark);
    } else {
        buf_add_span(out, content);
    }
    buf_add_byte(out, '"');
    if (shows.n) {
        buf_add_str(out, ",\"shows\":\"");
        buf_add_span(out, shows);
        buf_add_byte(out, '"');
    }
    put_kept(out, "replyTo", quoted);
    put_kept(out, "mentions", mentions);
    put_kept(out, "expiresAt", expires);
    buf_add_byte(out, '}');
}
