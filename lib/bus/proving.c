/* SPDX-License-Identifier: MIT */
#include "lib/bus/proving.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Age of the earlier place, and up to twice as much: brokers sync in the background more often. */
enum { EARLIER_MS = 15 * 1000 };

enum cq_status proving_init(struct proving *ps, const struct proving_conf *conf)
{
    CQ_ASSERT(conf->outputs_n <= PROOF_OUTPUTS_MAX, conf->outputs_n);
    ps->conf = *conf;
    ps->ends = calloc(PROOF_OUTPUTS_MAX, sizeof *ps->ends);
    ps->looked = calloc(PROOF_OUTPUTS_MAX, sizeof *ps->looked);
    ps->places = calloc(PARTITIONS_MAX, sizeof *ps->places);
    return ps->ends && ps->looked && ps->places ? CQ_OK : CQ_FATAL;
}

void proving_release(struct proving *ps)
{
    free(ps->ends);
    free(ps->looked);
    free(ps->places);
    *ps = (struct proving){ 0 };
}

uint64_t proving_output(const struct proving *ps, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < ps->conf.outputs_n; i++) {
        const struct proven *output = &ps->conf.outputs[i];

        if (strcmp(output->topic, topic) == 0 &&
            (output->partition < 0 || output->partition == partition))
            return i + 1;
    }
    return 0;
}

static void reach(struct proving *ps, size_t i, int32_t partition, int64_t end)
{
    if (partition >= 0 && partition < PARTITIONS_MAX && end > ps->ends[i][partition])
        ps->ends[i][partition] = end;
}

void proving_stored(struct proving *ps, uint64_t output, int32_t partition, int64_t offset)
{
    CQ_ASSERT(output <= ps->conf.outputs_n, output);
    if (output)
        reach(ps, output - 1, partition, offset + 1);
}

/* The partition of an output, for one of the input. */
static int32_t partition_of(const struct proving *ps, size_t i, int32_t partition)
{
    return ps->conf.outputs[i].partition < 0 ? partition : ps->conf.outputs[i].partition;
}

static int32_t width_of(const struct proving *ps, size_t i)
{
    for (size_t k = 0; k < ps->conf.topics_n; k++)
        if (strcmp(ps->conf.topics[k].topic, ps->conf.outputs[i].topic) == 0)
            return ps->conf.topics[k].partitions;
    return 0;
}

/* Where an output ends, as it was at the last look behind the same connections: logs only grow,
 * unless their broker was away. */
static enum cq_status look(struct proving *ps, const struct producer *producer, size_t i,
                           int32_t partition, int64_t wanted)
{
    uint64_t connects = producer_connects(producer);

    if (connects != ps->connects)
        memset(ps->looked, 0, PROOF_OUTPUTS_MAX * sizeof *ps->looked);
    ps->connects = connects;
    if (ps->looked[i][partition] >= wanted)
        return CQ_OK;
    return reader_ends(ps->conf.reader, ps->conf.outputs[i].topic, width_of(ps, i), ps->looked[i]);
}

enum cq_status proving_take(struct proving *ps, const struct producer *producer, int32_t partition,
                            const char **meta, char *reterr, size_t reterr_n)
{
    struct proof *proof = &ps->places[partition].proof;

    ps->places[partition] = (struct proving_place){ 0 };
    *meta = proof_parse(*meta, (int)ps->conf.outputs_n, proof);
    for (int i = 0; i < proof->n; i++) {
        size_t output = (size_t)i;
        int32_t at = partition_of(ps, output, partition);
        enum cq_status st = look(ps, producer, output, at, proof->now[i]);

        if (st != CQ_OK)
            return st;
        if (ps->looked[i][at] < proof->now[i]) {
            snprintf(reterr, reterr_n,
                     "log_was_cut: %s partition %d ends at %lld, and ended at %lld when partition "
                     "%d of the input was committed; it lost records",
                     ps->conf.outputs[i].topic, at, (long long)ps->looked[i][at],
                     (long long)proof->now[i], partition);
            return CQ_FATAL;
        }
        reach(ps, output, at, proof->now[i]);
    }
    return CQ_OK;
}

/* The earlier place is a candidate that has become old enough. */
static void move_earlier(struct proving_place *place, int64_t next)
{
    struct proof *proof = &place->proof;
    int64_t now_ms = clock_mono_ms();

    if (place->since_ms && now_ms - place->since_ms < EARLIER_MS)
        return;
    if (place->since_ms) {
        proof->earlier = place->at;
        memcpy(proof->then, place->end, sizeof proof->then);
    }
    place->since_ms = now_ms;
    place->at = next;
    memcpy(place->end, proof->now, sizeof place->end);
}

size_t proving_format(struct proving *ps, int32_t partition, int64_t next, char out[PROOF_TEXT_MAX])
{
    struct proving_place *place = &ps->places[partition];

    if (!place->proof.n)
        place->proof = PROOF_NONE;
    place->proof.n = (int)ps->conf.outputs_n;
    for (size_t i = 0; i < ps->conf.outputs_n; i++)
        place->proof.now[i] = ps->ends[i][partition_of(ps, i, partition)];
    move_earlier(place, next);
    return proof_format(&place->proof, out);
}
