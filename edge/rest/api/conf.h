/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/conf.h - what handlers are told at start.
 */
#pragma once

#include "edge/auth/budgets.h"
#include "lib/jwt/token.h"
#include "lib/store/store.h"
#include "schemas/records.gen.h"

struct code_lane;

/** What concerns files. */
struct media_conf {
    struct store_conf store; /* where is "": there is none */
    int64_t max_bytes[MESSAGE_TYPE_N];
    int64_t daily_bytes, part_bytes;
    char piece_words[112]; /* what is said to a larger piece */
    int64_t link_s;        /* a link of the store's to download with lives this long at least */
    uint8_t link_key[32];
};

enum {
    /* A piece of the size that we name fills one buffer of libh2o's together with its head. With a
     * byte more it would take one of twice the size. */
    MEDIA_HEAD_ROOM = 8 * 1024,
};

/** The largest piece that clients are told of. */
static inline int64_t media_piece_most(const struct media_conf *conf)
{
    return conf->part_bytes - MEDIA_HEAD_ROOM;
}

/** Fixed at start; read by every worker thread. */
struct api_conf {
    struct token_keys *keys;
    const char *ws_url, *code_driver;
    const char *vapid_public; /* pages subscribe to pushes with it; "": there are none */
    char push_services[2050]; /* of browsers, as WEBPUSH_SERVICES and WEBPUSH_MORE name them */
    struct code_lane *codes;  /* NULL: codes are in the answer */
    struct auth_limits limits;
    int32_t partitions;
    int64_t rate_per_minute; /* of a user's messages and requests */
    struct media_conf media;
};
