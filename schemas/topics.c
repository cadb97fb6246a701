/* SPDX-License-Identifier: MIT */
#include "schemas/topics.h"

#include "lib/base/dead_letter.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

#include <inttypes.h>

#define HOURS ((int64_t)3600 * 1000)
#define DAYS (24 * HOURS)
#define EVER (-1)

enum { DLQ_RETENTION_DAYS = 90 };

static const struct topic_spec specs[] = {
    [TOPIC_CHAT_ACTIONS] = { .name = "chat.actions",
                             .schema = "ChatAction",
                             .width = TOPIC_BY_PARTITIONS,
                             .cleanup = "delete",
                             .retention_ms = 90 * DAYS,
                             .append_time = true,
                             .has_dlq = true,
                             .groups = { "chat" },
                             .made_from = TOPIC_N,
                             .key = "chat",
                             .writers = "edge-rest, edge-ws, media",
                             .readers = "chat" },
    [TOPIC_CHAT_EVENTS] = { .name = "chat.events",
                            .schema = "ChatEvent",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "delete",
                            .retention_ms = EVER,
                            .public_log = true,
                            .has_dlq = true,
                            .groups = { "persistence", "media" },
                            .made_from = TOPIC_CHAT_ACTIONS,
                            .key = "chat",
                            .writers = "chat",
                            .readers = "persistence, media, chat (its tail), edge-rest (its "
                                       "end), edge-ws (its end)" },
    [TOPIC_MEMBERS] = { .name = "members",
                        .schema = "ChatMembers",
                        .width = TOPIC_BY_PARTITIONS,
                        .cleanup = "compact",
                        .retention_ms = EVER,
                        .public_log = true,
                        .made_from = TOPIC_CHAT_ACTIONS,
                        .key = "chat",
                        .writers = "chat",
                        .readers = "chat (restore)" },
    [TOPIC_REJECTIONS] = { .name = "rejections",
                           .schema = "Rejection",
                           .width = TOPIC_BY_PARTITIONS,
                           .cleanup = "delete",
                           .retention_ms = 30 * DAYS,
                           .public_log = true,
                           .has_dlq = true,
                           .groups = { "persistence" },
                           .made_from = TOPIC_CHAT_ACTIONS,
                           .key = "chat",
                           .writers = "chat",
                           .readers = "persistence" },
    /* Each cursor for ever, its advances for 30 days. */
    [TOPIC_DELIVERY_STATUS] = { .name = "delivery.status",
                                .schema = "DeliveryStatus",
                                .width = TOPIC_BY_PARTITIONS,
                                .cleanup = "compact",
                                .retention_ms = EVER,
                                .compaction_lag_ms = 30 * DAYS,
                                .public_log = true,
                                .has_dlq = true,
                                .groups = { "status" },
                                .made_from = TOPIC_CHAT_ACTIONS,
                                .key = "chat/user/device/kind",
                                .writers = "chat",
                                .readers = "status" },
    [TOPIC_USER_INBOX] = { .name = "user.inbox",
                           .schema = "UserInbox",
                           .width = TOPIC_BY_PARTITIONS,
                           .cleanup = "delete",
                           .retention_ms = 7 * DAYS,
                           .append_time = true,
                           .has_dlq = true,
                           .groups = { "user" },
                           .made_from = TOPIC_CHAT_ACTIONS,
                           .key = "user, or push token",
                           .writers = "edge-rest, edge-ws, chat, status, mobile, user (claims)",
                           .readers = "user" },
    [TOPIC_USER_EVENTS] = { .name = "user.events",
                            .schema = "UserEvent",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "delete",
                            .retention_ms = EVER,
                            .public_log = true,
                            .has_dlq = true,
                            .groups = { "persistence" },
                            .made_from = TOPIC_USER_INBOX,
                            .key = "user",
                            .writers = "user",
                            .readers = "persistence, edge-rest (its end), edge-ws (its "
                                       "end), media (its end)" },
    /* The lag keeps each session's opening and end visible for a while to those who watch. */
    [TOPIC_PRESENCE] = { .name = "presence",
                         .schema = "Presence",
                         .width = TOPIC_BY_PARTITIONS,
                         .cleanup = "compact",
                         .retention_ms = EVER,
                         .compaction_lag_ms = 1 * HOURS,
                         .public_log = true,
                         .made_from = TOPIC_USER_INBOX,
                         .key = "user/session, user/device",
                         .writers = "user",
                         .readers = "user (restore)" },
    [TOPIC_WS_PUSH] = { .name = "ws.push",
                        .schema = "WsPush",
                        .width = TOPIC_BY_SLOTS,
                        .cleanup = "delete",
                        .retention_ms = 7 * DAYS,
                        .has_dlq = true,
                        .groups = { "edge-ws" },
                        .made_from = TOPIC_N,
                        .key = "slot",
                        .writers = "user",
                        .readers = "edge-ws" },
    /* A token that went leaves the log with the next compaction. */
    [TOPIC_PUSH_TARGETS] = { .name = "push.targets",
                             .schema = "PushTarget",
                             .width = TOPIC_BY_PARTITIONS,
                             .cleanup = "compact",
                             .retention_ms = EVER,
                             .compaction_lag_ms = 1 * HOURS,
                             .has_dlq = true,
                             .groups = { "persistence" },
                             .made_from = TOPIC_USER_INBOX,
                             .key = "user/device",
                             .writers = "user",
                             .readers = "user (restore), persistence" },
    /* Of a token there is its hash: it tells nobody how to wake a phone. */
    [TOPIC_PUSH_CLAIMS] = { .name = "push.claims",
                            .schema = "PushClaim",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "compact",
                            .retention_ms = EVER,
                            .compaction_lag_ms = 1 * HOURS,
                            .made_from = TOPIC_USER_INBOX,
                            .key = "token",
                            .writers = "user",
                            .readers = "user (restore)" },
    [TOPIC_PUSH_MUTES] = { .name = "push.mutes",
                           .schema = "ChatMute",
                           .width = TOPIC_BY_PARTITIONS,
                           .cleanup = "compact",
                           .retention_ms = EVER,
                           .compaction_lag_ms = 1 * HOURS,
                           .made_from = TOPIC_USER_INBOX,
                           .key = "user/chat",
                           .writers = "user",
                           .readers = "user (restore)" },
    [TOPIC_MOBILE_PUSH] = { .name = "mobile.push",
                            .schema = "MobilePush",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "delete",
                            .retention_ms = 7 * DAYS,
                            .may_lose = true,
                            .has_dlq = true,
                            .groups = { "mobile", "mobile-apns" },
                            .made_from = TOPIC_N,
                            .key = "user",
                            .writers = "user, mobile (what waits)",
                            .readers = "mobile" },
    [TOPIC_PUSH_OUTCOMES] = { .name = "push.outcomes",
                              .schema = "PushOutcome",
                              .width = TOPIC_BY_PARTITIONS,
                              .cleanup = "delete",
                              .retention_ms = 30 * DAYS,
                              .public_log = true,
                              .made_from = TOPIC_N,
                              .key = "user",
                              .writers = "mobile",
                              .readers = "mobile (its tail), other teams" },
};

_Static_assert(ARRAY_LEN(specs) == TOPIC_N, "a row for each topic");

const struct topic_spec *topic_spec(enum topic t)
{
    return &specs[t];
}

int32_t topic_partition(struct cq_id id, int32_t n)
{
    return (int32_t)(murmur2_positive(id_text(id).s, CQ_ID_TEXT_LEN) % (uint32_t)n);
}

/* ---- what the broker is asked for
 * ----------------------------------------------------------------- */

static void add_text(struct topic_wanted *w, const char *name, const char *value)
{
    w->config[w->config_n++] = name;
    w->config[w->config_n++] = value;
}

static void add_number(struct topic_wanted *w, const char *name, int64_t value)
{
    char *text = w->numbers[w->numbers_n++];

    snprintf(text, sizeof w->numbers[0], "%" PRId64, value);
    add_text(w, name, text);
}

static void config_of(struct topic_wanted *w, const char *cleanup, int64_t retention_ms,
                      int64_t lag_ms, bool append_time, bool may_lose)
{
    bool compact = strcmp(cleanup, "compact") == 0;

    add_text(w, "cleanup.policy", cleanup);
    add_number(w, "max.message.bytes", TOPIC_RECORD_MAX);
    /* What edges write is dated by the broker: windows must not follow the clock of one gateway. */
    add_text(w, "message.timestamp.type", append_time ? "LogAppendTime" : "CreateTime");
    if (compact) {
        add_number(w, "min.compaction.lag.ms", lag_ms);
        /* A tombstone outlives any reader that is away for less than a week. */
        add_number(w, "delete.retention.ms", 7 * DAYS);
        add_text(w, "min.cleanable.dirty.ratio", "0.1");
    } else {
        add_number(w, "retention.ms", retention_ms);
        if (!may_lose)
            add_number(w, "retention.bytes", -1);
    }
    /* Only closed segments are cleaned: small and young where that shortens a restore. */
    add_number(w, "segment.bytes", (compact ? 64 : 256) * 1024 * 1024);
    add_number(w, "segment.ms", compact && lag_ms < DAYS ? 6 * HOURS : 1 * DAYS);
    w->config[w->config_n] = NULL;
}

bool topic_wanted(size_t i, int32_t partitions, int32_t slots, struct topic_wanted *ret)
{
    bool dlq = i >= TOPIC_N;
    size_t row = dlq ? 0 : i;

    if (dlq) { /* the (i - TOPIC_N)th of those that have one */
        size_t skip = i - TOPIC_N;

        for (; row < TOPIC_N; row++)
            if (specs[row].has_dlq && skip-- == 0)
                break;
        if (row == TOPIC_N)
            return false;
    }
    *ret = (struct topic_wanted){
        .partitions = specs[row].width == TOPIC_BY_SLOTS ? slots : partitions,
    };
    snprintf(ret->name, sizeof ret->name, "%s%s", specs[row].name, dlq ? DEAD_LETTER_SUFFIX : "");
    if (dlq)
        config_of(ret, "delete", DLQ_RETENTION_DAYS * DAYS, 0, false, false);
    else
        config_of(ret, specs[row].cleanup, specs[row].retention_ms, specs[row].compaction_lag_ms,
                  specs[row].append_time, specs[row].may_lose);
    return true;
}

/* ---- docs
 * ----------------------------------------------------------------------------------------- */

static void print_kept(FILE *out, const struct topic_spec *s)
{
    if (strcmp(s->cleanup, "compact") == 0 && s->compaction_lag_ms >= DAYS)
        fprintf(out, "latest of each key, all for %" PRId64 " d", s->compaction_lag_ms / DAYS);
    else if (strcmp(s->cleanup, "compact") == 0 && s->compaction_lag_ms)
        fprintf(out, "latest of each key, all for %" PRId64 " h", s->compaction_lag_ms / HOURS);
    else if (strcmp(s->cleanup, "compact") == 0)
        fputs("latest of each key", out);
    else if (s->retention_ms == EVER)
        fputs("for ever", out);
    else
        fprintf(out, "%" PRId64 " d", s->retention_ms / DAYS);
}

/* Whether a list of roles, as `writers` and `readers` are, names this one; *ret_aside: with a
 * remark in parentheses, which is no consumer that has dead letters. */
static bool list_names(const char *list, const char *role, bool *ret_aside)
{
    size_t n = strlen(role);

    for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 2 : NULL)
        if (strncmp(p, role, n) == 0 && (p[n] == '\0' || p[n] == ',' || p[n] == ' ')) {
            *ret_aside = p[n] == ' ';
            return true;
        }
    return false;
}

static void print_right(FILE *out, const char **comma, const char *name, const char *suffix)
{
    fprintf(out, "%s%s%s", *comma, name, suffix);
    *comma = ", ";
}

/* What a role may do when brokers ask who it is: nothing that its rows above do not say. */
static void print_rights_of(FILE *out, const char *role)
{
    const char *comma = "";
    bool aside;

    fprintf(out, "| %s | ", role);
    for (size_t i = 0; i < TOPIC_N; i++)
        if (list_names(specs[i].readers, role, &aside))
            print_right(out, &comma, specs[i].name, "");
    fputs(*comma ? " | " : "nothing | ", out);
    comma = "";
    for (size_t i = 0; i < TOPIC_N; i++)
        if (list_names(specs[i].writers, role, &aside))
            print_right(out, &comma, specs[i].name, "");
    for (size_t i = 0; i < TOPIC_N; i++)
        if (specs[i].has_dlq && list_names(specs[i].readers, role, &aside) && !aside)
            print_right(out, &comma, specs[i].name, DEAD_LETTER_SUFFIX);
    fputs(" |\n", out);
}

static void print_rights(FILE *out)
{
    static const char *const roles[] = { "edge-rest",   "edge-ws", "chat",   "user",
                                         "persistence", "status",  "mobile", "media" };

    fputs("\n## Rights\n\nWhere brokers ask who a role is, it needs Read on these topics, Write on "
          "those, Describe and DescribeConfigs on every topic, Describe on every group, and Read "
          "on the groups that begin with "
          "its name and on `chasqui-floor` and `chasqui-acquitted`:\n\n| role | reads | writes "
          "|\n|---|---|---|\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        print_rights_of(out, roles[i]);
    fputs("\n`chasqui admin topics` needs Create on the topics, or on the cluster, Describe and "
          "DescribeConfigs.\n",
          out);
}

void topics_print_markdown(FILE *out)
{
    fputs("| topic | key | value | partitions | cleanup | kept | public | dead letters | writers | "
          "readers |\n|---|---|---|---|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < TOPIC_N; i++) {
        const struct topic_spec *s = &specs[i];

        fprintf(out, "| %s | %s | %s | %s | %s | ", s->name, s->key, s->schema,
                s->width == TOPIC_BY_SLOTS ? "SLOTS" : "PARTITIONS", s->cleanup);
        print_kept(out, s);
        fprintf(out, " | %s | ", s->public_log ? "yes" : "no");
        if (s->has_dlq)
            fprintf(out, "%s%s", s->name, DEAD_LETTER_SUFFIX);
        else
            fputs("none", out);
        fprintf(out, " | %s | %s |\n", s->writers, s->readers);
    }
    fprintf(
        out,
        "\nEach dead-letter topic has the partitions of its source and keeps what it gets for %d "
        "days: the bytes as they came, error and source position in headers. What is too large for "
        "the topic is cut, and the header `cut` has the lengths of the whole.\n",
        DLQ_RETENTION_DAYS);
    print_rights(out);
}
