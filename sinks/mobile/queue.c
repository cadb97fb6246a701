/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/queue.c - which service a push goes to, and what waits for one that does not work.
 */
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "sinks/mobile/lane_state.h"

#include <stdio.h>

enum {
    KEPT_MAX = 256,   /* of a service that does not work, in memory; the others are parked … */
    PARK_ATTEMPT = 6, /* … for half a minute at least (retry_wait_ms()), longer each time */
    WORDS_MAX = 512,
    LATE_HOLD_MS = 2000,       /* longer waits for the view are parked */
    LATE_MAX = UNDONE_MAX / 4, /* pushes that do; those above it are ended */
};

static void leave(struct lane *lane, struct job *job)
{
    if (job->service == JOB_NOWHERE)
        return;
    lane_service(lane, job)->n--;
    job->service = JOB_NOWHERE;
}

static void enter(struct lane *lane, struct job *job, int32_t service)
{
    leave(lane, job);
    job->service = service;
    lane_service(lane, job)->n++;
}

void lane_leave_service(struct lane *lane, struct job *job)
{
    leave(lane, job);
}

void lane_remove(struct lane *lane, struct job *job)
{
    leave(lane, job);
    jobs_remove(&lane->jobs, job);
}

void lane_say(struct lane *lane, const struct service *service, enum lane_news news,
              const char *why)
{
    char words[WORDS_MAX];

    snprintf(words, sizeof words, "%s%s%s", service->name, service->name[0] && *why ? ": " : "",
             why);
    lane->conf.tell(lane->conf.arg, news, lane->conf.name, words);
}

/* Each time counts as a try: so it waits longer and longer, and is given up one day. */
static void park(struct lane *lane, struct job *job, const char *words)
{
    uint32_t dice;

    random_bytes(&dice, sizeof dice);
    job->attempt++;
    job->status = 0;
    job->due_ms = clock_mono_ms() +
                  retry_wait_ms(job->attempt > PARK_ATTEMPT ? job->attempt : PARK_ATTEMPT, 0, dice);
    lane_park(lane, job, words);
}

void lane_await_view(struct lane *lane, struct job *job, int64_t age_ms)
{
    int64_t wait_ms = age_ms / 2 < RETRY_BASE_MS ? RETRY_BASE_MS : age_ms / 2;

    if (wait_ms > RETRY_CAP_MS)
        wait_ms = RETRY_CAP_MS;
    if (wait_ms <= LATE_HOLD_MS) {
        jobs_wait(&lane->jobs, job, clock_mono_ms() + wait_ms);
        return;
    }
    if (lane->jobs.late_n >= LATE_MAX) {
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0, "too many pushes wait for the view");
        return;
    }
    job->status = 0;
    job->due_ms = clock_mono_ms() + wait_ms;
    lane_park(lane, job, "waits for the view");
}

void lane_queue_again(struct lane *lane, struct job *job)
{
    if (!job->ready_ms)
        job->ready_ms = clock_mono_ms();
    job_list_add(&lane->jobs, &lane_service(lane, job)->ready, job);
}

/* Make a place empty: what waits for its service is parked, and the operator hears no more of it. */
static void give_up_place(struct lane *lane, int32_t at)
{
    struct service *service = &lane->services.v[at];
    struct job *job;

    while ((job = job_list_take(&lane->jobs, &service->ready)))
        park(lane, job, "its push service gave way to others");
    for (int32_t i = 0; i < JOBS_MAX; i++) {
        job = &lane->jobs.v[i];
        if (job->phase != JOB_WAITING || job->service != at)
            continue;
        jobs_unwait(&lane->jobs, job);
        park(lane, job, "its push service gave way to others");
    }
    if (service->paused)
        lane_say(lane, service, LANE_RESUMED, "");
    if (service->slow_until_ms)
        lane_say(lane, service, LANE_GOES_ON, "");
    if (service->narrow)
        lane_say(lane, service, LANE_WIDENED, "");
}

/* The place of the service of this name; -1: there is none now. */
static int32_t place_of(struct lane *lane, struct cq_span name, bool known)
{
    int32_t at = services_find(&lane->services, name);

    if (at >= 0)
        return at;
    at = services_place(&lane->services);
    if (at < 0)
        return -1;
    if (lane->services.v[at].used)
        give_up_place(lane, at);
    services_put(&lane->services, at, name, known);
    return at;
}

/* False: it is none that may be asked. */
static bool name_of(struct lane *lane, const struct push_address *to, struct cq_span *ret,
                    bool *ret_known)
{
    struct provider *provider = lane->conf.provider;

    return provider->ops->service(provider, to, ret, ret_known) && ret->n &&
           ret->n <= SERVICE_NAME_MAX;
}

bool lane_serves(struct lane *lane, const struct job *job, const struct push_address *to)
{
    struct cq_span name;
    bool known;

    return !services_are_many(&lane->services) ||
           (name_of(lane, to, &name, &known) && span_eq_str(name, lane_service(lane, job)->name));
}

void lane_queue(struct lane *lane, struct job *job, const struct push_address *to)
{
    bool many = services_are_many(&lane->services), known = true;
    struct cq_span name = { NULL, 0 };
    int32_t at = 0;

    job->ready_ms = 0;
    if (many && !name_of(lane, to, &name, &known)) {
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0,
                 "WEBPUSH_SERVICES does not name its push service");
        return;
    }
    if (many)
        at = place_of(lane, name, known);
    if (at < 0) {
        park(lane, job, "too many push services at once");
        return;
    }
    enter(lane, job, at);
    if (many && lane->services.v[at].n > KEPT_MAX &&
        service_is_stuck(&lane->services.v[at], &lane->jobs, clock_mono_ms()))
        park(lane, job, "its push service does not keep up");
    else
        lane_queue_again(lane, job);
}

void lane_relieve_services(struct lane *lane, bool all, int64_t now_ms)
{
    for (int i = 0; i < lane->services.n; i++) {
        struct service *service = &lane->services.v[i];

        while (service->used && service->ready.n > (all ? 0 : KEPT_MAX) &&
               service_is_stuck(service, &lane->jobs, now_ms)) {
            struct job *job = job_list_take(&lane->jobs, &service->ready);

            if (lane_owns(lane, job))
                park(lane, job, "its push service does not keep up");
            else
                lane_forget(lane, job);
        }
    }
}
