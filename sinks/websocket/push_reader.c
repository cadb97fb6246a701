/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/push_reader.h"

#include "lib/base/log.h"
#include "lib/bus/hold.h"
#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LETTER_WITHIN_MS = 120 * 1000,
    SOON_MS = 50, /* an answer of the broker, as a rule */
    FETCH_MAX_BYTES = 4 * 1024 * 1024,
    CAREFUL_N = 4096, /* each ends in a commit that is later by one, so those behind it have their
                       * turn after the next deaths */
};

/* The record in hand: nothing else is read before it is done with. */
enum hand {
    HAND_EMPTY,
    HAND_NOTING, /* the guard's note, or that of this start, is on its way */
    LETTER_SENT,
    LETTER_STORED,
    LETTER_FAILED
};

struct push_reader {
    struct push_reader_conf conf;
    struct sink *sink;        /* borrowed */
    struct holds holds;       /* owned */
    const char *topic;        /* static */
    bool assigned_now;        /* in the poll that is running */
    struct producer *letters; /* owned; NULL until the first dead letter */
    enum hand hand;
    struct bus_record rec; /* owned; in hand */
    int64_t since_ms;      /* wall clock; since when the broker is waited for */
    char why[320];         /* of CQ_FATAL */
};

static enum cq_status on_assigned(void *arg, struct hold *hold, const char *meta, int64_t *ret_from)
{
    struct push_reader *reader = arg;
    int64_t from = sink_assigned(reader->sink, hold->partition, hold->committed);

    (void)meta;
    *ret_from = from >= 0 ? from : BUS_FROM_START;
    reader->assigned_now = true;
    return CQ_OK;
}

/* The sink commits what it has to. */
static bool on_leaving(void *arg, struct hold *hold, bool lost)
{
    struct push_reader *reader = arg;

    if (reader->sink)
        sink_revoked(reader->sink, hold->partition, lost);
    return true;
}

enum cq_status push_reader_new(const struct push_reader_conf *conf, struct push_reader **ret)
{
    struct push_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return CQ_FATAL;
    reader->conf = *conf;
    reader->topic = topic_name(TOPIC_WS_PUSH);
    *ret = reader;
    return CQ_OK;
}

void push_reader_free(struct push_reader *reader)
{
    if (!reader)
        return;
    reader->sink = NULL; /* the last revocation comes on a thread of the library's closing */
    record_release(&reader->rec);
    holds_close(&reader->holds);
    producer_free(reader->letters);
    free(reader);
}

enum cq_status push_reader_start(struct push_reader *reader, struct sink *sink)
{
    static const struct hold_ops ops = { .assigned = on_assigned, .leaving = on_leaving };

    reader->sink = sink;
    return holds_open(&reader->holds,
                      &(struct holds_conf){ .consumer = { .brokers = reader->conf.brokers,
                                                          .client_id = reader->conf.client_id,
                                                          .group = "edge-ws",
                                                          .instance = reader->conf.instance,
                                                          .topics = &reader->topic,
                                                          .topics_n = 1,
                                                          .nonblocking = true,
                                                          .fetch_max_bytes = FETCH_MAX_BYTES },
                                            .ops = &ops,
                                            .arg = reader,
                                            .careful_n = CAREFUL_N });
}

int push_reader_fd(struct push_reader *reader)
{
    return consumer_fd(reader->holds.consumer);
}

static void on_letter_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                             enum cq_status st)
{
    struct push_reader *reader = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    reader->hand = st == CQ_OK ? LETTER_STORED : LETTER_FAILED;
}

/* Send the dead letter of the record in hand, which is kept until the report. A producer of its own,
 * made when it is needed first. */
static enum cq_status begin_letter(struct push_reader *reader, const char *why, int64_t wall_ms)
{
    struct producer_conf conf = { .brokers = reader->conf.brokers,
                                  .client_id = reader->conf.client_id,
                                  .message_timeout_ms = LETTER_WITHIN_MS,
                                  .report = on_letter_report,
                                  .arg = reader };

    if (!reader->letters && producer_new(&conf, &reader->letters) != CQ_OK)
        return CQ_FATAL;
    if (dead_letter_send(reader->letters, &reader->rec, why, "edge-ws", wall_ms, 0) != CQ_OK)
        return CQ_FATAL;
    reader->hand = LETTER_SENT;
    reader->since_ms = wall_ms;
    return CQ_OK;
}

static struct hold *hold_of(struct push_reader *reader)
{
    return holds_find(&reader->holds, reader->rec.topic, reader->rec.partition);
}

static void empty_hand(struct push_reader *reader)
{
    record_release(&reader->rec);
    reader->hand = HAND_EMPTY;
}

static void put_back(struct push_reader *reader)
{
    hold_seek(&reader->holds, hold_of(reader), reader->rec.offset);
    empty_hand(reader);
}

/* The record in hand has no note yet. When none is on its way either (it was refused, or another
 * loop has one), the record goes back: a hand that is not empty keeps the consumer from being
 * polled, and only a poll tells of a partition that went to another gateway. */
static void await_note(struct push_reader *reader, int64_t wall_ms)
{
    if (!hold_guard_busy(&reader->holds)) {
        put_back(reader);
        return;
    }
    if (reader->hand != HAND_NOTING)
        reader->since_ms = wall_ms;
    reader->hand = HAND_NOTING;
}

/* Give the record in hand to the sink, behind its note where it needs one. The note stays until the
 * next poll: the turn that writes what was routed belongs to the step. */
static enum cq_status route(struct push_reader *reader, int64_t wall_ms)
{
    const char *why = "empty";
    enum cq_status st = hold_enter(&reader->holds, &reader->rec, 0, &why);

    if (st == CQ_AGAIN) {
        await_note(reader, wall_ms);
        return CQ_OK;
    }
    /* An empty value is no WsPush either. (To the sink it would mean: step over.) */
    if (st == CQ_OK)
        st = reader->rec.value.n ? sink_record(reader->sink, reader->rec.partition,
                                               reader->rec.offset, reader->rec.value, &why)
                                 : CQ_POISON;
    if (st == CQ_POISON)
        return begin_letter(reader, why, wall_ms);
    if (st == CQ_AGAIN) { /* the slot is paused: come back to this record when it is not */
        put_back(reader);
        return CQ_OK;
    }
    if (st == CQ_OK)
        hold_stepped(hold_of(reader));
    else
        snprintf(reader->why, sizeof reader->why, "routing record %lld of slot %d: no memory",
                 (long long)reader->rec.offset, reader->rec.partition);
    empty_hand(reader);
    return st;
}

/* The dead letter is reported: its record is stepped over. */
static enum cq_status end_letter(struct push_reader *reader)
{
    const char *why;
    enum cq_status st = reader->hand == LETTER_STORED
                            ? sink_record(reader->sink, reader->rec.partition, reader->rec.offset,
                                          (struct cq_span){ 0 }, &why)
                            : CQ_FATAL;

    if (st == CQ_AGAIN) { /* no room to step over it: it is read again, and gets another dead
                           * letter */
        put_back(reader);
        return CQ_OK;
    }
    if (st == CQ_OK)
        hold_stepped(hold_of(reader));
    else
        snprintf(reader->why, sizeof reader->why, "a dead letter: %s",
                 producer_error(reader->letters));
    empty_hand(reader);
    return st == CQ_OK ? CQ_OK : CQ_FATAL;
}

/* Go on with the record in hand, without waiting. */
static enum cq_status serve_hand(struct push_reader *reader, int64_t wall_ms)
{
    /* A record that waits for its note has not been stepped: to leave it would withdraw the note. */
    if (reader->hand != HAND_NOTING && hold_leave(&reader->holds, 0) == CQ_AGAIN)
        return CQ_OK; /* the note of the last one is not removed */
    switch (reader->hand) {
    case HAND_EMPTY:
        return CQ_OK;
    case HAND_NOTING:
        return route(reader, wall_ms);
    case LETTER_SENT:
        producer_serve(reader->letters, 0);
        return reader->hand == LETTER_SENT ? CQ_OK : end_letter(reader);
    case LETTER_STORED:
    case LETTER_FAILED:
        break;
    }
    return end_letter(reader);
}

/* Take one record from the log. `*ret_none`: there was none, or it went back. */
static enum cq_status take(struct push_reader *reader, int64_t wall_ms, bool *ret_none)
{
    struct hold *hold;
    int64_t offset;
    enum cq_status st;

    reader->assigned_now = false;
    st = holds_poll(&reader->holds, 0, &reader->rec, &hold);
    if (reader->assigned_now)
        sink_settled(reader->sink);
    if (st != CQ_OK) {
        snprintf(reader->why, sizeof reader->why, "%s", consumer_error(reader->holds.consumer));
        return st;
    }
    *ret_none = !reader->rec.topic;
    if (*ret_none)
        return CQ_OK;
    offset = reader->rec.offset;
    st = route(reader, wall_ms);
    *ret_none = hold->taken == offset; /* it went back */
    return st;
}

enum cq_status push_reader_poll(struct push_reader *reader, int max, int64_t wall_ms,
                                bool *ret_more)
{
    int nothing = 0;

    *ret_more = true;
    for (int i = 0; i < max; i++) {
        bool none;
        enum cq_status st = serve_hand(reader, wall_ms);

        if (st != CQ_OK)
            return st;
        if (reader->hand != HAND_EMPTY || hold_guard_busy(&reader->holds)) {
            /* soon, as a rule; the caller's next tick comes in any case */
            *ret_more = wall_ms - reader->since_ms < SOON_MS;
            return CQ_OK;
        }
        st = take(reader, wall_ms, &none);
        if (st != CQ_OK || hold_guard_busy(&reader->holds))
            return st;
        /* Events come back as no record too, so only the second time in a row says: empty. */
        nothing = none ? nothing + 1 : 0;
        if (nothing == 2) {
            *ret_more = false;
            return CQ_OK;
        }
    }
    return CQ_OK;
}

void push_reader_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    struct push_reader *reader = arg;
    struct hold *hold = holds_find(&reader->holds, reader->topic, slot);

    if (!hold || !hold->owned)
        return;
    hold_done(hold, next);
    if (!wait)
        hold_commit(&reader->holds, hold);
    else if (hold_commit_wait(&reader->holds, hold) != CQ_OK)
        log_debug("commit_failed", LOG_I("slot", slot)); /* more is read again after a restart,
                                                          * nothing is lost */
}

void push_reader_pause(void *arg, int32_t slot, bool pause)
{
    struct push_reader *reader = arg;
    struct hold *hold = holds_find(&reader->holds, reader->topic, slot);

    if (hold)
        hold_pause(&reader->holds, hold, pause);
}

void push_reader_show(const struct push_reader *reader)
{
    consumer_show(reader->holds.consumer, 0); /* sockets tell of what they hold */
}

const char *push_reader_error(const struct push_reader *reader)
{
    return reader->why;
}
