/* SPDX-License-Identifier: MIT */
/*
 * Settings: the first byte picks one, the rest is its value. Taken, it is within its bounds;
 * refused, the reason is one line which names it, and has the value of no secret.
 */
#include "lib/base/id.h"
#include "lib/base/settings.h"
#include "lib/base/span.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { VALUE_MAX = 4096 };

static const char MARK[] = "\1mark\2"; /* before the value of a secret: stands in no message */

static const struct {
    const char *name;
    enum setting_type type;
    int64_t min, max;
    bool secret, required;
} rows[] = {
#define X(name, type, fallback, min, max, secret, roles, help) \
    { #name, SETTING_##type, min, max, secret, fallback == NULL },
    SETTINGS(X)
#undef X
};

/* What has no default, so that the one setting decides. */
static void set_required(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].required)
            setenv(rows[i].name,
                   rows[i].type == SETTING_DATABASE ? "host=127.0.0.1 dbname=chasqui"
                                                    : "0123456789abcdef0123456789abcdef",
                   1);
}

static void check_taken(size_t which, const char *value)
{
    if (rows[which].type != SETTING_INT && rows[which].type != SETTING_BOOL &&
        rows[which].type != SETTING_PARTS) {
        MUST((int64_t)strlen(value) >= rows[which].min &&
             (int64_t)strlen(value) <= rows[which].max);
        MUST(strcmp(setting_text((enum setting_key)which), value) == 0);
    } else {
        int64_t v = setting_int((enum setting_key)which);

        MUST(rows[which].type == SETTING_BOOL || (v >= rows[which].min && v <= rows[which].max));
        MUST(rows[which].type != SETTING_PARTS || CQ_PARTS % v == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool begun;
    char value[VALUE_MAX + sizeof MARK], *said = NULL;
    size_t which, said_n = 0;
    FILE *err;

    if (!begun)
        set_required();
    begun = true;
    if (n == 0 || n > VALUE_MAX)
        return 0;
    which = data[0] % ARRAY_LEN(rows);
    snprintf(value, sizeof value, "%s%.*s", rows[which].secret ? MARK : "", (int)(n - 1),
             (const char *)data + 1);
    setenv(rows[which].name, value, 1);
    MUST((err = open_memstream(&said, &said_n)));
    if (settings_load(ROLE_ALL, err) == CQ_OK)
        check_taken(which, value);
    fclose(err);
    if (said_n) {
        MUST(strstr(said, rows[which].name) && strchr(said, '\n') == said + said_n - 1);
        MUST(!strstr(said, MARK));
    }
    free(said);
    if (rows[which].required)
        set_required();
    else
        unsetenv(rows[which].name);
    return 0;
}
