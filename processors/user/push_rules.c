/* SPDX-License-Identifier: MIT */
/*
 * processors/user/push_rules.c - push addresses of devices, and muted chats. A registration belongs
 * to a device that is logged in, and ends with it; one token belongs to one device (claim_rules.c
 * says which).
 */
#include "processors/user/rules.h"

#include "schemas/names.h"

enum cq_status user_restore_push(struct user_state *s, const struct push_target *value)
{
    struct user_entry *u = sessions_user(&s->sessions, value->user_id);
    struct known_device *d = u ? user_device(u, value->device_id) : NULL;

    if (!d || (d->push && d->push->source_offset > value->source.offset))
        return CQ_OK; /* logged out meanwhile, or a late record of a zombie */
    return device_set_push(d, value->source.offset, value->at_ms, value->claim, &value->address);
}

void user_restore_push_gone(struct user_state *s, struct cq_id user, struct cq_id device)
{
    struct user_entry *u = sessions_user(&s->sessions, user);
    struct known_device *d = u ? user_device(u, device) : NULL;

    if (d)
        device_drop_push(d);
}

static struct push_target *emit_target(struct user_step *step, struct cq_id user,
                                       struct cq_id device, bool gone)
{
    struct user_output *o = user_emit(step, TOPIC_PUSH_TARGETS);

    if (!o)
        return NULL;
    o->u.target.gone = gone;
    o->u.target.value = (struct push_target){
        .user_id = user,
        .device_id = device,
        .source = { TOPIC_GENERATION, step->state->partition, step->offset },
    };
    return &o->u.target.value;
}

enum cq_status user_forget_push(struct user_step *step, const struct user_entry *u,
                                struct known_device *d)
{
    enum cq_status st;

    if (!d->push)
        return CQ_OK;
    if (!emit_target(step, u->id, d->id, true))
        return CQ_FATAL;
    st = user_emit_settled(step, u->id, d->id, &d->push->address, d->push->claim, false);
    device_drop_push(d);
    return st;
}

static bool same_token(const struct push_address *a, const struct push_address *b)
{
    return a->kind == b->kind && span_eq(a->token, b->token);
}

/* The user's other devices cannot have the same token: an app that logged in anew is one device. */
static enum cq_status take_from_others(struct user_step *step, struct user_entry *u,
                                       const struct known_device *d,
                                       const struct push_address *address)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < u->devices_n; i++) {
        struct known_device *other = &u->devices[i];

        if (other != d && other->push && same_token(&other->push->address, address))
            st = user_forget_push(step, u, other);
    }
    return st;
}

/* Every push of a user carries the addresses of all devices that are offline. So together they are
 * bounded, and a new one ends the oldest. One alone always fits. */
static enum cq_status bound_addresses(struct user_step *step, const struct user_entry *u)
{
    enum cq_status st = CQ_OK;

    while (st == CQ_OK) {
        struct known_device *oldest = NULL;
        size_t bytes = 0;

        for (int i = 0; i < u->devices_n; i++) {
            const struct known_push *p = u->devices[i].push;

            if (!p)
                continue;
            bytes += p->address.token.n + p->address.app.n + p->address.locale.n;
            if (!oldest || p->source_offset < oldest->push->source_offset)
                oldest = &u->devices[i];
        }
        if (bytes <= USER_ADDRESSES_BYTES_MAX)
            return CQ_OK;
        st = user_forget_push(step, u, oldest);
    }
    return st;
}

/* The device has registered anew since this was claimed: a processor that was killed writes again
 * what it had written, or two requests of one device overtook each other. */
static bool is_late(const struct known_push *known, const struct user_action *a)
{
    const struct push_registered *r = &a->action.u.push_registered;

    if (!known || r->claim < 0)
        return false;
    return same_token(&known->address, &r->address) ? known->claim > r->claim
                                                    : known->at_ms > a->at_ms;
}

/* Take the address of the claim; if the device had another token, that one is given back. */
static enum cq_status take_address(struct user_step *step, const struct user_entry *u,
                                   struct known_device *d, const struct user_action *a)
{
    const struct push_registered *r = &a->action.u.push_registered;
    struct push_target *t;
    enum cq_status st = CQ_OK;

    if (d->push && !same_token(&d->push->address, &r->address))
        st = user_emit_settled(step, u->id, d->id, &d->push->address, d->push->claim, false);
    if (st == CQ_OK)
        st = device_set_push(d, step->offset, a->at_ms, r->claim, &r->address);
    if (st != CQ_OK)
        return st;
    if (!(t = emit_target(step, u->id, d->id, false)))
        return CQ_FATAL;
    t->at_ms = a->at_ms;
    t->address = r->address;
    t->claim = r->claim;
    return user_emit_settled(step, u->id, d->id, &r->address, r->claim, true);
}

enum cq_status rule_push_registered(struct user_step *step, const struct user_action *a)
{
    const struct push_registered *r = &a->action.u.push_registered;
    struct user_entry *u = sessions_user(&step->state->sessions, a->user_id);
    struct known_device *d = u ? user_device(u, a->device_id) : NULL;
    enum cq_status st;

    if (!d) /* logged out before this came */
        return user_emit_settled(step, a->user_id, a->device_id, &r->address, r->claim, false);
    if (is_late(d->push, a))
        return same_token(&d->push->address, &r->address)
                   ? CQ_OK
                   : user_emit_settled(step, u->id, d->id, &r->address, r->claim, false);
    st = take_from_others(step, u, d, &r->address);
    if (st == CQ_OK)
        st = take_address(step, u, d, a);
    return st == CQ_OK ? bound_addresses(step, u) : st;
}

enum cq_status rule_push_moved(struct user_step *step, const struct user_action *a)
{
    const struct push_moved *m = &a->action.u.push_moved;
    struct user_entry *u = sessions_user(&step->state->sessions, a->user_id);
    struct known_device *d = u ? user_device(u, a->device_id) : NULL;

    if (!d || !d->push || d->push->claim >= m->below ||
        !id_eq(push_token_id(d->push->address.kind, d->push->address.token), m->token))
        return CQ_OK; /* it is registered anew since, or for another token */
    return user_forget_push(step, u, d);
}

enum cq_status rule_push_unregistered(struct user_step *step, const struct user_action *a)
{
    const struct push_unregistered *gone = &a->action.u.push_unregistered;
    struct user_entry *u = sessions_user(&step->state->sessions, a->user_id);
    struct known_device *d = u ? user_device(u, a->device_id) : NULL;

    if (!d || !d->push)
        return CQ_OK;
    if (gone->token.n && !span_eq(gone->token, d->push->address.token))
        return CQ_OK; /* it has another one by now */
    if (gone->registered >= 0 && gone->registered != d->push->source_offset)
        return CQ_OK; /* it was registered again since */
    return user_forget_push(step, u, d);
}

/* ---- muted chats ---------------------------------------------------------------------- */

enum cq_status user_restore_mute(struct user_state *s, const struct chat_mute *value)
{
    struct user_entry *u = sessions_user_make(&s->sessions, value->user_id);
    const struct muted_chat *known = u ? user_muted(u, value->chat_id) : NULL;

    if (!u)
        return CQ_FATAL;
    if (known && known->source_offset > value->source.offset)
        return CQ_OK; /* a zombie's late word */
    if (!known && u->mutes_n == USER_MUTES_MAX)
        user_unmute(u, user_muted_least(u)->chat);
    return user_mute(u,
                     &(struct muted_chat){ value->chat_id, value->until_ms, value->source.offset });
}

void user_restore_unmuted(struct user_state *s, struct cq_id user, struct cq_id chat)
{
    struct user_entry *u = sessions_user(&s->sessions, user);

    if (u)
        user_unmute(u, chat);
}

static enum cq_status emit_mute(struct user_step *step, struct cq_id user,
                                const struct muted_chat *m, bool gone)
{
    struct user_output *o = user_emit(step, TOPIC_PUSH_MUTES);

    if (!o)
        return CQ_FATAL;
    o->u.mute.gone = gone;
    o->u.mute.value = (struct chat_mute){
        .user_id = user,
        .source = { TOPIC_GENERATION, step->state->partition, m->source_offset },
        .chat_id = m->chat,
        .until_ms = m->until_ms,
    };
    return CQ_OK;
}

static enum cq_status unmute(struct user_step *step, struct user_entry *u, struct cq_id chat)
{
    const struct muted_chat *known = user_muted(u, chat);
    enum cq_status st = known ? emit_mute(step, u->id, known, true) : CQ_OK;

    if (st == CQ_OK)
        user_unmute(u, chat);
    return st;
}

/* What this user's pushes carry from now on. */
static enum cq_status keep_mute(struct user_step *step, struct user_entry *u,
                                const struct muted_chat *m)
{
    const struct muted_chat *known = user_muted(u, m->chat);
    enum cq_status st = CQ_OK;

    if (known && known->source_offset > m->source_offset)
        return CQ_OK; /* a replay: a later mute is known */
    if (m->until_ms <= step->log_ms)
        return unmute(step, u, m->chat);
    if (!known && u->mutes_n == USER_MUTES_MAX)
        st = unmute(step, u, user_muted_least(u)->chat);
    if (st == CQ_OK)
        st = user_mute(u, m);
    return st == CQ_OK ? emit_mute(step, u->id, m, false) : st;
}

int64_t user_muted_until(const struct user_step *step, const struct user_entry *u,
                         struct cq_id chat)
{
    const struct muted_chat *m = user_muted(u, chat);

    return m && m->source_offset <= step->offset ? m->until_ms : 0;
}

enum cq_status rule_chat_muted(struct user_step *step, const struct user_action *a)
{
    const struct chat_muted *m = &a->action.u.chat_muted;
    struct user_entry *u = sessions_user(&step->state->sessions, a->user_id);
    struct user_event *e = user_emit_event(step, a, 0);

    if (!e)
        return CQ_FATAL;
    e->event.kind = USER_EVENT_CHAT_MUTE_CHANGED;
    e->event.u.chat_mute_changed = (struct chat_mute_changed){ m->chat_id, m->until_ms };
    return u ? keep_mute(step, u, &(struct muted_chat){ m->chat_id, m->until_ms, step->offset })
             : CQ_OK; /* the user has no device left */
}
