/* SPDX-License-Identifier: MIT */
#include "edge/ws/sends.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { FIRST_CAP = 256, GENERATION_MASK = (1 << 29) - 1 };

void sends_init(struct sends *sends, sends_answer_fn *answer, void *arg)
{
    *sends = (struct sends){ .answer = answer, .arg = arg };
}

void sends_release(struct sends *sends)
{
    free(sends->all);
    *sends = (struct sends){ 0 };
}

static bool grow(struct sends *sends)
{
    uint32_t cap = sends->cap ? sends->cap * 2 : FIRST_CAP;
    struct send *all = cap <= SENDS_MAX ? realloc(sends->all, cap * sizeof *all) : NULL;

    if (!all)
        return false;
    sends->all = all;
    for (uint32_t i = cap; i > sends->cap; i--) {
        all[i - 1] = (struct send){ .next = sends->free };
        sends->free = i;
    }
    sends->cap = cap;
    return true;
}

/* Take the entry out of the list of all and free it; its sender's list is the caller's business. */
static void drop(struct sends *sends, struct send *one)
{
    uint32_t me = (uint32_t)(one - sends->all) + 1;

    CQ_ASSERT(one->sender && sends->n > 0 && me <= sends->cap, me, sends->n, sends->cap);
    if (one->prev)
        sends->all[one->prev - 1].next = one->next;
    else
        sends->head = one->next;
    if (one->next)
        sends->all[one->next - 1].prev = one->prev;
    else
        sends->tail = one->prev;
    one->sender = NULL;
    one->generation = (one->generation + 1) & GENERATION_MASK;
    one->next = sends->free;
    sends->free = me;
    sends->n--;
}

static void remove_from_sender(struct sends *sends, struct send *one)
{
    uint32_t me = (uint32_t)(one - sends->all) + 1, *at = &one->sender->head, before = 0;

    while (*at != me) {
        CQ_ASSERT(*at, me, one->sender->n); /* it is in the list of its sender */
        before = *at;
        at = &sends->all[*at - 1].sender_next;
    }
    *at = one->sender_next;
    if (one->sender->tail == me)
        one->sender->tail = before;
    one->sender->n--;
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

enum sends_verdict sends_admit(struct sends *sends, struct sender *sender, struct cq_id id)
{
    /* Without memory for the refused ids the order cannot be kept: then the message is admitted,
     * rather than the socket refused for ever. */
    if (sender->shut && sender->refused && !was_refused(sender, id)) {
        note_refused(sender, id);
        return SENDS_SHUT;
    }
    if (sender->n == SENDS_SOCKET_MAX)
        return SENDS_FULL;
    if (!sends->free && !grow(sends))
        return SENDS_NO_ROOM;
    sender->shut = false;
    return SENDS_ADMITTED;
}

int64_t sends_wait_ms(const struct sender *sender, int64_t now_ms)
{
    return sender->shut_until_ms > now_ms ? sender->shut_until_ms - now_ms : 0;
}

void sends_shut(struct sender *sender, struct cq_id id, int64_t until_ms)
{
    sender->shut = true;
    sender->shut_until_ms = until_ms;
    sender->refused_n = 0; /* those nacked before may be on their way here again */
    note_refused(sender, id);
}

uint64_t sends_add(struct sends *sends, struct sender *sender, struct cq_id id,
                   struct cq_span client_id, int64_t now_ms)
{
    uint32_t me = sends->free;
    struct send *one = &sends->all[me - 1];

    CQ_ASSERT(me && sender->n < SENDS_SOCKET_MAX, me, sender->n); /* sends_admit() said so */
    sends->free = one->next;
    one->sender = sender;
    one->prev = sends->tail;
    one->next = 0;
    one->sender_next = 0;
    one->at_ms = now_ms;
    one->id = id;
    one->client_id_n =
        (uint8_t)(client_id.n < LIMIT_CLIENT_ID_BYTES ? client_id.n : LIMIT_CLIENT_ID_BYTES);
    memcpy(one->client_id, client_id.p, one->client_id_n);
    if (sends->tail)
        sends->all[sends->tail - 1].next = me;
    else
        sends->head = me;
    sends->tail = me;
    if (sender->tail)
        sends->all[sender->tail - 1].sender_next = me;
    else
        sender->head = me;
    sender->tail = me;
    sender->n++;
    sends->n++;
    return (uint64_t)one->generation << 32 | (me - 1);
}

static struct send *find(struct sends *sends, uint64_t opaque)
{
    uint32_t index = (uint32_t)opaque;
    struct send *one = index < sends->cap ? &sends->all[index] : NULL;

    return one && one->sender && one->generation == opaque >> 32 ? one : NULL;
}

void sends_undo(struct sends *sends, uint64_t opaque)
{
    struct send *one = find(sends, opaque);

    if (!one)
        return;
    remove_from_sender(sends, one);
    drop(sends, one);
}

static void answer(struct sends *sends, struct send *one, bool stored)
{
    struct send copy = *one;

    remove_from_sender(sends, one);
    drop(sends, one);
    sends->answer(sends->arg, copy.sender, stored, span_of(copy.client_id, copy.client_id_n),
                  copy.id);
}

/* This one and what its socket sent after it. Those before it keep waiting for their own
 * verdict. */
static void fail_from(struct sends *sends, struct send *one)
{
    struct sender *sender = one->sender;
    uint32_t at = (uint32_t)(one - sends->all) + 1;

    sends_shut(sender, one->id, 0);
    while (at) {
        uint32_t next = sends->all[at - 1].sender_next;

        note_refused(sender, sends->all[at - 1].id);
        answer(sends, &sends->all[at - 1], false);
        at = next;
    }
}

void sends_report(struct sends *sends, uint64_t opaque, enum cq_status st)
{
    struct send *one = find(sends, opaque);

    if (!one)
        return;
    if (st == CQ_OK)
        answer(sends, one, true);
    else
        fail_from(sends, one);
}

void sends_expire(struct sends *sends, int64_t now_ms)
{
    while (sends->head && now_ms - sends->all[sends->head - 1].at_ms > SENDS_WITHIN_MS)
        fail_from(sends, &sends->all[sends->head - 1]);
}

void sends_fail_all(struct sends *sends)
{
    while (sends->head)
        fail_from(sends, &sends->all[sends->head - 1]);
}

void sends_forget(struct sends *sends, struct sender *sender)
{
    while (sender->head) {
        struct send *one = &sends->all[sender->head - 1];

        sender->head = one->sender_next;
        drop(sends, one);
    }
    free(sender->refused);
    *sender = (struct sender){ 0 };
}
