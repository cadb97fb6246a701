/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/flight.h"

void flight_init(struct flight *w, int most, int connections)
{
    *w = (struct flight){ .most = most, .least = connections < most ? connections : most };
    w->size = most;
}

bool flight_lost(struct flight *w, int64_t now_ms)
{
    if (w->cut_ms && now_ms - w->cut_ms < FLIGHT_EVENT_MS)
        return false;
    w->cut_ms = now_ms;
    w->answers = 0;
    w->size = w->size / 2 > w->least ? w->size / 2 : w->least;
    return true;
}

void flight_answered(struct flight *w)
{
    if (w->size == w->most || ++w->answers < w->size)
        return;
    w->answers = 0;
    w->size++;
}
