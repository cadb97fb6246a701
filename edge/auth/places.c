/* SPDX-License-Identifier: MIT */
#include "edge/auth/places.h"

#include "lib/base/hash.h"

enum { PARAMS_BYTES = 256 };

static const char sql_known[] =
    "SELECT 1 FROM auth.known_places WHERE user_id = $1 AND place = $2 AND seen_at > $3";

/* The time is moved once a day only: that is often enough. */
static const char sql_remember[] =
    "INSERT INTO auth.known_places AS k (user_id, place, seen_at) VALUES ($1, $2, $3) "
    "ON CONFLICT (user_id, place) DO UPDATE SET seen_at = $3 WHERE k.seen_at < $4";

static const char sql_trim[] =
    "DELETE FROM auth.known_places WHERE user_id = $1 AND place IN (SELECT place "
    "FROM auth.known_places WHERE user_id = $1 ORDER BY seen_at DESC OFFSET $2)";

struct cq_id place_of(const struct auth_limits *limits, struct cq_id user, struct cq_id from)
{
    struct cq_span parts[] = { span_str("place\n"), span_of(user.b, sizeof user.b),
                               span_of(from.b, sizeof from.b) };
    uint8_t digest[32];

    hmac_sha256(limits->pepper, parts, ARRAY_LEN(parts), digest);
    return id_from_digest(digest);
}

enum cq_status place_is_known(struct pg *db, struct cq_id user, struct cq_id place, int64_t now_ms,
                              bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, place);
    pg_add_i64(&params, now_ms - PLACE_TTL_MS);
    return pg_found(db, sql_known, &params, ret);
}

enum cq_status place_remember(struct pg *db, const struct auth_limits *limits, struct cq_id user,
                              struct cq_id from, int64_t now_ms)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, place_of(limits, user, from));
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, now_ms - AUTH_DAY_MS);
    st = pg_run(db, sql_remember, &params, &done);
    if (st == CQ_OK && pg_affected(done)) {
        pg_params_clear(&params);
        pg_add_uuid(&params, user);
        pg_add_i64(&params, PLACES_MAX);
        st = pg_run(db, sql_trim, &params, NULL);
    }
    pg_params_release(&params);
    return st;
}
