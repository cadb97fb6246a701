/* SPDX-License-Identifier: MIT */
/*
 * sinks/search/texts.h - the events of one turn as texts, their keys, and what becomes of texts. No
 * I/O; nothing of an event is borrowed.
 */
#pragma once

#include "lib/words/words.h"
#include "schemas/records.gen.h"

enum {
    TEXTS_MAX = 2048,
    TEXTS_OPS = 2048,
    TEXTS_KEYS = 64 * 1024, /* of a turn; a text has at most TEXT_MARKS + WORDS_KEYS_MAX */
    TEXT_MARKS = 2,
};

struct text_row {
    int32_t ord, part;
    struct cq_id chat, message;
    int64_t seq, at_ms, expires_ms;
    bool stays; /* expires_ms says nothing */
};

/* A key of the text with this `ord`; those of edits have ORD_EDIT. */
enum { ORD_EDIT = -1 };
struct text_key {
    int32_t ord;
    int64_t key;
    bool is_mark;
};

enum text_op_kind { TEXT_EDIT, TEXT_DELETION, TEXT_LEAVE };

struct text_op {
    enum text_op_kind kind;
    int32_t part;
    struct cq_id chat, message;
    int64_t target, seq;
    size_t keys_from, keys_n; /* of an edit */
};

struct texts {
    struct words words; /* of the text that is being split */
    int64_t found[WORDS_KEYS_MAX];
    size_t rows_n, keys_n, ops_n;
    struct text_row rows[TEXTS_MAX];
    struct text_key keys[TEXTS_KEYS];
    struct text_op ops[TEXTS_OPS];
};

struct texts *texts_new(void); /* NULL without memory; owned by caller */
void texts_free(struct texts *texts);
void texts_clear(struct texts *texts);

/** CQ_AGAIN: no room, never of an empty one. CQ_POISON: a kind that this build does not know. */
CQ_MUST_CHECK enum cq_status texts_add(struct texts *texts, const struct chat_event *event);
