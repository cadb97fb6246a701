/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/fake_pg.h - a database for handlers under fuzzing: it says what `fake_pg` says.
 * Defines the functions of lib/pg/pg.c and result.c, so that those are not linked.
 */
#pragma once

#include "lib/pg/pg.h"

#include <stdlib.h>

enum fake_pg { FAKE_AWAY, FAKE_EMPTY, FAKE_REFUSED, FAKE_WRONG, FAKE_N };

static enum fake_pg fake_pg;

struct pg_result {
    int rows;
};

static const enum cq_status fake_statuses[] = { CQ_AGAIN, CQ_OK, CQ_POISON, CQ_FATAL };

enum cq_status pg_ready(struct pg *db, bool *ret_fresh)
{
    (void)db;
    if (ret_fresh)
        *ret_fresh = false;
    return CQ_OK;
}

enum cq_status pg_run(struct pg *db, const char *sql, const struct pg_params *params,
                      struct pg_result **ret)
{
    (void)db;
    (void)sql;
    (void)params;
    if (fake_pg == FAKE_EMPTY && ret)
        *ret = calloc(1, sizeof **ret);
    return fake_statuses[fake_pg];
}

enum cq_status pg_script(struct pg *db, const char *sql)
{
    (void)db;
    (void)sql;
    return fake_statuses[fake_pg];
}

enum cq_status pg_end(struct pg *db, enum cq_status st)
{
    enum cq_status ended = pg_script(db, st == CQ_OK ? "COMMIT" : "ROLLBACK");

    return st == CQ_OK ? ended : ended == CQ_OK ? st : CQ_AGAIN;
}

enum cq_status pg_patient(struct pg *db)
{
    (void)db;
    return CQ_OK;
}

enum cq_status pg_wait_notify(struct pg *db, int timeout_ms, pg_notify_fn *fn, void *arg)
{
    (void)db;
    (void)timeout_ms;
    (void)fn;
    (void)arg;
    return CQ_OK;
}

struct pg *pg_new(const char *url, const char *app)
{
    (void)url;
    (void)app;
    return NULL;
}

void pg_free(struct pg *db)
{
    (void)db;
}

void pg_limit(struct pg *db, int64_t ms)
{
    (void)db;
    (void)ms;
}

void pg_guard(struct pg *db, const char *word, const char *term)
{
    (void)db;
    (void)word;
    (void)term;
}

void pg_cancel(struct pg *db)
{
    (void)db;
}

const char *pg_error(const struct pg *db)
{
    (void)db;
    return "";
}

const char *pg_sqlstate(const struct pg *db)
{
    (void)db;
    return "";
}

int pg_rows(const struct pg_result *rows)
{
    return rows ? rows->rows : 0;
}

int64_t pg_affected(const struct pg_result *rows)
{
    (void)rows;
    return 0;
}

bool pg_null(const struct pg_result *rows, int row, int col)
{
    (void)rows;
    (void)row;
    (void)col;
    return true;
}

int64_t pg_i64(const struct pg_result *rows, int row, int col)
{
    (void)rows;
    (void)row;
    (void)col;
    return 0;
}

bool pg_bool(const struct pg_result *rows, int row, int col)
{
    (void)rows;
    (void)row;
    (void)col;
    return false;
}

struct cq_id pg_uuid(const struct pg_result *rows, int row, int col)
{
    (void)rows;
    (void)row;
    (void)col;
    return (struct cq_id){ 0 };
}

struct cq_span pg_bytes(const struct pg_result *rows, int row, int col)
{
    (void)rows;
    (void)row;
    (void)col;
    return span_of(NULL, 0);
}

void pg_result_free(struct pg_result *rows)
{
    free(rows);
}
