/* SPDX-License-Identifier: MIT */
#include "schemas/topics.h"

#include "lib/base/dead_letter.h"
#include "lib/base/hash.h"
#include "lib/base/roles.h"
#include "lib/base/status.h"

#include <inttypes.h>
#include <stdlib.h>

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
                             .made_from = TOPIC_N,
                             .key = "chat" },
    [TOPIC_CHAT_EVENTS] = { .name = "chat.events",
                            .schema = "ChatEvent",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "delete",
                            .retention_ms = EVER,
                            .public_log = true,
                            .has_dlq = true,
                            .made_from = TOPIC_CHAT_ACTIONS,
                            .key = "chat" },
    [TOPIC_MEMBERS] = { .name = "members",
                        .schema = "ChatMembers",
                        .width = TOPIC_BY_PARTITIONS,
                        .cleanup = "compact",
                        .retention_ms = EVER,
                        .public_log = true,
                        .made_from = TOPIC_CHAT_ACTIONS,
                        .key = "chat" },
    [TOPIC_REJECTIONS] = { .name = "rejections",
                           .schema = "Rejection",
                           .width = TOPIC_BY_PARTITIONS,
                           .cleanup = "delete",
                           .retention_ms = 30 * DAYS,
                           .public_log = true,
                           .has_dlq = true,
                           .made_from = TOPIC_CHAT_ACTIONS,
                           .key = "chat" },
    /* Each cursor for ever, its advances for 30 days. */
    [TOPIC_DELIVERY_STATUS] = { .name = "delivery.status",
                                .schema = "DeliveryStatus",
                                .width = TOPIC_BY_PARTITIONS,
                                .cleanup = "compact",
                                .retention_ms = EVER,
                                .compaction_lag_ms = 30 * DAYS,
                                .public_log = true,
                                .has_dlq = true,
                                .made_from = TOPIC_CHAT_ACTIONS,
                                .key = "chat/user/device/kind" },
    [TOPIC_USER_INBOX] = { .name = "user.inbox",
                           .schema = "UserInbox",
                           .width = TOPIC_BY_PARTITIONS,
                           .cleanup = "delete",
                           .retention_ms = 7 * DAYS,
                           .append_time = true,
                           .has_dlq = true,
                           .made_from = TOPIC_CHAT_ACTIONS,
                           .key = "user, or push token" },
    [TOPIC_USER_EVENTS] = { .name = "user.events",
                            .schema = "UserEvent",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "delete",
                            .retention_ms = EVER,
                            .public_log = true,
                            .has_dlq = true,
                            .made_from = TOPIC_USER_INBOX,
                            .key = "user" },
    /* The lag keeps each session's opening and end visible for a while to those who watch. */
    [TOPIC_PRESENCE] = { .name = "presence",
                         .schema = "Presence",
                         .width = TOPIC_BY_PARTITIONS,
                         .cleanup = "compact",
                         .retention_ms = EVER,
                         .compaction_lag_ms = 1 * HOURS,
                         .public_log = true,
                         .made_from = TOPIC_USER_INBOX,
                         .key = "user/session, user/device" },
    [TOPIC_WS_PUSH] = { .name = "ws.push",
                        .schema = "WsPush",
                        .width = TOPIC_BY_SLOTS,
                        .cleanup = "delete",
                        .retention_ms = 7 * DAYS,
                        .has_dlq = true,
                        .made_from = TOPIC_N,
                        .key = "slot" },
    /* A token that went leaves the log with the next compaction. */
    [TOPIC_PUSH_TARGETS] = { .name = "push.targets",
                             .schema = "PushTarget",
                             .width = TOPIC_BY_PARTITIONS,
                             .cleanup = "compact",
                             .retention_ms = EVER,
                             .compaction_lag_ms = 1 * HOURS,
                             .has_dlq = true,
                             .made_from = TOPIC_USER_INBOX,
                             .key = "user/device" },
    /* Of a token there is its hash: it tells nobody how to wake a phone. */
    [TOPIC_PUSH_CLAIMS] = { .name = "push.claims",
                            .schema = "PushClaim",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "compact",
                            .retention_ms = EVER,
                            .compaction_lag_ms = 1 * HOURS,
                            .made_from = TOPIC_USER_INBOX,
                            .key = "token" },
    [TOPIC_PUSH_MUTES] = { .name = "push.mutes",
                           .schema = "ChatMute",
                           .width = TOPIC_BY_PARTITIONS,
                           .cleanup = "compact",
                           .retention_ms = EVER,
                           .compaction_lag_ms = 1 * HOURS,
                           .made_from = TOPIC_USER_INBOX,
                           .key = "user/chat" },
    [TOPIC_MOBILE_PUSH] = { .name = "mobile.push",
                            .schema = "MobilePush",
                            .width = TOPIC_BY_PARTITIONS,
                            .cleanup = "delete",
                            .retention_ms = 7 * DAYS,
                            .may_lose = true,
                            .has_dlq = true,
                            .made_from = TOPIC_N,
                            .key = "user" },
    [TOPIC_PUSH_OUTCOMES] = { .name = "push.outcomes",
                              .schema = "PushOutcome",
                              .width = TOPIC_BY_PARTITIONS,
                              .cleanup = "delete",
                              .retention_ms = 30 * DAYS,
                              .public_log = true,
                              .made_from = TOPIC_N,
                              .key = "user",
                              .others = "other teams" },
};

_Static_assert(ARRAY_LEN(specs) == TOPIC_N, "a row for each topic");

/* ---- who uses them: the table of roles, turned round
 * ------------------------------------------------ */

struct use {
    enum topic topic;
    enum topic_use how;
    const char *remark;
};

#define FOLLOWS(topic)                    \
    {                                     \
        TOPIC_##topic, TOPIC_FOLLOWED, "" \
    }
#define READS(topic, remark)              \
    {                                     \
        TOPIC_##topic, TOPIC_READ, remark \
    }
#define WRITES(topic, remark)                \
    {                                        \
        TOPIC_##topic, TOPIC_WRITTEN, remark \
    }
#define TOPICS(...) __VA_ARGS__
#define GROUPS(...) __VA_ARGS__
#define X(name, function, word, help, door, copies, listen, memory, groups, topics) \
    static const struct use name##_uses[] = { topics };                             \
    static const char *const name##_groups[] = { NULL, groups };
ROLES(X)
#undef X

static const struct role {
    const char *word;
    const struct use *uses;
    size_t uses_n;
    const char *const *groups; /* from 1 on */
    size_t groups_n;
} roles[] = {
#define X(name, function, word, ...) \
    { word, name##_uses, ARRAY_LEN(name##_uses), name##_groups, ARRAY_LEN(name##_groups) },
    ROLES(X)
#undef X
};
#undef GROUPS
#undef TOPICS
#undef WRITES
#undef READS
#undef FOLLOWS

/* Filled before main(). */
static const char *groups_of[TOPIC_N][TOPIC_GROUPS_MAX];

static const struct use *use_of(const struct role *r, enum topic t, enum topic_use how)
{
    for (size_t i = 0; i < r->uses_n; i++)
        if (r->uses[i].topic == t && r->uses[i].how == how)
            return &r->uses[i];
    return NULL;
}

static void add_groups(enum topic t, size_t *n, const struct role *r)
{
    for (size_t g = 1; g < r->groups_n; g++) {
        if (*n == TOPIC_GROUPS_MAX) {
            fprintf(stderr, "lib/base/roles.h: more than %d groups follow %s\n", TOPIC_GROUPS_MAX,
                    specs[t].name);
            abort();
        }
        groups_of[t][(*n)++] = r->groups[g];
    }
}

__attribute__((constructor)) static void find_groups(void)
{
    for (int t = 0; t < TOPIC_N; t++) {
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
            if (use_of(&roles[i], (enum topic)t, TOPIC_FOLLOWED))
                add_groups((enum topic)t, &n, &roles[i]);
    }
}

const char *const *topic_groups(enum topic t)
{
    return groups_of[t];
}

const char *topic_user(enum topic t, enum topic_use how, size_t i)
{
    for (size_t k = 0; k < ARRAY_LEN(roles); k++)
        if (use_of(&roles[k], t, how) && i-- == 0)
            return roles[k].word;
    return NULL;
}

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

static void print_next(FILE *out, const char **comma, const char *name, const char *suffix)
{
    fprintf(out, "%s%s%s", *comma, name, suffix);
    *comma = ", ";
}

/* Who uses `t` in this way, each with its remark; `*comma` stands before the first. */
static void print_users(FILE *out, const char **comma, enum topic t, enum topic_use how)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        const struct use *u = use_of(&roles[i], t, how);

        if (!u)
            continue;
        print_next(out, comma, roles[i].word, "");
        if (*u->remark)
            fprintf(out, " (%s)", u->remark);
    }
}

static void print_uses(FILE *out, enum topic t)
{
    const char *comma = "";

    print_users(out, &comma, t, TOPIC_WRITTEN);
    fputs(" | ", out);
    comma = "";
    print_users(out, &comma, t, TOPIC_FOLLOWED);
    print_users(out, &comma, t, TOPIC_READ);
    if (specs[t].others)
        print_next(out, &comma, specs[t].others, "");
}

/* What a role may do when brokers ask who it is: nothing that its row does not say. */
static void print_rights_of(FILE *out, const struct role *r)
{
    const char *comma = "";

    fprintf(out, "| %s | ", r->word);
    for (int t = 0; t < TOPIC_N; t++)
        if (use_of(r, (enum topic)t, TOPIC_FOLLOWED) || use_of(r, (enum topic)t, TOPIC_READ))
            print_next(out, &comma, specs[t].name, "");
    fputs(*comma ? " | " : "nothing | ", out);
    comma = "";
    for (int t = 0; t < TOPIC_N; t++)
        if (use_of(r, (enum topic)t, TOPIC_WRITTEN))
            print_next(out, &comma, specs[t].name, "");
    for (int t = 0; t < TOPIC_N; t++)
        if (specs[t].has_dlq && use_of(r, (enum topic)t, TOPIC_FOLLOWED))
            print_next(out, &comma, specs[t].name, DEAD_LETTER_SUFFIX);
    fputs(" |\n", out);
}

static void print_rights(FILE *out)
{
    fputs("\n## Rights\n\nWhere brokers ask who a role is, it needs Read on these topics, Write on "
          "those, Describe and DescribeConfigs on every topic, Describe on every group, and Read "
          "on the groups that begin with "
          "its name and on `chasqui-floor` and `chasqui-acquitted`:\n\n| role | reads | writes "
          "|\n|---|---|---|\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        print_rights_of(out, &roles[i]);
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
        fputs(" | ", out);
        print_uses(out, (enum topic)i);
        fputs(" |\n", out);
    }
    fprintf(
        out,
        "\nEach dead-letter topic has the partitions of its source and keeps what it gets for %d "
        "days: the bytes as they came, error and source position in headers. What is too large for "
        "the topic is cut, and the header `cut` has the lengths of the whole.\n",
        DLQ_RETENTION_DAYS);
    print_rights(out);
}
