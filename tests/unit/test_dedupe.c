/* SPDX-License-Identifier: MIT */
/*
 * The window of processors/chat against a naive list, over a seeded random walk.
 */
#include "tests/unit/test.h"

#include "processors/chat/dedupe.h"

#include <stdlib.h>

enum { STEPS = 100000, IDS = 5000 };

struct naive {
    int64_t seq, at_ms;
    bool there;
};

static struct cq_id id_of(uint32_t n)
{
    struct cq_id id = { { 0 } };

    memcpy(id.b, &n, sizeof n);
    id.b[15] = 1;
    return id;
}

TEST(dedupe_agrees_with_a_list)
{
    static struct naive list[IDS];
    struct dedupe dedupe;
    int64_t now_ms = 1000;
    unsigned seed = 11;

    dedupe_init(&dedupe);
    for (int step = 0; step < STEPS; step++) {
        uint32_t n = (uint32_t)rand_r(&seed) % IDS;
        bool fresh = list[n].there && now_ms - list[n].at_ms <= DEDUPE_MS;
        const struct dedupe_entry *entry = dedupe_find(&dedupe, id_of(n), now_ms);

        CHECK_EQ(entry != NULL, fresh);
        if (entry) {
            CHECK_EQ(entry->seq, list[n].seq);
            CHECK_EQ(entry->at_ms, list[n].at_ms);
        }
        CHECK_EQ(dedupe_add(&dedupe,
                            &(struct dedupe_entry){ .id = id_of(n), .seq = step, .at_ms = now_ms }),
                 CQ_OK);
        if (!fresh)
            list[n] = (struct naive){ step, now_ms, true };
        now_ms += rand_r(&seed) % 400;
    }
    dedupe_release(&dedupe);
}

TEST(dedupe_forgets_the_oldest_at_its_maximum)
{
    struct dedupe dedupe;

    dedupe_init(&dedupe);
    for (uint32_t n = 0; n < DEDUPE_MAX + 10; n++)
        CHECK_EQ(
            dedupe_add(&dedupe, &(struct dedupe_entry){ .id = id_of(n), .seq = n, .at_ms = 1 }),
            CQ_OK);
    CHECK(dedupe_find(&dedupe, id_of(9), 1) == NULL);
    CHECK(dedupe_find(&dedupe, id_of(10), 1) != NULL);
    CHECK_EQ(dedupe.by_id.n, (size_t)DEDUPE_MAX);
    dedupe_release(&dedupe);
}
