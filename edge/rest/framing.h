/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/framing.h - whether a request's head can be read in one way only (pure). libh2o 2.2
 * takes the first of two Content-Lengths, the last of two Hosts and either line end, and hides all
 * of these headers from its handlers; a proxy in front that chooses otherwise would see other
 * requests on the same connection than we do.
 */
#pragma once

#include "lib/base/span.h"

/**
 * `raw` begins with the head as it came (header names in either case) and may go on with the body.
 * NULL when it is plain, else a static reason: a line that does not end in CRLF, a folded line, a
 * name that is no token, more than one Host, Content-Length or Transfer-Encoding, both of the
 * latter, no Host in HTTP/1.1, Transfer-Encoding in HTTP/1.0, or no end of the head in `raw`.
 */
const char *framing_fault(struct cq_span raw);
