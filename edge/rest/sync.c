/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/sync.c - everything since a cursor, from one snapshot of the view.
 *
 * A cursor is two frontiers: how far chat.events (as source positions) and delivery.status had been
 * applied when the answer before was read. Rows come in order of (partition, seq), so a page that
 * is cut names exactly how far each partition was told.
 */
#include "edge/rest/rest.h"
#include "lib/base/hash.h"
#include "lib/bus/frontier.h"
#include "schemas/topics.h"

enum { PAGE = 500, PAGE_BYTES = 4 * 1024 * 1024, CURSOR_MAX = 32 * 1024, PARAMS_BYTES = 64 * 1024 };

struct cursor {
    struct frontier events, status;
};

struct sync {
    struct cursor since;
    struct frontier at_least;
    bool has_at_least, latest;
    struct cursor applied; /* of the snapshot */
    int64_t lows[FRONTIER_MAX];
};

/* ---- cursors
 * ------------------------------------------------------------------------------------- */

static bool cursor_parse(struct cq_arena *a, struct cq_span text, int32_t n, struct cursor *ret)
{
    uint8_t *raw = arena_alloc(a, text.n + 1);
    const uint8_t *bar;
    size_t raw_n;

    if (!raw || text.n > CURSOR_MAX || !base64url_parse(text, raw, text.n, &raw_n))
        return false;
    bar = memchr(raw, '|', raw_n);
    return bar &&
           frontier_parse(span_of(raw, (size_t)(bar - raw)), TOPIC_GENERATION, n, &ret->events) &&
           frontier_parse(span_of(bar + 1, raw_n - (size_t)(bar + 1 - raw)), TOPIC_GENERATION, n,
                          &ret->status);
}

static void cursor_write(struct cq_buf *out, const struct cursor *c)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf raw = { 0 }, text = { 0 };
    uint8_t *to;

    buf_init(&raw, CURSOR_MAX);
    buf_init(&text, 2 * CURSOR_MAX);
    frontier_format(&c->events, &raw);
    buf_add_byte(&raw, '|');
    frontier_format(&c->status, &raw);
    to = buf_reserve(&text, 4 * ((raw.n + 2) / 3) + 1);
    if (to)
        text.n = base64url_format(raw.p, raw.n, (char *)to);
    out_text(out, "cursor", buf_span(&text));
}

/* False: c has its reply. */
static bool parse_query(struct call *c, struct sync *s)
{
    struct cq_span cursor = call_param(c, "cursor"), at_least = call_param(c, "at_least");
    int32_t n = c->conf->partitions;

    frontier_init(&s->since.events, TOPIC_GENERATION, n);
    frontier_init(&s->since.status, TOPIC_GENERATION, n);
    s->latest = span_eq_str(cursor, "latest");
    if (cursor.n && !s->latest && !cursor_parse(c->arena, cursor, n, &s->since)) {
        call_bad_request(c, "cursor: as it was given");
        return false;
    }
    s->has_at_least = at_least.n > 0;
    if (s->has_at_least && !frontier_parse(at_least, TOPIC_GENERATION, n, &s->at_least)) {
        call_bad_request(c, "at_least: the `at` of ready");
        return false;
    }
    return true;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

static const char sql_positions[] =
    "SELECT topic, partition, next, source_next FROM view.positions WHERE (consumer = "
    "'persistence' AND "
    "topic = 'chat.events') OR (consumer = 'status' AND topic = 'delivery.status')";

static enum cq_status read_positions(struct pg *db, struct sync *s, int32_t n)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql_positions, NULL, &rows);

    frontier_init(&s->applied.events, TOPIC_GENERATION, n);
    frontier_init(&s->applied.status, TOPIC_GENERATION, n);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        int32_t p = (int32_t)pg_i64(rows, i, 1);

        if (span_eq_str(pg_bytes(rows, i, 0), "chat.events"))
            frontier_advance(&s->applied.events, p, pg_i64(rows, i, 3));
        else
            frontier_advance(&s->applied.status, p, pg_i64(rows, i, 2));
    }
    return st;
}

/* $1 user, $2 lowest seq a partition, $3 limit */
static const char sql_messages[] =
    "SELECT " VIEW_MESSAGE_COLUMNS
    ", m.part FROM (SELECT x.*, k.part FROM view.members i JOIN view.chats k "
    "USING (chat_id) JOIN LATERAL (SELECT * FROM view.messages y WHERE y.chat_id = k.chat_id AND "
    "y.seq > i.joined_seq AND "
    "y.seq >= $2[k.part + 1] AND (i.left_seq IS NULL OR y.seq < i.left_seq) ORDER BY y.seq LIMIT "
    "$3) x ON true "
    "WHERE i.user_id = $1 AND k.last_seq >= $2[k.part + 1] ORDER BY k.part, x.seq LIMIT $3) m "
    "ORDER BY m.part, m.seq";

enum { COL_SEQ = 2, COL_PART = VIEW_MESSAGE_COLUMNS_N };

/* The frontier after a page that was cut behind its last row. */
static void cut_frontier(struct sync *s, const struct pg_result *rows, int last,
                         struct frontier *ret)
{
    int32_t part = (int32_t)pg_i64(rows, last, COL_PART);

    *ret = s->since.events;
    for (int32_t p = 0; p < part; p++)
        frontier_advance(ret, p, s->applied.events.next[p]);
    frontier_advance(ret, part, seq_offset(pg_i64(rows, last, COL_SEQ)) + 1);
}

static enum cq_status out_messages(struct call *c, struct pg *db, struct sync *s,
                                   struct cursor *next, bool *more)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;
    int n;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64_array(&p, s->lows, (size_t)s->since.events.n);
    pg_add_i64(&p, PAGE + 1);
    st = pg_run(db, sql_messages, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    *more = pg_rows(rows) > PAGE;
    n = *more ? PAGE : pg_rows(rows);
    for (int i = 0; i < n; i++) {
        if (i && c->out.n > PAGE_BYTES) { /* few and large: the page is full all the same */
            *more = true;
            n = i;
            break;
        }
        if (i)
            buf_add_byte(&c->out, ',');
        view_message(&c->out, rows, i, 0);
    }
    if (*more) {
        cut_frontier(s, rows, n - 1, &next->events);
        next->status = s->since.status;
    }
    return CQ_OK;
}

static const char sql_ticks[] =
    "SELECT k.chat_id, max(CASE WHEN k.kind = 0 THEN v.seen END), max(CASE WHEN k.kind = 1 THEN "
    "v.seen END) "
    "FROM (SELECT DISTINCT chat_id FROM view.members WHERE user_id = $1 AND left_seq IS NULL) i "
    "JOIN view.marks k USING (chat_id), LATERAL (SELECT CASE WHEN k.low_user = $1 THEN k.next ELSE "
    "k.low END AS seen) v "
    "GROUP BY k.chat_id HAVING bool_or(k.src_next > ($2::bigint[])[k.src_part + 1])";

static enum cq_status out_ticks(struct call *c, struct pg *db, const struct sync *s)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64_array(&p, s->since.status.next, (size_t)s->since.status.n);
    st = pg_run(db, sql_ticks, &p, &rows);
    pg_params_release(&p);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        buf_add_str(&c->out, i ? ",{" : "{");
        out_id(&c->out, "chatId", pg_uuid(rows, i, 0));
        out_i64(&c->out, "delivered", pg_i64(rows, i, 1));
        out_i64(&c->out, "read", pg_i64(rows, i, 2));
        buf_add_byte(&c->out, '}');
    }
    return st;
}

static enum cq_status write_answer(struct call *c, struct pg *db, struct sync *s)
{
    struct cursor *next = ARENA_NEW(c->arena, struct cursor);
    bool more = false;
    enum cq_status st = next ? CQ_OK : CQ_FATAL;

    if (st != CQ_OK)
        return st;
    *next = s->applied;
    for (int32_t p = 0; p < s->since.events.n; p++)
        s->lows[p] = seq_make(TOPIC_GENERATION, s->since.events.next[p]);
    buf_add_str(&c->out, "{\"messages\":[");
    if (!s->latest)
        st = out_messages(c, db, s, next, &more);
    buf_add_str(&c->out, "],\"chats\":[");
    if (st == CQ_OK)
        st = view_chats(c, db, NULL, s->latest ? NULL : s->lows, s->since.events.n, false);
    buf_add_str(&c->out, "],\"ticks\":[");
    if (st == CQ_OK && !more)
        st = out_ticks(c, db, s);
    buf_add_byte(&c->out, ']');
    cursor_write(&c->out, next);
    buf_add_str(&c->out, more ? ",\"more\":true}" : ",\"more\":false}");
    return st;
}

/* The first partition in which the snapshot is not as fresh as the client was told; -1: none. */
static int32_t first_late(const struct sync *s)
{
    for (int32_t p = 0; s->has_at_least && p < s->at_least.n; p++)
        if (s->applied.events.next[p] < s->at_least.next[p])
            return p;
    return -1;
}

static enum call_next from_snapshot(struct call *c, struct pg *db, struct sync *s)
{
    enum cq_status st = pg_script(db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    int32_t late;

    if (st == CQ_OK)
        st = read_positions(db, s, c->conf->partitions);
    if (st != CQ_OK)
        return call_database(c, st);
    late = first_late(s);
    if (late < 0)
        st = write_answer(c, db, s);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return call_database(c, st);
    if (late < 0)
        return call_reply(c, 200);
    if (c->timed_out)
        return call_unavailable(c, "the view is late: you are not caught up, ask again");
    c->waits[0] = (struct call_wait){ WATCH_CHAT_EVENTS, late, s->at_least.next[late] - 1 };
    c->waits_n = 1;
    c->step = 1;
    return CALL_WAIT;
}

enum call_next handle_sync(struct call *c, struct pg *db)
{
    struct sync *s = c->state;

    if (c->step == 0) {
        s = c->state = ARENA_NEW(c->arena, struct sync);
        if (!s)
            return call_error(c, 500, "internal", "this is our mistake");
        if (!parse_query(c, s))
            return CALL_REPLY;
    }
    return from_snapshot(c, db, s);
}
