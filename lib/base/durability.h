/* SPDX-License-Identifier: MIT */
/*
 * lib/base/durability.h - what an acknowledged message survives, in one word: the setting DURABILITY.
 * docs/guarantees.md says what each means.
 */
#pragma once

enum durability {
    DURABILITY_CACHED,     /* the death of any process */
    DURABILITY_SYNCED,     /* a loss of power, too: truth is synced before it is acknowledged */
    DURABILITY_REPLICATED, /* the loss of a machine: it is on two of three */
};

/** Replicas of a topic with DURABILITY_REPLICATED, at least. */
enum { DURABLE_REPLICAS = 3 };

/** What a value of the setting means; a word that is none of the three, which the table of settings
 * refuses, as the first. */
enum durability durability_parse(const char *word);
