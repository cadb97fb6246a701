/* SPDX-License-Identifier: MIT */
#include "processors/chat/role.h"

#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/stage.h"
#include "processors/chat/restore.h"
#include "processors/chat/rules.h"
#include "schemas/codec.h"
#include "schemas/delivery.h"

#include <stdlib.h>

enum {
    PARTITIONS_MAX = 1024,
    TURN_RECORDS = 1000,
    TURN_BYTES = 2 * 1024 * 1024,
    TURN_ARENA_BYTES = 128 * 1024 * 1024,
};

struct chat_role {
    struct reader *reader;                     /* owned */
    struct chat_state *states[PARTITIONS_MAX]; /* owned; NULL: not ours */
    int64_t written[PARTITIONS_MAX]; /* highest source in the tail of chat.events at assignment */
    int32_t partitions_n;
    struct cq_arena *arena;   /* of the turn */
    struct chat_outputs outs; /* of one step; v is owned */
    struct delivery *delivery;
    struct cq_buf encoded;
};

static void drop_state(struct chat_role *r, int32_t partition)
{
    if (!r->states[partition])
        return;
    chat_state_release(r->states[partition]);
    free(r->states[partition]);
    r->states[partition] = NULL;
}

static enum cq_status on_assigned(void *arg, int32_t partition, int64_t committed, const char *meta)
{
    struct chat_role *r = arg;
    struct chat_state *s = calloc(1, sizeof *s);
    enum cq_status st;

    (void)meta;
    if (!s || partition >= r->partitions_n) {
        free(s);
        return CQ_FATAL;
    }
    chat_state_init(s, partition, r->partitions_n);
    drop_state(r, partition);
    r->states[partition] = s;
    st = chat_restore(r->reader, s);
    r->written[partition] = s->last_event;
    log_info("assigned", LOG_S("topic", topic_name(TOPIC_CHAT_ACTIONS)),
             LOG_I("partition", partition), LOG_I("committed", committed),
             LOG_I("last_event", s->last_event), LOG_I("groups", s->groups.by_id.n),
             LOG_I("window", s->dedupe.head - s->dedupe.tail), LOG_S("status", cq_status_name(st)));
    return st == CQ_OK ? CQ_OK : CQ_FATAL;
}

static void on_revoked(void *arg, int32_t partition)
{
    drop_state(arg, partition);
}

/* The one place that knows which record each output becomes. */
static enum cq_status emit_record(struct chat_role *r, struct stage_out *out, enum topic topic,
                                  const struct codec_record *codec, const void *record,
                                  int32_t partition, const char *key, int64_t log_ms)
{
    buf_clear(&r->encoded);
    if (codec_encode(codec, record, &r->encoded) != CQ_OK)
        return CQ_FATAL;
    return stage_emit(out, topic_name(topic), partition, span_str(key), buf_span(&r->encoded),
                      log_ms);
}

static enum cq_status emit_inbox(void *arg, int32_t partition, struct cq_span value)
{
    return stage_emit(arg, topic_name(TOPIC_USER_INBOX), partition, (struct cq_span){ NULL, 0 },
                      value, 0);
}

static enum cq_status emit_output(struct chat_role *r, struct stage_out *out,
                                  const struct chat_output *o, int32_t partition, int64_t log_ms)
{
    char key[4 * (CQ_ID_TEXT_LEN + 1)];
    struct delivery_item item;

    switch (o->topic) {
    case TOPIC_CHAT_EVENTS:
        if (o->u.event.source.offset <= r->written[partition]) {
            count_add(COUNT_DUPLICATES, 1);
            return CQ_OK; /* in the log since before the restart */
        }
        id_format(o->u.event.chat_id, key);
        return emit_record(r, out, o->topic, &chat_event_codec, &o->u.event, partition, key,
                           log_ms);
    case TOPIC_MEMBERS:
        id_format(o->u.members.chat_id, key);
        return emit_record(r, out, o->topic, &chat_members_codec, &o->u.members, partition, key,
                           log_ms);
    case TOPIC_REJECTIONS:
        count_add(span_eq_str(o->u.rejection.code, "bad_receipt") ? COUNT_RECEIPTS_REFUSED
                                                                  : COUNT_REJECTIONS,
                  1);
        id_format(o->u.rejection.chat_id, key);
        return emit_record(r, out, o->topic, &rejection_codec, &o->u.rejection, partition, key,
                           log_ms);
    case TOPIC_DELIVERY_STATUS:
        snprintf(key, sizeof key, "%s/%s/%s/%c", id_text(o->u.status.chat_id).s,
                 id_text(o->u.status.user_id).s, id_text(o->u.status.device_id).s,
                 "drm"[o->u.status.kind]);
        return emit_record(r, out, o->topic, &delivery_status_codec, &o->u.status, partition, key,
                           log_ms);
    default:
        item = o->u.item;
        item.partition = partition;
        return delivery_add(r->delivery, &item, emit_inbox, out);
    }
}

static enum cq_status on_step(void *arg, const struct bus_record *in, struct stage_out *out,
                              const char **ret_why)
{
    struct chat_role *r = arg;
    struct chat_action action;
    struct chat_step step = {
        .state = r->states[in->partition],
        .action = &action,
        .offset = in->offset,
        .seq = seq_make(TOPIC_GENERATION, in->offset),
        .log_ms = in->at_ms,
        .arena = r->arena,
        .out = &r->outs,
    };
    enum cq_status st;

    if (!step.state)
        return CQ_FATAL; /* a record of a partition that is not ours */
    st = codec_decode(&chat_action_codec, in->value, r->arena, &action, ret_why);
    if (st != CQ_OK)
        return st;
    r->outs.n = 0;
    st = chat_step(&step, ret_why);
    count_add(COUNT_DUPLICATES, st == CQ_OK && step.repeated);
    for (size_t i = 0; st == CQ_OK && i < r->outs.n; i++)
        st = emit_output(r, out, &r->outs.v[i], in->partition, in->at_ms);
    return st;
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct chat_role *r = arg;
    enum cq_status st = delivery_flush(r->delivery, emit_inbox, out);

    arena_reset(r->arena);
    return st;
}

static const struct stage_ops ops = { on_assigned, on_revoked, on_step, on_turn_end, NULL };

static enum cq_status open_stage(struct chat_role *r, struct stage **ret)
{
    return stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                           .client_id = "chasqui-chat",
                                           .group = "chat",
                                           .instance = setting_text(SET_INSTANCE),
                                           .topic = topic_name(TOPIC_CHAT_ACTIONS),
                                           .dlq_topic = "chat.actions.dlq",
                                           .worker = "chat",
                                           .batch_max = TURN_RECORDS,
                                           .batch_max_bytes = TURN_BYTES,
                                           .ops = &ops,
                                           .arg = r },
                     ret);
}

static void role_free(struct chat_role *r)
{
    if (!r)
        return;
    for (int32_t p = 0; p < PARTITIONS_MAX; p++)
        drop_state(r, p);
    reader_free(r->reader);
    arena_free(r->arena);
    free(r->outs.v);
    delivery_free(r->delivery);
    buf_release(&r->encoded);
    free(r);
}

static struct chat_role *role_new(void)
{
    struct chat_role *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->partitions_n = (int32_t)setting_int(SET_PARTITIONS);
    r->arena = arena_new(TURN_ARENA_BYTES);
    r->outs.cap = CHAT_OUTPUTS_MAX;
    r->outs.v = calloc(r->outs.cap, sizeof *r->outs.v);
    r->delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, r->partitions_n);
    buf_init(&r->encoded, TOPIC_RECORD_MAX);
    if (!r->outs.v || !r->delivery ||
        reader_new(setting_text(SET_KAFKA_BROKER), &r->reader) != CQ_OK) {
        role_free(r);
        return NULL;
    }
    return r;
}

int chat_role_run(const volatile int *stop)
{
    struct chat_role *r = role_new();
    struct stage *stage = NULL;
    enum cq_status st = r ? open_stage(r, &stage) : CQ_FATAL;

    if (st == CQ_OK)
        st = stage_join(stage, stop);
    if (st == CQ_OK) {
        log_info("ready");
        st = stage_run(stage, stop);
    }
    if (st != CQ_OK)
        log_error("ended", LOG_S("status", cq_status_name(st)),
                  LOG_S("why", stage ? stage_error(stage) : "no memory, or bad settings"));
    stage_free(stage);
    role_free(r);
    return st == CQ_OK ? 0 : 1;
}
