/* SPDX-License-Identifier: MIT */
/*
 * processors/user/claims.h - whose the push tokens of one partition are. A token's claims stand in
 * one partition of user.inbox, whatever users they are of, so they have one order: the last one has
 * the token.
 */
#pragma once

#include "lib/base/idmap.h"
#include "schemas/records.gen.h"

enum { CLAIMS_MAX = 16 * 1024 * 1024 }; /* tokens that somebody has, in one partition */

struct token_claim {
    struct push_owner now;    /* a zero user: nobody */
    struct push_owner before; /* whose it was when turn `turn` began: a zero user for nobody */
    uint64_t turn;            /* that moved it last; 0: restored */
};

struct claims {
    struct idmap tokens; /* hash of kind and token → struct token_claim *, owned */
};

void claims_init(struct claims *claims);
void claims_release(struct claims *claims);

/** NULL: nobody has it, or had it in this turn. */
struct token_claim *claims_get(const struct claims *claims, struct cq_id token);

/** The same, made when it is missing. NULL without memory or at CLAIMS_MAX. */
struct token_claim *claims_make(struct claims *claims, struct cq_id token);
void claims_remove(struct claims *claims, struct cq_id token);

/** Note that turn `turn` is about to move it: what stood before that turn is kept once. */
void claim_begin(struct token_claim *claim, uint64_t turn);

static inline bool claim_owned(const struct push_owner *owner)
{
    return !id_is_zero(owner->user_id);
}

static inline bool claim_is_of(const struct push_owner *owner, struct cq_id user,
                               struct cq_id device)
{
    return id_eq(owner->user_id, user) && id_eq(owner->device_id, device);
}

/**
 * Take over one value of topic push.claims. `from`: the offset at which this partition's replay
 * begins. A value that a record of the replay wrote may stand there although the rest of its turn,
 * which tells the one who lost the token, was never published: the replay begins with what stood
 * before that turn, and writes all of it again. CQ_FATAL without memory.
 */
CQ_MUST_CHECK enum cq_status claims_restore(struct claims *claims, const struct push_claim *value,
                                            int64_t from);
