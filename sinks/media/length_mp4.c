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

static struct track *track_of(struct mp4 *m, uint64_t id)
{
    for (int i = 0; i < m->tracks_n; i++)
        if (m->tracks[i].id == id)
            return &m->tracks[i];
    return NULL;
}

/* `at` is behind the head of the box in all that follow, `end` behind the box. A number whose bits
 * are all set means that it is not known. */
static uint64_t read_duration(const uint8_t *p, int n)
{
    uint64_t v = length_big(p, n);

    return v == (n == 8 ? UINT64_MAX : UINT32_MAX) ? 0 : v;
}

static void read_mvhd(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[32];
    (void)end;

    if (!length_get(m->s, at, b, sizeof b))
        return;
    m->movie_per_s = length_big(b + (b[0] == 1 ? 20 : 12), 4);
    m->movie_units = b[0] == 1 ? read_duration(b + 24, 8) : read_duration(b + 16, 4);
}

static void read_sides(struct mp4 *m, int64_t at, int64_t end)
{
    struct length *ret = m->ret;
    uint8_t b[44]; /* the matrix, and both sides behind it */
    uint64_t width, height;

    if (end - at < 84 || !length_get(m->s, end - (int64_t)sizeof b, b, sizeof b))
        return;
    width = length_big(b + 36, 4) >> 16;
    height = length_big(b + 40, 4) >> 16;
    if (width * height <= (uint64_t)ret->width * (uint64_t)ret->height)
        return;
    if (!length_big(b, 4) && !length_big(b + 16, 4)) /* turned by a quarter */
        length_set_sides(ret, height, width);
    else
        length_set_sides(ret, width, height);
}

static void read_tkhd(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[24];

    read_sides(m, at, end);
    if (m->tracks_n < TRACKS_MAX && length_get(m->s, at, b, sizeof b))
        m->tracks[m->tracks_n++] =
            (struct track){ .id = (uint32_t)length_big(b + (b[0] == 1 ? 20 : 12), 4) };
}

static void read_mdhd(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[24];
    (void)end;

    if (m->tracks_n && length_get(m->s, at, b, sizeof b))
        m->tracks[m->tracks_n - 1].per_s = (uint32_t)length_big(b + (b[0] == 1 ? 20 : 12), 4);
}

static void read_mehd(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[12] = { 0 };
    uint64_t units;

    if (!length_get(m->s, at, b, end - at < 12 ? 8 : 12))
        return;
    units = b[0] == 1 ? read_duration(b + 4, 8) : read_duration(b + 4, 4);
    if (units > m->movie_units)
        m->movie_units = units;
}

static void read_trex(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[16];
    struct track *t;
    (void)end;

    if (length_get(m->s, at, b, sizeof b) && (t = track_of(m, length_big(b + 4, 4))))
        t->sample_default = (uint32_t)length_big(b + 12, 4);
}

/* ---- fragments ------------------------------------------------------------------------ */

static void read_tfhd(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[24] = { 0 };
    uint64_t flags;
    int place;

    m->fragment = NULL;
    if (!length_get(m->s, at, b, end - at < 24 ? (size_t)(end - at) : 24))
        return;
    flags = length_big(b + 1, 3);
    place = 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
    m->fragment = track_of(m, length_big(b + 4, 4));
    if (!m->fragment)
        return;
    m->at = m->fragment->end;
    m->sample_default = flags & 8 ? length_big(b + place, 4) : m->fragment->sample_default;
}

static void read_tfdt(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[12] = { 0 };

    if (m->fragment && length_get(m->s, at, b, end - at < 12 ? 8 : 12))
        m->at = later(0, length_big(b + 4, b[0] == 1 ? 8 : 4));
}

/* The durations of samples that each name one, in records of `size`. */
static void add_samples(struct mp4 *m, int64_t at, uint64_t n, size_t size)
{
    uint8_t b[SAMPLES_BYTES];

    while (n) {
        uint64_t now = n < sizeof b / size ? n : sizeof b / size;

        if (!length_get(m->s, at, b, (size_t)now * size))
            return;
        for (uint64_t i = 0; i < now; i++)
            m->at = later(m->at, length_big(b + i * size, 4));
        at += (int64_t)(now * size);
        n -= now;
    }
}

static void read_trun(struct mp4 *m, int64_t at, int64_t end)
{
    uint8_t b[8];
    uint64_t flags, n;
    size_t size = 0;

    if (!m->fragment || !length_get(m->s, at, b, sizeof b))
        return;
    flags = length_big(b + 1, 3);
    n = length_big(b + 4, 4);
    at += 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    for (uint64_t bit = 0x100; bit <= 0x800; bit <<= 1)
        size += flags & bit ? 4 : 0;
    if (size && (at > end || n > (uint64_t)(end - at) / size))
        return; /* more than the box has */
    if (flags & 0x100)
        add_samples(m, at, n, size);
    else
        m->at = later(m->at, n * m->sample_default);
    if (m->at > m->fragment->end)
        m->fragment->end = m->at;
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

static void read_box(struct mp4 *m, const uint8_t *type, int64_t at, int64_t end)
{
    static const struct {
        char type[5];
        void (*read)(struct mp4 *m, int64_t at, int64_t end);
    } rows[] = {
        { "mvhd", read_mvhd }, { "tkhd", read_tkhd }, { "mdhd", read_mdhd }, { "mehd", read_mehd },
        { "trex", read_trex }, { "tfhd", read_tfhd }, { "tfdt", read_tfdt }, { "trun", read_trun },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (memcmp(type, rows[i].type, 4) == 0)
            rows[i].read(m, at, end);
}

static void read_boxes(struct mp4 *m)
{
    int64_t at = 0, size = m->s->size;
    uint8_t b[16];

    for (int i = 0; i < BOXES_MAX && length_get(m->s, at, b, 8); i++) {
        int64_t n = (int64_t)length_big(b, 4), head = 8;

        if (n == 1 && length_get(m->s, at, b, 16)) {
            n = length_big(b + 8, 8) >> 62 ? 0 : (int64_t)length_big(b + 8, 8);
            head = 16;
        } else if (n == 0) {
            n = size - at;
        }
        if (n < head || n > size - at)
            return;
        if (goes_in(b + 4)) {
            at += head; /* its boxes come next */
            continue;
        }
        read_box(m, b + 4, at + head, at + n);
        at += n;
    }
}

void length_find_mp4(const struct length_source *s, struct length *ret)
{
    struct mp4 m = { .s = s, .ret = ret };
    struct length one = { 0 };

    read_boxes(&m);
    length_set_duration(ret, (double)m.movie_units, (double)m.movie_per_s);
    for (int i = 0; i < m.tracks_n; i++) {
        length_set_duration(&one, (double)m.tracks[i].end, m.tracks[i].per_s);
        if (one.duration_ms > ret->duration_ms)
            ret->duration_ms = one.duration_ms;
    }
}
