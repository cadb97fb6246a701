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
    struct chat_turn *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->partitions_n = partitions;
    t->arena = arena_new(CHAT_TURN_MEMORY_MAX);
    t->outs.cap = CHAT_OUTPUTS_MAX;
    t->outs.v = calloc(t->outs.cap, sizeof *t->outs.v);
    t->delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, partitions);
    buf_init(&t->encoded, TOPIC_RECORD_MAX);
    if (t->outs.v && t->delivery)
        return t;
    chat_turn_free(t);
    return NULL;
}

void chat_turn_free(struct chat_turn *t)
{
    if (!t)
        return;
    arena_free(t->arena);
    free(t->outs.v);
    delivery_free(t->delivery);
    buf_release(&t->encoded);
    free(t);
}

size_t chat_turn_memory(const struct chat_turn *t)
{
    return arena_most(t->arena);
}

/* ---- what is not fanned out ----------------------------------------------------------- */

static enum cq_status emit_record(struct chat_turn *t, const struct output_port *port,
                                  enum topic topic, const struct codec_record *codec,
                                  const void *record, const struct chat_input *in, const char *key)
{
    buf_clear(&t->encoded);
    if (codec_encode(codec, record, &t->encoded) != CQ_OK)
        return CQ_FATAL;
    return port->emit(port->arg, topic, in->state->partition, span_str(key), buf_span(&t->encoded),
                      in->log_ms);
}

/* The one place that maps an output to its record. Items are left to fan_out(). */
static enum cq_status emit_output(struct chat_turn *t, const struct output_port *port,
                                  const struct chat_input *in, const struct chat_output *o)
{
    static const char kinds[] = { 'd', 'r', 'm', 'h' };
    char key[4 * (CQ_ID_TEXT_LEN + 1)];

    _Static_assert(ARRAY_LEN(kinds) == RECEIPT_KIND_N, "a letter for each ReceiptKind");
    switch (o->topic) {
    case TOPIC_CHAT_EVENTS:
        if (o->u.event.source.offset <= in->written) {
            count_add(COUNT_DUPLICATES, 1);
            return CQ_OK; /* it was written before the restart */
        }
        id_format(o->u.event.chat_id, key);
        return emit_record(t, port, o->topic, &chat_event_codec, &o->u.event, in, key);
    case TOPIC_MEMBERS:
        id_format(o->u.members.chat_id, key);
        return emit_record(t, port, o->topic, &chat_members_codec, &o->u.members, in, key);
    case TOPIC_REJECTIONS:
        count_add(span_eq_str(o->u.rejection.code, "bad_receipt") ? COUNT_RECEIPTS_REFUSED
                                                                  : COUNT_REJECTIONS,
                  1);
        id_format(o->u.rejection.chat_id, key);
        return emit_record(t, port, o->topic, &rejection_codec, &o->u.rejection, in, key);
    case TOPIC_DELIVERY_STATUS:
        snprintf(key, sizeof key, "%s/%s/%s/%c", id_text(o->u.status.chat_id).s,
                 id_text(o->u.status.user_id).s, id_text(o->u.status.device_id).s,
                 kinds[o->u.status.kind]);
        return emit_record(t, port, o->topic, &delivery_status_codec, &o->u.status, in, key);
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

static enum cq_status emit_others(struct chat_turn *t, const struct output_port *port,
                                  const struct chat_input *in)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < t->outs.n; i++)
        st = emit_output(t, port, in, &t->outs.v[i]);
    return st;
}

/* ---- fan-out -------------------------------------------------------------------------- */

static enum cq_status emit_inbox(void *arg, int32_t partition, struct cq_span value)
{
    const struct output_port *port = arg;

    return port->emit(port->arg, TOPIC_USER_INBOX, partition, (struct cq_span){ NULL, 0 }, value,
                      0);
}

static struct delivery_item *item_of(const struct chat_turn *t, size_t i)
{
    struct chat_output *o = &t->outs.v[i];

    return o->topic == TOPIC_USER_INBOX ? &o->u.item : NULL;
}

/* Bytes that the items will add to user.inbox. */
static size_t fanout_cost(const struct chat_turn *t)
{
    size_t cost = 0;

    for (size_t i = 0; i < t->outs.n; i++)
        if (item_of(t, i))
            cost += delivery_cost(t->delivery, item_of(t, i));
    return cost;
}

static enum cq_status fan_out(struct chat_turn *t, const struct output_port *port)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < t->outs.n; i++)
        if (item_of(t, i))
            st = delivery_add(t->delivery, item_of(t, i), emit_inbox, (void *)(uintptr_t)port);
    return st;
}

/* Work out once where each recipient is. CQ_AGAIN: no room in the arena. */
static enum cq_status find_partitions(struct chat_turn *t)
{
    t->where = ARENA_ARRAY(t->arena, uint16_t *, t->outs.n);
    if (!t->where)
        return CQ_AGAIN;
    for (size_t i = 0; i < t->outs.n; i++) {
        const struct delivery_item *item = item_of(t, i);

        if (!item)
            continue;
        t->where[i] = ARENA_ARRAY(t->arena, uint16_t, item->to_n);
        if (!t->where[i])
            return CQ_AGAIN;
        for (size_t k = 0; k < item->to_n; k++)
            t->where[i][k] = (uint16_t)topic_partition(item->to[k], t->partitions_n);
    }
    return CQ_OK;
}

/* Fan out partition by partition from `*place` - 1 until the turn is full. */
static enum cq_status fan_out_part(struct chat_turn *t, const struct output_port *port,
                                   uint64_t *place)
{
    for (int32_t p = (int32_t)(*place - 1); p < t->partitions_n; p++) {
        enum cq_status st = CQ_OK;

        *place = (uint64_t)p + 1;
        if (!output_room(port, delivery_bytes(t->delivery)))
            return CQ_AGAIN;
        for (size_t i = 0; st == CQ_OK && i < t->outs.n; i++)
            if (item_of(t, i))
                st = delivery_add_to(t->delivery, item_of(t, i), t->where[i], p, emit_inbox,
                                     (void *)(uintptr_t)port);
        if (st != CQ_OK)
            return st;
    }
    t->in_part = false;
    return CQ_OK;
}

/* ---- the turn ------------------------------------------------------------------------- */

/* The verdict, in `outs`. */
static enum cq_status give_verdict(struct chat_turn *t, const struct chat_input *in,
                                   const char **ret_why)
{
    struct chat_action *action = ARENA_NEW(t->arena, struct chat_action);
    struct chat_step step = {
        .state = in->state,
        .action = action,
        .offset = in->offset,
        .seq = seq_make(TOPIC_GENERATION, in->offset),
        .log_ms = in->log_ms,
        .arena = t->arena,
        .out = &t->outs,
    };
    enum cq_status st;

    times_advance(&in->state->times, in->offset, in->log_ms);
    if (!action)
        return CQ_AGAIN;
    st = codec_decode(&chat_action_codec, in->value, t->arena, action, ret_why);
    if (st != CQ_OK)
        return st;
    t->outs.n = 0;
    st = chat_step(&step, ret_why);
    for (size_t i = 0; st == CQ_OK && i < t->outs.n; i++)
        if (item_of(t, i))
            item_of(t, i)->partition = in->state->partition;
    count_add(COUNT_DUPLICATES, st == CQ_OK && step.repeated);
    return st;
}

enum cq_status chat_turn_step(struct chat_turn *t, const struct chat_input *in,
                              const struct output_port *port, uint64_t *place, const char **ret_why)
{
    enum cq_status st;
    bool fits;

    if (*place && t->in_part)
        return fan_out_part(t, port, place);
    *place = 0;
    t->in_part = false;
    if (!output_room(port, delivery_bytes(t->delivery)))
        return CQ_AGAIN;
    st = give_verdict(t, in, ret_why);
    if (st != CQ_OK)
        return st;
    fits = fanout_cost(t) <= output_room(port, delivery_bytes(t->delivery));
    if (!fits)
        st = find_partitions(t);
    if (st == CQ_OK)
        st = emit_others(t, port, in);
    if (st != CQ_OK || fits)
        return st == CQ_OK ? fan_out(t, port) : st;
    t->in_part = true;
    *place = 1;
    return fan_out_part(t, port, place);
}

enum cq_status chat_turn_end(struct chat_turn *t, const struct output_port *port)
{
    enum cq_status st = delivery_flush(t->delivery, emit_inbox, (void *)(uintptr_t)port);

    if (!t->in_part)
        arena_reset(t->arena);
    return st;
}
