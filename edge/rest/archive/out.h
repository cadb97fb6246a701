/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/archive/out.h - a tar file on its way into the store: entry by entry, in pieces that the store takes.
 */
#pragma once

#include "lib/base/hash.h"
#include "lib/store/store.h"

enum { OUT_PIECE_BYTES = STORE_PART_LEAST, OUT_READ_BYTES = 1024 * 1024 };

/** Whether to go on; asked before each piece is read or written. CQ_OK, or what the writer returns. */
typedef enum cq_status out_ask_fn(void *arg);

struct archive_out {
    struct store *store; /* borrowed */
    char key[STORE_KEY_MAX];
    int64_t at_ms; /* that entries are of */
    out_ask_fn *ask;
    void *arg;
    int64_t at; /* bytes that the store has */
    struct cq_buf memo, piece;
    struct sha256_state hash;
};

/** `store`, `key`, `at_ms`, `ask` and `arg` are set by the caller, all else is zero. */
void out_begin(struct archive_out *out);
void out_release(struct archive_out *out);

/* CQ_AGAIN: the store did not take, or give, something; CQ_FATAL: what is to be written has no form in tar.
 * After anything but CQ_OK the file has to be begun anew. */

CQ_MUST_CHECK enum cq_status out_entry(struct archive_out *out, const char *name,
                                       struct cq_span bytes);

/** An object of the store, whose size is known. */
CQ_MUST_CHECK enum cq_status out_object(struct archive_out *out, const char *name, const char *key,
                                        int64_t size);

/** The last piece. The file is there under its key. */
CQ_MUST_CHECK enum cq_status out_end(struct archive_out *out, uint8_t ret_sha256[32]);

/** Bytes so far. */
static inline int64_t out_bytes(const struct archive_out *out)
{
    return out->at + (int64_t)out->piece.n;
}
