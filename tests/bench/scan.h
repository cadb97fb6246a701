/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/scan.h - what the load generator needs of a server frame, found in one walk over the
 * JSON text without building a tree. Trusts the server to send valid JSON; never reads past the
 * end.
 */
#pragma once

#include "lib/base/span.h"

#include <stdint.h>

struct scan {
    struct cq_span t, client_id, id, chat_id, from, content, code; /* borrowed from the frame */
    int64_t n, seq, delivered, read, retry_after_ms;               /* 0 when absent */
};

/** False when `text` is no JSON object. String values come as written, with their escapes. */
bool scan_frame(struct cq_span text, struct scan *ret);
