/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/role.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/pg/view_guard.h"
#include "lib/webpush/vapid.h"
#include "sinks/mobile/lane.h"
#include "sinks/mobile/push_test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 50, REASON_MAX = 256, PEM_MAX = 1024 };

typedef enum cq_status make_fn(struct provider **ret, char *why, size_t why_n);

static make_fn make_fcm, make_apns, make_webpush;

/* A lane for each provider. */
static const struct lane_row {
    const char *name, *group;
    make_fn *make;
    enum push_provider id;
    uint32_t kinds;
    bool untargeted;
    bool many; /* of services, which clients name */
} lane_rows[] = {
    { "fcm", "mobile", make_fcm, PUSH_PROVIDER_FCM,
      1u << PUSH_KIND_FCM_TOKEN | 1u << PUSH_KIND_FCM_FID, true, false },
    { "apns", "mobile-apns", make_apns, PUSH_PROVIDER_APNS, 1u << PUSH_KIND_APNS, false, false },
    { "web", "mobile-web", make_webpush, PUSH_PROVIDER_WEB, 1u << PUSH_KIND_WEB, false, true },
};
enum { LANES = ARRAY_LEN(lane_rows) };

_Static_assert((int)LANES == (int)PUSH_TEST_PROVIDERS_MAX, "push-test asks each");

struct lane_thread {
    struct lane *lane;         /* owned; the thread's while it runs */
    struct provider *provider; /* owned */
    pthread_t thread;
    bool running;
    volatile int *ended; /* set by whoever ends first */
    enum cq_status st;
};

struct mobile_role {
    struct lane_thread lanes[LANES];
    volatile int ended; /* the process is to end; read by the lanes */
    char why[320];      /* of the lane that failed first; "" for none */
};

static void on_news(void *arg, enum lane_news news, const char *lane, const char *why)
{
    (void)arg;
    switch (news) {
    case LANE_PAUSED:
        count_add(COUNT_PROVIDERS_PAUSED, 1);
        log_error("provider_paused", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_STILL:
        log_error("provider_paused", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_RESUMED:
        count_add(COUNT_PROVIDERS_PAUSED, -1);
        log_info("provider_resumed", LOG_S("provider", lane));
        break;
    case LANE_SLOWED:
        count_add(COUNT_PROVIDERS_SLOWED, 1);
        log_warn("provider_slowed", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_SLOWER:
        log_warn("provider_slowed", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_GOES_ON:
        count_add(COUNT_PROVIDERS_SLOWED, -1);
        log_info("provider_goes_on", LOG_S("provider", lane));
        break;
    case LANE_UNREACHED:
        log_error("platform_unreached", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_NARROWED:
        count_add(COUNT_PROVIDERS_NARROWED, 1);
        log_warn("provider_narrowed", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_WIDENED:
        count_add(COUNT_PROVIDERS_NARROWED, -1);
        log_info("provider_widened", LOG_S("provider", lane));
        break;
    case LANE_VIEW_AWAY:
        count_set(COUNT_DATABASE_AWAY, 1);
        log_warn("database_away", LOG_S("provider", lane), LOG_S("why", why));
        break;
    case LANE_VIEW_BACK:
        count_set(COUNT_DATABASE_AWAY, 0);
        log_info("database_back", LOG_S("provider", lane));
        break;
    }
}

/* Reads the configuration. False: it is wrong, and its pushes wait in the topic until it is
 * corrected. */
static bool open_provider(const char *name, enum cq_status st, const char *why,
                          struct provider *provider)
{
    if (st == CQ_FATAL) {
        count_add(COUNT_PROVIDERS_PAUSED, 1);
        log_error("provider_paused", LOG_S("provider", name), LOG_S("why", why));
        return false;
    }
    if (st == CQ_POISON)
        log_error("provider_off", LOG_S("provider", name), LOG_S("why", why));
    else if (!provider)
        log_info("provider_off", LOG_S("provider", name), LOG_S("why", "not configured"));
    return true;
}

static enum cq_status make_fcm(struct provider **ret, char *why, size_t why_n)
{
    return fcm_new(&(struct fcm_conf){ .key = setting_text(SET_FCM_SERVER_KEY),
                                       .base_url = setting_text(SET_FCM_BASE_URL) },
                   ret, why, why_n);
}

static enum cq_status make_apns(struct provider **ret, char *why, size_t why_n)
{
    return apns_new(&(struct apns_conf){ .key = setting_text(SET_APNS_KEY),
                                         .key_id = setting_text(SET_APNS_KEY_ID),
                                         .team_id = setting_text(SET_APNS_TEAM_ID),
                                         .topics = setting_text(SET_APNS_TOPIC),
                                         .base_url = setting_text(SET_APNS_BASE_URL),
                                         .sandbox_url = setting_text(SET_APNS_SANDBOX_URL) },
                    ret, why, why_n);
}

static enum cq_status make_webpush(struct provider **ret, char *why, size_t why_n)
{
    return webpush_new(&(struct webpush_conf){ .key = setting_text(SET_VAPID_KEY),
                                               .public_key = setting_text(SET_VAPID_PUBLIC_KEY),
                                               .subject = setting_text(SET_VAPID_SUBJECT),
                                               .services = setting_text(SET_WEBPUSH_SERVICES),
                                               .more = setting_text(SET_WEBPUSH_MORE) },
                       ret, why, why_n);
}

static bool open_row(struct lane_thread *thread, const struct lane_row *row)
{
    char why[REASON_MAX] = "";
    enum cq_status st = row->make(&thread->provider, why, sizeof why);

    return open_provider(row->name, st, why, thread->provider);
}

static enum cq_status open_lane(struct mobile_role *role, struct lane_thread *thread,
                                const struct lane_row *row)
{
    const struct lane_conf conf = {
        .name = row->name,
        .group = row->group,
        .brokers = setting_text(SET_KAFKA_BROKER),
        .database_url = setting_text(SET_DATABASE_URL),
        .instance = setting_text(SET_INSTANCE),
        .provider = thread->provider,
        .id = row->id,
        .kinds = row->kinds,
        .untargeted = row->untargeted,
        .many = row->many,
        .outside = row->many,
        .private_too = setting_bool(SET_WEBPUSH_PRIVATE),
        .in_flight = (int)setting_int(SET_PUSH_IN_FLIGHT),
        .connections = (int)setting_int(SET_PUSH_CONNECTIONS),
        .ca_file = setting_text(SET_PUSH_CA_FILE),
        .max_age_ms = setting_int(SET_PUSH_MAX_AGE_S) * 1000,
        .stop = &role->ended,
        .tell = on_news,
    };
    enum cq_status st = lane_new(&conf, &thread->lane);

    return st == CQ_OK ? lane_join(thread->lane) : st;
}

static void *lane_main(void *arg)
{
    struct lane_thread *thread = arg;

    thread->st = lane_run(thread->lane);
    *thread->ended = 1;
    return NULL;
}

static enum cq_status start_lanes(struct mobile_role *role)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < LANES; i++)
        if (open_row(&role->lanes[i], &lane_rows[i]))
            st = open_lane(role, &role->lanes[i], &lane_rows[i]);
    for (int i = 0; st == CQ_OK && i < LANES; i++) {
        struct lane_thread *thread = &role->lanes[i];

        thread->ended = &role->ended;
        if (!thread->lane)
            continue;
        thread->running = pthread_create(&thread->thread, NULL, lane_main, thread) == 0;
        st = thread->running ? CQ_OK : CQ_FATAL;
    }
    return st;
}

static enum cq_status end_lanes(struct mobile_role *role, enum cq_status st)
{
    role->ended = 1;
    for (int i = 0; i < LANES; i++) {
        struct lane_thread *thread = &role->lanes[i];

        if (thread->running)
            pthread_join(thread->thread, NULL);
        if (st == CQ_OK && thread->st != CQ_OK) {
            st = thread->st;
            snprintf(role->why, sizeof role->why, "%s", lane_error(thread->lane));
        }
        lane_free(thread->lane);
        provider_free(thread->provider);
    }
    return st;
}

/* The process is as healthy as its worst lane; its gauges add up all. A lane that is wrongly
 * configured only waits, and is not counted. */
static void show_lanes(const struct mobile_role *role)
{
    struct lane_health health[LANES], all;
    int n = 0;

    for (int i = 0; i < LANES; i++)
        if (role->lanes[i].running)
            health[n++] = lane_health(role->lanes[i].lane);
    all = lane_health_of(health, n, clock_mono_ms());
    count_beat(all.beat_ms);
    count_set(COUNT_PARTITIONS, all.partitions);
    count_set(COUNT_LAG, all.lag);
}

int mobile_role_run(const volatile int *stop)
{
    struct mobile_role *role = calloc(1, sizeof *role);
    enum cq_status st = role ? start_lanes(role) : CQ_FATAL;

    if (st == CQ_OK)
        log_info("ready");
    while (st == CQ_OK && !*stop && !role->ended) {
        clock_sleep_ms(LOOK_MS);
        show_lanes(role);
    }
    if (role)
        st = end_lanes(role, st);
    if (st != CQ_OK)
        log_ended(cq_status_name(st), role ? role->why : "no memory");
    free(role);
    return st == CQ_OK ? 0 : 1;
}

/* ---- by hand -------------------------------------------------------------------------- */

static void say_provider(FILE *out, const char *name, enum cq_status st, const char *why,
                         const struct provider *provider)
{
    fprintf(out, "%s: %s\n", name, st != CQ_OK ? why : provider ? "configured" : "not configured");
}

int mobile_push_test(struct cq_id user, bool send, FILE *out)
{
    cq_auto(pg) struct pg *db = pg_new(setting_text(SET_DATABASE_URL), "chasqui-push-test");
    view_guard(db);
    struct push_test test = { .db = db,
                              .ca_file = setting_text(SET_PUSH_CA_FILE),
                              .user = user,
                              .send = send,
                              .private_too = setting_bool(SET_WEBPUSH_PRIVATE),
                              .out = out };
    enum cq_status st;

    for (int i = 0; i < LANES; i++) {
        const struct lane_row *row = &lane_rows[i];
        char why[REASON_MAX] = "";

        test.asked[i] = (struct push_test_provider){ .kinds = row->kinds, .outside = row->many };
        st = row->make(&test.asked[i].provider, why, sizeof why);
        say_provider(out, row->name, st, why, test.asked[i].provider);
    }
    st = push_test_run(&test);
    if (st == CQ_AGAIN || st == CQ_FATAL)
        fprintf(out, "the database does not answer: %s\n", pg_error(db));
    for (int i = 0; i < LANES; i++)
        provider_free(test.asked[i].provider);
    return st == CQ_OK ? 0 : 1;
}

enum cq_status mobile_check_webpush(FILE *err)
{
    char why[REASON_MAX] = "";
    struct provider *provider = NULL;
    enum cq_status st = make_webpush(&provider, why, sizeof why);

    if (st == CQ_OK && !provider && *setting_text(SET_VAPID_PUBLIC_KEY)) {
        snprintf(why, sizeof why, "VAPID_PUBLIC_KEY: VAPID_KEY is required beside it");
        st = CQ_FATAL;
    }
    if (st != CQ_OK)
        fprintf(err, "chasqui: setting %s\n", why);
    provider_free(provider);
    return st;
}

int mobile_vapid_key(FILE *out)
{
    cq_auto(buf) struct cq_buf pem = { 0 };
    char public_key[VAPID_PUBLIC_MAX];

    buf_init(&pem, PEM_MAX);
    if (vapid_make(&pem, public_key) != CQ_OK)
        return 1;
    fprintf(out, "VAPID_PUBLIC_KEY=%s\nVAPID_KEY='%.*s'\n", public_key, (int)pem.n - 1,
            (const char *)pem.p); /* without its last line end */
    explicit_bzero(pem.p, pem.n);
    return 0;
}
