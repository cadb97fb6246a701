/* SPDX-License-Identifier: MIT */
#include "edge/rest/call.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/pg/view_guard.h"

#include <stdio.h>
#include <stdlib.h>

struct call *call_new(const struct rest_conf *conf)
{
    struct call *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->conf = conf;
    c->arena = arena_new(CALL_ARENA_MAX);
    c->now_ms = clock_wall_ms();
    id_format(id_random(), c->request_id);
    buf_init(&c->out, CALL_REPLY_MAX);
    c->content_length = -1;
    return c;
}

void call_free(struct call *c)
{
    if (!c)
        return;
    json_free(c->json);
    arena_free(c->arena);
    buf_release(&c->out);
    buf_release(&c->body_bytes);
    if (c->body_owner)
        c->body_free(c->body_owner);
    free(c);
}

/* ---- replies -------------------------------------------------------------------------- */

/* Drop headers that described a file when an error is sent instead: a browser keeps a 404 that says
 * "immutable" for a year. */
static void drop_file_headers(struct call *c)
{
    static const char *const of_files[] = { "etag", "cache-control", "content-disposition",
                                            "accept-ranges" };
    int kept = 0;

    for (int i = 0; i < c->headers_n; i++) {
        bool drop = false;

        for (size_t k = 0; k < ARRAY_LEN(of_files); k++)
            drop |= strcmp(c->headers[i].name, of_files[k]) == 0;
        if (!drop)
            c->headers[kept++] = c->headers[i];
    }
    c->headers_n = kept;
}

enum call_next call_error(struct call *c, int status, const char *code, const char *message)
{
    drop_file_headers(c);
    c->status = status;
    c->content_type = NULL;
    c->content_length = -1;
    c->error = code;
    c->error_text = message;
    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"error\":{");
    out_text(&c->out, "code", span_str(code));
    out_text(&c->out, "message", span_str(message));
    out_text(&c->out, "requestId", span_str(c->request_id));
    buf_add_str(&c->out, "}}");
    return CALL_REPLY;
}

enum call_next call_not_found(struct call *c)
{
    return call_error(c, 404, "not_found", "not found, or not visible to you");
}

enum call_next call_bad_request(struct call *c, const char *message)
{
    return call_error(c, 400, "bad_request", message);
}

enum call_next call_unavailable(struct call *c, const char *message)
{
    c->retry_after_s = 1;
    return call_error(c, 503, "unavailable", message);
}

enum call_next call_unknown(struct call *c)
{
    count_add(COUNT_UNKNOWN_ANSWERS, 1);
    return call_unavailable(c,
                            "unknown whether it was stored: send it again with the same clientId");
}

enum call_next call_doors_closed(struct call *c)
{
    c->retry_after_s = CALL_INCOMPLETE_S;
    return call_error(c, 503, "restoring",
                      "accounts are being restored: ask again after Retry-After seconds");
}

enum call_next call_view_incomplete(struct call *c)
{
    c->retry_after_s = CALL_INCOMPLETE_S;
    return call_error(
        c, 503, "view_incomplete",
        "the database is being rebuilt from the log: ask again after Retry-After seconds");
}

enum call_next call_database(struct call *c, enum cq_status st)
{
    if (st == CQ_AGAIN && c->db && view_is_incomplete(c->db))
        return call_view_incomplete(c);
    if (st == CQ_AGAIN)
        return call_unavailable(
            c, "the database cannot be read now: ask again after Retry-After seconds");
    if (st == CQ_POISON)
        return call_bad_request(c, "a value in the request is out of range");
    return call_error(c, 500, "internal", "internal error: report it with the requestId");
}

enum call_next call_limited(struct call *c, int64_t wait_ms, const char *message)
{
    c->retry_after_s = (int)(wait_ms / 1000) + 1;
    return call_error(c, 429, "rate_limited", message);
}

enum call_next call_rejected(struct call *c, struct cq_span code)
{
    if (span_eq_str(code, "not_found"))
        return call_not_found(c);
    if (span_eq_str(code, "forbidden"))
        return call_error(c, 403, "forbidden", "your role in this chat does not allow it");
    if (span_eq_str(code, "conflict"))
        return call_error(c, 409, "conflict",
                          "clientId: used before for something else, use a new one");
    if (span_eq_str(code, "too_large") || span_eq_str(code, "too_many_members"))
        return call_error(c, 413, "too_large",
                          "too large, or too many members: /api/config has the limits");
    return call_bad_request(c, "refused");
}

enum call_next call_reply(struct call *c, int status)
{
    if (c->out.failed)
        return call_error(c, 413, "too_large", "the answer is too large: ask for less, with limit");
    c->status = status;
    return CALL_REPLY;
}

void call_header(struct call *c, const char *name, struct cq_span value)
{
    struct cq_span copy = arena_copy(c->arena, value);

    if (c->headers_n < CALL_HEADERS_MAX && (copy.p || !value.n))
        c->headers[c->headers_n++] = (struct call_header){ name, copy };
}

void call_header_i64(struct call *c, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    call_header(c, name, span_str(text));
}

/* ---- submits -------------------------------------------------------------------------- */

/* How many a request makes is fixed by its handler. */
static struct call_submit *next_submit(struct call *c)
{
    CQ_ASSERT(c->submits_n >= 0 && c->submits_n < CALL_SUBMITS_MAX, c->submits_n);
    return &c->submits[c->submits_n++];
}

struct chat_action *call_submit_chat(struct call *c, struct cq_id chat, struct cq_span client_id)
{
    struct call_submit *s = next_submit(c);

    *s = (struct call_submit){ .is_user = false };
    s->u.chat = (struct chat_action){
        .chat_id = chat,
        .user_id = c->who.user,
        .device_id = c->who.device,
        .client_id = client_id,
        .at_ms = clock_wall_ms(),
    };
    return &s->u.chat;
}

struct user_action *call_submit_user(struct call *c, struct cq_id user, struct cq_id device)
{
    struct call_submit *s = next_submit(c);

    *s = (struct call_submit){ .is_user = true };
    s->u.user =
        (struct user_action){ .user_id = user, .device_id = device, .at_ms = clock_wall_ms() };
    return &s->u.user;
}

enum call_next call_wait_for(struct call *c, int i, int step)
{
    const struct call_submit *s = &c->submits[i];

    CQ_ASSERT(i >= 0 && i < c->submits_n, i, c->submits_n);
    c->waits_n = 0;
    c->step = step;
    if (s->is_user) {
        c->waits[c->waits_n++] = (struct call_wait){ WATCH_USER_EVENTS, s->partition, s->offset };
        return CALL_WAIT;
    }
    c->waits[c->waits_n++] = (struct call_wait){ WATCH_CHAT_EVENTS, s->partition, s->offset };
    c->waits[c->waits_n++] = (struct call_wait){ WATCH_REJECTIONS, s->partition, s->offset };
    return CALL_WAIT;
}

enum call_next call_look_again(struct call *c, int step)
{
    c->waits_n = 0;
    c->step = step;
    return CALL_WAIT;
}

/* ---- input ---------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct cq_span decode(struct cq_arena *a, struct cq_span s)
{
    uint8_t *out = arena_alloc(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < s.n; i++) {
        int high = i + 2 < s.n && s.p[i] == '%' ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;

        if (low >= 0) {
            out[n++] = (uint8_t)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return out ? span_of(out, n) : span_of(NULL, 0);
}

/* The value of a query parameter as it came; false: it did not. */
static bool find_param(const struct call *c, const char *name, struct cq_span *ret)
{
    struct cq_span rest = c->query;
    size_t name_n = strlen(name);

    while (rest.n) {
        const uint8_t *amp = memchr(rest.p, '&', rest.n);
        size_t n = amp ? (size_t)(amp - rest.p) : rest.n;

        if (n > name_n && rest.p[name_n] == '=' && memcmp(rest.p, name, name_n) == 0) {
            *ret = span_of(rest.p + name_n + 1, n - name_n - 1);
            return true;
        }
        rest = amp ? span_of(amp + 1, rest.n - n - 1) : span_of(NULL, 0);
    }
    return false;
}

struct cq_span call_param(struct call *c, const char *name)
{
    struct cq_span raw;

    return find_param(c, name, &raw) ? decode(c->arena, raw) : span_of(NULL, 0);
}

bool call_param_i64(struct call *c, const char *name, int64_t *ret)
{
    struct cq_span text;
    int64_t v = 0;

    if (!find_param(c, name, &text))
        return true;
    text = decode(c->arena, text);
    if (!text.n || text.n > 16)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (text.p[i] - '0');
    }
    *ret = v;
    return true;
}

bool call_chat_id(const struct call *c, struct cq_id *ret)
{
    return json_get_id(c->json, "chatId", ret) || json_get_id(c->json, "chatID", ret);
}
