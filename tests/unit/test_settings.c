/* SPDX-License-Identifier: MIT */
#include "lib/base/settings.h"
#include "lib/base/settings_forms.h"
#include "tests/unit/test.h"

#include <stdlib.h>

TEST(each_type_has_its_form)
{
    static const struct {
        enum setting_type type;
        const char *text;
        bool good;
    } rows[] = {
        { SETTING_BROKERS, "127.0.0.1:9092", true },
        { SETTING_BROKERS, "kafka-1.example:9092,kafka-2.example:9092", true },
        { SETTING_BROKERS, "[2001:db8::1]:9092", true },
        { SETTING_BROKERS, "kafka", false },
        { SETTING_BROKERS, "kafka:9092,", false },
        { SETTING_BROKERS, "kafka:70000", false },
        { SETTING_BROKERS, "SSL://kafka:9092", false }, /* there is KAFKA_TLS */
        { SETTING_LISTEN, "127.0.0.1:8080", true },
        { SETTING_LISTEN, "0.0.0.0:0", true },
        { SETTING_LISTEN, ":8080", true },
        { SETTING_LISTEN, "[::]:8080", true },
        { SETTING_LISTEN, "::1:8080", true },
        { SETTING_LISTEN, "8080", false },
        { SETTING_LISTEN, "127.0.0.1:http", false },
        { SETTING_HOST, "edge-ws-0:8081", true },
        { SETTING_HOST, ":8081", false },
        { SETTING_URL, "https://fcm.googleapis.com", true },
        { SETTING_URL, "http://127.0.0.1:7070/a?b", true },
        { SETTING_URL, "ftp://x", false },
        { SETTING_URL, "https://", false },
        { SETTING_URL, "https:///path", false },
        { SETTING_URL, "https://a b", false },
        { SETTING_WS_URL, "wss://chat.example/ws", true },
        { SETTING_WS_URL, "https://chat.example/ws", false },
        { SETTING_DATABASE, "postgresql://chasqui:pass@127.0.0.1:5432/chasqui", true },
        { SETTING_DATABASE, "host=127.0.0.1 dbname=chasqui", true },
        { SETTING_DATABASE, "mysql://x/y?a=b", false },
        { SETTING_DATABASE, "127.0.0.1:5432", false },
        { SETTING_STORE, "local:/srv/media", true },
        { SETTING_STORE, "s3:http://127.0.0.1:7070/media", true },
        { SETTING_STORE, "s3:https://s3.example/bucket", true },
        { SETTING_STORE, "s3:https://s3.example", false },
        { SETTING_STORE, "s3:bucket", false },
        { SETTING_STORE, "ftp:x", false },
        { SETTING_STORE, "local:", false },
        { SETTING_PATH, "/srv/chasqui/web", true },
        { SETTING_PATH, "/srv/\n", false },
        { SETTING_NAME, "edge-rest-0", true },
        { SETTING_NAME, "edge rest", false },
        { SETTING_APPS, "org.example.app,org.example.app.voip", true },
        { SETTING_APPS, "org.example.app, org.example.other", false },
        { SETTING_RANGES, "10.0.0.0/8,2001:db8::/32,192.0.2.1", true },
        { SETTING_RANGES, "10.0.0.0/33", false },
        { SETTING_ORIGINS, "*", true },
        { SETTING_ORIGINS, "https://chat.example,http://localhost:3000", true },
        { SETTING_ORIGINS, "https://chat.example/", false },
        { SETTING_ORIGINS, "chat.example", false },
        { SETTING_LEVEL, "warn", true },
        { SETTING_LEVEL, "loud", false },
        { SETTING_DRIVER, "webhook", true },
        { SETTING_DRIVER, "sms", false },
        { SETTING_LOGIN, "oauthbearer", true },
        { SETTING_LOGIN, "scram", false },
        { SETTING_SURVIVES, "synced", true },
        { SETTING_SURVIVES, "durable", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *words = setting_form(rows[i].type, rows[i].text);

        CHECK_EQ_ROW(rows[i].text, !words, rows[i].good);
        CHECK(!words || *words);
    }
}

/* The defaults are values, too. */
TEST(every_default_has_the_form_of_its_row)
{
    static const struct {
        const char *name, *fallback;
        enum setting_type type;
    } rows[] = {
#define X(name, type, fallback, min, max, secret, roles, help) { #name, fallback, SETTING_##type },
        SETTINGS(X)
#undef X
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].fallback && *rows[i].fallback)
            CHECK_EQ_ROW(rows[i].name, !setting_form(rows[i].type, rows[i].fallback), true);
        CHECK(setting_type_name(rows[i].type));
    }
}

static void required(void)
{
    setenv("DATABASE_URL", "postgresql://chasqui@127.0.0.1/chasqui", 1);
    setenv("JWT_SECRET", "0123456789abcdef0123456789abcdef", 1);
    setenv("PHONE_PEPPER", "0123456789abcdef0123456789abcdef", 1);
}

/* What settings_load() says with one setting more; "" when it is content. */
static const char *load_with(const char *name, const char *value)
{
    static char said[4096];
    FILE *err = fmemopen(said, sizeof said, "w");
    bool refused;

    required();
    memset(said, 0, sizeof said);
    setenv(name, value, 1);
    refused = settings_load(ROLE_ALL, err) != CQ_OK;
    fclose(err);
    unsetenv(name);
    return refused ? said : "";
}

TEST(a_wrong_value_is_refused_by_name)
{
    static const char *const rows[][2] = {
        { "LOG_LEVEL", "loud" },
        { "CODE_DRIVER", "sms" },
        { "MEDIA_STORE", "ftp:x" },
        { "KAFKA_BROKER", "kafka" },
        { "DATABASE_READ_URL", "replica" },
        { "REST_LISTEN", "8080" },
        { "WS_UPSTREAM", "edge-ws" },
        { "WS_PUBLIC_URL", "http://x" },
        { "S3_PUBLIC_URL", "files.example" },
        { "TRUSTED_PROXIES", "10.0.0.0/33" },
        { "ALLOWED_ORIGINS", "chat.example" },
        { "INSTANCE", "a b" },
        { "PROXY_PROTOCOL", "yes" },
        { "PARTITIONS", "8x" },
        { "PARTITIONS", "0" },
        { "PARTITIONS", "12" }, /* does not divide 1024 */
        { "PARTITIONS", "512" },
        { "CODE_DRIVER", "webhook" },                   /* without CODE_WEBHOOK_URL */
        { "MEDIA_STORE", "s3:http://127.0.0.1/media" }, /* without keys */
    };

    CHECK_STR(load_with("INSTANCE", "edge-rest-0"), "");
    CHECK_STR(load_with("PARTITIONS", "1"), "");
    CHECK_STR(load_with("PARTITIONS", "256"), "");
    CHECK(strstr(load_with("PARTITIONS", "12"), "divides 1024 (1, 2, 4, 8, 16, …), 1 to 256"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i][0], strstr(load_with(rows[i][0], rows[i][1]), rows[i][0]) != NULL,
                     true);
    CHECK(!strstr(load_with("CODE_WEBHOOK_URL", "hush"), "hush")); /* a secret is not shown */
}

static void count_near(void *arg, const char *name, const char *ours)
{
    char *text = arg;

    snprintf(text + strlen(text), 200 - strlen(text), "%s=%s ", name, ours);
}

TEST(a_misspelt_name_is_named)
{
    static const char *const rows[][2] = {
        { "PARTITONS", "PARTITIONS" }, { "PARTITION", "PARTITIONS" },
        { "LOG_LEVLE", "LOG_LEVEL" },  { "S3_SECRETKEY", "S3_SECRET_KEY" },
        { "SLOT", "SLOTS" },
    };
    static const char *const strangers[] = { "HOME",         "KAFKA_PORT",  "REST_PORT", "S3_PORT",
                                             "METRICS_PORT", "COPIES_CHAT", "SLATE" };
    char text[200] = "";

    CHECK_EQ(settings_misspelt(count_near, text), 0);
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        setenv(strangers[i], "1", 1);
        CHECK_EQ_ROW(strangers[i], settings_misspelt(count_near, text), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char wanted[200];

        text[0] = '\0';
        setenv(rows[i][0], "8", 1);
        CHECK_EQ_ROW(rows[i][0], settings_misspelt(count_near, text), 1);
        unsetenv(rows[i][0]);
        snprintf(wanted, sizeof wanted, "%s=%s ", rows[i][0], rows[i][1]);
        CHECK_STR(text, wanted);
    }
}
