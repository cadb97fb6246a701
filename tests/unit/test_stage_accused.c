/* SPDX-License-Identifier: MIT */
/*
 * Commits that fail in careful mode are no deaths: a record that nobody stepped is not accused of
 * having killed its process.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "tests/unit/bus_world.h"

enum { FAILURES_MAX = 16 };

/* Two starts make the third one careful; then the broker refuses `n` commits. */
static void refuse_commits(rd_kafka_resp_err_t err, size_t n)
{
    struct bus_world w;
    struct paper_stage p = { 0 };
    int64_t killers = count_get(COUNT_KILLERS);
    rd_kafka_resp_err_t errs[FAILURES_MAX];

    for (size_t i = 0; i < n; i++)
        errs[i] = err;
    world_open(&w);
    CHECK(world_put(&w, "one"));
    for (int k = 0; k < SUSPECT_STARTS; k++)
        CHECK_EQ(paper_await(paper_spawn(&w, true)), SIGKILL);
    rd_kafka_mock_push_request_errors_array(w.cluster, API_OFFSET_COMMIT, n, errs);
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_EQ(p.steps, 1);
    CHECK_EQ(world_count(&w, "in.dlq", 0), 0);
    CHECK_EQ(count_get(COUNT_KILLERS), killers);
    paper_end(&p);
    world_close(&w);
}

TEST(commits_that_are_refused_accuse_nobody)
{
    refuse_commits(RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, SUSPECT_KILLS + 1);
}

TEST(commits_that_time_out_accuse_nobody)
{
    refuse_commits(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, FAILURES_MAX);
}
