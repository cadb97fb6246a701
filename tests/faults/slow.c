/* SPDX-License-Identifier: MIT */
/*
 * tests/faults/slow.c - preloaded into Kafka or PostgreSQL: each write to a file, and each sync,
 * takes SLOW_DISK_MS milliseconds more, as on a disk that is ending. Never part of the product.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(int fd)
{
    static long pause_ms = -1;
    struct stat st;

    if (pause_ms < 0) {
        const char *text = getenv("SLOW_DISK_MS");

        pause_ms = text ? strtol(text, NULL, 10) : 0;
    }
    if (pause_ms > 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        nanosleep(&(struct timespec){ pause_ms / 1000, pause_ms % 1000 * 1000000 }, NULL);
}

/* The same function of the C library, behind the pause. */
#define SLOWED(type, name, params, ...)                               \
    type name params                                                  \
    {                                                                 \
        type(*real) params = (type(*) params)dlsym(RTLD_NEXT, #name); \
                                                                      \
        wait_for_disk(fd);                                            \
        return real(__VA_ARGS__);                                     \
    }

SLOWED(ssize_t, write, (int fd, const void *p, size_t n), fd, p, n)
SLOWED(ssize_t, writev, (int fd, const struct iovec *v, int n), fd, v, n)
SLOWED(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), fd, p, n, at)
SLOWED(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), fd, p, n, at)
SLOWED(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), fd, v, n, at)
SLOWED(int, fsync, (int fd), fd)
SLOWED(int, fdatasync, (int fd), fd)
