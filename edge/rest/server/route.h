/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/route.h - what a row of a table of routes says, and how a request finds its row
 * (pure). The tables are those of edge/rest/api.
 */
#pragma once

#include "edge/rest/server/call.h"

enum {
    ROUTE_MEDIA = 1,    /* runs where a store is at hand */
    ROUTE_RAW = 2,      /* the body is no JSON, and may be as large as a part of a file */
    ROUTE_LINK = 4,     /* a signed link will do in place of a token */
    ROUTE_FANOUT = 8,   /* all members are told, so a user may send fewer of these at once */
    ROUTE_LOGIN = 16,   /* the way in: not while the doors are closed */
    ROUTE_REPLICA = 32, /* notices by itself when a replica is behind, and may read there */
    ROUTE_SEARCH = 64,  /* dear to PostgreSQL, so a user may ask a part as often */
};

struct route {
    const char *method;
    const char *pattern; /* {} stands for an id */
    bool needs_token;
    call_fn *fn;
    const char *doc;
    unsigned flags;
    const struct write *write; /* of a `fn` that goes by a row; the server does not look into it */
};

/** The routes of one noun. */
struct routes {
    const struct route *v;
    size_t n;
};

/** The row for a method and path, ids into `ids`; NULL for none. `tables` ends with NULL. */
const struct route *route_find(const struct routes *const *tables, struct cq_span method,
                               struct cq_span path, struct cq_id ids[2]);

enum { ROUTE_METHODS_MAX = 64 };

/** The methods that a path has, comma-separated with OPTIONS, as text of less than `cap` (at least
 * ROUTE_METHODS_MAX) bytes; "" when it is no route. */
void route_methods(const struct routes *const *tables, struct cq_span path, char *out, size_t cap);
