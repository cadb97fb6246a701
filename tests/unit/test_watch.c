/* SPDX-License-Identifier: MIT */
/* Who notes that Kafka answers: each client by its own requests, and the watch when nobody else. */
#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/bus/bus.h"
#include "tests/unit/bus_world.h"
#include "tests/unit/test.h"

static struct bus_world w;

static int64_t silence_ms(void)
{
    return contact_silence_ms(CONTACT_KAFKA, clock_mono_ms());
}

/* As if nobody had answered for long. */
static void grow_silent(void)
{
    contact_expect(CONTACT_KAFKA, clock_mono_ms() - 10 * CONTACT_AWAY_MS);
}

static void poll_once(struct consumer *consumer)
{
    struct bus_record rec;

    if (consumer_poll(consumer, 10, &rec) == CQ_OK && rec.topic)
        record_release(&rec);
}

TEST(a_consumer_that_fetches_nothing_hears_kafka_without_a_watch)
{
    static const char *const topics[] = { "in" };
    struct consumer *consumer;

    world_open(&w);
    CHECK_EQ(consumer_new(&(struct consumer_conf){ .brokers = w.brokers,
                                                   .client_id = "paper",
                                                   .group = GROUP,
                                                   .topics = topics,
                                                   .topics_n = 1,
                                                   .session_timeout_ms = 4000 },
                          &consumer),
             CQ_OK);
    CHECK(EVENTUALLY((poll_once(consumer), consumer_owned(consumer) == 1)));
    for (int i = 0; i < 3; i++) { /* not once, but for as long as it fetches */
        grow_silent();
        CHECK(EVENTUALLY((poll_once(consumer), silence_ms() < CONTACT_AWAY_MS)));
    }
    consumer_free(consumer);
    world_close(&w);
}

TEST(the_watch_asks_when_nobody_else_hears)
{
    struct bus_watch *watch;

    world_open(&w);
    CHECK_EQ(bus_watch_start(w.brokers, &watch), CQ_OK);
    for (int i = 0; i < 3; i++) {
        grow_silent();
        CHECK(EVENTUALLY(silence_ms() < CONTACT_AWAY_MS));
    }
    bus_watch_stop(watch);
    world_close(&w);
}
