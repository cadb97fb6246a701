/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/chunks.h"
#include "edge/rest/server/framing.h"
#include "lib/base/status.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* The text in memory of exactly its length, so that a read past it is caught. */
static const char *fault(const char *text, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct request_head head;
    const char *why;

    memcpy(copy, text, n);
    why = framing_read(span_of(copy, n), &head);
    free(copy);
    return why;
}

#define LINE "POST /api/login HTTP/1.1\r\n"

TEST(plain_heads_pass)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        LINE "Host: x\r\nContent-Length: 2\r\n\r\n{}",
        LINE "hOsT: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        LINE "Host: x\r\nX-Empty:\r\nX_under~score: a b\r\n\r\n",
        /* a body may hold anything, also another head */
        LINE "Host: x\r\nContent-Length: 20\r\n\r\nHost: y\nHost: z\n\n  ..",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(fault(rows[i], strlen(rows[i])), NULL);
}

TEST(what_can_be_read_in_two_ways_is_refused)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { LINE "Host: x\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
          "Content-Length, Transfer-Encoding: one of them, once" },
        { LINE "Host: x\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n{}",
          "Content-Length, Transfer-Encoding: one of them, once" },
        { LINE "Host: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
          "Content-Length, Transfer-Encoding: one of them, once" },
        { LINE "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
          "Content-Length, Transfer-Encoding: one of them, once" },
        { LINE "Host: x\r\nHost: y\r\n\r\n", "Host: more than one" },
        { LINE "Content-Length: 0\r\n\r\n", "Host: required" },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
          "Transfer-Encoding: not in HTTP/1.0" },
        { LINE "Host: x\r\nX-A: 1\r\n more\r\n\r\n", "header: a folded line is not accepted" },
        { LINE "Host: x\r\nX-A: 1\r\n\tmore\r\n\r\n", "header: a folded line is not accepted" },
        { LINE "Host: x\r\nContent-Length : 2\r\n\r\n", "header: malformed name" },
        { LINE "Host: x\r\n: 2\r\n\r\n", "header: malformed name" },
        { LINE "Host: x\r\nno colon\r\n\r\n", "header: malformed name" },
        { "POST / HTTP/1.1\nHost: x\n\n", "each line of the head must end with CRLF" },
        { LINE "Host: x\nX: y\r\n\r\n", "each line of the head must end with CRLF" },
        { LINE "Host: x\rX: y\r\n\r\n", "each line of the head must end with CRLF" },
        { LINE "Host: x\r\n", "each line of the head must end with CRLF" },
        { LINE "Host: x\r", "each line of the head must end with CRLF" },
        { LINE "Host: x\r\nContent-Length: +2\r\n\r\n{}",
          "Content-Length: must be a number of at most 15 digits" },
        { LINE "Host: x\r\nContent-Length: 0x2\r\n\r\n{}",
          "Content-Length: must be a number of at most 15 digits" },
        { LINE "Host: x\r\nContent-Length: 2, 2\r\n\r\n{}",
          "Content-Length: must be a number of at most 15 digits" },
        { LINE "Host: x\r\nContent-Length:\r\n\r\n{}",
          "Content-Length: must be a number of at most 15 digits" },
        { LINE "Host: x\r\nContent-Length: 1234567890123456\r\n\r\n",
          "Content-Length: must be a number of at most 15 digits" },
        { LINE "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
          "Transfer-Encoding: only chunked is accepted" },
        { LINE "Host: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
          "Transfer-Encoding: only chunked is accepted" },
        { LINE "Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
          "Authorization: more than one" },
        { LINE "Host: x\r\nUpgrade: h2c\r\n\r\n", "Upgrade: only websocket is accepted" },
        { LINE "Host: x\r\nUpgrade: websocket, h2c\r\n\r\n",
          "Upgrade: only websocket is accepted" },
        { LINE "Host: x\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
          "HTTP2-Settings: HTTP/2 is not accepted" },
        { LINE "Host: x\r\nX: a\x01\r\n\r\n", "header: control character in a value" },
        { "PRI * HTTP/2.0\r\n\r\n", "malformed request line" },
        { "GET / HTTP/1.2\r\nHost: x\r\n\r\n", "malformed request line" },
        { "GET / HTTP/1.11\r\nHost: x\r\n\r\n", "malformed request line" },
        { "GET /\r\nHost: x\r\n\r\n", "malformed request line" },
        { "GET HTTP/1.1\r\nHost: x\r\n\r\n", "malformed request line" },
        { "GET  HTTP/1.1\r\nHost: x\r\n\r\n", "malformed request target" },
        { "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "malformed request target" },
        { "GET / x HTTP/1.1\r\nHost: x\r\n\r\n", "malformed request target" },
        { "GET /\t HTTP/1.1\r\nHost: x\r\n\r\n", "malformed request target" },
        { "G(T / HTTP/1.1\r\nHost: x\r\n\r\n", "malformed method" },
        { "GET /icon.svg%00.html HTTP/1.1\r\nHost: x\r\n\r\n", "NUL in the path" },
        { "GET / HTTP/1.1", "each line of the head must end with CRLF" },
        { "", "each line of the head must end with CRLF" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(fault(rows[i].text, strlen(rows[i].text)), rows[i].why);
}

TEST(every_cut_of_a_head_is_safe)
{
    static const char text[] = LINE "Host: x\r\nContent-Length: 2\r\n\r\n";

    for (size_t n = 0; n + 1 < sizeof text; n++)
        CHECK_STR(fault(text, n), "each line of the head must end with CRLF");
    CHECK_STR(fault(text, sizeof text - 1), NULL);
}

TEST(a_nul_in_a_name_is_no_token)
{
    static const char text[] = LINE "Host: x\r\nHo\0st: y\r\n\r\n";

    CHECK_STR(fault(text, sizeof text - 1), "header: malformed name");
}

TEST(a_head_is_taken_apart)
{
    static const char text[] = "\r\n" LINE "Host: x\r\nAuthorization: \tBearer abc \r\n"
                               "Origin: https://a.example\r\nExpect: 100-Continue\r\n"
                               "Content-Length: 12\r\n\r\n";
    struct request_head head;

    CHECK_STR(framing_read(span_str(text), &head), NULL);
    CHECK_SPAN(head.method, "POST");
    CHECK_SPAN(head.target, "/api/login");
    CHECK_SPAN(head.authorization, "Bearer abc");
    CHECK_SPAN(head.origin, "https://a.example");
    CHECK_EQ(head.n, sizeof text - 1);
    CHECK_EQ(head.body_n, 12);
    CHECK(!head.chunked && head.expects_continue);
    CHECK_STR(framing_read(span_str("GET /?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n"), &head), NULL);
    CHECK_STR(
        framing_read(span_str("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n\r\n"), &head),
        NULL);
}

TEST(the_end_of_a_head_is_found_wherever_it_is_cut)
{
    static const char text[] = "\r\n" LINE "Host: x\r\n\r\n";

    for (size_t n = 0; n + 1 < sizeof text; n++)
        for (size_t seen = 0; seen <= n; seen++) {
            CHECK_EQ(framing_scan(span_of(text, n), seen), HEAD_MORE);
            CHECK_EQ(framing_scan(span_of(text, sizeof text - 1), seen), HEAD_WHOLE);
        }
    CHECK_EQ(framing_scan(span_str("GET / HTTP/1.1\n"), 0), HEAD_BAD);
    CHECK_EQ(framing_scan(span_str("GET / HTTP/1.1\r\nHost: x\n"), 16), HEAD_BAD);
    CHECK_EQ(framing_scan(span_str("\n"), 0), HEAD_BAD);
    CHECK_EQ(framing_scan(span_str("\r\n\r\n"), 0), HEAD_BAD);
}

/* ---- chunks --------------------------------------------------------------------------- */

/* The state after all of `text`, which is fed in pieces of `piece` bytes; *ret_used as
 * chunks_feed() counts. */
static struct chunks feed(const char *text, size_t piece, size_t *ret_used)
{
    struct cq_span rest = span_str(text);
    struct chunks chunks = { 0 };

    *ret_used = 0;
    while (rest.n) {
        size_t n = rest.n < piece ? rest.n : piece;

        *ret_used += chunks_feed(&chunks, span_of(rest.p, n));
        rest = span_of(rest.p + n, rest.n - n);
    }
    return chunks;
}

TEST(chunks_are_followed_to_their_end)
{
    static const struct {
        const char *text;
        size_t used, body_n;
    } rows[] = {
        { "0\r\n\r\n", 5, 0 },
        { "2\r\n{}\r\n0\r\n\r\n", 12, 2 },
        { "000A\r\n0123456789\r\n1\r\n\r\r\n0\r\n\r\nGET / HTTP/1.1", 29, 11 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            size_t used;
            struct chunks chunks = feed(rows[i].text, piece, &used);

            CHECK_EQ_ROW(rows[i].text, chunks.state, CHUNKS_DONE);
            CHECK_EQ_ROW(rows[i].text, used, rows[i].used);
            CHECK_EQ_ROW(rows[i].text, chunks.body_n, rows[i].body_n);
        }
}

TEST(lenient_chunks_are_refused)
{
    static const char *const rows[] = {
        "\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\r\n0\n\n",
        "2\r\n{}\r\n0\r\n\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}",
        " 2\r\n{}",
        "2 \r\n{}",
        "2;a=b\r\n{}",
        "-1\r\n",
        "g\r\n",
        "2\r\n{}}\r\n0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "123456789\r\n",
        "2\r\r\n{}",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t piece = 1; piece < 20; piece++) {
            size_t used;

            CHECK_EQ_ROW(rows[i], feed(rows[i], piece, &used).state, CHUNKS_BAD);
        }
}
