/* SPDX-License-Identifier: MIT */
#include "lib/base/count.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/settings.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    ROLE_STAGES = ROLE_CHAT | ROLE_USER,
    ROLE_FEEDS = ROLE_PERSISTENCE | ROLE_STATUS | ROLE_SEARCH,
    ROLE_DATABASE = ROLE_FEEDS | ROLE_MOBILE | ROLE_MEDIA | ROLE_EDGE_REST,
    ROLE_READERS = ROLE_STAGES | ROLE_FEEDS | ROLE_MOBILE | ROLE_MEDIA | ROLE_EDGE_WS,
};

static const struct count_row {
    enum count_kind kind;
    const char *name;
    uint32_t roles;
    const char *help;
} rows[COUNT_N] = {
#define X(name, kind, exported, roles, help) \
    [COUNT_##name] = { COUNT_KIND_##kind, exported, roles, help },
    COUNTS(X)
#undef X
};

/* Each is read by itself, so relaxed memory order is enough. */
static _Atomic int64_t values[COUNT_N];
static _Atomic int64_t beat_ms;
static _Atomic int64_t repeats_since_ms; /* 0: the last turn did something */

void count_add(enum count_key key, int64_t n)
{
    atomic_fetch_add_explicit(&values[key], n, memory_order_relaxed);
}

void count_set(enum count_key key, int64_t value)
{
    atomic_store_explicit(&values[key], value, memory_order_relaxed);
}

int64_t count_get(enum count_key key)
{
    return atomic_load_explicit(&values[key], memory_order_relaxed);
}

void count_beat(int64_t now_ms)
{
    atomic_store_explicit(&beat_ms, now_ms, memory_order_relaxed);
}

int64_t count_silence_ms(int64_t now_ms)
{
    int64_t none = 0;

    atomic_compare_exchange_strong(&beat_ms, &none, now_ms);
    return now_ms - atomic_load_explicit(&beat_ms, memory_order_relaxed);
}

void count_repeats(int n, int64_t now_ms)
{
    int64_t since_ms = atomic_load_explicit(&repeats_since_ms, memory_order_relaxed);

    count_set(COUNT_TURNS_REPEATED, n);
    if (!n || !since_ms)
        atomic_store_explicit(&repeats_since_ms, n ? now_ms : 0, memory_order_relaxed);
}

int64_t count_repeating_ms(int64_t now_ms)
{
    int64_t since_ms = atomic_load_explicit(&repeats_since_ms, memory_order_relaxed);

    return since_ms ? now_ms - since_ms : 0;
}

/* The value to show. Whether a server is away is worked out from its last answer at the time of the
 * request, not by the role's loop, which may itself be waiting for that server. */
static int64_t shown(enum count_key key, int64_t now_ms)
{
    if (key == COUNT_KAFKA_AWAY)
        return contact_away(CONTACT_KAFKA, now_ms);
    if (key == COUNT_DATABASE_AWAY && contact_away(CONTACT_DATABASE, now_ms))
        return 1;
    if (key == COUNT_LAG && contact_away(CONTACT_KAFKA, now_ms))
        return -1; /* the end of the log is not known now */
    return count_get(key);
}

size_t count_print(uint32_t role, const char *name, char *out, size_t cap)
{
    int64_t now_ms = clock_mono_ms();
    size_t n = 0;

    for (int key = 0; key < COUNT_N; key++) {
        const struct count_row *row = &rows[key];
        int line_n;

        if (!(row->roles & role))
            continue;
        line_n = snprintf(
            out + n, cap - n,
            "# HELP chasqui_%s %s\n# TYPE chasqui_%s %s\nchasqui_%s{role=\"%s\"} %lld\n", row->name,
            row->help, row->name, row->kind == COUNT_KIND_COUNTER ? "counter" : "gauge", row->name,
            name, (long long)shown((enum count_key)key, now_ms));
        if (line_n < 0 || (size_t)line_n >= cap - n)
            return 0;
        n += (size_t)line_n;
    }
    return n;
}
