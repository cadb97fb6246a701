/* SPDX-License-Identifier: MIT */
#include "lib/pg/pg.h"
#include "tests/unit/test.h"

/* Lower-case hex of one parameter's bytes. */
static const char *param_hex(const struct pg_params *params, int i)
{
    static char text[1024];

    for (size_t k = 0; k < params->len[i] && 2 * k + 2 < sizeof text; k++)
        snprintf(text + 2 * k, 3, "%02x", params->bytes.p[params->at[i] + k]);
    if (!params->len[i])
        text[0] = '\0';
    return text;
}

TEST(scalars_are_big_endian)
{
    struct pg_params params;

    pg_params_init(&params, 4096);
    pg_add_i32(&params, -2);
    pg_add_i64(&params, 0x0102030405060708);
    pg_add_text(&params, span_str("é"));
    pg_add_bytea(&params, span_of("\0\xff", 2));
    pg_add_null(&params, PG_TEXT);
    pg_add_text(&params, span_str(""));
    CHECK_EQ(params.n, 6);
    CHECK_STR(param_hex(&params, 0), "fffffffe");
    CHECK_STR(param_hex(&params, 1), "0102030405060708");
    CHECK_STR(param_hex(&params, 2), "c3a9");
    CHECK_STR(param_hex(&params, 3), "00ff");
    CHECK(params.null[4]);
    CHECK_EQ(params.type[4], 25);
    CHECK(!params.null[5]); /* an empty text is not NULL */
    CHECK_EQ(params.len[5], 0);
    pg_params_release(&params);
}

struct toy_row {
    bool no_name;
    int32_t narrow;
    struct cq_span name, bytes;
    int64_t wide;
    struct cq_id id;
};

TEST(arrays)
{
    static const int64_t longs[] = { 1, -1 };
    static const int32_t ints[] = { 7 };
    const struct cq_span texts[] = { span_str("ab"), span_str("left out"), span_str("") };
    static const bool null_at[] = { false, true, false };
    const struct cq_id ids[] = { { { 1 } }, { { 2 } } };
    static const struct pg_column bytes = PG_COLUMN_BYTES(toy_row, bytes, "bytes");
    const struct toy_row only[] = { { .bytes = span_str("ab") } };
    struct pg_params params;

    pg_params_init(&params, 4096);
    pg_add_i64_array(&params, longs, 2);
    pg_add_i32_array(&params, ints, 1);
    pg_add_text_array(&params, texts, null_at, 3);
    pg_add_uuid_array(&params, ids, NULL, 2);
    pg_add_columns(&params, &bytes, 1, only, sizeof only[0], ARRAY_LEN(only));
    /* dimensions, has-nulls, element type, length, lower bound, then length and bytes of each */
    CHECK_STR(param_hex(&params, 0), "0000000100000000000000140000000200000001"
                                     "000000080000000000000001"
                                     "00000008ffffffffffffffff");
    CHECK_STR(param_hex(&params, 1), "0000000100000000000000170000000100000001"
                                     "0000000400000007");
    CHECK_STR(param_hex(&params, 2), "0000000100000001000000190000000300000001"
                                     "000000026162"
                                     "ffffffff"
                                     "00000000");
    CHECK_EQ(params.len[3], 20 + 2 * (4 + 16));
    CHECK_EQ(params.type[3], 2951);
    CHECK_STR(param_hex(&params, 4), "0000000100000000000000110000000100000001"
                                     "000000026162");
    pg_params_release(&params);
}

TEST(columns_of_rows)
{
    static const struct pg_column columns[] = {
        PG_COLUMN(toy_row, narrow, "narrow"),
        PG_COLUMN(toy_row, wide, "wide"),
        PG_COLUMN_OR_NULL(toy_row, name, no_name, "name"),
        PG_COLUMN_BYTES(toy_row, bytes, "bytes"),
        PG_COLUMN(toy_row, id, "id"),
    };
    const struct toy_row rows[] = {
        { false, 7, span_str("ab"), span_str("c"), -1, { { 1 } } },
        { true, 8, span_str("left out"), span_str(""), 2, { { 2 } } },
    };
    struct pg_params params;

    pg_params_init(&params, 4096);
    pg_add_columns(&params, columns, ARRAY_LEN(columns), rows, sizeof rows[0], ARRAY_LEN(rows));
    CHECK_EQ(params.n, ARRAY_LEN(columns));
    CHECK_STR(param_hex(&params, 0), "0000000100000000000000170000000200000001"
                                     "0000000400000007"
                                     "0000000400000008");
    CHECK_STR(param_hex(&params, 1), "0000000100000000000000140000000200000001"
                                     "00000008ffffffffffffffff"
                                     "000000080000000000000002");
    CHECK_STR(param_hex(&params, 2), "0000000100000001000000190000000200000001"
                                     "000000026162"
                                     "ffffffff");
    CHECK_STR(param_hex(&params, 3), "0000000100000000000000110000000200000001"
                                     "0000000163"
                                     "00000000");
    CHECK_EQ(params.len[4], 20 + 2 * (4 + 16));
    CHECK_EQ(params.type[4], 2951);
    pg_params_release(&params);
}

TEST(an_empty_array_has_no_dimension)
{
    struct pg_params params;

    pg_params_init(&params, 4096);
    pg_add_text_array(&params, NULL, NULL, 0);
    pg_add_i32(&params, 1);
    CHECK(!params.bytes.failed);
    CHECK_STR(param_hex(&params, 0), "000000000000000000000019");
    CHECK_STR(param_hex(&params, 1), "00000001");
    pg_params_release(&params);
}

TEST(the_bound_is_kept_and_said)
{
    int64_t many[64] = { 0 };
    struct pg_params params;

    pg_params_init(&params, 100);
    pg_add_i64(&params, 1);
    pg_add_i64_array(&params, many, ARRAY_LEN(many));
    CHECK(params.bytes.failed);
    CHECK_EQ(params.n, 2);
    pg_params_clear(&params);
    pg_add_i64(&params, 1);
    CHECK(!params.bytes.failed);
    CHECK_EQ(params.n, 1);
    pg_params_release(&params);
}

TEST(no_server_is_again_not_fatal)
{
    cq_auto(pg) struct pg *db =
        pg_new("host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=2", "unit");
    bool fresh = true;

    CHECK_EQ(pg_ready(db, &fresh), CQ_AGAIN);
    CHECK(!fresh);
    CHECK_STR(pg_sqlstate(db), "08001");
    CHECK(*pg_error(db) && !strchr(pg_error(db), '\n'));
    CHECK_EQ(pg_run(db, "SELECT 1", NULL, NULL), CQ_AGAIN);
    CHECK_EQ(pg_script(db, "SELECT 1"), CQ_AGAIN);
}
