/* SPDX-License-Identifier: MIT */
#include "lib/bus/stage.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/bus/places.h"
#include "lib/bus/suspect.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH_MAX = 4096,                  /* records in one turn, whatever the configuration says */
    OUTPUTS_SOFT = 32 * 1024,          /* a turn ends early at this many records of output … */
    OUTPUTS_MAX = 64 * 1024,           /* … and may not pass this many */
    OUT_BYTES_SOFT = 16 * 1024 * 1024, /* a turn ends early at this many bytes of output … */
    OUT_BYTES_MAX = 96 * 1024 * 1024,  /* … and may not pass this many */
    COMMIT_EVERY_MS = 200,             /* a commit lost to a crash only means more replay */
    SHOW_EVERY_MS = 1000,
    SERVE_MS = 100,
    LINGER_MS = 1000, /* the outputs of a turn leave together, with the flush at its end */
    JOIN_MS = 10000,
    ACQUIT_TRIES = 6,
    /* Under load turns do not begin more often: each costs a request for each partition it writes
     * to, however few records are in it. The more there are, the less it matters to wait for more.
     */
    TURN_EVERY_MS = 1,
    TURN_SLOWER = 4,     /* records of the last turn that make the pace a millisecond slower … */
    TURN_SLOWEST_MS = 4, /* … up to this */
};

/* A group without members. The offset of a commit names a record that was stepped carefully; its
 * text is how many of the notes about that record do not count. */
static const char ACQUITTED_GROUP[] = "chasqui-acquitted";

struct output {
    const char *topic;
    int32_t partition;
    struct cq_span key, value;
    int64_t at_ms;
    const struct bus_record *dead; /* a dead letter: this record as it came … */
    const char *why;               /* … and the reason */
};

struct stage_out {
    struct cq_arena *arena; /* keys and values of the turn */
    struct output *v;
    size_t n;
    size_t bytes;
};

/* How far a partition of the input is done and how much of that is committed. */
struct progress {
    bool owned;
    int64_t next;
    int64_t committed;
    bool noted;  /* that this start is one more at `next` */
    int careful; /* records that are still to be stepped one by one */
    struct suspect suspect;
};

struct stage {
    struct stage_conf conf;
    struct consumer *consumer; /* owned */
    struct producer *producer; /* owned */
    struct stage_out out;
    struct bus_record recs[BATCH_MAX]; /* owned until released; [0, recs_n) */
    int recs_n;
    struct progress progress[PARTITIONS_MAX];
    int64_t committed_ms;
    int64_t shown_ms;
    int64_t turn_ms; /* when the last turn with records began … */
    int pace_ms;     /* … and how long after it the next one may */
    uint64_t place;  /* inside the first record: where its next step begins */
    int tries;       /* steps of the first record that found no room in an empty turn */
    int again;       /* turns in a row that did nothing */
    struct bus_guard guard;
    bool failed_report;
    bool in_turn;    /* the state behind ops->meta is ahead of `next` */
    char why[320];   /* of CQ_FATAL */
    char stuck[160]; /* why a record that makes no progress is a dead letter */
};

static enum cq_status fatal(struct stage *s, const char *what, const char *detail)
{
    snprintf(s->why, sizeof s->why, "%s%s%s", what, *detail ? ": " : "", detail);
    return CQ_FATAL;
}

const char *stage_error(const struct stage *s)
{
    return s->why;
}

static void release_records(struct stage *s, int from, int to)
{
    for (int i = from; i < to; i++)
        record_release(&s->recs[i]);
}

static const char *meta_of(struct stage *s, int32_t partition, char *buf, size_t cap)
{
    char front[SUSPECT_TEXT_MAX];
    size_t k = suspect_format(&s->progress[partition].suspect, front);
    size_t n =
        s->conf.ops->meta ? s->conf.ops->meta(s->conf.arg, partition, buf + k, cap - k - 1) : 0;

    memcpy(buf, front, k);
    buf[n < cap - k ? k + n : k] = '\0';
    return buf;
}

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct stage *s = arg;
    struct progress *pr;

    (void)topic;
    (void)ret_from; /* the commit, or the log's start when there is none */
    if (partition < 0 || partition >= PARTITIONS_MAX)
        return CQ_FATAL;
    pr = &s->progress[partition];
    *pr = (struct progress){ .owned = true, .next = committed, .committed = committed };
    meta = suspect_parse(meta, &pr->suspect);
    if (pr->suspect.starts >= SUSPECT_STARTS)
        pr->careful = s->conf.batch_max; /* the record that kills is in the first turn */
    return s->conf.ops->assigned ? s->conf.ops->assigned(s->conf.arg, partition, committed, meta)
                                 : CQ_OK;
}

/* The eager protocol takes every partition at once and hands out again from the commits, so what
 * was gathered and not stepped is dropped: it will come again. */
static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct stage *s = arg;
    struct progress *pr = &s->progress[partition];
    char meta[BUS_META_MAX + 1];

    release_records(s, 0, s->recs_n);
    s->recs_n = 0;
    s->place = 0;
    s->tries = 0;
    /* In the middle of a turn that failed, the text would speak of records that are not done. */
    if (!lost && !s->in_turn && pr->next > pr->committed &&
        consumer_commit_wait(s->consumer, topic, partition, pr->next,
                             meta_of(s, partition, meta, sizeof meta)) != CQ_OK)
        log_debug("commit_at_revoke_failed", LOG_I("partition", partition));
    *pr = (struct progress){ 0 };
    if (s->conf.ops->revoked)
        s->conf.ops->revoked(s->conf.arg, partition);
}

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct stage *s = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    if (st != CQ_OK)
        s->failed_report = true;
}

static const struct consumer_ops stage_consumer_ops = { on_assigned, on_revoked };

enum cq_status stage_new(const struct stage_conf *conf, struct stage **ret)
{
    struct stage *s = calloc(1, sizeof *s);
    struct producer_conf pc = {
        .brokers = conf->brokers,
        .client_id = conf->client_id,
        .linger_ms = LINGER_MS,
        .message_timeout_ms = 0, /* for ever: a stage does not go on without its outputs */
        .queue_max_records = OUTPUTS_MAX,
        .queue_max_kib = OUT_BYTES_MAX / 1024,
        .report = on_report,
        .arg = s,
    };
    struct consumer_conf cc = {
        .brokers = conf->brokers,
        .client_id = conf->client_id,
        .group = conf->group,
        .instance = conf->instance,
        .topics = &conf->topic,
        .topics_n = 1,
        .session_timeout_ms = conf->session_timeout_ms,
        .fetch_wait_ms = conf->fetch_wait_ms,
        .ops = &stage_consumer_ops,
        .arg = s,
    };

    if (!s)
        return CQ_FATAL;
    s->conf = *conf;
    s->guard = (struct bus_guard){ .outputs = conf->outputs,
                                   .outputs_n = conf->outputs_n,
                                   .reader = conf->reader };
    if (s->conf.batch_max <= 0 || s->conf.batch_max > BATCH_MAX)
        s->conf.batch_max = BATCH_MAX;
    s->out.arena = arena_new(OUT_BYTES_MAX);
    s->out.v = calloc(OUTPUTS_MAX, sizeof *s->out.v);
    if (!s->out.v || producer_new(&pc, &s->producer) != CQ_OK ||
        consumer_new(&cc, &s->consumer) != CQ_OK) {
        stage_free(s);
        return CQ_FATAL;
    }
    *ret = s;
    return CQ_OK;
}

void stage_free(struct stage *s)
{
    if (!s)
        return;
    release_records(s, 0, s->recs_n);
    s->recs_n = 0;
    consumer_free(s->consumer);
    producer_free(s->producer);
    arena_free(s->out.arena);
    free(s->out.v);
    free(s);
}

enum cq_status stage_emit(struct stage_out *out, const char *topic, int32_t partition,
                          struct cq_span key, struct cq_span value, int64_t at_ms)
{
    struct output *o;

    if (out->n == OUTPUTS_MAX)
        return CQ_FATAL;
    o = &out->v[out->n];
    *o = (struct output){ .topic = topic, .partition = partition, .at_ms = at_ms };
    o->key = arena_copy(out->arena, key);
    o->value = arena_copy(out->arena, value);
    if ((key.n && !o->key.p) || (value.n && !o->value.p))
        return CQ_FATAL;
    out->bytes += key.n + value.n;
    out->n++;
    return CQ_OK;
}

size_t stage_room(const struct stage_out *out)
{
    return out->bytes < OUT_BYTES_SOFT && out->n < OUTPUTS_SOFT ? OUT_BYTES_SOFT - out->bytes : 0;
}

static enum cq_status emit_dead(struct stage *s, const struct bus_record *rec, const char *why)
{
    CQ_ASSERT(s->out.n <= OUTPUTS_MAX, s->out.n);
    if (s->out.n == OUTPUTS_MAX)
        return CQ_FATAL;
    s->out.v[s->out.n++] = (struct output){ .dead = rec, .why = why };
    return CQ_OK;
}

/* How long to wait for the next record: for the first one as the caller says; for more only while
 * the turn before has just begun, so that a record that comes alone is never held up. */
static int wait_for(const struct stage *s, int wait_ms)
{
    if (!s->recs_n)
        return wait_ms;
    return clock_left_ms(s->turn_ms + s->pace_ms);
}

static enum cq_status gather(struct stage *s, int wait_ms)
{
    size_t bytes = 0;

    for (int i = 0; i < s->recs_n; i++)
        bytes += s->recs[i].value.n;
    while (s->recs_n < s->conf.batch_max && bytes < s->conf.batch_max_bytes) {
        struct bus_record rec;
        enum cq_status st = consumer_poll(s->consumer, wait_for(s, wait_ms), &rec);

        if (st != CQ_OK)
            return st;
        if (!rec.topic && !wait_for(s, 0))
            break;
        if (!rec.topic)
            continue; /* an event of the library, or a wake-up: time is left */
        bytes += rec.value.n;
        s->recs[s->recs_n++] = rec;
    }
    if (s->recs_n) {
        s->turn_ms = clock_mono_ms();
        s->pace_ms = pace_ms((size_t)s->recs_n, TURN_EVERY_MS, TURN_SLOWER, TURN_SLOWEST_MS);
    }
    return CQ_OK;
}

/* The first record found no room although the turn is empty. CQ_OK: it is a dead letter now. */
static enum cq_status note_try(struct stage *s, const char *why)
{
    if (!s->conf.tries_max || ++s->tries < s->conf.tries_max)
        return CQ_AGAIN;
    snprintf(s->stuck, sizeof s->stuck, "made no progress in %d tries: %s", s->tries, why);
    s->place = 0;
    s->tries = 0;
    return emit_dead(s, &s->recs[0], s->stuck);
}

/* Step record `i`. CQ_OK: it is done. CQ_AGAIN: the turn ends before or inside it. */
static enum cq_status step_one(struct stage *s, int i)
{
    static const char undecodable[] = "cannot be decoded",
                      too_dear[] = "needs more memory or output than a turn may have";
    struct stage_out *out = &s->out;
    size_t n = out->n, bytes = out->bytes;
    uint64_t place = i ? 0 : s->place;
    uint64_t from = place;
    const char *why = undecodable;
    enum cq_status st = s->conf.ops->step(s->conf.arg, &s->recs[i], &place, out, &why);

    if (st == CQ_POISON || (st == CQ_AGAIN && place == from)) {
        out->n = n; /* what it emitted never was */
        out->bytes = bytes;
    }
    if (st == CQ_POISON) {
        s->place = 0;
        return emit_dead(s, &s->recs[i], why);
    }
    if (st == CQ_AGAIN && place == from)
        return i ? CQ_AGAIN : note_try(s, why == undecodable ? too_dear : why);
    if (st != CQ_OK && st != CQ_AGAIN)
        snprintf(s->why, sizeof s->why, "the step of record %lld of partition %d: %s",
                 (long long)s->recs[i].offset, s->recs[i].partition,
                 why == undecodable ? "not possible" : why);
    s->place = st == CQ_AGAIN ? place : 0;
    s->tries = 0;
    return st;
}

/* Step up to `most` records until a full output or CQ_AGAIN. Returns how many are done in
 * *ret_done. */
static enum cq_status step_records(struct stage *s, int most, int *ret_done)
{
    enum cq_status st = CQ_OK;
    int i;

    for (i = 0; i < most && stage_room(&s->out); i++) {
        st = step_one(s, i);
        if (st != CQ_OK)
            break;
    }
    if (st != CQ_OK && st != CQ_AGAIN)
        return st;
    *ret_done = i;
    return s->conf.ops->turn_end ? s->conf.ops->turn_end(s->conf.arg, &s->out) : CQ_OK;
}

/* Before the first step after a start: note one more start at this position. Waits for the commit,
 * or the note would be lost with the process. */
static void note_starts(struct stage *s)
{
    char meta[BUS_META_MAX + 1];

    for (int i = 0; i < s->recs_n; i++) {
        int32_t p = s->recs[i].partition;
        struct progress *pr = &s->progress[p];

        if (pr->noted)
            continue;
        pr->noted = true;
        pr->suspect.starts++;
        if (pr->next < 0)
            pr->next = pr->committed = s->recs[i].offset;
        if (consumer_commit_wait(s->consumer, s->conf.topic, p, pr->next,
                                 meta_of(s, p, meta, sizeof meta)) != CQ_OK)
            log_debug("start_not_noted", LOG_I("partition", p));
    }
}

/* ---- notes that outlive a step that went well. When a partition is lost in the middle of a step,
 * its note stays in the text of the commit, which belongs to the next owner by then. So another
 * group, without members, keeps how many of a record's notes do not count. */

struct acquitted {
    int64_t at;
    int32_t n;
};

static void on_acquitted(void *arg, int32_t partition, int64_t next, const char *meta)
{
    struct acquitted *a = arg;

    (void)partition;
    if (next == a->at)
        a->n = (int32_t)strtol(meta, NULL, 10);
}

static enum cq_status read_acquitted(struct stage *s, rd_kafka_t *rk, int32_t partition, int64_t at,
                                     int32_t *ret)
{
    struct acquitted a = { .at = at };
    enum cq_status st =
        rk ? places_commits(rk, s->conf.topic, partition, 1, on_acquitted, &a) : CQ_AGAIN;

    *ret = a.n;
    return st;
}

static enum cq_status acquit(struct stage *s, int32_t partition, int64_t at)
{
    rd_kafka_t *rk = places_open(s->conf.brokers, ACQUITTED_GROUP);
    int32_t n;
    char text[16];
    enum cq_status st = read_acquitted(s, rk, partition, at, &n);

    snprintf(text, sizeof text, "%d", n + 1);
    if (st == CQ_OK && places_move(rk, s->conf.topic, partition, at, text))
        st = CQ_AGAIN;
    places_close(rk);
    return st;
}

/* The step ended: remove its note, or record that it does not count. */
static void take_back(struct stage *s, int32_t partition, int64_t at, const char *before)
{
    for (int i = 0; i < ACQUIT_TRIES; i++) {
        if (consumer_commit_wait(s->consumer, s->conf.topic, partition, s->progress[partition].next,
                                 before) == CQ_OK ||
            acquit(s, partition, at) == CQ_OK)
            return;
        clock_sleep_ms(backoff_ms(i, 50, 1000));
    }
    log_debug("word_not_taken_back", LOG_I("partition", partition));
}

/* Whether the notes about the record say that it killed its process. CQ_AGAIN: they cannot be
 * counted now. */
static enum cq_status judge(struct stage *s, const struct bus_record *rec, bool *ret_guilty)
{
    const struct suspect *suspect = &s->progress[rec->partition].suspect;
    rd_kafka_t *rk;
    int32_t n;
    enum cq_status st;

    *ret_guilty = suspect->at == rec->offset && suspect->kills >= SUSPECT_KILLS;
    if (!*ret_guilty)
        return CQ_OK;
    rk = places_open(s->conf.brokers, ACQUITTED_GROUP);
    st = read_acquitted(s, rk, rec->partition, rec->offset, &n);
    places_close(rk);
    *ret_guilty = suspect->kills - n >= SUSPECT_KILLS;
    return st;
}

/* Step one record, with a note in the text of the commit meanwhile, which stays there if the
 * process dies. */
static enum cq_status step_carefully(struct stage *s, int *ret_done)
{
    const struct bus_record *rec = &s->recs[0];
    struct progress *pr = &s->progress[rec->partition];
    char text[BUS_META_MAX + 1], front[SUSPECT_TEXT_MAX], before[BUS_META_MAX + 1];
    struct suspect none, before_step;
    bool guilty;
    enum cq_status st = judge(s, rec, &guilty);

    if (st != CQ_OK)
        return st;
    if (guilty) {
        pr->suspect.at = -1;
        pr->suspect.kills = 0;
        count_add(COUNT_KILLERS, 1);
        *ret_done = 1;
        return emit_dead(s, rec, "killed its process");
    }
    /* The note counts this step as a death; it is removed when the step ends. If the commit fails,
     * the state is put back as it was, so that no record is accused of a step that was never
     * made. */
    before_step = pr->suspect;
    pr->suspect.kills = (pr->suspect.at == rec->offset ? pr->suspect.kills : 0) + 1;
    pr->suspect.at = rec->offset;
    meta_of(s, rec->partition, text, sizeof text);
    if (consumer_commit_wait(s->consumer, s->conf.topic, rec->partition, pr->next, text) != CQ_OK) {
        pr->suspect = before_step;
        return CQ_AGAIN; /* without the note a death would leave no trace */
    }
    st = step_records(s, 1, ret_done);
    if (st != CQ_OK)
        return st;
    pr->suspect.at = -1;
    pr->suspect.kills = 0;
    /* The state behind ops->meta has moved, the position has not: the text of before. */
    suspect_format(&pr->suspect, front);
    snprintf(before, sizeof before, "%s%.*s", front, BUS_META_MAX - SUSPECT_TEXT_MAX,
             suspect_parse(text, &none));
    take_back(s, rec->partition, rec->offset, before);
    return CQ_OK;
}

/* Records of partitions that need no care, up to the first that does. */
static enum cq_status step_turn(struct stage *s, int *ret_done)
{
    int n = 0;

    note_starts(s);
    while (n < s->recs_n && !s->progress[s->recs[n].partition].careful)
        n++;
    return n ? step_records(s, n, ret_done) : step_carefully(s, ret_done);
}

static enum cq_status send_output(struct stage *s, const struct output *o)
{
    if (o->dead)
        return dead_letter_send(s->producer, o->dead, o->why, s->conf.worker, clock_wall_ms(), 0);
    return producer_send(s->producer, &(struct bus_send){ .topic = o->topic,
                                                          .partition = o->partition,
                                                          .key = o->key,
                                                          .value = o->value,
                                                          .at_ms = o->at_ms });
}

/* An output that ends before what its readers have read: they would skip what is written to it
 * now. */
static enum cq_status check_outputs(struct stage *s)
{
    return s->out.n ? bus_guard_check(&s->guard, s->producer, s->why, sizeof s->why) : CQ_OK;
}

/* Everything out, every report in. A delivery error is fatal: the turn is repeated after a
 * restart. */
static enum cq_status publish(struct stage *s)
{
    if (check_outputs(s) != CQ_OK)
        return CQ_FATAL;
    for (size_t i = 0; i < s->out.n; i++) {
        enum cq_status st;

        while ((st = send_output(s, &s->out.v[i])) == CQ_AGAIN)
            producer_flush(s->producer, SERVE_MS);
        if (st != CQ_OK) /* too large or unknown topic is our own bug here */
            return fatal(s, "an output cannot be sent", producer_error(s->producer));
    }
    while (producer_pending(s->producer) > 0 && !s->failed_report) {
        producer_flush(s->producer, SERVE_MS);
        if (producer_is_fatal(s->producer))
            return fatal(s, "the producer ended", producer_error(s->producer));
    }
    if (s->failed_report)
        return fatal(s, "an output failed", producer_error(s->producer));
    return check_outputs(s); /* the broker may have been away meanwhile */
}

static void commit_progress(struct stage *s, bool now)
{
    int64_t at = clock_mono_ms();
    char meta[BUS_META_MAX + 1];

    if (!now && at - s->committed_ms < COMMIT_EVERY_MS)
        return;
    s->committed_ms = at;
    for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
        struct progress *pr = &s->progress[p];

        if (!pr->owned || pr->next <= pr->committed)
            continue;
        consumer_commit(s->consumer, s->conf.topic, p, pr->next, meta_of(s, p, meta, sizeof meta));
        pr->committed = pr->next;
    }
}

static void show(struct stage *s)
{
    int64_t now_ms = clock_mono_ms();

    count_beat(now_ms);
    if (now_ms - s->shown_ms < SHOW_EVERY_MS)
        return;
    s->shown_ms = now_ms;
    consumer_show(s->consumer);
}

static void finish_records(struct stage *s, int done)
{
    CQ_ASSERT(done >= 0 && done <= s->recs_n, done, s->recs_n);
    for (int i = 0; i < done; i++) {
        struct progress *pr = &s->progress[s->recs[i].partition];

        pr->next = s->recs[i].offset + 1;
        if (pr->careful)
            pr->careful--;
        if (!pr->careful)
            pr->suspect = (struct suspect){ 0, -1, 0 };
    }
    release_records(s, 0, done);
    memmove(s->recs, s->recs + done, sizeof s->recs[0] * (size_t)(s->recs_n - done));
    s->recs_n -= done;
}

/* A turn that does nothing is repeated. A gauge and /healthz tell when that goes on. */
static void note_turn(struct stage *s, bool did_something)
{
    s->again = did_something ? 0 : s->again + 1;
    count_repeats(s->again, clock_mono_ms());
}

enum cq_status stage_turn(struct stage *s, int wait_ms)
{
    enum cq_status st = gather(s, wait_ms);
    uint64_t from;
    int done = 0;

    if (st != CQ_OK)
        return fatal(s, "the input ended", consumer_error(s->consumer));
    producer_serve(s->producer, 0);
    show(s);
    if (!s->recs_n) {
        if (s->again)
            note_turn(s, true); /* the partition that repeated went to another owner */
        commit_progress(s, false);
        return CQ_OK;
    }
    arena_reset(s->out.arena);
    s->out.n = s->out.bytes = 0;
    s->in_turn = true;
    from = s->place;
    st = step_turn(s, &done);
    if (st != CQ_OK && st != CQ_AGAIN)
        return *s->why ? CQ_FATAL : fatal(s, "a turn", "its outputs do not fit");
    if (publish(s) != CQ_OK)
        return CQ_FATAL;
    finish_records(s, done);
    s->in_turn = false;
    commit_progress(s, false);
    count_set(COUNT_BATCH, done);
    note_turn(s, done || s->place != from);
    count_add(s->again ? COUNT_TURNS_AGAIN : COUNT_TURNS, 1);
    if (s->again)
        clock_sleep_ms(backoff_ms(s->again, 20, 1000));
    return CQ_OK;
}

enum cq_status stage_join(struct stage *s, const volatile int *stop)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MS;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*stop && !consumer_owned(s->consumer) && clock_mono_ms() < until_ms)
        st = stage_turn(s, COMMIT_EVERY_MS);
    return st;
}

enum cq_status stage_run(struct stage *s, const volatile int *stop)
{
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*stop)
        st = stage_turn(s, COMMIT_EVERY_MS);
    if (st == CQ_OK)
        commit_progress(s, true);
    return st;
}

struct consumer *stage_consumer(struct stage *s)
{
    return s->consumer;
}
