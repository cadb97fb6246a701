/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/role.h"

#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/stage.h"
#include "schemas/codec.h"
#include "schemas/records.gen.h"
#include "schemas/topics.h"

enum { TURN_RECORDS = 500, TURN_BYTES = 2 * 1024 * 1024, ARENA_BYTES = 16 * 1024 * 1024 };

struct mobile_role {
    struct cq_arena *arena; /* of the turn */
    struct cq_buf encoded;
};

static enum cq_status emit_outcome(struct mobile_role *m, const struct bus_record *in,
                                   const struct mobile_push *push, struct cq_id device,
                                   struct stage_out *out)
{
    struct push_outcome o = {
        .user_id = push->user_id,
        .device_id = device,
        .source = { TOPIC_GENERATION, in->partition, in->offset },
        .at_ms = push->at_ms,
        .chat_id = push->chat_id,
        .seq = push->seq,
        .message_id = push->message_id,
        .provider = PUSH_PROVIDER_NONE,
        .outcome = PUSH_RESULT_NO_PROVIDER,
        .detail = span_str("no provider"),
    };

    buf_clear(&m->encoded);
    if (codec_encode(&push_outcome_codec, &o, &m->encoded) != CQ_OK)
        return CQ_FATAL;
    return stage_emit(out, topic_name(TOPIC_PUSH_OUTCOMES), in->partition,
                      span_str(id_text(push->user_id).s), buf_span(&m->encoded), 0);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, struct stage_out *out,
                              const char **ret_why)
{
    struct mobile_role *m = arg;
    struct mobile_push push;
    enum cq_status st = codec_decode(&mobile_push_codec, in->value, m->arena, &push, ret_why);

    for (size_t i = 0; st == CQ_OK && i < push.devices_n; i++)
        st = emit_outcome(m, in, &push, push.devices[i], out);
    return st;
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct mobile_role *m = arg;

    (void)out;
    arena_reset(m->arena);
    return CQ_OK;
}

static const struct stage_ops ops = { NULL, NULL, on_step, on_turn_end, NULL };

int mobile_role_run(const volatile int *stop)
{
    struct mobile_role m = { .arena = arena_new(ARENA_BYTES) };
    struct stage *stage = NULL;
    enum cq_status st;

    buf_init(&m.encoded, TOPIC_RECORD_MAX);
    st = stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                         .client_id = "chasqui-mobile",
                                         .group = "mobile",
                                         .instance = setting_text(SET_INSTANCE),
                                         .topic = topic_name(TOPIC_MOBILE_PUSH),
                                         .dlq_topic = "mobile.push.dlq",
                                         .worker = "mobile",
                                         .batch_max = TURN_RECORDS,
                                         .batch_max_bytes = TURN_BYTES,
                                         .ops = &ops,
                                         .arg = &m },
                   &stage);
    if (st == CQ_OK)
        st = stage_join(stage, stop);
    if (st == CQ_OK) {
        log_info("ready");
        st = stage_run(stage, stop);
    }
    if (st != CQ_OK)
        log_error("ended", LOG_S("status", cq_status_name(st)));
    stage_free(stage);
    arena_free(m.arena);
    buf_release(&m.encoded);
    return st == CQ_OK ? 0 : 1;
}
