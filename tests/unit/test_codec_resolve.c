/* SPDX-License-Identifier: MIT */
/* Bytes written under another schema of the same record: bound by name, with our defaults. */
#include "lib/base/arena.h"
#include "lib/base/id.h"
#include "schemas/codec.h"
#include "schemas/records.gen.h"
#include "schemas/schema.h"
#include "tests/unit/test.h"

#include <stdlib.h>

enum { MIB = 1024 * 1024 };

#define UUID_DEF "{\"type\":\"fixed\",\"name\":\"Uuid\",\"size\":16}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define RECORD(name, fields)                                                                       \
    "{\"type\":\"record\",\"name\":\"" name "\",\"namespace\":\"chasqui\",\"fields\":[" fields "]" \
    "}"
#define SOURCE_DEF                                                                           \
    RECORD("Source", FIELD("offset", "\"int\"") "," FIELD("partition", "\"int\"") "," FIELD( \
                         "generation", "\"int\"") "," FIELD("epoch", "\"long\""))
#define ROLES_DEF                                                                            \
    "{\"type\":\"enum\",\"name\":\"MemberRole\",\"symbols\":[\"OWNER\",\"GUEST\",\"ADMIN\"," \
    "\"MEMBER\"]}"

/* ChatMembers as another team might write it: other order, roles in other order with one we lack,
 * source with an int offset and a field we lack, name nullable, a field we lack. */
static const char members_json[] = RECORD(
    "ChatMembers",
    FIELD(
        "members",
        "{\"type\":\"array\",\"items\":" RECORD(
            "MemberInterval",
            FIELD("leftSeq", "\"long\"") "," FIELD("role", ROLES_DEF) "," FIELD("userId", UUID_DEF) "," FIELD(
                "joinedSeq",
                "\"int\"")) "}") "," FIELD("note",
                                           "[\"null\",\"string\"]") "," FIELD("name",
                                                                              "[\"null\","
                                                                              "\"string\"]") "," FIELD("source",
                                                                                                       SOURCE_DEF) "," FIELD("chatId",
                                                                                                                             "\"Uuid\""));

static void put_long(struct cq_buf *buf, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    for (; z >= 0x80; z >>= 7)
        buf_add_byte(buf, (uint8_t)(z | 0x80));
    buf_add_byte(buf, (uint8_t)z);
}

static void put_text(struct cq_buf *buf, const char *s)
{
    put_long(buf, (int64_t)strlen(s));
    buf_add_str(buf, s);
}

static void put_id(struct cq_buf *buf, uint8_t c)
{
    for (int i = 0; i < 16; i++)
        buf_add_byte(buf, c);
}

/* Make `json` known and begin a record of it. */
static void begin(struct cq_buf *buf, const char *json)
{
    struct schema_doc *doc = NULL;
    char why[128];
    uint32_t id;

    if (codec_writer_add(json) != CQ_OK ||
        schema_parse(span_str(json), &doc, why, sizeof why) != CQ_OK)
        abort();
    id = schema_id(schema_root(doc));
    schema_free(doc);
    buf_init(buf, MIB);
    buf_add_byte(buf, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_add_byte(buf, (uint8_t)(id >> shift));
}

static void put_members(struct cq_buf *buf, int role, bool named)
{
    put_long(buf, 2);
    for (uint8_t i = 1; i <= 2; i++) {
        put_long(buf, 1000 + i);
        put_long(buf, role);
        put_id(buf, i);
        put_long(buf, 10 + i);
    }
    put_long(buf, 0);
    put_long(buf, 1);
    put_text(buf, "nobody here reads this");
    put_long(buf, named);
    if (named)
        put_text(buf, "Las ñandúes");
    put_long(buf, 99);
    put_long(buf, 7);
    put_long(buf, 1);
    put_long(buf, 5);
    put_id(buf, 9);
}

TEST(bound_by_name_and_symbol)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_members members;
    const char *why = "";

    begin(&buf, members_json);
    put_members(&buf, 2, true);
    CHECK_EQ(codec_decode(&chat_members_codec, buf_span(&buf), arena, &members, &why), CQ_OK);
    CHECK_EQ(members.chat_id.b[0], 9);
    CHECK_EQ(members.source.offset, 99);
    CHECK_EQ(members.source.partition, 7);
    CHECK_EQ(members.source.generation, 1);
    CHECK_SPAN(members.name, "Las ñandúes");
    CHECK_EQ(members.members_n, 2);
    CHECK_EQ(members.members[1].user_id.b[15], 2);
    CHECK_EQ(members.members[1].role, MEMBER_ROLE_ADMIN);
    CHECK_EQ(members.members[1].joined_seq, 12);
    CHECK_EQ(members.members[1].left_seq, 1002);
}

TEST(what_we_have_no_place_for_is_poison)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    struct chat_members members;

    for (int i = 0; i < 2; i++) {
        cq_auto(buf) struct cq_buf buf = { 0 };
        const char *why = "";

        begin(&buf, members_json);
        put_members(&buf, i ? 2 : 1, !i);
        CHECK_EQ(codec_decode(&chat_members_codec, buf_span(&buf), arena, &members, &why),
                 CQ_POISON);
        CHECK_STR(why, i ? "writer has another type" : "unknown enum symbol");
    }
}

#define RECEIPT_BASE \
    FIELD("chatId", UUID_DEF) "," FIELD("userId", "\"Uuid\"") "," FIELD("deviceId", "\"Uuid\"")

#define NULLABLE(record) "[\"null\"," record "]"
#define ACTION_FIELDS                                                            \
    FIELD("chatId", UUID_DEF)                                                    \
    "," FIELD("userId", "\"Uuid\"") "," FIELD("deviceId", "\"Uuid\"") "," FIELD( \
        "clientId", "\"bytes\"") "," FIELD("atMs", "\"long\"")

/* ChatAction of a build that has an action more, and only two of ours. */
static const char action_json[] = RECORD(
    "ChatAction", ACTION_FIELDS
    "," FIELD("chatBurned", NULLABLE(RECORD("ChatBurned", FIELD("why", "\"string\"")))) "," FIELD(
        "chatRenamed",
        NULLABLE(RECORD(
            "ChatRenamed",
            FIELD("name",
                  "\"string\"")))) "," FIELD("groupCreated",
                                             NULLABLE(RECORD(
                                                 "GroupCreated",
                                                 FIELD("name", "\"string\"") "," FIELD(
                                                     "members",
                                                     "{\"type\":\"array\",\"items\":\"Uuid\"}")))));

/* As records named the facts before: a union of records. */
static const char union_json[] =
    RECORD("ChatAction", ACTION_FIELDS
           "," FIELD("action", "[" RECORD("ChatRenamed", FIELD("name", "\"string\"")) "]"));

static void put_head(struct cq_buf *buf, const char *client_id)
{
    put_id(buf, 1);
    put_id(buf, 2);
    put_id(buf, 3);
    put_text(buf, client_id);
    put_long(buf, 1764000000000);
}

/* `burned`, `renamed` and `created`: indices of the unions. */
static void put_facts(struct cq_buf *buf, const char *client_id, int burned, int renamed,
                      int created)
{
    put_head(buf, client_id);
    put_long(buf, burned);
    if (burned == 1)
        put_text(buf, "why");
    put_long(buf, renamed);
    if (renamed == 1)
        put_text(buf, "text");
    put_long(buf, created);
    if (created == 1) {
        put_text(buf, "group");
        put_long(buf, 0);
    }
}

static void put_action(struct cq_buf *buf, const char *client_id)
{
    put_facts(buf, client_id, 0, 1, 0);
}

TEST(defaults_and_one_fact)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    static const struct {
        const char *client_id;
        int burned, renamed, created;
        const char *want;
    } rows[] = {
        { "c", 0, 1, 0, "" },
        { "c", 0, 1, 1, "more than one fact" },
        { "c", 1, 0, 0, "no fact that we know" },
        { "c", 0, 0, 0, "no fact that we know" },
        { "c", 0, 2, 0, "union index out of range" },
        { "\xff", 0, 1, 0, "string is not UTF-8" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cq_auto(buf) struct cq_buf buf = { 0 };
        struct chat_action action;
        const char *why = "";

        memset(&action, 0xff, sizeof action);
        begin(&buf, action_json);
        put_facts(&buf, rows[i].client_id, rows[i].burned, rows[i].renamed, rows[i].created);
        CHECK_EQ(codec_decode(&chat_action_codec, buf_span(&buf), arena, &action, &why),
                 rows[i].want[0] ? CQ_POISON : CQ_OK);
        CHECK_STR(why, rows[i].want);
        if (rows[i].want[0])
            continue;
        CHECK(!action.has_peer &&
              id_is_zero(action.peer)); /* not in the writer's schema: our default */
        CHECK_SPAN(action.client_id, "c");
        CHECK_EQ(action.action.kind, CHAT_ACTION_CHAT_RENAMED);
        CHECK_SPAN(action.action.u.chat_renamed.name, "text");
    }
}

TEST(a_union_of_records_has_no_fact_that_we_know)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_action action;
    const char *why = "";

    begin(&buf, union_json);
    put_head(&buf, "c");
    put_long(&buf, 0);
    put_text(&buf, "text");
    CHECK_EQ(codec_decode(&chat_action_codec, buf_span(&buf), arena, &action, &why), CQ_POISON);
    CHECK_STR(why, "no fact that we know");
}

TEST(a_missing_field_without_default_is_poison)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_action action;
    const char *why = "";

    begin(&buf, RECORD("ChatAction", RECEIPT_BASE));
    put_id(&buf, 1);
    put_id(&buf, 2);
    put_id(&buf, 3);
    CHECK_EQ(codec_decode(&chat_action_codec, buf_span(&buf), arena, &action, &why), CQ_POISON);
    CHECK_STR(why, "writer lacks a field without default");
}

TEST(another_records_schema_is_poison)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct rejection rejection;
    const char *why = "";

    begin(&buf, action_json);
    put_action(&buf, "c");
    CHECK_EQ(codec_decode(&rejection_codec, buf_span(&buf), arena, &rejection, &why), CQ_POISON);
    CHECK_STR(why, "another record's schema");
}

TEST(a_full_arena_is_not_poison)
{
    cq_auto(arena) struct cq_arena *small = arena_new(64);
    cq_auto(arena) struct cq_arena *none = arena_new(0);
    cq_auto(buf) struct cq_buf b = { 0 };
    cq_auto(buf) struct cq_buf c = { 0 };
    struct chat_members members;
    struct chat_action action;

    begin(&b, members_json);
    put_members(&b, 2, true);
    CHECK_EQ(codec_decode(&chat_members_codec, buf_span(&b), small, &members, NULL), CQ_AGAIN);
    begin(&c, action_json); /* texts only */
    put_action(&c, "c");
    CHECK_EQ(codec_decode(&chat_action_codec, buf_span(&c), none, &action, NULL), CQ_AGAIN);
}

TEST(hostile_bytes_never_reach_avro)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(MIB);
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_members members;
    uint8_t *copy;
    size_t refused = 0;

    begin(&buf, members_json);
    put_members(&buf, 2, true);
    for (size_t n = 0; n < buf.n; n++) { /* memory of exactly n bytes, for the address sanitizer */
        copy = malloc(n ? n : 1);
        memcpy(copy, buf.p, n);
        CHECK_EQ(codec_decode(&chat_members_codec, span_of(copy, n), arena, &members, NULL),
                 CQ_POISON);
        free(copy);
        arena_reset(arena);
    }
    copy = malloc(buf.n);
    for (size_t i = CODEC_FRAMING; i < buf.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            enum cq_status st;

            memcpy(copy, buf.p, buf.n);
            copy[i] ^= (uint8_t)(1 << bit);
            arena_reset(arena);
            st = codec_decode(&chat_members_codec, span_of(copy, buf.n), arena, &members, NULL);
            refused += st == CQ_POISON;
            CHECK(st == CQ_OK || st == CQ_POISON);
        }
    free(copy);
    CHECK(refused > 0);
}

TEST(writers_are_known_by_id)
{
    struct schema_doc *doc = NULL;
    char why[128];

    CHECK_EQ(schema_parse(span_str(action_json), &doc, why, sizeof why), CQ_OK);
    CHECK_EQ(codec_writer_add(action_json), CQ_OK);
    CHECK_STR(codec_writer_schema(schema_id(schema_root(doc))), action_json);
    schema_free(doc);
    CHECK_STR(codec_writer_schema(codec_schema_id(&rejection_codec)),
              codec_schema_json(&rejection_codec));
    CHECK(codec_writer_schema(1) == NULL);
    CHECK_EQ(codec_writer_add(RECORD("Stranger", FIELD("f", "\"int\""))), CQ_POISON);
    CHECK_EQ(codec_writer_add(RECORD("Rejection", FIELD("f", "\"double\""))), CQ_POISON);
    CHECK_EQ(codec_writer_add("no JSON"), CQ_POISON);
}

TEST(all_versions_that_are_read_are_listed)
{
    uint32_t id = 0;
    size_t n = 0;
    bool found = false;

    for (; codec_records[n]; n++) {
        CHECK_STR(codec_version(n, &id), codec_schema_json(codec_records[n]));
        CHECK_EQ(id, codec_schema_id(codec_records[n]));
    }
    CHECK_EQ(codec_writer_add(action_json), CQ_OK);
    for (const char *json; (json = codec_version(n, &id)) != NULL; n++) {
        CHECK_STR(codec_writer_schema(id), json);
        found |= strcmp(json, action_json) == 0;
    }
    CHECK(found);
}
