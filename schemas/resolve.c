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

static void writer_release(struct writer *writer)
{
    if (writer->iface)
        avro_value_iface_decref(writer->iface);
    if (writer->avro)
        avro_schema_decref(writer->avro);
    schema_free(writer->doc);
    free(writer->json);
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
    struct writer writer = { .json = strdup(json) };
    char why[128];

    if (!writer.json || schema_parse(span_str(json), &writer.doc, why, sizeof why) != CQ_OK)
        goto fail;
    if (schema_root(writer.doc)->kind != SCHEMA_RECORD ||
        !is_our_record(schema_root(writer.doc)->name))
        goto fail;
    writer.id = schema_id(schema_root(writer.doc));
    if (writer_find(writer.id)) {
        writer_release(&writer);
        return CQ_OK;
    }
    if (writers_n == WRITERS_MAX ||
        avro_schema_from_json_length(json, strlen(json), &writer.avro) != 0)
        goto fail;
    writer.iface = avro_generic_class_from_schema(writer.avro);
    if (!writer.iface)
        goto fail;
    writers[writers_n++] = writer;
    return CQ_OK;
fail:
    writer_release(&writer);
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
    const struct writer *writer;

    for (size_t i = 0; codec_records[i]; i++)
        if (codec_records[i]->id == id)
            return codec_records[i]->json;
    HOLD_LOCK();
    writer = writer_get(id);
    return writer ? writer->json : NULL;
}

const char *codec_version(size_t i, uint32_t *ret_id)
{
    size_t own = 0;

    while (codec_records[own] && own < i)
        own++;
    if (codec_records[own]) {
        *ret_id = codec_records[own]->id;
        return codec_records[own]->json;
    }
    HOLD_LOCK();
    (void)writer_get(0); /* loads the others */
    if (i - own >= writers_n)
        return NULL;
    *ret_id = writers[i - own].id;
    return writers[i - own].json;
}

/* ---- binding
 * -------------------------------------------------------------------------------------- */

struct bind {
    struct cq_arena *arena;
    const char *why; /* static; NULL with a failure: the arena's maximum */
};

static bool bad(struct bind *bind, const char *why)
{
    bind->why = why;
    return false;
}

static bool bind_record(struct bind *bind, const struct codec_record *codec, avro_value_t *value,
                        uint8_t *base);
static bool bind_value(struct bind *bind, const struct codec_field *field, avro_value_t *value,
                       uint8_t *base);

static bool bind_text(struct bind *bind, const struct codec_field *field, const avro_value_t *value,
                      struct cq_span *ret)
{
    const void *p = NULL;
    size_t n = 0;
    struct cq_span span;

    if (avro_value_get_type(value) == AVRO_STRING) {
        if (avro_value_get_string(value, (const char **)&p, &n) != 0 || n == 0)
            return bad(bind, "unreadable string");
        n--; /* avro-c counts the NUL */
    } else if (avro_value_get_type(value) != AVRO_BYTES ||
               avro_value_get_bytes(value, &p, &n) != 0) {
        return bad(bind, "writer has another type");
    }
    span = span_of(p, n);
    if (field->op == CODEC_STRING && !span_is_utf8(span))
        return bad(bind, "string is not UTF-8");
    *ret = arena_copy(bind->arena, span);
    return ret->n == n;
}

static bool bind_number(struct bind *bind, const struct codec_field *field,
                        const avro_value_t *value, uint8_t *to)
{
    int32_t small = 0;
    int64_t large = 0;
    int truth = 0;

    switch ((int)avro_value_get_type(value)) {
    case AVRO_BOOLEAN:
        if (field->op != CODEC_BOOL || avro_value_get_boolean(value, &truth) != 0)
            break;
        *(bool *)to = truth;
        return true;
    case AVRO_INT32:
        if (field->op == CODEC_BOOL || avro_value_get_int(value, &small) != 0)
            break;
        if (field->op == CODEC_INT)
            *(int32_t *)to = small;
        else
            *(int64_t *)to = small;
        return true;
    case AVRO_INT64:
        if (field->op != CODEC_LONG || avro_value_get_long(value, &large) != 0)
            break;
        *(int64_t *)to = large;
        return true;
    default:
        break;
    }
    return bad(bind, "writer has another type");
}

static bool bind_id(struct bind *bind, const avro_value_t *v, uint8_t *to)
{
    const void *p;
    size_t n;

    if (avro_value_get_type(v) != AVRO_FIXED || avro_value_get_fixed(v, &p, &n) != 0 ||
        n != sizeof(struct cq_id))
        return bad(bind, "writer has another type");
    memcpy(to, p, n);
    return true;
}

/* By symbol: the writer may have ordered them otherwise. */
static bool bind_enum(struct bind *bind, const struct codec_field *field, const avro_value_t *v,
                      uint8_t *to)
{
    const char *symbol;
    int which;

    if (avro_value_get_type(v) != AVRO_ENUM || avro_value_get_enum(v, &which) != 0)
        return bad(bind, "writer has another type");
    symbol = avro_schema_enum_get(avro_value_get_schema(v), which);
    for (uint32_t i = 0; symbol && i < field->n; i++)
        if (strcmp(field->sub.symbols[i], symbol) == 0) {
            *(unsigned *)to = i;
            return true;
        }
    return bad(bind, "unknown enum symbol");
}

static bool bind_array(struct bind *bind, const struct codec_field *field, avro_value_t *value,
                       uint8_t *base)
{
    size_t n = 0;
    uint8_t *items = NULL;

    if (avro_value_get_type(value) != AVRO_ARRAY || avro_value_get_size(value, &n) != 0)
        return bad(bind, "writer has another type");
    if (n) {
        items = arena_alloc(bind->arena, n * field->item_size);
        if (!items)
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        avro_value_t item;

        if (avro_value_get_by_index(value, i, &item, NULL) != 0)
            return bad(bind, "unreadable array");
        if (!bind_value(bind, field->sub.item, &item, items + i * field->item_size))
            return false;
    }
    *(uint8_t **)(base + field->off) = items;
    *(size_t *)(base + field->aux_off) = n;
    return true;
}

/* `v` is the record that has the choices as fields; the writer may lack some, and have others. */
static bool bind_one_of(struct bind *bind, const struct codec_field *wanted, avro_value_t *value,
                        uint8_t *base)
{
    bool found = false;

    for (uint32_t i = 0; i < wanted->n; i++) {
        const struct codec_choice *choice = &wanted->sub.choices[i];
        avro_value_t field, inner;

        if (avro_value_get_by_name(value, choice->name, &field, NULL) != 0)
            continue;
        inner = field;
        if (avro_value_get_type(&field) == AVRO_UNION &&
            avro_value_get_current_branch(&field, &inner) != 0)
            return bad(bind, "unreadable union");
        if (avro_value_get_type(&inner) == AVRO_NULL)
            continue;
        if (found)
            return bad(bind, "more than one fact");
        found = true;
        *(unsigned *)(base + wanted->aux_off) = i;
        if (!bind_record(bind, choice->record, &inner, base + wanted->off))
            return false;
    }
    return found || bad(bind, "no fact that we know");
}

/* `v` is never a union itself: bind_field unwrapped it, and arrays of unions have no place in our
 * structs. */
static bool bind_value(struct bind *bind, const struct codec_field *field, avro_value_t *value,
                       uint8_t *base)
{
    switch ((enum codec_op)field->op) {
    case CODEC_BOOL:
    case CODEC_INT:
    case CODEC_LONG:
        return bind_number(bind, field, value, base + field->off);
    case CODEC_STRING:
    case CODEC_BYTES:
        return bind_text(bind, field, value, (struct cq_span *)(base + field->off));
    case CODEC_ID:
        return bind_id(bind, value, base + field->off);
    case CODEC_ENUM:
        return bind_enum(bind, field, value, base + field->off);
    case CODEC_RECORD:
        return bind_record(bind, field->sub.record, value, base + field->off);
    case CODEC_ARRAY:
        return bind_array(bind, field, value, base);
    case CODEC_ONE_OF: /* bind_record has bound it: it is no field of the writer's */
        break;
    }
    return bad(bind, "unknown field kind");
}

static bool bind_field(struct bind *bind, const struct codec_field *field, avro_value_t *v,
                       uint8_t *base)
{
    avro_value_t inner = *v;
    bool null;

    if (avro_value_get_type(v) == AVRO_UNION && avro_value_get_current_branch(v, &inner) != 0)
        return bad(bind, "unreadable union");
    null = avro_value_get_type(&inner) == AVRO_NULL;
    if (field->nullable) {
        *(bool *)(base + field->has_off) = !null;
        if (null)
            return true;
    }
    return bind_value(bind, field, &inner, base); /* null is "another type" to all of them */
}

static bool bind_record(struct bind *bind, const struct codec_record *codec, avro_value_t *value,
                        uint8_t *base)
{
    if (avro_value_get_type(value) != AVRO_RECORD)
        return bad(bind, "writer has another type");
    for (uint32_t i = 0; i < codec->fields_n; i++) {
        const struct codec_field *wanted = &codec->fields[i];
        avro_value_t field;

        if (wanted->op == CODEC_ONE_OF) {
            if (!bind_one_of(bind, wanted, value, base))
                return false;
            continue;
        }
        if (avro_value_get_by_name(value, wanted->name, &field, NULL) == 0) {
            if (!bind_field(bind, wanted, &field, base))
                return false;
            continue;
        }
        if (!wanted->has_default)
            return bad(bind, "writer lacks a field without default");
        switch (codec_decode_field(wanted, span_of(wanted->default_p, wanted->default_n),
                                   bind->arena, base)) {
        case CQ_OK:
            break;
        case CQ_AGAIN:
            return false;
        case CQ_POISON:
        case CQ_FATAL:
            return bad(bind, "bad default");
        }
    }
    return true;
}

/* ---- one record
 * ----------------------------------------------------------------------------------- */

static bool read_and_bind(struct bind *bind, const struct writer *writer,
                          const struct codec_record *codec, struct cq_span body, void *ret)
{
    avro_reader_t reader = avro_reader_memory((const char *)body.p, (int64_t)body.n);
    avro_value_t value;
    bool ok = false;

    if (!reader)
        return false; /* no memory */
    if (avro_generic_value_new(writer->iface, &value) == 0) {
        if (avro_value_read(reader, &value) == 0)
            ok = bind_record(bind, codec, &value, ret);
        else
            bind->why = "unreadable under its writer's schema";
        avro_value_decref(&value);
    }
    avro_reader_free(reader);
    return ok;
}

enum cq_status resolve_decode(const struct codec_record *codec, uint32_t writer_id,
                              struct cq_span body, struct cq_arena *arena, void *ret,
                              const char **ret_why)
{
    struct bind bind = { .arena = arena };
    const struct writer *writer;

    HOLD_LOCK();
    writer = writer_get(writer_id);
    if (!writer)
        bind.why = "unknown schema id";
    else if (strcmp(schema_root(writer->doc)->name, codec->name) != 0)
        bind.why = "another record's schema";
    else
        bind.why = schema_check(schema_root(writer->doc), body);
    if (!bind.why) {
        memset(ret, 0, codec->size);
        if (read_and_bind(&bind, writer, codec, body, ret))
            return CQ_OK;
    }
    if (ret_why)
        *ret_why = bind.why ? bind.why : "arena full";
    return bind.why ? CQ_POISON : CQ_AGAIN;
}
