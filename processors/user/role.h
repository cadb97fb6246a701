/* SPDX-License-Identifier: MIT */
/*
 * processors/user/role.h - the role `user`: user.inbox in; user.events, presence, push.targets,
 * ws.push and mobile.push out.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int user_role_run(const volatile int *stop);
