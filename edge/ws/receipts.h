/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/receipts.h - cursors that devices moved, gathered: sent at once when a chat partition is
 * idle, else in one record per partition and 100 ms. They only rise, so several of one user and
 * chat become one, and what the broker did not take is merged with what came since. Pure: times are
 * passed in.
 */
#pragma once

#include "ingest/ingest.h"

enum {
    RECEIPTS_EVERY_MS = 100,
    RECEIPTS_RETRY_MS = 1000,
    RECEIPTS_WAITING_MAX = 8 * LIMIT_RECEIPTS, /* of one partition, those under way too */
    RECEIPTS_USER_MAX = 256,                   /* of one user among them */
    RECEIPT_MEMORY = 8,
};

struct receipt_bucket {
    struct receipt *waiting; /* owned */
    struct receipt *sent;    /* owned; until the broker's report */
    uint32_t waiting_n, waiting_cap, sent_n, sent_cap;
    int64_t due_ms;  /* of the waiting */
    int64_t last_ms; /* when it was last sent */
    bool in_flight;
};

struct receipts {
    struct receipt_bucket *buckets; /* owned; one a partition */
    int32_t partitions;
    int32_t waiting_n; /* buckets with something waiting */
};

/** CQ_FATAL: no memory. */
CQ_MUST_CHECK enum cq_status receipts_init(struct receipts *receipts, int32_t partitions,
                                           int64_t now_ms);
void receipts_release(struct receipts *receipts);

/** Add one. False: too many are waiting, of this user or in all. The caller tells the client, and
 * does not note it in the receipt memory. */
CQ_MUST_CHECK bool receipts_add(struct receipts *receipts, int32_t partition,
                                const struct receipt *one, int64_t now_ms);

/** A partition whose receipts are to be sent now, and these (borrowed until the report); -1: none.
 * Each partition that was taken must end in receipts_report(). */
int32_t receipts_take(struct receipts *receipts, int64_t now_ms, struct receipt **ret,
                      size_t *ret_n);

/** CQ_OK: they are stored. Anything else: they wait again. */
void receipts_report(struct receipts *receipts, int32_t partition, enum cq_status st,
                     int64_t now_ms);

/** Whether nothing waits and nothing is in flight. */
bool receipts_is_empty(const struct receipts *receipts);

/* The last receipts of one socket in a few chats: repeats and steps back are dropped. */
struct receipt_memory {
    struct {
        struct cq_id chat;
        bool has_peer;
        int64_t delivered, read, hidden;
    } of[RECEIPT_MEMORY];
};

/** Whether it moves a cursor of its chat, as far as is remembered. A receipt with a peer is no
 * repeat of one without. */
bool receipt_memory_advances(const struct receipt_memory *memory, const struct receipt *one);

/** It was accepted: repeats are dropped from now on. */
void receipt_memory_keep(struct receipt_memory *memory, const struct receipt *one);
