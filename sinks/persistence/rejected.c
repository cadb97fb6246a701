/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/rejected.h"

static const struct pg_column columns[] = {
    PG_COLUMN(target_row, part, "part"),
    PG_COLUMN(target_row, source_partition, "src_partition"),
    PG_COLUMN(target_row, source_offset, "src_offset"),
    PG_COLUMN(target_row, chat, "chat_id"),
    PG_COLUMN(target_row, message, "message"),
    PG_COLUMN(target_row, target, "target"),
    PG_COLUMN(target_row, by, "user_id"),
    PG_COLUMN(target_row, client, "client_id"),
    PG_COLUMN(target_row, change, "change_id"),
    PG_COLUMN(target_row, at_ms, "at_ms"),
};

/* clang-format off */

#define GIVEN                                                                                      \
    "unnest($1::int4[], $2::int4[], $3::int8[], $4::uuid[], $5::uuid[], $6::int8[], $7::uuid[], "  \
    "$8::text[], $9::uuid[], $10::int8[]) AS t(part, src_partition, src_offset, chat_id, message, " \
    "target, user_id, client_id, change_id, at_ms) "

#define OVER_AT "view.now_ms() - $11::bigint * 24 * 60 * 60 * 1000"

/* A target stands below its change, and messages are written before: what is no message now never is one. The
 * message is a value that is compared, which is one look into the index a target, whatever else is asked for. */
static const char sql_stale[] =
    "INSERT INTO view.rejected (src_partition, src_offset, id, chat_id, user_id, client_id, code, at_ms) "
    "SELECT t.src_partition, t.src_offset, t.change_id, t.chat_id, t.user_id, t.client_id, 'stale_target', t.at_ms "
    "FROM " GIVEN "WHERE t.at_ms > " OVER_AT " AND (SELECT m.id FROM view.messages m WHERE m.part = t.part "
    "AND m.chat_id = t.chat_id AND m.seq = t.target) IS DISTINCT FROM t.message ON CONFLICT DO NOTHING";

/* $1 partitions, $2 users, $3 how many stay of each pair, the newest ones. The first that goes is one value. */
#define KEEP_NEWEST(code)                                                                          \
    "DELETE FROM view.rejected r USING (SELECT DISTINCT g.src_partition, g.user_id "               \
    "FROM unnest($1::int4[], $2::uuid[]) AS g(src_partition, user_id) OFFSET 0) w "                \
    "WHERE r.user_id = w.user_id AND r.src_partition = w.src_partition AND r." code                \
    "AND r.src_offset <= (SELECT x.src_offset FROM view.rejected x WHERE x.user_id = w.user_id "   \
    "AND x.src_partition = w.src_partition AND x." code                                            \
    "ORDER BY x.src_offset DESC OFFSET $3 LIMIT 1)"

static const char sql_keep_stale[] = KEEP_NEWEST("code = 'stale_target' ");
static const char sql_keep_others[] = KEEP_NEWEST("code <> 'stale_target' ");

/* $1 partitions, $2 days, $3 how many: one look into an index a partition. Another copy may be at some of them. */
static const char sql_sweep[] =
    "DELETE FROM view.rejected r USING (SELECT o.src_partition, o.src_offset FROM unnest($1::int4[]) AS p(partition) "
    "CROSS JOIN LATERAL (SELECT x.src_partition, x.src_offset FROM view.rejected x WHERE x.src_partition = p.partition "
    "AND x.at_ms <= view.now_ms() - $2::bigint * 24 * 60 * 60 * 1000 ORDER BY x.at_ms LIMIT $3 FOR UPDATE SKIP LOCKED) o "
    "LIMIT $3) w WHERE r.src_partition = w.src_partition AND r.src_offset = w.src_offset";

/* clang-format on */

static enum cq_status keep_newest(const char *sql, int64_t most, struct pg *db,
                                  struct pg_params *params)
{
    pg_add_i64(params, most);
    return pg_run(db, sql, params, NULL);
}

static enum cq_status keep_others(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    static const struct pg_column named[] = {
        PG_COLUMN(rejected_row, source_partition, "src_partition"),
        PG_COLUMN(rejected_row, user, "user_id"),
    };

    pg_params_clear(params);
    pg_add_columns(params, named, ARRAY_LEN(named), rows->rejected.v, sizeof rows->rejected.v[0],
                   rows->rejected.n);
    return keep_newest(sql_keep_others, REJECTED_OTHERS, db, params);
}

static enum cq_status keep_stale(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    static const struct pg_column named[] = {
        PG_COLUMN(target_row, source_partition, "src_partition"),
        PG_COLUMN(target_row, by, "user_id"),
    };

    pg_params_clear(params);
    pg_add_columns(params, named, ARRAY_LEN(named), rows->targets, sizeof rows->targets[0],
                   rows->targets_n);
    return keep_newest(sql_keep_stale, REJECTED_STALE, db, params);
}

static enum cq_status write_stale(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_columns(params, columns, ARRAY_LEN(columns), rows->targets, sizeof rows->targets[0],
                   rows->targets_n);
    pg_add_i64(params, REJECTED_DAYS);
    st = pg_run(db, sql_stale, params, &done);
    return st == CQ_OK && pg_affected(done) > 0 ? keep_stale(rows, db, params) : st;
}

enum cq_status rejected_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st = rows->targets_n ? write_stale(rows, db, params) : CQ_OK;

    return st == CQ_OK && rows->rejected.n ? keep_others(rows, db, params) : st;
}

enum cq_status rejected_sweep(struct pg *db, struct pg_params *params, const int32_t *partitions,
                              size_t n, bool *ret_full)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_i32_array(params, partitions, n);
    pg_add_i64(params, REJECTED_DAYS);
    pg_add_i64(params, REJECTED_SWEPT);
    st = pg_run(db, sql_sweep, params, &done);
    if (st == CQ_OK)
        *ret_full = pg_affected(done) == REJECTED_SWEPT;
    return st;
}
