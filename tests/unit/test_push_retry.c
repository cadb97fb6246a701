/* SPDX-License-Identifier: MIT */
/*
 * When it is tried again, and how far the commit may go: against a clock and dice of our own.
 */
#include "sinks/mobile/breaker.h"
#include "sinks/mobile/evidence.h"
#include "sinks/mobile/flight.h"
#include "sinks/mobile/lane.h"
#include "sinks/mobile/undone.h"
#include "tests/unit/test.h"

#include <stdlib.h>

enum { HIGH = UINT32_MAX };

TEST(a_role_is_as_well_as_its_worst_lane)
{
    const struct lane_health health[] = { { 900, 12, 3 }, { 400, 11, 4 } };
    struct lane_health all = lane_health_of(health, 2, 1000);

    CHECK_EQ(all.beat_ms, 400); /* the other one goes on: that is no excuse */
    CHECK_EQ(all.partitions, 23);
    CHECK_EQ(all.lag, 7);
    CHECK_EQ(lane_health_of(health, 0, 1000).beat_ms, 1000);
}

TEST(waits_double_within_bounds)
{
    int64_t last = 0;

    for (int attempt = 1; attempt < 40; attempt++) {
        int64_t least = retry_wait_ms(attempt, 0, 0), most = retry_wait_ms(attempt, 0, UINT32_MAX);

        CHECK(least > 0 && least <= most && most <= RETRY_CAP_MS);
        CHECK_EQ(least, most / 2); /* jitter over the upper half */
        CHECK(most >= last);
        last = most;
    }
    CHECK_EQ(retry_wait_ms(1, 0, UINT32_MAX), RETRY_BASE_MS);
    CHECK_EQ(last, RETRY_CAP_MS);
}

TEST(what_a_provider_asks_for_is_the_least)
{
    for (int attempt = 1; attempt < 20; attempt++)
        CHECK(retry_wait_ms(attempt, 30, 0) >= 30000);
    CHECK(retry_wait_ms(1, 1000000, 0) <= RETRY_CAP_MS + RETRY_CAP_MS / 4); /* not for ever */
}

TEST(opens_after_failures_in_a_row_only)
{
    struct breaker breaker = { 0 };

    for (int i = 0; i < 100; i++) {
        CHECK(!breaker_bad(&breaker, false, 0, HIGH));
        if (i % (BREAKER_FAILURES - 1) == BREAKER_FAILURES - 2)
            CHECK(!breaker_good(&breaker)); /* was never open */
    }
    CHECK_EQ(breaker.state, BREAKER_CLOSED);
    breaker_good(&breaker);
    for (int i = 1; i < BREAKER_FAILURES; i++)
        CHECK(!breaker_bad(&breaker, false, 0, HIGH));
    CHECK(breaker_bad(&breaker, false, 0, HIGH));
    CHECK_EQ(breaker_room(&breaker, BREAKER_BASE_MS - 1), 0);
    CHECK_EQ(breaker_room(&breaker, BREAKER_BASE_MS), 1);
}

TEST(one_goes_to_try_and_decides)
{
    struct breaker breaker = { 0 };
    int64_t now = 0, wait, last = 0;

    CHECK(breaker_bad(&breaker, true, now, HIGH)); /* at once: a wrong configuration */
    for (int i = 0; i < 20; i++) {
        wait = breaker.until_ms - now;
        CHECK(wait >= last && wait <= BREAKER_CAP_MS);
        last = wait;
        CHECK(!breaker_bad(&breaker, false, now + 1, HIGH)); /* latecomers change nothing */
        CHECK_EQ(breaker.until_ms, now + wait);
        now += wait;
        CHECK_EQ(breaker_room(&breaker, now), 1);
        breaker_started(&breaker);
        CHECK_EQ(breaker_room(&breaker, now), 0);
        CHECK(!breaker_bad(&breaker, false, now, HIGH)); /* open already: no news */
    }
    CHECK_EQ(last, BREAKER_CAP_MS);
    now = breaker.until_ms;
    breaker_started(&breaker);
    CHECK(breaker_good(&breaker));
    CHECK_EQ(breaker_room(&breaker, now), INT32_MAX);
    CHECK_EQ(breaker.opened, 0);
}

TEST(a_quota_is_a_pause_and_no_failure)
{
    struct breaker breaker = { 0 };

    CHECK_EQ(breaker_wait(&breaker, 5000, 100), 5000);
    CHECK_EQ(breaker_wait(&breaker, 1000, 100), 1000); /* the longest counts */
    CHECK_EQ(breaker_room(&breaker, 5099), 0);
    CHECK_EQ(breaker_room(&breaker, 5100), INT32_MAX);
    breaker_good(&breaker);
    CHECK_EQ(breaker_room(&breaker, 5099), 0); /* what ends meanwhile does not end it */
}

TEST(a_quota_of_eleven_days_is_asked_again_in_ten_minutes)
{
    struct breaker breaker = { 0 };

    CHECK_EQ(breaker_wait(&breaker, 999999000, 100), BREAKER_WAIT_CAP_MS);
    CHECK_EQ(breaker_room(&breaker, 99 + BREAKER_WAIT_CAP_MS), 0);
    CHECK_EQ(breaker_room(&breaker, 100 + BREAKER_WAIT_CAP_MS), INT32_MAX);
}

/* ---- whose fault it is ---------------------------------------------------------------- */

static struct cq_id someone(int n)
{
    const struct cq_span part = span_of(&n, sizeof n);

    return id_derive("user", &part, 1);
}

TEST(a_few_users_with_many_bogus_tokens_prove_nothing)
{
    struct evidence evidence = { 0 };

    for (int n = 0; n < 5000; n++)
        CHECK(!evidence_foreign(&evidence, someone(n % (EVIDENCE_USERS - 1))));
    CHECK(evidence_foreign(&evidence, someone(EVIDENCE_USERS))); /* so many, and none was taken */
    CHECK(evidence_foreign(&evidence, someone(1)));
    evidence_taken(&evidence);
    for (int n = 0; n < 5000; n++)
        CHECK(!evidence_foreign(&evidence, someone(n)));
}

TEST(a_restart_need_not_prove_it_again)
{
    struct evidence evidence = { 0 }, after = { 0 }, other = { 0 }, old = { 0 };
    char text[EVIDENCE_TEXT_MAX];

    evidence_format(&evidence, INT64_MAX, UINT32_MAX, text);
    CHECK_STR(text, "o9223372036854775807");
    CHECK_EQ(evidence_parse(&after, text, UINT32_MAX), INT64_MAX);
    CHECK(!after.proven);
    evidence_taken(&evidence);
    evidence_format(&evidence, INT64_MAX, UINT32_MAX, text);
    CHECK_STR(text, "o9223372036854775807pffffffff");
    CHECK_EQ(evidence_parse(&after, text, UINT32_MAX), INT64_MAX);
    CHECK(after.proven);
    CHECK_EQ(evidence_parse(&other, text, 7), INT64_MAX); /* another key, topic or service */
    CHECK(!other.proven);
    CHECK_EQ(evidence_parse(&old, "o12", 7), 12);
    CHECK_EQ(evidence_parse(&old, "", 7), -1);
    CHECK_EQ(evidence_parse(&old, "o12x", 7), -1);
    CHECK_EQ(evidence_parse(&old, "o-1", 7), -1);
    CHECK(!old.proven);
}

/* ---- connections that die ------------------------------------------------------------- */

/* Pushes sent more than once when one request in ten kills its connection, and half of all that is
 * under way with it: with a window, or with all that may be. */
static int doubled(bool windowed, int pushes)
{
    struct flight flight;
    unsigned seed = 1;
    int done = 0, extra = 0;

    flight_init(&flight, 500, 2);
    for (int64_t now = 1; done < pushes; now += FLIGHT_EVENT_MS) {
        bool dies = rand_r(&seed) % 10 == 0;

        if (dies) {
            extra += (windowed ? flight.size : 500) / 2;
            flight_lost(&flight, now);
        } else {
            flight_answered(&flight);
            done++;
        }
    }
    return extra;
}

TEST(few_are_under_way_while_connections_die)
{
    struct flight flight;

    CHECK(doubled(false, 10000) > 20 * 10000);
    CHECK(doubled(true, 10000) < 10000 / 2);
    flight_init(&flight, 500, 2);
    CHECK(flight_lost(&flight, 1000));
    for (int n = 0; n < 250; n++)
        CHECK(
            !flight_lost(&flight, 1000 + FLIGHT_EVENT_MS - 1)); /* the streams of one connection */
    CHECK_EQ(flight.size, 250);
    for (int n = 0; n < 40; n++)
        flight_lost(&flight, 2000 + n * FLIGHT_EVENT_MS);
    CHECK_EQ(flight.size, 2); /* one a connection: never none */
    for (int n = 0; n < 500 * 500; n++)
        flight_answered(&flight);
    CHECK_EQ(flight.size, 500);
    flight_init(&flight, 1, 2);
    flight_lost(&flight, 1);
    CHECK_EQ(flight.size, 1);
}

TEST(a_credential_that_came_lets_the_trial_follow)
{
    struct breaker breaker = { 0 };

    breaker_bad(&breaker, true, 0, HIGH);
    breaker_started(&breaker);
    breaker_go_on(&breaker);
    CHECK_EQ(breaker_room(&breaker, breaker.until_ms), 1);
}

/* ---- undone records
 * ------------------------------------------------------------------------------
 */

struct naive {
    int64_t offset[20000];
    int left[20000];
    int64_t first[20000];
    uint64_t name[20000];
    int n;
};

static int64_t naive_next(const struct naive *naive, int64_t begin)
{
    for (int i = 0; i < naive->n; i++)
        if (naive->left[i])
            return i ? naive->offset[i - 1] + 1 : begin;
    return naive->n ? naive->offset[naive->n - 1] + 1 : begin;
}

static int64_t naive_said(const struct naive *naive, int64_t next, int64_t end)
{
    int64_t least = end;

    for (int i = 0; i < naive->n; i++)
        if (naive->offset[i] >= next && naive->first[i] >= 0 && naive->first[i] < least)
            least = naive->first[i];
    return least;
}

TEST(the_commit_follows_the_oldest_in_any_order)
{
    static struct naive naive;
    struct undone undone;
    int64_t offset = 7, outcome = 100;

    CHECK_EQ(undone_init(&undone, 7, 100, -1), CQ_OK);
    srand(5);
    for (int step = 0; step < 60000; step++) {
        if (rand() % 3 == 0 && naive.n < 20000) {
            int left = rand() % 3;
            enum cq_status st = undone_add(&undone, offset, left, -1, &naive.name[naive.n]);

            CHECK_EQ(st == CQ_OK, naive.n == 0 || !undone_full(&undone) || st == CQ_OK);
            if (st != CQ_OK)
                continue;
            naive.offset[naive.n] = offset;
            naive.first[naive.n] = -1;
            naive.left[naive.n++] = left;
            offset += 1 + rand() % 2; /* a log may have holes */
        } else if (naive.n) {
            int i = naive.n - 1 - rand() % (naive.n < 500 ? naive.n : 500);

            if (!naive.left[i])
                continue;
            naive.left[i]--;
            if (naive.first[i] < 0)
                naive.first[i] = outcome;
            undone_done(&undone, naive.name[i], outcome++);
        }
        if (step % 97 == 0) {
            int64_t next = naive_next(&naive, 7);

            CHECK_EQ(undone.next, next);
            CHECK_EQ(undone_said(&undone), naive_said(&naive, next, outcome));
        }
    }
    undone_release(&undone);
}

TEST(full_is_said_and_old_names_are_ignored)
{
    struct undone undone;
    uint64_t name, first;

    CHECK_EQ(undone_init(&undone, 0, 0, -1), CQ_OK);
    CHECK_EQ(undone_add(&undone, 0, 1, -1, &first), CQ_OK);
    for (int i = 1; i < UNDONE_MAX; i++)
        CHECK_EQ(undone_add(&undone, i, 0, -1, &name), CQ_OK);
    CHECK(undone_full(&undone));
    CHECK_EQ(undone_add(&undone, UNDONE_MAX, 1, -1, &name), CQ_AGAIN);
    CHECK_EQ(undone.next, 0);
    undone_done(&undone, first, 5);
    CHECK_EQ(undone.next, UNDONE_MAX);
    CHECK_EQ(undone_said(&undone), 6);
    undone_done(&undone, first, 1); /* done twice: nothing happens */
    CHECK_EQ(undone_said(&undone), 6);
    undone_release(&undone);
}

TEST(what_was_done_before_a_restart_is_still_to_be_found)
{
    struct undone undone;
    uint64_t name;

    CHECK_EQ(undone_init(&undone, 50, 900, -1), CQ_OK);
    CHECK_EQ(undone_add(&undone, 50, 1, 700, &name),
             CQ_OK); /* one device of two has its outcome at 700 */
    CHECK_EQ(undone_said(&undone), 700);
    undone_done(&undone, name, 950);
    CHECK_EQ(undone_said(&undone), 951);
    undone_release(&undone);
}

/* A start writes the text of the commit before it has taken any record. */
TEST(a_start_does_not_forget_what_was_done_before)
{
    struct undone undone;
    uint64_t name;

    CHECK_EQ(undone_init(&undone, 50, 900, 700), CQ_OK); /* record 57 has its outcome at 700 */
    CHECK_EQ(undone_said(&undone), 700);
    CHECK_EQ(undone_add(&undone, 50, 1, -1, &name), CQ_OK);
    undone_done(&undone, name, 950);
    CHECK_EQ(undone.next, 51);
    CHECK_EQ(undone_said(&undone), 700); /* 57 is not taken yet */
    CHECK_EQ(undone_add(&undone, 57, 0, 700, &name), CQ_OK);
    undone_caught_up(&undone);
    CHECK_EQ(undone_said(&undone), 951);
    undone_release(&undone);
}
