/* SPDX-License-Identifier: MIT */
#include "lib/base/settings.h"

#include "lib/base/durability.h"
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

static bool parse_number(const struct setting_row *row, const char *text, int64_t *ret)
{
    char *end;

    if (row->type == SETTING_BOOL) {
        *ret = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
        return *ret || strcmp(text, "0") == 0 || strcmp(text, "false") == 0;
    }
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && !errno && *ret >= row->min && *ret <= row->max &&
           (row->type != SETTING_PARTS || CQ_PARTS % *ret == 0);
}

static bool is_number(const struct setting_row *row)
{
    return row->type == SETTING_INT || row->type == SETTING_BOOL || row->type == SETTING_PARTS;
}

static const char *number_words(enum setting_type type)
{
    if (type == SETTING_BOOL)
        return "0, 1, true or false;";
    return type == SETTING_PARTS ? "a number that divides 1024 (1, 2, 4, 8, 16, …),"
                                 : "a whole number,";
}

static bool check_text(const struct setting_row *row, const char *text, FILE *err)
{
    size_t n = strlen(text);
    const char *form;

    if ((int64_t)n < row->min || (int64_t)n > row->max) {
        fprintf(err, "chasqui: setting %s has %zu bytes, must have %lld to %lld: %s\n", row->name,
                n, (long long)row->min, (long long)row->max, row->help);
        return false;
    }
    form = n ? setting_form(row->type, text) : NULL;
    if (form)
        fprintf(err, "chasqui: setting %s must be %s: %s\n", row->name, form, row->help);
    return !form;
}

/* Says on `err` what is wrong with the setting, in one line. The value of a secret is not in it. */
static bool load_one(int key, FILE *err)
{
    const struct setting_row *row = &rows[key];
    const char *text = getenv(row->name);

    if (!text)
        text = row->fallback;
    if (!text) {
        fprintf(err, "chasqui: setting %s is missing: %s\n", row->name, row->help);
        return false;
    }
    if (!is_number(row)) {
        if (!check_text(row, text, err))
            return false;
    } else if (!parse_number(row, text, &values[key].number)) {
        fprintf(err, "chasqui: setting %s must be %s %lld to %lld: %s\n", row->name,
                number_words(row->type), (long long)row->min, (long long)row->max, row->help);
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

/* Settings that make sense only together. */
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
    if (values[SET_REPLICATION].loaded &&
        durability_parse(values[SET_DURABILITY].text) == DURABILITY_REPLICATED &&
        setting_int(SET_REPLICATION) < DURABLE_REPLICAS) {
        fprintf(err,
                "chasqui: setting REPLICATION must be at least %d for DURABILITY=replicated: an "
                "acknowledged message is on two machines while one of three is away\n",
                DURABLE_REPLICAS);
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

/* The setting that `name` nearly is; NULL when it is near to none, or is one itself. Short names
 * are near to too many. */
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
        size_t name_n = strcspn(*at, "=");
        const char *ours;

        if (!name_n || name_n > NAME_MAX_BYTES)
            continue;
        memcpy(name, *at, name_n);
        name[name_n] = '\0';
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
        const struct setting_row *row = &rows[key];
        const char *tick = row->fallback && *row->fallback ? "`" : "";

        fprintf(out, "| `%s` | %s | %s%s%s | %lld to %lld%s | %s | ", row->name,
                setting_type_name(row->type), tick,
                !row->fallback   ? "required"
                : *row->fallback ? row->fallback
                                 : "empty",
                tick, (long long)row->min, (long long)row->max, is_number(row) ? "" : " bytes",
                row->secret ? "yes" : "no");
        print_roles(out, row->roles);
        fprintf(out, " | %s |\n", row->help);
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
