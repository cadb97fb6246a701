/* SPDX-License-Identifier: MIT */
/*
 * A step of a call (edge/rest/server/workers.c), without a database: which of two it reads from, and
 * whose words the log has when it fails.
 */
#include "tests/unit/test.h"

#include "lib/pg/pg.h"

static char primary_stand_in, replica_stand_in;
#define PRIMARY ((struct pg *)(void *)&primary_stand_in)
#define REPLICA ((struct pg *)(void *)&replica_stand_in)

static bool replica_is_away;
static const struct pg *stepped_on; /* by the last step */

static enum cq_status fake_ready(const struct pg *db, bool *ret_fresh)
{
    (void)ret_fresh;
    return db == REPLICA && replica_is_away ? CQ_AGAIN : CQ_OK;
}

static const char *fake_error(const struct pg *db)
{
    return db == REPLICA ? "words of the replica" : "words of the primary";
}

#define pg_ready fake_ready
#define pg_error fake_error
#include "edge/rest/server/workers.c"

static enum call_next fail(struct call *call, struct pg *db)
{
    stepped_on = db;
    return call_internal(call);
}

/* A step that fails, of a call whose route has `flags`. */
static struct call *call_failed(unsigned flags, bool has_replica)
{
    const struct route route = { "GET", "/", true, fail, "", flags, NULL };
    struct worker worker = { .db = PRIMARY, .replica = has_replica ? REPLICA : NULL };
    struct call *call = call_new(NULL);

    call->route = &route;
    stepped_on = NULL;
    call->loop.said = run_step(&worker, call);
    call->route = NULL;
    return call;
}

TEST(the_log_has_the_words_of_the_database_that_failed)
{
    struct call *call = call_failed(ROUTE_REPLICA, true);

    CHECK_EQ(call->loop.said, CALL_REPLY);
    CHECK_EQ(call->reply.status, 500);
    CHECK(stepped_on == REPLICA);
    CHECK_STR(call->reply.why, "words of the replica");
    call_free(call);
}

TEST(the_primary_serves_what_no_replica_can)
{
    static const struct {
        unsigned flags;
        bool has_replica, is_away;
    } rows[] = { { ROUTE_REPLICA, false, false },
                 { ROUTE_REPLICA, true, true },
                 { 0, true, false } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct call *call;

        replica_is_away = rows[i].is_away;
        call = call_failed(rows[i].flags, rows[i].has_replica);
        replica_is_away = false;
        CHECK(stepped_on == PRIMARY);
        CHECK_STR(call->reply.why, "words of the primary");
        call_free(call);
    }
}
