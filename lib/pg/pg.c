/* SPDX-License-Identifier: MIT */
/*
 * One connection. Statements go out without blocking and are awaited with poll() and a deadline:
 * statement_timeout is the server's, and a server that is stopped does not keep it.
 */
#include "lib/pg/pg.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    STATEMENTS_MAX = 256, /* prepared on one connection */
    STATEMENT_SLOTS = 512,
    SQL_TIMEOUT_MS = 30000,
    ANSWER_TIMEOUT_MS = SQL_TIMEOUT_MS + 5000, /* the server's own time-out comes first */
    ERROR_MAX = 256,
};

CQ_DEFINE_AUTO(pqresult, PGresult *, PQclear)

struct pg {
    char *url; /* owned */
    char *app; /* owned */
    PGconn *conn;
    int wake_fd;                         /* eventfd that pg_cancel() writes */
    pthread_mutex_t cancel_lock;         /* guards `cancel` */
    PGcancel *cancel;                    /* owned; NULL while not connected */
    const char *sql[STATEMENT_SLOTS];    /* open addressing on the constant's address */
    int statements_n;                    /* slots in use */
    int64_t answer_ms;                   /* how long to wait for an answer; < 0: for ever */
    int64_t limit_ms;                    /* what answer_ms is on a new connection */
    const char *guard_word, *guard_term; /* borrowed; NULL: none */
    uint64_t failures_n;
    bool uncounted; /* see pg_uncounted() */
    char error[ERROR_MAX];
    char sqlstate[6];
};

struct pg *pg_new(const char *url, const char *app)
{
    struct pg *db = calloc(1, sizeof *db);

    if (!db)
        abort();
    db->url = strdup(url);
    db->app = strdup(app);
    db->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    db->answer_ms = db->limit_ms = ANSWER_TIMEOUT_MS;
    if (!db->url || !db->app || db->wake_fd < 0 || pthread_mutex_init(&db->cancel_lock, NULL))
        abort();
    return db;
}

static void connection_drop(struct pg *db)
{
    pthread_mutex_lock(&db->cancel_lock);
    PQfreeCancel(db->cancel);
    db->cancel = NULL;
    pthread_mutex_unlock(&db->cancel_lock);
    PQfinish(db->conn);
    db->conn = NULL;
    memset(db->sql, 0, sizeof db->sql);
    db->statements_n = 0;
}

void pg_free(struct pg *db)
{
    if (!db)
        return;
    connection_drop(db);
    pthread_mutex_destroy(&db->cancel_lock);
    close(db->wake_fd);
    free(db->url);
    free(db->app);
    free(db);
}

void pg_limit(struct pg *db, int64_t ms)
{
    db->answer_ms = db->limit_ms = ms;
}

void pg_uncounted(struct pg *db)
{
    db->uncounted = true;
}

void pg_guard(struct pg *db, const char *word, const char *term)
{
    db->guard_word = word;
    db->guard_term = term;
}

const char *pg_error(const struct pg *db)
{
    return db->error;
}

uint64_t pg_failures(const struct pg *db)
{
    return db->failures_n;
}

const char *pg_sqlstate(const struct pg *db)
{
    return db->sqlstate;
}

/** Keep the first line of `text` as the error. */
static void error_set(struct pg *db, const char *sqlstate, const char *text)
{
    db->failures_n++;
    snprintf(db->sqlstate, sizeof db->sqlstate, "%s", sqlstate ? sqlstate : "");
    snprintf(db->error, sizeof db->error, "%.*s", (int)strcspn(text, "\n"), text);
}

/* Notices ("already exists, skipping") are no log lines of ours. */
static void notice_drop(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

static enum cq_status connection_open(struct pg *db)
{
    /* Later keywords win, so what the url says for itself overrides these defaults. */
    static const char *const names[] = { "application_name",
                                         "connect_timeout",
                                         "keepalives",
                                         "keepalives_idle",
                                         "keepalives_interval",
                                         "keepalives_count",
                                         "tcp_user_timeout",
                                         "client_encoding",
                                         "options",
                                         "dbname",
                                         NULL };
    char options[256];
    const char *values[ARRAY_LEN(names)] = { db->app, "5",    "1",     "10",    "5", "3",
                                             "15000", "UTF8", options, db->url, NULL };

    /* A statement is planned once for a connection, and tables may be empty then: the plan must be
     * the one that holds when they have grown. */
    snprintf(options, sizeof options,
             "-c statement_timeout=%d -c idle_in_transaction_session_timeout=%d"
             " -c search_path=pg_catalog -c timezone=UTC -c enable_seqscan=off -c jit=off",
             SQL_TIMEOUT_MS, 2 * SQL_TIMEOUT_MS);
    db->conn = PQconnectdbParams(names, values, 1);
    if (!db->conn || PQstatus(db->conn) != CONNECTION_OK) {
        error_set(db, "08001", db->conn ? PQerrorMessage(db->conn) : "out of memory");
        connection_drop(db);
        return CQ_AGAIN;
    }
    PQsetnonblocking(db->conn, 1);
    PQsetNoticeProcessor(db->conn, notice_drop, NULL);
    pthread_mutex_lock(&db->cancel_lock);
    db->cancel = PQgetCancel(db->conn);
    pthread_mutex_unlock(&db->cancel_lock);
    db->answer_ms = db->limit_ms;
    return CQ_OK;
}

/* libpq notices that the server has gone only when a statement fails; whoever asks for a connection
 * that works should not have to lose one to find out. */
static bool peer_is_gone(const struct pg *db)
{
    struct pollfd pollfd = { .fd = PQsocket(db->conn), .events = POLLRDHUP };

    return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

enum cq_status pg_ready(struct pg *db, bool *ret_fresh)
{
    if (ret_fresh)
        *ret_fresh = false;
    if (db->conn && PQstatus(db->conn) == CONNECTION_OK && !peer_is_gone(db)) {
        switch (PQtransactionStatus(db->conn)) {
        case PQTRANS_IDLE:
            return CQ_OK;
        case PQTRANS_INTRANS: /* a turn that was given up half-way */
        case PQTRANS_INERROR:
            if (pg_script(db, "ROLLBACK") == CQ_OK)
                return CQ_OK;
            break;
        case PQTRANS_ACTIVE:
        case PQTRANS_UNKNOWN:
            break;
        }
    }
    connection_drop(db);
    if (connection_open(db) != CQ_OK)
        return CQ_AGAIN;
    if (ret_fresh)
        *ret_fresh = true;
    return CQ_OK;
}

/** Whether an error of this SQLSTATE says that the connection, or what is prepared on it, is of no
 * further use, whatever libpq thinks. 25006: this is a standby, as seen after a fail-over. */
static bool sqlstate_needs_reopen(const char *s)
{
    static const char *const all[] = { "25006", "26000", "57P01", "57P02", "57P03", "57P05" };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!strcmp(s, all[i]))
            return true;
    return !strncmp(s, "08", 2) || !strncmp(s, "58", 2);
}

static enum cq_status sqlstate_status(const char *s)
{
    static const char again[][3] = { "08", "40", "53", "55", "57", "58" };

    for (size_t i = 0; i < ARRAY_LEN(again); i++)
        if (!strncmp(s, again[i], 2))
            return CQ_AGAIN;
    if (!strncmp(s, "22", 2) || !strncmp(s, "23", 2))
        return CQ_POISON;
    return CQ_FATAL;
}

/** Note what a failed result says. Values of parameters stand in the detail field, which is left
 * out, and in the message of class 22, which is left out too. */
static enum cq_status failure(struct pg *db, const PGresult *res, bool cached)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    if (!state) {
        error_set(db, "08006", db->conn ? PQerrorMessage(db->conn) : "not connected");
        connection_drop(db);
        return CQ_AGAIN;
    }
    error_set(db, state, !strncmp(state, "22", 2) ? "data exception" : text ? text : "no message");
    /* 0A000: a migration changed columns under a prepared statement; prepare it anew. */
    if (sqlstate_needs_reopen(state) || (cached && !strcmp(state, "0A000")) ||
        PQstatus(db->conn) != CONNECTION_OK) {
        connection_drop(db);
        return CQ_AGAIN;
    }
    return sqlstate_status(db->sqlstate);
}

/** Wait for `events` on the connection's socket. False: the deadline passed. */
static bool socket_await(struct pg *db, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd fd = { .fd = PQsocket(db->conn), .events = events };
        int64_t left = until_ms < 0 ? 1000 : until_ms - clock_mono_ms();
        int n;

        if (left <= 0)
            return false;
        n = poll(&fd, 1, (int)left);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
}

/** Flush what was queued and read until a result can be taken without blocking. */
static bool answer_await(struct pg *db, int64_t until_ms)
{
    int unsent;

    while ((unsent = PQflush(db->conn)) != 0) {
        if (unsent < 0 || !socket_await(db, POLLIN | POLLOUT, until_ms))
            return false;
        if (!PQconsumeInput(db->conn))
            return false;
    }
    while (PQisBusy(db->conn)) {
        if (!socket_await(db, POLLIN, until_ms))
            return false;
        if (!PQconsumeInput(db->conn))
            return false;
    }
    return true;
}

/** Gather all results of what was sent. The first failure wins, else the last result. */
static enum cq_status results_take(struct pg *db, bool sent, bool cached, PGresult **ret)
{
    int64_t until_ms = db->answer_ms < 0 ? -1 : clock_mono_ms() + db->answer_ms;
    cq_auto(pqresult) PGresult *kept = NULL;
    bool failed = false;

    if (!sent)
        return failure(db, NULL, cached);
    for (;;) {
        PGresult *res;
        ExecStatusType status;

        if (!answer_await(db, until_ms)) {
            /* The outcome is unknown and the connection is in the middle of something. */
            error_set(db, "08006", "no answer from the server");
            connection_drop(db);
            return CQ_AGAIN;
        }
        res = PQgetResult(db->conn);
        if (!res)
            break;
        if (failed) {
            PQclear(res);
            continue;
        }
        PQclear(kept);
        kept = res;
        status = PQresultStatus(res);
        failed = status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
    }
    if (!kept || failed)
        return failure(db, kept, cached);
    *ret = CQ_TAKE(kept);
    return CQ_OK;
}

/** The same; meanwhile lib/base/contact.h knows that a statement is under way. A statement without
 * a time limit is not counted. */
static enum cq_status answer_take(struct pg *db, bool sent, bool cached, PGresult **ret)
{
    bool counted = !db->uncounted && db->answer_ms >= 0;
    enum cq_status st;

    if (counted)
        contact_asked(clock_mono_ms());
    st = results_take(db, sent, cached, ret);
    if (counted)
        contact_answered(clock_mono_ms());
    return st;
}

/** Slot of a statement by the address of its text; -1 when the table is full. */
static int statement_slot(const struct pg *db, const char *sql)
{
    size_t at = ((uintptr_t)sql * 0x9E3779B97F4A7C15ull) >> 40;

    for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
        size_t slot = (at + i) % STATEMENT_SLOTS;

        if (db->sql[slot] == sql || !db->sql[slot])
            return (int)slot;
    }
    return -1;
}

/** The text that goes to the server, owned by caller; NULL: this statement cannot be guarded. The
 * server evaluates a term without columns before it looks for the first row; OFFSET 0 keeps the
 * planner from evaluating it after such terms of the statement's own. */
static char *statement_text(const struct pg *db, const char *sql)
{
    char *text = NULL;

    if (!db->guard_word || !strstr(sql, db->guard_word))
        return strdup(sql);
    if (strncmp(sql, "SELECT", 6) != 0 && strncmp(sql, "WITH", 4) != 0)
        return NULL;
    return asprintf(&text,
                    "SELECT guarded.* FROM (SELECT * FROM (%s) bare OFFSET 0) guarded WHERE %s",
                    sql, db->guard_term) < 0
               ? NULL
               : text;
}

static enum cq_status statement_prepare(struct pg *db, int slot, const char *name, const char *sql,
                                        const struct pg_params *params)
{
    cq_auto(pqresult) PGresult *res = NULL;
    int n = params ? params->n : 0;
    enum cq_status st;
    char *text;

    if (db->statements_n == STATEMENTS_MAX) {
        error_set(db, "54000", "too many prepared statements");
        return CQ_FATAL;
    }
    text = statement_text(db, sql);
    if (!text) {
        error_set(db, "0A000", "a statement that cannot be guarded");
        return CQ_FATAL;
    }
    st = answer_take(db, PQsendPrepare(db->conn, name, text, n, params ? params->type : NULL),
                     false, &res);
    free(text);
    if (st != CQ_OK)
        return st;
    db->sql[slot] = sql;
    db->statements_n++;
    return CQ_OK;
}

enum cq_status pg_run(struct pg *db, const char *sql, const struct pg_params *params,
                      struct pg_result **ret)
{
    static const int binary[PG_PARAMS_MAX] = { [0 ... PG_PARAMS_MAX - 1] = 1 };
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int n = params ? params->n : 0;
    cq_auto(pqresult) PGresult *res = NULL;
    char name[16];
    bool cached;
    int slot;
    enum cq_status st;

    db->sqlstate[0] = '\0';
    if (!db->conn)
        return failure(db, NULL, false);
    if (n && params->bytes.failed) {
        error_set(db, "54000", "parameters over their bound");
        return CQ_POISON;
    }
    slot = statement_slot(db, sql);
    if (slot < 0)
        return CQ_FATAL;
    snprintf(name, sizeof name, "s%d", slot);
    cached = db->sql[slot] == sql;
    if (!cached && (st = statement_prepare(db, slot, name, sql, params)) != CQ_OK)
        return st;
    for (int i = 0; i < n; i++) {
        /* An empty value is not NULL: it needs a pointer. */
        values[i] = params->null[i]   ? NULL
                    : params->bytes.p ? (const char *)params->bytes.p + params->at[i]
                                      : "";
        lengths[i] = (int)params->len[i];
    }
    st = answer_take(db, PQsendQueryPrepared(db->conn, name, n, values, lengths, binary, 1), cached,
                     &res);
    if (st != CQ_OK)
        return st;
    if (ret)
        *ret = (struct pg_result *)CQ_TAKE(res);
    return CQ_OK;
}

enum cq_status pg_script(struct pg *db, const char *sql)
{
    cq_auto(pqresult) PGresult *res = NULL;

    if (!db->conn)
        return failure(db, NULL, false);
    return answer_take(db, PQsendQuery(db->conn, sql), false, &res);
}

enum cq_status pg_end(struct pg *db, enum cq_status st)
{
    if (st == CQ_OK)
        return pg_script(db, "COMMIT");
    return pg_script(db, "ROLLBACK") == CQ_OK ? st : CQ_AGAIN;
}

enum cq_status pg_patient(struct pg *db)
{
    enum cq_status st = pg_script(db, "SET statement_timeout = 0");

    if (st == CQ_OK)
        db->answer_ms = -1;
    return st;
}

/** Hand over what has arrived; returns how many. */
static int notifications_drain(struct pg *db, pg_notify_fn *fn, void *arg)
{
    PGnotify *note;
    int n = 0;

    while ((note = PQnotifies(db->conn)) != NULL) {
        fn(arg, note->relname, note->extra);
        PQfreemem(note);
        n++;
    }
    return n;
}

enum cq_status pg_wait_notify(struct pg *db, int timeout_ms, pg_notify_fn *fn, void *arg)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;

    if (!db->conn)
        return failure(db, NULL, false);
    for (;;) {
        struct pollfd fd[2] = { { .fd = PQsocket(db->conn), .events = POLLIN },
                                { .fd = db->wake_fd, .events = POLLIN } };
        int64_t left = until_ms - clock_mono_ms();
        uint64_t drained;

        if (notifications_drain(db, fn, arg))
            return CQ_OK;
        if (poll(fd, 2, left > 0 ? (int)left : 0) < 0 && errno != EINTR)
            return CQ_AGAIN;
        if (fd[1].revents && read(db->wake_fd, &drained, sizeof drained) > 0)
            return CQ_OK; /* pg_cancel() */
        if (fd[0].revents && !PQconsumeInput(db->conn))
            return failure(db, NULL, false);
        if (left <= 0) {
            notifications_drain(db, fn, arg);
            return CQ_OK;
        }
    }
}

void pg_cancel(struct pg *db)
{
    uint64_t one = 1;
    char ignored[64];

    if (write(db->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is at its maximum: awake already */
    pthread_mutex_lock(&db->cancel_lock);
    if (db->cancel)
        PQcancel(db->cancel, ignored, sizeof ignored);
    pthread_mutex_unlock(&db->cancel_lock);
}
