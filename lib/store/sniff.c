/* SPDX-License-Identifier: MIT */
#include "lib/store/sniff.h"

#define BYTES(s) s, sizeof(s) - 1

static const char unknown[] = "application/octet-stream";

static bool is_at(struct cq_span head, size_t at, const void *want, size_t n)
{
    return at <= head.n && n <= head.n - at && memcmp(head.p + at, want, n) == 0;
}

/* ---- kinds that say only a little further in what they are ---------------------------- */

static size_t number(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* The first brand of a HEIF picture may say no more than that it is one. Then one of its compatible
 * brands says how it is coded. */
static const char *sniff_compatible(struct cq_span head)
{
    size_t end = number(head.p) < head.n ? number(head.p) : head.n;

    for (size_t at = 16; at + 4 <= end; at += 4) {
        if (is_at(head, at, BYTES("heic")) || is_at(head, at, BYTES("heix")))
            return "image/heic";
        if (is_at(head, at, BYTES("avif")))
            return "image/avif";
    }
    return unknown;
}

/* ISO media files: the brand says what it is. */
static const char *sniff_brand(struct cq_span head)
{
    static const struct {
        char brand[5];
        const char *type;
    } rows[] = {
        { "isom", "video/mp4" },  { "iso2", "video/mp4" },  { "iso4", "video/mp4" },
        { "iso5", "video/mp4" },  { "iso6", "video/mp4" },  { "mp41", "video/mp4" },
        { "mp42", "video/mp4" },  { "avc1", "video/mp4" },  { "dash", "video/mp4" },
        { "mmp4", "video/mp4" },  { "M4V ", "video/mp4" },  { "MSNV", "video/mp4" },
        { "M4A ", "audio/mp4" },  { "M4B ", "audio/mp4" },  { "qt  ", "video/quicktime" },
        { "3gp4", "video/3gpp" }, { "3gp5", "video/3gpp" }, { "3gp6", "video/3gpp" },
        { "3gp7", "video/3gpp" }, { "3ge6", "video/3gpp" }, { "3ge7", "video/3gpp" },
        { "3gg6", "video/3gpp" }, { "3gr6", "video/3gpp" }, { "3gs6", "video/3gpp" },
        { "heic", "image/heic" }, { "heix", "image/heic" }, { "avif", "image/avif" },
        { "avis", "image/avif" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_at(head, 8, rows[i].brand, 4))
            return rows[i].type;
    return is_at(head, 8, BYTES("mif1")) ? sniff_compatible(head) : unknown;
}

/* The first packet of an Ogg file names its codec; it begins after the page's table of lengths. */
static const char *sniff_ogg(struct cq_span head)
{
    size_t at = head.n > 26 ? 27 + (size_t)head.p[26] : head.n;

    if (is_at(head, at, BYTES("OpusHead")) || is_at(head, at, BYTES("\x01vorbis")) ||
        is_at(head, at, BYTES("Speex   ")) ||
        is_at(head, at,
              BYTES("\x7f"
                    "FLAC")))
        return "audio/ogg";
    return unknown;
}

/* The DocType stands among the first elements of a Matroska file, in any order. */
static const char *sniff_matroska(struct cq_span head)
{
    for (size_t at = 4; at < head.n; at++)
        if (is_at(head, at, BYTES("\x42\x82\x84webm")))
            return "video/webm";
    return unknown;
}

/* Length in bytes of the MPEG layer III frame at `at`; 0: there is none. */
static size_t mpeg_frame(struct cq_span head, size_t at)
{
    static const uint16_t rates[4] = { 44100, 48000, 32000, 0 };
    static const uint16_t kbits[2][16] = {
        { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0 },
        { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0 },
    };
    const uint8_t *p = head.p + at;
    size_t version, rate, kbit;

    if (at > head.n || head.n - at < 4 || p[0] != 0xff || (p[1] & 0xe6) != 0xe2)
        return 0;
    version = p[1] >> 3 & 3; /* 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5 */
    rate = rates[p[2] >> 2 & 3] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    kbit = kbits[version == 3][p[2] >> 4];
    if (version == 1 || !rate || !kbit)
        return 0;
    return (version == 3 ? 144000 : 72000) * kbit / rate + (p[2] >> 1 & 1);
}

/* The same for a frame of AAC in ADTS. */
static size_t adts_frame(struct cq_span head, size_t at)
{
    const uint8_t *p = head.p + at;
    size_t n;

    if (at > head.n || head.n - at < 7 || p[0] != 0xff || (p[1] & 0xf6) != 0xf0 ||
        (p[2] >> 2 & 15) > 12)
        return 0;
    n = (size_t)(p[3] & 3) << 11 | (size_t)p[4] << 3 | p[5] >> 5;
    return n >= 7 ? n : 0;
}

/* Two frames in a row; one is enough where the second would begin past what is looked at. */
static const char *sniff_mpeg(struct cq_span head)
{
    size_t n = adts_frame(head, 0);

    if (is_at(head, 0, BYTES("ID3")))
        return "audio/mpeg";
    if (n)
        return head.n < n + 7 || adts_frame(head, n) ? "audio/aac" : unknown;
    n = mpeg_frame(head, 0);
    return n && (head.n < n + 4 || mpeg_frame(head, n)) ? "audio/mpeg" : unknown;
}

/* ---- all ------------------------------------------------------------------------------ */

const char *sniff(struct cq_span head)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t n;
        const char *type; /* NULL: `further` decides */
        const char *(*further)(struct cq_span head);
    } rows[] = {
        { 0, BYTES("\xff\xd8\xff"), "image/jpeg", NULL },
        { 0, BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "image/png", NULL },
        { 0, BYTES("GIF87a"), "image/gif", NULL },
        { 0, BYTES("GIF89a"), "image/gif", NULL },
        { 8, BYTES("WEBPVP8"), "image/webp", NULL },
        { 8, BYTES("WAVE"), "audio/wav", NULL },
        { 0, BYTES("%PDF-"), "application/pdf", NULL },
        { 4, BYTES("ftyp"), NULL, sniff_brand },
        { 0, BYTES("fLaC"), "audio/flac", NULL },
        { 0, BYTES("OggS"), NULL, sniff_ogg },
        { 0, BYTES("\x1a\x45\xdf\xa3"), NULL, sniff_matroska },
        { 0, BYTES("ID3"), NULL, sniff_mpeg },
        { 0, BYTES("\xff"), NULL, sniff_mpeg },
    };

    if (head.n > SNIFF_BYTES)
        head.n = SNIFF_BYTES;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!is_at(head, rows[i].at, rows[i].bytes, rows[i].n) ||
            (rows[i].at == 8 && !is_at(head, 0, BYTES("RIFF"))))
            continue;
        return rows[i].type ? rows[i].type : rows[i].further(head);
    }
    return unknown;
}
