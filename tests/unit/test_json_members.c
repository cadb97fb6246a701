/* SPDX-License-Identifier: MIT */
#include "lib/json/members.h"
#include "tests/unit/test.h"

struct item {
    struct cq_id id;
};

struct thing {
    int first; /* so that no flag has the offset 0 */
    struct cq_span text;
    bool has_id;
    struct cq_id id;
    int64_t number;
    int32_t small;
    unsigned word;
    bool has_list;
    const struct item *list;
    size_t list_n;
    struct cq_id *ids;
    size_t ids_n;
    struct cq_span *texts;
    size_t texts_n;
    bool has_part;
    struct item part;
};

static bool short_enough(struct cq_span span)
{
    return span.n < 4;
}

static const char *const words_v[] = { "red", "blue" };
static const struct json_words words = { words_v, ARRAY_LEN(words_v) };
static const struct json_member item_rows[] = { JSON_MEMBER("id", JSON_ID, struct item, id) };
static const struct json_members items = JSON_MEMBERS(item_rows);

static const struct json_member read_rows[] = {
    JSON_MEMBER("text", JSON_TEXT, struct thing, text, .good = short_enough, .rule = "text: short"),
    JSON_OPTIONAL("id", JSON_ID, struct thing, id, has_id, .also = "ID", .rule = "id: an id"),
    JSON_MEMBER("number", JSON_NUMBER, struct thing, number, .optional = true, .least = 1,
                .most = 9, .rule = "number: 1 to 9"),
    JSON_MEMBER("small", JSON_INT, struct thing, small, .optional = true, .least = INT64_MIN,
                .most = INT64_MAX, .rule = "small: 32 bits"),
    JSON_MEMBER("word", JSON_WORD, struct thing, word, .words = &words, .rule = "word: red, blue"),
};
static const struct json_members readable = JSON_MEMBERS(read_rows);

static const struct json_member write_rows[] = {
    JSON_MEMBER("text", JSON_TEXT, struct thing, text),
    JSON_MEMBER("some", JSON_SOME, struct thing, text),
    JSON_OPTIONAL("id", JSON_ID, struct thing, id, has_id),
    JSON_MEMBER("number", JSON_NUMBER, struct thing, number),
    JSON_MEMBER("small", JSON_INT, struct thing, small),
    JSON_MEMBER("word", JSON_WORD, struct thing, word, .words = &words),
    JSON_OPTIONAL("list", JSON_LIST, struct thing, list, has_list,
                  .n_off = offsetof(struct thing, list_n), .item_size = sizeof(struct item),
                  .items = &items),
};
static const struct json_members writable = JSON_MEMBERS(write_rows);

#define U1 "\"01000000-0000-0000-0000-000000000000\""
#define U2 "\"02000000-0000-0000-0000-000000000000\""

TEST(a_table_writes)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct item list[] = { { { { 1 } } }, { { { 2 } } } };
    struct thing thing = { .text = span_str("a\"b"), .number = -5, .small = 7, .word = 1 };

    buf_init(&buf, 4096);
    json_members_write(&buf, &writable, &thing);
    CHECK_SPAN(buf,
               "\"text\":\"a\\\"b\",\"some\":true,\"number\":-5,\"small\":7,\"word\":\"blue\"");
    buf_clear(&buf);
    thing = (struct thing){
        .has_id = true, .id = { { 1 } }, .has_list = true, .list = list, .list_n = 2, .word = 2
    };
    json_members_write(&buf, &writable, &thing);
    CHECK_SPAN(buf,
               "\"text\":\"\",\"some\":false,\"id\":" U1 ",\"number\":0,\"small\":0,\"word\":\"\","
               "\"list\":[{\"id\":" U1 "},{\"id\":" U2 "}]");
}

/* The members of a struct within stand among the others, and its rules are its own. */
TEST(a_spread_struct)
{
    static const struct json_member part_rows[] = {
        JSON_MEMBER("id", JSON_ID, struct item, id, .rule = "id: an id"),
    };
    static const struct json_members part_members = JSON_MEMBERS(part_rows);
    static const struct json_member rows[] = {
        JSON_MEMBER("text", JSON_TEXT, struct thing, text, .least = 1, .most = 3,
                    .rule = "text: 1 to 3 bytes"),
        JSON_SPREAD_OF(struct thing, part, &part_members),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text, *rule;
    } texts[] = {
        { "{\"text\":\"abc\",\"id\":" U1 "}", NULL },
        { "{\"text\":\"\",\"id\":" U1 "}", "text: 1 to 3 bytes" },
        { "{\"text\":\"abcd\",\"id\":" U1 "}", "text: 1 to 3 bytes" },
        { "{\"text\":\"abc\"}", "id: an id" },
        { "{\"text\":\"abc\",\"part\":{\"id\":" U1 "}}", "id: an id" },
    };
    cq_auto(buf) struct cq_buf buf = { 0 };

    buf_init(&buf, 4096);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        struct thing thing = { .first = 1 };
        const char *why;

        CHECK_EQ(json_parse(span_str(texts[i].text), &root, NULL), CQ_OK);
        why = json_members_read(root, &members, &thing, &lists);
        CHECK_STR(why ? why : "", texts[i].rule ? texts[i].rule : "");
        if (i)
            continue;
        buf_add_byte(&buf, '{');
        json_members_write(&buf, &members, &thing);
        buf_add_byte(&buf, '}');
        CHECK_SPAN(buf, texts[i].text);
    }
    buf_clear(&buf);
    json_members_schema(&buf, &members, NULL, false);
    CHECK_SPAN(buf,
               "\"properties\":{\"text\":{\"type\":\"string\"},"
               "\"id\":{\"type\":\"string\",\"format\":\"uuid\"}},\"required\":[\"text\",\"id\"]");
}

TEST(an_object_within_and_a_list_that_may_be_absent)
{
    static const struct json_member rows[] = {
        JSON_OPTIONAL("part", JSON_OBJECT, struct thing, part, has_part, .items = &items,
                      .rule = "part: an id"),
        JSON_MEMBER("ids", JSON_IDS, struct thing, ids, .optional = true,
                    .n_off = offsetof(struct thing, ids_n), .most = 2, .rule = "ids: at most 2"),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text, *rule;
    } texts[] = {
        { "{\"part\":{\"id\":" U1 "},\"ids\":[" U1 "," U2 "]}", NULL },
        { "{\"ids\":[]}", NULL },
        { "{\"part\":{}}", "part: an id" },
        { "{\"part\":" U1 "}", "part: an id" },
        { "{\"part\":[]}", "part: an id" },
        { "{\"ids\":{}}", "ids: at most 2" },
        { "{\"ids\":[" U1 "," U1 "," U1 "]}", "ids: at most 2" },
    };
    cq_auto(buf) struct cq_buf buf = { 0 };

    buf_init(&buf, 4096);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        struct thing thing = { .first = 1 };
        const char *why;

        CHECK_EQ(json_parse(span_str(texts[i].text), &root, NULL), CQ_OK);
        why = json_members_read(root, &members, &thing, &lists);
        CHECK_STR(why ? why : "", texts[i].rule ? texts[i].rule : "");
        if (i > 1)
            continue;
        buf_clear(&buf);
        json_members_write(&buf, &members, &thing);
        CHECK_SPAN(buf, i ? "" : "\"part\":{\"id\":" U1 "},\"ids\":[" U1 "," U2 "]");
    }
    buf_clear(&buf);
    json_members_schema(&buf, &members, NULL, false);
    CHECK_SPAN(buf,
               "\"properties\":{\"part\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":"
               "\"string\",\"format\":\"uuid\"}},\"required\":[\"id\"]},\"ids\":{\"type\":"
               "\"array\",\"items\":{\"type\":\"string\",\"format\":\"uuid\"},\"minItems\":0,"
               "\"maxItems\":2}},\"required\":[]");
}

TEST(a_table_reads)
{
    static const struct {
        const char *text;
        const char *rule; /* NULL: it is read */
    } rows[] = {
        { "{\"text\":\"abc\",\"word\":\"blue\"}", NULL },
        { "{\"text\":\"abc\",\"word\":\"blue\",\"other\":[{}]}", NULL },
        { "{\"text\":\"abc\",\"word\":\"blue\",\"number\":null}", NULL },
        { "{\"text\":\"abc\",\"word\":\"blue\",\"number\":9,\"small\":-2147483648}", NULL },
        { "{\"word\":\"blue\"}", "text: short" },
        { "{\"text\":\"abcd\",\"word\":\"blue\"}", "text: short" },
        { "{\"text\":7,\"word\":\"blue\"}", "text: short" },
        { "{\"text\":\"abc\"}", "word: red, blue" },
        { "{\"text\":\"abc\",\"word\":\"green\"}", "word: red, blue" },
        { "{\"text\":\"abc\",\"word\":\"red\",\"number\":0}", "number: 1 to 9" },
        { "{\"text\":\"abc\",\"word\":\"red\",\"number\":10}", "number: 1 to 9" },
        { "{\"text\":\"abc\",\"word\":\"red\",\"number\":1.5}", "number: 1 to 9" },
        { "{\"text\":\"abc\",\"word\":\"red\",\"small\":2147483648}", "small: 32 bits" },
        { "{\"text\":\"abc\",\"word\":\"red\",\"id\":\"x\"}", "id: an id" },
        { "{\"text\":\"abc\",\"word\":\"red\",\"ID\":\"x\",\"id\":" U1 "}", "id: an id" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        struct thing thing = { .first = 1 };
        const char *why;

        CHECK_EQ(json_parse(span_str(rows[i].text), &root, NULL), CQ_OK);
        why = json_members_read(root, &readable, &thing, &lists);
        CHECK_EQ_ROW(rows[i].text, why == NULL, rows[i].rule == NULL);
        if (why && rows[i].rule)
            CHECK_STR(why, rows[i].rule);
    }
}

TEST(two_names_of_one_member)
{
    static const struct {
        const char *text;
        bool has;
        uint8_t id;
    } rows[] = {
        { "{\"text\":\"\",\"word\":\"red\"}", false, 0 },
        { "{\"text\":\"\",\"word\":\"red\",\"id\":" U1 "}", true, 1 },
        { "{\"text\":\"\",\"word\":\"red\",\"ID\":" U2 "}", true, 2 },
        { "{\"text\":\"\",\"word\":\"red\",\"ID\":" U2 ",\"id\":" U1 "}", true, 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        struct thing thing = { .first = 1, .has_id = true };

        CHECK_EQ(json_parse(span_str(rows[i].text), &root, NULL), CQ_OK);
        CHECK(json_members_read(root, &readable, &thing, &lists) == NULL);
        CHECK_EQ_ROW(rows[i].text, thing.has_id, rows[i].has);
        CHECK_EQ_ROW(rows[i].text, thing.id.b[0], rows[i].id);
    }
}

/* What REST has always taken. */
TEST(one_good_name_is_enough_and_what_is_no_word_is_passed_over)
{
    static const struct json_member rows[] = {
        JSON_OPTIONAL("id", JSON_ID, struct thing, id, has_id, .also = "ID", .either = true,
                      .rule = "id: an id"),
        JSON_MEMBER("word", JSON_WORD, struct thing, word, .optional = true, .lenient = true,
                    .words = &words),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text;
        bool good, has;
        uint8_t id;
    } of[] = {
        { "{\"id\":\"x\",\"ID\":" U2 "}", true, true, 2 },
        { "{\"id\":" U1 ",\"ID\":\"x\"}", true, true, 1 },
        { "{\"id\":" U1 ",\"ID\":" U2 "}", true, true, 1 },
        { "{\"id\":\"x\",\"ID\":7}", false, false, 0 },
        { "{\"word\":\"green\"}", true, false, 0 },
        { "{\"word\":7,\"id\":" U1 "}", true, true, 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        struct thing thing = { .first = 1, .word = 1 };

        CHECK_EQ(json_parse(span_str(of[i].text), &root, NULL), CQ_OK);
        CHECK_EQ_ROW(of[i].text, json_members_read(root, &members, &thing, &lists) == NULL,
                     of[i].good);
        CHECK_EQ_ROW(of[i].text, thing.has_id, of[i].has);
        CHECK_EQ_ROW(of[i].text, thing.id.b[0], of[i].id);
        CHECK_EQ_ROW(of[i].text, thing.word, 1);
    }
}

TEST(what_was_refused_is_not_stored)
{
    cq_auto(json) struct json *root = NULL;
    cq_auto(arena) struct cq_arena *lists = NULL;
    struct thing thing = { .first = 1 };

    CHECK_EQ(json_parse(span_str("{\"text\":\"too long\"}"), &root, NULL), CQ_OK);
    CHECK(json_members_read(root, &readable, &thing, &lists) != NULL);
    CHECK_EQ(thing.text.n, 0u);
}

TEST(a_number_that_is_passed_over_is_not_stored)
{
    static const struct json_member rows[] = {
        JSON_MEMBER("number", JSON_NUMBER, struct thing, number, .optional = true, .lenient = true,
                    .least = 1, .most = 9),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text;
        int64_t number;
    } of[] = {
        { "{\"number\":9}", 9 },   { "{\"number\":0}", 5 },     { "{\"number\":10}", 5 },
        { "{\"number\":1.5}", 5 }, { "{\"number\":\"x\"}", 5 },
    };

    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        struct thing thing = { .first = 1, .number = 5 };

        CHECK_EQ(json_parse(span_str(of[i].text), &root, NULL), CQ_OK);
        CHECK(json_members_read(root, &members, &thing, &lists) == NULL);
        CHECK_EQ_ROW(of[i].text, thing.number, of[i].number);
    }
}

TEST(a_table_prints_its_schema)
{
    cq_auto(buf) struct cq_buf buf = { 0 };

    buf_init(&buf, 4096);
    json_members_schema(&buf, &readable, NULL, false);
    CHECK_SPAN(buf,
               "\"properties\":{\"text\":{\"type\":\"string\"},\"id\":{\"type\":\"string\","
               "\"format\":\"uuid\"},\"number\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9},"
               "\"small\":{\"type\":\"integer\",\"minimum\":-9223372036854775808,"
               "\"maximum\":9223372036854775807},\"word\":{\"enum\":[\"red\",\"blue\"]}},"
               "\"required\":[\"text\",\"word\"]");
    buf_clear(&buf);
    json_members_schema(&buf, &items, "item", true);
    CHECK_SPAN(buf,
               "\"properties\":{\"n\":{\"type\":\"integer\"},\"t\":{\"const\":\"item\"},\"id\":{"
               "\"type\":\"string\",\"format\":\"uuid\"}},\"required\":[\"n\",\"t\",\"id\"]");
}

TEST(bytes_go_as_base64)
{
    static const struct json_member rows[] = {
        JSON_MEMBER("bytes", JSON_BASE64, struct thing, text, .least = 2, .most = 4,
                    .rule = "bytes: 2 to 4"),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text;
        size_t n; /* 0: refused */
    } of[] = { { "AP8=", 2 }, { "AP8A/w==", 4 }, { "AA==", 0 },  { "AP8A/wA=", 0 }, { "AP8", 0 },
               { "AP9=", 0 }, { "", 0 },         { "A P8=", 0 }, { "AP8A_w==", 0 } };
    char text[64];

    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        cq_auto(buf) struct cq_buf buf = { 0 };
        struct thing thing = { .first = 1 };

        buf_init(&buf, 4096);
        snprintf(text, sizeof text, "{\"bytes\":\"%s\"}", of[i].text);
        CHECK_EQ(json_parse(span_str(text), &root, NULL), CQ_OK);
        CHECK_EQ_ROW(text, json_members_read(root, &members, &thing, &lists) == NULL, of[i].n != 0);
        if (!of[i].n)
            continue;
        CHECK_EQ(thing.text.n, of[i].n);
        json_members_write(&buf, &members, &thing);
        snprintf(text, sizeof text, "\"bytes\":\"%s\"", of[i].text);
        CHECK_SPAN(buf, text);
    }
}

/* Seven decimals, exactly, whatever a double makes of them. */
TEST(parts_go_both_ways)
{
    static const struct json_member rows[] = {
        JSON_MEMBER("parts", JSON_PARTS, struct thing, small, .least = -900000000,
                    .most = 900000000, .rule = "parts: -90 to 90"),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *number, *written;
        int32_t parts;
    } good[] = {
        { "52.520008", "52.520008", 525200080 },
        { "-0.1276474", "-0.1276474", -1276474 },
        { "0.0000001", "0.0000001", 1 },
        { "-0.00000004", "0", 0 },
        { "89.99999996", "90", 900000000 },
        { "-90", "-90", -900000000 },
        { "1e1", "10", 100000000 },
        { "7", "7", 70000000 },
    };
    static const char *const bad[] = { "90.00000001", "-91", "1e300", "\"52\"", "true", "[]" };
    cq_auto(arena) struct cq_arena *lists = NULL;
    struct thing thing = { .first = 1 };
    char text[64];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(buf) struct cq_buf buf = { 0 };

        buf_init(&buf, 4096);
        snprintf(text, sizeof text, "{\"parts\":%s}", good[i].number);
        CHECK_EQ(json_parse(span_str(text), &root, NULL), CQ_OK);
        CHECK(json_members_read(root, &members, &thing, &lists) == NULL);
        CHECK_EQ_ROW(good[i].number, thing.small, good[i].parts);
        json_members_write(&buf, &members, &thing);
        snprintf(text, sizeof text, "\"parts\":%s", good[i].written);
        CHECK_SPAN(buf, text);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cq_auto(json) struct json *root = NULL;

        snprintf(text, sizeof text, "{\"parts\":%s}", bad[i]);
        CHECK_EQ(json_parse(span_str(text), &root, NULL), CQ_OK);
        CHECK_STR(json_members_read(root, &members, &thing, &lists), "parts: -90 to 90");
    }
}

TEST(lists_of_numbers_go_both_ways)
{
    struct thing_of_ints {
        const int32_t *ints;
        size_t n;
    };
    static const struct json_member rows[] = {
        JSON_MEMBER("ints", JSON_INTS, struct thing_of_ints, ints,
                    .n_off = offsetof(struct thing_of_ints, n), .most = 3, .each_most = 11,
                    .rule = "ints: at most 3"),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text;
        bool good;
    } texts[] = {
        { "{\"ints\":[0,11,0]}", true },      { "{\"ints\":[]}", true },
        { "{\"ints\":[1,2,3,4]}", false },    { "{\"ints\":[12]}", false },
        { "{\"ints\":[-1]}", false },         { "{\"ints\":[1.0]}", false },
        { "{\"ints\":[\"1\"]}", false },      { "{\"ints\":1}", false },
        { "{\"ints\":[4294967296]}", false }, { "{}", false },
    };
    cq_auto(buf) struct cq_buf schema = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        cq_auto(buf) struct cq_buf buf = { 0 };
        struct thing_of_ints thing = { 0 };

        buf_init(&buf, 4096);
        CHECK_EQ(json_parse(span_str(texts[i].text), &root, NULL), CQ_OK);
        CHECK_EQ_ROW(texts[i].text, json_members_read(root, &members, &thing, &lists) == NULL,
                     texts[i].good);
        if (!texts[i].good)
            continue;
        buf_add_byte(&buf, '{');
        json_members_write(&buf, &members, &thing);
        buf_add_byte(&buf, '}');
        CHECK_SPAN(buf, texts[i].text);
    }
    buf_init(&schema, 4096);
    json_members_schema(&schema, &members, NULL, false);
    CHECK_SPAN(
        schema,
        "\"properties\":{\"ints\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":0,"
        "\"maximum\":11},\"minItems\":0,\"maxItems\":3}},\"required\":[\"ints\"]");
}

TEST(lists_of_ids_and_of_texts_go_both_ways)
{
    static const struct json_member rows[] = {
        JSON_MEMBER("ids", JSON_IDS, struct thing, ids, .n_off = offsetof(struct thing, ids_n),
                    .least = 1, .most = 2, .rule = "ids: 1 or 2 ids"),
        JSON_MEMBER("texts", JSON_TEXTS, struct thing, texts, .optional = true,
                    .n_off = offsetof(struct thing, texts_n), .least = 1, .most = 2,
                    .rule = "texts: 1 or 2 texts"),
    };
    static const struct json_members members = JSON_MEMBERS(rows);
    static const struct {
        const char *text;
        bool good;
    } lists_of[] = {
        { "{\"ids\":[" U1 "," U2 "],\"texts\":[\"\",\"\\\"b\"]}", true },
        { "{\"ids\":[" U1 "],\"texts\":[\"a\"]}", true },
        { "{\"ids\":[" U1 "],\"texts\":[]}", false },
        { "{\"ids\":[" U1 "],\"texts\":[\"a\",\"b\",\"c\"]}", false },
        { "{\"ids\":[" U1 "],\"texts\":[\"a\",7]}", false },
        { "{\"ids\":[" U1 "],\"texts\":\"a\"}", false },
        { "{\"ids\":[]}", false },
        { "{\"ids\":[" U1 "," U2 "," U1 "]}", false },
        { "{\"ids\":[" U1 ",7]}", false },
        { "{\"ids\":{}}", false },
        { "{}", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(lists_of); i++) {
        cq_auto(json) struct json *root = NULL;
        cq_auto(arena) struct cq_arena *lists = NULL;
        cq_auto(buf) struct cq_buf buf = { 0 };
        struct thing thing = { .first = 1 };

        buf_init(&buf, 4096);
        CHECK_EQ(json_parse(span_str(lists_of[i].text), &root, NULL), CQ_OK);
        CHECK_EQ_ROW(lists_of[i].text, json_members_read(root, &members, &thing, &lists) == NULL,
                     lists_of[i].good);
        if (!lists_of[i].good)
            continue;
        buf_add_byte(&buf, '{');
        json_members_write(&buf, &members, &thing);
        buf_add_byte(&buf, '}');
        CHECK_SPAN(buf, lists_of[i].text);
    }
}
