/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/rebuild.h"

#include "sinks/persistence/migrate.h"

static const char sql_is_there[] = "SELECT to_regclass('view.rebuild') IS NOT NULL";

/* A rebuild may come before the one before it is through: the higher mark counts. */
static const char sql_keep[] =
    "CREATE TEMP TABLE told ON COMMIT DROP AS "
    "SELECT consumer, topic, partition, "
    "GREATEST(COALESCE(p.next, 0), COALESCE(r.until, 0)) AS until "
    "FROM view.positions p FULL JOIN view.rebuild r USING (consumer, topic, partition)";

static const char sql_drop[] =
    "DROP SCHEMA IF EXISTS model CASCADE; DROP SCHEMA IF EXISTS view CASCADE";

static const char sql_mark[] = "INSERT INTO view.rebuild SELECT * FROM pg_temp.told";

static enum cq_status replace_view(struct pg *c, FILE *out)
{
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st = pg_run(c, sql_is_there, NULL, &res);
    bool there = st == CQ_OK && pg_bool(res, 0, 0);

    if (st == CQ_OK && there)
        st = pg_script(c, sql_keep);
    if (st == CQ_OK)
        st = pg_script(c, sql_drop);
    if (st == CQ_OK)
        st = migrate_again(c, "view", out);
    if (st == CQ_OK && there)
        st = pg_script(c, sql_mark);
    return st;
}

enum cq_status rebuild_view(struct pg *c, FILE *out)
{
    enum cq_status st = migrate_up(c, out); /* also makes what the drop and the marks need */

    if (st == CQ_OK)
        st = migrate_lock(c);
    if (st == CQ_OK)
        st = pg_script(c, "BEGIN");
    if (st == CQ_OK)
        st = replace_view(c, out);
    if (st == CQ_OK)
        st = pg_script(c, "COMMIT");
    if (st != CQ_OK)
        return st; /* the connection ends with the command, and with it transaction and lock */
    fputs("the view is empty; start persistence and status to fill it from the log\n", out);
    return migrate_unlock(c);
}
