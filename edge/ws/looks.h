/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/looks.h - which sockets of this gateway look at which chats, or at which users, each until its ticket ends.
 * Pure: times are passed in.
 */
#pragma once

#include "ingest/admission.h"
#include "lib/base/idmap.h"
#include "lib/base/status.h"
#include "schemas/records.gen.h"

enum {
    LOOKS_SOCKET_MAX = ADMIT_LOOKS_MAX,
    LOOKS_SUBJECT_MAX = 2048, /* sockets of this gateway that look at one chat */
    LOOKS_MAX = 256 * 1024,   /* all: 40 MiB */
};

/* One socket at one subject. */
struct look {
    struct look *next, *prev;  /* at the same subject */
    struct look *next_of_mine; /* of the same socket */
    struct looked *at;
    struct looker *by;
    int64_t until_ms;
};

/* What is looked at. */
struct looked {
    struct cq_id subject;
    struct look *first;
    uint32_t n;
    int64_t since_ms;          /* of a user alone, and what was shown of him last: */
    enum presence_state state; /* PRESENCE_STATE_N: nothing */
    int64_t at_ms;
};

/* A socket that looks; zero at first. It must not move while it looks. */
struct looker {
    void *conn; /* borrowed */
    struct look *first;
    uint32_t n;
};

struct looks {
    struct idmap by_subject; /* → struct looked, owned */
    uint32_t n;
};

void looks_init(struct looks *looks);
void looks_release(struct looks *looks); /* nobody may look */

/** `by` looks at `subject` until then; again: only the time is set. CQ_AGAIN: at a bound, or no
 * memory. `*ret_first`: nobody of this gateway did before. */
CQ_MUST_CHECK enum cq_status looks_add(struct looks *looks, struct looker *by, struct cq_id subject,
                                       int64_t until_ms, bool *ret_first);

/** When its look ends; 0: it does not look at `subject`, or not any more at `now_ms`. */
int64_t looks_until(const struct looker *by, struct cq_id subject, int64_t now_ms);

/** Ends one look. False: there was none. */
bool looks_drop(struct looks *looks, struct looker *by, struct cq_id subject);

/** Ends those whose time is over. */
void looks_expire(struct looks *looks, struct looker *by, int64_t now_ms);

/** Ends all. */
void looks_leave(struct looks *looks, struct looker *by);

/** Who looks at `subject`; NULL: nobody. Valid until the next add, drop or leave. */
struct looked *looks_at(const struct looks *looks, struct cq_id subject);
