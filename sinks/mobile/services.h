/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/services.h - the push services that one lane asks, each with what it did so far: a
 * queue of its own, a breaker, a window. Google and Apple are one service each. Of browsers there
 * are many, and some may be made up: so one that stands still takes no room of another's.
 */
#pragma once

#include "lib/base/span.h"
#include "sinks/mobile/breaker.h"
#include "sinks/mobile/evidence.h"
#include "sinks/mobile/flight.h"
#include "sinks/mobile/jobs.h"

enum {
    SERVICES_MAX = 64,
    SERVICE_NAME_MAX = 268,     /* "https://host:port" */
    SERVICE_STRANGER_MOST = 2,  /* requests at once to one that never took anything … */
    SERVICE_STRANGERS_MOST = 16 /* … and to all of these, so that a place can always be found */
};

struct service {
    char name[SERVICE_NAME_MAX + 1]; /* "" of a lane that has one only */
    bool used;
    bool known;      /* an operator named this very one; else anybody may have made it up … */
    int64_t good_ms; /* … until it takes something: when it did so last; 0: never */
    int n;           /* jobs of it in the table */
    int flying;
    bool held; /* pushes of it are just being sent: its place is not given to another */
    struct job_list ready;
    struct breaker breaker;
    enum push_verdict paused_for;
    bool paused;              /* told so */
    struct evidence evidence; /* that the configuration is right, or wrong */
    int64_t credential_no;    /* of the last request */
    int64_t proven_no;        /* the last with which it took something; 0: none */
    struct flight flight;
    bool narrow;           /* told so */
    int64_t slow_until_ms; /* it counts as slowed (Retry-After) until then; 0: not. Told so */
    int64_t slow_said_ms;  /* the wait that was told */
    int64_t unreached_ms;  /* when that was said last; 0: never */
};

struct services {
    struct service *v; /* owned */
    int n;             /* of v: one, or SERVICES_MAX */
    int most, connections;
    int strangers; /* requests to strangers under way */
    int turn;      /* who comes first this time */
};

/** `many`: they have names, and come and go. At most `most` requests at once in all. CQ_FATAL
 * without memory. */
CQ_MUST_CHECK enum cq_status services_init(struct services *services, bool many, int most,
                                           int connections);
void services_release(struct services *services);

static inline bool services_are_many(const struct services *services)
{
    return services->n > 1;
}

/** Whose name nobody can vouch for. */
static inline bool service_is_stranger(const struct service *service)
{
    return !service->known && !service->good_ms;
}

/** The service `name`, or -1. */
int32_t services_find(const struct services *services, struct cq_span name);

/** A place for a new one: a free one, else that of the one which took nothing for the longest time
 * and has nothing under way. -1: all have. A place that is `used` still is the caller's to empty
 * first. */
int32_t services_place(const struct services *services);

/** `name` at a place that is empty. */
void services_put(struct services *services, int32_t at, struct cq_span name, bool known);

/** How many requests may be started there now. */
int services_room(const struct services *services, const struct service *service, int64_t now_ms);

/** One was started, one ended. */
void services_started(struct services *services, struct service *service);
void services_ended(struct services *services, struct service *service);

/** It took something at `now_ms`. */
void services_good(struct services *services, struct service *service, int64_t now_ms);

/** A request leaves with this credential. What speaks against the configuration is of one
 * credential, and is gathered anew with the next. That it was right once stays: else a few users
 * with subscriptions of another key could pause a service at each renewal. */
void service_renewed(struct service *service, int64_t credential_no);

/** It took something with this credential. */
void service_proven(struct service *service, int64_t credential_no);

/** Whether "not yours" to a request with this credential is about the token alone, so that its end
 * may follow. Of many services each has its own credential, and a new one may be at fault. */
bool services_trust(const struct services *services, const struct service *service,
                    int64_t credential_no);

/** It does not work, or what waits for it has waited for long: no more of it is kept in memory than
 * has to be. */
bool service_is_stuck(const struct service *service, const struct jobs *jobs, int64_t now_ms);
