/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/letter.c - dead letters: the record that can never succeed, with the reason in headers
 * and a line in the log of the role; records that expired before anybody read them; and records that
 * wait for a newer build. It alone may log above debug outside of a role.c, so that an operator
 * finds each of them by the same line, whichever role wrote it.
 */
#include "lib/bus/bus.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/dead_letter.h"
#include "lib/base/log.h"

#include <stdio.h>

enum {
    LETTER_BYTES_MAX = 1024 * 1024, /* message.max.bytes of producer and topics … */
    BATCH_OVERHEAD = 96, /* … in which a batch and its one record have their frames … */
    HEADER_OVERHEAD = 8, /* … and each header its lengths */
    UNJUDGED_EVERY_MS = 60 * 1000,
};

/* What is left for key and value. */
static size_t room_beside(const struct bus_header *headers, size_t n)
{
    size_t used = BATCH_OVERHEAD;

    for (size_t i = 0; i < n; i++)
        used += HEADER_OVERHEAD + strlen(headers[i].name) + headers[i].value.n;
    return LETTER_BYTES_MAX - used;
}

static struct cq_span cut(struct cq_span span, size_t max)
{
    return span.n > max ? span_of(span.p, max) : span;
}

static void tell(const struct bus_record *rec, const char *error, bool is_cut)
{
    log_warn("dead_letter", LOG_S("topic", rec->topic), LOG_I("partition", rec->partition),
             LOG_I("offset", rec->offset), LOG_S("why", error), LOG_I("bytes", (long)rec->value.n),
             LOG_I("cut", is_cut));
}

void expired_tell(const char *topic, int32_t partition, int64_t from, int64_t first)
{
    count_add(COUNT_EXPIRED, first - from);
    log_warn("expired", LOG_S("topic", topic), LOG_I("partition", partition), LOG_I("from", from),
             LOG_I("first", first), LOG_I("records", first - from));
}

void newer_tell(const struct bus_record *rec, uint32_t schema)
{
    char id[16];

    snprintf(id, sizeof id, "%08x", schema);
    log_warn("newer_build_needed", LOG_S("topic", rec->topic), LOG_I("partition", rec->partition),
             LOG_I("offset", rec->offset), LOG_S("schema", id),
             LOG_S("do", "start the newer build of this role in its place"));
}

void unjudged_tell(const char *topic, int32_t partition, const char *status)
{
    static int64_t told_ms; /* 0: never */
    int64_t now_ms = clock_mono_ms();

    if (told_ms && now_ms - told_ms < UNJUDGED_EVERY_MS)
        return;
    told_ms = now_ms;
    log_warn(
        "version_not_judged", LOG_S("topic", topic), LOG_I("partition", partition),
        LOG_S("status", status),
        LOG_S("why", "its next record has an unknown schema, and topic schemas cannot be read"));
}

enum cq_status dead_letter_send(struct producer *producer, const struct bus_record *rec,
                                const char *error, const char *worker, int64_t now_ms,
                                uint64_t opaque)
{
    char topic[BUS_NAME_MAX], partition[16], offset[24], ts[24], whole[64];
    struct bus_header headers[7];
    struct cq_span key = rec->key, value = rec->value;
    size_t n = 6, room;
    enum cq_status st;

    if (!error)
        error = "unknown";
    snprintf(topic, sizeof topic, "%s%s", rec->topic, DEAD_LETTER_SUFFIX);
    snprintf(partition, sizeof partition, "%d", rec->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)rec->offset);
    snprintf(ts, sizeof ts, "%lld", (long long)now_ms);
    snprintf(whole, sizeof whole, "of %zu bytes of key, %zu bytes of value", key.n, value.n);
    headers[0] = (struct bus_header){ "src_topic", span_str(rec->topic) };
    headers[1] = (struct bus_header){ "src_partition", span_str(partition) };
    headers[2] = (struct bus_header){ "src_offset", span_str(offset) };
    headers[3] = (struct bus_header){ "error", span_str(error) };
    headers[4] = (struct bus_header){ "worker", span_str(worker) };
    headers[5] = (struct bus_header){ "ts", span_str(ts) };
    headers[6] = (struct bus_header){ "cut", span_str(whole) };
    if (key.n + value.n > room_beside(headers, n)) {
        n = 7;
        room = room_beside(headers, n);
        key = cut(key, room / 2);
        value = cut(value, room - key.n);
    }
    st = producer_send(producer, &(struct bus_send){ .topic = topic,
                                                     .partition = rec->partition,
                                                     .key = key,
                                                     .value = value,
                                                     .at_ms = now_ms,
                                                     .headers = headers,
                                                     .headers_n = n,
                                                     .opaque = opaque });
    if (st != CQ_OK)
        return st;
    count_add(COUNT_DEAD_LETTERS, 1);
    tell(rec, error, n == 7);
    return CQ_OK;
}
