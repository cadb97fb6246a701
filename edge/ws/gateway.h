/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/gateway.h - one gateway process: its parts, and the one struct that ties them. One
 * thread, one loop.
 *
 *   server.c    sockets: libwebsockets on libev, the listener      (calls conn_*)
 *   conn.c      what a connection says and hears                   (calls socket_*, sink_*, ingest_*)
 *   conn_signals.c  the same of typing                             (calls signals_*)
 *   gateway.c   reports of the broker, the turn of the loop, time  (calls everybody)
 *   role.c      settings, start, ready, drain
 */
#pragma once

#include "edge/ws/conn_state.h"
#include "edge/ws/peers.h"
#include "edge/ws/pressure.h"
#include "edge/ws/rates.h"
#include "edge/ws/receipts.h"
#include "edge/ws/sends.h"
#include "edge/ws/signals.h"
#include "ingest/ingest.h"
#include "ingest/log_disk.h"
#include "lib/base/address.h"
#include "lib/base/buf.h"
#include "lib/base/partitions.h"
#include "lib/bus/lossy.h"
#include "lib/jwt/token.h"
#include "sinks/websocket/push_reader.h"
#include "sinks/websocket/sink.h"

struct lws;
struct server;
struct signal_conn;

enum {
    CONNS_MAX = 128 * 1024,       /* sockets; the process's descriptors bound them further */
    OUT_FRAMES_BYTES = 64 * 1024, /* one write; a larger frame goes alone */
    OUT_MAX = 320 * 1024,
    REPLIES_MAX = 64 * 1024, /* answers that wait for one socket */
    AUTH_WITHIN_MS = 10 * 1000,
    PING_AFTER_MS = 30 * 1000,
    DEAD_AFTER_MS = 60 * 1000,
    CLOSE_WITHIN_MS = 6 * 1000, /* then the socket is cut */
    ALIVE_EVERY_MS = 60 * 1000,
    BAD_FRAMES_MAX = 16,
    RETRY_AFTER_MS = 500,
};

enum close_code {
    CLOSE_GOING_AWAY = 1001,
    CLOSE_NOT_TEXT = 1003,
    CLOSE_TOO_LARGE = 1009,
    CLOSE_TRY_LATER = 1013,
    CLOSE_BAD_FRAME = 4400,
    CLOSE_UNAUTHORIZED = 4401,
    CLOSE_TOO_MANY = 4429,
};

/* What a report is for: the opaque's top bits. */
enum { OPAQUE_SHIFT = 61 };
enum opaque_kind { OPAQUE_SEND, OPAQUE_SINK, OPAQUE_RECEIPTS };

/* One socket, from the upgrade on. Lives in libwebsockets' per-session memory, zeroed before. */
struct conn {
    struct lws *wsi; /* borrowed; while the state is an open one */
    struct gateway *gateway;
    struct session *session; /* of the sink; NULL: not registered */
    struct sender sender;
    enum conn_state state; /* set by conn_state_move() alone */
    uint32_t index;        /* among gateway->conns */
    uint32_t rate;         /* of gateway->rates, while its user is known */
    bool dirty;            /* in gateway->dirty */
    bool here;             /* known, and in the foreground */
    uint8_t bad_frames;
    uint8_t credit;                                    /* see pressure_take() */
    struct token_claims claims;                        /* of a vouched or known one */
    int64_t opened_ms, heard_ms, pinged_ms, closed_ms; /* monotonic */
    struct bucket frames;                              /* of this socket, all kinds */
    struct receipt_memory *cursors;                    /* owned; from the first receipt on */
    struct signal_conn *signals;                       /* owned; from the first look on */
    int64_t tickets_from_ms; /* wall; older tickets are not taken: members have changed … */
    int64_t people_tickets_from_ms; /* … or somebody has blocked somebody */
    struct cq_buf rx;               /* a message that came in pieces */
    struct cq_buf replies;          /* framed answers, not yet written */
};

/* One after the other; from any of them to GATEWAY_ANSWERING when it is to end. */
enum gateway_phase {
    GATEWAY_STARTING,     /* no clients yet */
    GATEWAY_SERVING,      /* accepts clients */
    GATEWAY_ANSWERING,    /* no new clients, nothing new is taken; what was sent is answered */
    GATEWAY_CLOSING,      /* the sockets, a few at a time */
    GATEWAY_HANDING_BACK, /* what was not confirmed */
    GATEWAY_DONE,
};

struct gateway {
    struct server *server;
    struct sink *sink;
    struct push_reader *reader;
    struct ingest *ingest;
    struct token_keys *keys;
    struct rates rates;
    struct peers peers; /* set up by the role */
    struct pressure pressure;
    struct log_disk log_disk;
    /* as much of sink_stats as `pressure` was told */
    int64_t heard_own, heard_own_late_ms, heard_ticks, heard_ticks_late_ms;
    struct sends sends;
    struct receipts receipts;
    struct signals signals;
    struct lossy *lossy;          /* the topic `signals` */
    bool listens[PARTITIONS_MAX]; /* its partitions that are read: those of our slots */
    struct cq_id incarnation;
    int32_t partitions;
    int64_t frames_per_minute;     /* of one socket, all kinds */
    const char *origins;           /* borrowed: ALLOWED_ORIGINS */
    struct address_ranges trusted; /* TRUSTED_PROXIES */
    bool proxy_protocol;
    uint32_t guests_per_address;

    struct conn **conns; /* owned; conns_max */
    uint32_t conns_n, conns_max;
    uint32_t walk;       /* where the next second's walk goes on */
    struct conn **dirty; /* owned; conns_max */
    uint32_t dirty_n;

    uint8_t *out; /* owned; the write that is being put together */
    size_t out_n;

    int64_t mono_ms, wall_ms;
    enum gateway_phase phase; /* set by gateway_enter() alone */
    int64_t phase_ms;         /* when it began */
    bool log_more;            /* there may be records to read */
    enum cq_status failed;    /* anything but CQ_OK: drain and exit 1 */
    const char *failed_why;   /* static */
    int64_t alive_ms;         /* last GatewayAlive queued */
    int64_t proven_ms;        /* last GatewayAlive that has certainly reached the broker */
    int64_t trouble_ms;       /* when the broker was last seen not to answer */
    int64_t shown_ms;
    int64_t acks, nacks, bad, opened, refused; /* since the start */
};

/** `conns_max`: sockets; `per_minute`: RATE_PER_MINUTE. CQ_FATAL: no memory. */
CQ_MUST_CHECK enum cq_status gateway_init(struct gateway *gateway, uint32_t conns_max,
                                          int64_t per_minute);
void gateway_release(struct gateway *gateway);

/** The one writer of its phase. Asserts the order. */
void gateway_enter(struct gateway *gateway, enum gateway_phase phase);

/** Whether the gateway is to end. */
static inline bool gateway_is_draining(const struct gateway *gateway)
{
    return gateway->phase >= GATEWAY_ANSWERING;
}

/** Read the clock: the time of all that follows. */
void gateway_now(struct gateway *gateway);

/** Ports of the sink and of ingest, all with the gateway as `arg`. */
struct sink_port gateway_sink_port(struct gateway *gateway);
struct signals_port gateway_signals_port(struct gateway *gateway);
void gateway_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                    enum cq_status st);

/** After the events of one turn of the loop, before it sleeps: read on, hand back, write. */
void gateway_turn_end(struct gateway *gateway);

/** Every 100 ms. */
void gateway_tick(struct gateway *gateway);

/** Remember the first thing that went wrong for good. */
void gateway_fail(struct gateway *gateway, const char *why);
