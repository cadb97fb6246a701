/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/versions.h - records whose schema id this build does not know: a newer build's, or
 * nobody's.
 *
 * `chasqui admin topics` announces every version of a schema that its build knows, in a compacted
 * topic (key: the id in eight hex digits, value: the schema), and no role runs before its own
 * versions are announced. So an unknown id is judged by reading the announcements *after* its
 * record: what is not among them was written by no build. A judgement holds for all records that
 * were in the partition when it began, so a flood of garbage costs one.
 *
 * This is one a process, as are its announcements; hold.c asks for every loop that holds
 * partitions, and reader_scan() for those that read a log directly.
 */
#pragma once

#include "lib/bus/bus.h"

enum { VERSIONS_MAX = 4096 /* announced ones */ };

/** Whether this build can read records with this schema id. Any thread. */
typedef bool versions_known_fn(uint32_t id);

/** From now on records are judged; before, and in a process that never calls this, each one counts
 * as known. Before any consumer. `topic` has the announcements; both texts are borrowed. */
void versions_start(const char *brokers, const char *topic, versions_known_fn *known);

/** Nobody asks any more. At most two seconds. */
void versions_stop(void);

/** Whether the record has to be judged: it names a schema, and not one that is known. `*last` is the
 * caller's, the last id that was known (0 at first); asking for it again costs nothing. */
bool versions_is_unknown(const struct bus_record *rec, uint32_t *last, uint32_t *ret_id);

/** Ask, or go on waiting for the answer; returns at once. True: whatever is below `*ret_below` in
 * this partition can be judged by versions_is_announced() from now on. Any thread. */
bool versions_ask(const char *topic, int32_t partition, int64_t *ret_below);

/** Whether a newer build announced the id. Also true when there are more announcements than
 * VERSIONS_MAX: nothing is condemned then. Any thread. */
bool versions_is_announced(uint32_t id);

/** For those who read a log directly: CQ_OK, the record is known, or nobody's. CQ_POISON: a newer
 * build announced its version, and a warning says so. CQ_AGAIN: not known after half a minute.
 * `*judged` is the caller's for one partition, 0 at first. */
CQ_MUST_CHECK enum cq_status versions_await(const struct bus_record *rec, int64_t *judged);

struct version {
    uint32_t id;
    const char *schema; /* JSON */
};

/** Announce those that are not yet; returns once they are stored. CQ_AGAIN, and `reterr` says why:
 * not all are. */
CQ_MUST_CHECK enum cq_status versions_announce(const char *brokers, const char *topic,
                                               const struct version *version, size_t n,
                                               char *reterr, size_t reterr_n);

/** CQ_OK: all are announced. CQ_FATAL: one is not. CQ_AGAIN: the broker does not answer. Both with
 * words in `reterr`. */
CQ_MUST_CHECK enum cq_status versions_check(const char *brokers, const char *topic,
                                            const struct version *version, size_t n, char *reterr,
                                            size_t reterr_n);
