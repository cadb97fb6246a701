/* SPDX-License-Identifier: MIT */
#include "processors/chat/times.h"

void times_advance(struct times *times, int64_t offset, int64_t log_ms)
{
    int64_t minute = log_ms / TIMES_MINUTE_MS, last = times->minute;

    if (minute <= last)
        return;
    for (int64_t k = minute - last < TIMES_MINUTES ? last + 1 : minute - TIMES_MINUTES + 1;
         k <= minute; k++)
        times->minutes[k % TIMES_MINUTES] = offset;
    minute /= 60;
    last /= 60;
    for (int64_t k = minute - last < TIMES_HOURS ? last + 1 : minute - TIMES_HOURS + 1; k <= minute;
         k++)
        times->hours[k % TIMES_HOURS] = offset;
    times->minute = log_ms / TIMES_MINUTE_MS;
}

/* The last of the kept minutes, or hours, that had begun at `offset`. */
static int64_t unit_at(const int64_t *first, int64_t last, int size, int64_t offset)
{
    int64_t k = last;

    while (k > last - size + 1 && k > 0 && first[k % size] > offset)
        k--;
    return k;
}

bool times_within(const struct times *times, int64_t now, int64_t target, enum times_unit unit,
                  int n)
{
    bool in_minutes = unit == TIMES_IN_MINUTES;
    const int64_t *first = in_minutes ? times->minutes : times->hours;
    int size = in_minutes ? TIMES_MINUTES : TIMES_HOURS;
    int64_t last = in_minutes ? times->minute : times->minute / 60;
    int64_t oldest = unit_at(first, last, size, now) - n;

    if (oldest <= 0)
        return true;
    return oldest > last - size && target >= first[oldest % size];
}

/* ---- from the log ---------------------------------------------------------------------- */

/* Minutes or hours that are asked for. */
struct asking {
    times_first_fn *first;
    void *arg;
    int64_t *offsets; /* of each, modulo `size` */
    int size;
    int64_t unit_ms;
};

static enum cq_status ask(const struct asking *asking, int64_t k)
{
    return asking->first(asking->arg, k * asking->unit_ms, &asking->offsets[k % asking->size]);
}

/* Those strictly between `from` and `to`, which are known. */
static enum cq_status ask_between(const struct asking *asking, int64_t from, int64_t to)
{
    int64_t low = asking->offsets[from % asking->size], high = asking->offsets[to % asking->size];
    int64_t middle = from + (to - from) / 2;
    enum cq_status st;

    if (low == high) { /* nothing was said in between */
        while (++from < to)
            asking->offsets[from % asking->size] = low;
        return CQ_OK;
    }
    if (middle == from)
        return CQ_OK;
    st = ask(asking, middle);
    if (st == CQ_OK)
        st = ask_between(asking, from, middle);
    return st == CQ_OK ? ask_between(asking, middle, to) : st;
}

static enum cq_status ask_all(const struct asking *asking, int64_t last)
{
    int64_t from = last - asking->size + 1 > 0 ? last - asking->size + 1 : 0;
    enum cq_status st = ask(asking, from);

    if (st == CQ_OK)
        st = ask(asking, last);
    return st == CQ_OK ? ask_between(asking, from, last) : st;
}

enum cq_status times_restore(struct times *times, int64_t committed, int64_t last_ms,
                             times_first_fn *first, void *arg)
{
    struct asking minutes = { first, arg, times->minutes, TIMES_MINUTES, TIMES_MINUTE_MS };
    struct asking hours = { first, arg, times->hours, TIMES_HOURS, TIMES_HOUR_MS };
    int64_t minute = last_ms / TIMES_MINUTE_MS, at = 0;
    enum cq_status st;

    /* the broker's clock may have gone back: a later minute had begun before */
    while ((st = first(arg, (minute + 1) * TIMES_MINUTE_MS, &at)) == CQ_OK && at < committed)
        minute++;
    if (st == CQ_OK)
        st = ask_all(&minutes, minute);
    if (st == CQ_OK)
        st = ask_all(&hours, minute / 60);
    times->minute = minute;
    return st;
}
