/* SPDX-License-Identifier: MIT */
/*
 * schemas/codec.h - the one bounded walker between Avro bytes and the structs that schemas/gen
 * prints.
 *
 * Wire form (Confluent framing): 0x00, schema id as 4 bytes big-endian, Avro binary body.
 * Ids are embedded and deterministic: 0x40000000 | the low 30 bits of the CRC-64-AVRO fingerprint
 * of the schema's Parsing Canonical Form. A registry can come later behind codec_writer_schema().
 *
 * Generated structs (schemas/records.gen.h, one per record; names in snake case):
 *   string, bytes     struct cq_span f            fixed 16         struct cq_id f
 *   int long boolean  int32_t int64_t bool f      enum E           enum e f (symbols E_SYMBOL,
 * count E_N, words of JSON e_words)
 *   ["null", T]       bool has_f; T f             array of T       T *f; size_t f_n
 *   fields of one "oneOf": "f"
 *                     struct { enum <record>_f_kind kind; union { struct a a; struct b b; } u; } f
 *
 * The fields of a oneOf are ["null", record], each named as its record, and exactly one is set;
 * the constants of the kind are <RECORD>_<FIELD>, e.g. CHAT_ACTION_MESSAGE_SENT. That is the form
 * of a choice that stock readers of an older schema can skip, as they cannot skip a new branch of a
 * union. For a symbol that they lack they read UNKNOWN, the first symbol and the default of each
 * enum; it has no constant here, is never written, and is refused when read.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/** A generated field table, such as chat_action_codec in records.gen.h. */
struct codec_record;

enum {
    CODEC_FRAMING = 5,           /* bytes before the body */
    CODEC_ARRAY_MAX = 64 * 1024, /* items in one array, and never more than bytes left */
    CODEC_DEPTH_MAX = 8,
    CODEC_HISTORY_MAX = 192, /* versions in schemas/history */
};

/** The embedded schema id of `codec`. */
uint32_t codec_schema_id(const struct codec_record *codec);

/** Name and schema JSON (complete by itself, docs and defaults kept) of `codec`; static. */
const char *codec_name(const struct codec_record *codec);
const char *codec_schema_json(const struct codec_record *codec);

/** Every top-level record type, for the registry client, docs and tests. NULL-terminated. */
extern const struct codec_record *const codec_records[];

/** JSON of the schema that an id stands for: one of ours, of schemas/history or added; NULL:
 * unknown. Any thread; valid for the process's life. */
const char *codec_writer_schema(uint32_t id);

/** The i-th of all versions that this build reads, those that it writes among them, and its id; NULL:
 * there are only i. Any thread; valid for the process's life. */
const char *codec_version(size_t i, uint32_t *ret_id);

/** Make another writer's schema known, whose top record has the name of one of ours. CQ_POISON when
 * it is outside our subset or the table is full. Any thread. `json` is copied. */
CQ_MUST_CHECK enum cq_status codec_writer_add(const char *json);

/**
 * Append framing and body of `rec` (the struct generated for `codec`, borrowed) to `out`.
 * CQ_OK, or CQ_POISON when an enum is out of range, a string is not UTF-8, an
 * array is too long, or `out` came within 32 bytes of its maximum. Nothing is then appended and
 * what `out` held stays good. A kind that is none is a bug in this build, and ends the process.
 */
CQ_MUST_CHECK enum cq_status codec_encode(const struct codec_record *codec, const void *rec,
                                          struct cq_buf *out);

/**
 * Decode framing and body into `*ret`, the struct generated for `codec`. Strings and bytes are
 * borrowed from `in`; arrays live in `arena`. Every length, count, enum and union index is checked
 * against the bytes left first, and trailing bytes are refused. Bytes written under another known
 * schema of the same record are resolved by field name with our defaults (schemas/resolve.c, avro-c
 * after the same bounds walk). CQ_OK, CQ_POISON for bytes that can never decode (`*ret_why`,
 * static, may be NULL, says what), or CQ_AGAIN when the arena's maximum is reached.
 */
CQ_MUST_CHECK enum cq_status codec_decode(const struct codec_record *codec, struct cq_span in,
                                          struct cq_arena *arena, void *ret, const char **ret_why);
