/* SPDX-License-Identifier: MIT */
/*
 * ingest/trust.h - whether records that the broker reports as stored will be read (pure). A log
 * that lost its tail stores new records at offsets that were used before, and its consumers skip
 * them. So a report is believed only if the ends of the partitions were checked after the
 * connections to the brokers were made. Until then reports are held. When a check finds a partition
 * that ends before an offset that was named anywhere, every submit is refused until an operator
 * runs `admin log-was-cut`.
 */
#pragma once

#include "lib/base/partitions.h"
#include "lib/bus/bus.h"

enum {
    TRUST_TOPICS = 2,          /* chat.actions, user.inbox */
    TRUST_EVERY_MS = 5000,     /* between two checks while all is well … */
    TRUST_CUT_EVERY_MS = 2000, /* … while a partition is short … */
    TRUST_AGAIN_MS = 300,      /* … and after one that got no answer */
};

/* Written by set_state() of trust.c alone. */
enum trust_state {
    TRUST_CHECKING, /* reports are held */
    TRUST_WHOLE,
    TRUST_CUT, /* submits are refused */
};

/* What a check found. */
struct trust_found {
    enum cq_status st; /* CQ_OK: whole; CQ_FATAL: `cut` says what is not; CQ_AGAIN: not known */
    uint64_t connects; /* of the producer, when the check began */
    int64_t spoken[TRUST_TOPICS][PARTITIONS_MAX]; /* one past the highest offset named
                                                         * anywhere */
    struct bus_cut cut;
};

struct trust {
    enum trust_state state;
    uint64_t connects; /* those that a check covers; meaningless before the first answer */
    bool known;        /* there was an answer */
    bool asking;
    int64_t due_ms;
    int64_t spoken[TRUST_TOPICS][PARTITIONS_MAX];
    struct bus_cut cut; /* while the state is TRUST_CUT */
};

void trust_init(struct trust *trust);

/** Whether a check should begin now; if so, it counts as begun. `*ret_full`: ask everything that
 * names offsets of the log, not only for recorded floors. */
bool trust_begin(struct trust *trust, uint64_t connects, int64_t now_ms, bool *ret_full);

/** The answer of the check that was begun. */
void trust_take(struct trust *trust, const struct trust_found *found, int64_t now_ms);

/** A report fell below an earlier one. */
void trust_fell(struct trust *trust, const struct bus_cut *cut);

/** Whether anything may be written: not into a log that is cut, nor before the first answer. */
static inline bool trust_takes(const struct trust *trust)
{
    return trust->known && trust->state != TRUST_CUT;
}

enum trust_verdict {
    TRUST_PASS,  /* as the broker says */
    TRUST_HOLD,  /* wait for a check */
    TRUST_DOUBT, /* unknown to its sender */
};

/** A report that comes while the producer has begun `connects` connections. */
static inline enum trust_verdict trust_judge(const struct trust *trust, uint64_t connects)
{
    if (trust->state == TRUST_WHOLE)
        return trust->connects == connects ? TRUST_PASS : TRUST_HOLD;
    return trust->state == TRUST_CUT ? TRUST_DOUBT : TRUST_HOLD;
}

/** A report that was held, after trust_take() found the log whole. A record below the highest
 * offset named may be one that consumers have passed already. */
enum trust_verdict trust_judge_held(const struct trust *trust, int topic, int32_t partition,
                                    int64_t offset);
