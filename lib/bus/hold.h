/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/hold.h - how a partition is held, whatever the loop of its holder does with the records.
 *
 * A partition is held from its assignment to its revocation. Three offsets say how far its holder
 * has come: `committed` (told to the group) <= `next` (first that is not done) <= `taken` (first
 * that was not handed to the loop). A stage, a feed, a lane of sinks/mobile and the reader of
 * ws.push differ in what a turn is and in when a record is done; who owns a partition, repeats of
 * the library, records that only a newer build can read, pauses, commits with their text, the pace of
 * turns, joining, and the guard against records that kill the process are here.
 *
 * The guard (careful.c). Each start notes itself in the text of the commit before the first record
 * of the partition is stepped. After SUSPECT_STARTS starts at one offset without progress the
 * holder is careful: while a record is stepped there is a note about it in the text of the commit.
 * A record whose note was found at SUSPECT_KILLS starts killed its process each time, and becomes a
 * dead letter. (A process that is killed from outside leaves a note only if that happens during
 * such a step, so a step must not wait for anything but its own work.) A note that cannot be
 * removed after its step, because the partition went to another owner or the broker is away, is
 * cancelled in the group chasqui-acquitted.
 */
#pragma once

#include "lib/bus/bus.h"
#include "lib/bus/suspect.h"

enum { HOLD_TOPICS_MAX = 4 };

struct hold {
    const char *topic; /* borrowed from the holds */
    int32_t partition;
    bool owned;
    bool paused;
    int epoch; /* rises with each assignment and revocation: what was taken under an older one is
                * not ours any more */
    int64_t next;
    int64_t committed;
    int64_t taken;
    /* of records whose schema this build does not know (versions.h) */
    uint32_t known; /* the last id that it did know */
    int64_t judged; /* what is below it can be told apart … */
    bool asks;      /* … and this is being asked: the partition stops meanwhile */
    bool newer;     /* what comes next is for a newer build: it stops until that one owns it */
    /* of the guard */
    bool noted;  /* this start is in the text of the commit */
    int careful; /* records that are still to be stepped with a note */
    struct suspect suspect;
};

struct hold_ops {
    /** Ours now; h->next and h->committed are the group's commit, -1 for none, and `meta` its text
     * without the guard's front. May set h->next (another place than the commit counts) and
     * `*ret_from` as consumer_ops.assigned does. Its statuses, and CQ_POISON of reader_scan(): the
     * partition stops before its first record. May be NULL. */
    enum cq_status (*assigned)(void *arg, struct hold *h, const char *meta, int64_t *ret_from);
    /** It is about to go: drop what was gathered. False: what is done may not be committed. Without
     * `lost` it may be, and is, unless this says no. May be NULL. */
    bool (*leaving)(void *arg, struct hold *h, bool lost);
    /** It is gone. May be NULL. */
    void (*revoked)(void *arg, struct hold *h);
    /** The text to commit beside h->next. Returns its length. May be NULL. */
    size_t (*meta)(void *arg, const struct hold *h, char *buf, size_t cap);
};

struct holds_conf {
    struct consumer_conf consumer; /* its ops and arg are set here */
    const struct hold_ops *ops;
    void *arg;
    int commit_every_ms;
    int careful_n; /* records that may be taken between two commits: the one that kills is among
                    * them */
    /* A record has several steps: it is no suspect any more when it is done, and not when one of
     * them has ended. */
    bool in_pieces;
    int turn_every_ms, turn_slower, turn_slowest_ms; /* see pace_ms() */
};

/* What the guard is about to do with one record. */
enum guard_state { GUARD_IDLE, GUARD_STARTING, GUARD_NOTING, GUARD_STEPPING, GUARD_CLEARING };

struct guarded {
    enum guard_state state;
    struct hold *hold; /* NULL when idle … */
    int64_t at;        /* … and its record */
    int tries;         /* to remove the note */
    struct suspect before;
    char meta[BUS_META_MAX + 1]; /* the text that the note stands before */
};

/* All partitions that one consumer holds. One thread. */
struct holds {
    struct holds_conf conf;
    struct consumer *consumer; /* owned */
    char topic[HOLD_TOPICS_MAX][BUS_NAME_MAX];
    size_t topics_n;
    struct hold *v; /* owned; topics_n * PARTITIONS_MAX */
    int32_t width;  /* one past the highest partition ever owned */
    int asking;     /* partitions that wait to be told what their next record is */
    int64_t committed_ms, shown_ms;
    int64_t turn_ms; /* when the last turn with records began … */
    int pace_ms;     /* … and how long after it the next one may */
    struct guarded guard;
};

/** Names the topics, without a consumer. `*hs` is zeroed before. CQ_FATAL: no memory, or too many
 * topics. */
CQ_MUST_CHECK enum cq_status holds_init(struct holds *hs, const struct holds_conf *conf);

/** The same, and joins the group. `*hs` must stay where it is. */
CQ_MUST_CHECK enum cq_status holds_open(struct holds *hs, const struct holds_conf *conf);

/** Leaves the group. What was never opened is fine. */
void holds_close(struct holds *hs);

/** NULL for a topic or partition that is none of ours. */
struct hold *holds_find(struct holds *hs, const char *topic, int32_t partition);
struct hold *holds_at(struct holds *hs, size_t topic, int32_t partition);

/** Walk all that are owned: start with *at = 0; NULL at the end. */
struct hold *holds_next(struct holds *hs, size_t *at);

/** The next record that is to be handed to the loop, waiting up to `wait_ms`, and how its partition
 * is held; `taken` moves behind it. Statuses and the rest as consumer_poll(). Repeats of the library
 * are left out. So is, with all that follows it in its partition, a record of a version that a newer
 * build announced: the partition stops. What no build announced is handed over: it cannot be
 * decoded, and is a dead letter. */
CQ_MUST_CHECK enum cq_status holds_poll(struct holds *hs, int wait_ms, struct bus_record *ret,
                                        struct hold **ret_hold);

/** Whether a record from the consumer is to be handed to the loop: its partition is ours and it is
 * no repeat of the library. `taken` moves behind it. */
bool hold_take(struct hold *hold, const struct bus_record *rec);

/** The next record to be taken is the one at `offset`. */
void hold_seek(struct holds *hs, struct hold *hold, int64_t offset);

/** Stop or go on fetching. */
void hold_pause(struct holds *hs, struct hold *hold, bool pause);

/** Everything below `next` is done; it only rises. */
void hold_done(struct hold *hold, int64_t next);

/** One record was stepped: the count of those that need care goes down. */
void hold_stepped(struct hold *hold);

/** Commit what is done, at most each commit_every_ms, or `now`. */
void holds_commit(struct holds *hs, bool now);

/** Commit one partition; nobody waits for it. */
void hold_commit(struct holds *hs, struct hold *hold);

/** The same, and wait for the broker. */
CQ_MUST_CHECK enum cq_status hold_commit_wait(struct holds *hs, struct hold *hold);

/** What the text of its commit is now. `buf` has BUS_META_MAX + 1 bytes and is returned. */
const char *hold_meta(struct holds *hs, const struct hold *hold, char *buf);

/** A turn begins with `n` records gathered. */
void holds_turn(struct holds *hs, int n);

/** How long the next turn may still gather, ms. */
int holds_left_ms(const struct holds *hs);

/** The beat of the process, and about once a second the gauges of owned partitions. `undone`: records
 * that were read, and whose turn is not over: they lag as those do that are not read. */
void holds_show(struct holds *hs, int undone);

/** Turns until partitions are ours, or about 10 s have passed, or *stop. */
typedef enum cq_status holds_turn_fn(void *loop, int wait_ms);
CQ_MUST_CHECK enum cq_status holds_join(struct holds *hs, holds_turn_fn *turn, void *loop,
                                        int wait_ms, const volatile int *stop);

/* ---- the guard ------------------------------------------------------------------------ */

/** Before any record of this partition is stepped: note this start, waiting for the broker. */
void hold_note_start(struct holds *hs, struct hold *hold, int64_t first);

/** Before `rec` is stepped. Without care it costs nothing.
 * CQ_OK: step it, then call hold_leave(). CQ_POISON: it killed its process again and again; it is
 * to be a dead letter, with `*ret_why`. CQ_AGAIN: its note is not stored after `wait_ms`; call this
 * again, and not hold_leave(), before it is stepped; with hold_guard_busy() the note is on its way,
 * and otherwise it was refused, or another loop has one: then poll the consumer first, because the
 * partition may have gone. Only one record of a process has a note at a time. A suspect is judged
 * here, which asks the broker and may take seconds. */
CQ_MUST_CHECK enum cq_status hold_enter(struct holds *hs, const struct bus_record *rec, int wait_ms,
                                        const char **ret_why);

/** The step that hold_enter() allowed has ended, whatever came of it; or, after a CQ_AGAIN of
 * hold_enter(), the record is not to be stepped after all, and a note on its way is withdrawn.
 * CQ_AGAIN: the note is not removed after `wait_ms`; call this again before the next hold_enter().
 * Otherwise CQ_OK. A note that the broker refuses to remove is cancelled instead: that asks it, and
 * may take seconds whatever `wait_ms` says. */
CQ_MUST_CHECK enum cq_status hold_leave(struct holds *hs, int wait_ms);

/** Whether something is noted now, or its note on the way. */
bool hold_guard_busy(const struct holds *hs);

/** A partition goes while something of it has a note. */
void hold_guard_drop(struct holds *hs, const struct hold *hold);
