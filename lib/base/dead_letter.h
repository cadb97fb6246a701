/* SPDX-License-Identifier: MIT */
/*
 * lib/base/dead_letter.h - the name of the topic of dead letters: for lib/bus, which sends them,
 * and for the table of topics, which makes these topics.
 */
#pragma once

/** Follows the name of the topic that the record came from. */
#define DEAD_LETTER_SUFFIX ".dlq"
