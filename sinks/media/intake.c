/* SPDX-License-Identifier: MIT */
#include "sinks/media/intake.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TURN_RECORDS = 1000,
    FETCH_WAIT_MS = 250,
    COMMIT_EVERY_MS = 1000,
    NOTE_MS = 10000, /* for the broker to answer about a note; then the record is tried again */
    LETTER_WITHIN_MS = 120 * 1000,
    CAREFUL_N = 4096, /* the commit stands before the oldest that is not done: those behind it have
                       * their turn after the next deaths */
};

struct intake {
    struct intake_conf conf;
    struct holds holds;       /* owned */
    struct producer *letters; /* owned; NULL until the first dead letter */
    bool stored;              /* the last dead letter */
    char why[320];            /* of CQ_FATAL, where it is not the consumer's; "" for none */
};

/* ---- partitions ----------------------------------------------------------------------- */

static void note_done(struct intake *intake, struct hold *hold)
{
    hold_done(hold, intake->conf.ops->undone(intake->conf.arg, hold->partition, hold->taken));
}

static bool on_leaving(void *arg, struct hold *hold, bool lost)
{
    (void)lost;
    if (hold->owned)
        note_done(arg, hold);
    return true;
}

/* What is at work or in flight is dropped; the new owner of the partition does it again. */
static void on_revoked(void *arg, struct hold *hold)
{
    struct intake *intake = arg;

    intake->conf.ops->drop(intake->conf.arg, hold->partition);
}

static void note_all_done(struct intake *intake)
{
    struct hold *hold;

    for (size_t at = 0; (hold = holds_next(&intake->holds, &at)) != NULL;)
        note_done(intake, hold);
}

static void pause_all(struct intake *intake, bool pause)
{
    struct hold *hold;

    for (size_t at = 0; (hold = holds_next(&intake->holds, &at)) != NULL;)
        hold_pause(&intake->holds, hold, pause);
}

/* ---- life ----------------------------------------------------------------------------- */

enum cq_status intake_new(const struct intake_conf *conf, struct intake **ret)
{
    static const struct hold_ops ops = { .leaving = on_leaving, .revoked = on_revoked };
    struct intake *intake = calloc(1, sizeof *intake);
    const char *topic = topic_name(TOPIC_CHAT_EVENTS);

    if (!intake)
        return CQ_FATAL;
    intake->conf = *conf;
    if (holds_open(&intake->holds,
                   &(struct holds_conf){ .consumer = { .brokers = conf->brokers,
                                                       .client_id = "chasqui-media",
                                                       .group = "media",
                                                       .instance = conf->instance,
                                                       .topics = &topic,
                                                       .topics_n = 1,
                                                       .fetch_wait_ms = FETCH_WAIT_MS },
                                         .ops = &ops,
                                         .arg = intake,
                                         .commit_every_ms = COMMIT_EVERY_MS,
                                         .careful_n = CAREFUL_N }) != CQ_OK) {
        intake_free(intake);
        return CQ_FATAL;
    }
    *ret = intake;
    return CQ_OK;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    holds_close(&intake->holds);
    producer_free(intake->letters);
    free(intake);
}

/* ---- records -------------------------------------------------------------------------- */

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct intake *intake = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    intake->stored = st == CQ_OK;
}

/* Write the dead letter, and wait until it is stored. A producer of its own, made when it is needed
 * first. */
static enum cq_status write_letter(struct intake *intake, const struct bus_record *rec,
                                   const char *why)
{
    const struct producer_conf conf = { .brokers = intake->conf.brokers,
                                        .client_id = "chasqui-media",
                                        .message_timeout_ms = LETTER_WITHIN_MS,
                                        .report = on_report,
                                        .arg = intake };

    intake->stored = false;
    if ((intake->letters || producer_new(&conf, &intake->letters) == CQ_OK) &&
        dead_letter_send(intake->letters, rec, why, "media", clock_wall_ms(), 0) == CQ_OK)
        producer_flush(intake->letters, 2 * LETTER_WITHIN_MS);
    if (intake->stored)
        return CQ_OK;
    snprintf(intake->why, sizeof intake->why, "a dead letter: %s",
             intake->letters ? producer_error(intake->letters) : "no memory");
    return CQ_FATAL;
}

/* CQ_AGAIN: it is to be taken once more. */
static enum cq_status take(struct intake *intake, const struct bus_record *rec)
{
    const char *why;
    enum cq_status st = hold_enter(&intake->holds, rec, NOTE_MS, &why);

    if (st == CQ_OK)
        intake->conf.ops->take(intake->conf.arg, rec);
    else if (st == CQ_POISON)
        return write_letter(intake, rec, why);
    while (hold_leave(&intake->holds, NOTE_MS) == CQ_AGAIN)
        log_debug("note_not_removed", LOG_I("partition", rec->partition));
    return st;
}

static enum cq_status take_records(struct intake *intake, int wait_ms)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < TURN_RECORDS; i++) {
        struct bus_record rec;
        struct hold *hold;

        st = holds_poll(&intake->holds, i ? 0 : wait_ms, &rec, &hold);
        if (st != CQ_OK || !rec.topic)
            return st;
        st = intake->conf.ops->room(intake->conf.arg) ? take(intake, &rec) : CQ_AGAIN;
        if (st == CQ_AGAIN) /* without its note, or it came before the pause did */
            hold_seek(&intake->holds, hold, rec.offset);
        else if (st == CQ_OK)
            hold_stepped(hold);
        record_release(&rec);
    }
    return st == CQ_AGAIN ? CQ_OK : st;
}

enum cq_status intake_turn(struct intake *intake, int wait_ms)
{
    enum cq_status st;

    pause_all(intake, !intake->conf.ops->room(intake->conf.arg));
    st = take_records(intake, wait_ms);
    holds_show(&intake->holds, 0); /* what it took is in its table */
    if (st != CQ_OK)
        return st;
    note_all_done(intake);
    holds_commit(&intake->holds, false);
    return CQ_OK;
}

void intake_commit(struct intake *intake)
{
    note_all_done(intake);
    holds_commit(&intake->holds, true);
}

int intake_owned(const struct intake *intake)
{
    return consumer_owned(intake->holds.consumer);
}

const char *intake_error(const struct intake *intake)
{
    return *intake->why ? intake->why : consumer_error(intake->holds.consumer);
}
