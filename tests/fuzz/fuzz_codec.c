/* SPDX-License-Identifier: MIT */
/*
 * The first byte picks a record type, the rest is its body. What decodes must survive encoding; and
 * the two walkers, over field tables and over schemas, must agree on what is sound.
 */
#include "schemas/schema.h"
#include "tests/fuzz/fuzz.h"
#include "tests/oracle/records.h"

enum { RECORDS_MAX = 64, ARENA_MAX = 256 * 1024 * 1024 };

static struct schema_doc *docs[RECORDS_MAX]; /* made once, kept */
static size_t docs_n;

static void load(void)
{
    char why[128];

    for (; codec_records[docs_n]; docs_n++) {
        MUST(docs_n < RECORDS_MAX);
        MUST(schema_parse(span_str(codec_schema_json(codec_records[docs_n])), &docs[docs_n], why,
                          sizeof why) == CQ_OK);
        MUST(schema_id(schema_root(docs[docs_n])) == codec_schema_id(codec_records[docs_n]));
    }
}

static void check_survives(const struct codec_record *codec, const void *rec,
                           struct cq_arena *arena)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    void *back = arena_alloc(arena, codec->size);

    buf_init(&buf, 2 * FUZZ_INPUT_MAX);
    MUST(codec_encode(codec, rec, &buf) == CQ_OK);
    MUST(codec_decode(codec, buf_span(&buf), arena, back, NULL) == CQ_OK);
    MUST(record_equal(codec, rec, back));
}

/* What the schema's walker does not look at: text, and what Avro itself would allow. */
static bool is_ours_alone(const char *why)
{
    static const char *const ours[] = { "string is not UTF-8", "unknown enum symbol", "no fact",
                                        "more than one fact" };

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strcmp(ours[i], why) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cq_auto(arena) struct cq_arena *arena = NULL;
    cq_auto(buf) struct cq_buf in = { 0 };
    const struct codec_record *codec;
    const char *why = NULL, *walked;
    enum cq_status st;
    void *rec;
    size_t which;

    if (n == 0)
        return 0;
    if (docs_n == 0)
        load();
    which = data[0] % docs_n;
    codec = codec_records[which];
    arena = arena_new(ARENA_MAX);
    buf_init(&in, FUZZ_INPUT_MAX + CODEC_FRAMING);
    buf_add_byte(&in, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_add_byte(&in, (uint8_t)(codec->id >> shift));
    buf_add(&in, data + 1, n - 1);
    rec = arena_alloc(arena, codec->size);
    st = codec_decode(codec, buf_span(&in), arena, rec, &why);
    walked = schema_check(schema_root(docs[which]), span_of(data + 1, n - 1));
    MUST(st == CQ_OK ||
         st == CQ_POISON); /* AGAIN: some bytes asked for more than their number allows */
    if (st == CQ_OK)
        MUST(walked == NULL);
    else
        MUST(walked || is_ours_alone(why));
    if (st == CQ_OK)
        check_survives(codec, rec, arena);
    return 0;
}
