/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/role.h - the role `persistence`: chat.events, rejections, user.events and
 * push.targets into the view.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int persistence_role_run(const volatile int *stop);
