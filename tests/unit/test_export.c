/* SPDX-License-Identifier: MIT */
/*
 * The private port over real sockets: what it answers, and what it does with clients that do not ask
 * properly.
 */
#include "tests/unit/test.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/export.h"
#include "lib/base/settings.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t port;

static int connect_to_door(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&in, sizeof in) == 0)
        getsockname(fd, (struct sockaddr *)&in, &n);
    close(fd);
    return ntohs(in.sin_port);
}

static bool open_door(void)
{
    char listen[32], why[128] = "";

    if (port)
        return true;
    port = free_port();
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    return export_start(listen, ROLE_PERSISTENCE, "persistence", why, sizeof why) == CQ_OK;
}

/* Everything the door says to `request` until it closes. */
static const char *ask(const char *request)
{
    static char answer[64 * 1024];
    int fd = connect_to_door();
    size_t n = 0;
    ssize_t got;

    answer[0] = '\0';
    if (fd < 0)
        return "no door";
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return "no ear";
    while ((got = recv(fd, answer + n, sizeof answer - 1 - n, 0)) > 0)
        n += (size_t)got;
    answer[n] = '\0';
    close(fd);
    return answer;
}

TEST(metrics_are_the_rows_of_the_role)
{
    const char *got;

    CHECK(open_door());
    count_add(COUNT_ZOMBIE_WRITES, 3);
    count_add(COUNT_ZOMBIE_WRITES, 4);
    count_set(COUNT_LAG, 12345678901);
    got = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(strncmp(got, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(strstr(got, "\n# TYPE chasqui_zombie_writes_refused_total counter\n"
                      "chasqui_zombie_writes_refused_total{role=\"persistence\"} 7\n"));
    CHECK(strstr(got, "\n# TYPE chasqui_lag_records gauge\n"
                      "chasqui_lag_records{role=\"persistence\"} 12345678901\n"));
    CHECK(!strstr(got, "sockets")); /* the gateway's */
    count_add(COUNT_ZOMBIE_WRITES, -7);
}

TEST(every_role_fits_into_an_answer)
{
    static char text[EXPORT_TEXT_MAX];

    for (uint32_t role = 1; role < ROLE_ADMIN; role <<= 1)
        CHECK(count_print(role, "a-name-of-some-length", text, sizeof text) > 0);
    CHECK_EQ(count_print(ROLE_CHAT, "chat", text, 100), 0);
}

TEST(health_is_the_loop_going_round)
{
    CHECK(open_door());
    count_beat(clock_mono_ms());
    CHECK(strstr(ask("GET /healthz HTTP/1.1\r\n\r\n"), "200 OK"));
    count_beat(clock_mono_ms() - EXPORT_SILENT_MS - 1000);
    CHECK(strstr(ask("GET /healthz HTTP/1.1\r\n\r\n"), "503 Service Unavailable"));
    count_beat(clock_mono_ms());
}

TEST(nothing_else_is_there)
{
    CHECK(open_door());
    CHECK(strstr(ask("GET / HTTP/1.1\r\n\r\n"), "404"));
    CHECK(strstr(ask("GET /metricsx HTTP/1.1\r\n\r\n"), "404"));
    CHECK(strstr(ask("POST /metrics HTTP/1.1\r\n\r\n"), "404"));
    CHECK(strstr(ask("GET /../etc/passwd HTTP/1.1\r\n\r\n"), "404"));
}

TEST(bad_callers_do_not_hold_the_door)
{
    static char large[2 * EXPORT_REQUEST_MAX];
    int silent, slow;

    CHECK(open_door());
    memset(large, 'a', sizeof large - 1);
    CHECK(!strstr(ask(large), "HTTP/1.1"));
    silent = connect_to_door(); /* says nothing */
    slow = connect_to_door();   /* says half a word */
    CHECK(silent >= 0 && slow >= 0);
    CHECK(send(slow, "GE", 2, MSG_NOSIGNAL) == 2);
    CHECK(strstr(ask("GET /healthz HTTP/1.1\r\n\r\n"), "200 OK"));
    close(silent);
    close(slow);
}

TEST(a_bad_address_is_said_in_words)
{
    char why[128] = "";

    CHECK_EQ(export_start("9100", ROLE_CHAT, "chat", why, sizeof why), CQ_FATAL);
    CHECK_STR(why, "not address:port");
    CHECK_EQ(export_start("192.0.2.1:9100", ROLE_CHAT, "chat", why, sizeof why), CQ_FATAL);
    CHECK(strstr(why, "assign") != NULL);
}
