/* SPDX-License-Identifier: MIT */
#include "security.h"

#include "security_token.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/security.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum { PASSWORD_MAX = 1024, SAY_EVERY_MS = 10000 };

static bool given(enum setting_key key)
{
    return *setting_text(key) != '\0';
}

/* Brokers are asked again all the time; log only once in a while. */
static void say_refused(const char *settings, const char *why)
{
    static _Atomic int64_t said_ms;
    int64_t now = clock_mono_ms(), last = atomic_load(&said_ms);

    if ((last && now - last < SAY_EVERY_MS) ||
        !atomic_compare_exchange_strong(&said_ms, &last, now))
        return;
    log_warn("kafka_refused", LOG_S("look_at", settings), LOG_S("why", why));
}

/* A setting without effect is a mistake: whoever set it believes that it protects. */
static bool wants(bool so, enum setting_key key, const char *name, const char *what, FILE *err)
{
    if (so || !given(key))
        return true;
    fprintf(err, "chasqui: setting %s has no effect: %s\n", name, what);
    return false;
}

static bool readable(enum setting_key key, const char *name, FILE *err)
{
    FILE *f;

    if (!given(key))
        return true;
    f = fopen(setting_text(key), "re");
    if (!f) {
        fprintf(err, "chasqui: setting %s: %s: %s\n", name, setting_text(key), strerror(errno));
        return false;
    }
    fclose(f);
    return true;
}

static bool judge_tls(FILE *err)
{
    static const char tls_is_off[] = "KAFKA_TLS is 0";
    bool tls = setting_bool(SET_KAFKA_TLS), good = true;

    good = wants(tls, SET_KAFKA_CA_FILE, "KAFKA_CA_FILE", tls_is_off, err) && good;
    good = wants(tls, SET_KAFKA_CERT_FILE, "KAFKA_CERT_FILE", tls_is_off, err) && good;
    good = wants(tls, SET_KAFKA_KEY_FILE, "KAFKA_KEY_FILE", tls_is_off, err) && good;
    good = wants(given(SET_KAFKA_KEY_FILE), SET_KAFKA_KEY_PASSWORD, "KAFKA_KEY_PASSWORD",
                 "KAFKA_KEY_FILE is empty", err) &&
           good;
    if (given(SET_KAFKA_CERT_FILE) != given(SET_KAFKA_KEY_FILE)) {
        fputs("chasqui: settings KAFKA_CERT_FILE and KAFKA_KEY_FILE go together: set both\n", err);
        good = false;
    }
    good = readable(SET_KAFKA_CA_FILE, "KAFKA_CA_FILE", err) && good;
    good = readable(SET_KAFKA_CERT_FILE, "KAFKA_CERT_FILE", err) && good;
    good = readable(SET_KAFKA_KEY_FILE, "KAFKA_KEY_FILE", err) && good;
    return good;
}

static bool sasl_parse(enum bus_sasl *ret, FILE *err)
{
    static const char *const names[] = {
        [BUS_SASL_NONE] = "none", [BUS_SASL_PLAIN] = "plain", [BUS_SASL_OAUTHBEARER] = "oauthbearer"
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(setting_text(SET_KAFKA_SASL), names[i]) == 0) {
            *ret = (enum bus_sasl)i;
            return true;
        }
    fputs("chasqui: setting KAFKA_SASL must be none, plain or oauthbearer\n", err);
    return false;
}

/* The password from its setting or its file; NULL with a line on `err`. */
static const char *read_password(FILE *err)
{
    static char text[PASSWORD_MAX + 3]; /* and a line end of two bytes, and a NUL */
    const char *name = setting_text(SET_KAFKA_PASSWORD_FILE);
    FILE *f;
    size_t n;

    if (!*name)
        return setting_text(SET_KAFKA_PASSWORD);
    f = fopen(name, "re");
    if (!f) {
        fprintf(err, "chasqui: setting KAFKA_PASSWORD_FILE: %s: %s\n", name, strerror(errno));
        return NULL;
    }
    n = fread(text, 1, sizeof text - 1, f);
    if (ferror(f) || fgetc(f) != EOF)
        n = sizeof text;
    fclose(f);
    if (n < sizeof text && n && text[n - 1] == '\n')
        n -= n > 1 && text[n - 2] == '\r' ? 2 : 1;
    if (!n || n > PASSWORD_MAX || memchr(text, '\0', n) || memchr(text, '\n', n)) {
        fprintf(err,
                "chasqui: setting KAFKA_PASSWORD_FILE: %s must hold one line of 1 to %d bytes\n",
                name, PASSWORD_MAX);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

static bool judge_login(enum bus_sasl sasl, FILE *err)
{
    static const char no_login[] = "KAFKA_SASL is none",
                      no_token[] = "KAFKA_SASL is not oauthbearer";
    bool on = sasl != BUS_SASL_NONE, token = sasl == BUS_SASL_OAUTHBEARER, good = true;

    good = wants(on, SET_KAFKA_USER, "KAFKA_USER", no_login, err) && good;
    good = wants(on, SET_KAFKA_PASSWORD, "KAFKA_PASSWORD", no_login, err) && good;
    good = wants(on, SET_KAFKA_PASSWORD_FILE, "KAFKA_PASSWORD_FILE", no_login, err) && good;
    good = wants(token, SET_KAFKA_TOKEN_URL, "KAFKA_TOKEN_URL", no_token, err) && good;
    good = wants(token, SET_KAFKA_TOKEN_SCOPE, "KAFKA_TOKEN_SCOPE", no_token, err) && good;
    good = wants(token, SET_KAFKA_TOKEN_CA_FILE, "KAFKA_TOKEN_CA_FILE", no_token, err) && good;
    if (!on)
        return good;
    if (!setting_bool(SET_KAFKA_TLS) && !setting_bool(SET_KAFKA_LOGIN_IN_CLEAR)) {
        fputs("chasqui: setting KAFKA_SASL sends a password, and KAFKA_TLS is 0: set KAFKA_TLS=1, "
              "or KAFKA_LOGIN_IN_CLEAR=1 where nobody else can read the network\n",
              err);
        good = false;
    }
    if (!given(SET_KAFKA_USER)) {
        fputs("chasqui: setting KAFKA_USER is missing: KAFKA_SASL wants it\n", err);
        good = false;
    }
    if (given(SET_KAFKA_PASSWORD) == given(SET_KAFKA_PASSWORD_FILE)) {
        fputs("chasqui: set one of KAFKA_PASSWORD and KAFKA_PASSWORD_FILE: KAFKA_SASL wants it\n",
              err);
        good = false;
    }
    return good;
}

static bool judge_token(FILE *err)
{
    const char *url = setting_text(SET_KAFKA_TOKEN_URL);
    bool clear = strncmp(url, "http://", 7) == 0;

    if (strncmp(url, "https://", 8) != 0 && !(clear && setting_bool(SET_KAFKA_LOGIN_IN_CLEAR))) {
        fputs("chasqui: setting KAFKA_TOKEN_URL must be an https address (http with "
              "KAFKA_LOGIN_IN_CLEAR=1)\n",
              err);
        return false;
    }
    return readable(SET_KAFKA_TOKEN_CA_FILE, "KAFKA_TOKEN_CA_FILE", err);
}

enum cq_status security_load(FILE *err)
{
    struct bus_security how = { .tls = setting_bool(SET_KAFKA_TLS),
                                .ca_file = setting_text(SET_KAFKA_CA_FILE),
                                .cert_file = setting_text(SET_KAFKA_CERT_FILE),
                                .key_file = setting_text(SET_KAFKA_KEY_FILE),
                                .key_password = setting_text(SET_KAFKA_KEY_PASSWORD),
                                .user = setting_text(SET_KAFKA_USER),
                                .token = token_service_get,
                                .refused = say_refused };
    bool good = judge_tls(err);
    char why[512];

    if (!sasl_parse(&how.sasl, err))
        return CQ_FATAL;
    good = judge_login(how.sasl, err) && good;
    if (how.sasl == BUS_SASL_OAUTHBEARER)
        good = judge_token(err) && good;
    if (!good)
        return CQ_FATAL;
    if (how.sasl != BUS_SASL_NONE && !(how.password = read_password(err)))
        return CQ_FATAL;
    token_service_use(&(struct token_service){ .url = setting_text(SET_KAFKA_TOKEN_URL),
                                               .scope = setting_text(SET_KAFKA_TOKEN_SCOPE),
                                               .ca_file = setting_text(SET_KAFKA_TOKEN_CA_FILE),
                                               .client_id = how.user,
                                               .client_secret = how.password });
    if (bus_security_use(&how, why, sizeof why) != CQ_OK) {
        fprintf(err, "chasqui: %s\n", why);
        return CQ_FATAL;
    }
    return CQ_OK;
}
