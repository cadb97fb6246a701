/* SPDX-License-Identifier: MIT */
/*
 * lib/base/listen.h - `address:port` as settings have it, and a socket bound to it: the one parser
 * of both edges, of the private door and of the forms of settings.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>

enum { HOST_PORT_HOST_MAX = 255 }; /* bytes of a name or an address */

struct host_port {
    char host[HOST_PORT_HOST_MAX + 1]; /* without brackets; "": all addresses */
    char port[6];                      /* decimal, 0 to 65535 */
    bool in_brackets;                  /* it was [host] */
};

/** Cut `text` at its last colon. An IPv6 address may stand in brackets. False: there is no port,
 * the host is too long, or brackets hold what is no IPv6 address; *ret is undefined then. Pure. */
CQ_MUST_CHECK bool host_port_parse(const char *text, struct host_port *ret);

/** SHARED: other processes may bind the same port and the kernel spreads connections among them. */
enum listen_flag { LISTEN_NONBLOCK = 1u << 0, LISTEN_SHARED = 1u << 1 };

/** A TCP socket bound to `text` (the first of its addresses that can be bound), not listening yet;
 * owned by caller. `flags` are of enum listen_flag. A name is looked up, which may take seconds:
 * for the start only. -1: *reterr_why says why; it is valid until the next error of this thread. */
CQ_MUST_CHECK int listen_bind(const char *text, unsigned flags, const char **reterr_why);
