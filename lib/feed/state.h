/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/state.h - a feed from the inside, for the files of this folder: own.c takes and gives up
 * partitions, feed.c makes the turns.
 */
#pragma once

#include "lib/feed/parts.h"

struct held {
    struct bus_record rec;
    struct hold *of;   /* how its partition is held; borrowed from the feed's holds */
    bool letter_sent;  /* its dead letter is out: a repeat of the turn sends no second one */
    bool taken;        /* part of the running turn */
    const char *why;   /* the running turn dead-letters it */
    char refused[160]; /* why it is a dead letter whatever the step says; "" for none */
};

struct feed {
    struct feed_conf conf;
    struct holds holds; /* owned, as are these: */
    struct producer *producer;
    struct reader *reader;
    struct pg *pg;
    struct bus_guard guard; /* of what it tells */
    struct feed_parts parts;
    struct held *held;       /* owned; in order of arrival */
    struct bus_record *recs; /* owned; the same as `admit` wants to see it */
    bool *hold;              /* owned; its answer */
    int held_n;
    size_t held_bytes;
    int taken_n;
    int single;        /* records that are to be applied one at a time, after a refused batch */
    bool unsure;       /* the outcome of a turn is not known: read the positions again */
    bool asked_commit; /* … and it was the commit that was not answered */
    bool confirmed;    /* the positions say that it happened all the same */
    bool failed_report;
    const char *doing;        /* for the words of a failure; static */
    const char *refused_why;  /* of a CQ_POISON of ops->write; NULL: the database's SQLSTATE */
    int tries;                /* of the first record, which finds no room in an empty turn */
    bool waits;               /* the broker did not say where the log of the sources ends, or did
                               * not store a note: that is no try */
    int again;                /* turns in a row that have to be done again */
    int64_t stalled_since_ms; /* 0: not stalled */
    int64_t looked_ms;        /* whether the view is whole; 0: never */
    int64_t spare_ms;         /* when ops->spare is asked again */
    int64_t view; /* id of its table of positions; 0: not known. Another one: it was replaced */
    struct feed_stats stats;
    char why[320]; /* of CQ_FATAL, where it is not PostgreSQL's; "" for none */
    char why_again[480];
};

/** Note why it ends, unless a cause is known already. */
enum cq_status feed_fatal(struct feed *feed, const char *what, const char *detail);

/** Give a held record back to the library; the caller takes it out of f->held. */
void feed_unhold(struct feed *feed, struct held *held);

/** What the sink says of a partition's topic. The holds have the topics in the order of
 * f->conf.topics. */
static inline const struct feed_topic *feed_topic_of(const struct feed *feed, const struct hold *of)
{
    return &feed->conf.topics[(of - feed->holds.v) / PARTITIONS_MAX];
}

/** Choose what this turn applies and map it (map.c). CQ_OK with f->taken_n 0: nothing that is held
 * may be applied yet. CQ_AGAIN: the turn has to be done again. */
CQ_MUST_CHECK enum cq_status feed_map(struct feed *feed);

/** A usable connection, greeted when it is new; what was in flight on the old one is not known. */
CQ_MUST_CHECK enum cq_status own_database(struct feed *feed);

/** About once a second, between turns (whole.c): if it was not done since the view was made, note
 * where the partitions end; then remove from view.incomplete what has been passed. CQ_AGAIN: later;
 * the database or the broker does not answer. CQ_FATAL: the view was made anew since this feed
 * began, or the statement is wrong. */
CQ_MUST_CHECK enum cq_status whole_look(struct feed *feed);

/** Partitions that come and go. */
extern const struct hold_ops own_ops;

/** Forget held records of one partition: those from `from` on and below `below`. */
void own_drop(struct feed *feed, const struct hold *of, int64_t from, int64_t below);

/** Our turn was applied after all, or somebody else applied it: go on from there. A
 * parts_moved_fn. */
enum cq_status own_moved(void *arg, struct hold *hold, int64_t next, int64_t source);
