/* SPDX-License-Identifier: MIT */
#include "edge/rest/door.h"

#include "lib/base/assert.h"
#include "lib/base/proxy_header.h"

enum { USERS_MAX = 64 * 1024 };

static const char chunks_behind[] =
    "chunked encoding: not accepted before the request in front of it is answered";

/* ---- who waits, and who has left ------------------------------------------------------ */

static void stop_waiting(struct door *d, struct door_conn *c)
{
    if (!c->waits)
        return;
    CQ_ASSERT((c->prev || d->waiting == c) && (c->next || d->waiting_last == c));
    if (c->prev)
        c->prev->next = c->next;
    else
        d->waiting = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        d->waiting_last = c->prev;
    c->prev = c->next = NULL;
    c->waits = false;
}

static void start_waiting(struct door *d, struct door_conn *c)
{
    stop_waiting(d, c);
    c->prev = d->waiting_last;
    if (d->waiting_last)
        d->waiting_last->next = c;
    else
        d->waiting = c;
    d->waiting_last = c;
    c->waits = true;
}

/* What is given back was taken. */
static void take_off(struct idmap *m, struct cq_id key, uint64_t n)
{
    uint64_t *value = idmap_get(m, key);

    CQ_ASSERT(value && *value >= n, value ? *value : 0, n);
    *value -= n;
    if (!*value)
        idmap_remove(m, key);
}

static uint64_t count(const struct idmap *m, struct cq_id key)
{
    const uint64_t *value = idmap_get(m, key);

    return value ? *value : 0;
}

static struct door_conn *longest_of(const struct door *d, const struct cq_id *key)
{
    struct door_conn *c = d->waiting;

    while (c && key && !id_eq(c->key, *key))
        c = c->next;
    return c;
}

/* Connections of trusted proxies are many people's. Without room in the table an address is not
 * counted, and the bound of all still holds. */
static bool count_address(struct door *d, struct door_conn *c, struct cq_address a)
{
    uint64_t n;

    c->address = a;
    c->key = address_key(a);
    if (address_is_in(d->conf.trusted, a))
        return true;
    n = count(&d->by_address, c->key);
    if (n >= d->conf.conns_per_address)
        return false;
    c->counted = idmap_put(&d->by_address, c->key, n + 1);
    return true;
}

/* ---- life ----------------------------------------------------------------------------- */

/* What libh2o's buffer takes for a body: the pool is charged for memory, not for content. */
static size_t room_for(size_t body_n)
{
    return DOOR_HEAD_MAX + body_n + DOOR_EXCESS_MAX + DOOR_READ_BYTES;
}

size_t door_memory_least(const struct door_conf *conf)
{
    return (size_t)conf->conns_max * DOOR_SMALL_MAX + room_for(conf->body_max + conf->body_max / 8);
}

bool door_init(struct door *d, const struct door_conf *conf)
{
    if (conf->body_memory_bytes < door_memory_least(conf))
        return false;
    *d = (struct door){ .conf = *conf };
    d->pool_bytes = conf->body_memory_bytes - (size_t)conf->conns_max * DOOR_SMALL_MAX;
    idmap_init(&d->by_address, conf->conns_max);
    idmap_init(&d->by_user, USERS_MAX);
    return true;
}

void door_release(struct door *d)
{
    idmap_release(&d->by_address);
    idmap_release(&d->by_user);
}

bool door_enter(struct door *d, struct door_conn *c, struct cq_address peer, int64_t now_ms,
                struct door_conn **ret_instead)
{
    *ret_instead = NULL;
    if (d->conns_n >= d->conf.conns_max) {
        *ret_instead = longest_of(d, NULL);
        return false;
    }
    if (!count_address(d, c, peer)) {
        *ret_instead = longest_of(d, &c->key);
        return false;
    }
    d->conns_n++;
    c->all_next = d->all;
    if (d->all)
        d->all->all_prev = c;
    d->all = c;
    c->state =
        d->conf.proxy_protocol && address_is_in(d->conf.trusted, peer) ? DOOR_PROXY : DOOR_HEAD;
    c->since_ms = now_ms;
    start_waiting(d, c);
    return true;
}

static void give_back(struct door *d, struct door_conn *c)
{
    if (c->charge)
        door_pay(d, c->user, c->charge);
    c->charge = 0;
}

void door_leave(struct door *d, struct door_conn *c)
{
    stop_waiting(d, c);
    give_back(d, c);
    if (c->counted)
        take_off(&d->by_address, c->key, 1);
    c->counted = false;
    if (c->all_prev)
        c->all_prev->all_next = c->all_next;
    else
        d->all = c->all_next;
    if (c->all_next)
        c->all_next->all_prev = c->all_prev;
    CQ_ASSERT(d->conns_n > 0);
    d->conns_n--;
}

size_t door_take_charge(struct door_conn *c)
{
    size_t charge = c->charge;

    c->charge = 0;
    return charge;
}

void door_pay(struct door *d, struct cq_id user, size_t charge)
{
    CQ_ASSERT(d->pool_used >= charge, d->pool_used, charge);
    d->pool_used -= charge;
    take_off(&d->by_user, user, charge);
}

/* ---- looking -------------------------------------------------------------------------- */

static struct door_answer refuse(int status, const char *code, const char *message)
{
    return (struct door_answer){ .verdict = DOOR_REFUSE,
                                 .status = status,
                                 .retry_after_s = status == 503 ? 1 : 0,
                                 .code = code,
                                 .message = message };
}

static struct door_answer say(enum door_verdict verdict)
{
    return (struct door_answer){ .verdict = verdict };
}

static struct door_answer look_at_proxy(struct door *d, struct door_conn *c, struct cq_span input,
                                        int64_t now_ms)
{
    struct door_answer a = say(DOOR_SKIP);
    struct cq_address client;

    switch (proxy_header_read(input, &a.skip_n, &a.renamed, &client)) {
    case PROXY_MORE:
        return say(DOOR_WAIT);
    case PROXY_BAD:
        return say(DOOR_DROP);
    case PROXY_DONE:
        break;
    }
    if (a.renamed && !count_address(d, c, client))
        return say(DOOR_DROP);
    c->state = DOOR_HEAD;
    c->since_ms = now_ms;
    return a;
}

/* Take room for a large body from the pool, for a user. */
static bool reserve(struct door *d, struct door_conn *c, size_t n)
{
    uint64_t held = count(&d->by_user, c->user);

    if (n > d->pool_bytes - d->pool_used || (held && held + n > d->pool_bytes / DOOR_USER_PARTS) ||
        !idmap_put(&d->by_user, c->user, held + n))
        return false;
    d->pool_used += n;
    c->charge = n;
    return true;
}

/* Chunks may cost an eighth more than what is in them. */
static size_t raw_max(const struct door_conn *c)
{
    return c->head.chunked ? c->body_max + c->body_max / 8 : (size_t)c->head.body_n;
}

static struct door_answer too_large(const struct door_conn *c)
{
    return refuse(413, "too_large", c->limit);
}

/* A body that is large, or may become so. */
static struct door_answer admit(struct door *d, struct door_conn *c,
                                const struct request_head *head)
{
    struct door_grant grant = d->conf.grant(d->conf.arg, head);
    struct door_answer a = say(DOOR_WAIT);

    c->body_max = grant.body_max;
    if (!grant.has_user && head->authorization.n && !head->chunked)
        return refuse(401, "unauthorized", "a valid access token is needed");
    if (grant.has_user)
        c->limit = grant.limit;
    else
        c->body_max = DOOR_SMALL_MAX;
    if (!head->chunked && head->body_n > c->body_max)
        return too_large(c);
    if (!grant.has_user)
        return a;
    c->user = grant.user;
    a.room_n = room_for(raw_max(c));
    if (!reserve(d, c, a.room_n))
        return refuse(503, "unavailable",
                      "no memory for this body now: send it again after Retry-After seconds");
    stop_waiting(d, c);
    return a;
}

/* Whole: pass it on. */
static struct door_answer look_at_body(struct door *d, struct door_conn *c, struct cq_span input)
{
    size_t body_n;

    if (!c->head.chunked) {
        body_n = (size_t)c->head.body_n;
    } else {
        c->seen_n += chunks_feed(&c->chunks, span_of(input.p + c->seen_n, input.n - c->seen_n));
        body_n = c->seen_n - c->head.n;
        if (c->chunks.state == CHUNKS_BAD)
            return refuse(400, "bad_request",
                          "chunked encoding: hexadecimal size, CRLF, bytes, "
                          "CRLF; no extensions, no trailers");
        if (c->chunks.body_n > c->body_max || body_n > raw_max(c))
            return too_large(c);
        if (c->chunks.state != CHUNKS_DONE)
            return say(DOOR_WAIT);
    }
    if (input.n < c->head.n + body_n)
        return say(DOOR_WAIT);
    if (input.n - c->head.n - body_n > DOOR_EXCESS_MAX)
        return say(DOOR_DROP); /* nobody sends so much before an answer */
    c->state = DOOR_BUSY;
    stop_waiting(d, c);
    return say(DOOR_PASS);
}

static struct door_answer look_at_head(struct door *d, struct door_conn *c, struct cq_span input,
                                       int64_t now_ms)
{
    enum head_scan scan = framing_scan(
        span_of(input.p, input.n < DOOR_HEAD_MAX ? input.n : DOOR_HEAD_MAX), c->seen_n);
    struct door_answer a = say(DOOR_WAIT);
    const char *fault;

    if (!c->begun_ms)
        c->begun_ms = now_ms;
    if (scan == HEAD_BAD)
        return refuse(400, "bad_request", "each line of the head must end with CRLF");
    if (scan == HEAD_MORE && input.n >= DOOR_HEAD_MAX)
        return refuse(431, "too_large", "request line and headers: 16 KiB at most");
    c->seen_n = input.n;
    if (scan == HEAD_MORE)
        return a;
    fault = framing_read(input, &c->head);
    if (!fault && c->head.chunked && c->head.n <= c->behind_n)
        fault = chunks_behind; /* libh2o has decoded some of them by now */
    if (fault)
        return refuse(400, "bad_request", fault);
    c->state = DOOR_BODY;
    c->since_ms = now_ms;
    c->window_n = input.n;
    c->seen_n = c->head.n;
    c->chunks = (struct chunks){ 0 };
    c->body_max = DOOR_SMALL_MAX;
    c->limit = "body: 8 KiB at most without a valid access token";
    if (c->head.chunked || c->head.body_n > DOOR_SMALL_MAX)
        a = admit(d, c, &c->head);
    if (a.verdict != DOOR_WAIT)
        return a;
    if (c->head.expects_continue && input.n == c->head.n)
        return say(DOOR_PASS); /* libh2o says 100; it reads nothing of the body by itself */
    a = look_at_body(d, c, input);
    a.room_n = c->charge;
    return a;
}

struct door_answer door_look(struct door *d, struct door_conn *c, struct cq_span input,
                             int64_t now_ms)
{
    struct door_answer a = say(DOOR_WAIT);

    switch (c->state) {
    case DOOR_PROXY:
        a = look_at_proxy(d, c, input, now_ms);
        break;
    case DOOR_HEAD:
        if (input.n)
            a = look_at_head(d, c, input, now_ms);
        break;
    case DOOR_BODY:
        a = look_at_body(d, c, input);
        break;
    case DOOR_BUSY:
    case DOOR_TUNNEL:
    case DOOR_REFUSED:
        break;
    }
    if (a.verdict == DOOR_REFUSE) {
        c->state = DOOR_REFUSED;
        c->since_ms = now_ms;
        give_back(d, c);
        start_waiting(d, c);
    }
    return a;
}

bool door_discard(struct door_conn *c, size_t more_n)
{
    c->discarded += more_n;
    return c->discarded <= DOOR_REFUSED_BYTES;
}

/* ---- the request is libh2o's ---------------------------------------------------------- */

const char *door_run(struct door *d, struct door_conn *c, struct cq_span input, bool was_passed)
{
    struct request_head head;
    const char *fault = NULL;

    if (!was_passed) {
        fault = framing_read(input, &head);
        if (!fault && head.chunked)
            fault = chunks_behind;
        if (!fault && head.body_n > DOOR_SMALL_MAX)
            fault =
                "body: above 8 KiB it is not accepted before the request in front of it is answered";
    }
    c->state = DOOR_BUSY;
    stop_waiting(d, c);
    return fault;
}

void door_again(struct door *d, struct door_conn *c, size_t input_n, int64_t now_ms)
{
    give_back(d, c);
    c->state = DOOR_HEAD;
    c->since_ms = now_ms;
    c->begun_ms = 0;
    c->seen_n = 0;
    c->behind_n = input_n;
    start_waiting(d, c);
}

void door_tunnel(struct door *d, struct door_conn *c)
{
    give_back(d, c);
    stop_waiting(d, c);
    c->state = DOOR_TUNNEL;
}

/* ---- time ----------------------------------------------------------------------------- */

static struct door_answer too_slow(struct door *d, struct door_conn *c, int64_t now_ms)
{
    c->state = DOOR_REFUSED;
    c->since_ms = now_ms;
    give_back(d, c);
    start_waiting(d, c);
    return refuse(
        408, "too_slow",
        "too slow: the head must come within 10 s, then the body with at least 4 KiB a second");
}

struct door_answer door_tick(struct door *d, struct door_conn *c, size_t input_n, int64_t now_ms)
{
    int64_t since_ms = now_ms - c->since_ms;

    switch (c->state) {
    case DOOR_PROXY:
        return say(since_ms >= DOOR_HEAD_MS ? DOOR_DROP : DOOR_WAIT);
    case DOOR_REFUSED:
        return say(since_ms >= DOOR_REFUSED_MS ? DOOR_DROP : DOOR_WAIT);
    case DOOR_HEAD:
        if (c->begun_ms)
            return now_ms - c->begun_ms >= DOOR_HEAD_MS ? too_slow(d, c, now_ms) : say(DOOR_WAIT);
        return say(since_ms >= DOOR_IDLE_MS ? DOOR_DROP : DOOR_WAIT);
    case DOOR_BODY:
        if (since_ms < DOOR_WINDOW_MS)
            return say(DOOR_WAIT);
        if (input_n < c->window_n + DOOR_WINDOW_BYTES)
            return too_slow(d, c, now_ms);
        c->since_ms = now_ms;
        c->window_n = input_n;
        return say(DOOR_WAIT);
    case DOOR_BUSY:
    case DOOR_TUNNEL:
        break;
    }
    return say(DOOR_WAIT);
}
