/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/sink_state.h"

enum {
    REASON_MAX = 120,
    OWN_LATE_MAX_MS = 5000,
    /* later than overload makes them: it was handed back, or the database was away for a while */
    TICK_LATE_MAX_MS = 15000
};

/* ---- records -------------------------------------------------------------------------- */

static void note_tick(struct sink *s, int64_t late_ms)
{
    if (late_ms > TICK_LATE_MAX_MS)
        return;
    s->stats.ticks++;
    s->stats.ticks_late_ms += late_ms > 0 ? late_ms : 0;
}

/* A message that comes back to its sender shows how late the processors are, a tick how late the
 * view is. */
static void note_late(struct sink *s, const struct session *x, const struct ws_entry *e)
{
    int64_t late_ms = s->wall_ms - e->at_ms;

    if (e->class == FRAME_CLASS_STATUS)
        note_tick(s, late_ms);
    if (e->class != FRAME_CLASS_MESSAGE || !id_eq(e->sender_id, x->user))
        return;
    if (late_ms > OWN_LATE_MAX_MS)
        late_ms = OWN_LATE_MAX_MS; /* it was handed back, or a clock is wrong */
    s->stats.own++;
    s->stats.own_late_ms += late_ms > 0 ? late_ms : 0;
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
    sink_end(s, x, CLOSE_RESYNC, span_str("resync"));
    if (frame_is_message(f))
        sink_bounce(s, id, user, device, f);
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
        return; /* its socket is closed already */
    if (e->kind == WS_ENTRY_KIND_FRAME && e->class == FRAME_CLASS_MESSAGE) {
        f = frame_new(&s->frames, r, entry, s->mono_ms);
        if (!f) {
            s->failed = true;
            return;
        }
    }
    sink_bounce(s, to->session_id, to->user_id, (struct cq_id){ 0 }, f);
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
        sink_end(s, x, CLOSE_AUTH,
                 span_of(e->frame.p, e->frame.n < REASON_MAX ? e->frame.n : REASON_MAX));
        return;
    case WS_ENTRY_KIND_FRAME:
    case WS_ENTRY_KIND_N:
        note_late(s, x, e);
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
    if (st == CQ_AGAIN && arena_full(s->arena)) { /* it is empty before each record */
        *ret_why = "needs more memory than one record may have";
        return CQ_POISON;
    }
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

/* ---- slots ---------------------------------------------------------------------------- */

int64_t sink_assigned(struct sink *s, int32_t slot, int64_t committed)
{
    int64_t from;
    bool same;

    if (slot < 0 || slot >= s->slots.n)
        return committed;
    from = slots_assigned(&s->slots, slot, committed, &same);
    if (!same)
        sink_move_all_of(s, slot);
    return from;
}

static void give_away(struct sink *s, int32_t slot)
{
    slots_away(&s->slots, slot);
    sink_move_all_of(s, slot);
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
    sink_place_waiting(s);
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

/* Back-pressure: reading stops above a bound and goes on below half of it. */
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
    sink_place_waiting(s);
    outbox_wake(&s->outbox, s->mono_ms);
    sink_batch_end(s);
    balance_pressure(s);
    commit_dirty(s);
}

bool sink_is_settled(const struct sink *s)
{
    return s->outbox.n == 0;
}
