/* SPDX-License-Identifier: MIT */
#include "sinks/media/length_kinds.h"

#include <math.h>
#include <string.h>

enum {
    CHUNKS_MAX = 4096,
    ELEMENTS_MAX = 2 * 1000 * 1000,
    FRAMES_MAX = 1000 * 1000,
    TAIL_BYTES = 64 * 1024,
    SIDE_MAX = 65535,
};
static const uint64_t WEBM_TIME_MAX = (uint64_t)1 << 62; /* room for the two bytes of a block */
static const int64_t LONGEST_MS = (int64_t)1000 * 3600 * 1000; /* what is longer is a lie */

uint64_t length_big(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

bool length_get(const struct length_source *source, int64_t at, void *to, size_t n)
{
    return at >= 0 && at <= source->size && (int64_t)n <= source->size - at &&
           source->read(source->arg, at, to, n);
}

void length_set_duration(struct length *ret, double units, double per_s)
{
    double ms = per_s > 0 ? units * 1000.0 / per_s : 0;

    if (isfinite(ms) && ms > 0 && ms < (double)LONGEST_MS)
        ret->duration_ms = (int64_t)(ms + 0.5);
}

void length_set_sides(struct length *ret, uint64_t width, uint64_t height)
{
    if (!width || !height || width > SIDE_MAX || height > SIDE_MAX)
        return;
    ret->width = (int32_t)width;
    ret->height = (int32_t)height;
}

/* ---- Ogg: the position that the last page ends at ------------------------------------- */

static void find_ogg(const struct length_source *source, struct length *ret)
{
    static uint8_t tail[TAIL_BYTES];
    size_t n = source->size < TAIL_BYTES ? (size_t)source->size : TAIL_BYTES;
    uint8_t head[27], body[19];
    uint64_t rate = 0, skip = 0, last = 0;

    if (!length_get(source, 0, head, sizeof head) || memcmp(head, "OggS", 4) != 0 ||
        !length_get(source, 27 + head[26], body, sizeof body))
        return;
    if (memcmp(body, "OpusHead", 8) == 0) {
        rate = 48000;
        skip = little(body + 10, 2);
    } else if (memcmp(body, "\x01vorbis", 7) == 0) {
        rate = little(body + 12, 4);
    }
    if (!rate || !length_get(source, source->size - (int64_t)n, tail, n))
        return;
    for (size_t i = 0; i + 14 <= n; i++)
        if (memcmp(tail + i, "OggS", 4) == 0 && little(tail + i + 6, 8) >> 63 == 0)
            last = little(tail + i + 6, 8);
    if (last > skip)
        length_set_duration(ret, (double)(last - skip), (double)rate);
}

/* ---- MP3: what its first frame says, or its bytes by its bit rate --------------------- */

static void find_mp3(const struct length_source *source, struct length *ret)
{
    static const int rates[4][3] = { { 11025, 12000, 8000 }, /* MPEG 2.5, reserved, 2, 1 */
                                     { 0, 0, 0 },
                                     { 22050, 24000, 16000 },
                                     { 44100, 48000, 32000 } };
    static const int kbits[2][15] = {
        { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
        { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },
    };
    uint8_t tag[10], frame[64];
    int64_t at = 0;
    int version, rate, kbit;

    if (!length_get(source, 0, tag, sizeof tag))
        return;
    if (memcmp(tag, "ID3", 3) == 0)
        at = 10 +
             ((tag[6] & 127) << 21 | (tag[7] & 127) << 14 | (tag[8] & 127) << 7 | (tag[9] & 127));
    if (!length_get(source, at, frame, sizeof frame) || frame[0] != 0xff ||
        (frame[1] & 0xe6) != 0xe2 || frame[2] >> 4 == 15 || (frame[2] >> 2 & 3) == 3)
        return;
    version = frame[1] >> 3 & 3;
    rate = rates[version][frame[2] >> 2 & 3];
    kbit = kbits[version == 3][frame[2] >> 4];
    for (size_t i = 4; i + 12 <= 4 + 36 + 12; i++) /* behind the side information, 9 to 32 bytes */
        if ((memcmp(frame + i, "Xing", 4) == 0 || memcmp(frame + i, "Info", 4) == 0) &&
            frame[i + 7] & 1) {
            length_set_duration(
                ret, (double)length_big(frame + i + 8, 4) * (version == 3 ? 1152 : 576), rate);
            return;
        }
    length_set_duration(ret, (double)(source->size - at) * 8, kbit * 1000.0);
}

/* ---- AAC as ADTS has it: its frames, each of a thousand samples or a few -------------- */

static void find_aac(const struct length_source *source, struct length *ret)
{
    static const int rates[16] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                   22050, 16000, 12000, 11025, 8000,  7350 };
    uint64_t samples = 0;
    int64_t at = 0, first = 0;
    int rate = 0;
    uint8_t head[10];

    if (length_get(source, 0, head, sizeof head) && memcmp(head, "ID3", 3) == 0)
        at = first = 10 + ((head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 |
                           (head[9] & 127));
    for (int i = 0; i < FRAMES_MAX && length_get(source, at, head, 7); i++) {
        int64_t n = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5;

        if (head[0] != 0xff || (head[1] & 0xf6) != 0xf0 || n < 7)
            break;
        rate = rate ? rate : rates[head[2] >> 2 & 15];
        samples += 1024 * (uint64_t)((head[6] & 3) + 1);
        at += n;
    }
    if (at < source->size && at > first && samples >= 1024 * (uint64_t)FRAMES_MAX)
        length_set_duration(
            ret, (double)samples * (double)(source->size - first) / (double)(at - first), rate);
    else
        length_set_duration(ret, (double)samples, rate);
}

/* ---- FLAC: its STREAMINFO, which is the first block ----------------------------------- */

static void find_flac(const struct length_source *source, struct length *ret)
{
    uint8_t b[26];
    uint64_t v;

    if (!length_get(source, 0, b, sizeof b) || memcmp(b, "fLaC", 4) != 0 || (b[4] & 127) != 0)
        return;
    v = length_big(b + 18, 8); /* 20 bits of the rate, 8 of others, 36 of samples */
    length_set_duration(ret, (double)(v & (((uint64_t)1 << 36) - 1)), (double)(v >> 44));
}

/* ---- WAV ------------------------------------------------------------------------------ */

static void find_wav(const struct length_source *source, struct length *ret)
{
    int64_t at = 12;
    uint64_t bytes_s = 0;
    uint8_t head[20];

    for (int i = 0; i < CHUNKS_MAX && length_get(source, at, head, 8); i++) {
        uint64_t n = little(head + 4, 4);

        if (memcmp(head, "fmt ", 4) == 0 && length_get(source, at + 8, head, 16))
            bytes_s = little(head + 8, 4);
        else if (memcmp(head, "data", 4) == 0) {
            if (n > (uint64_t)(source->size - at - 8))
                n = (uint64_t)(source->size - at - 8);
            length_set_duration(ret, (double)n, (double)bytes_s);
            return;
        }
        at += 8 + (int64_t)n + (int64_t)(n & 1);
    }
}

/* ---- WebM: its Duration, or, as recorders do not know it, the last block's time ------- */

struct webm {
    const struct length_source *s;
    uint64_t scale_ns, cluster, last;
    double duration; /* in scale_ns */
    uint64_t width, height;
};

/* One number of 1 to 8 bytes; `keep`: with its length marker, as ids are. 0 bytes: none. */
static int vint(const uint8_t *p, bool keep, uint64_t *ret)
{
    int n = 1;

    while (n <= 8 && !(p[0] & 0x80 >> (n - 1)))
        n++;
    if (n > 8)
        return 0;
    *ret = length_big(p, n);
    if (!keep)
        *ret &= ((uint64_t)1 << 7 * n) - 1;
    return n;
}

static double real(const uint8_t *p, size_t n)
{
    uint64_t bits = length_big(p, (int)n);
    uint32_t bits32 = (uint32_t)bits;
    double d = 0;
    float f = 0;

    if (n == 8)
        memcpy(&d, &bits, sizeof d);
    else if (n == 4)
        memcpy(&f, &bits32, sizeof f);
    return n == 4 ? (double)f : d;
}

static void webm_value(struct webm *webm, uint64_t id, const uint8_t *p, size_t n)
{
    uint64_t v = length_big(p, (int)n);

    if (id == 0x2AD7B1 && v)
        webm->scale_ns = v;
    else if (id == 0x4489)
        webm->duration = real(p, n);
    else if (id == 0xB0)
        webm->width = v;
    else if (id == 0xBA)
        webm->height = v;
    else if (id == 0xE7)
        webm->cluster = v;
}

/* A block's time is its cluster's and a signed two-byte more. */
static void webm_block(struct webm *webm, int64_t at, uint64_t size)
{
    uint8_t b[11] = { 0 };
    uint64_t track;
    int n;

    if (webm->cluster > WEBM_TIME_MAX ||
        !length_get(webm->s, at, b, size < sizeof b ? (size_t)size : sizeof b) ||
        !(n = vint(b, false, &track)))
        return;
    int64_t t = (int64_t)webm->cluster + (int16_t)length_big(b + n, 2);
    if (t > 0 && (uint64_t)t > webm->last)
        webm->last = (uint64_t)t;
}

static bool webm_goes_in(uint64_t id)
{
    static const uint64_t ids[] = {
        0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0xA0
    };

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void find_webm(const struct length_source *source, struct length *ret)
{
    struct webm webm = { .s = source, .scale_ns = 1000000 };
    int64_t at = 0;
    uint8_t head[12];

    for (int i = 0; i < ELEMENTS_MAX && at < source->size; i++) {
        size_t have = source->size - at < 12 ? (size_t)(source->size - at) : 12;
        uint64_t id = 0, n = 0;
        int id_n, size_n;

        memset(head, 0, sizeof head);
        if (!length_get(source, at, head, have) || !(id_n = vint(head, true, &id)) || id_n > 4 ||
            !(size_n = vint(head + id_n, false, &n)))
            break;
        at += id_n + size_n;
        if (at > source->size)
            break;
        if (webm_goes_in(id))
            continue; /* its size may be unknown: its children come next */
        if (n > (uint64_t)(source->size - at))
            break;
        if (n && n <= 8 && length_get(source, at, head, (size_t)n))
            webm_value(&webm, id, head, (size_t)n);
        if (id == 0xA3 || id == 0xA1)
            webm_block(&webm, at, n);
        at += (int64_t)n;
    }
    length_set_duration(
        ret, (webm.duration > 0 ? webm.duration : (double)webm.last) * (double)webm.scale_ns, 1e9);
    length_set_sides(ret, webm.width, webm.height);
}

void length_find(const struct length_source *source, const char *type, struct length *ret)
{
    static const struct {
        const char *type;
        void (*find)(const struct length_source *, struct length *);
    } rows[] = {
        { "audio/ogg", find_ogg },         { "audio/mpeg", find_mp3 },
        { "audio/aac", find_aac },         { "audio/flac", find_flac },
        { "audio/mp4", length_find_mp4 },  { "audio/3gpp", length_find_mp4 },
        { "video/mp4", length_find_mp4 },  { "video/quicktime", length_find_mp4 },
        { "video/3gpp", length_find_mp4 }, { "audio/wav", find_wav },
        { "audio/webm", find_webm },       { "video/webm", find_webm },
    };

    *ret = (struct length){ 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].type, type) == 0)
            rows[i].find(source, ret);
}
