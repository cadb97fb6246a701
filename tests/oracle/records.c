/* SPDX-License-Identifier: MIT */
#include "tests/oracle/records.h"

#include "lib/base/id.h"

uint64_t rng_next(struct rng *rng) /* splitmix64 */
{
    uint64_t z = (rng->s += 0x9E3779B97F4A7C15ull);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}

/* Every length of a varint is as likely as any other. */
static int64_t random_long(struct rng *rng)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return 0;
    case 1:
        return INT64_MAX;
    case 2:
        return INT64_MIN;
    default:
        return (int64_t)rng_next(rng) >> rng_below(rng, 64);
    }
}

static struct cq_span random_text(struct rng *rng, struct cq_arena *arena, bool utf8)
{
    static const char *const pieces[] = { "a", "Z", "\"", "\\", "</", "\n", "ñ", "€", "𝄞", "\x7f" };
    size_t pieces_n = rng_below(rng, 6) == 0 ? rng_below(rng, 300) : rng_below(rng, 24), n = 0;
    uint8_t *p = arena_alloc(arena, pieces_n * 4 + 1);

    for (size_t i = 0; p && i < pieces_n; i++) {
        const char *piece = pieces[rng_below(rng, ARRAY_LEN(pieces))];

        if (utf8) {
            memcpy(p + n, piece, strlen(piece));
            n += strlen(piece);
        } else {
            p[n++] = (uint8_t)rng_next(rng);
        }
    }
    return span_of(p, p ? n : 0);
}

static bool fill_record(const struct codec_record *codec, struct rng *rng, struct cq_arena *arena,
                        uint8_t *base);
static bool fill_value(const struct codec_field *field, struct rng *rng, struct cq_arena *arena,
                       uint8_t *base);

static bool fill_array(const struct codec_field *field, struct rng *rng, struct cq_arena *arena,
                       uint8_t *base)
{
    size_t n = rng_below(rng, 6);
    uint8_t *items = n ? arena_alloc(arena, n * field->item_size) : NULL;

    if (n && !items)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!fill_value(field->sub.item, rng, arena, items + i * field->item_size))
            return false;
    *(uint8_t **)(base + field->off) = items;
    *(size_t *)(base + field->aux_off) = n;
    return true;
}

static bool fill_value(const struct codec_field *field, struct rng *rng, struct cq_arena *arena,
                       uint8_t *base)
{
    uint8_t *value = base + field->off;
    unsigned which;

    switch ((enum codec_op)field->op) {
    case CODEC_BOOL:
        *(bool *)value = rng_below(rng, 2);
        return true;
    case CODEC_INT:
        *(int32_t *)value = (int32_t)random_long(rng);
        return true;
    case CODEC_LONG:
        *(int64_t *)value = random_long(rng);
        return true;
    case CODEC_STRING:
    case CODEC_BYTES:
        *(struct cq_span *)value = random_text(rng, arena, field->op == CODEC_STRING);
        return ((struct cq_span *)value)->p;
    case CODEC_ID:
        for (size_t i = 0; i < sizeof(struct cq_id); i++)
            value[i] = (uint8_t)rng_next(rng);
        return true;
    case CODEC_ENUM:
        *(unsigned *)value = (unsigned)rng_below(rng, field->n);
        return true;
    case CODEC_RECORD:
        return fill_record(field->sub.record, rng, arena, value);
    case CODEC_ARRAY:
        return fill_array(field, rng, arena, base);
    case CODEC_ONE_OF:
        which = (unsigned)rng_below(rng, field->n);
        *(unsigned *)(base + field->aux_off) = which;
        return fill_record(field->sub.choices[which].record, rng, arena, value);
    }
    return false;
}

static bool fill_record(const struct codec_record *codec, struct rng *rng, struct cq_arena *arena,
                        uint8_t *base)
{
    for (uint32_t i = 0; i < codec->fields_n; i++) {
        const struct codec_field *field = &codec->fields[i];

        if (field->nullable) {
            bool has = rng_below(rng, 2);

            *(bool *)(base + field->has_off) = has;
            if (!has)
                continue;
        }
        if (!fill_value(field, rng, arena, base))
            return false;
    }
    return true;
}

void *record_random(const struct codec_record *codec, struct rng *rng, struct cq_arena *arena)
{
    uint8_t *p = arena_alloc(arena, codec->size);

    return p && fill_record(codec, rng, arena, p) ? p : NULL;
}

/* ---- comparison
 * ----------------------------------------------------------------------------------- */

static bool equal_value(const struct codec_field *field, const uint8_t *left, const uint8_t *right);

static bool equal_array(const struct codec_field *field, const uint8_t *x, const uint8_t *y)
{
    size_t n = *(const size_t *)(x + field->aux_off);
    const uint8_t *a = *(const uint8_t *const *)(x + field->off);
    const uint8_t *b = *(const uint8_t *const *)(y + field->off);

    if (n != *(const size_t *)(y + field->aux_off))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!equal_value(field->sub.item, a + i * field->item_size, b + i * field->item_size))
            return false;
    return true;
}

static bool equal_value(const struct codec_field *field, const uint8_t *left, const uint8_t *right)
{
    const uint8_t *left_value = left + field->off, *right_value = right + field->off;
    unsigned which;

    switch ((enum codec_op)field->op) {
    case CODEC_BOOL:
        return *(const bool *)left_value == *(const bool *)right_value;
    case CODEC_INT:
    case CODEC_ENUM:
        return memcmp(left_value, right_value, sizeof(int32_t)) == 0;
    case CODEC_LONG:
        return memcmp(left_value, right_value, sizeof(int64_t)) == 0;
    case CODEC_STRING:
    case CODEC_BYTES:
        return span_eq(*(const struct cq_span *)left_value, *(const struct cq_span *)right_value);
    case CODEC_ID:
        return memcmp(left_value, right_value, sizeof(struct cq_id)) == 0;
    case CODEC_RECORD:
        return record_equal(field->sub.record, left_value, right_value);
    case CODEC_ARRAY:
        return equal_array(field, left, right);
    case CODEC_ONE_OF:
        which = *(const unsigned *)(left + field->aux_off);
        return which == *(const unsigned *)(right + field->aux_off) && which < field->n &&
               record_equal(field->sub.choices[which].record, left_value, right_value);
    }
    return false;
}

bool record_equal(const struct codec_record *codec, const void *left, const void *right)
{
    for (uint32_t i = 0; i < codec->fields_n; i++) {
        const struct codec_field *field = &codec->fields[i];

        if (field->nullable) {
            bool has = *(const bool *)((const uint8_t *)left + field->has_off);

            if (has != *(const bool *)((const uint8_t *)right + field->has_off))
                return false;
            if (!has)
                continue;
        }
        if (!equal_value(field, left, right))
            return false;
    }
    return true;
}
