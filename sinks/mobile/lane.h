/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/lane.h - one provider's path from mobile.push to push.outcomes.
 *
 * Each provider reads mobile.push with a consumer group of its own, so that one that is paused
 * keeps its place and does not hold up the other. A lane has hundreds of pushes under way; they end
 * in any order, and the commit follows the oldest record that is not done (undone.h). What each
 * push came to is an event in push.outcomes, and is done once that event is stored; a lane that
 * starts again reads there what it need not do twice. What is to be tried again only later goes
 * back to mobile.push with a time, so that a slow device holds up nobody.
 */
#pragma once

#include "sinks/mobile/provider.h"

struct lane; /* opaque; one thread */

enum lane_news {
    LANE_PAUSED, /* the provider does not work: its pushes wait */
    LANE_STILL,  /* it still does not, for another reason */
    LANE_RESUMED,
    LANE_SLOWED,    /* it asks for a wait; `why` says for how long, and how long that is */
    LANE_SLOWER,    /* it does so still, and for far longer */
    LANE_GOES_ON,   /* it has asked for none for a minute */
    LANE_UNREACHED, /* it cannot reach one platform's devices: those pushes are dropped */
    LANE_NARROWED,  /* connections die: far fewer pushes are under way at once */
    LANE_WIDENED,
    LANE_VIEW_AWAY, /* pushes leave without asking what the device has */
    LANE_VIEW_BACK,
};

/** On the lane's thread. Of a lane that has many services `why` begins with the one. `why` is borrowed. */
typedef void lane_tell_fn(void *arg, enum lane_news news, const char *lane, const char *why);

/** Everything is borrowed for the lane's life. */
struct lane_conf {
    const char *name, *group; /* "fcm"; of the consumers */
    const char *brokers, *database_url, *instance;
    struct provider *provider; /* NULL: none is configured, its pushes end as NO_PROVIDER */
    enum push_provider id;
    uint32_t kinds;  /* 1 << enum push_kind: the addresses it serves */
    bool untargeted; /* it also writes the outcomes of devices without an address, and dead
                      * letters */
    bool many;       /* its addresses say which service to ask */
    bool outside; /* its services are where clients say: lib/http/pool.h has what that means … */
    bool private_too; /* … and this */
    int in_flight, connections;
    const char *ca_file;
    int64_t max_age_ms; /* of a message that still wakes somebody */
    const volatile int *stop;
    lane_tell_fn *tell;
    void *arg;
};

CQ_MUST_CHECK enum cq_status lane_new(const struct lane_conf *conf, struct lane **ret);
void lane_free(struct lane *lane); /* NULL is fine */

/** How a lane is, seen from any thread: when it last began a turn (monotonic ms; 0: not yet), the
 * partitions it owns and what of them it has not read. */
struct lane_health {
    int64_t beat_ms, partitions, lag;
};

struct lane_health lane_health(const struct lane *lane);

/** Why it ended, in the words of Kafka's client or ours; borrowed. Only after its thread has
 * ended. */
const char *lane_error(const struct lane *lane);

/** All of them as one: the oldest beat, or `now_ms` without any; the sums. */
static inline struct lane_health lane_health_of(const struct lane_health *health, int n,
                                                int64_t now_ms)
{
    struct lane_health all = { .beat_ms = now_ms };

    for (int i = 0; i < n; i++) {
        if (health[i].beat_ms < all.beat_ms)
            all.beat_ms = health[i].beat_ms;
        all.partitions += health[i].partitions;
        all.lag += health[i].lag;
    }
    return all;
}

/** Joins the group; back when partitions are ours, after about 10 s without any, or at *stop. */
CQ_MUST_CHECK enum cq_status lane_join(struct lane *lane);

/** Until *stop (what is under way ends first, for at most 5 s) or a fatal status. */
CQ_MUST_CHECK enum cq_status lane_run(struct lane *lane);
