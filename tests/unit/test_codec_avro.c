/* SPDX-License-Identifier: MIT */
/* The codec against avro-c: random records of every type, written by one and read by the other. */
#include "lib/base/id.h"
#include "tests/oracle/records.h"
#include "tests/unit/test.h"

#include <avro.h>

enum { ROUNDS = 400, BYTES_MAX = 1024 * 1024 };

static bool fill(avro_value_t *v, const struct codec_record *r, const uint8_t *base);

/* Set avro-c's `v`, no union, to the field's value. */
static bool fill_value(avro_value_t *v, const struct codec_field *f, const uint8_t *base)
{
    const uint8_t *p = base + f->off;
    const struct cq_span *s = (const struct cq_span *)p;
    avro_value_t inner;

    switch ((enum codec_op)f->op) {
    case CODEC_BOOL:
        return avro_value_set_boolean(v, *(const bool *)p) == 0;
    case CODEC_INT:
        return avro_value_set_int(v, *(const int32_t *)p) == 0;
    case CODEC_LONG:
        return avro_value_set_long(v, *(const int64_t *)p) == 0;
    case CODEC_STRING: { /* avro-c wants a NUL of its own, and counts it */
        char text[2048] = "";

        memcpy(text, s->p, s->n);
        return avro_value_set_string_len(v, text, s->n + 1) == 0;
    }
    case CODEC_BYTES:
        return avro_value_set_bytes(v, (void *)(uintptr_t)s->p, s->n) == 0;
    case CODEC_ID:
        return avro_value_set_fixed(v, (void *)(uintptr_t)p, sizeof(struct cq_id)) == 0;
    case CODEC_ENUM:
        return avro_value_set_enum(v, *(const int *)p + 1) == 0; /* behind UNKNOWN */
    case CODEC_RECORD:
        return fill(v, f->sub.record, p);
    case CODEC_ARRAY:
        for (size_t i = 0; i < *(const size_t *)(base + f->aux_off); i++)
            if (avro_value_append(v, &inner, NULL) != 0 ||
                !fill_value(&inner, f->sub.item, *(const uint8_t *const *)p + i * f->item_size))
                return false;
        return true;
    case CODEC_ONE_OF:
        break; /* fill_one_of */
    }
    return false;
}

/* `v` is the record that has the choices as fields. */
static bool fill_one_of(avro_value_t *v, const struct codec_field *f, const uint8_t *base)
{
    for (uint32_t i = 0; i < f->n; i++) {
        bool set = *(const unsigned *)(base + f->aux_off) == i;
        avro_value_t field, inner;

        if (avro_value_get_by_name(v, f->sub.choices[i].name, &field, NULL) != 0 ||
            avro_value_set_branch(&field, set, &inner) != 0)
            return false;
        if (set ? !fill(&inner, f->sub.choices[i].record, base + f->off)
                : avro_value_set_null(&inner) != 0)
            return false;
    }
    return true;
}

static bool fill(avro_value_t *v, const struct codec_record *r, const uint8_t *base)
{
    for (uint32_t i = 0; i < r->fields_n; i++) {
        const struct codec_field *f = &r->fields[i];
        avro_value_t field, inner;
        bool has = !f->nullable || *(const bool *)(base + f->has_off);

        if (f->op == CODEC_ONE_OF) {
            if (!fill_one_of(v, f, base))
                return false;
            continue;
        }
        if (avro_value_get_by_name(v, f->name, &field, NULL) != 0)
            return false;
        if (f->nullable) {
            if (avro_value_set_branch(&field, has, &inner) != 0)
                return false;
            field = inner;
        }
        if (has ? !fill_value(&field, f, base) : avro_value_set_null(&field) != 0)
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

static void oracle_open(struct oracle *o, const struct codec_record *r)
{
    const char *json = codec_schema_json(r);

    if (avro_schema_from_json_length(json, strlen(json), &o->schema) != 0)
        abort();
    o->iface = avro_generic_class_from_schema(o->schema);
    avro_generic_value_new(o->iface, &o->v);
    o->bytes = malloc(BYTES_MAX);
}

static void oracle_close(struct oracle *o)
{
    avro_value_decref(&o->v);
    avro_value_iface_decref(o->iface);
    avro_schema_decref(o->schema);
    free(o->bytes);
}

static int oracle_write(struct oracle *o)
{
    avro_writer_t w = avro_writer_memory((char *)o->bytes, BYTES_MAX);
    int rc = avro_value_write(w, &o->v);

    o->n = (size_t)avro_writer_tell(w);
    avro_writer_free(w);
    return rc;
}

static int oracle_read(struct oracle *o, struct cq_span body)
{
    avro_reader_t rd = avro_reader_memory((const char *)body.p, (int64_t)body.n);
    int rc = avro_value_reset(&o->v) ? -1 : avro_value_read(rd, &o->v);

    avro_reader_free(rd);
    return rc;
}

static void round_trip(const struct codec_record *r, struct oracle *o, struct rng *g,
                       struct cq_arena *a)
{
    cq_auto(buf) struct cq_buf ours;
    cq_auto(buf) struct cq_buf theirs;
    const void *rec = record_random(r, g, a);
    void *back = arena_alloc(a, r->size);
    const char *why = "";
    struct cq_span body;

    buf_init(&ours, BYTES_MAX);
    buf_init(&theirs, BYTES_MAX);
    CHECK(rec && back);
    CHECK_EQ(codec_encode(r, rec, &ours), CQ_OK);
    body = span_of(ours.p + CODEC_FRAMING, ours.n - CODEC_FRAMING);

    /* avro-c writes the same value as the same bytes ... */
    CHECK_EQ(avro_value_reset(&o->v), 0);
    CHECK(fill(&o->v, r, rec));
    CHECK_EQ(oracle_write(o), 0);
    CHECK(span_eq(span_of(o->bytes, o->n), body));
    /* ... reads ours as the value it then writes again ... */
    CHECK_EQ(oracle_read(o, body), 0);
    CHECK_EQ(oracle_write(o), 0);
    CHECK(span_eq(span_of(o->bytes, o->n), body));
    /* ... and we read what it wrote as the value we began with. */
    buf_add(&theirs, ours.p, CODEC_FRAMING);
    buf_add(&theirs, o->bytes, o->n);
    CHECK_EQ(codec_decode(r, buf_span(&theirs), a, back, &why), CQ_OK);
    CHECK(record_equal(r, rec, back));
}

TEST(every_record_both_ways)
{
    cq_auto(arena) struct cq_arena *a = arena_new(64 * 1024 * 1024);

    for (size_t i = 0; codec_records[i]; i++) {
        struct rng g = { i };
        struct oracle o;

        oracle_open(&o, codec_records[i]);
        for (int k = 0; k < ROUNDS && !test_failed; k++) {
            arena_reset(a);
            round_trip(codec_records[i], &o, &g, a);
        }
        oracle_close(&o);
        if (test_failed)
            fprintf(stderr, "record %s\n", codec_name(codec_records[i]));
    }
}

TEST(the_comparison_sees_a_difference)
{
    cq_auto(arena) struct cq_arena *a = arena_new(64 * 1024 * 1024);

    for (size_t i = 0; codec_records[i]; i++) {
        struct rng g = { i }, h = { i }, other = { i + 1000 };
        const void *x = record_random(codec_records[i], &g, a);
        const void *same = record_random(codec_records[i], &h, a);
        const void *y = record_random(codec_records[i], &other, a);

        CHECK(x && same && y);
        CHECK(record_equal(codec_records[i], x, same));
        CHECK(!record_equal(codec_records[i], x, y));
    }
}
