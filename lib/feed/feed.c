/* SPDX-License-Identifier: MIT */
#include "lib/feed/feed.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/feed/slow.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH_MAX = 2048,
    BATCH_SLACK = 256,             /* what may still arrive once a batch is full */
    BATCH_BYTES = 4 * 1024 * 1024, /* a batch ends early at this many */
    PART_HELD_MAX = BATCH_MAX / 8, /* held records at which one partition is paused */
    OUT_QUEUE = 64 * 1024,         /* records told in one turn */
    OUT_KIB = 96 * 1024,
    COMMIT_EVERY_MS = 500,
    PAUSE_AFTER_MS = 500, /* without progress */
    /* Under load turns begin no more often, unless they are large: a transaction costs as much as
     * a hundred rows. The more there are, the less it matters to wait for more. */
    TURN_EVERY_MS = 20,
    TURN_SLOWER = 8,      /* records of the last turn that make the pace a millisecond slower … */
    TURN_SLOWEST_MS = 40, /* … up to this */
    LARGE_TURN = 512,
    FETCH_WAIT_MS =
        15, /* the broker gathers for us: a request for many records, not for each append */
    IDLE_MS = 50,
    SERVE_MS = 100,
    SERVE_TRIES = 300,
    SPARE_RETRY_MS = 1000,
};

static const char doing_write[] = "writing";

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct feed *feed = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    if (st != CQ_OK)
        feed->failed_report = true;
}

/* ---- life ----------------------------------------------------------------------------- */

static enum cq_status open_clients(struct feed *feed)
{
    const char *names[HOLD_TOPICS_MAX];
    char client[64];
    struct producer_conf pc = {
        .brokers = feed->conf.brokers,
        .client_id = client,
        .queue_max_records = OUT_QUEUE,
        .queue_max_kib = OUT_KIB,
        .report = on_report,
        .arg = feed,
    };
    struct holds_conf hc = {
        .consumer = { .brokers = feed->conf.brokers,
                      .client_id = client,
                      .group = feed->conf.consumer,
                      .instance = feed->conf.instance,
                      .topics = names,
                      .topics_n = feed->conf.topics_n,
                      .fetch_max_bytes = 2 * BATCH_BYTES,
                      .fetch_wait_ms = FETCH_WAIT_MS },
        .ops = &own_ops,
        .arg = feed,
        .commit_every_ms = COMMIT_EVERY_MS,
        .careful_n = BATCH_MAX + BATCH_SLACK, /* the record that kills is in the first turn */
        .turn_every_ms = TURN_EVERY_MS,
        .turn_slower = TURN_SLOWER,
        .turn_slowest_ms = TURN_SLOWEST_MS,
    };

    snprintf(client, sizeof client, "chasqui-%s", feed->conf.consumer);
    if (feed->conf.topics_n > HOLD_TOPICS_MAX)
        return CQ_FATAL;
    for (size_t topic = 0; topic < feed->conf.topics_n; topic++)
        names[topic] = feed->conf.topics[topic].name;
    if (reader_new(feed->conf.brokers, &feed->reader) != CQ_OK ||
        producer_new(&pc, &feed->producer) != CQ_OK || holds_open(&feed->holds, &hc) != CQ_OK)
        return CQ_FATAL;
    feed->guard.reader = feed->reader;
    return CQ_OK;
}

enum cq_status feed_new(const struct feed_conf *conf, struct feed **ret)
{
    struct feed *feed = calloc(1, sizeof *feed);
    char app[64];

    if (!feed)
        return CQ_FATAL;
    feed->conf = *conf;
    feed->guard = (struct bus_guard){ .outputs = conf->outputs, .outputs_n = conf->outputs_n };
    snprintf(app, sizeof app, "chasqui-%s", conf->consumer);
    feed->pg = pg_new(conf->database_url, app);
    feed->held = calloc(BATCH_MAX + BATCH_SLACK, sizeof *feed->held);
    feed->recs = calloc(BATCH_MAX + BATCH_SLACK, sizeof *feed->recs);
    feed->hold = calloc(BATCH_MAX + BATCH_SLACK, sizeof *feed->hold);
    if (!feed->held || !feed->recs || !feed->hold ||
        parts_init(&feed->parts, &feed->conf, &feed->holds) != CQ_OK ||
        open_clients(feed) != CQ_OK) {
        feed_free(feed);
        return CQ_FATAL;
    }
    *ret = feed;
    return CQ_OK;
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    holds_close(&feed->holds); /* gives up the partitions, which drops what is held */
    for (int i = 0; i < feed->held_n; i++)
        record_release(&feed->held[i].rec);
    producer_free(feed->producer);
    reader_free(feed->reader);
    pg_free(feed->pg);
    parts_release(&feed->parts);
    free(feed->held);
    free(feed->recs);
    free(feed->hold);
    free(feed);
}

enum cq_status feed_fatal(struct feed *feed, const char *what, const char *detail)
{
    if (!*feed->why) /* the first cause is the cause */
        snprintf(feed->why, sizeof feed->why, "%s: %s", what, detail);
    return CQ_FATAL;
}

const struct feed_stats *feed_stats(const struct feed *feed)
{
    return &feed->stats;
}

const char *feed_error(const struct feed *feed)
{
    return *feed->why ? feed->why : pg_error(feed->pg);
}

const char *feed_again(const struct feed *feed)
{
    return feed->why_again;
}

/* ---- gathering ------------------------------------------------------------------------ */

void feed_unhold(struct feed *feed, struct held *held)
{
    struct feed_part *part = parts_of(&feed->parts, held->of);

    CQ_ASSERT(part->held > 0 && feed->held_bytes >= held->rec.value.n, part->held, feed->held_bytes,
              held->rec.value.n);
    part->held--;
    feed->held_bytes -= held->rec.value.n;
    record_release(&held->rec);
}

static enum cq_status keep(struct feed *feed, struct hold *of, struct bus_record *rec)
{
    if (feed->held_n == BATCH_MAX + BATCH_SLACK) {
        record_release(rec); /* or the consumer would wait for it at its end, for ever */
        return feed_fatal(feed, "gathering", "a paused partition delivers");
    }
    feed->held[feed->held_n++] = (struct held){ .rec = *rec, .of = of };
    feed->held_bytes += rec->value.n;
    parts_of(&feed->parts, of)->held++;
    return CQ_OK;
}

/* How long to wait for the next record: for the first one as the caller says; for more while the
 * turn before has just begun and this one is small. A record that comes alone is never held up, and
 * neither is one that waits while a refused batch is applied record by record. */
static int wait_for(const struct feed *feed, int wait_ms)
{
    if (!feed->held_n)
        return wait_ms;
    if (feed->held_n >= LARGE_TURN || feed->stalled_since_ms || feed->single)
        return 0;
    return holds_left_ms(&feed->holds);
}

static void update_pauses(struct feed *feed, bool all)
{
    struct hold *hold;

    for (size_t at = 0; (hold = holds_next(&feed->holds, &at)) != NULL;) {
        int held = parts_of(&feed->parts, hold)->held;

        hold_pause(&feed->holds, hold, all || held > PART_HELD_MAX || (hold->paused && held > 0));
    }
}

/* Fill the batch. When it is full already, poll once with all partitions paused, so that the group
 * sees this member alive: while a refused batch is applied record by record, a turn may end with as
 * many held as before. */
static enum cq_status gather(struct feed *feed, int wait_ms)
{
    if (feed->held_n >= BATCH_MAX)
        update_pauses(feed, true);
    do {
        struct bus_record rec;
        struct hold *of;
        enum cq_status st = holds_poll(&feed->holds, wait_for(feed, wait_ms), &rec, &of);

        if (st != CQ_OK)
            return st;
        if (!rec.topic && !(feed->held_n && wait_for(feed, 0)))
            break;
        if (rec.topic && keep(feed, of, &rec) != CQ_OK)
            return CQ_FATAL;
    } while (feed->held_n < BATCH_MAX && feed->held_bytes < BATCH_BYTES && !feed->stalled_since_ms);
    if (feed->held_n)
        holds_turn(&feed->holds, feed->held_n);
    return CQ_OK;
}

/* `n` turns in a row had to be done again. A gauge and /healthz tell when that goes on. */
static void set_again(struct feed *feed, int n)
{
    feed->again = n;
    count_repeats(n, clock_mono_ms());
}

static void note_progress(struct feed *feed)
{
    set_again(feed, 0);
    feed->stalled_since_ms = 0;
    update_pauses(feed, false);
}

static void note_stall(struct feed *feed)
{
    int64_t now = clock_mono_ms();

    if (!feed->stalled_since_ms)
        feed->stalled_since_ms = now;
    if (now - feed->stalled_since_ms > PAUSE_AFTER_MS)
        update_pauses(feed, true);
}

static void show(struct feed *feed)
{
    count_set(COUNT_DATABASE_AWAY, feed->stats.database_away);
    count_set(COUNT_VIEW_INCOMPLETE, feed->stats.incomplete);
    feed->stats.slow = slow_partitions(feed);
    count_set(COUNT_SLOW, feed->stats.slow);
    holds_show(&feed->holds, feed->held_n);
}

/* ---- one turn ------------------------------------------------------------------------- */

static enum cq_status ask_admission(struct feed *feed)
{
    memset(feed->hold, 0, sizeof *feed->hold * (size_t)feed->held_n);
    if (!feed->conf.ops->admit)
        return CQ_OK;
    for (int i = 0; i < feed->held_n; i++)
        feed->recs[i] = feed->held[i].rec;
    return feed->conf.ops->admit(feed->conf.arg, feed->pg, feed->recs, feed->held_n, feed->hold);
}

enum cq_status feed_tell(struct producer *producer, const struct bus_send *send)
{
    for (int i = 0; i < SERVE_TRIES; i++) {
        enum cq_status st = producer_send(producer, send);

        if (st == CQ_OK)
            return CQ_OK;
        if (st != CQ_AGAIN)
            return CQ_FATAL; /* too large, or an unknown topic: our own bug */
        producer_serve(producer, SERVE_MS);
    }
    return CQ_AGAIN;
}

static enum cq_status send_letters(struct feed *feed)
{
    for (int i = 0; i < feed->held_n; i++) {
        struct held *held = &feed->held[i];
        const struct feed_part *part = parts_of(&feed->parts, held->of);
        enum cq_status st;

        if (!held->taken || !held->why || held->letter_sent || held->rec.offset < part->until)
            continue;
        while ((st = dead_letter_send(feed->producer, &held->rec, held->why, feed->conf.consumer,
                                      clock_wall_ms(), 0)) == CQ_AGAIN)
            if (!producer_serve(feed->producer, SERVE_MS) && *feed->conf.stop)
                return CQ_AGAIN;
        if (st != CQ_OK)
            return feed_fatal(feed, "a dead letter cannot be sent", producer_error(feed->producer));
        held->letter_sent = true;
    }
    return CQ_OK;
}

/* Everything told is in the log before the transaction commits. */
static enum cq_status await_reports(struct feed *feed)
{
    while (producer_pending(feed->producer) > 0 && !feed->failed_report) {
        if (!producer_serve(feed->producer, SERVE_MS) && *feed->conf.stop)
            return CQ_AGAIN;
        if (producer_is_fatal(feed->producer))
            return feed_fatal(feed, "the producer ended", producer_error(feed->producer));
    }
    return feed->failed_report
               ? feed_fatal(feed, "an output failed", producer_error(feed->producer))
               : CQ_OK;
}

static enum cq_status check_outputs(struct feed *feed)
{
    char why[256];

    return bus_guard_check(&feed->guard, feed->producer, why, sizeof why) == CQ_OK
               ? CQ_OK
               : feed_fatal(feed, "an output", why);
}

static enum cq_status transact(struct feed *feed)
{
    bool moved = false;
    enum cq_status st = send_letters(feed);

    feed->refused_why = NULL;
    if (st == CQ_OK)
        st = check_outputs(feed);
    if (st == CQ_OK)
        st = pg_script(feed->pg, "BEGIN");
    if (st == CQ_OK)
        st = parts_move(&feed->parts, feed->pg, &moved);
    if (st == CQ_OK && !moved) {
        feed->stats.conflicts++;
        count_add(COUNT_ZOMBIE_WRITES, 1);
        return CQ_AGAIN;
    }
    if (st == CQ_OK)
        st = feed->conf.ops->write(feed->conf.arg, feed->pg, feed->producer, &feed->refused_why);
    if (st == CQ_OK)
        st = await_reports(feed);
    if (st == CQ_OK)
        st = check_outputs(feed); /* the broker may have been away meanwhile */
    if (st == CQ_OK) {
        st = pg_script(feed->pg, "COMMIT");
        feed->asked_commit = st == CQ_AGAIN;
    }
    return st;
}

static void turn_applied(struct feed *feed)
{
    struct hold *of;
    int kept = 0;

    slow_over(feed);
    for (size_t at = 0; (of = holds_next(&feed->holds, &at)) != NULL;) {
        struct feed_part *part = parts_of(&feed->parts, of);

        if (part->turn_next < 0)
            continue;
        CQ_ASSERT(part->turn_next > of->next, of->partition, part->turn_next, of->next); /* it only
                                                                                    * rises */
        hold_done(of, part->turn_next);
        part->source = parts_source(part);
    }
    for (int i = 0; i < feed->held_n; i++) {
        struct held *held = &feed->held[i];

        if (held->taken) {
            feed->stats.records++;
            feed->stats.dead_letters += held->why && held->letter_sent;
            hold_stepped(held->of);
            feed_unhold(feed, held);
            continue;
        }
        if (kept != i)
            feed->held[kept] = *held;
        kept++;
    }
    feed->held_n = kept;
    feed->stats.turns++;
    count_add(COUNT_TURNS, 1);
    count_set(COUNT_BATCH, feed->taken_n);
    feed->single = feed->single > feed->taken_n ? feed->single - feed->taken_n : 0;
    if (feed->conf.ops->applied)
        feed->conf.ops->applied(feed->conf.arg);
}

/* The rows were refused: find the record that is to blame by applying one at a time. */
static void turn_refused(struct feed *feed)
{
    if (feed->taken_n > 1) {
        feed->single = feed->taken_n;
        return;
    }
    for (int i = 0; i < feed->held_n; i++)
        if (feed->held[i].taken)
            snprintf(feed->held[i].refused, sizeof feed->held[i].refused, "%s%s",
                     feed->refused_why ? "" : "refused by the database: ",
                     feed->refused_why ? feed->refused_why : pg_sqlstate(feed->pg));
}

static enum cq_status apply(struct feed *feed)
{
    enum cq_status st;

    feed->doing = "connecting to the database";
    st = own_database(feed);
    if (st == CQ_OK && feed->unsure) {
        feed->doing =
            "reading the positions again (they went back or are gone, or the statement failed)";
        st = parts_reload(&feed->parts, feed->pg, own_moved, feed);
        feed->unsure = st != CQ_OK;
        count_add(COUNT_LATE_CONFIRMATIONS, feed->confirmed);
        if (st == CQ_OK)
            feed->asked_commit = false;
        feed->confirmed = false;
    }
    feed->doing = st == CQ_OK ? "asking which records may be applied" : feed->doing;
    if (st == CQ_OK)
        st = ask_admission(feed);
    if (st != CQ_OK || !feed->held_n)
        return st;
    st = feed_map(feed);
    if (st != CQ_OK)
        return st;
    if (!feed->taken_n) {
        if (feed->conf.ops->idle)
            feed->conf.ops->idle(feed->conf.arg, feed->pg, IDLE_MS);
        else
            clock_sleep_ms(IDLE_MS);
        set_again(feed, 0); /* none is admitted yet: that does not count as a repeat */
        if (feed->stats.slow)
            note_progress(feed); /* others are to be read meanwhile */
        else
            note_stall(feed);
        return CQ_OK;
    }
    feed->doing = doing_write;
    st = transact(feed);
    if (st == CQ_OK) {
        turn_applied(feed);
        note_progress(feed);
    } else if (st == CQ_POISON) {
        turn_refused(feed);
        st = CQ_OK;
    }
    return st;
}

/* The error message of a failure: PostgreSQL's, when it failed since `failures`, or Kafka's. */
static const char *words_of(const struct feed *feed, uint64_t failures)
{
    if (pg_failures(feed->pg) != failures)
        return pg_error(feed->pg);
    if (*producer_error(feed->producer))
        return producer_error(feed->producer);
    return feed->refused_why ? feed->refused_why : "out of memory";
}

/* A statement that takes too long fails each time, and the database answers all the while. */
static void note_again(struct feed *feed, uint64_t failures)
{
    bool by_pg = pg_failures(feed->pg) != failures;
    int n = snprintf(feed->why_again, sizeof feed->why_again, "%s: %s%s%.300s", feed->doing,
                     by_pg ? pg_sqlstate(feed->pg) : "", by_pg ? " " : "",
                     by_pg ? pg_error(feed->pg) : "no progress");
    const struct bus_record *first = &feed->held[0].rec;

    for (int i = feed->held_n - 1; feed->taken_n && i >= 0; i--)
        if (feed->held[i].taken)
            first = &feed->held[i].rec;
    if (feed->held_n && n > 0 && (size_t)n < sizeof feed->why_again)
        snprintf(feed->why_again + n, sizeof feed->why_again - (size_t)n,
                 ", from %s partition %d offset %lld on", first->topic, (int)first->partition,
                 (long long)first->offset);
}

/* PostgreSQL ended a statement of ours that took too long, and answers. */
static bool took_too_long(const struct feed *feed, uint64_t failures)
{
    return pg_failures(feed->pg) != failures && !strcmp(pg_sqlstate(feed->pg), "57014") &&
           feed->doing == doing_write;
}

/* CQ_AGAIN never: it can wait. */
static enum cq_status spare(struct feed *feed)
{
    int wait_ms = SPARE_RETRY_MS;
    enum cq_status st;

    if (!feed->conf.ops->spare || clock_mono_ms() < feed->spare_ms)
        return CQ_OK;
    st = own_database(feed);
    if (st == CQ_OK)
        st = feed->conf.ops->spare(feed->conf.arg, feed->pg, feed->conf.partitions, &wait_ms);
    feed->spare_ms = clock_mono_ms() + (st == CQ_OK ? wait_ms : SPARE_RETRY_MS);
    return st == CQ_AGAIN ? CQ_OK : st;
}

/* A view that was made anew under a statement is the cause of its error, whatever that says. */
static enum cq_status statement_failed(struct feed *feed, const char *what, uint64_t failures)
{
    char words[sizeof feed->why];

    snprintf(words, sizeof words, "%s", words_of(feed, failures));
    feed->looked_ms = 0;
    if (whole_look(feed) == CQ_FATAL && *feed->why)
        return CQ_FATAL;
    return feed_fatal(feed, what, words);
}

enum cq_status feed_turn(struct feed *feed, int wait_ms)
{
    uint64_t failures = pg_failures(feed->pg);
    enum cq_status st = gather(feed, wait_ms);

    if (st != CQ_OK)
        return feed_fatal(feed, "the input ended", consumer_error(feed->holds.consumer));
    producer_serve(feed->producer, 0);
    if (producer_is_fatal(feed->producer)) /* also when there is nothing to send now */
        return feed_fatal(feed, "the producer ended", producer_error(feed->producer));
    st = whole_look(feed); /* CQ_AGAIN: in a second */
    if (st == CQ_FATAL)
        return feed_fatal(feed, "asking whether the view is complete", words_of(feed, failures));
    if (st == CQ_OK && spare(feed) != CQ_OK)
        return statement_failed(feed, "what is done between turns", failures);
    show(feed);
    if (!feed->held_n) {
        if (feed->again || feed->stalled_since_ms)
            note_progress(feed);
        holds_commit(&feed->holds, false);
        return CQ_OK;
    }
    st = apply(feed);
    if (st == CQ_AGAIN) {
        feed->unsure = true;
        feed->stats.retries++;
        count_add(COUNT_TURNS_AGAIN, 1);
        note_again(feed, failures);
        if (took_too_long(feed, failures))
            slow_note(feed, clock_mono_ms());
        clock_sleep_ms(backoff_ms(feed->again, 10, 1000));
        set_again(feed, feed->again + 1);
        note_stall(feed);
    } else if (st != CQ_OK) {
        return statement_failed(feed, feed->doing, failures);
    }
    holds_commit(&feed->holds, false);
    return CQ_OK;
}

static enum cq_status join_turn(void *loop, int wait_ms)
{
    return feed_turn(loop, wait_ms);
}

enum cq_status feed_join(struct feed *feed)
{
    return holds_join(&feed->holds, join_turn, feed, SERVE_MS, feed->conf.stop);
}
