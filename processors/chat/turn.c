/* SPDX-License-Identifier: MIT */
#include "processors/chat/turn.h"

#include "lib/base/count.h"
#include "schemas/codec.h"
#include "schemas/delivery.h"

#include <stdlib.h>

struct chat_turn {
    int32_t partitions_n;
    struct cq_arena *arena;   /* owned; of the turn, and of a record that is done in part */
    struct chat_outputs outs; /* of one step; v is owned */
    struct delivery *delivery;
    struct cq_buf encoded;
    bool in_part;     /* `outs` belong to a record whose fan-out goes on in the next turn … */
    uint16_t **where; /* … and this is where its items go; in the arena, NULL for other outputs */
};

struct chat_turn *chat_turn_new(int32_t partitions)
{
    struct chat_turn *turn = calloc(1, sizeof *turn);

    if (!turn)
        return NULL;
    turn->partitions_n = partitions;
    turn->arena = arena_new(CHAT_TURN_MEMORY_MAX);
    turn->outs.cap = CHAT_OUTPUTS_MAX;
    turn->outs.v = calloc(turn->outs.cap, sizeof *turn->outs.v);
    turn->delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, partitions);
    buf_init(&turn->encoded, TOPIC_RECORD_MAX);
    if (turn->outs.v && turn->delivery)
        return turn;
    chat_turn_free(turn);
    return NULL;
}

void chat_turn_free(struct chat_turn *turn)
{
    if (!turn)
        return;
    arena_free(turn->arena);
    free(turn->outs.v);
    delivery_free(turn->delivery);
    buf_release(&turn->encoded);
    free(turn);
}

size_t chat_turn_memory(const struct chat_turn *turn)
{
    return arena_most(turn->arena);
}

/* ---- what is not fanned out ----------------------------------------------------------- */

static enum cq_status emit_record(struct chat_turn *turn, const struct output_port *port,
                                  enum topic topic, const struct codec_record *codec,
                                  const void *record, const struct chat_input *in, const char *key)
{
    buf_clear(&turn->encoded);
    if (codec_encode(codec, record, &turn->encoded) != CQ_OK)
        return CQ_FATAL;
    return port->emit(port->arg, topic, in->state->partition, span_str(key),
                      buf_span(&turn->encoded), in->log_ms);
}

/* The one place that maps an output to its record. Items are left to fan_out(). */
static enum cq_status emit_output(struct chat_turn *turn, const struct output_port *port,
                                  const struct chat_input *in, const struct chat_output *output)
{
    static const char kinds[] = { 'd', 'r', 'm', 'h' };
    char key[4 * (CQ_ID_TEXT_LEN + 1)];

    _Static_assert(ARRAY_LEN(kinds) == RECEIPT_KIND_N, "a letter for each ReceiptKind");
    switch (output->topic) {
    case TOPIC_CHAT_EVENTS:
        if (output->u.event.source.offset <= in->written) {
            count_add(COUNT_DUPLICATES, 1);
            return CQ_OK; /* it was written before the restart */
        }
        id_format(output->u.event.chat_id, key);
        return emit_record(turn, port, output->topic, &chat_event_codec, &output->u.event, in, key);
    case TOPIC_MEMBERS:
        id_format(output->u.members.chat_id, key);
        return emit_record(turn, port, output->topic, &chat_members_codec, &output->u.members, in,
                           key);
    case TOPIC_REJECTIONS:
        count_add(span_eq_str(output->u.rejection.code, "bad_receipt") ? COUNT_RECEIPTS_REFUSED
                                                                       : COUNT_REJECTIONS,
                  1);
        id_format(output->u.rejection.chat_id, key);
        return emit_record(turn, port, output->topic, &rejection_codec, &output->u.rejection, in,
                           key);
    case TOPIC_DELIVERY_STATUS:
        snprintf(key, sizeof key, "%s/%s/%s/%c", id_text(output->u.status.chat_id).s,
                 id_text(output->u.status.user_id).s, id_text(output->u.status.device_id).s,
                 kinds[output->u.status.kind]);
        return emit_record(turn, port, output->topic, &delivery_status_codec, &output->u.status, in,
                           key);
    case TOPIC_USER_INBOX: /* an item: it is gathered into batches */
        return CQ_OK;
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_USER_EVENTS:
    case TOPIC_PRESENCE:
    case TOPIC_WS_PUSH:
    case TOPIC_PUSH_TARGETS:
    case TOPIC_PUSH_CLAIMS:
    case TOPIC_PUSH_MUTES:
    case TOPIC_MOBILE_PUSH:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_SIGNALS:
    case TOPIC_N:
        break;
    }
    return CQ_FATAL; /* no rule may write it */
}

static enum cq_status emit_others(struct chat_turn *turn, const struct output_port *port,
                                  const struct chat_input *in)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < turn->outs.n; i++)
        st = emit_output(turn, port, in, &turn->outs.v[i]);
    return st;
}

/* ---- fan-out -------------------------------------------------------------------------- */

static enum cq_status emit_inbox(void *arg, int32_t partition, struct cq_span value)
{
    const struct output_port *port = arg;

    return port->emit(port->arg, TOPIC_USER_INBOX, partition, (struct cq_span){ NULL, 0 }, value,
                      0);
}

static struct delivery_item *item_of(const struct chat_turn *turn, size_t i)
{
    struct chat_output *output = &turn->outs.v[i];

    return output->topic == TOPIC_USER_INBOX ? &output->u.item : NULL;
}

/* Bytes that the items will add to user.inbox. */
static size_t fanout_cost(const struct chat_turn *turn)
{
    size_t cost = 0;

    for (size_t i = 0; i < turn->outs.n; i++)
        if (item_of(turn, i))
            cost += delivery_cost(turn->delivery, item_of(turn, i));
    return cost;
}

static enum cq_status fan_out(struct chat_turn *turn, const struct output_port *port)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < turn->outs.n; i++)
        if (item_of(turn, i))
            st =
                delivery_add(turn->delivery, item_of(turn, i), emit_inbox, (void *)(uintptr_t)port);
    return st;
}

/* Work out once where each recipient is. CQ_AGAIN: no room in the arena. */
static enum cq_status find_partitions(struct chat_turn *turn)
{
    turn->where = ARENA_ARRAY(turn->arena, uint16_t *, turn->outs.n);
    if (!turn->where)
        return CQ_AGAIN;
    for (size_t i = 0; i < turn->outs.n; i++) {
        const struct delivery_item *item = item_of(turn, i);

        if (!item)
            continue;
        turn->where[i] = ARENA_ARRAY(turn->arena, uint16_t, item->to_n);
        if (!turn->where[i])
            return CQ_AGAIN;
        for (size_t one = 0; one < item->to_n; one++)
            turn->where[i][one] = (uint16_t)topic_partition(item->to[one], turn->partitions_n);
    }
    return CQ_OK;
}

/* Fan out partition by partition from `*place` - 1 until the turn is full. */
static enum cq_status fan_out_part(struct chat_turn *turn, const struct output_port *port,
                                   uint64_t *place)
{
    for (int32_t p = (int32_t)(*place - 1); p < turn->partitions_n; p++) {
        enum cq_status st = CQ_OK;

        *place = (uint64_t)p + 1;
        if (!output_room(port, delivery_bytes(turn->delivery)))
            return CQ_AGAIN;
        for (size_t i = 0; st == CQ_OK && i < turn->outs.n; i++)
            if (item_of(turn, i))
                st = delivery_add_to(turn->delivery, item_of(turn, i), turn->where[i], p,
                                     emit_inbox, (void *)(uintptr_t)port);
        if (st != CQ_OK)
            return st;
    }
    turn->in_part = false;
    return CQ_OK;
}

/* ---- the turn ------------------------------------------------------------------------- */

/* The verdict, in `outs`. */
static enum cq_status give_verdict(struct chat_turn *turn, const struct chat_input *in,
                                   const char **ret_why)
{
    struct chat_action *action = ARENA_NEW(turn->arena, struct chat_action);
    struct chat_step step = {
        .state = in->state,
        .action = action,
        .offset = in->offset,
        .seq = seq_make(TOPIC_GENERATION, in->offset),
        .log_ms = in->log_ms,
        .arena = turn->arena,
        .out = &turn->outs,
    };
    enum cq_status st;

    times_advance(&in->state->times, in->offset, in->log_ms);
    if (!action)
        return CQ_AGAIN;
    st = codec_decode(&chat_action_codec, in->value, turn->arena, action, ret_why);
    if (st != CQ_OK)
        return st;
    turn->outs.n = 0;
    st = chat_step(&step, ret_why);
    for (size_t i = 0; st == CQ_OK && i < turn->outs.n; i++)
        if (item_of(turn, i))
            item_of(turn, i)->partition = in->state->partition;
    count_add(COUNT_DUPLICATES, st == CQ_OK && step.repeated);
    return st;
}

enum cq_status chat_turn_step(struct chat_turn *turn, const struct chat_input *in,
                              const struct output_port *port, uint64_t *place, const char **ret_why)
{
    enum cq_status st;
    bool fits;

    if (*place && turn->in_part)
        return fan_out_part(turn, port, place);
    *place = 0;
    turn->in_part = false;
    if (!output_room(port, delivery_bytes(turn->delivery)))
        return CQ_AGAIN;
    st = give_verdict(turn, in, ret_why);
    if (st != CQ_OK)
        return st;
    fits = fanout_cost(turn) <= output_room(port, delivery_bytes(turn->delivery));
    if (!fits)
        st = find_partitions(turn);
    if (st == CQ_OK)
        st = emit_others(turn, port, in);
    if (st != CQ_OK || fits)
        return st == CQ_OK ? fan_out(turn, port) : st;
    turn->in_part = true;
    *place = 1;
    return fan_out_part(turn, port, place);
}

enum cq_status chat_turn_end(struct chat_turn *turn, const struct output_port *port)
{
    enum cq_status st = delivery_flush(turn->delivery, emit_inbox, (void *)(uintptr_t)port);

    if (!turn->in_part)
        arena_reset(turn->arena);
    return st;
}
