/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/role.c - the role `status`: delivery.status into cursors, and ticks to the senders.
 */
#include "lib/feed/role.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/base/settings.h"
#include "schemas/codec.h"
#include "schemas/delivery.h"
#include "schemas/topics.h"
#include "sinks/status/tell.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    PARAMS_BYTES = 16 * 1024 * 1024,
    ASK_END_MS = 1000, /* how often the end of one partition of chat.actions is asked for … */
    ASK_EVERY_MS = 20, /* … and that of any */
};

struct status_role {
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

static enum cq_status on_connected(void *arg, struct pg *db)
{
    (void)arg;
    return pg_script(db, "LISTEN applied");
}

static enum cq_status read_view(struct status_role *role, struct pg *db)
{
    static const char sql[] =
        "SELECT partition, source_next FROM view.positions WHERE consumer = 'persistence' "
        "AND topic = 'chat.events'";
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql, NULL, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        int64_t p = pg_i64(rows, i, 0);

        if (p >= 0 && p < PARTITIONS_MAX)
            role->view_next[p] = pg_i64(rows, i, 1);
    }
    return st;
}

/* Whether the log has what the receipt speaks of, so that the view will have it. Only what waits is
 * looked at, so the broker is asked seldom; while it does not answer, the receipt waits. */
static bool may_come(struct status_role *role, int32_t partition, int64_t offset)
{
    int64_t now_ms = clock_mono_ms(), first, next;

    if (offset < role->log_next[partition] || now_ms - role->asked_any_ms < ASK_EVERY_MS ||
        (role->asked_ms[partition] && now_ms - role->asked_ms[partition] < ASK_END_MS))
        return true;
    if (reader_watermarks(role->reader, topic_name(TOPIC_CHAT_ACTIONS), partition, &first, &next) ==
        CQ_OK)
        role->log_next[partition] = next;
    else
        next = INT64_MAX;
    role->asked_any_ms = role->asked_ms[partition] = clock_mono_ms();
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
static enum cq_status on_admit(void *arg, struct pg *db, const struct bus_record *recs, int n,
                               bool *hold)
{
    struct status_role *role = arg;
    bool asked = false;

    /* drop the notifications that came meanwhile, so that they do not pile up */
    if (pg_wait_notify(db, 0, on_notify, NULL) != CQ_OK)
        return CQ_AGAIN;
    for (int i = 0; i < n; i++) {
        struct delivery_status status;
        int64_t offset;

        arena_reset(role->arena);
        if (recs[i].partition >= PARTITIONS_MAX ||
            codec_decode(&delivery_status_codec, recs[i].value, role->arena, &status, NULL) !=
                CQ_OK)
            continue; /* it cannot be decoded: admit it, and on_step() dead-letters it */
        offset = seq_offset(status.seq);
        if (offset >= role->view_next[recs[i].partition] && !asked) {
            enum cq_status st = read_view(role, db);

            if (st != CQ_OK)
                return st;
            asked = true;
            i = -1; /* judge all by the same view: one that was moved back holds earlier ones,
                     * too */
            continue;
        }
        hold[i] = offset >= role->view_next[recs[i].partition] &&
                  status.seq <= seq_make(status.source.generation, status.source.offset) &&
                  may_come(role, recs[i].partition, offset);
    }
    return CQ_OK;
}

static void on_idle(void *arg, struct pg *db, int wait_ms)
{
    (void)arg;
    if (pg_wait_notify(db, wait_ms, on_notify, NULL) != CQ_OK)
        log_debug("listening_broke"); /* the next turn finds the connection gone */
}

/* ---- turns ---------------------------------------------------------------------------- */

static void on_begin(void *arg)
{
    struct status_role *role = arg;

    ticks_clear(role->ticks);
    delivery_clear(role->delivery);
    arena_reset(role->arena);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct status_role *role = arg;
    struct delivery_status status;
    enum cq_status st =
        codec_decode(&delivery_status_codec, in->value, role->arena, &status, ret_why);

    if (st != CQ_OK)
        return st;
    *ret_why = "names a seq at or above its own, or one that the view will never reach";
    if (status.seq > seq_make(status.source.generation, status.source.offset) ||
        (in->partition < PARTITIONS_MAX &&
         seq_offset(status.seq) >= role->view_next[in->partition]))
        return CQ_POISON; /* admitted although the view will never reach it */
    *ret_source = status.source.offset;
    /* A repeat after a crash of processors/chat, or of a zombie. Applied again, its old membership
     * would be combined with today's cursors. Several records may share a source. */
    if (status.source.offset < applied) {
        count_add(COUNT_DUPLICATES, 1);
        return CQ_OK;
    }
    return ticks_add(role->ticks, &status, in->partition, in->offset, quiet, role->arena);
}

static enum cq_status on_write(void *arg, struct pg *db, struct producer *producer,
                               const char **ret_why)
{
    struct status_role *role = arg;
    enum cq_status st = store_load(role->ticks, db, &role->params, role->arena);

    if (st == CQ_OK) {
        ticks_apply(role->ticks);
        st = store_save(role->ticks, db, &role->params, role->arena);
    }
    if (st == CQ_OK)
        st = tell_senders(role->ticks, db, &role->params, role->arena, role->delivery, producer);
    if (st == CQ_OK)
        st = tell_readers(role->ticks, role->arena, role->delivery, producer);
    if (st == CQ_FATAL &&
        arena_full(role->arena)) { /* a turn with fewer records needs less memory */
        *ret_why = "needs more memory or output than a turn may have";
        return CQ_POISON;
    }
    return st;
}

static const struct feed_ops ops = {
    .connected = on_connected,
    .admit = on_admit,
    .idle = on_idle,
    .begin = on_begin,
    .step = on_step,
    .write = on_write,
    .owned = feed_role_owned,
};

int status_role_run(const volatile int *stop)
{
    static const struct feed_topic topics[] = { { "delivery.status", false, "chat.actions" } };
    static struct status_role status_role;
    const int32_t partitions = (int32_t)setting_int(SET_PARTITIONS);
    const struct bus_watched inbox = { topic_name(TOPIC_USER_INBOX), partitions,
                                       topic_groups(TOPIC_USER_INBOX), TOPIC_GROUPS_MAX };
    const struct feed_role role = { .consumer = "status",
                                    .topics = topics,
                                    .topics_n = ARRAY_LEN(topics),
                                    .outputs = &inbox, /* where it writes ticks */
                                    .outputs_n = 1,
                                    .ops = &ops,
                                    .arg = &status_role,
                                    .incomplete = "ticks_incomplete",
                                    .filled = "ticks_filled" };
    enum cq_status st;
    int code;

    status_role.ticks = ticks_new();
    status_role.delivery = delivery_new(DELIVERY_ORIGIN_DELIVERY_STATUS, partitions);
    status_role.arena = arena_new(ARENA_BYTES);
    pg_params_init(&status_role.params, PARAMS_BYTES);
    st = status_role.ticks && status_role.delivery
             ? reader_new(setting_text(SET_KAFKA_BROKER), &status_role.reader)
             : CQ_FATAL;
    code = feed_role_run(&role, st, stop);
    reader_free(status_role.reader);
    ticks_free(status_role.ticks);
    delivery_free(status_role.delivery);
    arena_free(status_role.arena);
    pg_params_release(&status_role.params);
    return code;
}
