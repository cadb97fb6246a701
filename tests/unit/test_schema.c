/* SPDX-License-Identifier: MIT */
#include "schemas/schema.h"

#include "lib/base/hash.h"
#include "tests/unit/test.h"

enum { TEXT_MAX = 64 * 1024 };

TEST(canonical_form)
{
    /* Attributes in any order, docs, defaults, nested names, references by short and full name. */
    static const char text[] =
        "{\"doc\":\"d\",\"fields\":["
        "{\"default\":\"x\",\"type\":{\"type\":\"string\"},\"name\":\"s\",\"oneOf\":\"x\"},"
        "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
        "{\"name\":\"id\",\"type\":{\"size\":16,\"logicalType\":\"uuid\",\"type\":\"fixed\","
        "\"name\":"
        "\"Id\"}},"
        "{\"name\":\"other\",\"type\":[\"null\",\"Id\"],\"default\":null},"
        "{\"name\":\"list\",\"type\":{\"items\":\"a.b.Id\",\"type\":\"array\"}},"
        "{\"name\":\"e\",\"type\":{\"default\":\"A\",\"symbols\":[\"A\",\"B\"],\"name\":\"x.E\","
        "\"type\":\"enum\"}}"
        "],\"name\":\"R\",\"namespace\":\"a.b\",\"type\":\"record\"}";
    static const char want[] =
        "{\"name\":\"a.b.R\",\"type\":\"record\",\"fields\":["
        "{\"name\":\"s\",\"type\":\"string\"},"
        "{\"name\":\"at\",\"type\":\"long\"},"
        "{\"name\":\"id\",\"type\":{\"name\":\"a.b.Id\",\"type\":\"fixed\",\"size\":16}},"
        "{\"name\":\"other\",\"type\":[\"null\",\"a.b.Id\"]},"
        "{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":\"a.b.Id\"}},"
        "{\"name\":\"e\",\"type\":{\"name\":\"x.E\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}}]"
        "}";
    cq_auto(schema) struct schema_doc *doc = NULL;
    cq_auto(buf) struct cq_buf buf = { 0 };
    char why[128] = "";

    buf_init(&buf, TEXT_MAX);
    CHECK_EQ(schema_parse(span_str(text), &doc, why, sizeof why), CQ_OK);
    schema_write(&buf, schema_root(doc), SCHEMA_CANONICAL);
    CHECK_SPAN(buf, want);
    CHECK(schema_fingerprint(schema_root(doc)) == fingerprint64(want, strlen(want)));
}

/* Values from the test data of Avro (schema-tests.txt in its source). */
TEST(fingerprints_of_primitives)
{
    static const struct {
        const char *text;
        uint64_t want;
    } rows[] = {
        { "\"null\"", 7195948357588979594u },  { "\"boolean\"", (uint64_t)-6970731678124411036 },
        { "\"int\"", 8247732601305521295u },   { "\"long\"", (uint64_t)-3434872931120570953 },
        { "\"bytes\"", 5746618253357095269u }, { "\"string\"", (uint64_t)-8142146995180207161 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].text, fingerprint64(rows[i].text, strlen(rows[i].text)), rows[i].want);
}

TEST(whole_form_parses_to_itself)
{
    static const char text[] =
        "{\"name\":\"R\",\"type\":\"record\",\"doc\":\"a \\\"quoted\\\" doc\",\"fields\":["
        "{\"name\":\"n\",\"type\":\"long\",\"doc\":\"number\",\"default\":-3},"
        "{\"name\":\"at\",\"oneOf\":\"x\",\"type\":"
        "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
        "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],"
        "\"default\":\"B\"}}]}";
    cq_auto(schema) struct schema_doc *doc = NULL;
    cq_auto(schema) struct schema_doc *again = NULL;
    cq_auto(buf) struct cq_buf once = { 0 };
    cq_auto(buf) struct cq_buf twice = { 0 };
    char why[128];

    buf_init(&once, TEXT_MAX);
    buf_init(&twice, TEXT_MAX);
    CHECK_EQ(schema_parse(span_str(text), &doc, why, sizeof why), CQ_OK);
    schema_write(&once, schema_root(doc), SCHEMA_WHOLE);
    CHECK_EQ(schema_parse(buf_span(&once), &again, why, sizeof why), CQ_OK);
    schema_write(&twice, schema_root(again), SCHEMA_WHOLE);
    CHECK(span_eq(buf_span(&once), buf_span(&twice)));
    CHECK_STR(schema_root(again)->doc, "a \"quoted\" doc");
    CHECK_STR(schema_root(again)->fields[0].default_json, "-3");
    CHECK_EQ(schema_root(again)->fields[0].default_bytes.n, 1);
    CHECK_EQ(schema_root(again)->fields[0].default_bytes.p[0], 5); /* zigzag */
    CHECK_STR(schema_root(again)->fields[0].one_of, "");
    CHECK_STR(schema_root(again)->fields[1].one_of, "x");
    CHECK_EQ(schema_root(again)->fields[1].type->kind, SCHEMA_LONG);
    CHECK_STR(schema_root(again)->fields[1].type->logical, "timestamp-millis");
    CHECK_STR(schema_root(again)->fields[2].type->default_symbol, "B");
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(type) RECORD("{\"name\":\"f\",\"type\":" type "}")

TEST(refused_with_a_reason)
{
    static const char *const rows[] = {
        "",
        "{",
        "42",
        "\"nothing\"",
        "{\"type\":\"record\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"R\"}",
        "{\"type\":\"fixed\",\"name\":\"F\"}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[1]}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
        "{\"type\":\"array\"}",
        "[]",
        "[\"null\",[\"null\"]]",
        RECORD("{\"name\":\"f\"}"),
        RECORD("{\"type\":\"int\"}"),
        RECORD("{\"name\":\"f\",\"type\":\"int\"},{\"name\":\"f\",\"type\":\"int\"}"),
        FIELD("\"double\""),
        FIELD("\"R\""), /* recursion */
        FIELD("{\"type\":\"map\",\"values\":\"int\"}"),
        RECORD("{\"name\":\"f\",\"type\":\"int\",\"default\":\"x\"}"),
        RECORD("{\"name\":\"f\",\"type\":\"int\",\"default\":2147483648}"),
        RECORD("{\"name\":\"f\",\"type\":[\"null\",\"int\"],\"default\":1}"),
        RECORD("{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}},"
               "{\"name\":\"b\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}}"),
        RECORD("{\"name\":\"f\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]},"
               "\"default\":\"B\"}"),
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct schema_doc *doc = NULL;
        char why[128] = "";

        CHECK_EQ_ROW(rows[i], schema_parse(span_str(rows[i]), &doc, why, sizeof why), CQ_POISON);
        CHECK(doc == NULL && why[0]);
    }
}

TEST(too_deep_is_refused)
{
    char text[2048] = "";
    struct schema_doc *doc = NULL;
    char why[128] = "";

    size_t n = 0;

    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "{\"type\":\"array\",\"items\":");
    n += (size_t)snprintf(text + n, sizeof text - n, "\"int\"");
    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "}");
    CHECK_EQ(schema_parse(span_str(text), &doc, why, sizeof why), CQ_POISON);
    CHECK(strstr(why, "deep"));
}

TEST(check_walks_what_a_schema_allows)
{
#define BYTES(...) { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
    static const struct {
        const char *schema;
        uint8_t bytes[12];
        size_t n;
        const char *want;
    } rows[] = {
        { "\"null\"", { 0 }, 0, NULL },
        { "\"boolean\"", BYTES(1), NULL },
        { "\"boolean\"", BYTES(2), "bad boolean" },
        { "\"int\"", BYTES(0x80, 0x80, 0x80, 0x80, 0x10), "int out of range" },
        { "\"long\"", BYTES(0x80, 0x80, 0x80, 0x80, 0x10), NULL },
        { "\"string\"", BYTES(4, 'a', 'b'), NULL },
        { "\"string\"", BYTES(6, 'a', 'b'), "length beyond the end" },
        { "\"bytes\"", BYTES(1), "length beyond the end" },
        { "\"string\"", BYTES(0, 0), "bytes after the end" },
        { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", BYTES(1, 2), "length beyond the end" },
        { "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", BYTES(2), NULL },
        { "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", BYTES(4),
          "enum out of range" },
        { "[\"null\",\"int\"]", BYTES(2, 7), NULL },
        { "[\"null\",\"int\"]", BYTES(4, 7), "union index out of range" },
        { "{\"type\":\"array\",\"items\":\"int\"}", BYTES(4, 1, 1, 3, 2, 9, 0),
          "block has another size" },
        { "{\"type\":\"array\",\"items\":\"int\"}", BYTES(4, 1, 1, 1, 2, 9, 0), NULL },
        { "{\"type\":\"array\",\"items\":\"int\"}", BYTES(4, 1, 0), "cut short" },
        { "{\"type\":\"array\",\"items\":\"int\"}", BYTES(16, 1, 0), "array too long" },
        { "{\"type\":\"array\",\"items\":\"int\"}", BYTES(0x80, 0x9c, 0xee, 0x02, 0),
          "array too long" },
        { "{\"type\":\"array\",\"items\":\"null\"}", BYTES(4, 0), "items of no bytes" },
        { "{\"type\":\"array\",\"items\":\"int\"}",
          BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0), "array too long" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cq_auto(schema) struct schema_doc *doc = NULL;
        char why[128] = "";

        CHECK_EQ_ROW(rows[i].schema, schema_parse(span_str(rows[i].schema), &doc, why, sizeof why),
                     CQ_OK);
        CHECK_STR(schema_check(schema_root(doc), span_of(rows[i].bytes, rows[i].n)), rows[i].want);
    }
}
