/* SPDX-License-Identifier: MIT */
/*
 * schemas/gen_frames.h - the part of schemas/gen that knows frames: the members in JSON of a record
 * that clients ask for, or are told of, in the words of its schema (schemas/expand.h).
 */
#pragma once

#include "schemas/schema.h"

#include <stdio.h>

/** Print `const struct json_members REC_members`, when a frame has them. Ends the process where a
 * frame cannot say a field. */
void gen_frame_members(FILE *out, const struct schema *schema);

/** Print the lists of frames of the oneOf that is `fields[0..n)` of `schema`: X(fact, constant,
 * word) for each fact that is asked for, and for each that is told. */
void gen_frame_lists(FILE *out, const struct schema *schema, const struct schema_field *fields,
                     size_t n);

/** Whether a frame has the members of `schema`. */
bool gen_has_frame(const struct schema *schema);
