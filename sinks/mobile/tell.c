/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/tell.c - writes what became of a push: one record after the other, each awaited, the
 * outcome last.
 */
#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "sinks/mobile/lane_state.h"

#include <stdio.h>

void lane_forget(struct lane *l, struct job *j)
{
    jobs_remove(&l->jobs, j);
}

static void enlist(struct lane *l, struct job *j, enum job_phase phase)
{
    /* what is told last, and a letter, is told once */
    CQ_ASSERT(j->phase != JOB_FREE && j->phase != JOB_TELLING && j->phase != JOB_LETTER, j->phase,
              phase);
    j->phase = phase;
    job_list_add(&l->jobs, &l->jobs.tell, j);
}

static void set_words(struct job *j, const char *words)
{
    snprintf(j->words, sizeof j->words, "%s", words);
}

void lane_end(struct lane *l, struct job *j, enum push_result result, int status, const char *words)
{
    j->result = result;
    j->status = status;
    set_words(j, words);
    enlist(l, j, JOB_TELLING);
}

void lane_bury(struct lane *l, struct job *j, int status, const char *words)
{
    j->result = PUSH_RESULT_TOKEN_DEAD;
    j->status = status;
    set_words(j, words);
    enlist(l, j, JOB_BURYING);
}

void lane_park(struct lane *l, struct job *j, const char *words)
{
    j->result = PUSH_RESULT_RETRIED;
    set_words(j, words);
    enlist(l, j, JOB_PARKING);
}

void lane_letter(struct lane *l, struct job *j, const char *why)
{
    j->why = why;
    enlist(l, j, JOB_LETTER);
}

/* ---- the records ---------------------------------------------------------------------- */

static enum cq_status send_value(struct lane *l, const struct job *j, enum topic topic,
                                 const struct codec_record *codec, const void *record,
                                 struct cq_id user)
{
    struct cq_id_text key = id_text(user);

    buf_clear(&l->encoded);
    if (codec_encode(codec, record, &l->encoded) != CQ_OK)
        return CQ_FATAL;
    return producer_send(l->producer, &(struct bus_send){
                                          .topic = topic_name(topic),
                                          .partition = j->held->rec.partition,
                                          .key = span_str(key.s),
                                          .value = buf_span(&l->encoded),
                                          .opaque = (uint64_t)job_index(&l->jobs, j),
                                      });
}

static enum cq_status send_outcome(struct lane *l, const struct job *j, const struct mobile_push *m)
{
    bool nobody = j->result == PUSH_RESULT_NO_PROVIDER;
    struct push_outcome o = {
        .user_id = m->user_id,
        .device_id = j->device,
        .source = { TOPIC_GENERATION, j->held->rec.partition, j->held->rec.offset },
        .at_ms = m->at_ms,
        .chat_id = m->chat_id,
        .seq = m->seq,
        .message_id = m->message_id,
        .provider = nobody ? PUSH_PROVIDER_NONE : l->conf.id,
        .outcome = j->result,
        .detail = span_str(j->words),
        .attempt = j->attempt,
        .status = j->status,
    };

    return send_value(l, j, TOPIC_PUSH_OUTCOMES, &push_outcome_codec, &o, m->user_id);
}

/* processors/user removes the registration, unless the device registered again since. */
static enum cq_status send_burial(struct lane *l, const struct job *j, const struct mobile_push *m)
{
    struct user_inbox record = {
        .body = { USER_INBOX_USER_ACTION,
                  .u.user_action = { .user_id = m->user_id,
                                     .device_id = j->device,
                                     .at_ms = clock_wall_ms(),
                                     .action = { USER_ACTION_PUSH_UNREGISTERED,
                                                 .u.push_unregistered = { span_str("dead"),
                                                                          span_of("", 0),
                                                                          j->registered } } } },
    };

    return send_value(l, j, TOPIC_USER_INBOX, &user_inbox_codec, &record, m->user_id);
}

static enum cq_status send_parked(struct lane *l, struct job *j, const struct mobile_push *m)
{
    struct mobile_push again = *m;
    int64_t wait_ms = j->due_ms - clock_mono_ms();

    again.devices = &j->device;
    again.devices_n = 1;
    again.targets = &m->targets[j->target];
    again.targets_n = 1;
    again.users_n = 0;
    again.attempt = j->attempt;
    again.not_before_ms = clock_wall_ms() + (wait_ms > 0 ? wait_ms : 0);
    return send_value(l, j, TOPIC_MOBILE_PUSH, &mobile_push_codec, &again, m->user_id);
}

static enum cq_status send_job(struct lane *l, struct job *j)
{
    struct mobile_push m;

    if (j->phase == JOB_LETTER)
        return dead_letter_send(l->producer, &j->held->rec, j->why, "mobile", clock_wall_ms(),
                                (uint64_t)job_index(&l->jobs, j));
    arena_reset(l->arena);
    if (lane_decode_job(l, j, &m) != CQ_OK)
        return CQ_FATAL; /* it could be decoded when it was taken */
    switch (j->phase) {
    case JOB_BURYING:
        return send_burial(l, j, &m);
    case JOB_PARKING:
        return send_parked(l, j, &m);
    case JOB_TELLING:
        return send_outcome(l, j, &m);
    case JOB_FREE:
    case JOB_READY:
    case JOB_WAITING:
    case JOB_FLYING:
    case JOB_LETTER:
        break;
    }
    return CQ_FATAL; /* in this phase nothing is to be written */
}

enum cq_status lane_flush(struct lane *l)
{
    for (int n = l->jobs.tell.n; n-- > 0;) {
        struct job *j = job_list_take(&l->jobs, &l->jobs.tell);
        enum cq_status st;

        if (!lane_owns(l, j)) {
            lane_forget(l, j);
            continue;
        }
        st = send_job(l, j);
        if (st == CQ_AGAIN) { /* the producer's queue is full: another turn */
            job_list_add(&l->jobs, &l->jobs.tell, j);
            return CQ_OK;
        }
        if (st != CQ_OK)
            return CQ_FATAL;
    }
    return CQ_OK;
}

static void count_result(enum push_result r)
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
    count_add(keys[r], 1);
}

void lane_reported(void *arg, uint64_t opaque, int32_t partition, int64_t offset, enum cq_status st)
{
    struct lane *l = arg;
    struct job *j = &l->jobs.v[opaque];
    int64_t outcome = -1; /* its place; -1: none was written */

    (void)partition;
    if (st != CQ_OK) {
        l->failed = true;
        return;
    }
    if (!lane_owns(l, j)) {
        lane_forget(l, j);
        return;
    }
    switch (j->phase) {
    case JOB_BURYING:
    case JOB_PARKING:
        enlist(l, j, JOB_TELLING);
        return;
    case JOB_TELLING:
        count_result(j->result);
        outcome = offset;
        break;
    case JOB_LETTER:
        break;
    case JOB_FREE:
    case JOB_READY:
    case JOB_WAITING:
    case JOB_FLYING:
        l->failed = true; /* nothing of theirs is written */
        return;
    }
    undone_done(&l->parts[j->held->rec.partition].undone, j->held->name, outcome);
    jobs_remove(&l->jobs, j);
}
