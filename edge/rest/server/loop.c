/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/loop.h"

#include "edge/rest/server/answer.h"
#include "edge/rest/server/applied.h"
#include "edge/rest/server/http.h"
#include "edge/rest/server/http_answer.h"
#include "edge/rest/server/limits.h"
#include "edge/rest/server/mailbox.h"
#include "edge/rest/server/submits.h"
#include "edge/rest/server/workers.h"
#include "ingest/admission.h"
#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    AGAIN_MS = 250, /* a call that waits is run again after this, at the latest */
    LOOK_AGAIN_MS = 20,
    TICK_MS = 20,
    LARGE_KEPT_MS = 5000,
};

struct rest_loop {
    const struct server_conf *conf;
    struct http *http;
    struct ingest *ingest;
    struct submits *submits;
    struct mailbox *jobs, *media_jobs, *done;
    struct workers *workers, *media_workers; /* apart, so that a slow store holds up no message */
    struct applied *applied;
    struct limits users, fanouts, searches;
    struct limits addresses; /* apart, so that many addresses do not push out users */
    struct call *waiting;    /* list */
    size_t calls;
    int64_t now_ms, tick_ms;
    int64_t large_ms; /* since when the allocator may keep room for large bodies; 0: it does not */
};

static void finish(struct rest_loop *loop, struct call *call)
{
    loop->calls--;
    answer_call(call);
}

static void run(struct rest_loop *loop, struct call *call)
{
    if (mailbox_put(call->route->flags & ROUTE_MEDIA ? loop->media_jobs : loop->jobs, call))
        return;
    call_unavailable(call, "too many requests at once: ask again after Retry-After seconds");
    finish(loop, call);
}

/* ---- waiting for the view ------------------------------------------------------------- */

static bool is_passed(const struct rest_loop *loop, const struct call *call)
{
    for (int i = 0; i < call->wait.places_n; i++)
        if (applied_next(loop->applied, call->wait.places[i].topic,
                         call->wait.places[i].partition) > call->wait.places[i].offset)
            return true;
    return false;
}

static void park(struct rest_loop *loop, struct call *call)
{
    if (!call->loop.deadline_ms)
        call->loop.deadline_ms = loop->now_ms + CALL_DEADLINE_MS;
    call->loop.again_ms = loop->now_ms + (call->wait.places_n ? AGAIN_MS : LOOK_AGAIN_MS);
    call->loop.prev = NULL;
    call->loop.next = loop->waiting;
    if (loop->waiting)
        loop->waiting->loop.prev = call;
    loop->waiting = call;
}

static void unpark(struct rest_loop *loop, struct call *call)
{
    if (call->loop.prev)
        call->loop.prev->loop.next = call->loop.next;
    else
        loop->waiting = call->loop.next;
    if (call->loop.next)
        call->loop.next->loop.prev = call->loop.prev;
    call->loop.next = call->loop.prev = NULL;
}

static void look_at_waiting(struct rest_loop *loop)
{
    bool whole = applied_is_whole(loop->applied);
    struct call *next;

    for (struct call *call = loop->waiting; call; call = next) {
        bool passed = is_passed(loop, call);

        next = call->loop.next;
        call->wait.passed |= passed;
        call->wait.in_vain = call->wait.places_n && !call->wait.passed && !whole;
        call->wait.timed_out = loop->now_ms >= call->loop.deadline_ms;
        if (!passed && !call->wait.timed_out && loop->now_ms < call->loop.again_ms)
            continue;
        unpark(loop, call);
        run(loop, call);
    }
}

/* ---- the log -------------------------------------------------------------------------- */

static void submit(struct rest_loop *loop, struct call *call)
{
    if (!submits_produce(loop->submits, call, loop->now_ms))
        finish(loop, call);
}

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct rest_loop *loop = arg;
    struct call *call = submits_report(loop->submits, opaque, partition, offset, st);

    if (call)
        run(loop, call);
}

static void on_expired(void *arg, struct call *call)
{
    finish(arg, call);
}

/* ---- the loop ------------------------------------------------------------------------- */

static void on_done(void *arg)
{
    struct rest_loop *loop = arg;
    struct call *next;

    loop->now_ms = clock_mono_ms();
    for (struct call *call = mailbox_take_all(loop->done); call; call = next) {
        next = call->loop.next;
        call->loop.next = NULL;
        switch (call->loop.said) {
        case CALL_SUBMIT:
            submit(loop, call);
            break;
        case CALL_WAIT:
            park(loop, call);
            break;
        case CALL_STREAM:
            if (call->loop.req)
                answer_stream(call);
            else
                finish(loop, call); /* the client has gone */
            break;
        case CALL_REPLY:
            finish(loop, call);
            break;
        case CALL_GO_ON:
            CQ_ASSERT(call->loop.said != CALL_GO_ON);
            break;
        }
    }
    look_at_waiting(loop);
}

static void on_applied(void *arg)
{
    struct rest_loop *loop = arg;
    uint64_t n;

    loop->now_ms = clock_mono_ms();
    if (read(applied_fd(loop->applied), &n, sizeof n) > 0)
        look_at_waiting(loop);
}

static void on_reports(void *arg)
{
    struct rest_loop *loop = arg;

    loop->now_ms = clock_mono_ms();
    ingest_serve(loop->ingest);
}

/* ---- requests ------------------------------------------------------------------------- */

static bool check_token(struct rest_loop *loop, struct cq_span authorization,
                        struct token_claims *ret)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    const char *why = NULL;

    if (authorization.n <= n || strncasecmp((const char *)authorization.p, scheme, n) != 0)
        return false;
    if (token_check(loop->conf->keys, span_of(authorization.p + n, authorization.n - n),
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

static struct call *refuse_path(const struct rest_loop *loop, struct http_refusal *ret,
                                struct cq_span path)
{
    route_methods(loop->conf->routes, path, ret->allow, sizeof ret->allow);
    return *ret->allow ? refuse(ret, 405, "method_not_allowed",
                                "not with this method: Allow has those of this path")
                       : refuse(ret, 404, "not_found", "not found, or not visible to you");
}

/* A request with a valid token is counted for its user, also where none is needed; any other
 * request is counted for its address. */
static struct call *on_request(void *arg, const struct http_request *in, struct http_refusal *ret)
{
    struct rest_loop *loop = arg;
    struct cq_id address = address_key(in->client);
    struct token_claims who = { 0 };
    struct cq_id ids[2] = { 0 };
    const struct route *route = route_find(loop->conf->routes, in->method, in->path, ids);
    struct call *call;
    int64_t wait_s;
    bool known;

    if (!route)
        return refuse_path(loop, ret, in->path);
    known = in->authorization.n && check_token(loop, in->authorization, &who);
    /* a link carries its own proof, which the handler checks */
    if (!known && (route->needs_token || (route->flags & ROUTE_LINK && in->authorization.n)))
        return refuse(ret, 401, "unauthorized", "a valid access token is needed");
    wait_s = known ? limits_take(&loop->users, who.user, clock_mono_ms())
                   : limits_take(&loop->addresses, address, clock_mono_ms());
    if (!wait_s && route->flags & ROUTE_FANOUT)
        wait_s = limits_take(&loop->fanouts, who.user, clock_mono_ms());
    if (!wait_s && route->flags & ROUTE_SEARCH)
        wait_s = limits_take(&loop->searches, who.user, clock_mono_ms());
    if (wait_s) {
        count_add(COUNT_RATE_REFUSED, 1);
        ret->retry_after_s = (int)wait_s;
        return refuse(ret, 429, "rate_limited",
                      "too many requests a minute: ask again after Retry-After seconds");
    }
    ret->retry_after_s = 1;
    if (loop->calls >= CALLS_MAX || !(call = call_new(loop->conf->api)))
        return refuse(ret, 503, "unavailable",
                      "too many requests at once: ask again after Retry-After seconds");
    call->route = route;
    if (route->needs_token || route->flags & ROUTE_LINK)
        call->request.who = who;
    call->request.client = in->client;
    call->request.address = address;
    call->request.path_id[0] = ids[0];
    call->request.path_id[1] = ids[1];
    call->request.query = arena_copy(call->arena, in->query);
    return call;
}

/* What may come with a head: the token decides whether anything large, the route how much. */
static struct door_grant on_grant(void *arg, const struct request_head *head)
{
    struct rest_loop *loop = arg;
    const uint8_t *mark = memchr(head->target.p, '?', head->target.n);
    struct cq_span path =
        span_of(head->target.p, mark ? (size_t)(mark - head->target.p) : head->target.n);
    struct door_grant grant = { .body_max = CALL_BODY_MAX, .limit = CALL_BODY_WORDS };
    struct token_claims who = { 0 };
    struct cq_id ids[2];
    const struct route *route = route_find(loop->conf->routes, head->method, path, ids);

    if (route && route->flags & ROUTE_RAW) {
        grant.body_max = loop->conf->raw_max;
        grant.limit = loop->conf->raw_words;
    }
    grant.has_user = check_token(loop, head->authorization, &who);
    grant.user = who.user;
    return grant;
}

static void on_start(void *arg, struct call *call)
{
    struct rest_loop *loop = arg;

    loop->calls++;
    if (call->request.body.n > CALL_BODY_MAX && !loop->large_ms)
        loop->large_ms = clock_mono_ms();
    run(loop, call);
}

static void on_more(void *arg, struct call *call)
{
    run(arg, call);
}

static void on_ended(void *arg, struct call *call)
{
    struct rest_loop *loop = arg;

    loop->calls--;
    call_free(call);
}

static void on_failed(void *arg, const struct call *call)
{
    const struct rest_loop *loop = arg;

    if (loop->conf->tell_failed)
        loop->conf->tell_failed(call);
}

static const char *on_ready(void *arg, bool *ret_ready)
{
    const struct rest_loop *loop = arg;

    *ret_ready = rest_loop_is_ready(loop);
    if (!*ret_ready)
        return "not ready";
    *ret_ready = applied_is_whole(loop->applied);
    if (!*ret_ready)
        return "not ready: the view is being filled from the log";
    /* still 200: reads go on, and every other edge sees the same disk */
    return loop->conf->log_disk->room == LOG_ROOM_ENOUGH ? "ready" : "ready, log full";
}

/* Return to the system what the allocator kept of the large bodies of the last seconds. */
static void give_back(struct rest_loop *loop)
{
    if (!loop->large_ms || loop->now_ms - loop->large_ms < LARGE_KEPT_MS)
        return;
    loop->large_ms = 0;
    malloc_trim(0);
}

/* ---- life ----------------------------------------------------------------------------- */

static enum cq_status open_parts(struct rest_loop *loop)
{
    struct http_conf hc = {
        .api = loop->conf->api,
        .listen = loop->conf->listen,
        .web_root = loop->conf->web_root,
        .ws_upstream = loop->conf->ws_upstream,
        .origins = loop->conf->origins,
        .media_origin = loop->conf->media_origin,
        .door = loop->conf->door,
        .ops = { loop, on_request, loop->conf->options, on_grant, on_start, on_more, on_ended,
                 on_failed, on_ready },
    };
    struct ingest_conf ic = { .brokers = loop->conf->brokers,
                              .client_id = "chasqui-edge-rest",
                              .partitions = loop->conf->partitions,
                              .linger_ms = 0,
                              .probe = true,
                              .group_commit = loop->conf->group_commit,
                              .ack = on_report,
                              .arg = loop };
    enum cq_status st = ingest_new(&ic, &loop->ingest);

    if (st == CQ_OK)
        st = (loop->submits = submits_new(loop->ingest, loop->conf->log_disk)) ? CQ_OK : CQ_FATAL;
    if (st == CQ_OK)
        st = applied_start(loop->conf->database_url, &loop->applied);
    if (st == CQ_OK)
        st = workers_start(loop->conf, loop->conf->workers_n, false, loop->jobs, loop->done,
                           &loop->workers);
    if (st == CQ_OK)
        st = workers_start(loop->conf, loop->conf->media_workers_n, true, loop->media_jobs,
                           loop->done, &loop->media_workers);
    if (st == CQ_OK)
        st = http_new(&hc, &loop->http);
    if (st == CQ_OK)
        st = http_watch(loop->http, mailbox_fd(loop->done), on_done, loop);
    if (st == CQ_OK)
        st = http_watch(loop->http, applied_fd(loop->applied), on_applied, loop);
    if (st == CQ_OK)
        st = http_watch(loop->http, ingest_fd(loop->ingest), on_reports, loop);
    return st;
}

static enum cq_status open_limits(struct rest_loop *loop)
{
    int64_t rate = loop->conf->rate_per_minute,
            burst = bucket_burst(rate, ADMIT_REQUESTS_BURST_SECONDS);
    int64_t fanout = bucket_burst(rate, ADMIT_FANOUT_BURST_SECONDS);
    int64_t searches = admit_searches_per_minute(rate);

    if (limits_init(&loop->users, rate, burst) != CQ_OK ||
        limits_init(&loop->fanouts, rate, fanout) != CQ_OK ||
        limits_init(&loop->searches, searches,
                    bucket_burst(searches, ADMIT_REQUESTS_BURST_SECONDS)) != CQ_OK ||
        limits_init(&loop->addresses, rate, burst) != CQ_OK)
        return CQ_FATAL;
    return CQ_OK;
}

enum cq_status rest_loop_new(const struct server_conf *conf, struct rest_loop **ret)
{
    struct rest_loop *loop = calloc(1, sizeof *loop);
    enum cq_status st;

    if (!loop)
        return CQ_FATAL;
    loop->conf = conf;
    loop->now_ms = clock_mono_ms();
    loop->jobs = mailbox_new(CALLS_MAX);
    loop->media_jobs = mailbox_new(CALLS_MAX);
    loop->done = mailbox_new(2 * CALLS_MAX);
    st = loop->jobs && loop->media_jobs && loop->done ? open_limits(loop) : CQ_FATAL;
    if (st == CQ_OK)
        st = open_parts(loop);
    if (st != CQ_OK) {
        rest_loop_free(loop);
        return st;
    }
    *ret = loop;
    return CQ_OK;
}

void rest_loop_free(struct rest_loop *loop)
{
    if (!loop)
        return;
    workers_stop(loop->workers);
    workers_stop(loop->media_workers);
    applied_stop(loop->applied);
    ingest_free(loop->ingest);
    submits_free(loop->submits);
    while (loop->waiting) {
        struct call *call = loop->waiting;

        unpark(loop, call);
        call_free(call);
    }
    http_free(loop->http);
    mailbox_free(loop->jobs);
    mailbox_free(loop->media_jobs);
    mailbox_free(loop->done);
    limits_release(&loop->users);
    limits_release(&loop->fanouts);
    limits_release(&loop->searches);
    limits_release(&loop->addresses);
    free(loop);
}

enum cq_status rest_loop_turn(struct rest_loop *loop, int wait_ms)
{
    int held_ms = ingest_wait_ms(loop->ingest);

    if (loop->waiting && wait_ms > TICK_MS)
        wait_ms = TICK_MS;
    http_turn(loop->http, held_ms >= 0 && held_ms < wait_ms ? held_ms : wait_ms);
    loop->now_ms = clock_mono_ms();
    if (!ingest_wait_ms(loop->ingest))
        ingest_serve(loop->ingest);
    if (loop->now_ms - loop->tick_ms < TICK_MS)
        return CQ_OK;
    loop->tick_ms = loop->now_ms;
    count_beat(loop->now_ms);
    count_set(COUNT_CALLS, (int64_t)loop->calls);
    ingest_serve(loop->ingest);
    log_disk_tick(loop->conf->log_disk, loop->now_ms);
    look_at_waiting(loop);
    submits_expire(loop->submits, loop->now_ms, on_expired, loop);
    give_back(loop);
    return ingest_is_dead(loop->ingest) ? CQ_FATAL : CQ_OK;
}

bool rest_loop_log_is_cut(const struct rest_loop *loop, struct bus_cut *ret)
{
    return ingest_log_is_cut(loop->ingest, ret);
}

const char *rest_loop_error(const struct rest_loop *loop)
{
    return ingest_error(loop->ingest);
}

void rest_loop_drain(struct rest_loop *loop)
{
    http_drain(loop->http);
}

size_t rest_loop_calls(const struct rest_loop *loop)
{
    return loop->calls;
}

bool rest_loop_is_ready(const struct rest_loop *loop)
{
    return applied_is_up(loop->applied) && !contact_away(CONTACT_DATABASE, clock_mono_ms()) &&
           !ingest_overloaded(loop->ingest) && ingest_answers(loop->ingest);
}
