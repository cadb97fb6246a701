/* SPDX-License-Identifier: MIT */
#include "edge/rest/codes.h"

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

static void set_breaker(struct code_lane *l, enum breaker to, int64_t now_ms)
{
    CQ_ASSERT(to != BREAKER_TRIAL || l->breaker == BREAKER_OPEN, to, l->breaker);
    if (to == BREAKER_CLOSED) {
        l->failures = 0;
        l->pause_ms = 0;
    }
    if (to == BREAKER_OPEN) {
        l->pause_ms = l->pause_ms ? l->pause_ms * 2 : CODES_PAUSE_MS;
        if (l->pause_ms > CODES_PAUSE_MAX_MS)
            l->pause_ms = CODES_PAUSE_MAX_MS;
        l->until_ms = now_ms + l->pause_ms;
    }
    l->breaker = to;
    count_set(COUNT_CODES_PAUSED, to != BREAKER_CLOSED);
}

static void judge(struct code_lane *l, bool works)
{
    if (works)
        set_breaker(l, BREAKER_CLOSED, 0);
    else if (++l->failures >= CODES_FAILURES_MAX && l->breaker != BREAKER_OPEN)
        set_breaker(l, BREAKER_OPEN, clock_mono_ms());
}

/* An answer about one number (400, 404, 422) is not a failure of the provider: otherwise five bad
 * numbers would stop everybody's codes. */
static bool provider_works(const struct http_answer *a)
{
    return a->st == CQ_OK && a->status / 100 != 5 && a->status / 100 != 3 && a->status != 401 &&
           a->status != 403 && a->status != 408 && a->status != 429;
}

/* ---- places --------------------------------------------------------------------------- */

int code_lane_reserve(struct code_lane *l)
{
    int64_t left_ms;
    int wait_s = 0;

    pthread_mutex_lock(&l->lock);
    left_ms = l->until_ms - clock_mono_ms();
    if (l->held_n == CODES_HELD_MAX)
        wait_s = CODES_FULL_RETRY_S;
    else if (l->breaker == BREAKER_TRIAL || (l->breaker == BREAKER_OPEN && l->held_n))
        wait_s = left_ms > 0 ? (int)(left_ms / 1000) + 1 : 1;
    else if (l->breaker == BREAKER_OPEN && left_ms > 0)
        wait_s = (int)(left_ms / 1000) + 1;
    if (!wait_s) {
        l->held_n++;
        l->reserved++;
    }
    pthread_mutex_unlock(&l->lock);
    return wait_s;
}

void code_lane_cancel(struct code_lane *l)
{
    pthread_mutex_lock(&l->lock);
    CQ_ASSERT(l->reserved > 0 && l->held_n >= l->reserved, l->reserved, l->held_n);
    l->reserved--;
    l->held_n--;
    pthread_mutex_unlock(&l->lock);
}

static void wake(struct code_lane *l)
{
    static const uint64_t one = 1;

    if (write(l->fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable already */
}

void code_lane_send(struct code_lane *l, const char *number, const char *code)
{
    struct held_code *h;

    pthread_mutex_lock(&l->lock);
    CQ_ASSERT(l->free_at >= 0 && l->reserved > 0, l->free_at, l->reserved); /* it was reserved */
    h = &l->held[l->free_at];
    snprintf(h->number, sizeof h->number, "%s", number);
    snprintf(h->code, sizeof h->code, "%s", code);
    h->at_ms = clock_mono_ms();
    if (l->last >= 0)
        l->held[l->last].next = l->free_at;
    else
        l->first = l->free_at;
    l->last = l->free_at;
    l->free_at = h->next;
    h->next = -1;
    l->reserved--;
    pthread_mutex_unlock(&l->lock);
    wake(l);
}

/* Under the lock. */
static void release(struct code_lane *l, int at)
{
    CQ_ASSERT(at >= 0 && at < CODES_HELD_MAX && l->held_n > l->reserved, at, l->held_n,
              l->reserved);
    l->held[at].next = l->free_at;
    l->free_at = at;
    l->held_n--;
}

/* ---- the thread ----------------------------------------------------------------------- */

static void on_answer(void *arg, uint64_t opaque, const struct http_answer *a)
{
    struct code_lane *l = arg;
    bool sent = a->st == CQ_OK && a->status / 100 == 2;

    count_add(sent ? COUNT_CODES_SENT : COUNT_CODES_FAILED, 1);
    if (!sent)
        log_debug("code_failed", LOG_I("status", a->status), LOG_S("why", a->error));
    pthread_mutex_lock(&l->lock);
    release(l, (int)opaque);
    judge(l, provider_works(a));
    pthread_mutex_unlock(&l->lock);
}

/* The next code that may leave now, off the list; -1: none. Those that waited too long are given
 * up on the way. */
static int take_next(struct code_lane *l, int64_t now_ms)
{
    int at;

    while ((at = l->first) >= 0) {
        bool late = now_ms - l->held[at].at_ms > CODES_AGE_MAX_MS;

        if (!late &&
            (l->breaker == BREAKER_TRIAL || (l->breaker == BREAKER_OPEN && now_ms < l->until_ms)))
            return -1;
        l->first = l->held[at].next;
        if (l->first < 0)
            l->last = -1;
        if (!late)
            break;
        release(l, at);
        count_add(COUNT_CODES_FAILED, 1);
    }
    if (at >= 0 && l->breaker == BREAKER_OPEN)
        set_breaker(l, BREAKER_TRIAL, now_ms);
    return at;
}

static void post(struct code_lane *l, int at)
{
    static const char *const headers[] = { "Content-Type: application/json", "Expect:", NULL };
    cq_auto(buf) struct cq_buf body;
    struct http_request r = { .url = l->url, .headers = headers, .opaque = (uint64_t)at };

    buf_init(&body, BODY_MAX);
    buf_add_byte(&body, '{');
    out_word(&body, "phoneNumber", l->held[at].number);
    out_word(&body, "code", l->held[at].code);
    buf_add_byte(&body, '}');
    r.body = buf_span(&body);
    if (http_pool_post(l->pool, &r) != CQ_OK)
        on_answer(l, (uint64_t)at,
                  &(struct http_answer){ .st = CQ_AGAIN, .error = "cannot begin a request" });
}

static void *lane_main(void *arg)
{
    struct code_lane *l = arg;
    uint64_t news;
    bool stop = false;

    while (!stop && http_pool_turn(l->pool, &l->fd, 1, TURN_MS) == CQ_OK) {
        int at = 0;

        if (read(l->fd, &news, sizeof news) < 0)
            news = 0; /* nothing new: only time went by */
        while (at >= 0 && http_pool_in_flight(l->pool) < CODES_IN_FLIGHT_MAX) {
            pthread_mutex_lock(&l->lock);
            at = take_next(l, clock_mono_ms());
            pthread_mutex_unlock(&l->lock);
            if (at >= 0)
                post(l, at);
        }
        pthread_mutex_lock(&l->lock);
        count_set(COUNT_CODES_HELD, l->held_n);
        stop = l->stop;
        pthread_mutex_unlock(&l->lock);
    }
    if (!stop)
        abort(); /* libcurl failed for good: the role is restarted */
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------- */

static void lane_free(struct code_lane *l)
{
    http_pool_free(l->pool);
    pthread_mutex_destroy(&l->lock);
    close(l->fd);
    free(l);
}

enum cq_status code_lane_start(const char *url, struct code_lane **ret)
{
    struct code_lane *l = calloc(1, sizeof *l);
    struct http_pool_conf conf = { .max = CODES_IN_FLIGHT_MAX,
                                   .connections = CODES_IN_FLIGHT_MAX,
                                   .timeout_ms = CODES_REQUEST_MS,
                                   .http1 = true,
                                   .done = on_answer,
                                   .arg = l };

    if (!l)
        return CQ_FATAL;
    l->url = url;
    l->first = l->last = l->free_at = -1;
    for (int i = CODES_HELD_MAX; i-- > 0; l->free_at = i)
        l->held[i].next = l->free_at;
    pthread_mutex_init(&l->lock, NULL);
    l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->fd < 0 || http_pool_new(&conf, &l->pool) != CQ_OK ||
        pthread_create(&l->thread, NULL, lane_main, l) != 0) {
        lane_free(l);
        return CQ_FATAL;
    }
    *ret = l;
    return CQ_OK;
}

void code_lane_stop(struct code_lane *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_mutex_unlock(&l->lock);
    wake(l);
    pthread_join(l->thread, NULL);
    lane_free(l);
}
