/* SPDX-License-Identifier: MIT */
/*
 * lib/store/store.h - where files are kept: a folder of this machine, or a bucket that speaks S3.
 * One handle a thread; every call blocks. Keys are made by us: letters, digits, `-` and `/`.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/status.h"

struct store;
struct sha256_state; /* lib/base/hash.h */

enum {
    STORE_KEY_MAX = 128,
    STORE_URL_MAX = 2048,
    STORE_MEMO_MAX = 64 * 1024,
    STORE_PART_LEAST = 5 * 1024 * 1024, /* S3's, but for the last */
    STORE_BYTES_MAX = 8 * 1024 * 1024,  /* of one store_grow() or store_put() */
};

enum { STORE_HASH_TEXT = 45 };
#define STORE_HASH_HEADER "x-amz-checksum-sha256"

struct store_conf {
    const char *where;      /* `local:PATH`, or `s3:http(s)://host[:port]/bucket` */
    const char *access_key; /* S3 */
    const char *secret_key;
    const char *region;
    const char *public_url; /* S3 as clients reach it, `http(s)://host[:port]`; "": as we do */
};

/** What stood in the way of the last call. */
enum store_fault {
    STORE_FINE,
    STORE_AWAY,    /* no answer, or an error of its own: later */
    STORE_FULL,    /* no room */
    STORE_REFUSED, /* it does not accept our credentials */
    STORE_MISSING, /* no such object */
    STORE_WRONG,   /* the bytes or their number are not what was announced */
};

/** CQ_POISON: `where` is not understood. Everything is copied. Owned by caller. */
CQ_MUST_CHECK enum cq_status store_new(const struct store_conf *conf, struct store **ret);
void store_free(struct store *s); /* NULL is fine */
CQ_DEFINE_AUTO(store, struct store *, store_free)

/** Make the folders or the bucket when they are not there. */
CQ_MUST_CHECK enum cq_status store_prepare(struct store *s);

enum store_fault store_fault(const struct store *s);
const char *store_why(const struct store *s); /* words for a log line, never a secret */

/* All below: CQ_OK; CQ_AGAIN for AWAY, FULL and REFUSED; CQ_POISON for MISSING and WRONG. What a
 * call left half done is not visible under its key, and the same call again completes it. */

/** A whole object, in place of what was there. */
CQ_MUST_CHECK enum cq_status store_put(struct store *s, const char *key, const char *type,
                                       struct cq_span bytes);

CQ_MUST_CHECK enum cq_status store_size(struct store *s, const char *key, int64_t *ret);

/** At most `most` bytes from `offset` on, appended to `ret`; fewer only at the end. */
CQ_MUST_CHECK enum cq_status store_read(struct store *s, const char *key, int64_t offset,
                                        size_t most, struct cq_buf *ret);

/** All of it to `sink`, in order. CQ_POISON too when `sink` returns false. */
CQ_MUST_CHECK enum cq_status store_stream(struct store *s, const char *key,
                                          bool (*sink)(void *arg, struct cq_span bytes), void *arg);

/** The object `from` under the key `to`, too; only a store that has links can. Once copied it is
 * out of reach of a link to `from`. */
CQ_MUST_CHECK enum cq_status store_copy(struct store *s, const char *from, const char *to);

/** Deleting what is not there is fine. */
CQ_MUST_CHECK enum cq_status store_delete(struct store *s, const char *key);

/* ---- growing: an object that comes in pieces, over days and restarts ------------------ */

/* `memo` is text that the caller keeps between calls, with the number of bytes it was told are
 * held; both together or not at all. "" at first. The last piece makes the object appear. */

/** Add `bytes` at `at` (the bytes held so far); `last`: it is whole with them, of `type`. Once this
 * returns CQ_OK they are on the store's disk. `hash` is moved on by them, while the disk works
 * where that can be; after anything but CQ_OK it is of no use any more. */
CQ_MUST_CHECK enum cq_status store_grow(struct store *s, const char *key, struct cq_buf *memo,
                                        int64_t at, struct cq_span bytes, bool last,
                                        const char *type, struct sha256_state *hash);

/** Forget what was held, also by a caller that died before it had noted its memo. */
CQ_MUST_CHECK enum cq_status store_ungrow(struct store *s, const char *key, const char *memo);

/* ---- uploads: one id, and the places where something of it may lie -------------------- */

enum store_place {
    STORE_MEDIA,    /* checked, or growing */
    STORE_INCOMING, /* where a link leads to, */
    STORE_PROVEN,   /* and one that is good for the bytes of one hash only */
};

void store_key(enum store_place place, struct cq_id id, char out[STORE_KEY_MAX]);

/** Take away what lies anywhere of an upload, whole or in pieces, but not the object `keep` ("" for
 * none). */
CQ_MUST_CHECK enum cq_status store_forget(struct store *s, struct cq_id id, const char *memo,
                                          const char *keep);

/** The same of what links have brought only. */
CQ_MUST_CHECK enum cq_status store_forget_links(struct store *s, struct cq_id id, const char *keep);

/* ---- links: clients talk to the store themselves -------------------------------------- */

/** How large an object is, and whether the store itself has checked that these are its bytes (it
 * came by a link that said so). */
CQ_MUST_CHECK enum cq_status store_proven(struct store *s, const char *key,
                                          const uint8_t sha256[32], int64_t *ret_size,
                                          bool *ret_proven);

/** Whether this store has them. */
bool store_has_links(const struct store *s);

/** `http://host` of the links, for a page's policy; "" without links. */
const char *store_origin(const struct store *s);

/** What a GET or HEAD is answered with. */
struct store_answer {
    const char *type, *disposition; /* NULL: as it is kept */
    const char *cache;              /* Cache-Control */
};

/**
 * A URL with which anybody may PUT (exactly this type and length, which become part of the
 * signature, and with `sha256`, which may be NULL, exactly these bytes: the header
 * STORE_HASH_HEADER, as store_hash_text() has it) or GET, or HEAD, for `seconds`. `now_s`: seconds
 * since the epoch. False when it does not fit.
 */
CQ_MUST_CHECK bool store_link_put(struct store *s, const char *key, const char *type,
                                  int64_t length, const uint8_t *sha256, int64_t now_s, int seconds,
                                  struct cq_buf *ret);
CQ_MUST_CHECK bool store_link_get(struct store *s, const char *key, bool is_head,
                                  const struct store_answer *answer, int64_t now_s, int seconds,
                                  struct cq_buf *ret);
void store_hash_text(const uint8_t sha256[32], char out[STORE_HASH_TEXT]);
