/* SPDX-License-Identifier: MIT */
#include "schemas/codec.h"

#include "lib/base/assert.h"
#include "lib/base/id.h"
#include "schemas/table.h"

enum { VARINT_MAX = 10 };

uint32_t codec_schema_id(const struct codec_record *codec)
{
    return codec->id;
}

const char *codec_name(const struct codec_record *codec)
{
    return codec->name;
}

const char *codec_schema_json(const struct codec_record *codec)
{
    return codec->json;
}

/* ---- encode
 * -------------------------------------------------------------------------------------- */

/* A cursor into the buffer's memory: out->n stays behind until the record is whole. */
struct enc {
    uint8_t *p;
    uint8_t *end;
    struct cq_buf *out;
};

static bool enc_grow(struct enc *enc, size_t n)
{
    size_t before = enc->out->n;
    size_t at = (size_t)(enc->p - enc->out->p);

    enc->out->n = at;
    enc->p = buf_reserve(enc->out, n);
    enc->out->n = before;
    if (!enc->p)
        return false;
    enc->end = enc->out->p + enc->out->cap;
    return true;
}

/* Room for n bytes and a varint. */
static inline bool enc_room(struct enc *enc, size_t n)
{
    return __builtin_expect((size_t)(enc->end - enc->p) >= n + VARINT_MAX, true) ||
           enc_grow(enc, n + VARINT_MAX);
}

static inline void enc_long(struct enc *enc, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    while (z >= 0x80) {
        *enc->p++ = (uint8_t)(z | 0x80);
        z >>= 7;
    }
    *enc->p++ = (uint8_t)z;
}

static bool enc_bytes(struct enc *enc, struct cq_span span)
{
    if (span.n > enc->out->max || !enc_room(enc, span.n))
        return false;
    enc_long(enc, (int64_t)span.n);
    if (span.n)
        memcpy(enc->p, span.p, span.n);
    enc->p += span.n;
    return true;
}

static bool enc_record(struct enc *enc, const struct codec_record *codec, const uint8_t *base);
static bool enc_array(struct enc *enc, const struct codec_field *field, const uint8_t *base);
static bool enc_one_of(struct enc *enc, const struct codec_field *field, const uint8_t *base);

static inline bool enc_value(struct enc *enc, const struct codec_field *field, const uint8_t *base)
{
    const uint8_t *bytes = base + field->off;
    unsigned which;

    switch ((enum codec_op)field->op) {
    case CODEC_BOOL:
        *enc->p++ = *(const bool *)bytes;
        return true;
    case CODEC_INT:
        enc_long(enc, *(const int32_t *)bytes);
        return true;
    case CODEC_LONG:
        enc_long(enc, *(const int64_t *)bytes);
        return true;
    case CODEC_STRING:
        return span_is_utf8(*(const struct cq_span *)bytes) &&
               enc_bytes(enc, *(const struct cq_span *)bytes);
    case CODEC_BYTES:
        return enc_bytes(enc, *(const struct cq_span *)bytes);
    case CODEC_ID:
        memcpy(enc->p, bytes, sizeof(struct cq_id));
        enc->p += sizeof(struct cq_id);
        return true;
    case CODEC_ENUM:
        which = *(const unsigned *)bytes;
        enc_long(enc, (int64_t)which + 1); /* UNKNOWN is 0 and never written */
        return which < field->n;
    case CODEC_RECORD:
        return enc_record(enc, field->sub.record, bytes);
    case CODEC_ARRAY:
        return enc_array(enc, field, base);
    case CODEC_ONE_OF:
        return enc_one_of(enc, field, base);
    }
    return false;
}

/* With room for them. A loop: they are few. */
static inline void enc_nulls(struct enc *enc, uint32_t n)
{
    uint8_t *p = enc->p;

    for (; n; n--)
        *p++ = 0;
    enc->p = p;
}

/* Each choice is ["null", record]: 0, or 2 and the record. */
static bool enc_one_of(struct enc *enc, const struct codec_field *field, const uint8_t *base)
{
    unsigned which = *(const unsigned *)(base + field->aux_off);

    CQ_ASSERT(which < field->n, which, field->n); /* one of them is set */
    if (!enc_room(enc, field->n))
        return false;
    enc_nulls(enc, which);
    *enc->p++ = 2;
    if (!enc_record(enc, field->sub.choices[which].record, base + field->off) ||
        !enc_room(enc, field->n))
        return false;
    enc_nulls(enc, field->n - which - 1);
    return true;
}

static bool enc_array(struct enc *enc, const struct codec_field *field, const uint8_t *base)
{
    const uint8_t *item = *(const uint8_t *const *)(base + field->off);
    size_t n = *(const size_t *)(base + field->aux_off);

    if (n > CODEC_ARRAY_MAX)
        return false;
    if (n)
        enc_long(enc, (int64_t)n);
    for (size_t i = 0; i < n; i++, item += field->item_size)
        if (!enc_room(enc, sizeof(struct cq_id)) || !enc_value(enc, field->sub.item, item))
            return false;
    if (!enc_room(enc, 1))
        return false;
    *enc->p++ = 0;
    return true;
}

static bool enc_record(struct enc *enc, const struct codec_record *codec, const uint8_t *base)
{
    const struct codec_field *field = codec->fields;

    for (uint32_t i = 0; i < codec->fields_n; i++, field++) {
        if (!enc_room(enc,
                      sizeof(struct cq_id) + 1)) /* the largest plain value and a union index */
            return false;
        if (field->nullable) {
            bool has = *(const bool *)(base + field->has_off);

            *enc->p++ = has ? 2 : 0;
            if (!has)
                continue;
        }
        if (!enc_value(enc, field, base))
            return false;
    }
    return true;
}

enum cq_status codec_encode(const struct codec_record *codec, const void *rec, struct cq_buf *out)
{
    struct enc enc = { .out = out };
    bool failed_before = out->failed;

    enc.p = buf_reserve(out, CODEC_FRAMING);
    if (enc.p) {
        enc.end = out->p + out->cap;
        *enc.p++ = 0;
        for (int shift = 24; shift >= 0; shift -= 8)
            *enc.p++ = (uint8_t)(codec->id >> shift);
        if (enc_record(&enc, codec, rec)) {
            out->n = (size_t)(enc.p - out->p);
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
static bool bad(struct dec *dec, const char *why)
{
    dec->why = why;
    return false;
}

static bool dec_long_slow(struct dec *dec, int64_t *ret)
{
    uint64_t zigzag = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint64_t byte;

        if (dec->p == dec->end)
            return bad(dec, "cut short");
        byte = *dec->p++;
        if (shift == 63 && byte > 1)
            return bad(dec, "number too long");
        zigzag |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return true;
        }
    }
    return bad(dec, "number too long");
}

static inline bool dec_long(struct dec *dec, int64_t *ret)
{
    if (dec->p < dec->end && *dec->p < 0x80) {
        *ret = (int64_t)(*dec->p >> 1) ^ -(int64_t)(*dec->p & 1);
        dec->p++;
        return true;
    }
    return dec_long_slow(dec, ret);
}

/* An index into n alternatives. */
static inline bool dec_index(struct dec *dec, uint32_t n, unsigned *ret, const char *why)
{
    int64_t v;

    if (!dec_long(dec, &v))
        return false;
    if (v < 0 || v >= (int64_t)n)
        return bad(dec, why);
    *ret = (unsigned)v;
    return true;
}

static inline bool dec_bytes(struct dec *dec, struct cq_span *ret)
{
    int64_t n;

    if (!dec_long(dec, &n))
        return false;
    if (n < 0 || n > dec->end - dec->p)
        return bad(dec, "length beyond the end");
    *ret = span_of(dec->p, (size_t)n);
    dec->p += n;
    return true;
}

static bool dec_record(struct dec *dec, const struct codec_record *codec, uint8_t *base);
static bool dec_array(struct dec *dec, const struct codec_field *field, uint8_t *base);
static bool dec_one_of(struct dec *dec, const struct codec_field *field, uint8_t *base);

static inline bool dec_int(struct dec *dec, int32_t *ret)
{
    int64_t v;

    if (!dec_long(dec, &v))
        return false;
    if (v != (int32_t)v)
        return bad(dec, "int out of range");
    *ret = (int32_t)v;
    return true;
}

/* UNKNOWN, 0 on the wire, is what other readers make of a symbol that they do not know. */
static inline bool dec_enum(struct dec *dec, const struct codec_field *field, unsigned *ret)
{
    unsigned which;

    if (!dec_index(dec, field->n + 1, &which, "enum out of range"))
        return false;
    if (which == 0)
        return bad(dec, "unknown enum symbol");
    *ret = which - 1;
    return true;
}

static inline bool dec_value(struct dec *dec, const struct codec_field *field, uint8_t *base)
{
    uint8_t *bytes = base + field->off;

    switch ((enum codec_op)field->op) {
    case CODEC_BOOL:
        if (dec->p == dec->end || *dec->p > 1)
            return bad(dec, dec->p == dec->end ? "cut short" : "bad boolean");
        *(bool *)bytes = *dec->p++;
        return true;
    case CODEC_INT:
        return dec_int(dec, (int32_t *)bytes);
    case CODEC_LONG:
        return dec_long(dec, (int64_t *)bytes);
    case CODEC_STRING:
        if (!dec_bytes(dec, (struct cq_span *)bytes))
            return false;
        return span_is_utf8(*(struct cq_span *)bytes) || bad(dec, "string is not UTF-8");
    case CODEC_BYTES:
        return dec_bytes(dec, (struct cq_span *)bytes);
    case CODEC_ID:
        if ((size_t)(dec->end - dec->p) < sizeof(struct cq_id))
            return bad(dec, "cut short");
        memcpy(bytes, dec->p, sizeof(struct cq_id));
        dec->p += sizeof(struct cq_id);
        return true;
    case CODEC_ENUM:
        return dec_enum(dec, field, (unsigned *)bytes);
    case CODEC_RECORD:
        return dec_record(dec, field->sub.record, bytes);
    case CODEC_ARRAY:
        return dec_array(dec, field, base);
    case CODEC_ONE_OF:
        return dec_one_of(dec, field, base);
    }
    return bad(dec, "unknown field kind");
}

/* Pass over choices from `i` on that are null, each in its shortest form. */
static inline uint32_t dec_nulls(struct dec *dec, uint32_t i, uint32_t n)
{
    const uint8_t *p = dec->p;

    for (; i < n && p < dec->end && *p == 0; i++)
        p++;
    dec->p = p;
    return i;
}

static bool dec_one_of(struct dec *dec, const struct codec_field *field, uint8_t *base)
{
    bool found = false;

    for (uint32_t i = dec_nulls(dec, 0, field->n); i < field->n;
         i = dec_nulls(dec, i + 1, field->n)) {
        unsigned set;

        if (!dec_index(dec, 2, &set, "union index out of range"))
            return false;
        if (!set)
            continue;
        if (found)
            return bad(dec, "more than one fact");
        found = true;
        *(unsigned *)(base + field->aux_off) = i;
        if (!dec_record(dec, field->sub.choices[i].record, base + field->off))
            return false;
    }
    return found || bad(dec, "no fact");
}

/* Count of the next block, 0 at the array's end; `*ret_end` is where a sized block must end, or
 * NULL. */
static bool dec_block(struct dec *dec, const struct codec_field *field, size_t have, size_t *ret_n,
                      const uint8_t **ret_end)
{
    int64_t n, size;

    *ret_end = NULL;
    if (!dec_long(dec, &n))
        return false;
    if (n < 0) {
        if (n < -(int64_t)CODEC_ARRAY_MAX || !dec_long(dec, &size))
            return dec->why ? false : bad(dec, "array too long");
        if (size < 0 || size > dec->end - dec->p)
            return bad(dec, "block beyond the end");
        *ret_end = dec->p + size;
        n = -n;
    }
    if (n > (int64_t)(CODEC_ARRAY_MAX - have) || n > (dec->end - dec->p) / (int64_t)field->item_min)
        return bad(dec, "array too long");
    *ret_n = (size_t)n;
    return true;
}

/* Writers that buffer send one array in several blocks; room doubles so that the arena holds at
 * most twice the items. */
static bool dec_array_room(struct dec *dec, const struct codec_field *field, uint8_t **items,
                           size_t have, size_t more, size_t *cap)
{
    size_t want = have + more > 2 * *cap ? have + more : 2 * *cap;
    uint8_t *p;

    if (have + more <= *cap)
        return true;
    if (have == 0)
        want = more; /* nearly always the only block */
    p = arena_alloc(dec->arena, want * field->item_size);
    if (!p)
        return false;
    if (have)
        memcpy(p, *items, have * field->item_size);
    *items = p;
    *cap = want;
    return true;
}

static bool dec_array(struct dec *dec, const struct codec_field *field, uint8_t *base)
{
    const uint8_t *block_end;
    uint8_t *items = NULL;
    size_t have = 0, cap = 0, n;

    for (;;) {
        if (!dec_block(dec, field, have, &n, &block_end))
            return false;
        if (n == 0)
            break;
        if (!dec_array_room(dec, field, &items, have, n, &cap))
            return false;
        for (; n; n--, have++)
            if (!dec_value(dec, field->sub.item, items + have * field->item_size))
                return false;
        if (block_end && dec->p != block_end)
            return bad(dec, "block has another size");
    }
    *(uint8_t **)(base + field->off) = items;
    *(size_t *)(base + field->aux_off) = have;
    return true;
}

static inline bool dec_field(struct dec *dec, const struct codec_field *field, uint8_t *base)
{
    if (field->nullable) {
        unsigned which;

        if (!dec_index(dec, 2, &which, "union index out of range"))
            return false;
        *(bool *)(base + field->has_off) = which;
        if (!which)
            return true;
    }
    return dec_value(dec, field, base);
}

static bool dec_record(struct dec *dec, const struct codec_record *codec, uint8_t *base)
{
    const struct codec_field *field = codec->fields;

    for (uint32_t i = 0; i < codec->fields_n; i++, field++)
        if (!dec_field(dec, field, base))
            return false;
    return true;
}

static enum cq_status verdict(const struct dec *dec, bool ok, const char **ret_why)
{
    const char *why = ok ? "bytes after the end" : dec->why;

    if (ok && dec->p == dec->end)
        return CQ_OK;
    if (ret_why)
        *ret_why = why ? why : "arena full";
    return why ? CQ_POISON : CQ_AGAIN;
}

enum cq_status codec_decode_field(const struct codec_field *field, struct cq_span in,
                                  struct cq_arena *arena, uint8_t *base)
{
    struct dec dec = { .p = in.p, .end = in.p + in.n, .arena = arena };

    return verdict(&dec, dec_field(&dec, field, base), NULL);
}

enum cq_status codec_decode(const struct codec_record *codec, struct cq_span in,
                            struct cq_arena *arena, void *ret, const char **ret_why)
{
    struct dec dec = { .arena = arena };
    uint32_t id;

    if (in.n < CODEC_FRAMING || in.p[0] != 0) {
        if (ret_why)
            *ret_why = "no framing";
        return CQ_POISON;
    }
    id = (uint32_t)in.p[1] << 24 | (uint32_t)in.p[2] << 16 | (uint32_t)in.p[3] << 8 | in.p[4];
    dec.p = in.p + CODEC_FRAMING;
    dec.end = in.p + in.n;
    if (id != codec->id)
        return resolve_decode(codec, id, span_of(dec.p, (size_t)(dec.end - dec.p)), arena, ret,
                              ret_why);
    memset(ret, 0, codec->size);
    return verdict(&dec, dec_record(&dec, codec, ret), ret_why);
}
