/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"

#include "lib/base/clock.h"
#include "lib/base/partitions.h"

#include <stdio.h>

enum { WITHIN_MS = 60 * 1000 };

static void take_highest(void *arg, int32_t partition, int64_t next, const char *meta)
{
    int64_t *floor = arg;

    (void)meta;
    if (next > floor[partition])
        floor[partition] = next;
}

static enum cq_status check_one(struct reader *reader, const struct bus_watched *watched,
                                struct bus_cut *ret_cut)
{
    int64_t floor[PARTITIONS_MAX] = { 0 }, end[PARTITIONS_MAX];
    int32_t n = watched->partitions < PARTITIONS_MAX ? watched->partitions : PARTITIONS_MAX;
    enum cq_status st =
        reader_commits(reader, BUS_FLOOR_GROUP, watched->topic, n, take_highest, floor);

    for (size_t group = 0; st == CQ_OK && group < watched->groups_n && watched->groups[group];
         group++)
        st = reader_commits(reader, watched->groups[group], watched->topic, n, take_highest, floor);
    if (st == CQ_OK) /* after the commits: nobody commits what is not there yet */
        st = reader_ends(reader, watched->topic, n, end);
    for (int32_t p = 0; st == CQ_OK && p < n; p++) {
        if (end[p] >= floor[p])
            continue;
        *ret_cut = (struct bus_cut){ .partition = p, .end = end[p], .floor = floor[p] };
        snprintf(ret_cut->topic, sizeof ret_cut->topic, "%s", watched->topic);
        st = CQ_FATAL;
    }
    return st;
}

enum cq_status reader_check(struct reader *reader, const struct bus_watched *watched, size_t n,
                            struct bus_cut *ret_cut)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < n; i++)
        st = check_one(reader, &watched[i], ret_cut);
    return st;
}

enum cq_status bus_guard_check(struct bus_guard *guard, const struct producer *producer,
                               char *reterr, size_t reterr_n)
{
    uint64_t connects = producer_connects(producer);
    int64_t until_ms = clock_mono_ms() + WITHIN_MS;
    struct bus_cut cut;
    enum cq_status st = CQ_AGAIN;

    if (!guard->outputs_n || (guard->looked && guard->connects == connects))
        return CQ_OK;
    for (int i = 0; st == CQ_AGAIN; i++) {
        st = reader_check(guard->reader, guard->outputs, guard->outputs_n, &cut);
        if (st != CQ_AGAIN || !clock_left_ms(until_ms))
            break;
        clock_sleep_ms(backoff_ms(i, 50, 1000));
    }
    guard->looked = st == CQ_OK;
    guard->connects = connects;
    if (st == CQ_AGAIN)
        snprintf(reterr, reterr_n, "places of the readers of its outputs cannot be read");
    else if (st != CQ_OK)
        snprintf(reterr, reterr_n,
                 "log_was_cut: %s partition %d ends at %lld, before position %lld; it lost records",
                 cut.topic, cut.partition, (long long)cut.end, (long long)cut.floor);
    return st == CQ_OK ? CQ_OK : CQ_FATAL;
}
