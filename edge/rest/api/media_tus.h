/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_tus.h - what a client may ask of uploads before it begins one.
 */
#pragma once

#include "edge/rest/server/call.h"

/** Headers for the answer to OPTIONS of `path`: tus 1.0 and, for the size of a piece, which tus has
 * no word for, draft-ietf-httpbis-resumable-upload. None where it is no path of files. */
void tus_options(struct call *call, struct cq_span path);
