/* SPDX-License-Identifier: MIT */
#include "lib/pg/pg.h"
#include "tests/unit/test.h"

/* Lower-case hex of one parameter's bytes. */
static const char *param_hex(const struct pg_params *p, int i)
{
    static char text[1024];

    for (size_t k = 0; k < p->len[i] && 2 * k + 2 < sizeof text; k++)
        snprintf(text + 2 * k, 3, "%02x", p->bytes.p[p->at[i] + k]);
    if (!p->len[i])
        text[0] = '\0';
    return text;
}

TEST(scalars_are_big_endian)
{
    struct pg_params p;

    pg_params_init(&p, 4096);
    pg_add_bool(&p, true);
    pg_add_i32(&p, -2);
    pg_add_i64(&p, 0x0102030405060708);
    pg_add_text(&p, span_str("é"));
    pg_add_bytea(&p, span_of("\0\xff", 2));
    pg_add_null(&p, 25);
    pg_add_text(&p, span_str(""));
    CHECK_EQ(p.n, 7);
    CHECK_STR(param_hex(&p, 0), "01");
    CHECK_STR(param_hex(&p, 1), "fffffffe");
    CHECK_STR(param_hex(&p, 2), "0102030405060708");
    CHECK_STR(param_hex(&p, 3), "c3a9");
    CHECK_STR(param_hex(&p, 4), "00ff");
    CHECK(p.null[5]);
    CHECK_EQ(p.type[5], 25);
    CHECK(!p.null[6]); /* an empty text is not NULL */
    CHECK_EQ(p.len[6], 0);
    pg_params_release(&p);
}

TEST(arrays)
{
    static const int64_t longs[] = { 1, -1 };
    static const int32_t ints[] = { 7 };
    const struct cq_span texts[] = { span_str("ab"), span_str("left out"), span_str("") };
    static const bool null_at[] = { false, true, false };
    const struct cq_id ids[] = { { { 1 } }, { { 2 } } };
    struct pg_params p;

    pg_params_init(&p, 4096);
    pg_add_i64_array(&p, longs, 2);
    pg_add_i32_array(&p, ints, 1);
    pg_add_text_array(&p, texts, null_at, 3);
    pg_add_uuid_array(&p, ids, NULL, 2);
    pg_add_bytea_array(&p, texts, 1);
    /* dimensions, has-nulls, element type, length, lower bound, then length and bytes of each */
    CHECK_STR(param_hex(&p, 0), "0000000100000000000000140000000200000001"
                                "000000080000000000000001"
                                "00000008ffffffffffffffff");
    CHECK_STR(param_hex(&p, 1), "0000000100000000000000170000000100000001"
                                "0000000400000007");
    CHECK_STR(param_hex(&p, 2), "0000000100000001000000190000000300000001"
                                "000000026162"
                                "ffffffff"
                                "00000000");
    CHECK_EQ(p.len[3], 20 + 2 * (4 + 16));
    CHECK_EQ(p.type[3], 2951);
    CHECK_STR(param_hex(&p, 4), "0000000100000000000000110000000100000001"
                                "000000026162");
    pg_params_release(&p);
}

TEST(an_empty_array_has_no_dimension)
{
    struct pg_params p;

    pg_params_init(&p, 4096);
    pg_add_text_array(&p, NULL, NULL, 0);
    pg_add_i32(&p, 1);
    CHECK(!p.bytes.failed);
    CHECK_STR(param_hex(&p, 0), "000000000000000000000019");
    CHECK_STR(param_hex(&p, 1), "00000001");
    pg_params_release(&p);
}

TEST(the_bound_is_kept_and_said)
{
    int64_t many[64] = { 0 };
    struct pg_params p;

    pg_params_init(&p, 100);
    pg_add_i64(&p, 1);
    pg_add_i64_array(&p, many, ARRAY_LEN(many));
    CHECK(p.bytes.failed);
    CHECK_EQ(p.n, 2);
    pg_params_clear(&p);
    pg_add_i64(&p, 1);
    CHECK(!p.bytes.failed);
    CHECK_EQ(p.n, 1);
    pg_params_release(&p);
}

TEST(no_server_is_again_not_fatal)
{
    cq_auto(pg) struct pg *c =
        pg_new("host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=2", "unit");
    bool fresh = true;

    CHECK_EQ(pg_ready(c, &fresh), CQ_AGAIN);
    CHECK(!fresh);
    CHECK_STR(pg_sqlstate(c), "08001");
    CHECK(*pg_error(c) && !strchr(pg_error(c), '\n'));
    CHECK_EQ(pg_run(c, "SELECT 1", NULL, NULL), CQ_AGAIN);
    CHECK_EQ(pg_script(c, "SELECT 1"), CQ_AGAIN);
}
