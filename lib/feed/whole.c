/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/whole.c - whether the view is whole: it has everything that the log had when its sinks
 * began to fill it. A fresh view says by itself that it is not (view.incomplete, which its
 * migration fills); the feeds add what is still to come, and remove it as they pass it.
 */
#include "lib/base/clock.h"
#include "lib/feed/state.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_EVERY_MS = 1000, PARAMS_BYTES = 256 * 1024 };

/* The table's id: another one is another view. A row with nulls when nothing is lacking. */
static const char sql_look[] =
    "SELECT 'view.positions'::regclass::oid::int8, i.topic, i.partition, i.until, "
    "coalesce(p.next >= i.until, false) FROM (SELECT 1) one LEFT JOIN view.incomplete i "
    "ON i.consumer = $1 LEFT JOIN view.positions p ON p.consumer = i.consumer "
    "AND p.topic = i.topic AND p.partition = i.partition";

/* Two copies may come to it at once: one finds the row. */
static const char sql_begin[] = "DELETE FROM view.incomplete WHERE consumer = $1 AND topic = ''";

static const char sql_ends[] = "INSERT INTO view.incomplete (consumer, topic, partition, until) "
                               "SELECT $1, * FROM unnest($2::text[], $3::int4[], $4::int8[])";

static const char sql_passed[] =
    "DELETE FROM view.incomplete i USING view.positions p WHERE i.consumer = $1 "
    "AND p.consumer = $1 AND p.topic = i.topic AND p.partition = i.partition AND p.next >= i.until";

static const char sql_nothing_left[] =
    "DELETE FROM view.incomplete WHERE consumer = $1 AND topic = $2 AND partition = $3";

/* ---- where the partitions end --------------------------------------------------------- */

struct ends {
    struct cq_span *topic;
    int32_t *partition;
    int64_t *until;
    size_t n;
};

/* Those that have anything. */
static enum cq_status ask_ends(struct feed *f, struct ends *e)
{
    for (size_t t = 0; t < f->conf.topics_n; t++)
        for (int32_t p = 0; p < f->conf.partitions; p++) {
            const char *topic = f->conf.topics[t].name;
            int64_t first, next;
            enum cq_status st = reader_watermarks(f->reader, topic, p, &first, &next);

            if (st != CQ_OK)
                return st;
            if (next == first)
                continue;
            e->topic[e->n] = span_str(topic);
            e->partition[e->n] = p;
            e->until[e->n++] = next;
        }
    return CQ_OK;
}

static enum cq_status write_ends(struct feed *f, struct pg_params *p, const struct ends *e)
{
    cq_auto(pgresult) struct pg_result *begun = NULL;
    enum cq_status st = pg_script(f->pg, "BEGIN");

    pg_params_clear(p);
    pg_add_text(p, span_str(f->conf.consumer));
    if (st == CQ_OK)
        st = pg_run(f->pg, sql_begin, p, &begun);
    if (st == CQ_OK && pg_affected(begun) == 0)
        return pg_script(f->pg, "ROLLBACK");
    pg_add_text_array(p, e->topic, NULL, e->n);
    pg_add_i32_array(p, e->partition, e->n);
    pg_add_i64_array(p, e->until, e->n);
    if (st == CQ_OK)
        st = pg_run(f->pg, sql_ends, p, NULL);
    return st == CQ_OK ? pg_script(f->pg, "COMMIT") : st;
}

static enum cq_status say_ends(struct feed *f, struct pg_params *p)
{
    size_t max = f->conf.topics_n * (size_t)f->conf.partitions;
    struct ends e = { calloc(max, sizeof *e.topic), calloc(max, sizeof *e.partition),
                      calloc(max, sizeof *e.until), 0 };
    enum cq_status st = e.topic && e.partition && e.until ? ask_ends(f, &e) : CQ_FATAL;

    if (st == CQ_OK)
        st = write_ends(f, p, &e);
    free(e.topic);
    free(e.partition);
    free(e.until);
    return st;
}

/* ---- what is passed ------------------------------------------------------------------- */

static enum cq_status found_one(void *arg, const struct bus_record *rec)
{
    (void)arg;
    (void)rec;
    return CQ_POISON; /* that it is there is all that is asked */
}

/* Compaction and expiry may take a partition's last records, and then no position ever reaches
 * `until`: whether there are any is asked once a partition of ours stands still with nothing held.
 */
static enum cq_status look_behind(struct feed *f, struct pg_params *params, const char *topic,
                                  int32_t partition, int64_t until)
{
    struct feed_part *p = parts_get(&f->parts, topic, partition);
    bool still = p && p->owned && !p->held && p->looked == p->polled;
    enum cq_status st;

    if (p)
        p->looked = p->polled;
    if (!still)
        return CQ_OK;
    st = reader_scan(f->reader, topic, partition, p->polled, until, found_one, NULL);
    if (st != CQ_OK)
        return st == CQ_POISON ? CQ_OK : st;
    pg_params_clear(params);
    pg_add_text(params, span_str(f->conf.consumer));
    pg_add_text(params, span_str(topic));
    pg_add_i32(params, partition);
    return pg_run(f->pg, sql_nothing_left, params, NULL);
}

static enum cq_status take_away(struct feed *f, struct pg_params *p, const struct pg_result *rows)
{
    bool passed = false;
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        char topic[BUS_NAME_MAX];

        snprintf(topic, sizeof topic, "%.*s", SPAN_FMT(pg_bytes(rows, i, 1)));
        if (pg_bool(rows, i, 4))
            passed = true;
        else
            st = look_behind(f, p, topic, (int32_t)pg_i64(rows, i, 2), pg_i64(rows, i, 3));
    }
    if (st != CQ_OK || !passed)
        return st;
    pg_params_clear(p);
    pg_add_text(p, span_str(f->conf.consumer));
    return pg_run(f->pg, sql_passed, p, NULL);
}

/* ---- looking -------------------------------------------------------------------------- */

static enum cq_status look(struct feed *f, struct pg_params *p)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    pg_params_clear(p);
    pg_add_text(p, span_str(f->conf.consumer));
    st = pg_run(f->pg, sql_look, p, &rows);
    if (st != CQ_OK)
        return st;
    if (f->view && f->view != pg_i64(rows, 0, 0))
        return feed_fatal(f, "the view was made anew", "this role begins again with it");
    f->view = pg_i64(rows, 0, 0);
    f->stats.incomplete = pg_null(rows, 0, 1) ? 0 : pg_rows(rows);
    if (!f->stats.incomplete)
        return CQ_OK;
    if (pg_bytes(rows, 0, 1).n)
        return take_away(f, p, rows);
    st = say_ends(f, p);
    return st == CQ_OK ? look(f, p) : st; /* of an empty log nothing is left */
}

enum cq_status whole_look(struct feed *f)
{
    struct pg_params params;
    enum cq_status st = CQ_OK;

    if (f->looked_ms && clock_mono_ms() - f->looked_ms < LOOK_EVERY_MS)
        return CQ_OK;
    f->looked_ms = clock_mono_ms();
    pg_params_init(&params, PARAMS_BYTES);
    st = own_database(f);
    if (st == CQ_OK)
        st = look(f, &params);
    pg_params_release(&params);
    return st == CQ_POISON ? CQ_FATAL : st;
}
