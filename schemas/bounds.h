/* SPDX-License-Identifier: MIT */
/*
 * schemas/bounds.h - whether a record is within the limits that its schema states: bytes and code
 * points of texts, items of lists, ranges of numbers, ids that are set, enums in range. Pure.
 */
#pragma once

#include "lib/base/span.h"

#include <stdbool.h>

struct codec_record;

/* What the characters of a text have to be, beside its size; attribute "form" in a schema. A value
 * that may be empty and is has no form. */
enum bounds_form {
    BOUNDS_FORM_ANY,   /* "any": bytes; what a `bytes` is that says nothing else */
    BOUNDS_FORM_TEXT,  /* "text": UTF-8 without NUL; what a `string` is that says nothing else */
    BOUNDS_FORM_WORD,  /* "word": printable ASCII without spaces */
    BOUNDS_FORM_TOKEN, /* "token": such a word that can stand in a path and in JSON as it is */
    BOUNDS_FORM_NAME,  /* "name": what others see; see display_name_good() of ingest */
    BOUNDS_FORM_LABEL, /* "label": the same, and nothing in it need be visible */
    BOUNDS_FORM_N
};

typedef bool bounds_form_fn(struct cq_span text);

/** Of forms that are more than bytes: who judges the characters of a text that is UTF-8 and within
 * its size. Each belongs to whoever lets records in. */
struct bounds_forms {
    bounds_form_fn *name;
    bounds_form_fn *label;
};

/** NULL when `record` (the struct of `codec`) is within its limits in all its parts, else a static
 * text: the first field that is not, and what it may be. */
const char *bounds_check(const struct codec_record *codec, const void *record,
                         const struct bounds_forms *forms);

/** UTF-8 without control characters but line ends and tabs: what people write. */
bool bounds_written(struct cq_span span);

/** Printable ASCII without spaces, and without quotes, slashes and backslashes if `token`. */
bool bounds_word(struct cq_span span, bool token);
