/* SPDX-License-Identifier: MIT */
/*
 * schemas/gen_names.h - names of schemas as C has them, for schemas/gen.
 */
#pragma once

enum { GEN_NAME_BYTES = 128 };

struct gen_name {
    char s[GEN_NAME_BYTES];
};

struct gen_name gen_snake(const char *camel); /* ChatAction, atMs -> chat_action, at_ms */
struct gen_name gen_upper(const char *camel); /* ChatAction -> CHAT_ACTION */

/** The same as text, until the end of the full expression. */
#define SNAKE(camel) (gen_snake(camel).s)
#define UPPER(camel) (gen_upper(camel).s)
