/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/role.h - the role `edge-ws`: a WebSocket gateway. One process is one thread and one core;
 * start more of them on the same address for more.
 */
#pragma once

#include <stdio.h>

/** What a client frame's `t` may be, a line each. */
void edge_ws_frames_print(FILE *out);

/** docs/frames.schema.json: the JSON Schema of every frame that clients send or get. */
void edge_ws_frames_schema_print(FILE *out);
