/* SPDX-License-Identifier: MIT */
#include "edge/ws/receipts.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { FIRST_CAP = 16 };

enum cq_status receipts_init(struct receipts *receipts, int32_t partitions, int64_t now_ms)
{
    *receipts = (struct receipts){ .partitions = partitions };
    receipts->buckets = calloc((size_t)partitions, sizeof *receipts->buckets);
    if (!receipts->buckets)
        return CQ_FATAL;
    for (int32_t i = 0; i < partitions; i++)
        receipts->buckets[i].last_ms = now_ms - RECEIPTS_EVERY_MS;
    return CQ_OK;
}

void receipts_release(struct receipts *receipts)
{
    for (int32_t i = 0; i < receipts->partitions; i++) {
        free(receipts->buckets[i].waiting);
        free(receipts->buckets[i].sent);
    }
    free(receipts->buckets);
    *receipts = (struct receipts){ 0 };
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* `most`: of this user in the bucket. */
static bool merge(struct receipt_bucket *bucket, const struct receipt *one, uint32_t most)
{
    uint32_t of_user = 0;

    for (uint32_t i = 0; i < bucket->waiting_n; i++) {
        struct receipt *receipt = &bucket->waiting[i];

        if (!id_eq(receipt->user_id, one->user_id))
            continue;
        of_user++;
        if (!id_eq(receipt->chat_id, one->chat_id) || !id_eq(receipt->device_id, one->device_id) ||
            receipt->has_peer != one->has_peer || !id_eq(receipt->peer, one->peer))
            continue;
        receipt->delivered_seq = larger(receipt->delivered_seq, one->delivered_seq);
        receipt->read_seq = larger(receipt->read_seq, one->read_seq);
        receipt->hidden_seq = larger(receipt->hidden_seq, one->hidden_seq);
        return true;
    }
    /* Receipts in flight may have to be kept for another try. */
    if (of_user >= most ||
        bucket->waiting_n + (bucket->in_flight ? bucket->sent_n : 0) >= RECEIPTS_WAITING_MAX)
        return false;
    if (bucket->waiting_n == bucket->waiting_cap) {
        uint32_t cap = bucket->waiting_cap ? bucket->waiting_cap * 2 : FIRST_CAP;
        struct receipt *waiting =
            cap <= RECEIPTS_WAITING_MAX ? realloc(bucket->waiting, cap * sizeof *waiting) : NULL;

        if (!waiting)
            return false;
        bucket->waiting = waiting;
        bucket->waiting_cap = cap;
    }
    bucket->waiting[bucket->waiting_n++] = *one;
    return true;
}

bool receipts_add(struct receipts *receipts, int32_t partition, const struct receipt *one,
                  int64_t now_ms)
{
    struct receipt_bucket *bucket = &receipts->buckets[partition];
    bool first = !bucket->waiting_n;

    if (!merge(bucket, one, RECEIPTS_USER_MAX))
        return false;
    if (first) {
        bucket->due_ms = larger(now_ms, bucket->last_ms + RECEIPTS_EVERY_MS);
        receipts->waiting_n++;
    }
    return true;
}

static bool move_to_sent(struct receipt_bucket *bucket)
{
    uint32_t n = bucket->waiting_n < LIMIT_RECEIPTS ? bucket->waiting_n : LIMIT_RECEIPTS;

    if (bucket->sent_cap < n) {
        struct receipt *sent = realloc(bucket->sent, bucket->waiting_cap * sizeof *sent);

        if (!sent)
            return false;
        bucket->sent = sent;
        bucket->sent_cap = bucket->waiting_cap;
    }
    memcpy(bucket->sent, bucket->waiting, n * sizeof *bucket->sent);
    bucket->waiting_n -= n;
    memmove(bucket->waiting, bucket->waiting + n, bucket->waiting_n * sizeof *bucket->waiting);
    bucket->sent_n = n;
    return true;
}

int32_t receipts_take(struct receipts *receipts, int64_t now_ms, struct receipt **ret,
                      size_t *ret_n)
{
    if (!receipts->waiting_n)
        return -1;
    for (int32_t i = 0; i < receipts->partitions; i++) {
        struct receipt_bucket *bucket = &receipts->buckets[i];

        if (!bucket->waiting_n || bucket->in_flight || bucket->due_ms > now_ms ||
            !move_to_sent(bucket))
            continue;
        bucket->in_flight = true;
        bucket->last_ms = now_ms;
        bucket->due_ms = now_ms + RECEIPTS_EVERY_MS;
        receipts->waiting_n -= !bucket->waiting_n;
        *ret = bucket->sent;
        *ret_n = bucket->sent_n;
        return i;
    }
    return -1;
}

void receipts_report(struct receipts *receipts, int32_t partition, enum cq_status st,
                     int64_t now_ms)
{
    struct receipt_bucket *bucket = &receipts->buckets[partition];
    bool had = bucket->waiting_n != 0;

    if (!bucket->in_flight)
        return;
    CQ_ASSERT(bucket->sent_n <= bucket->sent_cap &&
                  bucket->waiting_n + bucket->sent_n <= RECEIPTS_WAITING_MAX,
              bucket->sent_n, bucket->sent_cap, bucket->waiting_n);
    bucket->in_flight = false;
    if (st == CQ_OK)
        return;
    /* There is room, since it was kept for them. Without memory they are lost; the client sends
     * them again after its next sync. */
    for (uint32_t i = 0; i < bucket->sent_n && merge(bucket, &bucket->sent[i], UINT32_MAX); i++)
        ;
    bucket->due_ms = now_ms + RECEIPTS_RETRY_MS;
    receipts->waiting_n += !had && bucket->waiting_n;
}

bool receipts_is_empty(const struct receipts *receipts)
{
    for (int32_t i = 0; i < receipts->partitions; i++)
        if (receipts->buckets[i].in_flight)
            return false;
    return receipts->waiting_n == 0;
}

static size_t memory_place(struct cq_id chat)
{
    return id_hash(chat) % RECEIPT_MEMORY;
}

bool receipt_memory_advances(const struct receipt_memory *memory, const struct receipt *one)
{
    const __typeof__(memory->of[0]) *k = &memory->of[memory_place(one->chat_id)];

    return !id_eq(k->chat, one->chat_id) || k->has_peer != one->has_peer ||
           one->delivered_seq > k->delivered || one->read_seq > k->read ||
           one->hidden_seq > k->hidden;
}

void receipt_memory_keep(struct receipt_memory *memory, const struct receipt *one)
{
    __typeof__(memory->of[0]) *k = &memory->of[memory_place(one->chat_id)];

    if (!id_eq(k->chat, one->chat_id) || k->has_peer != one->has_peer) {
        k->chat = one->chat_id;
        k->has_peer = one->has_peer;
        k->delivered = k->read = k->hidden = 0;
    }
    k->delivered = larger(k->delivered, one->delivered_seq);
    k->read = larger(k->read, one->read_seq);
    k->hidden = larger(k->hidden, one->hidden_seq);
}
