/* SPDX-License-Identifier: MIT */
#include "lib/base/export.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/count.h"
#include "lib/base/listen.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16, TIRED_MS = 100 };

/* Written before the thread starts, read by it alone. */
static struct {
    int fd;
    uint32_t role;
    const char *name;
    char request[EXPORT_REQUEST_MAX + 1];
    char text[EXPORT_TEXT_MAX];
} door;

/* Until the head is whole, the buffer is full, or time is up. False: not a request. */
static bool read_head(int fd, int64_t until_ms)
{
    size_t n = 0;

    while (n < EXPORT_REQUEST_MAX) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        int64_t left_ms = until_ms - clock_mono_ms();
        ssize_t got;

        if (left_ms <= 0 || poll(&pollfd, 1, (int)left_ms) <= 0)
            return false;
        got = recv(fd, door.request + n, EXPORT_REQUEST_MAX - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        door.request[n] = '\0';
        if (strstr(door.request, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void send_all(int fd, const char *p, size_t n, int64_t until_ms)
{
    while (n) {
        struct pollfd ready = { .fd = fd, .events = POLLOUT };
        int64_t left_ms = until_ms - clock_mono_ms();
        ssize_t k;

        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) <= 0)
            return;
        k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k <= 0)
            return;
        p += k;
        n -= (size_t)k;
    }
}

static void answer(int fd, const char *status, const char *type, const char *body, size_t n,
                   int64_t until_ms)
{
    char head[256];
    int k = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n",
                     status, type, n);

    send_all(fd, head, (size_t)k, until_ms);
    send_all(fd, body, n, until_ms);
}

static bool asks_for(const char *path)
{
    size_t n = strlen(path);

    return strncmp(door.request, "GET ", 4) == 0 && strncmp(door.request + 4, path, n) == 0 &&
           (door.request[4 + n] == ' ' || door.request[4 + n] == '?');
}

/* "ok", or in words what is wrong. */
static const char *health(void)
{
    int64_t now_ms = clock_mono_ms();

    if (count_silence_ms(now_ms) > EXPORT_SILENT_MS)
        return "stuck: the role's loop stands still\n";
    if (count_repeating_ms(now_ms) > EXPORT_REPEATS_MS)
        return "repeats: no turn makes progress\n";
    if (contact_away(CONTACT_KAFKA, now_ms))
        return "away: Kafka does not answer\n";
    if (contact_away(CONTACT_DATABASE, now_ms))
        return "away: PostgreSQL does not answer\n";
    if (count_get(COUNT_LOG_CUT))
        return "log cut: the log lost records, nothing is written\n";
    if (count_get(COUNT_NEWER))
        return "newer: a partition waits for the newer build of this role\n";
    if (count_get(COUNT_SLOW))
        return "slow: a record takes longer than PostgreSQL gives a statement\n";
    return "ok\n";
}

static void serve(int fd)
{
    static const char plain[] = "text/plain";
    int64_t until_ms = clock_mono_ms() + EXPORT_WITHIN_MS;

    if (!read_head(fd, until_ms))
        return;
    if (asks_for("/metrics")) {
        size_t n = count_print(door.role, door.name, door.text, sizeof door.text);

        answer(fd, n ? "200 OK" : "500 Internal Server Error", "text/plain; version=0.0.4",
               door.text, n, until_ms);
    } else if (asks_for("/healthz")) {
        const char *body = health();
        bool alive = strcmp(body, "ok\n") == 0;

        answer(fd, alive ? "200 OK" : "503 Service Unavailable", plain, body, strlen(body),
               until_ms);
    } else {
        answer(fd, "404 Not Found", plain, "not here\n", 9, until_ms);
    }
}

static void *door_main(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept4(door.fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0) {
            clock_sleep_ms(TIRED_MS); /* out of descriptors: clients need them more */
            continue;
        }
        serve(fd);
        close(fd);
    }
    return NULL;
}

static int listen_on(const char *listen_text, const char **reterr_why)
{
    int fd = listen_bind(listen_text, 0, reterr_why);

    if (fd < 0 || listen(fd, BACKLOG) == 0)
        return fd;
    *reterr_why = strerror(errno);
    close(fd);
    return -1;
}

enum cq_status export_start(const char *listen_text, uint32_t role, const char *name, char *reterr,
                            size_t reterr_n)
{
    const char *why = "";
    sigset_t all, before;
    pthread_t thread;
    int failed, fd = listen_on(listen_text, &why);

    if (fd < 0) {
        snprintf(reterr, reterr_n, "%s", why);
        return CQ_FATAL;
    }
    door.fd = fd;
    door.role = role;
    door.name = name;
    count_beat(clock_mono_ms());
    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, NULL, door_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        close(fd);
        snprintf(reterr, reterr_n, "no thread");
        return CQ_FATAL;
    }
    pthread_detach(thread);
    return CQ_OK;
}
