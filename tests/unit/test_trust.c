/* SPDX-License-Identifier: MIT */
/* What a gateway believes of the broker's word, see ingest/trust.h. */
#include "tests/unit/test.h"

#include "ingest/trust.h"
#include "lib/base/count.h"

enum { CHAT = 0, USER = 1 };

static struct trust trust;
static struct trust_found found;

/* A check is begun at `now_ms`, with so many connections, and finds nothing wrong. */
static void find_whole(uint64_t connects, int64_t now_ms, int64_t spoken)
{
    bool full;

    CHECK(trust_begin(&trust, connects, now_ms, &full));
    memset(&found, 0, sizeof found);
    found.connects = connects;
    found.spoken[CHAT][3] = spoken;
    trust_take(&trust, &found, now_ms);
}

static void find_cut(int64_t now_ms)
{
    bool full;

    CHECK(trust_begin(&trust, 1, now_ms, &full));
    memset(&found, 0, sizeof found);
    found.st = CQ_FATAL;
    found.cut = (struct bus_cut){ "chat.actions", 3, 7, 9 };
    trust_take(&trust, &found, now_ms);
}

TEST(nothing_is_believed_before_the_first_check)
{
    bool full = false;

    trust_init(&trust);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_HOLD);
    CHECK(trust_begin(&trust, 1, 0, &full));
    CHECK(full);
    CHECK(!trust_begin(&trust, 1, 1000, &full)); /* one at a time */
    memset(&found, 0, sizeof found);
    found.st = CQ_AGAIN; /* nobody to ask */
    trust_take(&trust, &found, 1000);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_HOLD);
    CHECK(!trust_takes(&trust));
    CHECK(!trust_begin(&trust, 1, 1000, &full));
    find_whole(1, 1000 + TRUST_AGAIN_MS, 0);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_PASS);
    CHECK(trust_takes(&trust));
}

TEST(a_new_connection_is_looked_behind_before_it_is_believed)
{
    bool full = false;

    trust_init(&trust);
    find_whole(1, 0, 0);
    CHECK(!trust_begin(&trust, 1, 1, &full));
    CHECK_EQ(trust_judge(&trust, 2), TRUST_HOLD); /* begun before anything is sent on it */
    CHECK(trust_begin(&trust, 2, 1, &full));
    CHECK(full);
    CHECK_EQ(trust_judge_held(&trust, CHAT, 3, 100), TRUST_HOLD);
    CHECK(trust_takes(&trust)); /* meanwhile only the answers wait */
    memset(&found, 0, sizeof found);
    found.connects = 2;
    found.spoken[CHAT][3] = 100;
    trust_take(&trust, &found, 2);
    CHECK_EQ(trust_judge(&trust, 2), TRUST_PASS);
    /* what was held stands where its readers may have been, or above */
    CHECK_EQ(trust_judge_held(&trust, CHAT, 3, 99), TRUST_DOUBT);
    CHECK_EQ(trust_judge_held(&trust, CHAT, 3, 100), TRUST_PASS);
    CHECK_EQ(trust_judge_held(&trust, CHAT, 2, 0), TRUST_PASS);
    CHECK_EQ(trust_judge_held(&trust, USER, 3, 0), TRUST_PASS);
    CHECK_EQ(trust_judge_held(&trust, CHAT, 3, -1001), TRUST_PASS); /* a repeat the broker knew */
}

TEST(a_connection_begun_during_a_check_is_looked_behind_too)
{
    bool full;

    trust_init(&trust);
    CHECK(trust_begin(&trust, 1, 0, &full));
    memset(&found, 0, sizeof found);
    found.connects = 1;
    trust_take(&trust, &found, 0);
    CHECK_EQ(trust_judge(&trust, 2), TRUST_HOLD);
    CHECK(trust_begin(&trust, 2, 0, &full));
    CHECK(full);
}

TEST(a_cut_log_takes_nothing_until_it_is_whole)
{
    bool full = false;

    trust_init(&trust);
    find_cut(0);
    CHECK_EQ(count_get(COUNT_LOG_CUT), 1);
    CHECK(!trust_takes(&trust));
    CHECK_EQ(trust_judge(&trust, 1), TRUST_DOUBT);
    CHECK_EQ(trust_judge_held(&trust, CHAT, 3, 1000), TRUST_DOUBT);
    CHECK_STR(trust.cut.topic, "chat.actions");
    CHECK(!trust_begin(&trust, 1, 1, &full));
    CHECK(trust_begin(&trust, 1, TRUST_CUT_EVERY_MS, &full));
    CHECK(full); /* what made it short may be said by no one but a commit */
    memset(&found, 0, sizeof found);
    found.st = CQ_AGAIN;
    trust_take(&trust, &found, TRUST_CUT_EVERY_MS);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_DOUBT); /* not knowing is no reason to go on */
    find_whole(1, 2 * TRUST_CUT_EVERY_MS, 9);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_PASS);
    CHECK_EQ(count_get(COUNT_LOG_CUT), 0);
}

TEST(a_report_that_falls_is_proof)
{
    trust_init(&trust);
    find_whole(1, 0, 0);
    trust_fell(&trust, &(struct bus_cut){ "user.inbox", 1, 5, 6 });
    CHECK_EQ(trust_judge(&trust, 1), TRUST_DOUBT);
    CHECK_STR(trust.cut.topic, "user.inbox");
    CHECK_EQ(count_get(COUNT_LOG_CUT), 1);
}

TEST(others_notes_are_heard_of_now_and_then)
{
    bool full = true;

    trust_init(&trust);
    find_whole(1, 0, 0);
    CHECK(!trust_begin(&trust, 1, TRUST_EVERY_MS - 1, &full));
    CHECK(trust_begin(&trust, 1, TRUST_EVERY_MS, &full));
    CHECK(!full);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_PASS); /* meanwhile all is as it was */
    memset(&found, 0, sizeof found);
    found.st = CQ_FATAL;
    trust_take(&trust, &found, TRUST_EVERY_MS);
    CHECK_EQ(trust_judge(&trust, 1), TRUST_DOUBT);
}
