/* SPDX-License-Identifier: MIT */
/*
 * How a write goes (edge/rest/api/write.h), without a database: rows that note what is asked of
 * them, and a view whose rejection the test sets.
 */
#include "tests/unit/test.h"

#include "edge/rest/view/chats.h"

static const char *rejection; /* NULL: there is none */
static char steps[64];        /* a letter for each step taken */

static void note(char step)
{
    size_t n = strlen(steps);

    if (n + 1 < sizeof steps)
        steps[n] = step;
    steps[n + 1 < sizeof steps ? n + 1 : n] = '\0';
}

static enum cq_status fake_rejection(struct pg *db, struct cq_arena *arena, int32_t partition,
                                     int64_t offset, struct cq_span *ret)
{
    (void)db;
    (void)arena;
    (void)partition;
    (void)offset;
    note('j');
    *ret = rejection ? span_str(rejection) : span_of(NULL, 0);
    return CQ_OK;
}

#define view_rejection fake_rejection
#include "edge/rest/api/write.c"

static bool is_there; /* the result */
static enum call_next admits;

static enum call_next admit(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    note(*(int *)asked ? '?' : 'a'); /* zero at first */
    return admits == CALL_GO_ON ? CALL_GO_ON : call_not_found(call);
}

static enum call_next parse(struct call *call, void *asked)
{
    (void)call;
    note('p');
    *(int *)asked = 7;
    return CALL_GO_ON;
}

static enum call_next begin(struct call *call, struct pg *db, void *asked)
{
    struct cq_id chat = { { 1 } };

    (void)db;
    note(*(int *)asked == 7 ? 'b' : '?');
    call_submit_chat(call, chat, span_str("x"))->action.kind = CHAT_ACTION_CHAT_RENAMED;
    call->log.submits[0].partition = 3;
    call->log.submits[0].offset = 40;
    return CALL_GO_ON;
}

static enum call_next stored(struct call *call, struct pg *db, void *asked)
{
    (void)call;
    (void)db;
    (void)asked;
    note('l');
    return CALL_GO_ON;
}

static enum call_next result(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    note(*(int *)asked == 7 ? 'r' : '?');
    return is_there ? write_done(call, 201) : CALL_GO_ON;
}

static struct write row;
static const struct route route = { "POST", "/", true, write_run, "", 0, &row };

/* A call whose submits are in the log; *ret: what write_run() says then. */
static struct call *write_begun(enum write_until until, enum call_next *ret)
{
    struct call *call = call_new(NULL);

    row = (struct write){ .asked_bytes = sizeof(int),
                          .admit = admit,
                          .parse = parse,
                          .begin = begin,
                          .logged = stored,
                          .result = result,
                          .until = until,
                          .late = "late" };
    rejection = NULL;
    is_there = until == WRITE_LOGGED;
    admits = CALL_GO_ON;
    *steps = '\0';
    call->route = &route;
    *ret = write_run(call, NULL);
    if (*ret != CALL_SUBMIT || strcmp(steps, "apb") != 0)
        return call; /* no test is content with that */
    *steps = '\0';
    *ret = write_run(call, NULL);
    return call;
}

/* The next look at the view. */
static enum call_next look_once(struct call *call)
{
    *steps = '\0';
    return write_run(call, NULL);
}

TEST(who_may_not_ask_is_told_before_the_request_is_read)
{
    struct call *call;

    row = (struct write){ .asked_bytes = sizeof(int), .admit = admit, .parse = parse };
    call = call_new(NULL);
    call->route = &route;
    admits = CALL_REPLY;
    *steps = '\0';
    CHECK_EQ(write_run(call, NULL), CALL_REPLY);
    CHECK_STR(steps, "a");
    CHECK_EQ(call->reply.status, 404);
    call_free(call);
}

static enum call_next reply_number(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    buf_printf(&call->reply.body, "%lld", (long long)*(int64_t *)asked);
    return call_reply(call, 200);
}

TEST(the_body_that_fits_is_read_and_else_the_second_one_is_named)
{
    static const struct json_member one_rows[] = {
        { .name = "one", .kind = JSON_NUMBER, .most = 9, .rule = "one: 0 to 9" },
    };
    static const struct json_member two_rows[] = {
        { .name = "two", .kind = JSON_NUMBER, .most = 9, .rule = "one or two: 0 to 9" },
    };
    static const struct json_members one = JSON_MEMBERS(one_rows), two = JSON_MEMBERS(two_rows);
    static const struct {
        const char *text, *reply;
    } of[] = {
        { "{\"one\":1}", "1" },
        { "{\"two\":2}", "2" },
        { "{\"one\":1,\"two\":2}", "1" },
        { "{\"one\":10,\"two\":2}", "2" },
        { "{\"one\":10}", "one or two: 0 to 9" },
        { "{}", "one or two: 0 to 9" },
    };

    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        struct call *call = call_new(NULL);

        row = (struct write){
            .asked_bytes = sizeof(int64_t), .body = &one, .or_body = &two, .begin = reply_number
        };
        call->route = &route;
        CHECK_EQ(json_parse(span_str(of[i].text), &call->request.json, NULL), CQ_OK);
        CHECK_EQ(write_run(call, NULL), CALL_REPLY);
        CHECK_EQ_ROW(of[i].text, call->reply.status, of[i].reply[1] ? 400 : 200);
        buf_add_byte(&call->reply.body, '\0');
        CHECK(strstr((const char *)call->reply.body.p, of[i].reply));
        call_free(call);
    }
}

TEST(what_the_log_has_is_enough_for_some)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_LOGGED, &next);

    CHECK_EQ(next, CALL_REPLY);
    CHECK_STR(steps, "lr");
    call_free(call);
}

TEST(the_view_is_waited_for_where_the_submit_is)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_PASSED, &next);

    CHECK_EQ(next, CALL_WAIT);
    CHECK_STR(steps, "l"); /* no look at the view before it can have anything */
    CHECK_EQ(call->wait.places_n, 2);
    CHECK_EQ(call->wait.places[0].topic, WATCH_CHAT_EVENTS);
    CHECK_EQ(call->wait.places[1].topic, WATCH_REJECTIONS);
    CHECK_EQ(call->wait.places[1].partition, 3);
    CHECK_EQ(call->wait.places[1].offset, 40);
    CHECK_EQ(look_once(call), CALL_WAIT);
    CHECK_STR(steps, "");
    call->wait.passed = is_there = true;
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(steps, "r");
    CHECK_EQ(call->reply.status, 201);
    call_free(call);
}

TEST(what_is_found_is_told_whoever_wrote_it)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_FOUND, &next);

    CHECK_EQ(look_once(call), CALL_WAIT);
    CHECK_STR(steps, "rj");
    CHECK_EQ(call->wait.places_n, 2);
    is_there = true; /* not passed: another request with the same clientId has written it */
    rejection = "conflict";
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(steps, "r");
    CHECK_EQ(call->reply.status, 201);
    call_free(call);
}

/* A state that was there before says nothing about what was asked. */
TEST(a_state_counts_only_behind_the_submit_and_a_rejection_first)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_SHOWN, &next);

    is_there = true;
    CHECK_EQ(look_once(call), CALL_WAIT);
    CHECK_STR(steps, "j");
    rejection = "forbidden";
    call->wait.passed = true;
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(steps, "j");
    CHECK_EQ(call->reply.status, 403);
    rejection = NULL;
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(steps, "jr");
    CHECK_EQ(call->reply.status, 201);
    call_free(call);
}

TEST(behind_the_submit_the_view_is_looked_at_again_soon)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_FOUND, &next);

    call->wait.passed = true; /* the event is applied, its row is not there yet */
    CHECK_EQ(look_once(call), CALL_WAIT);
    CHECK_EQ(call->wait.places_n, 0);
    call_free(call);
    call = write_begun(WRITE_TOLD, &next);
    CHECK_EQ(next, CALL_WAIT);
    CHECK_STR(steps, "lr");
    CHECK_EQ(call->wait.places_n, 0);
    call_free(call);
}

TEST(a_view_that_is_late_is_said_to_be)
{
    static const enum write_until rows[] = { WRITE_PASSED, WRITE_FOUND, WRITE_SHOWN, WRITE_TOLD };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum call_next next;
        struct call *call = write_begun(rows[i], &next);

        call->wait.timed_out = true;
        CHECK_EQ(look_once(call), CALL_REPLY);
        CHECK_EQ(call->reply.status, 503);
        CHECK_STR(call->reply.error_text, "late");
        CHECK_EQ(call->reply.retry_after_s, 1);
        call_free(call);
    }
}

TEST(an_unknown_outcome_is_not_looked_for)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_FOUND, &next);

    call->log.unknown = is_there = true;
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(steps, "");
    CHECK_EQ(call->reply.status, 503);
    call_free(call);
}

TEST(a_view_that_is_being_filled_shows_nothing_but_holds_up_no_log_in)
{
    enum call_next next;
    struct call *call = write_begun(WRITE_PASSED, &next);

    call->wait.in_vain = true;
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(call->reply.error, "view_incomplete");
    row.is_blind = is_there = true;
    CHECK_EQ(look_once(call), CALL_REPLY);
    CHECK_STR(steps, "r");
    CHECK_EQ(call->reply.status, 201);
    call_free(call);
}
