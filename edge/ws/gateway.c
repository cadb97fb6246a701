/* SPDX-License-Identifier: MIT */
#include "edge/ws/gateway.h"

#include "edge/ws/conn.h"
#include "edge/ws/conn_signals.h"
#include "edge/ws/server.h"
#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/share.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum {
    RECORDS_A_TURN = 256,
    SIGNAL_RECORDS_A_TICK = 256,
    WALK_TICKS = 10,              /* each connection is looked at once in this many ticks */
    PROVEN_AFTER_MS = 8000,       /* a broker that is silent this long would have been noticed */
    DEAD_TO_THEM_MS = 150 * 1000, /* processors/user takes a gateway for dead after 180 s of
                                   * silence */
    SWEEP_STEPS = 64,
    SHOW_EVERY_MS = 500,
};

static const uint64_t OPAQUE_MASK = ((uint64_t)1 << OPAQUE_SHIFT) - 1;

static uint64_t opaque_of(enum opaque_kind kind, uint64_t rest)
{
    return (uint64_t)kind << OPAQUE_SHIFT | rest;
}

static void on_answer(void *arg, struct sender *sender, bool stored, struct cq_span client_id,
                      struct cq_id id)
{
    (void)arg;
    conn_answer((struct conn *)((char *)sender - offsetof(struct conn, sender)), stored, client_id,
                id);
}

enum cq_status gateway_init(struct gateway *gateway, uint32_t conns_max, int64_t per_minute)
{
    gateway->conns_max = conns_max;
    gateway->conns = calloc(conns_max, sizeof(struct conn *));
    gateway->dirty = calloc(conns_max, sizeof(struct conn *));
    gateway->out = malloc(OUT_MAX + REPLIES_MAX);
    gateway->frames_per_minute = admit_frames_per_minute(per_minute);
    gateway->incarnation = id_random();
    gateway_now(gateway);
    gateway->proven_ms = gateway->mono_ms;
    gateway->alive_ms = gateway->mono_ms - ALIVE_EVERY_MS;
    /* all the receipts of a user together: as many as one socket may have frames */
    rates_init(&gateway->rates, per_minute, gateway->frames_per_minute, 2 * conns_max);
    sends_init(&gateway->sends, on_answer, gateway);
    if (receipts_init(&gateway->receipts, gateway->partitions, gateway->mono_ms) != CQ_OK)
        return CQ_FATAL;
    return gateway->conns && gateway->dirty && gateway->out ? CQ_OK : CQ_FATAL;
}

void gateway_release(struct gateway *gateway)
{
    rates_release(&gateway->rates);
    peers_release(&gateway->peers);
    sends_release(&gateway->sends);
    receipts_release(&gateway->receipts);
    if (gateway->signals.arena)
        signals_release(&gateway->signals);
    free(gateway->conns);
    free(gateway->dirty);
    free(gateway->out);
}

void gateway_now(struct gateway *gateway)
{
    gateway->mono_ms = clock_mono_ms();
    gateway->wall_ms = clock_wall_ms();
    if (gateway->sink)
        sink_set_now(gateway->sink, gateway->mono_ms, gateway->wall_ms);
}

void gateway_enter(struct gateway *gateway, enum gateway_phase phase)
{
    CQ_ASSERT(phase == gateway->phase + 1 ||
                  (phase == GATEWAY_ANSWERING && !gateway_is_draining(gateway)),
              gateway->phase, phase);
    gateway->phase = phase;
    gateway->phase_ms = gateway->mono_ms;
}

void gateway_fail(struct gateway *gateway, const char *why)
{
    if (gateway->failed == CQ_OK)
        gateway->failed_why = why;
    gateway->failed = CQ_FATAL;
}

/* ---- ports ---------------------------------------------------------------------------- */

static enum cq_status port_submit(void *arg, const struct user_action *action, uint64_t opaque)
{
    struct gateway *gateway = arg;
    const char *field;

    return ingest_user(gateway->ingest, action, opaque_of(OPAQUE_SINK, opaque), &field);
}

static void port_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    push_reader_commit(((struct gateway *)arg)->reader, slot, next, wait);
}

static void port_pause(void *arg, int32_t slot, bool pause)
{
    push_reader_pause(((struct gateway *)arg)->reader, slot, pause);
}

static void port_wake(void *conn)
{
    conn_wake(conn);
}

static struct cq_id port_new_id(void *arg)
{
    (void)arg;
    return id_random();
}

struct sink_port gateway_sink_port(struct gateway *gateway)
{
    return (struct sink_port){ .arg = gateway,
                               .frame = conn_add_frame,
                               .wake = port_wake,
                               .close = conn_session_over,
                               .submit = port_submit,
                               .commit = port_commit,
                               .pause = port_pause,
                               .members = conn_members_changed,
                               .parted = conn_parted,
                               .new_id = port_new_id };
}

void gateway_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                    enum cq_status st)
{
    struct gateway *gateway = arg;
    uint64_t rest = opaque & OPAQUE_MASK;

    (void)partition;
    (void)offset;
    switch ((enum opaque_kind)(opaque >> OPAQUE_SHIFT)) {
    case OPAQUE_SEND:
        sends_report(&gateway->sends, rest, st);
        break;
    case OPAQUE_SINK:
        sink_report(gateway->sink, rest, st);
        break;
    case OPAQUE_RECEIPTS:
        receipts_report(&gateway->receipts, (int32_t)rest, st, gateway->mono_ms);
        break;
    }
}

/* ---- signals ------------------------------------------------------------------------------ */

static bool signals_ours(void *arg, int32_t slot)
{
    return sink_owns(((struct gateway *)arg)->sink, slot);
}

static bool signals_here(void *arg, struct cq_id user)
{
    return rates_is_here(&((struct gateway *)arg)->rates, user);
}

static void signals_send(void *arg, int32_t slot, struct cq_span value)
{
    count_add(lossy_send(((struct gateway *)arg)->lossy, slot, value) ? COUNT_SIGNAL_RECORDS
                                                                      : COUNT_SIGNALS_DROPPED,
              1);
}

struct signals_port gateway_signals_port(struct gateway *gateway)
{
    return (struct signals_port){ .arg = gateway,
                                  .ours = signals_ours,
                                  .here = signals_here,
                                  .send = signals_send,
                                  .show = conn_show };
}

/* Read what is written to our slots, as they come and go. */
static void listen_to_slots(struct gateway *gateway)
{
    int32_t list[PARTITIONS_MAX];
    size_t n = 0;
    bool changed = false;

    for (int32_t i = 0; i < gateway->signals.out.slots; i++) {
        bool ours = signals_ours(gateway, i);

        changed |= ours != gateway->listens[i];
        gateway->listens[i] = ours;
        if (ours)
            list[n++] = i;
    }
    if (changed)
        lossy_listen(gateway->lossy, list, n);
}

static void serve_signals(struct gateway *gateway)
{
    struct bus_record rec;

    listen_to_slots(gateway);
    for (int i = 0; i < SIGNAL_RECORDS_A_TICK && lossy_poll(gateway->lossy, &rec); i++) {
        if (signals_take(&gateway->signals, rec.value, gateway->mono_ms) != CQ_OK)
            count_add(COUNT_SIGNALS_DROPPED, 1);
        record_release(&rec);
    }
    signals_tick(&gateway->signals, gateway->mono_ms, gateway->wall_ms);
}

/* ---- the turn ------------------------------------------------------------------------- */

static void send_receipts(struct gateway *gateway)
{
    struct receipt *list;
    int32_t partition;
    size_t n;

    while ((partition = receipts_take(&gateway->receipts, gateway->mono_ms, &list, &n)) >= 0) {
        struct chat_action action = {
            .chat_id = list[0].chat_id,
            .user_id = list[0].user_id,
            .device_id = list[0].device_id,
            .at_ms = gateway->wall_ms,
            .has_peer = list[0].has_peer,
            .peer = list[0].peer,
            .action = { CHAT_ACTION_RECEIPTS_ADVANCED, .u.receipts_advanced = { list, n } },
        };
        const char *field;
        enum cq_status st = ingest_chat(gateway->ingest, &action,
                                        opaque_of(OPAQUE_RECEIPTS, (uint64_t)partition), &field);

        if (st != CQ_OK) /* CQ_POISON is not possible: each receipt was checked */
            receipts_report(&gateway->receipts, partition, st == CQ_POISON ? CQ_OK : st,
                            gateway->mono_ms);
    }
}

void gateway_turn_end(struct gateway *gateway)
{
    if (gateway->log_more && push_reader_poll(gateway->reader, RECORDS_A_TURN, gateway->wall_ms,
                                              &gateway->log_more) != CQ_OK)
        gateway_fail(gateway, "ws.push");
    sink_batch_end(gateway->sink);
    send_receipts(gateway);
    while (gateway->dirty_n) {
        struct conn *conn = gateway->dirty[--gateway->dirty_n];

        conn->dirty = false;
        conn_flush(conn);
    }
}

/* ---- time ----------------------------------------------------------------------------- */

static void walk_conns(struct gateway *gateway)
{
    uint32_t steps = gateway->conns_n / WALK_TICKS + 1;

    /* A close moves the last one into the gap, so one may be looked at a round late. */
    while (steps-- && gateway->conns_n) {
        if (gateway->walk >= gateway->conns_n)
            gateway->walk = 0;
        conn_tick(gateway->conns[gateway->walk++]);
    }
}

/* GatewayAlive each minute. When none may have reached the broker for so long that the processors
 * took this gateway for dead, they have dropped its sessions although the sockets live: register
 * all of them again. */
static void stay_alive(struct gateway *gateway)
{
    bool due = gateway->mono_ms - gateway->alive_ms >= ALIVE_EVERY_MS;

    if (ingest_overloaded(gateway->ingest)) {
        gateway->trouble_ms = gateway->mono_ms;
        return;
    }
    if (gateway->trouble_ms > gateway->alive_ms)
        due = true;
    else if (gateway->mono_ms - gateway->alive_ms > PROVEN_AFTER_MS)
        gateway->proven_ms = gateway->alive_ms;
    if (gateway->mono_ms - gateway->proven_ms > DEAD_TO_THEM_MS) {
        sink_reopen_all(gateway->sink);
        gateway->proven_ms = gateway->mono_ms;
        due = true;
    }
    if (due &&
        ingest_alive(gateway->ingest, gateway->incarnation,
                     (int32_t)sink_stats(gateway->sink)->slots_ours, gateway->wall_ms) == CQ_OK)
        gateway->alive_ms = gateway->mono_ms;
}

static void show(struct gateway *gateway)
{
    const struct sink_stats *stats = sink_stats(gateway->sink);

    count_beat(gateway->mono_ms);
    if (gateway->mono_ms - gateway->shown_ms < SHOW_EVERY_MS)
        return;
    gateway->shown_ms = gateway->mono_ms;
    count_set(COUNT_SOCKETS, gateway->conns_n);
    count_set(COUNT_SESSIONS_READY, stats->ready);
    count_set(COUNT_FRAMES_OPEN, stats->frames_open);
    count_set(COUNT_ACKS, gateway->acks);
    count_set(COUNT_NACKS, gateway->nacks);
    count_set(COUNT_BAD_FRAMES, gateway->bad);
    count_set(COUNT_FRAMES, stats->frames);
    count_set(COUNT_SIGNAL_LOOKS, gateway->signals.looks.n + gateway->signals.attendance.looks.n);
    count_set(COUNT_SIGNAL_WATCHES,
              gateway->signals.watches.n + gateway->signals.attendance.lookers.n);
    count_set(COUNT_HANDED_BACK, stats->handed_back);
    count_set(COUNT_RESYNC_CLOSES, stats->overflows);
    count_set(COUNT_LATE_CLOSES, stats->late);
    count_set(COUNT_SESSIONS_MOVED, stats->moved);
    count_set(COUNT_CLOSED_BY_LOG, stats->closed_by_log);
    push_reader_show(gateway->reader);
}

/* Measure how late the messages of this gateway's own users came back to them, and their ticks;
 * shed load and renice accordingly. */
static void feel_pressure(struct gateway *gateway)
{
    const struct sink_stats *stats = sink_stats(gateway->sink);

    pressure_heard(&gateway->pressure, stats->own - gateway->heard_own,
                   stats->own_late_ms - gateway->heard_own_late_ms);
    pressure_ticked(&gateway->pressure, stats->ticks - gateway->heard_ticks,
                    stats->ticks_late_ms - gateway->heard_ticks_late_ms);
    gateway->heard_own = stats->own;
    gateway->heard_ticks = stats->ticks;
    gateway->heard_ticks_late_ms = stats->ticks_late_ms;
    gateway->heard_own_late_ms = stats->own_late_ms;
    pressure_judge(&gateway->pressure, gateway->mono_ms);
    share_renice(pressure_limits(&gateway->pressure), gateway->mono_ms);
}

void gateway_tick(struct gateway *gateway)
{
    show(gateway);
    feel_pressure(gateway);
    log_disk_tick(&gateway->log_disk, gateway->mono_ms);
    gateway->log_more = true; /* the descriptor does not signal every event */
    ingest_serve(gateway->ingest);
    if (ingest_is_dead(gateway->ingest)) {
        sends_fail_all(&gateway->sends);
        gateway_fail(gateway, "producer");
    }
    serve_signals(gateway);
    sends_expire(&gateway->sends, gateway->mono_ms);
    sink_tick(gateway->sink);
    walk_conns(gateway);
    stay_alive(gateway);
    rates_sweep(&gateway->rates, SWEEP_STEPS, gateway->mono_ms);
    server_tick(gateway->server);
    if (gateway->phase == GATEWAY_SERVING && !server_is_accepting(gateway->server))
        server_accept(gateway->server, true);
}
