/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/costs_contents.h - the dearest that a message may show beside its text.
 */
#pragma once

#include "lib/base/arena.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"

#include <stdint.h>
#include <string.h>

/* `n` characters of four bytes. */
static inline struct cq_span draw_wide(struct cq_arena *arena, size_t n)
{
    char *text = arena_alloc(arena, 4 * n);

    for (size_t i = 0; i < n; i++)
        memcpy(text + 4 * i, "\xF0\x9F\x98\x82", 4);
    return span_of(text, 4 * n);
}

/* A place has the most bytes of what it may be. */
static inline struct contents draw_contents(struct cq_arena *arena)
{
    return (
        struct contents){ .has_location = true,
                          .location = { .latitude = -123456789,
                                        .longitude = -1234567891,
                                        .has_accuracy = true,
                                        .accuracy = LIMIT_LOCATION_ACCURACY_MAX,
                                        .has_name = true,
                                        .name = draw_wide(arena, LIMIT_PLACE_NAME_CHARS),
                                        .has_address = true,
                                        .address = draw_wide(arena, LIMIT_PLACE_ADDRESS_CHARS) } };
}

/* An address of quotes takes two bytes each in JSON. */
static inline struct preview draw_preview(struct cq_arena *arena)
{
    char *url = arena_alloc(arena, LIMIT_PREVIEW_URL_BYTES);

    memset(url, '"', LIMIT_PREVIEW_URL_BYTES);
    memcpy(url, "https://", 8);
    return (struct preview){ .url = span_of(url, LIMIT_PREVIEW_URL_BYTES),
                             .has_title = true,
                             .title = draw_wide(arena, LIMIT_PREVIEW_TITLE_CHARS),
                             .has_description = true,
                             .description = draw_wide(arena, LIMIT_PREVIEW_DESCRIPTION_CHARS),
                             .has_media_id = true,
                             .media_id = { { 3 } } };
}

/* `bytes` of content at most, the address in front. */
static inline struct cq_span draw_with_url(struct cq_arena *arena, struct cq_span content,
                                           size_t bytes, struct cq_span url)
{
    char *text = arena_alloc(arena, bytes);
    size_t rest = bytes - url.n < content.n ? (bytes - url.n) / 4 * 4 : content.n;

    memcpy(text, url.p, url.n);
    memcpy(text + url.n, content.p, rest);
    return span_of(text, url.n + rest);
}

/* What a message of `bytes` shows; a preview is of an address in the content, which is then none that is encrypted. */
static inline void draw_shown(struct cq_arena *arena, bool has_preview, struct message_sent *sent,
                              size_t bytes)
{
    sent->has_contents = true;
    sent->contents = draw_contents(arena);
    sent->has_preview = has_preview;
    if (!has_preview)
        return;
    sent->preview = draw_preview(arena);
    sent->has_key_id = false;
    bytes = bytes > LIMIT_PREVIEW_URL_BYTES ? bytes : LIMIT_PREVIEW_URL_BYTES;
    sent->content = draw_with_url(arena, sent->content, bytes, sent->preview.url);
}
