/* SPDX-License-Identifier: MIT */
#include "sinks/status/ticks.h"

#include "lib/base/assert.h"
#include "schemas/topics.h"

#include <stdlib.h>

struct ticks *ticks_new(void)
{
    struct ticks *t = calloc(1, sizeof *t);

    if (t)
        idmap_init(&t->chat_at, TICKS_CHATS_MAX);
    return t;
}

void ticks_free(struct ticks *t)
{
    if (!t)
        return;
    idmap_release(&t->chat_at);
    free(t);
}

void ticks_clear(struct ticks *t)
{
    t->recs_n = t->chats_n = t->groups_n = 0;
    t->receipts_n = t->devices_n = t->advances_n = t->ranges_n = 0;
    t->readings_n = 0;
    idmap_release(&t->chat_at);
}

/* ---- gathering ------------------------------------------------------------------------ */

/* Both users of a direct chat are members from the beginning and for ever. */
static bool fill_direct(struct tick_chat *c, const struct delivery_status *s, struct cq_arena *a)
{
    c->users = ARENA_ARRAY(a, struct tick_user, 2);
    c->stays = ARENA_ARRAY(a, struct tick_stay, 2);
    if (!c->users || !c->stays)
        return false;
    c->users[0].id = s->user_id;
    c->users[1].id = s->peer;
    for (size_t i = 0; i < 2; i++)
        c->stays[i] = (struct tick_stay){ .user = i, .joined = 0, .left = INT64_MAX };
    c->users_n = c->stays_n = 2;
    return true;
}

static enum cq_status chat_of(struct ticks *t, const struct delivery_status *s, int32_t partition,
                              int64_t source, struct cq_arena *a, size_t *ret)
{
    const uint64_t *at = idmap_get(&t->chat_at, s->chat_id);
    struct tick_chat *c;

    if (at) {
        *ret = *at;
        return CQ_OK;
    }
    if (t->chats_n == TICKS_CHATS_MAX || (!s->has_peer && t->groups_n == TICKS_GROUPS_MAX))
        return CQ_AGAIN;
    c = &t->chats[t->chats_n];
    *c = (struct tick_chat){
        .id = s->chat_id,
        .part = id_part(s->chat_id),
        .partition = partition,
        .direct = s->has_peer,
        .since = source,
    };
    if (c->direct && !fill_direct(c, s, a))
        return CQ_AGAIN;
    if (!idmap_put(&t->chat_at, s->chat_id, t->chats_n))
        return CQ_FATAL;
    t->groups_n += !c->direct;
    *ret = t->chats_n++;
    return CQ_OK;
}

enum cq_status ticks_add(struct ticks *t, const struct delivery_status *s, int32_t partition,
                         int64_t offset, bool quiet, struct cq_arena *a)
{
    int64_t source = seq_make(s->source.generation, s->source.offset);
    enum cq_status st;
    size_t chat;

    if (s->seq > source || (s->kind == RECEIPT_KIND_MEMBERS && s->has_peer))
        return CQ_POISON;
    if (t->recs_n == TICKS_RECORDS_MAX)
        return CQ_AGAIN;
    st = chat_of(t, s, partition, source, a, &chat);
    if (st != CQ_OK)
        return st;
    t->recs[t->recs_n++] = (struct tick_record){
        .chat = chat,
        .user = s->user_id,
        .device = s->device_id,
        .kind = s->kind,
        .seq = s->seq,
        .at_ms = s->at_ms,
        .source = source,
        .offset = offset,
        .quiet = quiet,
    };
    return CQ_OK;
}

/* ---- applying ------------------------------------------------------------------------- */

struct tick_user *ticks_user(struct tick_chat *c, struct cq_id id)
{
    for (size_t i = 0; i < c->users_n; i++)
        if (id_eq(c->users[i].id, id))
            return &c->users[i];
    return NULL;
}

bool ticks_present(const struct tick_chat *c, size_t user, int64_t seq, int64_t *ret_joined)
{
    for (size_t i = 0; i < c->stays_n; i++) {
        const struct tick_stay *s = &c->stays[i];

        if (s->user != user || s->joined > seq || s->left <= seq)
            continue;
        if (ret_joined)
            *ret_joined = s->joined;
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
static bool two_lowest(const struct tick_chat *c, int kind, int64_t seq, struct tick_mark *ret)
{
    struct cq_id next_user = { { 0 } };
    size_t n = 0;

    for (size_t i = 0; i < c->stays_n; i++) {
        const struct tick_stay *s = &c->stays[i];
        const struct tick_user *u = &c->users[s->user];
        int64_t at = u->cursor[kind] > s->joined ? u->cursor[kind] : s->joined;

        if (s->joined > seq || s->left <= seq)
            continue;
        n++;
        if (n == 1 || ranks_before(at, u->id, ret->low, ret->low_user)) {
            ret->next = ret->low;
            next_user = ret->low_user;
            ret->low = at;
            ret->low_user = u->id;
        } else if (n == 2 || ranks_before(at, u->id, ret->next, next_user)) {
            ret->next = at;
            next_user = u->id;
        }
    }
    return n >= 2;
}

static void move_mark(struct ticks *t, struct tick_chat *c, int kind, const struct tick_record *r)
{
    struct tick_mark now = { 0 };

    if (!two_lowest(c, kind, r->source, &now))
        return;
    if (now.low < c->mark[kind].low) /* ticks never go back, whatever the log contains */
        return;
    if (now.low == c->mark[kind].low && now.next == c->mark[kind].next &&
        id_eq(now.low_user, c->mark[kind].low_user))
        return;
    c->mark[kind] = now;
    c->moved[kind] = true;
    c->at_ms[kind] = r->at_ms;
    c->offset[kind] = r->offset;
    CQ_ASSERT(t->advances_n < ARRAY_LEN(t->advances), t->advances_n);
    t->advances[t->advances_n++] =
        (struct tick_advance){ .chat = c->id, .kind = kind, .mark = now, .at_ms = r->at_ms };
}

static void advance(struct ticks *t, struct tick_chat *c, struct tick_user *u, int kind,
                    const struct tick_record *r)
{
    if (r->seq <= u->cursor[kind])
        return;
    u->cursor[kind] = r->seq;
    u->dirty = true;
    CQ_ASSERT(t->receipts_n < ARRAY_LEN(t->receipts), t->receipts_n);
    t->receipts[t->receipts_n++] = (struct tick_receipt){
        .chat = c->id, .user = u->id, .kind = kind, .seq = r->seq, .at_ms = r->at_ms
    };
    move_mark(t, c, kind, r);
}

/* What one device reads in a row within a turn is one reading. */
static void add_reading(struct ticks *t, const struct tick_record *r, int64_t from)
{
    struct tick_reading *last = t->readings_n ? &t->readings[t->readings_n - 1] : NULL;

    if (!last || last->chat != r->chat || !id_eq(last->user, r->user) ||
        !id_eq(last->device, r->device)) {
        CQ_ASSERT(t->readings_n < ARRAY_LEN(t->readings), t->readings_n);
        last = &t->readings[t->readings_n++];
        *last = (struct tick_reading){
            .chat = r->chat, .user = r->user, .device = r->device, .from = from
        };
    }
    last->to = r->seq;
    last->at_ms = r->at_ms;
    last->offset = r->offset;
}

static void apply_record(struct ticks *t, const struct tick_record *r)
{
    struct tick_chat *c = &t->chats[r->chat];
    struct tick_user *u;
    int64_t joined;

    c->now = r->source;
    if (!r->quiet && !c->loud) {
        c->loud = true;
        memcpy(c->before, c->mark, sizeof c->before);
    }
    if (r->kind == RECEIPT_KIND_MEMBERS) {
        move_mark(t, c, TICK_DELIVERED, r);
        move_mark(t, c, TICK_READ, r);
        return;
    }
    u = ticks_user(c, r->user);
    if (!u || !ticks_present(c, (size_t)(u - c->users), r->source, &joined) || r->seq <= joined)
        return;
    if (!id_is_zero(r->device)) {
        CQ_ASSERT(t->devices_n < ARRAY_LEN(t->devices), t->devices_n);
        t->devices[t->devices_n++] = (struct tick_device){ c->id, r->device, r->seq };
    }
    advance(t, c, u, TICK_DELIVERED, r); /* read implies delivered */
    if (r->kind != RECEIPT_KIND_READ)
        return;
    if (!r->quiet && r->seq > u->cursor[TICK_READ])
        add_reading(t, r, u->cursor[TICK_READ] > joined ? u->cursor[TICK_READ] : joined);
    advance(t, c, u, TICK_READ, r);
}

/* ---- who may have to be told ---------------------------------------------------------- */

static void add_range(struct ticks *t, struct tick_range range)
{
    if (range.hi > range.lo && t->ranges_n < TICKS_RANGES_MAX)
        t->ranges[t->ranges_n++] = range;
}

/* For nearly everybody the minimum over the others is `low`; only those who are or were lowest see
 * another one. In a direct chat each is asked for by name. */
static void ranges_of(struct ticks *t, size_t chat, int kind)
{
    const struct tick_chat *c = &t->chats[chat];
    const struct tick_mark *old = &c->before[kind], *now = &c->mark[kind];
    struct cq_id named[2] = { old->low_user, now->low_user };
    size_t n = id_eq(named[0], named[1]) ? 1 : 2;

    if (c->direct) {
        for (n = 0; n < c->users_n; n++)
            named[n] = c->users[n].id;
    } else {
        add_range(t, (struct tick_range){ chat, kind, { { 0 } }, old->low, now->low });
    }
    for (size_t i = 0; i < n; i++)
        if (!id_is_zero(named[i]))
            add_range(t, (struct tick_range){ chat, kind, named[i], tick_mark_for(old, named[i]),
                                              tick_mark_for(now, named[i]) });
}

void ticks_apply(struct ticks *t)
{
    for (size_t i = 0; i < t->recs_n; i++)
        apply_record(t, &t->recs[i]);
    for (size_t i = 0; i < t->chats_n; i++)
        for (int k = 0; k < TICK_KINDS; k++)
            if (t->chats[i].loud && t->chats[i].moved[k])
                ranges_of(t, i, k);
}
