/* SPDX-License-Identifier: MIT */
#include "sinks/media/unshown.h"

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/bus/bus.h"
#include "schemas/names.h"
#include "schemas/topics.h"
#include "sinks/media/submit.h"

enum { PARAMS_BYTES = 512, VIEW_MS = 20 * 1000, LOOK_MS = 50 };

struct unshown {
    const struct unshown_conf *conf;
    struct submitter *submitter; /* owned */
    int64_t before_ms;           /* complete by then */
};

/* As sql_next has it. */
static const char sql_due[] =
    "SELECT 1 FROM media.uploads WHERE stored AND logged AND NOT asked AND ended_at IS NULL "
    "AND touched_at < $1 AND NOT EXISTS (SELECT 1 FROM view.incomplete) LIMIT 1";

/* One whose view is being made anew, or that the view does not know, waits. */
static const char sql_next[] =
    "SELECT u.media_id, u.user_id, u.device_id, u.chat_id, u.peer, u.key, "
    "view.media_gone(u.media_id, u.user_id), view.file_used(u.media_id, u.user_id) "
    "FROM media.uploads u WHERE u.stored AND u.logged AND NOT u.asked AND u.ended_at IS NULL "
    "AND u.touched_at < $1 AND NOT EXISTS (SELECT 1 FROM view.incomplete) "
    "ORDER BY u.touched_at LIMIT 1 FOR UPDATE OF u SKIP LOCKED";

static const char sql_asked[] = "UPDATE media.uploads SET asked = true WHERE media_id = $1";

/* As edge/rest/view/deletions.c; `sql_gone` does not wait for a sweep that has the row in hand and
 * waits for the upload's. */
#define NOTE                                                                                      \
    "INSERT INTO media.deletions AS d (media_id, key, asked_at, due_at) VALUES ($1, $2, $3, $3) " \
    "ON CONFLICT "

static const char sql_gone[] = NOTE "DO NOTHING";
static const char sql_delete[] =
    NOTE "(media_id) DO UPDATE SET asked_at = excluded.asked_at, due_at = excluded.due_at "
         "WHERE NOT d.taken";

/* Whether the view has so much of each partition. */
static const char sql_applied[] =
    "SELECT NOT EXISTS (SELECT 1 FROM unnest($2::int8[]) WITH ORDINALITY e(next, n) "
    "LEFT JOIN view.positions p ON p.consumer = 'persistence' AND p.topic = $1 "
    "AND p.partition = e.n - 1 WHERE coalesce(p.next, 0) < e.next)";

/* ---- what the view knows -------------------------------------------------------------- */

static enum cq_status log_ends(const struct unshown *unshown, int64_t *ends)
{
    struct reader *reader = NULL;
    int64_t first;
    enum cq_status st = reader_new(unshown->conf->brokers, &reader);

    for (int32_t i = 0; st == CQ_OK && i < unshown->conf->partitions; i++)
        st = reader_watermarks(reader, topic_name(TOPIC_CHAT_EVENTS), i, &first, &ends[i]);
    reader_free(reader);
    return st;
}

static enum cq_status ask_applied(const struct unshown *unshown, const int64_t *ends, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES + (size_t)unshown->conf->partitions * 16);
    pg_add_text(&params, span_str(topic_name(TOPIC_CHAT_EVENTS)));
    pg_add_i64_array(&params, ends, (size_t)unshown->conf->partitions);
    st = pg_run_once(unshown->conf->db, sql_applied, &params, &rows);
    *ret = st == CQ_OK && pg_bool(rows, 0, 0);
    return st;
}

/* A message that is in the log and not in the view yet shows its file all the same. */
static enum cq_status await_view(const struct unshown *unshown, struct cq_arena *arena)
{
    int64_t *ends = arena_alloc(arena, (size_t)unshown->conf->partitions * sizeof *ends);
    int64_t until_ms = clock_mono_ms() + VIEW_MS;
    bool applied = false;
    enum cq_status st = ends ? log_ends(unshown, ends) : CQ_AGAIN;

    while (st == CQ_OK && !applied && clock_mono_ms() < until_ms) {
        st = ask_applied(unshown, ends, &applied);
        if (st == CQ_OK && !applied)
            clock_sleep_ms(LOOK_MS);
    }
    return st == CQ_OK && !applied ? CQ_AGAIN : st;
}

/* ---- one file ------------------------------------------------------------------------- */

static enum cq_status note_deletion(struct pg *db, const char *sql, const struct pg_result *row)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, pg_uuid(row, 0, 0));
    pg_add_text(&params, pg_bytes(row, 0, 5));
    pg_add_i64(&params, clock_wall_ms());
    return pg_run_once(db, sql, &params, NULL);
}

static enum cq_status take_away(struct unshown *unshown, const struct pg_result *row)
{
    struct cq_id media = pg_uuid(row, 0, 0);
    struct cq_id_text client_id = id_text(media);
    struct chat_action action = {
        .chat_id = pg_uuid(row, 0, 3),
        .user_id = pg_uuid(row, 0, 1),
        .device_id = pg_null(row, 0, 2) ? media : pg_uuid(row, 0, 2),
        .client_id = span_str(client_id.s),
        .at_ms = clock_wall_ms(),
        .has_peer = !pg_null(row, 0, 4),
        .peer = pg_null(row, 0, 4) ? (struct cq_id){ { 0 } } : pg_uuid(row, 0, 4),
        .action = { CHAT_ACTION_MEDIA_DELETED, .u.media_deleted = { .media_id = media } },
    };
    int32_t partition;
    int64_t offset;
    enum cq_status st = note_deletion(unshown->conf->db, sql_delete, row);

    if (st == CQ_OK)
        st = submitter_send(unshown->submitter, &action, &partition, &offset);
    if (st == CQ_OK)
        count_add(COUNT_FILES_UNSHOWN, 1);
    return st;
}

/* In a transaction that holds the row. The log may have the fact of one whose transaction failed, and
 * its note with it: it is found gone the next time, and noted then. */
static enum cq_status ask_next(struct unshown *unshown, bool *ret_one)
{
    cq_auto(pgresult) struct pg_result *row = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, unshown->before_ms);
    st = pg_run_once(unshown->conf->db, sql_next, &params, &row);
    *ret_one = st == CQ_OK && pg_rows(row) == 1;
    if (!*ret_one)
        return st;
    if (pg_bool(row, 0, 6))
        st = note_deletion(unshown->conf->db, sql_gone, row);
    else if (!pg_bool(row, 0, 7))
        st = take_away(unshown, row);
    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, pg_uuid(row, 0, 0));
    return pg_run_once(unshown->conf->db, sql_asked, &params, NULL);
}

static enum cq_status ask_one(struct unshown *unshown, bool *ret_one)
{
    struct pg *db = unshown->conf->db;
    enum cq_status st = pg_script(db, "BEGIN");

    *ret_one = false;
    if (st == CQ_OK)
        st = ask_next(unshown, ret_one);
    return pg_end(db, st);
}

/* ---- all ------------------------------------------------------------------------------ */

static enum cq_status ask_due(const struct unshown *unshown, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, unshown->before_ms);
    return pg_found(unshown->conf->db, sql_due, &params, ret);
}

static enum cq_status run(struct unshown *unshown)
{
    const struct unshown_conf *conf = unshown->conf;
    cq_auto(arena) struct cq_arena *arena = arena_new((size_t)conf->partitions * 16 + 1024);
    bool more = true;
    enum cq_status st = submitter_new(conf->brokers, "chasqui-media-unshown", conf->partitions,
                                      &unshown->submitter);

    if (st == CQ_OK)
        st = arena ? await_view(unshown, arena) : CQ_AGAIN;
    for (int i = 0; st == CQ_OK && more && i < UNSHOWN_PASS_MAX && !conf->stop(conf->arg); i++)
        st = ask_one(unshown, &more);
    return st;
}

enum cq_status unshown_all(const struct unshown_conf *conf)
{
    struct unshown unshown = { .conf = conf, .before_ms = clock_wall_ms() - conf->after_ms };
    bool due = false;
    enum cq_status st = ask_due(&unshown, &due);

    if (st == CQ_OK && due)
        st = run(&unshown);
    submitter_free(unshown.submitter);
    return st;
}
