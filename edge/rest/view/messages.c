/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/messages.h"

#include "schemas/contents.h"

enum {
    PARAMS_BYTES = 512,
    COL_REPLY = 20,
    COL_MENTIONS = 22,
    COL_FORWARDED,
    COL_REACTIONS,
    COL_EXPIRES = 27,
    COL_CONTENTS = 30,
    COL_POLL,
    COL_SENT /* beside the columns of a message */
};

/* ---- one ------------------------------------------------------------------------------ */

/* 0 when it came after what the reader may know. */
static int64_t known_at_ms(const struct pg_result *rows, int row, int col, int until_col)
{
    int64_t at_ms = pg_i64(rows, row, col);
    bool is_hidden = !pg_null(rows, row, until_col) && at_ms > pg_i64(rows, row, until_col);

    return is_hidden ? 0 : at_ms;
}

struct message_row message_at(const struct pg_result *rows, int row, int col)
{
    struct cq_span mentions = pg_bytes(rows, row, col + COL_MENTIONS);

    return (struct message_row){
        .id = pg_uuid(rows, row, col),
        .chat = pg_uuid(rows, row, col + 1),
        .seq = pg_i64(rows, row, col + 2),
        .sender = pg_uuid(rows, row, col + 3),
        .client_id = pg_bytes(rows, row, col + 4),
        .type = (enum message_type)pg_i64(rows, row, col + 5),
        .content = pg_bytes(rows, row, col + 6),
        .sent_at_ms = pg_i64(rows, row, col + 7),
        .peer = pg_uuid(rows, row, col + 8),
        .delivered_at_ms = known_at_ms(rows, row, col + 9, col + 13),
        .seen_at_ms = known_at_ms(rows, row, col + 10, col + 13),
        .media_id = pg_uuid(rows, row, col + 11),
        .media = pg_null(rows, row, col + 12) ? span_of(NULL, 0) : pg_bytes(rows, row, col + 12),
        .edited_seq = pg_i64(rows, row, col + 14),
        .edited_at_ms = pg_i64(rows, row, col + 15),
        .deleted = pg_bool(rows, row, col + 16),
        .deleted_seq = pg_i64(rows, row, col + 17),
        .deleted_by = pg_uuid(rows, row, col + 18),
        .deleted_at_ms = pg_i64(rows, row, col + 19),
        .has_reply = !pg_null(rows, row, col + COL_REPLY),
        .reply = { pg_uuid(rows, row, col + COL_REPLY), pg_i64(rows, row, col + COL_REPLY + 1) },
        .mentions = (const struct cq_id *)(const void *)mentions.p, /* an id is bytes alone */
        .mentions_n = mentions.n / sizeof(struct cq_id),
        .forwarded = (int32_t)pg_i64(rows, row, col + COL_FORWARDED),
        .reactions = pg_null(rows, row, col + COL_REACTIONS)
                         ? span_of(NULL, 0)
                         : pg_bytes(rows, row, col + COL_REACTIONS),
        .my_reaction = pg_bytes(rows, row, col + COL_REACTIONS + 1),
        .my_reaction_seq = pg_i64(rows, row, col + COL_REACTIONS + 2),
        .expires_at_ms = pg_i64(rows, row, col + COL_EXPIRES),
        .gone = (enum message_gone)pg_i64(rows, row, col + COL_EXPIRES + 1),
        .starred = pg_bool(rows, row, col + COL_EXPIRES + 2),
        .contents = pg_bytes(rows, row, col + COL_CONTENTS),
        .poll = pg_null(rows, row, col + COL_POLL) ? span_of(NULL, 0)
                                                   : pg_bytes(rows, row, col + COL_POLL),
    };
}

static bool same_beside(const struct message_row *row, const struct message_sent *want)
{
    if (row->has_reply != want->has_reply_to || row->mentions_n != want->mentions_n ||
        row->forwarded != (want->has_forwarded ? want->forwarded : 0))
        return false;
    for (size_t i = 0; i < want->mentions_n; i++)
        if (!id_eq(row->mentions[i], want->mentions[i]))
            return false;
    return !row->has_reply ||
           (id_eq(row->reply.id, want->reply_to.id) && row->reply.seq == want->reply_to.seq);
}

/* What was sent beside the text, as the view keeps it. */
static bool same_contents(struct cq_span kept, const struct message_sent *want)
{
    cq_auto(buf) struct cq_buf text = { 0 };

    buf_init(&text, CONTENTS_TEXT_MAX + PREVIEW_TEXT_MAX);
    contents_write(&text, &want->contents);
    preview_write(&text, want->has_preview ? &want->preview : NULL);
    return !text.failed && span_eq(kept, buf_span(&text));
}

/* Options stand behind one another in the row, with a line end between two: none has one. */
static bool same_options(struct cq_span text, const struct poll *want)
{
    for (size_t i = 0; i < want->options_n; i++) {
        struct cq_span option = want->options[i];
        bool is_last = i + 1 == want->options_n;

        if (text.n < option.n + !is_last || !span_eq(span_of(text.p, option.n), option) ||
            (!is_last && text.p[option.n] != '\n'))
            return false;
        text = span_of(text.p + option.n + !is_last, text.n - option.n - !is_last);
    }
    return !text.n;
}

static bool same_poll(const struct pg_result *rows, const struct message_sent *want)
{
    if (pg_null(rows, 0, COL_SENT + 2) == want->has_poll)
        return false;
    return !want->has_poll || (same_options(pg_bytes(rows, 0, COL_SENT + 2), &want->poll) &&
                               pg_i64(rows, 0, COL_SENT + 3) == want->poll.choices &&
                               pg_bool(rows, 0, COL_SENT + 4) == want->poll.anonymous);
}

bool message_was(const struct pg_result *rows, const struct message_sent *want)
{
    struct message_row row = message_at(rows, 0, 0);
    struct cq_id media = want->has_media_id ? want->media_id : (struct cq_id){ { 0 } };

    return row.deleted || row.gone ||
           (row.type == want->type && id_eq(row.media_id, media) &&
            span_eq(pg_bytes(rows, 0, COL_SENT), want->content) &&
            same_contents(pg_bytes(rows, 0, COL_SENT + 1), want) && same_beside(&row, want) &&
            same_poll(rows, want));
}

/* $1 id, $2 part, $3 reader, $4 chat; and what was sent. */
static const char sql_message[] = "SELECT " VIEW_MESSAGE_COLUMNS(
    "$3") ", l.content, concat_ws(',', l.contents, l.preview), array_to_string(o.options, E'\\n'), o.choices, o.anonymous FROM view.messages l "
          "LEFT JOIN view.polls o ON o.part = l.part AND o.chat_id = l.chat_id AND o.target = l.seq "
          "CROSS JOIN LATERAL view.message_for(l.part, l.chat_id, l.seq, $3) m " VIEW_MESSAGE_TICKED
          "WHERE l.part = $2 AND l.id = $1 AND l.chat_id = $4";

enum cq_status view_message(struct pg *db, struct cq_id chat, struct cq_id id, struct cq_id reader,
                            struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, reader);
    pg_add_uuid(&params, chat);
    return pg_run_once(db, sql_message, &params, ret);
}

/* $1 part, $2 chat, $3 message, $4 edit, $5 content, $6 what an edit says. An id that came again after more than ten minutes has
 * two edits: either of them is it. A version without a row of view.edits was written before there were such rows:
 * the newest, if it says the same, counts as this edit. */
static const char sql_edit[] =
    "SELECT coalesce(bool_or(e.said = sha256($6)), bool_or(n.content = $5 AND NOT EXISTS ("
    "SELECT 1 FROM view.edits o WHERE o.part = l.part AND o.chat_id = l.chat_id "
    "AND o.target = l.seq AND o.seq = n.seq)) OR NULL) FROM view.messages l "
    "LEFT JOIN view.edits e ON e.part = l.part AND e.chat_id = l.chat_id AND e.target = l.seq "
    "AND e.edit_id = $4 "
    "LEFT JOIN LATERAL (SELECT v.seq, v.content FROM view.versions v WHERE v.part = l.part "
    "AND v.chat_id = l.chat_id AND v.target = l.seq ORDER BY v.seq DESC LIMIT 1) n ON true "
    "WHERE l.part = $1 AND l.chat_id = $2 AND l.id = $3";

enum cq_status view_edit(struct pg *db, struct cq_id chat, struct cq_id message, struct cq_id edit,
                         struct cq_span content, const struct preview *preview,
                         enum edit_known *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    cq_auto(buf) struct cq_buf said = { 0 }, text = { 0 };
    struct pg_params params;
    enum cq_status st;

    buf_init(&text, PREVIEW_TEXT_MAX);
    buf_init(&said, content.n + 1 + PREVIEW_TEXT_MAX);
    buf_add_span(&said, content);
    if (preview) { /* as sinks/persistence/changes.c has it */
        preview_write(&text, preview);
        buf_add_byte(&said, 0);
        buf_add_span(&said, buf_span(&text));
    }
    if (said.failed || text.failed)
        return CQ_AGAIN;
    pg_params_init(&params, PARAMS_BYTES + content.n + said.n);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, chat);
    pg_add_uuid(&params, message);
    pg_add_uuid(&params, edit);
    pg_add_bytea(&params, content);
    pg_add_bytea(&params, buf_span(&said));
    st = pg_run_once(db, sql_edit, &params, &rows);
    if (st != CQ_OK)
        return st;
    *ret = EDIT_UNKNOWN;
    if (!pg_null(rows, 0, 0))
        *ret = pg_bool(rows, 0, 0) ? EDIT_SAME : EDIT_OTHER;
    return CQ_OK;
}

/* ---- many ----------------------------------------------------------------------------- */

/* $1 ids, $2 part, $3 reader, $4 chat */
static const char sql_places[] =
    "SELECT m.seq, m.gone <> 0 FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, ord) "
    "LEFT JOIN view.messages l ON l.part = $2 AND l.id = w.id AND l.chat_id = $4 "
    "LEFT JOIN LATERAL view.message_for(l.part, l.chat_id, l.seq, $3) m ON true ORDER BY w.ord";

enum cq_status view_places(struct pg *db, struct cq_id chat, const struct cq_id *ids, size_t n,
                           struct cq_id reader, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES + n * 2 * sizeof *ids);
    pg_add_uuid_array(&params, ids, NULL, n);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, reader);
    pg_add_uuid(&params, chat);
    return pg_run_once(db, sql_places, &params, ret);
}

struct place_row place_at(const struct pg_result *rows, int i)
{
    return (struct place_row){ pg_i64(rows, i, 0), !pg_null(rows, i, 1) && pg_bool(rows, i, 1) };
}

static const char sql_count_hidden[] =
    "SELECT count(*) FROM (SELECT 1 FROM view.hidden x WHERE x.part = $1 AND x.chat_id = $2 "
    "AND x.user_id = $3 LIMIT $4) h";

enum cq_status view_count_hidden(struct pg *db, struct cq_id chat, struct cq_id user, int64_t most,
                                 int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, chat);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, most);
    st = pg_run_once(db, sql_count_hidden, &params, &rows);
    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

/* ---- history -------------------------------------------------------------------------- */

/* clang-format off */

/* $1 chat, $2 user, behind $3, before $4, $5 how many, $6 bytes of content that end a page, $7 part. Only
 * what lies between the first joining and the last leaving is looked at. */
#define SQL_HISTORY(order)                                                                         \
    "SELECT " VIEW_MESSAGE_COLUMNS("$2") ", m.found FROM (SELECT z.*, count(*) OVER () AS found, " \
    "sum(octet_length(z.content)) OVER (ORDER BY z.seq " order " ROWS UNBOUNDED PRECEDING) "       \
    "- octet_length(z.content) AS bytes_before FROM (SELECT y.part, y.seq FROM view.messages y "   \
    "WHERE y.part = $7 AND y.chat_id = $1 AND y.seq > greatest($3, (SELECT min(joined_seq) "       \
    "FROM view.members WHERE part = $7 AND chat_id = $1 AND user_id = $2)) "                       \
    "AND y.seq < least($4, (SELECT max(coalesce(left_seq, $4)) FROM view.members "                 \
    "WHERE part = $7 AND chat_id = $1 AND user_id = $2)) "                                         \
    "AND EXISTS (SELECT 1 FROM view.members i WHERE i.part = $7 AND i.chat_id = $1 "               \
    "AND i.user_id = $2 AND y.seq > i.joined_seq AND (i.left_seq IS NULL OR y.seq < i.left_seq)) " \
    "ORDER BY y.seq " order " LIMIT $5) q "                                                        \
    "CROSS JOIN LATERAL view.message_for(q.part, $1, q.seq, $2) z) m " VIEW_MESSAGE_TICKED         \
    "WHERE m.bytes_before < $6 ORDER BY m.seq " order

/* clang-format on */

static const char sql_forward[] = SQL_HISTORY("ASC");
static const char sql_backward[] = SQL_HISTORY("DESC");

enum cq_status view_history(struct pg *db, const struct history_ask *ask, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->chat);
    pg_add_uuid(&params, ask->user);
    pg_add_i64(&params, ask->after);
    pg_add_i64(&params, ask->before);
    pg_add_i64(&params, ask->limit + 1);
    pg_add_i64(&params, ask->bytes);
    pg_add_i32(&params, id_part(ask->chat));
    return pg_run_once(db, ask->forward ? sql_forward : sql_backward, &params, ret);
}

int64_t history_found(const struct pg_result *rows)
{
    return pg_rows(rows) ? pg_i64(rows, 0, VIEW_MESSAGE_COLUMNS_N) : 0;
}

/* ---- who has it ----------------------------------------------------------------------- */

/* clang-format off */

/* $1 message, $2 its sender. Whoever sent it has a stay in its chat: the parts of those are looked
 * into, and no others. OFFSET keeps the planner from looking for the id in all parts. Nothing is told of
 * what its sender sees nothing of any more. */
static const char sql_mine[] =
    "SELECT m.chat_id, m.seq FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) i "
    "CROSS JOIN LATERAL (SELECT y.part, y.chat_id, y.seq FROM view.messages y WHERE y.part = i.part "
    "AND y.id = $1 AND y.sender_id = $2 OFFSET 0) m "
    "CROSS JOIN LATERAL view.message_for(m.part, m.chat_id, m.seq, $2) z WHERE z.gone = 0";

/* The receipt of this kind that covered the message: the first, in the order of the log, that reached it. */
#define COVERED_BY(kind, also)                                                                     \
    "LEFT JOIN LATERAL (SELECT r.at_ms FROM view.receipts r WHERE i.has " also "AND r.part = $1 "  \
    "AND r.chat_id = $2 AND r.user_id = i.user_id AND r.kind = " kind " AND r.seq >= $3 "          \
    "ORDER BY r.seq LIMIT 1)"

/* $1 part, $2 chat, $3 seq, $4 sender. Whoever has read it has it: a read is a receipt of both kinds. A sender
 * who left learns what was so when that stay ended. The other of a direct chat is named though he may not
 * have it: then he has blocked the sender, who is not to learn of it. */
static const char sql_receipts[] =
    "SELECT i.user_id, CASE WHEN e.known THEN d.at_ms END, CASE WHEN e.known THEN s.at_ms END, "
    "d.at_ms IS NOT NULL, s.at_ms IS NOT NULL "
    "FROM (SELECT m.user_id, bool_or(m.joined_seq < $3 AND (m.left_seq IS NULL "
    "OR m.left_seq > $3)) AS has FROM view.members m WHERE m.part = $1 AND m.chat_id = $2 "
    "AND m.user_id <> $4 GROUP BY m.user_id) i "
    "CROSS JOIN (SELECT CASE WHEN bool_or(s.left_seq IS NULL) THEN 9223372036854775807 "
    "ELSE coalesce(max(s.left_at), 0) END AS ms, (SELECT y.sent_at >= view.times_since() "
    "FROM view.messages y WHERE y.part = $1 AND y.chat_id = $2 AND y.seq = $3) AS known "
    "FROM view.members s WHERE s.part = $1 AND s.chat_id = $2 AND s.user_id = $4) e "
    COVERED_BY("0", "") " d ON d.at_ms <= e.ms "
    COVERED_BY("1", "AND " VIEW_SEES_READS("$4") " ") " s ON s.at_ms <= e.ms "
    "WHERE i.has OR (SELECT k.kind = 0 FROM view.chats k WHERE k.part = $1 AND k.chat_id = $2) "
    "ORDER BY i.user_id";

/* clang-format on */

enum cq_status view_sent_message(struct pg *db, struct cq_id id, struct cq_id sender,
                                 struct cq_id *ret_chat, int64_t *ret_seq, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    pg_add_uuid(&params, sender);
    st = pg_run_once(db, sql_mine, &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows);
    if (!*ret_found)
        return st;
    *ret_chat = pg_uuid(rows, 0, 0);
    *ret_seq = pg_i64(rows, 0, 1);
    return CQ_OK;
}

enum cq_status view_receipts(struct pg *db, struct cq_id chat, int64_t seq, struct cq_id sender,
                             struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, chat);
    pg_add_i64(&params, seq);
    pg_add_uuid(&params, sender);
    return pg_run_once(db, sql_receipts, &params, ret);
}

struct receipt_row receipt_at(const struct pg_result *rows, int i)
{
    return (struct receipt_row){ .user = pg_uuid(rows, i, 0),
                                 .delivered_at_ms = pg_i64(rows, i, 1),
                                 .read_at_ms = pg_i64(rows, i, 2),
                                 .delivered = pg_bool(rows, i, 3),
                                 .read = pg_bool(rows, i, 4) };
}
