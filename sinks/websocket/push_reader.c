/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/push_reader.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEAD_LETTER_WITHIN_MS = 5000, FETCH_MAX_BYTES = 4 * 1024 * 1024 };

struct push_reader {
    struct push_reader_conf conf;
    struct sink *sink;         /* borrowed */
    struct consumer *consumer; /* owned */
    const char *topic;         /* static */
    bool assigned_now;         /* in the poll that is running */
    bool assigned_ever;
    enum cq_status dead_verdict; /* of the dead letter under way */
    bool dead_reported;
    char why[320]; /* of CQ_FATAL */
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
    consumer_free(r->consumer);
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

static void on_dead_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                           enum cq_status st)
{
    struct push_reader *r = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    r->dead_reported = true;
    r->dead_verdict = st;
}

/* So rare that a producer of its own and a short wait are the simplest; on any failure the process
 * ends, and the record is met again after the restart. */
static enum cq_status dead_letter(struct push_reader *r, const struct bus_record *rec,
                                  const char *why, int64_t wall_ms)
{
    struct producer_conf conf = { .brokers = r->conf.brokers,
                                  .client_id = r->conf.client_id,
                                  .message_timeout_ms = DEAD_LETTER_WITHIN_MS,
                                  .report = on_dead_report,
                                  .arg = r };
    struct producer *p = NULL;
    char topic[BUS_NAME_MAX];
    enum cq_status st;

    snprintf(topic, sizeof topic, "%s.dlq", r->topic);
    if (producer_new(&conf, &p) != CQ_OK)
        return CQ_FATAL;
    r->dead_reported = false;
    st = dead_letter_send(p, topic, rec, why, "edge-ws", wall_ms, 0);
    while (st == CQ_OK && !r->dead_reported)
        producer_serve(p, 100);
    producer_free(p);
    log_debug("dead_letter", LOG_S("topic", r->topic), LOG_I("partition", rec->partition),
              LOG_I("offset", rec->offset), LOG_S("why", why));
    return st == CQ_OK && r->dead_verdict == CQ_OK ? CQ_OK : CQ_FATAL;
}

static enum cq_status route(struct push_reader *r, const struct bus_record *rec, int64_t wall_ms)
{
    const char *why = "empty";
    /* An empty value is no WsPush either, and to the sink it means: step over. */
    enum cq_status st = rec->value.n
                            ? sink_record(r->sink, rec->partition, rec->offset, rec->value, &why)
                            : CQ_POISON;

    if (st == CQ_POISON) {
        st = dead_letter(r, rec, why, wall_ms);
        if (st == CQ_OK)
            st = sink_record(r->sink, rec->partition, rec->offset, (struct cq_span){ 0 }, &why);
    }
    if (st == CQ_AGAIN) /* the slot is paused: come back to this record when it is not */
        st = consumer_seek(r->consumer, rec->topic, rec->partition, rec->offset) == CQ_OK
                 ? CQ_OK
                 : CQ_FATAL;
    return st;
}

enum cq_status push_reader_poll(struct push_reader *r, int max, int64_t wall_ms, bool *ret_more)
{
    int nothing = 0;

    consumer_flush_commits(r->consumer);
    *ret_more = true;
    for (int i = 0; i < max; i++) {
        struct bus_record rec;
        enum cq_status st;

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
            snprintf(r->why, sizeof r->why, "routing record %lld of slot %d: %s",
                     (long long)rec.offset, rec.partition,
                     *consumer_error(r->consumer) ? consumer_error(r->consumer)
                                                  : "no memory, or no dead letter");
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
        log_debug("commit_failed", LOG_I("slot", slot)); /* more is read again, nothing is lost */
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
