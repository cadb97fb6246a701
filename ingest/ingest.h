/* SPDX-License-Identifier: MIT */
/*
 * ingest/ingest.h - the only door through which a client action enters Kafka: checked, stamped,
 * keyed, queued.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/bus/bus.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"

struct ingest; /* opaque; one per edge process; loop thread only */

/** Retry-after of actions that are refused because the log was cut. */
enum { INGEST_CUT_RETRY_MS = 5000 };

/* The last ms of the year 9999: readers take times for dates, which end there in many languages. */
#define INGEST_TIME_MAX_MS LIMIT_CHAT_MUTED_UNTIL_MS_MAX

/** Broker verdict for one submit, on the loop thread, exactly once. CQ_OK: stored at (partition,
 * offset). CQ_AGAIN: unknown, the client must send again with the same client id. */
typedef void ingest_ack_fn(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                           enum cq_status st);

struct ingest_conf {
    const char *brokers;
    const char *client_id;
    int32_t partitions;
    double linger_ms;
    bool probe; /* ingest_answers() is wanted */
    bool
        group_commit; /* a report means a sync: records are held until those before them have theirs,
                        * and share the next one */
    ingest_ack_fn *ack;
    void *arg;
};

/** Waits up to 3 s for the broker to say that the log is whole; until it does, every submit is
 * refused. CQ_FATAL: no memory, or bad settings. */
CQ_MUST_CHECK enum cq_status ingest_new(const struct ingest_conf *conf, struct ingest **ret);
void ingest_free(struct ingest *in);

/** Descriptor and pump for the edge's event loop (see producer_fd, producer_serve). The pump also
 * sends what was held while reports were awaited, so it must be called whenever the descriptor is
 * readable. */
int ingest_fd(struct ingest *in);
void ingest_serve(struct ingest *in);

/** After how many ms the pump must be called even if the descriptor is not readable; -1: no need. */
int ingest_wait_ms(const struct ingest *in);

/** The producer is dead for good (a fatal error of the idempotent producer): nothing further will
 * be stored. The role answers what is pending as unknown, drains and exits to be restarted. */
bool ingest_is_dead(const struct ingest *in);

/** The broker answered a question of ours within the last seconds, whether or not there was
 * anything to store. Only with `probe`. */
bool ingest_answers(const struct ingest *in);

/** Whether submits are refused because a partition that is written to ends before what was stored
 * in it: it lost its tail. `*ret` says which. Until an operator runs `admin log-was-cut`, every
 * submit is refused with CQ_AGAIN, and the outcome of those in flight is reported as unknown. */
bool ingest_log_is_cut(const struct ingest *in, struct bus_cut *ret);

/** The library's words for the last record that failed; "" for none. Borrowed. */
const char *ingest_error(const struct ingest *in);

/** Whether new work should be refused at once: the queue is above 80 %, the oldest unreported record
 * is older than 5 s, the producer is dead, or the log is not to be trusted. */
bool ingest_overloaded(struct ingest *in);

/**
 * Queue `action` for topic chat.actions on its chat's partition.
 * `action` is borrowed and copied. CQ_OK: `ack` comes once. CQ_AGAIN: refused for load, nothing
 * queued. CQ_POISON: a limit is broken, `*reterr_why` (static) names the field and what it may be.
 */
CQ_MUST_CHECK enum cq_status ingest_chat(struct ingest *in, const struct chat_action *action,
                                         uint64_t opaque, const char **reterr_why);

/** The same for topic user.inbox on the user's partition; a PushClaimed on that of its token. */
CQ_MUST_CHECK enum cq_status ingest_user(struct ingest *in, const struct user_action *action,
                                         uint64_t opaque, const char **reterr_why);

/** One GatewayAlive on every partition of user.inbox; there are no reports. */
CQ_MUST_CHECK enum cq_status ingest_alive(struct ingest *in, struct cq_id incarnation,
                                          int32_t slots, int64_t at_ms);
