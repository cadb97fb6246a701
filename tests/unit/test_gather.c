/* SPDX-License-Identifier: MIT */
/* When the broker gathers for a consumer, and when it does not. */
#include "tests/unit/test.h"

#include "lib/bus/gather.h"
#include "lib/bus/rdkafka_conf.h"

#include <stdlib.h>

enum { WAIT_MS = 20, REQUESTS = GATHER_SPELL_MS / WAIT_MS };

/* `n` records, one each `each_ms`, from `*now_ms` on. Returns how often `on` changed. */
static int come(struct gather *gather, int64_t *now_ms, int n, int each_ms)
{
    int changes = 0;

    for (int i = 0; i < n; i++) {
        *now_ms += each_ms;
        changes += gather_note(gather, *now_ms, 1);
    }
    return changes;
}

TEST(it_does_not_gather_while_little_comes)
{
    struct gather gather = { .wait_ms = WAIT_MS };
    int64_t now_ms = 5000;

    CHECK_EQ(come(&gather, &now_ms, 1000, GATHER_SPELL_MS / REQUESTS + 1), 0);
    CHECK(!gather.on);
}

TEST(it_gathers_within_the_spell_that_brings_more_than_requests)
{
    struct gather gather = { .wait_ms = WAIT_MS };
    int64_t now_ms = 5000;

    CHECK_EQ(come(&gather, &now_ms, 1, 0), 0); /* a spell begins */
    CHECK_EQ(come(&gather, &now_ms, REQUESTS, 1), 0);
    CHECK_EQ(come(&gather, &now_ms, 1, 1), 1);
    CHECK(gather.on);
}

TEST(it_ends_only_with_a_spell_of_half_as_many)
{
    struct gather gather = { .wait_ms = WAIT_MS };
    int64_t now_ms = 5000;

    come(&gather, &now_ms, 200, 1);
    CHECK(gather.on);
    CHECK_EQ(come(&gather, &now_ms, 200, GATHER_SPELL_MS * 2 / REQUESTS - 10),
             0); /* between half and all */
    CHECK(gather.on);
    CHECK_EQ(come(&gather, &now_ms, 200, GATHER_SPELL_MS * 4 / REQUESTS), 1);
    CHECK(!gather.on);
}

TEST(silence_ends_it)
{
    struct gather gather = { .wait_ms = WAIT_MS };
    int64_t now_ms = 5000;

    come(&gather, &now_ms, 200, 1);
    now_ms += GATHER_SPELL_MS;
    gather_note(&gather, now_ms, 0); /* the spell of the load ends */
    now_ms += GATHER_SPELL_MS;
    CHECK(gather_note(&gather, now_ms, 0));
    CHECK(!gather.on);
}

TEST(who_is_in_a_hurry_never_gathers)
{
    struct gather gather = { 0 };
    int64_t now_ms = 5000;

    CHECK_EQ(come(&gather, &now_ms, 10000, 0), 0);
    CHECK(!gather.on);
}

static int64_t number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32] = "";
    size_t cap = sizeof text;

    return rd_kafka_conf_get(conf, name, text, &cap) == RD_KAFKA_CONF_OK ? strtoll(text, NULL, 10)
                                                                         : -1;
}

TEST(a_running_client_fetches_as_it_is_told)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;

    CHECK_EQ(rd_kafka_conf_set(conf, "group.id", "some", NULL, 0), RD_KAFKA_CONF_OK);
    rk = rdkafka_client_new(RD_KAFKA_CONSUMER, conf);
    CHECK(rk != NULL);
    rdkafka_fetch_as(rk, 17, GATHER_BYTES);
    CHECK_EQ(number_of(rd_kafka_conf(rk), "fetch.wait.max.ms"), 17);
    CHECK_EQ(number_of(rd_kafka_conf(rk), "fetch.min.bytes"), GATHER_BYTES);
    rd_kafka_destroy(rk);
}
