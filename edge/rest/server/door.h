/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/door.h - what a connection may hold and how long, before libh2o sees a request
 * (pure: bytes and times are passed in). libh2o 2.2 reads whole bodies into memory, whoever sends
 * them, with one bound for all. So entry.c hands it a request only when its head is checked here
 * and its body is whole.
 *
 * Memory. Any connection may hold a head (DOOR_HEAD_MAX), a small body (DOOR_SMALL_MAX) and a
 * little of the next request (DOOR_EXCESS_MAX). A larger body needs a valid token and takes its
 * bytes from a pool before any is read: BODY_MEMORY_MB less the small bodies of all connections, so
 * that both together stay below the setting and no large body can keep out a small one. One user
 * gets an eighth of the pool, or one body.
 *
 * Connections. When all are taken, or all of one address, the one that has been waiting for its
 * client for longest makes room.
 */
#pragma once

#include "edge/rest/server/chunks.h"
#include "edge/rest/server/framing.h"
#include "lib/base/address.h"
#include "lib/base/idmap.h"

enum {
    DOOR_HEAD_MAX = 16 * 1024,
    DOOR_SMALL_MAX = 8 * 1024,
    DOOR_EXCESS_MAX = 8 * 1024,
    DOOR_READ_BYTES = 4096, /* libh2o keeps this much free behind what it has read */
    DOOR_USER_PARTS = 8,
    DOOR_HEAD_MS = 9500, /* with DOOR_TICK_MS: a head is complete within 10 s */
    DOOR_IDLE_MS = 60 * 1000,
    DOOR_WINDOW_MS = 9500,
    DOOR_WINDOW_BYTES = 40 * 1024, /* 4 KiB/s */
    DOOR_REFUSED_MS = 5000, /* to read the refusal, while at most these bytes are thrown away */
    DOOR_REFUSED_BYTES = 16 * 1024 * 1024,
    DOOR_TICK_MS = 250,
};

enum door_state {
    DOOR_PROXY,   /* a PROXY header is to come */
    DOOR_HEAD,    /* a head is to come */
    DOOR_BODY,    /* its body is to come */
    DOOR_BUSY,    /* libh2o has the request */
    DOOR_TUNNEL,  /* libh2o passes bytes on */
    DOOR_REFUSED, /* the refusal is sent; what still comes is thrown away */
};

/** One connection. Zeroed, then door_enter(). Owned by the caller. */
struct door_conn {
    enum door_state state;
    struct cq_address address; /* the peer's, or what its PROXY header says */
    struct cq_id key;          /* of the address */
    bool counted;              /* among those of its address */
    bool waits;                /* in the list of those that wait for their client */
    struct request_head head;  /* of DOOR_BODY; its spans are dead by then */
    size_t seen_n;             /* bytes of the input that were looked at */
    size_t behind_n;           /* bytes that came with the request before: libh2o has read them */
    struct chunks chunks;
    size_t body_max;
    const char *limit; /* see struct door_grant */
    size_t charge;     /* bytes of the pool */
    struct cq_id user;
    int64_t since_ms;              /* when this state began; for a body, its window */
    int64_t begun_ms;              /* when the first byte of a head came; 0: none yet */
    size_t window_n;               /* bytes of input when the window began */
    size_t discarded;              /* since the refusal */
    struct door_conn *prev, *next; /* who waits, the longest first */
    struct door_conn *all_prev, *all_next;
};

/** What the token and the route allow. */
struct door_grant {
    size_t body_max;
    const char *limit; /* static: what to say to more than body_max */
    bool has_user;     /* the token is valid */
    struct cq_id user;
};

struct door_conf {
    uint32_t conns_max, conns_per_address;
    size_t body_memory_bytes;
    size_t body_max; /* of any request */
    const struct address_ranges *trusted;
    bool proxy_protocol; /* trusted peers begin with a PROXY header */
    /** What may come with this head? Asked only for bodies above DOOR_SMALL_MAX. */
    struct door_grant (*grant)(void *arg, const struct request_head *head);
    void *arg;
};

struct door {
    struct door_conf conf;
    size_t pool_bytes, pool_used;
    uint32_t conns_n;
    struct idmap by_address; /* → connections */
    struct idmap by_user;    /* → bytes of the pool */
    struct door_conn *waiting, *waiting_last;
    struct door_conn *all;
};

/** What the caller does with the connection. */
enum door_verdict {
    DOOR_WAIT,   /* read on; hand nothing to libh2o. `room_n`: bytes that the input must have room
                    for, 0: as it is */
    DOOR_SKIP,   /* take `skip_n` bytes off the input, then look again */
    DOOR_PASS,   /* hand the input to libh2o */
    DOOR_REFUSE, /* answer `status`, `code`, `message` and throw away what comes */
    DOOR_DROP,   /* close it */
};

struct door_answer {
    enum door_verdict verdict;
    size_t skip_n, room_n;
    bool renamed; /* with DOOR_SKIP: `address` is now another */
    int status, retry_after_s;
    const char *code, *message; /* static */
};

/** The least BODY_MEMORY_MB, in bytes, with which one body of `body_max` can be taken. */
size_t door_memory_least(const struct door_conf *conf);

/** False: less body memory than door_memory_least(). */
CQ_MUST_CHECK bool door_init(struct door *door, const struct door_conf *conf);
void door_release(struct door *door);

/**
 * A connection of `peer` comes. True: it is in. False: close it; but when *ret_instead is set,
 * close (and door_leave()) that one and ask again.
 */
CQ_MUST_CHECK bool door_enter(struct door *door, struct door_conn *conn, struct cq_address peer,
                              int64_t now_ms, struct door_conn **ret_instead);

/** It is closed; what is left of its charge is free. */
void door_leave(struct door *door, struct door_conn *conn);

/** There may be something new at the end of `input`, all that is read and not consumed. */
struct door_answer door_look(struct door *door, struct door_conn *conn, struct cq_span input,
                             int64_t now_ms);

/** `more_n` further bytes came after a refusal. False: close it. */
CQ_MUST_CHECK bool door_discard(struct door_conn *conn, size_t more_n);

/** libh2o runs a request of `conn`. Unless it `was_passed` here, it came behind another one in the
 * same read, and is looked at now. NULL: it is sound; else a static reason to refuse it. */
const char *door_run(struct door *door, struct door_conn *conn, struct cq_span input,
                     bool was_passed);

/** The answer to the request is sent; the next one may come, or is in the `input_n` bytes that came
 * behind it. */
void door_again(struct door *door, struct door_conn *conn, size_t input_n, int64_t now_ms);

/** The connection is a tunnel from here on. */
void door_tunnel(struct door *door, struct door_conn *conn);

/** Whether the time of `conn` is over: DOOR_WAIT when it is not, else DOOR_REFUSE (408) or DOOR_DROP.
 * To be called every DOOR_TICK_MS. `input_n`: bytes of its input. */
struct door_answer door_tick(struct door *door, struct door_conn *conn, size_t input_n,
                             int64_t now_ms);

/** The charge of `conn` for a body that outlives the connection; pay it back with door_pay(). */
size_t door_take_charge(struct door_conn *conn);
void door_pay(struct door *door, struct cq_id user, size_t charge);
