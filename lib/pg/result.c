/* SPDX-License-Identifier: MIT */
/* Reading binary results. A pg_result is libpq's own object under another name. */
#include "lib/pg/pg.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>

static const PGresult *result_of(const struct pg_result *rows)
{
    return (const PGresult *)rows;
}

void pg_result_free(struct pg_result *rows)
{
    PQclear((PGresult *)rows);
}

int pg_rows(const struct pg_result *rows)
{
    return rows ? PQntuples(result_of(rows)) : 0;
}

int64_t pg_affected(const struct pg_result *rows)
{
    /* libpq lacks the const; it only reads. */
    return rows ? strtoll(PQcmdTuples((PGresult *)(uintptr_t)rows), NULL, 10) : 0;
}

bool pg_null(const struct pg_result *rows, int row, int col)
{
    return PQgetisnull(result_of(rows), row, col) != 0;
}

struct cq_span pg_bytes(const struct pg_result *rows, int row, int col)
{
    const PGresult *res = result_of(rows);

    return span_of(PQgetvalue(res, row, col), (size_t)PQgetlength(res, row, col));
}

int64_t pg_i64(const struct pg_result *rows, int row, int col)
{
    struct cq_span span = pg_bytes(rows, row, col);
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    switch (span.n) {
    case sizeof v16:
        memcpy(&v16, span.p, sizeof v16);
        return (int16_t)be16toh(v16);
    case sizeof v32:
        memcpy(&v32, span.p, sizeof v32);
        return (int32_t)be32toh(v32);
    case sizeof v64:
        memcpy(&v64, span.p, sizeof v64);
        return (int64_t)be64toh(v64);
    default:
        return 0;
    }
}

bool pg_bool(const struct pg_result *rows, int row, int col)
{
    struct cq_span span = pg_bytes(rows, row, col);

    return span.n == 1 && span.p[0];
}

struct cq_id pg_uuid(const struct pg_result *rows, int row, int col)
{
    struct cq_span span = pg_bytes(rows, row, col);
    struct cq_id id = { { 0 } };

    if (span.n == sizeof id.b)
        memcpy(id.b, span.p, sizeof id.b);
    return id;
}
