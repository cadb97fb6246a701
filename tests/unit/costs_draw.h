/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/costs_draw.h - texts and lengths at their limits, as the records of costs.h have them.
 */
#pragma once

#include "lib/base/arena.h"
#include "schemas/limits.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTHS = 3 /* of PARTITIONS, in order of draws */ };

static unsigned draw_seed;

static inline size_t draw_below(size_t n)
{
    return n ? (size_t)rand_r(&draw_seed) % n : 0;
}

/* A length up to `max`: at the limit in the first draw at each width, and in every other. */
static inline size_t draw_length(int draw, size_t least, size_t max)
{
    return draw < WIDTHS || draw_below(2) ? max : least + draw_below(max - least + 1);
}

/* At most `bytes` of UTF-8: what takes six bytes in JSON, or two, four bytes that are one
 * character, or plain text. */
static inline struct cq_span draw_text(struct cq_arena *arena, int draw, size_t bytes,
                                       bool controls)
{
    static const char *const units[] = { "\x01", "\"", "\xF0\x9F\x98\x82", "x" };
    const char *unit = units[draw < WIDTHS ? (controls ? 0 : 2) : controls + draw_below(3)];
    size_t n = strlen(unit);
    char *text = arena_alloc(arena, bytes + 1);

    for (size_t i = 0; i + n <= bytes; i += n)
        memcpy(text + i, unit, n);
    return span_of(text, bytes / n * n);
}

/* What takes most bytes in JSON, two each, where controls are refused. */
static inline struct cq_span draw_quotes(struct cq_arena *arena, size_t bytes)
{
    char *text = arena_alloc(arena, bytes);

    memset(text, '"', bytes);
    return span_of(text, bytes);
}

/* As long as a name may be. */
static inline struct cq_span draw_name(struct cq_arena *arena, int draw)
{
    size_t most = draw_length(draw, 1, LIMIT_NAME_CHARS);
    char *text = arena_alloc(arena, 4 * most + 1);
    const char *unit = draw == 0 || draw_below(2) ? "\xF0\x9F\x98\x82" : "n";

    for (size_t i = 0; i < most; i++)
        memcpy(text + i * strlen(unit), unit, strlen(unit));
    return span_of(text, most * strlen(unit));
}

static inline struct cq_span draw_word(struct cq_arena *arena, int draw, size_t least, size_t max)
{
    size_t n = draw_length(draw, least, max);
    char *text = arena_alloc(arena, n + 1);

    memset(text, 'a', n);
    return span_of(text, n);
}
