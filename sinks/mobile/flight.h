/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/flight.h - how many requests may be in flight (pure). When a connection dies, all
 * its streams end without an answer, and each is sent again although the provider may have taken
 * it. So the number is halved for each such death, and grows by one for each round of answers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FLIGHT_EVENT_MS = 100 }; /* requests lost within this time count as one death */

struct flight {
    int most;       /* as configured */
    int least;      /* one a connection */
    int size;       /* now */
    int answers;    /* since it grew */
    int64_t cut_ms; /* when it was halved; 0: never */
};

/** At most `most` requests over `connections`. */
void flight_init(struct flight *flight, int most, int connections);

/** A request ended without an answer. True: the window was halved for it. */
bool flight_lost(struct flight *flight, int64_t now_ms);

/** An answer came, whatever it says. */
void flight_answered(struct flight *flight);
