/* SPDX-License-Identifier: MIT */
/*
 * lib/jwt/invite.h - the secret of a link by which others join a group: 128 bits, made of the chat, the link's id
 * and a key of access tokens. So it can be shown again though it is stored nowhere, and nobody can make it who has
 * the log. Pure.
 */
#pragma once

#include "lib/base/id.h"
#include "lib/base/status.h"

#include <stdbool.h>

struct token_keys;

/** By key `i`, of which the first makes new ones. False: there is no such key. */
CQ_MUST_CHECK bool invite_secret(const struct token_keys *keys, int i, struct cq_id chat,
                                 struct cq_id invite, struct cq_id *ret);
