/* SPDX-License-Identifier: MIT */
#include "lib/base/assert.h"
#include "sinks/websocket/sink_state.h"

#include <stdlib.h>

enum {
    ARENA_MAX = 16 * 1024 * 1024,
    NUMBER_MAX = 32, /* `{"n":18446744073709551615,` */
};

enum cq_status sink_new(const struct sink_conf *conf, struct sink **ret)
{
    struct sink *s = calloc(1, sizeof *s);

    if (!s)
        return CQ_FATAL;
    s->port = conf->port;
    s->incarnation = conf->incarnation;
    s->sessions_max = conf->sessions_max;
    s->arena = arena_new(ARENA_MAX);
    idmap_init(&s->by_id, conf->sessions_max);
    idmap_init(&s->bounced, SINK_FRAMES_MAX);
    /* Frames must be handed back also when all sockets are full, so the pool is larger than the
     * sockets' bound. */
    frame_pool_init(&s->frames, 2 * (size_t)SINK_FRAMES_MAX);
    outbox_init(&s->outbox, &s->frames);
    if (!s->arena || slots_init(&s->slots, conf->slots) != CQ_OK) {
        sink_free(s);
        return CQ_FATAL;
    }
    *ret = s;
    return CQ_OK;
}

void sink_free(struct sink *s)
{
    if (!s)
        return;
    outbox_release(&s->outbox);
    idmap_release(&s->by_id);
    idmap_release(&s->bounced);
    frame_pool_release(&s->frames);
    slots_release(&s->slots);
    arena_free(s->arena);
    free(s);
}

const struct sink_stats *sink_stats(struct sink *s)
{
    s->stats.waiting = s->waiting_n;
    s->stats.slots_ours = s->slots.ours_n;
    s->stats.frames_open = (int64_t)s->frames.used;
    s->stats.jobs = s->outbox.n;
    s->stats.held_bytes = (int64_t)s->held_bytes;
    return &s->stats;
}

void sink_set_now(struct sink *s, int64_t mono_ms, int64_t wall_ms)
{
    s->mono_ms = mono_ms;
    s->wall_ms = wall_ms;
}

/* ---- registering and leaving ---------------------------------------------------------- */

static void place(struct sink *s, struct session *x)
{
    int32_t slot = slots_pick(&s->slots);
    struct cq_id id = s->port.new_id(s->port.arg);
    struct parcel *p;

    CQ_ASSERT(x->state == SESSION_WAITING && x->slot < 0 && !x->opened && s->waiting_n > 0,
              x->state, x->slot, s->waiting_n);
    if (slot < 0 || !idmap_put(&s->by_id, id, (uint64_t)(uintptr_t)x))
        return;
    p = outbox_add(&s->outbox, PARCEL_OPENED, id, x->user, x->device);
    if (!p) {
        idmap_remove(&s->by_id, id);
        return;
    }
    p->slot = slot;
    p->token_at_ms = x->token_at_ms;
    p->owner = &x->opened;
    x->opened = p;
    x->id = id;
    x->slot = slot;
    x->state = SESSION_OPENING;
    s->slots.slot[slot].sessions_n++;
    s->waiting_n--;
}

void sink_place_waiting(struct sink *s)
{
    if (!s->waiting_n || !s->slots.ours_n)
        return;
    for (struct session *x = s->all; x; x = x->next)
        if (x->state == SESSION_WAITING)
            place(s, x);
}

void sink_bounce(struct sink *s, struct cq_id session_id, struct cq_id user, struct cq_id device,
                 struct frame *f)
{
    uint64_t *at = idmap_get(&s->bounced, session_id);
    struct parcel *p = at ? (struct parcel *)(uintptr_t)*at : NULL;

    if (p && (!f || parcel_put(p, f) == CQ_OK))
        return;
    p = outbox_add(&s->outbox, PARCEL_GONE, session_id, user, device);
    if (!p || !idmap_put(&s->bounced, session_id, (uint64_t)(uintptr_t)p)) {
        s->failed = true; /* the frame stays open: it is read again after the restart */
        return;
    }
    p->lost = true;
    if (f && parcel_put(p, f) != CQ_OK)
        s->failed = true;
}

bool frame_is_message(const struct frame *f)
{
    const struct ws_entry *e = &f->record->entries[f->entry];

    return e->kind == WS_ENTRY_KIND_FRAME && e->class == FRAME_CLASS_MESSAGE;
}

/* The registration ends: messages without `ok` go back, other frames are dropped (a later sync has
 * them). */
static void leave(struct sink *s, struct session *x)
{
    struct frame *f = frames_take(&x->frames);
    bool known = x->state != SESSION_WAITING;

    if (x->opened && parcel_cancel(x->opened))
        known = false; /* its SessionOpened was never submitted */
    x->opened = NULL;
    if (known && !f && !outbox_add(&s->outbox, PARCEL_GONE, x->id, x->user, x->device))
        s->failed = true;
    while (f) {
        struct frame *next = f->next;

        if (known && frame_is_message(f)) {
            sink_bounce(s, x->id, x->user, x->device, f);
        } else {
            if (known)
                sink_bounce(s, x->id, x->user, x->device, NULL);
            frame_drop(&s->frames, f);
        }
        f = next;
    }
    if (x->state == SESSION_WAITING)
        return;
    CQ_ASSERT(x->slot >= 0 && x->slot < s->slots.n && s->slots.slot[x->slot].sessions_n > 0,
              x->slot, s->slots.n);
    s->stats.ready -= x->state == SESSION_READY;
    idmap_remove(&s->by_id, x->id);
    s->slots.slot[x->slot].sessions_n--;
    x->slot = -1;
    x->state = SESSION_WAITING;
    x->since_ms = s->mono_ms;
    s->waiting_n++;
}

struct session *sink_open(struct sink *s, void *conn, struct cq_id user, struct cq_id device,
                          int64_t token_at_ms)
{
    struct session *x = s->stats.sessions < s->sessions_max ? calloc(1, sizeof *x) : NULL;

    if (!x)
        return NULL;
    x->conn = conn;
    x->user = user;
    x->device = device;
    x->token_at_ms = token_at_ms;
    x->slot = -1;
    x->since_ms = s->mono_ms;
    x->next = s->all;
    if (s->all)
        s->all->prev = x;
    s->all = x;
    s->stats.sessions++;
    s->waiting_n++;
    place(s, x);
    return x;
}

void sink_close(struct sink *s, struct session *x)
{
    leave(s, x);
    CQ_ASSERT(x->state == SESSION_WAITING && s->waiting_n > 0 && s->stats.sessions > 0, x->state,
              s->waiting_n, s->stats.sessions);
    CQ_ASSERT(x->prev || s->all == x); /* it is in the list */
    s->waiting_n--;
    s->stats.sessions--;
    if (x->prev)
        x->prev->next = x->next;
    else
        s->all = x->next;
    if (x->next)
        x->next->prev = x->prev;
    free(x);
}

void sink_end(struct sink *s, struct session *x, int code, struct cq_span reason)
{
    void *conn = x->conn;

    sink_close(s, x);
    s->port.close(conn, code, reason);
}

static void move(struct sink *s, struct session *x)
{
    if (x->state == SESSION_WAITING)
        return;
    leave(s, x);
    s->stats.moved++;
}

void sink_move_all_of(struct sink *s, int32_t slot)
{
    if (!s->slots.slot[slot].sessions_n)
        return;
    for (struct session *x = s->all; x; x = x->next)
        if (x->slot == slot)
            move(s, x);
}

void sink_reopen_all(struct sink *s)
{
    for (struct session *x = s->all; x; x = x->next)
        move(s, x);
    sink_place_waiting(s);
}

/* ---- frames to sockets ---------------------------------------------------------------- */

/* `{"n":17,` into `out`; returns its length. */
static size_t number_head(uint64_t n, char out[NUMBER_MAX])
{
    static const char open[] = "{\"n\":";
    const size_t open_n = sizeof open - 1;
    char room[SPAN_NUMBER_MAX];
    struct cq_span digits = span_number((int64_t)n, room);

    memcpy(out, open, open_n);
    memcpy(out + open_n, digits.p, digits.n);
    out[open_n + digits.n] = ',';
    return open_n + digits.n + 1;
}

bool sink_pump(struct sink *s, struct session *x)
{
    const struct frame *f;
    char head[NUMBER_MAX];
    uint64_t n;

    while ((f = frames_peek(&x->frames, &n))) {
        size_t head_n = number_head(n, head);

        if (!s->port.frame(x->conn, span_of(head, head_n), f->record->entries[f->entry].frame))
            return false;
        frames_wrote(&x->frames);
        s->stats.frames++;
    }
    return true;
}

bool sink_ok(struct sink *s, struct session *x, int64_t n)
{
    s->stats.oks++;
    return n >= 0 && frames_ok(&x->frames, &s->frames, (uint64_t)n);
}

void sink_session_tick(struct sink *s, struct session *x)
{
    if (s->mono_ms - frames_oldest_ms(&x->frames) > SINK_OK_WITHIN_MS) {
        s->stats.late++;
        sink_end(s, x, CLOSE_NO_OK, span_str("no ok within 10 s"));
    } else if (x->state == SESSION_WAITING && s->mono_ms - x->since_ms > SINK_PLACE_WITHIN_MS) {
        sink_end(s, x, CLOSE_RESYNC, span_str("no slot within 10 s, connect again"));
    }
}
