/* SPDX-License-Identifier: MIT */
#include "lib/bus/stage.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/bus/hold.h"
#include "lib/bus/proving.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH_MAX = 4096,                  /* records in one turn, whatever the configuration says */
    OUTPUTS_SOFT = 32 * 1024,          /* a turn ends early at this many records of output … */
    OUTPUTS_MAX = 64 * 1024,           /* … and may not pass this many */
    OUT_BYTES_SOFT = 16 * 1024 * 1024, /* a turn ends early at this many bytes of output … */
    OUT_BYTES_MAX = 96 * 1024 * 1024,  /* … and may not pass this many */
    COMMIT_EVERY_MS = 200,             /* a commit lost to a crash only means more replay */
    SERVE_MS = 100,
    LINGER_MS = 1000, /* the outputs of a turn leave together, with the flush at its end */
    NOTE_MS = 10000,  /* for the broker to answer about a note; then the turn is repeated */
    /* Under load turns do not begin more often: each costs a request for each partition it writes
     * to, however few records are in it. The more there are, the less it matters to wait for more.
     */
    TURN_EVERY_MS = 1,
    TURN_SLOWER = 4,     /* records of the last turn that make the pace a millisecond slower … */
    TURN_SLOWEST_MS = 4, /* … up to this */
};

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

struct stage {
    struct stage_conf conf;
    struct holds holds;        /* of the input */
    struct producer *producer; /* owned */
    struct stage_out out;
    struct bus_record recs[BATCH_MAX]; /* owned until released; [0, recs_n) */
    int recs_n;
    uint64_t place; /* inside the first record: where its next step begins */
    int tries;      /* steps of the first record that found no room in an empty turn */
    int again;      /* turns in a row that did nothing */
    struct bus_guard guard;
    struct proving proving;
    bool failed_report;
    bool in_turn;    /* the state behind ops->meta is ahead of `next` */
    char why[320];   /* of CQ_FATAL */
    char stuck[160]; /* why a record that makes no progress is a dead letter */
};

static enum cq_status fatal(struct stage *stage, const char *what, const char *detail)
{
    snprintf(stage->why, sizeof stage->why, "%s%s%s", what, *detail ? ": " : "", detail);
    return CQ_FATAL;
}

const char *stage_error(const struct stage *stage)
{
    return stage->why;
}

static void release_records(struct stage *stage, int from, int to)
{
    for (int i = from; i < to; i++)
        record_release(&stage->recs[i]);
}

static enum cq_status on_assigned(void *arg, struct hold *hold, const char *meta, int64_t *ret_from)
{
    struct stage *stage = arg;
    enum cq_status st = proving_take(&stage->proving, stage->producer, hold->partition, &meta,
                                     stage->why, sizeof stage->why);

    (void)ret_from; /* the commit, or the log's start when there is none */
    return st == CQ_OK && stage->conf.ops->assigned
               ? stage->conf.ops->assigned(stage->conf.arg, hold->partition, hold->next, meta)
               : st;
}

/* The eager protocol takes every partition at once and hands out again from the commits, so what
 * was gathered and not stepped is dropped: it will come again. */
static bool on_leaving(void *arg, struct hold *hold, bool lost)
{
    struct stage *stage = arg;

    (void)hold;
    (void)lost;
    release_records(stage, 0, stage->recs_n);
    stage->recs_n = 0;
    stage->place = 0;
    stage->tries = 0;
    /* In the middle of a turn that failed, the text would speak of records that are not done. */
    return !stage->in_turn;
}

static void on_revoked(void *arg, struct hold *hold)
{
    struct stage *stage = arg;

    if (stage->conf.ops->revoked)
        stage->conf.ops->revoked(stage->conf.arg, hold->partition);
}

static size_t on_meta(void *arg, const struct hold *hold, char *buf, size_t cap)
{
    struct stage *stage = arg;
    char front[PROOF_TEXT_MAX];
    size_t n = proving_format(&stage->proving, hold->partition, hold->next, front);

    if (n >= cap)
        return 0;
    memcpy(buf, front, n);
    return n + (stage->conf.ops->meta
                    ? stage->conf.ops->meta(stage->conf.arg, hold->partition, buf + n, cap - n)
                    : 0);
}

static const struct hold_ops hold_ops = { on_assigned, on_leaving, on_revoked, on_meta };

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct stage *stage = arg;

    if (st != CQ_OK)
        stage->failed_report = true;
    else
        proving_stored(&stage->proving, opaque, partition, offset);
}

enum cq_status stage_new(const struct stage_conf *conf, struct stage **ret)
{
    struct stage *stage = calloc(1, sizeof *stage);
    struct producer_conf pc = {
        .brokers = conf->brokers,
        .client_id = conf->client_id,
        .linger_ms = LINGER_MS,
        .message_timeout_ms = 0, /* for ever: a stage does not go on without its outputs */
        .queue_max_records = OUTPUTS_MAX,
        .queue_max_kib = OUT_BYTES_MAX / 1024,
        .report = on_report,
        .arg = stage,
    };
    const struct proving_conf vc = { .outputs = conf->proven,
                                     .outputs_n = conf->proven_n,
                                     .topics = conf->outputs,
                                     .topics_n = conf->outputs_n,
                                     .reader = conf->reader };
    struct holds_conf hc = {
        .consumer = { .brokers = conf->brokers,
                      .client_id = conf->client_id,
                      .group = conf->group,
                      .instance = conf->instance,
                      .topics = &conf->topic,
                      .topics_n = 1,
                      .session_timeout_ms = conf->session_timeout_ms,
                      .fetch_wait_ms = conf->fetch_wait_ms },
        .ops = &hold_ops,
        .arg = stage,
        .commit_every_ms = COMMIT_EVERY_MS,
        .turn_every_ms = TURN_EVERY_MS,
        .turn_slower = TURN_SLOWER,
        .turn_slowest_ms = TURN_SLOWEST_MS,
    };

    if (!stage)
        return CQ_FATAL;
    stage->conf = *conf;
    stage->guard = (struct bus_guard){ .outputs = conf->outputs,
                                       .outputs_n = conf->outputs_n,
                                       .reader = conf->reader };
    if (stage->conf.batch_max <= 0 || stage->conf.batch_max > BATCH_MAX)
        stage->conf.batch_max = BATCH_MAX;
    hc.careful_n = stage->conf.batch_max; /* the record that kills is in the first turn */
    stage->out.arena = arena_new(OUT_BYTES_MAX);
    stage->out.v = calloc(OUTPUTS_MAX, sizeof *stage->out.v);
    if (!stage->out.v || proving_init(&stage->proving, &vc) != CQ_OK ||
        producer_new(&pc, &stage->producer) != CQ_OK || holds_open(&stage->holds, &hc) != CQ_OK) {
        stage_free(stage);
        return CQ_FATAL;
    }
    *ret = stage;
    return CQ_OK;
}

void stage_free(struct stage *stage)
{
    if (!stage)
        return;
    release_records(stage, 0, stage->recs_n);
    stage->recs_n = 0;
    holds_close(&stage->holds);
    producer_free(stage->producer);
    arena_free(stage->out.arena);
    free(stage->out.v);
    proving_release(&stage->proving);
    free(stage);
}

enum cq_status stage_emit(struct stage_out *out, const char *topic, int32_t partition,
                          struct cq_span key, struct cq_span value, int64_t at_ms)
{
    struct output *output;

    if (out->n == OUTPUTS_MAX)
        return CQ_FATAL;
    output = &out->v[out->n];
    *output = (struct output){ .topic = topic, .partition = partition, .at_ms = at_ms };
    output->key = arena_copy(out->arena, key);
    output->value = arena_copy(out->arena, value);
    if ((key.n && !output->key.p) || (value.n && !output->value.p))
        return CQ_FATAL;
    out->bytes += key.n + value.n;
    out->n++;
    return CQ_OK;
}

size_t stage_room(const struct stage_out *out)
{
    return out->bytes < OUT_BYTES_SOFT && out->n < OUTPUTS_SOFT ? OUT_BYTES_SOFT - out->bytes : 0;
}

static enum cq_status emit_dead(struct stage *stage, const struct bus_record *rec, const char *why)
{
    CQ_ASSERT(stage->out.n <= OUTPUTS_MAX, stage->out.n);
    if (stage->out.n == OUTPUTS_MAX)
        return CQ_FATAL;
    stage->out.v[stage->out.n++] = (struct output){ .dead = rec, .why = why };
    return CQ_OK;
}

/* How long to wait for the next record: for the first one as the caller says; for more only while
 * the turn before has just begun, so that a record that comes alone is never held up. */
static int wait_for(const struct stage *stage, int wait_ms)
{
    if (!stage->recs_n)
        return wait_ms;
    return holds_left_ms(&stage->holds);
}

/* What the library has to tell, such as that a partition went. A record that comes goes back. */
static enum cq_status listen(struct stage *stage)
{
    struct bus_record rec;
    struct hold *hold;
    enum cq_status st = holds_poll(&stage->holds, 0, &rec, &hold);

    if (st != CQ_OK || !rec.topic)
        return st;
    hold_seek(&stage->holds, hold, rec.offset);
    record_release(&rec);
    return CQ_OK;
}

static enum cq_status gather(struct stage *stage, int wait_ms)
{
    size_t bytes = 0;
    enum cq_status st =
        stage->again && stage->recs_n ? listen(stage) : CQ_OK; /* its batch may be full */

    if (st != CQ_OK)
        return st;
    for (int i = 0; i < stage->recs_n; i++)
        bytes += stage->recs[i].value.n;
    while (stage->recs_n < stage->conf.batch_max && bytes < stage->conf.batch_max_bytes) {
        struct bus_record rec;
        struct hold *hold;

        st = holds_poll(&stage->holds, wait_for(stage, wait_ms), &rec, &hold);
        if (st != CQ_OK)
            return st;
        if (!rec.topic && !wait_for(stage, 0))
            break;
        if (!rec.topic)
            continue; /* an event of the library, or a wake-up: time is left */
        bytes += rec.value.n;
        stage->recs[stage->recs_n++] = rec;
    }
    if (stage->recs_n)
        holds_turn(&stage->holds, stage->recs_n);
    return CQ_OK;
}

/* The first record found no room although the turn is empty. CQ_OK: it is a dead letter now. */
static enum cq_status note_try(struct stage *stage, const char *why)
{
    if (!stage->conf.tries_max || ++stage->tries < stage->conf.tries_max)
        return CQ_AGAIN;
    snprintf(stage->stuck, sizeof stage->stuck, "made no progress in %d tries: %s", stage->tries,
             why);
    stage->place = 0;
    stage->tries = 0;
    return emit_dead(stage, &stage->recs[0], stage->stuck);
}

/* Step record `i`. CQ_OK: it is done. CQ_AGAIN: the turn ends before or inside it. */
static enum cq_status step_one(struct stage *stage, int i)
{
    static const char undecodable[] = "cannot be decoded",
                      too_dear[] = "needs more memory or output than a turn may have";
    struct stage_out *out = &stage->out;
    size_t n = out->n, bytes = out->bytes;
    uint64_t place = i ? 0 : stage->place;
    uint64_t from = place;
    const char *why = undecodable;
    enum cq_status st = stage->conf.ops->step(stage->conf.arg, &stage->recs[i], &place, out, &why);

    if (st == CQ_POISON || (st == CQ_AGAIN && place == from)) {
        out->n = n; /* what it emitted never was */
        out->bytes = bytes;
    }
    if (st == CQ_POISON) {
        stage->place = 0;
        return emit_dead(stage, &stage->recs[i], why);
    }
    if (st == CQ_AGAIN && place == from)
        return i ? CQ_AGAIN : note_try(stage, why == undecodable ? too_dear : why);
    if (st != CQ_OK && st != CQ_AGAIN)
        snprintf(stage->why, sizeof stage->why, "the step of record %lld of partition %d: %s",
                 (long long)stage->recs[i].offset, stage->recs[i].partition,
                 why == undecodable ? "not possible" : why);
    stage->place = st == CQ_AGAIN ? place : 0;
    stage->tries = 0;
    return st;
}

/* Step up to `most` records until a full output or CQ_AGAIN. Returns how many are done in
 * *ret_done. */
static enum cq_status step_records(struct stage *stage, int most, int *ret_done)
{
    enum cq_status st = CQ_OK;
    int i;

    for (i = 0; i < most && stage_room(&stage->out); i++) {
        st = step_one(stage, i);
        if (st != CQ_OK)
            break;
    }
    if (st != CQ_OK && st != CQ_AGAIN)
        return st;
    *ret_done = i;
    return stage->conf.ops->turn_end ? stage->conf.ops->turn_end(stage->conf.arg, &stage->out)
                                     : CQ_OK;
}

static struct hold *hold_of(struct stage *stage, int i)
{
    return holds_at(&stage->holds, 0, stage->recs[i].partition); /* of the one topic */
}

/* Step one record, with a note about it meanwhile. */
static enum cq_status step_carefully(struct stage *stage, int *ret_done)
{
    const char *why;
    enum cq_status st = hold_enter(&stage->holds, &stage->recs[0], NOTE_MS, &why);

    if (st == CQ_POISON) {
        *ret_done = 1;
        return emit_dead(stage, &stage->recs[0], why);
    }
    if (st != CQ_OK)
        return st;
    st = step_records(stage, 1, ret_done);
    while (st == CQ_OK && hold_leave(&stage->holds, NOTE_MS) == CQ_AGAIN)
        log_debug("note_not_removed", LOG_I("partition", stage->recs[0].partition));
    return st;
}

/* Records of partitions that need no care, up to the first that does. */
static enum cq_status step_turn(struct stage *stage, int *ret_done)
{
    int n = 0;

    for (int i = 0; i < stage->recs_n; i++)
        hold_note_start(&stage->holds, hold_of(stage, i), stage->recs[i].offset);
    while (n < stage->recs_n && !hold_of(stage, n)->careful)
        n++;
    return n ? step_records(stage, n, ret_done) : step_carefully(stage, ret_done);
}

static enum cq_status send_output(struct stage *stage, const struct output *output)
{
    if (output->dead)
        return dead_letter_send(stage->producer, output->dead, output->why, stage->conf.worker,
                                clock_wall_ms(), 0);
    return producer_send(stage->producer, &(struct bus_send){ .topic = output->topic,
                                                              .partition = output->partition,
                                                              .key = output->key,
                                                              .value = output->value,
                                                              .at_ms = output->at_ms,
                                                              .opaque = proving_output(
                                                                  &stage->proving, output->topic,
                                                                  output->partition) });
}

/* An output that ends before what its readers have read: they would skip what is written to it
 * now. */
static enum cq_status check_outputs(struct stage *stage)
{
    return stage->out.n
               ? bus_guard_check(&stage->guard, stage->producer, stage->why, sizeof stage->why)
               : CQ_OK;
}

/* Everything out, every report in. A delivery error is fatal: the turn is repeated after a
 * restart. */
static enum cq_status publish(struct stage *stage)
{
    if (check_outputs(stage) != CQ_OK)
        return CQ_FATAL;
    for (size_t i = 0; i < stage->out.n; i++) {
        enum cq_status st;

        while ((st = send_output(stage, &stage->out.v[i])) == CQ_AGAIN)
            producer_flush(stage->producer, SERVE_MS);
        if (st != CQ_OK) /* too large or unknown topic is our own bug here */
            return fatal(stage, "an output cannot be sent", producer_error(stage->producer));
    }
    while (producer_pending(stage->producer) > 0 && !stage->failed_report) {
        producer_flush(stage->producer, SERVE_MS);
        if (producer_is_fatal(stage->producer))
            return fatal(stage, "the producer ended", producer_error(stage->producer));
    }
    if (stage->failed_report)
        return fatal(stage, "an output failed", producer_error(stage->producer));
    return check_outputs(stage); /* the broker may have been away meanwhile */
}

static void finish_records(struct stage *stage, int done)
{
    CQ_ASSERT(done >= 0 && done <= stage->recs_n, done, stage->recs_n);
    for (int i = 0; i < done; i++) {
        struct hold *hold = hold_of(stage, i);

        hold_done(hold, stage->recs[i].offset + 1);
        hold_stepped(hold);
    }
    release_records(stage, 0, done);
    memmove(stage->recs, stage->recs + done,
            sizeof stage->recs[0] * (size_t)(stage->recs_n - done));
    stage->recs_n -= done;
}

/* A turn that does nothing is repeated. A gauge and /healthz tell when that goes on. */
static void note_turn(struct stage *stage, bool did_something)
{
    stage->again = did_something ? 0 : stage->again + 1;
    count_repeats(stage->again, clock_mono_ms());
}

enum cq_status stage_turn(struct stage *stage, int wait_ms)
{
    enum cq_status st = gather(stage, wait_ms);
    uint64_t from;
    int done = 0;

    if (st != CQ_OK) /* why a partition could not be taken was said already */
        return *stage->why ? CQ_FATAL
                           : fatal(stage, "the input ended", consumer_error(stage->holds.consumer));
    producer_serve(stage->producer, 0);
    holds_show(&stage->holds, stage->recs_n);
    if (!stage->recs_n) {
        if (stage->again)
            note_turn(stage, true); /* the partition that repeated went to another owner */
        holds_commit(&stage->holds, false);
        return CQ_OK;
    }
    arena_reset(stage->out.arena);
    stage->out.n = stage->out.bytes = 0;
    stage->in_turn = true;
    from = stage->place;
    st = step_turn(stage, &done);
    if (st != CQ_OK && st != CQ_AGAIN)
        return *stage->why ? CQ_FATAL : fatal(stage, "a turn", "its outputs do not fit");
    if (publish(stage) != CQ_OK)
        return CQ_FATAL;
    finish_records(stage, done);
    stage->in_turn = false;
    holds_commit(&stage->holds, false);
    count_set(COUNT_BATCH, done);
    note_turn(stage, done || stage->place != from);
    count_add(stage->again ? COUNT_TURNS_AGAIN : COUNT_TURNS, 1);
    if (stage->again)
        clock_sleep_ms(backoff_ms(stage->again, 20, 1000));
    return CQ_OK;
}

static enum cq_status join_turn(void *loop, int wait_ms)
{
    return stage_turn(loop, wait_ms);
}

enum cq_status stage_join(struct stage *stage, const volatile int *stop)
{
    return holds_join(&stage->holds, join_turn, stage, COMMIT_EVERY_MS, stop);
}

enum cq_status stage_run(struct stage *stage, const volatile int *stop)
{
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*stop)
        st = stage_turn(stage, COMMIT_EVERY_MS);
    if (st == CQ_OK)
        holds_commit(&stage->holds, true);
    return st;
}
