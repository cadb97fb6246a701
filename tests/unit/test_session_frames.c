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
    struct cq_arena *a = arena_new(1 << 20);
    struct push_record *r = NULL;
    struct cq_buf out;

    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < n; i++)
        entries[i].frame = span_of(bytes, frame_n);
    if (codec_encode(&ws_push_codec, &push, &out) == CQ_OK &&
        push_decode(buf_span(&out), a, &r, NULL) != CQ_OK)
        r = NULL;
    buf_release(&out);
    arena_free(a);
    free(entries);
    return r;
}

static bool push_n(struct frames *q, struct frame_pool *p, struct push_record *r, int n)
{
    for (int i = 0; i < n; i++) {
        struct frame *f = frame_new(p, r, 0, 1000 + i);

        if (!f || frames_push(q, f) != CQ_OK)
            return false;
    }
    return true;
}

static void write_n(struct frames *q, int n)
{
    uint64_t number;

    while (n-- && frames_peek(q, &number))
        frames_wrote(q);
}

TEST(frames_are_numbered_in_the_order_of_writing)
{
    struct frame_pool p;
    struct frames q = { 0 };
    struct push_record *r = record_of(1, 100);
    uint64_t n;

    CHECK(r);
    frame_pool_init(&p, 100);
    CHECK(push_n(&q, &p, r, 3));
    CHECK(frames_peek(&q, &n));
    CHECK_EQ(n, 1);
    write_n(&q, 2);
    CHECK(frames_peek(&q, &n));
    CHECK_EQ(n, 3);
    CHECK(!frames_ok(&q, &p, 3)); /* never written */
    CHECK(frames_ok(&q, &p, 2));
    CHECK_EQ(q.n, 1);
    CHECK_EQ(q.bytes, 100);
    CHECK(frames_ok(&q, &p, 1)); /* an old one says nothing new */
    CHECK_EQ(q.n, 1);
    write_n(&q, 1);
    CHECK(!frames_peek(&q, &n));
    CHECK(frames_ok(&q, &p, 3));
    CHECK_EQ(q.n, 0);
    CHECK_EQ(p.used, 0);
    CHECK_EQ(r->refs, 1);
    push_unref(r);
    frame_pool_release(&p);
}

TEST(frames_taken_leave_the_numbering_as_it_is)
{
    struct frame_pool p;
    struct frames q = { 0 };
    struct push_record *r = record_of(1, 10);
    struct frame *all;
    uint64_t n;
    int taken = 0;

    CHECK(r);
    frame_pool_init(&p, 100);
    CHECK(push_n(&q, &p, r, 3));
    write_n(&q, 2);
    all = frames_take(&q);
    CHECK_EQ(frames_oldest_ms(&q), INT64_MAX);
    while (all) {
        struct frame *next = all->next;

        frame_drop(&p, all);
        all = next;
        taken++;
    }
    CHECK_EQ(taken, 3);
    CHECK(push_n(&q, &p, r, 1));
    CHECK(frames_peek(&q, &n));
    CHECK_EQ(n, 3);
    CHECK(frames_ok(&q, &p, 2)); /* of frames that are gone */
    CHECK_EQ(q.n, 1);
    write_n(&q, 1);
    CHECK(frames_ok(&q, &p, 3));
    push_unref(r);
    frame_pool_release(&p);
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
        struct frame_pool p;
        struct frames q = { 0 };
        struct push_record *r = record_of(1, rows[i].frame_n);
        struct frame *f;

        CHECK(r);
        frame_pool_init(&p, 2 * FRAMES_SOCKET_MAX);
        CHECK(push_n(&q, &p, r, rows[i].fit));
        f = frame_new(&p, r, 0, 0);
        CHECK(f);
        CHECK_EQ_ROW(rows[i].name, frames_push(&q, f), CQ_AGAIN);
        frame_drop(&p, f);
        write_n(&q, rows[i].fit);
        CHECK(frames_ok(&q, &p, (uint64_t)rows[i].fit));
        CHECK_EQ_ROW(rows[i].name, r->refs, 1);
        push_unref(r);
        frame_pool_release(&p);
    }
}

TEST(frame_pool_stops_at_its_maximum)
{
    struct frame_pool p;
    struct push_record *r = record_of(1, 1);
    struct frame *one, *two;

    CHECK(r);
    frame_pool_init(&p, 1);
    one = frame_new(&p, r, 0, 0);
    two = frame_new(&p, r, 0, 0);
    CHECK(one);
    CHECK(!two);
    CHECK_EQ(r->refs, 2);
    frame_drop(&p, one);
    push_unref(r);
    frame_pool_release(&p);
}

TEST(push_record_closes_its_window_at_the_last_reference)
{
    struct push_record *r = record_of(2, 5);
    struct window w;
    size_t held;

    CHECK(r);
    held = r->bytes;
    window_init(&w, 8);
    CHECK_EQ(window_add(&w, 7, &r->ticket), CQ_OK);
    r->window = &w;
    r->held_bytes = &held;
    push_ref(r);
    push_unref(r);
    CHECK_EQ(window_position(&w), 7);
    push_unref(r);
    CHECK_EQ(window_position(&w), 8);
    CHECK_EQ(held, 0);
    window_release(&w);
}

TEST(push_decode_refuses_what_is_no_ws_push)
{
    struct cq_arena *a = arena_new(1 << 20);
    struct push_record *r;
    const char *why = NULL;

    CHECK_EQ(push_decode(span_str("\0\x40garbage"), a, &r, &why), CQ_POISON);
    CHECK(why);
    arena_free(a);
}
