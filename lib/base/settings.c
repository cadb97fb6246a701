/* SPDX-License-Identifier: MIT */
#include "lib/base/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct setting_row {
    const char *name;
    enum setting_type type;
    const char *fallback; /* NULL: required */
    int64_t min, max;
    bool secret;
    uint32_t roles;
    const char *help;
};

static const struct setting_row rows[SETTING_N] = {
#define X(name, type, fallback, min, max, secret, roles, help) \
    [SET_##name] = { #name, SETTING_##type, fallback, min, max, secret, roles, help },
    SETTINGS(X)
#undef X
};

/* Written once by settings_load, before any thread; read-only after that. */
static struct {
    const char *text;
    int64_t number;
    bool loaded;
} values[SETTING_N];

static bool parse_number(const struct setting_row *r, const char *text, int64_t *ret)
{
    char *end;

    if (r->type == SETTING_BOOL) {
        *ret = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
        return *ret || strcmp(text, "0") == 0 || strcmp(text, "false") == 0;
    }
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && !errno && *ret >= r->min && *ret <= r->max;
}

/* Says on `err` what is wrong with the setting, in one line, never its value when it is secret. */
static bool load_one(int key, FILE *err)
{
    const struct setting_row *r = &rows[key];
    const char *text = getenv(r->name);

    if (!text)
        text = r->fallback;
    if (!text) {
        fprintf(err, "chasqui: setting %s is missing: %s\n", r->name, r->help);
        return false;
    }
    if (r->type == SETTING_TEXT) {
        size_t n = strlen(text);

        if ((int64_t)n < r->min || (int64_t)n > r->max) {
            fprintf(err, "chasqui: setting %s has %zu bytes, must have %lld to %lld: %s\n", r->name,
                    n, (long long)r->min, (long long)r->max, r->help);
            return false;
        }
    } else if (!parse_number(r, text, &values[key].number)) {
        fprintf(err, "chasqui: setting %s must be %s %lld to %lld: %s\n", r->name,
                r->type == SETTING_BOOL ? "0, 1, true or false;" : "a whole number,",
                (long long)r->min, (long long)r->max, r->help);
        return false;
    }
    values[key].text = text;
    values[key].loaded = true;
    return true;
}

enum cq_status settings_load(uint32_t roles, FILE *err)
{
    bool good = true;

    for (int key = 0; key < SETTING_N; key++)
        if (rows[key].roles & roles)
            good = load_one(key, err) && good;
    return good ? CQ_OK : CQ_FATAL;
}

/* Asking for a setting the role did not declare is a bug in the table. */
static void demand(enum setting_key key)
{
    if (!values[key].loaded) {
        fprintf(stderr, "chasqui: setting %s is not declared for this role\n", rows[key].name);
        abort();
    }
}

bool setting_is_declared(enum setting_key key)
{
    return values[key].loaded;
}

const char *setting_text(enum setting_key key)
{
    demand(key);
    return values[key].text;
}

int64_t setting_int(enum setting_key key)
{
    demand(key);
    return values[key].number;
}

bool setting_bool(enum setting_key key)
{
    return setting_int(key) != 0;
}

static void print_roles(FILE *out, uint32_t roles)
{
    static const char *const names[] = { "edge-rest", "edge-ws", "chat",  "user", "persistence",
                                         "status",    "mobile",  "admin", "media" };
    const char *comma = "";

    if ((roles & ROLE_ALL) == ROLE_ALL) {
        fputs("all", out);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (roles & 1u << i) {
            fprintf(out, "%s%s", comma, names[i]);
            comma = ", ";
        }
}

void settings_print_markdown(FILE *out)
{
    static const char *const types[] = { "text", "whole number", "yes or no" };

    fputs(
        "# Settings\n\nAll settings are environment variables. This page is printed by `chasqui "
        "check-config --markdown`.\n\n| name | type | default | bounds | secret | roles | what |\n"
        "|---|---|---|---|---|---|---|\n",
        out);
    for (int key = 0; key < SETTING_N; key++) {
        const struct setting_row *r = &rows[key];
        const char *tick = r->fallback && *r->fallback ? "`" : "";

        fprintf(out, "| `%s` | %s | %s%s%s | %lld to %lld%s | %s | ", r->name, types[r->type], tick,
                !r->fallback   ? "required"
                : *r->fallback ? r->fallback
                               : "empty",
                tick, (long long)r->min, (long long)r->max, r->type == SETTING_TEXT ? " bytes" : "",
                r->secret ? "yes" : "no");
        print_roles(out, r->roles);
        fprintf(out, " | %s |\n", r->help);
    }
}

void settings_print_values(FILE *out)
{
    for (int key = 0; key < SETTING_N; key++) {
        if (!values[key].loaded)
            continue;
        if (rows[key].secret)
            fprintf(out, "%s=(%s)\n", rows[key].name, *values[key].text ? "set" : "not set");
        else
            fprintf(out, "%s=%s\n", rows[key].name, values[key].text);
    }
}
