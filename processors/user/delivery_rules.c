/* SPDX-License-Identifier: MIT */
/*
 * processors/user/delivery_rules.c - one frame for some users becomes one entry a slot, and a push
 * for devices that are not there. Routing is per device: an online web tab does not silence the
 * phone.
 */
#include "processors/user/rules.h"

#include <stdlib.h>

/* A copy in the arena: a later record of the turn may change the table before this is written. */
static bool target_of(struct user_step *step, const struct known_device *d, struct push_device *ret)
{
    const struct push_address *a = &d->push->address;

    *ret = (struct push_device){ .device_id = d->id,
                                 .registered = d->push->source_offset,
                                 .registered_ms = d->push->at_ms,
                                 .address = *a };
    ret->address.token = arena_copy(step->arena, a->token);
    ret->address.app = arena_copy(step->arena, a->app);
    ret->address.locale = arena_copy(step->arena, a->locale);
    return (ret->address.token.p || !a->token.n) && (ret->address.app.p || !a->app.n) &&
           (ret->address.locale.p || !a->locale.n);
}

/* Fills in whose push it is and where it comes from; one for no devices is none. */
static enum cq_status emit_push(struct user_step *step, const struct user_entry *u,
                                const struct mobile_push *push)
{
    struct user_output *o;

    if (!push->devices_n)
        return CQ_OK;
    o = user_emit(step, TOPIC_MOBILE_PUSH);
    if (!o)
        return CQ_FATAL;
    o->u.mobile = *push;
    o->u.mobile.user_id = u->id;
    o->u.mobile.source = (struct source){ TOPIC_GENERATION, step->state->partition, step->offset };
    return CQ_OK;
}

enum cq_status user_emit_mobile(struct user_step *step, const struct user_entry *u,
                                const struct cq_id *only, const struct lost_item *item)
{
    struct cq_id *devices = ARENA_ARRAY(step->arena, struct cq_id, USER_DEVICES_MAX);
    struct push_device *targets = ARENA_ARRAY(step->arena, struct push_device, USER_DEVICES_MAX);
    size_t n = 0, targets_n = 0;

    if (!devices || !targets)
        return CQ_AGAIN;
    for (int i = 0; i < u->devices_n; i++) {
        const struct known_device *d = &u->devices[i];

        if ((only && !id_eq(*only, d->id)) || user_device_online(u, d->id, step->offset))
            continue;
        devices[n++] = d->id;
        if (d->push && !target_of(step, d, &targets[targets_n++]))
            return CQ_AGAIN;
    }
    return emit_push(step, u,
                     &(struct mobile_push){ .at_ms = item->at_ms,
                                            .chat_id = item->chat_id,
                                            .seq = item->seq,
                                            .message_id = item->message_id,
                                            .sender_id = item->sender_id,
                                            .frame = item->frame,
                                            .devices = devices,
                                            .devices_n = n,
                                            .targets = targets,
                                            .targets_n = targets_n,
                                            .read_after = -1 });
}

/* Whether any of the user's devices has no live session. */
static bool somebody_away(const struct user_entry *u, int64_t offset)
{
    for (int i = 0; i < u->devices_n; i++)
        if (!user_device_online(u, u->devices[i].id, offset))
            return true;
    return false;
}

static enum cq_status emit_slot(struct user_step *step, const struct delivery_item *item,
                                int32_t slot, struct ws_target *to, size_t to_n)
{
    struct user_output *o = user_emit(step, TOPIC_WS_PUSH);

    if (!o)
        return CQ_FATAL;
    o->u.push.slot = slot;
    o->u.push.entry = (struct ws_entry){
        .kind = WS_ENTRY_KIND_FRAME,
        .class = item->class,
        .chat_id = item->chat_id,
        .seq = item->seq,
        .message_id = item->message_id,
        .sender_id = item->sender_id,
        .at_ms = item->at_ms,
        .frame = item->frame,
        .to = to,
        .to_n = to_n,
    };
    return CQ_OK;
}

struct hit {
    int32_t slot;
    struct ws_target target;
};

static int by_slot(const void *a, const void *b)
{
    int32_t x = ((const struct hit *)a)->slot, y = ((const struct hit *)b)->slot;

    return (x > y) - (x < y);
}

/* One entry a slot: the targets in slot order are cut where the slot changes. */
static enum cq_status emit_hits(struct user_step *step, const struct delivery_item *item,
                                struct hit *hits, size_t n)
{
    struct ws_target *targets = ARENA_ARRAY(step->arena, struct ws_target, n);
    enum cq_status st = CQ_OK;
    size_t begin = 0;

    if (!n)
        return CQ_OK;
    if (!targets)
        return CQ_AGAIN;
    if (n > 1)
        qsort(hits, n, sizeof *hits, by_slot);
    for (size_t i = 0; i < n; i++)
        targets[i] = hits[i].target;
    for (size_t i = 1; st == CQ_OK && i <= n; i++)
        if (i == n || hits[i].slot != hits[begin].slot) {
            st = emit_slot(step, item, hits[begin].slot, targets + begin, i - begin);
            begin = i;
        }
    return st;
}

static size_t count_sessions(const struct user_step *step, const struct delivery_item *item)
{
    size_t n = 0;

    for (size_t i = 0; i < item->to_n; i++) {
        const struct user_entry *u = sessions_user(&step->state->sessions, item->to[i]);

        n += u ? u->sessions_n : 0;
    }
    return n;
}

static enum cq_status push_away(struct user_step *step, const struct user_entry *u,
                                const struct delivery_item *item)
{
    if (item->class != FRAME_CLASS_MESSAGE || id_eq(u->id, item->sender_id) ||
        !somebody_away(u, step->offset))
        return CQ_OK;
    return user_emit_mobile(step, u, NULL,
                            &(struct lost_item){ item->chat_id, item->seq, item->message_id,
                                                 item->sender_id, item->at_ms, item->frame });
}

/* What was read on one device may still be shown by the others: those that can be woken. */
static enum cq_status push_read(struct user_step *step, const struct user_entry *u,
                                const struct delivery_item *item)
{
    struct push_device *targets = NULL;
    struct cq_id *devices = NULL;
    size_t n = 0;

    for (int i = 0; i < u->devices_n; i++) {
        const struct known_device *d = &u->devices[i];

        if (!d->push || id_eq(d->id, item->read_by) || user_device_online(u, d->id, step->offset))
            continue;
        if (!n) {
            devices = ARENA_ARRAY(step->arena, struct cq_id, USER_DEVICES_MAX);
            targets = ARENA_ARRAY(step->arena, struct push_device, USER_DEVICES_MAX);
        }
        if (!devices || !targets || !target_of(step, d, &targets[n]))
            return CQ_AGAIN;
        devices[n++] = d->id;
    }
    return emit_push(step, u,
                     &(struct mobile_push){ .at_ms = item->at_ms,
                                            .chat_id = item->chat_id,
                                            .seq = item->seq,
                                            .sender_id = u->id,
                                            .devices = devices,
                                            .devices_n = n,
                                            .targets = targets,
                                            .targets_n = n,
                                            .read_after = item->read_after });
}

static enum cq_status route_item(struct user_step *step, const struct delivery_item *item)
{
    struct hit *hits = ARENA_ARRAY(step->arena, struct hit, count_sessions(step, item));
    enum cq_status st = CQ_OK;
    size_t n = 0;

    if (!hits)
        return CQ_AGAIN;
    for (size_t i = 0; st == CQ_OK && i < item->to_n; i++) {
        const struct user_entry *u = sessions_user(&step->state->sessions, item->to[i]);

        for (int k = 0; u && k < u->sessions_n; k++)
            /* the sync of one that opened later has this */
            if (session_opened_by(&u->sessions[k], step->offset) &&
                !(item->has_read_by && id_eq(u->sessions[k].device, item->read_by)))
                hits[n++] = (struct hit){ u->sessions[k].slot, { u->id, u->sessions[k].id } };
        if (u)
            st = item->has_read_by ? push_read(step, u, item) : push_away(step, u, item);
    }
    return st == CQ_OK ? emit_hits(step, item, hits, n) : st;
}

enum cq_status rule_delivery_batch(struct user_step *step, const struct delivery_batch *b)
{
    struct user_state *s = step->state;
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < b->items_n; i++) {
        const struct delivery_item *item = &b->items[i];
        bool chat = b->origin == DELIVERY_ORIGIN_CHAT_ACTIONS;

        if (item->partition < 0 || item->partition >= s->held.n)
            return CQ_POISON;
        /* Items of one source are never cut apart, so what was held before this record is a repeat.
         */
        if (chat && item->offset < s->held.next[item->partition]) {
            step->repeats++;
            continue;
        }
        st = route_item(step, item);
    }
    for (size_t i = 0; st == CQ_OK && b->origin == DELIVERY_ORIGIN_CHAT_ACTIONS && i < b->items_n;
         i++) {
        const struct delivery_item *item = &b->items[i];

        frontier_advance(&s->held, item->partition, item->offset + 1);
        /* a repeat of a client id carries the first one's seq: the view will show nothing at this
         * source */
        if (item->seq && seq_offset(item->seq) == item->offset)
            frontier_advance(&s->events, item->partition, item->offset + 1);
    }
    return st;
}
