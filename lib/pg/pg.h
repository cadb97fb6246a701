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
void pg_free(struct pg *db); /* NULL is fine */

/** Connected, usable and in no transaction: reconnects when needed, rolls back what a given-up turn
 * left open. CQ_AGAIN: not now (back off). `*ret_fresh` (may be NULL): true when this call
 * connected. */
CQ_MUST_CHECK enum cq_status pg_ready(struct pg *db, bool *ret_fresh);

/** Wait at most `ms` for each answer from here on, also after a reconnect: for callers that would
 * rather go on without one. */
void pg_limit(struct pg *db, int64_t ms);

/** The statements of this connection do not count as the role's own (lib/base/contact.h). For a
 * watch. */
void pg_uncounted(struct pg *db);

/** From here on a statement of pg_run() whose text has `word` answers only where `term` (an
 * expression without columns or parameters, stable) is true; it may raise instead. It has to be a
 * SELECT: others with the word are CQ_FATAL. Both are borrowed for the connection's life. Call it
 * before the first statement. */
void pg_guard(struct pg *db, const char *word, const char *term);

/** Words of the last failure for a log line (no parameters in it); borrowed until the next call. */
const char *pg_error(const struct pg *db);

/** How many failures there were so far. It tells whether pg_error() is of this try or of an earlier
 * one. */
uint64_t pg_failures(const struct pg *db);

/** SQLSTATE of the last failure; "" when there was none since the last pg_run() began. pg_script() leaves
 * it, so that it outlives a ROLLBACK. */
const char *pg_sqlstate(const struct pg *db);

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

void pg_params_init(struct pg_params *params, size_t max_bytes); /* of all values together */
void pg_params_release(struct pg_params *params);
void pg_params_clear(struct pg_params *params); /* for the next statement; memory is kept */

enum pg_type { PG_I32, PG_I64, PG_UUID, PG_TEXT, PG_BYTEA };

/* Each adds a copy of the next parameter ($1, $2, …). Beyond `max_bytes` pg_run() is CQ_POISON. */

void pg_add_null(struct pg_params *params, enum pg_type type);
void pg_add_i32(struct pg_params *params, int32_t v);
void pg_add_i64(struct pg_params *params, int64_t v);
void pg_add_uuid(struct pg_params *params, struct cq_id id);
void pg_add_text(struct pg_params *params, struct cq_span span);
void pg_add_bytea(struct pg_params *params, struct cq_span span);

/* Arrays for `unnest`: n values laid out by the caller; null_at may be NULL. */
void pg_add_i32_array(struct pg_params *params, const int32_t *v, size_t n);
void pg_add_i64_array(struct pg_params *params, const int64_t *v, size_t n);
void pg_add_uuid_array(struct pg_params *params, const struct cq_id *id, const bool *null_at,
                       size_t n);
void pg_add_text_array(struct pg_params *params, const struct cq_span *span, const bool *null_at,
                       size_t n);

/* Arrays for `unnest` from rows: each column from its member of an array of structs. */

#define PG_NEVER_NULL SIZE_MAX

struct pg_column {
    const char *name; /* in its table */
    enum pg_type type;
    size_t at;      /* of the value in a row's struct */
    size_t null_at; /* of a bool in it that says the value is NULL; or PG_NEVER_NULL */
};

/** A member of `struct row` as a column; its C type says which. */
#define PG_COLUMN(row, member, name)                                                \
    {                                                                               \
        name, PG_TYPE_OF_(row, member), offsetof(struct row, member), PG_NEVER_NULL \
    }
/** The same, where the bool `null` of the row says that the value is NULL. */
#define PG_COLUMN_OR_NULL(row, member, null, name)                                               \
    {                                                                                            \
        name, PG_TYPE_OF_(row, member), offsetof(struct row, member), offsetof(struct row, null) \
    }
/** A span that is a bytea, not a text. */
#define PG_COLUMN_BYTES(row, member, name)                          \
    {                                                               \
        name, PG_BYTEA, offsetof(struct row, member), PG_NEVER_NULL \
    }
#define PG_TYPE_OF_(row, member)                   \
    _Generic(((struct row *)NULL)->member, int32_t \
             : PG_I32, int64_t                     \
             : PG_I64, struct cq_id                \
             : PG_UUID, struct cq_span             \
             : PG_TEXT)

/** Add one array for each of `columns`, from the `n` structs of `row_bytes` each at `rows`. */
void pg_add_columns(struct pg_params *params, const struct pg_column *columns, size_t columns_n,
                    const void *rows, size_t row_bytes, size_t n);

/* ---- statements ----------------------------------------------------------------------- */

/**
 * Run one statement, prepared under its text the first time. `sql` must be a string constant (its
 * address is the cache key). `params` may be NULL. CQ_OK: `*ret` (may be NULL) is owned by the
 * caller. CQ_AGAIN: connection lost, server away, lock timeout, deadlock (SQLSTATE 08 40 53 55 57
 * 58): the outcome is unknown. CQ_POISON: the data was refused (22, 23). CQ_FATAL: anything else
 * (our statement is wrong).
 */
CQ_MUST_CHECK enum cq_status pg_run(struct pg *db, const char *sql, const struct pg_params *params,
                                    struct pg_result **ret);

/** The same; `params` are released whatever the status. */
CQ_MUST_CHECK enum cq_status pg_run_once(struct pg *db, const char *sql, struct pg_params *params,
                                         struct pg_result **ret);

/** The same, when all that matters is whether there is a row: `*ret`, written on CQ_OK only. */
CQ_MUST_CHECK enum cq_status pg_found(struct pg *db, const char *sql, struct pg_params *params,
                                      bool *ret);

/** Several statements of constant text in one round trip, no results (BEGIN, COMMIT, migrations).
 * Same statuses. */
CQ_MUST_CHECK enum cq_status pg_script(struct pg *db, const char *sql);

/** End a transaction by how it went: COMMIT where `st` is CQ_OK, else ROLLBACK. `st`, or the status of the COMMIT; CQ_AGAIN
 * when it could not even be rolled back. */
CQ_MUST_CHECK enum cq_status pg_end(struct pg *db, enum cq_status st);

/** No statement time-out on this connection until it is reopened (migrations). */
CQ_MUST_CHECK enum cq_status pg_patient(struct pg *db);

int pg_rows(const struct pg_result *rows);
int64_t pg_affected(const struct pg_result *rows); /* rows touched by INSERT, UPDATE, DELETE */
bool pg_null(const struct pg_result *rows, int row, int col);
int64_t pg_i64(const struct pg_result *rows, int row, int col); /* int2, int4, int8; 0 for NULL */
bool pg_bool(const struct pg_result *rows, int row, int col);
struct cq_id pg_uuid(const struct pg_result *rows, int row, int col); /* zero for NULL */
/** Of text and bytea; borrowed from the result. */
struct cq_span pg_bytes(const struct pg_result *rows, int row, int col);
void pg_result_free(struct pg_result *rows); /* NULL is fine */

CQ_DEFINE_AUTO(pg, struct pg *, pg_free)
CQ_DEFINE_AUTO(pgresult, struct pg_result *, pg_result_free)

/* ---- notifications -------------------------------------------------------------------- */

/** Called for each NOTIFY; both borrowed. */
typedef void pg_notify_fn(void *arg, const char *channel, const char *payload);

/** Wait up to `timeout_ms` for notifications on a connection that ran LISTEN; returns once some
 * have come. CQ_AGAIN: the connection broke (LISTEN again). */
CQ_MUST_CHECK enum cq_status pg_wait_notify(struct pg *db, int timeout_ms, pg_notify_fn *fn,
                                            void *arg);

/** Ask a running pg_run/pg_wait_notify of another thread to end soon. Any thread. */
void pg_cancel(struct pg *db);

/* ---- whether PostgreSQL answers ------------------------------------------------------- */

struct pg_watch; /* a thread and a connection of its own */

/** Ask the server once a second and note the answers (lib/base/contact.h). One a process, for its
 * whole life. `url` is copied; `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status pg_watch_start(const char *url, struct pg_watch **ret);
void pg_watch_stop(struct pg_watch *watch); /* at most a second; NULL is fine */
