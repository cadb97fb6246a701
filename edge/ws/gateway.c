/* SPDX-License-Identifier: MIT */
#include "edge/ws/gateway.h"

#include "edge/ws/conn.h"
#include "edge/ws/server.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/share.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum {
    RECORDS_A_TURN = 256,
    WALK_TICKS = 10,              /* each connection is looked at once in so many ticks */
    PROVEN_AFTER_MS = 8000,       /* a broker that is silent this long would have been noticed */
    DEAD_TO_THEM_MS = 150 * 1000, /* processors/user takes a gateway for dead after 180 s of
                                   * silence */
    SWEEP_STEPS = 64,
    SHOW_EVERY_MS = 500,
    FRAMES_BASE_PER_MINUTE = 3000,
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

enum cq_status gateway_init(struct gateway *g, uint32_t conns_max, int64_t per_minute)
{
    g->conns_max = conns_max;
    g->conns = calloc(conns_max, sizeof(struct conn *));
    g->dirty = calloc(conns_max, sizeof(struct conn *));
    g->out = malloc(OUT_MAX + REPLIES_MAX);
    g->frames_per_minute = 10 * per_minute + FRAMES_BASE_PER_MINUTE;
    g->incarnation = id_random();
    gateway_now(g);
    g->proven_ms = g->mono_ms;
    g->alive_ms = g->mono_ms - ALIVE_EVERY_MS;
    /* all the receipts of a user together: as many as one socket may have frames */
    rates_init(&g->rates, per_minute, g->frames_per_minute, 2 * conns_max);
    sends_init(&g->sends, on_answer, g);
    if (receipts_init(&g->receipts, g->partitions, g->mono_ms) != CQ_OK)
        return CQ_FATAL;
    return g->conns && g->dirty && g->out ? CQ_OK : CQ_FATAL;
}

void gateway_release(struct gateway *g)
{
    rates_release(&g->rates);
    peers_release(&g->peers);
    sends_release(&g->sends);
    receipts_release(&g->receipts);
    free(g->conns);
    free(g->dirty);
    free(g->out);
}

void gateway_now(struct gateway *g)
{
    g->mono_ms = clock_mono_ms();
    g->wall_ms = clock_wall_ms();
    if (g->sink)
        sink_set_now(g->sink, g->mono_ms, g->wall_ms);
}

void gateway_fail(struct gateway *g, const char *why)
{
    if (g->failed == CQ_OK)
        g->failed_why = why;
    g->failed = CQ_FATAL;
}

/* ---- ports ---------------------------------------------------------------------------- */

static enum cq_status port_submit(void *arg, const struct user_action *a, uint64_t opaque)
{
    struct gateway *g = arg;
    const char *field;

    return ingest_user(g->ingest, a, opaque_of(OPAQUE_SINK, opaque), &field);
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

struct sink_port gateway_sink_port(struct gateway *g)
{
    return (struct sink_port){ .arg = g,
                               .frame = conn_add_frame,
                               .wake = port_wake,
                               .close = conn_session_over,
                               .submit = port_submit,
                               .commit = port_commit,
                               .pause = port_pause,
                               .new_id = port_new_id };
}

void gateway_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                    enum cq_status st)
{
    struct gateway *g = arg;
    uint64_t rest = opaque & OPAQUE_MASK;

    (void)partition;
    (void)offset;
    switch ((enum opaque_kind)(opaque >> OPAQUE_SHIFT)) {
    case OPAQUE_SEND:
        sends_report(&g->sends, rest, st);
        break;
    case OPAQUE_SINK:
        sink_report(g->sink, rest, st);
        break;
    case OPAQUE_RECEIPTS:
        receipts_report(&g->receipts, (int32_t)rest, st, g->mono_ms);
        break;
    }
}

/* ---- the turn ------------------------------------------------------------------------- */

static void send_receipts(struct gateway *g)
{
    struct receipt *list;
    int32_t partition;
    size_t n;

    while ((partition = receipts_take(&g->receipts, g->mono_ms, &list, &n)) >= 0) {
        struct chat_action a = {
            .chat_id = list[0].chat_id,
            .user_id = list[0].user_id,
            .device_id = list[0].device_id,
            .at_ms = g->wall_ms,
            .has_peer = list[0].has_peer,
            .peer = list[0].peer,
            .action = { CHAT_ACTION_RECEIPTS_ADVANCED, .u.receipts_advanced = { list, n } },
        };
        const char *field;
        enum cq_status st =
            ingest_chat(g->ingest, &a, opaque_of(OPAQUE_RECEIPTS, (uint64_t)partition), &field);

        if (st != CQ_OK) /* CQ_POISON is not possible: each receipt was checked */
            receipts_report(&g->receipts, partition, st == CQ_POISON ? CQ_OK : st, g->mono_ms);
    }
}

void gateway_turn_end(struct gateway *g)
{
    if (g->log_more &&
        push_reader_poll(g->reader, RECORDS_A_TURN, g->wall_ms, &g->log_more) != CQ_OK)
        gateway_fail(g, "ws.push");
    sink_batch_end(g->sink);
    send_receipts(g);
    while (g->dirty_n) {
        struct conn *c = g->dirty[--g->dirty_n];

        c->dirty = false;
        conn_flush(c);
    }
}

/* ---- time ----------------------------------------------------------------------------- */

static void walk_conns(struct gateway *g)
{
    uint32_t steps = g->conns_n / WALK_TICKS + 1;

    /* A close moves the last one into the gap, so one may be looked at a round late. */
    while (steps-- && g->conns_n) {
        if (g->walk >= g->conns_n)
            g->walk = 0;
        conn_tick(g->conns[g->walk++]);
    }
}

/* GatewayAlive each minute. When none may have reached the broker for so long that the processors
 * took this gateway for dead, they have dropped its sessions although the sockets live: register
 * all of them again. */
static void stay_alive(struct gateway *g)
{
    bool due = g->mono_ms - g->alive_ms >= ALIVE_EVERY_MS;

    if (ingest_overloaded(g->ingest)) {
        g->trouble_ms = g->mono_ms;
        return;
    }
    if (g->trouble_ms > g->alive_ms)
        due = true;
    else if (g->mono_ms - g->alive_ms > PROVEN_AFTER_MS)
        g->proven_ms = g->alive_ms;
    if (g->mono_ms - g->proven_ms > DEAD_TO_THEM_MS) {
        sink_reopen_all(g->sink);
        g->proven_ms = g->mono_ms;
        due = true;
    }
    if (due && ingest_alive(g->ingest, g->incarnation, (int32_t)sink_stats(g->sink)->slots_ours,
                            g->wall_ms) == CQ_OK)
        g->alive_ms = g->mono_ms;
}

static void show(struct gateway *g)
{
    const struct sink_stats *s = sink_stats(g->sink);

    count_beat(g->mono_ms);
    if (g->mono_ms - g->shown_ms < SHOW_EVERY_MS)
        return;
    g->shown_ms = g->mono_ms;
    count_set(COUNT_SOCKETS, g->conns_n);
    count_set(COUNT_SESSIONS_READY, s->ready);
    count_set(COUNT_FRAMES_OPEN, s->frames_open);
    count_set(COUNT_ACKS, g->acks);
    count_set(COUNT_NACKS, g->nacks);
    count_set(COUNT_BAD_FRAMES, g->bad);
    count_set(COUNT_FRAMES, s->frames);
    count_set(COUNT_HANDED_BACK, s->handed_back);
    count_set(COUNT_RESYNC_CLOSES, s->overflows);
    count_set(COUNT_LATE_CLOSES, s->late);
    count_set(COUNT_SESSIONS_MOVED, s->moved);
    count_set(COUNT_CLOSED_BY_LOG, s->closed_by_log);
    push_reader_show(g->reader);
}

/* Measure how late the messages of this gateway's own users came back to them, and their ticks;
 * shed load and renice accordingly. */
static void feel_pressure(struct gateway *g)
{
    const struct sink_stats *s = sink_stats(g->sink);

    pressure_heard(&g->pressure, s->own - g->heard_own, s->own_late_ms - g->heard_own_late_ms);
    pressure_ticked(&g->pressure, s->ticks - g->heard_ticks,
                    s->ticks_late_ms - g->heard_ticks_late_ms);
    g->heard_own = s->own;
    g->heard_ticks = s->ticks;
    g->heard_ticks_late_ms = s->ticks_late_ms;
    g->heard_own_late_ms = s->own_late_ms;
    pressure_judge(&g->pressure, g->mono_ms);
    share_stand_behind(pressure_limits(&g->pressure), g->mono_ms);
}

void gateway_tick(struct gateway *g)
{
    show(g);
    feel_pressure(g);
    log_disk_tick(&g->log_disk, g->mono_ms);
    g->log_more = true; /* the descriptor does not signal every event */
    ingest_serve(g->ingest);
    if (ingest_is_dead(g->ingest)) {
        sends_fail_all(&g->sends);
        gateway_fail(g, "producer");
    }
    sends_expire(&g->sends, g->mono_ms);
    sink_tick(g->sink);
    walk_conns(g);
    stay_alive(g);
    rates_sweep(&g->rates, SWEEP_STEPS, g->mono_ms);
    server_tick(g->server);
    if (g->ready && !g->draining && !server_is_accepting(g->server))
        server_accept(g->server, true);
}
