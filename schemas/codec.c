/* SPDX-License-Identifier: MIT */
#include "schemas/codec.h"

#include "lib/base/assert.h"
#include "lib/base/id.h"
#include "schemas/table.h"

enum { VARINT_MAX = 10 };

uint32_t codec_schema_id(const struct codec_record *r)
{
    return r->id;
}

const char *codec_name(const struct codec_record *r)
{
    return r->name;
}

const char *codec_schema_json(const struct codec_record *r)
{
    return r->json;
}

/* ---- encode
 * -------------------------------------------------------------------------------------- */

/* A cursor into the buffer's memory: out->n stays behind until the record is whole. */
struct enc {
    uint8_t *p;
    uint8_t *end;
    struct cq_buf *out;
};

static bool enc_grow(struct enc *e, size_t n)
{
    size_t before = e->out->n;
    size_t at = (size_t)(e->p - e->out->p);

    e->out->n = at;
    e->p = buf_reserve(e->out, n);
    e->out->n = before;
    if (!e->p)
        return false;
    e->end = e->out->p + e->out->cap;
    return true;
}

/* Room for n bytes and a varint. */
static inline bool enc_room(struct enc *e, size_t n)
{
    return __builtin_expect((size_t)(e->end - e->p) >= n + VARINT_MAX, true) ||
           enc_grow(e, n + VARINT_MAX);
}

static inline void enc_long(struct enc *e, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    while (z >= 0x80) {
        *e->p++ = (uint8_t)(z | 0x80);
        z >>= 7;
    }
    *e->p++ = (uint8_t)z;
}

static bool enc_bytes(struct enc *e, struct cq_span s)
{
    if (s.n > e->out->max || !enc_room(e, s.n))
        return false;
    enc_long(e, (int64_t)s.n);
    if (s.n)
        memcpy(e->p, s.p, s.n);
    e->p += s.n;
    return true;
}

static bool enc_record(struct enc *e, const struct codec_record *r, const uint8_t *base);
static bool enc_array(struct enc *e, const struct codec_field *f, const uint8_t *base);
static bool enc_one_of(struct enc *e, const struct codec_field *f, const uint8_t *base);

static inline bool enc_value(struct enc *e, const struct codec_field *f, const uint8_t *base)
{
    const uint8_t *v = base + f->off;
    unsigned which;

    switch ((enum codec_op)f->op) {
    case CODEC_BOOL:
        *e->p++ = *(const bool *)v;
        return true;
    case CODEC_INT:
        enc_long(e, *(const int32_t *)v);
        return true;
    case CODEC_LONG:
        enc_long(e, *(const int64_t *)v);
        return true;
    case CODEC_STRING:
        return span_is_utf8(*(const struct cq_span *)v) && enc_bytes(e, *(const struct cq_span *)v);
    case CODEC_BYTES:
        return enc_bytes(e, *(const struct cq_span *)v);
    case CODEC_ID:
        memcpy(e->p, v, sizeof(struct cq_id));
        e->p += sizeof(struct cq_id);
        return true;
    case CODEC_ENUM:
        which = *(const unsigned *)v;
        enc_long(e, (int64_t)which + 1); /* UNKNOWN is 0 and never written */
        return which < f->n;
    case CODEC_RECORD:
        return enc_record(e, f->sub.record, v);
    case CODEC_ARRAY:
        return enc_array(e, f, base);
    case CODEC_ONE_OF:
        return enc_one_of(e, f, base);
    }
    return false;
}

/* With room for them. A loop: they are few. */
static inline void enc_nulls(struct enc *e, uint32_t n)
{
    uint8_t *p = e->p;

    for (; n; n--)
        *p++ = 0;
    e->p = p;
}

/* Each choice is ["null", record]: 0, or 2 and the record. */
static bool enc_one_of(struct enc *e, const struct codec_field *f, const uint8_t *base)
{
    unsigned which = *(const unsigned *)(base + f->aux_off);

    CQ_ASSERT(which < f->n, which, f->n); /* one of them is set */
    if (!enc_room(e, f->n))
        return false;
    enc_nulls(e, which);
    *e->p++ = 2;
    if (!enc_record(e, f->sub.choices[which].record, base + f->off) || !enc_room(e, f->n))
        return false;
    enc_nulls(e, f->n - which - 1);
    return true;
}

static bool enc_array(struct enc *e, const struct codec_field *f, const uint8_t *base)
{
    const uint8_t *item = *(const uint8_t *const *)(base + f->off);
    size_t n = *(const size_t *)(base + f->aux_off);

    if (n > CODEC_ARRAY_MAX)
        return false;
    if (n)
        enc_long(e, (int64_t)n);
    for (size_t i = 0; i < n; i++, item += f->item_size)
        if (!enc_room(e, sizeof(struct cq_id)) || !enc_value(e, f->sub.item, item))
            return false;
    if (!enc_room(e, 1))
        return false;
    *e->p++ = 0;
    return true;
}

static bool enc_record(struct enc *e, const struct codec_record *r, const uint8_t *base)
{
    const struct codec_field *f = r->fields;

    for (uint32_t i = 0; i < r->fields_n; i++, f++) {
        if (!enc_room(e, sizeof(struct cq_id) + 1)) /* the largest plain value and a union index */
            return false;
        if (f->nullable) {
            bool has = *(const bool *)(base + f->has_off);

            *e->p++ = has ? 2 : 0;
            if (!has)
                continue;
        }
        if (!enc_value(e, f, base))
            return false;
    }
    return true;
}

enum cq_status codec_encode(const struct codec_record *r, const void *rec, struct cq_buf *out)
{
    struct enc e = { .out = out };
    bool failed_before = out->failed;

    e.p = buf_reserve(out, CODEC_FRAMING);
    if (e.p) {
        e.end = out->p + out->cap;
        *e.p++ = 0;
        for (int shift = 24; shift >= 0; shift -= 8)
            *e.p++ = (uint8_t)(r->id >> shift);
        if (enc_record(&e, r, rec)) {
            out->n = (size_t)(e.p - out->p);
            return CQ_OK;
        }
    }
    out->failed = failed_before; /* what was in it stays good */
    return CQ_POISON;
}

/* ---- decode
 * -------------------------------------------------------------------------------------- */

struct dec {
    const uint8_t *p;
    const uint8_t *end;
    struct cq_arena *arena;
    const char *why; /* static; NULL with a failure: the arena's maximum */
};

/* Fail with a reason. */
static bool bad(struct dec *d, const char *why)
{
    d->why = why;
    return false;
}

static bool dec_long_slow(struct dec *d, int64_t *ret)
{
    uint64_t z = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint64_t c;

        if (d->p == d->end)
            return bad(d, "cut short");
        c = *d->p++;
        if (shift == 63 && c > 1)
            return bad(d, "number too long");
        z |= (c & 0x7f) << shift;
        if (c < 0x80) {
            *ret = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
            return true;
        }
    }
    return bad(d, "number too long");
}

static inline bool dec_long(struct dec *d, int64_t *ret)
{
    if (d->p < d->end && *d->p < 0x80) {
        *ret = (int64_t)(*d->p >> 1) ^ -(int64_t)(*d->p & 1);
        d->p++;
        return true;
    }
    return dec_long_slow(d, ret);
}

/* An index into n alternatives. */
static inline bool dec_index(struct dec *d, uint32_t n, unsigned *ret, const char *why)
{
    int64_t v;

    if (!dec_long(d, &v))
        return false;
    if (v < 0 || v >= (int64_t)n)
        return bad(d, why);
    *ret = (unsigned)v;
    return true;
}

static inline bool dec_bytes(struct dec *d, struct cq_span *ret)
{
    int64_t n;

    if (!dec_long(d, &n))
        return false;
    if (n < 0 || n > d->end - d->p)
        return bad(d, "length beyond the end");
    *ret = span_of(d->p, (size_t)n);
    d->p += n;
    return true;
}

static bool dec_record(struct dec *d, const struct codec_record *r, uint8_t *base);
static bool dec_array(struct dec *d, const struct codec_field *f, uint8_t *base);
static bool dec_one_of(struct dec *d, const struct codec_field *f, uint8_t *base);

static inline bool dec_int(struct dec *d, int32_t *ret)
{
    int64_t v;

    if (!dec_long(d, &v))
        return false;
    if (v != (int32_t)v)
        return bad(d, "int out of range");
    *ret = (int32_t)v;
    return true;
}

/* UNKNOWN, 0 on the wire, is what other readers make of a symbol that they do not know. */
static inline bool dec_enum(struct dec *d, const struct codec_field *f, unsigned *ret)
{
    unsigned which;

    if (!dec_index(d, f->n + 1, &which, "enum out of range"))
        return false;
    if (which == 0)
        return bad(d, "unknown enum symbol");
    *ret = which - 1;
    return true;
}

static inline bool dec_value(struct dec *d, const struct codec_field *f, uint8_t *base)
{
    uint8_t *v = base + f->off;

    switch ((enum codec_op)f->op) {
    case CODEC_BOOL:
        if (d->p == d->end || *d->p > 1)
            return bad(d, d->p == d->end ? "cut short" : "bad boolean");
        *(bool *)v = *d->p++;
        return true;
    case CODEC_INT:
        return dec_int(d, (int32_t *)v);
    case CODEC_LONG:
        return dec_long(d, (int64_t *)v);
    case CODEC_STRING:
        if (!dec_bytes(d, (struct cq_span *)v))
            return false;
        return span_is_utf8(*(struct cq_span *)v) || bad(d, "string is not UTF-8");
    case CODEC_BYTES:
        return dec_bytes(d, (struct cq_span *)v);
    case CODEC_ID:
        if ((size_t)(d->end - d->p) < sizeof(struct cq_id))
            return bad(d, "cut short");
        memcpy(v, d->p, sizeof(struct cq_id));
        d->p += sizeof(struct cq_id);
        return true;
    case CODEC_ENUM:
        return dec_enum(d, f, (unsigned *)v);
    case CODEC_RECORD:
        return dec_record(d, f->sub.record, v);
    case CODEC_ARRAY:
        return dec_array(d, f, base);
    case CODEC_ONE_OF:
        return dec_one_of(d, f, base);
    }
    return bad(d, "unknown field kind");
}

/* Pass over choices from `i` on that are null, each in its shortest form. */
static inline uint32_t dec_nulls(struct dec *d, uint32_t i, uint32_t n)
{
    const uint8_t *p = d->p;

    for (; i < n && p < d->end && *p == 0; i++)
        p++;
    d->p = p;
    return i;
}

static bool dec_one_of(struct dec *d, const struct codec_field *f, uint8_t *base)
{
    bool found = false;

    for (uint32_t i = dec_nulls(d, 0, f->n); i < f->n; i = dec_nulls(d, i + 1, f->n)) {
        unsigned set;

        if (!dec_index(d, 2, &set, "union index out of range"))
            return false;
        if (!set)
            continue;
        if (found)
            return bad(d, "more than one fact");
        found = true;
        *(unsigned *)(base + f->aux_off) = i;
        if (!dec_record(d, f->sub.choices[i].record, base + f->off))
            return false;
    }
    return found || bad(d, "no fact");
}

/* Count of the next block, 0 at the array's end; `*ret_end` is where a sized block must end, or
 * NULL. */
static bool dec_block(struct dec *d, const struct codec_field *f, size_t have, size_t *ret_n,
                      const uint8_t **ret_end)
{
    int64_t n, size;

    *ret_end = NULL;
    if (!dec_long(d, &n))
        return false;
    if (n < 0) {
        if (n < -(int64_t)CODEC_ARRAY_MAX || !dec_long(d, &size))
            return d->why ? false : bad(d, "array too long");
        if (size < 0 || size > d->end - d->p)
            return bad(d, "block beyond the end");
        *ret_end = d->p + size;
        n = -n;
    }
    if (n > (int64_t)(CODEC_ARRAY_MAX - have) || n > (d->end - d->p) / (int64_t)f->item_min)
        return bad(d, "array too long");
    *ret_n = (size_t)n;
    return true;
}

/* Writers that buffer send one array in several blocks; room doubles so that the arena holds at
 * most twice the items. */
static bool dec_array_room(struct dec *d, const struct codec_field *f, uint8_t **items, size_t have,
                           size_t more, size_t *cap)
{
    size_t want = have + more > 2 * *cap ? have + more : 2 * *cap;
    uint8_t *p;

    if (have + more <= *cap)
        return true;
    if (have == 0)
        want = more; /* nearly always the only block */
    p = arena_alloc(d->arena, want * f->item_size);
    if (!p)
        return false;
    if (have)
        memcpy(p, *items, have * f->item_size);
    *items = p;
    *cap = want;
    return true;
}

static bool dec_array(struct dec *d, const struct codec_field *f, uint8_t *base)
{
    const uint8_t *block_end;
    uint8_t *items = NULL;
    size_t have = 0, cap = 0, n;

    for (;;) {
        if (!dec_block(d, f, have, &n, &block_end))
            return false;
        if (n == 0)
            break;
        if (!dec_array_room(d, f, &items, have, n, &cap))
            return false;
        for (; n; n--, have++)
            if (!dec_value(d, f->sub.item, items + have * f->item_size))
                return false;
        if (block_end && d->p != block_end)
            return bad(d, "block has another size");
    }
    *(uint8_t **)(base + f->off) = items;
    *(size_t *)(base + f->aux_off) = have;
    return true;
}

static inline bool dec_field(struct dec *d, const struct codec_field *f, uint8_t *base)
{
    if (f->nullable) {
        unsigned which;

        if (!dec_index(d, 2, &which, "union index out of range"))
            return false;
        *(bool *)(base + f->has_off) = which;
        if (!which)
            return true;
    }
    return dec_value(d, f, base);
}

static bool dec_record(struct dec *d, const struct codec_record *r, uint8_t *base)
{
    const struct codec_field *f = r->fields;

    for (uint32_t i = 0; i < r->fields_n; i++, f++)
        if (!dec_field(d, f, base))
            return false;
    return true;
}

static enum cq_status verdict(const struct dec *d, bool ok, const char **ret_why)
{
    const char *why = ok ? "bytes after the end" : d->why;

    if (ok && d->p == d->end)
        return CQ_OK;
    if (ret_why)
        *ret_why = why ? why : "arena full";
    return why ? CQ_POISON : CQ_AGAIN;
}

enum cq_status codec_decode_field(const struct codec_field *f, struct cq_span in,
                                  struct cq_arena *a, uint8_t *base)
{
    struct dec d = { .p = in.p, .end = in.p + in.n, .arena = a };

    return verdict(&d, dec_field(&d, f, base), NULL);
}

enum cq_status codec_decode(const struct codec_record *r, struct cq_span in, struct cq_arena *a,
                            void *ret, const char **ret_why)
{
    struct dec d = { .arena = a };
    uint32_t id;

    if (in.n < CODEC_FRAMING || in.p[0] != 0) {
        if (ret_why)
            *ret_why = "no framing";
        return CQ_POISON;
    }
    id = (uint32_t)in.p[1] << 24 | (uint32_t)in.p[2] << 16 | (uint32_t)in.p[3] << 8 | in.p[4];
    d.p = in.p + CODEC_FRAMING;
    d.end = in.p + in.n;
    if (id != r->id)
        return resolve_decode(r, id, span_of(d.p, (size_t)(d.end - d.p)), a, ret, ret_why);
    memset(ret, 0, r->size);
    return verdict(&d, dec_record(&d, r, ret), ret_why);
}
