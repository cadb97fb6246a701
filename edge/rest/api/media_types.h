/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_types.h - which content may be sent as what (pure).
 */
#pragma once

#include "schemas/records.gen.h"

/** The media type under which bytes sniffed as `sniffed` may be sent as `type`; NULL: not at all. */
const char *media_type_of(enum message_type type, const char *sniffed);
