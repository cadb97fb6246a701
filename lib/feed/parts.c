/* SPDX-License-Identifier: MIT */
#include "lib/feed/parts.h"

#include "lib/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARAMS_BYTES = 1024 * 1024, NOTE_MAX = BUS_NAME_MAX + 40 };

static const char sql_load[] =
    "SELECT p.next, p.source_next, COALESCE(r.until, 0) FROM view.positions p "
    "LEFT JOIN view.rebuild r USING (consumer, topic, partition) "
    "WHERE p.consumer = $1 AND p.topic = $2 AND p.partition = $3";

static const char sql_insert[] = "INSERT INTO view.positions (consumer, topic, partition, next) "
                                 "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

static const char sql_reload[] =
    "SELECT topic, partition, next, source_next FROM view.positions WHERE consumer = $1";

static const char sql_move[] =
    "UPDATE view.positions p SET next = w.next, "
    "source_next = GREATEST(p.source_next, w.source_next) "
    "FROM unnest($2::text[], $3::int4[], $4::int8[], $5::int8[], $6::int8[]) "
    "AS w(topic, partition, expected, next, source_next) "
    "WHERE p.consumer = $1 AND p.topic = w.topic AND p.partition = w.partition "
    "AND p.next = w.expected";

static const char sql_notify[] = "SELECT pg_notify($1, w) FROM unnest($2::text[]) AS w";

struct feed_touched {
    struct cq_span topic[FEED_TOPICS_MAX * PARTITIONS_MAX];
    int32_t partition[FEED_TOPICS_MAX * PARTITIONS_MAX];
    int64_t expected[FEED_TOPICS_MAX * PARTITIONS_MAX];
    int64_t next[FEED_TOPICS_MAX * PARTITIONS_MAX];
    int64_t source_next[FEED_TOPICS_MAX * PARTITIONS_MAX];
    size_t n;
};

enum cq_status parts_init(struct feed_parts *ps, const struct feed_conf *conf)
{
    if (conf->topics_n > FEED_TOPICS_MAX)
        return CQ_FATAL;
    ps->conf = conf;
    ps->v = calloc(conf->topics_n * PARTITIONS_MAX, sizeof *ps->v);
    ps->touched = calloc(1, sizeof *ps->touched);
    pg_params_init(&ps->params, PARAMS_BYTES);
    return ps->v && ps->touched ? CQ_OK : CQ_FATAL;
}

void parts_release(struct feed_parts *ps)
{
    free(ps->v);
    free(ps->touched);
    ps->v = NULL;
    ps->touched = NULL;
    pg_params_release(&ps->params);
}

struct feed_part *parts_get(struct feed_parts *ps, const char *topic, int32_t partition)
{
    if (partition < 0 || partition >= PARTITIONS_MAX)
        return NULL;
    for (size_t t = 0; t < ps->conf->topics_n; t++)
        if (strcmp(ps->conf->topics[t].name, topic) == 0)
            return parts_at(ps, t, partition);
    return NULL;
}

struct feed_part *parts_next(struct feed_parts *ps, size_t *at, size_t *ret_topic,
                             int32_t *ret_partition)
{
    size_t width = (size_t)ps->width;

    if (*at == ps->conf->topics_n * width)
        return NULL;
    *ret_topic = *at / width;
    *ret_partition = (int32_t)(*at % width);
    ++*at;
    return parts_at(ps, *ret_topic, *ret_partition);
}

enum cq_status parts_load(struct feed_parts *ps, struct pg *c, const char *topic, int32_t partition,
                          int64_t first, struct feed_part *p)
{
    struct pg_params *pp = &ps->params;

    for (int tries = 0; tries < 2; tries++) {
        cq_auto(pgresult) struct pg_result *res = NULL;
        enum cq_status st;

        pg_params_clear(pp);
        pg_add_text(pp, span_str(ps->conf->consumer));
        pg_add_text(pp, span_str(topic));
        pg_add_i32(pp, partition);
        st = pg_run(c, sql_load, pp, &res);
        if (st != CQ_OK)
            return st;
        if (pg_rows(res)) {
            p->next = pg_i64(res, 0, 0);
            p->source = pg_i64(res, 0, 1) - 1;
            p->until = pg_i64(res, 0, 2);
            if (ps->width <= partition)
                ps->width = partition + 1;
            return CQ_OK;
        }
        pg_add_i64(pp, first);
        st = pg_run(c, sql_insert, pp, NULL);
        if (st != CQ_OK)
            return st;
    }
    return CQ_AGAIN; /* somebody deletes rows as fast as we make them */
}

enum cq_status parts_reload(struct feed_parts *ps, struct pg *c, parts_moved_fn *fn, void *arg)
{
    cq_auto(pgresult) struct pg_result *res = NULL;
    struct feed_part *p;
    enum cq_status st;
    size_t topic_at;
    int32_t partition;
    int found = 0, owned = 0;

    pg_params_clear(&ps->params);
    pg_add_text(&ps->params, span_str(ps->conf->consumer));
    st = pg_run(c, sql_reload, &ps->params, &res);
    for (int i = 0; st == CQ_OK && i < pg_rows(res); i++) {
        char topic[BUS_NAME_MAX];
        int64_t next = pg_i64(res, i, 2);
        ptrdiff_t at;

        snprintf(topic, sizeof topic, "%.*s", SPAN_FMT(pg_bytes(res, i, 0)));
        p = parts_get(ps, topic, (int32_t)pg_i64(res, i, 1));
        if (!p || !p->owned)
            continue;
        found++;
        if (next < p->next)
            return CQ_FATAL; /* the view was replaced under us: begin anew from what it says */
        at = p - ps->v;
        if (next > p->next)
            st = fn(arg, (size_t)(at / PARTITIONS_MAX), (int32_t)(at % PARTITIONS_MAX), p, next,
                    pg_i64(res, i, 3) - 1);
    }
    for (size_t at = 0; (p = parts_next(ps, &at, &topic_at, &partition)) != NULL;)
        owned += p->owned;
    return st == CQ_OK && found != owned ? CQ_FATAL : st;
}

static void touched_gather(struct feed_parts *ps, struct feed_touched *t)
{
    const struct feed_part *p;
    size_t topic;
    int32_t partition;

    t->n = 0;
    for (size_t at = 0; (p = parts_next(ps, &at, &topic, &partition)) != NULL;) {
        if (p->turn_next < 0)
            continue;
        CQ_ASSERT(t->n < ARRAY_LEN(t->topic), t->n);
        t->topic[t->n] = span_str(ps->conf->topics[topic].name);
        t->partition[t->n] = partition;
        t->expected[t->n] = p->next;
        t->next[t->n] = p->turn_next;
        t->source_next[t->n++] = (p->turn_source > p->source ? p->turn_source : p->source) + 1;
    }
}

/* Notifications leave with the commit, so whoever hears one sees the rows. */
static enum cq_status notify(struct feed_parts *ps, struct pg *c, const struct feed_touched *t)
{
    char(*text)[NOTE_MAX] = calloc(t->n, sizeof *text);
    struct cq_span *notes = calloc(t->n, sizeof *notes);
    enum cq_status st = CQ_FATAL;

    if (text && notes) {
        for (size_t i = 0; i < t->n; i++) {
            snprintf(text[i], NOTE_MAX, "%.*s:%d:%lld", SPAN_FMT(t->topic[i]), t->partition[i],
                     (long long)t->source_next[i]);
            notes[i] = span_str(text[i]);
        }
        pg_params_clear(&ps->params);
        pg_add_text(&ps->params, span_str(ps->conf->notify));
        pg_add_text_array(&ps->params, notes, NULL, t->n);
        st = pg_run(c, sql_notify, &ps->params, NULL);
    }
    free(text);
    free(notes);
    return st;
}

enum cq_status parts_move(struct feed_parts *ps, struct pg *c, bool *ret_moved)
{
    struct feed_touched *t = ps->touched;
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st;

    touched_gather(ps, t);
    pg_params_clear(&ps->params);
    pg_add_text(&ps->params, span_str(ps->conf->consumer));
    pg_add_text_array(&ps->params, t->topic, NULL, t->n);
    pg_add_i32_array(&ps->params, t->partition, t->n);
    pg_add_i64_array(&ps->params, t->expected, t->n);
    pg_add_i64_array(&ps->params, t->next, t->n);
    pg_add_i64_array(&ps->params, t->source_next, t->n);
    st = pg_run(c, sql_move, &ps->params, &res);
    if (st != CQ_OK)
        return st;
    *ret_moved = pg_affected(res) == (int64_t)t->n;
    return *ret_moved && ps->conf->notify ? notify(ps, c, t) : CQ_OK;
}
