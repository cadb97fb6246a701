/* SPDX-License-Identifier: MIT */
/*
 * lib/base/dead_letter.h - how the topic of dead letters is called: for lib/bus, which sends them,
 * and for the table of topics, which makes them.
 */
#pragma once

/** Behind the name of the topic that the record came from. */
#define DEAD_LETTER_SUFFIX ".dlq"
