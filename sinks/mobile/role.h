/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/role.h - the role `mobile`: mobile.push in, push.outcomes out. No provider is
 * configured yet, so every push ends as NO_PROVIDER: who would have been woken is decided and
 * recorded, nobody is.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int mobile_role_run(const volatile int *stop);
