/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/deletions.h"

enum { PARAMS_BYTES = 512 };

enum cq_status deletion_note(struct pg *db, struct cq_id media, const char *key, int64_t now_ms)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, media);
    pg_add_text(&params, span_str(key));
    pg_add_i64(&params, now_ms);
    /* asked for again: it is given up so long after the last time */
    return pg_run_once(db,
                       "INSERT INTO media.deletions AS d (media_id, key, asked_at, due_at) VALUES "
                       "($1, $2, $3, $3) ON CONFLICT (media_id) DO UPDATE SET asked_at = "
                       "excluded.asked_at, due_at = excluded.due_at WHERE NOT d.taken",
                       &params, NULL);
}

/* Who takes the object away holds the same lock, so one of the two sees what the other did. */
static enum cq_status hold(struct pg *db, struct cq_id media, const char *key, struct cq_id same,
                           int64_t now_ms, bool *ret_held)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_text(&params, span_str(key));
    st = pg_run_once(db, "SELECT pg_advisory_xact_lock(hashtextextended($1, 8))", &params, NULL);
    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, media);
    pg_add_text(&params, span_str(key));
    pg_add_i64(&params, now_ms);
    pg_add_uuid(&params, same);
    st = pg_run_once(db,
                     "INSERT INTO media.holds (media_id, key, held_at) SELECT $1, $2, $3 WHERE NOT "
                     "EXISTS (SELECT 1 FROM media.deletions WHERE media_id = $4 AND taken)",
                     &params, &rows);
    *ret_held = st == CQ_OK && pg_affected(rows) == 1;
    return st;
}

enum cq_status object_hold(struct pg *db, struct cq_id media, const char *key, struct cq_id same,
                           int64_t now_ms, bool *ret_held)
{
    enum cq_status st = pg_script(db, "BEGIN");

    *ret_held = false;
    if (st == CQ_OK)
        st = hold(db, media, key, same, now_ms, ret_held);
    return pg_end(db, st);
}
