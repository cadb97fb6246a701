/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/chat_rows.c - chats as one user sees them: one, a page of the list, a page of a sync.
 *
 * A user's stays (view.members by user) name the parts of his chats; everything else is asked by
 * part and chat. A statement first picks the chats of a page by what is cheap (stays, and one row
 * of an index), then reads the rest for those alone. A user who left a group sees it as it was
 * then, without later names, ticks and messages.
 */
#include "edge/rest/chat_rows.h"
#include "schemas/frame.h"

enum { PARAMS_BYTES = 64 * 1024, UUID_OID = 2950 };

/* clang-format off */

/* The caller's last stay in each chat. $1 user */
#define STAYS(where)                                                                            \
    "mine AS (SELECT DISTINCT ON (i.part, i.chat_id) i.part, i.chat_id, i.role, i.joined_seq, " \
    "i.left_seq, i.left_at FROM view.members i WHERE i.user_id = $1 " where                     \
    " ORDER BY i.part, i.chat_id, i.joined_seq DESC)"

#define OF_CHAT(t) " " t ".part = c.part AND " t ".chat_id = c.chat_id "

/* What all others have (0), have read (1). For those who left, the state of then. Only 200 advances
 * are read; if a member was later than that, the tick shows less. */
#define SEEN(t) "CASE WHEN " t ".low_user = $1 THEN " t ".next ELSE " t ".low END"
#define TICK(kind)                                                                              \
    "coalesce(CASE WHEN p.left_seq IS NULL THEN (SELECT " SEEN("k") " FROM view.marks k WHERE"  \
    OF_CHAT("k") "AND k.kind = " kind ") ELSE (SELECT max(" SEEN("a") ") FROM "                 \
    "(SELECT * FROM view.mark_advances h WHERE" OF_CHAT("h") "AND h.kind = " kind               \
    " AND h.low < p.left_seq ORDER BY h.low DESC LIMIT 200) a WHERE a.at_ms <= p.left_at) "     \
    "END, 0)"

/* Own messages count to the 2,000 that are looked at, so that a chat where one has said much costs
 * no more than others. */
#define UNREAD                                                                                  \
    "(SELECT count(*) FROM (SELECT 1 FROM (SELECT y.sender_id FROM view.messages y WHERE"       \
    OF_CHAT("y") "AND y.seq > greatest(coalesce(cur.read, 0), p.joined_seq) "                   \
    "AND (p.left_seq IS NULL OR y.seq < p.left_seq) ORDER BY y.seq DESC LIMIT 2000) x "         \
    "WHERE x.sender_id <> $1 LIMIT 1000) unread)"

/* Of what was picked: `at` is the place in the page. */
#define DETAILS                                                                                 \
    " SELECT c.chat_id, c.kind, "                                                               \
    "CASE WHEN c.kind = 0 THEN coalesce(u.name, '') WHEN p.left_seq IS NULL THEN c.name "       \
    "ELSE coalesce((SELECT n.name FROM view.chat_names n WHERE" OF_CHAT("n")                    \
    "AND n.seq < p.left_seq ORDER BY n.seq DESC LIMIT 1), '') END, "                            \
    "peer.user_id, p.role, p.left_seq IS NULL, coalesce(cur.delivered, 0), "                    \
    "coalesce(cur.read, 0), " TICK("0") ", " TICK("1") ", " UNREAD ", "                         \
    "coalesce((SELECT q.until_ms FROM view.mutes q WHERE q.user_id = $1 "                       \
    "AND q.chat_id = c.chat_id), 0), c.part, p.at, m.* "                                        \
    "FROM picked p JOIN view.chats c USING (part, chat_id) "                                    \
    "LEFT JOIN LATERAL (SELECT o.user_id FROM view.members o WHERE c.kind = 0 AND"              \
    OF_CHAT("o") "AND o.user_id <> $1 LIMIT 1) peer ON true "                                   \
    "LEFT JOIN view.users u ON u.user_id = peer.user_id "                                       \
    "LEFT JOIN view.cursors cur ON" OF_CHAT("cur") "AND cur.user_id = $1 "                      \
    "LEFT JOIN LATERAL (SELECT " VIEW_MESSAGE_COLUMNS " FROM (SELECT l.*, " VIEW_UNTIL("p")     \
    " AS until FROM view.messages l WHERE" OF_CHAT("l")                                         \
    "AND l.seq > p.joined_seq AND (p.left_seq IS NULL OR l.seq < p.left_seq) "                  \
    "ORDER BY l.seq DESC LIMIT 1) m) m ON true "

static const char sql_one[] =
    "WITH " STAYS("AND i.part = $3 AND i.chat_id = $2")
    ", picked AS (SELECT *, 0::int8 AS at FROM mine)" DETAILS;

/* $2 how many; behind ($3 time, $4 chat), from the latest on; null: from the beginning */
static const char sql_latest[] =
    "WITH " STAYS("") ", keyed AS (SELECT mine.*, coalesce(l.sent_at, k.created_at) AS at "
    "FROM mine JOIN view.chats k USING (part, chat_id) "
    "LEFT JOIN LATERAL (SELECT y.sent_at FROM view.messages y WHERE y.part = mine.part "
    "AND y.chat_id = mine.chat_id AND y.seq > mine.joined_seq "
    "AND (mine.left_seq IS NULL OR y.seq < mine.left_seq) ORDER BY y.seq DESC LIMIT 1) l "
    "ON true), picked AS (SELECT * FROM keyed WHERE $3::int8 IS NULL OR at < $3 "
    "OR (at = $3 AND chat_id > $4) ORDER BY at DESC, chat_id LIMIT $2)" DETAILS
    "ORDER BY p.at DESC, c.chat_id";

/* A part is in one partition, whose number it gives. */
#define PARTITION(t) t ".part % cardinality($3::int8[])"

/* $2 how many; $3 lowest seqs, one a partition. For those who left the last change is the end. */
static const char sql_changed[] =
    "WITH " STAYS("") ", picked AS (SELECT mine.*, coalesce(mine.left_seq, k.changed_seq) AS at, "
    PARTITION("k") " AS partition FROM mine JOIN view.chats k USING (part, chat_id) "
    "WHERE coalesce(mine.left_seq, k.changed_seq) >= ($3::int8[])[" PARTITION("k") " + 1] "
    "ORDER BY partition, at LIMIT $2)" DETAILS "ORDER BY p.partition, p.at";

/* clang-format on */

enum { COL_MUTED = 11, COL_PART, COL_AT, COL_MESSAGE };

/* ---- one as JSON ---------------------------------------------------------------------- */

static const char sql_members[] =
    "SELECT m.user_id, coalesce(u.name, ''), m.role FROM view.members m LEFT JOIN view.users u "
    "USING (user_id) "
    "WHERE m.part = $2 AND m.chat_id = $1 AND m.left_seq IS NULL ORDER BY m.joined_seq, m.user_id";

static enum cq_status out_members(struct call *c, struct pg *db, struct cq_id chat)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, chat);
    pg_add_i32(&p, id_part(chat));
    st = pg_run(db, sql_members, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    out_key(&c->out, "members");
    buf_add_byte(&c->out, '[');
    for (int i = 0; i < pg_rows(rows); i++) {
        buf_add_str(&c->out, i ? ",{" : "{");
        out_id(&c->out, "userId", pg_uuid(rows, i, 0));
        out_text(&c->out, "name", pg_bytes(rows, i, 1));
        out_text(&c->out, "role", span_str(member_role_word((enum member_role)pg_i64(rows, i, 2))));
        buf_add_byte(&c->out, '}');
    }
    buf_add_byte(&c->out, ']');
    return CQ_OK;
}

static void out_my_seq(struct cq_buf *out, int64_t delivered, int64_t read)
{
    out_key(out, "mySeq");
    buf_add_byte(out, '{');
    out_i64(out, "delivered", delivered);
    out_i64(out, "read", read);
    buf_add_byte(out, '}');
}

static enum cq_status out_chat(struct call *c, struct pg *db, const struct pg_result *r, int i,
                               bool members)
{
    struct cq_buf *out = &c->out;
    bool group = pg_i64(r, i, 1) == 1, present = pg_bool(r, i, 5);
    enum cq_status st = CQ_OK;

    buf_add_byte(out, '{');
    out_id(out, "chatId", pg_uuid(r, i, 0));
    out_text(out, "kind", span_str(group ? "group" : "direct"));
    out_text(out, "name", pg_bytes(r, i, 2));
    if (!pg_null(r, i, 3))
        out_id(out, "peer", pg_uuid(r, i, 3));
    out_text(out, "role",
             span_str(present ? member_role_word((enum member_role)pg_i64(r, i, 4)) : "left"));
    if (members && present)
        st = out_members(c, db, pg_uuid(r, i, 0));
    if (!pg_null(r, i, COL_MESSAGE)) {
        out_key(out, "lastMessage");
        view_message(out, r, i, COL_MESSAGE);
    }
    out_i64(out, "unread", pg_i64(r, i, 10));
    out_i64(out, "delivered", pg_i64(r, i, 8));
    out_i64(out, "read", pg_i64(r, i, 9));
    out_my_seq(out, pg_i64(r, i, 6), pg_i64(r, i, 7));
    if (pg_i64(r, i, COL_MUTED) > c->now_ms)
        out_i64(out, "mutedUntil", pg_i64(r, i, COL_MUTED));
    buf_add_byte(out, '}');
    return st;
}

static void out_unopened(struct cq_buf *out, struct cq_id chat, struct cq_id peer,
                         struct cq_span name)
{
    buf_add_byte(out, '{');
    out_id(out, "chatId", chat);
    out_text(out, "kind", span_str("direct"));
    out_text(out, "name", name);
    out_id(out, "peer", peer);
    out_text(out, "role", span_str("member"));
    out_i64(out, "unread", 0);
    out_i64(out, "delivered", 0);
    out_i64(out, "read", 0);
    out_my_seq(out, 0, 0);
    buf_add_byte(out, '}');
}

enum cq_status chat_row_one(struct call *c, struct pg *db, struct cq_id chat)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, c->who.user);
    pg_add_uuid(&p, chat);
    pg_add_i32(&p, id_part(chat));
    st = pg_run(db, sql_one, &p, &rows);
    pg_params_release(&p);
    return st == CQ_OK && pg_rows(rows) ? out_chat(c, db, rows, 0, true) : st;
}

enum cq_status chat_row_unopened(struct call *c, struct pg *db, struct cq_id chat,
                                 struct cq_id peer)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, peer);
    st = pg_run(db, "SELECT name FROM view.users WHERE user_id = $1", &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK)
        out_unopened(&c->out, chat, peer, pg_rows(rows) ? pg_bytes(rows, 0, 0) : span_str(""));
    return st;
}

/* ---- the list ------------------------------------------------------------------------- */

/* A comma where something stands before. */
static void add_comma(struct cq_buf *out)
{
    if (out->n && out->p[out->n - 1] != '[')
        buf_add_byte(out, ',');
}

/* Whether one more of `n` may come: the first always may, or a page could be empty for ever. */
static bool page_has_room(const struct chat_list *l, const struct cq_buf *out, size_t from)
{
    return !l->n || (l->n < l->limit && out->n - from <= REST_PAGE_BYTES);
}

/* The rows of one part of the list, from its beginning or behind what was shown of it. */
static enum cq_status run_list(struct call *c, struct pg *db, const char *sql,
                               const struct chat_list *l, bool behind, struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64(&p, l->limit + 1);
    if (behind) {
        pg_add_i64(&p, l->at);
        pg_add_uuid(&p, l->chat);
    } else {
        pg_add_null(&p, 20 /* int8 */);
        pg_add_null(&p, UUID_OID);
    }
    st = pg_run(db, sql, &p, ret);
    pg_params_release(&p);
    return st;
}

static enum cq_status list_written(struct call *c, struct pg *db, struct chat_list *l, size_t from)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_list(c, db, sql_latest, l, l->behind, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        if (!page_has_room(l, &c->out, from)) {
            l->more = true;
            break;
        }
        add_comma(&c->out);
        st = out_chat(c, db, rows, i, false);
        l->at = pg_i64(rows, i, COL_AT);
        l->chat = pg_uuid(rows, i, 0);
        l->behind = true;
        l->n++;
    }
    return st;
}

/* $1 user, $2 how many; behind ($3 time, $4 chat); null: from the beginning. Who has written in a
 * chat, or was written to, has a stay in it. */
static const char sql_opened[] =
    "SELECT d.chat_id, CASE WHEN d.user_a = $1 THEN d.user_b ELSE d.user_a END, "
    "coalesce(u.name, ''), d.created_at FROM auth.direct_chats d LEFT JOIN view.users u "
    "ON u.user_id = CASE WHEN d.user_a = $1 THEN d.user_b ELSE d.user_a END "
    "WHERE d.opened_by = $1 AND NOT EXISTS (SELECT 1 FROM view.members i WHERE i.user_id = $1 "
    "AND i.chat_id = d.chat_id) "
    "AND ($3::int8 IS NULL OR d.created_at < $3 OR (d.created_at = $3 AND d.chat_id > $4)) "
    "ORDER BY d.created_at DESC, d.chat_id LIMIT $2";

static enum cq_status list_unopened(struct call *c, struct pg *db, struct chat_list *l, size_t from)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_list(c, db, sql_opened, l, l->behind && l->unopened, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        if (!page_has_room(l, &c->out, from)) {
            l->more = true;
            break;
        }
        add_comma(&c->out);
        out_unopened(&c->out, pg_uuid(rows, i, 0), pg_uuid(rows, i, 1), pg_bytes(rows, i, 2));
        l->at = pg_i64(rows, i, 3);
        l->chat = pg_uuid(rows, i, 0);
        l->behind = l->unopened = true;
        l->n++;
    }
    return st;
}

enum cq_status chat_list_page(struct call *c, struct pg *db, struct chat_list *l)
{
    size_t from = c->out.n;
    enum cq_status st = l->unopened ? CQ_OK : list_written(c, db, l, from);

    return st == CQ_OK && !l->more ? list_unopened(c, db, l, from) : st;
}

/* ---- what changed --------------------------------------------------------------------- */

enum cq_status chat_changes_page(struct call *c, struct pg *db, const int64_t *lows, int32_t n,
                                 struct chat_changes *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;
    size_t from = c->out.n;

    ret->n = 0;
    ret->more = false;
    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64(&p, CHAT_CHANGES_MAX + 1);
    pg_add_i64_array(&p, lows, (size_t)n);
    st = pg_run(db, sql_changed, &p, &rows);
    pg_params_release(&p);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct chat_change *one = &ret->row[ret->n];

        if (ret->n == CHAT_CHANGES_MAX || (i && c->out.n - from > REST_PAGE_BYTES)) {
            ret->more = true;
            break;
        }
        if (i)
            buf_add_byte(&c->out, ',');
        st = out_chat(c, db, rows, i, false);
        *one = (struct chat_change){ (int32_t)pg_i64(rows, i, COL_PART) % n,
                                     pg_i64(rows, i, COL_AT), c->out.n };
        ret->n++;
    }
    return st;
}
