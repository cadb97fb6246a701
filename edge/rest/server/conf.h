/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/conf.h - what the server is told at its start.
 */
#pragma once

#include "edge/rest/server/door.h"
#include "edge/rest/server/route.h"
#include "ingest/log_disk.h"
#include "lib/jwt/token.h"
#include "lib/store/store.h"

/** Fixed at start; read by every thread. All is borrowed. */
struct server_conf {
    const char *listen;                 /* address:port */
    const struct routes *const *routes; /* ends with NULL */
    const struct api_conf *api;         /* for the handlers: the server does not look into it */
    struct token_keys *keys;
    const char *database_url, *database_read_url; /* read: "" for the same */
    const char *brokers;
    bool group_commit;         /* as ingest_conf.group_commit */
    const char *origins;       /* allowed, comma-separated */
    const char *media_origin;  /* where files are redirected to; "": nowhere */
    const char *web_root;      /* "" for no page */
    const char *ws_upstream;   /* host:port of the tunnel for /ws, "" for none */
    struct log_disk *log_disk; /* of the loop thread */
    struct store_conf store;   /* of media calls; where is "": there is none */
    int64_t rate_per_minute;
    int32_t partitions;
    int workers_n, media_workers_n;
    size_t raw_max;        /* bytes of a body under ROUTE_RAW */
    const char *raw_words; /* what is said to a larger one */
    struct door_conf door; /* all but who grants */
    /** Headers for the answer to OPTIONS of a path, into `call`. */
    void (*options)(struct call *call, struct cq_span path);
    void (*tell_failed)(const struct call *call); /* loop thread; NULL: nobody is told */
};
