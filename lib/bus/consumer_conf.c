/* SPDX-License-Identifier: MIT */
#include "lib/bus/rdkafka_conf.h"

#include <stdio.h>

enum { SESSION_MS = 10000 };

rd_kafka_conf_t *rdkafka_conf_consumer(const struct consumer_conf *conf)
{
    char session[32], heartbeat[32], fetch[32], wait[32];
    const char *const pairs[] = {
        "group.id",
        conf->group,
        "partition.assignment.strategy",
        "range",
        "enable.auto.commit",
        "false",
        "enable.auto.offset.store",
        "false",
        "auto.offset.reset",
        "error",
        "session.timeout.ms",
        session,
        "heartbeat.interval.ms",
        heartbeat,
        "max.poll.interval.ms",
        "300000",
        "fetch.wait.max.ms",
        wait,
        "fetch.min.bytes",
        "1",
        /* After a broker's restart a commit can lie in the queue of a connection that nobody opens;
         * the group is not joined again before it has timed out (60 s by default). */
        "socket.timeout.ms",
        "10000",
        "fetch.error.backoff.ms",
        "20",
        "fetch.max.bytes",
        fetch,
        "fetch.message.max.bytes",
        "1048576",
        /* A full queue is looked at again only after a second (fetch.queue.backoff.ms is later than
         * this library): it has to hold what is taken in one, or whoever catches up stands still
         * for the rest of it. */
        "queued.min.messages",
        "100000",
        "queued.max.messages.kbytes",
        "32768",
        "allow.auto.create.topics",
        "false",
        /* the last pair is used only with a stable name */
        conf->instance && *conf->instance ? "group.instance.id" : NULL,
        conf->instance,
        NULL,
    };

    int32_t session_ms = conf->session_timeout_ms ? conf->session_timeout_ms : SESSION_MS;

    snprintf(session, sizeof session, "%d", session_ms);
    snprintf(heartbeat, sizeof heartbeat, "%d", session_ms / 5);
    snprintf(wait, sizeof wait, "%d", RDKAFKA_FETCH_IDLE_MS);
    snprintf(fetch, sizeof fetch, "%d",
             conf->fetch_max_bytes ? conf->fetch_max_bytes : 16 * 1024 * 1024);
    return rdkafka_conf_new(conf->brokers, conf->client_id, pairs);
}
