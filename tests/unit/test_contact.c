/* SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/count.h"
#include "lib/base/settings.h"
#include "lib/bus/rdkafka_conf.h"
#include "tests/unit/test.h"

static const char hung_up[] = "Disconnected while requesting ApiVersion: might be caused by "
                              "incorrect security.protocol configuration";

/* In the order of the file: nothing is expected before the first says so. */

TEST(who_is_not_needed_is_not_away)
{
    CHECK_EQ(contact_silence_ms(CONTACT_KAFKA, 1000000), 0);
    CHECK(!contact_away(CONTACT_KAFKA, 1000000));
    contact_asked(1000);
    CHECK(!contact_away(CONTACT_DATABASE, 1000000)); /* a role without a watch */
    contact_answered(1000);
}

TEST(who_is_needed_is_away_without_a_first_answer)
{
    contact_expect(CONTACT_KAFKA, 1000);
    CHECK(!contact_away(CONTACT_KAFKA, 1000 + CONTACT_AWAY_MS));
    CHECK(contact_away(CONTACT_KAFKA, 1001 + CONTACT_AWAY_MS));
    CHECK(!contact_was_heard(CONTACT_KAFKA));
    CHECK(security_settings(0, hung_up) != NULL);
    contact_heard(CONTACT_KAFKA, 50000);
    CHECK(contact_was_heard(CONTACT_KAFKA));
    CHECK(security_settings(0, hung_up) == NULL); /* its settings were good: it is away */
    CHECK(!contact_away(CONTACT_KAFKA, 50000 + CONTACT_AWAY_MS));
    CHECK_EQ(contact_silence_ms(CONTACT_KAFKA, 51000), 1000);
}

TEST(a_statement_without_an_answer_counts_as_away)
{
    int64_t now = 100000;

    contact_expect(CONTACT_DATABASE, now);
    contact_asked(now);
    now += CONTACT_AWAY_MS;
    contact_heard(CONTACT_DATABASE, now); /* the watch is answered all the same */
    CHECK(!contact_away(CONTACT_DATABASE, now));
    contact_heard(CONTACT_DATABASE, now + 1);
    CHECK(contact_away(CONTACT_DATABASE, now + 1));
    contact_answered(now + 2);
    CHECK(!contact_away(CONTACT_DATABASE, now + 2));
    CHECK_EQ(contact_silence_ms(CONTACT_DATABASE, now + 2), 1);
}

TEST(one_slow_statement_among_others_is_not_away)
{
    int64_t now = 200000;

    contact_heard(CONTACT_DATABASE, now);
    contact_asked(now); /* the slow one */
    for (int i = 0; i < 10; i++) {
        now += CONTACT_AWAY_MS / 2;
        contact_heard(CONTACT_DATABASE, now);
        contact_asked(now);
        contact_answered(now);
        CHECK(!contact_away(CONTACT_DATABASE, now));
    }
    contact_heard(CONTACT_DATABASE, now + CONTACT_AWAY_MS + 1);
    CHECK(contact_away(CONTACT_DATABASE, now + CONTACT_AWAY_MS + 1)); /* nobody else asks */
    contact_answered(now);
    CHECK(!contact_away(CONTACT_DATABASE, now));
}

static bool shows(const char *line)
{
    static char text[32 * 1024];

    return count_print(ROLE_PERSISTENCE, "persistence", text, sizeof text) > 0 &&
           strstr(text, line);
}

TEST(the_numbers_say_it_without_the_loop)
{
    int64_t now = clock_mono_ms();

    count_set(COUNT_LAG, 7);
    contact_heard(CONTACT_KAFKA, now);
    contact_heard(CONTACT_DATABASE, now);
    CHECK(shows("\nchasqui_kafka_away{role=\"persistence\"} 0\n"));
    CHECK(shows("\nchasqui_database_away{role=\"persistence\"} 0\n"));
    CHECK(shows("\nchasqui_lag_records{role=\"persistence\"} 7\n"));
    contact_heard(CONTACT_KAFKA, now - 2 * CONTACT_AWAY_MS);
    CHECK(shows("\nchasqui_kafka_away{role=\"persistence\"} 1\n"));
    CHECK(shows("\nchasqui_lag_records{role=\"persistence\"} -1\n")); /* unknown is not none */
    contact_heard(CONTACT_KAFKA, now);
    contact_heard(CONTACT_DATABASE, now - 2 * CONTACT_AWAY_MS);
    CHECK(shows("\nchasqui_database_away{role=\"persistence\"} 1\n"));
}
