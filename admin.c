/* SPDX-License-Identifier: MIT */
#include "admin.h"
#include "security.h"

#include "admin_cut.h"
#include "edge/auth/doors.h"
#include "edge/rest/role.h"
#include "edge/ws/role.h"
#include "lib/base/durability.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/bus.h"
#include "lib/bus/versions.h"
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

enum {
    VERSIONS_MOST = 2 * CODEC_HISTORY_MAX,
    TOPICS_MAX = 64,
    DRIFT_ROLE_MS = 3000,
    DRIFT_ADMIN_MS = 15000
};

struct topic_list {
    struct topic_wanted spec[TOPICS_MAX];
    struct bus_topic_wanted wanted[TOPICS_MAX]; /* points into spec */
    size_t n;
};

static void list_topics(struct topic_list *list, int32_t replication)
{
    int32_t partitions = (int32_t)setting_int(SET_PARTITIONS);
    int32_t slots = (int32_t)setting_int(SET_SLOTS);
    bool synced = durability_parse(setting_text(SET_DURABILITY)) == DURABILITY_SYNCED;

    for (list->n = 0; list->n < TOPICS_MAX &&
                      topic_wanted(list->n, partitions, slots, synced, &list->spec[list->n]);
         list->n++)
        list->wanted[list->n] =
            (struct bus_topic_wanted){ list->spec[list->n].name, list->spec[list->n].partitions,
                                       replication, list->spec[list->n].config };
}

/* Those that this build writes: what is read as well was announced by whoever wrote it. */
static enum cq_status check_versions(char *reterr, size_t reterr_n)
{
    struct version versions[VERSIONS_MOST];
    size_t n = 0;

    for (; codec_records[n] && n < ARRAY_LEN(versions); n++)
        versions[n] = (struct version){ codec_schema_id(codec_records[n]),
                                        codec_schema_json(codec_records[n]) };
    return versions_check(setting_text(SET_KAFKA_BROKER), TOPIC_SCHEMAS, versions, n, reterr,
                          reterr_n);
}

enum cq_status admin_topics_check(char *reterr, size_t reterr_n)
{
    static struct topic_list list;
    enum cq_status st;

    list_topics(&list, 1);
    st = bus_topics_check(setting_text(SET_KAFKA_BROKER), list.wanted, list.n, reterr, reterr_n);
    return st == CQ_OK ? check_versions(reterr, reterr_n) : st;
}

static enum cq_status announce_versions(char *reterr, size_t reterr_n)
{
    struct version versions[VERSIONS_MOST];
    size_t n = 0;

    while (n < ARRAY_LEN(versions) && (versions[n].schema = codec_version(n, &versions[n].id)))
        n++;
    return versions_announce(setting_text(SET_KAFKA_BROKER), TOPIC_SCHEMAS, versions, n, reterr,
                             reterr_n);
}

enum cq_status admin_topics_drift(bus_drift_fn *fn, char *reterr, size_t reterr_n)
{
    static struct topic_list list;
    size_t drifted;

    /* a role knows REPLICATION only by what it is for */
    list_topics(&list, durability_parse(setting_text(SET_DURABILITY)) == DURABILITY_REPLICATED
                           ? DURABLE_REPLICAS
                           : 1);
    return bus_topics_drift(setting_text(SET_KAFKA_BROKER), list.wanted, list.n, DRIFT_ROLE_MS, fn,
                            NULL, &drifted, reterr, reterr_n);
}

/* How much of what has drifted is corrected. */
struct drifted {
    size_t n, corrected;
};

/* DURABILITY may be raised at any time; that is the one setting which is ours to change. */
static bool correct(const char *topic, const char *name, const char *wanted)
{
    char why[256] = "";

    if (strcmp(name, "flush.messages") != 0)
        return false;
    if (bus_topic_set(setting_text(SET_KAFKA_BROKER), topic, name, wanted, why, sizeof why) !=
        CQ_OK) {
        fprintf(stderr, "chasqui: topic %s: %s\n", topic, why);
        return false;
    }
    printf("topic %s: each record is synced from now on (%s=%s)\n", topic, name, wanted);
    return true;
}

static void print_drift(void *arg, const char *topic, const char *name, const char *wanted,
                        const char *found)
{
    struct drifted *drifted = arg;

    if (correct(topic, name, wanted)) {
        drifted->corrected++;
        return;
    }
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
    struct drifted drifted = { 0 };
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
                         print_drift, &drifted, &drifted.n, why, sizeof why) != CQ_OK) {
        fprintf(stderr, "chasqui: %s\n", why);
        return 1;
    }
    if (drifted.n > drifted.corrected) {
        fprintf(stderr,
                "chasqui: %zu topics are there, %zu of their settings are not as they must be\n",
                list.n, drifted.n - drifted.corrected);
        return 1;
    }
    if (announce_versions(why, sizeof why) != CQ_OK) {
        fprintf(stderr, "chasqui: %s\n", why);
        return 1;
    }
    printf("%zu topics are there\n", list.n);
    return 0;
}

static int with_database(enum cq_status (*fn)(struct pg *db, FILE *out))
{
    cq_auto(pg) struct pg *db = pg_new(setting_text(SET_DATABASE_URL), "chasqui-admin");
    enum cq_status st = pg_ready(db, NULL);

    if (st == CQ_OK)
        st = fn(db, stdout);
    if (st != CQ_OK)
        fprintf(stderr, "chasqui: %s\n", pg_error(db));
    return st == CQ_OK ? 0 : 1;
}

static enum cq_status close_doors(struct pg *db, FILE *out)
{
    (void)out;
    return doors_close(db);
}

static enum cq_status open_doors(struct pg *db, FILE *out)
{
    (void)out;
    return doors_open(db);
}

/* An acknowledgement that survives a loss of power wants accounts and positions that do. */
static enum cq_status check_syncs(struct pg *db)
{
    static const char sql[] =
        "DO $$ DECLARE lacking text; BEGIN"
        " SELECT string_agg(name, ', ' ORDER BY name) INTO lacking FROM pg_settings"
        " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off';"
        " IF lacking IS NOT NULL THEN RAISE EXCEPTION"
        " 'DURABILITY=synced does not hold with % off in PostgreSQL: turn it on', lacking;"
        " END IF; END $$";
    cq_auto(pgresult) struct pg_result *rows = NULL;

    return pg_run(db, sql, NULL, &rows);
}

static enum cq_status migrate(struct pg *db, FILE *out)
{
    enum cq_status st = CQ_OK;

    if (durability_parse(setting_text(SET_DURABILITY)) == DURABILITY_SYNCED)
        st = check_syncs(db);
    return st == CQ_OK ? migrate_up(db, out) : st;
}

static int run_migrate(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return with_database(migrate);
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

static int run_rebuild_search(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return with_database(rebuild_search);
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
    else if (strcmp(what, "frames-schema") == 0)
        edge_ws_frames_schema_print(stdout);
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

static int run_vapid_key(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return mobile_vapid_key(stdout);
}

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    uint32_t needs; /* roles whose settings it reads */
    const char *help;
} verbs[] = {
    { "topics", run_topics, ROLE_ADMIN,
      "create the topics that are missing, check those that are there and their settings, announce "
      "this build's versions of schemas" },
    { "migrate", run_migrate, ROLE_ADMIN, "bring the database to this version's schemas" },
    { "rebuild", run_rebuild, ROLE_ADMIN,
      "drop the view; the sinks replay it from the log, and it is not read meanwhile; the tables of search "
      "stay" },
    { "rebuild-search", run_rebuild_search, ROLE_ADMIN,
      "drop what search begins from; the role search replays it from the log" },
    { "doors", run_doors, ROLE_ADMIN,
      "close | open: no log-ins while accounts are restored, and nobody is logged out" },
    { "log-was-cut", admin_log_was_cut, ROLE_ADMIN,
      "[--start | --yes]: go on with a log that lost its tail, as by a loss of power (stop every "
      "role first)" },
    { "vapid-key", run_vapid_key, 0,
      "make a pair of keys for pushes to browsers: VAPID_PUBLIC_KEY and VAPID_KEY" },
    { "push-test", run_push_test, ROLE_ADMIN,
      "--user ID [--send]: test the push addresses of this user's devices" },
    { "print", run_print, 0,
      "print topics | chat-rules | user-rules | routes | frames | frames-schema for documentation "
      "and tests" },
};

void admin_usage(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(out, "  admin %-14s %s\n", verbs[i].name, verbs[i].help);
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
