/* SPDX-License-Identifier: MIT */
#include "lib/base/assert.h"
#include "sinks/websocket/sink_state.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_MAX = 16 * 1024 * 1024,
    NUMBER_MAX = 32, /* `{"n":18446744073709551615,` */
};

enum cq_status sink_new(const struct sink_conf *conf, struct sink **ret)
{
    struct sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return CQ_FATAL;
    sink->port = conf->port;
    sink->incarnation = conf->incarnation;
    sink->sessions_max = conf->sessions_max;
    sink->arena = arena_new(ARENA_MAX);
    idmap_init(&sink->by_id, conf->sessions_max);
    idmap_init(&sink->bounced, SINK_FRAMES_MAX);
    /* Frames must be handed back also when all sockets are full, so the pool is larger than the
     * sockets' bound. */
    frame_pool_init(&sink->frames, 2 * (size_t)SINK_FRAMES_MAX);
    outbox_init(&sink->outbox, &sink->frames);
    if (!sink->arena || slots_init(&sink->slots, conf->slots) != CQ_OK) {
        sink_free(sink);
        return CQ_FATAL;
    }
    *ret = sink;
    return CQ_OK;
}

void sink_free(struct sink *sink)
{
    if (!sink)
        return;
    outbox_release(&sink->outbox);
    idmap_release(&sink->by_id);
    idmap_release(&sink->bounced);
    frame_pool_release(&sink->frames);
    slots_release(&sink->slots);
    arena_free(sink->arena);
    free(sink);
}

const struct sink_stats *sink_stats(struct sink *sink)
{
    sink->stats.waiting = sink->waiting_n;
    sink->stats.slots_ours = sink->slots.ours_n;
    sink->stats.frames_open = (int64_t)sink->frames.used;
    sink->stats.jobs = sink->outbox.n;
    sink->stats.held_bytes = (int64_t)sink->held_bytes;
    return &sink->stats;
}

void sink_set_now(struct sink *sink, int64_t mono_ms, int64_t wall_ms)
{
    sink->mono_ms = mono_ms;
    sink->wall_ms = wall_ms;
}

/* ---- registering and leaving ---------------------------------------------------------- */

void session_move(struct sink *sink, struct session *session, enum session_state to)
{
    CQ_ASSERT(to == SESSION_WAITING ? session->state != to : to == session->state + 1,
              session->state, to);
    sink->waiting_n += (to == SESSION_WAITING) - (session->state == SESSION_WAITING);
    sink->stats.ready += (to == SESSION_READY) - (session->state == SESSION_READY);
    session->state = to;
}

static void place(struct sink *sink, struct session *session)
{
    int32_t slot = slots_pick(&sink->slots);
    struct cq_id id = sink->port.new_id(sink->port.arg);
    struct parcel *parcel;

    CQ_ASSERT(session->state == SESSION_WAITING && session->slot < 0 && !session->opened &&
                  sink->waiting_n > 0,
              session->state, session->slot, sink->waiting_n);
    if (slot < 0 || !idmap_put(&sink->by_id, id, (uint64_t)(uintptr_t)session))
        return;
    parcel = outbox_add(&sink->outbox, PARCEL_OPENED, id, session->user, session->device);
    if (!parcel) {
        idmap_remove(&sink->by_id, id);
        return;
    }
    parcel->slot = slot;
    parcel->token_at_ms = session->token_at_ms;
    parcel->owner = &session->opened;
    session->opened = parcel;
    session->id = id;
    session->slot = slot;
    session_move(sink, session, SESSION_OPENING);
    sink->slots.slot[slot].sessions_n++;
}

void sink_place_waiting(struct sink *sink)
{
    if (!sink->waiting_n || !sink->slots.ours_n)
        return;
    for (struct session *session = sink->all; session; session = session->next)
        if (session->state == SESSION_WAITING)
            place(sink, session);
}

void sink_bounce(struct sink *sink, struct cq_id session_id, struct cq_id user, struct cq_id device,
                 struct frame *frame)
{
    uint64_t *at = idmap_get(&sink->bounced, session_id);
    struct parcel *parcel = at ? (struct parcel *)(uintptr_t)*at : NULL;

    if (parcel && (!frame || parcel_put(parcel, frame) == CQ_OK))
        return;
    parcel = outbox_add(&sink->outbox, PARCEL_GONE, session_id, user, device);
    if (!parcel || !idmap_put(&sink->bounced, session_id, (uint64_t)(uintptr_t)parcel)) {
        sink->failed = true; /* the frame stays open: it is read again after the restart */
        return;
    }
    parcel->lost = true;
    if (frame && parcel_put(parcel, frame) != CQ_OK)
        sink->failed = true;
}

bool frame_is_message(const struct frame *frame)
{
    const struct ws_entry *entry = &frame->record->entries[frame->entry];

    return entry->kind == WS_ENTRY_KIND_FRAME && entry->class == FRAME_CLASS_MESSAGE;
}

/* The registration ends: messages without `ok` go back, other frames are dropped (a later sync has
 * them). */
static void leave(struct sink *sink, struct session *session)
{
    struct frame *frame = frames_take(&session->frames);
    bool known = session->state != SESSION_WAITING;

    if (session->opened && parcel_cancel(session->opened))
        known = false; /* its SessionOpened was never submitted */
    session->opened = NULL;
    if (known && !frame &&
        !outbox_add(&sink->outbox, PARCEL_GONE, session->id, session->user, session->device))
        sink->failed = true;
    while (frame) {
        struct frame *next = frame->next;

        if (known && frame_is_message(frame)) {
            sink_bounce(sink, session->id, session->user, session->device, frame);
        } else {
            if (known)
                sink_bounce(sink, session->id, session->user, session->device, NULL);
            frame_drop(&sink->frames, frame);
        }
        frame = next;
    }
    if (session->state == SESSION_WAITING)
        return;
    CQ_ASSERT(session->slot >= 0 && session->slot < sink->slots.n &&
                  sink->slots.slot[session->slot].sessions_n > 0,
              session->slot, sink->slots.n);
    idmap_remove(&sink->by_id, session->id);
    sink->slots.slot[session->slot].sessions_n--;
    session->slot = -1;
    session->since_ms = sink->mono_ms;
    session_move(sink, session, SESSION_WAITING);
}

struct session *sink_open(struct sink *sink, void *conn, struct cq_id user, struct cq_id device,
                          int64_t token_at_ms)
{
    struct session *session =
        sink->stats.sessions < sink->sessions_max ? calloc(1, sizeof *session) : NULL;

    if (!session)
        return NULL;
    session->conn = conn;
    session->user = user;
    session->device = device;
    session->token_at_ms = token_at_ms;
    session->slot = -1;
    session->since_ms = sink->mono_ms;
    session->next = sink->all;
    if (sink->all)
        sink->all->prev = session;
    sink->all = session;
    sink->stats.sessions++;
    sink->waiting_n++;
    place(sink, session);
    return session;
}

struct cq_id sink_session_id(const struct session *session)
{
    return session->state == SESSION_READY ? session->id : (struct cq_id){ 0 };
}

enum sink_reads sink_reads(const struct session *session)
{
    return session->reads;
}

void sink_close(struct sink *sink, struct session *session)
{
    leave(sink, session);
    CQ_ASSERT(session->state == SESSION_WAITING && sink->waiting_n > 0 && sink->stats.sessions > 0,
              session->state, sink->waiting_n, sink->stats.sessions);
    CQ_ASSERT(session->prev || sink->all == session); /* it is in the list */
    sink->waiting_n--;
    sink->stats.sessions--;
    if (session->prev)
        session->prev->next = session->next;
    else
        sink->all = session->next;
    if (session->next)
        session->next->prev = session->prev;
    free(session);
}

void sink_end(struct sink *sink, struct session *session, int code, struct cq_span reason)
{
    void *conn = session->conn;

    sink_close(sink, session);
    sink->port.close(conn, code, reason);
}

static void move(struct sink *sink, struct session *session)
{
    if (session->state == SESSION_WAITING)
        return;
    leave(sink, session);
    sink->stats.moved++;
}

void sink_move_all_of(struct sink *sink, int32_t slot)
{
    if (!sink->slots.slot[slot].sessions_n)
        return;
    for (struct session *session = sink->all; session; session = session->next)
        if (session->slot == slot)
            move(sink, session);
}

void sink_reopen_all(struct sink *sink)
{
    for (struct session *session = sink->all; session; session = session->next)
        move(sink, session);
    sink_place_waiting(sink);
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

bool sink_pump(struct sink *sink, struct session *session)
{
    const struct frame *frame;
    char head[NUMBER_MAX];
    uint64_t n;

    while ((frame = frames_peek(&session->frames, &n))) {
        size_t head_n = number_head(n, head);

        if (!sink->port.frame(session->conn, span_of(head, head_n),
                              frame->record->entries[frame->entry].frame))
            return false;
        frames_wrote(&session->frames);
        sink->stats.frames++;
    }
    return true;
}

bool sink_ok(struct sink *sink, struct session *session, int64_t n)
{
    sink->stats.oks++;
    return n >= 0 && frames_ok(&session->frames, &sink->frames, (uint64_t)n);
}

void sink_session_tick(struct sink *sink, struct session *session)
{
    char reason[64];

    if (sink->mono_ms - frames_oldest_ms(&session->frames) > SINK_OK_WITHIN_MS) {
        sink->stats.late++;
        snprintf(reason, sizeof reason, "no ok within %d s", SINK_OK_WITHIN_MS / 1000);
        sink_end(sink, session, CLOSE_NO_OK, span_str(reason));
    } else if (session->state == SESSION_WAITING &&
               sink->mono_ms - session->since_ms > SINK_PLACE_WITHIN_MS) {
        snprintf(reason, sizeof reason, "no slot within %d s, connect again",
                 SINK_PLACE_WITHIN_MS / 1000);
        sink_end(sink, session, CLOSE_RESYNC, span_str(reason));
    }
}
