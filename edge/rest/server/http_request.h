/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/http_request.h - what becomes of a request that libh2o has read: a call, the
 * state of the role for a probe, or an error. On the loop thread.
 */
#pragma once

#include "edge/rest/server/http_answer.h"

/** Take the requests of the API and the probes from `path`; all others are left to the handlers
 * that are registered later. `site` must outlive the server. */
void requests_serve(const struct http_site *site, h2o_pathconf_t *path);

/** Let only requests of sound framing get to the handlers that are registered later, the tunnel of
 * sockets. `site` must outlive the server. */
void requests_guard_tunnel(const struct http_site *site, h2o_pathconf_t *path);
