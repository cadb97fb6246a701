/* SPDX-License-Identifier: MIT */
/*
 * chasqui.c - the one main. A deployment is one image and a role is a word.
 */
#include "admin.h"
#include "security.h"

#include "lib/base/clock.h"
#include "lib/base/export.h"
#include "lib/base/log.h"
#include "lib/base/roles.h"
#include "lib/base/settings.h"
#include "lib/bus/bus.h"
#include "lib/bus/versions.h"
#include "lib/jwt/token.h"
#include "lib/pg/pg.h"
#include "schemas/codec.h"
#include "schemas/topics.h"
#include "sinks/mobile/role.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static volatile int stop;

static const struct role {
    const char *name;
    uint32_t bit;
    int (*run)(const volatile int *stop);
    const char *help;
} roles[] = {
#define X(name, function, word, help, ...) { word, ROLE_##name, function##_role_run, help },
    ROLES(X)
#undef X
};

static void usage(FILE *out)
{
    fputs("usage: chasqui ROLE\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        fprintf(out, "  %-12s %s\n", roles[i].name, roles[i].help);
    fputs("\n", out);
    admin_usage(out);
    fputs(
        "  check-config [--markdown]   the settings as this environment has them, or their table\n"
        "  --version\n",
        out);
}

static void on_signal(int sig)
{
    (void)sig;
    if (stop)
        _exit(1); /* asked twice: now */
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction end = { .sa_handler = on_signal };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* Sockets are counted by the soft limit; take all that the machine allows. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* A role waits for its broker, and refuses to run on topics of another shape, or before others can
 * know what it writes. */
static enum cq_status await_topics(void)
{
    char why[512] = "";
    enum cq_status st;
    int attempt = 0;

    while ((st = admin_topics_check(why, sizeof why)) == CQ_AGAIN && !stop) {
        log_warn("waiting_for_kafka", LOG_S("why", why));
        clock_sleep_ms(backoff_ms(attempt++, 100, 2000));
    }
    if (st == CQ_FATAL)
        log_error("topics_wrong", LOG_S("why", why));
    return stop ? CQ_AGAIN : st;
}

static void tell_drift(void *arg, const char *topic, const char *name, const char *wanted,
                       const char *found)
{
    (void)arg;
    log_warn("topic_drift", LOG_S("topic", topic), LOG_S("setting", name), LOG_S("wanted", wanted),
             LOG_S("found", found));
}

/* A topic whose settings were changed loses what it should keep, with every role in good health.
 * That is no reason to refuse to run: without this role more would be lost. */
static void look_at_topics(void)
{
    char why[256] = "";

    if (admin_topics_drift(tell_drift, why, sizeof why) != CQ_OK)
        log_warn("topic_settings_unknown", LOG_S("why", why));
}

static bool open_private_door(const struct role *role)
{
    const char *listen = setting_text(SET_METRICS_LISTEN);
    char why[128] = "";

    if (!*listen || export_start(listen, role->bit, role->name, why, sizeof why) == CQ_OK)
        return true;
    log_error("cannot_start", LOG_S("part", "METRICS_LISTEN"), LOG_S("listen", listen),
              LOG_S("why", why));
    return false;
}

struct watches {
    struct bus_watch *bus;
    struct pg_watch *pg;
};

/* Kafka and PostgreSQL are watched by threads of their own, whatever the role's loop waits for. A
 * server that cannot be watched counts as away. */
static void start_watches(struct watches *watches)
{
    if (bus_watch_start(setting_text(SET_KAFKA_BROKER), &watches->bus) != CQ_OK)
        log_warn("not_watched", LOG_S("server", "Kafka"));
    if (setting_is_declared(SET_DATABASE_URL) &&
        pg_watch_start(setting_text(SET_DATABASE_URL), &watches->pg) != CQ_OK)
        log_warn("not_watched", LOG_S("server", "PostgreSQL"));
}

static bool can_read(uint32_t id)
{
    return codec_writer_schema(id) != NULL;
}

static int run_watched(const struct role *role)
{
    int code;

    switch (await_topics()) {
    case CQ_OK:
        look_at_topics();
        versions_start(setting_text(SET_KAFKA_BROKER), TOPIC_SCHEMAS, can_read);
        code = role->run(&stop);
        versions_stop();
        log_info("stopped", LOG_I("code", code));
        return code;
    case CQ_AGAIN:
        return 0; /* told to stop while waiting */
    case CQ_POISON:
    case CQ_FATAL:
        break;
    }
    return 1;
}

static void log_misspelt(void *arg, const char *name, const char *ours)
{
    (void)arg;
    log_warn("setting_unknown", LOG_S("name", name), LOG_S("meant", ours));
}

static int run_role(const struct role *role)
{
    struct watches watches = { 0 };
    int code;

    if (settings_load(role->bit, stderr) != CQ_OK || security_load(stderr) != CQ_OK)
        return 2;
    log_init(role->name, log_level_parse(setting_text(SET_LOG_LEVEL)));
    catch_signals();
    raise_file_limit();
    settings_misspelt(log_misspelt, NULL);
    log_info("starting", LOG_S("version", CHASQUI_VERSION), LOG_I("pid", getpid()));
    if (!open_private_door(role))
        return 1;
    start_watches(&watches);
    code = run_watched(role);
    pg_watch_stop(watches.pg);
    bus_watch_stop(watches.bus);
    return code;
}

static void print_misspelt(void *arg, const char *name, const char *ours)
{
    (void)arg;
    fprintf(stderr, "chasqui: unknown setting %s: did you mean %s?\n", name, ours);
}

/* Check what a role would find out only when it uses it. */
static bool check_token_key(void)
{
    struct token_keys *keys = NULL;
    enum cq_status st = token_keys_new(setting_text(SET_JWT_SECRET), &keys);

    if (st != CQ_OK)
        fprintf(stderr,
                "chasqui: setting JWT_SECRET must be one secret, or a list of name:secret, each "
                "secret of at least %d bytes\n",
                TOKEN_SECRET_MIN);
    token_keys_free(keys);
    return st == CQ_OK;
}

static int check_config(bool markdown)
{
    bool good;

    if (markdown) {
        settings_print_markdown(stdout);
        return 0;
    }
    good = settings_load(ROLE_ALL, stderr) == CQ_OK;
    good = !settings_misspelt(print_misspelt, NULL) && good;
    if (!good || security_load(stderr) != CQ_OK || !check_token_key() ||
        mobile_check_webpush(stderr) != CQ_OK)
        return 2;
    settings_print_values(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (strcmp(word, "--version") == 0) {
        printf("chasqui %s\n", CHASQUI_VERSION);
        return 0;
    }
    if (strcmp(word, "check-config") == 0)
        return check_config(argc > 2 && strcmp(argv[2], "--markdown") == 0);
    if (strcmp(word, "admin") == 0)
        return admin_run(argc - 2, argv + 2);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (strcmp(word, roles[i].name) == 0)
            return run_role(&roles[i]);
    usage(strcmp(word, "--help") == 0 ? stdout : stderr);
    return strcmp(word, "--help") == 0 ? 0 : 2;
}
