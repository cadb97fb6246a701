/* SPDX-License-Identifier: MIT */
#include "edge/ws/looks.h"

#include "lib/base/assert.h"

#include <stdlib.h>

void looks_init(struct looks *looks)
{
    *looks = (struct looks){ 0 };
    idmap_init(&looks->by_subject, LOOKS_MAX);
}

void looks_release(struct looks *looks)
{
    CQ_ASSERT(looks->n == 0 && looks->by_subject.n == 0, looks->n, looks->by_subject.n);
    idmap_release(&looks->by_subject);
}

static struct look *find(const struct looker *by, struct cq_id subject)
{
    struct look *look = by->first;

    while (look && !id_eq(look->at->subject, subject))
        look = look->next_of_mine;
    return look;
}

static struct looked *looked_at(const struct looks *looks, struct cq_id subject)
{
    uint64_t *at = idmap_get(&looks->by_subject, subject);

    return at ? (struct looked *)(uintptr_t)*at : NULL;
}

/* What is looked at first is made. */
static struct looked *looked_make(struct looks *looks, struct cq_id subject)
{
    struct looked *at = calloc(1, sizeof *at);

    if (!at)
        return NULL;
    at->subject = subject;
    at->state = PRESENCE_STATE_N;
    if (idmap_put(&looks->by_subject, subject, (uint64_t)(uintptr_t)at))
        return at;
    free(at);
    return NULL;
}

static void looked_free_unused(struct looks *looks, struct looked *at)
{
    if (at->n)
        return;
    CQ_ASSERT(!at->first);
    idmap_remove(&looks->by_subject, at->subject);
    free(at);
}

enum cq_status looks_add(struct looks *looks, struct looker *by, struct cq_id subject,
                         int64_t until_ms, bool *ret_first)
{
    struct look *look = find(by, subject);
    struct looked *at;

    *ret_first = false;
    if (look) {
        look->until_ms = until_ms;
        return CQ_OK;
    }
    if (by->n == LOOKS_SOCKET_MAX || looks->n == LOOKS_MAX)
        return CQ_AGAIN;
    at = looked_at(looks, subject);
    if (!at)
        at = looked_make(looks, subject);
    if (!at || at->n == LOOKS_SUBJECT_MAX)
        return CQ_AGAIN;
    look = calloc(1, sizeof *look);
    if (!look) {
        looked_free_unused(looks, at);
        return CQ_AGAIN;
    }
    *ret_first = at->n == 0;
    *look = (struct look){
        .next = at->first, .next_of_mine = by->first, .at = at, .by = by, .until_ms = until_ms
    };
    if (at->first)
        at->first->prev = look;
    at->first = by->first = look;
    at->n++;
    by->n++;
    looks->n++;
    return CQ_OK;
}

int64_t looks_until(const struct looker *by, struct cq_id subject, int64_t now_ms)
{
    const struct look *look = find(by, subject);

    return look && look->until_ms > now_ms ? look->until_ms : 0;
}

/* `link`: the pointer to it among those of its socket. */
static void end(struct looks *looks, struct look **link)
{
    struct look *look = *link;
    struct looked *at = look->at;

    CQ_ASSERT(looks->n > 0 && at->n > 0 && look->by->n > 0, looks->n, at->n, look->by->n);
    *link = look->next_of_mine;
    if (look->prev)
        look->prev->next = look->next;
    else
        at->first = look->next;
    if (look->next)
        look->next->prev = look->prev;
    at->n--;
    look->by->n--;
    looks->n--;
    looked_free_unused(looks, at);
    free(look);
}

bool looks_drop(struct looks *looks, struct looker *by, struct cq_id subject)
{
    for (struct look **link = &by->first; *link; link = &(*link)->next_of_mine)
        if (id_eq((*link)->at->subject, subject)) {
            end(looks, link);
            return true;
        }
    return false;
}

void looks_expire(struct looks *looks, struct looker *by, int64_t now_ms)
{
    struct look **link = &by->first;

    while (*link)
        if ((*link)->until_ms <= now_ms)
            end(looks, link);
        else
            link = &(*link)->next_of_mine;
}

void looks_leave(struct looks *looks, struct looker *by)
{
    while (by->first)
        end(looks, &by->first);
}

struct looked *looks_at(const struct looks *looks, struct cq_id subject)
{
    return looked_at(looks, subject);
}
