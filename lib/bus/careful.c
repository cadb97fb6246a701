/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/careful.c - the guard of hold.h against records that kill their process.
 */
#include "lib/bus/hold.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/bus/places.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACQUIT_TRIES = 6, CLAIM_LOOK_MS = 5 };

/* Whose record has a note. A process has one note at a time: its death is the doing of one record,
 * and the other loops of the process must not be found with theirs. */
static _Atomic(struct holds *) noted;

static bool claim(struct holds *hs, int64_t until_ms)
{
    struct holds *who = NULL;

    while (!atomic_compare_exchange_strong(&noted, &who, hs) && who != hs) {
        if (!clock_left_ms(until_ms))
            return false;
        clock_sleep_ms(CLAIM_LOOK_MS);
        who = NULL;
    }
    return true;
}

static void idle(struct holds *hs)
{
    struct holds *ours = hs;

    (void)atomic_compare_exchange_strong(&noted, &ours, NULL);
    hs->guard.state = GUARD_IDLE;
    hs->guard.hold = NULL;
}

/* ---- notes that outlive a step that went well. When a partition is lost in the middle of a step,
 * its note stays in the text of the commit, which belongs to the next owner by then. So another
 * group, without members, keeps how many of a record's notes do not count. Its commit is at the
 * record, and its text is that number. */

static const char ACQUITTED_GROUP[] = "chasqui-acquitted";

struct acquitted {
    int64_t at;
    int32_t n;
};

static void on_acquitted(void *arg, int32_t partition, int64_t next, const char *meta)
{
    struct acquitted *acquitted = arg;

    (void)partition;
    if (next == acquitted->at)
        acquitted->n = (int32_t)strtol(meta, NULL, 10);
}

static enum cq_status read_acquitted(rd_kafka_t *rk, const struct hold *hold, int64_t at,
                                     int32_t *ret)
{
    struct acquitted acquitted = { .at = at };
    enum cq_status st =
        rk ? places_commits(rk, hold->topic, hold->partition, 1, on_acquitted, &acquitted)
           : CQ_AGAIN;

    *ret = acquitted.n;
    return st;
}

static enum cq_status acquit(struct holds *hs, const struct hold *hold, int64_t at)
{
    rd_kafka_t *rk = places_open(hs->conf.consumer.brokers, ACQUITTED_GROUP);
    int32_t n;
    char text[16];
    enum cq_status st = read_acquitted(rk, hold, at, &n);

    snprintf(text, sizeof text, "%d", n + 1);
    if (st == CQ_OK && places_move(rk, hold->topic, hold->partition, at, text))
        st = CQ_AGAIN;
    places_close(rk);
    return st;
}

/* Whether the notes about the record say that it killed its process. CQ_AGAIN: they cannot be
 * counted now. */
static enum cq_status judge(struct holds *hs, const struct hold *hold, int64_t at, bool *ret_guilty)
{
    const struct suspect *suspect = &hold->suspect;
    rd_kafka_t *rk;
    int32_t n;
    enum cq_status st;

    *ret_guilty = suspect->worst_at == at && suspect->worst_kills >= SUSPECT_KILLS;
    if (!*ret_guilty)
        return CQ_OK;
    rk = places_open(hs->conf.consumer.brokers, ACQUITTED_GROUP);
    st = read_acquitted(rk, hold, at, &n);
    places_close(rk);
    *ret_guilty = suspect->worst_kills - n >= SUSPECT_KILLS;
    return st;
}

/* ---- notes ---------------------------------------------------------------------------- */

static void count_start(struct hold *hold, int64_t first)
{
    hold->noted = true;
    hold->suspect.starts++;
    if (hold->next < 0)
        hold->next = hold->committed = first;
}

void hold_note_start(struct holds *hs, struct hold *hold, int64_t first)
{
    if (hold->noted)
        return;
    count_start(hold, first);
    if (hold_commit_wait(hs, hold) != CQ_OK)
        log_debug("start_not_noted", LOG_S("topic", hold->topic),
                  LOG_I("partition", hold->partition));
}

/* Commit the guard's front as it is now, before the text of when the record came: the state behind
 * hold_ops.meta moves with the step, the position does not. */
static void begin(struct holds *hs, enum guard_state state)
{
    struct guarded *guarded = &hs->guard;
    char text[BUS_META_MAX + 1];
    size_t k = suspect_format(&guarded->hold->suspect, text);

    snprintf(text + k, sizeof text - k, "%s", guarded->meta);
    guarded->state = state;
    consumer_commit_begin(hs->consumer, guarded->hold->topic, guarded->hold->partition,
                          guarded->hold->next, text);
}

/* The note of a step begins: it counts that step as a death, and is removed when the step ends. */
static void begin_note(struct holds *hs)
{
    struct guarded *guarded = &hs->guard;

    guarded->before = guarded->hold->suspect;
    suspect_enter(&guarded->hold->suspect, guarded->at);
    begin(hs, GUARD_NOTING);
}

static void take_up(struct holds *hs, struct hold *hold, int64_t at)
{
    struct guarded *guarded = &hs->guard;
    size_t cap = sizeof guarded->meta - SUSPECT_TEXT_MAX;
    size_t n =
        hs->conf.ops->meta ? hs->conf.ops->meta(hs->conf.arg, hold, guarded->meta, cap - 1) : 0;

    guarded->meta[n < cap ? n : 0] = '\0';
    guarded->hold = hold;
    guarded->at = at;
    guarded->tries = 0;
}

bool hold_guard_busy(const struct holds *hs)
{
    return hs->guard.state != GUARD_IDLE;
}

void hold_guard_drop(struct holds *hs, const struct hold *hold)
{
    if (hold && hs->guard.hold == hold)
        idle(hs);
}

/* The note of a record that is not stepped after all: no record is accused of a step that was never
 * made. */
static void withdraw(struct holds *hs)
{
    if (hs->guard.state == GUARD_NOTING)
        hs->guard.hold->suspect = hs->guard.before;
    idle(hs);
}

static enum cq_status await_start(struct holds *hs, int64_t until_ms)
{
    struct hold *hold = hs->guard.hold;
    enum cq_status st = consumer_commit_end(hs->consumer, clock_left_ms(until_ms));

    if (st == CQ_AGAIN)
        return st;
    if (st == CQ_OK)
        hold->committed = hold->next;
    else
        log_debug("start_not_noted", LOG_S("topic", hold->topic),
                  LOG_I("partition", hold->partition));
    idle(hs);
    return CQ_OK;
}

static enum cq_status await_note(struct holds *hs, int64_t until_ms)
{
    struct guarded *guarded = &hs->guard;
    enum cq_status st = consumer_commit_end(hs->consumer, clock_left_ms(until_ms));

    if (st == CQ_OK)
        guarded->state = GUARD_STEPPING;
    if (st != CQ_POISON)
        return st;
    withdraw(hs); /* without the note a death would leave no trace */
    return CQ_AGAIN;
}

enum cq_status hold_enter(struct holds *hs, const struct bus_record *rec, int wait_ms,
                          const char **ret_why)
{
    struct guarded *guarded = &hs->guard;
    struct hold *hold = holds_find(hs, rec->topic, rec->partition);
    int64_t until_ms = clock_mono_ms() + wait_ms;
    bool guilty;
    enum cq_status st;

    CQ_ASSERT(hold && hold->owned && guarded->state != GUARD_STEPPING &&
                  guarded->state != GUARD_CLEARING,
              guarded->state);
    if (guarded->state == GUARD_IDLE && hold->noted && !hold->careful)
        return CQ_OK;
    if (guarded->hold && (guarded->hold != hold || guarded->at != rec->offset))
        withdraw(hs); /* another record is the first now */
    if (!hold->noted) {
        count_start(hold, rec->offset);
        take_up(hs, hold, rec->offset);
        begin(hs, GUARD_STARTING);
    }
    if (guarded->state == GUARD_STARTING && await_start(hs, until_ms) != CQ_OK)
        return CQ_AGAIN;
    if (!hold->careful)
        return CQ_OK;
    if (guarded->state == GUARD_NOTING)
        return await_note(hs, until_ms);
    st = judge(hs, hold, rec->offset, &guilty);
    if (st != CQ_OK)
        return st;
    if (guilty) {
        count_add(COUNT_KILLERS, 1);
        *ret_why = "killed its process";
        return CQ_POISON;
    }
    if (!claim(hs, until_ms))
        return CQ_AGAIN;
    take_up(hs, hold, rec->offset);
    begin_note(hs);
    return await_note(hs, until_ms);
}

/* The note stays when it could not be removed so often: it counts as one death of the record. */
static bool is_last_try(struct guarded *guarded)
{
    if (++guarded->tries < ACQUIT_TRIES)
        return false;
    log_debug("note_left", LOG_S("topic", guarded->hold->topic),
              LOG_I("partition", guarded->hold->partition), LOG_I("offset", guarded->at));
    return true;
}

enum cq_status hold_leave(struct holds *hs, int wait_ms)
{
    struct guarded *guarded = &hs->guard;
    int64_t until_ms = clock_mono_ms() + wait_ms;

    if (guarded->state == GUARD_STEPPING)
        suspect_leave(&guarded->hold->suspect, !hs->conf.in_pieces);
    else if (guarded->state == GUARD_NOTING)
        guarded->hold->suspect = guarded->before; /* no step: no record is accused of it */
    if (guarded->state == GUARD_STEPPING || guarded->state == GUARD_NOTING)
        begin(hs, GUARD_CLEARING);
    while (guarded->state == GUARD_CLEARING) {
        enum cq_status st = consumer_commit_end(hs->consumer, clock_left_ms(until_ms));

        if (st == CQ_AGAIN)
            return st;
        if (st == CQ_OK || acquit(hs, guarded->hold, guarded->at) == CQ_OK ||
            is_last_try(guarded)) {
            idle(hs);
            return CQ_OK;
        }
        if (clock_left_ms(until_ms))
            clock_sleep_ms(backoff_ms(guarded->tries - 1, 50, 1000));
        begin(hs, GUARD_CLEARING);
    }
    return CQ_OK;
}
