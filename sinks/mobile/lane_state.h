/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/lane_state.h - a lane from the inside, for the files of this folder: lane.c has the
 * turn, intake.c reads records, send.c posts requests and takes answers, tell.c writes the
 * outcomes.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/assert.h"
#include "lib/base/idmap.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/bus/hold.h"
#include "schemas/codec.h"
#include "schemas/delivery.h"
#include "schemas/topics.h"
#include "sinks/mobile/jobs.h"
#include "sinks/mobile/lane.h"
#include "sinks/mobile/services.h"
#include "sinks/mobile/undone.h"
#include "sinks/mobile/view.h"

enum {
    LANE_WANTED_MAX = 2 * MOBILE_PUSH_TARGETS_MAX, /* targets of a record, and devices without */
    LANE_DONE_MAX = 1024 * 1024, /* outcomes of unfinished records read at a start */
    LANE_HELD_BYTES = 64 * 1024 * 1024,
    LANE_HOLD_MS = 10 * 1000,     /* longer waits are not held in memory: the push is parked in the
                                   * topic */
    LANE_VIEW_PATIENCE_MS = 5000, /* pushes leave without the view after this */
    LANE_FETCH = 0x7fffffff,      /* opaque of a request for a credential */
};

#define OVERTAKEN "superseded by a later silent push"

/* What a lane knows of a partition beside how it is held (lib/bus/hold.h). */
struct lane_part {
    struct undone undone;
    struct idmap done;  /* (offset, device) with an outcome from before → its offset there */
    int64_t done_until; /* one past the highest offset in `done` */
};

struct lane_batch; /* send.c */

struct lane {
    struct lane_conf conf;
    struct holds holds; /* owned, as are these: */
    struct producer *producer;
    struct reader *reader;
    struct http_pool *pool; /* NULL without a provider */
    struct pg *db;
    struct pg_params params;
    struct cq_arena *arena; /* of one decoding, or one batch */
    struct cq_buf encoded;
    struct jobs jobs;
    struct lane_batch *batch; /* owned */
    struct lane_part parts[PARTITIONS_MAX];
    struct services services;
    bool fetching;
    int64_t view_since_ms; /* 0: the view answers */
    int64_t view_again_ms; /* not asked before */
    bool view_told;
    bool failed; /* a report did not come: this process cannot go on */
    bool stopping;
    int64_t shown_ms;
    _Atomic int64_t beat_ms, partitions, lag; /* read by the role */
};

/** A record, decoded into the lane's arena; spans are borrowed from it. Otherwise `*ret_why` says
 * in static words what is wrong with it. */
CQ_MUST_CHECK enum cq_status lane_decode(struct lane *lane, const struct bus_record *rec,
                                         struct mobile_push *ret, const char **ret_why);

/** The record of a job, with the job's own user as `user_id`. */
CQ_MUST_CHECK enum cq_status lane_decode_job(struct lane *lane, const struct job *job,
                                             struct mobile_push *ret);

/** Whether the job's partition is still ours since it was taken. */
bool lane_owns(const struct lane *lane, const struct job *job);

static inline struct lane_part *lane_part_of(struct lane *lane, const struct hold *hold)
{
    return &lane->parts[hold->partition];
}

/** What a record makes the lane do begins, and ends (hold_enter(), hold_leave()). Statuses of
 * hold_enter(). */
CQ_MUST_CHECK enum cq_status lane_enter(struct lane *lane, const struct bus_record *rec,
                                        const char **ret_why);
void lane_leave(struct lane *lane);

/** A later step of a record that was taken. CQ_OK or CQ_AGAIN. */
CQ_MUST_CHECK enum cq_status lane_enter_again(struct lane *lane, const struct job *job);

/** Of the lane's only service; of many NULL, as each proves itself anew. */
static inline struct evidence *lane_evidence(struct lane *lane)
{
    return services_are_many(&lane->services) ? NULL : &lane->services.v[0].evidence;
}

/** The service of a job that has one. */
static inline struct service *lane_service(struct lane *lane, const struct job *job)
{
    CQ_ASSERT(job->service >= 0 && job->service < lane->services.n, job->service);
    return &lane->services.v[job->service];
}

/* ---- queue.c */

/** Whether `to` is of the job's service. */
bool lane_serves(struct lane *lane, const struct job *job, const struct push_address *to);

/** It neither waits for a service nor is with one any more. */
void lane_leave_service(struct lane *lane, struct job *job);

/** Into the queue of the service of `to`, which the job gets if it has another one. What finds no
 * place, or a service that does not work, is parked. */
void lane_queue(struct lane *lane, struct job *job, const struct push_address *to);

/** Back into the queue of its service. */
void lane_queue_again(struct lane *lane, struct job *job);

/** A push that cannot leave without the view waits for it, for half its age: in memory while that is
 * short, then in the topic. Ended when too many do. The wait counts as no try. */
void lane_await_view(struct lane *lane, struct job *job, int64_t age_ms);

/** What waits for services that do not work goes back to the topic, but for a few; all of it for
 * `all`. */
void lane_relieve_services(struct lane *lane, bool all, int64_t now_ms);

/** It is not in the table any more. */
void lane_remove(struct lane *lane, struct job *job);

/** What has changed about a service, in the words of the operator's log. */
void lane_say(struct lane *lane, const struct service *service, enum lane_news news,
              const char *why);

/* ---- intake.c */
extern const struct hold_ops lane_hold_ops;
CQ_MUST_CHECK enum cq_status lane_take(struct lane *lane);
void lane_relieve(struct lane *lane, int64_t now_ms);

/* ---- send.c */
struct lane_batch *lane_batch_new(void); /* NULL without memory; free() it */
CQ_MUST_CHECK enum cq_status lane_send(struct lane *lane, int64_t now_ms);
void lane_answered(void *arg, uint64_t opaque, const struct http_answer *a);

/* ---- tell.c: each takes the job out of the caller's hands */

/** The push came to `result`; `words` are the provider's. */
void lane_end(struct lane *lane, struct job *job, enum push_result result, int status,
              const char *words);

/** End the push as TOKEN_DEAD, and have processors/user remove the registration. */
void lane_unregister(struct lane *lane, struct job *job, int status, const char *words);

/** Back to mobile.push, not to be sent for `wait_ms`. */
void lane_park(struct lane *lane, struct job *job, const char *words);

/** To the dead letters. `why` is static. */
void lane_dead_letter(struct lane *lane, struct job *job, const char *why);

/** Write what is in the list. */
CQ_MUST_CHECK enum cq_status lane_flush(struct lane *lane);

/** A report of the broker. */
void lane_reported(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                   enum cq_status st);

/** A job whose partition is gone. */
void lane_forget(struct lane *lane, struct job *job);
