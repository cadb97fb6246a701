/* SPDX-License-Identifier: MIT */
#include "edge/rest/rest_loop.h"

#include "edge/rest/http.h"
#include "edge/rest/limits.h"
#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CALLS_MAX = 4096, /* at work at once; above that 503 */
    AGAIN_MS = 250,   /* a wait is looked at again at the latest */
    LOOK_AGAIN_MS = 20,
    TICK_MS = 20,
    LARGE_KEPT_MS = 5000,
    BURST_SECONDS = 10, /* of the rate, at once */
    FANOUT_BURST_SECONDS = 3,
};

/* A call whose submits are on their way. The slot outlives the call when the deadline comes
 * first. */
struct pending {
    struct call *call; /* NULL: answered already */
    uint32_t generation;
    int left; /* reports to come */
};

struct rest_loop {
    const struct rest_conf *conf;
    struct http *http;
    struct ingest *ingest;
    struct mailbox *jobs, *media_jobs, *done;
    struct workers *workers, *media_workers; /* apart, so that a slow store holds up no message */
    struct applied *applied;
    struct limits users, fanouts,
        addresses; /* apart: no number of addresses makes users forgotten */
    struct pending pending[CALLS_MAX];
    uint32_t free[CALLS_MAX];
    uint32_t free_n;
    struct call *waiting; /* list */
    size_t calls;
    int64_t now_ms, tick_ms;
    int64_t large_ms; /* since then a large body may be in what the allocator keeps; 0: none */
};

static void finish(struct rest_loop *s, struct call *c)
{
    s->calls--;
    http_answer(s->http, c);
}

static void run(struct rest_loop *s, struct call *c)
{
    if (mailbox_put(c->is_media ? s->media_jobs : s->jobs, c))
        return;
    call_unavailable(c, "too many requests at once: ask again after Retry-After seconds");
    finish(s, c);
}

/* ---- waiting for the view ------------------------------------------------------------- */

static bool is_passed(const struct rest_loop *s, const struct call *c)
{
    for (int i = 0; i < c->waits_n; i++)
        if (applied_next(s->applied, c->waits[i].topic, c->waits[i].partition) > c->waits[i].offset)
            return true;
    return false;
}

static void park(struct rest_loop *s, struct call *c)
{
    if (!c->deadline_ms)
        c->deadline_ms = s->now_ms + CALL_DEADLINE_MS;
    c->again_ms = s->now_ms + (c->waits_n ? AGAIN_MS : LOOK_AGAIN_MS);
    c->prev = NULL;
    c->next = s->waiting;
    if (s->waiting)
        s->waiting->prev = c;
    s->waiting = c;
}

static void unpark(struct rest_loop *s, struct call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        s->waiting = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->next = c->prev = NULL;
}

static void look_at_waiting(struct rest_loop *s)
{
    bool whole = applied_is_whole(s->applied);
    struct call *next;

    for (struct call *c = s->waiting; c; c = next) {
        bool passed = is_passed(s, c);

        next = c->next;
        c->passed |= passed;
        c->in_vain = c->waits_n && !c->passed && !whole;
        c->timed_out = s->now_ms >= c->deadline_ms;
        if (!passed && !c->timed_out && s->now_ms < c->again_ms)
            continue;
        unpark(s, c);
        run(s, c);
    }
}

/* ---- submitting ----------------------------------------------------------------------- */

static uint64_t opaque_of(uint32_t index, uint32_t generation, int submit)
{
    return (uint64_t)generation << 24 | (uint64_t)index << 4 | (uint64_t)submit;
}

static enum cq_status submit_one(struct rest_loop *s, struct call_submit *x, uint64_t opaque)
{
    const char *field = NULL;

    return x->is_user ? ingest_user(s->ingest, &x->u.user, opaque, &field)
                      : ingest_chat(s->ingest, &x->u.chat, opaque, &field);
}

static enum log_use use_of(const struct call_submit *x)
{
    if (x->is_user)
        return x->u.user.action.kind == USER_ACTION_DEVICE_UNLINKED ? LOG_USE_NEEDED
                                                                    : LOG_USE_SMALL;
    return x->u.chat.action.kind == CHAT_ACTION_RECEIPTS_ADVANCED ? LOG_USE_SMALL : LOG_USE_FANOUT;
}

/* Kafka's disk has room for all that the call wants to write. */
static bool has_room(const struct rest_loop *s, const struct call *c)
{
    for (int i = 0; i < c->submits_n; i++)
        if (!log_disk_takes(s->conf->log_disk, use_of(&c->submits[i])))
            return false;
    return true;
}

/* A refusal after an accepted one is unknown too: the client does it all again. */
static void submit(struct rest_loop *s, struct call *c)
{
    struct bus_cut cut;
    struct pending *p;
    uint32_t index;

    if (!has_room(s, c)) {
        count_add(COUNT_LOG_REFUSED, 1);
        c->retry_after_s = LOG_DISK_RETRY_MS / 1000;
        call_error(
            c, 503, "log_full",
            "not stored: the disk of the log is nearly full; send it again after Retry-After seconds");
        finish(s, c);
        return;
    }
    if (ingest_log_is_cut(s->ingest, &cut)) {
        count_add(COUNT_LOG_CUT_REFUSED, 1);
        c->retry_after_s = INGEST_CUT_RETRY_MS / 1000;
        call_error(
            c, 503, "log_cut",
            "not stored: the log lost records, and an operator has to act; send it again later");
        finish(s, c);
        return;
    }
    if (!s->free_n || ingest_overloaded(s->ingest)) {
        count_add(COUNT_INGEST_REFUSED, 1);
        call_unavailable(
            c,
            "not stored: the log cannot be written to now; send it again after Retry-After seconds");
        finish(s, c);
        return;
    }
    index = s->free[--s->free_n];
    p = &s->pending[index];
    p->call = c;
    p->left = 0;
    c->index = index;
    c->reported_n = 0;
    c->deadline_ms = s->now_ms + CALL_DEADLINE_MS;
    for (int i = 0; i < c->submits_n && !c->unknown; i++) {
        enum cq_status st = submit_one(s, &c->submits[i], opaque_of(index, p->generation, i));

        if (st == CQ_OK) {
            p->left++;
            continue;
        }
        c->unknown = true;
        if (st == CQ_POISON) { /* what passed our own checks and not ingest's */
            call_bad_request(
                c, "a value in the request is beyond its limit: /api/config has the limits");
            c->refused = true;
        }
    }
    if (!c->unknown)
        return;
    p->call = NULL;
    if (!p->left) {
        p->generation++;
        s->free[s->free_n++] = index;
    }
    if (!c->refused)
        call_unknown(c);
    finish(s, c);
}

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct rest_loop *s = arg;
    struct pending *p = &s->pending[(opaque >> 4) & 0xFFFFF];
    struct call *c = p->call;
    struct call_submit *x;

    if (p->generation != (uint32_t)(opaque >> 24) || !p->left)
        return;
    p->left--;
    if (c) {
        x = &c->submits[opaque & 15];
        x->partition = partition;
        x->offset = offset;
        c->unknown |= st != CQ_OK;
    }
    if (p->left)
        return;
    p->call = NULL;
    p->generation++;
    s->free[s->free_n++] = (uint32_t)((opaque >> 4) & 0xFFFFF);
    if (!c)
        return;
    c->deadline_ms = 0; /* the view has its own */
    run(s, c);
}

/* The broker is silent: the client is told that the outcome is unknown; late reports find no
 * call. */
static void expire_submits(struct rest_loop *s)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        struct call *c = s->pending[i].call;

        if (!c || s->now_ms < c->deadline_ms)
            continue;
        s->pending[i].call = NULL;
        call_unknown(c);
        finish(s, c);
    }
}

/* ---- the loop ------------------------------------------------------------------------- */

static void on_done(void *arg)
{
    struct rest_loop *s = arg;
    struct call *next;

    s->now_ms = clock_mono_ms();
    for (struct call *c = mailbox_take_all(s->done); c; c = next) {
        next = c->next;
        c->next = NULL;
        switch (c->next_step) {
        case CALL_SUBMIT:
            submit(s, c);
            break;
        case CALL_WAIT:
            park(s, c);
            break;
        case CALL_STREAM:
            if (c->req)
                http_stream(s->http, c);
            else
                finish(s, c); /* the client has gone */
            break;
        case CALL_REPLY:
            finish(s, c);
            break;
        }
    }
    look_at_waiting(s);
}

static void on_applied(void *arg)
{
    struct rest_loop *s = arg;
    uint64_t n;

    s->now_ms = clock_mono_ms();
    if (read(applied_fd(s->applied), &n, sizeof n) > 0)
        look_at_waiting(s);
}

static void on_reports(void *arg)
{
    struct rest_loop *s = arg;

    s->now_ms = clock_mono_ms();
    ingest_serve(s->ingest);
}

/* ---- requests ------------------------------------------------------------------------- */

static bool check_token(struct rest_loop *s, struct cq_span authorization, struct token_claims *ret)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    const char *why = NULL;

    if (authorization.n <= n || strncasecmp((const char *)authorization.p, scheme, n) != 0)
        return false;
    if (token_check(s->conf->keys, span_of(authorization.p + n, authorization.n - n),
                    clock_wall_ms() / 1000, ret, &why) != CQ_OK) {
        log_debug("token_refused", LOG_S("why", why));
        return false;
    }
    return true;
}

static struct call *refuse(struct http_refusal *ret, int status, const char *code,
                           const char *message)
{
    ret->status = status;
    ret->code = code;
    ret->message = message;
    return NULL;
}

static struct call *refuse_path(struct http_refusal *ret, struct cq_span path)
{
    route_methods(path, ret->allow, sizeof ret->allow);
    return *ret->allow ? refuse(ret, 405, "method_not_allowed",
                                "not with this method: Allow has those of this path")
                       : refuse(ret, 404, "not_found", "not found, or not visible to you");
}

/* Who sends a valid token is counted as that user, wherever it is needed; others by address. */
static struct call *on_request(void *arg, const struct http_request *in, struct http_refusal *ret)
{
    struct rest_loop *s = arg;
    struct token_claims who = { 0 };
    struct cq_id ids[2] = { 0 };
    const struct route *r = route_find(in->method, in->path, ids);
    struct call *c;
    int64_t wait_s;
    bool known;

    if (!r)
        return refuse_path(ret, in->path);
    known = in->authorization.n && check_token(s, in->authorization, &who);
    /* a link carries its own proof, which the handler checks */
    if (!known && (r->needs_token || (r->flags & ROUTE_LINK && in->authorization.n)))
        return refuse(ret, 401, "unauthorized", "a valid access token is needed");
    wait_s = known ? limits_take(&s->users, who.user, clock_mono_ms())
                   : limits_take(&s->addresses, in->client, clock_mono_ms());
    if (!wait_s && r->flags & ROUTE_FANOUT)
        wait_s = limits_take(&s->fanouts, who.user, clock_mono_ms());
    if (wait_s) {
        count_add(COUNT_RATE_REFUSED, 1);
        ret->retry_after_s = (int)wait_s;
        return refuse(ret, 429, "rate_limited",
                      "too many requests a minute: ask again after Retry-After seconds");
    }
    ret->retry_after_s = 1;
    if (s->calls >= CALLS_MAX || !(c = call_new(s->conf)))
        return refuse(ret, 503, "unavailable",
                      "too many requests at once: ask again after Retry-After seconds");
    c->fn = r->fn;
    c->route = r;
    c->is_media = r->flags & ROUTE_MEDIA;
    c->is_raw = r->flags & ROUTE_RAW;
    c->is_login = r->flags & ROUTE_LOGIN;
    if (r->needs_token || r->flags & ROUTE_LINK)
        c->who = who;
    c->client = in->client;
    c->path_id[0] = ids[0];
    c->path_id[1] = ids[1];
    c->query = arena_copy(c->arena, in->query);
    return c;
}

/* What may come with a head: the token decides whether anything large, the route how much. */
static struct door_grant on_grant(void *arg, const struct request_head *head)
{
    struct rest_loop *s = arg;
    const uint8_t *mark = memchr(head->target.p, '?', head->target.n);
    struct cq_span path =
        span_of(head->target.p, mark ? (size_t)(mark - head->target.p) : head->target.n);
    struct door_grant grant = { .body_max = CALL_BODY_MAX, .limit = "body: 64 KiB at most" };
    struct token_claims who = { 0 };
    struct cq_id ids[2];
    const struct route *r = route_find(head->method, path, ids);

    if (r && r->flags & ROUTE_RAW) {
        grant.body_max = (size_t)s->conf->media.part_bytes;
        grant.limit = s->conf->media.piece_words;
    }
    grant.has_user = check_token(s, head->authorization, &who);
    grant.user = who.user;
    return grant;
}

static void on_start(void *arg, struct call *c)
{
    struct rest_loop *s = arg;

    s->calls++;
    if (c->body.n > CALL_BODY_MAX && !s->large_ms)
        s->large_ms = clock_mono_ms();
    run(s, c);
}

static void on_more(void *arg, struct call *c)
{
    run(arg, c);
}

static void on_ended(void *arg, struct call *c)
{
    struct rest_loop *s = arg;

    s->calls--;
    call_free(c);
}

static void on_failed(void *arg, const struct call *c)
{
    const struct rest_loop *s = arg;

    if (s->conf->tell_failed)
        s->conf->tell_failed(c);
}

static const char *on_ready(void *arg, bool *ret_ready)
{
    const struct rest_loop *s = arg;

    *ret_ready = rest_loop_is_ready(s);
    if (!*ret_ready)
        return "not ready";
    *ret_ready = applied_is_whole(s->applied);
    if (!*ret_ready)
        return "not ready: the view is being filled from the log";
    /* still 200: reads go on, and every other edge sees the same disk */
    return s->conf->log_disk->room == LOG_ROOM_ENOUGH ? "ready" : "ready, log full";
}

/* What the pieces of the last seconds left behind. */
static void give_back(struct rest_loop *s)
{
    if (!s->large_ms || s->now_ms - s->large_ms < LARGE_KEPT_MS)
        return;
    s->large_ms = 0;
    malloc_trim(0);
}

/* ---- life ----------------------------------------------------------------------------- */

static int64_t media_most(const struct media_conf *m)
{
    int64_t most = 0;

    for (int t = 0; t < MESSAGE_TYPE_N; t++)
        most = m->max_bytes[t] > most ? m->max_bytes[t] : most;
    return most;
}

static enum cq_status open_parts(struct rest_loop *s, const char *listen)
{
    bool has_files = s->conf->media.store.where[0];
    struct http_conf hc = {
        .listen = listen,
        .web_root = s->conf->web_root,
        .ws_upstream = s->conf->ws_upstream,
        .origins = s->conf->origins,
        .media_origin = s->conf->media.origin,
        .tus_part_bytes = has_files ? media_piece_most(&s->conf->media) : 0,
        .tus_max_bytes = media_most(&s->conf->media),
        .door = s->conf->door,
        .ops = { s, on_request, on_grant, on_start, on_more, on_ended, on_failed, on_ready },
    };
    struct ingest_conf ic = { .brokers = s->conf->brokers,
                              .client_id = "chasqui-edge-rest",
                              .partitions = s->conf->partitions,
                              .linger_ms = 0,
                              .probe = true,
                              .ack = on_report,
                              .arg = s };
    enum cq_status st = ingest_new(&ic, &s->ingest);

    if (st == CQ_OK)
        st = applied_start(s->conf, &s->applied);
    if (st == CQ_OK)
        st = workers_start(s->conf, s->conf->workers_n, false, s->jobs, s->done, &s->workers);
    if (st == CQ_OK)
        st = workers_start(s->conf, s->conf->media.workers_n, true, s->media_jobs, s->done,
                           &s->media_workers);
    if (st == CQ_OK)
        st = http_new(&hc, &s->http);
    if (st == CQ_OK)
        st = http_watch(s->http, mailbox_fd(s->done), on_done, s);
    if (st == CQ_OK)
        st = http_watch(s->http, applied_fd(s->applied), on_applied, s);
    if (st == CQ_OK)
        st = http_watch(s->http, ingest_fd(s->ingest), on_reports, s);
    return st;
}

static enum cq_status open_limits(struct rest_loop *s)
{
    int64_t rate = s->conf->rate_per_minute, burst = bucket_burst(rate, BURST_SECONDS);
    int64_t fanout = bucket_burst(rate, FANOUT_BURST_SECONDS);

    if (limits_init(&s->users, rate, burst) != CQ_OK ||
        limits_init(&s->fanouts, rate, fanout) != CQ_OK ||
        limits_init(&s->addresses, rate, burst) != CQ_OK)
        return CQ_FATAL;
    return CQ_OK;
}

enum cq_status rest_loop_new(const struct rest_conf *conf, const char *listen,
                             struct rest_loop **ret)
{
    struct rest_loop *s = calloc(1, sizeof *s);
    enum cq_status st;

    if (!s)
        return CQ_FATAL;
    s->conf = conf;
    s->now_ms = clock_mono_ms();
    for (uint32_t i = 0; i < CALLS_MAX; i++)
        s->free[s->free_n++] = CALLS_MAX - 1 - i;
    s->jobs = mailbox_new(CALLS_MAX);
    s->media_jobs = mailbox_new(CALLS_MAX);
    s->done = mailbox_new(2 * CALLS_MAX);
    st = s->jobs && s->media_jobs && s->done ? open_limits(s) : CQ_FATAL;
    if (st == CQ_OK)
        st = open_parts(s, listen);
    if (st != CQ_OK) {
        rest_loop_free(s);
        return st;
    }
    *ret = s;
    return CQ_OK;
}

void rest_loop_free(struct rest_loop *s)
{
    if (!s)
        return;
    workers_stop(s->workers);
    workers_stop(s->media_workers);
    applied_stop(s->applied);
    ingest_free(s->ingest);
    while (s->waiting) {
        struct call *c = s->waiting;

        unpark(s, c);
        call_free(c);
    }
    http_free(s->http);
    mailbox_free(s->jobs);
    mailbox_free(s->media_jobs);
    mailbox_free(s->done);
    limits_release(&s->users);
    limits_release(&s->fanouts);
    limits_release(&s->addresses);
    free(s);
}

enum cq_status rest_loop_turn(struct rest_loop *s, int wait_ms)
{
    int held_ms = ingest_wait_ms(s->ingest);

    if (s->waiting && wait_ms > TICK_MS)
        wait_ms = TICK_MS;
    http_turn(s->http, held_ms >= 0 && held_ms < wait_ms ? held_ms : wait_ms);
    s->now_ms = clock_mono_ms();
    if (!ingest_wait_ms(s->ingest))
        ingest_serve(s->ingest);
    if (s->now_ms - s->tick_ms < TICK_MS)
        return CQ_OK;
    s->tick_ms = s->now_ms;
    count_beat(s->now_ms);
    count_set(COUNT_CALLS, (int64_t)s->calls);
    ingest_serve(s->ingest);
    log_disk_tick(s->conf->log_disk, s->now_ms);
    look_at_waiting(s);
    expire_submits(s);
    give_back(s);
    return ingest_is_dead(s->ingest) ? CQ_FATAL : CQ_OK;
}

bool rest_loop_log_is_cut(const struct rest_loop *s, struct bus_cut *ret)
{
    return ingest_log_is_cut(s->ingest, ret);
}

const char *rest_loop_error(const struct rest_loop *s)
{
    return ingest_error(s->ingest);
}

void rest_loop_drain(struct rest_loop *s)
{
    http_drain(s->http);
}

size_t rest_loop_calls(const struct rest_loop *s)
{
    return s->calls;
}

bool rest_loop_is_ready(const struct rest_loop *s)
{
    return applied_is_up(s->applied) && !contact_away(CONTACT_DATABASE, clock_mono_ms()) &&
           !ingest_overloaded(s->ingest) && ingest_answers(s->ingest);
}
