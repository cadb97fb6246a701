/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/frames.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { CHUNK_FRAMES = 512 };

struct frame_chunk {
    struct frame_chunk *next;
    struct frame frames[CHUNK_FRAMES];
};

void frame_pool_init(struct frame_pool *pool, size_t max)
{
    *pool = (struct frame_pool){ .max = max };
}

void frame_pool_release(struct frame_pool *pool)
{
    while (pool->chunks) {
        struct frame_chunk *chunk = pool->chunks;

        pool->chunks = chunk->next;
        free(chunk);
    }
    *pool = (struct frame_pool){ 0 };
}

static bool add_chunk(struct frame_pool *pool)
{
    struct frame_chunk *chunk = malloc(sizeof *chunk);

    if (!chunk)
        return false;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    for (size_t i = 0; i < CHUNK_FRAMES; i++) {
        chunk->frames[i].next = pool->free;
        pool->free = &chunk->frames[i];
    }
    return true;
}

struct frame *frame_new(struct frame_pool *pool, struct push_record *record, uint32_t entry,
                        int64_t now_ms)
{
    struct frame *frame;

    if (pool->used == pool->max || (!pool->free && !add_chunk(pool)))
        return NULL;
    frame = pool->free;
    pool->free = frame->next;
    pool->used++;
    *frame = (struct frame){ .record = record, .entry = entry, .at_ms = now_ms };
    push_ref(record);
    return frame;
}

void frame_free(struct frame_pool *pool, struct frame *frame)
{
    CQ_ASSERT(pool->used > 0);
    frame->next = pool->free;
    pool->free = frame;
    pool->used--;
}

void frame_drop(struct frame_pool *pool, struct frame *frame)
{
    push_unref(frame->record);
    frame_free(pool, frame);
}

static uint32_t bytes_of(const struct frame *frame)
{
    return (uint32_t)frame->record->entries[frame->entry].frame.n;
}

enum cq_status frames_push(struct frames *frames, struct frame *frame)
{
    /* One frame always fits: a large one must not make a socket useless. */
    if (frames->n == FRAMES_SOCKET_MAX ||
        (frames->n && frames->bytes + bytes_of(frame) > FRAMES_SOCKET_BYTES_MAX))
        return CQ_AGAIN;
    frame->next = NULL;
    if (frames->tail)
        frames->tail->next = frame;
    else
        frames->head = frame;
    frames->tail = frame;
    if (!frames->unwritten)
        frames->unwritten = frame;
    frames->n++;
    frames->bytes += bytes_of(frame);
    return CQ_OK;
}

const struct frame *frames_peek(const struct frames *frames, uint64_t *ret_n)
{
    *ret_n = frames->last + 1;
    return frames->unwritten;
}

void frames_wrote(struct frames *frames)
{
    CQ_ASSERT(frames->unwritten != NULL && frames->written_n < frames->n, frames->written_n,
              frames->n);
    frames->unwritten = frames->unwritten->next;
    frames->written_n++;
    frames->last++;
}

bool frames_ok(struct frames *frames, struct frame_pool *pool, uint64_t n)
{
    if (n > frames->last)
        return false;
    while (frames->written_n && frames->last - frames->written_n + 1 <= n) {
        struct frame *frame = frames->head;

        CQ_ASSERT(frame != frames->unwritten && frames->n >= frames->written_n &&
                      frames->bytes >= bytes_of(frame),
                  frames->n, frames->written_n, frames->bytes);
        frames->head = frame->next;
        frames->n--;
        frames->written_n--;
        frames->bytes -= bytes_of(frame);
        frame_drop(pool, frame);
    }
    if (!frames->head)
        frames->tail = NULL;
    return true;
}

struct frame *frames_take(struct frames *frames)
{
    struct frame *all = frames->head;

    *frames = (struct frames){ .last = frames->last };
    return all;
}

int64_t frames_oldest_ms(const struct frames *frames)
{
    return frames->head ? frames->head->at_ms : INT64_MAX;
}
