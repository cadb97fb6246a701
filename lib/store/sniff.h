/* SPDX-License-Identifier: MIT */
/*
 * lib/store/sniff.h - what some bytes are, whatever their name says (pure). It knows only the kinds
 * that may be sent as a picture, a video, audio or PDF. It compares fixed bytes, and follows one
 * length field of MP3, of AAC and of Ogg, and the list of brands of a picture. chasqui-thumbnail
 * finds out whether a decoder agrees.
 */
#pragma once

#include "lib/base/span.h"

enum { SNIFF_BYTES = 4096 }; /* as much of the beginning of a file is looked at */

/** `type/subtype` of a file that begins with `head`; "application/octet-stream" for whatever is not
 * in the table. Static text. */
const char *sniff(struct cq_span head);
