/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/me.h - who asks, as a reply.
 */
#pragma once

#include "edge/rest/server/call.h"

/** Reply with who asks: what GET /api/me answers. */
enum call_next me_reply(struct call *call, struct pg *db);
