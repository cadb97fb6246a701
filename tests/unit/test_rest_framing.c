/* SPDX-License-Identifier: MIT */
#include "edge/rest/framing.h"
#include "lib/base/status.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* The text in memory of exactly its length, so that a read past it is caught. */
static const char *fault(const char *text, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    const char *why;

    memcpy(copy, text, n);
    why = framing_fault(span_of(copy, n));
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
          "length given more than once" },
        { LINE "Host: x\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n{}",
          "length given more than once" },
        { LINE "Host: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
          "length given more than once" },
        { LINE "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
          "length given more than once" },
        { LINE "Host: x\r\nHost: y\r\n\r\n", "more than one Host" },
        { LINE "Content-Length: 0\r\n\r\n", "no Host" },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
          "Transfer-Encoding in HTTP/1.0" },
        { LINE "Host: x\r\nX-A: 1\r\n more\r\n\r\n", "folded header" },
        { LINE "Host: x\r\nX-A: 1\r\n\tmore\r\n\r\n", "folded header" },
        { LINE "Host: x\r\nContent-Length : 2\r\n\r\n", "header name" },
        { LINE "Host: x\r\n: 2\r\n\r\n", "header name" },
        { LINE "Host: x\r\nno colon\r\n\r\n", "header name" },
        { "POST / HTTP/1.1\nHost: x\n\n", "line end" },
        { LINE "Host: x\nX: y\r\n\r\n", "line end" },
        { LINE "Host: x\rX: y\r\n\r\n", "line end" },
        { LINE "Host: x\r\n", "line end" },
        { LINE "Host: x\r", "line end" },
        { "GET / HTTP/1.1", "line end" },
        { "", "line end" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(fault(rows[i].text, strlen(rows[i].text)), rows[i].why);
}

TEST(every_cut_of_a_head_is_safe)
{
    static const char text[] = LINE "Host: x\r\nContent-Length: 2\r\n\r\n";

    for (size_t n = 0; n + 1 < sizeof text; n++)
        CHECK_STR(fault(text, n), "line end");
    CHECK_STR(fault(text, sizeof text - 1), NULL);
}

TEST(a_nul_in_a_name_is_no_token)
{
    static const char text[] = LINE "Host: x\r\nHo\0st: y\r\n\r\n";

    CHECK_STR(fault(text, sizeof text - 1), "header name");
}
