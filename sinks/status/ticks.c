/* SPDX-License-Identifier: MIT */
#include "sinks/status/ticks.h"

#include "lib/base/assert.h"
#include "schemas/topics.h"

#include <stdlib.h>

struct ticks *ticks_new(void)
{
    struct ticks *ticks = calloc(1, sizeof *ticks);

    if (ticks)
        idmap_init(&ticks->chat_at, TICKS_CHATS_MAX);
    return ticks;
}

void ticks_free(struct ticks *ticks)
{
    if (!ticks)
        return;
    idmap_release(&ticks->chat_at);
    free(ticks);
}

void ticks_clear(struct ticks *ticks)
{
    ticks->recs_n = ticks->chats_n = ticks->groups_n = 0;
    ticks->receipts_n = ticks->devices_n = ticks->advances_n = ticks->ranges_n = 0;
    ticks->readings_n = 0;
    idmap_release(&ticks->chat_at);
}

/* ---- gathering ------------------------------------------------------------------------ */

/* Both users of a direct chat are members from the beginning and for ever. */
static bool fill_direct(struct tick_chat *chat, const struct delivery_status *status,
                        struct cq_arena *arena)
{
    chat->users = ARENA_ARRAY(arena, struct tick_user, 2);
    chat->stays = ARENA_ARRAY(arena, struct tick_stay, 2);
    if (!chat->users || !chat->stays)
        return false;
    chat->users[0].id = status->user_id;
    chat->users[1].id = status->peer;
    for (size_t i = 0; i < 2; i++)
        chat->stays[i] = (struct tick_stay){ .user = i, .joined = 0, .left = INT64_MAX };
    chat->users_n = chat->stays_n = 2;
    return true;
}

static enum cq_status chat_of(struct ticks *ticks, const struct delivery_status *status,
                              int32_t partition, int64_t source, struct cq_arena *arena,
                              size_t *ret)
{
    const uint64_t *at = idmap_get(&ticks->chat_at, status->chat_id);
    struct tick_chat *chat;

    if (at) {
        *ret = *at;
        return CQ_OK;
    }
    if (ticks->chats_n == TICKS_CHATS_MAX ||
        (!status->has_peer && ticks->groups_n == TICKS_GROUPS_MAX))
        return CQ_AGAIN;
    chat = &ticks->chats[ticks->chats_n];
    *chat = (struct tick_chat){
        .id = status->chat_id,
        .part = id_part(status->chat_id),
        .partition = partition,
        .direct = status->has_peer,
        .since = source,
    };
    if (chat->direct && !fill_direct(chat, status, arena))
        return CQ_AGAIN;
    if (!idmap_put(&ticks->chat_at, status->chat_id, ticks->chats_n))
        return CQ_FATAL;
    ticks->groups_n += !chat->direct;
    *ret = ticks->chats_n++;
    return CQ_OK;
}

enum cq_status ticks_add(struct ticks *ticks, const struct delivery_status *status,
                         int32_t partition, int64_t offset, bool quiet, struct cq_arena *arena)
{
    int64_t source = seq_make(status->source.generation, status->source.offset);
    enum cq_status st;
    size_t chat;

    if (status->seq > source || (status->kind == RECEIPT_KIND_MEMBERS && status->has_peer))
        return CQ_POISON;
    if (ticks->recs_n == TICKS_RECORDS_MAX)
        return CQ_AGAIN;
    st = chat_of(ticks, status, partition, source, arena, &chat);
    if (st != CQ_OK)
        return st;
    ticks->recs[ticks->recs_n++] = (struct tick_record){
        .chat = chat,
        .user = status->user_id,
        .device = status->device_id,
        .kind = status->kind,
        .seq = status->seq,
        .at_ms = status->at_ms,
        .source = source,
        .offset = offset,
        .quiet = quiet,
    };
    return CQ_OK;
}

/* ---- applying ------------------------------------------------------------------------- */

struct tick_user *ticks_user(struct tick_chat *chat, struct cq_id id)
{
    for (size_t i = 0; i < chat->users_n; i++)
        if (id_eq(chat->users[i].id, id))
            return &chat->users[i];
    return NULL;
}

bool ticks_present(const struct tick_chat *chat, size_t user, int64_t seq, int64_t *ret_joined)
{
    for (size_t i = 0; i < chat->stays_n; i++) {
        const struct tick_stay *stay = &chat->stays[i];

        if (stay->user != user || stay->joined > seq || stay->left <= seq)
            continue;
        if (ret_joined)
            *ret_joined = stay->joined;
        return true;
    }
    return false;
}

static bool ranks_before(int64_t seq, struct cq_id user, int64_t other, struct cq_id other_user)
{
    return seq != other ? seq < other : id_cmp(user, other_user) < 0;
}

/* The two lowest among those present. What was before a member joined does not concern him, so his
 * cursor begins there. False when fewer than two are present: there are no ticks then. */
static bool two_lowest(const struct tick_chat *chat, int kind, int64_t seq, struct tick_mark *ret)
{
    struct cq_id next_user = { { 0 } };
    size_t n = 0;

    for (size_t i = 0; i < chat->stays_n; i++) {
        const struct tick_stay *stay = &chat->stays[i];
        const struct tick_user *user = &chat->users[stay->user];
        int64_t at = user->cursor[kind] > stay->joined ? user->cursor[kind] : stay->joined;

        if (stay->joined > seq || stay->left <= seq)
            continue;
        n++;
        if (n == 1 || ranks_before(at, user->id, ret->low, ret->low_user)) {
            ret->next = ret->low;
            next_user = ret->low_user;
            ret->low = at;
            ret->low_user = user->id;
        } else if (n == 2 || ranks_before(at, user->id, ret->next, next_user)) {
            ret->next = at;
            next_user = user->id;
        }
    }
    return n >= 2;
}

static void move_mark(struct ticks *ticks, struct tick_chat *chat, int kind,
                      const struct tick_record *record)
{
    struct tick_mark now = { 0 };

    if (!two_lowest(chat, kind, record->source, &now))
        return;
    if (now.low < chat->mark[kind].low) /* ticks never go back, whatever the log contains */
        return;
    if (now.low == chat->mark[kind].low && now.next == chat->mark[kind].next &&
        id_eq(now.low_user, chat->mark[kind].low_user))
        return;
    chat->mark[kind] = now;
    chat->moved[kind] = true;
    chat->at_ms[kind] = record->at_ms;
    chat->offset[kind] = record->offset;
    CQ_ASSERT(ticks->advances_n < ARRAY_LEN(ticks->advances), ticks->advances_n);
    ticks->advances[ticks->advances_n++] = (struct tick_advance){
        .part = chat->part, .chat = chat->id, .kind = kind, .mark = now, .at_ms = record->at_ms
    };
}

static void advance(struct ticks *ticks, struct tick_chat *chat, struct tick_user *user, int kind,
                    const struct tick_record *record)
{
    if (record->seq <= user->cursor[kind])
        return;
    user->cursor[kind] = record->seq;
    user->dirty = true;
    CQ_ASSERT(ticks->receipts_n < ARRAY_LEN(ticks->receipts), ticks->receipts_n);
    ticks->receipts[ticks->receipts_n++] = (struct tick_receipt){ .part = chat->part,
                                                                  .chat = chat->id,
                                                                  .user = user->id,
                                                                  .kind = kind,
                                                                  .seq = record->seq,
                                                                  .at_ms = record->at_ms };
    move_mark(ticks, chat, kind, record);
}

/* What one device reads in a row within a turn is one reading. */
static void add_reading(struct ticks *ticks, const struct tick_record *record, int64_t from)
{
    struct tick_reading *last = ticks->readings_n ? &ticks->readings[ticks->readings_n - 1] : NULL;

    if (!last || last->chat != record->chat || !id_eq(last->user, record->user) ||
        !id_eq(last->device, record->device)) {
        CQ_ASSERT(ticks->readings_n < ARRAY_LEN(ticks->readings), ticks->readings_n);
        last = &ticks->readings[ticks->readings_n++];
        *last = (struct tick_reading){
            .chat = record->chat, .user = record->user, .device = record->device, .from = from
        };
    }
    last->to = record->seq;
    last->at_ms = record->at_ms;
    last->offset = record->offset;
}

/* What he has read himself, whether or not others are told. */
static void read_on(struct ticks *ticks, struct tick_user *user, const struct tick_record *record,
                    int64_t joined)
{
    if (record->seq <= user->own_read)
        return;
    if (!record->quiet)
        add_reading(ticks, record, user->own_read > joined ? user->own_read : joined);
    user->own_read = record->seq;
    user->dirty = true;
}

static void apply_record(struct ticks *ticks, const struct tick_record *record)
{
    struct tick_chat *chat = &ticks->chats[record->chat];
    struct tick_user *user;
    int64_t joined;

    chat->now = record->source;
    if (!record->quiet && !chat->loud) {
        chat->loud = true;
        memcpy(chat->before, chat->mark, sizeof chat->before);
    }
    if (record->kind == RECEIPT_KIND_MEMBERS) {
        move_mark(ticks, chat, TICK_DELIVERED, record);
        move_mark(ticks, chat, TICK_READ, record);
        return;
    }
    user = ticks_user(chat, record->user);
    if (!user || !ticks_present(chat, (size_t)(user - chat->users), record->source, &joined) ||
        record->seq <= joined)
        return;
    if (!id_is_zero(record->device)) {
        CQ_ASSERT(ticks->devices_n < ARRAY_LEN(ticks->devices), ticks->devices_n);
        ticks->devices[ticks->devices_n++] =
            (struct tick_device){ chat->part, chat->id, record->device, record->seq };
    }
    advance(ticks, chat, user, TICK_DELIVERED, record); /* read implies delivered */
    if (record->kind != RECEIPT_KIND_READ && record->kind != RECEIPT_KIND_READ_HIDDEN)
        return;
    read_on(ticks, user, record, joined);
    if (record->kind == RECEIPT_KIND_READ)
        advance(ticks, chat, user, TICK_READ, record);
}

/* ---- who may have to be told ---------------------------------------------------------- */

static void add_range(struct ticks *ticks, struct tick_range range)
{
    if (range.hi > range.lo && ticks->ranges_n < TICKS_RANGES_MAX)
        ticks->ranges[ticks->ranges_n++] = range;
}

/* For nearly everybody the minimum over the others is `low`; only those who are or were lowest see
 * another one. In a direct chat each is asked for by name. */
static void ranges_of(struct ticks *ticks, size_t chat, int kind)
{
    const struct tick_chat *tick_chat = &ticks->chats[chat];
    const struct tick_mark *old = &tick_chat->before[kind], *now = &tick_chat->mark[kind];
    struct cq_id named[2] = { old->low_user, now->low_user };
    size_t n = id_eq(named[0], named[1]) ? 1 : 2;

    if (tick_chat->direct) {
        for (n = 0; n < tick_chat->users_n; n++)
            named[n] = tick_chat->users[n].id;
    } else {
        add_range(ticks, (struct tick_range){ chat, kind, { { 0 } }, old->low, now->low });
    }
    for (size_t i = 0; i < n; i++)
        if (!id_is_zero(named[i]))
            add_range(ticks,
                      (struct tick_range){ chat, kind, named[i], tick_mark_for(old, named[i]),
                                           tick_mark_for(now, named[i]) });
}

void ticks_apply(struct ticks *ticks)
{
    for (size_t i = 0; i < ticks->recs_n; i++)
        apply_record(ticks, &ticks->recs[i]);
    for (size_t i = 0; i < ticks->chats_n; i++)
        for (int k = 0; k < TICK_KINDS; k++)
            if (ticks->chats[i].loud && ticks->chats[i].moved[k])
                ranges_of(ticks, i, k);
}
