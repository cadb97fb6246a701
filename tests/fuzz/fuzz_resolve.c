/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a record of another writer's schema: what passes the bounds walk must be safe in
 * avro-c's hands, and what binds must be a record that we can encode.
 */
#include "schemas/schema.h"
#include "tests/fuzz/fuzz.h"
#include "tests/oracle/records.h"

enum { ARENA_MAX = 256 * 1024 * 1024 };

/* UserInbox of a team with fewer actions, other orders, smaller numbers, a field and an action
 * more, and null behind a record. */
static const char writer[] =
    "{\"type\":\"record\",\"name\":\"UserInbox\",\"namespace\":\"chasqui\",\"fields\":["
    "{\"name\":\"trace\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"userAction\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"UserAction\","
    "\"fields\":["
    "{\"name\":\"atMs\",\"type\":\"int\"},"
    "{\"name\":\"userId\",\"type\":{\"type\":\"fixed\",\"name\":\"Uuid\",\"size\":16}},"
    "{\"name\":\"deviceId\",\"type\":\"Uuid\"},"
    "{\"name\":\"flags\",\"type\":{\"type\":\"array\",\"items\":\"boolean\"}},"
    "{\"name\":\"unheard\",\"type\":[\"null\","
    "{\"type\":\"record\",\"name\":\"Unheard\",\"fields\":[{\"name\":\"x\",\"type\":\"bytes\"}]}]},"
    "{\"name\":\"sessionLost\",\"type\":["
    "{\"type\":\"record\",\"name\":\"SessionLost\",\"fields\":["
    "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
    "\"name\":\"LostItem\",\"fields\":["
    "{\"name\":\"frame\",\"type\":\"string\"},{\"name\":\"chatId\",\"type\":\"Uuid\"},"
    "{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"messageId\",\"type\":\"Uuid\"},"
    "{\"name\":\"senderId\",\"type\":\"Uuid\"},"
    "{\"name\":\"atMs\",\"type\":[\"null\",\"long\"]}]}}},"
    "{\"name\":\"sessionId\",\"type\":\"Uuid\"}]},\"null\"]},"
    "{\"name\":\"profileEdited\",\"type\":[\"null\","
    "{\"type\":\"record\",\"name\":\"ProfileEdited\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"bytes\"},{\"name\":\"tone\",\"type\":"
    "{\"type\":\"enum\",\"name\":\"Tone\",\"symbols\":[\"LOUD\",\"SOFT\"]}}]}]},"
    "{\"name\":\"sessionClosed\",\"type\":[\"null\","
    "{\"type\":\"record\",\"name\":\"SessionClosed\",\"fields\":["
    "{\"name\":\"sessionId\",\"type\":\"Uuid\"}]}]}"
    "]}]}]}";

static const struct codec_record *inbox;
static uint32_t writer_id;

static void load(void)
{
    cq_auto(schema) struct schema_doc *doc = NULL;
    char why[128];

    MUST(schema_parse(span_str(writer), &doc, why, sizeof why) == CQ_OK);
    MUST(codec_writer_add(writer) == CQ_OK);
    writer_id = schema_id(schema_root(doc));
    for (size_t i = 0; codec_records[i]; i++)
        if (span_eq_str(span_str(codec_name(codec_records[i])), "UserInbox"))
            inbox = codec_records[i];
    MUST(inbox);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cq_auto(arena) struct cq_arena *arena = NULL;
    cq_auto(buf) struct cq_buf buf = { 0 };
    enum cq_status st;
    void *rec;

    if (!inbox)
        load();
    arena = arena_new(ARENA_MAX);
    rec = arena_alloc(arena, inbox->size);
    st = resolve_decode(inbox, writer_id, span_of(data, n), arena, rec, NULL);
    MUST(st == CQ_OK || st == CQ_POISON);
    if (st != CQ_OK)
        return 0;
    buf_init(&buf, 2 * FUZZ_INPUT_MAX);
    MUST(codec_encode(inbox, rec, &buf) == CQ_OK);
    return 0;
}
