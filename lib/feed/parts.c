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
    struct cq_span topic;
    int32_t partition;
    int64_t expected, next, source_next;
};

static const struct pg_column touched_columns[] = {
    PG_COLUMN(feed_touched, topic, "topic"),
    PG_COLUMN(feed_touched, partition, "partition"),
    PG_COLUMN(feed_touched, expected, "expected"),
    PG_COLUMN(feed_touched, next, "next"),
    PG_COLUMN(feed_touched, source_next, "source_next"),
};

enum cq_status parts_init(struct feed_parts *ps, const struct feed_conf *conf, struct holds *holds)
{
    ps->conf = conf;
    ps->holds = holds;
    ps->v = calloc(conf->topics_n * PARTITIONS_MAX, sizeof *ps->v);
    ps->touched = calloc(conf->topics_n * PARTITIONS_MAX, sizeof *ps->touched);
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

enum cq_status parts_load(struct feed_parts *ps, struct pg *db, struct hold *hold, int64_t first)
{
    struct pg_params *pp = &ps->params;
    struct feed_part *part = parts_of(ps, hold);

    for (int tries = 0; tries < 2; tries++) {
        cq_auto(pgresult) struct pg_result *res = NULL;
        enum cq_status st;

        pg_params_clear(pp);
        pg_add_text(pp, span_str(ps->conf->consumer));
        pg_add_text(pp, span_str(hold->topic));
        pg_add_i32(pp, hold->partition);
        st = pg_run(db, sql_load, pp, &res);
        if (st != CQ_OK)
            return st;
        if (pg_rows(res)) {
            hold->next = pg_i64(res, 0, 0);
            part->source = pg_i64(res, 0, 1) - 1;
            part->until = pg_i64(res, 0, 2);
            return CQ_OK;
        }
        pg_add_i64(pp, first);
        st = pg_run(db, sql_insert, pp, NULL);
        if (st != CQ_OK)
            return st;
    }
    return CQ_AGAIN; /* somebody deletes rows as fast as we make them */
}

enum cq_status parts_reload(struct feed_parts *ps, struct pg *db, parts_moved_fn *fn, void *arg)
{
    cq_auto(pgresult) struct pg_result *res = NULL;
    struct hold *hold;
    enum cq_status st;
    int found = 0, owned = 0;

    pg_params_clear(&ps->params);
    pg_add_text(&ps->params, span_str(ps->conf->consumer));
    st = pg_run(db, sql_reload, &ps->params, &res);
    for (int i = 0; st == CQ_OK && i < pg_rows(res); i++) {
        char topic[BUS_NAME_MAX];
        int64_t next = pg_i64(res, i, 2);

        snprintf(topic, sizeof topic, "%.*s", SPAN_FMT(pg_bytes(res, i, 0)));
        hold = holds_find(ps->holds, topic, (int32_t)pg_i64(res, i, 1));
        if (!hold || !hold->owned)
            continue;
        found++;
        if (next < hold->next)
            return CQ_FATAL; /* the view was replaced under us: begin anew from what it says */
        if (next > hold->next)
            st = fn(arg, hold, next, pg_i64(res, i, 3) - 1);
    }
    for (size_t at = 0; holds_next(ps->holds, &at) != NULL;)
        owned++;
    return st == CQ_OK && found != owned ? CQ_FATAL : st;
}

static size_t touched_gather(struct feed_parts *ps)
{
    const struct hold *hold;
    size_t n = 0;

    for (size_t at = 0; (hold = holds_next(ps->holds, &at)) != NULL;) {
        const struct feed_part *part = parts_of(ps, hold);

        if (part->turn_next < 0)
            continue;
        CQ_ASSERT(n < ps->conf->topics_n * PARTITIONS_MAX, n);
        ps->touched[n++] = (struct feed_touched){
            .topic = span_str(hold->topic),
            .partition = hold->partition,
            .expected = hold->next,
            .next = part->turn_next,
            .source_next = parts_source(part) + 1,
        };
    }
    return n;
}

/* Notifications leave with the commit, so whoever hears one sees the rows. */
static enum cq_status notify(struct feed_parts *ps, struct pg *db, size_t n)
{
    char(*text)[NOTE_MAX] = calloc(n, sizeof *text);
    struct cq_span *notes = calloc(n, sizeof *notes);
    enum cq_status st = CQ_FATAL;

    if (text && notes) {
        for (size_t i = 0; i < n; i++) {
            const struct feed_touched *touched = &ps->touched[i];

            snprintf(text[i], NOTE_MAX, "%.*s:%d:%lld", SPAN_FMT(touched->topic),
                     touched->partition, (long long)touched->source_next);
            notes[i] = span_str(text[i]);
        }
        pg_params_clear(&ps->params);
        pg_add_text(&ps->params, span_str(ps->conf->notify));
        pg_add_text_array(&ps->params, notes, NULL, n);
        st = pg_run(db, sql_notify, &ps->params, NULL);
    }
    free(text);
    free(notes);
    return st;
}

enum cq_status parts_move(struct feed_parts *ps, struct pg *db, bool *ret_moved)
{
    size_t n = touched_gather(ps);
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st;

    pg_params_clear(&ps->params);
    pg_add_text(&ps->params, span_str(ps->conf->consumer));
    pg_add_columns(&ps->params, touched_columns, ARRAY_LEN(touched_columns), ps->touched,
                   sizeof *ps->touched, n);
    st = pg_run(db, sql_move, &ps->params, &res);
    if (st != CQ_OK)
        return st;
    *ret_moved = pg_affected(res) == (int64_t)n;
    return *ret_moved && ps->conf->notify ? notify(ps, db, n) : CQ_OK;
}
