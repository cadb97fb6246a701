/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/outbox.h"

#include "lib/base/assert.h"
#include "schemas/frame.h"

#include <stdlib.h>

enum { FIRST_CAP = 256, REST_MIN_MS = 100, REST_MAX_MS = 5000 };

void outbox_init(struct outbox *o, struct frame_pool *frames)
{
    *o = (struct outbox){ .frames = frames };
}

static void parcel_free(struct outbox *o, struct parcel *p)
{
    while (p->items) {
        struct frame *f = p->items;

        p->items = f->next;
        frame_drop(o->frames, f);
    }
    if (p->owner)
        *p->owner = NULL;
    CQ_ASSERT(p->index < o->cap && o->table[p->index] == p && o->n > 0, p->index, o->cap, o->n);
    o->table[p->index] = NULL;
    o->free_index[o->free_n++] = p->index;
    o->n--;
    free(p);
}

void outbox_release(struct outbox *o)
{
    for (uint32_t i = 0; i < o->cap; i++)
        if (o->table[i])
            parcel_free(o, o->table[i]);
    free(o->table);
    free(o->free_index);
    *o = (struct outbox){ 0 };
}

static bool grow(struct outbox *o)
{
    uint32_t cap = o->cap ? o->cap * 2 : FIRST_CAP;
    struct parcel **table = realloc(o->table, cap * sizeof(struct parcel *));
    uint32_t *free_index;

    if (!table)
        return false;
    o->table = table;
    free_index = realloc(o->free_index, cap * sizeof *free_index);
    if (!free_index)
        return false;
    o->free_index = free_index;
    for (uint32_t i = cap; i > o->cap; i--) {
        o->table[i - 1] = NULL;
        o->free_index[o->free_n++] = i - 1;
    }
    o->cap = cap;
    return true;
}

static void append(struct outbox *o, struct parcel *p)
{
    p->next = NULL;
    p->state = PARCEL_QUEUED;
    if (o->tail)
        o->tail->next = p;
    else
        o->head = p;
    o->tail = p;
}

struct parcel *outbox_add(struct outbox *o, enum parcel_kind kind, struct cq_id session_id,
                          struct cq_id user, struct cq_id device)
{
    struct parcel *p;

    if (!o->free_n && !grow(o))
        return NULL;
    p = malloc(sizeof *p);
    if (!p)
        return NULL;
    *p = (struct parcel){ .kind = kind,
                          .session_id = session_id,
                          .user = user,
                          .device = device,
                          .index = o->free_index[--o->free_n],
                          .generation = o->generation++ & PARCEL_GENERATION_MASK };
    o->table[p->index] = p;
    o->n++;
    append(o, p);
    return p;
}

enum cq_status parcel_put(struct parcel *p, struct frame *f)
{
    size_t whole = f->record->entries[f->entry].frame.n;
    uint32_t bytes = (uint32_t)(whole < FRAME_EXCERPT_MAX ? whole : FRAME_EXCERPT_MAX);

    CQ_ASSERT(p->kind == PARCEL_GONE && p->state == PARCEL_QUEUED && !p->tried, p->kind, p->state);
    if (p->items_n == LIMIT_LOST_ITEMS ||
        (p->items_n && p->items_bytes + bytes > SINK_ITEMS_BYTES_MAX))
        return CQ_AGAIN;
    f->next = NULL;
    if (p->items_tail)
        p->items_tail->next = f;
    else
        p->items = f;
    p->items_tail = f;
    p->items_n++;
    p->items_bytes += bytes;
    return CQ_OK;
}

bool parcel_cancel(struct parcel *p)
{
    p->owner = NULL;
    p->cancelled = p->state != PARCEL_SENT;
    return !p->tried;
}

/* Excerpts of one submission: those of a parcel one after the other, and the last one that was
 * made, since a message to many is handed back once for each. */
struct excerpts {
    struct cq_buf all, last;
    const struct ws_entry *of; /* what `last` is an excerpt of; borrowed, alive meanwhile */
};

static void excerpts_add(struct excerpts *x, const struct ws_entry *e)
{
    if (x->of != e) {
        buf_clear(&x->last);
        frame_excerpt(&x->last, e->frame);
        x->of = e;
    }
    buf_add_span(&x->all, buf_span(&x->last));
}

/* What is handed back becomes a push, which shows an excerpt: a message to a thousand sessions that
 * are gone is not written a thousand times. */
static size_t lay_out_items(const struct parcel *p, struct lost_item *out, struct excerpts *x)
{
    size_t n = 0, at = 0;

    for (const struct frame *f = p->items; f; f = f->next) {
        const struct ws_entry *e = &f->record->entries[f->entry];
        size_t from = x->all.n;

        excerpts_add(x, e);
        out[n++] = (struct lost_item){ .chat_id = e->chat_id,
                                       .seq = e->seq,
                                       .message_id = e->message_id,
                                       .sender_id = e->sender_id,
                                       .at_ms = e->at_ms,
                                       .frame = span_of(NULL, x->all.n - from) };
    }
    for (size_t i = 0; i < n; at += out[i++].frame.n) /* the buffer does not move any more */
        out[i].frame.p = x->all.p + at;
    return n;
}

static void describe(const struct parcel *p, struct cq_id incarnation, struct lost_item *items,
                     struct excerpts *x, struct user_action *a)
{
    if (p->kind == PARCEL_OPENED) {
        a->action.kind = USER_ACTION_SESSION_OPENED;
        a->action.u.session_opened = (struct session_opened){ .session_id = p->session_id,
                                                              .slot = p->slot,
                                                              .incarnation = incarnation,
                                                              .token_at_ms = p->token_at_ms };
    } else if (p->lost || p->items) {
        a->action.kind = USER_ACTION_SESSION_LOST;
        a->action.u.session_lost = (struct session_lost){ .session_id = p->session_id,
                                                          .items = items,
                                                          .items_n = lay_out_items(p, items, x) };
    } else {
        a->action.kind = USER_ACTION_SESSION_CLOSED;
        a->action.u.session_closed.session_id = p->session_id;
    }
}

static int64_t rest_ms(int32_t attempts)
{
    int64_t ms = REST_MIN_MS;

    while (attempts-- > 1 && ms < REST_MAX_MS)
        ms *= 2;
    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

static void rest(struct outbox *o, struct parcel *p, int64_t mono_ms)
{
    p->state = PARCEL_RESTING;
    p->due_ms = mono_ms + rest_ms(++p->attempts);
    p->next = o->resting;
    o->resting = p;
}

void outbox_submit(struct outbox *o, const struct sink_port *port, struct cq_id incarnation,
                   int64_t wall_ms, int64_t mono_ms)
{
    struct lost_item items[LIMIT_LOST_ITEMS];
    struct excerpts x = { .of = NULL };

    buf_init(&x.all, SINK_ITEMS_BYTES_MAX + FRAME_EXCERPT_MAX);
    buf_init(&x.last, FRAME_EXCERPT_MAX);
    while (o->head && o->sent_n < SINK_IN_FLIGHT_MAX && mono_ms >= o->shut_until_ms) {
        struct parcel *p = o->head;
        struct user_action a = { .user_id = p->user, .device_id = p->device, .at_ms = wall_ms };
        enum cq_status st = CQ_POISON;

        CQ_ASSERT(p->state == PARCEL_QUEUED, p->state);
        if (!p->cancelled) {
            buf_clear(&x.all);
            describe(p, incarnation, items, &x, &a);
            st = port->submit(port->arg, &a, (uint64_t)p->generation << 32 | p->index);
        }
        if (st != CQ_OK && st != CQ_POISON) {
            o->shut_until_ms = mono_ms + REST_MIN_MS;
            break;
        }
        o->head = p->next;
        if (!o->head)
            o->tail = NULL;
        if (st == CQ_POISON) {
            parcel_free(o, p); /* cancelled, or it can never be stored */
            x.of = NULL;
            continue;
        }
        p->state = PARCEL_SENT;
        p->tried = true;
        o->sent_n++;
    }
    buf_release(&x.all);
    buf_release(&x.last);
}

void outbox_report(struct outbox *o, uint64_t opaque, enum cq_status st, int64_t mono_ms,
                   uint32_t *ret_handed_back)
{
    uint32_t index = (uint32_t)opaque;
    struct parcel *p = index < o->cap ? o->table[index] : NULL;

    *ret_handed_back = 0;
    if (!p || p->generation != opaque >> 32 || p->state != PARCEL_SENT)
        return;
    CQ_ASSERT(o->sent_n > 0);
    o->sent_n--;
    if (st == CQ_OK || (p->kind == PARCEL_OPENED && !p->owner)) {
        *ret_handed_back = p->items_n;
        parcel_free(o, p);
        return;
    }
    rest(o, p, mono_ms);
}

void outbox_wake(struct outbox *o, int64_t mono_ms)
{
    struct parcel **at = &o->resting;

    while (*at) {
        struct parcel *p = *at;

        if (p->due_ms > mono_ms && !p->cancelled) {
            at = &p->next;
            continue;
        }
        CQ_ASSERT(p->state == PARCEL_RESTING, p->state);
        *at = p->next;
        append(o, p);
    }
}
