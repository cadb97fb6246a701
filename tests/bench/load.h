/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/load.h - the load generator: one thread, one epoll, every user one socket.
 */
#pragma once

#include "tests/bench/world.h"
#include "tests/bench/ws_client.h"

enum receipts { RECEIPTS_NONE, RECEIPTS_DELIVERED, RECEIPTS_READ };

struct options {
    const char *plan;
    double rate; /* messages a second over all senders; 0: closed loop with `window` */
    int window;  /* messages in flight a sender */
    int senders; /* first members of each chat that send; 0: all */
    int content_bytes;
    enum receipts receipts;
    int64_t receipts_us; /* gather receipts for so long; 0: for one turn of the loop */
    int64_t settle_us, warmup_us, measure_us, drain_us;
    int64_t messages_max;
    unsigned seed;
    bool impatient; /* what falls due on a socket that was told to wait, or is full, is not sent */
};

struct sock {
    struct ws_conn conn;
    int user;
    bool ready, dirty;
    int64_t ok_n, ok_sent;       /* highest number seen, and acknowledged */
    int64_t *pending;            /* owned ring: own messages not yet acknowledged, in order */
    size_t head, pending_n, cap; /* cap is a power of two */
    int64_t resend_at_us;        /* after a nack; 0: not waiting */
    bool asking;                 /* the first was sent again, the others wait for its answer */
};

struct load {
    struct options o;
    struct world w;
    int epoll;
    struct sock *socks; /* one a user */
    int opened_n, waiting_n, ready_n, gone_n;

    int *dirty, dirty_n;               /* sockets with something to write */
    int *receipts_due, receipts_due_n; /* seats */
    int64_t receipts_at_us;
    int *blocked, blocked_n; /* sockets that wait to send again */

    int *senders, senders_n; /* seats, shuffled */
    int64_t sender_next;
    int64_t due_us; /* of the next message, open loop */
    uint64_t random;
    bool sending;

    int64_t skipped; /* by `impatient` */
    int64_t sent, complete, nacked, resent, refused, errors, table_full, last_news_us;
    int closed[5000]; /* by close code */
    int64_t drain_us; /* from the last send until the last message was over */
    struct hist send_lag;
};

/* ---- sockets.c ---- */

/** Open sockets while fewer than a bounded number are on the way. False when one failed. */
bool sockets_open_some(struct load *l);

/** Wait up to `wait_us` for events and handle them. */
void sockets_turn(struct load *l, int64_t wait_us);

/** Queue `ok` and due receipts and write everything that is queued. */
void sockets_flush(struct load *l, int64_t now_us);

void sock_text(struct load *l, struct sock *s, struct cq_span text);

/* ---- sending.c ---- */

/** Choose the sending seats and allocate; after world_load. */
void sending_prepare(struct load *l);

/** First messages: of each window, or the first due time. */
void sending_start(struct load *l, int64_t now_us);

/** Open loop: send what is due. Both: send again what waited after a nack. Returns us until the
 * next. */
int64_t sending_turn(struct load *l, int64_t now_us);

/** A nack, an acknowledgement or completion of one's own message. */
/** The server has it: what waited behind it may follow. */
void sending_acked(struct load *l, int64_t message);
void sending_nack(struct load *l, struct sock *s, const struct scan *f, int64_t now_us);
void sending_complete(struct load *l, int64_t message, int64_t now_us);

/* ---- report.c ---- */

/** The result as one line of JSON. */
void report_print(const struct load *l, double window_s, FILE *out);
