/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/feed.h - topics applied to PostgreSQL exactly once. One turn: gather a batch, map each
 * record, then one transaction whose first statement moves the rows of view.positions from where
 * this process believes them to be (compare-and-set: a zombie moves none and rolls back), whose
 * middle is the sink's, and which commits after every report of what the turn produced.
 *
 * While PostgreSQL is away, or `admit` holds everything back, at most one batch is kept, the
 * partitions are paused and polling goes on. Knows no event kind.
 */
#pragma once

#include "lib/bus/bus.h"
#include "lib/pg/pg.h"

struct feed; /* opaque; one thread */

struct feed_ops {
    /** A new connection to PostgreSQL (LISTEN and the like). May be NULL. */
    enum cq_status (*connected)(void *arg, struct pg *c);
    /** Set hold[i] for records that may not be applied yet; a partition is held from its first such
     * record on. May be NULL. CQ_AGAIN: ask again later. */
    enum cq_status (*admit)(void *arg, struct pg *c, const struct bus_record *recs, int n,
                            bool *hold);
    /** Nothing could be applied though the database is there: wait about `wait_ms` for a change.
     * May be NULL (then the feed sleeps). */
    void (*idle)(void *arg, struct pg *c, int wait_ms);
    /** A turn begins: forget the rows of the last one. */
    void (*begin)(void *arg);
    /**
     * Map one record to rows, without I/O.
     * `applied` is the highest source offset already applied in this partition, -1 for none;
     * `quiet`: the view is being rebuilt and nothing may be told outside of it.
     * CQ_OK: `*ret_source` (default -1) is the record's source offset. CQ_POISON: the record is
     * dead-lettered with the static text `*ret_why`. CQ_AGAIN: no room, the turn ends before it; in
     * an empty turn that is a try, and after FEED_TRIES_MAX of them the record is dead-lettered.
     */
    enum cq_status (*step)(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                           int64_t *ret_source, const char **ret_why);
    /** Write the rows inside the open transaction, and queue on `p` what has to be told; the feed
     * awaits the reports. CQ_POISON makes the batch be applied record by record, and a record that
     * is refused alone a dead letter with the static text `*ret_why` (NULL, as it is before the
     * call: the database's SQLSTATE). */
    enum cq_status (*write)(void *arg, struct pg *c, struct producer *p, const char **ret_why);
    /** The committed turn was the last thing that happened to the rows. May be NULL. */
    void (*applied)(void *arg);
    /** Between turns, with a connection that is in no transaction: what is not about records.
     * `partitions` are those of each topic; `*ret_wait_ms` says when to ask again. May be NULL.
     * CQ_AGAIN: the same in a second. */
    enum cq_status (*spare)(void *arg, struct pg *c, int32_t partitions, int *ret_wait_ms);
    /** A partition was taken or given up, for a log line. May be NULL. */
    void (*owned)(void *arg, const char *topic, int32_t partition, int64_t from, bool ours);
};

struct feed_topic {
    const char *name;
    bool may_expire; /* records below a position may be gone; for others that is fatal */
    /* Where the sources of its records stand, in the same partition. A record that names a source
     * far ahead is checked against the end of that log: if it were believed, every later record
     * would be taken for a repeat. */
    const char *sources;
};

/** Tries of a record that finds no room in an empty turn, over about three seconds. Waiting for
 * PostgreSQL, Kafka or admission does not count as a try. */
enum { FEED_TRIES_MAX = 8, FEED_SOURCE_JUMP = 4096 };

struct feed_conf {
    const char *brokers;
    const char *database_url;
    const char *consumer; /* group, name in view.positions, and worker in dead letters */
    const char *instance; /* "" or NULL: dynamic membership */
    const struct feed_topic *topics;
    size_t topics_n;
    int32_t partitions;                /* of each topic */
    const struct bus_watched *outputs; /* topics that it writes to, see bus_guard_check(); NULL:
                                        * none */
    size_t outputs_n;
    const char *notify; /* channel told `<topic>:<partition>:<source_next>`; NULL: none */
    const struct feed_ops *ops;
    void *arg;
    const volatile int *stop; /* set by a signal: waits end */
};

/** Queue one record from inside `write`, waiting while the queue is full. CQ_AGAIN: it stays full.
 * CQ_FATAL: it cannot be sent. */
CQ_MUST_CHECK enum cq_status feed_tell(struct producer *producer, const struct bus_send *send);

/** What has happened so far; borrowed for the feed's life. */
struct feed_stats {
    bool database_away;
    int64_t incomplete; /* partitions of this consumer that lack what the log had when the view was
                           made anew; 0: none */
    int64_t slow; /* partitions that wait for a record that takes longer than a statement may */
    int64_t slow_begun; /* times that one began to */
    int64_t turns;
    int64_t records; /* applied, dead letters included */
    int64_t dead_letters;
    int64_t conflicts; /* turns refused by the compare-and-set */
    int64_t retries;   /* turns whose outcome was unknown or that have to be done again */
};

/** Everything pointed to by `conf` is borrowed for the feed's life. */
CQ_MUST_CHECK enum cq_status feed_new(const struct feed_conf *conf, struct feed **ret);
void feed_free(struct feed *feed); /* NULL is fine */

/** One turn, waiting up to `wait_ms` for the first record. CQ_OK or CQ_FATAL. */
CQ_MUST_CHECK enum cq_status feed_turn(struct feed *feed, int wait_ms);

/** Turns until partitions are ours, or about 10 s have passed, or *stop. */
CQ_MUST_CHECK enum cq_status feed_join(struct feed *feed);

const struct feed_stats *feed_stats(const struct feed *feed);

/** Why it ended, or PostgreSQL's last words; for a log line. Borrowed. */
const char *feed_error(const struct feed *feed);

/** What failed in the last turn that has to be done again, and from which record on; "" before the
 * first. Borrowed. */
const char *feed_again(const struct feed *feed);
