/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/jobs.h - the pushes that a lane holds: a fixed table, a queue of those that are
 * ready, a heap of those that wait.
 */
#pragma once

#include "lib/base/idmap.h"
#include "lib/bus/bus.h"
#include "schemas/records.gen.h"
#include "sinks/mobile/answer.h"

enum { JOBS_MAX = 16384, JOB_NONE = -1, JOB_NOWHERE = -1 };

/* A record that has pushes in the table. */
struct held {
    struct bus_record rec; /* owned */
    int refs;
    int epoch;     /* of the partition's assignment: older ones are no longer ours */
    uint64_t name; /* in the partition's window */
};

enum job_phase {
    JOB_FREE,
    JOB_READY,         /* in the queue of its service */
    JOB_WAITING,       /* in the heap */
    JOB_FLYING,        /* the provider has it */
    JOB_DEAD_LETTER,   /* being written to the dead letters */
    JOB_PARKING,       /* being written back to mobile.push */
    JOB_UNREGISTERING, /* the end of its token is being written to user.inbox */
    JOB_REPORTING,     /* its outcome is being written */
};

/* A silent push takes the place of the one before it of the same device and chat. */
enum job_silence {
    JOB_LOUD,      /* not silent, or never in the table of silent ones */
    JOB_LATEST,    /* in that table, unless one came since while this was in flight */
    JOB_OVERTAKEN, /* a later one tells what this one had to tell */
};

struct job {
    struct held *held;
    struct cq_id device;
    int32_t target;        /* index into the record's targets; -1: none */
    int32_t service;       /* that it goes to (services.h); JOB_NOWHERE: none yet */
    int32_t next;          /* in the queue */
    enum job_phase phase;  /* set by job_move() alone */
    int attempt;           /* tries so far */
    int64_t due_ms;        /* monotonic; of JOB_WAITING */
    int64_t ready_ms;      /* monotonic; of JOB_READY: since when */
    int64_t credential_no; /* it left with this one */
    int64_t registered;    /* offset of the registration that was used */
    enum job_silence silence;
    bool is_late;            /* it was parked until the view knows more */
    struct cq_id quiet_key;  /* of a silent one, in the table of silent ones */
    int64_t seq, read_after; /* of a silent one: what was read */
    enum push_result result;
    int status;
    const char *why; /* static; of JOB_DEAD_LETTER */
    char words[PUSH_WORDS_MAX + 1];
};

struct job_list {
    int32_t first, last;
    int n;
};

struct jobs {
    struct job *v; /* owned; JOBS_MAX */
    int32_t free_at;
    int n;        /* in use */
    size_t bytes; /* of the records held */
    struct job_list tell;
    struct idmap quiet; /* device and chat → the latest silent push */
    int32_t *heap;      /* owned; waiting ones by due_ms */
    int heap_n;
    int late_n; /* those of them that are late */
};

CQ_MUST_CHECK enum cq_status jobs_init(struct jobs *jobs);
void jobs_release(struct jobs *jobs);

/** A new one of `held`, which gains a reference; NULL: the table is full. */
struct job *jobs_add(struct jobs *jobs, struct held *held);

/** It is in no list any more. Its record is released with the last of its jobs. */
void jobs_remove(struct jobs *jobs, struct job *job);

/** The one writer of a phase after jobs_add(). Asserts the order that docs/glossary.md draws. */
void job_move(struct job *job, enum job_phase to);

static inline int32_t job_index(const struct jobs *jobs, const struct job *job)
{
    return (int32_t)(job - jobs->v);
}

void job_list_init(struct job_list *list);
void job_list_add(struct jobs *jobs, struct job_list *list, struct job *job);
struct job *job_list_take(struct jobs *jobs, struct job_list *list); /* NULL: empty */

/** JOB_WAITING until `due_ms`. */
void jobs_wait(struct jobs *jobs, struct job *job, int64_t due_ms);

/** The one that is due first, taken out when it is due at `now_ms`; NULL: none is. */
struct job *jobs_due(struct jobs *jobs, int64_t now_ms);

/** When the next is due, -1: none waits. */
int64_t jobs_next_due(const struct jobs *jobs);

/** The latest silent push of `key` that has not left: JOB_WAITING or JOB_READY. NULL: none. */
struct job *jobs_quiet(const struct jobs *jobs, struct cq_id key);

/** From now on that is `job`, and the one before is overtaken; without memory it is only not
 * found. */
void jobs_set_quiet(struct jobs *jobs, struct job *job, struct cq_id key);

/** Take one out before its time. */
void jobs_unwait(struct jobs *jobs, struct job *job);
