/* SPDX-License-Identifier: MIT */
#include "schemas/expand.h"

#include "schemas/schema.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct schema_types {
    json_t *list; /* in the order of the file */
    json_t *by_name;
};

struct expanding {
    const json_t *types;  /* by name */
    const json_t *inside; /* the shared type that is being spelled out; NULL: none */
    json_t *seen;         /* names of those that were spelled out */
    enum schema_use use;
    char *err;
    size_t err_n;
};

static enum cq_status refuse(char *reterr, size_t reterr_n, const char *what, const char *name)
{
    if (reterr_n && !reterr[0])
        snprintf(reterr, reterr_n, "%s: %s", what, name);
    return CQ_POISON;
}

static json_t *load(struct cq_span text, char *reterr, size_t reterr_n)
{
    json_error_t why = { .text = "too long" };
    json_t *j = text.n <= SCHEMA_TEXT_MAX
                    ? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why)
                    : NULL;

    if (reterr_n)
        reterr[0] = '\0';
    if (!j)
        refuse(reterr, reterr_n, "no JSON", why.text);
    return j;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return s ? s : "";
}

/* record, enum or fixed: what Avro itself lets have a name */
static bool is_named(const json_t *j)
{
    const char *type = text_of(j, "type");

    return strcmp(type, "record") == 0 || strcmp(type, "enum") == 0 || strcmp(type, "fixed") == 0;
}

/* A plain shared type: a string or bytes, with limits. */
static bool is_text(const json_t *j)
{
    const char *type = text_of(j, "type");

    return strcmp(type, "string") == 0 || strcmp(type, "bytes") == 0;
}

enum cq_status schema_types_parse(struct cq_span text, struct schema_types **ret, char *reterr,
                                  size_t reterr_n)
{
    json_t *list = load(text, reterr, reterr_n);
    struct schema_types *types = calloc(1, sizeof *types);
    enum cq_status st = list && types ? CQ_OK : CQ_POISON;
    const json_t *type;
    size_t i;

    if (types)
        types->by_name = json_object();
    if (st == CQ_OK && !json_is_array(list))
        st = refuse(reterr, reterr_n, "no array of types", "shared types");
    json_array_foreach(list, i, type)
    {
        const char *name = text_of(type, "name");

        if ((!is_named(type) && !is_text(type)) || !name[0])
            st = refuse(reterr, reterr_n, "a shared type is a record, enum, fixed or text", name);
        else if (json_object_get(types->by_name, name))
            st = refuse(reterr, reterr_n, "shared type twice", name);
        else
            json_object_set(types->by_name, name, (json_t *)(uintptr_t)type);
    }
    if (types)
        types->list = list;
    else
        json_decref(list);
    if (st == CQ_OK)
        *ret = types;
    else
        schema_types_free(types);
    return st;
}

void schema_types_free(struct schema_types *types)
{
    if (!types)
        return;
    json_decref(types->by_name);
    json_decref(types->list);
    free(types);
}

static json_t *expand(struct expanding *expanding, const json_t *j);

/* A plain type has no name in Avro: readers get what it is made of. */
static json_t *expand_text(const struct expanding *expanding, const json_t *type)
{
    json_t *whole;

    if (expanding->use == SCHEMA_FOR_READERS)
        return json_deep_copy(json_object_get(type, "type"));
    whole = json_deep_copy(type);
    json_object_set(whole, "alias", json_object_get(type, "name"));
    json_object_del(whole, "name");
    json_object_del(whole, "doc");
    return whole;
}

/* The word for a type: the type itself where it is shared and not yet spelled out. */
static json_t *expand_word(struct expanding *expanding, const json_t *j)
{
    const char *word = json_string_value(j);
    const json_t *type = json_object_get(expanding->types, word), *outer = expanding->inside;
    json_t *whole;

    if (type && is_text(type))
        return expand_text(expanding, type);
    if (!type || json_object_get(expanding->seen, word))
        return json_deep_copy(j);
    json_object_set_new(expanding->seen, word, json_true());
    expanding->inside = type;
    whole = expand(expanding, type);
    expanding->inside = outer;
    return whole;
}

static json_t *expand_object(struct expanding *expanding, const json_t *json)
{
    json_t *whole = json_object(), *value;
    const char *key, *name = text_of(json, "name");

    if (is_named(json) && json != expanding->inside && json_object_get(expanding->types, name))
        refuse(expanding->err, expanding->err_n, "is a shared type, and defined once more", name);
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        bool types =
            strcmp(key, "type") == 0 || strcmp(key, "items") == 0 || strcmp(key, "fields") == 0;

        if (strcmp(key, "in") == 0 ||
            (expanding->use == SCHEMA_FOR_READERS && schema_is_own_word(key)))
            continue;
        json_object_set_new(whole, key, types ? expand(expanding, value) : json_deep_copy(value));
    }
    return whole;
}

static json_t *expand(struct expanding *expanding, const json_t *j)
{
    json_t *whole;
    const json_t *item;
    size_t i;

    if (json_is_string(j))
        return expand_word(expanding, j);
    if (json_is_object(j))
        return expand_object(expanding, j);
    if (!json_is_array(j))
        return json_deep_copy(j);
    whole = json_array();
    json_array_foreach(j, i, item) json_array_append_new(whole, expand(expanding, item));
    return whole;
}

/* ["null", T] behind the last field of `fields` that is of the oneOf, and documented as that is.
 * False: there is none. */
static bool add_fact(json_t *fields, const char *one_of, const char *type)
{
    char name[128];
    const char *doc = "";
    size_t at = 0, i;
    const json_t *field;

    json_array_foreach(fields, i, field)
    {
        if (strcmp(text_of(field, "oneOf"), one_of) == 0) {
            at = i + 1;
            doc = text_of(field, "doc");
        }
    }
    snprintf(name, sizeof name, "%s", type);
    name[0] = (char)tolower((unsigned char)name[0]);
    return at && json_array_insert_new(fields, at,
                                       json_pack("{s:s, s:s, s:[s, s], s:s, s:n}", "name", name,
                                                 "oneOf", one_of, "type", "null", type, "doc", doc,
                                                 "default")) == 0;
}

/* The facts that shared types say they are of the record `root`. */
static void add_facts(const struct expanding *expanding, const struct schema_types *types,
                      json_t *root)
{
    json_t *fields = json_object_get(root, "fields");
    const json_t *type;
    size_t i;

    json_array_foreach(types->list, i, type)
    {
        const char *one_of = text_of(json_object_get(type, "in"), text_of(root, "name"));

        if (one_of[0] && !add_fact(fields, one_of, text_of(type, "name")))
            refuse(expanding->err, expanding->err_n, "\"in\" names a oneOf that is not there",
                   one_of);
    }
}

enum cq_status schema_expand(struct cq_buf *out, struct cq_span text,
                             const struct schema_types *types, enum schema_use use, char *reterr,
                             size_t reterr_n)
{
    struct expanding expanding = {
        .types = types ? types->by_name : NULL, .use = use, .err = reterr, .err_n = reterr_n
    };
    json_t *json = load(text, reterr, reterr_n), *whole = NULL;
    char *dump = NULL;

    if (!json)
        return CQ_POISON;
    expanding.seen = json_object();
    if (types)
        add_facts(&expanding, types, json);
    whole = expand(&expanding, json);
    dump = json_dumps(whole, JSON_INDENT(2));
    if (dump) {
        buf_add_str(out, dump);
        buf_add_byte(out, '\n');
    }
    json_decref(expanding.seen);
    json_decref(whole);
    json_decref(json);
    if (!dump || out->failed)
        refuse(reterr, reterr_n, "too long", "expanded schema");
    free(dump);
    return reterr_n && reterr[0] ? CQ_POISON : CQ_OK;
}
