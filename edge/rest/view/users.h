/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/users.h - who there is, what they are called, and who may know.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/pg/pg.h"
#include "schemas/records.gen.h"

/** How many of these ids are registered and not deleted: from schema auth, which knows it before the view does. */
CQ_MUST_CHECK enum cq_status view_count_users(struct pg *db, const struct cq_id *ids, size_t n,
                                              int64_t *ret);

/** What a user is called, in the arena; empty when the view does not have him (yet). */
CQ_MUST_CHECK enum cq_status view_user_name(struct pg *db, struct cq_arena *arena,
                                            struct cq_id user, struct cq_span *ret);

/** Those of `ids` that the view has, in no order. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_user_names(struct pg *db, const struct cq_id *ids, size_t n,
                                             struct pg_result **ret);

/** Those of `ids` whom `asker` may know, with what they show to him: himself, who is or was in a
 * chat with him, whom he opened a
 * direct chat with, and whose number he looked up in the 24 hours before `now_ms`. In no order; read by
 * user_profile_at(). A common group is looked for among 1,000 stays of the one and 1,000 of the other.
 * `*ret` is owned by the caller. CQ_AGAIN without memory. */
CQ_MUST_CHECK enum cq_status view_users_known(struct pg *db, struct cq_arena *arena,
                                              struct cq_id asker, const struct cq_id *ids, size_t n,
                                              int64_t now_ms, struct pg_result **ret);

/** Whom a user shows what. */
struct user_privacy {
    enum audience last_seen, picture, about;
};

/** What a user shows; spans are borrowed from the rows, or live in the arena. */
struct user_profile {
    struct cq_id id;
    struct cq_span name, about;  /* about: empty for nothing */
    struct cq_id picture;        /* media; zero: none */
    struct user_privacy privacy; /* these two of one's own alone */
    bool read_receipts;
    bool is_deleted; /* the account; he shows nothing then */
};

struct user_profile user_profile_at(const struct pg_result *rows, int i);

/** One's own, in the arena; empty when the view does not have him (yet). */
CQ_MUST_CHECK enum cq_status view_own_profile(struct pg *db, struct cq_arena *arena,
                                              struct cq_id user, struct user_profile *ret);

/** Whether others are told what he reads, and he what they read. */
CQ_MUST_CHECK enum cq_status view_tells_reads(struct pg *db, struct cq_id user, bool *ret);

struct user_name {
    struct cq_id id;
    struct cq_span name; /* borrowed from the rows */
};

struct user_name user_name_at(const struct pg_result *rows, int i);
