/* SPDX-License-Identifier: MIT */
/*
 * sinks/search/role.c - the role `search`: chat.events into the tables that search begins from.
 */
#include "lib/feed/role.h"
#include "lib/base/count.h"
#include "lib/base/partitions.h"
#include "lib/base/roles.h"
#include "schemas/codec.h"
#include "schemas/topics.h"
#include "sinks/search/write.h"

enum {
    ARENA_BYTES = 16 * 1024 * 1024, /* of a record */
    PARAMS_BYTES = 16 * 1024 * 1024,
    SPARE_EVERY_MS = 1000,
};

struct search {
    struct texts *texts;
    struct cq_arena *arena;
    struct pg_params params;
    bool owned[PARTITIONS_MAX];
    int64_t tables; /* the id of its tables: others are made anew; 0: not asked yet */
};

static void on_begin(void *arg)
{
    struct search *search = arg;

    texts_clear(search->texts);
}

/* chat.events may repeat after a crash: what this partition has applied is skipped by its source. */
static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct search *search = arg;
    struct chat_event event;
    enum cq_status st;

    (void)quiet;
    arena_reset(search->arena);
    st = codec_decode(&chat_event_codec, in->value, search->arena, &event, ret_why);
    if (st == CQ_POISON)
        return CQ_OK; /* dead-lettered by the sink that keeps the view */
    if (st != CQ_OK)
        return st;
    *ret_source = event.source.offset;
    if (event.source.offset <= applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return texts_add(search->texts, &event);
}

static enum cq_status on_write(void *arg, struct pg *db, struct producer *producer,
                               const char **ret_why)
{
    struct search *search = arg;

    (void)producer;
    (void)ret_why;
    return texts_write(search->texts, db, &search->params);
}

static void on_owned(void *arg, const char *topic, int32_t partition, int64_t from, bool ours)
{
    struct search *search = arg;

    search->owned[partition] = ours;
    feed_role_owned(arg, topic, partition, from, ours);
}

/* Whoever made the tables anew has removed the positions, too: a role that goes on with its own would
 * leave out what is behind them. */
static enum cq_status look_at_tables(struct search *search, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, "SELECT 'search.words'::regclass::oid::int8", NULL, &rows);

    if (st != CQ_OK)
        return st;
    if (search->tables && search->tables != pg_i64(rows, 0, 0))
        return CQ_FATAL;
    search->tables = pg_i64(rows, 0, 0);
    return CQ_OK;
}

static enum cq_status on_spare(void *arg, struct pg *db, int32_t partitions, int *ret_wait_ms)
{
    struct search *search = arg;
    int32_t parts[CQ_PARTS];
    size_t n = 0;
    bool full = false;
    enum cq_status st = look_at_tables(search, db);

    for (int32_t part = 0; part < CQ_PARTS; part++)
        if (search->owned[part % partitions])
            parts[n++] = part;
    if (st == CQ_OK && n)
        st = texts_remove_due(db, &search->params, parts, n, &full);
    *ret_wait_ms = full ? 0 : SPARE_EVERY_MS;
    return st;
}

static const struct feed_ops ops = {
    .begin = on_begin,
    .step = on_step,
    .write = on_write,
    .owned = on_owned,
    .spare = on_spare,
};

int search_role_run(const volatile int *stop)
{
    static const struct feed_topic topics[] = { { "chat.events", false, "chat.actions" } };
    static struct search search;
    const struct feed_role role = { .consumer = "search",
                                    .topics = topics,
                                    .topics_n = ARRAY_LEN(topics),
                                    .ops = &ops,
                                    .arg = &search,
                                    .incomplete = "search_incomplete",
                                    .filled = "search_filled" };
    int code;

    search.texts = texts_new();
    search.arena = arena_new(ARENA_BYTES);
    pg_params_init(&search.params, PARAMS_BYTES);
    code = feed_role_run(&role, search.texts && search.arena ? CQ_OK : CQ_FATAL, stop);
    texts_free(search.texts);
    arena_free(search.arena);
    pg_params_release(&search.params);
    return code;
}
