/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/role.c - the role `persistence`: chat.events, rejections, user.events and
 * push.targets into the view.
 */
#include "lib/feed/role.h"
#include "lib/base/count.h"
#include "lib/base/partitions.h"
#include "lib/base/roles.h"
#include "schemas/codec.h"
#include "schemas/topics.h"
#include "sinks/persistence/due.h"
#include "sinks/persistence/rejected.h"
#include "sinks/persistence/write.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, PARAMS_BYTES = 64 * 1024 * 1024 };

struct persistence {
    struct rows *rows;
    struct cq_arena *arena; /* of the turn */
    struct pg_params params;
    bool repeated;              /* the turn has messages that stand already */
    bool owned[PARTITIONS_MAX]; /* partitions of chat.events */
};

static void on_begin(void *arg)
{
    struct persistence *role = arg;

    rows_clear(role->rows);
    arena_reset(role->arena);
}

/* chat.events and user.events may repeat after a crash: what this partition has applied is skipped
 * by its source. */
static enum cq_status map_chat(struct persistence *role, const struct bus_record *in,
                               int64_t applied, int64_t *ret_source, const char **ret_why)
{
    struct chat_event event;
    enum cq_status st = codec_decode(&chat_event_codec, in->value, role->arena, &event, ret_why);

    if (st != CQ_OK)
        return st;
    *ret_source = event.source.offset;
    if (event.source.offset <= applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return rows_chat_event(role->rows, &event);
}

/* One action makes up to two facts about a user, so an equal source is no repeat by itself; the
 * rows decide. */
static enum cq_status map_user(struct persistence *role, const struct bus_record *in,
                               int64_t applied, int64_t *ret_source, const char **ret_why)
{
    struct user_event event;
    enum cq_status st = codec_decode(&user_event_codec, in->value, role->arena, &event, ret_why);

    if (st != CQ_OK)
        return st;
    *ret_source = event.source.offset;
    if (event.source.offset < applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return rows_user_event(role->rows, &event);
}

/* A compacted topic of current values: the value holds, repeated or not. */
static enum cq_status map_target(struct persistence *role, const struct bus_record *in,
                                 int64_t *ret_source, const char **ret_why)
{
    struct push_target *target = ARENA_NEW(role->arena, struct push_target);
    enum cq_status st;

    if (!in->value.p)
        return rows_push_gone(role->rows, in->key);
    if (!target)
        return CQ_AGAIN;
    st = codec_decode(&push_target_codec, in->value, role->arena, target, ret_why);
    if (st != CQ_OK)
        return st;
    *ret_source = target->source.offset;
    return rows_push_target(role->rows, target);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct persistence *role = arg;
    struct rejection rejection;
    enum cq_status st;

    (void)quiet;
    if (strcmp(in->topic, topic_name(TOPIC_CHAT_EVENTS)) == 0)
        return map_chat(role, in, applied, ret_source, ret_why);
    if (strcmp(in->topic, topic_name(TOPIC_USER_EVENTS)) == 0)
        return map_user(role, in, applied, ret_source, ret_why);
    if (strcmp(in->topic, topic_name(TOPIC_PUSH_TARGETS)) == 0)
        return map_target(role, in, ret_source, ret_why);
    st = codec_decode(&rejection_codec, in->value, role->arena, &rejection, ret_why);
    if (st != CQ_OK)
        return st;
    *ret_source = rejection.source.offset;
    return rows_rejection(role->rows, &rejection);
}

static enum cq_status on_write(void *arg, struct pg *db, struct producer *producer,
                               const char **ret_why)
{
    struct persistence *role = arg;
    enum cq_status st = rows_write(role->rows, db, &role->params, role->repeated);

    (void)producer;
    (void)ret_why;
    if (st != CQ_POISON || role->repeated || strcmp(pg_sqlstate(db), "23505") != 0)
        return st;
    role->repeated = true;
    return CQ_AGAIN;
}

static void on_applied(void *arg)
{
    struct persistence *role = arg;

    role->repeated = false;
}

static void on_owned(void *arg, const char *topic, int32_t partition, int64_t from, bool ours)
{
    struct persistence *role = arg;

    if (strcmp(topic, topic_name(TOPIC_CHAT_EVENTS)) == 0)
        role->owned[partition] = ours;
    feed_role_owned(arg, topic, partition, from, ours);
}

/* Those below `n` whose partition is one of ours: partitions, or parts. */
static size_t find_owned(const struct persistence *role, int32_t n, int32_t partitions,
                         int32_t *ret)
{
    size_t found = 0;

    for (int32_t i = 0; i < n; i++)
        if (role->owned[i % partitions])
            ret[found++] = i;
    return found;
}

/* The rows of a part are emptied, and those of a partition swept, by whoever writes them. */
static enum cq_status on_spare(void *arg, struct pg *db, int32_t partitions, int *ret_wait_ms)
{
    struct persistence *role = arg;
    int32_t owned[CQ_PARTS];
    bool full = false, more = false;
    size_t n = find_owned(role, CQ_PARTS, partitions, owned);
    enum cq_status st = n ? due_empty(db, &role->params, owned, n, &full) : CQ_OK;

    n = find_owned(role, partitions, partitions, owned);
    if (st == CQ_OK && n)
        st = rejected_sweep(db, &role->params, owned, n, &more);
    *ret_wait_ms = full || more ? 0 : DUE_EVERY_MS;
    return st;
}

static const struct feed_ops ops = { .begin = on_begin,
                                     .step = on_step,
                                     .write = on_write,
                                     .applied = on_applied,
                                     .owned = on_owned,
                                     .spare = on_spare };

int persistence_role_run(const volatile int *stop)
{
    static const struct feed_topic topics[] = {
        { "chat.events", false, "chat.actions" },
        { "rejections", true, "chat.actions" },
        { "user.events", false, "user.inbox" },
        { "push.targets", true, "user.inbox" },
    };
    struct persistence persistence = { .rows = rows_new(), .arena = arena_new(ARENA_BYTES) };
    const struct feed_role role = { .consumer = "persistence",
                                    .topics = topics,
                                    .topics_n = ARRAY_LEN(topics),
                                    .notify = "applied",
                                    .ops = &ops,
                                    .arg = &persistence,
                                    .incomplete = "view_incomplete",
                                    .filled = "view_filled" };
    int code;

    pg_params_init(&persistence.params, PARAMS_BYTES);
    code = feed_role_run(&role, persistence.rows ? CQ_OK : CQ_FATAL, stop);
    rows_free(persistence.rows);
    arena_free(persistence.arena);
    pg_params_release(&persistence.params);
    return code;
}
