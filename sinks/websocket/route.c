/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/sink_state.h"

enum {
    REASON_MAX = 120,
    OWN_LATE_MAX_MS = 5000,
    /* later than overload makes them: it was handed back, or the database was away for a while */
    TICK_LATE_MAX_MS = 15000
};

/* ---- records -------------------------------------------------------------------------- */

static void note_tick(struct sink *sink, int64_t late_ms)
{
    if (late_ms > TICK_LATE_MAX_MS)
        return;
    sink->stats.ticks++;
    sink->stats.ticks_late_ms += late_ms > 0 ? late_ms : 0;
}

/* A message that comes back to its sender shows how late the processors are, a tick how late the
 * view is. */
static void note_late(struct sink *sink, const struct session *session,
                      const struct ws_entry *entry)
{
    int64_t late_ms = sink->wall_ms - entry->at_ms;

    if (entry->class == FRAME_CLASS_STATUS)
        note_tick(sink, late_ms);
    if (entry->class != FRAME_CLASS_MESSAGE || !id_eq(entry->sender_id, session->user))
        return;
    if (late_ms > OWN_LATE_MAX_MS)
        late_ms = OWN_LATE_MAX_MS; /* it was handed back, or a clock is wrong */
    sink->stats.own++;
    sink->stats.own_late_ms += late_ms > 0 ? late_ms : 0;
}

static void deliver(struct sink *sink, struct session *session, struct push_record *record,
                    uint32_t entry)
{
    struct frame *frame = frame_new(&sink->frames, record, entry, sink->mono_ms);
    struct cq_id id = session->id, user = session->user, device = session->device;

    if (!frame) {
        sink->failed = true;
        return;
    }
    if (frames_push(&session->frames, frame) == CQ_OK) {
        sink->port.wake(session->conn);
        return;
    }
    sink->stats.overflows++;
    sink_end(sink, session, CLOSE_RESYNC, span_str("resync"));
    if (frame_is_message(frame))
        sink_bounce(sink, id, user, device, frame);
    else
        frame_drop(&sink->frames, frame);
}

/* An entry for a session that is not here. */
static void return_to_sender(struct sink *sink, const struct ws_target *to,
                             struct push_record *record, uint32_t entry)
{
    const struct ws_entry *ws_entry = &record->entries[entry];
    struct frame *frame = NULL;

    if (ws_entry->kind == WS_ENTRY_KIND_CLOSE)
        return; /* its socket is closed already */
    if (ws_entry->kind == WS_ENTRY_KIND_FRAME && ws_entry->class == FRAME_CLASS_MESSAGE) {
        frame = frame_new(&sink->frames, record, entry, sink->mono_ms);
        if (!frame) {
            sink->failed = true;
            return;
        }
    }
    sink_bounce(sink, to->session_id, to->user_id, (struct cq_id){ 0 }, frame);
}

/* A block ends what either of the two looks at. False: this one is not to know why. */
static bool is_shown_block(struct sink *sink, struct session *session, const struct ws_entry *entry)
{
    sink->port.parted(session->conn, entry->chat_id);
    if (entry->frame.n)
        sink->port.members(session->conn, entry->chat_id);
    return entry->frame.n > 0;
}

static void note_reads(struct session *session, bool hidden)
{
    session->reads = hidden ? SINK_READS_HIDDEN : SINK_READS_TOLD;
}

static void route_one(struct sink *sink, const struct ws_target *to, struct push_record *record,
                      uint32_t entry)
{
    const struct ws_entry *ws_entry = &record->entries[entry];
    uint64_t *at = idmap_get(&sink->by_id, to->session_id);
    struct session *session = at ? (struct session *)(uintptr_t)*at : NULL;

    if (!session || !id_eq(session->user, to->user_id)) {
        return_to_sender(sink, to, record, entry);
        return;
    }
    switch (ws_entry->kind) {
    case WS_ENTRY_KIND_READY:
        if (session->state != SESSION_OPENING)
            return; /* repeated after a crash of its writer */
        session_move(sink, session, SESSION_READY);
        note_reads(session, ws_entry->has_hides_reads && ws_entry->hides_reads);
        deliver(sink, session, record, entry);
        return;
    case WS_ENTRY_KIND_CLOSE:
        sink->stats.closed_by_log++;
        sink_end(sink, session, CLOSE_AUTH,
                 span_of(ws_entry->frame.p,
                         ws_entry->frame.n < REASON_MAX ? ws_entry->frame.n : REASON_MAX));
        return;
    case WS_ENTRY_KIND_FRAME:
    case WS_ENTRY_KIND_N:
        note_late(sink, session, ws_entry);
        if (ws_entry->class == FRAME_CLASS_MEMBER || ws_entry->class == FRAME_CLASS_ADDED)
            sink->port.members(session->conn, ws_entry->chat_id);
        if (ws_entry->class == FRAME_CLASS_BLOCK && !is_shown_block(sink, session, ws_entry))
            return;

        if (ws_entry->has_hides_reads)
            note_reads(session, ws_entry->hides_reads);
        deliver(sink, session, record, entry);
        return;
    }
}

static void pause_slot(struct sink *sink, int32_t i, bool pause)
{
    struct slot *slot = &sink->slots.slot[i];

    if (slot->state != SLOT_OURS || slot->paused == pause)
        return;
    slot->paused = pause;
    sink->port.pause(sink->port.arg, i, pause);
}

enum cq_status sink_record(struct sink *sink, int32_t slot, int64_t offset, struct cq_span value,
                           const char **ret_why)
{
    struct slot *owned = slot >= 0 && slot < sink->slots.n ? &sink->slots.slot[slot] : NULL;
    struct push_record *record = NULL;
    enum cq_status st;
    uint64_t ticket;

    if (!owned || sink->failed)
        return CQ_FATAL;
    if (owned->state != SLOT_OURS || offset < owned->window.next)
        return CQ_OK; /* not ours any more, or routed before */
    arena_reset(sink->arena);
    st = value.n ? push_decode(value, sink->arena, &record, ret_why) : CQ_OK;
    if (st == CQ_AGAIN && arena_full(sink->arena)) { /* it is empty before each record */
        *ret_why = "needs more memory than one record may have";
        return CQ_POISON;
    }
    if (st != CQ_OK)
        return st == CQ_POISON ? CQ_POISON : CQ_FATAL;
    st = window_add(&owned->window, offset, &ticket);
    if (st != CQ_OK) {
        if (record)
            push_unref(record);
        pause_slot(sink, slot, true);
        return CQ_AGAIN;
    }
    if (!record) {
        window_close(&owned->window, ticket);
        return CQ_OK;
    }
    record->window = &owned->window;
    record->ticket = ticket;
    record->held_bytes = &sink->held_bytes;
    sink->held_bytes += record->bytes;
    for (uint32_t i = 0; i < record->entries_n; i++) {
        for (size_t target = 0; target < record->entries[i].to_n; target++)
            route_one(sink, &record->entries[i].to[target], record, i);
        record->entries[i].to = NULL;
    }
    push_unref(record);
    return sink->failed ? CQ_FATAL : CQ_OK;
}

/* ---- slots ---------------------------------------------------------------------------- */

int64_t sink_assigned(struct sink *sink, int32_t slot, int64_t committed)
{
    int64_t from;
    bool same;

    if (slot < 0 || slot >= sink->slots.n)
        return committed;
    from = slots_assigned(&sink->slots, slot, committed, &same);
    if (!same)
        sink_move_all_of(sink, slot);
    return from;
}

static void give_away(struct sink *sink, int32_t slot)
{
    slots_away(&sink->slots, slot);
    sink_move_all_of(sink, slot);
}

void sink_revoked(struct sink *sink, int32_t slot, bool lost)
{
    int64_t position;

    if (slot < 0 || slot >= sink->slots.n)
        return;
    if (lost) {
        give_away(sink, slot);
        return;
    }
    if (slots_dirty(&sink->slots, slot, &position)) {
        sink->port.commit(sink->port.arg, slot, position, true);
        sink->slots.slot[slot].committed = position;
    }
    slots_park(&sink->slots, slot, sink->mono_ms);
}

bool sink_owns(const struct sink *sink, int32_t slot)
{
    return slot >= 0 && slot < sink->slots.n && sink->slots.slot[slot].state != SLOT_AWAY;
}

void sink_settled(struct sink *sink)
{
    for (int32_t i = 0; i < sink->slots.n; i++)
        if (sink->slots.slot[i].state == SLOT_PARKED)
            give_away(sink, i);
    sink_place_waiting(sink);
}

static void commit_dirty(struct sink *sink)
{
    for (int32_t i = 0; i < sink->slots.n; i++) {
        int64_t position;

        if (!slots_dirty(&sink->slots, i, &position))
            continue;
        sink->port.commit(sink->port.arg, i, position, false);
        sink->slots.slot[i].committed = position;
    }
}

void sink_commit_all(struct sink *sink)
{
    commit_dirty(sink);
}

/* Back-pressure: reading stops above a bound and goes on below half of it. */
static void balance_pressure(struct sink *sink)
{
    size_t part = sink->full ? 2 : 1;

    sink->full = sink->frames.used > SINK_FRAMES_MAX / part ||
                 sink->held_bytes > SINK_HELD_BYTES_MAX / part ||
                 sink->outbox.n > SINK_FRAMES_MAX / part;
    for (int32_t i = 0; i < sink->slots.n; i++) {
        const struct slot *slot = &sink->slots.slot[i];
        uint32_t bound = (uint32_t)SLOT_WINDOW_MAX / (slot->paused ? 4 : 2);

        pause_slot(sink, i, sink->full || window_n(&slot->window) > bound);
    }
}

void sink_batch_end(struct sink *sink)
{
    if (sink->bounced.n) {
        idmap_release(&sink->bounced);
        idmap_init(&sink->bounced, SINK_FRAMES_MAX);
    }
    outbox_submit(&sink->outbox, &sink->port, sink->incarnation, sink->wall_ms, sink->mono_ms);
}

void sink_report(struct sink *sink, uint64_t opaque, enum cq_status st)
{
    uint32_t handed_back;

    outbox_report(&sink->outbox, opaque, st, sink->mono_ms, &handed_back);
    sink->stats.handed_back += handed_back;
}

void sink_tick(struct sink *sink)
{
    for (int32_t i = 0; i < sink->slots.n; i++)
        if (sink->slots.slot[i].state == SLOT_PARKED &&
            sink->mono_ms - sink->slots.slot[i].parked_at_ms > SLOT_PARKED_MAX_MS)
            give_away(sink, i);
    sink_place_waiting(sink);
    outbox_wake(&sink->outbox, sink->mono_ms);
    sink_batch_end(sink);
    balance_pressure(sink);
    commit_dirty(sink);
}

bool sink_is_settled(const struct sink *sink)
{
    return sink->outbox.n == 0;
}
