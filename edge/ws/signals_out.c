/* SPDX-License-Identifier: MIT */
#include "edge/ws/signals_out.h"

#include "lib/base/assert.h"
#include "lib/base/count.h"
#include "schemas/codec.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { ARENA_MAX = 4 * 1024 * 1024 };

enum cq_status signals_out_init(struct signals_out *out, struct signals_port port, int32_t slots)
{
    *out = (struct signals_out){ .port = port, .slots = slots, .reply_slot = -1 };
    out->item = calloc(SIGNALS_OUT_MAX, sizeof *out->item);
    out->asked = calloc(SIGNALS_RECORD_ITEMS_MAX, sizeof *out->asked);
    out->arena = arena_new(ARENA_MAX);
    return out->item && out->asked && out->arena ? CQ_OK : CQ_FATAL;
}

void signals_out_release(struct signals_out *out)
{
    arena_free(out->arena);
    free(out->item);
    free(out->asked);
    *out = (struct signals_out){ .reply_slot = -1 };
}

int32_t signals_owner(const struct signals_out *out, struct cq_id subject)
{
    return topic_partition(subject, out->slots);
}

bool signals_is_ours(const struct signals_out *out, int32_t slot)
{
    return out->port.ours(out->port.arg, slot);
}

/* ---- records ------------------------------------------------------------------------------ */

static int by_slot(const void *a, const void *b)
{
    const struct signals_item *one = a, *two = b;

    return one->slot != two->slot ? (one->slot > two->slot) - (one->slot < two->slot)
                                  : (one->kind > two->kind) - (one->kind < two->kind);
}

/* Copy `size` bytes of each item of `kind` from `*at` on, up to `end`, into a list. */
static void *take_run(struct signals_out *out, uint32_t *at, uint32_t end, enum signals_kind kind,
                      size_t size, size_t *ret_n)
{
    uint32_t from = *at;
    uint8_t *list;

    while (*at < end && out->item[*at].kind == kind)
        ++*at;
    *ret_n = *at - from;
    list = arena_alloc(out->arena, (*ret_n + 1) * size);
    for (size_t i = 0; list && i < *ret_n; i++)
        memcpy(list + i * size, &out->item[from + i].u, size);
    return list;
}

static void send_batch(struct signals_out *out, int32_t slot, const struct signal_batch *batch,
                       uint32_t items)
{
    cq_auto(buf) struct cq_buf value = { 0 };

    buf_init(&value, TOPIC_RECORD_MAX);
    if (!arena_full(out->arena) && codec_encode(&signal_batch_codec, batch, &value) == CQ_OK)
        out->port.send(out->port.arg, slot, buf_span(&value));
    else
        count_add(COUNT_SIGNALS_DROPPED, items);
}

/* One record of the items from `from` on that go to the same slot; returns where the next begins. */
static uint32_t send_some(struct signals_out *out, uint32_t from)
{
    struct signal_batch batch = { .from_slot = out->reply_slot };
    int32_t slot = out->item[from].slot;
    uint32_t at = from, end = from;

    while (end < out->n && out->item[end].slot == slot && end - from < SIGNALS_RECORD_ITEMS_MAX)
        end++;
    arena_reset(out->arena);
#define RUN(kind, list, type) \
    batch.list = take_run(out, &at, end, kind, sizeof(type), &batch.list##_n)
    RUN(SIGNALS_LOOK, looks, struct cq_id);
    RUN(SIGNALS_SAID, said, struct signal);
    RUN(SIGNALS_SHOWN, shown, struct signal);
    RUN(SIGNALS_PEOPLE, people, struct cq_id);
    RUN(SIGNALS_CAME, came, struct presence_signal);
    RUN(SIGNALS_SEEN, seen, struct presence_signal);
#undef RUN
    CQ_ASSERT(at == end, from, at, end);
    send_batch(out, slot, &batch, end - from);
    return end;
}

static void flush_items(struct signals_out *out)
{
    uint32_t at = 0;

    qsort(out->item, out->n, sizeof *out->item, by_slot);
    while (at < out->n)
        at = send_some(out, at);
    out->n = 0;
}

static void flush_asked(struct signals_out *out)
{
    struct signal_batch batch = { .from_slot = out->reply_slot,
                                  .asked = out->asked,
                                  .asked_n = out->asked_n };

    arena_reset(out->arena);
    for (int32_t slot = 0; slot < out->slots; slot++)
        if (!signals_is_ours(out, slot))
            send_batch(out, slot, &batch, out->asked_n);
    out->asked_n = 0;
}

void signals_flush(struct signals_out *out)
{
    if (out->n)
        flush_items(out);
    if (out->asked_n)
        flush_asked(out);
}

/* ---- gathering ---------------------------------------------------------------------------- */

void signals_put(struct signals_out *out, int32_t slot, enum signals_kind kind, const void *what)
{
    static const size_t sizes[] = {
        [SIGNALS_LOOK] = sizeof(struct cq_id),
        [SIGNALS_SAID] = sizeof(struct signal),
        [SIGNALS_SHOWN] = sizeof(struct signal),
        [SIGNALS_PEOPLE] = sizeof(struct cq_id),
        [SIGNALS_CAME] = sizeof(struct presence_signal),
        [SIGNALS_SEEN] = sizeof(struct presence_signal),
    };
    struct signals_item item = { .slot = slot, .kind = kind };

    /* what holds for ten seconds does not wait for room; what comes again in three does */
    if (out->n == SIGNALS_OUT_MAX && (kind == SIGNALS_LOOK || kind == SIGNALS_PEOPLE))
        flush_items(out);
    if (out->n == SIGNALS_OUT_MAX || out->reply_slot < 0) {
        count_add(COUNT_SIGNALS_DROPPED, 1);
        return;
    }
    memcpy(&item.u, what, sizes[kind]);
    out->item[out->n++] = item;
}

void signals_ask(struct signals_out *out, struct cq_id user)
{
    if (out->reply_slot < 0)
        return;
    if (out->asked_n == SIGNALS_RECORD_ITEMS_MAX)
        flush_asked(out);
    out->asked[out->asked_n++] = user;
}

bool signals_reply_slot_moved(struct signals_out *out)
{
    int32_t slot = 0;

    while (slot < out->slots && !signals_is_ours(out, slot))
        slot++;
    slot = slot < out->slots ? slot : -1;
    if (slot == out->reply_slot)
        return false;
    out->reply_slot = slot;
    return true;
}
