/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/cage.h - the sandbox of a program that reads strangers' files. The one owner of
 * seccomp.h.
 *
 * Required; without one of them cage_close() fails and the file is not looked at:
 *   - limits on memory, CPU time, file size, descriptors and core dumps (set before exec, look.c);
 *   - an empty environment, and no descriptor but the file, its answer and its thumbnail (look.c);
 *   - it is killed when the process that started it ends;
 *   - a user of its own without capabilities, where root starts it;
 *   - no_new_privs, and a seccomp filter that allows only what decoding needs: no call that takes a
 *     path, opens a socket, starts a process, makes memory executable or names another process.
 * Best effort, as a second wall behind the filter, since plain containers forbid some of them:
 *   - namespaces of its own (network, IPC, mounts, and a user namespace where it is not root);
 *   - an empty root folder that was deleted, so nothing can be made in it;
 *   - Landlock without one allowed path.
 */
#pragma once

#include <stdbool.h>

enum cage_layer {
    CAGE_FILTER = 1,     /* no_new_privs and seccomp */
    CAGE_OWN_USER = 2,   /* it does not run as the user who started it */
    CAGE_NAMESPACES = 4, /* best effort from here on */
    CAGE_EMPTY_ROOT = 8,
    CAGE_LANDLOCK = 16,
};

enum {
    CAGE_UID = 65533,   /* outside of what Debian and systemd give to users */
    CAGE_THREADS = 256, /* of all that run as CAGE_UID */
};

/** What must be done before other threads and libraries are started. Returns the layers so far. */
unsigned cage_open(void);

/** Close it. From here on no file can be opened by its name; what libraries load must be loaded.
 * Adds to `*layers` what cage_open() returned. False: a required layer is missing; end. */
bool cage_close(unsigned *layers);
