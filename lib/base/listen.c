/* SPDX-License-Identifier: MIT */
#include "lib/base/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_MOST = 65535 };

static bool parse_port(const char *text, char ret[static 6])
{
    size_t n = strspn(text, "0123456789");

    if (!n || n > 5 || text[n] || strtol(text, NULL, 10) > PORT_MOST)
        return false;
    memcpy(ret, text, n + 1);
    return true;
}

bool host_port_parse(const char *text, struct host_port *ret)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;

    if (!colon || n > HOST_PORT_HOST_MAX || !parse_port(colon + 1, ret->port))
        return false;
    ret->in_brackets = n && text[0] == '[';
    if (ret->in_brackets) {
        text++;
        if (n < 3 || colon[-1] != ']' || strspn(text, "0123456789abcdefABCDEF:.") != n - 2)
            return false;
        n -= 2;
    }
    memcpy(ret->host, text, n);
    ret->host[n] = '\0';
    return true;
}

static int bind_one(const struct addrinfo *at, unsigned flags)
{
    static const int one = 1;
    int type = SOCK_STREAM | SOCK_CLOEXEC | (flags & LISTEN_NONBLOCK ? SOCK_NONBLOCK : 0);
    int fd = socket(at->ai_family, type, 0);
    int failed;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (!(flags & LISTEN_SHARED) ||
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0) &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0)
        return fd;
    failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

int listen_bind(const char *text, unsigned flags, const char **reterr_why)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    struct host_port at;
    int failed, fd = -1;

    if (!host_port_parse(text, &at)) {
        *reterr_why = "not address:port";
        return -1;
    }
    failed = getaddrinfo(*at.host ? at.host : NULL, at.port, &hints, &list);
    if (failed) {
        *reterr_why = gai_strerror(failed);
        return -1;
    }
    for (const struct addrinfo *one = list; one && fd < 0; one = one->ai_next)
        fd = bind_one(one, flags);
    if (fd < 0)
        *reterr_why = strerror(errno);
    freeaddrinfo(list);
    return fd;
}
