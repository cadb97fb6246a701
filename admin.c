/* SPDX-License-Identifier: MIT */
#include "admin.h"
#include "security.h"

#include "admin_cut.h"
#include "edge/auth/doors.h"
#include "edge/rest/role.h"
#include "edge/ws/role.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/bus.h"
#include "lib/pg/pg.h"
#include "processors/chat/rules.h"
#include "processors/user/rules.h"
#include "schemas/codec.h"
#include "schemas/topics.h"
#include "sinks/mobile/role.h"
#include "sinks/persistence/migrate.h"
#include "sinks/persistence/rebuild.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 64, DRIFT_ROLE_MS = 3000, DRIFT_ADMIN_MS = 15000 };

struct topic_list {
    struct topic_wanted spec[TOPICS_MAX];
    struct bus_topic_wanted wanted[TOPICS_MAX]; /* points into spec */
    size_t n;
};

static void list_topics(struct topic_list *l, int32_t replication)
{
    int32_t partitions = (int32_t)setting_int(SET_PARTITIONS);
    int32_t slots = (int32_t)setting_int(SET_SLOTS);

    for (l->n = 0; l->n < TOPICS_MAX && topic_wanted(l->n, partitions, slots, &l->spec[l->n]);
         l->n++)
        l->wanted[l->n] = (struct bus_topic_wanted){ l->spec[l->n].name, l->spec[l->n].partitions,
                                                     replication, l->spec[l->n].config };
}

enum cq_status admin_topics_check(char *reterr, size_t reterr_n)
{
    static struct topic_list list;

    list_topics(&list, 1);
    return bus_topics_check(setting_text(SET_KAFKA_BROKER), list.wanted, list.n, reterr, reterr_n);
}

enum cq_status admin_topics_drift(bus_drift_fn *fn, char *reterr, size_t reterr_n)
{
    static struct topic_list list;
    size_t drifted;

    list_topics(&list, 1);
    return bus_topics_drift(setting_text(SET_KAFKA_BROKER), list.wanted, list.n, DRIFT_ROLE_MS, fn,
                            NULL, &drifted, reterr, reterr_n);
}

static void print_drift(void *arg, const char *topic, const char *name, const char *wanted,
                        const char *found)
{
    (void)arg;
    fprintf(stderr, "chasqui: topic %s: %s is %s, must be %s\n", topic, name, found, wanted);
    if (strcmp(name, "replicas") != 0)
        fprintf(stderr,
                "chasqui:   kafka-configs.sh --alter --entity-type topics --entity-name %s "
                "--add-config %s=%s\n",
                topic, name, wanted);
}

static int run_topics(int argc, char **argv)
{
    static struct topic_list list;
    size_t drifted = 0;
    char why[512] = "";

    (void)argc;
    (void)argv;
    list_topics(&list, (int32_t)setting_int(SET_REPLICATION));
    if (bus_topics_ensure(setting_text(SET_KAFKA_BROKER), list.wanted, list.n, why, sizeof why) !=
        CQ_OK) {
        fprintf(stderr, "chasqui: %s\n", why);
        return 1;
    }
    if (bus_topics_drift(setting_text(SET_KAFKA_BROKER), list.wanted, list.n, DRIFT_ADMIN_MS,
                         print_drift, NULL, &drifted, why, sizeof why) != CQ_OK) {
        fprintf(stderr, "chasqui: %s\n", why);
        return 1;
    }
    if (drifted) {
        fprintf(stderr,
                "chasqui: %zu topics are there, %zu of their settings are not as they must be\n",
                list.n, drifted);
        return 1;
    }
    printf("%zu topics are there\n", list.n);
    return 0;
}

static int with_database(enum cq_status (*fn)(struct pg *c, FILE *out))
{
    cq_auto(pg) struct pg *c = pg_new(setting_text(SET_DATABASE_URL), "chasqui-admin");
    enum cq_status st = pg_ready(c, NULL);

    if (st == CQ_OK)
        st = fn(c, stdout);
    if (st != CQ_OK)
        fprintf(stderr, "chasqui: %s\n", pg_error(c));
    return st == CQ_OK ? 0 : 1;
}

static enum cq_status close_doors(struct pg *c, FILE *out)
{
    (void)out;
    return doors_close(c);
}

static enum cq_status open_doors(struct pg *c, FILE *out)
{
    (void)out;
    return doors_open(c);
}

static int run_migrate(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return with_database(migrate_up);
}

static int run_doors(int argc, char **argv)
{
    const char *what = argc ? argv[0] : "";

    if (strcmp(what, "close") == 0)
        return with_database(close_doors);
    if (strcmp(what, "open") == 0)
        return with_database(open_doors);
    fputs("chasqui: admin doors close | open\n", stderr);
    return 2;
}

static int run_rebuild(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return with_database(rebuild_view);
}

/* What the documentation is made of. */
static int run_print(int argc, char **argv)
{
    const char *what = argc ? argv[0] : "";

    if (strcmp(what, "topics") == 0)
        topics_print_markdown(stdout);
    else if (strcmp(what, "chat-rules") == 0)
        chat_rules_print(stdout);
    else if (strcmp(what, "user-rules") == 0)
        user_rules_print(stdout);
    else if (strcmp(what, "routes") == 0)
        edge_rest_routes_print(stdout);
    else if (strcmp(what, "frames") == 0)
        edge_ws_frames_print(stdout);
    else
        return 2;
    return 0;
}

/* push-test --user ID [--send] */
static int run_push_test(int argc, char **argv)
{
    struct cq_id user;
    bool named = false, send = false, good = true;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--send") == 0)
            send = true;
        else if (strcmp(argv[i], "--user") == 0 && i + 1 < argc)
            good = named = id_parse(span_str(argv[++i]), &user);
        else
            good = false;
    }
    if (!good || !named) {
        fputs("chasqui: admin push-test --user ID [--send]\n", stderr);
        return 2;
    }
    return mobile_push_test(user, send, stdout);
}

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    uint32_t needs; /* roles whose settings it reads */
    const char *help;
} verbs[] = {
    { "topics", run_topics, ROLE_ADMIN,
      "create the topics that are missing, check those that are there and their settings" },
    { "migrate", run_migrate, ROLE_ADMIN, "bring the database to this version's schemas" },
    { "rebuild", run_rebuild, ROLE_ADMIN,
      "drop the view; the sinks replay it from the log, and it is not read meanwhile" },
    { "doors", run_doors, ROLE_ADMIN,
      "close | open: no log-ins while accounts are restored, and nobody is logged out" },
    { "log-was-cut", admin_log_was_cut, ROLE_ADMIN,
      "[--yes]: go on with a log that lost its tail, as by a loss of power (stop every role "
      "first)" },
    { "push-test", run_push_test, ROLE_ADMIN,
      "--user ID [--send]: test the push addresses of this user's devices" },
    { "print", run_print, 0,
      "print topics | chat-rules | user-rules | routes | frames for documentation and tests" },
};

void admin_usage(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(out, "  admin %-11s %s\n", verbs[i].name, verbs[i].help);
}

int admin_run(int argc, char **argv)
{
    for (size_t i = 0; argc && i < ARRAY_LEN(verbs); i++) {
        if (strcmp(argv[0], verbs[i].name) != 0)
            continue;
        if (verbs[i].needs &&
            (settings_load(verbs[i].needs, stderr) != CQ_OK || security_load(stderr) != CQ_OK))
            return 2;
        log_init("admin", LOG_WARN);
        return verbs[i].run(argc - 1, argv + 1);
    }
    admin_usage(stderr);
    return 2;
}
