/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/codes.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/http/pool.h"
#include "lib/json/write.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TURN_MS = 200, BODY_MAX = 128 };

/* Written by set_breaker() alone, under the lock. */
enum breaker {
    BREAKER_CLOSED, /* codes leave */
    BREAKER_OPEN,   /* none does, until `until_ms` */
    BREAKER_TRIAL,  /* one is under way, and decides */
};

struct held_code {
    char number[PHONE_MAX + 1], code[CODE_DIGITS + 1];
    int64_t at_ms; /* monotonic */
    int next;
};

struct code_lane {
    const char *url;
    pthread_t thread;
    struct http_pool *pool; /* the thread's own */
    int fd;                 /* readable when something waits, or at the end */
    pthread_mutex_t lock;   /* guards what follows */
    struct held_code held[CODES_HELD_MAX];
    int free_at, first, last; /* lists by `next`; -1: empty */
    int reserved;             /* places taken and not filled yet */
    int held_n;               /* places taken, filled or not */
    enum breaker breaker;
    int failures; /* in a row */
    int64_t pause_ms, until_ms;
    bool stop;
};

/* ---- the breaker --------------------------------------------------------------------- */

static void set_breaker(struct code_lane *lane, enum breaker to, int64_t now_ms)
{
    CQ_ASSERT(to != BREAKER_TRIAL || lane->breaker == BREAKER_OPEN, to, lane->breaker);
    if (to == BREAKER_CLOSED) {
        lane->failures = 0;
        lane->pause_ms = 0;
    }
    if (to == BREAKER_OPEN) {
        lane->pause_ms = lane->pause_ms ? lane->pause_ms * 2 : CODES_PAUSE_MS;
        if (lane->pause_ms > CODES_PAUSE_MAX_MS)
            lane->pause_ms = CODES_PAUSE_MAX_MS;
        lane->until_ms = now_ms + lane->pause_ms;
    }
    lane->breaker = to;
    count_set(COUNT_CODES_PAUSED, to != BREAKER_CLOSED);
}

static void judge(struct code_lane *lane, bool works)
{
    if (works)
        set_breaker(lane, BREAKER_CLOSED, 0);
    else if (++lane->failures >= CODES_FAILURES_MAX && lane->breaker != BREAKER_OPEN)
        set_breaker(lane, BREAKER_OPEN, clock_mono_ms());
}

/* An answer about one number (400, 404, 422) is not a failure of the provider: otherwise five bad
 * numbers would stop everybody's codes. */
static bool provider_works(const struct http_answer *answer)
{
    return answer->st == CQ_OK && answer->status / 100 != 5 && answer->status / 100 != 3 &&
           answer->status != 401 && answer->status != 403 && answer->status != 408 &&
           answer->status != 429;
}

/* ---- places --------------------------------------------------------------------------- */

int code_lane_reserve(struct code_lane *lane)
{
    int64_t left_ms;
    int wait_s = 0;

    pthread_mutex_lock(&lane->lock);
    left_ms = lane->until_ms - clock_mono_ms();
    if (lane->held_n == CODES_HELD_MAX)
        wait_s = CODES_FULL_RETRY_S;
    else if (lane->breaker == BREAKER_TRIAL || (lane->breaker == BREAKER_OPEN && lane->held_n))
        wait_s = left_ms > 0 ? (int)(left_ms / 1000) + 1 : 1;
    else if (lane->breaker == BREAKER_OPEN && left_ms > 0)
        wait_s = (int)(left_ms / 1000) + 1;
    if (!wait_s) {
        lane->held_n++;
        lane->reserved++;
    }
    pthread_mutex_unlock(&lane->lock);
    return wait_s;
}

void code_lane_cancel(struct code_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    CQ_ASSERT(lane->reserved > 0 && lane->held_n >= lane->reserved, lane->reserved, lane->held_n);
    lane->reserved--;
    lane->held_n--;
    pthread_mutex_unlock(&lane->lock);
}

static void wake(struct code_lane *lane)
{
    static const uint64_t one = 1;

    if (write(lane->fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable already */
}

void code_lane_send(struct code_lane *lane, const char *number, const char *code)
{
    struct held_code *held;

    pthread_mutex_lock(&lane->lock);
    /* it was reserved */
    CQ_ASSERT(lane->free_at >= 0 && lane->reserved > 0, lane->free_at, lane->reserved);
    held = &lane->held[lane->free_at];
    snprintf(held->number, sizeof held->number, "%s", number);
    snprintf(held->code, sizeof held->code, "%s", code);
    held->at_ms = clock_mono_ms();
    if (lane->last >= 0)
        lane->held[lane->last].next = lane->free_at;
    else
        lane->first = lane->free_at;
    lane->last = lane->free_at;
    lane->free_at = held->next;
    held->next = -1;
    lane->reserved--;
    pthread_mutex_unlock(&lane->lock);
    wake(lane);
}

/* Under the lock. */
static void release(struct code_lane *lane, int at)
{
    CQ_ASSERT(at >= 0 && at < CODES_HELD_MAX && lane->held_n > lane->reserved, at, lane->held_n,
              lane->reserved);
    lane->held[at].next = lane->free_at;
    lane->free_at = at;
    lane->held_n--;
}

/* ---- the thread ----------------------------------------------------------------------- */

static void on_answer(void *arg, uint64_t opaque, const struct http_answer *answer)
{
    struct code_lane *lane = arg;
    bool sent = answer->st == CQ_OK && answer->status / 100 == 2;

    count_add(sent ? COUNT_CODES_SENT : COUNT_CODES_FAILED, 1);
    if (!sent)
        log_debug("code_failed", LOG_I("status", answer->status), LOG_S("why", answer->error));
    pthread_mutex_lock(&lane->lock);
    release(lane, (int)opaque);
    judge(lane, provider_works(answer));
    pthread_mutex_unlock(&lane->lock);
}

/* The next code that may leave now, off the list; -1: none. Those that waited too long are given
 * up on the way. */
static int take_next(struct code_lane *lane, int64_t now_ms)
{
    int at;

    while ((at = lane->first) >= 0) {
        bool late = now_ms - lane->held[at].at_ms > CODES_AGE_MAX_MS;

        if (!late && (lane->breaker == BREAKER_TRIAL ||
                      (lane->breaker == BREAKER_OPEN && now_ms < lane->until_ms)))
            return -1;
        lane->first = lane->held[at].next;
        if (lane->first < 0)
            lane->last = -1;
        if (!late)
            break;
        release(lane, at);
        count_add(COUNT_CODES_FAILED, 1);
    }
    if (at >= 0 && lane->breaker == BREAKER_OPEN)
        set_breaker(lane, BREAKER_TRIAL, now_ms);
    return at;
}

static void post(struct code_lane *lane, int at)
{
    static const char *const headers[] = { "Content-Type: application/json", "Expect:", NULL };
    cq_auto(buf) struct cq_buf body = { 0 };
    struct http_request request = { .url = lane->url, .headers = headers, .opaque = (uint64_t)at };

    buf_init(&body, BODY_MAX);
    buf_add_byte(&body, '{');
    out_word(&body, "phoneNumber", lane->held[at].number);
    out_word(&body, "code", lane->held[at].code);
    buf_add_byte(&body, '}');
    request.body = buf_span(&body);
    if (http_pool_post(lane->pool, &request) != CQ_OK)
        on_answer(lane, (uint64_t)at,
                  &(struct http_answer){ .st = CQ_AGAIN, .error = "cannot begin a request" });
}

static void *lane_main(void *arg)
{
    struct code_lane *lane = arg;
    uint64_t news;
    bool stop = false;

    while (!stop && http_pool_turn(lane->pool, &lane->fd, 1, TURN_MS) == CQ_OK) {
        int at = 0;

        if (read(lane->fd, &news, sizeof news) < 0)
            news = 0; /* nothing new: only time went by */
        while (at >= 0 && http_pool_in_flight(lane->pool) < CODES_IN_FLIGHT_MAX) {
            pthread_mutex_lock(&lane->lock);
            at = take_next(lane, clock_mono_ms());
            pthread_mutex_unlock(&lane->lock);
            if (at >= 0)
                post(lane, at);
        }
        pthread_mutex_lock(&lane->lock);
        count_set(COUNT_CODES_HELD, lane->held_n);
        stop = lane->stop;
        pthread_mutex_unlock(&lane->lock);
    }
    if (!stop)
        abort(); /* libcurl failed for good: the role is restarted */
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------- */

static void lane_free(struct code_lane *lane)
{
    http_pool_free(lane->pool);
    pthread_mutex_destroy(&lane->lock);
    close(lane->fd);
    free(lane);
}

enum cq_status code_lane_start(const char *url, struct code_lane **ret)
{
    struct code_lane *lane = calloc(1, sizeof *lane);
    struct http_pool_conf conf = { .max = CODES_IN_FLIGHT_MAX,
                                   .connections = CODES_IN_FLIGHT_MAX,
                                   .timeout_ms = CODES_REQUEST_MS,
                                   .http1 = true,
                                   .done = on_answer,
                                   .arg = lane };

    if (!lane)
        return CQ_FATAL;
    lane->url = url;
    lane->first = lane->last = lane->free_at = -1;
    for (int i = CODES_HELD_MAX; i-- > 0; lane->free_at = i)
        lane->held[i].next = lane->free_at;
    pthread_mutex_init(&lane->lock, NULL);
    lane->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->fd < 0 || http_pool_new(&conf, &lane->pool) != CQ_OK ||
        pthread_create(&lane->thread, NULL, lane_main, lane) != 0) {
        lane_free(lane);
        return CQ_FATAL;
    }
    *ret = lane;
    return CQ_OK;
}

void code_lane_stop(struct code_lane *lane)
{
    if (!lane)
        return;
    pthread_mutex_lock(&lane->lock);
    lane->stop = true;
    pthread_mutex_unlock(&lane->lock);
    wake(lane);
    pthread_join(lane->thread, NULL);
    lane_free(lane);
}
