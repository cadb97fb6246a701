/* SPDX-License-Identifier: MIT */
/*
 * schemas/table.h - the field tables that schemas/gen prints, for codec.c, resolve.c and bounds.c
 * alone.
 */
#pragma once

#include "schemas/codec.h"

#include <stddef.h>
#include <stdint.h>

enum codec_op {
    CODEC_BOOL,
    CODEC_INT,
    CODEC_LONG,
    CODEC_STRING,
    CODEC_BYTES,
    CODEC_ID,
    CODEC_ENUM,
    CODEC_RECORD,
    CODEC_ARRAY,
    CODEC_ONE_OF,
};

/* One of the fields of a oneOf: ["null", record] on the wire. */
struct codec_choice {
    const char *name; /* of the field, as in the schema */
    const struct codec_record *record;
};

/* What a client action may say, see schemas/bounds.h. */
struct codec_bound {
    const char *why; /* the field and its bounds, in words */
    int64_t least;   /* bytes of a text, items of an array, or the number */
    int64_t most;
    uint32_t code_points; /* of a text, at most */
    uint8_t form;         /* enum bounds_form */
    bool not_zero;        /* of an id */
};

struct codec_field {
    uint8_t op;         /* enum codec_op */
    bool nullable;      /* ["null", T]: a bool at has_off says whether it is there */
    bool has_default;   /* used when a foreign writer's schema lacks the field */
    uint32_t off;       /* value; pointer of an array; `u` of a oneOf */
    uint32_t has_off;   /* has_<f> */
    uint32_t aux_off;   /* <f>_n of an array, `kind` of a oneOf */
    uint32_t n;         /* symbols of an enum without UNKNOWN, choices of a oneOf */
    uint32_t item_size; /* array: sizeof one item */
    uint32_t item_min;  /* array: fewest bytes of one item on the wire, at least 1 */
    union {
        const struct codec_record *record;
        const struct codec_field *item; /* off 0 */
        const struct codec_choice *choices;
        const char *const *symbols; /* the first has index 1 on the wire: UNKNOWN has 0 */
    } sub;
    const char *name;                /* as in the schema, of a oneOf the name of it */
    const struct codec_bound *bound; /* NULL: none */
    const uint8_t *default_p;        /* Avro binary, of the whole field with its union index */
    uint32_t default_n;
};

struct codec_record {
    const char *name; /* as in the schema */
    const struct codec_field *fields;
    uint32_t fields_n;
    uint32_t size; /* of the struct */
    uint32_t id;   /* schema id, see codec.h */
    const char *json;
};

/** Schemas that other or older writers use, embedded from schemas/history; NULL-terminated JSON
 * texts. */
extern const char *const codec_history[];

/** Decode body `in` of `field` into the struct at `base`, all of it. For defaults; as
 * codec_decode().
 */
CQ_MUST_CHECK enum cq_status codec_decode_field(const struct codec_field *field, struct cq_span in,
                                                struct cq_arena *arena, uint8_t *base);

/** A body written under the schema with id `writer_id`, which is not ours; as codec_decode(). */
CQ_MUST_CHECK enum cq_status resolve_decode(const struct codec_record *codec, uint32_t writer_id,
                                            struct cq_span body, struct cq_arena *arena, void *ret,
                                            const char **ret_why);
