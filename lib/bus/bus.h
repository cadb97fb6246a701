/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/bus.h - Kafka as this project uses it: a producer that reports, a consumer that never
 * commits by itself. The one owner of rdkafka.h. Knows topics by name and no event kind.
 */
#pragma once

#include "lib/base/span.h"
#include "lib/base/status.h"

#include <stdint.h>

struct producer; /* opaque; one thread, which must call producer_serve */
struct consumer; /* opaque; one thread */

enum { BUS_NAME_MAX = 64, BUS_META_MAX = 4000 /* Kafka takes 4,096 */ };

/* The key of a record that only takes up an offset, see record_is_filler(). */
#define BUS_FILLER_KEY "chasqui/filler"

/* A consumer group without members. Its commits record how far partitions that lost their ends once
 * reached. Whoever notices a loss commits it there, and every writer checks it. */
#define BUS_FLOOR_GROUP "chasqui-floor"

/* A source further than this beyond the end of its log is not taken for a sign of a lost tail: no
 * role of this system wrote it. (The commits of groups and the positions of the view are believed
 * in any case.) */
enum { BUS_TAIL_MAX = 10 * 1000 * 1000 };

/* A partition that ends before an offset that a commit, a source or a report has named: it lost its
 * tail. */
struct bus_cut {
    char topic[BUS_NAME_MAX];
    int32_t partition;
    int64_t end;   /* where it ends now: its next offset, or that of a record just stored */
    int64_t floor; /* where it ended once, at least */
};

struct bus_header {
    const char *name;
    struct cq_span value;
};

/* ---- producer ------------------------------------------------------------------------- */

/** The broker's verdict on one record, on the producer's thread inside producer_serve().
 *  CQ_OK: stored by acks=all, `offset` is its position. CQ_AGAIN: unknown, it may or may not be
 * stored; also where it was stored below a record that this producer was told of before (see
 * producer_take_cut()), because consumers will pass over it. */
typedef void producer_report_fn(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                                enum cq_status st);

struct producer_conf {
    const char *brokers;
    const char *client_id;
    double linger_ms;           /* until producer_flush(), at most; 0: leaves at once */
    int32_t message_timeout_ms; /* 0: for ever (stages: a delivery error is fatal there) */
    int32_t queue_max_records;
    int32_t queue_max_kib;
    bool probe; /* ask the broker now and then, for producer_answers() */
    producer_report_fn *report;
    void *arg;
};

/** CQ_FATAL when librdkafka refuses the settings. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status producer_new(const struct producer_conf *conf, struct producer **ret);

/** Closes with a deadline; what is unreported by then stays unknown. NULL is fine. */
void producer_free(struct producer *producer);

struct bus_send {
    const char *topic;
    int32_t partition;
    struct cq_span key;               /* n == 0: no key */
    struct cq_span value;             /* copied; p == NULL: a tombstone */
    int64_t at_ms;                    /* record timestamp; 0: now */
    const struct bus_header *headers; /* borrowed, may be NULL */
    size_t headers_n;
    uint64_t opaque; /* comes back in the report */
};

/** Queue one record. What is sent to a partition between two calls of producer_serve() leaves at
 * once and together; while that is not reported, later records for it wait here. CQ_OK: `report`
 * comes exactly once. CQ_AGAIN: the queue is full, nothing was queued. CQ_POISON: too large or
 * unknown topic. CQ_FATAL: the producer is dead; make a new one or exit. */
CQ_MUST_CHECK enum cq_status producer_send(struct producer *producer, const struct bus_send *send);

/** Deliver reports; waits up to `timeout_ms` for the first. Returns how many came. */
int producer_serve(struct producer *producer, int timeout_ms);

/** The same, but without lingering: it sends now, and returns when nothing is pending or the time
 * is over. */
int producer_flush(struct producer *producer, int timeout_ms);

/** A descriptor that becomes readable when producer_serve() has something to do (read 8 bytes off
 * it first). */
int producer_fd(struct producer *producer);

/** Records queued and not reported. */
int producer_pending(const struct producer *producer);

/** With `probe`: the broker answered a question within the last seconds. A producer with nothing to
 * send would not notice otherwise. */
bool producer_answers(const struct producer *producer);

/** The library's words for the last record that failed; "" for none. Borrowed. */
const char *producer_error(const struct producer *producer);

/** True once after a report of a partition fell below an earlier one: the log was cut while we were
 * connected to it. `*ret` says where. */
bool producer_take_cut(struct producer *producer, struct bus_cut *ret);

/** Inside a report: the topic of its record. Borrowed. */
const char *producer_reporting(const struct producer *producer);

/** One past the highest offset that was reported for a partition; 0: none was. */
int64_t producer_reached(const struct producer *producer, const char *topic, int32_t partition);

/** Connections begun so far, counted before anything is sent on a new one. While this number is the
 * same, every broker we talked to is still the one it was. Any thread. */
uint64_t producer_connects(const struct producer *producer);

/** After a fatal error of the idempotent producer this says true; nothing further will be
 * stored. */
bool producer_is_fatal(const struct producer *producer);

/* ---- consumer ------------------------------------------------------------------------- */

struct bus_record {
    const char *topic; /* borrowed until the record is released */
    int32_t partition;
    int64_t offset;
    int64_t at_ms; /* record timestamp */
    struct cq_span key;
    struct cq_span value; /* p == NULL: a tombstone */
    void *handle;         /* the consumer's own */
};

/** Where a partition's reading begins: an offset, or one of these. */
enum { BUS_FROM_START = -2, BUS_FROM_COMMIT = -1000 };

struct consumer_ops {
    /** A partition is ours now; before its first record. `committed` is the group's offset or -1;
     * `meta` the text committed with it ("" for none), borrowed. Set `*ret_from` (default: the
     * commit, or the log's start when there is none). CQ_AGAIN: not possible now; everything is
     * revoked as lost and assigned again. Anything else but CQ_OK makes the next poll return it.
     * May block for seconds. */
    enum cq_status (*assigned)(void *arg, const char *topic, int32_t partition, int64_t committed,
                               const char *meta, int64_t *ret_from);
    /** It is not ours any more. `lost`: somebody else may have it already; commit nothing. */
    void (*revoked)(void *arg, const char *topic, int32_t partition, bool lost);
};

struct consumer_conf {
    const char *brokers;
    const char *client_id;
    const char *group;
    const char *instance; /* "" or NULL: dynamic membership */
    const char *const *topics;
    size_t topics_n;
    const struct consumer_ops *ops; /* may be NULL */
    void *arg;
    bool nonblocking;           /* wanted: consumer_fd(), poll with timeout 0 */
    int32_t session_timeout_ms; /* 0: 10 s */
    /* 0: a record is fetched at once. Otherwise, while many come, a fetch is answered once there
     * are 64 KiB, or after so long: few requests, for whoever is in no hurry (gather.h). */
    int32_t fetch_wait_ms;
    int32_t fetch_max_bytes; /* 0: library default; bounds what is prefetched */
};

CQ_MUST_CHECK enum cq_status consumer_new(const struct consumer_conf *conf, struct consumer **ret);

/** Leaves the group, waiting at most 5 s. NULL is fine. */
void consumer_free(struct consumer *consumer);

/** Next record, waiting up to `timeout_ms`. CQ_OK with `ret->topic == NULL` when there is none.
 * CQ_FATAL: another process has our stable name, the log was cut, reading is forbidden, or a
 * callback said so. Errors that heal do not end it. When the group has taken this member for
 * another one after the broker was away, when a partition cannot be taken over or a seek fails, or
 * when the position in a partition was lost, it joins the group again, and every partition is
 * revoked as lost and assigned again. The caller releases each record. */
CQ_MUST_CHECK enum cq_status consumer_poll(struct consumer *consumer, int timeout_ms,
                                           struct bus_record *ret);
void record_release(struct bus_record *rec);

/** A record that `admin log-was-cut` wrote: no value, and BUS_FILLER_KEY as its key.
 * consumer_poll() passes over them and counts them; a scan of a reader shows them. */
bool record_is_filler(const struct bus_record *rec);

/** The library's words for the last CQ_FATAL of poll; "" for none. Borrowed. */
const char *consumer_error(const struct consumer *consumer);

int consumer_fd(struct consumer *consumer);

/** Commit `next` (offset of the first record not done) with `meta` (text, may be NULL). What was
 * gathered leaves in one request, and nobody waits for it: with a consumer_poll() after the request
 * before it was answered, when partitions are taken away, or when the consumer is freed; the last
 * two wait up to 5 s for the answers. So commits are stored in the order of calls. One that fails
 * leaves again with a poll half a second later, unless a newer one was asked for or the partition
 * was taken away: losing the last one then only means more replay. */
void consumer_commit(struct consumer *consumer, const char *topic, int32_t partition, int64_t next,
                     const char *meta);

/** Commit and wait: for revocation and shutdown. */
CQ_MUST_CHECK enum cq_status consumer_commit_wait(struct consumer *consumer, const char *topic,
                                                  int32_t partition, int64_t next,
                                                  const char *meta);

/** Begin such a commit without waiting; one at a time, a newer one takes the place of the last. */
void consumer_commit_begin(struct consumer *consumer, const char *topic, int32_t partition,
                           int64_t next, const char *meta);

/** What became of it: CQ_OK stored, CQ_POISON not, or nobody knows; CQ_AGAIN: the broker has not
 * answered after `wait_ms`. */
CQ_MUST_CHECK enum cq_status consumer_commit_end(struct consumer *consumer, int wait_ms);

/** Go back (or forward) to `offset`; what was prefetched is dropped. Where that cannot be,
 * everything is revoked as lost by the next consumer_poll() and taken over again from the commits.
 */
void consumer_seek(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset);

/** Stop or go on fetching a partition. Resuming one that is not paused is ignored (a bug in
 * librdkafka 2.0.2). */
void consumer_pause(struct consumer *consumer, const char *topic, int32_t partition, bool pause);

/** Partitions owned now, of all topics. */
int consumer_owned(const struct consumer *consumer);

/** The same, and how many of their records are not read yet as far as the last fetch told. Asks
 * nobody; of the consumer's thread. */
void consumer_look(const struct consumer *consumer, int64_t *ret_owned, int64_t *ret_lag);

/** Set the gauges of lib/base/count.h that speak of owned partitions; about once a second. `undone`
 * records more are counted as lag. Asks nobody. */
void consumer_show(const struct consumer *consumer, int undone);

/* ---- looking at the log directly ------------------------------------------------------ */

struct reader; /* opaque; reads partitions outside any group; one thread */

CQ_MUST_CHECK enum cq_status reader_new(const char *brokers, struct reader **ret);
void reader_free(struct reader *reader); /* NULL is fine */

/** First and next offset of a partition. CQ_AGAIN: nobody who knows answered within 20 s. CQ_FATAL:
 * refused in a way that does not heal. */
CQ_MUST_CHECK enum cq_status reader_watermarks(struct reader *reader, const char *topic,
                                               int32_t partition, int64_t *ret_first,
                                               int64_t *ret_next);

/** First offset whose record time is at or after `at_ms`, or the next offset when there is none.
 * Statuses of reader_watermarks(). */
CQ_MUST_CHECK enum cq_status reader_offset_for_time(struct reader *reader, const char *topic,
                                                    int32_t partition, int64_t at_ms, int64_t *ret);

/** Called for each record of a scan (borrowed); anything but CQ_OK ends it with that status. */
typedef enum cq_status reader_scan_fn(void *arg, const struct bus_record *rec);

/** Read [from, to) of a partition; from may be BUS_FROM_START. Blocks; CQ_AGAIN when the broker is
 *  silent for 30 s. CQ_POISON: a record is of a version that a newer build announced (versions.h);
 * what stands there cannot be known by this build. */
CQ_MUST_CHECK enum cq_status reader_scan(struct reader *reader, const char *topic,
                                         int32_t partition, int64_t from, int64_t to,
                                         reader_scan_fn *fn, void *arg);

/** Next offsets of partitions [0, n) of a topic, in one request a broker. */
CQ_MUST_CHECK enum cq_status reader_ends(struct reader *reader, const char *topic, int32_t n,
                                         int64_t *ret_next);

/** Called for each partition that has a commit; `meta` is borrowed. */
typedef void reader_commit_fn(void *arg, int32_t partition, int64_t next, const char *meta);

/** What `group` has committed for partitions [0, n) of a topic. CQ_AGAIN: its coordinator does not
 * answer within 10 s. */
CQ_MUST_CHECK enum cq_status reader_commits(struct reader *reader, const char *group,
                                            const char *topic, int32_t n, reader_commit_fn *fn,
                                            void *arg);

/** The record before each of `next` (from reader_ends; 0: the partition is left out), read at once
 * from all partitions. Where compaction or age took it away nothing is shown for its partition. */
CQ_MUST_CHECK enum cq_status reader_lasts(struct reader *reader, const char *topic, int32_t n,
                                          const int64_t *next, reader_scan_fn *fn, void *arg);

/** Set the commit of a group that has no members now; `meta` may be NULL. CQ_AGAIN: not done, and
 * `reterr` says why. */
CQ_MUST_CHECK enum cq_status reader_move_group(struct reader *reader, const char *group,
                                               const char *topic, int32_t partition, int64_t next,
                                               const char *meta, char *reterr, size_t reterr_n);

/** Members of a group now; 0 when there is no such group. */
CQ_MUST_CHECK enum cq_status reader_group_members(struct reader *reader, const char *group,
                                                  int *ret_members);

/** Note in BUS_FLOOR_GROUP that a partition once reached `next`; never lowers it. */
CQ_MUST_CHECK enum cq_status reader_raise_floor(struct reader *reader, const char *topic,
                                                int32_t partition, int64_t next);

/* A topic and those who keep a place in it, for reader_check(). */
struct bus_watched {
    const char *topic;
    int32_t partitions;
    const char *const *groups;
    size_t groups_n;
};

/** Whether partitions of `n` topics end before what their groups have committed, or before what
 * BUS_FLOOR_GROUP says. CQ_FATAL: `*ret_cut` does. CQ_AGAIN: not known. */
CQ_MUST_CHECK enum cq_status reader_check(struct reader *reader, const struct bus_watched *watched,
                                          size_t n, struct bus_cut *ret_cut);

/* Outputs that are looked at before the first record is written to them, and after each new
 * connection to a broker. One thread. */
struct bus_guard {
    const struct bus_watched *outputs; /* borrowed, as is the reader; used on that thread */
    size_t outputs_n;
    struct reader *reader;
    uint64_t connects; /* of the producer, behind which they were looked at last */
    bool looked;
};

/** To be called before records are sent with `producer`, and once more when all are reported and
 * before anybody relies on that. Asks nobody while there is no new connection; else blocks for up to
 * a minute. CQ_FATAL, and `reterr` says why: an output ends before what its readers have read
 * (`log_was_cut`), or nobody can say. */
CQ_MUST_CHECK enum cq_status bus_guard_check(struct bus_guard *guard,
                                             const struct producer *producer, char *reterr,
                                             size_t reterr_n);

/* ---- whether Kafka answers ------------------------------------------------------------ */

struct bus_watch; /* a thread of its own */

/** Note that the brokers answer (lib/base/contact.h); ask them after a second without an answer.
 * One a process, for its whole life. CQ_FATAL when librdkafka refuses the settings. `*ret` is owned
 * by the caller. */
CQ_MUST_CHECK enum cq_status bus_watch_start(const char *brokers, struct bus_watch **ret);
void bus_watch_stop(struct bus_watch *watch); /* at most two seconds; NULL is fine */

/* ---- dead letters --------------------------------------------------------------------- */

/** Queue `rec` as it came for the topic of dead letters of rec->topic (lib/base/dead_letter.h; same
 *  partition number), with headers src_topic, src_partition, src_offset, error, worker, ts. Of a
 * record that does not fit into the topic with its headers the beginning is kept, and the header
 * `cut` tells the lengths of the whole. Logs one warning, without content. Statuses of
 * producer_send; commit the source only after the report. */
CQ_MUST_CHECK enum cq_status dead_letter_send(struct producer *producer,
                                              const struct bus_record *rec, const char *error,
                                              const char *worker, int64_t now_ms, uint64_t opaque);

/** The records from `from` up to `first` expired before they were read: counts them and logs one
 * warning. */
void expired_tell(const char *topic, int32_t partition, int64_t from, int64_t first);

/** A newer build announced the schema that the record names, so this build leaves it to that one:
 * logs one warning. */
void newer_tell(const struct bus_record *rec, uint32_t schema);

/** Whether a newer build announced what comes next in a partition cannot be found out now, so it
 * stands still: logs one warning in a minute. One thread. */
void unjudged_tell(const char *topic, int32_t partition, const char *status);

/* ---- topics --------------------------------------------------------------------------- */

struct bus_topic_wanted {
    const char *name;
    int32_t partitions;
    int32_t replication;
    const char *const *config; /* name, value, name, value, …, NULL */
};

/** Create what is missing; check the partition count of what is there. CQ_FATAL with a reason on a
 * mismatch. */
CQ_MUST_CHECK enum cq_status bus_topics_ensure(const char *brokers,
                                               const struct bus_topic_wanted *wanted, size_t n,
                                               char *reterr, size_t reterr_n);

/** CQ_OK when every topic is there with exactly that many partitions (checked at each role's
 * start). */
CQ_MUST_CHECK enum cq_status bus_topics_check(const char *brokers,
                                              const struct bus_topic_wanted *wanted, size_t n,
                                              char *reterr, size_t reterr_n);

/** Give one setting of a topic another value, and leave all others as they are. */
CQ_MUST_CHECK enum cq_status bus_topic_set(const char *brokers, const char *topic, const char *name,
                                           const char *value, char *reterr, size_t reterr_n);

/** Whether a topic's setting `name` may be `found` where the table says `wanted`: what would lose
 * records or change what they mean must be as it says, or more. Pure. */
bool bus_setting_fits(const char *name, const char *wanted, const char *found);

/** Called for each setting that does not fit; the texts are borrowed. `name` "replicas": how many
 * the topic has. */
typedef void bus_drift_fn(void *arg, const char *topic, const char *name, const char *wanted,
                          const char *found);

/** Ask the broker for the settings of all topics of `wanted`, which must be there, and tell `fn` of
 * what has drifted from them; `*ret_n` is how many. CQ_OK whatever was found. CQ_AGAIN: the broker does
 * not answer, at most twice `timeout_ms`. CQ_FATAL: it refuses. Both with words in `reterr`. */
CQ_MUST_CHECK enum cq_status bus_topics_drift(const char *brokers,
                                              const struct bus_topic_wanted *wanted, size_t n,
                                              int timeout_ms, bus_drift_fn *fn, void *arg,
                                              size_t *ret_n, char *reterr, size_t reterr_n);
