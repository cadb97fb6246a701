/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/chunks.h - whether a chunked body is written in the one way that all readers
 * agree on (pure): hexadecimal digits, CRLF, as many bytes, CRLF; the last chunk is empty.
 * Extensions and trailers, which nobody here needs, are refused. It decodes nothing: libh2o does,
 * leniently.
 */
#pragma once

#include "lib/base/span.h"

enum chunks_state {
    CHUNKS_SIZE, /* digits of a size, none yet */
    CHUNKS_DIGITS,
    CHUNKS_SIZE_LF,
    CHUNKS_DATA,
    CHUNKS_DATA_CR,
    CHUNKS_DATA_LF,
    CHUNKS_END_CR,
    CHUNKS_END_LF,
    CHUNKS_DONE,
    CHUNKS_BAD,
};

/** Zero before the first byte. */
struct chunks {
    enum chunks_state state;
    unsigned digits;
    uint64_t left;   /* bytes of this chunk that are to come */
    uint64_t body_n; /* bytes of all chunks so far, as their sizes announce them */
};

/** Read on in `raw`; returns how many of its bytes belong to the body: all, unless it ends in them
 * (CHUNKS_DONE) or is refused (CHUNKS_BAD). */
size_t chunks_feed(struct chunks *chunks, struct cq_span raw);
