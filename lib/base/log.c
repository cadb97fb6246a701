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
static void put(struct line *line, const char *p, size_t n)
{
    if (n > sizeof line->text - 2 - line->n)
        n = sizeof line->text - 2 - line->n;
    memcpy(line->text + line->n, p, n);
    line->n += n;
}

static void put_text(struct line *line, const char *s)
{
    static const char hex[] = "0123456789abcdef";

    put(line, "\"", 1);
    /* 12: an escape and the closing quote always fit, so a cut line is still JSON */
    for (; *s && line->n < sizeof line->text - 12; s++) {
        unsigned char byte = (unsigned char)*s;

        if (byte == '"' || byte == '\\') {
            put(line, (char[]){ '\\', (char)byte }, 2);
        } else if (byte < 0x20 || byte == 0x7f) {
            put(line, (char[]){ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] }, 6);
        } else {
            put(line, s, 1);
        }
    }
    put(line, "\"", 1);
}

static void put_number(struct line *line, int64_t v)
{
    char room[SPAN_NUMBER_MAX];
    struct cq_span text = span_number(v, room);

    put(line, (const char *)text.p, text.n);
}

static void put_name(struct line *line, const char *name)
{
    put(line, ",", 1);
    put_text(line, name);
    put(line, ":", 1);
}

void log_ended(const char *status, const char *why)
{
    const char *last = atomic_load(&log_last);
    char text[128];

    snprintf(text, sizeof text, "no reason was given; noted last: %s", last ? last : "nothing");
    log_error("ended", LOG_S("status", status), LOG_S("why", *why ? why : text));
}

void log_write(enum log_level lv, const char *event, const struct log_field *field, size_t n)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    struct line line = { .n = 0 };
    size_t fields = 0;

    atomic_store(&log_last, event);
    if (lv < log_least)
        return;
    put(&line, "{\"ts\":", 6);
    put_number(&line, clock_wall_ms());
    put_name(&line, "level");
    put_text(&line, names[lv]);
    put_name(&line, "role");
    put_text(&line, log_role);
    put_name(&line, "event");
    put_text(&line, event);
    for (size_t i = 0; i < n && fields < FIELDS_MAX; i++) {
        if (!field[i].name)
            continue;
        if (line.n + strlen(field[i].name) + 64 > sizeof line.text)
            break; /* no room for a whole field */
        put_name(&line, field[i].name);
        if (field[i].s)
            put_text(&line, field[i].s);
        else
            put_number(&line, field[i].i);
        fields++;
    }
    line.text[line.n++] = '}';
    line.text[line.n++] = '\n';
    if (write(STDERR_FILENO, line.text, line.n) < 0)
        return; /* nobody is left to tell */
}
