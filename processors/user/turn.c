/* SPDX-License-Identifier: MIT */
#include "processors/user/turn.h"

#include "lib/base/count.h"
#include "processors/user/pushes.h"
#include "schemas/codec.h"
#include "schemas/delivery.h"

#include <stdlib.h>

/* One record of mobile.push in the making: a message, and the devices of those it is for. */
struct shared_push {
    struct mobile_push record; /* targets_n 0: none */
    struct cq_id users[MOBILE_PUSH_TARGETS_MAX];
    struct cq_id devices[MOBILE_PUSH_TARGETS_MAX];
    struct push_device targets[MOBILE_PUSH_TARGETS_MAX];
};

struct user_turn {
    uint64_t no;              /* of the turn, from 1 */
    struct cq_arena *arena;   /* owned; of the turn */
    struct user_outputs outs; /* of one step; v is owned */
    struct pushes *pushes;
    struct shared_push shared; /* within one step */
    struct cq_buf encoded;
};

struct user_turn *user_turn_new(int32_t slots)
{
    struct user_turn *turn = calloc(1, sizeof *turn);

    if (!turn)
        return NULL;
    turn->no = 1;
    turn->arena = arena_new(USER_TURN_MEMORY_MAX);
    turn->outs.max = USER_OUTPUTS_MAX;
    turn->pushes = pushes_new(slots);
    buf_init(&turn->encoded, TOPIC_RECORD_MAX);
    if (turn->pushes)
        return turn;
    user_turn_free(turn);
    return NULL;
}

void user_turn_free(struct user_turn *turn)
{
    if (!turn)
        return;
    arena_free(turn->arena);
    free(turn->outs.v);
    pushes_free(turn->pushes);
    buf_release(&turn->encoded);
    free(turn);
}

size_t user_turn_memory(const struct user_turn *turn)
{
    return arena_most(turn->arena);
}

void user_presence_key(const struct presence *presence, char out[USER_KEY_MAX])
{
    const char *kind = "reads";
    struct cq_id id = { { 0 } };

    switch (presence->entry.kind) {
    case PRESENCE_DEVICE_ENTRY:
        kind = "device";
        id = presence->entry.u.device_entry.device_id;
        break;
    case PRESENCE_SESSION_ENTRY:
        kind = "session";
        id = presence->entry.u.session_entry.session_id;
        break;
    case PRESENCE_READS_ENTRY:
    case PRESENCE_ENTRY_KIND_N:
        break;
    }
    if (id_is_zero(id))
        snprintf(out, USER_KEY_MAX, "%s/%s", id_text(presence->user_id).s, kind);
    else
        snprintf(out, USER_KEY_MAX, "%s/%s/%s", id_text(presence->user_id).s, kind, id_text(id).s);
}

void user_target_key(const struct push_target *target, char out[USER_KEY_MAX])
{
    snprintf(out, USER_KEY_MAX, "%s/%s", id_text(target->user_id).s, id_text(target->device_id).s);
}

static enum cq_status emit_push(void *arg, int32_t slot, struct cq_span value)
{
    const struct output_port *port = arg;

    return port->emit(port->arg, TOPIC_WS_PUSH, slot, (struct cq_span){ NULL, 0 }, value, 0);
}

static enum cq_status emit_tombstone(const struct output_port *port, enum topic topic,
                                     int32_t partition, const char *key)
{
    return port->emit(port->arg, topic, partition, span_str(key), (struct cq_span){ NULL, 0 }, 0);
}

static enum cq_status emit_record(struct user_turn *turn, const struct output_port *port,
                                  enum topic topic, const struct codec_record *codec,
                                  const void *record, int32_t partition, const char *key)
{
    buf_clear(&turn->encoded);
    if (codec_encode(codec, record, &turn->encoded) != CQ_OK)
        return CQ_FATAL;
    return port->emit(port->arg, topic, partition, span_str(key), buf_span(&turn->encoded), 0);
}

static enum cq_status emit_shared(struct user_turn *turn, const struct output_port *port,
                                  int32_t partition)
{
    struct mobile_push *push = &turn->shared.record;
    char key[USER_KEY_MAX];

    if (!push->targets_n)
        return CQ_OK;
    push->users = turn->shared.users;
    push->users_n =
        id_eq(turn->shared.users[push->targets_n - 1], push->user_id) ? 0 : push->targets_n;
    push->devices = turn->shared.devices;
    push->devices_n = push->targets_n;
    push->targets = turn->shared.targets;
    id_format(push->user_id, key);
    return emit_record(turn, port, TOPIC_MOBILE_PUSH, &mobile_push_codec, push, partition, key);
}

/* The pushes of one message to a group of users are put into few records, cut between users. So the
 * excerpt is in the log once a record, not once a user. */
static enum cq_status share_push(struct user_turn *turn, const struct output_port *port,
                                 const struct mobile_push *push, bool joins, int32_t partition)
{
    struct shared_push *shared = &turn->shared;
    enum cq_status st = CQ_OK;

    if (push->targets_n > MOBILE_PUSH_TARGETS_MAX)
        return CQ_FATAL; /* no user has so many devices */
    if (!joins || shared->record.targets_n + push->targets_n > MOBILE_PUSH_TARGETS_MAX) {
        st = emit_shared(turn, port, partition);
        shared->record = *push;
        shared->record.targets_n = 0;
    }
    for (size_t i = 0; i < push->targets_n; i++, shared->record.targets_n++) {
        shared->users[shared->record.targets_n] = push->user_id;
        shared->devices[shared->record.targets_n] = push->devices[i];
        shared->targets[shared->record.targets_n] = push->targets[i];
    }
    return st;
}

static enum cq_status emit_output(struct user_turn *turn, const struct output_port *port,
                                  const struct user_output *output, int32_t partition)
{
    char key[USER_KEY_MAX];
    struct user_inbox record;

    switch (output->topic) {
    case TOPIC_USER_EVENTS:
        id_format(output->u.event.user_id, key);
        return emit_record(turn, port, output->topic, &user_event_codec, &output->u.event,
                           partition, key);
    case TOPIC_PRESENCE:
        user_presence_key(&output->u.presence.value, key);
        return output->u.presence.gone ? emit_tombstone(port, output->topic, partition, key)
                                       : emit_record(turn, port, output->topic, &presence_codec,
                                                     &output->u.presence.value, partition, key);
    case TOPIC_PUSH_TARGETS:
        user_target_key(&output->u.target.value, key);
        return output->u.target.gone ? emit_tombstone(port, output->topic, partition, key)
                                     : emit_record(turn, port, output->topic, &push_target_codec,
                                                   &output->u.target.value, partition, key);
    case TOPIC_PUSH_CLAIMS:
        id_format(output->u.claim.value.token, key);
        return output->u.claim.gone ? emit_tombstone(port, output->topic, partition, key)
                                    : emit_record(turn, port, output->topic, &push_claim_codec,
                                                  &output->u.claim.value, partition, key);
    case TOPIC_PUSH_MUTES:
        snprintf(key, sizeof key, "%s/%s", id_text(output->u.mute.value.user_id).s,
                 id_text(output->u.mute.value.chat_id).s);
        return output->u.mute.gone ? emit_tombstone(port, output->topic, partition, key)
                                   : emit_record(turn, port, output->topic, &chat_mute_codec,
                                                 &output->u.mute.value, partition, key);
    case TOPIC_USER_INBOX:
        record = (struct user_inbox){ .body = { USER_INBOX_USER_ACTION,
                                                .u.user_action = output->u.inbox.action } };
        id_format(output->u.inbox.key, key);
        return emit_record(turn, port, output->topic, &user_inbox_codec, &record,
                           output->u.inbox.partition, key);
    case TOPIC_MOBILE_PUSH:
        return share_push(turn, port, &output->u.mobile.value, output->u.mobile.joins, partition);
    case TOPIC_WS_PUSH:
        return pushes_add(turn->pushes, output->u.push.slot, &output->u.push.entry, emit_push,
                          (void *)(uintptr_t)port);
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_CHAT_EVENTS:
    case TOPIC_MEMBERS:
    case TOPIC_REJECTIONS:
    case TOPIC_DELIVERY_STATUS:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_SIGNALS:
    case TOPIC_N:
        break;
    }
    return CQ_FATAL; /* no rule may write it */
}

static void count_step(const struct user_turn *turn, const struct user_step *step,
                       const struct user_inbox *record)
{
    const struct user_action *action = &record->body.u.user_action;

    count_add(COUNT_DUPLICATES, step->repeats);
    if (record->body.kind != USER_INBOX_USER_ACTION)
        return;
    if (action->action.kind == USER_ACTION_GATEWAY_ALIVE) /* all it can write are tombstones */
        count_add(COUNT_SILENT_CLEARED, (int64_t)turn->outs.n);
    count_add(COUNT_SESSIONS_LOST, action->action.kind == USER_ACTION_SESSION_LOST);
}

enum cq_status user_turn_step(struct user_turn *turn, const struct user_input *in,
                              const struct output_port *port, uint64_t *place, const char **ret_why)
{
    struct user_inbox *record = ARENA_NEW(turn->arena, struct user_inbox);
    struct user_step step = {
        .state = in->state,
        .offset = in->offset,
        .turn = turn->no,
        .log_ms = in->log_ms,
        .arena = turn->arena,
        .out = &turn->outs,
        .room = output_room(port, pushes_bytes(turn->pushes)),
        .place = *place,
    };
    enum cq_status st, stepped;

    if (!record || !step.room)
        return CQ_AGAIN;
    st = codec_decode(&user_inbox_codec, in->value, turn->arena, record, ret_why);
    if (st != CQ_OK)
        return st;
    turn->outs.n = 0;
    turn->shared.record.targets_n = 0;
    stepped = user_step(&step, record, ret_why);
    if (stepped != CQ_OK && (stepped != CQ_AGAIN || step.place == *place))
        return stepped;
    for (size_t i = 0; st == CQ_OK && i < turn->outs.n; i++)
        st = emit_output(turn, port, &turn->outs.v[i], in->state->partition);
    if (st == CQ_OK)
        st = emit_shared(turn, port, in->state->partition);
    if (st != CQ_OK)
        return st;
    count_step(turn, &step, record);
    *place = step.place;
    return stepped;
}

enum cq_status user_turn_end(struct user_turn *turn, const struct output_port *port)
{
    enum cq_status st = pushes_flush(turn->pushes, emit_push, (void *)(uintptr_t)port);

    arena_reset(turn->arena);
    turn->no++; /* the next one begins when all of this one is published */
    return st;
}
