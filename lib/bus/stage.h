/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/stage.h - one turn of a stage, and the only place where a status becomes a Kafka action:
 * poll a batch, step each record, publish everything, await every report, then commit the input.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/bus/bus.h"
#include "lib/bus/proving.h"

struct stage; /* opaque; one thread */

struct stage_out; /* what a turn publishes; valid inside step and turn_end */

struct stage_ops {
    /** As consumer_ops.assigned: restore the state of this partition. */
    enum cq_status (*assigned)(void *arg, int32_t partition, int64_t committed, const char *meta);
    void (*revoked)(void *arg, int32_t partition);
    /** One record in, any number of stage_emit() out. `*place` says where inside the record to
     * begin: 0 at first, later what the step left there.
     * CQ_POISON drops what this call emitted and dead-letters the record with `*ret_why`.
     * CQ_AGAIN ends the turn inside this record. With a moved `*place`, what was emitted is
     * published and the next turn goes on from there; the input is committed after the last part.
     * With `*place` as it was, nothing may have been emitted: the step found no room. In an empty
     * turn that is a try, and after stage_conf.tries_max of them the record is dead-lettered with
     * `*ret_why`. */
    enum cq_status (*step)(void *arg, const struct bus_record *in, uint64_t *place,
                           struct stage_out *out, const char **ret_why);
    /** After the last record of the turn: emit what was gathered. May be NULL. */
    enum cq_status (*turn_end)(void *arg, struct stage_out *out);
    /** Text to commit beside a partition's offset. May be NULL. Returns its length. It speaks of
     * whole records: it may move with the last part of a record only. */
    size_t (*meta)(void *arg, int32_t partition, char *buf, size_t cap);
};

struct stage_conf {
    const char *brokers, *client_id, *group, *instance;
    const char *topic;  /* the one input */
    const char *worker; /* named in dead-letter headers */
    int batch_max;      /* records a turn */
    size_t batch_max_bytes;
    int32_t session_timeout_ms; /* 0: the consumer's default */
    int32_t fetch_wait_ms;      /* as consumer_conf.fetch_wait_ms */
    /* The topics that it writes to. They are checked before the first output and after each new
     * connection to a broker: when one ends before what its readers have read, the stage ends with
     * `log_was_cut`. The reader is borrowed, and used on the stage's thread. NULL: nothing. */
    const struct bus_watched *outputs;
    size_t outputs_n;
    struct reader *reader;
    /* Outputs that can be made again, PROOF_OUTPUTS_MAX at most. Each commit says how far they
     * reached (lib/bus/proof.h), which is checked when a partition is assigned: when one of them
     * ends before that, the stage ends with `log_was_cut`. */
    const struct proven *proven;
    size_t proven_n;
    int tries_max; /* of a record without progress; 0: no limit, its step may wait for another
                    * service */
    const struct stage_ops *ops;
    void *arg;
};

/** tries_max of a pure step, over about three seconds. Waiting for the broker does not count as a
 * try. */
enum { STAGE_TRIES_MAX = 8 };

CQ_MUST_CHECK enum cq_status stage_new(const struct stage_conf *conf, struct stage **ret);
void stage_free(struct stage *stage);

/** Queue one output for the end of the turn; key and value are copied. CQ_FATAL when the turn's
 * outputs pass their bound. */
CQ_MUST_CHECK enum cq_status stage_emit(struct stage_out *out, const char *topic, int32_t partition,
                                        struct cq_span key, struct cq_span value, int64_t at_ms);

/** Bytes that may still be emitted before the turn should end; 0: end it. A step that would emit
 * more than this stops at a place inside its record. */
size_t stage_room(const struct stage_out *out);

/** One turn, waiting up to `wait_ms` for the first record. CQ_OK or CQ_FATAL. */
CQ_MUST_CHECK enum cq_status stage_turn(struct stage *stage, int wait_ms);

/** Turns until partitions are assigned, `*stop`, or about 10 s without any (more copies than
 * partitions). */
CQ_MUST_CHECK enum cq_status stage_join(struct stage *stage, const volatile int *stop);

/** Turns until `*stop` (set by a signal) or a fatal status; commits and leaves the group at the
 * end. */
CQ_MUST_CHECK enum cq_status stage_run(struct stage *stage, const volatile int *stop);

/** Words for the last CQ_FATAL, for a log line; "" for none. Borrowed. */
const char *stage_error(const struct stage *stage);
