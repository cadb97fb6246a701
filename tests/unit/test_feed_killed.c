/* SPDX-License-Identifier: MIT */
/*
 * What a feed maps kills its process: a feed without a database, on a broker made of paper. Its
 * turns are as feed.c makes them, but for the transaction.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/feed/state.h"
#include "tests/unit/bus_world.h"

enum { RECORDS = 8, NOTED = SUSPECT_KILLS - 1 };

struct paper_feed {
    struct feed feed;
    struct held held[RECORDS];
    bool hold[RECORDS];
    volatile int stop;
    int mapped;
    int dead;
    char why[64]; /* of the last dead letter */
};

static void on_begin(void *arg)
{
    (void)arg;
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct paper_feed *feed = arg;

    (void)applied;
    (void)quiet;
    (void)ret_why;
    if (paper_is(in, "killer"))
        raise(SIGKILL);
    feed->mapped++;
    *ret_source = in->offset;
    return CQ_OK;
}

static enum cq_status on_assigned(void *arg, struct hold *hold, const char *meta, int64_t *ret_from)
{
    struct paper_feed *feed = arg;

    (void)meta;
    (void)ret_from;
    parts_of(&feed->feed.parts, hold)->source = -1;
    return CQ_OK;
}

static bool feed_open(struct paper_feed *feed, const char *brokers)
{
    static const char *const names[] = { "in" };
    static const struct feed_topic topics[] = { { .name = "in" } };
    static const struct feed_ops ops = { .begin = on_begin, .step = on_step };
    static const struct hold_ops hold_ops = { .assigned = on_assigned };
    const struct holds_conf conf = { .consumer = { .brokers = brokers,
                                                   .client_id = "paper",
                                                   .group = GROUP,
                                                   .session_timeout_ms = 4000,
                                                   .topics = names,
                                                   .topics_n = 1 },
                                     .ops = &hold_ops,
                                     .arg = feed,
                                     .careful_n = RECORDS };

    feed->feed.conf = (struct feed_conf){
        .topics = topics, .topics_n = 1, .ops = &ops, .arg = feed, .stop = &feed->stop
    };
    feed->feed.held = feed->held;
    feed->feed.hold = feed->hold;
    return holds_open(&feed->feed.holds, &conf) == CQ_OK &&
           parts_init(&feed->feed.parts, &feed->feed.conf, &feed->feed.holds) == CQ_OK;
}

static void feed_close(struct paper_feed *feed)
{
    holds_close(&feed->feed.holds);
    parts_release(&feed->feed.parts);
}

static void gather(struct feed *feed)
{
    while (feed->held_n < RECORDS) {
        struct bus_record rec;
        struct hold *of;

        if (consumer_poll(feed->holds.consumer, feed->held_n ? 0 : 100, &rec) != CQ_OK ||
            !rec.topic)
            return;
        of = holds_find(&feed->holds, rec.topic, rec.partition);
        if (!hold_take(of, &rec))
            abort();
        feed->held[feed->held_n++] = (struct held){ .rec = rec, .of = of };
    }
}

static void turn(struct paper_feed *feed)
{
    struct feed *inner = &feed->feed;
    int kept = 0;

    gather(inner);
    if (inner->held_n && feed_map(inner) != CQ_OK)
        inner->taken_n = 0;
    for (int i = 0; i < inner->held_n; i++) {
        struct held *held = &inner->held[i];

        if (!inner->taken_n || !held->taken) {
            inner->held[kept++] = *held;
            continue;
        }
        feed->dead += held->why != NULL;
        if (held->why)
            snprintf(feed->why, sizeof feed->why, "%s", held->why);
        hold_done(held->of, held->rec.offset + 1);
        hold_stepped(held->of);
        record_release(&held->rec);
    }
    inner->held_n = kept;
    holds_commit(&inner->holds, true);
}

/* Run in the child, before main(). */
__attribute__((constructor)) static void feed_child(void)
{
    static struct paper_feed feed;
    const char *brokers = child_brokers();

    if (!brokers)
        return;
    if (!feed_open(&feed, brokers))
        _exit(3);
    for (;;)
        turn(&feed);
}

TEST(a_record_that_kills_a_feed_is_a_dead_letter)
{
    static struct paper_feed feed;
    struct bus_world world;
    char meta[SUSPECT_TEXT_MAX];
    int64_t killers = count_get(COUNT_KILLERS), until_ms;

    world_open(&world);
    CHECK(world_put(&world, "good before"));
    CHECK(world_put(&world, "killer"));
    CHECK(world_put(&world, "good after"));
    suspect_format(&(struct suspect){ SUSPECT_STARTS, -1, 0, 1, NOTED }, meta);
    CHECK(world_commit(&world, 0, meta)); /* as its deaths until now left it */
    CHECK_EQ(paper_await(child_spawn(&world)), SIGKILL);
    CHECK(EVENTUALLY(world_committed(&world) == 1)); /* what was before it is done */
    CHECK(feed_open(&feed, world.brokers));
    for (until_ms = clock_mono_ms() + WITHIN_MS; !feed.dead && clock_mono_ms() < until_ms;)
        turn(&feed);
    CHECK_EQ(feed.dead, 1);
    CHECK_STR(feed.why, "killed its process");
    CHECK_EQ(count_get(COUNT_KILLERS), killers + 1);
    while (feed.mapped < 1 && clock_mono_ms() < until_ms)
        turn(&feed);
    CHECK_EQ(feed.mapped, 1);
    feed_close(&feed);
    CHECK_EQ(world_committed(&world), 3);
    world_close(&world);
}
