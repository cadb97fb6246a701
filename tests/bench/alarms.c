/* SPDX-License-Identifier: MIT */
/* A heap, soonest on top. A client has at most two alarms of its own kind, so its room is known. */
#include "tests/bench/load.h"

#include <stdlib.h>

bool alarms_init(struct alarms *alarms, int max)
{
    *alarms = (struct alarms){ .heap = calloc((size_t)max, sizeof *alarms->heap), .max = max };
    return alarms->heap != NULL;
}

static void swap(struct alarm *a, struct alarm *b)
{
    struct alarm kept = *a;

    *a = *b;
    *b = kept;
}

void alarms_add(struct alarms *alarms, struct alarm one)
{
    int at = alarms->n++;

    if (alarms->n > alarms->max)
        abort();
    alarms->heap[at] = one;
    while (at > 0 && alarms->heap[(at - 1) / 2].due_us > alarms->heap[at].due_us) {
        swap(&alarms->heap[at], &alarms->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

int64_t alarms_next_us(const struct alarms *alarms)
{
    return alarms->n ? alarms->heap[0].due_us : INT64_MAX;
}

struct alarm alarms_take(struct alarms *alarms)
{
    struct alarm top = alarms->heap[0];
    int at = 0;

    alarms->heap[0] = alarms->heap[--alarms->n];
    for (;;) {
        int least = at;

        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < alarms->n; child++)
            if (alarms->heap[child].due_us < alarms->heap[least].due_us)
                least = child;
        if (least == at)
            return top;
        swap(&alarms->heap[at], &alarms->heap[least]);
        at = least;
    }
}
