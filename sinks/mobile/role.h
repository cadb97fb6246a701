/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/role.h - the role `mobile`: mobile.push in, phones awake, push.outcomes out. One
 * lane a provider, each on a thread of its own.
 */
#pragma once

#include "lib/base/id.h"
#include "lib/base/status.h"

#include <stdio.h>

/** Judge the settings of pushes to browsers that go together. CQ_FATAL: the reason, one line, is on
 * `err`. */
CQ_MUST_CHECK enum cq_status mobile_check_webpush(FILE *err);

/** `chasqui admin vapid-key`: a new pair of keys, as settings. 0 when all is well. */
int mobile_vapid_key(FILE *out);

/** `chasqui admin push-test`: what is configured, which devices of `user` can be woken, and what
 * their providers say to a push; `send`: a real one. 0 when all is well. */
int mobile_push_test(struct cq_id user, bool send, FILE *out);
