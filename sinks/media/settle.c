/* SPDX-License-Identifier: MIT */
#include "sinks/media/settle.h"

#include "ingest/ingest.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "schemas/names.h"
#include "schemas/topics.h"

#include <stdio.h>

enum { ACK_MS = 35 * 1000, VIEW_MS = 20 * 1000, LOOK_MS = 50, PARAMS_BYTES = 256 };

enum ack_state { ACK_AWAITED, ACK_STORED, ACK_UNKNOWN };

struct settle {
    const struct settle_conf *conf;
    struct ingest *ingest; /* owned */
    struct reader *reader; /* owned */
    uint64_t submit;       /* the one whose report is awaited */
    enum ack_state ack;    /* on_report() writes */
    int32_t partition;
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

static enum cq_status run_id(struct settle *s, const char *sql, struct cq_id id,
                             struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, id);
    st = pg_run(s->conf->db, sql, &p, ret);
    pg_params_release(&p);
    return st;
}

static enum cq_status run_id_ms(struct settle *s, const char *sql, struct cq_id id, int64_t at_ms)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, id);
    pg_add_i64(&p, at_ms);
    st = pg_run(s->conf->db, sql, &p, NULL);
    pg_params_release(&p);
    return st;
}

/* ---- into the log --------------------------------------------------------------------- */

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct settle *s = arg;

    if (opaque != s->submit)
        return;
    s->ack = st == CQ_OK ? ACK_STORED : ACK_UNKNOWN;
    s->partition = partition;
    s->offset = offset;
}

static struct chat_action action_of(const struct pg_result *r, struct cq_span client_id)
{
    struct cq_span none = span_of("", 0);

    return (struct chat_action){
        .chat_id = pg_uuid(r, 0, 3),
        .user_id = pg_uuid(r, 0, 1),
        .device_id = pg_uuid(r, 0, 2),
        .client_id = client_id,
        .at_ms = clock_wall_ms(),
        .has_peer = !pg_null(r, 0, 4),
        .peer = pg_null(r, 0, 4) ? (struct cq_id){ { 0 } } : pg_uuid(r, 0, 4),
        .action = { CHAT_ACTION_MEDIA_READY,
                    .u.media_ready = { .media_id = pg_uuid(r, 0, 0),
                                       .type = (enum message_type)pg_i64(r, 0, 5),
                                       .content_type = pg_bytes(r, 0, 6),
                                       .size = pg_i64(r, 0, 7),
                                       .sha256 = pg_null(r, 0, 8) ? none : pg_bytes(r, 0, 8),
                                       .name = pg_bytes(r, 0, 9),
                                       .key = pg_bytes(r, 0, 10) } },
    };
}

static enum cq_status submit(struct settle *s, const struct pg_result *row)
{
    struct cq_id_text client_id = id_text(pg_uuid(row, 0, 0));
    struct chat_action a = action_of(row, span_str(client_id.s));
    int64_t until_ms = clock_mono_ms() + ACK_MS;
    const char *field = "";
    enum cq_status st;

    s->ack = ACK_AWAITED;
    st = ingest_chat(s->ingest, &a, ++s->submit, &field);
    if (st == CQ_POISON) {
        s->conf->told(pg_uuid(row, 0, 0), SETTLED_UNFIT);
        return CQ_AGAIN;
    }
    while (st == CQ_OK && s->ack == ACK_AWAITED && clock_mono_ms() < until_ms) {
        ingest_serve(s->ingest);
        clock_sleep_ms(LOOK_MS);
    }
    return st == CQ_OK && s->ack != ACK_STORED ? CQ_AGAIN : st;
}

/* What became of the one that was just submitted; both false: the view does not say it yet. */
static enum cq_status ask_verdict(struct settle *s, struct cq_id id, bool *ret_known,
                                  bool *ret_refused)
{
    int64_t until_ms = clock_mono_ms() + VIEW_MS;
    enum cq_status st = CQ_OK;

    *ret_known = *ret_refused = false;
    while (st == CQ_OK && !*ret_known && !*ret_refused && clock_mono_ms() < until_ms) {
        cq_auto(pgresult) struct pg_result *r = NULL;
        struct pg_params p;

        clock_sleep_ms(LOOK_MS);
        pg_params_init(&p, PARAMS_BYTES);
        pg_add_uuid(&p, id);
        pg_add_i32(&p, s->partition);
        pg_add_i64(&p, s->offset);
        st = pg_run(s->conf->db, sql_verdict, &p, &r);
        pg_params_release(&p);
        if (st == CQ_OK) {
            *ret_known = pg_bool(r, 0, 0);
            *ret_refused = pg_bool(r, 0, 1);
        }
    }
    return st;
}

/* *ret_more: it is done, and there may be another one. */
static enum cq_status settle_one(struct settle *s, bool *ret_more)
{
    cq_auto(pgresult) struct pg_result *row = NULL;
    int64_t now_ms = clock_wall_ms();
    bool known = false, refused = false;
    struct pg_params p;
    enum cq_status st;

    *ret_more = false;
    pg_params_init(&p, PARAMS_BYTES);
    pg_add_i64(&p, now_ms);
    pg_add_i64(&p, SETTLE_AFTER_MS);
    pg_add_i32(&p, SETTLE_DOUBLINGS);
    st = pg_run(s->conf->db, sql_claim, &p, &row);
    pg_params_release(&p);
    if (st != CQ_OK || !pg_rows(row))
        return st;
    st = submit(s, row);
    if (st == CQ_OK)
        st = ask_verdict(s, pg_uuid(row, 0, 0), &known, &refused);
    if (st == CQ_OK && !known && refused)
        st = run_id_ms(s, sql_give_up, pg_uuid(row, 0, 0), now_ms);
    if (st != CQ_OK || (!known && !refused))
        return st;
    s->conf->told(pg_uuid(row, 0, 0), known ? SETTLED_READY : SETTLED_REFUSED);
    count_add(COUNT_FILES_SETTLED, 1);
    *ret_more = true;
    return CQ_OK;
}

/* ---- what the log refused ------------------------------------------------------------- */

/* Whether the view has applied all that the partition of a chat holds now. A rebuild has not. */
static enum cq_status ask_applied(struct settle *s, struct cq_id chat, bool *ret)
{
    cq_auto(pgresult) struct pg_result *r = NULL;
    int32_t partition = topic_partition(chat, s->conf->partitions);
    int64_t first, end, until_ms = clock_mono_ms() + VIEW_MS;
    enum cq_status st =
        reader_watermarks(s->reader, topic_name(TOPIC_CHAT_EVENTS), partition, &first, &end);

    *ret = false;
    while (st == CQ_OK && !*ret && clock_mono_ms() < until_ms) {
        cq_auto(pgresult) struct pg_result *rows = NULL;
        struct pg_params p;

        pg_params_init(&p, PARAMS_BYTES);
        pg_add_text(&p, span_str(topic_name(TOPIC_CHAT_EVENTS)));
        pg_add_i32(&p, partition);
        st = pg_run(s->conf->db, sql_applied, &p, &rows);
        pg_params_release(&p);
        *ret = st == CQ_OK && pg_i64(rows, 0, 0) >= end;
        if (!*ret)
            clock_sleep_ms(LOOK_MS);
    }
    return st;
}

/* In a transaction that holds the row. */
static enum cq_status take_away(struct settle *s, const struct pg_result *row, bool *ret_more)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_id id = pg_uuid(row, 0, 0);
    char key[STORE_KEY_MAX];
    bool applied = false;
    enum cq_status st = ask_applied(s, pg_uuid(row, 0, 1), &applied);

    if (st != CQ_OK || !applied)
        return st;
    st = run_id(s, sql_known, id, &rows);
    if (st == CQ_OK && pg_rows(rows)) { /* a submission on its way was taken after all */
        *ret_more = true;
        return run_id(s,
                      "UPDATE media.uploads SET ended_at = NULL, logged = true WHERE media_id = $1",
                      id, NULL);
    }
    snprintf(key, sizeof key, "%.*s", SPAN_FMT(pg_bytes(row, 0, 2)));
    if (st == CQ_OK)
        st = store_delete(s->conf->store, key);
    if (st == CQ_OK)
        st = run_id(s, sql_gone, id, NULL);
    if (st == CQ_OK)
        count_add(COUNT_FILES_SWEPT, 1);
    *ret_more = st == CQ_OK;
    return st;
}

static enum cq_status take_away_one(struct settle *s, bool *ret_more)
{
    cq_auto(pgresult) struct pg_result *row = NULL;
    struct pg_params p;
    enum cq_status st = pg_script(s->conf->db, "BEGIN");

    *ret_more = false;
    pg_params_init(&p, PARAMS_BYTES);
    pg_add_i64(&p, clock_wall_ms() - SETTLE_AFTER_MS);
    if (st == CQ_OK)
        st = pg_run(s->conf->db, sql_refused, &p, &row);
    pg_params_release(&p);
    if (st == CQ_OK && pg_rows(row))
        st = take_away(s, row, ret_more);
    if (st == CQ_OK)
        return pg_script(s->conf->db, "COMMIT");
    *ret_more = false;
    return pg_script(s->conf->db, "ROLLBACK") == CQ_OK ? st : CQ_AGAIN;
}

/* ---- all ------------------------------------------------------------------------------ */

static enum cq_status note_all(struct settle *s)
{
    enum cq_status st;
    int64_t touched;

    do {
        cq_auto(pgresult) struct pg_result *r = NULL;
        struct pg_params p;

        pg_params_init(&p, PARAMS_BYTES);
        pg_add_i64(&p, clock_wall_ms() - SETTLE_AFTER_MS);
        st = pg_run(s->conf->db, sql_note, &p, &r);
        pg_params_release(&p);
        touched = st == CQ_OK ? pg_affected(r) : 0;
    } while (touched);
    return st;
}

/* As sql_claim and sql_refused have it. */
static const char sql_due[] =
    "SELECT EXISTS (SELECT 1 FROM media.uploads WHERE stored AND NOT logged AND ended_at IS NULL "
    "AND device_id IS NOT NULL AND touched_at < $1) OR EXISTS (SELECT 1 FROM media.uploads "
    "WHERE ended_at < $1 AND stored)";

static enum cq_status ask_due(struct settle *s, bool *ret)
{
    cq_auto(pgresult) struct pg_result *r = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_i64(&p, clock_wall_ms() - SETTLE_AFTER_MS);
    st = pg_run(s->conf->db, sql_due, &p, &r);
    pg_params_release(&p);
    *ret = st == CQ_OK && pg_bool(r, 0, 0);
    return st;
}

static enum cq_status connect_log(struct settle *s)
{
    struct ingest_conf ic = { .brokers = s->conf->brokers,
                              .client_id = "chasqui-media-settle",
                              .partitions = s->conf->partitions,
                              .ack = on_report,
                              .arg = s };
    enum cq_status st = ingest_new(&ic, &s->ingest);

    return st == CQ_OK ? reader_new(s->conf->brokers, &s->reader) : st;
}

enum cq_status settle_all(const struct settle_conf *conf)
{
    struct settle s = { .conf = conf };
    bool due = false, more = true;
    enum cq_status st = note_all(&s);

    if (st == CQ_OK)
        st = ask_due(&s, &due);
    if (st == CQ_OK && due)
        st = connect_log(&s);
    while (st == CQ_OK && due && more && !conf->stop(conf->arg))
        st = settle_one(&s, &more);
    for (more = due; st == CQ_OK && more && !conf->stop(conf->arg);)
        st = take_away_one(&s, &more);
    ingest_free(s.ingest);
    reader_free(s.reader);
    return st;
}
