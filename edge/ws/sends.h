/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/sends.h - messages that clients sent and the broker has not reported yet, and the rule
 * that keeps their order: after a nack everything later on that socket is nacked until one that was
 * nacked is sent again. Pure: times are passed in.
 */
#pragma once

#include "ingest/admission.h"
#include "lib/base/id.h"
#include "schemas/limits.h"

enum {
    SENDS_MAX = 64 * 1024, /* in one gateway; a power of two */
    SENDS_SOCKET_MAX = ADMIT_IN_FLIGHT_MAX,
    SENDS_WITHIN_MS = 5000,  /* without a report for so long the answer is: unknown */
    SENDS_REFUSED_MAX = 128, /* remembered of one socket while a nack stops its order */
};

/* One socket as a sender. All zero: a new one. */
struct sender {
    uint32_t head, tail; /* its entries + 1, oldest first; 0: none */
    uint32_t n;
    bool shut;             /* only what was nacked since is admitted … */
    int64_t shut_until_ms; /* … and before this time that is not worth trying either */
    struct cq_id *refused; /* owned; message ids nacked since, the first at 0; NULL: never shut */
    uint32_t refused_n;
};

struct send {
    struct sender *sender; /* NULL: free */
    uint32_t generation;
    uint32_t prev, next;  /* index + 1: all, oldest first; `next` also links the free */
    uint32_t sender_next; /* index + 1 */
    int64_t at_ms;
    struct cq_id id; /* of the message */
    uint8_t client_id_n;
    char client_id[LIMIT_CLIENT_ID_BYTES];
};

/** The answer to one send: stored, or unknown. Spans are borrowed. */
typedef void sends_answer_fn(void *arg, struct sender *sender, bool stored,
                             struct cq_span client_id, struct cq_id id);

struct sends {
    struct send *all; /* owned; cap of them */
    uint32_t cap;
    uint32_t n;
    uint32_t head, tail, free; /* index + 1 */
    sends_answer_fn *answer;
    void *arg;
};

/** `answer` is called with `arg`, inside the calls below. */
void sends_init(struct sends *sends, sends_answer_fn *answer, void *arg);
void sends_release(struct sends *sends);

enum sends_verdict {
    SENDS_ADMITTED,
    SENDS_SHUT,    /* behind a nacked one: nack `retry` */
    SENDS_FULL,    /* too many of this socket without a report: refuse it, and sends_shut() */
    SENDS_NO_ROOM, /* too many of all sockets: the same */
};

/** May the message `id` be produced? After a nack only a message that was nacked is admitted again:
 * a client that sends it has seen the nack, and all nacks before it. (It need not be the first one.
 * A client may have seen, by its own frame, that the first was stored after all; it will never send
 * that one again.) */
enum sends_verdict sends_admit(struct sends *sends, struct sender *sender, struct cq_id id);

/** It was nacked without being produced, to be sent again at `until_ms` (0: nobody knows): stop the
 * socket's order at it. */
void sends_shut(struct sender *sender, struct cq_id id, int64_t until_ms);

/** For a SENDS_SHUT: in how many ms the nacked one, and what follows it, may be sent again. 0: at
 * once, or nobody knows. */
int64_t sends_wait_ms(const struct sender *sender, int64_t now_ms);

/** Remember an admitted one; the result is the opaque of its report (below 2^61). */
uint64_t sends_add(struct sends *sends, struct sender *sender, struct cq_id id,
                   struct cq_span client_id, int64_t now_ms);

/** It was not produced after all; no answer is given. */
void sends_undo(struct sends *sends, uint64_t opaque);

/** Verdict of the broker. When it is not CQ_OK, this one and all later ones of its socket are
 * answered "unknown", in order, and the socket's order is stopped. A report of one that was
 * answered already is ignored. */
void sends_report(struct sends *sends, uint64_t opaque, enum cq_status st);

/** The same for those without a report for SENDS_WITHIN_MS. */
void sends_expire(struct sends *sends, int64_t now_ms);

/** Everything pending is unknown (the producer is dead). */
void sends_fail_all(struct sends *sends);

/** The socket is gone: no answers, and its memory is given back. */
void sends_forget(struct sends *sends, struct sender *sender);
