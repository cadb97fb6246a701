/* SPDX-License-Identifier: MIT */
#include "tests/power/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096, SECTOR = 512, BUCKETS = 4096, NAME_BYTES = 64 };

/* A file with an unsynced part. */
struct changed {
    ino_t ino;
    int fd;     /* owned; of the live file, whatever it is called by now */
    off_t size; /* at its last sync */
    char **old; /* blocks as they were then, NULL for those that did not change */
    size_t old_n;
    struct changed *next; /* in its bucket */
};

/* How a change of names is undone; the list has the latest first. */
struct step {
    enum { UNMAKE, UNMAKE_DIR, MAKE_DIR, MOVE_BACK } how;
    char *path; /* owned */
    char *from; /* owned; MOVE_BACK: where it is now */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct step *next;
};

static struct changed *changed[BUCKETS];
static struct step *steps;
static unsigned long removed_n;

/* ---- data ------------------------------------------------------------------------------- */

static struct changed **find(ino_t ino)
{
    struct changed **at = &changed[ino % BUCKETS];

    while (*at && (*at)->ino != ino)
        at = &(*at)->next;
    return at;
}

static void forget(struct changed **at)
{
    struct changed *file = *at;

    *at = file->next;
    close(file->fd);
    for (size_t i = 0; i < file->old_n; i++)
        free(file->old[i]);
    free(file->old);
    free(file);
}

/* The entry of a file, made when this is its first change since its last sync. */
static struct changed *note(int fd)
{
    struct stat st;
    struct changed **at, *file;
    char path[NAME_BYTES];

    if (fstat(fd, &st) < 0)
        return NULL;
    at = find(st.st_ino);
    if (*at)
        return *at;
    file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    file->fd = open(path, O_RDWR | O_CLOEXEC); /* `fd` may be for writing only */
    if (file->fd < 0) {
        free(file);
        return NULL;
    }
    file->ino = st.st_ino;
    file->size = st.st_size;
    return *at = file;
}

static bool save_block(struct changed *file, size_t i)
{
    if (i >= file->old_n) {
        size_t n = (size_t)(file->size / BLOCK) + 1;
        char **old = realloc(file->old, n * sizeof *old);

        if (!old)
            return false;
        memset(old + file->old_n, 0, (n - file->old_n) * sizeof *old);
        file->old = old;
        file->old_n = n;
    }
    if (file->old[i])
        return true;
    file->old[i] = calloc(1, BLOCK);
    return file->old[i] && pread(file->fd, file->old[i], BLOCK, (off_t)i * BLOCK) >= 0;
}

int64_t undo_change(int fd, off_t from, off_t to)
{
    struct changed *file = note(fd);

    if (!file)
        return -1;
    if (to > file->size)
        to = file->size;
    for (off_t at = from - from % BLOCK; at < to; at += BLOCK)
        if (!save_block(file, (size_t)(at / BLOCK))) {
            errno = ENOMEM;
            return -1;
        }
    return 0;
}

void undo_synced(int fd)
{
    struct stat st;
    struct changed **at;

    if (fstat(fd, &st) == 0 && *(at = find(st.st_ino)))
        forget(at);
    undo_names_synced();
}

/* ---- names ------------------------------------------------------------------------------ */

static struct step *push(const char *path)
{
    struct step *step = calloc(1, sizeof *step);

    if (!step || !(step->path = strdup(path)))
        abort(); /* a test that cannot go on */
    step->next = steps;
    return steps = step;
}

static void drop(struct step *step)
{
    free(step->path);
    free(step->from);
    free(step);
}

static bool in_trash(const char *path)
{
    return path && strncmp(path, UNDO_TRASH "/", sizeof UNDO_TRASH) == 0;
}

void undo_names_synced(void)
{
    struct step *step;

    while ((step = steps) != NULL) {
        struct stat st;
        struct changed **at;

        steps = step->next;
        if (in_trash(step->from)) {
            if (lstat(step->from, &st) == 0 && st.st_nlink == 1 && *(at = find(st.st_ino)))
                forget(at);
            unlink(step->from);
        }
        drop(step);
    }
}

/* Move `path` away, so that it can come back. */
static int64_t set_aside(const char *path)
{
    char trash[NAME_BYTES];
    struct step *step;

    snprintf(trash, sizeof trash, "%s/%lu", UNDO_TRASH, removed_n++);
    if (rename(path, trash) < 0)
        return -1;
    step = push(path);
    step->how = MOVE_BACK;
    step->from = strdup(trash);
    return 0;
}

int64_t undo_created(const char *path, int64_t res)
{
    if (res >= 0)
        push(path)->how = UNMAKE;
    return res;
}

int64_t undo_mkdir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return -1;
    push(path)->how = UNMAKE_DIR;
    return 0;
}

int64_t undo_rmdir(const char *path)
{
    struct stat st;
    struct step *step;

    if (lstat(path, &st) < 0 || rmdir(path) < 0)
        return -1;
    step = push(path);
    step->how = MAKE_DIR;
    step->mode = st.st_mode & 07777;
    step->uid = st.st_uid;
    step->gid = st.st_gid;
    return 0;
}

int64_t undo_unlink(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -1;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    return set_aside(path);
}

int64_t undo_rename(const char *from, const char *to)
{
    struct stat st, other;
    struct step *step;

    if (lstat(from, &st) < 0)
        return -1;
    if (lstat(to, &other) == 0 && st.st_ino != other.st_ino &&
        (S_ISDIR(other.st_mode) ? undo_rmdir(to) : set_aside(to)) < 0)
        return -1;
    if (rename(from, to) < 0)
        return -1;
    step = push(from);
    step->how = MOVE_BACK;
    step->from = strdup(to);
    return 0;
}

static void take_back(const struct step *step)
{
    int res = 0;

    switch (step->how) {
    case UNMAKE:
        res = unlink(step->path);
        break;
    case UNMAKE_DIR:
        res = rmdir(step->path);
        break;
    case MAKE_DIR:
        res = mkdir(step->path, step->mode);
        if (res == 0)
            res = lchown(step->path, step->uid, step->gid);
        break;
    case MOVE_BACK:
        res = rename(step->from, step->path);
        break;
    }
    if (res < 0)
        fprintf(stderr, "powerfs: %s cannot be taken back: %s\n", step->path, strerror(errno));
}

/* ---- the cut ---------------------------------------------------------------------------- */

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

struct lost {
    unsigned long files, torn, names;
    unsigned long long bytes;
};

static void put(int fd, const char *from, size_t n, off_t at)
{
    if (pwrite(fd, from, n, at) != (ssize_t)n)
        fprintf(stderr, "powerfs: a block cannot be put back: %s\n", strerror(errno));
}

/* The end of the file: as it was, or with a part of what was appended. */
static void cut_end(const struct changed *file, off_t now, bool torn, struct lost *lost)
{
    static const char zeros[BLOCK];
    off_t kept = torn && now > file->size ? (off_t)draw((uint64_t)(now - file->size) + 1) : 0;
    off_t blank = kept < BLOCK ? kept : BLOCK;

    if (ftruncate(file->fd, file->size + kept) < 0)
        fprintf(stderr, "powerfs: a file cannot be cut: %s\n", strerror(errno));
    if (kept && draw(4) == 0) /* the size was kept, and not what stood there */
        put(file->fd, zeros, (size_t)blank, file->size + kept - blank);
    lost->bytes += now > file->size ? (unsigned long long)(now - file->size - kept) : 0;
}

static void cut_file(const struct changed *file, struct lost *lost)
{
    bool torn = draw(2);
    struct stat st;

    if (fstat(file->fd, &st) < 0)
        return;
    cut_end(file, st.st_size, torn, lost);
    for (size_t i = 0; i < file->old_n; i++)
        for (off_t at = 0; file->old[i] && at < BLOCK; at += SECTOR) {
            off_t place = (off_t)i * BLOCK + at;
            off_t n = file->size - place < SECTOR ? file->size - place : SECTOR;

            if (n <= 0 || (torn && place < st.st_size && draw(2)))
                continue;
            put(file->fd, file->old[i] + at, (size_t)n, place);
            lost->bytes += (unsigned long long)n;
        }
    lost->files++;
    lost->torn += torn;
}

void undo_all(uint64_t seed)
{
    struct lost lost = { 0 };
    struct step *step;

    state = seed * 2654435761u + 88172645463325252u;
    for (size_t i = 0; i < BUCKETS; i++)
        while (changed[i]) {
            cut_file(changed[i], &lost);
            forget(&changed[i]);
        }
    while ((step = steps) != NULL) {
        steps = step->next;
        take_back(step);
        drop(step);
        lost.names++;
    }
    fprintf(stderr, "{\"files\":%lu,\"torn\":%lu,\"bytes\":%llu,\"names\":%lu}\n", lost.files,
            lost.torn, lost.bytes, lost.names);
    fflush(stderr);
}

int undo_init(void)
{
    return mkdir(UNDO_TRASH, 0700) < 0 && errno != EEXIST ? -1 : 0;
}
