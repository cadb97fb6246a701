/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/links.h - a new device that is let in by another device of its user. Schema auth.
 *
 * The new device gets two random texts. The code is shown (as a QR code) to a device that is logged
 * in, which looks at what asks, and approves or refuses it. The secret stays with the new device:
 * with it, the device asks whether it was approved, and is let in once. So whoever else reads the
 * code gets no device by it, and nothing can be approved by the secret. Only hashes of both are
 * kept.
 */
#pragma once

#include "edge/auth/challenges.h"

enum {
    LINK_CODE_BYTES = 16,
    LINK_CODE_TEXT = 22, /* base64url */
    LINK_SECRET_BYTES = 32,
    LINK_SECRET_TEXT = 43,
    LINK_TTL_MS = 3 * 60 * 1000,
    LINK_CLAIM_MS = 60 * 1000, /* from its approval on */
    LINK_POLL_S = 2,
};

/** What asks. */
struct link_ask {
    struct cq_span platform, label, network;
    struct cq_id from; /* derived from the address */
    int64_t now_ms;
};

struct link_texts {
    char code[LINK_CODE_TEXT + 1], secret[LINK_SECRET_TEXT + 1];
};

/** A new link, charged to its address and to all: AUTH_YES, AUTH_LIMITED_ADDRESS or
 * AUTH_LIMITED_ALL, which charge nothing and set `*ret_wait_ms`. */
CQ_MUST_CHECK enum cq_status link_make(struct pg *db, const struct auth_limits *limits,
                                       const struct link_ask *ask, enum auth_verdict *ret,
                                       int64_t *ret_wait_ms, struct link_texts *ret_texts);

/** Who looks at a link, or answers it. */
struct link_reader {
    struct cq_id user, device, from;
    int64_t now_ms;
};

enum link_verdict {
    LINK_YES,
    LINK_WAITS,  /* nobody has answered it */
    LINK_UNSEEN, /* this device has not looked at it, or another did after it */
    LINK_NO,     /* unknown, expired, answered, used: nobody is told which */
};

struct link_seen {
    struct cq_span platform, label, network;
    bool same_address; /* as that of the device that looks */
    int64_t expires_ms;
};

/** What asks, for a device that might approve it: LINK_YES or LINK_NO. `ret_seen` lives in
 * `*ret_rows`, owned by caller. */
CQ_MUST_CHECK enum cq_status link_look(struct pg *db, const struct auth_limits *limits,
                                       struct cq_span code, const struct link_reader *reader,
                                       enum link_verdict *ret, struct link_seen *ret_seen,
                                       struct pg_result **ret_rows);

/** Approve it, which may be repeated, or refuse it, for the device that looked at it last: LINK_YES,
 * LINK_UNSEEN or LINK_NO. It may refuse what it approved, until the new device is there. */
CQ_MUST_CHECK enum cq_status link_approve(struct pg *db, struct cq_span code,
                                          const struct link_reader *reader, enum link_verdict *ret);
CQ_MUST_CHECK enum cq_status link_refuse(struct pg *db, struct cq_span code,
                                         const struct link_reader *reader, enum link_verdict *ret);

/** Whose device it becomes, and by which device. */
struct link_claim {
    struct cq_id user, by;
    struct cq_span platform, label;
};

/** Claim a link by its secret: LINK_YES once, LINK_WAITS, or LINK_NO, also when the device that
 * approved it is logged in no more. `ret_claim` lives in `*ret_rows`, owned by caller. */
CQ_MUST_CHECK enum cq_status link_claim(struct pg *db, struct cq_span secret, int64_t now_ms,
                                        enum link_verdict *ret, struct link_claim *ret_claim,
                                        struct pg_result **ret_rows);

/** Charge a code or secret of no link to the address. `*ret_wait_ms` is 0, or for how long its
 * budget is used up. Those of a link are never charged: others' guesses lock nobody's link. */
CQ_MUST_CHECK enum cq_status link_missed(struct pg *db, const struct auth_limits *limits,
                                         struct cq_id from, int64_t now_ms, int64_t *ret_wait_ms);
