/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/role.h - the role `chat`: chat.actions in, verdicts and deliveries out.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int chat_role_run(const volatile int *stop);
