/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/role.h - the role `mobile`: mobile.push in, phones awake, push.outcomes out. One
 * lane a provider, each on a thread of its own.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int mobile_role_run(const volatile int *stop);
