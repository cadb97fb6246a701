/* SPDX-License-Identifier: MIT */
/*
 * lib/store/kinds.h - what a kind of store provides; shared by the files of lib/store.
 */
#pragma once

#include "lib/store/store.h"

struct store_kind {
    void (*release)(struct store *s);
    enum cq_status (*prepare)(struct store *s);
    enum cq_status (*put)(struct store *s, const char *key, const char *type, struct cq_span bytes);
    enum cq_status (*size)(struct store *s, const char *key, int64_t *ret);
    enum cq_status (*read)(struct store *s, const char *key, int64_t offset, size_t most,
                           struct cq_buf *ret);
    enum cq_status (*stream)(struct store *s, const char *key,
                             bool (*sink)(void *arg, struct cq_span bytes), void *arg);
    enum cq_status (*remove)(struct store *s, const char *key);
    enum cq_status (*grow)(struct store *s, const char *key, struct cq_buf *memo, int64_t at,
                           struct cq_span bytes, bool last, const char *type,
                           struct sha256_state *hash);
    enum cq_status (*ungrow)(struct store *s, const char *key, const char *memo);
    enum cq_status (*copy)(struct store *s, const char *from, const char *to); /* with links only */
};

struct store {
    const struct store_kind *kind;
    void *own; /* the kind's, owned */
    enum store_fault fault;
    char why[256];
};

/** Note the fault; returns its status. */
enum cq_status store_fail(struct store *store, enum store_fault fault, const char *what,
                          const char *why);

/** Fill in `store` for its kind; statuses as store_new(). */
CQ_MUST_CHECK enum cq_status store_open_local(struct store *store, const char *path);
CQ_MUST_CHECK enum cq_status store_open_s3(struct store *store, const struct store_conf *conf);

/* s3.c, for the links */
bool s3_link_put(struct store *store, const char *key, const char *type, int64_t length,
                 const uint8_t *sha256, int64_t now_s, int seconds, struct cq_buf *ret);
bool s3_link_get(struct store *store, const char *method, const char *key,
                 const struct store_answer *answer, int64_t now_s, int seconds, struct cq_buf *ret);
CQ_MUST_CHECK enum cq_status s3_proven(struct store *store, const char *key,
                                       const uint8_t sha256[32], int64_t *ret_size,
                                       bool *ret_proven);
const char *s3_origin(const struct store *store);
