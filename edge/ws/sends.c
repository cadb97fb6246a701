/* SPDX-License-Identifier: MIT */
#include "edge/ws/sends.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { FIRST_CAP = 256, GENERATION_MASK = (1 << 29) - 1 };

void sends_init(struct sends *s, sends_answer_fn *answer, void *arg)
{
    *s = (struct sends){ .answer = answer, .arg = arg };
}

void sends_release(struct sends *s)
{
    free(s->all);
    *s = (struct sends){ 0 };
}

static bool grow(struct sends *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : FIRST_CAP;
    struct send *all = cap <= SENDS_MAX ? realloc(s->all, cap * sizeof *all) : NULL;

    if (!all)
        return false;
    s->all = all;
    for (uint32_t i = cap; i > s->cap; i--) {
        all[i - 1] = (struct send){ .next = s->free };
        s->free = i;
    }
    s->cap = cap;
    return true;
}

/* Take the entry out of the list of all and free it; its sender's list is the caller's business. */
static void drop(struct sends *s, struct send *e)
{
    uint32_t me = (uint32_t)(e - s->all) + 1;

    CQ_ASSERT(e->sender && s->n > 0 && me <= s->cap, me, s->n, s->cap);
    if (e->prev)
        s->all[e->prev - 1].next = e->next;
    else
        s->head = e->next;
    if (e->next)
        s->all[e->next - 1].prev = e->prev;
    else
        s->tail = e->prev;
    e->sender = NULL;
    e->generation = (e->generation + 1) & GENERATION_MASK;
    e->next = s->free;
    s->free = me;
    s->n--;
}

static void remove_from_sender(struct sends *s, struct send *e)
{
    uint32_t me = (uint32_t)(e - s->all) + 1, *at = &e->sender->head, before = 0;

    while (*at != me) {
        CQ_ASSERT(*at, me, e->sender->n); /* it is in the list of its sender */
        before = *at;
        at = &s->all[*at - 1].sender_next;
    }
    *at = e->sender_next;
    if (e->sender->tail == me)
        e->sender->tail = before;
    e->sender->n--;
}

static bool was_refused(const struct sender *sender, struct cq_id id)
{
    for (uint32_t i = 0; i < sender->refused_n; i++)
        if (id_eq(sender->refused[i], id))
            return true;
    return false;
}

/* When it is full it begins anew. A client that sends everything again begins with the oldest, and
 * finds that one in it. */
static void note_refused(struct sender *sender, struct cq_id id)
{
    if (!sender->refused)
        sender->refused = malloc(SENDS_REFUSED_MAX * sizeof *sender->refused);
    if (!sender->refused || was_refused(sender, id))
        return;
    if (sender->refused_n == SENDS_REFUSED_MAX)
        sender->refused_n = 0;
    sender->refused[sender->refused_n++] = id;
}

enum sends_verdict sends_admit(struct sends *s, struct sender *sender, struct cq_id id)
{
    /* Without memory for the refused ids the order cannot be kept: then the message is admitted,
     * rather than the socket refused for ever. */
    if (sender->shut && sender->refused && !was_refused(sender, id)) {
        note_refused(sender, id);
        return SENDS_SHUT;
    }
    if (sender->n == SENDS_SOCKET_MAX || (!s->free && !grow(s))) {
        sends_shut(sender, id);
        return SENDS_FULL;
    }
    sender->shut = false;
    return SENDS_ADMITTED;
}

void sends_shut(struct sender *sender, struct cq_id id)
{
    sender->shut = true;
    sender->refused_n = 0; /* those nacked before may be on their way here again */
    note_refused(sender, id);
}

uint64_t sends_add(struct sends *s, struct sender *sender, struct cq_id id,
                   struct cq_span client_id, int64_t now_ms)
{
    uint32_t me = s->free;
    struct send *e = &s->all[me - 1];

    CQ_ASSERT(me && sender->n < SENDS_SOCKET_MAX, me, sender->n); /* sends_admit() said so */
    s->free = e->next;
    e->sender = sender;
    e->prev = s->tail;
    e->next = 0;
    e->sender_next = 0;
    e->at_ms = now_ms;
    e->id = id;
    e->client_id_n =
        (uint8_t)(client_id.n < LIMIT_CLIENT_ID_BYTES ? client_id.n : LIMIT_CLIENT_ID_BYTES);
    memcpy(e->client_id, client_id.p, e->client_id_n);
    if (s->tail)
        s->all[s->tail - 1].next = me;
    else
        s->head = me;
    s->tail = me;
    if (sender->tail)
        s->all[sender->tail - 1].sender_next = me;
    else
        sender->head = me;
    sender->tail = me;
    sender->n++;
    s->n++;
    return (uint64_t)e->generation << 32 | (me - 1);
}

static struct send *find(struct sends *s, uint64_t opaque)
{
    uint32_t index = (uint32_t)opaque;
    struct send *e = index < s->cap ? &s->all[index] : NULL;

    return e && e->sender && e->generation == opaque >> 32 ? e : NULL;
}

void sends_undo(struct sends *s, uint64_t opaque)
{
    struct send *e = find(s, opaque);

    if (!e)
        return;
    remove_from_sender(s, e);
    drop(s, e);
}

static void answer(struct sends *s, struct send *e, bool stored)
{
    struct send copy = *e;

    remove_from_sender(s, e);
    drop(s, e);
    s->answer(s->arg, copy.sender, stored, span_of(copy.client_id, copy.client_id_n), copy.id);
}

/* This one and what its socket sent after it. Those before it keep waiting for their own
 * verdict. */
static void fail_from(struct sends *s, struct send *e)
{
    struct sender *sender = e->sender;
    uint32_t at = (uint32_t)(e - s->all) + 1;

    sends_shut(sender, e->id);
    while (at) {
        uint32_t next = s->all[at - 1].sender_next;

        note_refused(sender, s->all[at - 1].id);
        answer(s, &s->all[at - 1], false);
        at = next;
    }
}

void sends_report(struct sends *s, uint64_t opaque, enum cq_status st)
{
    struct send *e = find(s, opaque);

    if (!e)
        return;
    if (st == CQ_OK)
        answer(s, e, true);
    else
        fail_from(s, e);
}

void sends_expire(struct sends *s, int64_t now_ms)
{
    while (s->head && now_ms - s->all[s->head - 1].at_ms > SENDS_WITHIN_MS)
        fail_from(s, &s->all[s->head - 1]);
}

void sends_fail_all(struct sends *s)
{
    while (s->head)
        fail_from(s, &s->all[s->head - 1]);
}

void sends_forget(struct sends *s, struct sender *sender)
{
    while (sender->head) {
        struct send *e = &s->all[sender->head - 1];

        sender->head = e->sender_next;
        drop(s, e);
    }
    free(sender->refused);
    *sender = (struct sender){ 0 };
}
