/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/migrate.h"

#include "lib/base/hash.h"
#include "sinks/persistence/migrations.h"

#include <string.h>

enum { PARAMS_BYTES = 4096, HASH_TEXT = 65 };

static const char sql_table[] =
    "CREATE SCHEMA IF NOT EXISTS migrations;"
    "CREATE TABLE IF NOT EXISTS migrations.applied ("
    " owner text NOT NULL, name text NOT NULL, sha256 text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (owner, name))";

/* The number is the project's name in ASCII. */
static const char sql_lock[] = "SELECT pg_advisory_lock(27980790452286825)";
static const char sql_unlock[] = "SELECT pg_advisory_unlock(27980790452286825)";
static const char sql_find[] =
    "SELECT sha256 FROM migrations.applied WHERE owner = $1 AND name = $2";
static const char sql_note[] =
    "INSERT INTO migrations.applied (owner, name, sha256) VALUES ($1, $2, $3)";
static const char sql_forget[] = "DELETE FROM migrations.applied WHERE owner = $1";

static void hash_text(const char *sql, char out[HASH_TEXT])
{
    struct cq_span text = span_str(sql);
    uint8_t digest[32];

    sha256(&text, 1, digest);
    hex_format(digest, sizeof digest, out);
}

/* One file, inside a transaction. */
static enum cq_status apply(struct pg *db, const struct migration *migration,
                            struct pg_params *params, FILE *out)
{
    char hash[HASH_TEXT];
    enum cq_status st = pg_script(db, migration->sql);

    if (st == CQ_OK) {
        hash_text(migration->sql, hash);
        pg_params_clear(params);
        pg_add_text(params, span_str(migration->owner));
        pg_add_text(params, span_str(migration->name));
        pg_add_text(params, span_str(hash));
        st = pg_run(db, sql_note, params, NULL);
    }
    fprintf(out, "%s/%s: %s\n", migration->owner, migration->name,
            st == CQ_OK ? "applied" : pg_error(db));
    return st;
}

static enum cq_status applied_before(struct pg *db, const struct migration *migration,
                                     struct pg_params *params, FILE *out, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char hash[HASH_TEXT];
    enum cq_status st;

    pg_params_clear(params);
    pg_add_text(params, span_str(migration->owner));
    pg_add_text(params, span_str(migration->name));
    st = pg_run(db, sql_find, params, &rows);
    if (st != CQ_OK)
        return st;
    *ret = pg_rows(rows) > 0;
    hash_text(migration->sql, hash);
    if (*ret && !span_eq_str(pg_bytes(rows, 0, 0), hash)) {
        fprintf(out, "%s/%s: its text is not what was applied; a change is a new file\n",
                migration->owner, migration->name);
        return CQ_FATAL;
    }
    return CQ_OK;
}

static enum cq_status apply_missing(struct pg *db, const struct migration *migration,
                                    struct pg_params *params, FILE *out)
{
    bool there = false;
    enum cq_status st = applied_before(db, migration, params, out, &there);

    if (st != CQ_OK || there)
        return st;
    st = pg_script(db, "BEGIN");
    if (st == CQ_OK)
        st = apply(db, migration, params, out);
    if (st == CQ_OK)
        return pg_script(db, "COMMIT");
    if (pg_script(db, "ROLLBACK") != CQ_OK)
        return CQ_AGAIN;
    return st;
}

enum cq_status migrate_lock(struct pg *db)
{
    enum cq_status st = pg_patient(db);

    if (st == CQ_OK)
        st = pg_run(db, sql_lock, NULL, NULL);
    return st;
}

enum cq_status migrate_unlock(struct pg *db)
{
    return pg_run(db, sql_unlock, NULL, NULL);
}

enum cq_status migrate_up(struct pg *db, FILE *out)
{
    struct pg_params params;
    enum cq_status st = migrate_lock(db);

    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    st = pg_script(db, sql_table);
    for (const struct migration *migration = migrations; st == CQ_OK && migration->owner;
         migration++)
        st = apply_missing(db, migration, &params, out);
    pg_params_release(&params);
    if (st == CQ_OK)
        st = migrate_unlock(db);
    return st;
}

enum cq_status migrate_again(struct pg *db, const char *owner, FILE *out)
{
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_text(&params, span_str(owner));
    st = pg_run(db, sql_forget, &params, NULL);
    for (const struct migration *migration = migrations; st == CQ_OK && migration->owner;
         migration++)
        if (strcmp(migration->owner, owner) == 0)
            st = apply(db, migration, &params, out);
    pg_params_release(&params);
    return st;
}
