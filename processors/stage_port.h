/* SPDX-License-Identifier: MIT */
/*
 * processors/stage_port.h - the outputs of a processor's turn go to its stage. For role.c, which
 * alone knows the bus.
 */
#pragma once

#include "lib/bus/stage.h"
#include "schemas/output.h"

static inline size_t stage_port_room(void *arg)
{
    return stage_room(arg);
}

static inline enum cq_status stage_port_emit(void *arg, enum topic topic, int32_t partition,
                                             struct cq_span key, struct cq_span value,
                                             int64_t at_ms)
{
    return stage_emit(arg, topic_name(topic), partition, key, value, at_ms);
}

/** Valid as long as `out`. */
static inline struct output_port stage_port(struct stage_out *out)
{
    return (struct output_port){ out, stage_port_room, stage_port_emit };
}
