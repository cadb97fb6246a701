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
    int64_t lowest; /* outcome of those that count; -1: none yet */
};

static enum cq_status on_outcome(void *arg, const struct bus_record *rec)
{
    struct scan *scan = arg;
    struct push_outcome outcome;

    arena_reset(scan->l->arena);
    if (!rec->value.p ||
        codec_decode(&push_outcome_codec, rec->value, scan->l->arena, &outcome, NULL) != CQ_OK ||
        outcome.source.offset < scan->from)
        return CQ_OK;
    if (!idmap_get(&scan->part->done, done_key(outcome.source.offset, outcome.device_id)) &&
        !idmap_put(&scan->part->done, done_key(outcome.source.offset, outcome.device_id),
                   (uint64_t)rec->offset))
        return CQ_OK; /* more than a window can hold: these may be sent twice */
    if (scan->lowest < 0)
        scan->lowest = rec->offset;
    if (outcome.source.offset >= scan->part->done_until)
        scan->part->done_until = outcome.source.offset + 1;
    return CQ_OK;
}

static enum cq_status read_outcomes(struct lane *lane, struct lane_part *part, int32_t partition,
                                    int64_t from, int64_t said)
{
    const char *topic = topic_name(TOPIC_PUSH_OUTCOMES);
    struct scan scan = { lane, part, from, -1 };
    int64_t first, next;
    enum cq_status st = reader_watermarks(lane->reader, topic, partition, &first, &next);

    idmap_init(&part->done, LANE_DONE_MAX);
    part->done_until = 0;
    if (st != CQ_OK)
        return st;
    if (said < first)
        said = first;
    if (said < next)
        st = reader_scan(lane->reader, topic, partition, said, next, on_outcome, &scan);
    return st == CQ_OK ? undone_init(&part->undone, from, next, scan.lowest) : st;
}

static enum cq_status on_assigned(void *arg, struct hold *hold, const char *meta, int64_t *ret_from)
{
    struct lane *lane = arg;
    struct evidence unused = { 0 };
    int64_t first, next, said;
    enum cq_status st =
        reader_watermarks(lane->reader, hold->topic, hold->partition, &first, &next);

    if (st != CQ_OK)
        return st;
    if (hold->committed < first) /* none yet, or older than what is kept */
        hold->next = hold->committed = first;
    *ret_from = hold->committed;
    log_debug("lane_assigned", LOG_S("lane", lane->conf.name), LOG_I("partition", hold->partition),
              LOG_I("from", hold->committed), LOG_S("meta", meta));
    said = evidence_parse(lane_evidence(lane) ? lane_evidence(lane) : &unused, meta,
                          lane->conf.provider ? lane->conf.provider->fingerprint : 0);
    return read_outcomes(lane, lane_part_of(lane, hold), hold->partition, hold->committed,
                         said < 0 ? BUS_FROM_START : said);
}

/* Drop its waiting jobs at once; those with a request or record in flight are dropped when that
 * ends. */
static void drop_jobs(struct lane *lane, int32_t partition)
{
    for (int32_t i = 0; lane->jobs.v && i < JOBS_MAX; i++) {
        struct job *job = &lane->jobs.v[i];

        if (job->phase != JOB_WAITING || job->held->rec.partition != partition)
            continue;
        jobs_unwait(&lane->jobs, job);
        lane_forget(lane, job);
    }
}

static bool on_leaving(void *arg, struct hold *hold, bool lost)
{
    struct lane *lane = arg;

    (void)lost;
    if (hold->owned)
        hold_done(hold, lane_part_of(lane, hold)->undone.next);
    return true;
}

static void on_revoked(void *arg, struct hold *hold)
{
    struct lane *lane = arg;

    undone_release(&lane_part_of(lane, hold)->undone);
    idmap_release(&lane_part_of(lane, hold)->done);
    drop_jobs(lane, hold->partition);
}

static size_t on_meta(void *arg, const struct hold *hold, char *buf, size_t cap)
{
    static const struct evidence none;
    struct lane *lane = arg;
    char text[EVIDENCE_TEXT_MAX];

    evidence_format(lane_evidence(lane) ? lane_evidence(lane) : &none,
                    undone_said(&lane_part_of(lane, hold)->undone),
                    lane->conf.provider ? lane->conf.provider->fingerprint : 0, text);
    return (size_t)snprintf(buf, cap, "%s", text);
}

const struct hold_ops lane_hold_ops = { on_assigned, on_leaving, on_revoked, on_meta };

/* ---- records -------------------------------------------------------------------------- */

/* What one record asks of this lane. */
struct wanted {
    struct cq_id device[LANE_WANTED_MAX];
    int32_t target[LANE_WANTED_MAX]; /* -1: nobody can wake it */
    int32_t n;
    int64_t first; /* lowest outcome of those that were done before */
};

static void want(struct lane_part *part, int64_t offset, struct wanted *wanted, struct cq_id device,
                 int32_t target)
{
    const uint64_t *before = part->done.n ? idmap_get(&part->done, done_key(offset, device)) : NULL;

    if (before && (wanted->first < 0 || (int64_t)*before < wanted->first))
        wanted->first = (int64_t)*before;
    if (before)
        return;
    wanted->device[wanted->n] = device;
    wanted->target[wanted->n++] = target;
}

static bool has_target(const struct mobile_push *push, struct cq_id device)
{
    for (size_t i = 0; i < push->targets_n; i++)
        if (id_eq(push->targets[i].device_id, device))
            return true;
    return false;
}

/* Whether it fits the tables below, and says of each target whose it is. */
static bool is_sound(const struct mobile_push *push)
{
    return push->devices_n <= MOBILE_PUSH_TARGETS_MAX &&
           push->targets_n <= MOBILE_PUSH_TARGETS_MAX &&
           (!push->users_n || push->users_n == push->targets_n);
}

static void wanted_of(const struct lane *lane, struct lane_part *part, int64_t offset,
                      const struct mobile_push *push, struct wanted *ret)
{
    ret->n = 0;
    ret->first = -1;
    for (size_t i = 0; i < push->targets_n; i++)
        if (lane->conf.kinds & 1u << push->targets[i].address.kind)
            want(part, offset, ret, push->targets[i].device_id, (int32_t)i);
    for (size_t i = 0; lane->conf.untargeted && i < push->devices_n; i++)
        if (!has_target(push, push->devices[i]))
            want(part, offset, ret, push->devices[i], -1);
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
static void start_quiet(struct lane *lane, struct job *job, const struct mobile_push *push,
                        int64_t due_ms)
{
    struct cq_id key = quiet_key(job->device, push->chat_id);
    struct job *before = jobs_quiet(&lane->jobs, key);

    job->seq = push->seq;
    if (before && before->seq > job->seq) { /* this one was parked meanwhile */
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0, OVERTAKEN);
        return;
    }
    jobs_set_quiet(&lane->jobs, job, key);
    if (before && before->read_after < job->read_after)
        job->read_after = before->read_after;
    if (before && before->phase == JOB_WAITING) {
        due_ms = before->due_ms;
        jobs_unwait(&lane->jobs, before);
        lane_end(lane, before, PUSH_RESULT_ALREADY_DELIVERED, 0, OVERTAKEN);
    }
    jobs_wait(&lane->jobs, job, due_ms);
}

static void start_job(struct lane *lane, struct job *job, const struct mobile_push *push)
{
    int64_t wait_ms = push->not_before_ms ? push->not_before_ms - clock_wall_ms() : 0;

    job->attempt = push->attempt;
    job->read_after = push->read_after;
    job->is_late = push->added && wait_ms > 0;
    if (wait_ms > RETRY_CAP_MS) /* never longer than it was parked for, whatever the clocks say */
        wait_ms = RETRY_CAP_MS;
    if (job->target < 0)
        lane_end(lane, job, PUSH_RESULT_NO_PROVIDER, 0, "this device cannot be woken");
    else if (!lane->conf.provider)
        lane_end(lane, job, PUSH_RESULT_NO_PROVIDER, 0, "no provider is configured");
    else if (push->read_after >= 0)
        start_quiet(lane, job, push, clock_mono_ms() + (wait_ms > QUIET_MS ? wait_ms : QUIET_MS));
    else if (wait_ms > 0)
        jobs_wait(&lane->jobs, job, clock_mono_ms() + wait_ms);
    else
        lane_queue(lane, job, &push->targets[job->target].address);
}

/* The record's pushes are in the table from here on; `rec` is taken over. Without `push` it is a
 * dead letter with the static text `why`. */
static enum cq_status add_jobs(struct lane *lane, const struct hold *of, struct bus_record *rec,
                               const struct mobile_push *push, const struct wanted *wanted,
                               const char *why)
{
    struct lane_part *part = lane_part_of(lane, of);
    struct held *held = calloc(1, sizeof *held);
    enum cq_status st;

    if (!held)
        return CQ_FATAL;
    *held = (struct held){ .rec = *rec, .epoch = of->epoch };
    st = undone_add(&part->undone, rec->offset, push ? wanted->n : 1, wanted->first, &held->name);
    if (st != CQ_OK || (push && !wanted->n)) {
        free(held);
        record_release(rec);
        return st;
    }
    for (int32_t i = 0; i < (push ? wanted->n : 1); i++) {
        struct job *job = jobs_add(&lane->jobs, held);

        if (!job)
            return CQ_FATAL; /* there was room for a whole record */
        job->device = wanted->device[i];
        job->target = wanted->target[i];
        if (push)
            start_job(lane, job, push);
        else
            lane_dead_letter(lane, job, why);
    }
    return CQ_OK;
}

static enum cq_status take_decoded(struct lane *lane, const struct hold *of, struct bus_record *rec)
{
    struct lane_part *part = lane_part_of(lane, of);
    struct wanted wanted = { .first = -1 };
    struct mobile_push push;
    const char *why;
    enum cq_status st;

    arena_reset(lane->arena);
    st = lane_decode(lane, rec, &push, &why);
    if (st == CQ_OK && !is_sound(&push))
        st = CQ_POISON;
    if (st == CQ_OK) {
        wanted_of(lane, part, rec->offset, &push, &wanted);
        return add_jobs(lane, of, rec, &push, &wanted, NULL);
    }
    if (lane->conf.untargeted)
        return add_jobs(lane, of, rec, NULL, &wanted, why);
    push = (struct mobile_push){ 0 };
    return add_jobs(lane, of, rec, &push, &wanted,
                    NULL); /* the other lane writes the dead letter */
}

static enum cq_status take_record(struct lane *lane, struct hold *of, struct bus_record *rec)
{
    static const struct wanted nothing = { .first = -1 };
    struct lane_part *part = lane_part_of(lane, of);
    const char *why;
    enum cq_status st;

    if (rec->offset < part->undone.next) {
        record_release(rec);
        return CQ_OK;
    }
    if (part->done.n && rec->offset >= part->done_until) { /* past all that was said before */
        idmap_release(&part->done);
        undone_caught_up(&part->undone);
    }
    st = lane_enter(lane, rec, &why);
    if (st == CQ_AGAIN) {
        hold_seek(&lane->holds, of, rec->offset);
        record_release(rec);
        return CQ_OK;
    }
    hold_stepped(of);
    if (st == CQ_POISON) /* whichever lane it killed */
        return add_jobs(lane, of, rec, NULL, &nothing, why);
    st = take_decoded(lane, of, rec);
    lane_leave(lane);
    return st;
}

static bool has_room(const struct lane *lane)
{
    return lane->jobs.n + LANE_WANTED_MAX < JOBS_MAX && lane->jobs.bytes < LANE_HELD_BYTES;
}

/* The pushes of a paused provider stay in the topic; a few in memory are enough for trials. Of many
 * services the others go on. */
static bool is_idle(const struct lane *lane)
{
    const struct service *only = services_are_many(&lane->services) ? NULL : &lane->services.v[0];

    return lane->stopping || (only && only->paused && only->ready.n > lane->conf.in_flight);
}

static void update_pauses(struct lane *lane)
{
    bool all = !has_room(lane) || is_idle(lane);
    struct hold *hold;

    for (size_t at = 0; (hold = holds_next(&lane->holds, &at)) != NULL;)
        hold_pause(&lane->holds, hold, all || undone_full(&lane_part_of(lane, hold)->undone));
}

enum cq_status lane_take(struct lane *lane)
{
    uint64_t events;

    update_pauses(lane);
    if (read(consumer_fd(lane->holds.consumer), &events, sizeof events) < 0 && errno != EAGAIN)
        return CQ_FATAL;
    for (int i = 0; i < TAKE_MAX; i++) {
        struct bus_record rec;
        struct hold *hold;
        enum cq_status st;

        if (i && !(has_room(lane) && !is_idle(lane)))
            return CQ_OK;
        st = holds_poll(&lane->holds, 0, &rec, &hold);
        if (st != CQ_OK)
            return st;
        if (!rec.topic)
            return CQ_OK;
        if (undone_full(&lane_part_of(lane, hold)->undone) || !has_room(lane)) {
            hold_seek(&lane->holds, hold, rec.offset); /* it came before the pause did */
            record_release(&rec);
            update_pauses(lane);
        } else if (take_record(lane, hold, &rec) != CQ_OK) {
            return CQ_FATAL;
        }
    }
    return CQ_OK;
}

/* ---- what waits at the front ---------------------------------------------------------- */

static bool is_long(const struct lane *lane)
{
    for (int32_t p = 0; p < PARTITIONS_MAX; p++)
        if (undone_span(&lane->parts[p].undone) >= SPAN_HIGH)
            return true;
    return false;
}

/* A few jobs that wait must not hold back the commit of the many that are done. */
void lane_relieve(struct lane *lane, int64_t now_ms)
{
    if (services_are_many(&lane->services))
        lane_relieve_services(lane, is_long(lane), now_ms);
    for (int i = 0; i < lane->jobs.heap_n; i++) {
        struct job *job = &lane->jobs.v[lane->jobs.heap[i]];
        const struct undone *undone = &lane->parts[job->held->rec.partition].undone;

        if (!lane_owns(lane, job) || job->held->name != undone->head ||
            undone_span(undone) < SPAN_HIGH ||
            (lane->jobs.heap_n - lane->jobs.late_n > WAITING_MAX &&
             !services_are_many(&lane->services)) ||
            job->due_ms - now_ms < 1000)
            continue;
        jobs_unwait(&lane->jobs, job);
        lane_park(lane, job, "waits");
        i = -1; /* the heap changed */
    }
}
