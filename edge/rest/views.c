/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/views.c - what handlers read of the view, and how it looks as JSON.
 */
#include "edge/rest/rest.h"
#include "schemas/frame.h"

enum { PARAMS_BYTES = 128 * 1024 };

static const char sql_chat[] =
    "SELECT c.kind, m.role, m.left_seq IS NULL, (SELECT p.user_id FROM view.members p WHERE "
    "c.kind = 0 AND p.part = c.part AND p.chat_id = c.chat_id AND p.user_id <> $2 LIMIT 1) "
    "FROM view.chats c JOIN view.members m USING (part, chat_id) WHERE c.part = $3 AND "
    "c.chat_id = $1 AND m.user_id = $2 ORDER BY m.joined_seq DESC LIMIT 1";

static const char sql_unopened[] =
    "SELECT CASE WHEN user_a = $2 THEN user_b ELSE user_a END FROM auth.direct_chats "
    "WHERE chat_id = $1 AND $2 IN (user_a, user_b)";

static enum cq_status run_two(struct pg *db, const char *sql, struct cq_id a, struct cq_id b,
                              struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, a);
    pg_add_uuid(&p, b);
    st = pg_run(db, sql, &p, ret);
    pg_params_release(&p);
    return st;
}

static enum cq_status run_chat(struct pg *db, struct cq_id chat, struct cq_id user,
                               struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, chat);
    pg_add_uuid(&p, user);
    pg_add_i32(&p, id_part(chat));
    st = pg_run(db, sql_chat, &p, ret);
    pg_params_release(&p);
    return st;
}

enum cq_status view_chat(struct pg *db, struct cq_id chat, struct cq_id user, struct chat_view *ret,
                         bool *ret_there)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    cq_auto(pgresult) struct pg_result *opened = NULL;
    enum cq_status st = run_chat(db, chat, user, &rows);

    *ret = (struct chat_view){ .id = chat };
    *ret_there = false;
    if (st != CQ_OK)
        return st;
    if (pg_rows(rows)) {
        *ret_there = ret->has_row = true;
        ret->is_group = pg_i64(rows, 0, 0) == 1;
        ret->role = pg_i64(rows, 0, 1);
        ret->present = pg_bool(rows, 0, 2);
        ret->peer = pg_uuid(rows, 0, 3);
        return CQ_OK;
    }
    st = run_two(db, sql_unopened, chat, user, &opened);
    if (st == CQ_OK && pg_rows(opened)) {
        *ret_there = ret->present = true;
        ret->peer = pg_uuid(opened, 0, 0);
    }
    return st;
}

enum cq_status view_rejection(struct call *c, struct pg *db, const struct call_submit *s,
                              struct cq_span *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    *ret = span_of(NULL, 0);
    pg_params_init(&p, 256);
    pg_add_i32(&p, s->partition);
    pg_add_i64(&p, s->offset);
    st = pg_run(db, "SELECT code FROM view.rejected WHERE src_partition = $1 AND src_offset = $2",
                &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK && pg_rows(rows))
        *ret = arena_copy(c->arena, pg_bytes(rows, 0, 0));
    return st;
}

enum cq_status view_count_users(struct pg *db, const struct cq_id *ids, size_t n, int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid_array(&p, ids, NULL, n);
    st = pg_run(db, "SELECT count(*) FROM auth.accounts WHERE user_id = ANY($1)", &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status view_media_owned(struct pg *db, struct cq_id media, struct cq_id user, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_two(
        db, "SELECT 1 FROM view.media WHERE media_id = $1 AND owner_id = $2", media, user, &rows);

    *ret = st == CQ_OK && pg_rows(rows) == 1;
    return st;
}

/* ---- messages -----------------------------------------------------------------------------------
 */

/* Null when it came after what the reader may know. */
static void out_tick_time(struct cq_buf *out, const char *name, const struct pg_result *rows,
                          int row, int col, int until_col)
{
    int64_t at_ms = pg_i64(rows, row, col);
    bool hidden = !pg_null(rows, row, until_col) && at_ms > pg_i64(rows, row, until_col);

    out_time(out, name, hidden ? 0 : at_ms);
}

void view_message(struct cq_buf *out, const struct pg_result *rows, int row, int col)
{
    buf_add_byte(out, '{');
    out_id(out, "id", pg_uuid(rows, row, col));
    out_text(out, "clientId", pg_bytes(rows, row, col + 4));
    out_id(out, "chatId", pg_uuid(rows, row, col + 1));
    out_i64(out, "seq", pg_i64(rows, row, col + 2));
    out_id(out, "from", pg_uuid(rows, row, col + 3));
    if (!pg_null(rows, row, col + 8))
        out_id(out, "peer", pg_uuid(rows, row, col + 8));
    out_text(out, "type",
             span_str(message_type_word((enum message_type)pg_i64(rows, row, col + 5))));
    out_text(out, "content", pg_bytes(rows, row, col + 6));
    if (!pg_null(rows, row, col + 11))
        out_id(out, "mediaId", pg_uuid(rows, row, col + 11));
    if (!pg_null(rows, row, col + 12)) {
        out_key(out, "media");
        buf_add_span(out, pg_bytes(rows, row, col + 12));
    }
    out_i64(out, "sentAt", pg_i64(rows, row, col + 7));
    out_tick_time(out, "deliveredAt", rows, row, col + 9, col + 13);
    out_tick_time(out, "seenAt", rows, row, col + 10, col + 13);
    buf_add_byte(out, '}');
}

/* As processors/chat compares them: type, content and file. */
static bool is_same(const struct pg_result *row, const struct message_sent *want)
{
    struct cq_id media = want->has_media_id ? want->media_id : (struct cq_id){ 0 };

    return pg_i64(row, 0, 5) == (int64_t)want->type &&
           span_eq(pg_bytes(row, 0, 6), want->content) && id_eq(pg_uuid(row, 0, 11), media);
}

enum cq_status view_message_by_id(struct call *c, struct pg *db, struct cq_id chat, struct cq_id id,
                                  const struct message_sent *want, enum view_found *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, id);
    pg_add_i32(&p, id_part(chat));
    st = pg_run(db,
                "SELECT " VIEW_MESSAGE_COLUMNS
                " FROM (SELECT l.*, NULL::int8 AS until FROM view.messages l "
                "WHERE l.part = $2 AND l.id = $1) m",
                &p, &rows);
    pg_params_release(&p);
    *ret = VIEW_ABSENT;
    if (st == CQ_OK && pg_rows(rows) == 1) {
        *ret = is_same(rows, want) ? VIEW_SAME : VIEW_OTHER;
        view_message(&c->out, rows, 0, 0);
    }
    return st;
}
