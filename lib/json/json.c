/* SPDX-License-Identifier: MIT */
#include <jansson.h>

/* jansson's macros of these names give way to our functions. */
#undef json_is_object
#undef json_is_array

#include "lib/json/json.h"

#include <pthread.h>

/* `struct json` is never defined: a pointer to it is a pointer to json_t. */
static struct json *wrap(json_t *v)
{
    return (struct json *)v;
}

static const json_t *unwrap(const struct json *json)
{
    return (const json_t *)json;
}

static void seed(void)
{
    json_object_seed(0); /* from the kernel, so that keys cannot be chosen to collide */
}

/* Whether brackets outside strings nest at most JSON_DEPTH_MAX deep. Well-formedness is jansson's
 * business: whatever it makes of bytes that are no JSON, it never goes deeper than the brackets
 * counted here. */
static bool depth_fits(struct cq_span text)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < text.n; i++) {
        uint8_t byte = text.p[i];

        if (in_string) {
            if (byte == '\\')
                i++;
            else if (byte == '"')
                in_string = false;
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '[' || byte == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return false;
        } else if ((byte == ']' || byte == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static const char *reason_of(const json_error_t *err)
{
    switch ((int)json_error_code(err)) {
    case json_error_duplicate_key:
        return "duplicate key";
    case json_error_invalid_utf8:
        return "not valid UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "NUL in a string";
    case json_error_numeric_overflow:
        return "number out of range";
    case json_error_premature_end_of_input:
        return "ends too early";
    case json_error_end_of_input_expected:
        return "bytes after the end";
    case json_error_out_of_memory:
        return "out of memory";
    default:
        return "not JSON";
    }
}

static enum cq_status poison(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return CQ_POISON;
}

enum cq_status json_parse(struct cq_span text, struct json **ret, const char **ret_why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_error_t err = { .text = "" };
    json_t *root;

    if (text.n == 0)
        return poison(ret_why, "empty");
    if (text.n > JSON_TEXT_MAX)
        return poison(ret_why, "too long");
    if (!depth_fits(text))
        return poison(ret_why, "nested too deep");
    pthread_once(&once, seed);
    root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &err);
    if (!root)
        return poison(ret_why, reason_of(&err));
    *ret = wrap(root);
    return CQ_OK;
}

void json_free(struct json *root)
{
    json_decref((json_t *)root);
}

bool json_is_object(const struct json *json)
{
    return json && json_typeof(unwrap(json)) == JSON_OBJECT;
}

bool json_is_array(const struct json *json)
{
    return json && json_typeof(unwrap(json)) == JSON_ARRAY;
}

const struct json *json_get(const struct json *json, const char *key)
{
    json_t *m = json ? json_object_get(unwrap(json), key) : NULL;

    return m && !json_is_null(m) ? wrap(m) : NULL;
}

size_t json_count(const struct json *array)
{
    return array ? json_array_size(unwrap(array)) : 0;
}

const struct json *json_at(const struct json *array, size_t i)
{
    return array ? wrap(json_array_get(unwrap(array), i)) : NULL;
}

bool json_text(const struct json *json, struct cq_span *ret)
{
    const json_t *j = unwrap(json);

    if (!j || !json_is_string(j))
        return false;
    *ret = (struct cq_span){ (const uint8_t *)json_string_value(j), json_string_length(j) };
    return true;
}

bool json_id(const struct json *json, struct cq_id *ret)
{
    struct cq_span text;

    return json_text(json, &text) && id_parse(text, ret);
}

bool json_get_text(const struct json *json, const char *key, struct cq_span *ret)
{
    return json_text(json_get(json, key), ret);
}

bool json_get_id(const struct json *json, const char *key, struct cq_id *ret)
{
    return json_id(json_get(json, key), ret);
}

bool json_get_bool(const struct json *json, const char *key, bool *ret)
{
    const json_t *j = unwrap(json_get(json, key));

    if (!j || !json_is_boolean(j))
        return false;
    *ret = json_is_true(j);
    return true;
}

bool json_i64(const struct json *json, int64_t *ret)
{
    const json_t *j = unwrap(json);

    if (!j || !json_is_integer(j))
        return false;
    *ret = (int64_t)json_integer_value(j);
    return true;
}

bool json_get_real(const struct json *json, const char *key, double *ret)
{
    const json_t *j = unwrap(json_get(json, key));

    if (!j || !json_is_number(j))
        return false;
    *ret = json_number_value(j);
    return true;
}

bool json_get_i64(const struct json *json, const char *key, int64_t *ret)
{
    return json_i64(json_get(json, key), ret);
}

bool json_only(const struct json *json, const char *const *names)
{
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return false;
    json_object_foreach((json_t *)json, key, value)
    {
        size_t i = 0;

        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return false;
    }
    return true;
}
