/* SPDX-License-Identifier: MIT */
#include "sinks/status/tell.h"

#include "lib/feed/feed.h"
#include "schemas/frame.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { FRAME_BYTES = 512 + 64 * (LIMIT_BLOCKS_CHAT + 1), FOUND_MIN = 256 };

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

static bool found_grow(struct telling *telling)
{
    size_t cap = telling->cap ? 2 * telling->cap : FOUND_MIN;
    struct found *found = ARENA_ARRAY(telling->arena, struct found, cap);

    if (!found)
        return false;
    if (telling->n)
        memcpy(found, telling->v, telling->n * sizeof *found);
    telling->v = found;
    telling->cap = cap;
    return true;
}

/* Who blocks the other now is told nothing. */
static bool blocks_now(const struct tick_chat *chat, struct cq_id user)
{
    for (size_t i = 0; i < chat->gaps_n; i++)
        if (id_eq(chat->gaps[i].user, user) && chat->gaps[i].gap.before == INT64_MAX)
            return true;
    return false;
}

/* What the other had left out, in the arena. NULL: it is full. */
static struct frame_gap *gaps_for(const struct tick_chat *chat, struct cq_id user,
                                  struct cq_arena *arena, size_t *ret_n)
{
    struct frame_gap *gaps = ARENA_ARRAY(arena, struct frame_gap, chat->gaps_n + 1);

    *ret_n = 0;
    for (size_t i = 0; gaps && i < chat->gaps_n; i++)
        if (!id_eq(chat->gaps[i].user, user) && chat->gaps[i].gap.before != INT64_MAX)
            gaps[(*ret_n)++] = chat->gaps[i].gap;
    return gaps;
}

static enum cq_status on_sender(void *arg, const struct tick_range *range,
                                const struct store_sender *found)
{
    struct telling *telling = arg;
    struct tick_chat *chat = &telling->t->chats[range->chat];
    struct cq_id sender = found->user;
    struct tick_user *user = ticks_user(chat, sender);

    if (range->kind == TICK_READ && !found->sees_reads)
        return CQ_OK; /* not even that there was something */
    /* the lowest, now or before, have a range of their own */
    if (id_is_zero(range->who) && (id_eq(sender, chat->before[range->kind].low_user) ||
                                   id_eq(sender, chat->mark[range->kind].low_user)))
        return CQ_OK;
    if (!user || !ticks_present(chat, (size_t)(user - chat->users), chat->now, NULL))
        return CQ_OK; /* users who left get no ticks */
    if (blocks_now(chat, sender))
        return CQ_OK;
    if (telling->n == telling->cap && !found_grow(telling))
        return CQ_FATAL;
    telling->v[telling->n++] =
        (struct found){ range->chat, tick_mark_for(&chat->mark[TICK_DELIVERED], sender),
                        found->sees_reads ? tick_mark_for(&chat->mark[TICK_READ], sender) : 0,
                        sender };
    return CQ_OK;
}

static int64_t offset_of(const struct tick_chat *chat)
{
    return chat->offset[0] > chat->offset[1] ? chat->offset[0] : chat->offset[1];
}

/* The log's order of the marks' last moves; then users who see the same side by side. */
static int by_place(const void *first, const void *second, void *arg)
{
    const struct found *left = first, *right = second;
    const struct ticks *ticks = arg;
    const struct tick_chat *left_chat = &ticks->chats[left->chat],
                           *right_chat = &ticks->chats[right->chat];

    if (left_chat->partition != right_chat->partition)
        return left_chat->partition < right_chat->partition ? -1 : 1;
    if (offset_of(left_chat) != offset_of(right_chat))
        return offset_of(left_chat) < offset_of(right_chat) ? -1 : 1;
    if (left->chat != right->chat)
        return left->chat < right->chat ? -1 : 1;
    if (left->delivered != right->delivered)
        return left->delivered < right->delivered ? -1 : 1;
    if (left->read != right->read)
        return left->read < right->read ? -1 : 1;
    return id_cmp(left->user, right->user);
}

static enum cq_status on_batch(void *arg, int32_t partition, struct cq_span value)
{
    struct telling *telling = arg;

    return feed_tell(telling->out, &(struct bus_send){ .topic = topic_name(TOPIC_USER_INBOX),
                                                       .partition = partition,
                                                       .value = value });
}

/* v[from, to) are of one chat and see the same. */
static enum cq_status tell_some(struct telling *telling, struct delivery *delivery, size_t from,
                                size_t to)
{
    const struct found *first = &telling->v[from];
    const struct tick_chat *chat = &telling->t->chats[first->chat];
    int64_t at_ms = chat->at_ms[0] > chat->at_ms[1] ? chat->at_ms[0] : chat->at_ms[1];
    struct cq_id *to_users = ARENA_ARRAY(telling->arena, struct cq_id, to - from);
    size_t except_n = 0;
    struct frame_gap *except = gaps_for(chat, first->user, telling->arena, &except_n);
    struct cq_buf frame __attribute__((cleanup(cq_auto_buf)));
    struct delivery_item item = {
        .partition = chat->partition,
        .offset = offset_of(chat),
        .class = FRAME_CLASS_STATUS,
        .chat_id = chat->id,
        .at_ms = at_ms,
        .to = to_users,
    };

    buf_init(&frame, FRAME_BYTES);
    frame_status(&frame, chat->id, first->delivered, first->read, at_ms, except, except_n);
    item.frame = arena_copy(telling->arena, buf_span(&frame));
    if (!to_users || !except || !item.frame.p || frame.failed)
        return CQ_FATAL;
    for (size_t i = from; i < to; i++)
        if (i == from || !id_eq(telling->v[i].user, telling->v[i - 1].user))
            to_users[item.to_n++] = telling->v[i].user;
    return delivery_add(delivery, &item, on_batch, telling);
}

/* Where one of the two has blocked the other, each has gaps of his own. */
static bool same_frame(const struct ticks *ticks, const struct found *a, const struct found *b)
{
    return a->chat == b->chat && a->delivered == b->delivered && a->read == b->read &&
           (!ticks->chats[a->chat].gaps_n || id_eq(a->user, b->user));
}

enum cq_status tell_senders(struct ticks *ticks, struct pg *db, struct pg_params *params,
                            struct cq_arena *arena, struct delivery *delivery, struct producer *out)
{
    struct telling telling = { .t = ticks, .arena = arena, .out = out };
    enum cq_status st = store_gaps(ticks, db, params, arena);

    if (st == CQ_OK)
        st = store_senders(ticks, db, params, arena, on_sender, &telling);
    if (st != CQ_OK || !telling.n)
        return st;
    qsort_r(telling.v, telling.n, sizeof *telling.v, by_place, ticks);
    for (size_t from = 0, to; st == CQ_OK && from < telling.n; from = to) {
        for (to = from + 1; to < telling.n && same_frame(ticks, &telling.v[from], &telling.v[to]);
             to++)
            ;
        st = tell_some(&telling, delivery, from, to);
    }
    return st == CQ_OK ? delivery_flush(delivery, on_batch, &telling) : st;
}

static enum cq_status tell_reader(struct telling *telling, struct delivery *delivery,
                                  struct tick_reading *reading)
{
    const struct tick_chat *chat = &telling->t->chats[reading->chat];
    struct cq_buf frame __attribute__((cleanup(cq_auto_buf)));
    struct delivery_item item = {
        .partition = chat->partition,
        .offset = reading->offset,
        .class = FRAME_CLASS_STATUS,
        .chat_id = chat->id,
        .seq = reading->to,
        .sender_id = reading->user,
        .at_ms = reading->at_ms,
        .to = &reading->user,
        .to_n = 1,
        .has_read_by = true,
        .read_by = reading->device,
        .read_after = reading->from,
    };

    buf_init(&frame, FRAME_BYTES);
    frame_read(&frame, chat->id, reading->to, reading->at_ms);
    item.frame = arena_copy(telling->arena, buf_span(&frame));
    if (!item.frame.p || frame.failed)
        return CQ_FATAL;
    return delivery_add(delivery, &item, on_batch, telling);
}

enum cq_status tell_readers(struct ticks *ticks, struct cq_arena *arena, struct delivery *delivery,
                            struct producer *out)
{
    struct telling telling = { .t = ticks, .arena = arena, .out = out };
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < ticks->readings_n; i++)
        st = tell_reader(&telling, delivery, &ticks->readings[i]);
    return st == CQ_OK ? delivery_flush(delivery, on_batch, &telling) : st;
}
