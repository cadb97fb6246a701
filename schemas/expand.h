/* SPDX-License-Identifier: MIT */
/*
 * schemas/expand.h - for the build's own tools: the text of a schema as readers get it. The files
 * schemas/NAME.avsc name types that several of them use; schemas/shared/types.avsc defines each of
 * those once.
 *
 * A shared record that is a fact says so itself, and its readers get the fields as if each file had
 * them:
 *
 *     "in": { "ChatAction": "action", "ChatEvent": "event" }    one more field of these oneOf
 *     "asked": "note.pin"                                       clients ask for it by this frame
 *     "told": "note"                                            and are told of it by that one
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

struct schema_types; /* the shared types */

/** `text`: a JSON array of named types, each after what it is made of. CQ_OK with `*ret` owned by
 * the caller, or CQ_POISON with a reason in `reterr`. One of a string or bytes is a plain type: a
 * name for limits that several fields share. */
CQ_MUST_CHECK enum cq_status schema_types_parse(struct cq_span text, struct schema_types **ret,
                                                char *reterr, size_t reterr_n);
void schema_types_free(struct schema_types *types); /* NULL is fine */

enum schema_use {
    SCHEMA_FOR_READERS, /* without limits: they bind those who write */
    SCHEMA_FOR_TOOLS,   /* with them */
};

/** Append `text` to `out` with each shared type spelled out where it is first used, so that it is
 * complete by itself: indented JSON with a newline at its end. `types` NULL: there are none.
 * CQ_POISON: a reason in `reterr`. */
CQ_MUST_CHECK enum cq_status schema_expand(struct cq_buf *out, struct cq_span text,
                                           const struct schema_types *types, enum schema_use use,
                                           char *reterr, size_t reterr_n);
