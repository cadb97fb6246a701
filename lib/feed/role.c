/* SPDX-License-Identifier: MIT */
#include "lib/feed/role.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"

enum {
    WAIT_MS = 100,
    REPEATS_MS = 10000, /* as /healthz has it; then turns that only repeat are a line … */
    TELL_MS = 60000,    /* … and one more each minute */
};

void feed_role_owned(void *arg, const char *topic, int32_t partition, int64_t from, bool ours)
{
    (void)arg;
    log_info(ours ? "assigned" : "revoked", LOG_S("topic", topic), LOG_I("partition", partition),
             LOG_I("from", from));
}

static enum cq_status open_feed(const struct feed_role *role, const volatile int *stop,
                                struct feed **ret)
{
    return feed_new(&(struct feed_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                         .database_url = setting_text(SET_DATABASE_URL),
                                         .consumer = role->consumer,
                                         .instance = setting_text(SET_INSTANCE),
                                         .topics = role->topics,
                                         .topics_n = role->topics_n,
                                         .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                         .outputs = role->outputs,
                                         .outputs_n = role->outputs_n,
                                         .notify = role->notify,
                                         .ops = role->ops,
                                         .arg = role->arg,
                                         .stop = stop },
                    ret);
}

static void tell_whole(const struct feed_role *role, const struct feed *feed, bool *incomplete)
{
    int64_t left = feed_stats(feed)->incomplete;

    if ((left != 0) == *incomplete)
        return;
    *incomplete = left != 0;
    if (left)
        log_info(role->incomplete, LOG_I("partitions", left));
    else
        log_info(role->filled);
}

/* Each one that begins to wait is named, also when another one goes on meanwhile. `told` is as it was
 * at the last call. */
static void tell_slow(const struct feed *feed, struct feed_stats *told)
{
    const struct feed_stats *stats = feed_stats(feed);

    if (stats->slow_begun > told->slow_begun)
        log_warn("partition_too_slow", LOG_I("partitions", stats->slow),
                 LOG_S("why", feed_again(feed)));
    else if (!stats->slow && told->slow)
        log_info("partitions_go_on");
    *told = *stats;
}

static void tell_repeats(const struct feed *feed, int64_t *told_ms)
{
    int64_t now = clock_mono_ms();
    int64_t repeating_ms = count_repeating_ms(now);

    if (repeating_ms < REPEATS_MS) {
        *told_ms = 0;
        return;
    }
    if (*told_ms && now - *told_ms < TELL_MS)
        return;
    *told_ms = now;
    log_warn("turns_repeat", LOG_I("seconds", repeating_ms / 1000), LOG_S("why", feed_again(feed)));
}

int feed_role_run(const struct feed_role *role, enum cq_status st, const volatile int *stop)
{
    struct feed *feed = NULL;
    bool incomplete = false;
    struct feed_stats told = { 0 };
    int64_t told_ms = 0;

    if (st == CQ_OK)
        st = open_feed(role, stop, &feed);
    if (st == CQ_OK)
        st = feed_join(feed);
    if (st == CQ_OK)
        log_info("ready");
    while (st == CQ_OK && !*stop) {
        st = feed_turn(feed, WAIT_MS);
        tell_whole(role, feed, &incomplete);
        tell_slow(feed, &told);
        tell_repeats(feed, &told_ms);
    }
    if (st != CQ_OK)
        log_ended(cq_status_name(st),
                  feed ? feed_error(feed) : "no memory, or Kafka's client refused its settings");
    feed_free(feed);
    return st == CQ_OK || *stop ? 0 : 1;
}
