/* SPDX-License-Identifier: MIT */
#include "sinks/search/write.h"

#include <stdlib.h>

static const struct pg_column row_columns[] = {
    PG_COLUMN(text_row, ord, "ord"),
    PG_COLUMN(text_row, part, "part"),
    PG_COLUMN(text_row, chat, "chat_id"),
    PG_COLUMN(text_row, message, "message_id"),
    PG_COLUMN(text_row, seq, "seq"),
    PG_COLUMN(text_row, at_ms, "at_ms"),
    PG_COLUMN_OR_NULL(text_row, expires_ms, stays, "expires_at"),
};

/* clang-format off */

#define NOW_MS "(date_part('epoch', now()) * 1000)::int8"

/* $1 to $7 rows; keys: $8 of which row, $9 the key, $10 and $11 those of them that are marks. */
static const char sql_new[] =
    "WITH t AS MATERIALIZED (SELECT * FROM unnest($1::int4[], $2::int4[], $3::uuid[], $4::uuid[], "
    "$5::int8[], $6::int8[], $7::int8[]) AS t(ord, part, chat_id, message_id, seq, at_ms, expires_at) "
    "WHERE expires_at IS NULL OR expires_at > " NOW_MS "), "
    "k AS MATERIALIZED (SELECT * FROM unnest($8::int4[], $9::int8[]) AS k(ord, key)), "
    "kept AS (INSERT INTO search.texts (part, chat_id, seq, version, message_id, at_ms, expires_at, marks, words) "
    "SELECT t.part, t.chat_id, t.seq, t.seq, t.message_id, t.at_ms, t.expires_at, m.keys, g.keys FROM t "
    "JOIN (SELECT ord, array_agg(key) AS keys FROM k GROUP BY ord) g ON g.ord = t.ord "
    "JOIN (SELECT ord, array_agg(key) AS keys FROM unnest($10::int4[], $11::int8[]) AS m(ord, key) GROUP BY ord) m "
    "ON m.ord = t.ord ON CONFLICT DO NOTHING) "
    "INSERT INTO search.words (part, chat_id, word, at_ms, seq) "
    "SELECT t.part, t.chat_id, k.key, t.at_ms, t.seq FROM t JOIN k ON k.ord = t.ord "
    "ORDER BY t.part, t.chat_id, k.key ON CONFLICT DO NOTHING";

/* Below, $1 part, $2 chat, $3 seq of the message, $4 its id; $5 the edit, $6 its keys. */

static const char sql_edit[] =
    "WITH t AS MATERIALIZED (SELECT * FROM search.texts WHERE part = $1 AND chat_id = $2 AND seq = $3 "
    "AND message_id = $4 ORDER BY version LIMIT 1), "
    "kept AS (INSERT INTO search.texts (part, chat_id, seq, version, message_id, at_ms, expires_at, marks, words) "
    "SELECT t.part, t.chat_id, t.seq, $5, t.message_id, t.at_ms, t.expires_at, t.marks, t.marks || $6::int8[] FROM t "
    "ON CONFLICT DO NOTHING) "
    "INSERT INTO search.words (part, chat_id, word, at_ms, seq) "
    "SELECT t.part, t.chat_id, k.key, t.at_ms, t.seq FROM t CROSS JOIN unnest($6::int8[]) AS k(key) ON CONFLICT DO NOTHING";

/* Whoever was there for a version before was there for this one, unless somebody left between the two. */
#define PASSED(t)                                                                              \
    t ".version < $5 AND NOT EXISTS (SELECT 1 FROM search.leaves l WHERE l.part = $1 "         \
    "AND l.chat_id = $2 AND l.seq > " t ".version AND l.seq <= $5)"

/* Behind the $6 newest ones that somebody may still read: what those few are found by is let go. */
#define FAR_BEHIND(t)                                                                          \
    t ".version < (SELECT v.version FROM search.texts v WHERE v.part = $1 AND v.chat_id = $2 " \
    "AND v.seq = $3 AND NOT (" PASSED("v") ") ORDER BY v.version DESC OFFSET $6 - 1 LIMIT 1)"

/* Remove the keys of what `gone` has; only those that fit `but`. */
#define WITHOUT(but)                                                                           \
    " DELETE FROM search.words w USING (SELECT DISTINCT g.part, g.chat_id, g.at_ms, g.seq, x.key " \
    "FROM gone g CROSS JOIN unnest(g.words) AS x(key)) o "                                     \
    "WHERE w.part = o.part AND w.chat_id = o.chat_id AND w.word = o.key AND w.at_ms = o.at_ms AND w.seq = o.seq" but

#define GONE " RETURNING t.part, t.chat_id, t.at_ms, t.seq, t.version, t.words)"

static const char sql_passed[] =
    "WITH gone AS (DELETE FROM search.texts t WHERE t.part = $1 AND t.chat_id = $2 AND t.seq = $3 AND t.message_id = $4 "
    "AND (" PASSED("t") " OR " FAR_BEHIND("t") ")" GONE
    WITHOUT(" AND NOT EXISTS (SELECT 1 FROM search.texts k CROSS JOIN unnest(k.words) AS y(key) WHERE k.part = $1 "
            "AND k.chat_id = $2 AND k.seq = $3 AND k.version NOT IN (SELECT g.version FROM gone g) AND y.key = o.key)");

static const char sql_deletion[] =
    "WITH gone AS (DELETE FROM search.texts t WHERE t.part = $1 AND t.chat_id = $2 AND t.seq = $3 AND t.message_id = $4"
    GONE WITHOUT("");

static const char sql_leave[] =
    "INSERT INTO search.leaves (part, chat_id, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/* $1 parts, $2 how many at most: one look into an index a part. */
static const char sql_due[] =
    "WITH due AS MATERIALIZED (SELECT d.* FROM unnest($1::int4[]) AS p(part) "
    "CROSS JOIN LATERAL (SELECT t.part, t.chat_id, t.seq, t.version FROM search.texts t "
    "WHERE t.part = p.part AND t.expires_at <= " NOW_MS " ORDER BY t.expires_at LIMIT $2) d LIMIT $2), "
    "gone AS (DELETE FROM search.texts t USING due d WHERE t.part = d.part AND t.chat_id = d.chat_id "
    "AND t.seq = d.seq AND t.version = d.version" GONE WITHOUT("");

/* clang-format on */

/* ---- writing -------------------------------------------------------------------------- */

/* The keys of new texts, as two arrays. */
static enum cq_status add_keys(const struct texts *texts, struct pg_params *params, bool marks_only)
{
    int32_t *ords = malloc(texts->keys_n * sizeof *ords);
    int64_t *keys = malloc(texts->keys_n * sizeof *keys);
    size_t n = 0;

    for (size_t i = 0; ords && keys && i < texts->keys_n; i++) {
        const struct text_key *key = &texts->keys[i];

        if (key->ord == ORD_EDIT || (marks_only && !key->is_mark))
            continue;
        ords[n] = key->ord;
        keys[n++] = key->key;
    }
    if (ords && keys) {
        pg_add_i32_array(params, ords, n);
        pg_add_i64_array(params, keys, n);
    }
    free(ords);
    free(keys);
    return ords && keys ? CQ_OK : CQ_FATAL;
}

static enum cq_status write_new(const struct texts *texts, struct pg *db, struct pg_params *params)
{
    enum cq_status st;

    if (!texts->rows_n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, row_columns, ARRAY_LEN(row_columns), texts->rows, sizeof *texts->rows,
                   texts->rows_n);
    st = add_keys(texts, params, false);
    if (st == CQ_OK)
        st = add_keys(texts, params, true);
    return st == CQ_OK ? pg_run(db, sql_new, params, NULL) : st;
}

static void add_target(const struct text_op *op, struct pg_params *params)
{
    pg_params_clear(params);
    pg_add_i32(params, op->part);
    pg_add_uuid(params, op->chat);
    pg_add_i64(params, op->target);
    pg_add_uuid(params, op->message);
}

static enum cq_status write_edit(const struct texts *texts, const struct text_op *op, struct pg *db,
                                 struct pg_params *params)
{
    int64_t keys[WORDS_KEYS_MAX];
    enum cq_status st;

    for (size_t i = 0; i < op->keys_n; i++)
        keys[i] = texts->keys[op->keys_from + i].key;
    add_target(op, params);
    pg_add_i64(params, op->seq);
    pg_add_i64_array(params, keys, op->keys_n);
    st = pg_run(db, sql_edit, params, NULL);
    if (st != CQ_OK)
        return st;
    add_target(op, params);
    pg_add_i64(params, op->seq);
    pg_add_i64(params, TEXT_VERSIONS);
    return pg_run(db, sql_passed, params, NULL);
}

static enum cq_status write_op(const struct texts *texts, const struct text_op *op, struct pg *db,
                               struct pg_params *params)
{
    switch (op->kind) {
    case TEXT_EDIT:
        return write_edit(texts, op, db, params);
    case TEXT_DELETION:
        add_target(op, params);
        return pg_run(db, sql_deletion, params, NULL);
    case TEXT_LEAVE:
        break;
    }
    pg_params_clear(params);
    pg_add_i32(params, op->part);
    pg_add_uuid(params, op->chat);
    pg_add_i64(params, op->seq);
    return pg_run(db, sql_leave, params, NULL);
}

enum cq_status texts_write(const struct texts *texts, struct pg *db, struct pg_params *params)
{
    enum cq_status st = write_new(texts, db, params);

    for (size_t i = 0; st == CQ_OK && i < texts->ops_n; i++)
        st = write_op(texts, &texts->ops[i], db, params);
    return st;
}

enum cq_status texts_remove_due(struct pg *db, struct pg_params *params, const int32_t *parts,
                                size_t parts_n, bool *ret_full)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_i32_array(params, parts, parts_n);
    pg_add_i64(params, TEXTS_DUE);
    st = pg_run(db, sql_due, params, &done);
    if (st == CQ_OK)
        *ret_full = pg_affected(done) >= TEXTS_DUE; /* each has a key at least */
    return st;
}
