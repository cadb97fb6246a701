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
    bool independent; /* clients.c: each client by its own clock */
    bool waits;       /* for a line on stdin before the first message */
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
    int owed_n;                  /* independent: numbered frames since the last `ok` */
    bool timed;                  /* independent: an alarm is set for the next `ok` */
    bool says;                   /* independent: `ok` goes out with the next flush */
};

enum alarm_kind { ALARM_SAY, ALARM_SEND };

struct alarm {
    int64_t due_us;
    enum alarm_kind kind;
    int who; /* SAY: a user, SEND: a seat */
};

struct alarms {
    struct alarm *heap; /* owned */
    int n, max;
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
    struct alarms alarms; /* independent */

    int64_t skipped; /* by `impatient` */
    int64_t sent, complete, nacked, resent, refused, errors, table_full, last_news_us;
    int closed[5000]; /* by close code */
    int64_t drain_us; /* from the last send until the last message was over */
    struct hist send_lag;
};

/* ---- sockets.c ---- */

/** Open sockets while fewer than a bounded number are on the way. False when one failed. */
bool sockets_open_some(struct load *load);

/** Wait up to `wait_us` for events and handle them. */
void sockets_turn(struct load *load, int64_t wait_us);

/** Queue `ok` and due receipts and write everything that is queued. */
void sockets_flush(struct load *load, int64_t now_us);

/** Have `sock` flushed at the end of this turn; of independent clients, of this event. */
void sock_dirty(struct load *load, struct sock *sock);
void receipt_send(struct load *load, int seat);
void sock_text(struct load *load, struct sock *sock, struct cq_span text);

/* ---- sending.c ---- */

/** Choose the sending seats and allocate; after world_load. */
void sending_prepare(struct load *load);

/** First messages: of each window, or the first due time. */
void sending_start(struct load *load, int64_t now_us);

/** Open loop: send what is due. Both: send again what waited after a nack. Returns us until the
 * next. */
int64_t sending_turn(struct load *load, int64_t now_us);

/** One message of `seat`, unless its socket is closed or impatience forbids. */
void message_send(struct load *load, int seat, int64_t due_us, int64_t now_us);

/** Its sender holds the acknowledgement and its own copy: an independent one goes on. */
void sending_own_done(struct load *load, int64_t message, int64_t now_us);

/** A nack, an acknowledgement or completion of one's own message. */
/** The server has it: what waited behind it may follow. */
void sending_acked(struct load *load, int64_t message);
void sending_nack(struct load *load, struct sock *sock, const struct scan *scan, int64_t now_us);
void sending_complete(struct load *load, int64_t message, int64_t now_us);

/* ---- clients.c ---- */

/** Uniform in (0, 1). */
double random_unit(struct load *load);
void clients_start(struct load *load, int64_t now_us);

/** A numbered frame came to `sock`. */
void client_owes(struct load *load, struct sock *sock, int64_t now_us);

/** What is due. Returns when the next is, INT64_MAX for never. */
int64_t clients_turn(struct load *load, int64_t now_us);

/* ---- alarms.c ---- */

/** Room for `max`. False: out of memory. */
bool alarms_init(struct alarms *alarms, int max);
void alarms_add(struct alarms *alarms, struct alarm one);
int64_t alarms_next_us(const struct alarms *alarms);

/** The soonest; there is one. */
struct alarm alarms_take(struct alarms *alarms);

/* ---- report.c ---- */

/** The result as one line of JSON. */
void report_print(const struct load *load, double window_s, FILE *out);
