/* SPDX-License-Identifier: MIT */
/*
 * powerfs - a file system whose power can be cut: then everything that was not synced is gone.
 *
 *     powerfs BACKING MOUNT -f -o allow_other
 *     echo "cut 7" > MOUNT/.power          7: seed of what is torn
 *
 * The files in BACKING are as live programs see them. What would undo the unsynced part is kept in
 * memory: for a file the size and the blocks that it had at its last sync, for names a list of what
 * was created, renamed and removed. A cut puts both back, and every request from then on fails. The
 * next mount of BACKING shows what a disk would show.
 *
 * It is as strict as ext4 may be. Data of a file is kept by fsync, fdatasync, msync and writes with
 * O_SYNC or O_DSYNC, and by nothing else: there is no writeback that saves anybody by chance. Names are
 * in one journal: any sync keeps all names up to then. A file that was never synced is there with
 * nothing in it if its name was kept. Half of the files lose their unsynced part wholly. In the other
 * half it is torn: a part of what was appended is kept, its end is zeros at times, and of what was
 * overwritten some sectors are new and some old.
 */
#define FUSE_USE_VERSION 35

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/power/undo.h"

static const char control[] = "/.power";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_off; /* the power was cut */
static int backing;

/* An open file. */
struct handle {
    int fd;
    bool syncs; /* each write is synced */
};

/* NULL for none. */
static struct handle *handle_of(const struct fuse_file_info *info)
{
    return info ? (struct handle *)(uintptr_t)info->fh : NULL;
}

/* Paths of the mount are relative to BACKING, which is the working directory. */
static const char *real(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int result(int64_t res)
{
    return res < 0 ? -errno : (int)res;
}

/* Each request: nothing is done any more once the power is off. */
#define BEGIN()                          \
    do {                                 \
        pthread_mutex_lock(&lock);       \
        if (is_off) {                    \
            pthread_mutex_unlock(&lock); \
            return -EIO;                 \
        }                                \
    } while (0)

static int end(int64_t res)
{
    int ret = result(res);

    pthread_mutex_unlock(&lock);
    return ret;
}

/* The file belongs to whoever asked for it, not to us. */
static int64_t give_to_caller(const char *path, int64_t res)
{
    const struct fuse_context *caller = fuse_get_context();

    if (res >= 0 && lchown(path, caller->uid, caller->gid) < 0)
        return -1;
    return res;
}

/* ---- looking ---------------------------------------------------------------------------- */

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
    if (path && strcmp(path, control) == 0) {
        *st = (struct stat){ .st_mode = S_IFREG | 0600, .st_nlink = 1 };
        return 0;
    }
    BEGIN();
    return end(handle_of(info) ? fstat(handle_of(info)->fd, st) : lstat(real(path), st));
}

static int on_readlink(const char *path, char *buf, size_t size)
{
    ssize_t n;

    BEGIN();
    n = readlink(real(path), buf, size - 1);
    if (n >= 0)
        buf[n] = '\0';
    return end(n < 0 ? -1 : 0);
}

static int on_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
    DIR *dir;
    struct dirent *entry;

    (void)path;
    (void)offset;
    (void)flags;
    BEGIN();
    dir = fdopendir(dup(handle_of(info)->fd));
    if (dir)
        rewinddir(dir);
    while (dir && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, UNDO_TRASH) != 0)
            fill(buf, entry->d_name, NULL, 0, 0);
    if (dir)
        closedir(dir);
    return end(dir ? 0 : -1);
}

static int on_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return result(statvfs(".", st));
}

/* ---- names ------------------------------------------------------------------------------ */

static int on_mkdir(const char *path, mode_t mode)
{
    BEGIN();
    return end(give_to_caller(real(path), undo_mkdir(real(path), mode)));
}

static int on_unlink(const char *path)
{
    BEGIN();
    return end(undo_unlink(real(path)));
}

static int on_rmdir(const char *path)
{
    BEGIN();
    return end(undo_rmdir(real(path)));
}

static int on_symlink(const char *target, const char *path)
{
    BEGIN();
    return end(give_to_caller(real(path), undo_created(real(path), symlink(target, real(path)))));
}

static int on_link(const char *from, const char *to)
{
    BEGIN();
    return end(undo_created(real(to), link(real(from), real(to))));
}

static int on_rename(const char *from, const char *to, unsigned flags)
{
    if (flags)
        return -EINVAL;
    BEGIN();
    return end(undo_rename(real(from), real(to)));
}

/* Modes, owners and times are kept at once: nobody's promise hangs on them. */
static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    BEGIN();
    return end(handle_of(info) ? fchmod(handle_of(info)->fd, mode) : chmod(real(path), mode));
}

static int on_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *info)
{
    BEGIN();
    return end(handle_of(info) ? fchown(handle_of(info)->fd, uid, gid)
                               : lchown(real(path), uid, gid));
}

static int on_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info)
{
    BEGIN();
    return end(handle_of(info) ? futimens(handle_of(info)->fd, times)
                               : utimensat(AT_FDCWD, real(path), times, AT_SYMLINK_NOFOLLOW));
}

/* ---- files ------------------------------------------------------------------------------ */

static int64_t hold(int fd, struct fuse_file_info *info)
{
    struct handle *handle = fd < 0 ? NULL : malloc(sizeof *handle);

    if (!handle)
        return -1;
    *handle = (struct handle){ fd, (info->flags & (O_SYNC | O_DSYNC)) != 0 };
    info->fh = (uintptr_t)handle;
    return 0;
}

/* The kernel has worked out where an appending write goes. */
static int plain(int flags)
{
    return (flags & ~(O_APPEND | O_DIRECT | O_TRUNC | O_EXCL | O_CREAT)) | O_CLOEXEC;
}

static int on_open(const char *path, struct fuse_file_info *info)
{
    if (strcmp(path, control) == 0)
        return 0;
    BEGIN();
    return end(hold(open(real(path), plain(info->flags)), info));
}

static int on_opendir(const char *path, struct fuse_file_info *info)
{
    BEGIN();
    return end(hold(open(real(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC), info));
}

static int on_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    int fd;
    int64_t res;

    BEGIN();
    fd = open(real(path), plain(info->flags) | O_CREAT | O_EXCL, mode);
    res = hold((int)give_to_caller(real(path), undo_created(real(path), fd)), info);
    return end(res);
}

static int on_release(const char *path, struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);

    (void)path;
    if (!handle)
        return 0;
    close(handle->fd);
    free(handle);
    return 0;
}

static int on_read(const char *path, char *buf, size_t size, off_t offset,
                   struct fuse_file_info *info)
{
    (void)path;
    if (!handle_of(info))
        return 0;
    BEGIN();
    return end(pread(handle_of(info)->fd, buf, size, offset));
}

static int cut(const char *words, size_t size)
{
    char text[64];
    uint64_t seed;

    snprintf(text, sizeof text, "%.*s", (int)size, words);
    if (strncmp(text, "cut ", 4) != 0)
        return -EINVAL;
    seed = strtoul(text + 4, NULL, 10);
    BEGIN();
    is_off = true;
    undo_all(seed);
    pthread_mutex_unlock(&lock);
    return (int)size;
}

static int on_write(const char *path, const char *buf, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    int64_t res;

    (void)path;
    if (!handle)
        return cut(buf, size);
    BEGIN();
    res = undo_change(handle->fd, offset, offset + (off_t)size);
    if (res >= 0)
        res = pwrite(handle->fd, buf, size, offset);
    if (res >= 0 && handle->syncs)
        undo_synced(handle->fd);
    return end(res);
}

static int64_t shorten(int fd, off_t size)
{
    int64_t res = fd < 0 ? -1 : undo_change(fd, size, INT64_MAX);

    return res < 0 ? res : ftruncate(fd, size);
}

static int on_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    int fd;
    int64_t res;

    if (path && strcmp(path, control) == 0)
        return 0;
    BEGIN();
    if (handle_of(info))
        return end(shorten(handle_of(info)->fd, size));
    fd = open(real(path), O_RDWR | O_CLOEXEC);
    res = shorten(fd, size);
    if (fd >= 0)
        close(fd);
    return end(res);
}

static int on_fallocate(const char *path, int mode, off_t offset, off_t size,
                        struct fuse_file_info *info)
{
    int64_t res;

    (void)path;
    BEGIN();
    res = undo_change(handle_of(info)->fd, offset, offset + size);
    return end(res < 0 ? res : fallocate(handle_of(info)->fd, mode, offset, size));
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    (void)path;
    (void)data_only; /* an append has changed the size, which fdatasync keeps, too */
    if (!handle_of(info))
        return 0;
    BEGIN();
    undo_synced(handle_of(info)->fd);
    return end(0);
}

static int on_fsyncdir(const char *path, int data_only, struct fuse_file_info *info)
{
    (void)path;
    (void)data_only;
    (void)info;
    BEGIN();
    undo_names_synced();
    return end(0);
}

static void *on_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    conn->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC; /* truncation comes as a request of its own */
    config->hard_remove = 1;                          /* we keep what is removed ourselves */
    config->nullpath_ok = 1;
    config->use_ino = 1;
    if (fchdir(backing) < 0) /* fuse_main() has gone to the root */
        abort();
    return NULL;
}

static const struct fuse_operations operations = {
    .init = on_init,
    .getattr = on_getattr,
    .readlink = on_readlink,
    .readdir = on_readdir,
    .statfs = on_statfs,
    .mkdir = on_mkdir,
    .unlink = on_unlink,
    .rmdir = on_rmdir,
    .symlink = on_symlink,
    .link = on_link,
    .rename = on_rename,
    .chmod = on_chmod,
    .chown = on_chown,
    .utimens = on_utimens,
    .open = on_open,
    .opendir = on_opendir,
    .create = on_create,
    .release = on_release,
    .releasedir = on_release,
    .read = on_read,
    .write = on_write,
    .truncate = on_truncate,
    .fallocate = on_fallocate,
    .fsync = on_fsync,
    .fsyncdir = on_fsyncdir,
};

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc < 3) {
        fputs("powerfs: BACKING MOUNT [options of fuse]\n", stderr);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        files.rlim_cur = files.rlim_max;
    backing = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || fchdir(backing) < 0 || undo_init() < 0) {
        perror(argv[1]);
        return 1;
    }
    umask(0);
    argv[1] = argv[0];
    return fuse_main(argc - 1, argv + 1, &operations, NULL);
}
