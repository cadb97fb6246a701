/* SPDX-License-Identifier: MIT */
#include "edge/auth/sweep.h"

#include "edge/auth/places.h"

enum { PARAMS_BYTES = 64 };

#define SWEEP(table, key, what)                                                      \
    "DELETE FROM auth." table " WHERE (" key ") IN (SELECT " key " FROM auth." table \
    " WHERE " what " < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)"

static const struct {
    const char *sql;
    int64_t older_ms;
    int64_t unit; /* of the column: how many are a millisecond */
} rows[] = {
    { SWEEP("challenges", "challenge", "created_at"), AUTH_DAY_MS + AUTH_HOUR_MS, 1 },
    { SWEEP("refresh_tokens", "token_hash", "used_at"), 7 * AUTH_DAY_MS, 1 },
    { SWEEP("refresh_tokens", "token_hash", "expires_at"), 7 * AUTH_DAY_MS, 1 },
    { SWEEP("devices", "device_id", "revoked_at"), 30 * AUTH_DAY_MS, 1 },
    { SWEEP("known_places", "user_id, place", "seen_at"), PLACE_TTL_MS, 1 },
    { SWEEP("links", "code_hash", "expires_at"), 0, 1 },
    { SWEEP("lookups", "user_id, target", "at"), AUTH_DAY_MS, 1 },
    { SWEEP("budgets", "kind, key", "full_at"), 0, 1000 },
};

enum cq_status auth_sweep(struct pg *db, int64_t now_ms, int64_t *ret_rows, bool *ret_more)
{
    enum cq_status st = CQ_OK;
    struct pg_params params;

    *ret_rows = 0;
    *ret_more = false;
    pg_params_init(&params, PARAMS_BYTES);
    for (size_t i = 0; st == CQ_OK && i < ARRAY_LEN(rows); i++) {
        cq_auto(pgresult) struct pg_result *done = NULL;

        pg_params_clear(&params);
        pg_add_i64(&params, (now_ms - rows[i].older_ms) * rows[i].unit);
        pg_add_i64(&params, SWEEP_ROWS);
        st = pg_run(db, rows[i].sql, &params, &done);
        if (st != CQ_OK)
            break;
        *ret_rows += pg_affected(done);
        *ret_more |= pg_affected(done) == SWEEP_ROWS;
    }
    pg_params_release(&params);
    return st;
}
