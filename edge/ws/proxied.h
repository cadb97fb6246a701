/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/proxied.h - reads the PROXY header off a connection before libwebsockets, which knows no
 * such thing, gets it: exactly its bytes, however they come. On the loop.
 */
#pragma once

#include "lib/base/proxy_header.h"

struct ev_loop;
struct proxied; /* owns its descriptor until it is done */

/**
 * The header is read: `known` says whether it names a client, `client` is then the address. `fd` is
 * stolen by the callee; -1: there is no good header, or the peer is gone, and the connection is
 * closed. The proxied is freed on return.
 */
typedef void proxied_fn(void *arg, int fd, bool known, struct cq_address client);

/** Read the header on `fd`, which is stolen; `done` comes exactly once, later. NULL without memory:
 * `fd` is closed and `done` does not come. */
struct proxied *proxied_start(struct ev_loop *loop, int fd, proxied_fn *done, void *arg);

/** Give it up: `done` comes inside, with -1. */
void proxied_cancel(struct proxied *proxied);
