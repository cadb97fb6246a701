/* SPDX-License-Identifier: MIT */
#include "lib/base/address.h"
#include "lib/base/proxy_header.h"
#include "tests/unit/test.h"

#include <stdlib.h>

static struct cq_address address(const char *text)
{
    struct cq_address parsed = { { 0 } };

    if (!address_parse(span_str(text), &parsed))
        fprintf(stderr, "no address: %s\n", text);
    return parsed;
}

TEST(addresses_are_parsed_strictly)
{
    static const char *const bad[] = {
        "",    "1.2.3",     "1.2.3.4.5", "01.2.3.4",   "256.1.1.1", "1.2.3.4 ",          " 1.2.3.4",
        "::g", "1.2.3.4/8", "[::1]",     "1.2.3.4:80", "localhost", "1:2:3:4:5:6:7:8:9", "1.2.3.4\n"
    };
    struct cq_address parsed;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ_ROW(bad[i], address_parse(span_str(bad[i]), &parsed), false);
    CHECK(!address_parse(span_of("1.2.3.4\0", 8), &parsed));
    CHECK(address_eq(address("1.2.3.4"), address("::ffff:1.2.3.4")));
    CHECK(!address_eq(address("::1"), address("127.0.0.1")));
}

TEST(ranges_hold_what_they_say)
{
    static const struct {
        const char *list, *address;
        bool in;
    } rows[] = {
        { "", "127.0.0.1", false },
        { "127.0.0.1", "127.0.0.1", true },
        { "127.0.0.1", "127.0.0.2", false },
        { "10.0.0.0/8, 192.168.0.0/16", "10.255.0.1", true },
        { "10.0.0.0/8, 192.168.0.0/16", "192.168.7.1", true },
        { "10.0.0.0/8, 192.168.0.0/16", "11.0.0.1", false },
        { "10.1.2.128/25", "10.1.2.129", true },
        { "10.1.2.128/25", "10.1.2.127", false },
        { "0.0.0.0/0", "8.8.8.8", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "2001:db8::/32", "2001:db8:1::1", true },
        { "2001:db8::/32", "2001:db9::1", false },
        { "::/0", "2001:db9::1", true },
        { "::1", "::1", true },
    };
    struct address_ranges ranges;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK(address_ranges_parse(rows[i].list, &ranges));
        CHECK_EQ_ROW(rows[i].list, address_is_in(&ranges, address(rows[i].address)), rows[i].in);
    }
}

TEST(wrong_ranges_are_refused)
{
    static const char *const bad[] = { "10.0.0.0/33", "::/129", "10.0.0.0/",     "10.0.0.0/-1",
                                       "10.0.0.0/1x", "nobody", "10.0.0.1,,::1", "10.0.0.1 ::1" };
    struct address_ranges ranges;
    char many[ADDRESS_RANGES_MAX * 8 + 8];
    int n = 0;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ_ROW(bad[i], address_ranges_parse(bad[i], &ranges), false);
    for (int i = 0; i < ADDRESS_RANGES_MAX; i++)
        n += snprintf(many + n, sizeof many - (size_t)n, "1.1.1.1,");
    CHECK(address_ranges_parse(many, &ranges));
    snprintf(many + n, sizeof many - (size_t)n, "1.1.1.1");
    CHECK(!address_ranges_parse(many, &ranges));
}

TEST(the_right_most_untrusted_address_is_the_client)
{
    static const struct {
        const char *peer, *lists[2], *want;
    } rows[] = {
        { "203.0.113.9", { "1.1.1.1", NULL }, "203.0.113.9" }, /* nobody believes a stranger */
        { "10.0.0.1", { NULL, NULL }, "10.0.0.1" },
        { "10.0.0.1", { "203.0.113.7", NULL }, "203.0.113.7" },
        { "10.0.0.1", { "1.1.1.1, 203.0.113.7", NULL }, "203.0.113.7" },
        { "10.0.0.1", { "1.1.1.1, 203.0.113.7, 10.0.0.2", NULL }, "203.0.113.7" },
        { "10.0.0.1", { "1.1.1.1", "203.0.113.7,10.0.0.2" }, "203.0.113.7" },
        { "10.0.0.1", { "10.0.0.3 ,\t10.0.0.2", NULL }, "10.0.0.3" },
        { "10.0.0.1", { "203.0.113.7:4711", NULL }, "203.0.113.7" },
        { "10.0.0.1", { "[2001:db8::7]:4711", NULL }, "2001:db8::7" },
        { "10.0.0.1", { "2001:db8::7", NULL }, "2001:db8::7" },
        { "10.0.0.1", { "203.0.113.7, unknown", NULL }, "10.0.0.1" },
        { "10.0.0.1", { "203.0.113.7, ", NULL }, "10.0.0.1" },
        { "10.0.0.1", { "203.0.113.7, [", NULL }, "10.0.0.1" },
    };
    struct address_ranges trusted;

    CHECK(address_ranges_parse("10.0.0.0/24", &trusted));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cq_span lists[2];
        size_t n = 0;

        while (n < 2 && rows[i].lists[n]) {
            lists[n] = span_str(rows[i].lists[n]);
            n++;
        }
        CHECK_EQ_ROW(rows[i].lists[0] ? rows[i].lists[0] : "none",
                     address_eq(address_forwarded(&trusted, address(rows[i].peer), lists, n),
                                address(rows[i].want)),
                     true);
    }
}

TEST(a_network_says_little_of_an_address)
{
    static const struct {
        const char *address, *want;
    } rows[] = {
        { "203.0.113.7", "203.0.0.0/16" },
        { "::ffff:203.0.113.7", "203.0.0.0/16" },
        { "2001:db8:1:2:3:4:5:6", "2001:db8::/32" },
        { "ffff:ffff:ffff::1", "ffff:ffff::/32" },
        { "::1", "::/32" },
    };
    char network[ADDRESS_NETWORK_MAX];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        address_network(address(rows[i].address), network);
        CHECK_STR(network, rows[i].want);
    }
}

TEST(a_household_is_one_key)
{
    CHECK(id_eq(address_key(address("2001:db8::1")), address_key(address("2001:db8::2:1"))));
    CHECK(!id_eq(address_key(address("2001:db8::1")), address_key(address("2001:db8:0:1::1"))));
    CHECK(!id_eq(address_key(address("1.2.3.4")), address_key(address("1.2.3.5"))));
}

/* ---- the PROXY protocol --------------------------------------------------------------- */

/* In memory of exactly its length, so that a read past it is caught. */
static enum proxy_read read_header(const void *raw, size_t n, size_t *ret_n, bool *ret_known,
                                   struct cq_address *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    enum proxy_read got;

    memcpy(copy, raw, n);
    got = proxy_header_read(span_of(copy, n), ret_n, ret_known, ret);
    free(copy);
    return got;
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V2_V4 V2 "\x21\x11\0\x0C\xCB\0\x71\x07\x0A\0\0\1\x12\x34\0\x50"
#define V2_V6                                                                               \
    V2 "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\x01\x0d\xb8\0\0\0\0\0\0" \
       "\0\0\0\0\0\1\x12\x34\0\x50"
#define ROW(text) text, sizeof(text) - 1

TEST(proxy_headers_name_the_client)
{
    static const struct {
        const char *raw;
        size_t n;
        const char *want; /* NULL: nobody */
    } rows[] = {
        { ROW("PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\r\n"), "203.0.113.7" },
        { ROW("PROXY TCP6 2001:db8::7 2001:db8::1 4660 80\r\n"), "2001:db8::7" },
        { ROW("PROXY UNKNOWN\r\n"), NULL },
        { ROW("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), NULL },
        { ROW(V2_V4), "203.0.113.7" },
        { ROW(V2_V6), "2001:db8::7" },
        { ROW(V2 "\x20\0\0\0"), NULL },
        { ROW(V2 "\x21\0\0\3abc"), NULL },
        { ROW(V2 "\x21\x31\0\4path"), NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cq_address got = { { 0 } };
        bool known;
        size_t n;

        CHECK_EQ(read_header(rows[i].raw, rows[i].n, &n, &known, &got), PROXY_DONE);
        CHECK_EQ(n, rows[i].n);
        CHECK_EQ(known, rows[i].want != NULL);
        CHECK(!known || address_eq(got, address(rows[i].want)));
        for (size_t cut = 0; cut < rows[i].n; cut++)
            CHECK_EQ(read_header(rows[i].raw, cut, &n, &known, &got), PROXY_MORE);
    }
}

TEST(what_is_no_proxy_header_is_bad)
{
    static const struct {
        const char *raw;
        size_t n;
    } rows[] = {
        { ROW("GET / HTTP/1.1\r\n") },
        { ROW("PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\n") },
        { ROW("PROXY TCP4 203.0.113.7 10.0.0.1 4660\r\n") },
        { ROW("PROXY TCP4 203.0.113.7 10.0.0.1 4660 80 \r\n\r\n x\r\n") },
        { ROW("PROXY TCP4  203.0.113.7 10.0.0.1 4660 80\r\n") },
        { ROW("PROXY TCP4 203.0.113.7 10.0.0.1 4660 65536\r\n") },
        { ROW("PROXY TCP4 2001:db8::7 2001:db8::1 4660 80\r\n") },
        { ROW("PROXY TCP6 203.0.113.7 10.0.0.1 4660 80\r\n") },
        { ROW("PROXY SCTP 203.0.113.7 10.0.0.1 4660 80\r\n") },
        { ROW("PROXY \r\n") },
        { ROW("PROXY\r\n") },
        { ROW(V2 "\x22\x11\0\x0C............") },
        { ROW(V2 "\x11\x11\0\x0C............") },
        { ROW(V2 "\x21\x11\0\x0B...........") },
        { ROW(V2 "\x21\x21\0\x23...................................") },
        { ROW(V2 "\x21\x11\4\1") }, /* longer than PROXY_HEADER_MAX */
    };
    char line[108];
    struct cq_address got;
    bool known;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].raw, read_header(rows[i].raw, rows[i].n, &n, &known, &got), PROXY_BAD);
    memset(line, '1', sizeof line);
    memcpy(line, "PROXY ", 6);
    CHECK_EQ(read_header(line, 106, &n, &known, &got), PROXY_MORE);
    CHECK_EQ(read_header(line, 107, &n, &known, &got), PROXY_BAD);
}
