/* SPDX-License-Identifier: MIT */
#include "edge/ws/role.h"

#include "edge/ws/conn.h"
#include "edge/ws/gateway.h"
#include "edge/ws/server.h"
#include "lib/base/durability.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "schemas/topics.h"

#include <ev.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    /* With more gateways than slots some own none, and are ready all the same. */
    SLOTLESS_READY_MS = 10 * 1000,
    ANSWERS_WITHIN_MS = 5 * 1000, /* of a drain: pending sends */
    SPREAD_TICKS = 20,            /* of a drain: closes */
    /* To leave the group and to end the producer take up to 5 s more each. */
    HAND_BACK_WITHIN_MS = 4 * 1000,
    STATS_EVERY_MS = 60 * 1000,
};

static const double LINGER_MS = 0; /* ingest gathers by itself: see send_or_hold() */

struct role {
    struct gateway gateway;
    const volatile int *stop;
    struct ev_loop *loop;
    struct ev_prepare before_sleep;
    struct ev_idle awake; /* while there is more to read, the loop must not sleep */
    struct ev_timer tick;
    struct ev_timer held_due;
    struct ev_io log_ready, reports_ready;
    int64_t started_ms, stats_ms;
    enum log_room told_room;
    bool told_cut;
};

/* ---- drain ---------------------------------------------------------------------------- */

static bool close_some(struct gateway *gateway, uint32_t budget)
{
    for (uint32_t i = 0; i < gateway->conns_n; i++) {
        if (!conn_state_is_live(gateway->conns[i]->state))
            continue;
        if (!budget--)
            return false;
        conn_close(gateway->conns[i], CLOSE_GOING_AWAY, span_str("going away"));
    }
    return true;
}

/* Stop accepting, answer what is pending, close spread out so that clients do not come back all at
 * once, hand back and leave the group. */
static void drain(struct role *role)
{
    struct gateway *gateway = &role->gateway;
    int64_t since_ms = gateway->mono_ms - gateway->phase_ms;

    switch (gateway->phase) {
    case GATEWAY_STARTING:
    case GATEWAY_SERVING:
        log_info("draining", LOG_I("sockets", gateway->conns_n), LOG_S("why", gateway->failed_why));
        server_stop_listening(gateway->server);
        gateway_enter(gateway, GATEWAY_ANSWERING);
        break;
    case GATEWAY_ANSWERING:
        if (!gateway->sends.n || since_ms > ANSWERS_WITHIN_MS)
            gateway_enter(gateway, GATEWAY_CLOSING);
        break;
    case GATEWAY_CLOSING:
        if (close_some(gateway, gateway->conns_n / SPREAD_TICKS + 16))
            gateway_enter(gateway, GATEWAY_HANDING_BACK);
        break;
    case GATEWAY_HANDING_BACK:
        if ((sink_is_settled(gateway->sink) && receipts_is_empty(&gateway->receipts) &&
             !gateway->conns_n) ||
            since_ms > HAND_BACK_WITHIN_MS ||
            (ingest_is_dead(gateway->ingest) && !gateway->conns_n))
            gateway_enter(gateway, GATEWAY_DONE);
        break;
    case GATEWAY_DONE:
        break;
    }
}

/* ---- the loop ------------------------------------------------------------------------- */

static void say_ready(struct role *role)
{
    struct gateway *gateway = &role->gateway;

    if (gateway->phase != GATEWAY_STARTING ||
        (!sink_stats(gateway->sink)->slots_ours &&
         gateway->mono_ms - role->started_ms < SLOTLESS_READY_MS))
        return;
    gateway_enter(gateway, GATEWAY_SERVING);
    server_accept(gateway->server, true);
    if (gateway->failed == CQ_OK)
        log_info("ready", LOG_I("slots", sink_stats(gateway->sink)->slots_ours));
}

static void say_stats(struct role *role)
{
    struct gateway *gateway = &role->gateway;
    const struct sink_stats *stats = sink_stats(gateway->sink);

    if (gateway->mono_ms - role->stats_ms < STATS_EVERY_MS)
        return;
    role->stats_ms = gateway->mono_ms;
    log_info("gateway", LOG_I("sockets", gateway->conns_n), LOG_I("ready", stats->ready),
             LOG_I("waiting", stats->waiting), LOG_I("slots", stats->slots_ours),
             LOG_I("open", stats->frames_open), LOG_I("frames", stats->frames),
             LOG_I("acks", gateway->acks), LOG_I("nacks", gateway->nacks),
             LOG_I("handed_back", stats->handed_back), LOG_I("overflows", stats->overflows),
             LOG_I("late", stats->late), LOG_I("moved", stats->moved), LOG_I("bad", gateway->bad));
}

/* Log each change once. */
static void tell_room(struct role *role)
{
    const struct log_disk *disk = &role->gateway.log_disk;

    if (disk->room == role->told_room)
        return;
    if (disk->room == LOG_ROOM_ENOUGH)
        log_info("log_has_room", LOG_I("free_bytes", disk->free_bytes));
    else
        log_warn("log_full", LOG_I("free_bytes", disk->free_bytes),
                 LOG_I("min_bytes", disk->min_bytes),
                 LOG_S("refused", disk->room == LOG_ROOM_LOW ? "sends" : "all"));
    role->told_room = disk->room;
}

static void tell_cut(struct role *role)
{
    struct bus_cut cut;
    bool is_cut = ingest_log_is_cut(role->gateway.ingest, &cut);

    if (is_cut && !role->told_cut)
        log_error("log_was_cut", LOG_S("topic", cut.topic), LOG_I("partition", cut.partition),
                  LOG_I("end", cut.end), LOG_I("floor", cut.floor),
                  LOG_S("refused", "all that clients write"),
                  LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (!is_cut && role->told_cut)
        log_info("log_is_whole");
    role->told_cut = is_cut;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
    struct role *role = watcher->data;

    (void)loop;
    (void)revents;
    gateway_now(&role->gateway);
    gateway_tick(&role->gateway);
    say_ready(role);
    say_stats(role);
    tell_room(role);
    tell_cut(role);
    if (*role->stop || role->gateway.failed != CQ_OK)
        drain(role);
}

/* Send in time what ingest holds for a moment. */
static void on_held_due(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
    struct role *role = watcher->data;

    (void)loop;
    (void)revents;
    gateway_now(&role->gateway);
    ingest_serve(role->gateway.ingest);
}

static void arm_held_due(struct role *role)
{
    int ms = ingest_wait_ms(role->gateway.ingest);

    if (ms < 0 || ev_is_active(&role->held_due))
        return;
    ev_timer_set(&role->held_due, ms / 1000.0, 0);
    ev_timer_start(role->loop, &role->held_due);
}

static void on_before_sleep(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
    struct role *role = watcher->data;

    (void)revents;
    gateway_now(&role->gateway);
    gateway_turn_end(&role->gateway);
    arm_held_due(role);
    if (role->gateway.log_more)
        ev_idle_start(loop, &role->awake);
    else
        ev_idle_stop(loop, &role->awake);
    if (role->gateway.phase == GATEWAY_DONE)
        ev_break(loop, EVBREAK_ALL);
}

static void on_idle(struct ev_loop *loop, struct ev_idle *watcher, int revents)
{
    (void)loop;
    (void)watcher;
    (void)revents;
}

static void drain_descriptor(int fd)
{
    uint64_t n;

    if (read(fd, &n, sizeof n) < 0)
        return; /* empty already */
}

static void on_log_ready(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
    struct role *role = watcher->data;

    (void)loop;
    (void)revents;
    drain_descriptor(watcher->fd);
    role->gateway.log_more = true; /* read before the loop sleeps again */
}

static void on_reports_ready(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
    struct role *role = watcher->data;

    (void)loop;
    (void)revents;
    gateway_now(&role->gateway);
    ingest_serve(role->gateway.ingest);
}

static void start_watchers(struct role *role)
{
    ev_prepare_init(&role->before_sleep, on_before_sleep);
    ev_idle_init(&role->awake, on_idle);
    ev_timer_init(&role->tick, on_tick, TICK_MS / 1000.0, TICK_MS / 1000.0);
    ev_init(&role->held_due, on_held_due);
    ev_io_init(&role->log_ready, on_log_ready, push_reader_fd(role->gateway.reader), EV_READ);
    ev_io_init(&role->reports_ready, on_reports_ready, ingest_fd(role->gateway.ingest), EV_READ);
    role->before_sleep.data = role->tick.data = role->held_due.data = role->log_ready.data =
        role->reports_ready.data = role;
    ev_prepare_start(role->loop, &role->before_sleep);
    ev_timer_start(role->loop, &role->tick);
    ev_io_start(role->loop, &role->log_ready);
    ev_io_start(role->loop, &role->reports_ready);
}

/* ---- life ----------------------------------------------------------------------------- */

static enum cq_status open_parts(struct role *role, const char **ret_part)
{
    struct gateway *gateway = &role->gateway;
    const char *brokers = setting_text(SET_KAFKA_BROKER);
    int32_t slots = (int32_t)setting_int(SET_SLOTS);
    enum cq_status st;

    gateway->partitions = (int32_t)setting_int(SET_PARTITIONS);
    gateway->origins = setting_text(SET_ALLOWED_ORIGINS);
    gateway->proxy_protocol = setting_bool(SET_PROXY_PROTOCOL);
    gateway->guests_per_address = (uint32_t)setting_int(SET_CONNECTIONS_PER_ADDRESS);
    *ret_part = "TRUSTED_PROXIES";
    if (!address_ranges_parse(setting_text(SET_TRUSTED_PROXIES), &gateway->trusted))
        return CQ_FATAL;
    *ret_part = "memory";
    peers_init(&gateway->peers, setting_int(SET_DIRECT_PEERS_DAY));
    st = gateway_init(gateway, server_sockets_max(), setting_int(SET_RATE_PER_MINUTE));
    if (st != CQ_OK)
        return st;
    *ret_part = "LOG_DISK";
    st = log_disk_init(&gateway->log_disk, setting_text(SET_LOG_DISK),
                       setting_int(SET_LOG_DISK_FREE_MIN_MB), gateway->mono_ms);
    if (st != CQ_OK)
        return st;
    *ret_part = "JWT_SECRET";
    st = token_keys_new(setting_text(SET_JWT_SECRET), &gateway->keys);
    if (st != CQ_OK)
        return st;
    *ret_part = "producer";
    st = ingest_new(
        &(struct ingest_conf){ .brokers = brokers,
                               .client_id = "chasqui-edge-ws",
                               .partitions = gateway->partitions,
                               .linger_ms = LINGER_MS,
                               .group_commit = durability_parse(setting_text(SET_DURABILITY)) ==
                                               DURABILITY_SYNCED,
                               .ack = gateway_report,
                               .arg = gateway },
        &gateway->ingest);
    if (st != CQ_OK)
        return st;
    *ret_part = "signals";
    st = lossy_new(brokers, "chasqui-edge-ws", topic_name(TOPIC_SIGNALS), &gateway->lossy);
    if (st == CQ_OK)
        st = signals_init(&gateway->signals, gateway_signals_port(gateway), slots);
    if (st != CQ_OK)
        return st;
    *ret_part = "sink";
    st = sink_new(&(struct sink_conf){ .port = gateway_sink_port(gateway),
                                       .slots = slots,
                                       .sessions_max = gateway->conns_max,
                                       .incarnation = gateway->incarnation },
                  &gateway->sink);
    if (st != CQ_OK)
        return st;
    gateway_now(gateway);
    *ret_part = "consumer";
    st = push_reader_new(&(struct push_reader_conf){ .brokers = brokers,
                                                     .client_id = "chasqui-edge-ws",
                                                     .instance = setting_text(SET_INSTANCE) },
                         &gateway->reader);
    return st == CQ_OK ? push_reader_start(gateway->reader, gateway->sink) : st;
}

static void close_parts(struct role *role)
{
    struct gateway *gateway = &role->gateway;

    server_free(gateway->server); /* every socket's last callback needs all that follows */
    if (gateway->sink && gateway->reader && gateway->failed == CQ_OK)
        sink_commit_all(gateway->sink);
    push_reader_free(gateway->reader);
    ingest_free(gateway->ingest);
    lossy_free(gateway->lossy);
    sink_free(gateway->sink);
    token_keys_free(gateway->keys);
    gateway_release(gateway);
    if (role->loop)
        ev_loop_destroy(role->loop);
}

int edge_ws_role_run(const volatile int *stop)
{
    struct role role = { .stop = stop };
    const char *part = "loop";
    char why[128] = "";
    enum cq_status st;

    role.loop = ev_loop_new(EVFLAG_AUTO);
    st = role.loop ? open_parts(&role, &part) : CQ_FATAL;
    if (st == CQ_OK) {
        part = "WS_LISTEN";
        st = server_new(&role.gateway, role.loop, setting_text(SET_WS_LISTEN), &role.gateway.server,
                        why, sizeof why);
    }
    if (st == CQ_OK) {
        role.started_ms = role.stats_ms = role.gateway.mono_ms;
        start_watchers(&role);
        ev_run(role.loop, 0);
        if (role.gateway.failed != CQ_OK)
            log_error("failed", LOG_S("why", role.gateway.failed_why),
                      LOG_S("reading", push_reader_error(role.gateway.reader)),
                      LOG_S("writing", ingest_error(role.gateway.ingest)));
    } else {
        log_error("cannot_start", LOG_S("part", part), LOG_S("why", why));
    }
    close_parts(&role);
    return st == CQ_OK && role.gateway.failed == CQ_OK ? 0 : 1;
}
