/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/sync.c - everything since a cursor, a page at a time, from one snapshot of the view.
 *
 * A cursor is two frontiers: how far chat.events (as source positions) and delivery.status had been
 * applied when the answer before was read. Messages and changed chats both come in the order of
 * (partition, seq), where the seq of a message is that of its last change: it comes as it is now. A page ends at one place in that order: everything up to there is told, nothing
 * behind it, and the cursor says so. Ticks come when all of that is told, by pages of their own.
 *
 * Changes that fit no message have the place of the change itself in that order: a page tells those up to where it ends.
 *
 * What the user has marked of his chats comes then, too: its facts have an order of their own, and the
 * cursor a place in it.
 *
 * The listing that cursor=latest begins has a place of its own in that order; its two frontiers are
 * those of its first page, from where on the client then asks.
 */
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/render/changes.h"
#include "edge/rest/render/chats.h"
#include "edge/rest/render/messages.h"
#include "edge/rest/render/users.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/changes.h"
#include "edge/rest/view/marks.h"
#include "lib/base/hash.h"
#include "lib/bus/frontier.h"
#include "schemas/topics.h"

enum {
    PAGE = 500,
    TICKS_PAGE = 1000,
    STALE_PAGE = 500,
    MARKS_PAGE = 1000,
    CURSOR_MAX = 32 * 1024,
    CURSOR_DIGITS = 18
};

/* A place in the order of (partition, seq). */
struct place {
    int32_t part;
    int64_t seq;
};

struct cursor {
    struct frontier events, status;
    bool listing; /* chats up to `told` are listed, from the frontiers on is to be told then */
    struct place told;
    int64_t marks; /* marks up to this place are told; 0: none */
};

struct sync {
    struct cursor since;
    struct frontier at_least;
    bool has_at_least, latest;
    struct cursor applied; /* of the snapshot */
    struct cursor next;    /* of the answer */
    int64_t lows[PARTITIONS_MAX];
    struct chat_changes changes;
    struct place end; /* what is told of this page's order ends here … */
    bool has_end;     /* … unless it reaches the end of all that there is */
    bool more;
};

static bool is_behind(struct place a, struct place b)
{
    return a.part != b.part ? a.part > b.part : a.seq > b.seq;
}

/* The page ends here, or before. */
static void end_at(struct sync *sync, struct place at)
{
    if (!sync->has_end || is_behind(sync->end, at))
        sync->end = at;
    sync->has_end = true;
}

/* ---- cursors -------------------------------------------------------------------------- */

/* `partition.seq` */
static bool place_parse(struct cq_span text, int32_t n, struct place *ret)
{
    int64_t part;

    if (!span_take_digits(&text, '.', CURSOR_DIGITS, &part) || part >= n ||
        !span_digits(text, CURSOR_DIGITS, &ret->seq))
        return false;
    ret->part = (int32_t)part;
    return true;
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

/* Digits, or nothing for 0. */
static bool marks_parse(struct cq_span text, int64_t *ret)
{
    *ret = 0;
    return !text.n || span_digits(text, CURSOR_DIGITS, ret);
}

static bool cursor_parse(struct cq_arena *arena, struct cq_span text, int32_t n, struct cursor *ret)
{
    uint8_t *raw = arena_alloc(arena, text.n + 1);
    struct cq_span rest, told;
    size_t raw_n;

    if (!raw || text.n > CURSOR_MAX || !base64url_parse(text, raw, text.n, &raw_n))
        return false;
    rest = span_of(raw, raw_n);
    if (!frontier_parse(take_field(&rest), TOPIC_GENERATION, n, &ret->events) ||
        !frontier_parse(take_field(&rest), TOPIC_GENERATION, n, &ret->status))
        return false;
    told = take_field(&rest);
    ret->listing = told.n > 0;
    return (!ret->listing || place_parse(told, n, &ret->told)) && marks_parse(rest, &ret->marks);
}

static void cursor_write(struct cq_buf *out, const struct cursor *cursor)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf raw = { 0 }, text = { 0 };
    uint8_t *to;

    buf_init(&raw, CURSOR_MAX);
    buf_init(&text, 2 * CURSOR_MAX);
    frontier_format(&cursor->events, &raw);
    buf_add_byte(&raw, '|');
    frontier_format(&cursor->status, &raw);
    if (cursor->listing)
        buf_printf(&raw, "|%d.%lld", cursor->told.part, (long long)cursor->told.seq);
    if (cursor->marks) /* an edge of before reads no such cursor: only those have one who need it */
        buf_printf(&raw, "%s|%lld", cursor->listing ? "" : "|", (long long)cursor->marks);
    to = buf_reserve(&text, 4 * ((raw.n + 2) / 3) + 1);
    if (to)
        text.n = base64url_format(raw.p, raw.n, (char *)to);
    out_text(out, "cursor", buf_span(&text));
}

/* False: the call has its reply. */
static bool parse_query(struct call *call, struct sync *sync)
{
    struct cq_span cursor = call_param(call, "cursor"), at_least = call_param(call, "at_least");
    int32_t n = call->conf->partitions;

    frontier_init(&sync->since.events, TOPIC_GENERATION, n);
    frontier_init(&sync->since.status, TOPIC_GENERATION, n);
    sync->latest = span_eq_str(cursor, "latest");
    if (cursor.n && !sync->latest && !cursor_parse(call->arena, cursor, n, &sync->since)) {
        call_bad_request(call, "cursor: must be one that this server gave");
        return false;
    }
    sync->has_at_least = at_least.n > 0;
    if (sync->has_at_least && !frontier_parse(at_least, TOPIC_GENERATION, n, &sync->at_least)) {
        call_bad_request(call, "at_least: the `at` of ready");
        return false;
    }
    return true;
}

/* ---- messages ------------------------------------------------------------------------- */

/* Messages in order, up to the place where this page ends: the last one's, when there are more. */
static enum cq_status out_messages(struct call *call, struct pg *db, struct sync *sync)
{
    struct place last = { 0, 0 };
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    size_t from = body->n;
    enum cq_status st = view_messages_since(db, call->request.who.user, sync->lows,
                                            sync->since.events.n, PAGE + 1, REST_PAGE_BYTES, &rows);
    int n, i = 0;

    if (st != CQ_OK)
        return st;
    n = pg_rows(rows) > PAGE ? PAGE : pg_rows(rows);
    for (; i < n && (!i || body->n - from <= REST_PAGE_BYTES); i++) {
        struct message_place at = message_since_place(rows, i);
        struct message_row row;

        if (sync->has_end && is_behind((struct place){ at.part, at.seq }, sync->end))
            return CQ_OK;
        last = (struct place){ at.part, at.seq };
        if (at.empty)
            continue;
        if (body->n > from)
            buf_add_byte(body, ',');
        row = message_at(rows, i, 0);
        render_message(body, &row);
    }
    if (i && messages_since_found(rows) > i)
        end_at(sync, last);
    return CQ_OK;
}

/* ---- changes of nothing --------------------------------------------------------------- */

static struct place stale_place(const struct stale_row *row)
{
    return (struct place){ row->part, seq_make(TOPIC_GENERATION, row->offset) };
}

/* They are read before messages, of which a page may reach as far as these do. */
static enum cq_status find_stale(struct call *call, struct pg *db, struct sync *sync,
                                 struct pg_result **ret)
{
    enum cq_status st = view_stale_since(db, call->request.who.user, sync->since.events.next,
                                         sync->since.events.n, STALE_PAGE + 1, ret);

    if (st == CQ_OK && pg_rows(*ret) > STALE_PAGE) {
        struct stale_row last = stale_at(*ret, STALE_PAGE - 1);

        end_at(sync, stale_place(&last));
    }
    return st;
}

static void out_stale(struct call *call, const struct sync *sync, const struct pg_result *rows)
{
    for (int i = 0; i < pg_rows(rows) && i < STALE_PAGE; i++) {
        struct stale_row row = stale_at(rows, i);

        if (sync->has_end && is_behind(stale_place(&row), sync->end))
            return;
        if (i)
            buf_add_byte(&call->reply.body, ',');
        render_stale(&call->reply.body, &row);
    }
}

/* ---- ticks ---------------------------------------------------------------------------- */

/* How many of the rows make a page: those that stand at one place of delivery.status are not
 * parted. A record there is about one chat, so that there are few of them. */
static int ticks_of_page(const struct pg_result *rows)
{
    struct tick_row behind;
    int n = TICKS_PAGE;

    if (pg_rows(rows) <= TICKS_PAGE)
        return pg_rows(rows);
    behind = tick_at(rows, TICKS_PAGE);
    for (; n > 1; n--) {
        struct tick_row last = tick_at(rows, n - 1);

        if (last.part != behind.part || last.next != behind.next)
            break;
    }
    return n;
}

static enum cq_status out_ticks(struct call *call, struct pg *db, struct sync *sync)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct tick_row row = { .part = 0 };
    enum cq_status st = view_ticks_since(db, call->request.who.user, sync->since.status.next,
                                         sync->since.status.n, TICKS_PAGE + 1, &rows);
    int n;

    if (st != CQ_OK)
        return st;
    n = ticks_of_page(rows);
    for (int i = 0; i < n; i++) {
        row = tick_at(rows, i);
        if (i)
            buf_add_byte(&call->reply.body, ',');
        render_tick(&call->reply.body, &row);
    }
    if (n == pg_rows(rows))
        return CQ_OK;
    sync->more = true;
    sync->next.status = sync->since.status;
    for (int32_t p = 0; p < row.part; p++)
        frontier_advance(&sync->next.status, p, sync->applied.status.next[p]);
    frontier_advance(&sync->next.status, row.part, row.next);
    return CQ_OK;
}

/* ---- marks ----------------------------------------------------------------------------- */

/* They come when all else is told. */
static enum cq_status out_marks(struct call *call, struct pg *db, struct sync *sync)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    size_t from = body->n;
    enum cq_status st =
        view_marks_since(db, call->request.who.user, sync->since.marks, MARKS_PAGE + 1, &rows);
    int i = 0;

    if (st != CQ_OK)
        return st;
    for (; i < pg_rows(rows) && i < MARKS_PAGE && body->n - from <= REST_PAGE_BYTES; i++) {
        struct marks_row row = marks_at(rows, i);

        if (i)
            buf_add_byte(body, ',');
        render_marks_of(body, row.chat, row.marks);
        sync->next.marks = row.place;
    }
    sync->more = i < pg_rows(rows);
    if (!sync->more)
        sync->next.marks = sync->applied.marks;
    return CQ_OK;
}

/* ---- the answer ----------------------------------------------------------------------- */

/* What the user shows of himself comes with the last page: it is little, and has no cursor. */
static enum cq_status end_answer(struct call *call, struct pg *db, const struct sync *sync)
{
    struct cq_buf *body = &call->reply.body;
    struct user_profile me;
    enum cq_status st = CQ_OK;

    if (!sync->more) {
        st = view_own_profile(db, call->arena, call->request.who.user, &me);
        out_key(body, "me");
        render_own(body, &me);
    }
    cursor_write(body, &sync->next);
    out_bool(body, "more", sync->more);
    buf_add_byte(body, '}');
    return st;
}

/* Everything up to the place is told. */
static void cut(struct sync *sync)
{
    struct place at = sync->end;

    sync->more = true;
    sync->next = sync->since;
    for (int32_t p = 0; p < at.part; p++)
        frontier_advance(&sync->next.events, p, sync->applied.events.next[p]);
    frontier_advance(&sync->next.events, at.part, seq_offset(at.seq) + 1);
}

static struct place chat_place_at(const struct sync *sync, int i)
{
    return (struct place){ sync->changes.row[i].part, sync->changes.row[i].seq };
}

/* Chats whose last change is not behind where the page ends; their JSON. */
static struct cq_span chats_of_page(const struct sync *sync, const struct cq_buf *chats)
{
    int n = sync->changes.n;

    while (sync->has_end && n && is_behind(chat_place_at(sync, n - 1), sync->end))
        n--;
    return span_of(chats->p, n ? sync->changes.row[n - 1].end : 0);
}

static enum cq_status write_news(struct call *call, struct pg *db, struct sync *sync)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf chats = { 0 };
    cq_auto(pgresult) struct pg_result *stale = NULL;
    enum cq_status st;

    sync->has_end = false;
    sync->next = sync->applied;
    sync->next.marks = sync->since.marks;
    for (int32_t p = 0; p < sync->since.events.n; p++)
        sync->lows[p] = seq_make(TOPIC_GENERATION, sync->since.events.next[p]);
    st = chat_changes_page(call, db, sync->lows, sync->since.events.n, &sync->changes);
    buf_init(&chats, CALL_REPLY_MAX);
    buf_add_span(&chats, buf_span(&call->reply.body));
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"messages\":[");
    if (st == CQ_OK && sync->changes.more)
        end_at(sync, chat_place_at(sync, sync->changes.n - 1));
    if (st == CQ_OK)
        st = find_stale(call, db, sync, &stale);
    if (st == CQ_OK)
        st = out_messages(call, db, sync);
    buf_add_str(&call->reply.body, "],\"chats\":[");
    buf_add_span(&call->reply.body, chats_of_page(sync, &chats));
    buf_add_str(&call->reply.body, "],\"rejected\":[");
    if (st == CQ_OK)
        out_stale(call, sync, stale);
    buf_add_str(&call->reply.body, "],\"ticks\":[");
    if (sync->has_end)
        cut(sync);
    if (st == CQ_OK && !sync->more)
        st = out_ticks(call, db, sync);
    buf_add_str(&call->reply.body, "],\"marks\":[");
    if (st == CQ_OK && !sync->more)
        st = out_marks(call, db, sync);
    buf_add_byte(&call->reply.body, ']');
    call->reply.body.failed |= chats.failed;
    return st == CQ_OK ? end_answer(call, db, sync) : st;
}

/* All chats and no messages: a new device begins so. */
static enum cq_status write_listing(struct call *call, struct pg *db, struct sync *sync)
{
    enum cq_status st;

    for (int32_t p = 0; p < sync->since.events.n; p++)
        sync->lows[p] = sync->latest || p > sync->since.told.part ? 0
                        : p == sync->since.told.part              ? sync->since.told.seq + 1
                                                                  : INT64_MAX;
    sync->next = sync->latest ? sync->applied : sync->since;
    buf_add_str(&call->reply.body, "{\"messages\":[],\"chats\":[");
    st = chat_changes_page(call, db, sync->lows, sync->since.events.n, &sync->changes);
    buf_add_str(&call->reply.body, "],\"rejected\":[],\"ticks\":[],\"marks\":[]");
    sync->next.listing = sync->changes.more;
    if (sync->changes.more)
        sync->next.told = (struct place){ sync->changes.row[sync->changes.n - 1].part,
                                          sync->changes.row[sync->changes.n - 1].seq };
    sync->more =
        sync->changes.more || sync->since.listing; /* then from the first page's frontiers on */
    return st == CQ_OK ? end_answer(call, db, sync) : st;
}

/* The first partition in which the snapshot is not as fresh as the client was told; -1: none. */
static int32_t first_late(const struct sync *sync)
{
    for (int32_t p = 0; sync->has_at_least && p < sync->at_least.n; p++)
        if (sync->applied.events.next[p] < sync->at_least.next[p])
            return p;
    return -1;
}

static enum call_next from_snapshot(struct call *call, struct pg *db, struct sync *sync)
{
    enum cq_status st = pg_script(db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    int32_t late;

    if (st == CQ_OK)
        st = view_positions(db, call->conf->partitions, &sync->applied.events,
                            &sync->applied.status);
    if (st == CQ_OK)
        st = view_marks_place(db, call->request.who.user, &sync->applied.marks);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_clear(&call->reply.body);
    sync->more = false;
    late = first_late(sync);
    if (late < 0)
        st = sync->latest || sync->since.listing ? write_listing(call, db, sync)
                                                 : write_news(call, db, sync);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return call_database(call, st);
    if (late < 0)
        return call_reply(call, 200);
    if (call->wait.timed_out)
        return call_unavailable(call, "not caught up yet: ask again with the same cursor");
    call->wait.places[0] =
        (struct call_place){ WATCH_CHAT_EVENTS, late, sync->at_least.next[late] - 1 };
    call->wait.places_n = 1;
    return CALL_WAIT;
}

static enum call_next handle_sync(struct call *call, struct pg *db)
{
    struct sync *sync = call->state;

    if (!sync) {
        sync = call->state = ARENA_NEW(call->arena, struct sync);
        if (!sync)
            return call_internal(call);
        if (!parse_query(call, sync))
            return CALL_REPLY;
    }
    if (call->wait.in_vain)
        return call_view_incomplete(call);
    return from_snapshot(call, db, sync);
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "GET", "/api/sync", true, handle_sync, "everything since a cursor", ROUTE_REPLICA, NULL },
};

const struct routes sync_routes = { rows, ARRAY_LEN(rows) };
