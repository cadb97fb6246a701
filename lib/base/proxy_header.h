/* SPDX-License-Identifier: MIT */
/*
 * lib/base/proxy_header.h - the PROXY protocol, versions 1 and 2: what a proxy writes in front of a
 * connection it passes on, to say whose it is. Pure.
 * https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt
 */
#pragma once

#include "lib/base/address.h"

/** A version 2 header may carry more than addresses; this much of it is taken. */
enum { PROXY_HEADER_MAX = 16 + 1024 };

enum proxy_read {
    PROXY_DONE, /* *ret_n bytes are the header */
    PROXY_MORE, /* so far it may be one: read more; PROXY_HEADER_MAX bytes always decide */
    PROXY_BAD,  /* it is no header */
};

/**
 * Read the header at the start of `raw`. On PROXY_DONE *ret_n is its length, *ret_known says
 * whether it names a client, and *ret is then the address. It names none for a check of the proxy's
 * own (UNKNOWN, LOCAL) and for addresses that are neither IPv4 nor IPv6.
 */
enum proxy_read proxy_header_read(struct cq_span raw, size_t *ret_n, bool *ret_known,
                                  struct cq_address *ret);
