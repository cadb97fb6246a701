/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/blocks.h"

#include "schemas/limits.h"

enum { PARAMS_BYTES = 256 };

/* $1 user, $2 behind which chat, $3 how many */
static const char sql_page[] =
    "SELECT b.peer_id, b.chat_id, coalesce(u.name, ''), b.at_ms FROM view.blocks b "
    "LEFT JOIN view.users u ON u.user_id = b.peer_id "
    "WHERE b.user_id = $1 AND b.blocked AND b.chat_id > $2 ORDER BY b.chat_id LIMIT $3";

/* $1 user, $2 chat, $3 how many there may be */
static const char sql_full[] =
    "SELECT 1 FROM (SELECT count(*) AS n FROM (SELECT 1 FROM view.blocks b WHERE b.user_id = $1 "
    "AND b.blocked AND b.chat_id <> $2 LIMIT $3) l) c WHERE c.n >= $3";

enum cq_status view_blocks(struct pg *db, struct cq_id user, struct cq_id behind, int64_t limit,
                           struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, behind);
    pg_add_i64(&params, limit);
    return pg_run_once(db, sql_page, &params, ret);
}

struct block_row block_at(const struct pg_result *rows, int i)
{
    return (struct block_row){ pg_uuid(rows, i, 0), pg_uuid(rows, i, 1), pg_bytes(rows, i, 2),
                               pg_i64(rows, i, 3) };
}

enum cq_status view_blocks_full(struct pg *db, struct cq_id user, struct cq_id chat, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, chat);
    pg_add_i64(&params, LIMIT_BLOCKS);
    return pg_found(db, sql_full, &params, ret);
}
