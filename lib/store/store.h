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
    STORE_PART_LEAST = 5 * 1024 * 1024, /* S3's minimum, the last part excepted */
    STORE_BYTES_MAX = 8 * 1024 * 1024,  /* of one store_grow() or store_put() */
};

enum { STORE_HASH_TEXT = 45 };
#define STORE_HASH_HEADER "x-amz-checksum-sha256"

struct store_conf {
    const char *where;      /* `local:PATH`, or `s3:http(s)://host[:port]/bucket` */
    const char *access_key; /* for S3 */
    const char *secret_key;
    const char *region;
    const char *public_url; /* S3 as clients reach it, `http(s)://host[:port]`; "": as we do */
};

/** What stood in the way of the last call. */
enum store_fault {
    STORE_FINE,
    STORE_AWAY,    /* no answer, or an error of its own: try later */
    STORE_FULL,    /* no room */
    STORE_REFUSED, /* it does not accept our credentials */
    STORE_MISSING, /* no such object */
    STORE_WRONG,   /* the bytes or their number are not what was announced */
};

/** CQ_POISON: `where` is not understood. Everything is copied. Owned by caller. */
CQ_MUST_CHECK enum cq_status store_new(const struct store_conf *conf, struct store **ret);
void store_free(struct store *store); /* NULL is fine */
CQ_DEFINE_AUTO(store, struct store *, store_free)

/** Make the folders or the bucket when they are not there. */
CQ_MUST_CHECK enum cq_status store_prepare(struct store *store);

/** What the last call met. */
enum store_fault store_fault(const struct store *store);
const char *store_why(const struct store *store); /* words for a log line, never a secret */

/* The statuses of all below: CQ_OK; CQ_AGAIN for AWAY, FULL and REFUSED; CQ_POISON for MISSING and
 * WRONG. What a call left half done is not visible under its key, and the same call again completes
 * it. */

/** Store a whole object, in place of what was there. */
CQ_MUST_CHECK enum cq_status store_put(struct store *store, const char *key, const char *type,
                                       struct cq_span bytes);

/** The bytes of an object. */
CQ_MUST_CHECK enum cq_status store_size(struct store *store, const char *key, int64_t *ret);

/** Append at most `most` bytes from `offset` on to `ret`; fewer only at the end. */
CQ_MUST_CHECK enum cq_status store_read(struct store *store, const char *key, int64_t offset,
                                        size_t most, struct cq_buf *ret);

/** Hand the whole object to `sink`, in order. CQ_POISON also when `sink` returns false. */
CQ_MUST_CHECK enum cq_status store_stream(struct store *store, const char *key,
                                          bool (*sink)(void *arg, struct cq_span bytes), void *arg);

/** Copy the object `from` to the key `to`; only a store that has links can. A link to `from` does
 * not reach the copy. */
CQ_MUST_CHECK enum cq_status store_copy(struct store *store, const char *from, const char *to);

/** Deleting what is not there is fine. */
CQ_MUST_CHECK enum cq_status store_delete(struct store *store, const char *key);

/* ---- growing: an object that comes in pieces, over days and restarts ------------------ */

/* `memo` is text that the caller keeps between calls, "" at first, together with the number of
 * bytes that are held: both or neither. The last piece makes the object appear. */

/** Add `bytes` at `at` (the number of bytes held so far); `last`: they complete the object, which
 * is of `type`. Once this returns CQ_OK they are on the store's disk. `hash` is fed with them,
 * while the disk works where possible; after anything but CQ_OK it is void. */
CQ_MUST_CHECK enum cq_status store_grow(struct store *store, const char *key, struct cq_buf *memo,
                                        int64_t at, struct cq_span bytes, bool last,
                                        const char *type, struct sha256_state *hash);

/** Forget what was held, also by a caller that died before it had noted its memo. */
CQ_MUST_CHECK enum cq_status store_ungrow(struct store *store, const char *key, const char *memo);

/* ---- uploads: one id, and the places where some of it may be -------------------------- */

enum store_place {
    STORE_MEDIA,    /* checked, or growing */
    STORE_INCOMING, /* brought by a link */
    STORE_PROVEN,   /* brought by a link that takes only the bytes of one hash */
};

/** The key of what an upload has at `place`. */
void store_key(enum store_place place, struct cq_id id, char out[STORE_KEY_MAX]);

/** Delete all that there is of an upload, whole or in pieces, but not the object `keep` ("" for
 * none). */
CQ_MUST_CHECK enum cq_status store_forget(struct store *store, struct cq_id id, const char *memo,
                                          const char *keep);

/** The same, but only of what links have brought. */
CQ_MUST_CHECK enum cq_status store_forget_links(struct store *store, struct cq_id id,
                                                const char *keep);

/* ---- links: clients talk to the store themselves -------------------------------------- */

/** How large an object is, and whether the store itself has checked its bytes against `sha256`: it
 * has when they came by a link that named this hash. */
CQ_MUST_CHECK enum cq_status store_proven(struct store *store, const char *key,
                                          const uint8_t sha256[32], int64_t *ret_size,
                                          bool *ret_proven);

/** Whether this store has links. */
bool store_has_links(const struct store *store);

/** `http://host` of the links, for a page's policy; "" without links. */
const char *store_origin(const struct store *store);

/** How the store answers a GET or HEAD by a link. */
struct store_answer {
    const char *type, *disposition; /* NULL: as the object has it */
    const char *cache;              /* Cache-Control */
};

/** A URL with which anybody may PUT an object for `seconds`: of exactly this type and length, which
 * are part of the signature. Unless `sha256` is NULL, only of the bytes with this hash, which the
 * client sends in the header STORE_HASH_HEADER, as store_hash_text() writes it. `now_s`: seconds
 * since the epoch. False when it does not fit into `ret`. */
CQ_MUST_CHECK bool store_link_put(struct store *store, const char *key, const char *type,
                                  int64_t length, const uint8_t *sha256, int64_t now_s, int seconds,
                                  struct cq_buf *ret);

/** The same for a GET or, with `is_head`, a HEAD. */
CQ_MUST_CHECK bool store_link_get(struct store *store, const char *key, bool is_head,
                                  const struct store_answer *answer, int64_t now_s, int seconds,
                                  struct cq_buf *ret);

/** Standard base64 with its padding, and a NUL. */
void store_hash_text(const uint8_t sha256[32], char out[STORE_HASH_TEXT]);
