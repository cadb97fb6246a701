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
static enum cq_status apply(struct pg *c, const struct migration *m, struct pg_params *p, FILE *out)
{
    char hash[HASH_TEXT];
    enum cq_status st = pg_script(c, m->sql);

    if (st == CQ_OK) {
        hash_text(m->sql, hash);
        pg_params_clear(p);
        pg_add_text(p, span_str(m->owner));
        pg_add_text(p, span_str(m->name));
        pg_add_text(p, span_str(hash));
        st = pg_run(c, sql_note, p, NULL);
    }
    fprintf(out, "%s/%s: %s\n", m->owner, m->name, st == CQ_OK ? "applied" : pg_error(c));
    return st;
}

static enum cq_status applied_before(struct pg *c, const struct migration *m, struct pg_params *p,
                                     FILE *out, bool *ret)
{
    cq_auto(pgresult) struct pg_result *res = NULL;
    char hash[HASH_TEXT];
    enum cq_status st;

    pg_params_clear(p);
    pg_add_text(p, span_str(m->owner));
    pg_add_text(p, span_str(m->name));
    st = pg_run(c, sql_find, p, &res);
    if (st != CQ_OK)
        return st;
    *ret = pg_rows(res) > 0;
    hash_text(m->sql, hash);
    if (*ret && !span_eq_str(pg_bytes(res, 0, 0), hash)) {
        fprintf(out, "%s/%s: its text is not what was applied; a change is a new file\n", m->owner,
                m->name);
        return CQ_FATAL;
    }
    return CQ_OK;
}

static enum cq_status apply_missing(struct pg *c, const struct migration *m, struct pg_params *p,
                                    FILE *out)
{
    bool there = false;
    enum cq_status st = applied_before(c, m, p, out, &there);

    if (st != CQ_OK || there)
        return st;
    st = pg_script(c, "BEGIN");
    if (st == CQ_OK)
        st = apply(c, m, p, out);
    if (st == CQ_OK)
        return pg_script(c, "COMMIT");
    if (pg_script(c, "ROLLBACK") != CQ_OK)
        return CQ_AGAIN;
    return st;
}

enum cq_status migrate_lock(struct pg *c)
{
    enum cq_status st = pg_patient(c);

    if (st == CQ_OK)
        st = pg_run(c, sql_lock, NULL, NULL);
    return st;
}

enum cq_status migrate_unlock(struct pg *c)
{
    return pg_run(c, sql_unlock, NULL, NULL);
}

enum cq_status migrate_up(struct pg *c, FILE *out)
{
    struct pg_params p;
    enum cq_status st = migrate_lock(c);

    if (st != CQ_OK)
        return st;
    pg_params_init(&p, PARAMS_BYTES);
    st = pg_script(c, sql_table);
    for (const struct migration *m = migrations; st == CQ_OK && m->owner; m++)
        st = apply_missing(c, m, &p, out);
    pg_params_release(&p);
    if (st == CQ_OK)
        st = migrate_unlock(c);
    return st;
}

enum cq_status migrate_again(struct pg *c, const char *owner, FILE *out)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_text(&p, span_str(owner));
    st = pg_run(c, sql_forget, &p, NULL);
    for (const struct migration *m = migrations; st == CQ_OK && m->owner; m++)
        if (strcmp(m->owner, owner) == 0)
            st = apply(c, m, &p, out);
    pg_params_release(&p);
    return st;
}
