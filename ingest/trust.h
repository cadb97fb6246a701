/* SPDX-License-Identifier: MIT */
/*
 * ingest/trust.h - whether what the broker calls stored will be read (pure). A log that lost its
 * tail takes records at offsets that were used before, and its consumers pass over them. So a
 * report is believed only when it came by connections that a check has looked behind since they
 * were begun. Until then reports are held; where the check finds that a partition ends before what
 * somebody has spoken of, nothing is taken any more until an operator ran `admin log-was-cut`.
 */
#pragma once

#include "lib/bus/bus.h"

enum {
    TRUST_TOPICS = 2, /* chat.actions, user.inbox */
    TRUST_PARTITIONS_MAX = 1024,
    TRUST_EVERY_MS = 5000,     /* between two checks while all is well … */
    TRUST_CUT_EVERY_MS = 2000, /* … while a partition is short … */
    TRUST_AGAIN_MS = 300,      /* … and after one that found nobody to ask */
};

/* Written by set_state() of trust.c alone. */
enum trust_state {
    TRUST_CHECKING, /* reports are held */
    TRUST_WHOLE,
    TRUST_CUT, /* nothing is taken */
};

/* What a check found. */
struct trust_found {
    enum cq_status st; /* CQ_OK: whole; CQ_FATAL: `cut` says what is not; CQ_AGAIN: not known */
    uint64_t connects; /* of the producer, when it was asked for */
    int64_t spoken[TRUST_TOPICS][TRUST_PARTITIONS_MAX]; /* one past what anybody has spoken of */
    struct bus_cut cut;
};

struct trust {
    enum trust_state state;
    uint64_t connects; /* looked behind; meaningless before the first answer */
    bool known;        /* there was an answer */
    bool asking;
    int64_t due_ms;
    int64_t spoken[TRUST_TOPICS][TRUST_PARTITIONS_MAX];
    struct bus_cut cut; /* while the state is TRUST_CUT */
};

void trust_init(struct trust *t);

/** Whether a check should begin now; it is then taken for begun. `*ret_full`: all that speaks of
 * the log is to be asked, not only whether somebody has noted a cut. */
bool trust_begin(struct trust *t, uint64_t connects, int64_t now_ms, bool *ret_full);

/** The answer of the check that was begun. */
void trust_take(struct trust *t, const struct trust_found *found, int64_t now_ms);

/** A report fell below an earlier one. */
void trust_fell(struct trust *t, const struct bus_cut *cut);

/** Whether anything may be written: not into a log that is cut, nor before the first answer. */
static inline bool trust_takes(const struct trust *t)
{
    return t->known && t->state != TRUST_CUT;
}

enum trust_verdict {
    TRUST_PASS,  /* as the broker says */
    TRUST_HOLD,  /* wait for a check */
    TRUST_DOUBT, /* unknown to its sender */
};

/** A report that comes while the producer has begun `connects` connections. */
static inline enum trust_verdict trust_judge(const struct trust *t, uint64_t connects)
{
    if (t->state == TRUST_WHOLE)
        return t->connects == connects ? TRUST_PASS : TRUST_HOLD;
    return t->state == TRUST_CUT ? TRUST_DOUBT : TRUST_HOLD;
}

/** A report that was held, after trust_take() found the log whole. Below what was spoken of it may
 * stand where consumers have been already. */
enum trust_verdict trust_judge_held(const struct trust *t, int topic, int32_t partition,
                                    int64_t offset);
