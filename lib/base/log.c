/* SPDX-License-Identifier: MIT */
#include "lib/base/log.h"

#include "lib/base/clock.h"
#include "lib/base/span.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, FIELDS_MAX = 16 };

static const char *log_role = "chasqui";
static enum log_level log_least = LOG_INFO;
static _Atomic(const char *) log_last; /* event of the last line, printed or not */

void log_init(const char *role, enum log_level least)
{
    log_role = role;
    log_least = least;
}

enum log_level log_level_parse(const char *name)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };

    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum log_level)i;
    return LOG_INFO;
}

struct line {
    char text[LINE_MAX_BYTES];
    size_t n;
};

/* Two bytes are always left for the closing brace and the newline. */
static void put(struct line *l, const char *p, size_t n)
{
    if (n > sizeof l->text - 2 - l->n)
        n = sizeof l->text - 2 - l->n;
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static void put_text(struct line *l, const char *s)
{
    static const char hex[] = "0123456789abcdef";

    put(l, "\"", 1);
    /* 12: an escape and the closing quote always fit, so a cut line is still JSON */
    for (; *s && l->n < sizeof l->text - 12; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\') {
            put(l, (char[]){ '\\', (char)c }, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(l, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
        } else {
            put(l, s, 1);
        }
    }
    put(l, "\"", 1);
}

static void put_number(struct line *l, int64_t v)
{
    char room[SPAN_NUMBER_MAX];
    struct cq_span text = span_number(v, room);

    put(l, (const char *)text.p, text.n);
}

static void put_name(struct line *l, const char *name)
{
    put(l, ",", 1);
    put_text(l, name);
    put(l, ":", 1);
}

void log_ended(const char *status, const char *why)
{
    const char *last = atomic_load(&log_last);
    char text[128];

    snprintf(text, sizeof text, "no reason was given; noted last: %s", last ? last : "nothing");
    log_error("ended", LOG_S("status", status), LOG_S("why", *why ? why : text));
}

void log_write(enum log_level lv, const char *event, const struct log_field *f, size_t n)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    struct line l = { .n = 0 };
    size_t fields = 0;

    atomic_store(&log_last, event);
    if (lv < log_least)
        return;
    put(&l, "{\"ts\":", 6);
    put_number(&l, clock_wall_ms());
    put_name(&l, "level");
    put_text(&l, names[lv]);
    put_name(&l, "role");
    put_text(&l, log_role);
    put_name(&l, "event");
    put_text(&l, event);
    for (size_t i = 0; i < n && fields < FIELDS_MAX; i++) {
        if (!f[i].name)
            continue;
        if (l.n + strlen(f[i].name) + 64 > sizeof l.text)
            break; /* no room for a whole field */
        put_name(&l, f[i].name);
        if (f[i].s)
            put_text(&l, f[i].s);
        else
            put_number(&l, f[i].i);
        fields++;
    }
    l.text[l.n++] = '}';
    l.text[l.n++] = '\n';
    if (write(STDERR_FILENO, l.text, l.n) < 0)
        return; /* nobody is left to tell */
}
