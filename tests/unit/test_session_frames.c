/* SPDX-License-Identifier: MIT */
#include "schemas/codec.h"
#include "sinks/websocket/frames.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* One record with `n` entries whose frames have `frame_n` bytes. */
static struct push_record *record_of(size_t n, size_t frame_n)
{
    static uint8_t bytes[300 * 1024];
    struct ws_entry *entries = calloc(n, sizeof *entries);
    struct ws_push push = { entries, n };
    struct cq_arena *arena = arena_new(1 << 20);
    struct push_record *record = NULL;
    struct cq_buf out;

    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < n; i++)
        entries[i].frame = span_of(bytes, frame_n);
    if (codec_encode(&ws_push_codec, &push, &out) == CQ_OK &&
        push_decode(buf_span(&out), arena, &record, NULL) != CQ_OK)
        record = NULL;
    buf_release(&out);
    arena_free(arena);
    free(entries);
    return record;
}

static bool push_n(struct frames *frames, struct frame_pool *pool, struct push_record *record,
                   int n)
{
    for (int i = 0; i < n; i++) {
        struct frame *frame = frame_new(pool, record, 0, 1000 + i);

        if (!frame || frames_push(frames, frame) != CQ_OK)
            return false;
    }
    return true;
}

static void write_n(struct frames *frames, int n)
{
    uint64_t number;

    while (n-- && frames_peek(frames, &number))
        frames_wrote(frames);
}

TEST(frames_are_numbered_in_the_order_of_writing)
{
    struct frame_pool pool;
    struct frames frames = { 0 };
    struct push_record *record = record_of(1, 100);
    uint64_t n;

    CHECK(record);
    frame_pool_init(&pool, 100);
    CHECK(push_n(&frames, &pool, record, 3));
    CHECK(frames_peek(&frames, &n));
    CHECK_EQ(n, 1);
    write_n(&frames, 2);
    CHECK(frames_peek(&frames, &n));
    CHECK_EQ(n, 3);
    CHECK(!frames_ok(&frames, &pool, 3)); /* never written */
    CHECK(frames_ok(&frames, &pool, 2));
    CHECK_EQ(frames.n, 1);
    CHECK_EQ(frames.bytes, 100);
    CHECK(frames_ok(&frames, &pool, 1)); /* an old one says nothing new */
    CHECK_EQ(frames.n, 1);
    write_n(&frames, 1);
    CHECK(!frames_peek(&frames, &n));
    CHECK(frames_ok(&frames, &pool, 3));
    CHECK_EQ(frames.n, 0);
    CHECK_EQ(pool.used, 0);
    CHECK_EQ(record->refs, 1);
    push_unref(record);
    frame_pool_release(&pool);
}

TEST(frames_taken_leave_the_numbering_as_it_is)
{
    struct frame_pool pool;
    struct frames frames = { 0 };
    struct push_record *record = record_of(1, 10);
    struct frame *all;
    uint64_t n;
    int taken = 0;

    CHECK(record);
    frame_pool_init(&pool, 100);
    CHECK(push_n(&frames, &pool, record, 3));
    write_n(&frames, 2);
    all = frames_take(&frames);
    CHECK_EQ(frames_oldest_ms(&frames), INT64_MAX);
    while (all) {
        struct frame *next = all->next;

        frame_drop(&pool, all);
        all = next;
        taken++;
    }
    CHECK_EQ(taken, 3);
    CHECK(push_n(&frames, &pool, record, 1));
    CHECK(frames_peek(&frames, &n));
    CHECK_EQ(n, 3);
    CHECK(frames_ok(&frames, &pool, 2)); /* of frames that are gone */
    CHECK_EQ(frames.n, 1);
    write_n(&frames, 1);
    CHECK(frames_ok(&frames, &pool, 3));
    push_unref(record);
    frame_pool_release(&pool);
}

TEST(frames_of_one_socket_are_bounded)
{
    static const struct {
        const char *name;
        size_t frame_n;
        int fit;
    } rows[] = {
        { "many", 1, FRAMES_SOCKET_MAX },
        { "large", 64 * 1024, FRAMES_SOCKET_BYTES_MAX / (64 * 1024) },
        { "one larger than the bound", 290 * 1024, 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct frame_pool pool;
        struct frames frames = { 0 };
        struct push_record *record = record_of(1, rows[i].frame_n);
        struct frame *frame;

        CHECK(record);
        frame_pool_init(&pool, 2 * FRAMES_SOCKET_MAX);
        CHECK(push_n(&frames, &pool, record, rows[i].fit));
        frame = frame_new(&pool, record, 0, 0);
        CHECK(frame);
        CHECK_EQ_ROW(rows[i].name, frames_push(&frames, frame), CQ_AGAIN);
        frame_drop(&pool, frame);
        write_n(&frames, rows[i].fit);
        CHECK(frames_ok(&frames, &pool, (uint64_t)rows[i].fit));
        CHECK_EQ_ROW(rows[i].name, record->refs, 1);
        push_unref(record);
        frame_pool_release(&pool);
    }
}

TEST(frame_pool_stops_at_its_maximum)
{
    struct frame_pool pool;
    struct push_record *record = record_of(1, 1);
    struct frame *one, *two;

    CHECK(record);
    frame_pool_init(&pool, 1);
    one = frame_new(&pool, record, 0, 0);
    two = frame_new(&pool, record, 0, 0);
    CHECK(one);
    CHECK(!two);
    CHECK_EQ(record->refs, 2);
    frame_drop(&pool, one);
    push_unref(record);
    frame_pool_release(&pool);
}

TEST(push_record_closes_its_window_at_the_last_reference)
{
    struct push_record *record = record_of(2, 5);
    struct window window;
    size_t held;

    CHECK(record);
    held = record->bytes;
    window_init(&window, 8);
    CHECK_EQ(window_add(&window, 7, &record->ticket), CQ_OK);
    record->window = &window;
    record->held_bytes = &held;
    push_ref(record);
    push_unref(record);
    CHECK_EQ(window_position(&window), 7);
    push_unref(record);
    CHECK_EQ(window_position(&window), 8);
    CHECK_EQ(held, 0);
    window_release(&window);
}

TEST(push_decode_refuses_what_is_no_ws_push)
{
    struct cq_arena *arena = arena_new(1 << 20);
    struct push_record *record;
    const char *why = NULL;

    CHECK_EQ(push_decode(span_str("\0\x40garbage"), arena, &record, &why), CQ_POISON);
    CHECK(why);
    arena_free(arena);
}
