/* SPDX-License-Identifier: MIT */
/*
 * undo.h - what would undo the unsynced part of a folder: see powerfs.c. The folder is the working
 * directory, and paths are relative to it. One thread at a time.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/** In the folder itself: what was removed, until that is synced. */
#define UNDO_TRASH ".trash"

/** Make the folder of what was removed, and forget what an earlier cut has left there. -1: errno. */
int undo_init(void);

/** Bytes [from, to) of a file are about to change, or its size. -1: errno. */
int64_t undo_change(int fd, off_t from, off_t to);

/** The file is kept as it is now, and so is every name. */
void undo_synced(int fd);
void undo_names_synced(void);

/** Do it, and note how to undo it. -1: errno, and nothing was done. */
int64_t undo_mkdir(const char *path, mode_t mode);
int64_t undo_rmdir(const char *path);
int64_t undo_unlink(const char *path);
int64_t undo_rename(const char *from, const char *to);

/** `path` was made if `res` is not negative. Returns `res`. */
int64_t undo_created(const char *path, int64_t res);

/** The power is cut. Says on stderr, as one line of JSON, what was lost. */
void undo_all(uint64_t seed);
