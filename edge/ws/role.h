/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/role.h - the role `edge-ws`: a WebSocket gateway. One process is one thread and one core;
 * start more of them on the same address for more.
 */
#pragma once

#include <stdio.h>

/** Runs until *stop or a failure that only a restart mends; the exit code. Settings are loaded. */
int edge_ws_role_run(const volatile int *stop);

/** What a client frame's `t` may be, a line each. */
void edge_ws_frames_print(FILE *out);
