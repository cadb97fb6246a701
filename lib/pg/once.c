/* SPDX-License-Identifier: MIT */
#include "lib/pg/pg.h"

enum cq_status pg_run_once(struct pg *db, const char *sql, struct pg_params *params,
                           struct pg_result **ret)
{
    enum cq_status st = pg_run(db, sql, params, ret);

    pg_params_release(params);
    return st;
}

enum cq_status pg_found(struct pg *db, const char *sql, struct pg_params *params, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run_once(db, sql, params, &rows);

    if (st == CQ_OK)
        *ret = pg_rows(rows) > 0;
    return st;
}
