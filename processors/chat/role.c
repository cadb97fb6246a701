/* SPDX-License-Identifier: MIT */
#include "processors/chat/role.h"

#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/base/settings.h"
#include "processors/chat/restore.h"
#include "processors/chat/turn.h"
#include "processors/stage_port.h"

#include <stdlib.h>

enum {
    TURN_RECORDS = 1000,
    TURN_BYTES = 2 * 1024 * 1024,
    OUTPUTS_N = 5,
};

struct chat_role {
    struct reader *reader;                     /* owned */
    struct chat_state *states[PARTITIONS_MAX]; /* owned; NULL: not ours */
    int64_t written[PARTITIONS_MAX]; /* highest source in the tail of chat.events at assignment */
    int64_t again[PARTITIONS_MAX]; /* sources below it are written again although they may be there;
                                    * 0: none */
    int32_t partitions_n;
    struct chat_turn *turn; /* owned */
    struct bus_watched outputs[OUTPUTS_N];
};

static void drop_state(struct chat_role *r, int32_t partition)
{
    if (!r->states[partition])
        return;
    chat_state_release(r->states[partition]);
    free(r->states[partition]);
    r->states[partition] = NULL;
}

/* When chat.events names sources beyond the end of chat.actions, chat.actions lost its tail: new
 * actions would get the same offsets, and would be taken for the lost ones. */
static enum cq_status check_sources(struct chat_role *r, const struct chat_state *s)
{
    const char *actions = topic_name(TOPIC_CHAT_ACTIONS);
    int64_t first, next, floor = s->last_event + 1;
    enum cq_status st = reader_watermarks(r->reader, actions, s->partition, &first, &next);

    if (st != CQ_OK || next >= floor)
        return st;
    log_error("log_was_cut", LOG_S("topic", actions), LOG_I("partition", s->partition),
              LOG_I("end", next), LOG_I("floor", floor),
              LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (reader_raise_floor(r->reader, actions, s->partition, floor) != CQ_OK)
        log_warn("cut_not_told", LOG_S("topic", actions));
    return CQ_FATAL;
}

static enum cq_status on_assigned(void *arg, int32_t partition, int64_t committed, const char *meta)
{
    struct chat_role *r = arg;
    struct chat_state *s = calloc(1, sizeof *s);
    enum cq_status st;

    if (!s || partition >= r->partitions_n) {
        free(s);
        return CQ_FATAL;
    }
    chat_state_init(s, partition, r->partitions_n);
    drop_state(r, partition);
    r->states[partition] = s;
    st = chat_restore(r->reader, s);
    if (st == CQ_OK)
        st = check_sources(r, s);
    r->written[partition] = s->last_event;
    r->again[partition] = chat_again_parse(meta);
    if (r->again[partition] <= committed)
        r->again[partition] = 0;
    log_info("assigned", LOG_S("topic", topic_name(TOPIC_CHAT_ACTIONS)),
             LOG_I("partition", partition), LOG_I("committed", committed),
             LOG_I("last_event", s->last_event), LOG_I("groups", s->groups.by_id.n),
             LOG_I("window", s->dedupe.head - s->dedupe.tail), LOG_S("status", cq_status_name(st)));
    return st == CQ_AGAIN || st == CQ_OK ? st : CQ_FATAL;
}

static void on_revoked(void *arg, int32_t partition)
{
    drop_state(arg, partition);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, uint64_t *place,
                              struct stage_out *out, const char **ret_why)
{
    struct chat_role *r = arg;
    const int64_t written = in->offset < r->again[in->partition] ? -1 : r->written[in->partition];
    const struct chat_input input = { r->states[in->partition], in->value, in->offset, in->at_ms,
                                      written };
    const struct output_port port = stage_port(out);

    if (!input.state)
        return CQ_FATAL; /* a record of a partition that is not ours */
    return chat_turn_step(r->turn, &input, &port, place, ret_why);
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct chat_role *r = arg;
    const struct output_port port = stage_port(out);

    return chat_turn_end(r->turn, &port);
}

/* Not empty only while there is something to be written again. */
static size_t on_meta(void *arg, int32_t partition, char *buf, size_t cap)
{
    struct chat_role *r = arg;

    return chat_again_format(r->again[partition], buf, cap);
}

static const struct stage_ops ops = { on_assigned, on_revoked, on_step, on_turn_end, on_meta };

static enum cq_status open_stage(struct chat_role *r, struct stage **ret)
{
    const int32_t n = r->partitions_n;
    struct bus_watched outputs[] = {
        stage_watched(TOPIC_CHAT_EVENTS, n), stage_watched(TOPIC_MEMBERS, n),
        stage_watched(TOPIC_REJECTIONS, n),  stage_watched(TOPIC_DELIVERY_STATUS, n),
        stage_watched(TOPIC_USER_INBOX, n),
    };

    memcpy(r->outputs, outputs, sizeof outputs);
    return stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                           .client_id = "chasqui-chat",
                                           .group = "chat",
                                           .instance = setting_text(SET_INSTANCE),
                                           .topic = topic_name(TOPIC_CHAT_ACTIONS),
                                           .worker = "chat",
                                           .batch_max = TURN_RECORDS,
                                           .batch_max_bytes = TURN_BYTES,
                                           .outputs = r->outputs,
                                           .outputs_n = OUTPUTS_N,
                                           .reader = r->reader,
                                           .tries_max = STAGE_TRIES_MAX,
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
    chat_turn_free(r->turn);
    free(r);
}

static struct chat_role *role_new(void)
{
    struct chat_role *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->partitions_n = (int32_t)setting_int(SET_PARTITIONS);
    r->turn = chat_turn_new(r->partitions_n);
    if (!r->turn || reader_new(setting_text(SET_KAFKA_BROKER), &r->reader) != CQ_OK) {
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
        log_ended(cq_status_name(st), stage ? stage_error(stage) : "no memory, or bad settings");
    stage_free(stage);
    role_free(r);
    return st == CQ_OK ? 0 : 1;
}
