/* SPDX-License-Identifier: MIT */
/*
 * schemas/gen_bounds.h - the part of schemas/gen that knows limits: what a field may be, in words and
 * as members of a table.
 */
#pragma once

#include "schemas/schema.h"

#include <stdio.h>

/** The bounds of a field of type `type`: `own` (NULL: none) where it says something, else its
 * type's. */
struct schema_bounds gen_bounds(const struct schema_bounds *own, const struct schema *type);

/** Whether a value has to be looked at: it has bounds, or is an enum. */
bool gen_has_bound(const struct schema_bounds *own, const struct schema *type);

/** Print `static const struct codec_bound REC_FIELD_WHAT` for the field that clients call `name`,
 * when it has one. Ends the process when the schema says what cannot be. */
void gen_bound(FILE *out, const char *name, const char *rec, const char *field, const char *what,
               const struct schema_bounds *own, const struct schema *type);

/** What is said of a value that is not within its bounds: the field, which clients call `name`, and what it may be. */
void gen_why(char *to, size_t to_n, const char *name, const struct schema_bounds *own,
             const struct schema *type);

/** Print the constants LIMIT_NAME_… of the numbers in `bounds`, of a value of type `type`. Those of
 * a name are printed once. */
void gen_limits(FILE *out, const struct schema_bounds *bounds, const struct schema *type,
                const char *name);
