/* SPDX-License-Identifier: MIT */
#include "processors/role.h"

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"

#include <stdio.h>
#include <stdlib.h>

enum { TURN_RECORDS = 1000, TURN_BYTES = 2 * 1024 * 1024 };

enum cq_status processor_init(struct processor *processor)
{
    processor->partitions_n = (int32_t)setting_int(SET_PARTITIONS);
    return reader_new(setting_text(SET_KAFKA_BROKER), &processor->reader);
}

void processor_drop(struct processor *processor, int32_t partition)
{
    if (!processor->states[partition])
        return;
    processor->release(processor->states[partition]);
    free(processor->states[partition]);
    processor->states[partition] = NULL;
}

void processor_keep(struct processor *processor, int32_t partition, void *state)
{
    processor_drop(processor, partition);
    processor->states[partition] = state;
}

static size_t list_proven(struct processor *processor)
{
    struct topic_proven found[TOPIC_PROVEN_MAX];
    size_t n = topic_proven(processor->input, processor->slots_n, found);

    for (size_t i = 0; i < n; i++)
        processor->proven[i] = (struct proven){ topic_name(found[i].topic), found[i].slot };
    return n;
}

static enum cq_status open_stage(struct processor *processor, struct stage **ret)
{
    char client[64];

    CQ_ASSERT(processor->outputs_n <= PROCESSOR_OUTPUTS_MAX, processor->outputs_n);
    for (size_t i = 0; i < processor->outputs_n; i++) {
        enum topic topic = processor->outputs[i];
        bool by_slots = topic_spec(topic)->width == TOPIC_BY_SLOTS;

        processor->watched[i] =
            (struct bus_watched){ topic_name(topic),
                                  by_slots ? processor->slots_n : processor->partitions_n,
                                  topic_groups(topic), TOPIC_GROUPS_MAX };
    }
    snprintf(client, sizeof client, "chasqui-%s", processor->name);
    return stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                           .client_id = client,
                                           .group = processor->name,
                                           .instance = setting_text(SET_INSTANCE),
                                           .topic = topic_name(processor->input),
                                           .worker = processor->name,
                                           .batch_max = TURN_RECORDS,
                                           .batch_max_bytes = TURN_BYTES,
                                           .outputs = processor->watched,
                                           .outputs_n = processor->outputs_n,
                                           .reader = processor->reader,
                                           .proven = processor->proven,
                                           .proven_n = list_proven(processor),
                                           .tries_max = STAGE_TRIES_MAX,
                                           .ops = processor->ops,
                                           .arg = processor->arg },
                     ret);
}

int processor_run(struct processor *processor, enum cq_status st, const volatile int *stop)
{
    struct stage *stage = NULL;

    if (st == CQ_OK)
        st = open_stage(processor, &stage);
    if (st == CQ_OK)
        st = stage_join(stage, stop);
    if (st == CQ_OK) {
        log_info("ready");
        st = stage_run(stage, stop);
    }
    if (st != CQ_OK)
        log_ended(cq_status_name(st), stage ? stage_error(stage) : "no memory, or bad settings");
    stage_free(stage);
    for (int32_t i = 0; i < PARTITIONS_MAX; i++)
        processor_drop(processor, i);
    reader_free(processor->reader);
    return st == CQ_OK ? 0 : 1;
}
