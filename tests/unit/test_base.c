/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/log.h"

#include <string.h>
#include <unistd.h>

TEST(sha256_and_hmac_are_those_of_the_standards)
{
    char hex[65];
    uint8_t out[32];
    struct cq_span abc[] = { span_str("a"), span_str("bc") };
    struct cq_span data = span_str("what do ya want for nothing?");

    sha256(abc, 2, out); /* FIPS 180-4, example "abc" */
    hex_format(out, 32, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256(NULL, 0, out);
    hex_format(out, 32, hex);
    CHECK_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hmac_sha256(span_str("Jefe"), &data, 1, out); /* RFC 4231, case 2 */
    hex_format(out, 32, hex);
    CHECK_STR(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(hmac_hashes_a_long_key_first)
{
    char hex[65];
    uint8_t key[131], out[32];
    struct cq_span data = span_str("Test Using Larger Than Block-Size Key - Hash Key First");

    memset(key, 0xaa, sizeof key);
    hmac_sha256(span_of(key, sizeof key), &data, 1, out); /* RFC 4231, case 6 */
    hex_format(out, 32, hex);
    CHECK_STR(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(murmur2_is_the_one_of_kafka)
{
    /* from Kafka's own UtilsTest; toPositive clears the sign */
    static const struct {
        const char *key;
        int32_t hash;
    } rows[] = {
        { "21", -973932308 },
        { "foobar", -790332482 },
        { "a-little-bit-long-string", -985981536 },
        { "a-little-bit-longer-string", -1486304829 },
        { "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
        { "abc", 479470107 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(murmur2_positive(rows[i].key, strlen(rows[i].key)),
                 (uint32_t)rows[i].hash & 0x7fffffffu);
}

TEST(ids_read_what_they_write)
{
    struct cq_id id = id_random(), back;

    CHECK(id_parse(span_str(id_text(id).s), &back));
    CHECK(id_eq(id, back));
    CHECK_EQ(id.b[6] >> 4, 4);
    CHECK_EQ(id.b[8] >> 6, 2);
    CHECK(!id_parse(span_str("00000000-0000-0000-0000-00000000000"), &back));
    CHECK(!id_parse(span_str("00000000-0000-0000-0000-0000000000000"), &back));
    CHECK(!id_parse(span_str("0000000000000-0000-0000-0000-0000000"), &back));
    CHECK(!id_parse(span_str("0000000g-0000-0000-0000-000000000000"), &back));
}

TEST(derived_ids_tell_how_bytes_are_parted)
{
    struct cq_span ab_c[] = { span_str("ab"), span_str("c") };
    struct cq_span a_bc[] = { span_str("a"), span_str("bc") };
    struct cq_id one = id_derive("x", ab_c, 2);

    CHECK(id_eq(one, id_derive("x", ab_c, 2)));
    CHECK(!id_eq(one, id_derive("x", a_bc, 2)));
    CHECK(!id_eq(one, id_derive("y", ab_c, 2)));
    CHECK_EQ(one.b[6] >> 4, 8);
}

TEST(ids_are_kept_once_and_in_order)
{
    struct cq_id ids[] = { { { 2 } }, { { 1 } }, { { 2 } }, { { 3 } }, { { 1 } } };

    CHECK_EQ(id_distinct(ids, ARRAY_LEN(ids)), 3);
    CHECK_EQ(ids[0].b[0], 2);
    CHECK_EQ(ids[1].b[0], 1);
    CHECK_EQ(ids[2].b[0], 3);
    CHECK_EQ(id_distinct(ids, 1), 1);
    CHECK_EQ(id_distinct(NULL, 0), 0);
}

TEST(base64url_is_that_of_rfc_4648)
{
    static const char *const rows[][2] = { { "", "" },           { "f", "Zg" },
                                           { "fo", "Zm8" },      { "foo", "Zm9v" },
                                           { "foob", "Zm9vYg" }, { "foobar", "Zm9vYmFy" } };
    char text[16];
    uint8_t back[16];
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        base64url_format(rows[i][0], strlen(rows[i][0]), text);
        CHECK_STR(text, rows[i][1]);
        CHECK(base64url_parse(span_str(text), back, sizeof back, &n));
        CHECK_EQ(n, strlen(rows[i][0]));
        CHECK(memcmp(back, rows[i][0], n) == 0);
    }
    CHECK(!base64url_parse(span_str("Zg=="), back, sizeof back, &n));
    CHECK(!base64url_parse(span_str("Zh"), back, sizeof back, &n)); /* stray bits */
    CHECK(!base64url_parse(span_str("Z"), back, sizeof back, &n));
    CHECK(!base64url_parse(span_str("Zm9vYmFy"), back, 5, &n));
}

TEST(utf8_is_checked_as_rfc_3629_says)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        { "plain", true },
        { "gr\xc3\xbc\xc3\x9f", true },
        { "\xe2\x82\xac", true },
        { "\xf0\x9f\x98\x80", true },
        { "\xc0\x80", false },
        { "\xed\xa0\x80", false },
        { "\xf4\x90\x80\x80", false },
        { "\xe2\x82", false },
        { "\x80", false },
        { "\xe0\x80\x80", false },
        { "\xf0\x80\x80\x80", false },
        { "eight ok\xff", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(span_is_utf8(span_str(rows[i].text)), rows[i].good);
    CHECK_EQ(span_code_points(span_str("gr\xc3\xbc\xc3\x9f")), 4u);
}

TEST(digits_are_taken_up_to_their_end)
{
    static const char *const refused[] = { "", "12", ".5", "1a.5", "-1.5", "1234.5" };
    struct cq_span text = span_str("12.034.rest");
    int64_t value = -1;

    CHECK(span_take_digits(&text, '.', 3, &value));
    CHECK_EQ(value, 12);
    CHECK(span_take_digits(&text, '.', 3, &value));
    CHECK_EQ(value, 34);
    CHECK_SPAN(text, "rest");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        text = span_str(refused[i]);
        CHECK(!span_take_digits(&text, '.', 3, &value));
        CHECK_SPAN(text, refused[i]);
        CHECK_EQ(value, 34);
    }
}

TEST(buffers_stop_at_their_maximum)
{
    struct cq_buf buf;

    buf_init(&buf, 10);
    buf_add_str(&buf, "12345");
    buf_add_i64(&buf, INT64_MIN); /* 20 characters */
    CHECK(buf.failed);
    CHECK_EQ(buf.n, 5u);
    buf_add_str(&buf, "6"); /* once failed nothing more is added */
    CHECK_EQ(buf.n, 5u);
    buf_clear(&buf);
    buf_add_i64(&buf, -42);
    CHECK(!buf.failed);
    CHECK_EQ(buf.n, 3u);
    CHECK(memcmp(buf.p, "-42", 3) == 0);
    buf_release(&buf);
}

static void use(struct cq_arena *arena, size_t bytes)
{
    arena_reset(arena);
    for (size_t n = 0; n < bytes; n += 1000)
        CHECK(arena_alloc(arena, 1000) != NULL);
}

/* With address sanitizer nothing is kept at all, which is no less. */
TEST(an_arena_gives_back_what_it_once_needed)
{
    enum { MIB = 1024 * 1024 };
    struct cq_arena *arena = arena_new(64 * MIB);

    use(arena, 40 * MIB);
    CHECK(arena_held(arena) >= 40 * MIB);
    for (int i = 0; i < 8; i++) {
        use(arena, MIB / 2);
        use(arena, 40 * MIB);
    }
    CHECK(arena_held(arena) >= 40 * MIB); /* now and then is no reason to give it back */
    for (int i = 0; i < 400; i++)
        use(arena, MIB / 2);
    CHECK(arena_held(arena) <= 4 * MIB);
    CHECK(arena_held(arena) >= MIB / 2);
    arena_free(arena);
}

TEST(arenas_stop_at_their_maximum_and_start_again)
{
    struct cq_arena *arena = arena_new(1000);

    CHECK(arena_alloc(arena, 600) != NULL);
    CHECK(arena_alloc(arena, 600) == NULL);
    CHECK(arena_alloc(arena, SIZE_MAX) == NULL);
    arena_reset(arena);
    uint8_t *p = arena_alloc(arena, 900);
    CHECK(p != NULL);
    for (int i = 0; p && i < 900; i++)
        CHECK_EQ(p[i], 0);
    arena_free(arena);
}

TEST(backoff_stays_in_its_bounds)
{
    for (int attempt = 0; attempt < 70; attempt++) {
        int64_t ms = backoff_ms(attempt, 10, 1000);

        CHECK(ms >= 1);
        CHECK(ms <= 1000);
        if (attempt == 0)
            CHECK(ms <= 10);
    }
}

/* What log_ended() writes, read back from where standard error went meanwhile. */
static void ended_line(const char *why, char *ret, size_t cap)
{
    int ends[2], kept = dup(STDERR_FILENO);
    ssize_t n;

    CHECK_EQ(pipe(ends), 0);
    CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
    log_debug("commit_failed");
    log_ended("fatal", why);
    CHECK(dup2(kept, STDERR_FILENO) >= 0);
    n = read(ends[0], ret, cap - 1);
    ret[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    close(kept);
}

TEST(no_role_ends_without_a_reason)
{
    char line[512];

    ended_line("the producer ended", line, sizeof line);
    CHECK(strstr(line, "\"event\":\"ended\",\"status\":\"fatal\",\"why\":\"the producer ended\""));
    ended_line("", line, sizeof line);
    CHECK(strstr(line, "\"why\":\"no reason was given; noted last: commit_failed\""));
}

TEST(lists_are_cut_at_commas)
{
    struct cq_span list = span_str(" a,b\t, c d ,,e,"), item;
    const char *want[] = { "a", "b", "c d", "", "e" };

    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK(span_next_item(&list, &item));
        CHECK_SPAN(item, want[i]);
    }
    CHECK(!span_next_item(&list, &item));
    list = span_of(NULL, 0);
    CHECK(!span_next_item(&list, &item));
    CHECK_EQ(span_trim(span_str(" \t ")).n, 0);
}

TEST(numbers_are_written_to_their_ends)
{
    static const struct {
        int64_t value;
        const char *text;
    } rows[] = {
        { 0, "0" },
        { 7, "7" },
        { -1, "-1" },
        { 1000, "1000" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    char room[SPAN_NUMBER_MAX];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_SPAN(span_number(rows[i].value, room), rows[i].text);
}
