/* SPDX-License-Identifier: MIT */
/*
 * lib/store/local.c - a folder: an object is the file named by its key; what still grows is under
 * growing/. Every path is resolved by the kernel beneath the folder and through no symbolic link.
 */
#include "lib/base/hash.h"
#include "lib/store/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STREAM_BYTES = 256 * 1024, SLICE_BYTES = 1024 * 1024, PATH_BYTES = STORE_KEY_MAX + 16 };

struct local {
    int root;
};

static int open_beneath(const struct store *store, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)flags | O_CLOEXEC,
        .mode = flags & O_CREAT ? 0600 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, ((struct local *)store->own)->root, path, &how, sizeof how);
}

static enum cq_status fail_errno(struct store *store, const char *what)
{
    int e = errno;

    if (e == ENOENT)
        return store_fail(store, STORE_MISSING, what, "no such object");
    if (e == ENOSPC || e == EDQUOT || e == EFBIG)
        return store_fail(store, STORE_FULL, what, strerror(e));
    return store_fail(store, STORE_AWAY, what, strerror(e));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cq_fd __attribute__((cleanup(close_fd))) int

/* Where an object is while it is not whole. */
static void growing_path(const char *key, const char *prefix, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "growing/%s%s", prefix, key);
    for (char *p = out + sizeof "growing/" - 1; *p; p++)
        if (*p == '/')
            *p = '.';
}

/* The folder of a key, opened; made when it is not there. */
static int open_folder(const struct store *store, const char *key)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "./%s", key);
    for (char *slash = path + 1; (slash = strchr(slash + 1, '/'));) {
        cq_fd parent = -1;
        char *name;

        *slash = '\0';
        name = strrchr(path, '/');
        *name = '\0';
        parent = open_beneath(store, path, O_PATH | O_DIRECTORY);
        *name = '/';
        if (parent < 0 || (mkdirat(parent, name + 1, 0700) != 0 && errno != EEXIST))
            return -1;
        *slash = '/';
    }
    *strrchr(path, '/') = '\0';
    return open_beneath(store, path, O_RDONLY | O_DIRECTORY);
}

static bool write_all(int fd, struct cq_span bytes, int64_t at)
{
    while (bytes.n) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
        at += n;
    }
    return true;
}

/* The disk begins to write each slice while that slice is hashed. */
static bool write_hashing(int fd, struct cq_span bytes, int64_t at, struct sha256_state *hash)
{
    while (bytes.n) {
        struct cq_span slice = span_of(bytes.p, bytes.n < SLICE_BYTES ? bytes.n : SLICE_BYTES);

        if (!write_all(fd, slice, at))
            return false;
        sync_file_range(fd, at, (off_t)slice.n, SYNC_FILE_RANGE_WRITE); /* a hint, no more */
        sha256_more(hash, slice);
        bytes = span_of(bytes.p + slice.n, bytes.n - slice.n);
        at += (int64_t)slice.n;
    }
    return true;
}

/* Move what is complete from growing/ to its key, durably. */
static enum cq_status make_whole(struct store *store, const char *from, const char *key)
{
    cq_fd folder = open_folder(store, key);
    const char *name = strrchr(key, '/') ? strrchr(key, '/') + 1 : key;

    if (folder < 0 || renameat(((struct local *)store->own)->root, from, folder, name) != 0 ||
        fsync(folder) != 0)
        return fail_errno(store, "rename");
    return CQ_OK;
}

static enum cq_status local_prepare(struct store *store)
{
    cq_fd folder = open_folder(store, "growing/x");

    if (folder < 0 || faccessat(folder, ".", W_OK, 0) != 0)
        return fail_errno(store, "folder");
    return CQ_OK;
}

static enum cq_status local_put(struct store *store, const char *key, const char *type,
                                struct cq_span bytes)
{
    char path[PATH_BYTES];
    cq_fd fd = -1;

    (void)type;
    growing_path(key, "put.", path);
    fd = open_beneath(store, path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0 || !write_all(fd, bytes, 0) || fsync(fd) != 0) {
        enum cq_status st = fail_errno(store, "write");

        if (fd >= 0)
            unlinkat(((struct local *)store->own)->root, path, 0);
        return st;
    }
    return make_whole(store, path, key);
}

static enum cq_status local_size(struct store *store, const char *key, int64_t *ret)
{
    cq_fd fd = open_beneath(store, key, O_RDONLY);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0)
        return fail_errno(store, "open");
    if (!S_ISREG(info.st_mode))
        return store_fail(store, STORE_MISSING, "open", "not a file");
    *ret = info.st_size;
    return CQ_OK;
}

static enum cq_status local_read(struct store *store, const char *key, int64_t offset, size_t most,
                                 struct cq_buf *ret)
{
    cq_fd fd = open_beneath(store, key, O_RDONLY);
    uint8_t *to = buf_reserve(ret, most);
    size_t got = 0;

    if (fd < 0)
        return fail_errno(store, "open");
    if (!to)
        return store_fail(store, STORE_AWAY, "read", "no memory");
    while (got < most) {
        ssize_t n = pread(fd, to + got, most - got, offset + (int64_t)got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(store, "read");
        if (n == 0)
            break;
        got += (size_t)n;
    }
    ret->n += got;
    return CQ_OK;
}

static enum cq_status local_stream(struct store *store, const char *key,
                                   bool (*sink)(void *arg, struct cq_span bytes), void *arg)
{
    cq_fd fd = open_beneath(store, key, O_RDONLY);
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };
    uint8_t *p;
    ssize_t n = 1;

    buf_init(&buf, STREAM_BYTES);
    p = buf_reserve(&buf, STREAM_BYTES);
    if (fd < 0)
        return fail_errno(store, "open");
    while (p && n) {
        n = read(fd, p, STREAM_BYTES);
        if (n < 0 && errno != EINTR)
            return fail_errno(store, "read");
        if (n > 0 && !sink(arg, span_of(p, (size_t)n)))
            return store_fail(store, STORE_WRONG, "read", "not what was announced");
    }
    return p ? CQ_OK : store_fail(store, STORE_AWAY, "read", "no memory");
}

static enum cq_status local_remove(struct store *store, const char *key)
{
    cq_fd folder = open_folder(store, key);
    const char *name = strrchr(key, '/') ? strrchr(key, '/') + 1 : key;

    if (folder >= 0 && unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        return fail_errno(store, "unlink");
    return CQ_OK;
}

/* The last piece comes again, as its answer was lost: the object is complete already. */
static enum cq_status grown_before(struct store *store, const char *key, int64_t size)
{
    int64_t there = 0;

    if (local_size(store, key, &there) == CQ_OK && there == size) {
        store->fault = STORE_FINE;
        return CQ_OK;
    }
    return store_fail(store, STORE_WRONG, "grow", "what was held is gone");
}

static enum cq_status local_grow(struct store *store, const char *key, struct cq_buf *memo,
                                 int64_t at, struct cq_span bytes, bool last, const char *type,
                                 struct sha256_state *hash)
{
    int64_t end = at + (int64_t)bytes.n;
    char path[PATH_BYTES];
    cq_fd fd = -1;
    struct stat info;

    (void)memo;
    (void)type;
    growing_path(key, "", path);
    fd = open_beneath(store, path, at ? O_WRONLY : O_WRONLY | O_CREAT);
    if (fd < 0 && errno == ENOENT && last)
        sha256_more(hash, bytes);
    if (fd < 0 && errno == ENOENT)
        return last ? grown_before(store, key, end)
                    : store_fail(store, STORE_WRONG, "grow", "gone");
    if (fd < 0 || fstat(fd, &info) != 0)
        return fail_errno(store, "open");
    if (info.st_size < at)
        return store_fail(store, STORE_WRONG, "grow", "what was held is gone");
    /* a piece is on the disk before its offset is told, so that a machine that dies loses none */
    if (!write_hashing(fd, bytes, at, hash) || (last && ftruncate(fd, end) != 0) ||
        fdatasync(fd) != 0)
        return fail_errno(store, "write");
    return last ? make_whole(store, path, key) : CQ_OK;
}

static enum cq_status local_ungrow(struct store *store, const char *key, const char *memo)
{
    char path[PATH_BYTES];

    (void)memo;
    growing_path(key, "", path);
    if (unlinkat(((struct local *)store->own)->root, path, 0) != 0 && errno != ENOENT)
        return fail_errno(store, "unlink");
    return CQ_OK;
}

static void local_release(struct store *store)
{
    struct local *local = store->own;

    if (local)
        close(local->root);
    free(local);
}

static const struct store_kind kind = { local_release, local_prepare, local_put,    local_size,
                                        local_read,    local_stream,  local_remove, local_grow,
                                        local_ungrow,  NULL };

enum cq_status store_open_local(struct store *store, const char *path)
{
    struct local *local = calloc(1, sizeof *local);

    if (!local)
        return CQ_FATAL;
    if (*path == '/' && mkdir(path, 0700) != 0 && errno != EEXIST)
        fail_errno(store, "mkdir");
    local->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (local->root < 0) {
        fail_errno(store, "open");
        free(local);
        return CQ_POISON;
    }
    store->kind = &kind;
    store->own = local;
    return CQ_OK;
}
