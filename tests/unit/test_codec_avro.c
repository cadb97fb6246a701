/* SPDX-License-Identifier: MIT */
/* The codec against avro-c: random records of every type, written by one and read by the other. */
#include "lib/base/id.h"
#include "tests/oracle/records.h"
#include "tests/unit/test.h"

#include <avro.h>

enum { ROUNDS = 400, BYTES_MAX = 1024 * 1024 };

static bool fill(avro_value_t *value, const struct codec_record *codec, const uint8_t *base);

/* Set avro-c's `value`, no union, to the field's value. */
static bool fill_value(avro_value_t *value, const struct codec_field *field, const uint8_t *base)
{
    const uint8_t *p = base + field->off;
    const struct cq_span *span = (const struct cq_span *)p;
    avro_value_t inner;

    switch ((enum codec_op)field->op) {
    case CODEC_BOOL:
        return avro_value_set_boolean(value, *(const bool *)p) == 0;
    case CODEC_INT:
        return avro_value_set_int(value, *(const int32_t *)p) == 0;
    case CODEC_LONG:
        return avro_value_set_long(value, *(const int64_t *)p) == 0;
    case CODEC_STRING: { /* avro-c wants a NUL of its own, and counts it */
        char text[2048] = "";

        memcpy(text, span->p, span->n);
        return avro_value_set_string_len(value, text, span->n + 1) == 0;
    }
    case CODEC_BYTES:
        return avro_value_set_bytes(value, (void *)(uintptr_t)span->p, span->n) == 0;
    case CODEC_ID:
        return avro_value_set_fixed(value, (void *)(uintptr_t)p, sizeof(struct cq_id)) == 0;
    case CODEC_ENUM:
        return avro_value_set_enum(value, *(const int *)p + 1) == 0; /* behind UNKNOWN */
    case CODEC_RECORD:
        return fill(value, field->sub.record, p);
    case CODEC_ARRAY:
        for (size_t i = 0; i < *(const size_t *)(base + field->aux_off); i++)
            if (avro_value_append(value, &inner, NULL) != 0 ||
                !fill_value(&inner, field->sub.item,
                            *(const uint8_t *const *)p + i * field->item_size))
                return false;
        return true;
    case CODEC_ONE_OF:
        break; /* fill_one_of */
    }
    return false;
}

/* `v` is the record that has the choices as fields. */
static bool fill_one_of(avro_value_t *v, const struct codec_field *codec_field, const uint8_t *base)
{
    for (uint32_t i = 0; i < codec_field->n; i++) {
        bool set = *(const unsigned *)(base + codec_field->aux_off) == i;
        avro_value_t field, inner;

        if (avro_value_get_by_name(v, codec_field->sub.choices[i].name, &field, NULL) != 0 ||
            avro_value_set_branch(&field, set, &inner) != 0)
            return false;
        if (set ? !fill(&inner, codec_field->sub.choices[i].record, base + codec_field->off)
                : avro_value_set_null(&inner) != 0)
            return false;
    }
    return true;
}

static bool fill(avro_value_t *value, const struct codec_record *codec, const uint8_t *base)
{
    for (uint32_t i = 0; i < codec->fields_n; i++) {
        const struct codec_field *codec_field = &codec->fields[i];
        avro_value_t field, inner;
        bool has = !codec_field->nullable || *(const bool *)(base + codec_field->has_off);

        if (codec_field->op == CODEC_ONE_OF) {
            if (!fill_one_of(value, codec_field, base))
                return false;
            continue;
        }
        if (avro_value_get_by_name(value, codec_field->name, &field, NULL) != 0)
            return false;
        if (codec_field->nullable) {
            if (avro_value_set_branch(&field, has, &inner) != 0)
                return false;
            field = inner;
        }
        if (has ? !fill_value(&field, codec_field, base) : avro_value_set_null(&field) != 0)
            return false;
    }
    return true;
}

/* One record type in avro-c's hands. */
struct oracle {
    avro_schema_t schema;
    avro_value_iface_t *iface;
    avro_value_t v;
    uint8_t *bytes; /* what avro-c wrote */
    size_t n;
};

static void oracle_open(struct oracle *oracle, const struct codec_record *codec)
{
    const char *json = codec_schema_json(codec);

    if (avro_schema_from_json_length(json, strlen(json), &oracle->schema) != 0)
        abort();
    oracle->iface = avro_generic_class_from_schema(oracle->schema);
    avro_generic_value_new(oracle->iface, &oracle->v);
    oracle->bytes = malloc(BYTES_MAX);
}

static void oracle_close(struct oracle *oracle)
{
    avro_value_decref(&oracle->v);
    avro_value_iface_decref(oracle->iface);
    avro_schema_decref(oracle->schema);
    free(oracle->bytes);
}

static int oracle_write(struct oracle *oracle)
{
    avro_writer_t w = avro_writer_memory((char *)oracle->bytes, BYTES_MAX);
    int rc = avro_value_write(w, &oracle->v);

    oracle->n = (size_t)avro_writer_tell(w);
    avro_writer_free(w);
    return rc;
}

static int oracle_read(struct oracle *oracle, struct cq_span body)
{
    avro_reader_t rd = avro_reader_memory((const char *)body.p, (int64_t)body.n);
    int rc = avro_value_reset(&oracle->v) ? -1 : avro_value_read(rd, &oracle->v);

    avro_reader_free(rd);
    return rc;
}

static void round_trip(const struct codec_record *codec, struct oracle *oracle, struct rng *rng,
                       struct cq_arena *arena)
{
    cq_auto(buf) struct cq_buf ours = { 0 };
    cq_auto(buf) struct cq_buf theirs = { 0 };
    const void *rec = record_random(codec, rng, arena);
    void *back = arena_alloc(arena, codec->size);
    const char *why = "";
    struct cq_span body;

    buf_init(&ours, BYTES_MAX);
    buf_init(&theirs, BYTES_MAX);
    CHECK(rec && back);
    CHECK_EQ(codec_encode(codec, rec, &ours), CQ_OK);
    body = span_of(ours.p + CODEC_FRAMING, ours.n - CODEC_FRAMING);

    /* avro-c writes the same value as the same bytes ... */
    CHECK_EQ(avro_value_reset(&oracle->v), 0);
    CHECK(fill(&oracle->v, codec, rec));
    CHECK_EQ(oracle_write(oracle), 0);
    CHECK(span_eq(span_of(oracle->bytes, oracle->n), body));
    /* ... reads ours as the value it then writes again ... */
    CHECK_EQ(oracle_read(oracle, body), 0);
    CHECK_EQ(oracle_write(oracle), 0);
    CHECK(span_eq(span_of(oracle->bytes, oracle->n), body));
    /* ... and we read what it wrote as the value we began with. */
    buf_add(&theirs, ours.p, CODEC_FRAMING);
    buf_add(&theirs, oracle->bytes, oracle->n);
    CHECK_EQ(codec_decode(codec, buf_span(&theirs), arena, back, &why), CQ_OK);
    CHECK(record_equal(codec, rec, back));
}

TEST(every_record_both_ways)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(64 * 1024 * 1024);

    for (size_t i = 0; codec_records[i]; i++) {
        struct rng rng = { i };
        struct oracle oracle;

        oracle_open(&oracle, codec_records[i]);
        for (int round = 0; round < ROUNDS && !test_failed; round++) {
            arena_reset(arena);
            round_trip(codec_records[i], &oracle, &rng, arena);
        }
        oracle_close(&oracle);
        if (test_failed)
            fprintf(stderr, "record %s\n", codec_name(codec_records[i]));
    }
}

TEST(the_comparison_sees_a_difference)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(64 * 1024 * 1024);

    for (size_t i = 0; codec_records[i]; i++) {
        struct rng g = { i }, h = { i }, other = { i + 1000 };
        const void *x = record_random(codec_records[i], &g, arena);
        const void *same = record_random(codec_records[i], &h, arena);
        const void *y = record_random(codec_records[i], &other, arena);

        CHECK(x && same && y);
        CHECK(record_equal(codec_records[i], x, same));
        CHECK(!record_equal(codec_records[i], x, y));
    }
}
