/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/write.h - how a write goes, whatever it writes: what is asked for is parsed and
 * checked, its actions enter the log, the view is looked at until it has them, and the client is
 * told. What differs between writes is a row. Nothing else in edge/rest/api waits for a report of
 * the broker, and only sync waits for the view besides. A request that has a body and writes
 * nothing into the log (a lookup) has a row, too: its `begin` replies.
 */
#pragma once

#include "edge/rest/server/call.h"
#include "lib/json/members.h"

/** When the client is told. */
enum write_until {
    WRITE_LOGGED, /* the log has the submits; the view is not waited for */
    WRITE_PASSED, /* the view has passed the last submit */
    WRITE_FOUND,  /* the view has the result, or a rejection of the first submit */
    /* The view shows the state that was asked for, or that of a later write, or has a rejection. It
     * may have shown that state before: a rejection is looked for first, and the state only behind
     * the last submit. */
    WRITE_SHOWN,
    WRITE_TOLD, /* the view has the result; no position of it says when to look */
};

/** A step of a write. CALL_GO_ON: go on with the next one; CALL_REPLY: the call has its reply.
 * `asked` is the row's own, zero at first. */
typedef enum call_next write_fn(struct call *call, struct pg *db, void *asked);
typedef enum call_next write_parse_fn(struct call *call, void *asked);

struct write {
    size_t asked_bytes; /* of what is asked for; it lives in the call's arena */
    write_fn *admit;    /* who may ask at all; NULL: anybody */
    /* The members of the request's body, read into `asked`; NULL: there are none. */
    const struct json_members *body;
    /* Read instead when `body` does not fit; its rule is what the client is told. NULL: no other
     * body will do. */
    const struct json_members *or_body;
    write_parse_fn *parse; /* what is more than one member; NULL: nothing */
    write_fn *begin;       /* check against the database, and add the submits; or reply */
    write_fn *logged;      /* once the log has them, before the view is waited for; NULL: nothing */
    write_fn *result;      /* reply; CALL_GO_ON: it is not there yet */
    enum write_until until;
    bool is_blind;    /* the reply shows nothing of the view: it may be incomplete */
    const char *late; /* what is said when the view takes too long; NULL: it is not waited for */
};

/** The handler of every route that has a row (`write` of struct route). */
enum call_next write_run(struct call *call, struct pg *db);

/** The seq of the first submit, an action in a chat, once the log has it. */
int64_t write_seq(const struct call *call);

/** A rejection's code as a reply. */
enum call_next write_rejected(struct call *call, struct cq_span code);

/** Reply `status` with an empty object. */
enum call_next write_done(struct call *call, int status);
