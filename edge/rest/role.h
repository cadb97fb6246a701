/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/role.h - the role `edge-rest`: REST into the log and out of the view, the page, /ws on
 * the same port.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int edge_rest_role_run(const volatile int *stop);
