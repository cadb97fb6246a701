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

struct partition_end {
    struct cq_span topic;
    int32_t partition;
    int64_t until;
};

static const struct pg_column end_columns[] = {
    PG_COLUMN(partition_end, topic, "topic"),
    PG_COLUMN(partition_end, partition, "partition"),
    PG_COLUMN(partition_end, until, "until"),
};

/* Those that have anything. */
static enum cq_status ask_ends(struct feed *feed, struct partition_end *ends, size_t *ret_n)
{
    size_t n = 0;

    for (size_t which = 0; which < feed->conf.topics_n; which++)
        for (int32_t p = 0; p < feed->conf.partitions; p++) {
            const char *topic = feed->conf.topics[which].name;
            int64_t first, next;
            enum cq_status st = reader_watermarks(feed->reader, topic, p, &first, &next);

            if (st != CQ_OK)
                return st;
            if (next != first)
                ends[n++] = (struct partition_end){ span_str(topic), p, next };
        }
    *ret_n = n;
    return CQ_OK;
}

static enum cq_status write_ends(struct feed *feed, struct pg_params *params,
                                 const struct partition_end *ends, size_t n)
{
    cq_auto(pgresult) struct pg_result *begun = NULL;
    enum cq_status st = pg_script(feed->pg, "BEGIN");

    pg_params_clear(params);
    pg_add_text(params, span_str(feed->conf.consumer));
    if (st == CQ_OK)
        st = pg_run(feed->pg, sql_begin, params, &begun);
    if (st == CQ_OK && pg_affected(begun) == 0)
        return pg_script(feed->pg, "ROLLBACK");
    pg_add_columns(params, end_columns, ARRAY_LEN(end_columns), ends, sizeof *ends, n);
    if (st == CQ_OK)
        st = pg_run(feed->pg, sql_ends, params, NULL);
    return st == CQ_OK ? pg_script(feed->pg, "COMMIT") : st;
}

static enum cq_status say_ends(struct feed *feed, struct pg_params *params)
{
    struct partition_end *ends =
        calloc(feed->conf.topics_n * (size_t)feed->conf.partitions, sizeof *ends);
    size_t n = 0;
    enum cq_status st = ends ? ask_ends(feed, ends, &n) : CQ_FATAL;

    if (st == CQ_OK)
        st = write_ends(feed, params, ends, n);
    free(ends);
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
static enum cq_status look_behind(struct feed *feed, struct pg_params *params, const char *topic,
                                  int32_t partition, int64_t until)
{
    const struct hold *hold = holds_find(&feed->holds, topic, partition);
    struct feed_part *part = hold ? parts_of(&feed->parts, hold) : NULL;
    bool still = hold && hold->owned && !part->held && part->looked == hold->taken;
    enum cq_status st;

    if (hold)
        part->looked = hold->taken;
    if (!still)
        return CQ_OK;
    st = reader_scan(feed->reader, topic, partition, hold->taken, until, found_one, NULL);
    if (st != CQ_OK)
        return st == CQ_POISON ? CQ_OK : st;
    pg_params_clear(params);
    pg_add_text(params, span_str(feed->conf.consumer));
    pg_add_text(params, span_str(topic));
    pg_add_i32(params, partition);
    return pg_run(feed->pg, sql_nothing_left, params, NULL);
}

static enum cq_status take_away(struct feed *feed, struct pg_params *params,
                                const struct pg_result *rows)
{
    bool passed = false;
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        char topic[BUS_NAME_MAX];

        snprintf(topic, sizeof topic, "%.*s", SPAN_FMT(pg_bytes(rows, i, 1)));
        if (pg_bool(rows, i, 4))
            passed = true;
        else
            st = look_behind(feed, params, topic, (int32_t)pg_i64(rows, i, 2), pg_i64(rows, i, 3));
    }
    if (st != CQ_OK || !passed)
        return st;
    pg_params_clear(params);
    pg_add_text(params, span_str(feed->conf.consumer));
    return pg_run(feed->pg, sql_passed, params, NULL);
}

/* ---- looking -------------------------------------------------------------------------- */

static enum cq_status look(struct feed *feed, struct pg_params *params)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_text(params, span_str(feed->conf.consumer));
    st = pg_run(feed->pg, sql_look, params, &rows);
    if (st != CQ_OK)
        return st;
    if (feed->view && feed->view != pg_i64(rows, 0, 0))
        return feed_fatal(feed, "the view was made anew", "this role begins again with it");
    feed->view = pg_i64(rows, 0, 0);
    feed->stats.incomplete = pg_null(rows, 0, 1) ? 0 : pg_rows(rows);
    if (!feed->stats.incomplete)
        return CQ_OK;
    if (pg_bytes(rows, 0, 1).n)
        return take_away(feed, params, rows);
    st = say_ends(feed, params);
    return st == CQ_OK ? look(feed, params) : st; /* of an empty log nothing is left */
}

enum cq_status whole_look(struct feed *feed)
{
    struct pg_params params;
    enum cq_status st = CQ_OK;

    if (feed->looked_ms && clock_mono_ms() - feed->looked_ms < LOOK_EVERY_MS)
        return CQ_OK;
    feed->looked_ms = clock_mono_ms();
    pg_params_init(&params, PARAMS_BYTES);
    st = own_database(feed);
    if (st == CQ_OK)
        st = look(feed, &params);
    pg_params_release(&params);
    return st == CQ_POISON ? CQ_FATAL : st;
}
