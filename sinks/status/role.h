/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/role.h - the role `status`: delivery.status into cursors, and ticks to the senders.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int status_role_run(const volatile int *stop);
