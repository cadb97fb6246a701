/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/tell.c - writes what became of a push: one record after the other, each awaited, the
 * outcome last.
 */
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "sinks/mobile/lane_state.h"

#include <stdio.h>

void lane_forget(struct lane *lane, struct job *job)
{
    lane_remove(lane, job);
}

static void enlist(struct lane *lane, struct job *job, enum job_phase phase)
{
    job_move(job, phase);
    lane_leave_service(lane, job);
    job_list_add(&lane->jobs, &lane->jobs.tell, job);
}

static void set_words(struct job *job, const char *words)
{
    snprintf(job->words, sizeof job->words, "%s", words);
}

void lane_end(struct lane *lane, struct job *job, enum push_result result, int status,
              const char *words)
{
    job->result = result;
    job->status = status;
    set_words(job, words);
    enlist(lane, job, JOB_REPORTING);
}

void lane_unregister(struct lane *lane, struct job *job, int status, const char *words)
{
    job->result = PUSH_RESULT_TOKEN_DEAD;
    job->status = status;
    set_words(job, words);
    enlist(lane, job, JOB_UNREGISTERING);
}

void lane_park(struct lane *lane, struct job *job, const char *words)
{
    job->result = PUSH_RESULT_RETRIED;
    set_words(job, words);
    enlist(lane, job, JOB_PARKING);
}

void lane_dead_letter(struct lane *lane, struct job *job, const char *why)
{
    job->why = why;
    enlist(lane, job, JOB_DEAD_LETTER);
}

/* ---- the records ---------------------------------------------------------------------- */

static enum cq_status send_value(struct lane *lane, const struct job *job, enum topic topic,
                                 const struct codec_record *codec, const void *record,
                                 struct cq_id user)
{
    struct cq_id_text key = id_text(user);

    buf_clear(&lane->encoded);
    if (codec_encode(codec, record, &lane->encoded) != CQ_OK)
        return CQ_FATAL;
    return producer_send(lane->producer, &(struct bus_send){
                                             .topic = topic_name(topic),
                                             .partition = job->held->rec.partition,
                                             .key = span_str(key.s),
                                             .value = buf_span(&lane->encoded),
                                             .opaque = (uint64_t)job_index(&lane->jobs, job),
                                         });
}

static enum cq_status send_outcome(struct lane *lane, const struct job *job,
                                   const struct mobile_push *push)
{
    bool nobody = job->result == PUSH_RESULT_NO_PROVIDER;
    struct push_outcome outcome = {
        .user_id = push->user_id,
        .device_id = job->device,
        .source = { TOPIC_GENERATION, job->held->rec.partition, job->held->rec.offset },
        .at_ms = push->at_ms,
        .chat_id = push->chat_id,
        .seq = push->seq,
        .message_id = push->message_id,
        .provider = nobody ? PUSH_PROVIDER_NONE : lane->conf.id,
        .outcome = job->result,
        .detail = span_str(job->words),
        .attempt = job->attempt,
        .status = job->status,
    };

    return send_value(lane, job, TOPIC_PUSH_OUTCOMES, &push_outcome_codec, &outcome, push->user_id);
}

/* processors/user removes the registration, unless the device registered again since. */
static enum cq_status send_unregistered(struct lane *lane, const struct job *job,
                                        const struct mobile_push *push)
{
    struct user_inbox record = {
        .body = { USER_INBOX_USER_ACTION,
                  .u.user_action = { .user_id = push->user_id,
                                     .device_id = job->device,
                                     .at_ms = clock_wall_ms(),
                                     .action = { USER_ACTION_PUSH_UNREGISTERED,
                                                 .u.push_unregistered = { span_str("dead"),
                                                                          span_of("", 0),
                                                                          job->registered } } } },
    };

    return send_value(lane, job, TOPIC_USER_INBOX, &user_inbox_codec, &record, push->user_id);
}

static enum cq_status send_parked(struct lane *lane, struct job *job,
                                  const struct mobile_push *push)
{
    struct mobile_push again = *push;
    int64_t wait_ms = job->due_ms - clock_mono_ms();

    again.devices = &job->device;
    again.devices_n = 1;
    again.targets = &push->targets[job->target];
    again.targets_n = 1;
    again.users_n = 0;
    again.attempt = job->attempt;
    again.not_before_ms = clock_wall_ms() + (wait_ms > 0 ? wait_ms : 0);
    return send_value(lane, job, TOPIC_MOBILE_PUSH, &mobile_push_codec, &again, push->user_id);
}

static enum cq_status send_job(struct lane *lane, struct job *job)
{
    struct mobile_push push;

    if (job->phase == JOB_DEAD_LETTER)
        return dead_letter_send(lane->producer, &job->held->rec, job->why, "mobile",
                                clock_wall_ms(), (uint64_t)job_index(&lane->jobs, job));
    arena_reset(lane->arena);
    if (lane_decode_job(lane, job, &push) != CQ_OK)
        return CQ_FATAL; /* it could be decoded when it was taken */
    switch (job->phase) {
    case JOB_UNREGISTERING:
        return send_unregistered(lane, job, &push);
    case JOB_PARKING:
        return send_parked(lane, job, &push);
    case JOB_REPORTING:
        return send_outcome(lane, job, &push);
    case JOB_FREE:
    case JOB_READY:
    case JOB_WAITING:
    case JOB_FLYING:
    case JOB_DEAD_LETTER:
        break;
    }
    return CQ_FATAL; /* in this phase nothing is to be written */
}

/* CQ_AGAIN: not now. */
static enum cq_status send_guarded(struct lane *lane, struct job *job)
{
    enum cq_status st;

    if (job->phase == JOB_DEAD_LETTER)
        return send_job(lane, job); /* nothing of the record is read */
    st = lane_enter_again(lane, job);
    if (st != CQ_OK)
        return st;
    st = send_job(lane, job);
    lane_leave(lane);
    return st;
}

enum cq_status lane_flush(struct lane *lane)
{
    for (int n = lane->jobs.tell.n; n-- > 0;) {
        struct job *job = job_list_take(&lane->jobs, &lane->jobs.tell);
        enum cq_status st;

        if (!lane_owns(lane, job)) {
            lane_forget(lane, job);
            continue;
        }
        st = send_guarded(lane, job);
        if (st == CQ_AGAIN) { /* the producer's queue is full, or its note is not stored: another
                               * turn */
            job_list_add(&lane->jobs, &lane->jobs.tell, job);
            return CQ_OK;
        }
        if (st != CQ_OK)
            return CQ_FATAL;
    }
    return CQ_OK;
}

static void count_result(enum push_result result)
{
    static const enum count_key keys[] = {
        [PUSH_RESULT_ACCEPTED] = COUNT_PUSHES_TAKEN,
        [PUSH_RESULT_DROPPED] = COUNT_PUSHES_DROPPED,
        [PUSH_RESULT_TOKEN_DEAD] = COUNT_TOKENS_DEAD,
        [PUSH_RESULT_NO_PROVIDER] = COUNT_PUSHES_NOWHERE,
        [PUSH_RESULT_ALREADY_DELIVERED] = COUNT_PUSHES_SPARED,
        [PUSH_RESULT_RETRIED] = COUNT_PUSHES_PARKED,
        [PUSH_RESULT_MUTED] = COUNT_PUSHES_SPARED,
    };

    _Static_assert(ARRAY_LEN(keys) == PUSH_RESULT_N, "a count for each PushResult");
    count_add(keys[result], 1);
}

void lane_reported(void *arg, uint64_t opaque, int32_t partition, int64_t offset, enum cq_status st)
{
    struct lane *lane = arg;
    struct job *job = &lane->jobs.v[opaque];
    int64_t outcome = -1; /* its place; -1: none was written */

    (void)partition;
    if (st != CQ_OK) {
        lane->failed = true;
        return;
    }
    if (!lane_owns(lane, job)) {
        lane_forget(lane, job);
        return;
    }
    switch (job->phase) {
    case JOB_UNREGISTERING:
    case JOB_PARKING:
        enlist(lane, job, JOB_REPORTING);
        return;
    case JOB_REPORTING:
        count_result(job->result);
        outcome = offset;
        break;
    case JOB_DEAD_LETTER:
        break;
    case JOB_FREE:
    case JOB_READY:
    case JOB_WAITING:
    case JOB_FLYING:
        lane->failed = true; /* nothing of theirs is written */
        return;
    }
    undone_done(&lane->parts[job->held->rec.partition].undone, job->held->name, outcome);
    lane_remove(lane, job);
}
