/* SPDX-License-Identifier: MIT */
#include "edge/ws/receipts.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { FIRST_CAP = 16 };

enum cq_status receipts_init(struct receipts *r, int32_t partitions, int64_t now_ms)
{
    *r = (struct receipts){ .partitions = partitions };
    r->buckets = calloc((size_t)partitions, sizeof *r->buckets);
    if (!r->buckets)
        return CQ_FATAL;
    for (int32_t i = 0; i < partitions; i++)
        r->buckets[i].last_ms = now_ms - RECEIPTS_EVERY_MS;
    return CQ_OK;
}

void receipts_release(struct receipts *r)
{
    for (int32_t i = 0; i < r->partitions; i++) {
        free(r->buckets[i].waiting);
        free(r->buckets[i].sent);
    }
    free(r->buckets);
    *r = (struct receipts){ 0 };
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* `most`: of this user in the bucket. */
static bool merge(struct receipt_bucket *b, const struct receipt *one, uint32_t most)
{
    uint32_t of_user = 0;

    for (uint32_t i = 0; i < b->waiting_n; i++) {
        struct receipt *w = &b->waiting[i];

        if (!id_eq(w->user_id, one->user_id))
            continue;
        of_user++;
        if (!id_eq(w->chat_id, one->chat_id) || !id_eq(w->device_id, one->device_id) ||
            w->has_peer != one->has_peer || !id_eq(w->peer, one->peer))
            continue;
        w->delivered_seq = larger(w->delivered_seq, one->delivered_seq);
        w->read_seq = larger(w->read_seq, one->read_seq);
        return true;
    }
    /* Receipts in flight may have to be kept for another try. */
    if (of_user >= most || b->waiting_n + (b->in_flight ? b->sent_n : 0) >= RECEIPTS_WAITING_MAX)
        return false;
    if (b->waiting_n == b->waiting_cap) {
        uint32_t cap = b->waiting_cap ? b->waiting_cap * 2 : FIRST_CAP;
        struct receipt *waiting =
            cap <= RECEIPTS_WAITING_MAX ? realloc(b->waiting, cap * sizeof *waiting) : NULL;

        if (!waiting)
            return false;
        b->waiting = waiting;
        b->waiting_cap = cap;
    }
    b->waiting[b->waiting_n++] = *one;
    return true;
}

bool receipts_add(struct receipts *r, int32_t partition, const struct receipt *one, int64_t now_ms)
{
    struct receipt_bucket *b = &r->buckets[partition];
    bool first = !b->waiting_n;

    if (!merge(b, one, RECEIPTS_USER_MAX))
        return false;
    if (first) {
        b->due_ms = larger(now_ms, b->last_ms + RECEIPTS_EVERY_MS);
        r->waiting_n++;
    }
    return true;
}

static bool move_to_sent(struct receipt_bucket *b)
{
    uint32_t n = b->waiting_n < LIMIT_RECEIPTS ? b->waiting_n : LIMIT_RECEIPTS;

    if (b->sent_cap < n) {
        struct receipt *sent = realloc(b->sent, b->waiting_cap * sizeof *sent);

        if (!sent)
            return false;
        b->sent = sent;
        b->sent_cap = b->waiting_cap;
    }
    memcpy(b->sent, b->waiting, n * sizeof *b->sent);
    b->waiting_n -= n;
    memmove(b->waiting, b->waiting + n, b->waiting_n * sizeof *b->waiting);
    b->sent_n = n;
    return true;
}

int32_t receipts_take(struct receipts *r, int64_t now_ms, struct receipt **ret, size_t *ret_n)
{
    if (!r->waiting_n)
        return -1;
    for (int32_t i = 0; i < r->partitions; i++) {
        struct receipt_bucket *b = &r->buckets[i];

        if (!b->waiting_n || b->in_flight || b->due_ms > now_ms || !move_to_sent(b))
            continue;
        b->in_flight = true;
        b->last_ms = now_ms;
        b->due_ms = now_ms + RECEIPTS_EVERY_MS;
        r->waiting_n -= !b->waiting_n;
        *ret = b->sent;
        *ret_n = b->sent_n;
        return i;
    }
    return -1;
}

void receipts_report(struct receipts *r, int32_t partition, enum cq_status st, int64_t now_ms)
{
    struct receipt_bucket *b = &r->buckets[partition];
    bool had = b->waiting_n != 0;

    if (!b->in_flight)
        return;
    CQ_ASSERT(b->sent_n <= b->sent_cap && b->waiting_n + b->sent_n <= RECEIPTS_WAITING_MAX,
              b->sent_n, b->sent_cap, b->waiting_n);
    b->in_flight = false;
    if (st == CQ_OK)
        return;
    /* There is room, since it was kept for them. Without memory they are lost; the client sends
     * them again after its next sync. */
    for (uint32_t i = 0; i < b->sent_n && merge(b, &b->sent[i], UINT32_MAX); i++)
        ;
    b->due_ms = now_ms + RECEIPTS_RETRY_MS;
    r->waiting_n += !had && b->waiting_n;
}

bool receipts_is_empty(const struct receipts *r)
{
    for (int32_t i = 0; i < r->partitions; i++)
        if (r->buckets[i].in_flight)
            return false;
    return r->waiting_n == 0;
}

static size_t memory_place(struct cq_id chat)
{
    return id_hash(chat) % RECEIPT_MEMORY;
}

bool receipt_memory_advances(const struct receipt_memory *m, const struct receipt *one)
{
    const __typeof__(m->of[0]) *k = &m->of[memory_place(one->chat_id)];

    return !id_eq(k->chat, one->chat_id) || k->has_peer != one->has_peer ||
           one->delivered_seq > k->delivered || one->read_seq > k->read;
}

void receipt_memory_keep(struct receipt_memory *m, const struct receipt *one)
{
    __typeof__(m->of[0]) *k = &m->of[memory_place(one->chat_id)];

    if (!id_eq(k->chat, one->chat_id) || k->has_peer != one->has_peer) {
        k->chat = one->chat_id;
        k->has_peer = one->has_peer;
        k->delivered = k->read = 0;
    }
    k->delivered = larger(k->delivered, one->delivered_seq);
    k->read = larger(k->read, one->read_seq);
}
