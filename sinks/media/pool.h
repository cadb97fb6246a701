/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/pool.h - threads that each look into one file at a time: its bytes out of the store
 * into a file without a name, chasqui-thumbnail on that, the thumbnail into the store. Which file
 * is next is its user's business (line.h). The pool is used by one thread.
 */
#pragma once

#include "lib/base/id.h"
#include "lib/store/store.h"
#include "schemas/limits.h"
#include "sinks/media/look.h"

struct pool;

enum { POOL_MAX = 16, POOL_TYPE_MAX = LIMIT_CONTENT_TYPE_BYTES + 1, POOL_WHY_MAX = 160 };

struct pool_conf {
    int threads;         /* 1 to POOL_MAX */
    const char *program; /* borrowed, as all below */
    const char *folder;  /* for files without a name */
    int64_t megapixels_max;
    struct store_conf store;
};

struct pool_job {
    /* what is asked */
    int32_t place; /* the user's own */
    struct cq_id media;
    char key[STORE_KEY_MAX], type[POOL_TYPE_MAX];
    /* what came of it */
    enum cq_status st; /* CQ_AGAIN: the same later, for the reason in `why` */
    struct look_found found;
    char thumbnail[STORE_KEY_MAX]; /* its key; "": there is none */
    int64_t bytes;                 /* that were fetched */
    bool store_away;
    char why[POOL_WHY_MAX];
};

/** Where the store has the thumbnail of a file. */
void pool_thumbnail_key(struct cq_id media, char out[STORE_KEY_MAX]);

/** CQ_FATAL: threads or the store cannot be had. Owned by caller. */
CQ_MUST_CHECK enum cq_status pool_new(const struct pool_conf *conf, struct pool **ret);

/** Ends what is at work, without a result. NULL is fine. */
void pool_free(struct pool *pool);

/** Threads that have nothing to do. */
int pool_idle(struct pool *pool);

/** Hand `job` (copied) to an idle thread; there must be one. */
void pool_begin(struct pool *pool, const struct pool_job *job);

/** A job that is done; false: none is. */
bool pool_take(struct pool *pool, struct pool_job *ret);
