/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/push_reader.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum { LETTER_WITHIN_MS = 120 * 1000, LETTER_SOON_MS = 50, FETCH_MAX_BYTES = 4 * 1024 * 1024 };

enum letter { LETTER_NONE, LETTER_SENT, LETTER_STORED, LETTER_FAILED };

struct push_reader {
    struct push_reader_conf conf;
    struct sink *sink;         /* borrowed */
    struct consumer *consumer; /* owned */
    const char *topic;         /* static */
    bool assigned_now;         /* in the poll that is running */
    bool assigned_ever;
    struct producer *letters; /* owned; NULL until the first dead letter */
    enum letter letter;
    int64_t letter_ms;      /* wall clock when it was sent */
    struct bus_record dead; /* owned; of the dead letter in flight */
    char why[320];          /* of CQ_FATAL */
};

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct push_reader *r = arg;
    int64_t from = sink_assigned(r->sink, partition, committed);

    (void)topic;
    (void)meta;
    *ret_from = from >= 0 ? from : BUS_FROM_START;
    r->assigned_now = r->assigned_ever = true;
    return CQ_OK;
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct push_reader *r = arg;

    (void)topic;
    if (r->sink)
        sink_revoked(r->sink, partition, lost);
}

enum cq_status push_reader_new(const struct push_reader_conf *conf, struct push_reader **ret)
{
    struct push_reader *r = calloc(1, sizeof *r);

    if (!r)
        return CQ_FATAL;
    r->conf = *conf;
    r->topic = topic_name(TOPIC_WS_PUSH);
    *ret = r;
    return CQ_OK;
}

void push_reader_free(struct push_reader *r)
{
    if (!r)
        return;
    r->sink = NULL; /* the last revocation comes on a thread of the library's closing */
    record_release(&r->dead);
    consumer_free(r->consumer);
    producer_free(r->letters);
    free(r);
}

enum cq_status push_reader_start(struct push_reader *r, struct sink *sink)
{
    static const struct consumer_ops ops = { .assigned = on_assigned, .revoked = on_revoked };

    r->sink = sink;
    return consumer_new(&(struct consumer_conf){ .brokers = r->conf.brokers,
                                                 .client_id = r->conf.client_id,
                                                 .group = "edge-ws",
                                                 .instance = r->conf.instance,
                                                 .topics = &r->topic,
                                                 .topics_n = 1,
                                                 .ops = &ops,
                                                 .arg = r,
                                                 .nonblocking = true,
                                                 .fetch_max_bytes = FETCH_MAX_BYTES },
                        &r->consumer);
}

int push_reader_fd(struct push_reader *r)
{
    return consumer_fd(r->consumer);
}

static void on_letter_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                             enum cq_status st)
{
    struct push_reader *r = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    r->letter = st == CQ_OK ? LETTER_STORED : LETTER_FAILED;
}

/* Send the dead letter of `rec`, which is kept until the report: nothing is read meanwhile, and
 * nothing waits. A producer of its own, made when it is needed first. */
static enum cq_status begin_letter(struct push_reader *r, struct bus_record *rec, const char *why,
                                   int64_t wall_ms)
{
    struct producer_conf conf = { .brokers = r->conf.brokers,
                                  .client_id = r->conf.client_id,
                                  .message_timeout_ms = LETTER_WITHIN_MS,
                                  .report = on_letter_report,
                                  .arg = r };

    if (!r->letters && producer_new(&conf, &r->letters) != CQ_OK)
        return CQ_FATAL;
    if (dead_letter_send(r->letters, rec, why, "edge-ws", wall_ms, 0) != CQ_OK)
        return CQ_FATAL;
    r->letter = LETTER_SENT;
    r->letter_ms = wall_ms;
    r->dead = *rec;
    *rec = (struct bus_record){ 0 };
    return CQ_OK;
}

/* Whether reading may go on: the dead letter is stored, and its record is stepped over. */
static enum cq_status await_letter(struct push_reader *r, bool *ret_done)
{
    const char *why;
    enum cq_status st;

    *ret_done = r->letter == LETTER_NONE;
    if (*ret_done)
        return CQ_OK;
    producer_serve(r->letters, 0);
    if (r->letter == LETTER_SENT)
        return CQ_OK;
    *ret_done = true;
    st = r->letter == LETTER_STORED
             ? sink_record(r->sink, r->dead.partition, r->dead.offset, (struct cq_span){ 0 }, &why)
             : CQ_FATAL;
    if (st == CQ_AGAIN) { /* no room to step over it: it is read again, and gets another dead
                           * letter */
        consumer_seek(r->consumer, r->dead.topic, r->dead.partition, r->dead.offset);
        st = CQ_OK;
    }
    if (st != CQ_OK)
        snprintf(r->why, sizeof r->why, "a dead letter: %s", producer_error(r->letters));
    record_release(&r->dead);
    r->letter = LETTER_NONE;
    return st == CQ_OK ? CQ_OK : CQ_FATAL;
}

static enum cq_status route(struct push_reader *r, struct bus_record *rec, int64_t wall_ms)
{
    const char *why = "empty";
    /* An empty value is no WsPush either. (To the sink it would mean: step over.) */
    enum cq_status st = rec->value.n
                            ? sink_record(r->sink, rec->partition, rec->offset, rec->value, &why)
                            : CQ_POISON;

    if (st == CQ_POISON)
        return begin_letter(r, rec, why, wall_ms);
    if (st != CQ_AGAIN)
        return st;
    /* the slot is paused: come back to this record when it is not */
    consumer_seek(r->consumer, rec->topic, rec->partition, rec->offset);
    return CQ_OK;
}

enum cq_status push_reader_poll(struct push_reader *r, int max, int64_t wall_ms, bool *ret_more)
{
    int nothing = 0;

    *ret_more = true;
    for (int i = 0; i < max; i++) {
        struct bus_record rec;
        enum cq_status st;
        bool ready;

        st = await_letter(r, &ready);
        if (st != CQ_OK)
            return st;
        if (!ready) { /* soon, as a rule; the caller's next tick comes in any case */
            *ret_more = wall_ms - r->letter_ms < LETTER_SOON_MS;
            return CQ_OK;
        }
        r->assigned_now = false;
        st = consumer_poll(r->consumer, 0, &rec);
        if (r->assigned_now)
            sink_settled(r->sink);
        if (st != CQ_OK) {
            snprintf(r->why, sizeof r->why, "%s", consumer_error(r->consumer));
            return st;
        }
        if (!rec.topic) {
            /* Events come back as no record too, so only the second time in a row says: empty. */
            if (++nothing < 2)
                continue;
            *ret_more = false;
            return CQ_OK;
        }
        nothing = 0;
        st = route(r, &rec, wall_ms);
        if (st != CQ_OK)
            snprintf(r->why, sizeof r->why,
                     "routing record %lld of slot %d: no memory, or no dead letter",
                     (long long)rec.offset, rec.partition);
        record_release(&rec);
        if (st != CQ_OK)
            return st;
    }
    return CQ_OK;
}

void push_reader_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    struct push_reader *r = arg;

    if (!wait)
        consumer_commit(r->consumer, r->topic, slot, next, NULL);
    else if (consumer_commit_wait(r->consumer, r->topic, slot, next, NULL) != CQ_OK)
        log_debug("commit_failed", LOG_I("slot", slot)); /* more is read again after a restart,
                                                          * nothing is lost */
}

void push_reader_pause(void *arg, int32_t slot, bool pause)
{
    struct push_reader *r = arg;

    consumer_pause(r->consumer, r->topic, slot, pause);
}

bool push_reader_assigned(const struct push_reader *r, int *ret_owned)
{
    *ret_owned = consumer_owned(r->consumer);
    return r->assigned_ever;
}

void push_reader_show(const struct push_reader *r)
{
    consumer_show(r->consumer);
}

const char *push_reader_error(const struct push_reader *r)
{
    return r->why;
}
