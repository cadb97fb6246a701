/* SPDX-License-Identifier: MIT */
/*
 * lib/base/auto.h - acquire with cq_auto(kind), hand over with CQ_TAKE(p).
 *
 *     cq_auto(pgresult) PGresult *res = PQexec(...);   // cleared at scope end
 *     *ret = CQ_TAKE(conn);                            // the caller owns it now
 */
#pragma once

/** Define the cleanup `name` for pointers of `type` (a pointer type) freed by `free_fn`. */
#define CQ_DEFINE_AUTO(name, type, free_fn)    \
    static inline void cq_auto_##name(type *p) \
    {                                          \
        if (*p)                                \
            free_fn(*p);                       \
    }

#define cq_auto(name) __attribute__((cleanup(cq_auto_##name)))

#define CQ_TAKE(p)                 \
    ({                             \
        __typeof__(p) cq_t_ = (p); \
        (p) = NULL;                \
        cq_t_;                     \
    })
