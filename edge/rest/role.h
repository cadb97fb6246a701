/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/role.h - the role `edge-rest`: REST into the log and out of the view, the page, /ws on
 * the same port.
 */
#pragma once

#include <stdio.h>

/** The tables of routes, a line each: method, path, who may call (token, link or anybody), what it
 * is for. */
void edge_rest_routes_print(FILE *out);
