/* SPDX-License-Identifier: MIT */
#include "sinks/status/tell.h"

#include "lib/feed/feed.h"
#include "schemas/frame.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { FRAME_BYTES = 512, FOUND_MIN = 256 };

/* One user to be told, with what he is to see. */
struct found {
    size_t chat;
    int64_t delivered, read;
    struct cq_id user;
};

struct telling {
    struct ticks *t;
    struct cq_arena *arena;
    struct found *v; /* in the arena */
    size_t n, cap;
    struct producer *out;
};

static bool found_grow(struct telling *x)
{
    size_t cap = x->cap ? 2 * x->cap : FOUND_MIN;
    struct found *v = ARENA_ARRAY(x->arena, struct found, cap);

    if (!v)
        return false;
    if (x->n)
        memcpy(v, x->v, x->n * sizeof *v);
    x->v = v;
    x->cap = cap;
    return true;
}

static enum cq_status on_sender(void *arg, const struct tick_range *r, struct cq_id sender)
{
    struct telling *x = arg;
    struct tick_chat *c = &x->t->chats[r->chat];
    struct tick_user *u = ticks_user(c, sender);

    /* the lowest, now or before, have a range of their own */
    if (id_is_zero(r->who) &&
        (id_eq(sender, c->before[r->kind].low_user) || id_eq(sender, c->mark[r->kind].low_user)))
        return CQ_OK;
    if (!u || !ticks_present(c, (size_t)(u - c->users), c->now, NULL))
        return CQ_OK; /* users who left get no ticks */
    if (x->n == x->cap && !found_grow(x))
        return CQ_FATAL;
    x->v[x->n++] = (struct found){ r->chat, tick_mark_for(&c->mark[TICK_DELIVERED], sender),
                                   tick_mark_for(&c->mark[TICK_READ], sender), sender };
    return CQ_OK;
}

static int64_t offset_of(const struct tick_chat *c)
{
    return c->offset[0] > c->offset[1] ? c->offset[0] : c->offset[1];
}

/* The log's order of the marks' last moves; then users who see the same side by side. */
static int by_place(const void *a, const void *b, void *arg)
{
    const struct found *x = a, *y = b;
    const struct ticks *t = arg;
    const struct tick_chat *cx = &t->chats[x->chat], *cy = &t->chats[y->chat];

    if (cx->partition != cy->partition)
        return cx->partition < cy->partition ? -1 : 1;
    if (offset_of(cx) != offset_of(cy))
        return offset_of(cx) < offset_of(cy) ? -1 : 1;
    if (x->chat != y->chat)
        return x->chat < y->chat ? -1 : 1;
    if (x->delivered != y->delivered)
        return x->delivered < y->delivered ? -1 : 1;
    if (x->read != y->read)
        return x->read < y->read ? -1 : 1;
    return id_cmp(x->user, y->user);
}

static enum cq_status on_batch(void *arg, int32_t partition, struct cq_span value)
{
    struct telling *x = arg;

    return feed_tell(x->out, &(struct bus_send){ .topic = topic_name(TOPIC_USER_INBOX),
                                                 .partition = partition,
                                                 .value = value });
}

/* v[from, to) are of one chat and see the same. */
static enum cq_status tell_some(struct telling *x, struct delivery *d, size_t from, size_t to)
{
    const struct found *first = &x->v[from];
    const struct tick_chat *c = &x->t->chats[first->chat];
    int64_t at_ms = c->at_ms[0] > c->at_ms[1] ? c->at_ms[0] : c->at_ms[1];
    struct cq_id *to_users = ARENA_ARRAY(x->arena, struct cq_id, to - from);
    struct cq_buf frame __attribute__((cleanup(cq_auto_buf)));
    struct delivery_item item = {
        .partition = c->partition,
        .offset = offset_of(c),
        .class = FRAME_CLASS_STATUS,
        .chat_id = c->id,
        .at_ms = at_ms,
        .to = to_users,
    };

    buf_init(&frame, FRAME_BYTES);
    frame_status(&frame, c->id, first->delivered, first->read, at_ms);
    item.frame = arena_copy(x->arena, buf_span(&frame));
    if (!to_users || !item.frame.p || frame.failed)
        return CQ_FATAL;
    for (size_t i = from; i < to; i++)
        if (i == from || !id_eq(x->v[i].user, x->v[i - 1].user))
            to_users[item.to_n++] = x->v[i].user;
    return delivery_add(d, &item, on_batch, x);
}

static bool same_frame(const struct found *a, const struct found *b)
{
    return a->chat == b->chat && a->delivered == b->delivered && a->read == b->read;
}

enum cq_status tell_senders(struct ticks *t, struct pg *c, struct pg_params *p, struct cq_arena *a,
                            struct delivery *d, struct producer *out)
{
    struct telling x = { .t = t, .arena = a, .out = out };
    enum cq_status st = store_senders(t, c, p, a, on_sender, &x);

    if (st != CQ_OK || !x.n)
        return st;
    qsort_r(x.v, x.n, sizeof *x.v, by_place, t);
    for (size_t from = 0, to; st == CQ_OK && from < x.n; from = to) {
        for (to = from + 1; to < x.n && same_frame(&x.v[from], &x.v[to]); to++)
            ;
        st = tell_some(&x, d, from, to);
    }
    return st == CQ_OK ? delivery_flush(d, on_batch, &x) : st;
}

static enum cq_status tell_reader(struct telling *x, struct delivery *d, struct tick_reading *r)
{
    const struct tick_chat *c = &x->t->chats[r->chat];
    struct cq_buf frame __attribute__((cleanup(cq_auto_buf)));
    struct delivery_item item = {
        .partition = c->partition,
        .offset = r->offset,
        .class = FRAME_CLASS_STATUS,
        .chat_id = c->id,
        .seq = r->to,
        .sender_id = r->user,
        .at_ms = r->at_ms,
        .to = &r->user,
        .to_n = 1,
        .has_read_by = true,
        .read_by = r->device,
        .read_after = r->from,
    };

    buf_init(&frame, FRAME_BYTES);
    frame_read(&frame, c->id, r->to, r->at_ms);
    item.frame = arena_copy(x->arena, buf_span(&frame));
    if (!item.frame.p || frame.failed)
        return CQ_FATAL;
    return delivery_add(d, &item, on_batch, x);
}

enum cq_status tell_readers(struct ticks *t, struct cq_arena *a, struct delivery *d,
                            struct producer *out)
{
    struct telling x = { .t = t, .arena = a, .out = out };
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < t->readings_n; i++)
        st = tell_reader(&x, d, &t->readings[i]);
    return st == CQ_OK ? delivery_flush(d, on_batch, &x) : st;
}
