/* SPDX-License-Identifier: MIT */
#include "edge/rest/leaver.h"

#include "edge/auth/accounts.h"
#include "ingest/ingest.h"
#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/ticker.h"
#include "lib/pg/view_guard.h"

#include <stdlib.h>

enum {
    EVERY_MS = 1000,
    RESTORED_MS = 3600 * 1000, /* between two looks for accounts that came back by a restore */
    REPORTS_MS = 8000,
    SERVE_MS = 5,
    FAILURES_SAID = 10, /* one after the other: not while everything starts */
    PARAMS_BYTES = 4096,
};

struct leaver {
    struct leaver_conf conf;
    struct ticker ticker;
    struct pg *db;         /* owned; the thread's own */
    struct ingest *ingest; /* owned; there while something is written */
    int awaited;           /* reports */
    bool failed;           /* a report, or a submit */
    int failures;          /* looks one after the other */
    int64_t restored_ms;   /* of the next look for accounts that came back; monotonic */
};

/* $2: one more than are left in one look. The others of direct chats are told once the view shows him as
 * deleted: a chat that a sync brings for it shows it too. */
static const char sql_look[] =
    "SELECT w.id, u.deleted_at IS NOT NULL, g.chat_id, g.peer FROM unnest($1::uuid[]) w(id) "
    "LEFT JOIN view.users u ON u.user_id = w.id LEFT JOIN LATERAL (SELECT i.chat_id, "
    "CASE WHEN c.kind = 0 THEN (SELECT p.user_id FROM view.members p WHERE p.part = i.part "
    "AND p.chat_id = i.chat_id AND p.user_id <> w.id LIMIT 1) END AS peer "
    "FROM view.members i JOIN view.chats c USING (part, chat_id) WHERE i.user_id = w.id "
    "AND CASE WHEN c.kind = 1 THEN i.left_seq IS NULL ELSE u.deleted_at IS NOT NULL "
    /* of his stays in it one; he may block the other */
    "AND NOT EXISTS (SELECT 1 FROM view.members o WHERE o.part = i.part AND o.chat_id = i.chat_id "
    "AND o.user_id = w.id AND o.joined_seq < i.joined_seq) "
    "AND NOT EXISTS (SELECT 1 FROM view.endings e WHERE e.part = i.part AND e.chat_id = i.chat_id "
    "AND e.user_id = w.id) END LIMIT $2) g ON true ORDER BY w.id";

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct leaver *leaver = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    leaver->awaited--;
    leaver->failed = leaver->failed || st != CQ_OK;
}

/* ---- what is written ------------------------------------------------------------------- */

/* A connection is made only for those few who delete their accounts. */
static bool connect_log(struct leaver *leaver)
{
    struct ingest_conf conf = { .brokers = leaver->conf.brokers,
                                .client_id = "chasqui-edge-rest-leaver",
                                .partitions = leaver->conf.partitions,
                                .ack = on_report,
                                .arg = leaver };

    return leaver->ingest || ingest_new(&conf, &leaver->ingest) == CQ_OK;
}

static void note_submit(struct leaver *leaver, enum cq_status st)
{
    if (st == CQ_OK)
        leaver->awaited++;
    else
        leaver->failed = true;
}

static void tell_deleted(struct leaver *leaver, const struct deleted_account *account)
{
    const char *field = "";
    struct user_action action = { .user_id = account->user,
                                  .at_ms = clock_wall_ms(),
                                  .action.kind = USER_ACTION_ACCOUNT_DELETED };

    action.action.u.account_deleted.deleted_at_ms = account->deleted_ms;
    note_submit(leaver, ingest_user(leaver->ingest, &action, 0, &field));
}

/* Those who are in the chat with him are told. `peer` is zero in a group. */
static void tell_chat(struct leaver *leaver, struct cq_id user, struct cq_id chat,
                      struct cq_id peer)
{
    const char *field = "";
    struct chat_action action = { .chat_id = chat,
                                  .user_id = user,
                                  .client_id = span_str("account-deleted"),
                                  .at_ms = clock_wall_ms(),
                                  .has_peer = !id_is_zero(peer),
                                  .peer = peer,
                                  .action.kind = CHAT_ACTION_ACCOUNT_ENDED };

    note_submit(leaver, ingest_chat(leaver->ingest, &action, 0, &field));
}

/* As if its user left: the heir rule decides who owns it then. */
static void leave_group(struct leaver *leaver, struct cq_id user, struct cq_id chat)
{
    const char *field = "";
    struct member_change change = { user, MEMBER_CHANGE_KIND_REMOVE };
    struct chat_action action = { .chat_id = chat,
                                  .user_id = user,
                                  .client_id = span_str("account-deleted"),
                                  .at_ms = clock_wall_ms(),
                                  .action.kind = CHAT_ACTION_MEMBERS_CHANGED };

    action.action.u.members_changed = (struct members_changed){ &change, 1 };
    note_submit(leaver, ingest_chat(leaver->ingest, &action, 0, &field));
    count_add(COUNT_GROUPS_LEFT, 1);
}

static void await_reports(struct leaver *leaver)
{
    int64_t until_ms = clock_mono_ms() + REPORTS_MS;

    while (leaver->awaited > 0 && clock_mono_ms() < until_ms) {
        ingest_serve(leaver->ingest);
        clock_sleep_ms(SERVE_MS);
    }
    leaver->failed = leaver->failed || leaver->awaited > 0;
    ingest_free(leaver->ingest);
    leaver->ingest = NULL;
    leaver->awaited = 0;
}

/* ---- a look ---------------------------------------------------------------------------- */

/* The rows of one account, from the one at `from` on. Returns the first of the next. */
static int do_account(struct leaver *leaver, const struct deleted_account *account,
                      const struct pg_result *rows, int from, bool *ret_more)
{
    int i = from, groups = 0;
    bool is_told = pg_bool(rows, from, 1);

    if (!is_told && connect_log(leaver))
        tell_deleted(leaver, account);
    for (; i < pg_rows(rows) && id_eq(pg_uuid(rows, i, 0), account->user); i++) {
        if (pg_null(rows, i, 2) || groups++ == LEAVER_GROUPS_MAX || !connect_log(leaver))
            continue;
        if (pg_null(rows, i, 3)) {
            tell_chat(leaver, account->user, pg_uuid(rows, i, 2), (struct cq_id){ 0 });
            leave_group(leaver, account->user, pg_uuid(rows, i, 2));
        } else {
            tell_chat(leaver, account->user, pg_uuid(rows, i, 2), pg_uuid(rows, i, 3));
        }
    }
    *ret_more = groups > LEAVER_GROUPS_MAX;
    return i;
}

static enum cq_status look(struct leaver *leaver, const struct deleted_account *accounts, size_t n,
                           struct pg_result **ret)
{
    struct cq_id users[DELETED_MAX];
    struct pg_params params;

    for (size_t i = 0; i < n; i++)
        users[i] = accounts[i].user;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid_array(&params, users, NULL, n);
    pg_add_i64(&params, LEAVER_GROUPS_MAX + 1);
    return pg_run_once(leaver->db, sql_look, &params, ret);
}

static const struct deleted_account *find(const struct deleted_account *accounts, size_t n,
                                          struct cq_id user)
{
    for (size_t i = 0; i < n; i++)
        if (id_eq(accounts[i].user, user))
            return &accounts[i];
    return NULL;
}

/* Look at them again soon: all that were written about when that failed, and those that are not done. */
static enum cq_status again(struct leaver *leaver, const struct deleted_account *accounts, size_t n,
                            const bool *more, int64_t now_ms)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < n; i++)
        if (more[i] || leaver->failed)
            st = account_look_soon(leaver->db, accounts[i].user, now_ms);
    return st;
}

static enum cq_status do_all(struct leaver *leaver, const struct deleted_account *accounts,
                             size_t n, int64_t now_ms)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    bool more[DELETED_MAX] = { false };
    enum cq_status st = look(leaver, accounts, n, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows);) {
        const struct deleted_account *account = find(accounts, n, pg_uuid(rows, i, 0));

        CQ_ASSERT(account, i);
        i = do_account(leaver, account, rows, i, &more[account - accounts]);
    }
    if (leaver->ingest)
        await_reports(leaver);
    return st == CQ_OK ? again(leaver, accounts, n, more, now_ms) : st;
}

static enum cq_status leave(struct leaver *leaver)
{
    struct deleted_account accounts[DELETED_MAX];
    int64_t now_ms = clock_wall_ms();
    bool more = false;
    size_t n = 0;
    enum cq_status st = pg_ready(leaver->db, NULL);

    if (st == CQ_OK && clock_mono_ms() >= leaver->restored_ms) {
        st = account_delete_again(leaver->db, now_ms, &more);
        if (st == CQ_OK && !more)
            leaver->restored_ms = clock_mono_ms() + RESTORED_MS;
    }
    if (st == CQ_OK)
        st = account_claim_deleted(leaver->db, now_ms, accounts, &n);
    leaver->failed = false;
    return st == CQ_OK && n ? do_all(leaver, accounts, n, now_ms) : st;
}

static int tick(void *arg)
{
    struct leaver *leaver = arg;
    enum cq_status st = leave(leaver);

    if (st != CQ_OK && view_is_incomplete(leaver->db)) /* until it is rebuilt */
        return EVERY_MS;
    if (st != CQ_OK)
        log_debug("not_left", LOG_S("why", pg_error(leaver->db)));
    leaver->failures = st != CQ_OK || leaver->failed ? leaver->failures + 1 : 0;
    count_set(COUNT_LEAVER_FAILED, leaver->failures >= FAILURES_SAID);
    return EVERY_MS;
}

/* ---- life ------------------------------------------------------------------------------ */

static void leaver_free(struct leaver *leaver)
{
    pg_free(leaver->db);
    free(leaver);
}

enum cq_status leaver_start(const struct leaver_conf *conf, struct leaver **ret)
{
    struct leaver *leaver = calloc(1, sizeof *leaver);

    if (!leaver)
        return CQ_FATAL;
    leaver->conf = *conf;
    leaver->db = pg_new(conf->database_url, "chasqui-edge-rest-leaver");
    if (leaver->db)
        view_guard(leaver->db);
    if (!leaver->db || ticker_start(&leaver->ticker, tick, leaver) != CQ_OK) {
        leaver_free(leaver);
        return CQ_FATAL;
    }
    *ret = leaver;
    return CQ_OK;
}

void leaver_stop(struct leaver *leaver)
{
    if (!leaver)
        return;
    ticker_end(&leaver->ticker);
    pg_cancel(leaver->db);
    ticker_join(&leaver->ticker, -1);
    leaver_free(leaver);
}
