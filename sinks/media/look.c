/* SPDX-License-Identifier: MIT */
#include "sinks/media/look.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPU_S = 15, MEMORY_MIB = 1536, FILES = 64, LINE = 256, SLICE_MS = 100 };

static void limit(int what, rlim_t most)
{
    setrlimit(what, &(struct rlimit){ most, most });
}

/* Between fork and exec: only calls that are safe there. */
static _Noreturn void become(const char *program, pid_t role, int in, int line, int out,
                             const char *type, const char *megapixels)
{
    char *argv[] = { (char *)program, (char *)type, (char *)megapixels, NULL };
    char *env[] = { (char *)"LC_ALL=C", NULL };
    int fds[3] = { in, line, out };

    for (int i = 0; i < 3; i++) /* first move them out of each other's way */
        fds[i] = fcntl(fds[i], F_DUPFD, 10);
    if (dup2(fds[0], 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[2], 3) < 0)
        _exit(126);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != role || chdir("/") != 0)
        _exit(126);
    close(2);
    if (open("/dev/null", O_WRONLY) != 2)
        _exit(126);
    close_range(4, ~0U, 0);
    limit(RLIMIT_CORE, 0);
    setrlimit(RLIMIT_CPU, &(struct rlimit){ CPU_S, CPU_S + 1 }); /* SIGXCPU says that it was this */
    limit(RLIMIT_FSIZE, LOOK_THUMBNAIL_MAX);
    limit(RLIMIT_NOFILE, FILES);
    limit(RLIMIT_MEMLOCK, 0);
    limit(RLIMIT_MSGQUEUE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they map terabytes */
    limit(RLIMIT_AS, (rlim_t)MEMORY_MIB << 20);
#endif
    execve(program, argv, env);
    _exit(127);
}

/* Its one line, or "" when it says none. False: its time was over, or it is to stop. */
static bool read_line(int fd, int64_t until_ms, const atomic_bool *stop, char out[LINE])
{
    bool in_time = true;
    size_t n = 0;

    for (;;) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        int64_t left = until_ms - clock_mono_ms();
        ssize_t got;
        int ready;

        in_time = left > 0 && !(stop && atomic_load(stop));
        if (!in_time || n + 1 >= LINE)
            break;
        ready = poll(&pollfd, 1, left < SLICE_MS ? (int)left : SLICE_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        got = ready < 0 ? 0 : read(fd, out + n, LINE - 1 - n);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    out[n] = '\0';
    return in_time;
}

/* Without a line: how it ended says why. */
static void understand_end(bool in_time, int status, struct look_found *ret)
{
    int ended = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (!in_time || ended == SIGXCPU) {
        ret->end = LOOK_LIMIT;
        snprintf(ret->fault, sizeof ret->fault, "%s", "takes too long");
    } else if (ended) {
        ret->end = ended == SIGSYS ? LOOK_FILTERED : LOOK_KILLED;
        snprintf(ret->fault, sizeof ret->fault, "ended by signal %d", ended);
    } else {
        snprintf(ret->fault, sizeof ret->fault, "ended with code %d", WEXITSTATUS(status));
    }
}

static void understand(const char *line, bool in_time, int status, struct look_found *ret)
{
    long long numbers[3] = { -1, -1, -1 };
    char *at = (char *)line + 3;

    *ret = (struct look_found){ .end = LOOK_SAID };
    for (int i = 0; i < 3 && strncmp(line, "ok ", 3) == 0; i++) {
        const char *from = at;
        long long got = strtoll(from, &at, 10);

        numbers[i] = at == from ? -1 : got; /* a line that ends too early */
    }
    if (*at == '\n' && numbers[0] >= 0 && numbers[0] <= INT32_MAX && numbers[1] >= 0 &&
        numbers[1] <= INT32_MAX && numbers[2] >= 0) {
        ret->width = (int32_t)numbers[0];
        ret->height = (int32_t)numbers[1];
        ret->duration_ms = numbers[2];
    } else if (strncmp(line, "fault ", 6) == 0) {
        snprintf(ret->fault, sizeof ret->fault, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
    } else {
        understand_end(in_time, status, ret);
    }
}

static void read_thumbnail(int fd, struct cq_buf *out)
{
    off_t n = lseek(fd, 0, SEEK_END);
    uint8_t *to = n > 0 && n <= LOOK_THUMBNAIL_MAX ? buf_reserve(out, (size_t)n) : NULL;

    if (to && pread(fd, to, (size_t)n, 0) == n)
        out->n += (size_t)n;
}

static int64_t cpu_ms(const struct rusage *used)
{
    return (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * INT64_C(1000) +
           (used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1000;
}

enum cq_status look_into(const char *program, int fd, const char *type, int64_t megapixels_max,
                         const atomic_bool *stop, struct look_found *ret, struct cq_buf *thumbnail)
{
    int out = memfd_create("thumbnail", MFD_CLOEXEC), pipes[2] = { -1, -1 }, status = 0;
    char megapixels[24], line[LINE] = { 0 };
    enum cq_status st = CQ_AGAIN;
    struct rusage used = { 0 };
    bool in_time;
    pid_t role = getpid(), pid = -1;

    snprintf(megapixels, sizeof megapixels, "%" PRId64, megapixels_max);
    if (out >= 0 && pipe2(pipes, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0)
        become(program, role, fd, pipes[1], out, type, megapixels);
    if (pid > 0) {
        close(pipes[1]);
        pipes[1] = -1;
        in_time = read_line(pipes[0], clock_mono_ms() + LOOK_LONGEST_MS, stop, line);
        kill(pid, SIGKILL); /* it has said its line, or has had its time */
        while (wait4(pid, &status, 0, &used) < 0 && errno == EINTR)
            ;
        understand(line, in_time, status, ret);
        ret->cpu_ms = cpu_ms(&used);
        if (!*ret->fault)
            read_thumbnail(out, thumbnail);
        st = (WIFEXITED(status) && WEXITSTATUS(status) >= 126) || (stop && atomic_load(stop))
                 ? CQ_AGAIN
                 : CQ_OK;
    }
    for (int i = 0; i < 2; i++)
        if (pipes[i] >= 0)
            close(pipes[i]);
    if (out >= 0)
        close(out);
    return st;
}
