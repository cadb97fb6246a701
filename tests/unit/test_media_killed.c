/* SPDX-License-Identifier: MIT */
/*
 * What the intake of sinks/media reads kills its process: the loop as it is, on a broker made of
 * paper. What it takes is never done in the child, so that its commit stays where it was.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "sinks/media/intake.h"
#include "tests/unit/bus_world.h"

enum { NOTED = SUSPECT_KILLS - 1, TURN_MS = 50 };

static const char EVENTS[] = "chat.events";

struct paper_media {
    struct intake *intake;
    bool finishes; /* what was taken is done at once */
    int taken;
};

static bool room(void *arg)
{
    (void)arg;
    return true;
}

static void take(void *arg, const struct bus_record *rec)
{
    struct paper_media *media = arg;

    if (paper_is(rec, "killer"))
        raise(SIGKILL);
    media->taken++;
}

static int64_t undone(void *arg, int32_t partition, int64_t next)
{
    const struct paper_media *media = arg;

    (void)partition;
    return media->finishes || next < 0 ? next : 0;
}

static void drop(void *arg, int32_t partition)
{
    (void)arg;
    (void)partition;
}

static bool media_open(struct paper_media *media, const char *brokers)
{
    static const struct intake_ops ops = { room, take, undone, drop };

    return intake_new(&(struct intake_conf){ .brokers = brokers, .ops = &ops, .arg = media },
                      &media->intake) == CQ_OK;
}

/* Run in the child, before main(). */
__attribute__((constructor)) static void media_child(void)
{
    static struct paper_media media;
    const char *brokers = child_brokers();

    if (!brokers)
        return;
    if (!media_open(&media, brokers))
        _exit(3);
    while (intake_turn(media.intake, TURN_MS) == CQ_OK)
        ;
    _exit(1);
}

TEST(a_record_that_kills_media_is_a_dead_letter)
{
    static const char *const topics[] = { "chat.events", "chat.events.dlq" };
    struct paper_media media = { .finishes = true };
    struct bus_world world;
    struct reader *reader = NULL;
    char meta[SUSPECT_TEXT_MAX], why[128];
    int64_t killers = count_get(COUNT_KILLERS), until_ms;

    world_open(&world);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        rd_kafka_mock_topic_create(world.cluster, topics[i], 1, 1);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK(world_put_to(&world, EVENTS, "good before"));
    CHECK(world_put_to(&world, EVENTS, "killer"));
    CHECK(world_put_to(&world, EVENTS, "good after"));
    suspect_format(&(struct suspect){ SUSPECT_STARTS, -1, 0, 1, NOTED }, meta);
    CHECK_EQ(reader_move_group(reader, "media", EVENTS, 0, 0, meta, why, sizeof why), CQ_OK);
    CHECK_EQ(paper_await(child_spawn(&world)), SIGKILL); /* once more as until now */
    CHECK_EQ(world_committed_of(&world, reader, "media", EVENTS), 0);
    CHECK(media_open(&media, world.brokers));
    for (until_ms = clock_mono_ms() + WITHIN_MS; media.taken < 2 && clock_mono_ms() < until_ms;)
        CHECK_EQ(intake_turn(media.intake, TURN_MS), CQ_OK);
    CHECK_EQ(media.taken, 2); /* all that is not guilty */
    CHECK_EQ(count_get(COUNT_KILLERS), killers + 1);
    CHECK_EQ(world_count(&world, "chat.events.dlq", 0), 1);
    intake_commit(media.intake);
    intake_free(media.intake);
    CHECK_EQ(world_committed_of(&world, reader, "media", EVENTS), 3);
    reader_free(reader);
    world_close(&world);
}

/* What is taken again is not taken twice, and what waits holds the commit. */
TEST(the_commit_stands_before_what_is_not_done)
{
    struct paper_media media = { 0 };
    struct bus_world world;
    struct reader *reader = NULL;
    int64_t until_ms;

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, EVENTS, 1, 1);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    for (int i = 0; i < 3; i++)
        CHECK(world_put_to(&world, EVENTS, "good"));
    CHECK(media_open(&media, world.brokers));
    for (until_ms = clock_mono_ms() + WITHIN_MS; media.taken < 3 && clock_mono_ms() < until_ms;)
        CHECK_EQ(intake_turn(media.intake, TURN_MS), CQ_OK);
    CHECK_EQ(media.taken, 3);
    intake_commit(media.intake);
    CHECK(world_committed_of(&world, reader, "media", EVENTS) <= 0);
    media.finishes = true;
    intake_free(media.intake); /* what is done when it ends is committed */
    CHECK_EQ(world_committed_of(&world, reader, "media", EVENTS), 3);
    reader_free(reader);
    world_close(&world);
}
