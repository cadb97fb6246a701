/* SPDX-License-Identifier: MIT */
/*
 * lib/store/sniff.h - what some bytes are, whatever their name says. The one owner of magic.h.
 */
#pragma once

#include "lib/base/span.h"

struct sniffer; /* one thread */

enum { SNIFF_BYTES = 64 * 1024 };

struct sniffer *sniffer_new(void); /* owned by caller; NULL when libmagic has no database */
void sniffer_free(struct sniffer *s);

/** `type/subtype` of a file that begins with `head` (at most SNIFF_BYTES are looked at); borrowed
 * until the next call; "application/octet-stream" for what is unknown. */
const char *sniff(struct sniffer *s, struct cq_span head);
