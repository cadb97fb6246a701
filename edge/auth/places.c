/* SPDX-License-Identifier: MIT */
#include "edge/auth/places.h"

#include "lib/base/hash.h"

enum { PARAMS_BYTES = 256 };

static const char sql_known[] =
    "SELECT 1 FROM auth.known_places WHERE user_id = $1 AND place = $2 AND seen_at > $3";

/* Once a day is often enough. */
static const char sql_remember[] =
    "INSERT INTO auth.known_places AS k (user_id, place, seen_at) VALUES ($1, $2, $3) "
    "ON CONFLICT (user_id, place) DO UPDATE SET seen_at = $3 WHERE k.seen_at < $4";

static const char sql_trim[] =
    "DELETE FROM auth.known_places WHERE user_id = $1 AND place IN (SELECT place "
    "FROM auth.known_places WHERE user_id = $1 ORDER BY seen_at DESC OFFSET $2)";

struct cq_id place_of(const struct auth_limits *l, struct cq_id user, struct cq_id from)
{
    struct cq_span parts[] = { span_str("place\n"), span_of(user.b, sizeof user.b),
                               span_of(from.b, sizeof from.b) };
    uint8_t digest[32];

    hmac_sha256(l->pepper, parts, ARRAY_LEN(parts), digest);
    return id_from_digest(digest);
}

enum cq_status place_is_known(struct pg *c, struct cq_id user, struct cq_id place, int64_t now_ms,
                              bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, user);
    pg_add_uuid(&p, place);
    pg_add_i64(&p, now_ms - PLACE_TTL_MS);
    st = pg_run(c, sql_known, &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK)
        *ret = pg_rows(rows) == 1;
    return st;
}

enum cq_status place_remember(struct pg *c, const struct auth_limits *l, struct cq_id user,
                              struct cq_id from, int64_t now_ms)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, user);
    pg_add_uuid(&p, place_of(l, user, from));
    pg_add_i64(&p, now_ms);
    pg_add_i64(&p, now_ms - AUTH_DAY_MS);
    st = pg_run(c, sql_remember, &p, &done);
    if (st == CQ_OK && pg_affected(done)) {
        pg_params_clear(&p);
        pg_add_uuid(&p, user);
        pg_add_i64(&p, PLACES_MAX);
        st = pg_run(c, sql_trim, &p, NULL);
    }
    pg_params_release(&p);
    return st;
}
