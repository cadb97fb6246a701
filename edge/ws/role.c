/* SPDX-License-Identifier: MIT */
#include "edge/ws/role.h"

#include "edge/ws/conn.h"
#include "edge/ws/gateway.h"
#include "edge/ws/server.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"

#include <ev.h>
#include <stdio.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    SLOTLESS_READY_MS =
        10 * 1000, /* with more gateways than slots some own none, and are ready all the same */
    ANSWERS_WITHIN_MS = 5 * 1000, /* of a drain: pending sends */
    SPREAD_TICKS = 20,            /* of a drain: closes */
    HAND_BACK_WITHIN_MS =
        4 * 1000, /* leaving the group and the producer take up to 5 s each besides */
    STATS_EVERY_MS = 60 * 1000,
};

static const double LINGER_MS = 0; /* ingest gathers by itself, see send_or_hold */

enum phase { SERVING, ANSWERING, CLOSING, HANDING_BACK, DONE };

struct role {
    struct gateway g;
    const volatile int *stop;
    struct ev_loop *loop;
    struct ev_prepare before_sleep;
    struct ev_idle awake; /* while there is more to read, the loop must not sleep */
    struct ev_timer tick;
    struct ev_timer let_out;
    struct ev_io log_ready, reports_ready;
    enum phase phase;
    int64_t phase_ms; /* when it began */
    int64_t started_ms, stats_ms;
    enum log_room told_room;
    bool told_cut;
};

/* ---- drain ---------------------------------------------------------------------------- */

static void enter(struct role *r, enum phase phase)
{
    r->phase = phase;
    r->phase_ms = r->g.mono_ms;
}

static bool close_some(struct gateway *g, uint32_t budget)
{
    for (uint32_t i = 0; i < g->conns_n; i++) {
        if (g->conns[i]->closing)
            continue;
        if (!budget--)
            return false;
        conn_close(g->conns[i], CLOSE_GOING_AWAY, span_str("going away"));
    }
    return true;
}

/* Stop accepting, answer what is pending, close spread out so that clients do not come back all at
 * once, hand back and leave the group. */
static void drain(struct role *r)
{
    struct gateway *g = &r->g;
    int64_t since_ms = g->mono_ms - r->phase_ms;

    switch (r->phase) {
    case SERVING:
        log_info("draining", LOG_I("sockets", g->conns_n), LOG_S("why", g->failed_why));
        g->draining = true;
        server_stop_listening(g->server);
        enter(r, ANSWERING);
        break;
    case ANSWERING:
        if (!g->sends.n || since_ms > ANSWERS_WITHIN_MS)
            enter(r, CLOSING);
        break;
    case CLOSING:
        if (close_some(g, g->conns_n / SPREAD_TICKS + 16))
            enter(r, HANDING_BACK);
        break;
    case HANDING_BACK:
        if ((sink_is_settled(g->sink) && receipts_is_empty(&g->receipts) && !g->conns_n) ||
            since_ms > HAND_BACK_WITHIN_MS || (ingest_is_dead(g->ingest) && !g->conns_n))
            enter(r, DONE);
        break;
    case DONE:
        break;
    }
}

/* ---- the loop ------------------------------------------------------------------------- */

static void say_ready(struct role *r)
{
    struct gateway *g = &r->g;

    if (g->ready || g->draining ||
        (!sink_stats(g->sink)->slots_ours && g->mono_ms - r->started_ms < SLOTLESS_READY_MS))
        return;
    g->ready = true;
    server_accept(g->server, true);
    if (g->failed == CQ_OK)
        log_info("ready", LOG_I("slots", sink_stats(g->sink)->slots_ours));
}

static void say_stats(struct role *r)
{
    struct gateway *g = &r->g;
    const struct sink_stats *s = sink_stats(g->sink);

    if (g->mono_ms - r->stats_ms < STATS_EVERY_MS)
        return;
    r->stats_ms = g->mono_ms;
    log_info("gateway", LOG_I("sockets", g->conns_n), LOG_I("ready", s->ready),
             LOG_I("waiting", s->waiting), LOG_I("slots", s->slots_ours),
             LOG_I("open", s->frames_open), LOG_I("frames", s->frames), LOG_I("acks", g->acks),
             LOG_I("nacks", g->nacks), LOG_I("handed_back", s->handed_back),
             LOG_I("overflows", s->overflows), LOG_I("late", s->late), LOG_I("moved", s->moved),
             LOG_I("bad", g->bad));
}

/* Log each change once. */
static void tell_room(struct role *r)
{
    const struct log_disk *d = &r->g.log_disk;

    if (d->room == r->told_room)
        return;
    if (d->room == LOG_ROOM_ENOUGH)
        log_info("log_has_room", LOG_I("free_bytes", d->free_bytes));
    else
        log_warn("log_full", LOG_I("free_bytes", d->free_bytes), LOG_I("min_bytes", d->min_bytes),
                 LOG_S("refused", d->room == LOG_ROOM_LOW ? "sends" : "all"));
    r->told_room = d->room;
}

static void tell_cut(struct role *r)
{
    struct bus_cut cut;
    bool is_cut = ingest_log_is_cut(r->g.ingest, &cut);

    if (is_cut && !r->told_cut)
        log_error("log_was_cut", LOG_S("topic", cut.topic), LOG_I("partition", cut.partition),
                  LOG_I("end", cut.end), LOG_I("floor", cut.floor),
                  LOG_S("refused", "all that clients write"),
                  LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (!is_cut && r->told_cut)
        log_info("log_is_whole");
    r->told_cut = is_cut;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct role *r = w->data;

    (void)loop;
    (void)revents;
    gateway_now(&r->g);
    gateway_tick(&r->g);
    say_ready(r);
    say_stats(r);
    tell_room(r);
    tell_cut(r);
    if (*r->stop || r->g.failed != CQ_OK)
        drain(r);
}

/* Send in time what ingest holds for a moment. */
static void on_let_out(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct role *r = w->data;

    (void)loop;
    (void)revents;
    gateway_now(&r->g);
    ingest_serve(r->g.ingest);
}

static void arm_let_out(struct role *r)
{
    int ms = ingest_wait_ms(r->g.ingest);

    if (ms < 0 || ev_is_active(&r->let_out))
        return;
    ev_timer_set(&r->let_out, ms / 1000.0, 0);
    ev_timer_start(r->loop, &r->let_out);
}

static void on_before_sleep(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    struct role *r = w->data;

    (void)revents;
    gateway_now(&r->g);
    gateway_turn_end(&r->g);
    arm_let_out(r);
    if (r->g.log_more)
        ev_idle_start(loop, &r->awake);
    else
        ev_idle_stop(loop, &r->awake);
    if (r->phase == DONE)
        ev_break(loop, EVBREAK_ALL);
}

static void on_idle(struct ev_loop *loop, struct ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

static void drain_descriptor(int fd)
{
    uint64_t n;

    if (read(fd, &n, sizeof n) < 0)
        return; /* empty already */
}

static void on_log_ready(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct role *r = w->data;

    (void)loop;
    (void)revents;
    drain_descriptor(w->fd);
    r->g.log_more = true; /* read before the loop sleeps again */
}

static void on_reports_ready(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct role *r = w->data;

    (void)loop;
    (void)revents;
    gateway_now(&r->g);
    ingest_serve(r->g.ingest);
}

static void start_watchers(struct role *r)
{
    ev_prepare_init(&r->before_sleep, on_before_sleep);
    ev_idle_init(&r->awake, on_idle);
    ev_timer_init(&r->tick, on_tick, TICK_MS / 1000.0, TICK_MS / 1000.0);
    ev_init(&r->let_out, on_let_out);
    ev_io_init(&r->log_ready, on_log_ready, push_reader_fd(r->g.reader), EV_READ);
    ev_io_init(&r->reports_ready, on_reports_ready, ingest_fd(r->g.ingest), EV_READ);
    r->before_sleep.data = r->tick.data = r->let_out.data = r->log_ready.data =
        r->reports_ready.data = r;
    ev_prepare_start(r->loop, &r->before_sleep);
    ev_timer_start(r->loop, &r->tick);
    ev_io_start(r->loop, &r->log_ready);
    ev_io_start(r->loop, &r->reports_ready);
}

/* ---- life ----------------------------------------------------------------------------- */

static enum cq_status open_parts(struct role *r, const char **ret_part)
{
    struct gateway *g = &r->g;
    const char *brokers = setting_text(SET_KAFKA_BROKER);
    int32_t slots = (int32_t)setting_int(SET_SLOTS);
    enum cq_status st;

    g->partitions = (int32_t)setting_int(SET_PARTITIONS);
    g->origins = setting_text(SET_ALLOWED_ORIGINS);
    g->proxy_protocol = setting_bool(SET_PROXY_PROTOCOL);
    g->guests_per_address = (uint32_t)setting_int(SET_CONNECTIONS_PER_ADDRESS);
    *ret_part = "TRUSTED_PROXIES";
    if (!address_ranges_parse(setting_text(SET_TRUSTED_PROXIES), &g->trusted))
        return CQ_FATAL;
    *ret_part = "memory";
    peers_init(&g->peers, setting_int(SET_DIRECT_PEERS_DAY));
    st = gateway_init(g, server_sockets_max(), setting_int(SET_RATE_PER_MINUTE));
    if (st != CQ_OK)
        return st;
    *ret_part = "LOG_DISK";
    st = log_disk_init(&g->log_disk, setting_text(SET_LOG_DISK),
                       setting_int(SET_LOG_DISK_FREE_MIN_MB), g->mono_ms);
    if (st != CQ_OK)
        return st;
    *ret_part = "JWT_SECRET";
    st = token_keys_new(setting_text(SET_JWT_SECRET), &g->keys);
    if (st != CQ_OK)
        return st;
    *ret_part = "producer";
    st = ingest_new(&(struct ingest_conf){ .brokers = brokers,
                                           .client_id = "chasqui-edge-ws",
                                           .partitions = g->partitions,
                                           .linger_ms = LINGER_MS,
                                           .ack = gateway_report,
                                           .arg = g },
                    &g->ingest);
    if (st != CQ_OK)
        return st;
    *ret_part = "sink";
    st = sink_new(&(struct sink_conf){ .port = gateway_sink_port(g),
                                       .slots = slots,
                                       .sessions_max = g->conns_max,
                                       .incarnation = g->incarnation },
                  &g->sink);
    if (st != CQ_OK)
        return st;
    gateway_now(g);
    *ret_part = "consumer";
    st = push_reader_new(&(struct push_reader_conf){ .brokers = brokers,
                                                     .client_id = "chasqui-edge-ws",
                                                     .instance = setting_text(SET_INSTANCE),
                                                     .slots = slots },
                         &g->reader);
    return st == CQ_OK ? push_reader_start(g->reader, g->sink) : st;
}

static void close_parts(struct role *r)
{
    struct gateway *g = &r->g;

    server_free(g->server); /* every socket's last callback needs all that follows */
    if (g->sink && g->reader && g->failed == CQ_OK)
        sink_commit_all(g->sink);
    push_reader_free(g->reader);
    ingest_free(g->ingest);
    sink_free(g->sink);
    token_keys_free(g->keys);
    gateway_release(g);
    if (r->loop)
        ev_loop_destroy(r->loop);
}

int edge_ws_role_run(const volatile int *stop)
{
    struct role r = { .stop = stop };
    const char *part = "loop";
    char why[128] = "";
    enum cq_status st;

    r.loop = ev_loop_new(EVFLAG_AUTO);
    st = r.loop ? open_parts(&r, &part) : CQ_FATAL;
    if (st == CQ_OK) {
        part = "WS_LISTEN";
        st = server_new(&r.g, r.loop, setting_text(SET_WS_LISTEN), &r.g.server, why, sizeof why);
    }
    if (st == CQ_OK) {
        r.started_ms = r.stats_ms = r.g.mono_ms;
        start_watchers(&r);
        ev_run(r.loop, 0);
        if (r.g.failed != CQ_OK)
            log_error("failed", LOG_S("why", r.g.failed_why),
                      LOG_S("reading", push_reader_error(r.g.reader)),
                      LOG_S("writing", ingest_error(r.g.ingest)));
    } else {
        log_error("cannot_start", LOG_S("part", part), LOG_S("why", why));
    }
    close_parts(&r);
    return st == CQ_OK && r.g.failed == CQ_OK ? 0 : 1;
}
