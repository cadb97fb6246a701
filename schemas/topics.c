/* SPDX-License-Identifier: MIT */
#include "schemas/topics.h"

#include "lib/base/dead_letter.h"
#include "lib/base/hash.h"
#include "lib/base/roles.h"
#include "lib/base/status.h"
#include "schemas/codec.h"
#include "schemas/schema.h"

#include <inttypes.h>
#include <stdlib.h>

#define MINUTES ((int64_t)60 * 1000)
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
                             .is_truth = true,
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
                           .is_truth = true,
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
                              .is_truth = true,
                              .made_from = TOPIC_N,
                              .key = "user",
                              .others = "other teams" },
    /* Worthless after seconds: read from its end, by nobody's commit. */
    [TOPIC_SIGNALS] = { .name = "signals",
                        .schema = "SignalBatch",
                        .width = TOPIC_BY_SLOTS,
                        .cleanup = "delete",
                        .retention_ms = 1 * MINUTES,
                        .may_lose = true,
                        .made_from = TOPIC_N,
                        .key = "slot" },
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

static const struct use *use_of(const struct role *role, enum topic t, enum topic_use how)
{
    for (size_t i = 0; i < role->uses_n; i++)
        if (role->uses[i].topic == t && role->uses[i].how == how)
            return &role->uses[i];
    return NULL;
}

static void add_groups(enum topic t, size_t *n, const struct role *role)
{
    for (size_t g = 1; g < role->groups_n; g++) {
        if (*n == TOPIC_GROUPS_MAX) {
            fprintf(stderr, "lib/base/roles.h: more than %d groups follow %s\n", TOPIC_GROUPS_MAX,
                    specs[t].name);
            abort();
        }
        groups_of[t][(*n)++] = role->groups[g];
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

size_t topic_proven(enum topic input, int32_t slots, struct topic_proven ret[TOPIC_PROVEN_MAX])
{
    size_t n = 0;

    for (int t = 0; t < TOPIC_N; t++)
        if (specs[t].made_from == input && !specs[t].is_truth)
            ret[n++] = (struct topic_proven){ (enum topic)t, -1 };
    if (input != TOPIC_USER_INBOX)
        return n;
    ret[n++] = (struct topic_proven){ TOPIC_MOBILE_PUSH, -1 };
    for (int32_t slot = 0; slots <= TOPIC_PROVEN_SLOTS_MAX && slot < slots; slot++)
        ret[n++] = (struct topic_proven){ TOPIC_WS_PUSH, slot };
    return n;
}

/* ---- what the broker is asked for
 * ----------------------------------------------------------------- */

static void add_text(struct topic_wanted *wanted, const char *name, const char *value)
{
    wanted->config[wanted->config_n++] = name;
    wanted->config[wanted->config_n++] = value;
}

static void add_number(struct topic_wanted *wanted, const char *name, int64_t value)
{
    char *text = wanted->numbers[wanted->numbers_n++];

    snprintf(text, sizeof wanted->numbers[0], "%" PRId64, value);
    add_text(wanted, name, text);
}

static void config_of(struct topic_wanted *wanted, const char *cleanup, int64_t retention_ms,
                      int64_t lag_ms, bool append_time, bool may_lose, bool synced)
{
    bool compact = strcmp(cleanup, "compact") == 0;
    bool brief = !compact && retention_ms >= 0 && retention_ms < HOURS;

    add_text(wanted, "cleanup.policy", cleanup);
    add_number(wanted, "max.message.bytes", TOPIC_RECORD_MAX);
    /* What edges write is dated by the broker: windows must not follow the clock of one gateway. */
    add_text(wanted, "message.timestamp.type", append_time ? "LogAppendTime" : "CreateTime");
    if (compact) {
        add_number(wanted, "min.compaction.lag.ms", lag_ms);
        /* A tombstone outlives any reader that is away for less than a week. */
        add_number(wanted, "delete.retention.ms", 7 * DAYS);
        add_text(wanted, "min.cleanable.dirty.ratio", "0.1");
    } else {
        add_number(wanted, "retention.ms", retention_ms);
        if (!may_lose)
            add_number(wanted, "retention.bytes", -1);
    }
    /* Only closed segments are cleaned: small and young where that shortens a restore, or where
     * records are to go soon. */
    add_number(wanted, "segment.bytes", (compact || brief ? 64 : 256) * 1024 * 1024);
    add_number(wanted, "segment.ms",
               brief                      ? retention_ms
               : compact && lag_ms < DAYS ? 6 * HOURS
                                          : 1 * DAYS);
    /* One request, one sync, for all records that it brings to a partition. */
    if (synced)
        add_number(wanted, "flush.messages", 1);
    wanted->config[wanted->config_n] = NULL;
}

bool topic_wanted(size_t i, int32_t partitions, int32_t slots, bool synced,
                  struct topic_wanted *ret)
{
    bool dlq = i > TOPIC_N;
    size_t row = dlq ? 0 : i;

    if (i == TOPIC_N) {
        *ret = (struct topic_wanted){ .name = TOPIC_SCHEMAS, .partitions = 1 };
        config_of(ret, "compact", EVER, 0, false, false, synced);
        return true;
    }
    if (dlq) { /* the (i - TOPIC_N - 1)th of those that have one */
        size_t skip = i - TOPIC_N - 1;

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
        config_of(ret, "delete", DLQ_RETENTION_DAYS * DAYS, 0, false, false, synced);
    else
        config_of(ret, specs[row].cleanup, specs[row].retention_ms, specs[row].compaction_lag_ms,
                  specs[row].append_time, specs[row].may_lose, synced && specs[row].is_truth);
    return true;
}

/* ---- docs
 * ----------------------------------------------------------------------------------------- */

static void print_kept(FILE *out, const struct topic_spec *spec)
{
    if (strcmp(spec->cleanup, "compact") == 0 && spec->compaction_lag_ms >= DAYS)
        fprintf(out, "latest of each key, all for %" PRId64 " d", spec->compaction_lag_ms / DAYS);
    else if (strcmp(spec->cleanup, "compact") == 0 && spec->compaction_lag_ms)
        fprintf(out, "latest of each key, all for %" PRId64 " h", spec->compaction_lag_ms / HOURS);
    else if (strcmp(spec->cleanup, "compact") == 0)
        fputs("latest of each key", out);
    else if (spec->retention_ms == EVER)
        fputs("for ever", out);
    else if (spec->retention_ms < DAYS)
        fprintf(out, "%" PRId64 " min", spec->retention_ms / MINUTES);
    else
        fprintf(out, "%" PRId64 " d", spec->retention_ms / DAYS);
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
        const struct use *use = use_of(&roles[i], t, how);

        if (!use)
            continue;
        print_next(out, comma, roles[i].word, "");
        if (*use->remark)
            fprintf(out, " (%s)", use->remark);
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
static void print_rights_of(FILE *out, const struct role *role)
{
    const char *comma = "";

    fprintf(out, "| %s | ", role->word);
    for (int topic = 0; topic < TOPIC_N; topic++)
        if (use_of(role, (enum topic)topic, TOPIC_FOLLOWED) ||
            use_of(role, (enum topic)topic, TOPIC_READ))
            print_next(out, &comma, specs[topic].name, "");
    fputs(*comma ? " | " : "nothing | ", out);
    comma = "";
    for (int topic = 0; topic < TOPIC_N; topic++)
        if (use_of(role, (enum topic)topic, TOPIC_WRITTEN))
            print_next(out, &comma, specs[topic].name, "");
    for (int topic = 0; topic < TOPIC_N; topic++)
        if (specs[topic].has_dlq && use_of(role, (enum topic)topic, TOPIC_FOLLOWED))
            print_next(out, &comma, specs[topic].name, DEAD_LETTER_SUFFIX);
    fputs(" |\n", out);
}

static void print_rights(FILE *out)
{
    fputs("\n## Rights\n\nWhere brokers ask who a role is, it needs Read on these topics, Write on "
          "those, Describe and DescribeConfigs on every topic, Describe on every group, and Read "
          "on the groups that begin with "
          "its name, on `chasqui-floor` and `chasqui-acquitted`, and on the topic `" TOPIC_SCHEMAS
          "`:\n\n| role | reads | writes |\n|---|---|---|\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        print_rights_of(out, &roles[i]);
    fputs("\n`chasqui admin topics` needs Create on the topics, or on the cluster, Describe and "
          "DescribeConfigs, and Read and Write on `" TOPIC_SCHEMAS "`.\n",
          out);
}

static const struct codec_record *record_named(const char *name)
{
    size_t i = 0;

    while (codec_records[i] && strcmp(codec_name(codec_records[i]), name) != 0)
        i++;
    return codec_records[i];
}

/* The facts that a record of the topic may be, each with the words of its schema. */
static void print_facts_of(FILE *out, const struct topic_spec *spec)
{
    const struct codec_record *record = record_named(spec->schema);
    cq_auto(schema) struct schema_doc *doc = NULL;
    const struct schema *root;

    if (!record || schema_parse(span_str(codec_schema_json(record)), &doc, NULL, 0) != CQ_OK)
        return;
    root = schema_root(doc);
    for (size_t i = 0; i < root->n; i++) {
        const struct schema *fact = schema_value(root->fields[i].type);

        if (root->fields[i].one_of[0])
            fprintf(out, "| %s | `%s` | %s |\n", spec->name, fact->name, fact->doc);
    }
}

static void print_facts(FILE *out)
{
    fputs("\n## Facts\n\nA record of these public topics says one fact, in the field of its "
          "name:\n\n| topic | fact | what it says |\n|---|---|---|\n",
          out);
    for (size_t i = 0; i < TOPIC_N; i++)
        if (specs[i].public_log)
            print_facts_of(out, &specs[i]);
}

void topics_print_markdown(FILE *out)
{
    fputs("| topic | key | value | partitions | cleanup | kept | public | truth | dead letters | "
          "writers | readers |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < TOPIC_N; i++) {
        const struct topic_spec *spec = &specs[i];

        fprintf(out, "| %s | %s | %s | %s | %s | ", spec->name, spec->key, spec->schema,
                spec->width == TOPIC_BY_SLOTS ? "SLOTS" : "PARTITIONS", spec->cleanup);
        print_kept(out, spec);
        fprintf(out, " | %s | %s | ", spec->public_log ? "yes" : "no",
                spec->is_truth ? "yes" : "no");
        if (spec->has_dlq)
            fprintf(out, "%s%s", spec->name, DEAD_LETTER_SUFFIX);
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
        "the topic is cut, and the header `cut` has the lengths of the whole. *Truth* is what nobody can "
        "make again: with `DURABILITY=synced` it is synced before it is acknowledged, and so are "
        "dead letters.\n",
        DLQ_RETENTION_DAYS);
    fputs("\nThe topic `" TOPIC_SCHEMAS "` has one partition, is compacted and kept for ever: the "
          "schema of each version by its id (eight hex digits). `chasqui admin topics` writes it, "
          "before the roles of its build begin; every role reads it.\n",
          out);
    print_facts(out);
    print_rights(out);
}
