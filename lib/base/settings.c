/* SPDX-License-Identifier: MIT */
#include "lib/base/settings.h"

#include "lib/base/id.h"
#include "lib/base/settings_forms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 63, NEAR_MOST = 2, NEAR_SHORT = 8 };

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
    return *text && !*end && !errno && *ret >= r->min && *ret <= r->max &&
           (r->type != SETTING_PARTS || CQ_PARTS % *ret == 0);
}

static bool is_number(const struct setting_row *r)
{
    return r->type == SETTING_INT || r->type == SETTING_BOOL || r->type == SETTING_PARTS;
}

static const char *number_words(enum setting_type type)
{
    if (type == SETTING_BOOL)
        return "0, 1, true or false;";
    return type == SETTING_PARTS ? "a number that divides 1024 (1, 2, 4, 8, 16, …),"
                                 : "a whole number,";
}

static bool check_text(const struct setting_row *r, const char *text, FILE *err)
{
    size_t n = strlen(text);
    const char *form;

    if ((int64_t)n < r->min || (int64_t)n > r->max) {
        fprintf(err, "chasqui: setting %s has %zu bytes, must have %lld to %lld: %s\n", r->name, n,
                (long long)r->min, (long long)r->max, r->help);
        return false;
    }
    form = n ? setting_form(r->type, text) : NULL;
    if (form)
        fprintf(err, "chasqui: setting %s must be %s: %s\n", r->name, form, r->help);
    return !form;
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
    if (!is_number(r)) {
        if (!check_text(r, text, err))
            return false;
    } else if (!parse_number(r, text, &values[key].number)) {
        fprintf(err, "chasqui: setting %s must be %s %lld to %lld: %s\n", r->name,
                number_words(r->type), (long long)r->min, (long long)r->max, r->help);
        return false;
    }
    values[key].text = text;
    values[key].loaded = true;
    return true;
}

static bool is_empty(enum setting_key key)
{
    return values[key].loaded && !*values[key].text;
}

/* Those that make sense together only. */
static bool check_together(FILE *err)
{
    bool good = true;

    if (values[SET_CODE_DRIVER].loaded && strcmp(values[SET_CODE_DRIVER].text, "webhook") == 0 &&
        is_empty(SET_CODE_WEBHOOK_URL)) {
        fputs("chasqui: setting CODE_WEBHOOK_URL is empty, CODE_DRIVER=webhook needs it\n", err);
        good = false;
    }
    if (values[SET_MEDIA_STORE].loaded && strncmp(values[SET_MEDIA_STORE].text, "s3:", 3) == 0 &&
        (is_empty(SET_S3_ACCESS_KEY) || is_empty(SET_S3_SECRET_KEY))) {
        fputs(
            "chasqui: settings S3_ACCESS_KEY and S3_SECRET_KEY must be set for MEDIA_STORE=s3:…\n",
            err);
        good = false;
    }
    return good;
}

enum cq_status settings_load(uint32_t roles, FILE *err)
{
    bool good = true;

    for (int key = 0; key < SETTING_N; key++)
        if (rows[key].roles & roles)
            good = load_one(key, err) && good;
    return good && check_together(err) ? CQ_OK : CQ_FATAL;
}

/* The setting that `name` nearly is, or NULL: none, or it is one. Short names are near to many. */
static const char *nearest(const char *name)
{
    const char *found = NULL;
    int best = NEAR_MOST + 1;

    for (int key = 0; key < SETTING_N; key++) {
        int most = strlen(rows[key].name) < NEAR_SHORT ? 1 : NEAR_MOST;
        int far = setting_name_distance(name, rows[key].name, most);

        if (!far)
            return NULL;
        if (far <= most && far < best) {
            best = far;
            found = rows[key].name;
        }
    }
    return found;
}

int settings_misspelt(void (*fn)(void *arg, const char *name, const char *ours), void *arg)
{
    int n = 0;

    for (char **at = environ; at && *at; at++) {
        char name[NAME_MAX_BYTES + 1];
        size_t k = strcspn(*at, "=");
        const char *ours;

        if (!k || k > NAME_MAX_BYTES)
            continue;
        memcpy(name, *at, k);
        name[k] = '\0';
        ours = nearest(name);
        if (ours) {
            fn(arg, name, ours);
            n++;
        }
    }
    return n;
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
    static const char *const names[] = {
#define X(name, function, word, ...) [ROLE_ROW_##name] = word,
        ROLES(X)
#undef X
            [ROLE_ROW_ADMIN] = "admin",
    };
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
    fputs(
        "# Settings\n\nAll settings are environment variables. This page is printed by `chasqui "
        "check-config --markdown`.\n\n| name | type | default | bounds | secret | roles | what |\n"
        "|---|---|---|---|---|---|---|\n",
        out);
    for (int key = 0; key < SETTING_N; key++) {
        const struct setting_row *r = &rows[key];
        const char *tick = r->fallback && *r->fallback ? "`" : "";

        fprintf(out, "| `%s` | %s | %s%s%s | %lld to %lld%s | %s | ", r->name,
                setting_type_name(r->type), tick,
                !r->fallback   ? "required"
                : *r->fallback ? r->fallback
                               : "empty",
                tick, (long long)r->min, (long long)r->max, is_number(r) ? "" : " bytes",
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
