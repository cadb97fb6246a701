/* SPDX-License-Identifier: MIT */
/*
 * processors/user/push_rules.c - push addresses of devices, and muted chats. A registration belongs
 * to a device that is logged in, and ends with it; one token belongs to one device (claim_rules.c
 * says which).
 */
#include "processors/user/rules.h"

#include "schemas/names.h"

enum cq_status user_restore_push(struct user_state *state, const struct push_target *value)
{
    struct user_entry *entry = sessions_user(&state->sessions, value->user_id);
    struct known_device *device = entry ? user_device(entry, value->device_id) : NULL;

    if (!device || (device->push && device->push->source_offset > value->source.offset))
        return CQ_OK; /* logged out meanwhile, or a late record of a zombie */
    return device_set_push(device, value->source.offset, value->at_ms, value->claim,
                           &value->address);
}

void user_restore_push_gone(struct user_state *state, struct cq_id user, struct cq_id device)
{
    struct user_entry *entry = sessions_user(&state->sessions, user);
    struct known_device *known = entry ? user_device(entry, device) : NULL;

    if (known)
        device_drop_push(known);
}

static struct push_target *emit_target(struct user_step *step, struct cq_id user,
                                       struct cq_id device, bool gone)
{
    struct user_output *output = user_emit(step, TOPIC_PUSH_TARGETS);

    if (!output)
        return NULL;
    output->u.target.gone = gone;
    output->u.target.value = (struct push_target){
        .user_id = user,
        .device_id = device,
        .source = { TOPIC_GENERATION, step->state->partition, step->offset },
    };
    return &output->u.target.value;
}

enum cq_status user_forget_push(struct user_step *step, const struct user_entry *entry,
                                struct known_device *device)
{
    enum cq_status st;

    if (!device->push)
        return CQ_OK;
    if (!emit_target(step, entry->id, device->id, true))
        return CQ_FATAL;
    st = user_emit_settled(step, entry->id, device->id, &device->push->address, device->push->claim,
                           false);
    device_drop_push(device);
    return st;
}

static bool same_token(const struct push_address *a, const struct push_address *b)
{
    return a->kind == b->kind && span_eq(a->token, b->token);
}

/* The user's other devices cannot have the same token: an app that logged in anew is one device. */
static enum cq_status take_from_others(struct user_step *step, struct user_entry *entry,
                                       const struct known_device *device,
                                       const struct push_address *address)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < entry->devices_n; i++) {
        struct known_device *other = &entry->devices[i];

        if (other != device && other->push && same_token(&other->push->address, address))
            st = user_forget_push(step, entry, other);
    }
    return st;
}

/* Every push of a user carries the addresses of all devices that are offline. So together they are
 * bounded, and a new one ends the oldest. One alone always fits. */
static enum cq_status bound_addresses(struct user_step *step, const struct user_entry *entry)
{
    enum cq_status st = CQ_OK;

    while (st == CQ_OK) {
        struct known_device *oldest = NULL;
        size_t bytes = 0;

        for (int i = 0; i < entry->devices_n; i++) {
            const struct known_push *known_push = entry->devices[i].push;

            if (!known_push)
                continue;
            bytes += known_push->address.token.n + known_push->address.app.n +
                     known_push->address.locale.n;
            if (!oldest || known_push->source_offset < oldest->push->source_offset)
                oldest = &entry->devices[i];
        }
        if (bytes <= USER_ADDRESSES_BYTES_MAX)
            return CQ_OK;
        st = user_forget_push(step, entry, oldest);
    }
    return st;
}

/* The device has registered anew since this was claimed: a processor that was killed writes again
 * what it had written, or two requests of one device overtook each other. */
static bool is_late(const struct known_push *known, const struct user_action *action)
{
    const struct push_registered *push_registered = &action->action.u.push_registered;

    if (!known || push_registered->claim < 0)
        return false;
    return same_token(&known->address, &push_registered->address)
               ? known->claim > push_registered->claim
               : known->at_ms > action->at_ms;
}

/* Take the address of the claim; if the device had another token, that one is given back. */
static enum cq_status take_address(struct user_step *step, const struct user_entry *entry,
                                   struct known_device *device, const struct user_action *action)
{
    const struct push_registered *push_registered = &action->action.u.push_registered;
    struct push_target *target;
    enum cq_status st = CQ_OK;

    if (device->push && !same_token(&device->push->address, &push_registered->address))
        st = user_emit_settled(step, entry->id, device->id, &device->push->address,
                               device->push->claim, false);
    if (st == CQ_OK)
        st = device_set_push(device, step->offset, action->at_ms, push_registered->claim,
                             &push_registered->address);
    if (st != CQ_OK)
        return st;
    if (!(target = emit_target(step, entry->id, device->id, false)))
        return CQ_FATAL;
    target->at_ms = action->at_ms;
    target->address = push_registered->address;
    target->claim = push_registered->claim;
    return user_emit_settled(step, entry->id, device->id, &push_registered->address,
                             push_registered->claim, true);
}

static enum cq_status rule_push_registered(struct user_step *step, const struct user_action *action)
{
    const struct push_registered *push_registered = &action->action.u.push_registered;
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct known_device *device = entry ? user_device(entry, action->device_id) : NULL;
    enum cq_status st;

    if (!device) /* logged out before this came */
        return user_emit_settled(step, action->user_id, action->device_id,
                                 &push_registered->address, push_registered->claim, false);
    if (is_late(device->push, action))
        return same_token(&device->push->address, &push_registered->address)
                   ? CQ_OK
                   : user_emit_settled(step, entry->id, device->id, &push_registered->address,
                                       push_registered->claim, false);
    st = take_from_others(step, entry, device, &push_registered->address);
    if (st == CQ_OK)
        st = take_address(step, entry, device, action);
    return st == CQ_OK ? bound_addresses(step, entry) : st;
}
const struct user_rule user_rule_push_registered = {
    rule_push_registered, TOPIC_BIT(TOPIC_PUSH_TARGETS) | TOPIC_BIT(TOPIC_USER_INBOX)
};

static enum cq_status rule_push_moved(struct user_step *step, const struct user_action *action)
{
    const struct push_moved *moved = &action->action.u.push_moved;
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct known_device *device = entry ? user_device(entry, action->device_id) : NULL;

    if (!device || !device->push || device->push->claim >= moved->below ||
        !id_eq(push_token_id(device->push->address.kind, device->push->address.token),
               moved->token))
        return CQ_OK; /* it is registered anew since, or for another token */
    return user_forget_push(step, entry, device);
}
const struct user_rule user_rule_push_moved = { rule_push_moved, TOPIC_BIT(TOPIC_PUSH_TARGETS) |
                                                                     TOPIC_BIT(TOPIC_USER_INBOX) };

static enum cq_status rule_push_unregistered(struct user_step *step,
                                             const struct user_action *action)
{
    const struct push_unregistered *gone = &action->action.u.push_unregistered;
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct known_device *device = entry ? user_device(entry, action->device_id) : NULL;

    if (!device || !device->push)
        return CQ_OK;
    if (gone->token.n && !span_eq(gone->token, device->push->address.token))
        return CQ_OK; /* it has another one by now */
    if (gone->registered >= 0 && gone->registered != device->push->source_offset)
        return CQ_OK; /* it was registered again since */
    return user_forget_push(step, entry, device);
}
const struct user_rule user_rule_push_unregistered = {
    rule_push_unregistered, TOPIC_BIT(TOPIC_PUSH_TARGETS) | TOPIC_BIT(TOPIC_USER_INBOX)
};

/* ---- muted chats ---------------------------------------------------------------------- */

enum cq_status user_restore_mute(struct user_state *state, const struct chat_mute *value)
{
    struct user_entry *entry = sessions_user_make(&state->sessions, value->user_id);
    const struct muted_chat *known = entry ? user_muted(entry, value->chat_id) : NULL;

    if (!entry)
        return CQ_FATAL;
    if (known && known->source_offset > value->source.offset)
        return CQ_OK; /* a zombie's late word */
    if (!known && entry->mutes_n == USER_MUTES_MAX)
        user_unmute(entry, user_muted_least(entry)->chat);
    return user_mute(entry,
                     &(struct muted_chat){ value->chat_id, value->until_ms, value->source.offset });
}

void user_restore_unmuted(struct user_state *state, struct cq_id user, struct cq_id chat)
{
    struct user_entry *entry = sessions_user(&state->sessions, user);

    if (entry)
        user_unmute(entry, chat);
}

static enum cq_status emit_mute(struct user_step *step, struct cq_id user,
                                const struct muted_chat *muted_chat, bool gone)
{
    struct user_output *output = user_emit(step, TOPIC_PUSH_MUTES);

    if (!output)
        return CQ_FATAL;
    output->u.mute.gone = gone;
    output->u.mute.value = (struct chat_mute){
        .user_id = user,
        .source = { TOPIC_GENERATION, step->state->partition, muted_chat->source_offset },
        .chat_id = muted_chat->chat,
        .until_ms = muted_chat->until_ms,
    };
    return CQ_OK;
}

static enum cq_status unmute(struct user_step *step, struct user_entry *entry, struct cq_id chat)
{
    const struct muted_chat *known = user_muted(entry, chat);
    enum cq_status st = known ? emit_mute(step, entry->id, known, true) : CQ_OK;

    if (st == CQ_OK)
        user_unmute(entry, chat);
    return st;
}

enum cq_status user_forget_mutes(struct user_step *step, struct user_entry *entry)
{
    enum cq_status st = CQ_OK;

    for (size_t i = entry->mutes_n;
         st == CQ_OK && i-- > 0;) /* the last takes an ended one's place */
        if (entry->mutes[i].source_offset < step->offset)
            st = unmute(step, entry, entry->mutes[i].chat);
    return st;
}

/* What this user's pushes carry from now on. */
static enum cq_status keep_mute(struct user_step *step, struct user_entry *entry,
                                const struct muted_chat *muted_chat)
{
    const struct muted_chat *known = user_muted(entry, muted_chat->chat);
    enum cq_status st = CQ_OK;

    if (known && known->source_offset > muted_chat->source_offset)
        return CQ_OK; /* a replay: a later mute is known */
    if (muted_chat->until_ms <= step->log_ms)
        return unmute(step, entry, muted_chat->chat);
    if (!known && entry->mutes_n == USER_MUTES_MAX)
        st = unmute(step, entry, user_muted_least(entry)->chat);
    if (st == CQ_OK)
        st = user_mute(entry, muted_chat);
    return st == CQ_OK ? emit_mute(step, entry->id, muted_chat, false) : st;
}

int64_t user_muted_until(const struct user_step *step, const struct user_entry *entry,
                         struct cq_id chat)
{
    const struct muted_chat *muted_chat = user_muted(entry, chat);

    return muted_chat && muted_chat->source_offset <= step->offset ? muted_chat->until_ms : 0;
}

static enum cq_status rule_chat_muted(struct user_step *step, const struct user_action *action)
{
    const struct chat_muted *muted = &action->action.u.chat_muted;
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct user_event *event = user_emit_event(step, action, 0);
    struct user_event told;
    enum cq_status st;

    if (!event)
        return CQ_FATAL;
    event->event.kind = USER_EVENT_CHAT_MUTE_CHANGED;
    event->event.u.chat_mute_changed =
        (struct chat_mute_changed){ muted->chat_id, muted->until_ms };
    told = *event; /* the outputs may move */
    if (!entry)
        return CQ_OK; /* the user has no device left */
    st = keep_mute(step, entry,
                   &(struct muted_chat){ muted->chat_id, muted->until_ms, step->offset });
    return st == CQ_OK ? user_tell_marked(step, &told) : st;
}
const struct user_rule user_rule_chat_muted = { rule_chat_muted, TOPIC_BIT(TOPIC_USER_EVENTS) |
                                                                     TOPIC_BIT(TOPIC_PUSH_MUTES) |
                                                                     TOPIC_BIT(TOPIC_WS_PUSH) };
