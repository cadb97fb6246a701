/* SPDX-License-Identifier: MIT */
/*
 * schemas/output.h - where a processor's turn puts its records: Kafka in a role, memory in a test.
 */
#pragma once

#include "lib/base/span.h"
#include "lib/base/status.h"
#include "schemas/topics.h"

/** Borrowed by a turn for the length of one call. */
struct output_port {
    void *arg;
    /** Bytes that may still be emitted before the turn should end; 0: end it. */
    size_t (*room)(void *arg);
    /** One record; key and value are copied. `at_ms`: the record's time, 0 for now. CQ_FATAL when
     * the turn's outputs pass their bound. */
    enum cq_status (*emit)(void *arg, enum topic topic, int32_t partition, struct cq_span key,
                           struct cq_span value, int64_t at_ms);
};

/** What is left of the room when `gathered` bytes wait to be emitted at the end of the turn. */
static inline size_t output_room(const struct output_port *port, size_t gathered)
{
    size_t room = port->room(port->arg);

    return room > gathered ? room - gathered : 0;
}
