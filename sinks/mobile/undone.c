/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/undone.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum cq_status undone_init(struct undone *undone, int64_t next, int64_t said, int64_t kept)
{
    *undone = (struct undone){ .next = next, .said = said, .kept = kept };
    undone->v = calloc(UNDONE_MAX, sizeof *undone->v);
    return undone->v ? CQ_OK : CQ_FATAL;
}

void undone_release(struct undone *undone)
{
    free(undone->v);
    *undone = (struct undone){ 0 };
}

bool undone_full(const struct undone *undone)
{
    return undone->tail - undone->head == UNDONE_MAX;
}

static struct undone_entry *entry(const struct undone *undone, uint64_t name)
{
    return &undone->v[name % UNDONE_MAX];
}

static void advance(struct undone *undone)
{
    CQ_ASSERT(undone->head <= undone->tail && undone->tail - undone->head <= UNDONE_MAX,
              undone->head, undone->tail);
    while (undone->head < undone->tail && entry(undone, undone->head)->left == 0) {
        undone->next = entry(undone, undone->head)->offset + 1;
        undone->head++;
    }
}

enum cq_status undone_add(struct undone *undone, int64_t offset, int32_t left, int64_t first,
                          uint64_t *ret)
{
    if (undone_full(undone))
        return CQ_AGAIN;
    *ret = undone->tail++;
    *entry(undone, *ret) = (struct undone_entry){ offset, left, first };
    advance(undone);
    return CQ_OK;
}

void undone_done(struct undone *undone, uint64_t name, int64_t outcome)
{
    struct undone_entry *undone_entry = entry(undone, name);

    if (name < undone->head || name >= undone->tail || undone_entry->left <= 0)
        return;
    undone_entry->left--;
    if (outcome >= 0 && (undone_entry->first < 0 || outcome < undone_entry->first))
        undone_entry->first = outcome;
    if (outcome >= undone->said)
        undone->said = outcome + 1;
    advance(undone);
}

void undone_caught_up(struct undone *undone)
{
    undone->kept = -1;
}

int64_t undone_said(const struct undone *undone)
{
    int64_t least = undone->kept >= 0 && undone->kept < undone->said ? undone->kept : undone->said;

    for (uint64_t i = undone->head; i < undone->tail; i++)
        if (entry(undone, i)->first >= 0 && entry(undone, i)->first < least)
            least = entry(undone, i)->first;
    return least;
}
