/* SPDX-License-Identifier: MIT */
/*
 * tests/oracle/oracle_tool.c - our codec for another program to judge
 * (tests/oracle/test_fastavro.py).
 *
 *     oracle_tool records                  name, schema id and schema JSON of each, tab-separated
 *     oracle_tool random NAME SEED COUNT   hex of COUNT random records, one a line
 *     oracle_tool recode NAME              hex lines in; out: each decoded and encoded again, or
 *                                          "poison WHY"
 */
#include "lib/base/hash.h"
#include "tests/oracle/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORD_MAX = 1024 * 1024, ARENA_MAX = 64 * 1024 * 1024 };

static char hex[2 * RECORD_MAX + 2];

static const struct codec_record *find(const char *name)
{
    for (size_t i = 0; codec_records[i]; i++)
        if (strcmp(codec_name(codec_records[i]), name) == 0)
            return codec_records[i];
    fprintf(stderr, "no record %s\n", name);
    exit(2);
}

static bool print_encoded(const struct codec_record *codec, const void *rec, struct cq_buf *buf)
{
    buf_clear(buf);
    if (codec_encode(codec, rec, buf) != CQ_OK)
        return false;
    hex_format(buf->p, buf->n, hex);
    puts(hex);
    return true;
}

static int list(void)
{
    for (size_t i = 0; codec_records[i]; i++)
        printf("%s\t%" PRIu32 "\t%s\n", codec_name(codec_records[i]),
               codec_schema_id(codec_records[i]), codec_schema_json(codec_records[i]));
    return 0;
}

static int print_random(const struct codec_record *codec, struct rng rng, long count,
                        struct cq_arena *arena, struct cq_buf *buf)
{
    for (long i = 0; i < count; i++) {
        const void *rec;

        arena_reset(arena);
        rec = record_random(codec, &rng, arena);
        if (!rec || !print_encoded(codec, rec, buf))
            return 1;
    }
    return 0;
}

static int recode(const struct codec_record *codec, struct cq_arena *arena, struct cq_buf *buf)
{
    static uint8_t bytes[RECORD_MAX];

    while (fgets(hex, sizeof hex, stdin)) {
        size_t n = strcspn(hex, "\n");
        const char *why = NULL;
        void *rec;

        arena_reset(arena);
        rec = arena_alloc(arena, codec->size);
        if (!rec || !hex_parse(span_of(hex, n), bytes, n / 2))
            return 1;
        if (codec_decode(codec, span_of(bytes, n / 2), arena, rec, &why) != CQ_OK)
            printf("poison %s\n", why);
        else if (!print_encoded(codec, rec, buf))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(ARENA_MAX);
    cq_auto(buf) struct cq_buf buf = { 0 };

    buf_init(&buf, RECORD_MAX);
    if (argc == 2 && strcmp(argv[1], "records") == 0)
        return list();
    if (argc == 5 && strcmp(argv[1], "random") == 0)
        return print_random(find(argv[2]), (struct rng){ strtoull(argv[3], NULL, 10) },
                            strtol(argv[4], NULL, 10), arena, &buf);
    if (argc == 3 && strcmp(argv[1], "recode") == 0)
        return recode(find(argv[2]), arena, &buf);
    fputs("use: oracle_tool records | random NAME SEED COUNT | recode NAME\n", stderr);
    return 2;
}
