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
    const struct bytes *b = arg;

    if (at < 0 || (uint64_t)at > b->n || n > b->n - (size_t)at)
        return false;
    memcpy(to, b->p + at, n);
    return true;
}

static struct length find(const char *type, const void *p, size_t n)
{
    struct bytes b = { p, n };
    struct length ret;

    length_find(&(struct length_source){ read_bytes, &b, (int64_t)n }, type, &ret);
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
    struct length l = find("video/webm", webm, sizeof webm);

    CHECK_EQ(l.duration_ms, 2500);
    CHECK_EQ(l.width, 640);
    CHECK_EQ(l.height, 480);
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
                                         "video/mp4", "audio/wav",  "video/webm" };
    static const char *const starts[] = { "OggS", "ID3", "\0\0\0\1moov", "RIFF",
                                          "\x1a\x45\xdf\xa3" };
    unsigned seed = 12345;

    for (int round = 0; round < 3000; round++) {
        uint8_t *b = malloc(300); /* of its own, so that a byte too far is seen */
        size_t n;

        for (size_t i = 0; i < 300; i++) {
            seed = seed * 1103515245 + 12345;
            b[i] = (uint8_t)(seed >> 16) & (round % 3 ? 0xff : 0x83);
        }
        memcpy(b, starts[round % 5], 4);
        if (round % 7 == 0)
            memcpy(b + 8, "mvhdtkhdtrakmoov", 16);
        n = (size_t)(seed >> 8) % 300;
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            uint8_t *exact = malloc(n ? n : 1);
            struct length l;

            memcpy(exact, b, n);
            l = find(types[t], exact, n);
            CHECK(l.duration_ms >= 0 && l.width >= 0 && l.height >= 0 && l.width < 65536);
            free(exact);
        }
        free(b);
    }
}
