/* SPDX-License-Identifier: MIT */
#include "lib/feed/feed.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/feed/state.h"

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
    SHOW_EVERY_MS = 1000,
    PAUSE_AFTER_MS = 500, /* without progress */
    /* Under load turns begin no more often, unless they are large: a transaction costs as much as
     * a hundred rows. The more there are, the less it matters to wait for more. */
    TURN_EVERY_MS = 20,
    TURN_SLOWER = 8,      /* records of the last turn that make the pace a millisecond slower … */
    TURN_SLOWEST_MS = 40, /* … up to this */
    LARGE_TURN = 512,
    FETCH_WAIT_MS =
        15, /* the broker gathers for us: a request for many records, not for each append */
    JOIN_MS = 10000,
    IDLE_MS = 50,
    SERVE_MS = 100,
    SERVE_TRIES = 300,
};

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct feed *f = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    if (st != CQ_OK)
        f->failed_report = true;
}

/* ---- life ----------------------------------------------------------------------------- */

static enum cq_status open_clients(struct feed *f)
{
    const char *names[FEED_TOPICS_MAX];
    char client[64];
    struct producer_conf pc = {
        .brokers = f->conf.brokers,
        .client_id = client,
        .queue_max_records = OUT_QUEUE,
        .queue_max_kib = OUT_KIB,
        .report = on_report,
        .arg = f,
    };
    struct consumer_conf cc = {
        .brokers = f->conf.brokers,
        .client_id = client,
        .group = f->conf.consumer,
        .instance = f->conf.instance,
        .topics = names,
        .topics_n = f->conf.topics_n,
        .ops = &own_ops,
        .arg = f,
        .fetch_max_bytes = 2 * BATCH_BYTES,
        .fetch_wait_ms = FETCH_WAIT_MS,
    };

    snprintf(client, sizeof client, "chasqui-%s", f->conf.consumer);
    for (size_t t = 0; t < f->conf.topics_n; t++)
        names[t] = f->conf.topics[t].name;
    if (reader_new(f->conf.brokers, &f->reader) != CQ_OK ||
        producer_new(&pc, &f->producer) != CQ_OK || consumer_new(&cc, &f->consumer) != CQ_OK)
        return CQ_FATAL;
    f->guard.reader = f->reader;
    return CQ_OK;
}

enum cq_status feed_new(const struct feed_conf *conf, struct feed **ret)
{
    struct feed *f = calloc(1, sizeof *f);
    char app[64];

    if (!f)
        return CQ_FATAL;
    f->conf = *conf;
    f->guard = (struct bus_guard){ .outputs = conf->outputs, .outputs_n = conf->outputs_n };
    snprintf(app, sizeof app, "chasqui-%s", conf->consumer);
    f->pg = pg_new(conf->database_url, app);
    f->held = calloc(BATCH_MAX + BATCH_SLACK, sizeof *f->held);
    f->recs = calloc(BATCH_MAX + BATCH_SLACK, sizeof *f->recs);
    f->hold = calloc(BATCH_MAX + BATCH_SLACK, sizeof *f->hold);
    if (!f->held || !f->recs || !f->hold || parts_init(&f->parts, &f->conf) != CQ_OK ||
        open_clients(f) != CQ_OK) {
        feed_free(f);
        return CQ_FATAL;
    }
    *ret = f;
    return CQ_OK;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    consumer_free(f->consumer); /* gives up the partitions, which drops what is held */
    for (int i = 0; i < f->held_n; i++)
        record_release(&f->held[i].rec);
    producer_free(f->producer);
    reader_free(f->reader);
    pg_free(f->pg);
    parts_release(&f->parts);
    free(f->held);
    free(f->recs);
    free(f->hold);
    free(f);
}

enum cq_status feed_fatal(struct feed *f, const char *what, const char *detail)
{
    if (!*f->why) /* the first cause is the cause */
        snprintf(f->why, sizeof f->why, "%s: %s", what, detail);
    return CQ_FATAL;
}

const struct feed_stats *feed_stats(const struct feed *f)
{
    return &f->stats;
}

const char *feed_error(const struct feed *f)
{
    return *f->why ? f->why : pg_error(f->pg);
}

/* ---- gathering ------------------------------------------------------------------------ */

void feed_unhold(struct feed *f, struct held *h)
{
    struct feed_part *p = parts_get(&f->parts, h->rec.topic, h->rec.partition);

    CQ_ASSERT(p->held > 0 && f->held_bytes >= h->rec.value.n, p->held, f->held_bytes,
              h->rec.value.n);
    p->held--;
    f->held_bytes -= h->rec.value.n;
    record_release(&h->rec);
}

static enum cq_status keep(struct feed *f, struct bus_record *rec)
{
    struct feed_part *p = parts_get(&f->parts, rec->topic, rec->partition);

    if (!p || !p->owned || rec->offset < p->polled) {
        record_release(rec); /* a repeat by the library: this one was here already */
        return CQ_OK;
    }
    if (f->held_n == BATCH_MAX + BATCH_SLACK) {
        record_release(rec); /* or the consumer would wait for it at its end, for ever */
        return feed_fatal(f, "gathering", "a paused partition delivers");
    }
    f->held[f->held_n++] = (struct held){ .rec = *rec };
    f->held_bytes += rec->value.n;
    p->held++;
    p->polled = rec->offset + 1;
    return CQ_OK;
}

/* How long to wait for the next record: for the first one as the caller says; for more while the
 * turn before has just begun and this one is small. A record that comes alone is never held up, and
 * neither is one that waits while a refused batch is applied record by record. */
static int wait_for(const struct feed *f, int wait_ms)
{
    if (!f->held_n)
        return wait_ms;
    if (f->held_n >= LARGE_TURN || f->stalled_since_ms || f->single)
        return 0;
    return clock_left_ms(f->turn_ms + f->pace_ms);
}

static void update_pauses(struct feed *f, bool all)
{
    struct feed_part *p;
    size_t topic;
    int32_t partition;

    for (size_t at = 0; (p = parts_next(&f->parts, &at, &topic, &partition)) != NULL;) {
        bool want = all || p->held > PART_HELD_MAX || (p->paused && p->held > 0);

        if (!p->owned || want == p->paused)
            continue;
        consumer_pause(f->consumer, f->conf.topics[topic].name, partition, want);
        p->paused = want;
    }
}

/* Fill the batch. When it is full already, poll once with all partitions paused, so that the group
 * sees this member alive: while a refused batch is applied record by record, a turn may end with as
 * many held as before. */
static enum cq_status gather(struct feed *f, int wait_ms)
{
    if (f->held_n >= BATCH_MAX)
        update_pauses(f, true);
    do {
        struct bus_record rec;
        enum cq_status st = consumer_poll(f->consumer, wait_for(f, wait_ms), &rec);

        if (st != CQ_OK)
            return st;
        if (!rec.topic && !(f->held_n && wait_for(f, 0)))
            break;
        if (rec.topic && keep(f, &rec) != CQ_OK)
            return CQ_FATAL;
    } while (f->held_n < BATCH_MAX && f->held_bytes < BATCH_BYTES && !f->stalled_since_ms);
    if (f->held_n) {
        f->turn_ms = clock_mono_ms();
        f->pace_ms = pace_ms((size_t)f->held_n, TURN_EVERY_MS, TURN_SLOWER, TURN_SLOWEST_MS);
    }
    return CQ_OK;
}

/* `n` turns in a row had to be done again. A gauge and /healthz tell when that goes on. */
static void set_again(struct feed *f, int n)
{
    f->again = n;
    count_repeats(n, clock_mono_ms());
}

static void note_progress(struct feed *f)
{
    set_again(f, 0);
    f->stalled_since_ms = 0;
    update_pauses(f, false);
}

static void note_stall(struct feed *f)
{
    int64_t now = clock_mono_ms();

    if (!f->stalled_since_ms)
        f->stalled_since_ms = now;
    if (now - f->stalled_since_ms > PAUSE_AFTER_MS)
        update_pauses(f, true);
}

static void show(struct feed *f)
{
    int64_t now_ms = clock_mono_ms();

    count_beat(now_ms);
    if (now_ms - f->shown_ms < SHOW_EVERY_MS)
        return;
    f->shown_ms = now_ms;
    count_set(COUNT_DATABASE_AWAY, f->stats.database_away);
    count_set(COUNT_VIEW_INCOMPLETE, f->stats.incomplete);
    consumer_show(f->consumer);
}

static void commit_progress(struct feed *f)
{
    int64_t now = clock_mono_ms();
    struct feed_part *p;
    size_t topic;
    int32_t partition;

    if (now - f->committed_ms < COMMIT_EVERY_MS)
        return;
    f->committed_ms = now;
    for (size_t at = 0; (p = parts_next(&f->parts, &at, &topic, &partition)) != NULL;) {
        if (!p->owned || p->next <= p->committed)
            continue;
        consumer_commit(f->consumer, f->conf.topics[topic].name, partition, p->next, NULL);
        p->committed = p->next;
    }
}

/* ---- one turn ------------------------------------------------------------------------- */

static enum cq_status ask_admission(struct feed *f)
{
    memset(f->hold, 0, sizeof *f->hold * (size_t)f->held_n);
    if (!f->conf.ops->admit)
        return CQ_OK;
    for (int i = 0; i < f->held_n; i++)
        f->recs[i] = f->held[i].rec;
    return f->conf.ops->admit(f->conf.arg, f->pg, f->recs, f->held_n, f->hold);
}

enum cq_status feed_tell(struct producer *p, const struct bus_send *m)
{
    for (int i = 0; i < SERVE_TRIES; i++) {
        enum cq_status st = producer_send(p, m);

        if (st == CQ_OK)
            return CQ_OK;
        if (st != CQ_AGAIN)
            return CQ_FATAL; /* too large, or an unknown topic: our own bug */
        producer_serve(p, SERVE_MS);
    }
    return CQ_AGAIN;
}

static enum cq_status send_letters(struct feed *f)
{
    for (int i = 0; i < f->held_n; i++) {
        struct held *h = &f->held[i];
        struct feed_part *p = parts_get(&f->parts, h->rec.topic, h->rec.partition);
        enum cq_status st;

        if (!h->taken || !h->why || h->letter_sent || h->rec.offset < p->until)
            continue;
        while ((st = dead_letter_send(f->producer, &h->rec, h->why, f->conf.consumer,
                                      clock_wall_ms(), 0)) == CQ_AGAIN)
            if (!producer_serve(f->producer, SERVE_MS) && *f->conf.stop)
                return CQ_AGAIN;
        if (st != CQ_OK)
            return feed_fatal(f, "a dead letter cannot be sent", producer_error(f->producer));
        h->letter_sent = true;
    }
    return CQ_OK;
}

/* Everything told is in the log before the transaction commits. */
static enum cq_status await_reports(struct feed *f)
{
    while (producer_pending(f->producer) > 0 && !f->failed_report) {
        if (!producer_serve(f->producer, SERVE_MS) && *f->conf.stop)
            return CQ_AGAIN;
        if (producer_is_fatal(f->producer))
            return feed_fatal(f, "the producer ended", producer_error(f->producer));
    }
    return f->failed_report ? feed_fatal(f, "an output failed", producer_error(f->producer))
                            : CQ_OK;
}

static enum cq_status check_outputs(struct feed *f)
{
    char why[256];

    return bus_guard_check(&f->guard, f->producer, why, sizeof why) == CQ_OK
               ? CQ_OK
               : feed_fatal(f, "an output", why);
}

static enum cq_status transact(struct feed *f)
{
    bool moved = false;
    enum cq_status st = send_letters(f);

    f->refused_why = NULL;
    if (st == CQ_OK)
        st = check_outputs(f);
    if (st == CQ_OK)
        st = pg_script(f->pg, "BEGIN");
    if (st == CQ_OK)
        st = parts_move(&f->parts, f->pg, &moved);
    if (st == CQ_OK && !moved) {
        f->stats.conflicts++;
        count_add(COUNT_ZOMBIE_WRITES, 1);
        return CQ_AGAIN;
    }
    if (st == CQ_OK)
        st = f->conf.ops->write(f->conf.arg, f->pg, f->producer, &f->refused_why);
    if (st == CQ_OK)
        st = await_reports(f);
    if (st == CQ_OK)
        st = check_outputs(f); /* the broker may have been away meanwhile */
    if (st == CQ_OK) {
        st = pg_script(f->pg, "COMMIT");
        f->asked_commit = st == CQ_AGAIN;
    }
    return st;
}

static void turn_applied(struct feed *f)
{
    struct feed_part *p;
    size_t topic;
    int32_t partition;
    int kept = 0;

    for (size_t at = 0; (p = parts_next(&f->parts, &at, &topic, &partition)) != NULL;) {
        if (p->turn_next < 0)
            continue;
        CQ_ASSERT(p->turn_next > p->next, partition, p->turn_next, p->next); /* it only rises */
        p->next = p->turn_next;
        if (p->turn_source > p->source)
            p->source = p->turn_source;
    }
    for (int i = 0; i < f->held_n; i++) {
        struct held *h = &f->held[i];

        if (h->taken) {
            f->stats.records++;
            f->stats.dead_letters += h->why && h->letter_sent;
            feed_unhold(f, h);
            continue;
        }
        if (kept != i)
            f->held[kept] = *h;
        kept++;
    }
    f->held_n = kept;
    f->stats.turns++;
    count_add(COUNT_TURNS, 1);
    count_set(COUNT_BATCH, f->taken_n);
    f->single = f->single > f->taken_n ? f->single - f->taken_n : 0;
    if (f->conf.ops->applied)
        f->conf.ops->applied(f->conf.arg);
}

/* The rows were refused: find the record that is to blame by applying one at a time. */
static void turn_refused(struct feed *f)
{
    if (f->taken_n > 1) {
        f->single = f->taken_n;
        return;
    }
    for (int i = 0; i < f->held_n; i++)
        if (f->held[i].taken)
            snprintf(f->held[i].refused, sizeof f->held[i].refused, "%s%s",
                     f->refused_why ? "" : "refused by the database: ",
                     f->refused_why ? f->refused_why : pg_sqlstate(f->pg));
}

static enum cq_status apply(struct feed *f)
{
    enum cq_status st;

    f->doing = "connecting to the database";
    st = own_database(f);
    if (st == CQ_OK && f->unsure) {
        f->doing =
            "reading the positions again (they went back or are gone, or the statement failed)";
        st = parts_reload(&f->parts, f->pg, own_moved, f);
        f->unsure = st != CQ_OK;
        count_add(COUNT_LATE_CONFIRMATIONS, f->confirmed);
        if (st == CQ_OK)
            f->asked_commit = false;
        f->confirmed = false;
    }
    f->doing = st == CQ_OK ? "asking which records may be applied" : f->doing;
    if (st == CQ_OK)
        st = ask_admission(f);
    if (st != CQ_OK || !f->held_n)
        return st;
    st = feed_map(f);
    if (st != CQ_OK)
        return st;
    if (!f->taken_n) {
        if (f->conf.ops->idle)
            f->conf.ops->idle(f->conf.arg, f->pg, IDLE_MS);
        else
            clock_sleep_ms(IDLE_MS);
        set_again(f, 0); /* none is admitted yet: that does not count as a repeat */
        note_stall(f);
        return CQ_OK;
    }
    f->doing = "writing";
    st = transact(f);
    if (st == CQ_OK) {
        turn_applied(f);
        note_progress(f);
    } else if (st == CQ_POISON) {
        turn_refused(f);
        st = CQ_OK;
    }
    return st;
}

/* The error message of a failure: PostgreSQL's, when it failed since `failures`, or Kafka's. */
static const char *words_of(const struct feed *f, uint64_t failures)
{
    if (pg_failures(f->pg) != failures)
        return pg_error(f->pg);
    if (*producer_error(f->producer))
        return producer_error(f->producer);
    return f->refused_why ? f->refused_why : "out of memory";
}

enum cq_status feed_turn(struct feed *f, int wait_ms)
{
    uint64_t failures = pg_failures(f->pg);
    enum cq_status st = gather(f, wait_ms);

    if (st != CQ_OK)
        return feed_fatal(f, "the input ended", consumer_error(f->consumer));
    producer_serve(f->producer, 0);
    if (producer_is_fatal(f->producer)) /* also when there is nothing to send now */
        return feed_fatal(f, "the producer ended", producer_error(f->producer));
    st = whole_look(f); /* CQ_AGAIN: in a second */
    if (st == CQ_FATAL)
        return feed_fatal(f, "asking whether the view is complete", words_of(f, failures));
    show(f);
    if (!f->held_n) {
        if (f->again || f->stalled_since_ms)
            note_progress(f);
        commit_progress(f);
        return CQ_OK;
    }
    st = apply(f);
    if (st == CQ_AGAIN) {
        f->unsure = true;
        f->stats.retries++;
        count_add(COUNT_TURNS_AGAIN, 1);
        clock_sleep_ms(backoff_ms(f->again, 10, 1000));
        set_again(f, f->again + 1);
        note_stall(f);
    } else if (st != CQ_OK) {
        return feed_fatal(f, f->doing, words_of(f, failures));
    }
    commit_progress(f);
    return CQ_OK;
}

enum cq_status feed_join(struct feed *f)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MS;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*f->conf.stop && !consumer_owned(f->consumer) &&
           clock_mono_ms() < until_ms)
        st = feed_turn(f, SERVE_MS);
    return st;
}
