/* SPDX-License-Identifier: MIT */
/*
 * lib/pg/pg.h - PostgreSQL as this project uses it: prepared statements, binary parameters and
 * results, errors as statuses. The one owner of libpq-fe.h. One connection belongs to one thread.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"

struct pg;        /* a connection, reopened by pg_ready() after it broke */
struct pg_result; /* rows in binary form */

/** `url` and `app` are copied. Does not connect yet. Owned by caller. */
struct pg *pg_new(const char *url, const char *app);
void pg_free(struct pg *c); /* NULL is fine */

/** Connected, usable and in no transaction: reconnects when needed, rolls back what a given-up turn
 * left open. CQ_AGAIN: not now (back off). `*ret_fresh` (may be NULL): true when this call
 * connected. */
CQ_MUST_CHECK enum cq_status pg_ready(struct pg *c, bool *ret_fresh);

/** For those who go on without an answer rather than wait: at most `ms` for each from here on, over
 * reopenings too. */
void pg_limit(struct pg *c, int64_t ms);

/** Its statements do not count as the role's own (lib/base/contact.h). For a watch. */
void pg_uncounted(struct pg *c);

/** From here on a statement of pg_run() whose text has `word` answers only where `term` (an
 * expression without columns or parameters, stable) is true; it may raise instead. It has to be a
 * SELECT: others with the word are CQ_FATAL. Both borrowed for c's life; before the first
 * statement. */
void pg_guard(struct pg *c, const char *word, const char *term);

/** Words of the last failure for a log line (no parameters in it); borrowed until the next call. */
const char *pg_error(const struct pg *c);

/** How many failures there were: whether pg_error() is of this try or of one long ago. */
uint64_t pg_failures(const struct pg *c);

/** SQLSTATE of the last failure, "" when there was none. */
const char *pg_sqlstate(const struct pg *c);

/* ---- parameters: one builder a statement, reused; all sent in binary ------------------ */

enum { PG_PARAMS_MAX = 24 };
struct pg_params {
    int n;
    uint32_t type[PG_PARAMS_MAX]; /* OIDs */
    size_t at[PG_PARAMS_MAX];     /* start in `bytes` */
    size_t len[PG_PARAMS_MAX];
    bool null[PG_PARAMS_MAX];
    struct cq_buf bytes;
};

void pg_params_init(struct pg_params *p, size_t max_bytes);
void pg_params_release(struct pg_params *p);
void pg_params_clear(struct pg_params *p);

void pg_add_null(struct pg_params *p, uint32_t type_like_this_oid);
void pg_add_bool(struct pg_params *p, bool v);
void pg_add_i32(struct pg_params *p, int32_t v);
void pg_add_i64(struct pg_params *p, int64_t v);
void pg_add_uuid(struct pg_params *p, struct cq_id v);
void pg_add_text(struct pg_params *p, struct cq_span v);
void pg_add_bytea(struct pg_params *p, struct cq_span v);

/* Arrays for `unnest`: n values laid out by the caller; null_at may be NULL. */
void pg_add_i32_array(struct pg_params *p, const int32_t *v, size_t n);
void pg_add_i64_array(struct pg_params *p, const int64_t *v, size_t n);
void pg_add_uuid_array(struct pg_params *p, const struct cq_id *v, const bool *null_at, size_t n);
void pg_add_text_array(struct pg_params *p, const struct cq_span *v, const bool *null_at, size_t n);
void pg_add_bytea_array(struct pg_params *p, const struct cq_span *v, size_t n);

/* ---- statements ----------------------------------------------------------------------- */

/**
 * Run one statement, prepared under its text the first time. `sql` must be a string constant (its
 * address is the cache key). `params` may be NULL. CQ_OK: `*ret` (may be NULL) is owned by the
 * caller. CQ_AGAIN: connection lost, server away, lock timeout, deadlock (SQLSTATE 08 40 53 55 57
 * 58): the outcome is unknown. CQ_POISON: the data was refused (22, 23). CQ_FATAL: anything else
 * (our statement is wrong).
 */
CQ_MUST_CHECK enum cq_status pg_run(struct pg *c, const char *sql, const struct pg_params *params,
                                    struct pg_result **ret);

/** Several statements of constant text in one round trip, no results (BEGIN, COMMIT, migrations).
 * Same statuses. */
CQ_MUST_CHECK enum cq_status pg_script(struct pg *c, const char *sql);

/** No statement time-out on this connection until it is reopened (migrations). */
CQ_MUST_CHECK enum cq_status pg_patient(struct pg *c);

int pg_rows(const struct pg_result *r);
int64_t pg_affected(const struct pg_result *r); /* rows touched by INSERT, UPDATE, DELETE */
bool pg_null(const struct pg_result *r, int row, int col);
int64_t pg_i64(const struct pg_result *r, int row, int col); /* int2, int4, int8; 0 for NULL */
bool pg_bool(const struct pg_result *r, int row, int col);
struct cq_id pg_uuid(const struct pg_result *r, int row, int col); /* zero for NULL */
struct cq_span pg_bytes(const struct pg_result *r, int row,
                        int col); /* text, bytea; borrowed from the result */
void pg_result_free(struct pg_result *r);

CQ_DEFINE_AUTO(pg, struct pg *, pg_free)
CQ_DEFINE_AUTO(pgresult, struct pg_result *, pg_result_free)

/* ---- notifications -------------------------------------------------------------------- */

/** Called for each NOTIFY; both borrowed. */
typedef void pg_notify_fn(void *arg, const char *channel, const char *payload);

/** Wait up to `timeout_ms` for notifications on a connection that ran LISTEN; back after the first
 * that came. CQ_AGAIN: the connection broke (LISTEN again). */
CQ_MUST_CHECK enum cq_status pg_wait_notify(struct pg *c, int timeout_ms, pg_notify_fn *fn,
                                            void *arg);

/** Ask a running pg_run/pg_wait_notify of another thread to end soon. Any thread. */
void pg_cancel(struct pg *c);

/* ---- whether PostgreSQL answers ------------------------------------------------------- */

struct pg_watch; /* a thread and a connection of its own */

/** Ask the server once a second and note the answers (lib/base/contact.h). One a process, for its
 * whole life. `url` is copied; `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status pg_watch_start(const char *url, struct pg_watch **ret);
void pg_watch_stop(struct pg_watch *w); /* at most a second; NULL is fine */
