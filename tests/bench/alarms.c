/* SPDX-License-Identifier: MIT */
/* A heap, soonest on top. A client has at most two alarms of its own kind, so its room is known. */
#include "tests/bench/load.h"

#include <stdlib.h>

bool alarms_init(struct alarms *a, int max)
{
    *a = (struct alarms){ .heap = calloc((size_t)max, sizeof *a->heap), .max = max };
    return a->heap != NULL;
}

static void swap(struct alarm *a, struct alarm *b)
{
    struct alarm kept = *a;

    *a = *b;
    *b = kept;
}

void alarms_add(struct alarms *a, struct alarm one)
{
    int at = a->n++;

    if (a->n > a->max)
        abort();
    a->heap[at] = one;
    while (at > 0 && a->heap[(at - 1) / 2].due_us > a->heap[at].due_us) {
        swap(&a->heap[at], &a->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

int64_t alarms_next_us(const struct alarms *a)
{
    return a->n ? a->heap[0].due_us : INT64_MAX;
}

struct alarm alarms_take(struct alarms *a)
{
    struct alarm top = a->heap[0];
    int at = 0;

    a->heap[0] = a->heap[--a->n];
    for (;;) {
        int least = at;

        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < a->n; child++)
            if (a->heap[child].due_us < a->heap[least].due_us)
                least = child;
        if (least == at)
            return top;
        swap(&a->heap[at], &a->heap[least]);
        at = least;
    }
}
