/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/push.h"

#include "schemas/topics.h"

enum { PARAMS_BYTES = 4096 };

/* The first two parameters of what is asked about a token. */
static void begin_with_token(struct pg_params *params, const struct push_address *address)
{
    pg_params_init(params, PARAMS_BYTES);
    pg_add_text(params, address->token);
    pg_add_i32(params, (int32_t)address->kind);
}

enum cq_status view_push_unclaimed(struct pg *db, const struct push_address *address,
                                   struct cq_id device, int64_t limit, struct pg_result **ret)
{
    static const char sql[] =
        "SELECT user_id, device_id, src_offset FROM view.push_targets WHERE token = $1 "
        "AND kind = $2 AND device_id <> $3 AND claim < 0 ORDER BY registered_at LIMIT $4";
    struct pg_params params;

    begin_with_token(&params, address);
    pg_add_uuid(&params, device);
    pg_add_i64(&params, limit);
    return pg_run_once(db, sql, &params, ret);
}

struct push_target_row push_target_at(const struct pg_result *rows, int i)
{
    return (struct push_target_row){ pg_uuid(rows, i, 0), pg_uuid(rows, i, 1),
                                     seq_offset(pg_i64(rows, i, 2)) };
}

enum cq_status view_push_claimed(struct pg *db, const struct push_address *address, int64_t offset,
                                 bool *ret)
{
    static const char sql[] =
        "SELECT 1 FROM view.push_targets WHERE token = $1 AND kind = $2 AND claim >= $3 LIMIT 1";
    struct pg_params params;

    begin_with_token(&params, address);
    pg_add_i64(&params, offset);
    return pg_found(db, sql, &params, ret);
}
