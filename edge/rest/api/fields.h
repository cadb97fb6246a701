/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/fields.h - fields that several nouns have.
 */
#pragma once

#include "edge/rest/server/answer.h"
#include "ingest/validate.h"
#include "lib/json/members.h"
#include "schemas/limits.h"

/** What the messages about names and labels say (ingest/validate.h has the rule). */
#define FIELD_NAME_RULE "no control or direction characters, joiners only behind a character"

#define FIELD_NAME_WORDS                \
    "name: 1 to " LIMIT_NAME_CHARS_TEXT \
    " characters, at least one of them visible; " FIELD_NAME_RULE

/** What a client is told whose clientId is not good. */
#define FIELD_CLIENT_ID_WORDS \
    "clientId: 1 to " LIMIT_CLIENT_ID_BYTES_TEXT " printable characters without spaces"

/** Rows of a body that several nouns have. */
#define FIELD_NAME(type, field) \
    JSON_MEMBER("name", JSON_TEXT, type, field, .good = display_name_good, .rule = FIELD_NAME_WORDS)
#define FIELD_CHAT(type, field)                                                   \
    JSON_MEMBER("chatId", JSON_ID, type, field, .also = "chatID", .either = true, \
                .rule = "chatId: required")
