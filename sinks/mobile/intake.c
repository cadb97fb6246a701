/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/intake.c - partitions that come and go, and records that become pushes.
 */
#include "lib/base/clock.h"
#include "sinks/mobile/lane_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TAKE_MAX = 1000,             /* records a turn */
    QUIET_MS = 3000,             /* a silent push waits for the next of its chat */
    SPAN_HIGH = UNDONE_MAX / 2,  /* above this, jobs that wait at the front are parked … */
    WAITING_MAX = UNDONE_MAX / 4 /* … unless nearly all jobs wait: they would only go in circles */
};

/* ---- what was done before ------------------------------------------------------------- */

/* One id for (record, device): device ids are random, so that folding the offset in keeps them
 * so. */
static struct cq_id done_key(int64_t offset, struct cq_id device)
{
    uint64_t x;

    memcpy(&x, device.b, sizeof x);
    x ^= (uint64_t)offset * 0x9E3779B97F4A7C15ull;
    memcpy(device.b, &x, sizeof x);
    return device;
}

struct scan {
    struct lane *l;
    struct lane_part *part;
    int64_t from;
};

static enum cq_status on_outcome(void *arg, const struct bus_record *rec)
{
    struct scan *s = arg;
    struct push_outcome o;

    arena_reset(s->l->arena);
    if (!rec->value.p ||
        codec_decode(&push_outcome_codec, rec->value, s->l->arena, &o, NULL) != CQ_OK ||
        o.source.offset < s->from)
        return CQ_OK;
    if (!idmap_get(&s->part->done, done_key(o.source.offset, o.device_id)) &&
        !idmap_put(&s->part->done, done_key(o.source.offset, o.device_id), (uint64_t)rec->offset))
        return CQ_OK; /* more than a window can hold: these may be sent twice */
    if (o.source.offset >= s->part->done_until)
        s->part->done_until = o.source.offset + 1;
    return CQ_OK;
}

static enum cq_status read_outcomes(struct lane *l, struct lane_part *part, int32_t partition,
                                    int64_t from, int64_t said)
{
    const char *topic = topic_name(TOPIC_PUSH_OUTCOMES);
    struct scan scan = { l, part, from };
    int64_t first, next;
    enum cq_status st = reader_watermarks(l->reader, topic, partition, &first, &next);

    idmap_init(&part->done, LANE_DONE_MAX);
    part->done_until = 0;
    if (st != CQ_OK)
        return st;
    if (said < first)
        said = first;
    if (said < next)
        st = reader_scan(l->reader, topic, partition, said, next, on_outcome, &scan);
    return st == CQ_OK ? undone_init(&part->undone, from, next) : st;
}

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct lane *l = arg;
    struct lane_part *part;
    int64_t first, next, said;
    enum cq_status st;

    if (partition < 0 || partition >= PARTITIONS_MAX)
        return CQ_FATAL;
    part = &l->parts[partition];
    st = reader_watermarks(l->reader, topic, partition, &first, &next);
    if (st != CQ_OK)
        return st;
    if (committed < first) /* none yet, or older than what is kept */
        committed = first;
    *ret_from = committed;
    part->owned = true;
    part->paused = false;
    part->epoch++;
    part->committed = committed;
    log_debug("lane_assigned", LOG_S("lane", l->conf.name), LOG_I("partition", partition),
              LOG_I("from", committed), LOG_S("meta", meta));
    said = evidence_parse(&l->evidence, meta, l->conf.provider ? l->conf.provider->fingerprint : 0);
    return read_outcomes(l, part, partition, committed, said < 0 ? BUS_FROM_START : said);
}

/* Drop its waiting jobs at once; those with a request or record in flight are dropped when that
 * ends. */
static void drop_jobs(struct lane *l, int32_t partition)
{
    for (int32_t i = 0; l->jobs.v && i < JOBS_MAX; i++) {
        struct job *j = &l->jobs.v[i];

        if (j->phase != JOB_WAITING || j->held->rec.partition != partition)
            continue;
        jobs_unwait(&l->jobs, j);
        lane_forget(l, j);
    }
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct lane *l = arg;
    struct lane_part *part = &l->parts[partition];
    char meta[EVIDENCE_TEXT_MAX];

    if (!part->owned)
        return;
    lane_meta(l, part, meta);
    if (!lost && part->undone.next > part->committed &&
        consumer_commit_wait(l->consumer, topic, partition, part->undone.next, meta) != CQ_OK)
        log_debug("commit_at_revoke_failed", LOG_I("partition", partition));
    part->owned = false;
    part->epoch++;
    undone_release(&part->undone);
    idmap_release(&part->done);
    drop_jobs(l, partition);
}

const struct consumer_ops lane_consumer_ops = { on_assigned, on_revoked };

/* ---- records -------------------------------------------------------------------------- */

/* What one record asks of this lane. */
struct wanted {
    struct cq_id device[LANE_WANTED_MAX];
    int32_t target[LANE_WANTED_MAX]; /* -1: nobody can wake it */
    int32_t n;
    int64_t first; /* lowest outcome of those that were done before */
};

static void want(struct lane_part *part, int64_t offset, struct wanted *w, struct cq_id device,
                 int32_t target)
{
    const uint64_t *before = part->done.n ? idmap_get(&part->done, done_key(offset, device)) : NULL;

    if (before && (w->first < 0 || (int64_t)*before < w->first))
        w->first = (int64_t)*before;
    if (before)
        return;
    w->device[w->n] = device;
    w->target[w->n++] = target;
}

static bool has_target(const struct mobile_push *m, struct cq_id device)
{
    for (size_t i = 0; i < m->targets_n; i++)
        if (id_eq(m->targets[i].device_id, device))
            return true;
    return false;
}

/* Whether it fits the tables below, and says of each target whose it is. */
static bool is_sound(const struct mobile_push *m)
{
    return m->devices_n <= MOBILE_PUSH_TARGETS_MAX && m->targets_n <= MOBILE_PUSH_TARGETS_MAX &&
           (!m->users_n || m->users_n == m->targets_n);
}

static void wanted_of(const struct lane *l, struct lane_part *part, int64_t offset,
                      const struct mobile_push *m, struct wanted *ret)
{
    ret->n = 0;
    ret->first = -1;
    for (size_t i = 0; i < m->targets_n; i++)
        if (l->conf.kinds & 1u << m->targets[i].address.kind)
            want(part, offset, ret, m->targets[i].device_id, (int32_t)i);
    for (size_t i = 0; l->conf.untargeted && i < m->devices_n; i++)
        if (!has_target(m, m->devices[i]))
            want(part, offset, ret, m->devices[i], -1);
}

/* One id for (device, chat); both are random, or hashes. */
static struct cq_id quiet_key(struct cq_id device, struct cq_id chat)
{
    for (size_t i = 0; i < sizeof device.b; i++)
        device.b[i] ^= chat.b[i];
    return device;
}

/* A silent push waits a little and takes along what is read in the same chat meanwhile, so that a
 * chat that is read live does not wake the phone for each message. */
static void start_quiet(struct lane *l, struct job *j, const struct mobile_push *m, int64_t due_ms)
{
    struct cq_id key = quiet_key(j->device, m->chat_id);
    struct job *before = jobs_quiet(&l->jobs, key);

    j->seq = m->seq;
    if (before && before->seq > j->seq) { /* this one was parked meanwhile */
        lane_end(l, j, PUSH_RESULT_ALREADY_DELIVERED, 0, OVERTAKEN);
        return;
    }
    jobs_set_quiet(&l->jobs, j, key);
    if (before && before->read_after < j->read_after)
        j->read_after = before->read_after;
    if (before && before->phase == JOB_WAITING) {
        due_ms = before->due_ms;
        jobs_unwait(&l->jobs, before);
        lane_end(l, before, PUSH_RESULT_ALREADY_DELIVERED, 0, OVERTAKEN);
    } else if (before) {
        before->overtaken = true;
    }
    jobs_wait(&l->jobs, j, due_ms);
}

static void start_job(struct lane *l, struct job *j, const struct mobile_push *m)
{
    int64_t wait_ms = m->not_before_ms ? m->not_before_ms - clock_wall_ms() : 0;

    j->attempt = m->attempt;
    j->read_after = m->read_after;
    if (wait_ms > RETRY_CAP_MS) /* never longer than it was parked for, whatever the clocks say */
        wait_ms = RETRY_CAP_MS;
    if (j->target < 0)
        lane_end(l, j, PUSH_RESULT_NO_PROVIDER, 0, "this device cannot be woken");
    else if (!l->conf.provider)
        lane_end(l, j, PUSH_RESULT_NO_PROVIDER, 0, "no provider is configured");
    else if (m->read_after >= 0)
        start_quiet(l, j, m, clock_mono_ms() + (wait_ms > QUIET_MS ? wait_ms : QUIET_MS));
    else if (wait_ms > 0)
        jobs_wait(&l->jobs, j, clock_mono_ms() + wait_ms);
    else
        job_list_add(&l->jobs, &l->jobs.ready, j);
}

/* The record's pushes are in the table from here on; `rec` is taken over. */
static enum cq_status add_jobs(struct lane *l, struct lane_part *part, struct bus_record *rec,
                               const struct mobile_push *m, const struct wanted *w)
{
    struct held *h = calloc(1, sizeof *h);
    enum cq_status st;

    if (!h)
        return CQ_FATAL;
    *h = (struct held){ .rec = *rec, .epoch = part->epoch };
    st = undone_add(&part->undone, rec->offset, m ? w->n : 1, w->first, &h->name);
    if (st != CQ_OK || (m && !w->n)) {
        free(h);
        record_release(rec);
        return st;
    }
    for (int32_t i = 0; i < (m ? w->n : 1); i++) {
        struct job *j = jobs_add(&l->jobs, h);

        if (!j)
            return CQ_FATAL; /* there was room for a whole record */
        j->device = w->device[i];
        j->target = w->target[i];
        if (m)
            start_job(l, j, m);
        else
            lane_letter(l, j, "cannot be decoded");
    }
    return CQ_OK;
}

static enum cq_status take_record(struct lane *l, struct bus_record *rec)
{
    struct lane_part *part = &l->parts[rec->partition];
    static const struct wanted nothing = { .first = -1 };
    struct wanted w = nothing;
    struct mobile_push m;
    struct held h = { .rec = *rec };
    enum cq_status st;

    if (!part->owned || rec->offset < part->undone.next) {
        record_release(rec);
        return CQ_OK;
    }
    arena_reset(l->arena);
    st = lane_decode(l, &h, &m);
    if (st == CQ_OK && !is_sound(&m))
        st = CQ_POISON;
    if (part->done.n && rec->offset >= part->done_until)
        idmap_release(&part->done); /* past all that was said before */
    if (st == CQ_OK) {
        wanted_of(l, part, rec->offset, &m, &w);
        return add_jobs(l, part, rec, &m, &w);
    }
    if (l->conf.untargeted)
        return add_jobs(l, part, rec, NULL, &w);
    m = (struct mobile_push){ 0 };
    return add_jobs(l, part, rec, &m, &w); /* the other lane writes the dead letter */
}

static bool has_room(const struct lane *l)
{
    return l->jobs.n + LANE_WANTED_MAX < JOBS_MAX && l->jobs.bytes < LANE_HELD_BYTES;
}

/* The pushes of a paused provider stay in the topic; a few in memory are enough for trials. */
static bool is_idle(const struct lane *l)
{
    return l->stopping || (l->paused && l->jobs.ready.n > l->conf.in_flight);
}

static void update_pauses(struct lane *l)
{
    bool all = !has_room(l) || is_idle(l);

    for (int32_t p = 0; p < l->conf.partitions_n; p++) {
        struct lane_part *part = &l->parts[p];
        bool pause = part->owned && (all || undone_full(&part->undone));

        if (!part->owned || pause == part->paused)
            continue;
        consumer_pause(l->consumer, topic_name(TOPIC_MOBILE_PUSH), p, pause);
        part->paused = pause;
    }
}

enum cq_status lane_take(struct lane *l)
{
    uint64_t events;

    update_pauses(l);
    if (read(consumer_fd(l->consumer), &events, sizeof events) < 0 && errno != EAGAIN)
        return CQ_FATAL;
    for (int i = 0; i < TAKE_MAX; i++) {
        struct bus_record rec;
        enum cq_status st;

        if (i && !(has_room(l) && !is_idle(l)))
            return CQ_OK;
        st = consumer_poll(l->consumer, 0, &rec);
        if (st != CQ_OK)
            return st;
        if (!rec.topic)
            return CQ_OK;
        if (l->parts[rec.partition].owned &&
            (undone_full(&l->parts[rec.partition].undone) || !has_room(l))) {
            /* it came before the pause did */
            consumer_seek(l->consumer, topic_name(TOPIC_MOBILE_PUSH), rec.partition, rec.offset);
            record_release(&rec);
            update_pauses(l);
        } else {
            st = take_record(l, &rec);
        }
        if (st != CQ_OK)
            return CQ_FATAL;
    }
    return CQ_OK;
}

/* ---- what waits at the front ---------------------------------------------------------- */

/* A few jobs that wait must not hold back the commit of the many that are done. */
void lane_relieve(struct lane *l, int64_t now_ms)
{
    for (int i = 0; i < l->jobs.heap_n; i++) {
        struct job *j = &l->jobs.v[l->jobs.heap[i]];
        const struct undone *w = &l->parts[j->held->rec.partition].undone;

        if (!lane_owns(l, j) || j->held->name != w->head || undone_span(w) < SPAN_HIGH ||
            l->jobs.heap_n > WAITING_MAX || j->due_ms - now_ms < 1000)
            continue;
        jobs_unwait(&l->jobs, j);
        lane_park(l, j, "waits");
        i = -1; /* the heap changed */
    }
}
