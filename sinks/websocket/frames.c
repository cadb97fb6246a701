/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/frames.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { CHUNK_FRAMES = 512 };

struct frame_chunk {
    struct frame_chunk *next;
    struct frame frames[CHUNK_FRAMES];
};

void frame_pool_init(struct frame_pool *p, size_t max)
{
    *p = (struct frame_pool){ .max = max };
}

void frame_pool_release(struct frame_pool *p)
{
    while (p->chunks) {
        struct frame_chunk *c = p->chunks;

        p->chunks = c->next;
        free(c);
    }
    *p = (struct frame_pool){ 0 };
}

static bool add_chunk(struct frame_pool *p)
{
    struct frame_chunk *c = malloc(sizeof *c);

    if (!c)
        return false;
    c->next = p->chunks;
    p->chunks = c;
    for (size_t i = 0; i < CHUNK_FRAMES; i++) {
        c->frames[i].next = p->free;
        p->free = &c->frames[i];
    }
    return true;
}

struct frame *frame_new(struct frame_pool *p, struct push_record *record, uint32_t entry,
                        int64_t now_ms)
{
    struct frame *f;

    if (p->used == p->max || (!p->free && !add_chunk(p)))
        return NULL;
    f = p->free;
    p->free = f->next;
    p->used++;
    *f = (struct frame){ .record = record, .entry = entry, .at_ms = now_ms };
    push_ref(record);
    return f;
}

void frame_free(struct frame_pool *p, struct frame *f)
{
    CQ_ASSERT(p->used > 0);
    f->next = p->free;
    p->free = f;
    p->used--;
}

void frame_drop(struct frame_pool *p, struct frame *f)
{
    push_unref(f->record);
    frame_free(p, f);
}

static uint32_t bytes_of(const struct frame *f)
{
    return (uint32_t)f->record->entries[f->entry].frame.n;
}

enum cq_status frames_push(struct frames *q, struct frame *f)
{
    /* One frame always fits: a large one must not make a socket useless. */
    if (q->n == FRAMES_SOCKET_MAX || (q->n && q->bytes + bytes_of(f) > FRAMES_SOCKET_BYTES_MAX))
        return CQ_AGAIN;
    f->next = NULL;
    if (q->tail)
        q->tail->next = f;
    else
        q->head = f;
    q->tail = f;
    if (!q->unwritten)
        q->unwritten = f;
    q->n++;
    q->bytes += bytes_of(f);
    return CQ_OK;
}

const struct frame *frames_peek(const struct frames *q, uint64_t *ret_n)
{
    *ret_n = q->last + 1;
    return q->unwritten;
}

void frames_wrote(struct frames *q)
{
    CQ_ASSERT(q->unwritten != NULL && q->written_n < q->n, q->written_n, q->n);
    q->unwritten = q->unwritten->next;
    q->written_n++;
    q->last++;
}

bool frames_ok(struct frames *q, struct frame_pool *p, uint64_t n)
{
    if (n > q->last)
        return false;
    while (q->written_n && q->last - q->written_n + 1 <= n) {
        struct frame *f = q->head;

        CQ_ASSERT(f != q->unwritten && q->n >= q->written_n && q->bytes >= bytes_of(f), q->n,
                  q->written_n, q->bytes);
        q->head = f->next;
        q->n--;
        q->written_n--;
        q->bytes -= bytes_of(f);
        frame_drop(p, f);
    }
    if (!q->head)
        q->tail = NULL;
    return true;
}

struct frame *frames_take(struct frames *q)
{
    struct frame *all = q->head;

    *q = (struct frames){ .last = q->last };
    return all;
}

int64_t frames_oldest_ms(const struct frames *q)
{
    return q->head ? q->head->at_ms : INT64_MAX;
}
