/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/search.c - search in one's own chats. What may fit comes from schema search; what the
 * caller sees of it comes from the view, as in a history, and that alone decides whether it fits. So
 * an answer can lack what is new, and never shows what may not be seen.
 */
#include "edge/rest/view/search.h"
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/render/messages.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/chats.h"
#include "lib/words/ask.h"
#include "schemas/frame.h"

#include <stdio.h>

enum { PAGE_MESSAGES = 50, CURSOR_DIGITS = 16 };

struct searching {
    struct ask words;  /* what is looked for */
    struct words text; /* of the message that is looked at */
    struct search_ask ask;
    bool has_from, has_type;
    struct cq_id from;
    unsigned type;             /* enum message_type */
    struct search_place *last; /* of the places looked at, the one to go on behind */
    struct search_place places[SEARCH_PLACES_MAX], likely[SEARCH_READ_MAX];
    size_t places_n, likely_n;
};

/* ---- the question --------------------------------------------------------------------- */

/* True: it is absent, or an id. */
static bool param_id(struct call *call, const char *name, struct cq_id *ret, bool *ret_is_there)
{
    struct cq_span text = call_param(call, name);

    *ret_is_there = text.p != NULL;
    return !text.p || id_parse(text, ret);
}

/* `time.seq.part` of the last place that the page before looked at. */
static bool parse_cursor(struct cq_span text, struct search_place *ret)
{
    int64_t part;

    if (!span_take_digits(&text, '.', CURSOR_DIGITS, &ret->at_ms) ||
        !span_take_digits(&text, '.', CURSOR_DIGITS, &ret->seq) ||
        !span_digits(text, CURSOR_DIGITS, &part) || part >= CQ_PARTS)
        return false;
    ret->part = (int32_t)part;
    return true;
}

static enum call_next parse_where(struct call *call, struct searching *searching)
{
    struct search_ask *ask = &searching->ask;
    struct cq_span cursor = call_param(call, "cursor"), kind = call_param(call, "kind");
    bool has_chat;

    *ask = (struct search_ask){ .user = call->request.who.user,
                                .after = -1,
                                .before = INT64_MAX,
                                .behind = { .at_ms = INT64_MAX } };
    searching->has_type = kind.p != NULL;
    if (!param_id(call, "in", &ask->chat, &has_chat))
        return call_bad_request(call, "in: the id of a chat");
    if (!param_id(call, "from", &searching->from, &searching->has_from))
        return call_bad_request(call, "from: the id of a user");
    if (kind.p && !json_word_find(&frame_type_words, kind, &searching->type))
        return call_bad_request(call, "kind: text, image, video, audio or document");
    if (!call_param_i64(call, "before", &ask->before) ||
        !call_param_i64(call, "after", &ask->after))
        return call_bad_request(call,
                                "before, after: times in ms since the Unix epoch, 0 to 2^53 - 1");
    if (cursor.p && !parse_cursor(cursor, &ask->behind))
        return call_bad_request(call, "cursor: must be the one that the page before gave");
    return CALL_GO_ON;
}

static enum call_next parse_search(struct call *call, struct searching *searching)
{
    enum call_next next = parse_where(call, searching);

    if (next != CALL_GO_ON)
        return next;
    if (!ask_parse(&searching->words, call_param(call, "q")))
        return call_bad_request(call, "q: at most %d bytes and %d words or phrases", ASK_TEXT_BYTES,
                                ASK_TERMS_MAX);
    if (!searching->words.terms_n && !searching->has_from && !searching->has_type)
        return call_bad_request(call,
                                "q, from, kind: one of them, and q with a letter, digit or sign");
    if (searching->words.keys_n == 0)
        searching->words.keys[searching->words.keys_n++] =
            words_mark(searching->has_type && searching->type != MESSAGE_TYPE_TEXT
                           ? message_type_word((enum message_type)searching->type)
                           : "");
    searching->ask.keys = searching->words.keys;
    searching->ask.keys_n = searching->words.keys_n;
    return CALL_GO_ON;
}

/* ---- the answer ----------------------------------------------------------------------- */

/* The places that the page begins from, and those of them that are worth reading. */
static enum cq_status find_places(struct pg *db, struct searching *searching)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = view_search_places(db, &searching->ask, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct search_place place = search_place_at(rows, i);

        if (place.is_likely && searching->likely_n == SEARCH_READ_MAX)
            break;
        searching->places[searching->places_n++] = place;
        if (place.is_likely)
            searching->likely[searching->likely_n++] = place;
        if (searching->places_n == SEARCH_PLACES_MAX || searching->likely_n == SEARCH_READ_MAX)
            searching->last = &searching->places[searching->places_n - 1];
    }
    return st;
}

static bool fits(struct searching *searching, const struct message_row *row)
{
    if (row->deleted || row->gone ||
        (searching->has_from && !id_eq(row->sender, searching->from)) ||
        (searching->has_type && (unsigned)row->type != searching->type))
        return false;
    words_split(&searching->text, row->content);
    return ask_fits(&searching->words, &searching->text);
}

static enum cq_status out_messages(struct call *call, struct pg *db, struct searching *searching)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    enum cq_status st = CQ_OK;
    int n = 0;

    if (searching->likely_n)
        st = view_search_read(db, searching->ask.user, searching->likely, searching->likely_n,
                              REST_PAGE_BYTES, &rows);
    if (st != CQ_OK || !rows)
        return st;
    for (int i = 0; i < pg_rows(rows); i++) {
        struct message_row row = message_at(rows, i, 0);

        if (fits(searching, &row)) {
            if (n++)
                buf_add_byte(body, ',');
            render_message(body, &row);
        }
        if (n == PAGE_MESSAGES || body->n > REST_PAGE_BYTES ||
            (i + 1 == pg_rows(rows) && search_read_found(rows) > pg_rows(rows))) {
            searching->last = &searching->likely[search_read_at(rows, i)];
            break;
        }
    }
    return CQ_OK;
}

static enum call_next handle_search(struct call *call, struct pg *db)
{
    struct searching *searching = arena_alloc(call->arena, sizeof *searching);
    struct cq_buf *body = &call->reply.body;
    struct search_state state = { 0 };
    struct chat_view view;
    enum call_next next;
    enum cq_status st = CQ_OK;
    bool is_there = true;
    char cursor[64];

    if (!searching)
        return call_unavailable(call, "no memory now: ask again after Retry-After seconds");
    next = parse_search(call, searching);
    if (next != CALL_GO_ON)
        return next;
    if (!id_is_zero(searching->ask.chat))
        st = view_chat(db, searching->ask.chat, searching->ask.user, &view, &is_there);
    if (st == CQ_OK && !is_there)
        return call_not_found(call);
    if (st == CQ_OK)
        st = view_search_state(db, searching->ask.user, &state);
    if (st == CQ_OK && id_is_zero(searching->ask.chat) && state.chats > SEARCH_CHATS_MAX)
        return call_bad_request(
            call, "in: name a chat; whoever is in more than %d cannot search them all at once",
            SEARCH_CHATS_MAX);
    buf_add_str(body, "{\"messages\":[");
    if (st == CQ_OK)
        st = find_places(db, searching);
    if (st == CQ_OK)
        st = out_messages(call, db, searching);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_byte(body, ']');
    if (searching->last) {
        snprintf(cursor, sizeof cursor, "%lld.%lld.%d", (long long)searching->last->at_ms,
                 (long long)searching->last->seq, (int)searching->last->part);
        out_text(body, "cursor", span_str(cursor));
    }
    out_bool(body, "more", searching->last != NULL);
    out_i64(body, "late", state.late);
    buf_add_byte(body, '}');
    return call_reply(call, 200);
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "GET", "/api/search", true, handle_search, "search in my chats", ROUTE_SEARCH, NULL },
};

const struct routes search_routes = { rows, ARRAY_LEN(rows) };
