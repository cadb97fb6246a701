/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/rebuild.h"

#include "sinks/persistence/migrate.h"

#include <string.h>

enum { TRIES_MAX = 10 };

static const char sql_is_there[] = "SELECT to_regclass('view.rebuild') IS NOT NULL";

/* A rebuild may begin before the previous one has finished: the higher mark counts. */
static const char sql_keep[] =
    "CREATE TEMP TABLE told ON COMMIT DROP AS "
    "SELECT consumer, topic, partition, "
    "GREATEST(COALESCE(p.next, 0), COALESCE(r.until, 0)) AS until "
    "FROM view.positions p FULL JOIN view.rebuild r USING (consumer, topic, partition)";

/* The first statement of each turn of a sink updates a row of this table, so with the lock no turn
 * is half-way. */
static const char sql_wait[] = "LOCK TABLE view.positions IN ACCESS EXCLUSIVE MODE";

static const char sql_drop[] =
    "DROP SCHEMA IF EXISTS model CASCADE; DROP SCHEMA IF EXISTS view CASCADE";

/* Nothing is told anew: what was a dead letter is one. */
static const char sql_drop_search[] =
    "DROP SCHEMA IF EXISTS search CASCADE;"
    "INSERT INTO view.rebuild AS r (consumer, topic, partition, until) "
    "SELECT consumer, topic, partition, next FROM view.positions WHERE consumer = 'search' "
    "ON CONFLICT (consumer, topic, partition) DO UPDATE SET "
    "until = greatest(r.until, excluded.until);"
    "DELETE FROM view.positions WHERE consumer = 'search'";

static const char sql_mark[] = "INSERT INTO view.rebuild SELECT * FROM pg_temp.told";

static enum cq_status replace_view(struct pg *db, FILE *out)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql_is_there, NULL, &rows);
    bool there = st == CQ_OK && pg_bool(rows, 0, 0);

    if (st == CQ_OK && there)
        st = pg_script(db, sql_wait);
    if (st == CQ_OK && there)
        st = pg_script(db, sql_keep);
    if (st == CQ_OK)
        st = pg_script(db, sql_drop);
    if (st == CQ_OK)
        st = migrate_again(db, "view", out);
    if (st == CQ_OK && there)
        st = pg_script(db, sql_mark);
    return st;
}

/* Readers can deadlock with each other and with this; PostgreSQL then ends one of the waiting. */
static bool met_readers(struct pg *db, enum cq_status st)
{
    return st == CQ_AGAIN && strcmp(pg_sqlstate(db), "40P01") == 0 &&
           pg_script(db, "ROLLBACK") == CQ_OK;
}

static enum cq_status replace_search(struct pg *db, FILE *out)
{
    enum cq_status st = pg_script(db, sql_wait);

    if (st == CQ_OK)
        st = pg_script(db, sql_drop_search);
    return st == CQ_OK ? migrate_again(db, "search", out) : st;
}

typedef enum cq_status replace_fn(struct pg *db, FILE *out);

static enum cq_status rebuild(struct pg *db, FILE *out, replace_fn *replace, const char *words)
{
    enum cq_status st = migrate_up(db, out); /* also makes what the drop and the marks need */
    int tries = 0;

    if (st == CQ_OK)
        st = migrate_lock(db);
    if (st != CQ_OK)
        return st;
    do {
        st = pg_script(db, "BEGIN");
        if (st == CQ_OK)
            st = replace(db, out);
        if (st == CQ_OK)
            st = pg_script(db, "COMMIT");
    } while (met_readers(db, st) && ++tries < TRIES_MAX);
    if (st != CQ_OK)
        return st; /* the connection ends with the command, and with it transaction and lock */
    fputs(words, out);
    return migrate_unlock(db);
}

enum cq_status rebuild_view(struct pg *db, FILE *out)
{
    return rebuild(
        db, out, replace_view,
        "the view is empty: persistence and status fill it from the log, those that run begin again "
        "with it; until then it is not read. The role search reads the log again, too, and its "
        "tables keep what they have; rebuild-search empties them\n");
}

enum cq_status rebuild_search(struct pg *db, FILE *out)
{
    return rebuild(db, out, replace_search,
                   "what search begins from is empty: the role search fills it from the log; until "
                   "then answers say how late it is\n");
}
