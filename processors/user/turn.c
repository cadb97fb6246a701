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
    struct user_turn *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->no = 1;
    t->arena = arena_new(USER_TURN_MEMORY_MAX);
    t->outs.max = USER_OUTPUTS_MAX;
    t->pushes = pushes_new(slots);
    buf_init(&t->encoded, TOPIC_RECORD_MAX);
    if (t->pushes)
        return t;
    user_turn_free(t);
    return NULL;
}

void user_turn_free(struct user_turn *t)
{
    if (!t)
        return;
    arena_free(t->arena);
    free(t->outs.v);
    pushes_free(t->pushes);
    buf_release(&t->encoded);
    free(t);
}

size_t user_turn_memory(const struct user_turn *t)
{
    return arena_most(t->arena);
}

void user_presence_key(const struct presence *p, char out[USER_KEY_MAX])
{
    const char *kind = "reads";
    struct cq_id id = { { 0 } };

    switch (p->entry.kind) {
    case PRESENCE_DEVICE_ENTRY:
        kind = "device";
        id = p->entry.u.device_entry.device_id;
        break;
    case PRESENCE_SESSION_ENTRY:
        kind = "session";
        id = p->entry.u.session_entry.session_id;
        break;
    case PRESENCE_READS_ENTRY:
    case PRESENCE_ENTRY_KIND_N:
        break;
    }
    if (id_is_zero(id))
        snprintf(out, USER_KEY_MAX, "%s/%s", id_text(p->user_id).s, kind);
    else
        snprintf(out, USER_KEY_MAX, "%s/%s/%s", id_text(p->user_id).s, kind, id_text(id).s);
}

void user_target_key(const struct push_target *t, char out[USER_KEY_MAX])
{
    snprintf(out, USER_KEY_MAX, "%s/%s", id_text(t->user_id).s, id_text(t->device_id).s);
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

static enum cq_status emit_record(struct user_turn *t, const struct output_port *port,
                                  enum topic topic, const struct codec_record *codec,
                                  const void *record, int32_t partition, const char *key)
{
    buf_clear(&t->encoded);
    if (codec_encode(codec, record, &t->encoded) != CQ_OK)
        return CQ_FATAL;
    return port->emit(port->arg, topic, partition, span_str(key), buf_span(&t->encoded), 0);
}

static enum cq_status emit_shared(struct user_turn *t, const struct output_port *port,
                                  int32_t partition)
{
    struct mobile_push *m = &t->shared.record;
    char key[USER_KEY_MAX];

    if (!m->targets_n)
        return CQ_OK;
    m->users = t->shared.users;
    m->users_n = id_eq(t->shared.users[m->targets_n - 1], m->user_id) ? 0 : m->targets_n;
    m->devices = t->shared.devices;
    m->devices_n = m->targets_n;
    m->targets = t->shared.targets;
    id_format(m->user_id, key);
    return emit_record(t, port, TOPIC_MOBILE_PUSH, &mobile_push_codec, m, partition, key);
}

/* The pushes of one message to a group of users are put into few records, cut between users. So the
 * excerpt is in the log once a record, not once a user. */
static enum cq_status share_push(struct user_turn *t, const struct output_port *port,
                                 const struct mobile_push *push, bool joins, int32_t partition)
{
    struct shared_push *s = &t->shared;
    enum cq_status st = CQ_OK;

    if (push->targets_n > MOBILE_PUSH_TARGETS_MAX)
        return CQ_FATAL; /* no user has so many devices */
    if (!joins || s->record.targets_n + push->targets_n > MOBILE_PUSH_TARGETS_MAX) {
        st = emit_shared(t, port, partition);
        s->record = *push;
        s->record.targets_n = 0;
    }
    for (size_t i = 0; i < push->targets_n; i++, s->record.targets_n++) {
        s->users[s->record.targets_n] = push->user_id;
        s->devices[s->record.targets_n] = push->devices[i];
        s->targets[s->record.targets_n] = push->targets[i];
    }
    return st;
}

static enum cq_status emit_output(struct user_turn *t, const struct output_port *port,
                                  const struct user_output *o, int32_t partition)
{
    char key[USER_KEY_MAX];
    struct user_inbox record;

    switch (o->topic) {
    case TOPIC_USER_EVENTS:
        id_format(o->u.event.user_id, key);
        return emit_record(t, port, o->topic, &user_event_codec, &o->u.event, partition, key);
    case TOPIC_PRESENCE:
        user_presence_key(&o->u.presence.value, key);
        return o->u.presence.gone ? emit_tombstone(port, o->topic, partition, key)
                                  : emit_record(t, port, o->topic, &presence_codec,
                                                &o->u.presence.value, partition, key);
    case TOPIC_PUSH_TARGETS:
        user_target_key(&o->u.target.value, key);
        return o->u.target.gone ? emit_tombstone(port, o->topic, partition, key)
                                : emit_record(t, port, o->topic, &push_target_codec,
                                              &o->u.target.value, partition, key);
    case TOPIC_PUSH_CLAIMS:
        id_format(o->u.claim.value.token, key);
        return o->u.claim.gone ? emit_tombstone(port, o->topic, partition, key)
                               : emit_record(t, port, o->topic, &push_claim_codec,
                                             &o->u.claim.value, partition, key);
    case TOPIC_PUSH_MUTES:
        snprintf(key, sizeof key, "%s/%s", id_text(o->u.mute.value.user_id).s,
                 id_text(o->u.mute.value.chat_id).s);
        return o->u.mute.gone ? emit_tombstone(port, o->topic, partition, key)
                              : emit_record(t, port, o->topic, &chat_mute_codec, &o->u.mute.value,
                                            partition, key);
    case TOPIC_USER_INBOX:
        record = (struct user_inbox){ .body = { USER_INBOX_USER_ACTION,
                                                .u.user_action = o->u.inbox.action } };
        id_format(o->u.inbox.key, key);
        return emit_record(t, port, o->topic, &user_inbox_codec, &record, o->u.inbox.partition,
                           key);
    case TOPIC_MOBILE_PUSH:
        return share_push(t, port, &o->u.mobile.value, o->u.mobile.joins, partition);
    case TOPIC_WS_PUSH:
        return pushes_add(t->pushes, o->u.push.slot, &o->u.push.entry, emit_push,
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

static void count_step(const struct user_turn *t, const struct user_step *step,
                       const struct user_inbox *record)
{
    const struct user_action *a = &record->body.u.user_action;

    count_add(COUNT_DUPLICATES, step->repeats);
    if (record->body.kind != USER_INBOX_USER_ACTION)
        return;
    if (a->action.kind == USER_ACTION_GATEWAY_ALIVE) /* all it can write are tombstones */
        count_add(COUNT_SILENT_CLEARED, (int64_t)t->outs.n);
    count_add(COUNT_SESSIONS_LOST, a->action.kind == USER_ACTION_SESSION_LOST);
}

enum cq_status user_turn_step(struct user_turn *t, const struct user_input *in,
                              const struct output_port *port, uint64_t *place, const char **ret_why)
{
    struct user_inbox *record = ARENA_NEW(t->arena, struct user_inbox);
    struct user_step step = {
        .state = in->state,
        .offset = in->offset,
        .turn = t->no,
        .log_ms = in->log_ms,
        .arena = t->arena,
        .out = &t->outs,
        .room = output_room(port, pushes_bytes(t->pushes)),
        .place = *place,
    };
    enum cq_status st, stepped;

    if (!record || !step.room)
        return CQ_AGAIN;
    st = codec_decode(&user_inbox_codec, in->value, t->arena, record, ret_why);
    if (st != CQ_OK)
        return st;
    t->outs.n = 0;
    t->shared.record.targets_n = 0;
    stepped = user_step(&step, record, ret_why);
    if (stepped != CQ_OK && (stepped != CQ_AGAIN || step.place == *place))
        return stepped;
    for (size_t i = 0; st == CQ_OK && i < t->outs.n; i++)
        st = emit_output(t, port, &t->outs.v[i], in->state->partition);
    if (st == CQ_OK)
        st = emit_shared(t, port, in->state->partition);
    if (st != CQ_OK)
        return st;
    count_step(t, &step, record);
    *place = step.place;
    return stepped;
}

enum cq_status user_turn_end(struct user_turn *t, const struct output_port *port)
{
    enum cq_status st = pushes_flush(t->pushes, emit_push, (void *)(uintptr_t)port);

    arena_reset(t->arena);
    t->no++; /* the next one begins when all of this one is published */
    return st;
}
