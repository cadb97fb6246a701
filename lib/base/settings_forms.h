/* SPDX-License-Identifier: MIT */
/*
 * lib/base/settings_forms.h - what the values of settings look like, one form a type: private to
 * lib/base/settings.c and its tests.
 */
#pragma once

#include "lib/base/settings.h"

/** NULL when `text` has the form of `type`; else what it must be, in words that follow "must be",
 * static and without the value. The bounds of its row say whether a text may be empty. Pure. */
const char *setting_form(enum setting_type type, const char *text);

/** The type as docs/settings.md calls it. */
const char *setting_type_name(enum setting_type type);

/** Edits (a letter more, less, other, or two exchanged) that make `left` into `right`, or `most` +
 * 1 when it takes more than `most`. Names of up to 63 bytes; longer ones are never near. */
int setting_name_distance(const char *left, const char *right, int most);
