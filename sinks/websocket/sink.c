/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/sink.h"

#include "lib/base/idmap.h"
#include "sinks/websocket/outbox.h"

#include <stdlib.h>

enum {
    ARENA_MAX = 16 * 1024 * 1024,
    CLOSE_AUTH = 4401, /* docs/protocol.md */
    CLOSE_NO_OK = 4408,
    CLOSE_RESYNC = 1013,
    REASON_MAX = 120,
    NUMBER_MAX = 32, /* `{"n":18446744073709551615,` */
};

enum session_state {
    SESSION_WAITING, /* for a slot; has no id */
    SESSION_OPENING, /* SessionOpened is on its way, or its READY is */
    SESSION_READY,
};

struct session {
    struct session *prev, *next; /* all sessions */
    void *conn;                  /* borrowed */
    enum session_state state;
    int32_t slot;    /* -1: none */
    struct cq_id id; /* a new one at each registration */
    struct cq_id user, device;
    int64_t token_at_ms;
    int64_t since_ms;      /* WAITING: since when */
    struct parcel *opened; /* SessionOpened until it is stored; cleared by the outbox */
    struct frames frames;
};

struct sink {
    struct sink_port port;
    struct cq_id incarnation;
    uint32_t sessions_max;
    int64_t mono_ms, wall_ms;
    struct slots slots;
    struct session *all;
    struct idmap by_id;   /* registered sessions */
    struct idmap bounced; /* session id → the parcel that this batch fills for it */
    struct frame_pool frames;
    struct outbox outbox;
    struct cq_arena *arena;
    size_t held_bytes;
    int64_t waiting_n;
    bool full;   /* every slot is paused until things drain */
    bool failed; /* no memory for what must not be lost */
    struct sink_stats stats;
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
    /* Handing back must go on when sockets are full already, so the pool is larger than their
     * bound. */
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

/* ---- registering and leaving
 * --------------------------------------------------------------------------- */

static void place(struct sink *s, struct session *x)
{
    int32_t slot = slots_pick(&s->slots);
    struct cq_id id = s->port.new_id(s->port.arg);
    struct parcel *p;

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

static void place_waiting(struct sink *s)
{
    if (!s->waiting_n || !s->slots.ours_n)
        return;
    for (struct session *x = s->all; x; x = x->next)
        if (x->state == SESSION_WAITING)
            place(s, x);
}

/* One message back to user.inbox, in the parcel this session already has in this batch, or in a new
 * one. */
static void bounce(struct sink *s, struct cq_id session_id, struct cq_id user, struct cq_id device,
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

static bool is_message(const struct frame *f)
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
        known = false; /* nobody heard of it */
    x->opened = NULL;
    if (known && !f && !outbox_add(&s->outbox, PARCEL_GONE, x->id, x->user, x->device))
        s->failed = true;
    while (f) {
        struct frame *next = f->next;

        if (known && is_message(f)) {
            bounce(s, x->id, x->user, x->device, f);
        } else {
            if (known)
                bounce(s, x->id, x->user, x->device, NULL);
            frame_drop(&s->frames, f);
        }
        f = next;
    }
    if (x->state == SESSION_WAITING)
        return;
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

static void end(struct sink *s, struct session *x, int code, struct cq_span reason)
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

static void move_all_of(struct sink *s, int32_t slot)
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
    place_waiting(s);
}

/* ---- frames to sockets
 * ---------------------------------------------------------------------------------- */

/* `{"n":17,` into `out`; returns its length. */
static size_t number_head(uint64_t n, char out[NUMBER_MAX])
{
    static const char open[] = "{\"n\":";
    char digits[20];
    size_t at = sizeof open - 1, k = 0;

    memcpy(out, open, at);
    do {
        digits[k++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (k)
        out[at++] = digits[--k];
    out[at++] = ',';
    return at;
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
        end(s, x, CLOSE_NO_OK, span_str("no ok"));
    } else if (x->state == SESSION_WAITING && s->mono_ms - x->since_ms > SINK_PLACE_WITHIN_MS) {
        end(s, x, CLOSE_RESYNC, span_str("no slot"));
    }
}

static void deliver(struct sink *s, struct session *x, struct push_record *r, uint32_t entry)
{
    struct frame *f = frame_new(&s->frames, r, entry, s->mono_ms);
    struct cq_id id = x->id, user = x->user, device = x->device;

    if (!f) {
        s->failed = true;
        return;
    }
    if (frames_push(&x->frames, f) == CQ_OK) {
        s->port.wake(x->conn);
        return;
    }
    s->stats.overflows++;
    end(s, x, CLOSE_RESYNC, span_str("resync"));
    if (is_message(f))
        bounce(s, id, user, device, f);
    else
        frame_drop(&s->frames, f);
}

/* An entry for a session that is not here. */
static void return_to_sender(struct sink *s, const struct ws_target *to, struct push_record *r,
                             uint32_t entry)
{
    const struct ws_entry *e = &r->entries[entry];
    struct frame *f = NULL;

    if (e->kind == WS_ENTRY_KIND_CLOSE)
        return; /* it is closed */
    if (e->kind == WS_ENTRY_KIND_FRAME && e->class == FRAME_CLASS_MESSAGE) {
        f = frame_new(&s->frames, r, entry, s->mono_ms);
        if (!f) {
            s->failed = true;
            return;
        }
    }
    bounce(s, to->session_id, to->user_id, (struct cq_id){ 0 }, f);
}

static void route_one(struct sink *s, const struct ws_target *to, struct push_record *r,
                      uint32_t entry)
{
    const struct ws_entry *e = &r->entries[entry];
    uint64_t *at = idmap_get(&s->by_id, to->session_id);
    struct session *x = at ? (struct session *)(uintptr_t)*at : NULL;

    if (!x || !id_eq(x->user, to->user_id)) {
        return_to_sender(s, to, r, entry);
        return;
    }
    switch (e->kind) {
    case WS_ENTRY_KIND_READY:
        if (x->state != SESSION_OPENING)
            return; /* repeated after a crash of its writer */
        x->state = SESSION_READY;
        s->stats.ready++;
        deliver(s, x, r, entry);
        return;
    case WS_ENTRY_KIND_CLOSE:
        s->stats.closed_by_log++;
        end(s, x, CLOSE_AUTH,
            span_of(e->frame.p, e->frame.n < REASON_MAX ? e->frame.n : REASON_MAX));
        return;
    default:
        deliver(s, x, r, entry);
        return;
    }
}

static void pause_slot(struct sink *s, int32_t i, bool pause)
{
    struct slot *sl = &s->slots.slot[i];

    if (sl->state != SLOT_OURS || sl->paused == pause)
        return;
    sl->paused = pause;
    s->port.pause(s->port.arg, i, pause);
}

enum cq_status sink_record(struct sink *s, int32_t slot, int64_t offset, struct cq_span value,
                           const char **ret_why)
{
    struct slot *sl = slot >= 0 && slot < s->slots.n ? &s->slots.slot[slot] : NULL;
    struct push_record *r = NULL;
    enum cq_status st;
    uint64_t ticket;

    if (!sl || s->failed)
        return CQ_FATAL;
    if (sl->state != SLOT_OURS || offset < sl->window.next)
        return CQ_OK; /* not ours any more, or routed before */
    arena_reset(s->arena);
    st = value.n ? push_decode(value, s->arena, &r, ret_why) : CQ_OK;
    if (st != CQ_OK)
        return st == CQ_POISON ? CQ_POISON : CQ_FATAL;
    st = window_add(&sl->window, offset, &ticket);
    if (st != CQ_OK) {
        if (r)
            push_unref(r);
        pause_slot(s, slot, true);
        return CQ_AGAIN;
    }
    if (!r) {
        window_close(&sl->window, ticket);
        return CQ_OK;
    }
    r->window = &sl->window;
    r->ticket = ticket;
    r->held_bytes = &s->held_bytes;
    s->held_bytes += r->bytes;
    for (uint32_t i = 0; i < r->entries_n; i++) {
        for (size_t k = 0; k < r->entries[i].to_n; k++)
            route_one(s, &r->entries[i].to[k], r, i);
        r->entries[i].to = NULL;
    }
    push_unref(r);
    return s->failed ? CQ_FATAL : CQ_OK;
}

/* ---- slots
 * ---------------------------------------------------------------------------------------------- */

int64_t sink_assigned(struct sink *s, int32_t slot, int64_t committed)
{
    int64_t from;
    bool same;

    if (slot < 0 || slot >= s->slots.n)
        return committed;
    from = slots_assigned(&s->slots, slot, committed, &same);
    if (!same)
        move_all_of(s, slot);
    return from;
}

static void give_away(struct sink *s, int32_t slot)
{
    slots_away(&s->slots, slot);
    move_all_of(s, slot);
}

void sink_revoked(struct sink *s, int32_t slot, bool lost)
{
    int64_t position;

    if (slot < 0 || slot >= s->slots.n)
        return;
    if (lost) {
        give_away(s, slot);
        return;
    }
    if (slots_dirty(&s->slots, slot, &position)) {
        s->port.commit(s->port.arg, slot, position, true);
        s->slots.slot[slot].committed = position;
    }
    slots_park(&s->slots, slot, s->mono_ms);
}

void sink_settled(struct sink *s)
{
    for (int32_t i = 0; i < s->slots.n; i++)
        if (s->slots.slot[i].state == SLOT_PARKED)
            give_away(s, i);
    place_waiting(s);
}

static void commit_dirty(struct sink *s)
{
    for (int32_t i = 0; i < s->slots.n; i++) {
        int64_t position;

        if (!slots_dirty(&s->slots, i, &position))
            continue;
        s->port.commit(s->port.arg, i, position, false);
        s->slots.slot[i].committed = position;
    }
}

void sink_commit_all(struct sink *s)
{
    commit_dirty(s);
}

/* Reading stops above a bound and goes on below half of it. */
static void balance_pressure(struct sink *s)
{
    size_t part = s->full ? 2 : 1;

    s->full = s->frames.used > SINK_FRAMES_MAX / part ||
              s->held_bytes > SINK_HELD_BYTES_MAX / part || s->outbox.n > SINK_FRAMES_MAX / part;
    for (int32_t i = 0; i < s->slots.n; i++) {
        const struct slot *sl = &s->slots.slot[i];
        uint32_t bound = (uint32_t)SLOT_WINDOW_MAX / (sl->paused ? 4 : 2);

        pause_slot(s, i, s->full || window_n(&sl->window) > bound);
    }
}

void sink_batch_end(struct sink *s)
{
    if (s->bounced.n) {
        idmap_release(&s->bounced);
        idmap_init(&s->bounced, SINK_FRAMES_MAX);
    }
    outbox_submit(&s->outbox, &s->port, s->incarnation, s->wall_ms, s->mono_ms);
}

void sink_report(struct sink *s, uint64_t opaque, enum cq_status st)
{
    uint32_t handed_back;

    outbox_report(&s->outbox, opaque, st, s->mono_ms, &handed_back);
    s->stats.handed_back += handed_back;
}

void sink_tick(struct sink *s)
{
    for (int32_t i = 0; i < s->slots.n; i++)
        if (s->slots.slot[i].state == SLOT_PARKED &&
            s->mono_ms - s->slots.slot[i].parked_at_ms > SLOT_PARKED_MAX_MS)
            give_away(s, i);
    place_waiting(s);
    outbox_wake(&s->outbox, s->mono_ms);
    sink_batch_end(s);
    balance_pressure(s);
    commit_dirty(s);
}

bool sink_is_settled(const struct sink *s)
{
    return s->outbox.n == 0;
}
