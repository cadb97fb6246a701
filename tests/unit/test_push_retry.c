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
    const struct lane_health v[] = { { 900, 12, 3 }, { 400, 11, 4 } };
    struct lane_health all = lane_health_of(v, 2, 1000);

    CHECK_EQ(all.beat_ms, 400); /* the other one goes on: that is no excuse */
    CHECK_EQ(all.partitions, 23);
    CHECK_EQ(all.lag, 7);
    CHECK_EQ(lane_health_of(v, 0, 1000).beat_ms, 1000);
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
    struct breaker b = { 0 };

    for (int i = 0; i < 100; i++) {
        CHECK(!breaker_bad(&b, false, 0, HIGH));
        if (i % (BREAKER_FAILURES - 1) == BREAKER_FAILURES - 2)
            CHECK(!breaker_good(&b)); /* was never open */
    }
    CHECK_EQ(b.state, BREAKER_CLOSED);
    breaker_good(&b);
    for (int i = 1; i < BREAKER_FAILURES; i++)
        CHECK(!breaker_bad(&b, false, 0, HIGH));
    CHECK(breaker_bad(&b, false, 0, HIGH));
    CHECK_EQ(breaker_room(&b, BREAKER_BASE_MS - 1), 0);
    CHECK_EQ(breaker_room(&b, BREAKER_BASE_MS), 1);
}

TEST(one_goes_to_try_and_decides)
{
    struct breaker b = { 0 };
    int64_t now = 0, wait, last = 0;

    CHECK(breaker_bad(&b, true, now, HIGH)); /* at once: a wrong configuration */
    for (int i = 0; i < 20; i++) {
        wait = b.until_ms - now;
        CHECK(wait >= last && wait <= BREAKER_CAP_MS);
        last = wait;
        CHECK(!breaker_bad(&b, false, now + 1, HIGH)); /* latecomers change nothing */
        CHECK_EQ(b.until_ms, now + wait);
        now += wait;
        CHECK_EQ(breaker_room(&b, now), 1);
        breaker_started(&b);
        CHECK_EQ(breaker_room(&b, now), 0);
        CHECK(!breaker_bad(&b, false, now, HIGH)); /* open already: no news */
    }
    CHECK_EQ(last, BREAKER_CAP_MS);
    now = b.until_ms;
    breaker_started(&b);
    CHECK(breaker_good(&b));
    CHECK_EQ(breaker_room(&b, now), INT32_MAX);
    CHECK_EQ(b.opened, 0);
}

TEST(a_quota_is_a_pause_and_no_failure)
{
    struct breaker b = { 0 };

    CHECK_EQ(breaker_wait(&b, 5000, 100), 5000);
    CHECK_EQ(breaker_wait(&b, 1000, 100), 1000); /* the longest counts */
    CHECK_EQ(breaker_room(&b, 5099), 0);
    CHECK_EQ(breaker_room(&b, 5100), INT32_MAX);
    breaker_good(&b);
    CHECK_EQ(breaker_room(&b, 5099), 0); /* what ends meanwhile does not end it */
}

TEST(a_quota_of_eleven_days_is_asked_again_in_ten_minutes)
{
    struct breaker b = { 0 };

    CHECK_EQ(breaker_wait(&b, 999999000, 100), BREAKER_WAIT_CAP_MS);
    CHECK_EQ(breaker_room(&b, 99 + BREAKER_WAIT_CAP_MS), 0);
    CHECK_EQ(breaker_room(&b, 100 + BREAKER_WAIT_CAP_MS), INT32_MAX);
}

/* ---- whose fault it is ---------------------------------------------------------------- */

static struct cq_id someone(int n)
{
    const struct cq_span part = span_of(&n, sizeof n);

    return id_derive("user", &part, 1);
}

TEST(a_few_users_with_many_bogus_tokens_prove_nothing)
{
    struct evidence e = { 0 };

    for (int n = 0; n < 5000; n++)
        CHECK(!evidence_foreign(&e, someone(n % (EVIDENCE_USERS - 1))));
    CHECK(evidence_foreign(&e, someone(EVIDENCE_USERS))); /* so many, and none was taken */
    CHECK(evidence_foreign(&e, someone(1)));
    evidence_taken(&e);
    for (int n = 0; n < 5000; n++)
        CHECK(!evidence_foreign(&e, someone(n)));
}

TEST(a_restart_need_not_prove_it_again)
{
    struct evidence e = { 0 }, after = { 0 }, other = { 0 }, old = { 0 };
    char text[EVIDENCE_TEXT_MAX];

    evidence_format(&e, INT64_MAX, UINT32_MAX, text);
    CHECK_STR(text, "o9223372036854775807");
    CHECK_EQ(evidence_parse(&after, text, UINT32_MAX), INT64_MAX);
    CHECK(!after.proven);
    evidence_taken(&e);
    evidence_format(&e, INT64_MAX, UINT32_MAX, text);
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
    struct flight w;
    unsigned seed = 1;
    int done = 0, extra = 0;

    flight_init(&w, 500, 2);
    for (int64_t now = 1; done < pushes; now += FLIGHT_EVENT_MS) {
        bool dies = rand_r(&seed) % 10 == 0;

        if (dies) {
            extra += (windowed ? w.size : 500) / 2;
            flight_lost(&w, now);
        } else {
            flight_answered(&w);
            done++;
        }
    }
    return extra;
}

TEST(few_are_under_way_while_connections_die)
{
    struct flight w;

    CHECK(doubled(false, 10000) > 20 * 10000);
    CHECK(doubled(true, 10000) < 10000 / 2);
    flight_init(&w, 500, 2);
    CHECK(flight_lost(&w, 1000));
    for (int n = 0; n < 250; n++)
        CHECK(!flight_lost(&w, 1000 + FLIGHT_EVENT_MS - 1)); /* the streams of one connection */
    CHECK_EQ(w.size, 250);
    for (int n = 0; n < 40; n++)
        flight_lost(&w, 2000 + n * FLIGHT_EVENT_MS);
    CHECK_EQ(w.size, 2); /* one a connection: never none */
    for (int n = 0; n < 500 * 500; n++)
        flight_answered(&w);
    CHECK_EQ(w.size, 500);
    flight_init(&w, 1, 2);
    flight_lost(&w, 1);
    CHECK_EQ(w.size, 1);
}

TEST(a_credential_that_came_lets_the_trial_follow)
{
    struct breaker b = { 0 };

    breaker_bad(&b, true, 0, HIGH);
    breaker_started(&b);
    breaker_go_on(&b);
    CHECK_EQ(breaker_room(&b, b.until_ms), 1);
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

static int64_t naive_next(const struct naive *m, int64_t begin)
{
    for (int i = 0; i < m->n; i++)
        if (m->left[i])
            return i ? m->offset[i - 1] + 1 : begin;
    return m->n ? m->offset[m->n - 1] + 1 : begin;
}

static int64_t naive_said(const struct naive *m, int64_t next, int64_t end)
{
    int64_t least = end;

    for (int i = 0; i < m->n; i++)
        if (m->offset[i] >= next && m->first[i] >= 0 && m->first[i] < least)
            least = m->first[i];
    return least;
}

TEST(the_commit_follows_the_oldest_in_any_order)
{
    static struct naive m;
    struct undone u;
    int64_t offset = 7, outcome = 100;

    CHECK_EQ(undone_init(&u, 7, 100), CQ_OK);
    srand(5);
    for (int step = 0; step < 60000; step++) {
        if (rand() % 3 == 0 && m.n < 20000) {
            int left = rand() % 3;
            enum cq_status st = undone_add(&u, offset, left, -1, &m.name[m.n]);

            CHECK_EQ(st == CQ_OK, m.n == 0 || !undone_full(&u) || st == CQ_OK);
            if (st != CQ_OK)
                continue;
            m.offset[m.n] = offset;
            m.first[m.n] = -1;
            m.left[m.n++] = left;
            offset += 1 + rand() % 2; /* a log may have holes */
        } else if (m.n) {
            int i = m.n - 1 - rand() % (m.n < 500 ? m.n : 500);

            if (!m.left[i])
                continue;
            m.left[i]--;
            if (m.first[i] < 0)
                m.first[i] = outcome;
            undone_done(&u, m.name[i], outcome++);
        }
        if (step % 97 == 0) {
            int64_t next = naive_next(&m, 7);

            CHECK_EQ(u.next, next);
            CHECK_EQ(undone_said(&u), naive_said(&m, next, outcome));
        }
    }
    undone_release(&u);
}

TEST(full_is_said_and_old_names_are_ignored)
{
    struct undone u;
    uint64_t name, first;

    CHECK_EQ(undone_init(&u, 0, 0), CQ_OK);
    CHECK_EQ(undone_add(&u, 0, 1, -1, &first), CQ_OK);
    for (int i = 1; i < UNDONE_MAX; i++)
        CHECK_EQ(undone_add(&u, i, 0, -1, &name), CQ_OK);
    CHECK(undone_full(&u));
    CHECK_EQ(undone_add(&u, UNDONE_MAX, 1, -1, &name), CQ_AGAIN);
    CHECK_EQ(u.next, 0);
    undone_done(&u, first, 5);
    CHECK_EQ(u.next, UNDONE_MAX);
    CHECK_EQ(undone_said(&u), 6);
    undone_done(&u, first, 1); /* done twice: nothing happens */
    CHECK_EQ(undone_said(&u), 6);
    undone_release(&u);
}

TEST(what_was_done_before_a_restart_is_still_to_be_found)
{
    struct undone u;
    uint64_t name;

    CHECK_EQ(undone_init(&u, 50, 900), CQ_OK);
    CHECK_EQ(undone_add(&u, 50, 1, 700, &name),
             CQ_OK); /* one device of two has its outcome at 700 */
    CHECK_EQ(undone_said(&u), 700);
    undone_done(&u, name, 950);
    CHECK_EQ(undone_said(&u), 951);
    undone_release(&u);
}
