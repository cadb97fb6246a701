/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/role.c - the role `chat`: chat.actions in, verdicts and deliveries out.
 */
#include "processors/role.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/base/roles.h"
#include "processors/chat/restore.h"
#include "processors/chat/turn.h"
#include "processors/stage_port.h"

#include <stdlib.h>

struct chat_role {
    struct processor p;
    int64_t written[PARTITIONS_MAX]; /* highest source in the tail of chat.events at assignment */
    int64_t again[PARTITIONS_MAX]; /* sources below it are written again although they may be there;
                                    * 0: none */
    struct chat_turn *turn;        /* owned */
};

/* When chat.events names sources beyond the end of chat.actions, chat.actions lost its tail: new
 * actions would get the same offsets, and would be taken for the lost ones. */
static enum cq_status check_sources(struct chat_role *role, const struct chat_state *state)
{
    const char *actions = topic_name(TOPIC_CHAT_ACTIONS);
    int64_t first, next, floor = state->last_event + 1;
    enum cq_status st = reader_watermarks(role->p.reader, actions, state->partition, &first, &next);

    if (st != CQ_OK || next >= floor)
        return st;
    log_error("log_was_cut", LOG_S("topic", actions), LOG_I("partition", state->partition),
              LOG_I("end", next), LOG_I("floor", floor),
              LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (reader_raise_floor(role->p.reader, actions, state->partition, floor) != CQ_OK)
        log_warn("cut_not_told", LOG_S("topic", actions));
    return CQ_FATAL;
}

static enum cq_status on_assigned(void *arg, int32_t partition, int64_t committed, const char *meta)
{
    struct chat_role *role = arg;
    struct chat_state *state = calloc(1, sizeof *state);
    enum cq_status st;

    if (!state || partition >= role->p.partitions_n) {
        free(state);
        return CQ_FATAL;
    }
    chat_state_init(state, partition, role->p.partitions_n);
    processor_keep(&role->p, partition, state);
    st = chat_restore(role->p.reader, state, committed);
    if (st == CQ_OK)
        st = check_sources(role, state);
    role->written[partition] = state->last_event;
    role->again[partition] = chat_again_parse(meta);
    if (role->again[partition] <= committed)
        role->again[partition] = 0;
    log_info("assigned", LOG_S("topic", topic_name(TOPIC_CHAT_ACTIONS)),
             LOG_I("partition", partition), LOG_I("committed", committed),
             LOG_I("last_event", state->last_event), LOG_I("groups", state->groups.by_id.n),
             LOG_I("window", state->dedupe.head - state->dedupe.tail),
             LOG_S("status", cq_status_name(st)));
    return st;
}

static void on_revoked(void *arg, int32_t partition)
{
    struct chat_role *role = arg;

    processor_drop(&role->p, partition);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, uint64_t *place,
                              struct stage_out *out, const char **ret_why)
{
    struct chat_role *role = arg;
    const int64_t written =
        in->offset < role->again[in->partition] ? -1 : role->written[in->partition];
    const struct chat_input input = { role->p.states[in->partition], in->value, in->offset,
                                      in->at_ms, written };
    const struct output_port port = stage_port(out);

    if (!input.state)
        return CQ_FATAL; /* a record of a partition that is not ours */
    return chat_turn_step(role->turn, &input, &port, place, ret_why);
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct chat_role *role = arg;
    const struct output_port port = stage_port(out);

    return chat_turn_end(role->turn, &port);
}

/* Not empty only while there is something to be written again. */
static size_t on_meta(void *arg, int32_t partition, char *buf, size_t cap)
{
    struct chat_role *role = arg;

    return chat_again_format(role->again[partition], buf, cap);
}

static const struct stage_ops ops = { on_assigned, on_revoked, on_step, on_turn_end, on_meta };

static void release(void *state)
{
    chat_state_release(state);
}

int chat_role_run(const volatile int *stop)
{
    static const enum topic outputs[] = { TOPIC_CHAT_EVENTS, TOPIC_MEMBERS, TOPIC_REJECTIONS,
                                          TOPIC_DELIVERY_STATUS, TOPIC_USER_INBOX };
    static struct chat_role role;
    enum cq_status st;
    int code;

    role.p = (struct processor){ .name = "chat",
                                 .input = TOPIC_CHAT_ACTIONS,
                                 .outputs = outputs,
                                 .outputs_n = ARRAY_LEN(outputs),
                                 .ops = &ops,
                                 .arg = &role,
                                 .release = release };
    st = processor_init(&role.p);
    role.turn = chat_turn_new(role.p.partitions_n);
    code = processor_run(&role.p, st == CQ_OK && role.turn ? CQ_OK : CQ_FATAL, stop);
    chat_turn_free(role.turn);
    return code;
}
