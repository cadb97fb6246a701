/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/accounts.h - whose a number is: accounts are made, change their number, and are
 * deleted. Schema auth.
 *
 * An id is derived from the number that its account was made for, and from a generation. It stays
 * when the number changes. A number that is free again makes an account of the next generation: a
 * new id, to which nothing of an earlier one belongs. The row of a deleted account stays, without
 * its number, so that no id is given twice.
 */
#pragma once

#include "edge/auth/phone.h"
#include "lib/pg/pg.h"

/** The user of a number. One is made when nobody has the number (*ret_new). */
CQ_MUST_CHECK enum cq_status account_of(struct pg *db, struct cq_span pepper, const char *number,
                                        int64_t now_ms, struct cq_id *ret_user, bool *ret_new);

/** The number of a user into `out`, "" when there is none. */
CQ_MUST_CHECK enum cq_status account_number(struct pg *db, struct cq_id user,
                                            char out[PHONE_MAX + 1]);

/** The users of `n` numbers, in their order. Of a number that nobody has, an id that no account ever
 * has: always the same for the same number. */
CQ_MUST_CHECK enum cq_status account_holders(struct pg *db, struct cq_span pepper,
                                             const struct cq_span *numbers, size_t n,
                                             struct cq_id *ret);

enum account_change {
    ACCOUNT_CHANGED,
    ACCOUNT_TAKEN, /* another account has the number */
    ACCOUNT_GONE,  /* deleted, or its number is another one meanwhile */
};

/** Give the account whose number is `old` another one; its user has shown codes to both. Of several
 * who want one number at once, one gets it. */
CQ_MUST_CHECK enum cq_status account_renumber(struct pg *db, struct cq_id user, const char *old,
                                              const char *number, enum account_change *ret);

/** Delete the account with this number: the number is free, its devices are ended, and what was
 * remembered of it is forgotten, all or nothing. What else follows is in the log, and is made so by
 * account_claim_deleted(). ACCOUNT_CHANGED or ACCOUNT_GONE. */
CQ_MUST_CHECK enum cq_status account_delete(struct pg *db, struct cq_id user, const char *number,
                                            int64_t now_ms, enum account_change *ret);

enum { DELETED_MAX = 32 /* of one claim */ };

/** A deleted account that is to be looked at. */
struct deleted_account {
    struct cq_id user;
    int64_t deleted_ms;
};

/** Deleted accounts whose time to be looked at has come, at most DELETED_MAX. Each is to be looked
 * at again after an eighth of its time since its deletion, within a second and six hours: one that
 * is added to a group later, by an action that was on its way, is found too. Several processes may
 * do it at once. */
CQ_MUST_CHECK enum cq_status account_claim_deleted(struct pg *db, int64_t now_ms,
                                                   struct deleted_account ret[DELETED_MAX],
                                                   size_t *ret_n);

/** Look at it again soon, after a second: there was more than one look does. */
CQ_MUST_CHECK enum cq_status account_look_soon(struct pg *db, struct cq_id user, int64_t now_ms);

/** Delete whoever the view knows as deleted and this schema does not, because it was restored from a
 * copy that is older than the deletion: a pass over all deleted, which does DELETED_MAX at a time.
 * `*ret_more`: there may be more. `db` has a view guard. */
CQ_MUST_CHECK enum cq_status account_delete_again(struct pg *db, int64_t now_ms, bool *ret_more);
