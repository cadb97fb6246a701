/* SPDX-License-Identifier: MIT */
#include "sinks/media/settle.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/bus/bus.h"
#include "schemas/names.h"
#include "schemas/topics.h"
#include "sinks/media/submit.h"

#include <stdio.h>

enum { VIEW_MS = 20 * 1000, LOOK_MS = 50, PARAMS_BYTES = 256 };

struct settle {
    const struct settle_conf *conf;
    struct submitter *submitter; /* owned */
    struct reader *reader;       /* owned */
    int32_t partition;           /* of what was submitted last */
    int64_t offset;
};

/* Most are in the view long before: they are noted by the hundred. */
static const char sql_note[] =
    "UPDATE media.uploads SET logged = true WHERE media_id IN (SELECT u.media_id "
    "FROM media.uploads u JOIN view.media d USING (media_id) WHERE u.stored AND NOT u.logged "
    "AND u.ended_at IS NULL AND u.touched_at < $1 LIMIT 500)";

/* Claimed for the time until its next turn, so that two copies of the role do not both submit. */
static const char sql_claim[] =
    "UPDATE media.uploads SET touched_at = $1, submit_tries = least(submit_tries + 1, 100) "
    "WHERE media_id = (SELECT media_id FROM media.uploads WHERE stored AND NOT logged AND ended_at "
    "IS NULL AND device_id IS NOT NULL AND touched_at < $1 - ($2::bigint << least(submit_tries, "
    "$3::integer)) ORDER BY touched_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING media_id, "
    "user_id, device_id, chat_id, peer, type, content_type, size, sha256, name, key";

static const char sql_verdict[] =
    "SELECT EXISTS (SELECT 1 FROM view.media WHERE media_id = $1), EXISTS (SELECT 1 "
    "FROM view.rejected WHERE src_partition = $2 AND src_offset = $3)";

static const char sql_give_up[] =
    "UPDATE media.uploads SET ended_at = $2 WHERE media_id = $1 AND NOT logged";

/* Given up for so long that nobody submits it any more. */
static const char sql_refused[] =
    "SELECT media_id, chat_id, key FROM media.uploads WHERE ended_at < $1 AND stored "
    "ORDER BY ended_at LIMIT 1 FOR UPDATE SKIP LOCKED";

static const char sql_applied[] =
    "SELECT coalesce(max(next), 0)::bigint FROM view.positions WHERE consumer = 'persistence' "
    "AND topic = $1 AND partition = $2";

static const char sql_known[] = "SELECT 1 FROM view.media WHERE media_id = $1";

/* What a link may still bring goes with the row, later. */
static const char sql_gone[] =
    "WITH kept AS (UPDATE media.uploads SET stored = false, received = 0 WHERE media_id = $1 "
    "AND links_until > 0 RETURNING 1) DELETE FROM media.uploads WHERE media_id = $1 AND NOT EXISTS "
    "(SELECT 1 FROM kept)";

static enum cq_status run_id(struct settle *settle, const char *sql, struct cq_id id,
                             struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    return pg_run_once(settle->conf->db, sql, &params, ret);
}

static enum cq_status run_id_ms(struct settle *settle, const char *sql, struct cq_id id,
                                int64_t at_ms)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    pg_add_i64(&params, at_ms);
    return pg_run_once(settle->conf->db, sql, &params, NULL);
}

/* ---- into the log --------------------------------------------------------------------- */

static struct chat_action action_of(const struct pg_result *rows, struct cq_span client_id)
{
    struct cq_span none = span_of("", 0);

    return (struct chat_action){
        .chat_id = pg_uuid(rows, 0, 3),
        .user_id = pg_uuid(rows, 0, 1),
        .device_id = pg_uuid(rows, 0, 2),
        .client_id = client_id,
        .at_ms = clock_wall_ms(),
        .has_peer = !pg_null(rows, 0, 4),
        .peer = pg_null(rows, 0, 4) ? (struct cq_id){ { 0 } } : pg_uuid(rows, 0, 4),
        .action = { CHAT_ACTION_MEDIA_READY,
                    .u.media_ready = { .media_id = pg_uuid(rows, 0, 0),
                                       .type = (enum message_type)pg_i64(rows, 0, 5),
                                       .content_type = pg_bytes(rows, 0, 6),
                                       .size = pg_i64(rows, 0, 7),
                                       .sha256 = pg_null(rows, 0, 8) ? none : pg_bytes(rows, 0, 8),
                                       .name = pg_bytes(rows, 0, 9),
                                       .key = pg_bytes(rows, 0, 10) } },
    };
}

static enum cq_status submit(struct settle *settle, const struct pg_result *row)
{
    struct cq_id_text client_id = id_text(pg_uuid(row, 0, 0));
    struct chat_action action = action_of(row, span_str(client_id.s));
    enum cq_status st =
        submitter_send(settle->submitter, &action, &settle->partition, &settle->offset);

    if (st != CQ_POISON)
        return st;
    settle->conf->told(pg_uuid(row, 0, 0), SETTLED_UNFIT);
    return CQ_AGAIN;
}

/* What became of the one that was just submitted; both false: the view does not say it yet. */
static enum cq_status ask_verdict(struct settle *settle, struct cq_id id, bool *ret_known,
                                  bool *ret_refused)
{
    int64_t until_ms = clock_mono_ms() + VIEW_MS;
    enum cq_status st = CQ_OK;

    *ret_known = *ret_refused = false;
    while (st == CQ_OK && !*ret_known && !*ret_refused && clock_mono_ms() < until_ms) {
        cq_auto(pgresult) struct pg_result *rows = NULL;
        struct pg_params params;

        clock_sleep_ms(LOOK_MS);
        pg_params_init(&params, PARAMS_BYTES);
        pg_add_uuid(&params, id);
        pg_add_i32(&params, settle->partition);
        pg_add_i64(&params, settle->offset);
        st = pg_run_once(settle->conf->db, sql_verdict, &params, &rows);
        if (st == CQ_OK) {
            *ret_known = pg_bool(rows, 0, 0);
            *ret_refused = pg_bool(rows, 0, 1);
        }
    }
    return st;
}

/* *ret_more: it is done, and there may be another one. */
static enum cq_status settle_one(struct settle *settle, bool *ret_more)
{
    cq_auto(pgresult) struct pg_result *row = NULL;
    int64_t now_ms = clock_wall_ms();
    bool known = false, refused = false;
    struct pg_params params;
    enum cq_status st;

    *ret_more = false;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, SETTLE_AFTER_MS);
    pg_add_i32(&params, SETTLE_DOUBLINGS);
    st = pg_run_once(settle->conf->db, sql_claim, &params, &row);
    if (st != CQ_OK || !pg_rows(row))
        return st;
    st = submit(settle, row);
    if (st == CQ_OK)
        st = ask_verdict(settle, pg_uuid(row, 0, 0), &known, &refused);
    if (st == CQ_OK && !known && refused)
        st = run_id_ms(settle, sql_give_up, pg_uuid(row, 0, 0), now_ms);
    if (st != CQ_OK || (!known && !refused))
        return st;
    settle->conf->told(pg_uuid(row, 0, 0), known ? SETTLED_READY : SETTLED_REFUSED);
    count_add(COUNT_FILES_SETTLED, 1);
    *ret_more = true;
    return CQ_OK;
}

/* ---- what the log refused ------------------------------------------------------------- */

/* Whether the view has applied all that the partition of a chat holds now. A rebuild has not. */
static enum cq_status ask_applied(struct settle *settle, struct cq_id chat, bool *ret)
{
    cq_auto(pgresult) struct pg_result *pg_result = NULL;
    int32_t partition = topic_partition(chat, settle->conf->partitions);
    int64_t first, end, until_ms = clock_mono_ms() + VIEW_MS;
    enum cq_status st =
        reader_watermarks(settle->reader, topic_name(TOPIC_CHAT_EVENTS), partition, &first, &end);

    *ret = false;
    while (st == CQ_OK && !*ret && clock_mono_ms() < until_ms) {
        cq_auto(pgresult) struct pg_result *rows = NULL;
        struct pg_params params;

        pg_params_init(&params, PARAMS_BYTES);
        pg_add_text(&params, span_str(topic_name(TOPIC_CHAT_EVENTS)));
        pg_add_i32(&params, partition);
        st = pg_run_once(settle->conf->db, sql_applied, &params, &rows);
        *ret = st == CQ_OK && pg_i64(rows, 0, 0) >= end;
        if (!*ret)
            clock_sleep_ms(LOOK_MS);
    }
    return st;
}

/* In a transaction that holds the row. */
static enum cq_status take_away(struct settle *settle, const struct pg_result *row, bool *ret_more)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_id id = pg_uuid(row, 0, 0);
    char key[STORE_KEY_MAX];
    bool applied = false;
    enum cq_status st = ask_applied(settle, pg_uuid(row, 0, 1), &applied);

    if (st != CQ_OK || !applied)
        return st;
    st = run_id(settle, sql_known, id, &rows);
    if (st == CQ_OK && pg_rows(rows)) { /* a submission on its way was taken after all */
        *ret_more = true;
        return run_id(settle,
                      "UPDATE media.uploads SET ended_at = NULL, logged = true WHERE media_id = $1",
                      id, NULL);
    }
    snprintf(key, sizeof key, "%.*s", SPAN_FMT(pg_bytes(row, 0, 2)));
    if (st == CQ_OK)
        st = store_delete(settle->conf->store, key);
    if (st == CQ_OK)
        st = run_id(settle, sql_gone, id, NULL);
    if (st == CQ_OK)
        count_add(COUNT_FILES_SWEPT, 1);
    *ret_more = st == CQ_OK;
    return st;
}

static enum cq_status take_away_one(struct settle *settle, bool *ret_more)
{
    cq_auto(pgresult) struct pg_result *row = NULL;
    struct pg_params params;
    enum cq_status st = pg_script(settle->conf->db, "BEGIN");

    *ret_more = false;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, clock_wall_ms() - SETTLE_AFTER_MS);
    if (st == CQ_OK)
        st = pg_run(settle->conf->db, sql_refused, &params, &row);
    pg_params_release(&params);
    if (st == CQ_OK && pg_rows(row))
        st = take_away(settle, row, ret_more);
    if (st != CQ_OK)
        *ret_more = false;
    return pg_end(settle->conf->db, st);
}

/* ---- all ------------------------------------------------------------------------------ */

static enum cq_status note_all(struct settle *settle)
{
    enum cq_status st;
    int64_t touched;

    do {
        cq_auto(pgresult) struct pg_result *rows = NULL;
        struct pg_params params;

        pg_params_init(&params, PARAMS_BYTES);
        pg_add_i64(&params, clock_wall_ms() - SETTLE_AFTER_MS);
        st = pg_run_once(settle->conf->db, sql_note, &params, &rows);
        touched = st == CQ_OK ? pg_affected(rows) : 0;
    } while (touched);
    return st;
}

/* As sql_claim and sql_refused have it. */
static const char sql_due[] =
    "SELECT EXISTS (SELECT 1 FROM media.uploads WHERE stored AND NOT logged AND ended_at IS NULL "
    "AND device_id IS NOT NULL AND touched_at < $1) OR EXISTS (SELECT 1 FROM media.uploads "
    "WHERE ended_at < $1 AND stored)";

static enum cq_status ask_due(struct settle *settle, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, clock_wall_ms() - SETTLE_AFTER_MS);
    st = pg_run_once(settle->conf->db, sql_due, &params, &rows);
    *ret = st == CQ_OK && pg_bool(rows, 0, 0);
    return st;
}

static enum cq_status connect_log(struct settle *settle)
{
    enum cq_status st = submitter_new(settle->conf->brokers, "chasqui-media-settle",
                                      settle->conf->partitions, &settle->submitter);

    return st == CQ_OK ? reader_new(settle->conf->brokers, &settle->reader) : st;
}

enum cq_status settle_all(const struct settle_conf *conf)
{
    struct settle settle = { .conf = conf };
    bool due = false, more = true;
    enum cq_status st = note_all(&settle);

    if (st == CQ_OK)
        st = ask_due(&settle, &due);
    if (st == CQ_OK && due)
        st = connect_log(&settle);
    while (st == CQ_OK && due && more && !conf->stop(conf->arg))
        st = settle_one(&settle, &more);
    for (more = due; st == CQ_OK && more && !conf->stop(conf->arg);)
        st = take_away_one(&settle, &more);
    submitter_free(settle.submitter);
    reader_free(settle.reader);
    return st;
}
