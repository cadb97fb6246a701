/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/undone.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum cq_status undone_init(struct undone *w, int64_t next, int64_t said)
{
    *w = (struct undone){ .next = next, .said = said };
    w->v = calloc(UNDONE_MAX, sizeof *w->v);
    return w->v ? CQ_OK : CQ_FATAL;
}

void undone_release(struct undone *w)
{
    free(w->v);
    *w = (struct undone){ 0 };
}

bool undone_full(const struct undone *w)
{
    return w->tail - w->head == UNDONE_MAX;
}

static struct undone_entry *entry(const struct undone *w, uint64_t name)
{
    return &w->v[name % UNDONE_MAX];
}

static void advance(struct undone *w)
{
    CQ_ASSERT(w->head <= w->tail && w->tail - w->head <= UNDONE_MAX, w->head, w->tail);
    while (w->head < w->tail && entry(w, w->head)->left == 0) {
        w->next = entry(w, w->head)->offset + 1;
        w->head++;
    }
}

enum cq_status undone_add(struct undone *w, int64_t offset, int32_t left, int64_t first,
                          uint64_t *ret)
{
    if (undone_full(w))
        return CQ_AGAIN;
    *ret = w->tail++;
    *entry(w, *ret) = (struct undone_entry){ offset, left, first };
    advance(w);
    return CQ_OK;
}

void undone_done(struct undone *w, uint64_t name, int64_t outcome)
{
    struct undone_entry *e = entry(w, name);

    if (name < w->head || name >= w->tail || e->left <= 0)
        return;
    e->left--;
    if (outcome >= 0 && (e->first < 0 || outcome < e->first))
        e->first = outcome;
    if (outcome >= w->said)
        w->said = outcome + 1;
    advance(w);
}

int64_t undone_said(const struct undone *w)
{
    int64_t least = w->said;

    for (uint64_t i = w->head; i < w->tail; i++)
        if (entry(w, i)->first >= 0 && entry(w, i)->first < least)
            least = entry(w, i)->first;
    return least;
}
