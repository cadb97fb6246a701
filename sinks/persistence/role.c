/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/role.h"

#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/feed/feed.h"
#include "schemas/codec.h"
#include "schemas/topics.h"
#include "sinks/persistence/write.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, PARAMS_BYTES = 64 * 1024 * 1024, WAIT_MS = 100 };

struct persistence {
    struct rows *rows;
    struct cq_arena *arena; /* of the turn */
    struct pg_params params;
    bool repeated; /* the turn has messages that stand already */
};

static void on_begin(void *arg)
{
    struct persistence *x = arg;

    rows_clear(x->rows);
    arena_reset(x->arena);
}

/* chat.events and user.events may repeat after a crash: what this partition has applied is skipped
 * by its source. */
static enum cq_status map_chat(struct persistence *x, const struct bus_record *in, int64_t applied,
                               int64_t *ret_source, const char **ret_why)
{
    struct chat_event e;
    enum cq_status st = codec_decode(&chat_event_codec, in->value, x->arena, &e, ret_why);

    if (st != CQ_OK)
        return st;
    *ret_source = e.source.offset;
    if (e.source.offset <= applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return rows_chat_event(x->rows, &e);
}

/* One action makes up to two facts about a user, so an equal source is no repeat by itself; the
 * rows decide. */
static enum cq_status map_user(struct persistence *x, const struct bus_record *in, int64_t applied,
                               int64_t *ret_source, const char **ret_why)
{
    struct user_event e;
    enum cq_status st = codec_decode(&user_event_codec, in->value, x->arena, &e, ret_why);

    if (st != CQ_OK)
        return st;
    *ret_source = e.source.offset;
    if (e.source.offset < applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return rows_user_event(x->rows, &e);
}

/* A compacted topic of current values: the value holds, repeated or not. */
static enum cq_status map_target(struct persistence *x, const struct bus_record *in,
                                 int64_t *ret_source, const char **ret_why)
{
    struct push_target *t = ARENA_NEW(x->arena, struct push_target);
    enum cq_status st;

    if (!in->value.p)
        return rows_push_gone(x->rows, in->key);
    if (!t)
        return CQ_AGAIN;
    st = codec_decode(&push_target_codec, in->value, x->arena, t, ret_why);
    if (st != CQ_OK)
        return st;
    *ret_source = t->source.offset;
    return rows_push_target(x->rows, t);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct persistence *x = arg;
    struct rejection rejection;
    enum cq_status st;

    (void)quiet;
    *ret_why = "cannot be decoded";
    if (strcmp(in->topic, topic_name(TOPIC_CHAT_EVENTS)) == 0)
        return map_chat(x, in, applied, ret_source, ret_why);
    if (strcmp(in->topic, topic_name(TOPIC_USER_EVENTS)) == 0)
        return map_user(x, in, applied, ret_source, ret_why);
    if (strcmp(in->topic, topic_name(TOPIC_PUSH_TARGETS)) == 0)
        return map_target(x, in, ret_source, ret_why);
    st = codec_decode(&rejection_codec, in->value, x->arena, &rejection, ret_why);
    if (st != CQ_OK)
        return st;
    *ret_source = rejection.source.offset;
    return rows_rejection(x->rows, &rejection);
}

static enum cq_status on_write(void *arg, struct pg *c, struct producer *p, const char **ret_why)
{
    struct persistence *x = arg;
    enum cq_status st = rows_write(x->rows, c, &x->params, x->repeated);

    (void)p;
    (void)ret_why;
    if (st != CQ_POISON || x->repeated || strcmp(pg_sqlstate(c), "23505") != 0)
        return st;
    x->repeated = true;
    return CQ_AGAIN;
}

static void on_applied(void *arg)
{
    struct persistence *x = arg;

    x->repeated = false;
}

static void on_owned(void *arg, const char *topic, int32_t partition, int64_t from, bool ours)
{
    (void)arg;
    log_info(ours ? "assigned" : "revoked", LOG_S("topic", topic), LOG_I("partition", partition),
             LOG_I("from", from));
}

static const struct feed_ops ops = {
    .begin = on_begin, .step = on_step, .write = on_write, .applied = on_applied, .owned = on_owned
};

static enum cq_status open_feed(struct persistence *x, const volatile int *stop, struct feed **ret)
{
    static const struct feed_topic topics[] = {
        { "chat.events", false, "chat.actions" },
        { "rejections", true, "chat.actions" },
        { "user.events", false, "user.inbox" },
        { "push.targets", true, "user.inbox" },
    };

    return feed_new(&(struct feed_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                         .database_url = setting_text(SET_DATABASE_URL),
                                         .consumer = "persistence",
                                         .instance = setting_text(SET_INSTANCE),
                                         .topics = topics,
                                         .topics_n = ARRAY_LEN(topics),
                                         .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                         .notify = "applied",
                                         .ops = &ops,
                                         .arg = x,
                                         .stop = stop },
                    ret);
}

static void tell_whole(const struct feed *f, bool *incomplete)
{
    int64_t left = feed_stats(f)->incomplete;

    if ((left != 0) == *incomplete)
        return;
    *incomplete = left != 0;
    if (left)
        log_info("view_incomplete", LOG_I("partitions", left));
    else
        log_info("view_filled");
}

int persistence_role_run(const volatile int *stop)
{
    struct persistence x = { .rows = rows_new(), .arena = arena_new(ARENA_BYTES) };
    struct feed *feed = NULL;
    bool incomplete = false;
    enum cq_status st;

    pg_params_init(&x.params, PARAMS_BYTES);
    st = x.rows ? open_feed(&x, stop, &feed) : CQ_FATAL;
    if (st == CQ_OK)
        st = feed_join(feed);
    if (st == CQ_OK)
        log_info("ready");
    while (st == CQ_OK && !*stop) {
        st = feed_turn(feed, WAIT_MS);
        tell_whole(feed, &incomplete);
    }
    if (st != CQ_OK)
        log_ended(cq_status_name(st),
                  feed ? feed_error(feed) : "no memory, or Kafka's client refused its settings");
    feed_free(feed);
    rows_free(x.rows);
    arena_free(x.arena);
    pg_params_release(&x.params);
    return st == CQ_OK || *stop ? 0 : 1;
}
