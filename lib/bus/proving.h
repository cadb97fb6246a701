/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/proving.h - the proofs of a stage: takes note of how far its outputs reach, says so beside
 * each commit, and at an assignment looks whether what a commit says still holds (proof.h). One
 * thread.
 */
#pragma once

#include "lib/base/partitions.h"
#include "lib/bus/bus.h"
#include "lib/bus/proof.h"

/* An output that can be made again. */
struct proven {
    const char *topic;
    int32_t partition; /* -1: the one that is the input's */
};

struct proving_conf {
    const struct proven *outputs; /* borrowed; PROOF_OUTPUTS_MAX at most */
    size_t outputs_n;
    const struct bus_watched *topics; /* borrowed; has how many partitions each topic has */
    size_t topics_n;
    struct reader *reader; /* borrowed */
};

/* What the next commit of a partition says. */
struct proving_place {
    struct proof proof;
    int64_t since_ms; /* when the candidate was taken, 0: none … */
    int64_t at;       /* … which becomes `earlier` */
    int64_t end[PROOF_OUTPUTS_MAX];
};

struct proving {
    struct proving_conf conf;
    /* of each output, by partition: */
    int64_t (*ends)[PARTITIONS_MAX];   /* owned; one past the last record known to be stored */
    int64_t (*looked)[PARTITIONS_MAX]; /* owned; where it ended when it was looked at … */
    uint64_t connects;                 /* … behind so many connections of the producer */
    struct proving_place *places;      /* owned; of each partition of the input */
};

/** `*ps` is zeroed before. CQ_FATAL: no memory. */
CQ_MUST_CHECK enum cq_status proving_init(struct proving *ps, const struct proving_conf *conf);
void proving_release(struct proving *ps);

/** The place of an output in the table and one; 0: it is none of them. */
uint64_t proving_output(const struct proving *ps, const char *topic, int32_t partition);

/** A record of that output is stored at `offset`. 0 is fine. */
void proving_stored(struct proving *ps, uint64_t output, int32_t partition, int64_t offset);

/** A partition of the input is ours: takes the proof off the front of the commit's text, and looks
 * whether the outputs reach that far. CQ_FATAL: one does not, with words in `reterr`; what it lost
 * nobody would make again. CQ_AGAIN: the broker does not say. */
CQ_MUST_CHECK enum cq_status proving_take(struct proving *ps, const struct producer *producer,
                                          int32_t partition, const char **meta, char *reterr,
                                          size_t reterr_n);

/** The front of the text for a commit at `next`, everything before which is made and stored. */
size_t proving_format(struct proving *ps, int32_t partition, int64_t next,
                      char out[PROOF_TEXT_MAX]);
