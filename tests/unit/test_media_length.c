/* SPDX-License-Identifier: MIT */
#include "sinks/media/length.h"

#include "test.h"

#include <stdlib.h>

struct bytes {
    const uint8_t *p;
    size_t n;
};

static bool read_bytes(void *arg, int64_t at, void *to, size_t n)
{
    const struct bytes *bytes = arg;

    if (at < 0 || (uint64_t)at > bytes->n || n > bytes->n - (size_t)at)
        return false;
    memcpy(to, bytes->p + at, n);
    return true;
}

static struct length find(const char *type, const void *p, size_t n)
{
    struct bytes bytes = { p, n };
    struct length ret;

    length_find(&(struct length_source){ read_bytes, &bytes, (int64_t)n }, type, &ret);
    return ret;
}

/* Frames of 128 kbit/s at 44,100 Hz have 417 bytes and last 26 ms. */
TEST(mp3_by_its_bit_rate_and_by_its_frames)
{
    static uint8_t mp3[16000 + 10];
    static const uint8_t head[] = { 0xff, 0xfb, 0x90, 0x00 };

    memcpy(mp3, "ID3\4\0\0\0\0\0\0", 10);
    memcpy(mp3 + 10, head, 4);
    CHECK_EQ(find("audio/mpeg", mp3, sizeof mp3).duration_ms, 1000);
    memcpy(mp3 + 10 + 36, "Info\0\0\0\1\0\0\0\x64", 12); /* a hundred frames */
    CHECK_EQ(find("audio/mpeg", mp3, sizeof mp3).duration_ms, 2612);
    CHECK_EQ(find("audio/mpeg", mp3, 12).duration_ms, 0);
}

/* A recorder's WebM: sizes unknown, no Duration; two clusters, the last block at 2 s + 500 ms. */
TEST(webm_without_a_duration)
{
    static const uint8_t webm[] = {
        0x1a, 0x45, 0xdf, 0xa3, 0x80,                                           /* EBML, empty */
        0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* Segment */
        0x16, 0x54, 0xae, 0x6b, 0x8c, 0xae, 0x8a, 0xe0, 0x88, 0xb0, 0x82, 0x02,
        0x80, 0xba, 0x82, 0x01, 0xe0, /* 640 by 480 */
        0x1f, 0x43, 0xb6, 0x75, 0xff, 0xe7, 0x81, 0x00, 0xa3, 0x84, 0x81, 0x00,
        0x10, 0x80, 0x1f, 0x43, 0xb6, 0x75, 0xff, 0xe7, 0x82, 0x07, 0xd0, 0xa3,
        0x89, 0x81, 0x01, 0xf4, 0x80, 1,    2,    3,    4,    5,
    };
    struct length length = find("video/webm", webm, sizeof webm);

    CHECK_EQ(length.duration_ms, 2500);
    CHECK_EQ(length.width, 640);
    CHECK_EQ(length.height, 480);
}

/* ---- MP4 ------------------------------------------------------------------------------ */

struct boxes {
    uint8_t b[4096];
    size_t n, open[8];
    int depth;
};

static void put(struct boxes *boxes, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        boxes->b[boxes->n++] = (uint8_t)(v >> 8 * i);
}

static void begin(struct boxes *boxes, const char *type)
{
    boxes->open[boxes->depth++] = boxes->n;
    put(boxes, 0, 4);
    memcpy(boxes->b + boxes->n, type, 4);
    boxes->n += 4;
}

static void end(struct boxes *boxes)
{
    size_t at = boxes->open[--boxes->depth], to = boxes->n;

    boxes->n = at;
    put(boxes, to - at, 4);
    boxes->n = to;
}

/* A track of `per_s` units, and a movie of 1,000 whose length is not known yet. */
static void begin_fragmented(struct boxes *boxes, uint32_t unknown, uint64_t mehd, uint32_t trex)
{
    begin(boxes, "moov");
    begin(boxes, "mvhd"), put(boxes, 0, 8), put(boxes, 0, 4), put(boxes, 1000, 4),
        put(boxes, unknown, 4);
    put(boxes, 0, 8), put(boxes, 0, 8), end(boxes);
    for (int track = 1; track <= 2; track++) {
        begin(boxes, "trak");
        begin(boxes, "tkhd"), put(boxes, 0, 8), put(boxes, 0, 4), put(boxes, (uint64_t)track, 4),
            end(boxes);
        begin(boxes, "mdia"), begin(boxes, "mdhd"), put(boxes, 1u << 24, 4), put(boxes, 0, 8),
            put(boxes, 0, 8);
        put(boxes, track == 1 ? 90000 : 48000, 4), put(boxes, 0, 8), end(boxes), end(boxes),
            end(boxes);
    }
    begin(boxes, "mvex");
    if (mehd)
        begin(boxes, "mehd"), put(boxes, 1u << 24, 4), put(boxes, mehd, 8), end(boxes);
    begin(boxes, "trex"), put(boxes, 0, 4), put(boxes, 1, 4), put(boxes, 1, 4), put(boxes, trex, 4),
        put(boxes, 0, 8);
    end(boxes), end(boxes), end(boxes);
}

static void fragment(struct boxes *boxes, uint32_t track, uint32_t flags, const uint64_t *tfdt,
                     uint32_t run_flags, uint32_t n, const uint32_t *durations)
{
    begin(boxes, "moof");
    begin(boxes, "traf");
    begin(boxes, "tfhd"), put(boxes, flags, 4), put(boxes, track, 4);
    put(boxes, 0, flags & 1 ? 8 : 0), put(boxes, 500, flags & 8 ? 4 : 0), end(boxes);
    if (tfdt)
        begin(boxes, "tfdt"), put(boxes, 1u << 24, 4), put(boxes, *tfdt, 8), end(boxes);
    begin(boxes, "trun"), put(boxes, run_flags, 4), put(boxes, n, 4),
        put(boxes, 0, run_flags & 1 ? 4 : 0);
    for (uint32_t i = 0; durations && i < n; i++)
        put(boxes, durations[i], 4), put(boxes, 99, run_flags & 0x200 ? 4 : 0);
    end(boxes), end(boxes), end(boxes);
    begin(boxes, "mdat"), put(boxes, 0, 8), end(boxes);
}

TEST(fragments_by_their_samples)
{
    static const uint32_t durations[] = { 90000, 45000, 45000 };
    static const uint64_t at = 48000 * 9, far = UINT64_MAX;
    struct boxes boxes = { 0 };

    begin_fragmented(&boxes, 0, 0, 3000);
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 0);
    fragment(&boxes, 1, 0, NULL, 0x301, 3, durations); /* two seconds, each sample its own */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 2000);
    fragment(&boxes, 1, 0, NULL, 0, 60, NULL); /* two more, by the default of the track */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 4000);
    fragment(&boxes, 1, 9, NULL, 1, 180, NULL); /* one more, by the default of the fragment */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 5000);
    fragment(&boxes, 2, 8, &at, 1, 96, NULL); /* the other one begins at nine seconds */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 10000);
    fragment(&boxes, 7, 8, &at, 1, 4000000000u, NULL);      /* of no track */
    fragment(&boxes, 1, 8, NULL, 0x100, 4000000000u, NULL); /* more samples than the box has */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 10000);
    fragment(&boxes, 2, 8, &far, 0, 4000000000u, NULL); /* beyond the end of time: not believed */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 5000);
}

TEST(fragments_by_what_the_head_says)
{
    struct boxes boxes = { 0 };

    begin_fragmented(&boxes, UINT32_MAX, 7500, 3000); /* mvhd: not known */
    CHECK_EQ(find("video/mp4", boxes.b, boxes.n).duration_ms, 7500);
    fragment(&boxes, 1, 0, NULL, 0, 30, NULL);
    CHECK_EQ(find("video/quicktime", boxes.b, boxes.n).duration_ms, 7500);
    for (size_t n = 0; n < boxes.n; n++) /* cut anywhere */
        CHECK(find("video/mp4", boxes.b, n).duration_ms <= 7500);
}

/* Frames of 200 bytes and 1,024 samples at 44,100 Hz: 43 are a second. */
TEST(aac_by_its_frames)
{
    static uint8_t aac[200 * 431];

    for (size_t i = 0; i < sizeof aac; i += 200)
        memcpy(aac + i, "\xff\xf1\x50\x80\x19\x1f\xfc", 7);
    CHECK_EQ(find("audio/aac", aac, sizeof aac).duration_ms, 10008);
    CHECK_EQ(find("audio/aac", aac, 200 * 43 + 3).duration_ms, 998);
    CHECK_EQ(find("audio/aac", aac, 6).duration_ms, 0);
}

TEST(flac_by_its_first_block)
{
    uint8_t flac[42] = "fLaC\0\0\0\x22\x10\0\x10\0";
    uint64_t v = (uint64_t)44100 << 44 | (uint64_t)1 << 41 | (uint64_t)15 << 36 | 44100 * 5 / 2;

    for (int i = 0; i < 8; i++)
        flac[18 + i] = (uint8_t)(v >> 8 * (7 - i));
    CHECK_EQ(find("audio/flac", flac, sizeof flac).duration_ms, 2500);
    CHECK_EQ(find("audio/flac", flac, 25).duration_ms, 0);
}

TEST(types_that_have_no_length)
{
    CHECK_EQ(find("application/pdf", "%PDF-1.7", 8).duration_ms, 0);
    CHECK_EQ(find("audio/ogg", "", 0).duration_ms, 0);
}

/* A cluster at the last millisecond there is, and a block after it: no time, and no overflow. */
TEST(webm_at_the_end_of_time)
{
    static const uint8_t ends[][8] = {
        { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
        { 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 },
        { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
    };

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        uint8_t webm[] = {
            0x1a, 0x45, 0xdf, 0xa3, 0x80,                   /* EBML, empty */
            0x1f, 0x43, 0xb6, 0x75, 0xff,                   /* Cluster */
            0xe7, 0x88, 0,    0,    0,    0,    0, 0, 0, 0, /* its time */
            0xa3, 0x84, 0x81, 0x7f, 0xff, 0x80,             /* a block 32,767 later */
            0xa3, 0x84, 0x81, 0x80, 0x00, 0x80,             /* and one earlier */
        };

        memcpy(webm + 12, ends[i], 8);
        CHECK_EQ(find("video/webm", webm, sizeof webm).duration_ms, 0);
    }
}

/* Hostile bytes: whatever they say, it ends, stays in bounds (sanitizers) and is no nonsense. */
TEST(hostile_bytes)
{
    static const char *const types[] = { "audio/ogg", "audio/mpeg", "audio/mp4",
                                         "video/mp4", "audio/wav",  "video/webm",
                                         "audio/aac", "audio/flac", "video/3gpp" };
    static const char *const starts[] = { "OggS", "ID3", "\0\0\0\1moov", "RIFF",
                                          "\x1a\x45\xdf\xa3" };
    unsigned seed = 12345;

    for (int round = 0; round < 3000; round++) {
        uint8_t *bytes = malloc(300); /* of its own, so that a byte too far is seen */
        size_t n;

        for (size_t i = 0; i < 300; i++) {
            seed = seed * 1103515245 + 12345;
            bytes[i] = (uint8_t)(seed >> 16) & (round % 3 ? 0xff : 0x83);
        }
        memcpy(bytes, starts[round % 5], 4);
        if (round % 7 == 0)
            memcpy(bytes + 8, "mvhdtkhdtrakmoov", 16);
        n = (size_t)(seed >> 8) % 300;
        for (size_t type = 0; type < sizeof types / sizeof *types; type++) {
            uint8_t *exact = malloc(n ? n : 1);
            struct length length;

            memcpy(exact, bytes, n);
            length = find(types[type], exact, n);
            CHECK(length.duration_ms >= 0 && length.width >= 0 && length.height >= 0 &&
                  length.width < 65536);
            free(exact);
        }
        free(bytes);
    }
}
