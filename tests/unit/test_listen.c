/* SPDX-License-Identifier: MIT */
#include "lib/base/listen.h"
#include "tests/unit/test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(host_and_port_are_cut)
{
    static const struct {
        const char *text, *host, *port;
        bool in_brackets;
    } rows[] = {
        { "127.0.0.1:8080", "127.0.0.1", "8080", false },
        { ":0", "", "0", false },
        { "localhost:65535", "localhost", "65535", false },
        { "::1:80", "::1", "80", false },
        { "[::1]:80", "::1", "80", true },
        { "[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", "80", true },
    };
    static const char *const bad[] = { "",         "8080",  "a:",      "a:b",    "a:65536", "a:-1",
                                       "a:000080", "[]:80", "[::1:80", "[g]:80", "a:80 " };
    struct host_port at;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ_ROW(rows[i].text, host_port_parse(rows[i].text, &at), true);
        CHECK_STR(at.host, rows[i].host);
        CHECK_STR(at.port, rows[i].port);
        CHECK_EQ_ROW(rows[i].text, at.in_brackets, rows[i].in_brackets);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ_ROW(bad[i], host_port_parse(bad[i], &at), false);
}

static in_port_t port_of(int fd)
{
    struct sockaddr_in6 at = { .sin6_family = 0 };
    socklen_t n = sizeof at;

    return getsockname(fd, (struct sockaddr *)&at, &n) == 0 ? ntohs(at.sin6_port) : 0;
}

/* Whatever the forms of settings take, every door takes. */
TEST(all_forms_of_settings_can_be_bound)
{
    static const char *const rows[] = { "127.0.0.1:0", ":0", "0.0.0.0:0", "localhost:0" };
    const char *why = "";

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int fd = listen_bind(rows[i], LISTEN_NONBLOCK, &why);

        CHECK_STR(why, "");
        CHECK_EQ_ROW(rows[i], fd >= 0 && port_of(fd) != 0, true);
        close(fd);
    }
}

TEST(addresses_of_ipv6_are_bound_with_and_without_brackets)
{
    int can = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const char *why = "";
    int bare, wrapped;

    if (can < 0 || bind(can, (struct sockaddr *)&at, sizeof at) != 0) {
        printf("no IPv6 here\n");
        return;
    }
    close(can);
    bare = listen_bind("::1:0", 0, &why);
    wrapped = listen_bind("[::1]:0", 0, &why);
    CHECK_STR(why, "");
    CHECK(bare >= 0 && wrapped >= 0);
    close(bare);
    close(wrapped);
}

TEST(a_port_is_shared_only_when_asked)
{
    char text[32];
    const char *why = "";
    int first = listen_bind("127.0.0.1:0", LISTEN_SHARED, &why), second;

    CHECK(first >= 0 && listen(first, 1) == 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)port_of(first));
    second = listen_bind(text, LISTEN_SHARED, &why);
    CHECK(second >= 0 && listen(second, 1) == 0);
    CHECK_STR(why, "");
    CHECK_EQ(listen_bind(text, 0, &why), -1);
    CHECK(*why);
    close(first);
    close(second);
}

TEST(what_cannot_be_bound_is_said_in_words)
{
    const char *why = "";

    CHECK_EQ(listen_bind("8080", 0, &why), -1);
    CHECK_STR(why, "not address:port");
    why = "";
    CHECK_EQ(listen_bind("192.0.2.1:0", 0, &why), -1);
    CHECK(strstr(why, "assign"));
}
