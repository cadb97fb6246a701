/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/door.h"

#include "lib/base/assert.h"
#include "lib/base/proxy_header.h"

enum { USERS_MAX = 64 * 1024 };

static const char chunks_behind[] =
    "chunked encoding: not accepted before the request in front of it is answered";

/* ---- who waits, and who has left ------------------------------------------------------ */

static void stop_waiting(struct door *door, struct door_conn *conn)
{
    if (!conn->waits)
        return;
    CQ_ASSERT((conn->prev || door->waiting == conn) && (conn->next || door->waiting_last == conn));
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        door->waiting = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    else
        door->waiting_last = conn->prev;
    conn->prev = conn->next = NULL;
    conn->waits = false;
}

static void start_waiting(struct door *door, struct door_conn *conn)
{
    stop_waiting(door, conn);
    conn->prev = door->waiting_last;
    if (door->waiting_last)
        door->waiting_last->next = conn;
    else
        door->waiting = conn;
    door->waiting_last = conn;
    conn->waits = true;
}

/* What is given back was taken. */
static void take_off(struct idmap *map, struct cq_id key, uint64_t n)
{
    uint64_t *value = idmap_get(map, key);

    CQ_ASSERT(value && *value >= n, value ? *value : 0, n);
    *value -= n;
    if (!*value)
        idmap_remove(map, key);
}

static uint64_t count(const struct idmap *map, struct cq_id key)
{
    const uint64_t *value = idmap_get(map, key);

    return value ? *value : 0;
}

static struct door_conn *longest_of(const struct door *door, const struct cq_id *key)
{
    struct door_conn *conn = door->waiting;

    while (conn && key && !id_eq(conn->key, *key))
        conn = conn->next;
    return conn;
}

/* Connections of trusted proxies serve many people, and are not counted. Nor is an address for
 * which the table has no room; the bound of all connections still holds. */
static bool count_address(struct door *door, struct door_conn *conn, struct cq_address address)
{
    uint64_t n;

    conn->address = address;
    conn->key = address_key(address);
    if (address_is_in(door->conf.trusted, address))
        return true;
    n = count(&door->by_address, conn->key);
    if (n >= door->conf.conns_per_address)
        return false;
    conn->counted = idmap_put(&door->by_address, conn->key, n + 1);
    return true;
}

/* ---- life ----------------------------------------------------------------------------- */

/* The memory that libh2o's buffer takes for a body: the pool is charged for that, not for
 * content. */
static size_t room_for(size_t body_n)
{
    return DOOR_HEAD_MAX + body_n + DOOR_EXCESS_MAX + DOOR_READ_BYTES;
}

size_t door_memory_least(const struct door_conf *conf)
{
    return (size_t)conf->conns_max * DOOR_SMALL_MAX + room_for(conf->body_max + conf->body_max / 8);
}

bool door_init(struct door *door, const struct door_conf *conf)
{
    if (conf->body_memory_bytes < door_memory_least(conf))
        return false;
    *door = (struct door){ .conf = *conf };
    door->pool_bytes = conf->body_memory_bytes - (size_t)conf->conns_max * DOOR_SMALL_MAX;
    idmap_init(&door->by_address, conf->conns_max);
    idmap_init(&door->by_user, USERS_MAX);
    return true;
}

void door_release(struct door *door)
{
    idmap_release(&door->by_address);
    idmap_release(&door->by_user);
}

bool door_enter(struct door *door, struct door_conn *conn, struct cq_address peer, int64_t now_ms,
                struct door_conn **ret_instead)
{
    *ret_instead = NULL;
    if (door->conns_n >= door->conf.conns_max) {
        *ret_instead = longest_of(door, NULL);
        return false;
    }
    if (!count_address(door, conn, peer)) {
        *ret_instead = longest_of(door, &conn->key);
        return false;
    }
    door->conns_n++;
    conn->all_next = door->all;
    if (door->all)
        door->all->all_prev = conn;
    door->all = conn;
    conn->state = door->conf.proxy_protocol && address_is_in(door->conf.trusted, peer) ? DOOR_PROXY
                                                                                       : DOOR_HEAD;
    conn->since_ms = now_ms;
    start_waiting(door, conn);
    return true;
}

static void give_back(struct door *door, struct door_conn *conn)
{
    if (conn->charge)
        door_pay(door, conn->user, conn->charge);
    conn->charge = 0;
}

void door_leave(struct door *door, struct door_conn *conn)
{
    stop_waiting(door, conn);
    give_back(door, conn);
    if (conn->counted)
        take_off(&door->by_address, conn->key, 1);
    conn->counted = false;
    if (conn->all_prev)
        conn->all_prev->all_next = conn->all_next;
    else
        door->all = conn->all_next;
    if (conn->all_next)
        conn->all_next->all_prev = conn->all_prev;
    CQ_ASSERT(door->conns_n > 0);
    door->conns_n--;
}

size_t door_take_charge(struct door_conn *conn)
{
    size_t charge = conn->charge;

    conn->charge = 0;
    return charge;
}

void door_pay(struct door *door, struct cq_id user, size_t charge)
{
    CQ_ASSERT(door->pool_used >= charge, door->pool_used, charge);
    door->pool_used -= charge;
    take_off(&door->by_user, user, charge);
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

static struct door_answer look_at_proxy(struct door *door, struct door_conn *conn,
                                        struct cq_span input, int64_t now_ms)
{
    struct door_answer answer = say(DOOR_SKIP);
    struct cq_address client;

    switch (proxy_header_read(input, &answer.skip_n, &answer.renamed, &client)) {
    case PROXY_MORE:
        return say(DOOR_WAIT);
    case PROXY_BAD:
        return say(DOOR_DROP);
    case PROXY_DONE:
        break;
    }
    if (answer.renamed && !count_address(door, conn, client))
        return say(DOOR_DROP);
    conn->state = DOOR_HEAD;
    conn->since_ms = now_ms;
    return answer;
}

/* Take room for a large body from the pool, for a user. */
static bool reserve(struct door *door, struct door_conn *conn, size_t n)
{
    uint64_t held = count(&door->by_user, conn->user);

    if (n > door->pool_bytes - door->pool_used ||
        (held && held + n > door->pool_bytes / DOOR_USER_PARTS) ||
        !idmap_put(&door->by_user, conn->user, held + n))
        return false;
    door->pool_used += n;
    conn->charge = n;
    return true;
}

/* Chunks may cost an eighth more than what is in them. */
static size_t raw_max(const struct door_conn *conn)
{
    return conn->head.chunked ? conn->body_max + conn->body_max / 8 : (size_t)conn->head.body_n;
}

static struct door_answer too_large(const struct door_conn *conn)
{
    return refuse(413, "too_large", conn->limit);
}

/* A body that is large, or may become so. */
static struct door_answer admit(struct door *door, struct door_conn *conn,
                                const struct request_head *head)
{
    struct door_grant grant = door->conf.grant(door->conf.arg, head);
    struct door_answer answer = say(DOOR_WAIT);

    conn->body_max = grant.body_max;
    if (!grant.has_user && head->authorization.n && !head->chunked)
        return refuse(401, "unauthorized", "a valid access token is needed");
    if (grant.has_user)
        conn->limit = grant.limit;
    else
        conn->body_max = DOOR_SMALL_MAX;
    if (!head->chunked && head->body_n > conn->body_max)
        return too_large(conn);
    if (!grant.has_user)
        return answer;
    conn->user = grant.user;
    answer.room_n = room_for(raw_max(conn));
    if (!reserve(door, conn, answer.room_n))
        return refuse(503, "unavailable",
                      "no memory for this body now: send it again after Retry-After seconds");
    stop_waiting(door, conn);
    return answer;
}

/* A body that is whole is passed on. */
static struct door_answer look_at_body(struct door *door, struct door_conn *conn,
                                       struct cq_span input)
{
    size_t body_n;

    if (!conn->head.chunked) {
        body_n = (size_t)conn->head.body_n;
    } else {
        conn->seen_n +=
            chunks_feed(&conn->chunks, span_of(input.p + conn->seen_n, input.n - conn->seen_n));
        body_n = conn->seen_n - conn->head.n;
        if (conn->chunks.state == CHUNKS_BAD)
            return refuse(400, "bad_request",
                          "chunked encoding: hexadecimal size, CRLF, bytes, "
                          "CRLF; no extensions, no trailers");
        if (conn->chunks.body_n > conn->body_max || body_n > raw_max(conn))
            return too_large(conn);
        if (conn->chunks.state != CHUNKS_DONE)
            return say(DOOR_WAIT);
    }
    if (input.n < conn->head.n + body_n)
        return say(DOOR_WAIT);
    if (input.n - conn->head.n - body_n > DOOR_EXCESS_MAX)
        return say(DOOR_DROP); /* nobody sends so much before an answer */
    conn->state = DOOR_BUSY;
    stop_waiting(door, conn);
    return say(DOOR_PASS);
}

static struct door_answer look_at_head(struct door *door, struct door_conn *conn,
                                       struct cq_span input, int64_t now_ms)
{
    enum head_scan scan = framing_scan(
        span_of(input.p, input.n < DOOR_HEAD_MAX ? input.n : DOOR_HEAD_MAX), conn->seen_n);
    struct door_answer answer = say(DOOR_WAIT);
    const char *fault;

    if (!conn->begun_ms)
        conn->begun_ms = now_ms;
    if (scan == HEAD_BAD)
        return refuse(400, "bad_request", "each line of the head must end with CRLF");
    if (scan == HEAD_MORE && input.n >= DOOR_HEAD_MAX)
        return refuse(431, "too_large", "request line and headers: 16 KiB at most");
    conn->seen_n = input.n;
    if (scan == HEAD_MORE)
        return answer;
    fault = framing_read(input, &conn->head);
    if (!fault && conn->head.chunked && conn->head.n <= conn->behind_n)
        fault = chunks_behind; /* libh2o has decoded some of them by now */
    if (fault)
        return refuse(400, "bad_request", fault);
    conn->state = DOOR_BODY;
    conn->since_ms = now_ms;
    conn->window_n = input.n;
    conn->seen_n = conn->head.n;
    conn->chunks = (struct chunks){ 0 };
    conn->body_max = DOOR_SMALL_MAX;
    conn->limit = "body: 8 KiB at most without a valid access token";
    if (conn->head.chunked || conn->head.body_n > DOOR_SMALL_MAX)
        answer = admit(door, conn, &conn->head);
    if (answer.verdict != DOOR_WAIT)
        return answer;
    if (conn->head.expects_continue && input.n == conn->head.n)
        return say(DOOR_PASS); /* libh2o says 100; it reads nothing of the body by itself */
    answer = look_at_body(door, conn, input);
    answer.room_n = conn->charge;
    return answer;
}

struct door_answer door_look(struct door *door, struct door_conn *conn, struct cq_span input,
                             int64_t now_ms)
{
    struct door_answer answer = say(DOOR_WAIT);

    switch (conn->state) {
    case DOOR_PROXY:
        answer = look_at_proxy(door, conn, input, now_ms);
        break;
    case DOOR_HEAD:
        if (input.n)
            answer = look_at_head(door, conn, input, now_ms);
        break;
    case DOOR_BODY:
        answer = look_at_body(door, conn, input);
        break;
    case DOOR_BUSY:
    case DOOR_TUNNEL:
    case DOOR_REFUSED:
        break;
    }
    if (answer.verdict == DOOR_REFUSE) {
        conn->state = DOOR_REFUSED;
        conn->since_ms = now_ms;
        give_back(door, conn);
        start_waiting(door, conn);
    }
    return answer;
}

bool door_discard(struct door_conn *conn, size_t more_n)
{
    conn->discarded += more_n;
    return conn->discarded <= DOOR_REFUSED_BYTES;
}

/* ---- the request is libh2o's ---------------------------------------------------------- */

const char *door_run(struct door *door, struct door_conn *conn, struct cq_span input,
                     bool was_passed)
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
    conn->state = DOOR_BUSY;
    stop_waiting(door, conn);
    return fault;
}

void door_again(struct door *door, struct door_conn *conn, size_t input_n, int64_t now_ms)
{
    give_back(door, conn);
    conn->state = DOOR_HEAD;
    conn->since_ms = now_ms;
    conn->begun_ms = 0;
    conn->seen_n = 0;
    conn->behind_n = input_n;
    start_waiting(door, conn);
}

void door_tunnel(struct door *door, struct door_conn *conn)
{
    give_back(door, conn);
    stop_waiting(door, conn);
    conn->state = DOOR_TUNNEL;
}

/* ---- time ----------------------------------------------------------------------------- */

static struct door_answer too_slow(struct door *door, struct door_conn *conn, int64_t now_ms)
{
    conn->state = DOOR_REFUSED;
    conn->since_ms = now_ms;
    give_back(door, conn);
    start_waiting(door, conn);
    return refuse(
        408, "too_slow",
        "too slow: the head must come within 10 s, then the body with at least 4 KiB a second");
}

struct door_answer door_tick(struct door *door, struct door_conn *conn, size_t input_n,
                             int64_t now_ms)
{
    int64_t since_ms = now_ms - conn->since_ms;

    switch (conn->state) {
    case DOOR_PROXY:
        return say(since_ms >= DOOR_HEAD_MS ? DOOR_DROP : DOOR_WAIT);
    case DOOR_REFUSED:
        return say(since_ms >= DOOR_REFUSED_MS ? DOOR_DROP : DOOR_WAIT);
    case DOOR_HEAD:
        if (conn->begun_ms)
            return now_ms - conn->begun_ms >= DOOR_HEAD_MS ? too_slow(door, conn, now_ms)
                                                           : say(DOOR_WAIT);
        return say(since_ms >= DOOR_IDLE_MS ? DOOR_DROP : DOOR_WAIT);
    case DOOR_BODY:
        if (since_ms < DOOR_WINDOW_MS)
            return say(DOOR_WAIT);
        if (input_n < conn->window_n + DOOR_WINDOW_BYTES)
            return too_slow(door, conn, now_ms);
        conn->since_ms = now_ms;
        conn->window_n = input_n;
        return say(DOOR_WAIT);
    case DOOR_BUSY:
    case DOOR_TUNNEL:
        break;
    }
    return say(DOOR_WAIT);
}
