/* SPDX-License-Identifier: MIT */
#include "sinks/media/submit.h"

#include "ingest/ingest.h"
#include "lib/base/clock.h"

#include <stdlib.h>

enum { ACK_MS = 35 * 1000, LOOK_MS = 50 };

enum ack_state { ACK_AWAITED, ACK_STORED, ACK_UNKNOWN };

struct submitter {
    struct ingest *ingest; /* owned */
    uint64_t submit;       /* the one whose report is awaited */
    enum ack_state ack;    /* on_report() writes */
    int32_t partition;
    int64_t offset;
};

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct submitter *submitter = arg;

    if (opaque != submitter->submit)
        return;
    submitter->ack = st == CQ_OK ? ACK_STORED : ACK_UNKNOWN;
    submitter->partition = partition;
    submitter->offset = offset;
}

enum cq_status submitter_new(const char *brokers, const char *client_id, int32_t partitions,
                             struct submitter **ret)
{
    struct submitter *submitter = calloc(1, sizeof *submitter);
    struct ingest_conf conf = { .brokers = brokers,
                                .client_id = client_id,
                                .partitions = partitions,
                                .ack = on_report,
                                .arg = submitter };
    enum cq_status st;

    if (!submitter)
        return CQ_FATAL;
    st = ingest_new(&conf, &submitter->ingest);
    if (st == CQ_OK)
        *ret = submitter;
    else
        free(submitter);
    return st;
}

void submitter_free(struct submitter *submitter)
{
    if (!submitter)
        return;
    ingest_free(submitter->ingest);
    free(submitter);
}

enum cq_status submitter_send(struct submitter *submitter, const struct chat_action *action,
                              int32_t *ret_partition, int64_t *ret_offset)
{
    int64_t until_ms = clock_mono_ms() + ACK_MS;
    const char *field = "";
    enum cq_status st;

    submitter->ack = ACK_AWAITED;
    st = ingest_chat(submitter->ingest, action, ++submitter->submit, &field);
    while (st == CQ_OK && submitter->ack == ACK_AWAITED && clock_mono_ms() < until_ms) {
        ingest_serve(submitter->ingest);
        clock_sleep_ms(LOOK_MS);
    }
    if (st == CQ_OK && submitter->ack != ACK_STORED)
        return CQ_AGAIN;
    if (st == CQ_OK) {
        *ret_partition = submitter->partition;
        *ret_offset = submitter->offset;
    }
    return st;
}
