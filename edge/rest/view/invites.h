/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/invites.h - links by which others join a group.
 */
#pragma once

#include "lib/pg/pg.h"

/** Spans are borrowed from the rows. */
struct invite_row {
    struct cq_id id, hash, by;
    int64_t at_ms, expires_ms; /* 0: no end */
    int64_t most, used;        /* most 0: any number */
    bool approval;
};

/** Whether `user`, who is in the group with `is_admin`, may see and make links, by its rights. */
CQ_MUST_CHECK enum cq_status view_may_invite(struct pg *db, struct cq_id chat, bool is_admin,
                                             bool *ret);

/** Those by which somebody may join, the latest first; LIMIT_INVITES at most. `*ret` is owned by the caller, here
 * and below. */
CQ_MUST_CHECK enum cq_status view_invites(struct pg *db, struct cq_id chat, struct pg_result **ret);

/** The last one that `user` made under that client id and that was not ended; or no row. */
CQ_MUST_CHECK enum cq_status view_invite_of(struct pg *db, struct cq_id chat, struct cq_id user,
                                            struct cq_span client_id, struct pg_result **ret);

struct invite_row invite_at(const struct pg_result *rows, int i);

/** Whether there is a link of that id, and whether it was ended. */
CQ_MUST_CHECK enum cq_status view_invite_ended(struct pg *db, struct cq_id chat,
                                               struct cq_id invite, bool *ret_there,
                                               bool *ret_ended);

/** Whether a link ever had that hash. */
CQ_MUST_CHECK enum cq_status view_invite_known(struct pg *db, struct cq_id chat, struct cq_id hash,
                                               bool *ret);

/** What somebody sees of a group who has a link to it. */
struct invited_row {
    struct cq_span name;
    int64_t members;
    bool approval;
    bool is_member; /* he is in it */
};

/** One row, when a link of that hash holds. */
CQ_MUST_CHECK enum cq_status view_invited(struct pg *db, struct cq_id chat, struct cq_id hash,
                                          struct cq_id user, struct pg_result **ret);
struct invited_row invited_at(const struct pg_result *rows, int i);

/** Whether `user` is in as many groups as one may who joins by a link. */
CQ_MUST_CHECK enum cq_status view_groups_full(struct pg *db, struct cq_id user, bool *ret);
