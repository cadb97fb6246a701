/* SPDX-License-Identifier: MIT */
/* The builder of binary parameters: PostgreSQL's send/recv forms, all big-endian. */
#include "lib/base/assert.h"
#include "lib/pg/pg.h"

#include <endian.h>

/* From pg_type.dat; fixed for ever by PostgreSQL. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951,
};

void pg_params_init(struct pg_params *p, size_t max_bytes)
{
    *p = (struct pg_params){ .n = 0 };
    buf_init(&p->bytes, max_bytes);
}

void pg_params_release(struct pg_params *p)
{
    buf_release(&p->bytes);
    p->n = 0;
}

void pg_params_clear(struct pg_params *p)
{
    buf_clear(&p->bytes);
    p->n = 0;
}

static void param_begin(struct pg_params *p, uint32_t type)
{
    CQ_ASSERT(p->n < PG_PARAMS_MAX, p->n); /* statements are constants */
    p->type[p->n] = type;
    p->at[p->n] = p->bytes.n;
    p->null[p->n] = false;
}

static void param_end(struct pg_params *p)
{
    p->len[p->n] = p->bytes.n - p->at[p->n];
    p->n++;
}

static uint8_t *put_u32(uint8_t *to, uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof v);
    return to + sizeof v;
}

static uint8_t *put_i64(uint8_t *to, int64_t v)
{
    uint64_t u = htobe64((uint64_t)v);

    memcpy(to, &u, sizeof u);
    return to + sizeof u;
}

static uint8_t *put_bytes(uint8_t *to, const void *p, size_t n)
{
    if (n)
        memcpy(to, p, n);
    return to + n;
}

void pg_add_null(struct pg_params *p, uint32_t type_like_this_oid)
{
    param_begin(p, type_like_this_oid);
    p->null[p->n] = true;
    param_end(p);
}

void pg_add_bool(struct pg_params *p, bool v)
{
    param_begin(p, OID_BOOL);
    buf_add_byte(&p->bytes, v);
    param_end(p);
}

void pg_add_i32(struct pg_params *p, int32_t v)
{
    uint8_t b[4];

    param_begin(p, OID_INT4);
    put_u32(b, (uint32_t)v);
    buf_add(&p->bytes, b, sizeof b);
    param_end(p);
}

void pg_add_i64(struct pg_params *p, int64_t v)
{
    uint8_t b[8];

    param_begin(p, OID_INT8);
    put_i64(b, v);
    buf_add(&p->bytes, b, sizeof b);
    param_end(p);
}

void pg_add_uuid(struct pg_params *p, struct cq_id v)
{
    param_begin(p, OID_UUID);
    buf_add(&p->bytes, v.b, sizeof v.b);
    param_end(p);
}

void pg_add_text(struct pg_params *p, struct cq_span v)
{
    param_begin(p, OID_TEXT);
    buf_add_span(&p->bytes, v);
    param_end(p);
}

void pg_add_bytea(struct pg_params *p, struct cq_span v)
{
    param_begin(p, OID_BYTEA);
    buf_add_span(&p->bytes, v);
    param_end(p);
}

enum { ARRAY_HEAD_BYTES = 20, ARRAY_EMPTY_BYTES = 12 };

/**
 * Reserve an array of n values that take `values_bytes` beside their length words, and write its
 * head. NULL when the bound is reached (`bytes.failed` then says so) or n is 0 (already complete).
 */
static uint8_t *array_begin(struct pg_params *p, uint32_t array, uint32_t element, bool nulls,
                            size_t n, size_t values_bytes)
{
    size_t total = n ? ARRAY_HEAD_BYTES + 4 * n + values_bytes : ARRAY_EMPTY_BYTES;
    uint8_t *to;

    param_begin(p, array);
    to = n > INT32_MAX ? NULL : buf_reserve(&p->bytes, total);
    if (!to) {
        p->bytes.failed = true;
        return NULL;
    }
    p->bytes.n += total;
    to = put_u32(to, n ? 1 : 0); /* dimensions */
    to = put_u32(to, nulls);
    to = put_u32(to, element);
    if (!n)
        return NULL;
    to = put_u32(to, (uint32_t)n);
    return put_u32(to, 1); /* lower bound */
}

void pg_add_i32_array(struct pg_params *p, const int32_t *v, size_t n)
{
    uint8_t *to = array_begin(p, OID_INT4_ARRAY, OID_INT4, false, n, 4 * n);

    for (size_t i = 0; to && i < n; i++) {
        to = put_u32(to, 4);
        to = put_u32(to, (uint32_t)v[i]);
    }
    param_end(p);
}

void pg_add_i64_array(struct pg_params *p, const int64_t *v, size_t n)
{
    uint8_t *to = array_begin(p, OID_INT8_ARRAY, OID_INT8, false, n, 8 * n);

    for (size_t i = 0; to && i < n; i++) {
        to = put_u32(to, 8);
        to = put_i64(to, v[i]);
    }
    param_end(p);
}

/** How many of n values are NULL. */
static size_t nulls_count(const bool *null_at, size_t n)
{
    size_t nulls = 0;

    for (size_t i = 0; null_at && i < n; i++)
        nulls += null_at[i];
    return nulls;
}

void pg_add_uuid_array(struct pg_params *p, const struct cq_id *v, const bool *null_at, size_t n)
{
    size_t nulls = nulls_count(null_at, n);
    uint8_t *to = array_begin(p, OID_UUID_ARRAY, OID_UUID, nulls > 0, n, 16 * (n - nulls));

    for (size_t i = 0; to && i < n; i++) {
        bool null = null_at && null_at[i];

        to = put_u32(to, null ? UINT32_MAX : 16);
        if (!null)
            to = put_bytes(to, v[i].b, 16);
    }
    param_end(p);
}

static void spans_array(struct pg_params *p, uint32_t array, uint32_t element,
                        const struct cq_span *v, const bool *null_at, size_t n)
{
    size_t bytes = 0;
    uint8_t *to;

    for (size_t i = 0; i < n; i++)
        bytes += null_at && null_at[i] ? 0 : v[i].n;
    to = array_begin(p, array, element, nulls_count(null_at, n) > 0, n, bytes);
    for (size_t i = 0; to && i < n; i++) {
        bool null = null_at && null_at[i];

        to = put_u32(to, null ? UINT32_MAX : (uint32_t)v[i].n);
        if (!null)
            to = put_bytes(to, v[i].p, v[i].n);
    }
    param_end(p);
}

void pg_add_text_array(struct pg_params *p, const struct cq_span *v, const bool *null_at, size_t n)
{
    spans_array(p, OID_TEXT_ARRAY, OID_TEXT, v, null_at, n);
}

void pg_add_bytea_array(struct pg_params *p, const struct cq_span *v, size_t n)
{
    spans_array(p, OID_BYTEA_ARRAY, OID_BYTEA, v, NULL, n);
}
