/* SPDX-License-Identifier: MIT */
/*
 * A step that was survived accuses its record of nothing, whatever becomes of the word around it.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "tests/unit/bus_world.h"

/* As if there had been two starts without progress. */
static void begin_carefully(struct bus_world *w)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, "in", 0);

    tp->offset = 0;
    tp->metadata = strdup("!2,-1,0;");
    tp->metadata_size = strlen(tp->metadata);
    CHECK_EQ(rd_kafka_commit(w->rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The partition goes to others between a step and the end of its word, and the process that made
 * the step is ended later, for a reason of its own. The word stays in the commit: it is no
 * accusation. */
TEST(a_word_that_could_not_be_taken_back_accuses_nobody)
{
    struct bus_world w;
    struct paper_stage p = { 0 };
    int64_t killers = count_get(COUNT_KILLERS);

    world_open(&w);
    CHECK(world_put(&w, "one"));
    begin_carefully(&w);
    for (int k = 0; k < SUSPECT_KILLS; k++) {
        const rd_kafka_resp_err_t errs[] = { RD_KAFKA_RESP_ERR_NO_ERROR, /* this start is noted */
                                             RD_KAFKA_RESP_ERR_NO_ERROR, /* the word is left … */
                                             /* … and stays */
                                             RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE };

        rd_kafka_mock_push_request_errors_array(w.cluster, API_OFFSET_COMMIT, 3, errs);
        CHECK_EQ(paper_await(paper_spawn(&w, true)), SIGKILL);
    }
    CHECK(world_committed(&w) == 0);
    CHECK(strstr(w.meta, ",0,3;") != NULL); /* or this tests nothing */
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_EQ(p.steps, 1);
    CHECK_EQ(world_count(&w, "in.dlq", 0), 0);
    CHECK_EQ(count_get(COUNT_KILLERS), killers);
    paper_end(&p);
    world_close(&w);
}
