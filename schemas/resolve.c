/* SPDX-License-Identifier: MIT */
/*
 * schemas/resolve.c - records that another or older writer's schema shaped. The bounds are walked
 * with that schema first, avro-c then reads the value, and we bind it by field name: avro-c's own
 * resolution cannot add a field with a default, maps enums by ordinal, and can corrupt the heap.
 * The one owner of avro.h.
 *
 * Rare and slow (microseconds), so one lock holds the table of writers and avro-c, whose error text
 * is global to the process.
 */
#include "lib/base/id.h"
#include "schemas/schema.h"
#include "schemas/table.h"

#include <avro.h>
#include <pthread.h>
#include <stdlib.h>

enum { WRITERS_MAX = CODEC_HISTORY_MAX + 64 };

struct writer {
    uint32_t id;
    char *
        json; /* owned, as are the others; never released: the table lives as long as the process */
    struct schema_doc *doc;
    avro_schema_t avro;
    avro_value_iface_t *iface;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct writer writers[WRITERS_MAX];
static size_t writers_n;
static bool history_loaded;

static void unlock(pthread_mutex_t **m)
{
    pthread_mutex_unlock(*m);
}

#define HOLD_LOCK()                                                          \
    __attribute__((cleanup(unlock), unused)) pthread_mutex_t *held_ = &lock; \
    pthread_mutex_lock(held_)

/* ---- the writers we know
 * ------------------------------------------------------------------------- */

static void writer_release(struct writer *w)
{
    if (w->iface)
        avro_value_iface_decref(w->iface);
    if (w->avro)
        avro_schema_decref(w->avro);
    schema_free(w->doc);
    free(w->json);
}

static bool is_our_record(const char *name)
{
    for (size_t i = 0; codec_records[i]; i++)
        if (strcmp(codec_records[i]->name, name) == 0)
            return true;
    return false;
}

static const struct writer *writer_find(uint32_t id)
{
    for (size_t i = 0; i < writers_n; i++)
        if (writers[i].id == id)
            return &writers[i];
    return NULL;
}

static enum cq_status writer_load(const char *json)
{
    struct writer w = { .json = strdup(json) };
    char why[128];

    if (!w.json || schema_parse(span_str(json), &w.doc, why, sizeof why) != CQ_OK)
        goto fail;
    if (schema_root(w.doc)->kind != SCHEMA_RECORD || !is_our_record(schema_root(w.doc)->name))
        goto fail;
    w.id = schema_id(schema_root(w.doc));
    if (writer_find(w.id)) {
        writer_release(&w);
        return CQ_OK;
    }
    if (writers_n == WRITERS_MAX || avro_schema_from_json_length(json, strlen(json), &w.avro) != 0)
        goto fail;
    w.iface = avro_generic_class_from_schema(w.avro);
    if (!w.iface)
        goto fail;
    writers[writers_n++] = w;
    return CQ_OK;
fail:
    writer_release(&w);
    return CQ_POISON;
}

/* With the lock held. */
static const struct writer *writer_get(uint32_t id)
{
    for (size_t i = 0; !history_loaded && codec_history[i]; i++)
        if (writer_load(codec_history[i]) != CQ_OK)
            abort(); /* the build embedded a text that the build itself parsed */
    history_loaded = true;
    return writer_find(id);
}

enum cq_status codec_writer_add(const char *json)
{
    HOLD_LOCK();
    return writer_load(json);
}

const char *codec_writer_schema(uint32_t id)
{
    const struct writer *w;

    for (size_t i = 0; codec_records[i]; i++)
        if (codec_records[i]->id == id)
            return codec_records[i]->json;
    HOLD_LOCK();
    w = writer_get(id);
    return w ? w->json : NULL;
}

/* ---- binding
 * -------------------------------------------------------------------------------------- */

struct bind {
    struct cq_arena *arena;
    const char *why; /* static; NULL with a failure: the arena's maximum */
};

static bool bad(struct bind *b, const char *why)
{
    b->why = why;
    return false;
}

static bool bind_record(struct bind *b, const struct codec_record *r, avro_value_t *v,
                        uint8_t *base);
static bool bind_value(struct bind *b, const struct codec_field *f, avro_value_t *v, uint8_t *base);

static bool bind_text(struct bind *b, const struct codec_field *f, const avro_value_t *v,
                      struct cq_span *ret)
{
    const void *p = NULL;
    size_t n = 0;
    struct cq_span s;

    if (avro_value_get_type(v) == AVRO_STRING) {
        if (avro_value_get_string(v, (const char **)&p, &n) != 0 || n == 0)
            return bad(b, "unreadable string");
        n--; /* avro-c counts the NUL */
    } else if (avro_value_get_type(v) != AVRO_BYTES || avro_value_get_bytes(v, &p, &n) != 0) {
        return bad(b, "writer has another type");
    }
    s = span_of(p, n);
    if (f->op == CODEC_STRING && !span_is_utf8(s))
        return bad(b, "string is not UTF-8");
    *ret = arena_copy(b->arena, s);
    return ret->n == n;
}

static bool bind_number(struct bind *b, const struct codec_field *f, const avro_value_t *v,
                        uint8_t *to)
{
    int32_t small = 0;
    int64_t large = 0;
    int truth = 0;

    switch ((int)avro_value_get_type(v)) {
    case AVRO_BOOLEAN:
        if (f->op != CODEC_BOOL || avro_value_get_boolean(v, &truth) != 0)
            break;
        *(bool *)to = truth;
        return true;
    case AVRO_INT32:
        if (f->op == CODEC_BOOL || avro_value_get_int(v, &small) != 0)
            break;
        if (f->op == CODEC_INT)
            *(int32_t *)to = small;
        else
            *(int64_t *)to = small;
        return true;
    case AVRO_INT64:
        if (f->op != CODEC_LONG || avro_value_get_long(v, &large) != 0)
            break;
        *(int64_t *)to = large;
        return true;
    default:
        break;
    }
    return bad(b, "writer has another type");
}

static bool bind_id(struct bind *b, const avro_value_t *v, uint8_t *to)
{
    const void *p;
    size_t n;

    if (avro_value_get_type(v) != AVRO_FIXED || avro_value_get_fixed(v, &p, &n) != 0 ||
        n != sizeof(struct cq_id))
        return bad(b, "writer has another type");
    memcpy(to, p, n);
    return true;
}

/* By symbol: the writer may have ordered them otherwise. */
static bool bind_enum(struct bind *b, const struct codec_field *f, const avro_value_t *v,
                      uint8_t *to)
{
    const char *symbol;
    int which;

    if (avro_value_get_type(v) != AVRO_ENUM || avro_value_get_enum(v, &which) != 0)
        return bad(b, "writer has another type");
    symbol = avro_schema_enum_get(avro_value_get_schema(v), which);
    for (uint32_t i = 0; symbol && i < f->n; i++)
        if (strcmp(f->sub.symbols[i], symbol) == 0) {
            *(unsigned *)to = i;
            return true;
        }
    return bad(b, "unknown enum symbol");
}

static bool bind_array(struct bind *b, const struct codec_field *f, avro_value_t *v, uint8_t *base)
{
    size_t n = 0;
    uint8_t *items = NULL;

    if (avro_value_get_type(v) != AVRO_ARRAY || avro_value_get_size(v, &n) != 0)
        return bad(b, "writer has another type");
    if (n) {
        items = arena_alloc(b->arena, n * f->item_size);
        if (!items)
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        avro_value_t item;

        if (avro_value_get_by_index(v, i, &item, NULL) != 0)
            return bad(b, "unreadable array");
        if (!bind_value(b, f->sub.item, &item, items + i * f->item_size))
            return false;
    }
    *(uint8_t **)(base + f->off) = items;
    *(size_t *)(base + f->aux_off) = n;
    return true;
}

/* `v` is the record that has the choices as fields; the writer may lack some, and have others. */
static bool bind_one_of(struct bind *b, const struct codec_field *f, avro_value_t *v, uint8_t *base)
{
    bool found = false;

    for (uint32_t i = 0; i < f->n; i++) {
        const struct codec_choice *choice = &f->sub.choices[i];
        avro_value_t field, inner;

        if (avro_value_get_by_name(v, choice->name, &field, NULL) != 0)
            continue;
        inner = field;
        if (avro_value_get_type(&field) == AVRO_UNION &&
            avro_value_get_current_branch(&field, &inner) != 0)
            return bad(b, "unreadable union");
        if (avro_value_get_type(&inner) == AVRO_NULL)
            continue;
        if (found)
            return bad(b, "more than one fact");
        found = true;
        *(unsigned *)(base + f->aux_off) = i;
        if (!bind_record(b, choice->record, &inner, base + f->off))
            return false;
    }
    return found || bad(b, "no fact that we know");
}

/* `v` is never a union itself: bind_field unwrapped it, and arrays of unions have no place in our
 * structs. */
static bool bind_value(struct bind *b, const struct codec_field *f, avro_value_t *v, uint8_t *base)
{
    switch ((enum codec_op)f->op) {
    case CODEC_BOOL:
    case CODEC_INT:
    case CODEC_LONG:
        return bind_number(b, f, v, base + f->off);
    case CODEC_STRING:
    case CODEC_BYTES:
        return bind_text(b, f, v, (struct cq_span *)(base + f->off));
    case CODEC_ID:
        return bind_id(b, v, base + f->off);
    case CODEC_ENUM:
        return bind_enum(b, f, v, base + f->off);
    case CODEC_RECORD:
        return bind_record(b, f->sub.record, v, base + f->off);
    case CODEC_ARRAY:
        return bind_array(b, f, v, base);
    case CODEC_ONE_OF: /* bind_record has bound it: it is no field of the writer's */
        break;
    }
    return bad(b, "unknown field kind");
}

static bool bind_field(struct bind *b, const struct codec_field *f, avro_value_t *v, uint8_t *base)
{
    avro_value_t inner = *v;
    bool null;

    if (avro_value_get_type(v) == AVRO_UNION && avro_value_get_current_branch(v, &inner) != 0)
        return bad(b, "unreadable union");
    null = avro_value_get_type(&inner) == AVRO_NULL;
    if (f->nullable) {
        *(bool *)(base + f->has_off) = !null;
        if (null)
            return true;
    }
    return bind_value(b, f, &inner, base); /* null is "another type" to all of them */
}

static bool bind_record(struct bind *b, const struct codec_record *r, avro_value_t *v,
                        uint8_t *base)
{
    if (avro_value_get_type(v) != AVRO_RECORD)
        return bad(b, "writer has another type");
    for (uint32_t i = 0; i < r->fields_n; i++) {
        const struct codec_field *f = &r->fields[i];
        avro_value_t field;

        if (f->op == CODEC_ONE_OF) {
            if (!bind_one_of(b, f, v, base))
                return false;
            continue;
        }
        if (avro_value_get_by_name(v, f->name, &field, NULL) == 0) {
            if (!bind_field(b, f, &field, base))
                return false;
            continue;
        }
        if (!f->has_default)
            return bad(b, "writer lacks a field without default");
        switch (codec_decode_field(f, span_of(f->default_p, f->default_n), b->arena, base)) {
        case CQ_OK:
            break;
        case CQ_AGAIN:
            return false;
        case CQ_POISON:
        case CQ_FATAL:
            return bad(b, "bad default");
        }
    }
    return true;
}

/* ---- one record
 * ----------------------------------------------------------------------------------- */

static bool read_and_bind(struct bind *b, const struct writer *w, const struct codec_record *r,
                          struct cq_span body, void *ret)
{
    avro_reader_t reader = avro_reader_memory((const char *)body.p, (int64_t)body.n);
    avro_value_t v;
    bool ok = false;

    if (!reader)
        return false; /* no memory */
    if (avro_generic_value_new(w->iface, &v) == 0) {
        if (avro_value_read(reader, &v) == 0)
            ok = bind_record(b, r, &v, ret);
        else
            b->why = "unreadable under its writer's schema";
        avro_value_decref(&v);
    }
    avro_reader_free(reader);
    return ok;
}

enum cq_status resolve_decode(const struct codec_record *r, uint32_t writer_id, struct cq_span body,
                              struct cq_arena *a, void *ret, const char **ret_why)
{
    struct bind b = { .arena = a };
    const struct writer *w;

    HOLD_LOCK();
    w = writer_get(writer_id);
    if (!w)
        b.why = "unknown schema id";
    else if (strcmp(schema_root(w->doc)->name, r->name) != 0)
        b.why = "another record's schema";
    else
        b.why = schema_check(schema_root(w->doc), body);
    if (!b.why) {
        memset(ret, 0, r->size);
        if (read_and_bind(&b, w, r, body, ret))
            return CQ_OK;
    }
    if (ret_why)
        *ret_why = b.why ? b.why : "arena full";
    return b.why ? CQ_POISON : CQ_AGAIN;
}
