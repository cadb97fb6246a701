/* SPDX-License-Identifier: MIT */
/* Any bytes to the door for JSON: refused, or a tree that can be walked. */
#include "lib/json/json.h"
#include "tests/fuzz/fuzz.h"

static void walk(const struct json *json, int depth)
{
    static const char *const keys[] = { "t", "clientId", "chatId", "content", "a", "" };
    struct cq_span text;
    struct cq_id id;
    int64_t number;

    MUST(depth <= JSON_DEPTH_MAX || !(json_is_object(json) || json_is_array(json)));
    if (json_text(json, &text))
        MUST(span_is_utf8(text));
    for (size_t i = 0; i < json_count(json); i++)
        walk(json_at(json, i), depth + 1);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct json *child = json_get(json, keys[i]);

        if (json_get_text(json, keys[i], &text))
            MUST(child);
        if (json_get_id(json, keys[i], &id) || json_get_i64(json, keys[i], &number))
            MUST(child);
        if (child)
            walk(child, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cq_auto(json) struct json *root = NULL;
    const char *why = NULL;

    if (json_parse(span_of(data, n), &root, &why) == CQ_OK) {
        MUST(json_is_object(root) || json_is_array(root));
        walk(root, 1);
    } else {
        MUST(why && !root);
    }
    return 0;
}
