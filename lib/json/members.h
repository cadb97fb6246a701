/* SPDX-License-Identifier: MIT */
/*
 * lib/json/members.h - which member of a JSON object is which member of a struct, said once: a
 * table reads what comes from clients, writes what goes to them, and prints its own JSON Schema.
 * Pure.
 *
 *     static const struct json_member rows[] = {
 *         JSON_MEMBER("seq", JSON_NUMBER, struct thing, seq, .most = 9, .rule = "seq: 0 to 9"),
 *         JSON_OPTIONAL("peer", JSON_ID, struct thing, peer, has_peer, .rule = "peer: an id"),
 *     };
 *     static const struct json_members thing = JSON_MEMBERS(rows);
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/span.h"
#include "lib/json/json.h"

#include <stddef.h>

enum json_member_kind {
    JSON_TEXT,   /* struct cq_span; read: it points into the value that was read */
    JSON_ID,     /* struct cq_id */
    JSON_NUMBER, /* int64_t */
    JSON_INT,    /* int32_t */
    JSON_BASE64, /* struct cq_span of any bytes, as standard base64; read: it lives in the lists */
    JSON_PARTS,  /* int32_t: a number with up to seven decimals, in ten-millionths */
    JSON_BOOL,   /* bool */
    JSON_WORD,   /* an enum of ours, as one of `words` */
    JSON_SOME,   /* written only: a boolean, whether the struct cq_span has any bytes */
    JSON_LIST,   /* written only: an array of structs, and a size_t of how many */
    JSON_IDS, /* an array of struct cq_id, and a size_t of how many; optional: absent where none is */
    JSON_TEXTS,  /* an array of struct cq_span, and a size_t of how many; read as JSON_TEXT is */
    JSON_INTS,   /* an array of int32_t, and a size_t of how many; each is 0 to `each_most` */
    JSON_WORDS,  /* written only: all of `words`, whatever the struct has */
    JSON_OBJECT, /* a struct within this one, by `items` */
    JSON_SPREAD, /* the same, its members among those around it; it has no name */
};

struct json_words {
    const char *const *v; /* by the enum's values */
    size_t n;
};

struct json_member {
    const char *name;
    const char *also; /* another name that clients may use; NULL: none */
    bool either;      /* one good name is enough, whatever the other is; else both must be good */
    enum json_member_kind kind;
    bool optional;
    bool lenient; /* an optional one that is something else is taken as absent */
    size_t off;   /* of its field in the struct */
    size_t
        has_off; /* one more than of a bool that says whether it is there (JSON_HAS); 0: nobody asks */
    size_t n_off; /* of an array: how many */
    size_t item_size;
    const struct json_members *items; /* of a list's struct, or an object's */
    const struct json_words *words;
    int64_t each_most; /* of the numbers of an array, from 0 */
    int64_t least,
        most; /* of a number; of ids or texts, how many; of a text or base64, bytes (0: any) */
    bool (*good)(struct cq_span s); /* of a text; NULL: any will do */
    const char *rule;               /* what a client is told that sends something else */
};

struct json_members {
    const struct json_member *v;
    size_t n;
};

#define JSON_MEMBER(name_, kind_, type_, field_, ...)                                   \
    {                                                                                   \
        .name = (name_), .kind = (kind_), .off = offsetof(type_, field_), ##__VA_ARGS__ \
    }
#define JSON_OPTIONAL(name_, kind_, type_, field_, has_, ...)                               \
    {                                                                                       \
        .name = (name_), .kind = (kind_), .optional = true, .off = offsetof(type_, field_), \
        .has_off = JSON_HAS(type_, has_), ##__VA_ARGS__                                     \
    }
/** The members of a struct within this one, as `items_` says them. */
#define JSON_SPREAD_OF(type_, field_, items_)                                   \
    {                                                                           \
        .kind = JSON_SPREAD, .off = offsetof(type_, field_), .items = (items_), \
    }
/** Where the bool `has_` is, and one more, as 0 stands for none. */
#define JSON_HAS(type_, has_) (offsetof(type_, has_) + 1)
#define JSON_MEMBERS(rows_)       \
    {                             \
        (rows_), ARRAY_LEN(rows_) \
    }

/** Append each member of the struct at `base`, with commas and without braces. */
void json_members_write(struct cq_buf *out, const struct json_members *members, const void *base);

/** Read the members of the object `json` into the struct at `base`. Returns NULL, or the rule
 * (static) of the first row whose member is missing or does not fit; the rows before it were read.
 * Other members of `json` are ignored. An optional member that is absent leaves the struct as it
 * was. Arrays live in `*lists`, which is made when the first array needs it and is owned by the
 * caller. */
CQ_MUST_CHECK const char *json_members_read(const struct json *json,
                                            const struct json_members *members, void *base,
                                            struct cq_arena **lists);

/** Which of `words` the `text` is. False: none of them. */
CQ_MUST_CHECK bool json_word_find(const struct json_words *words, struct cq_span text,
                                  unsigned *ret);

/** Append `"properties":{…},"required":[…]` of a JSON Schema. Unless `kind` is NULL there is a
 * member `t` that has this very text, and with `n` a member `n`, a number. */
void json_members_schema(struct cq_buf *out, const struct json_members *members, const char *kind,
                         bool n);
