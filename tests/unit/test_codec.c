/* SPDX-License-Identifier: MIT */
#include "lib/base/id.h"
#include "schemas/codec.h"
#include "schemas/records.gen.h"
#include "tests/oracle/records.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1024 * 1024 };

#define ID(c) ((struct cq_id){ { (c), (c), 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, (c) } })

static void put_long(struct cq_buf *buf, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    for (; z >= 0x80; z >>= 7)
        buf_add_byte(buf, (uint8_t)(z | 0x80));
    buf_add_byte(buf, (uint8_t)z);
}

static void put_framing(struct cq_buf *buf, const struct codec_record *codec)
{
    uint32_t id = codec_schema_id(codec);
    const uint8_t head[] = { 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                             (uint8_t)id };

    buf_add(buf, head, sizeof head);
}

static struct chat_event sample(void)
{
    return (struct chat_event){
        .event_id = ID(1),
        .chat_id = ID(2),
        .seq = ((int64_t)1 << 48) + 77,
        .at_ms = 1764000000000,
        .source = { .generation = 1, .partition = 5, .offset = 77 },
        .user_id = ID(3),
        .device_id = ID(4),
        .client_id = span_str("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"),
        .event = { .kind = CHAT_EVENT_MESSAGE_ACCEPTED,
                   .u.message_accepted = { .id = ID(6),
                                           .has_peer = true,
                                           .peer = ID(7),
                                           .type = MESSAGE_TYPE_TEXT,
                                           .content_type = span_str("text/plain"),
                                           .content = span_str("¿Qué tal?") } },
    };
}

TEST(framing_and_values)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event event = sample(), back;
    const struct message_accepted *accepted = &back.event.u.message_accepted;

    memset(&back, 0xff, sizeof back);
    buf_init(&buf, MIB);
    buf_add_str(&buf, "before");
    CHECK_EQ(codec_encode(&chat_event_codec, &event, &buf), CQ_OK);
    CHECK(memcmp(buf.p, "before", 6) == 0);
    CHECK_EQ(buf.p[6], 0);
    CHECK_EQ((uint32_t)buf.p[7] << 24 | (uint32_t)buf.p[8] << 16 | (uint32_t)buf.p[9] << 8 |
                 buf.p[10],
             codec_schema_id(&chat_event_codec));
    CHECK_EQ(codec_schema_id(&chat_event_codec) >> 30, 1);
    CHECK_EQ(codec_decode(&chat_event_codec, span_of(buf.p + 6, buf.n - 6), arena, &back, NULL),
             CQ_OK);
    CHECK_EQ(back.seq, event.seq);
    CHECK_EQ(back.source.offset, 77);
    CHECK_EQ(back.event.kind, CHAT_EVENT_MESSAGE_ACCEPTED);
    CHECK(id_eq(back.device_id, ID(4)) && id_eq(accepted->peer, ID(7)) && accepted->has_peer);
    CHECK(!accepted->has_key_id && accepted->key_id.n == 0); /* what is absent is zero */
    CHECK_SPAN(accepted->content, "¿Qué tal?");
    CHECK(accepted->content.p > buf.p &&
          accepted->content.p < buf.p + buf.n); /* borrowed, not copied */
}

TEST(a_nested_record_stands_alone)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct user_action action = { .user_id = ID(1),
                                  .action = { .kind = USER_ACTION_SESSION_CLOSED,
                                              .u.session_closed.session_id = ID(9) } };
    struct user_inbox whole = { .body = { .kind = USER_INBOX_USER_ACTION,
                                          .u.user_action = action } };
    struct user_inbox back;
    struct user_action alone;

    buf_init(&buf, MIB);
    CHECK_EQ(codec_encode(&user_inbox_codec, &whole, &buf), CQ_OK);
    CHECK_EQ(codec_decode(&user_inbox_codec, buf_span(&buf), arena, &back, NULL), CQ_OK);
    CHECK_EQ(back.body.u.user_action.action.kind, USER_ACTION_SESSION_CLOSED);
    buf_clear(&buf);
    CHECK_EQ(codec_encode(&user_action_codec, &action, &buf), CQ_OK);
    CHECK_EQ(codec_decode(&user_action_codec, buf_span(&buf), arena, &alone, NULL), CQ_OK);
    CHECK(id_eq(alone.action.u.session_closed.session_id, ID(9)));
}

TEST(encode_refuses_what_no_reader_could_take)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event event = sample();
    static uint8_t big[400];

    buf_init(&buf, 512);
    buf_add_str(&buf, "kept");
    event.event.u.message_accepted.type = MESSAGE_TYPE_N;
    CHECK_EQ(codec_encode(&chat_event_codec, &event, &buf), CQ_POISON);
    event = sample();
    event.client_id = span_str("\xc3(");
    CHECK_EQ(codec_encode(&chat_event_codec, &event, &buf), CQ_POISON);
    event = sample();
    event.event.u.message_accepted.content = span_of(big, sizeof big);
    CHECK_EQ(codec_encode(&chat_event_codec, &event, &buf), CQ_POISON);
    CHECK_SPAN(buf, "kept");
    event = sample();
    CHECK_EQ(codec_encode(&chat_event_codec, &event, &buf), CQ_OK); /* still usable */
}

TEST(nothing_is_written_that_says_nothing)
{
    int ended = 0;
    pid_t child = fork();

    if (child == 0) {
        cq_auto(buf) struct cq_buf buf = { 0 };
        struct chat_event event = sample();

        buf_init(&buf, 512);
        event.event.kind = CHAT_EVENT_EVENT_KIND_N;
        _exit(codec_encode(&chat_event_codec, &event, &buf));
    }
    CHECK(child > 0 && waitpid(child, &ended, 0) == child);
    CHECK(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGABRT);
}

/* mobile.push with an array written in the given blocks: count per block, negative with its byte
 * size. */
static void put_push(struct cq_buf *buf, const int *blocks, int blocks_n, int size_error)
{
    struct mobile_push push = { .user_id = ID(1), .frame = span_str("f") };
    uint8_t device = 0;

    if (codec_encode(&mobile_push_codec, &push, buf) != CQ_OK)
        return;
    buf->n -= 9; /* the empty array, and eight empty fields behind it */
    for (int i = 0; i < blocks_n; i++) {
        int n = blocks[i] < 0 ? -blocks[i] : blocks[i];

        put_long(buf, blocks[i]);
        if (blocks[i] < 0)
            put_long(buf, 16 * n + size_error);
        for (int target = 0; target < n; target++, device++)
            buf_add(buf, ID(device).b, 16);
    }
    for (int i = 0; i < 9; i++)
        put_long(buf, 0);
}

TEST(arrays_in_any_blocks)
{
    static const struct {
        const char *name;
        int blocks[4], blocks_n, size_error;
        enum cq_status want;
        size_t want_n;
    } rows[] = {
        { "none", { 0 }, 0, 0, CQ_OK, 0 },
        { "one", { 3 }, 1, 0, CQ_OK, 3 },
        { "sized", { -3 }, 1, 0, CQ_OK, 3 },
        { "several", { 1, -2, 5, 1 }, 4, 0, CQ_OK, 9 },
        { "wrong size", { -3, 1 }, 2, -16, CQ_POISON, 0 },
        { "size beyond the end", { -3 }, 1, 1000, CQ_POISON, 0 },
        { "negative size", { -3 }, 1, -1000, CQ_POISON, 0 },
    };
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cq_auto(buf) struct cq_buf buf = { 0 };
        struct mobile_push push;

        buf_init(&buf, MIB);
        put_push(&buf, rows[i].blocks, rows[i].blocks_n, rows[i].size_error);
        CHECK_EQ_ROW(rows[i].name,
                     codec_decode(&mobile_push_codec, buf_span(&buf), arena, &push, NULL),
                     rows[i].want);
        if (rows[i].want != CQ_OK)
            continue;
        CHECK_EQ_ROW(rows[i].name, push.devices_n, rows[i].want_n);
        for (size_t byte = 0; byte < push.devices_n; byte++)
            CHECK(id_eq(push.devices[byte], ID((uint8_t)byte)));
    }
}

TEST(a_full_arena_is_not_poison)
{
    cq_auto(arena) struct cq_arena *small = arena_new(64);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct mobile_push push;

    buf_init(&buf, MIB);
    put_push(&buf, (const int[]){ 5 }, 1, 0);
    CHECK_EQ(codec_decode(&mobile_push_codec, buf_span(&buf), small, &push, NULL), CQ_AGAIN);
}

/* ---- hostile bytes
 * -------------------------------------------------------------------------------- */

static const char *decode_hostile(const struct codec_record *codec, const void *body, size_t n)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    const char *why = "decoded";
    void *rec = arena_alloc(arena, codec->size);

    buf_init(&buf, MIB);
    put_framing(&buf, codec);
    buf_add(&buf, body, n);
    if (codec_decode(codec, buf_span(&buf), arena, rec, &why) == CQ_AGAIN)
        return "again";
    return why;
}

/* The fields of a UserAction: ids, time, userSignedUp with an empty name, the 15 others null. */
#define ZEROS_8 0, 0, 0, 0, 0, 0, 0, 0
#define ZEROS_32 ZEROS_8, ZEROS_8, ZEROS_8, ZEROS_8
#define FACT ZEROS_32, 0, 2, 0, ZEROS_8, 0, 0, 0, 0, 0, 0, 0, 0

/* Killers of avro-c 1.11.1: each made it allocate, loop or read past an end. */
TEST(hostile_counts_and_lengths)
{
#define B(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
    const struct {
        const char *name;
        const struct codec_record *codec;
        const uint8_t *body;
        size_t n;
        const char *want;
    } rows[] = {
        { "string of 1 GiB in 5 bytes", &chat_renamed_codec, B(0x80, 0x80, 0x80, 0x80, 0x08),
          "length beyond the end" },
        { "string of -1", &chat_renamed_codec, B(0x01), "length beyond the end" },
        { "string of INT64_MIN", &chat_renamed_codec,
          B(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "length beyond the end" },
        { "string one too long", &chat_renamed_codec, B(0x04, 'a'), "length beyond the end" },
        { "array of INT64_MIN", &receipts_advanced_codec,
          B(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00), "array too long" },
        { "array of INT64_MAX", &receipts_advanced_codec,
          B(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "array too long" },
        { "array of 3,000,000", &receipts_advanced_codec, B(0x80, 0x9c, 0xee, 0x02, 0x00),
          "array too long" },
        { "array with fewer bytes than items", &receipts_advanced_codec, B(0x04, 0x00),
          "array too long" },
        { "block of INT64_MIN bytes", &receipts_advanced_codec,
          B(0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
          "block beyond the end" },
        { "enum 99", &message_sent_codec, B(0xc6, 0x01, 0, 0, 0), "enum out of range" },
        { "enum -5", &message_sent_codec, B(0x09, 0, 0, 0), "enum out of range" },
        { "enum one too far", &message_sent_codec, B(0x0c, 0, 0, 0, 0), "enum out of range" },
        { "enum UNKNOWN", &message_sent_codec, B(0, 0, 0, 0, 0), "unknown enum symbol" },
        { "last enum", &message_sent_codec, B(0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "decoded" },
        { "nullable 2", &message_sent_codec, B(2, 0, 0, 4), "union index out of range" },
        { "nullable -1", &message_sent_codec, B(2, 0, 0, 1), "union index out of range" },
        { "no fact", &user_inbox_codec, B(0, 0), "no fact" },
        { "no fact inside", &user_inbox_codec, B(2, ZEROS_32, 0, ZEROS_8, ZEROS_8, 0), "no fact" },
        { "the first fact", &user_inbox_codec, B(2, FACT, 0), "decoded" },
        { "the last fact", &user_inbox_codec, B(0, 2, 2, 2, 0), "decoded" },
        { "the second of two facts", &user_inbox_codec, B(2, FACT, 2), "more than one fact" },
        { "two facts", &user_inbox_codec, B(2, FACT, 2, 2, 2, 0), "more than one fact" },
        { "one of 2", &user_inbox_codec, B(0x04), "union index out of range" },
        { "one of -1", &user_inbox_codec, B(0x01), "union index out of range" },
        { "int of 33 bits", &source_codec, B(0x80, 0x80, 0x80, 0x80, 0x10, 0, 0),
          "int out of range" },
        { "number of 11 bytes", &source_codec,
          B(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00), "number too long" },
        { "number of 65 bits", &source_codec,
          B(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02), "number too long" },
        { "string not UTF-8", &chat_renamed_codec, B(0x04, 0xc0, 0xaf), "string is not UTF-8" },
        { "bytes after the end", &chat_renamed_codec, B(0x00, 0x00), "bytes after the end" },
        { "nothing", &chat_renamed_codec, (const uint8_t *)"", 0, "cut short" },
        { "sound", &chat_renamed_codec, B(0x02, 'x'), "decoded" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *why = decode_hostile(rows[i].codec, rows[i].body, rows[i].n);

        if (strcmp(why, rows[i].want) != 0)
            fprintf(stderr, "row: %s\n", rows[i].name);
        CHECK_STR(why, rows[i].want);
    }
}

TEST(framing_is_checked)
{
    struct chat_renamed renamed;
    const char *why = NULL;
    const uint8_t magic[] = { 1, 0, 0, 0, 0, 0 }, unknown[] = { 0, 0x12, 0x34, 0x56, 0x78, 0 };

    CHECK_EQ(codec_decode(&chat_renamed_codec, span_of("", 0), NULL, &renamed, &why), CQ_POISON);
    CHECK_STR(why, "no framing");
    CHECK_EQ(codec_decode(&chat_renamed_codec, span_of(magic, 6), NULL, &renamed, &why), CQ_POISON);
    CHECK_STR(why, "no framing");
    CHECK_EQ(codec_decode(&chat_renamed_codec, span_of(unknown, 6), NULL, &renamed, &why),
             CQ_POISON);
    CHECK_STR(why, "unknown schema id");
}

/* Decode from memory of exactly that size, so that the address sanitizer sees one byte too many.
 * What still decodes must encode to something that decodes to the same. */
static void decode_exact(const struct codec_record *codec, struct cq_span in,
                         struct cq_arena *arena, enum cq_status *ret)
{
    cq_auto(buf) struct cq_buf again = { 0 };
    uint8_t *copy = malloc(in.n ? in.n : 1);
    void *rec, *back;

    arena_reset(arena);
    buf_init(&again, 2 * MIB);
    memcpy(copy, in.p, in.n);
    rec = arena_alloc(arena, codec->size);
    back = arena_alloc(arena, codec->size);
    *ret = codec_decode(codec, span_of(copy, in.n), arena, rec, NULL);
    if (*ret == CQ_OK && (codec_encode(codec, rec, &again) != CQ_OK ||
                          codec_decode(codec, buf_span(&again), arena, back, NULL) != CQ_OK ||
                          !record_equal(codec, rec, back)))
        *ret = CQ_FATAL;
    free(copy);
}

TEST(cut_at_every_length)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(16 * MIB);
    cq_auto(arena) struct cq_arena *scratch = arena_new(16 * MIB);

    for (size_t i = 0; codec_records[i]; i++)
        for (uint64_t seed = 0; seed < 12; seed++) {
            cq_auto(buf) struct cq_buf buf = { 0 };
            struct rng rng = { seed };
            enum cq_status st;

            buf_init(&buf, MIB);
            arena_reset(arena);
            CHECK_EQ(
                codec_encode(codec_records[i], record_random(codec_records[i], &rng, arena), &buf),
                CQ_OK);
            for (size_t n = 0; n <= buf.n; n++) {
                decode_exact(codec_records[i], span_of(buf.p, n), scratch, &st);
                CHECK_EQ_ROW(codec_name(codec_records[i]), st, n < buf.n ? CQ_POISON : CQ_OK);
            }
        }
}

TEST(flipped_bytes)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(16 * MIB);
    cq_auto(arena) struct cq_arena *scratch = arena_new(16 * MIB);
    size_t refused = 0, taken = 0;

    for (size_t i = 0; codec_records[i]; i++)
        for (uint64_t seed = 0; seed < 4000; seed++) {
            cq_auto(buf) struct cq_buf buf = { 0 };
            struct rng rng = { seed };
            enum cq_status st;

            buf_init(&buf, MIB);
            arena_reset(arena);
            CHECK_EQ(
                codec_encode(codec_records[i], record_random(codec_records[i], &rng, arena), &buf),
                CQ_OK);
            for (uint64_t flips = rng_below(&rng, 4) + 1; flips; flips--)
                buf.p[CODEC_FRAMING + rng_below(&rng, buf.n - CODEC_FRAMING)] ^=
                    (uint8_t)(1 + rng_below(&rng, 255));
            decode_exact(codec_records[i], buf_span(&buf), scratch, &st);
            CHECK(st == CQ_OK || st == CQ_POISON);
            refused += st == CQ_POISON;
            taken += st == CQ_OK;
        }
    CHECK(refused > 0 && taken > 0); /* or the flips did not test anything */
}
