/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/world.h - users, chats and every message of one run, and the checks on them: lost,
 * doubled, out of order, to the wrong user. Knows no sockets and reads no clock.
 */
#pragma once

#include "tests/bench/hist.h"
#include "tests/bench/scan.h"

enum { ID_TEXT = 36, RUN_TEXT = 8, CONTENT_MAX = 32 * 1024 };

/** One user in one chat. */
struct seat {
    int chat, user, slot; /* indexes */
    int64_t last_seq;     /* highest seq shown here */
    int64_t own_last;     /* last own message that came back, by number; -1 */
    int64_t delivered;    /* highest seq to acknowledge by a receipt */
    bool receipt_due;
    int64_t tick_head, tick_tail; /* own messages without a second tick, chained by seq; -1 */
};

struct chat {
    char id[ID_TEXT + 1];
    bool direct;
    int seats_n;
    int seat0; /* its seats stand together in world.seats */
};

struct user {
    char id[ID_TEXT + 1];
    char *token;         /* owned */
    int *seats, seats_n; /* owned; indexes of world.seats */
    bool gone;           /* its socket closed in the run: nothing more is checked of it */
};

struct message {
    int64_t due_us;   /* when it should have been sent */
    int64_t seq;      /* 0 until shown anywhere */
    int64_t next;     /* chain of messages that wait for the second tick; -1 */
    uint64_t bits_at; /* first of its chat's seats_n bits in world.shown */
    int32_t seat;     /* sender */
    int32_t left;     /* acknowledgement and seats that have not shown it */
    bool acked, measured;
    bool echoed; /* shown to its sender */
};

struct counts {
    int64_t acked, deliveries, echoes, statuses, rejected;
    int64_t repeats;      /* same id and seq again on a socket: the protocol allows it */
    int64_t doubled;      /* one message under two seqs */
    int64_t out_of_order; /* a seq below one already shown in that chat on that socket */
    int64_t overtaken;    /* own messages that came back in another order than sent */
    int64_t misdelivered; /* to somebody who is not in the chat */
    int64_t foreign;      /* messages of an earlier run */
    int64_t damaged;      /* content other than what was sent */
};

struct world {
    char run[RUN_TEXT + 1]; /* begins every client id of this run */
    struct user *users;
    int users_n, users_cap;
    struct chat *chats;
    int chats_n, chats_cap;
    struct seat *seats;
    int seats_n, seats_cap;
    char **endpoints; /* host:port of gateways */
    int endpoints_n;

    struct message *messages;
    int64_t messages_n, messages_max;
    uint64_t *shown; /* one bit a message and seat */
    uint64_t shown_n, shown_max;

    struct counts all, window; /* window: while `measuring` */
    bool measuring;
    struct hist ack, delivery, tick;
};

/** Read a plan (tests/bench/run writes it); exits with a message when it is malformed. */
void world_load(struct world *world, const char *path, int64_t messages_max);
void world_release(struct world *world);

/** A new message of `seat`, due at `due_us`. Its number, or -1 when the table is full. */
int64_t world_message_new(struct world *world, int seat, int64_t due_us);

/** Number of the message that `client_id` names, or -1 when it is of another run. */
int64_t world_message_find(const struct world *world, struct cq_span client_id);

enum world_news {
    NEWS_NONE,
    NEWS_PROGRESS, /* an acknowledgement or a delivery that was missing */
    NEWS_COMPLETE, /* acknowledged and shown to everybody: the message is over */
};

/** An `ack` came for `message`. */
enum world_news world_ack(struct world *world, int64_t message, int64_t now_us);

/** A `message` frame came to `user`. `*ret_seat` (or -1) owes a receipt, `*ret_message` is its
 * number. */
enum world_news world_show(struct world *world, int user, const struct scan *scan, int64_t now_us,
                           int *ret_seat, int64_t *ret_message);

/** A `status` frame came to `user`. */
void world_status(struct world *world, int user, const struct scan *scan, int64_t now_us);

/** Acknowledged messages that somebody did not get: to sockets that stayed open, and to others. */
void world_lost(const struct world *world, int64_t *ret_lost, int64_t *ret_lost_gone);
