/* SPDX-License-Identifier: MIT */
/*
 * The folder as a store, signatures of S3, digests that are kept, and what bytes are.
 */
#include "lib/base/hash.h"
#include "lib/store/sigv4.h"
#include "lib/store/sniff.h"
#include "lib/store/store.h"

#include "test.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static struct store *open_folder(void)
{
    struct store_conf conf = { .access_key = "", .secret_key = "", .region = "", .public_url = "" };
    char where[96];
    struct store *store = NULL;

    snprintf(folder, sizeof folder, "/tmp/store-XXXXXX");
    if (!mkdtemp(folder))
        return NULL;
    snprintf(where, sizeof where, "local:%s", folder);
    conf.where = where;
    return store_new(&conf, &store) == CQ_OK && store_prepare(store) == CQ_OK ? store : NULL;
}

static int forget(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void done(struct store *store)
{
    store_free(store);
    CHECK_EQ(nftw(folder, forget, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static bool add(void *arg, struct cq_span bytes)
{
    buf_add_span(arg, bytes);
    return true;
}

TEST(an_object_grows_and_is_whole_at_once)
{
    struct store *store = open_folder();
    struct cq_buf memo, got;
    struct cq_span whole = span_str("hello there");
    struct sha256_state at_0, at_6, hash;
    uint8_t want[32], have[32];
    int64_t size = 0;

    buf_init(&memo, 1024);
    buf_init(&got, 1024);
    sha256(&whole, 1, want);
    sha256_begin(&at_0);
    CHECK(store != NULL);
    at_6 = at_0;
    CHECK_EQ(store_grow(store, "media/ab/one", &memo, 0, span_str("hello "), false, "x/y", &at_6),
             CQ_OK);
    CHECK_EQ(store_size(store, "media/ab/one", &size), CQ_POISON); /* not before it is whole */
    CHECK_EQ(store_fault(store), STORE_MISSING);
    /* the same piece again, as after a lost answer, changes nothing */
    hash = at_6;
    CHECK_EQ(store_grow(store, "media/ab/one", &memo, 6, span_str("thern"), false, "x/y", &hash),
             CQ_OK);
    for (int i = 0; i < 2; i++) {
        hash = at_6;
        CHECK_EQ(store_grow(store, "media/ab/one", &memo, 6, span_str("there"), true, "x/y", &hash),
                 CQ_OK);
        sha256_end(&hash, have);
        CHECK(memcmp(have, want, sizeof want) == 0);
    }
    CHECK_EQ(store_size(store, "media/ab/one", &size), CQ_OK);
    CHECK_EQ(size, 11);
    CHECK_EQ(store_read(store, "media/ab/one", 4, 100, &got), CQ_OK);
    CHECK_SPAN(buf_span(&got), "o there");
    buf_clear(&got);
    CHECK_EQ(store_stream(store, "media/ab/one", add, &got), CQ_OK);
    CHECK_SPAN(buf_span(&got), "hello there");
    /* pieces of which the earlier ones are gone */
    CHECK_EQ(store_grow(store, "media/ab/two", &memo, 5, span_str("x"), false, "x/y", &at_0),
             CQ_POISON);
    CHECK_EQ(store_fault(store), STORE_WRONG);
    CHECK_EQ(store_delete(store, "media/ab/one"), CQ_OK);
    CHECK_EQ(store_delete(store, "media/ab/one"), CQ_OK);
    CHECK_EQ(store_put(store, "t/a", "image/jpeg", span_str("1")), CQ_OK);
    CHECK_EQ(store_put(store, "t/a", "image/jpeg", span_str("22")), CQ_OK);
    CHECK_EQ(store_size(store, "t/a", &size), CQ_OK);
    CHECK_EQ(size, 2);
    CHECK(!store_has_links(store));
    buf_release(&memo);
    buf_release(&got);
    done(store);
}

TEST(no_key_leads_out)
{
    static const char *const keys[] = { "../x", "/etc/passwd", "a/../../x", "a//b",      "",
                                        "A",    "a.b",         "a\nb",      "media/link" };
    struct store *store = open_folder();
    char path[96];
    struct cq_buf got;

    buf_init(&got, 1024);
    CHECK(store != NULL);
    CHECK_EQ(store_put(store, "media/x", "a/b", span_str("1")), CQ_OK);
    snprintf(path, sizeof path, "%s/media/link", folder);
    CHECK_EQ(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/out", folder);
    CHECK_EQ(symlink("/tmp", path), 0);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        CHECK(store_read(store, keys[i], 0, 10, &got) != CQ_OK);
    CHECK(store_put(store, "out/file-of-a-test", "a/b", span_str("1")) != CQ_OK);
    CHECK(access("/tmp/file-of-a-test", F_OK) != 0);
    CHECK_EQ(got.n, 0);
    buf_release(&got);
    done(store);
}

TEST(stores_that_cannot_be)
{
    static const char *const rows[] = { "",
                                        "local:/nowhere/at/all",
                                        "s3:",
                                        "s3:http://host",
                                        "s3:ftp://host/b",
                                        "s3:http://host/b/c",
                                        "s3:http:///b",
                                        "ftp:x" };
    struct store_conf conf = {
        .access_key = "a", .secret_key = "b", .region = "r", .public_url = ""
    };
    struct store *store = NULL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf.where = rows[i];
        CHECK_EQ_ROW(rows[i], store_new(&conf, &store), CQ_POISON);
    }
    conf.where = "s3:http://127.0.0.1:9/bucket";
    conf.secret_key = "";
    CHECK_EQ(store_new(&conf, &store), CQ_POISON);
    CHECK(store == NULL);
}

/* The example of the S3 documentation, "Authenticating Requests: Using Query Parameters". */
TEST(a_link_as_documented)
{
    struct sigv4 sign = { .access_key = "AKIAIOSFODNN7EXAMPLE",
                          .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                          .region = "us-east-1",
                          .method = "GET",
                          .host = "examplebucket.s3.amazonaws.com",
                          .path = "/test.txt",
                          .now_s = 1369353600 };
    struct cq_buf out;

    buf_init(&out, 2048);
    CHECK(sigv4_query(&sign, 86400, &out));
    CHECK_SPAN(buf_span(&out),
               "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
               "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
               "&X-Amz-SignedHeaders=host&X-Amz-Signature="
               "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    buf_release(&out);
}

TEST(a_digest_that_is_kept)
{
    uint8_t all[32], parts[32], bytes[777];
    struct sha256_state hash, kept;
    struct cq_span one = span_of(bytes, sizeof bytes);

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    sha256(&one, 1, all);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 37) {
        sha256_begin(&hash);
        sha256_more(&hash, span_of(bytes, cut));
        memcpy(&kept, &hash, sizeof kept); /* through a table and back */
        sha256_more(&kept, span_of(bytes + cut, sizeof bytes - cut));
        sha256_end(&kept, parts);
        CHECK(memcmp(all, parts, 32) == 0);
    }
    memset(&kept, 0xff, sizeof kept); /* rubbish from a table does no harm */
    sha256_more(&kept, one);
    sha256_end(&kept, parts);
    CHECK(memcmp(all, parts, 32) != 0);
}

TEST(base64_of_others)
{
    static const struct {
        const char *text, *want;
    } rows[] = { { "aGk=", "hi" }, { "aGkh", "hi!" }, { "Pz8/", "???" }, { "aGk", NULL },
                 { "", NULL },     { "Pz8_", NULL },  { "a===", NULL },  { "a b=", NULL } };
    uint8_t out[16];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = 0;
        bool good = base64_parse(span_str(rows[i].text), out, sizeof out, &n);

        CHECK_EQ_ROW(rows[i].text, good, rows[i].want != NULL);
        if (good)
            CHECK(span_eq_str(span_of(out, n), rows[i].want));
    }
}

#define HEAD(s) s, sizeof(s) - 1

TEST(bytes_say_what_they_are)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *want;
    } rows[] = {
        { HEAD("\xff\xd8\xff\xe0"), "image/jpeg" },
        { HEAD("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1"), "image/png" },
        { HEAD("\x89PNG\r\n\x1a\n"), "application/octet-stream" },
        { HEAD("GIF87a"), "image/gif" },
        { HEAD("GIF89a"), "image/gif" },
        { HEAD("GIF90a"), "application/octet-stream" },
        { HEAD("RIFF\1\0\0\0WEBPVP8X"), "image/webp" },
        { HEAD("RIFF\1\0\0\0WAVEfmt "), "audio/wav" },
        { HEAD("RIFX\1\0\0\0WAVEfmt "), "application/octet-stream" },
        { HEAD("\0\0\0\x20"
               "ftypisom"),
          "video/mp4" },
        { HEAD("\0\0\0\x20"
               "ftypmp42"),
          "video/mp4" },
        { HEAD("\0\0\0\x20"
               "ftypM4A "),
          "audio/mp4" },
        { HEAD("\0\0\0\x20"
               "ftypheic"),
          "image/heic" },
        { HEAD("\0\0\0\x20"
               "ftypavif"),
          "image/avif" },
        { HEAD("\0\0\0\x1c"
               "ftypmif1\0\0\0\0miafheicmif1"),
          "image/heic" },
        { HEAD("\0\0\0\x18"
               "ftypmif1\0\0\0\0miafmif1heic"), /* behind the list */
          "application/octet-stream" },
        { HEAD("\xff\xff\xff\xff"
               "ftypmif1\0\0\0\0mif1avi"), /* cut */
          "application/octet-stream" },
        { HEAD("\0\0\0\x14"
               "ftypqt  "),
          "video/quicktime" },
        { HEAD("\0\0\0\x14"
               "ftyp3gp5"),
          "video/3gpp" },
        { HEAD("fLaC\0\0\0\x22"), "audio/flac" },
        { HEAD("\xff\xf1\x50\x80\x19\x1f\xfc"), "audio/aac" },
        { HEAD("\xff\xf1\x50\x80\0\x1f\xfc"), "application/octet-stream" },   /* a frame of 0 */
        { HEAD("\xff\xf1\x7c\x80\x19\x1f\xfc"), "application/octet-stream" }, /* no such rate */
        { HEAD("\0\0\0\x20"
               "ftyp"),
          "application/octet-stream" },
        { HEAD("\x1a\x45\xdf\xa3\x8b\x42\x82\x84webm\x42\x87\x81\4"), "video/webm" },
        { HEAD("\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska"), "application/octet-stream" },
        { HEAD("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x13OpusHead"), "audio/ogg" },
        { HEAD("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x1e\1vorbis"), "audio/ogg" },
        { HEAD("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x1e\x80theora"),
          "application/octet-stream" },
        { HEAD("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff"),
          "application/octet-stream" },
        { HEAD("ID3\4\0\0"), "audio/mpeg" },
        { HEAD("\xff\xfb\x90\0"), "audio/mpeg" },               /* MPEG 1, 128 kbit/s, 44,100 Hz */
        { HEAD("\xff\xfb\xf0\0"), "application/octet-stream" }, /* no such bit rate */
        { HEAD("\xff\xeb\x90\0"), "application/octet-stream" }, /* no such version */
        { HEAD("%PDF-1.7"), "application/pdf" },
        { HEAD("<!doctype html><html>"), "application/octet-stream" },
        { HEAD("<svg xmlns='http://www.w3.org/2000/svg'>"), "application/octet-stream" },
        { HEAD("\0\1\2\3"), "application/octet-stream" },
        { HEAD(""), "application/octet-stream" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_STR(sniff(span_of(rows[i].bytes, rows[i].n)), rows[i].want);
}

/* The second frame has to be there; where the first is longer than what is looked at, it need
 * not. */
TEST(one_frame_is_no_mp3)
{
    static uint8_t bytes[SNIFF_BYTES + 1000] = { 0xff, 0xfb, 0x90, 0x00 };

    CHECK_STR(sniff(span_of(bytes, 420)), "audio/mpeg");
    CHECK_STR(sniff(span_of(bytes, sizeof bytes)), "application/octet-stream");
    memcpy(bytes + 417, bytes, 4);
    CHECK_STR(sniff(span_of(bytes, sizeof bytes)), "audio/mpeg");
}

TEST(one_frame_is_no_aac)
{
    static uint8_t bytes[1000] = { 0xff, 0xf1, 0x50, 0x80, 0x19, 0x1f, 0xfc }; /* of 200 bytes */

    CHECK_STR(sniff(span_of(bytes, 206)), "audio/aac");
    CHECK_STR(sniff(span_of(bytes, sizeof bytes)), "application/octet-stream");
    memcpy(bytes + 200, bytes, 7);
    CHECK_STR(sniff(span_of(bytes, sizeof bytes)), "audio/aac");
}

/* Nothing behind the bound is looked at. */
TEST(what_stands_far_inside_is_not_seen)
{
    static uint8_t bytes[SNIFF_BYTES + 7];

    memcpy(bytes, "\x1a\x45\xdf\xa3", 4);
    memcpy(bytes + SNIFF_BYTES - 7, "\x42\x82\x84webm", 7);
    CHECK_STR(sniff(span_of(bytes, sizeof bytes)), "video/webm");
    memset(bytes + SNIFF_BYTES - 7, 0, 7);
    memcpy(bytes + SNIFF_BYTES - 6, "\x42\x82\x84webm", 7);
    CHECK_STR(sniff(span_of(bytes, sizeof bytes)), "application/octet-stream");
}
