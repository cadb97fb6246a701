/* SPDX-License-Identifier: MIT */
/* The builder of binary parameters: PostgreSQL's send/recv forms, all big-endian. */
#include "lib/base/assert.h"
#include "lib/pg/pg.h"

#include <endian.h>

/* From pg_type.dat; fixed for ever by PostgreSQL. */
enum {
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

void pg_params_init(struct pg_params *params, size_t max_bytes)
{
    *params = (struct pg_params){ .n = 0 };
    buf_init(&params->bytes, max_bytes);
}

void pg_params_release(struct pg_params *params)
{
    buf_release(&params->bytes);
    params->n = 0;
}

void pg_params_clear(struct pg_params *params)
{
    buf_clear(&params->bytes);
    params->n = 0;
}

static void param_begin(struct pg_params *params, uint32_t type)
{
    CQ_ASSERT(params->n < PG_PARAMS_MAX, params->n); /* statements are constants */
    params->type[params->n] = type;
    params->at[params->n] = params->bytes.n;
    params->null[params->n] = false;
}

static void param_end(struct pg_params *params)
{
    params->len[params->n] = params->bytes.n - params->at[params->n];
    params->n++;
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

/* In the order of enum pg_type. `bytes`: of one value; 0: it is a span. */
static const struct {
    uint32_t array, element;
    size_t bytes;
} types[] = {
    [PG_I32] = { OID_INT4_ARRAY, OID_INT4, sizeof(int32_t) },
    [PG_I64] = { OID_INT8_ARRAY, OID_INT8, sizeof(int64_t) },
    [PG_UUID] = { OID_UUID_ARRAY, OID_UUID, sizeof(struct cq_id) },
    [PG_TEXT] = { OID_TEXT_ARRAY, OID_TEXT, 0 },
    [PG_BYTEA] = { OID_BYTEA_ARRAY, OID_BYTEA, 0 },
};

void pg_add_null(struct pg_params *params, enum pg_type type)
{
    param_begin(params, types[type].element);
    params->null[params->n] = true;
    param_end(params);
}

void pg_add_i32(struct pg_params *params, int32_t v)
{
    uint8_t b[4];

    param_begin(params, OID_INT4);
    put_u32(b, (uint32_t)v);
    buf_add(&params->bytes, b, sizeof b);
    param_end(params);
}

void pg_add_i64(struct pg_params *params, int64_t v)
{
    uint8_t b[8];

    param_begin(params, OID_INT8);
    put_i64(b, v);
    buf_add(&params->bytes, b, sizeof b);
    param_end(params);
}

void pg_add_uuid(struct pg_params *params, struct cq_id id)
{
    param_begin(params, OID_UUID);
    buf_add(&params->bytes, id.b, sizeof id.b);
    param_end(params);
}

void pg_add_text(struct pg_params *params, struct cq_span span)
{
    param_begin(params, OID_TEXT);
    buf_add_span(&params->bytes, span);
    param_end(params);
}

void pg_add_bytea(struct pg_params *params, struct cq_span span)
{
    param_begin(params, OID_BYTEA);
    buf_add_span(&params->bytes, span);
    param_end(params);
}

enum { ARRAY_HEAD_BYTES = 20, ARRAY_EMPTY_BYTES = 12 };

/**
 * Reserve an array of n values that take `values_bytes` beside their length words, and write its
 * head. NULL when the bound is reached (`bytes.failed` then says so) or n is 0 (already complete).
 */
static uint8_t *array_begin(struct pg_params *params, uint32_t array, uint32_t element, bool nulls,
                            size_t n, size_t values_bytes)
{
    size_t total = n ? ARRAY_HEAD_BYTES + 4 * n + values_bytes : ARRAY_EMPTY_BYTES;
    uint8_t *to;

    param_begin(params, array);
    to = n > INT32_MAX ? NULL : buf_reserve(&params->bytes, total);
    if (!to) {
        params->bytes.failed = true;
        return NULL;
    }
    params->bytes.n += total;
    to = put_u32(to, n ? 1 : 0); /* dimensions */
    to = put_u32(to, nulls);
    to = put_u32(to, element);
    if (!n)
        return NULL;
    to = put_u32(to, (uint32_t)n);
    return put_u32(to, 1); /* lower bound */
}

/* Values of one type that lie `step` bytes apart, and the bools that say which of them are NULL. */
struct cells {
    const uint8_t *values;
    size_t step;
    const uint8_t *nulls; /* bools; NULL: no value is NULL */
    size_t nulls_step;
};

static bool is_null(const struct cells *cells, size_t i)
{
    bool null = false;

    if (cells->nulls)
        memcpy(&null, cells->nulls + i * cells->nulls_step, sizeof null);
    return null;
}

static struct cq_span span_at(const struct cells *cells, size_t i)
{
    struct cq_span span;

    memcpy(&span, cells->values + i * cells->step, sizeof span);
    return span;
}

static size_t cell_bytes(const struct cells *cells, enum pg_type type, size_t i)
{
    if (is_null(cells, i))
        return 0;
    return types[type].bytes ? types[type].bytes : span_at(cells, i).n;
}

/* A value, preceded by its length. */
static uint8_t *put_cell(uint8_t *to, const struct cells *cells, enum pg_type type, size_t i)
{
    const uint8_t *value = cells->values + i * cells->step;
    int32_t narrow;
    int64_t wide;
    struct cq_span span;

    to = put_u32(to, (uint32_t)cell_bytes(cells, type, i));
    switch (type) {
    case PG_I32:
        memcpy(&narrow, value, sizeof narrow);
        return put_u32(to, (uint32_t)narrow);
    case PG_I64:
        memcpy(&wide, value, sizeof wide);
        return put_i64(to, wide);
    case PG_UUID:
        return put_bytes(to, value, sizeof(struct cq_id));
    case PG_TEXT:
    case PG_BYTEA:
        span = span_at(cells, i);
        return put_bytes(to, span.p, span.n);
    }
    return to;
}

static void add_cells(struct pg_params *params, enum pg_type type, const struct cells *cells,
                      size_t n)
{
    size_t bytes = 0, nulls = 0;
    uint8_t *to;

    for (size_t i = 0; i < n; i++) {
        bytes += cell_bytes(cells, type, i);
        nulls += is_null(cells, i);
    }
    to = array_begin(params, types[type].array, types[type].element, nulls > 0, n, bytes);
    for (size_t i = 0; to && i < n; i++)
        to = is_null(cells, i) ? put_u32(to, UINT32_MAX) : put_cell(to, cells, type, i);
    param_end(params);
}

void pg_add_columns(struct pg_params *params, const struct pg_column *columns, size_t columns_n,
                    const void *rows, size_t row_bytes, size_t n)
{
    for (size_t i = 0; i < columns_n; i++) {
        const struct pg_column *column = &columns[i];
        struct cells cells = { .values = (const uint8_t *)rows + column->at, .step = row_bytes };

        if (column->null_at != PG_NEVER_NULL) {
            cells.nulls = (const uint8_t *)rows + column->null_at;
            cells.nulls_step = row_bytes;
        }
        add_cells(params, column->type, &cells, n);
    }
}

/* An array that is no column of a struct. */
static void add_array(struct pg_params *params, enum pg_type type, const void *values, size_t step,
                      const bool *null_at, size_t n)
{
    add_cells(params, type, &(struct cells){ values, step, (const uint8_t *)null_at, sizeof(bool) },
              n);
}

void pg_add_i32_array(struct pg_params *params, const int32_t *v, size_t n)
{
    add_array(params, PG_I32, v, sizeof *v, NULL, n);
}

void pg_add_i64_array(struct pg_params *params, const int64_t *v, size_t n)
{
    add_array(params, PG_I64, v, sizeof *v, NULL, n);
}

void pg_add_uuid_array(struct pg_params *params, const struct cq_id *id, const bool *null_at,
                       size_t n)
{
    add_array(params, PG_UUID, id, sizeof *id, null_at, n);
}

void pg_add_text_array(struct pg_params *params, const struct cq_span *span, const bool *null_at,
                       size_t n)
{
    add_array(params, PG_TEXT, span, sizeof *span, null_at, n);
}
