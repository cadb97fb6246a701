/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/flight.h"

void flight_init(struct flight *flight, int most, int connections)
{
    *flight = (struct flight){ .most = most, .least = connections < most ? connections : most };
    flight->size = most;
}

bool flight_lost(struct flight *flight, int64_t now_ms)
{
    if (flight->cut_ms && now_ms - flight->cut_ms < FLIGHT_EVENT_MS)
        return false;
    flight->cut_ms = now_ms;
    flight->answers = 0;
    flight->size = flight->size / 2 > flight->least ? flight->size / 2 : flight->least;
    return true;
}

void flight_answered(struct flight *flight)
{
    if (flight->size == flight->most || ++flight->answers < flight->size)
        return;
    flight->answers = 0;
    flight->size++;
}
