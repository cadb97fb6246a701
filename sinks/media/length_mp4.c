/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/length_mp4.c - boxes, one after the other; those that hold others are entered. A
 * whole file says its length in moov/mvhd; one in fragments, as recorders write it, in
 * moov/mvex/mehd, or nowhere: then each track is as long as the samples of its moof/traf/trun.
 */
#include "sinks/media/length_kinds.h"

#include <string.h>

enum {
    BOXES_MAX = 400 * 1000, /* an hour in fragments of a second has 50,000 */
    TRACKS_MAX = 16,
    SAMPLES_BYTES = 4096,
};
static const uint64_t TIME_MAX = (uint64_t)1 << 62;

struct track {
    uint32_t id, per_s, sample_default;
    uint64_t end; /* of its last fragment, in its own units */
};

struct mp4 {
    const struct length_source *s;
    struct length *ret;
    struct track tracks[TRACKS_MAX];
    int tracks_n;
    uint64_t movie_per_s, movie_units;
    struct track *fragment; /* of the traf that is read; NULL: none that is known */
    uint64_t at, sample_default;
};

static uint64_t later(uint64_t at, uint64_t by)
{
    return at > TIME_MAX || by > TIME_MAX - at ? TIME_MAX : at + by;
}

static struct track *track_of(struct mp4 *mp4, uint64_t id)
{
    for (int i = 0; i < mp4->tracks_n; i++)
        if (mp4->tracks[i].id == id)
            return &mp4->tracks[i];
    return NULL;
}

/* `at` is behind the head of the box in all that follow, `end` behind the box. A number whose bits
 * are all set means that it is not known. */
static uint64_t read_duration(const uint8_t *p, int n)
{
    uint64_t v = length_big(p, n);

    return v == (n == 8 ? UINT64_MAX : UINT32_MAX) ? 0 : v;
}

static void read_mvhd(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t b[32];
    (void)end;

    if (!length_get(mp4->s, at, b, sizeof b))
        return;
    mp4->movie_per_s = length_big(b + (b[0] == 1 ? 20 : 12), 4);
    mp4->movie_units = b[0] == 1 ? read_duration(b + 24, 8) : read_duration(b + 16, 4);
}

static void read_sides(struct mp4 *mp4, int64_t at, int64_t end)
{
    struct length *ret = mp4->ret;
    uint8_t bytes[44]; /* the matrix, and both sides behind it */
    uint64_t width, height;

    if (end - at < 84 || !length_get(mp4->s, end - (int64_t)sizeof bytes, bytes, sizeof bytes))
        return;
    width = length_big(bytes + 36, 4) >> 16;
    height = length_big(bytes + 40, 4) >> 16;
    if (width * height <= (uint64_t)ret->width * (uint64_t)ret->height)
        return;
    if (!length_big(bytes, 4) && !length_big(bytes + 16, 4)) /* turned by a quarter */
        length_set_sides(ret, height, width);
    else
        length_set_sides(ret, width, height);
}

static void read_tkhd(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t b[24];

    read_sides(mp4, at, end);
    if (mp4->tracks_n < TRACKS_MAX && length_get(mp4->s, at, b, sizeof b))
        mp4->tracks[mp4->tracks_n++] =
            (struct track){ .id = (uint32_t)length_big(b + (b[0] == 1 ? 20 : 12), 4) };
}

static void read_mdhd(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t b[24];
    (void)end;

    if (mp4->tracks_n && length_get(mp4->s, at, b, sizeof b))
        mp4->tracks[mp4->tracks_n - 1].per_s = (uint32_t)length_big(b + (b[0] == 1 ? 20 : 12), 4);
}

static void read_mehd(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t b[12] = { 0 };
    uint64_t units;

    if (!length_get(mp4->s, at, b, end - at < 12 ? 8 : 12))
        return;
    units = b[0] == 1 ? read_duration(b + 4, 8) : read_duration(b + 4, 4);
    if (units > mp4->movie_units)
        mp4->movie_units = units;
}

static void read_trex(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t b[16];
    struct track *track;
    (void)end;

    if (length_get(mp4->s, at, b, sizeof b) && (track = track_of(mp4, length_big(b + 4, 4))))
        track->sample_default = (uint32_t)length_big(b + 12, 4);
}

/* ---- fragments ------------------------------------------------------------------------ */

static void read_tfhd(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t bytes[24] = { 0 };
    uint64_t flags;
    int place;

    mp4->fragment = NULL;
    if (!length_get(mp4->s, at, bytes, end - at < 24 ? (size_t)(end - at) : 24))
        return;
    flags = length_big(bytes + 1, 3);
    place = 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
    mp4->fragment = track_of(mp4, length_big(bytes + 4, 4));
    if (!mp4->fragment)
        return;
    mp4->at = mp4->fragment->end;
    mp4->sample_default = flags & 8 ? length_big(bytes + place, 4) : mp4->fragment->sample_default;
}

static void read_tfdt(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t b[12] = { 0 };

    if (mp4->fragment && length_get(mp4->s, at, b, end - at < 12 ? 8 : 12))
        mp4->at = later(0, length_big(b + 4, b[0] == 1 ? 8 : 4));
}

/* The durations of samples that each name one, in records of `size`. */
static void add_samples(struct mp4 *mp4, int64_t at, uint64_t n, size_t size)
{
    uint8_t b[SAMPLES_BYTES];

    while (n) {
        uint64_t now = n < sizeof b / size ? n : sizeof b / size;

        if (!length_get(mp4->s, at, b, (size_t)now * size))
            return;
        for (uint64_t i = 0; i < now; i++)
            mp4->at = later(mp4->at, length_big(b + i * size, 4));
        at += (int64_t)(now * size);
        n -= now;
    }
}

static void read_trun(struct mp4 *mp4, int64_t at, int64_t end)
{
    uint8_t bytes[8];
    uint64_t flags, n;
    size_t size = 0;

    if (!mp4->fragment || !length_get(mp4->s, at, bytes, sizeof bytes))
        return;
    flags = length_big(bytes + 1, 3);
    n = length_big(bytes + 4, 4);
    at += 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    for (uint64_t bit = 0x100; bit <= 0x800; bit <<= 1)
        size += flags & bit ? 4 : 0;
    if (size && (at > end || n > (uint64_t)(end - at) / size))
        return; /* more than the box has */
    if (flags & 0x100)
        add_samples(mp4, at, n, size);
    else
        mp4->at = later(mp4->at, n * mp4->sample_default);
    if (mp4->at > mp4->fragment->end)
        mp4->fragment->end = mp4->at;
}

/* ---- all ------------------------------------------------------------------------------ */

static bool goes_in(const uint8_t *type)
{
    static const char types[][5] = { "moov", "trak", "mdia", "mvex", "moof", "traf" };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (memcmp(type, types[i], 4) == 0)
            return true;
    return false;
}

static void read_box(struct mp4 *mp4, const uint8_t *type, int64_t at, int64_t end)
{
    static const struct {
        char type[5];
        void (*read)(struct mp4 *mp4, int64_t at, int64_t end);
    } rows[] = {
        { "mvhd", read_mvhd }, { "tkhd", read_tkhd }, { "mdhd", read_mdhd }, { "mehd", read_mehd },
        { "trex", read_trex }, { "tfhd", read_tfhd }, { "tfdt", read_tfdt }, { "trun", read_trun },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (memcmp(type, rows[i].type, 4) == 0)
            rows[i].read(mp4, at, end);
}

static void read_boxes(struct mp4 *mp4)
{
    int64_t at = 0, size = mp4->s->size;
    uint8_t head_bytes[16];

    for (int i = 0; i < BOXES_MAX && length_get(mp4->s, at, head_bytes, 8); i++) {
        int64_t n = (int64_t)length_big(head_bytes, 4), head = 8;

        if (n == 1 && length_get(mp4->s, at, head_bytes, 16)) {
            n = length_big(head_bytes + 8, 8) >> 62 ? 0 : (int64_t)length_big(head_bytes + 8, 8);
            head = 16;
        } else if (n == 0) {
            n = size - at;
        }
        if (n < head || n > size - at)
            return;
        if (goes_in(head_bytes + 4)) {
            at += head; /* its boxes come next */
            continue;
        }
        read_box(mp4, head_bytes + 4, at + head, at + n);
        at += n;
    }
}

void length_find_mp4(const struct length_source *source, struct length *ret)
{
    struct mp4 mp4 = { .s = source, .ret = ret };
    struct length one = { 0 };

    read_boxes(&mp4);
    length_set_duration(ret, (double)mp4.movie_units, (double)mp4.movie_per_s);
    for (int i = 0; i < mp4.tracks_n; i++) {
        length_set_duration(&one, (double)mp4.tracks[i].end, mp4.tracks[i].per_s);
        if (one.duration_ms > ret->duration_ms)
            ret->duration_ms = one.duration_ms;
    }
}
