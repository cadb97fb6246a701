/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/role.h - the role `edge-rest`: REST into the log and out of the view, the page, /ws on
 * the same port.
 */
#pragma once

#include <stdio.h>

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int edge_rest_role_run(const volatile int *stop);

/** The table of routes, a line each: method, path, who may call (token, link or anybody), what it
 * is for. */
void edge_rest_routes_print(FILE *out);
