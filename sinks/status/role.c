/* SPDX-License-Identifier: MIT */
#include "sinks/status/role.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/base/settings.h"
#include "lib/feed/feed.h"
#include "schemas/codec.h"
#include "schemas/delivery.h"
#include "schemas/topics.h"
#include "sinks/status/tell.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    PARAMS_BYTES = 16 * 1024 * 1024,
    WAIT_MS = 100,
    ASK_END_MS = 1000, /* how often the end of one partition of chat.actions is asked for … */
    ASK_EVERY_MS = 20, /* … and that of any */
};

struct status_role {
    struct bus_watched inbox; /* where it writes ticks */
    struct ticks *ticks;
    struct delivery *delivery;
    struct cq_arena *arena; /* of the turn */
    struct pg_params params;
    int64_t view_next[PARTITIONS_MAX]; /* one past the source of chat.events that the view has
                                          applied */
    struct reader *reader;             /* owned; of chat.actions */
    int64_t log_next[PARTITIONS_MAX];  /* its end, when it was last asked for … */
    int64_t asked_ms[PARTITIONS_MAX];  /* … and when that was; 0: never */
    int64_t asked_any_ms;
};

/* ---- waiting for the view ------------------------------------------------------------- */

static enum cq_status on_connected(void *arg, struct pg *c)
{
    (void)arg;
    return pg_script(c, "LISTEN applied");
}

static enum cq_status read_view(struct status_role *x, struct pg *c)
{
    static const char sql[] =
        "SELECT partition, source_next FROM view.positions WHERE consumer = 'persistence' "
        "AND topic = 'chat.events'";
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(c, sql, NULL, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        int64_t p = pg_i64(rows, i, 0);

        if (p >= 0 && p < PARTITIONS_MAX)
            x->view_next[p] = pg_i64(rows, i, 1);
    }
    return st;
}

/* Whether the log has what the receipt speaks of, so that the view will have it. Only what waits is
 * looked at, so the broker is asked seldom; while it does not answer, the receipt waits. */
static bool may_come(struct status_role *x, int32_t partition, int64_t offset)
{
    int64_t now_ms = clock_mono_ms(), first, next;

    if (offset < x->log_next[partition] || now_ms - x->asked_any_ms < ASK_EVERY_MS ||
        (x->asked_ms[partition] && now_ms - x->asked_ms[partition] < ASK_END_MS))
        return true;
    if (reader_watermarks(x->reader, topic_name(TOPIC_CHAT_ACTIONS), partition, &first, &next) ==
        CQ_OK)
        x->log_next[partition] = next;
    else
        next = INT64_MAX;
    x->asked_any_ms = x->asked_ms[partition] = clock_mono_ms();
    return offset < next;
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
    (void)arg;
    (void)channel;
    (void)payload;
}

/* A tick must not be computed on members and messages that the view does not have yet: a receipt
 * waits until the view has the event it speaks of. processors/chat clamps receipts to what the view
 * will reach. One above that would wait for ever, so it is admitted, and on_step() dead-letters
 * it. */
static enum cq_status on_admit(void *arg, struct pg *c, const struct bus_record *recs, int n,
                               bool *hold)
{
    struct status_role *x = arg;
    bool asked = false;

    /* drop the notifications that came meanwhile, so that they do not pile up */
    if (pg_wait_notify(c, 0, on_notify, NULL) != CQ_OK)
        return CQ_AGAIN;
    for (int i = 0; i < n; i++) {
        struct delivery_status s;
        int64_t offset;

        arena_reset(x->arena);
        if (recs[i].partition >= PARTITIONS_MAX ||
            codec_decode(&delivery_status_codec, recs[i].value, x->arena, &s, NULL) != CQ_OK)
            continue; /* it cannot be decoded: admit it, and on_step() dead-letters it */
        offset = seq_offset(s.seq);
        if (offset >= x->view_next[recs[i].partition] && !asked) {
            enum cq_status st = read_view(x, c);

            if (st != CQ_OK)
                return st;
            asked = true;
            i = -1; /* judge all by the same view: one that was moved back holds earlier ones,
                     * too */
            continue;
        }
        hold[i] = offset >= x->view_next[recs[i].partition] &&
                  s.seq <= seq_make(s.source.generation, s.source.offset) &&
                  may_come(x, recs[i].partition, offset);
    }
    return CQ_OK;
}

static void on_idle(void *arg, struct pg *c, int wait_ms)
{
    (void)arg;
    if (pg_wait_notify(c, wait_ms, on_notify, NULL) != CQ_OK)
        log_debug("listening_broke"); /* the next turn finds the connection gone */
}

/* ---- turns ---------------------------------------------------------------------------- */

static void on_begin(void *arg)
{
    struct status_role *x = arg;

    ticks_clear(x->ticks);
    delivery_clear(x->delivery);
    arena_reset(x->arena);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct status_role *x = arg;
    struct delivery_status s;
    enum cq_status st = codec_decode(&delivery_status_codec, in->value, x->arena, &s, ret_why);

    if (st != CQ_OK)
        return st;
    *ret_why = "names a seq at or above its own, or one that the view will never reach";
    if (s.seq > seq_make(s.source.generation, s.source.offset) ||
        (in->partition < PARTITIONS_MAX && seq_offset(s.seq) >= x->view_next[in->partition]))
        return CQ_POISON; /* admitted although the view will never reach it */
    *ret_source = s.source.offset;
    /* A repeat after a crash of processors/chat, or of a zombie. Applied again, its old membership
     * would be combined with today's cursors. Several records may share a source. */
    if (s.source.offset < applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return ticks_add(x->ticks, &s, in->partition, in->offset, quiet, x->arena);
}

static enum cq_status on_write(void *arg, struct pg *c, struct producer *p, const char **ret_why)
{
    struct status_role *x = arg;
    enum cq_status st = store_load(x->ticks, c, &x->params, x->arena);

    if (st == CQ_OK) {
        ticks_apply(x->ticks);
        st = store_save(x->ticks, c, &x->params, x->arena);
    }
    if (st == CQ_OK)
        st = tell_senders(x->ticks, c, &x->params, x->arena, x->delivery, p);
    if (st == CQ_OK)
        st = tell_readers(x->ticks, x->arena, x->delivery, p);
    if (st == CQ_FATAL && arena_full(x->arena)) { /* a turn with fewer records needs less memory */
        *ret_why = "needs more memory or output than a turn may have";
        return CQ_POISON;
    }
    return st;
}

static void on_owned(void *arg, const char *topic, int32_t partition, int64_t from, bool ours)
{
    (void)arg;
    log_info(ours ? "assigned" : "revoked", LOG_S("topic", topic), LOG_I("partition", partition),
             LOG_I("from", from));
}

static const struct feed_ops ops = {
    .connected = on_connected,
    .admit = on_admit,
    .idle = on_idle,
    .begin = on_begin,
    .step = on_step,
    .write = on_write,
    .owned = on_owned,
};

static enum cq_status open_feed(struct status_role *x, const volatile int *stop, struct feed **ret)
{
    static const struct feed_topic topics[] = { { "delivery.status", false, "chat.actions" } };

    x->inbox = (struct bus_watched){ .topic = topic_name(TOPIC_USER_INBOX),
                                     .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                     .groups = topic_groups(TOPIC_USER_INBOX),
                                     .groups_n = TOPIC_GROUPS_MAX };
    return feed_new(&(struct feed_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                         .database_url = setting_text(SET_DATABASE_URL),
                                         .consumer = "status",
                                         .instance = setting_text(SET_INSTANCE),
                                         .topics = topics,
                                         .topics_n = ARRAY_LEN(topics),
                                         .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                         .outputs = &x->inbox,
                                         .outputs_n = 1,
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
        log_info("ticks_incomplete", LOG_I("partitions", left));
    else
        log_info("ticks_filled");
}

int status_role_run(const volatile int *stop)
{
    static struct status_role x;
    struct feed *feed = NULL;
    bool incomplete = false;
    enum cq_status st;

    x.ticks = ticks_new();
    x.delivery =
        delivery_new(DELIVERY_ORIGIN_DELIVERY_STATUS, (int32_t)setting_int(SET_PARTITIONS));
    x.arena = arena_new(ARENA_BYTES);
    pg_params_init(&x.params, PARAMS_BYTES);
    st = x.ticks && x.delivery ? reader_new(setting_text(SET_KAFKA_BROKER), &x.reader) : CQ_FATAL;
    st = st == CQ_OK ? open_feed(&x, stop, &feed) : CQ_FATAL;
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
    reader_free(x.reader);
    ticks_free(x.ticks);
    delivery_free(x.delivery);
    arena_free(x.arena);
    pg_params_release(&x.params);
    return st == CQ_OK || *stop ? 0 : 1;
}
