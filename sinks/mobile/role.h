/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/role.h - the role `mobile`: mobile.push in, phones awake, push.outcomes out. One
 * lane a provider, each on a thread of its own.
 */
#pragma once

#include "lib/base/id.h"

#include <stdio.h>

/** `chasqui admin push-test`: what is configured, which devices of `user` can be woken, and what
 * their providers say to a push; `send`: a real one. 0 when all is well. */
int mobile_push_test(struct cq_id user, bool send, FILE *out);
