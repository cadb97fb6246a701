/* SPDX-License-Identifier: MIT */
/*
 * lib/base/contact.h - when Kafka and PostgreSQL were last heard by this process. Answers of Kafka
 * to whatever the role asks are noted here; a watch (see lib/bus/bus.h, lib/pg/pg.h) asks
 * PostgreSQL once a second, and Kafka after a second without an answer. Whoever wants to know looks
 * how long ago the last one was: a watch that stands still, or never had an answer, makes its
 * server count as away too. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum contact { CONTACT_KAFKA, CONTACT_DATABASE, CONTACT_N };

enum { CONTACT_AWAY_MS = 10000 /* without an answer: away */ };

/** From monotonic `now_ms` on this process needs `which`. Until this is called it is never away. */
void contact_expect(enum contact which, int64_t now_ms);

/** An answer came. */
void contact_heard(enum contact which, int64_t now_ms);

/** Whether there ever was an answer. */
bool contact_was_heard(enum contact which);

/** A statement of the role's own is sent; its answer came, or its connection was given up. While
 * one is under way and none has been answered for CONTACT_AWAY_MS, the database is away, whatever
 * the watch hears: for example because of a lock that is never released. */
void contact_asked(int64_t now_ms);
void contact_answered(int64_t now_ms);

/** Ms since the last answer of `which`; 0 when it is not expected. */
int64_t contact_silence_ms(enum contact which, int64_t now_ms);

/** Whether `which` has been silent for longer than CONTACT_AWAY_MS. */
bool contact_away(enum contact which, int64_t now_ms);

/** Log `kafka_away` or `database_away` (warn) when `which` has gone, and `…_back` when it answers
 * again: once for each change. `why` is what the last question met, "" for nothing. Called by the
 * watch of `which`, one thread. */
void contact_tell(enum contact which, int64_t now_ms, const char *why);
