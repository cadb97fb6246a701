/* SPDX-License-Identifier: MIT */
/*
 * schemas/contents.h - what a message shows beside its text, as JSON: the same members where clients send it, in
 * frames, in the view and in REST. Pure.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/json/members.h"
#include "schemas/records.gen.h"

/** Of a struct contents. */
extern const struct json_members contents_members;

/** Of a struct preview, and what clients are told who send another one. */
extern const struct json_members preview_members;
extern const char preview_rule[];

/** Whether there is anything of it. */
bool contents_any(const struct contents *contents);

/** `"location":{…}`, and `"preview":{…}`, without a comma in front of the first; nothing where there is none (NULL). */
void contents_write(struct cq_buf *out, const struct contents *contents);
void preview_write(struct cq_buf *out, const struct preview *preview);

/** The most bytes that either makes of what validation lets through. */
enum { CONTENTS_TEXT_MAX = 4096, PREVIEW_TEXT_MAX = 10 * 1024 };
