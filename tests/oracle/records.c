/* SPDX-License-Identifier: MIT */
#include "tests/oracle/records.h"

#include "lib/base/id.h"

uint64_t rng_next(struct rng *g) /* splitmix64 */
{
    uint64_t z = (g->s += 0x9E3779B97F4A7C15ull);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *g, uint64_t n)
{
    return rng_next(g) % n;
}

/* Every length of a varint is as likely as any other. */
static int64_t random_long(struct rng *g)
{
    switch (rng_below(g, 8)) {
    case 0:
        return 0;
    case 1:
        return INT64_MAX;
    case 2:
        return INT64_MIN;
    default:
        return (int64_t)rng_next(g) >> rng_below(g, 64);
    }
}

static struct cq_span random_text(struct rng *g, struct cq_arena *a, bool utf8)
{
    static const char *const pieces[] = { "a", "Z", "\"", "\\", "</", "\n", "ñ", "€", "𝄞", "\x7f" };
    size_t pieces_n = rng_below(g, 6) == 0 ? rng_below(g, 300) : rng_below(g, 24), n = 0;
    uint8_t *p = arena_alloc(a, pieces_n * 4 + 1);

    for (size_t i = 0; p && i < pieces_n; i++) {
        const char *piece = pieces[rng_below(g, ARRAY_LEN(pieces))];

        if (utf8) {
            memcpy(p + n, piece, strlen(piece));
            n += strlen(piece);
        } else {
            p[n++] = (uint8_t)rng_next(g);
        }
    }
    return span_of(p, p ? n : 0);
}

static bool fill_record(const struct codec_record *r, struct rng *g, struct cq_arena *a,
                        uint8_t *base);
static bool fill_value(const struct codec_field *f, struct rng *g, struct cq_arena *a,
                       uint8_t *base);

static bool fill_array(const struct codec_field *f, struct rng *g, struct cq_arena *a,
                       uint8_t *base)
{
    size_t n = rng_below(g, 6);
    uint8_t *items = n ? arena_alloc(a, n * f->item_size) : NULL;

    if (n && !items)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!fill_value(f->sub.item, g, a, items + i * f->item_size))
            return false;
    *(uint8_t **)(base + f->off) = items;
    *(size_t *)(base + f->aux_off) = n;
    return true;
}

static bool fill_value(const struct codec_field *f, struct rng *g, struct cq_arena *a,
                       uint8_t *base)
{
    uint8_t *v = base + f->off;
    unsigned which;

    switch ((enum codec_op)f->op) {
    case CODEC_BOOL:
        *(bool *)v = rng_below(g, 2);
        return true;
    case CODEC_INT:
        *(int32_t *)v = (int32_t)random_long(g);
        return true;
    case CODEC_LONG:
        *(int64_t *)v = random_long(g);
        return true;
    case CODEC_STRING:
    case CODEC_BYTES:
        *(struct cq_span *)v = random_text(g, a, f->op == CODEC_STRING);
        return ((struct cq_span *)v)->p;
    case CODEC_ID:
        for (size_t i = 0; i < sizeof(struct cq_id); i++)
            v[i] = (uint8_t)rng_next(g);
        return true;
    case CODEC_ENUM:
        *(unsigned *)v = (unsigned)rng_below(g, f->n);
        return true;
    case CODEC_RECORD:
        return fill_record(f->sub.record, g, a, v);
    case CODEC_ARRAY:
        return fill_array(f, g, a, base);
    case CODEC_ONE_OF:
        which = (unsigned)rng_below(g, f->n);
        *(unsigned *)(base + f->aux_off) = which;
        return fill_record(f->sub.choices[which].record, g, a, v);
    }
    return false;
}

static bool fill_record(const struct codec_record *r, struct rng *g, struct cq_arena *a,
                        uint8_t *base)
{
    for (uint32_t i = 0; i < r->fields_n; i++) {
        const struct codec_field *f = &r->fields[i];

        if (f->nullable) {
            bool has = rng_below(g, 2);

            *(bool *)(base + f->has_off) = has;
            if (!has)
                continue;
        }
        if (!fill_value(f, g, a, base))
            return false;
    }
    return true;
}

void *record_random(const struct codec_record *r, struct rng *g, struct cq_arena *a)
{
    uint8_t *p = arena_alloc(a, r->size);

    return p && fill_record(r, g, a, p) ? p : NULL;
}

/* ---- comparison
 * ----------------------------------------------------------------------------------- */

static bool equal_value(const struct codec_field *f, const uint8_t *x, const uint8_t *y);

static bool equal_array(const struct codec_field *f, const uint8_t *x, const uint8_t *y)
{
    size_t n = *(const size_t *)(x + f->aux_off);
    const uint8_t *a = *(const uint8_t *const *)(x + f->off);
    const uint8_t *b = *(const uint8_t *const *)(y + f->off);

    if (n != *(const size_t *)(y + f->aux_off))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!equal_value(f->sub.item, a + i * f->item_size, b + i * f->item_size))
            return false;
    return true;
}

static bool equal_value(const struct codec_field *f, const uint8_t *x, const uint8_t *y)
{
    const uint8_t *a = x + f->off, *b = y + f->off;
    unsigned which;

    switch ((enum codec_op)f->op) {
    case CODEC_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CODEC_INT:
    case CODEC_ENUM:
        return memcmp(a, b, sizeof(int32_t)) == 0;
    case CODEC_LONG:
        return memcmp(a, b, sizeof(int64_t)) == 0;
    case CODEC_STRING:
    case CODEC_BYTES:
        return span_eq(*(const struct cq_span *)a, *(const struct cq_span *)b);
    case CODEC_ID:
        return memcmp(a, b, sizeof(struct cq_id)) == 0;
    case CODEC_RECORD:
        return record_equal(f->sub.record, a, b);
    case CODEC_ARRAY:
        return equal_array(f, x, y);
    case CODEC_ONE_OF:
        which = *(const unsigned *)(x + f->aux_off);
        return which == *(const unsigned *)(y + f->aux_off) && which < f->n &&
               record_equal(f->sub.choices[which].record, a, b);
    }
    return false;
}

bool record_equal(const struct codec_record *r, const void *x, const void *y)
{
    for (uint32_t i = 0; i < r->fields_n; i++) {
        const struct codec_field *f = &r->fields[i];

        if (f->nullable) {
            bool has = *(const bool *)((const uint8_t *)x + f->has_off);

            if (has != *(const bool *)((const uint8_t *)y + f->has_off))
                return false;
            if (!has)
                continue;
        }
        if (!equal_value(f, x, y))
            return false;
    }
    return true;
}
