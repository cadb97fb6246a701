/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/sync.c - everything since a cursor, a page at a time, from one snapshot of the view.
 *
 * A cursor is two frontiers: how far chat.events (as source positions) and delivery.status had been
 * applied when the answer before was read. Messages and changed chats both come in the order of
 * (partition, seq). A page ends at one place in that order: everything up to there is told, nothing
 * behind it, and the cursor says so. Ticks come when all of that is told, by pages of their own.
 *
 * The listing that cursor=latest begins has a place of its own in that order; its two frontiers are
 * those of its first page, from where on the client then asks.
 */
#include "edge/rest/chat_rows.h"
#include "lib/base/hash.h"
#include "lib/bus/frontier.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { PAGE = 500, TICKS_PAGE = 1000, CURSOR_MAX = 32 * 1024, PARAMS_BYTES = 64 * 1024 };

/* A place in the order of (partition, seq). */
struct place {
    int32_t part;
    int64_t seq;
};

struct cursor {
    struct frontier events, status;
    bool listing; /* chats up to `told` are listed, from the frontiers on is to be told then */
    struct place told;
};

struct sync {
    struct cursor since;
    struct frontier at_least;
    bool has_at_least, latest;
    struct cursor applied; /* of the snapshot */
    struct cursor next;    /* of the answer */
    int64_t lows[PARTITIONS_MAX];
    struct chat_changes changes;
    bool more;
};

static bool is_behind(struct place a, struct place b)
{
    return a.part != b.part ? a.part > b.part : a.seq > b.seq;
}

/* ---- cursors -------------------------------------------------------------------------- */

/* `partition.seq` */
static bool place_parse(struct cq_span text, int32_t n, struct place *ret)
{
    int64_t v[2] = { 0, 0 };
    size_t k = 0, digits = 0;

    for (size_t i = 0; i < text.n; i++, digits++) {
        if (text.p[i] == '.' && k == 0 && digits) {
            k = 1;
            digits = (size_t)-1;
        } else if (text.p[i] >= '0' && text.p[i] <= '9' && v[k] < (int64_t)1 << 58) {
            v[k] = v[k] * 10 + (text.p[i] - '0');
        } else {
            return false;
        }
    }
    *ret = (struct place){ (int32_t)v[0], v[1] };
    return k == 1 && digits && v[0] < n;
}

/* The bytes up to the next bar, which *rest then stands behind. */
static struct cq_span take_field(struct cq_span *rest)
{
    const uint8_t *bar = rest->n ? memchr(rest->p, '|', rest->n) : NULL;
    size_t n = bar ? (size_t)(bar - rest->p) : rest->n;
    struct cq_span field = span_of(rest->p, n);

    *rest = bar ? span_of(bar + 1, rest->n - n - 1) : span_of(NULL, 0);
    return field;
}

static bool cursor_parse(struct cq_arena *a, struct cq_span text, int32_t n, struct cursor *ret)
{
    uint8_t *raw = arena_alloc(a, text.n + 1);
    struct cq_span rest;
    size_t raw_n;

    if (!raw || text.n > CURSOR_MAX || !base64url_parse(text, raw, text.n, &raw_n))
        return false;
    rest = span_of(raw, raw_n);
    if (!frontier_parse(take_field(&rest), TOPIC_GENERATION, n, &ret->events) ||
        !frontier_parse(take_field(&rest), TOPIC_GENERATION, n, &ret->status))
        return false;
    ret->listing = rest.n > 0;
    return !ret->listing || place_parse(rest, n, &ret->told);
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
    if (c->listing)
        buf_printf(&raw, "|%d.%lld", c->told.part, (long long)c->told.seq);
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
        call_bad_request(c, "cursor: must be one that this server gave");
        return false;
    }
    s->has_at_least = at_least.n > 0;
    if (s->has_at_least && !frontier_parse(at_least, TOPIC_GENERATION, n, &s->at_least)) {
        call_bad_request(c, "at_least: the `at` of ready");
        return false;
    }
    return true;
}

/* ---- reading -------------------------------------------------------------------------- */

static const char sql_positions[] =
    "SELECT topic, partition, next, source_next FROM view.positions "
    "WHERE (consumer = 'persistence' AND topic = 'chat.events') OR (consumer = 'status' AND topic = 'delivery.status')";

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

/* A part is in one partition, whose number it gives. */
#define PARTITION "k.part % cardinality($2::int8[])"

/* $1 user, $2 lowest seq a partition, $3 how many, $4 bytes of content that end a page. Places
 * first, by the index alone; then the rows of those that come into the page. */
static const char sql_messages[] =
    "SELECT " VIEW_MESSAGE_COLUMNS ", m.partition, m.found FROM (SELECT z.*, q.partition, q.until, "
    "count(*) OVER () AS found, sum(octet_length(z.content)) OVER (ORDER BY q.partition, q.seq "
    "ROWS UNBOUNDED PRECEDING) - octet_length(z.content) AS bytes_before FROM ("
    "SELECT k.part, k.chat_id, " PARTITION " AS partition, x.seq, "
    "CASE WHEN NOT EXISTS (SELECT 1 FROM view.members o WHERE o.part = i.part "
    "AND o.chat_id = i.chat_id AND o.user_id = $1 AND o.left_seq IS NULL) THEN " VIEW_UNTIL(
        "i") " END AS until "
             "FROM view.members i JOIN view.chats k USING (part, chat_id) "
             "JOIN LATERAL (SELECT y.seq FROM view.messages y WHERE y.part = k.part "
             "AND y.chat_id = k.chat_id AND y.seq > i.joined_seq "
             "AND y.seq >= $2[" PARTITION " + 1] "
             "AND (i.left_seq IS NULL OR y.seq < i.left_seq) ORDER BY y.seq LIMIT $3) x ON true "
             "WHERE i.user_id = $1 AND k.last_seq >= $2[" PARTITION " + 1] "
             "ORDER BY partition, x.seq LIMIT $3) q "
             "JOIN view.messages z USING (part, chat_id, seq)) m WHERE m.bytes_before < $4 "
             "ORDER BY m.partition, m.seq";

enum { COL_SEQ = 2, COL_PART = VIEW_MESSAGE_COLUMNS_N, COL_FOUND };

/* Messages in order, up to the place where the changed chats of this page end. *ret_last: the place
 * of the last one, when there are more behind it that the chats do not hold back. */
static enum cq_status out_messages(struct call *c, struct pg *db, struct sync *s, bool *ret_cut,
                                   struct place *ret_last)
{
    const struct chat_change *end = s->changes.more ? &s->changes.row[s->changes.n - 1] : NULL;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    size_t from = c->out.n;
    struct pg_params p;
    enum cq_status st;
    int n, i = 0;

    *ret_cut = false;
    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64_array(&p, s->lows, (size_t)s->since.events.n);
    pg_add_i64(&p, PAGE + 1);
    pg_add_i64(&p, REST_PAGE_BYTES);
    st = pg_run(db, sql_messages, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    n = pg_rows(rows) > PAGE ? PAGE : pg_rows(rows);
    for (; i < n && (!i || c->out.n - from <= REST_PAGE_BYTES); i++) {
        struct place at = { (int32_t)pg_i64(rows, i, COL_PART), pg_i64(rows, i, COL_SEQ) };

        if (end && is_behind(at, (struct place){ end->part, end->seq }))
            return CQ_OK; /* the chats are where this page ends */
        if (i)
            buf_add_byte(&c->out, ',');
        view_message(&c->out, rows, i, 0);
        *ret_last = at;
    }
    *ret_cut = i && pg_i64(rows, 0, COL_FOUND) > i;
    return CQ_OK;
}

/* ---- ticks ---------------------------------------------------------------------------- */

/* $1 user, $2 next of delivery.status a partition, $3 how many */
static const char sql_ticks[] =
    "SELECT k.chat_id, max(CASE WHEN k.kind = 0 THEN v.seen END), max(CASE WHEN k.kind = 1 THEN "
    "v.seen END), max(k.src_part), max(k.src_next) "
    "FROM (SELECT DISTINCT part, chat_id FROM view.members "
    "WHERE user_id = $1 AND left_seq IS NULL) i JOIN view.marks k USING (part, chat_id), "
    "LATERAL (SELECT CASE WHEN k.low_user = $1 THEN k.next ELSE k.low END AS seen) v "
    "GROUP BY k.part, k.chat_id HAVING bool_or(k.src_next > ($2::bigint[])[k.src_part + 1]) "
    "ORDER BY 4, 5 LIMIT $3";

/* How many of the rows make a page: those that stand at one place of delivery.status are not
 * parted. A record there is about one chat, so that there are few of them. */
static int ticks_of_page(const struct pg_result *rows)
{
    int n = TICKS_PAGE;

    if (pg_rows(rows) <= TICKS_PAGE)
        return pg_rows(rows);
    while (n > 1 && pg_i64(rows, n - 1, 3) == pg_i64(rows, TICKS_PAGE, 3) &&
           pg_i64(rows, n - 1, 4) == pg_i64(rows, TICKS_PAGE, 4))
        n--;
    return n;
}

static enum cq_status out_ticks(struct call *c, struct pg *db, struct sync *s)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;
    int n;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64_array(&p, s->since.status.next, (size_t)s->since.status.n);
    pg_add_i64(&p, TICKS_PAGE + 1);
    st = pg_run(db, sql_ticks, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    n = ticks_of_page(rows);
    for (int i = 0; i < n; i++) {
        buf_add_str(&c->out, i ? ",{" : "{");
        out_id(&c->out, "chatId", pg_uuid(rows, i, 0));
        out_i64(&c->out, "delivered", pg_i64(rows, i, 1));
        out_i64(&c->out, "read", pg_i64(rows, i, 2));
        buf_add_byte(&c->out, '}');
    }
    if (n < pg_rows(rows)) {
        int32_t part = (int32_t)pg_i64(rows, n - 1, 3);

        s->more = true;
        s->next.status = s->since.status;
        for (int32_t k = 0; k < part; k++)
            frontier_advance(&s->next.status, k, s->applied.status.next[k]);
        frontier_advance(&s->next.status, part, pg_i64(rows, n - 1, 4));
    }
    return CQ_OK;
}

/* ---- the answer ----------------------------------------------------------------------- */

static void end_answer(struct call *c, const struct sync *s)
{
    cursor_write(&c->out, &s->next);
    out_bool(&c->out, "more", s->more);
    buf_add_byte(&c->out, '}');
}

/* Everything up to the place is told. */
static void cut_at(struct sync *s, struct place at)
{
    s->more = true;
    s->next = s->since;
    for (int32_t p = 0; p < at.part; p++)
        frontier_advance(&s->next.events, p, s->applied.events.next[p]);
    frontier_advance(&s->next.events, at.part, seq_offset(at.seq) + 1);
}

/* Chats whose last change is not behind the place; their JSON. */
static struct cq_span chats_up_to(const struct sync *s, const struct cq_buf *chats, bool cut,
                                  struct place last)
{
    int n = s->changes.n;

    while (cut && n &&
           is_behind((struct place){ s->changes.row[n - 1].part, s->changes.row[n - 1].seq }, last))
        n--;
    return span_of(chats->p, n ? s->changes.row[n - 1].end : 0);
}

static enum cq_status write_news(struct call *c, struct pg *db, struct sync *s)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf chats = { 0 };
    struct place last = { 0, 0 };
    bool cut = false;
    enum cq_status st;

    s->next = s->applied;
    for (int32_t p = 0; p < s->since.events.n; p++)
        s->lows[p] = seq_make(TOPIC_GENERATION, s->since.events.next[p]);
    st = chat_changes_page(c, db, s->lows, s->since.events.n, &s->changes);
    buf_init(&chats, CALL_REPLY_MAX);
    buf_add_span(&chats, buf_span(&c->out));
    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"messages\":[");
    if (st == CQ_OK)
        st = out_messages(c, db, s, &cut, &last);
    buf_add_str(&c->out, "],\"chats\":[");
    buf_add_span(&c->out, chats_up_to(s, &chats, cut, last));
    buf_add_str(&c->out, "],\"ticks\":[");
    if (cut)
        cut_at(s, last);
    else if (s->changes.more)
        cut_at(s, (struct place){ s->changes.row[s->changes.n - 1].part,
                                  s->changes.row[s->changes.n - 1].seq });
    if (st == CQ_OK && !s->more)
        st = out_ticks(c, db, s);
    buf_add_byte(&c->out, ']');
    c->out.failed |= chats.failed;
    end_answer(c, s);
    return st;
}

/* All chats and no messages: a new device begins so. */
static enum cq_status write_listing(struct call *c, struct pg *db, struct sync *s)
{
    enum cq_status st;

    for (int32_t p = 0; p < s->since.events.n; p++)
        s->lows[p] = s->latest || p > s->since.told.part ? 0
                     : p == s->since.told.part           ? s->since.told.seq + 1
                                                         : INT64_MAX;
    s->next = s->latest ? s->applied : s->since;
    buf_add_str(&c->out, "{\"messages\":[],\"chats\":[");
    st = chat_changes_page(c, db, s->lows, s->since.events.n, &s->changes);
    buf_add_str(&c->out, "],\"ticks\":[]");
    s->next.listing = s->changes.more;
    if (s->changes.more)
        s->next.told = (struct place){ s->changes.row[s->changes.n - 1].part,
                                       s->changes.row[s->changes.n - 1].seq };
    s->more = s->changes.more || s->since.listing; /* then from the first page's frontiers on */
    end_answer(c, s);
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
    buf_clear(&c->out);
    s->more = false;
    late = first_late(s);
    if (late < 0)
        st = s->latest || s->since.listing ? write_listing(c, db, s) : write_news(c, db, s);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return call_database(c, st);
    if (late < 0)
        return call_reply(c, 200);
    if (c->timed_out)
        return call_unavailable(c, "not caught up yet: ask again with the same cursor");
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
            return call_error(c, 500, "internal", "internal error: report it with the requestId");
        if (!parse_query(c, s))
            return CALL_REPLY;
    }
    return from_snapshot(c, db, s);
}
