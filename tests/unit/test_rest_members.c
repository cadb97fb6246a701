/* SPDX-License-Identifier: MIT */
/*
 * The largest change of a group (edge/rest/api/members.c), without a database: a view that
 * is late is looked at until the deadline, and a look costs the call no memory.
 */
#include "tests/unit/test.h"

#include "edge/rest/api/chats.h"
#include "edge/rest/view/users.h"
#include "schemas/limits.h"

static bool is_applied;          /* the view shows the change */
static struct cq_id looked_for;  /* the last user that the view was asked for … */
static int64_t looked_as;        /* … as what … */
static int64_t looked_since;     /* … and from which seq on a change of him will do, too */
static size_t looked_n, known_n; /* how many it was asked for, and how many have an account */

static enum cq_status fake_rejection(struct pg *db, struct cq_arena *arena, int32_t partition,
                                     int64_t offset, struct cq_span *ret)
{
    (void)db;
    (void)arena;
    (void)partition;
    (void)offset;
    *ret = span_of(NULL, 0);
    return CQ_OK;
}

static enum call_next fake_admit(struct call *call, struct pg *db, struct cq_id chat,
                                 struct chat_view *ret)
{
    (void)call;
    (void)db;
    *ret = (struct chat_view){
        .id = chat, .is_group = true, .has_row = true, .present = true, .role = MEMBER_ROLE_OWNER
    };
    return CALL_GO_ON;
}

static enum cq_status fake_count(struct pg *db, const struct cq_id *ids, size_t n, int64_t *ret)
{
    (void)db;
    (void)ids;
    known_n = n;
    *ret = (int64_t)n;
    return CQ_OK;
}

static enum cq_status fake_shown(struct pg *db, struct cq_id chat, const struct cq_id *users,
                                 const int64_t *shown, size_t n, int64_t seq, bool *ret)
{
    (void)db;
    (void)chat;
    looked_for = users[n - 1];
    looked_as = shown[n - 1];
    looked_n = n;
    looked_since = seq;
    *ret = is_applied;
    return CQ_OK;
}

#define view_rejection fake_rejection
#define chat_admit fake_admit
#define view_count_users fake_count
#define view_members_shown fake_shown
#include "edge/rest/api/members.c"
#include "edge/rest/api/write.c"

enum { LOOKS = 250, OFFSET = 40 }; /* of five seconds, one in 20 ms; where the action is */

static struct cq_id user_at(size_t i)
{
    return (struct cq_id){ { 1, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i } };
}

/* The body that adds `n` users. */
static struct json *added_json(size_t n)
{
    cq_auto(buf) struct cq_buf text = { 0 };
    struct json *root = NULL;

    buf_init(&text, CALL_BODY_MAX);
    buf_add_str(&text, "{\"add\":[");
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s\"%s\"", i ? "," : "", id_text(user_at(i)).s);
    buf_add_str(&text, "]}");
    return json_parse(buf_span(&text), &root, NULL) == CQ_OK ? root : NULL;
}

/* A call of a route whose action is in the log, and whose event the view has applied. */
static struct call *call_applied(const char *method, struct json *body)
{
    struct call *call = call_new(NULL);

    for (size_t i = 0; i < members_routes.n; i++)
        if (strcmp(members_routes.v[i].method, method) == 0)
            call->route = &members_routes.v[i];
    call->request.json = body;
    call->request.path_id[0] = (struct cq_id){ { 7 } };
    call->request.path_id[1] = user_at(3);
    is_applied = false;
    if (write_run(call, NULL) != CALL_SUBMIT)
        return call;
    call->log.submits[0].offset = OFFSET;
    if (write_run(call, NULL) == CALL_WAIT)
        call->wait.passed = true; /* else no test is content with it */
    return call;
}

TEST(the_largest_change_is_looked_for_until_the_deadline)
{
    struct call *call = call_applied("POST", added_json(LIMIT_GROUP_MEMBERS));
    size_t used = arena_used(call->arena);

    CHECK(call->wait.passed);
    CHECK_EQ(known_n, LIMIT_GROUP_MEMBERS);
    for (int i = 0; i < LOOKS; i++)
        CHECK_EQ(write_run(call, NULL), CALL_WAIT);
    CHECK_EQ(arena_used(call->arena), used);
    CHECK_EQ(looked_n, LIMIT_GROUP_MEMBERS);
    CHECK(id_eq(looked_for, user_at(LIMIT_GROUP_MEMBERS - 1)));
    CHECK_EQ(looked_as, SHOWN_PRESENT);
    call->wait.timed_out = true;
    CHECK_EQ(write_run(call, NULL), CALL_REPLY);
    CHECK_EQ(call->reply.status, 503);
    CHECK_STR(call->reply.error_text, "stored, but not visible yet: read the chat again later");
    call_free(call);
}

TEST(a_change_of_one_member_is_looked_for_by_the_path)
{
    struct call *call = call_applied("DELETE", NULL);

    CHECK(call->wait.passed);
    CHECK_EQ(write_run(call, NULL), CALL_WAIT);
    CHECK_EQ(looked_n, 1);
    CHECK(id_eq(looked_for, user_at(3)));
    CHECK_EQ(looked_as, SHOWN_ABSENT);
    CHECK_EQ(looked_since, seq_make(TOPIC_GENERATION, OFFSET));
    is_applied = true;
    CHECK_EQ(write_run(call, NULL), CALL_REPLY);
    CHECK_EQ(call->reply.status, 200);
    call_free(call);
}
