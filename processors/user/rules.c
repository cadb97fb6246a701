/* SPDX-License-Identifier: MIT */
#include "processors/user/rules.h"

#include "lib/base/array.h"
#include "lib/base/assert.h"
#include "schemas/names.h"

enum { OUTPUT_OVERHEAD = 200 }; /* bytes of an output that is not counted more closely */
enum {
    GONE_MAX = 1024 * 1024
}; /* beyond it a late record of a zombie is believed, until the sweep
                                  * of silent gateways */

bool user_state_init(struct user_state *state, int32_t partition, int32_t partitions_n,
                     int32_t slots_n)
{
    state->partition = partition;
    state->slots_n = slots_n;
    sessions_init(&state->sessions);
    claims_init(&state->claims);
    frontier_init(&state->held, TOPIC_GENERATION, partitions_n);
    frontier_init(&state->events, TOPIC_GENERATION, partitions_n);
    idmap_init(&state->alive, INCARNATIONS_MAX);
    idmap_init(&state->gone, GONE_MAX);
    state->swept = false;
    return partitions_n <= PARTITIONS_MAX && slots_n <= PARTITIONS_MAX;
}

void user_state_release(struct user_state *state)
{
    sessions_release(&state->sessions);
    claims_release(&state->claims);
    idmap_release(&state->alive);
    idmap_release(&state->gone);
}

/* Zero: it is no session and no device, and so never ends. */
static struct cq_id entry_id(const struct presence *value)
{
    switch (value->entry.kind) {
    case PRESENCE_DEVICE_ENTRY:
        return value->entry.u.device_entry.device_id;
    case PRESENCE_SESSION_ENTRY:
        return value->entry.u.session_entry.session_id;
    case PRESENCE_READS_ENTRY:
    case PRESENCE_ENTRY_KIND_N:
        break;
    }
    return (struct cq_id){ { 0 } };
}

enum cq_status user_restore(struct user_state *state, const struct presence *value)
{
    struct user_entry *entry;

    if (idmap_get(&state->gone, entry_id(value)))
        return CQ_OK;
    entry = sessions_user_make(&state->sessions, value->user_id);
    if (!entry)
        return CQ_FATAL;
    if (value->entry.kind == PRESENCE_READS_ENTRY) {
        user_hide_reads(entry, value->entry.u.reads_entry.hidden, value->source.offset);
        return CQ_OK;
    }
    if (value->entry.kind == PRESENCE_DEVICE_ENTRY) {
        struct known_device *known = user_device(entry, value->entry.u.device_entry.device_id);

        if (known && known->source_offset > value->source.offset)
            return CQ_OK; /* a late record of a zombie: the highest source wins */
        if (!known && entry->devices_n == LIMIT_USER_DEVICES)
            user_remove_device(entry, entry->devices[0].id);
        return user_add_device(entry, &(struct known_device){ value->entry.u.device_entry.device_id,
                                                              value->source.offset, NULL });
    }
    const struct session_entry *named = &value->entry.u.session_entry;
    const struct live_session *known = user_session(entry, named->session_id);

    if ((known && known->source_offset > value->source.offset) || named->slot < 0 ||
        named->slot >= state->slots_n)
        return CQ_OK;
    if (!known && entry->sessions_n == USER_SESSIONS_MAX)
        user_remove_session(entry, entry->sessions[0].id);
    return user_add_session(entry, &(struct live_session){ named->session_id, named->device_id,
                                                           named->incarnation, named->slot,
                                                           value->source.offset });
}

void user_restore_gone(struct user_state *state, struct cq_id user, bool is_device, struct cq_id id)
{
    struct user_entry *entry = sessions_user(&state->sessions, user);

    if (entry && is_device)
        user_remove_device(entry, id);
    else if (entry)
        user_remove_session(entry, id);
    if (!idmap_put(&state->gone, id, 1))
        return; /* no room to remember it: the sweep of silent gateways ends what comes back */
}

void user_restore_end(struct user_state *state)
{
    idmap_release(&state->gone);
}

/* ---- outputs -------------------------------------------------------------------------- */

bool user_step_full(const struct user_step *step)
{
    return step->bytes >= step->room || step->out->n >= USER_OUTPUTS_SOFT ||
           arena_used(step->arena) >= USER_ARENA_SOFT;
}

struct user_output *user_emit(struct user_step *step, enum topic topic)
{
    struct user_outputs *out = step->out;

    step->bytes += OUTPUT_OVERHEAD;
    if (out->n == out->max || !array_room(&out->v, &out->cap, out->n + 1, sizeof *out->v, 256))
        return NULL;
    memset(&out->v[out->n], 0, sizeof out->v[0]);
    out->v[out->n].topic = topic;
    return &out->v[out->n++];
}

static struct source source_of(const struct user_step *step)
{
    return (struct source){ TOPIC_GENERATION, step->state->partition, step->offset };
}

enum cq_status user_emit_session(struct user_step *step, struct cq_id user,
                                 const struct live_session *session, bool gone)
{
    struct user_output *output = user_emit(step, TOPIC_PRESENCE);

    if (!output)
        return CQ_FATAL;
    output->u.presence.gone = gone;
    output->u.presence.value = (struct presence){
        .user_id = user,
        .source = { TOPIC_GENERATION, step->state->partition, session->source_offset },
        .entry = { PRESENCE_SESSION_ENTRY,
                   .u.session_entry = { session->id, session->device, session->slot,
                                        session->incarnation, step->log_ms } },
    };
    return CQ_OK;
}

static enum cq_status emit_device(struct user_step *step, struct cq_id user, struct cq_id device,
                                  struct cq_span platform, bool gone)
{
    struct user_output *output = user_emit(step, TOPIC_PRESENCE);

    if (!output)
        return CQ_FATAL;
    output->u.presence.gone = gone;
    output->u.presence.value = (struct presence){
        .user_id = user,
        .source = source_of(step),
        .entry = { PRESENCE_DEVICE_ENTRY, .u.device_entry = { device, platform } },
    };
    return CQ_OK;
}

enum cq_status user_emit_reads(struct user_step *step, const struct user_entry *entry)
{
    struct user_output *output = user_emit(step, TOPIC_PRESENCE);

    if (!output)
        return CQ_FATAL;
    output->u.presence.value = (struct presence){
        .user_id = entry->id,
        .source = { TOPIC_GENERATION, step->state->partition, entry->hides_source },
        .entry = { PRESENCE_READS_ENTRY, .u.reads_entry = { entry->hides_reads } },
    };
    return CQ_OK;
}

void user_push_says_reads(struct user_step *step, const struct user_entry *entry)
{
    struct user_output *output = &step->out->v[step->out->n - 1];

    CQ_ASSERT(step->out->n && output->topic == TOPIC_WS_PUSH, step->out->n);
    output->u.push.entry.has_hides_reads = true;
    output->u.push.entry.hides_reads = entry->hides_reads;
}

enum cq_status user_emit_push(struct user_step *step, struct cq_id user, struct cq_id session,
                              int32_t slot, enum ws_entry_kind kind, struct cq_span frame)
{
    struct ws_target *to = ARENA_NEW(step->arena, struct ws_target);
    struct user_output *output;

    if (!to || !frame.p)
        return CQ_AGAIN;
    *to = (struct ws_target){ user, session };
    output = user_emit(step, TOPIC_WS_PUSH);
    if (!output)
        return CQ_FATAL;
    output->u.push.slot = slot;
    output->u.push.entry = (struct ws_entry){
        .kind = kind,
        .class = FRAME_CLASS_CONTROL,
        .at_ms = step->log_ms,
        .frame = frame,
        .to = to,
        .to_n = 1,
    };
    return CQ_OK;
}

enum cq_status user_tell_devices(struct user_step *step, const struct user_entry *user,
                                 struct cq_span frame, bool says_reads)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < user->sessions_n; i++) {
        const struct live_session *session = &user->sessions[i];

        /* A turn that is stepped again knows sessions that opened after this record: `ready` is
         * the first frame of each. */
        if (!session_opened_by(session, step->offset))
            continue;
        st = user_emit_push(step, user->id, session->id, session->slot, WS_ENTRY_KIND_FRAME, frame);
        if (st == CQ_OK && says_reads)
            user_push_says_reads(step, user);
    }
    return st;
}

enum cq_status user_emit_close(struct user_step *step, struct cq_id user, struct cq_id session,
                               int32_t slot, const char *reason)
{
    return user_emit_push(step, user, session, slot, WS_ENTRY_KIND_CLOSE, span_str(reason));
}

struct user_event *user_emit_event(struct user_step *step, const struct user_action *action,
                                   int32_t index)
{
    struct user_output *output = user_emit(step, TOPIC_USER_EVENTS);

    if (!output)
        return NULL;
    output->u.event = (struct user_event){
        .event_id = event_id(topic_name(TOPIC_USER_INBOX), TOPIC_GENERATION, step->state->partition,
                             step->offset, index),
        .user_id = action->user_id,
        .source = source_of(step),
        .at_ms = action->at_ms,
    };
    return &output->u.event;
}

/* ---- devices -------------------------------------------------------------------------- */

/* The device is no more: its sessions end, its row goes. */
static enum cq_status end_device(struct user_step *step, struct user_entry *entry,
                                 struct cq_id device)
{
    struct known_device *known = user_device(entry, device);
    enum cq_status st = known ? user_forget_push(step, entry, known) : CQ_OK;

    for (int i = entry->sessions_n; st == CQ_OK && i-- > 0;) {
        struct live_session session = entry->sessions[i];

        if (!id_eq(session.device, device))
            continue;
        st = user_emit_close(step, entry->id, session.id, session.slot, "revoked");
        if (st == CQ_OK)
            st = user_emit_session(step, entry->id, &session, true);
        if (st == CQ_OK)
            user_remove_session(entry, session.id);
    }
    if (st == CQ_OK)
        st = emit_device(step, entry->id, device, span_str(""), true);
    if (st == CQ_OK)
        user_remove_device(entry, device);
    return st;
}

/* The same, and the view is told. */
static enum cq_status drop_device(struct user_step *step, const struct user_action *action,
                                  struct user_entry *entry, struct cq_id device,
                                  struct cq_span reason, int32_t index)
{
    struct user_event *event;
    enum cq_status st = end_device(step, entry, device);

    if (st != CQ_OK)
        return st;
    if (!(event = user_emit_event(step, action, index)))
        return CQ_FATAL;
    event->event.kind = USER_EVENT_DEVICE_REMOVED;
    event->event.u.device_removed = (struct device_removed){ device, reason };
    return CQ_OK;
}

static enum cq_status rule_device_linked(struct user_step *step, const struct user_action *action)
{
    const struct device_linked *linked = &action->action.u.device_linked;
    struct user_entry *entry = sessions_user_make(&step->state->sessions, action->user_id);
    struct user_event *event;
    enum cq_status st = CQ_OK;

    if (!entry)
        return CQ_FATAL;
    if (!user_device(entry, action->device_id) && entry->devices_n == LIMIT_USER_DEVICES)
        st =
            drop_device(step, action, entry, entry->devices[0].id, span_str("too_many_devices"), 1);
    if (st == CQ_OK)
        st =
            user_add_device(entry, &(struct known_device){ action->device_id, step->offset, NULL });
    if (st == CQ_OK)
        st = emit_device(step, action->user_id, action->device_id, linked->platform, false);
    if (st != CQ_OK)
        return st;
    if (!(event = user_emit_event(step, action, 0)))
        return CQ_FATAL;
    event->event.kind = USER_EVENT_DEVICE_ADDED;
    event->event.u.device_added =
        (struct device_added){ action->device_id, linked->platform, linked->label };
    return CQ_OK;
}
const struct user_rule user_rule_device_linked = {
    rule_device_linked, TOPIC_BIT(TOPIC_USER_EVENTS) | TOPIC_BIT(TOPIC_PRESENCE) |
                            TOPIC_BIT(TOPIC_WS_PUSH) | TOPIC_BIT(TOPIC_PUSH_TARGETS) |
                            TOPIC_BIT(TOPIC_USER_INBOX)
};

static enum cq_status rule_device_unlinked(struct user_step *step, const struct user_action *action)
{
    struct user_entry *entry = sessions_user_make(&step->state->sessions, action->user_id);

    return entry ? drop_device(step, action, entry, action->device_id,
                               action->action.u.device_unlinked.reason, 0)
                 : CQ_FATAL;
}
const struct user_rule user_rule_device_unlinked = {
    rule_device_unlinked, TOPIC_BIT(TOPIC_USER_EVENTS) | TOPIC_BIT(TOPIC_PRESENCE) |
                              TOPIC_BIT(TOPIC_WS_PUSH) | TOPIC_BIT(TOPIC_PUSH_TARGETS) |
                              TOPIC_BIT(TOPIC_USER_INBOX)
};

/* The event says that all devices ended, so that none of their ends can get lost. In a replay what came
 * later stays. */
static enum cq_status rule_account_deleted(struct user_step *step, const struct user_action *action)
{
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    enum cq_status st = entry ? user_forget_mutes(step, entry) : CQ_OK;
    struct user_event *event;

    for (int i = entry ? entry->devices_n : 0; st == CQ_OK && i-- > 0;)
        if (entry->devices[i].source_offset < step->offset)
            st = end_device(step, entry, entry->devices[i].id);
    if (st != CQ_OK)
        return st;
    if (!(event = user_emit_event(step, action, 0)))
        return CQ_FATAL;
    event->event.kind = USER_EVENT_USER_DELETED;
    event->event.u.user_deleted.deleted_at_ms = action->action.u.account_deleted.deleted_at_ms;
    return CQ_OK;
}
const struct user_rule user_rule_account_deleted = {
    rule_account_deleted, TOPIC_BIT(TOPIC_USER_EVENTS) | TOPIC_BIT(TOPIC_PRESENCE) |
                              TOPIC_BIT(TOPIC_WS_PUSH) | TOPIC_BIT(TOPIC_PUSH_TARGETS) |
                              TOPIC_BIT(TOPIC_PUSH_MUTES) | TOPIC_BIT(TOPIC_USER_INBOX)
};

/* ---- the table ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const struct user_rule *rule;
} rules[] = {
#define RULE_ROW(kind, constant, name) [constant] = { name, &user_rule_##kind },
    USER_ACTION_ACTION_KINDS(RULE_ROW)
#undef RULE_ROW
};

_Static_assert(ARRAY_LEN(rules) == USER_ACTION_ACTION_KIND_N, "a rule for each user action");

static const uint32_t delivery_writes = TOPIC_BIT(TOPIC_WS_PUSH) | TOPIC_BIT(TOPIC_MOBILE_PUSH);

/* What a step has made, whole or in part. */
static enum cq_status check_arrows(enum cq_status st, const struct user_outputs *out,
                                   uint32_t writes)
{
    for (size_t i = 0; (st == CQ_OK || st == CQ_AGAIN) && i < out->n; i++)
        if (!(writes & TOPIC_BIT(out->v[i].topic)))
            return CQ_FATAL; /* an output that the rule does not name: a bug, not bad data */
    return st;
}

enum cq_status user_step(struct user_step *step, const struct user_inbox *record,
                         const char **ret_why)
{
    const struct user_action *action = &record->body.u.user_action;
    const struct user_rule *rule;
    enum cq_status st;

    if (record->body.kind == USER_INBOX_DELIVERY_BATCH) {
        st = rule_delivery_batch(step, &record->body.u.delivery_batch);
        if (st == CQ_POISON)
            *ret_why = "a delivery from an unknown partition";
        return check_arrows(st, step->out, delivery_writes);
    }
    if ((size_t)action->action.kind >= ARRAY_LEN(rules)) {
        *ret_why = "no rule for this action";
        return CQ_POISON;
    }
    rule = rules[action->action.kind].rule;
    st = rule->step(step, action);
    if (st == CQ_POISON)
        *ret_why = "no such slot, or more items than an action may have";
    return check_arrows(st, step->out, rule->writes);
}

static void print_arrows(FILE *out, const char *name, uint32_t writes)
{
    for (int t = 0; t < TOPIC_N; t++)
        if (writes & TOPIC_BIT(t))
            fprintf(out, "    processors/user -- %s --> %s\n", name, topic_name((enum topic)t));
}

void user_rules_print(FILE *out)
{
    fputs("flowchart LR\n    user.inbox --> processors/user\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        print_arrows(out, rules[i].name, rules[i].rule->writes);
    print_arrows(out, "DeliveryBatch", delivery_writes);
}
