/* SPDX-License-Identifier: MIT */
/*
 * processors/user/delivery_rules.c - one frame for some users becomes one entry a slot, and a push
 * for devices that are not there. Routing is per device: an online web tab does not silence the
 * phone.
 */
#include "processors/user/rules.h"

#include "schemas/delivery.h"
#include "schemas/frame.h"

#include <stdlib.h>

enum {
    PUSH_OVERHEAD = 160,   /* bytes of an encoded MobilePush beside excerpt and devices, about */
    DEVICE_OVERHEAD = 72,  /* of a device beside its address */
    ENTRY_OVERHEAD = 80,   /* of a WsEntry beside frame and targets */
    PLACE_ITEM_SHIFT = 32, /* a place is (item, how far in it): see route_part */
    SLOT_WORDS = PARTITIONS_MAX / 64,
    SHARED_MIN = MOBILE_PUSH_TARGETS_MAX - LIMIT_USER_DEVICES,
};

_Static_assert(USER_GROUP *USER_SESSIONS_MAX <= USER_TARGETS_MAX, "a part has room for a group");

/* A copy in the arena: a later record of the turn may change the table before this is written. */
static bool target_of(struct user_step *step, const struct known_device *device,
                      struct push_device *ret)
{
    const struct push_address *address = &device->push->address;

    *ret = (struct push_device){ .device_id = device->id,
                                 .registered = device->push->source_offset,
                                 .registered_ms = device->push->at_ms,
                                 .address = *address };
    ret->address.token = arena_copy(step->arena, address->token);
    ret->address.app = arena_copy(step->arena, address->app);
    ret->address.locale = arena_copy(step->arena, address->locale);
    return (ret->address.token.p || !address->token.n) && (ret->address.app.p || !address->app.n) &&
           (ret->address.locale.p || !address->locale.n);
}

enum cq_status user_push_devices(struct user_step *step, const struct user_entry *entry,
                                 const struct cq_id *only, struct push_devices *ret)
{
    *ret = (struct push_devices){ 0 };
    for (int i = 0; i < entry->devices_n; i++) {
        const struct known_device *device = &entry->devices[i];
        const struct push_address *address = device->push ? &device->push->address : NULL;

        if (!address || (only && !id_eq(*only, device->id)) ||
            user_device_online(entry, device->id, step->offset))
            continue;
        if (!ret->v) {
            ret->v = ARENA_ARRAY(step->arena, struct push_device, entry->devices_n);
            ret->ids = ARENA_ARRAY(step->arena, struct cq_id, entry->devices_n);
        }
        if (!ret->v || !ret->ids || !target_of(step, device, &ret->v[ret->n]))
            return CQ_AGAIN;
        ret->ids[ret->n++] = device->id;
        ret->bytes += DEVICE_OVERHEAD + address->token.n + address->app.n + address->locale.n;
    }
    return CQ_OK;
}

struct cq_span user_push_excerpt(struct user_step *step, struct cq_span frame)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };

    buf_init(&text, FRAME_EXCERPT_MAX);
    frame_excerpt(&text, frame);
    return arena_copy(step->arena, buf_span(&text));
}

/* What it adds to the records, about. A record that is shared has more than SHARED_MIN devices. */
static size_t push_bytes(const struct mobile_push *push, const struct push_devices *devices,
                         bool joins)
{
    size_t message = PUSH_OVERHEAD + push->frame.n;

    return devices->bytes + (joins ? message * devices->n / SHARED_MIN : message);
}

/* The devices with the end of the mute filled in, in the arena. NULL: it is full. */
static struct push_device *muted_devices(struct user_step *step, const struct push_devices *devices,
                                         int64_t until_ms)
{
    struct push_device *device = ARENA_ARRAY(step->arena, struct push_device, devices->n);

    for (size_t i = 0; device && i < devices->n; i++) {
        device[i] = devices->v[i];
        device[i].muted_until_ms = until_ms;
    }
    return device;
}

/* Fills in whose push it is and where it comes from; one for no devices is none. */
static enum cq_status emit_push(struct user_step *step, const struct user_entry *entry,
                                const struct push_devices *devices, const struct mobile_push *push,
                                bool joins)
{
    int64_t until_ms = user_muted_until(step, entry, push->chat_id);
    struct push_device *targets = devices->v;
    struct user_output *output;

    if (!devices->n)
        return CQ_OK;
    if (until_ms && !(targets = muted_devices(step, devices, until_ms)))
        return CQ_AGAIN;
    output = user_emit(step, TOPIC_MOBILE_PUSH);
    if (!output)
        return CQ_FATAL;
    output->u.mobile.joins = joins;
    output->u.mobile.value = *push;
    output->u.mobile.value.user_id = entry->id;
    output->u.mobile.value.source =
        (struct source){ TOPIC_GENERATION, step->state->partition, step->offset };
    output->u.mobile.value.devices = devices->ids;
    output->u.mobile.value.devices_n = devices->n;
    output->u.mobile.value.targets = targets;
    output->u.mobile.value.targets_n = devices->n;
    step->bytes += push_bytes(push, devices, joins);
    return CQ_OK;
}

enum cq_status user_emit_mobile(struct user_step *step, const struct user_entry *entry,
                                const struct push_devices *devices, const struct lost_item *item,
                                bool joins)
{
    return emit_push(step, entry, devices,
                     &(struct mobile_push){ .at_ms = item->at_ms,
                                            .chat_id = item->chat_id,
                                            .seq = item->seq,
                                            .message_id = item->message_id,
                                            .sender_id = item->sender_id,
                                            .frame = item->frame,
                                            .read_after = -1 },
                     joins);
}

static enum cq_status emit_slot(struct user_step *step, const struct delivery_item *item,
                                int32_t slot, struct ws_target *to, size_t to_n)
{
    struct user_output *output = user_emit(step, TOPIC_WS_PUSH);

    if (!output)
        return CQ_FATAL;
    output->u.push.slot = slot;
    output->u.push.entry = (struct ws_entry){
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

/* One item on its way. */
struct route {
    const struct delivery_item *item;
    struct cq_span excerpt; /* made when the first push needs it */
    bool joins;             /* this group has a push already */
    struct hit *hits;       /* of this part, in the arena */
    size_t hits_n, hits_max;
    uint64_t slots[SLOT_WORDS]; /* those that have a hit: a bit each */
};

/* Sessions of the users from `from` on, at most USER_TARGETS_MAX. */
static size_t count_sessions(const struct user_step *step, const struct delivery_item *item,
                             size_t from)
{
    size_t n = 0;

    for (size_t i = from; i < item->to_n && n < USER_TARGETS_MAX; i++) {
        const struct user_entry *entry = sessions_user(&step->state->sessions, item->to[i]);

        n += entry ? entry->sessions_n : 0;
    }
    return n < USER_TARGETS_MAX ? n : USER_TARGETS_MAX;
}

static void add_hit(struct user_step *step, struct route *route, const struct user_entry *entry,
                    const struct live_session *session)
{
    uint64_t bit = 1ull << (session->slot % 64);

    route->hits[route->hits_n++] = (struct hit){ session->slot, { entry->id, session->id } };
    step->bytes += sizeof(struct ws_target);
    if (!(route->slots[session->slot / 64] & bit))
        step->bytes += ENTRY_OVERHEAD + route->item->frame.n; /* the first one of its slot */
    route->slots[session->slot / 64] |= bit;
}

/* A notification of the message may stand: it is to be taken back, or replaced. Or somebody gave a sign to the
 * user's own message. */
static enum cq_status push_change(struct user_step *step, struct route *route,
                                  const struct user_entry *entry)
{
    const struct delivery_item *item = route->item;
    struct push_devices devices;
    enum cq_status st;

    if (id_eq(entry->id, item->sender_id))
        return CQ_OK;
    st = user_push_devices(step, entry, NULL, &devices);
    if (st != CQ_OK || !devices.n)
        return st;
    if (!route->excerpt.p && item->class == FRAME_CLASS_EDIT)
        route->excerpt = user_push_excerpt(step, item->frame);
    st = emit_push(step, entry, &devices,
                   &(struct mobile_push){ .at_ms = item->at_ms,
                                          .chat_id = item->chat_id,
                                          .seq = item->message_seq,
                                          .message_id = item->message_id,
                                          .sender_id = item->sender_id,
                                          .frame = route->excerpt,
                                          .read_after = -1,
                                          .change_seq = item->seq,
                                          .reaction = item->reaction },
                   route->joins);
    route->joins = true;
    return st;
}

/* Somebody added the user to a group. Nothing of the group is in the push: what its name is, and
 * whether the user is in it still, the view says when the push leaves. */
static enum cq_status push_added(struct user_step *step, struct route *route,
                                 const struct user_entry *entry)
{
    const struct delivery_item *item = route->item;
    struct push_devices devices;
    enum cq_status st;

    if (id_eq(entry->id, item->sender_id))
        return CQ_OK;
    st = user_push_devices(step, entry, NULL, &devices);
    if (st != CQ_OK || !devices.n)
        return st;
    st = emit_push(step, entry, &devices,
                   &(struct mobile_push){ .at_ms = item->at_ms,
                                          .chat_id = item->chat_id,
                                          .seq = item->seq,
                                          .sender_id = item->sender_id,
                                          .read_after = -1,
                                          .added = true },
                   route->joins);
    route->joins = true;
    return st;
}

static enum cq_status push_away(struct user_step *step, struct route *route,
                                const struct user_entry *entry)
{
    const struct delivery_item *item = route->item;
    struct push_devices devices;
    enum cq_status st;

    if (item->class == FRAME_CLASS_DELETION || item->class == FRAME_CLASS_EDIT ||
        item->class == FRAME_CLASS_REACTION)
        return push_change(step, route, entry);
    if (item->class == FRAME_CLASS_ADDED)
        return push_added(step, route, entry);
    if (item->class != FRAME_CLASS_MESSAGE || id_eq(entry->id, item->sender_id))
        return CQ_OK;
    st = user_push_devices(step, entry, NULL, &devices);
    if (st != CQ_OK || !devices.n)
        return st;
    if (!route->excerpt.p)
        route->excerpt = user_push_excerpt(step, item->frame);
    st = user_emit_mobile(step, entry, &devices,
                          &(struct lost_item){ item->chat_id, item->seq, item->message_id,
                                               item->sender_id, item->at_ms, route->excerpt },
                          route->joins);
    route->joins = true;
    return st;
}

/* What was read on one device may still be shown on the others: a silent push for those that can be
 * woken. */
static enum cq_status push_read(struct user_step *step, const struct user_entry *entry,
                                const struct delivery_item *item)
{
    struct push_devices devices;
    enum cq_status st = user_push_devices(step, entry, NULL, &devices);
    size_t kept = 0;

    for (size_t i = 0; st == CQ_OK && i < devices.n; i++)
        if (!id_eq(devices.ids[i], item->read_by)) {
            devices.ids[kept] = devices.ids[i];
            devices.v[kept++] = devices.v[i];
        }
    devices.n = kept;
    if (st != CQ_OK)
        return st;
    return emit_push(step, entry, &devices,
                     &(struct mobile_push){ .at_ms = item->at_ms,
                                            .chat_id = item->chat_id,
                                            .seq = item->seq,
                                            .sender_id = entry->id,
                                            .read_after = item->read_after },
                     false);
}

static void add_hits(struct user_step *step, struct route *route, const struct user_entry *entry)
{
    const struct delivery_item *item = route->item;

    for (int k = 0; k < entry->sessions_n; k++)
        /* a session that opened later has this in its sync */
        if (session_opened_by(&entry->sessions[k], step->offset) &&
            !(item->has_read_by && id_eq(entry->sessions[k].device, item->read_by)))
            add_hit(step, route, entry, &entry->sessions[k]);
}

/* To the sockets of its users from `*at` on, until the part is full. The first user is routed even
 * if there is no room, so that a part that begins in an empty turn makes progress. */
static enum cq_status route_sockets(struct user_step *step, struct route *route, size_t *at)
{
    const struct delivery_item *item = route->item;
    size_t i = *at;

    route->hits_n = 0;
    route->hits_max = count_sessions(step, item, i);
    route->hits = ARENA_ARRAY(step->arena, struct hit, route->hits_max);
    memset(route->slots, 0, sizeof route->slots);
    if (!route->hits)
        return CQ_AGAIN;
    for (; i < item->to_n; i++) {
        const struct user_entry *entry = sessions_user(&step->state->sessions, item->to[i]);

        if (!entry)
            continue;
        if (route->hits_n + entry->sessions_n > route->hits_max ||
            (i > *at && user_step_full(step)))
            break;
        add_hits(step, route, entry);
    }
    *at = i;
    return emit_hits(step, item, route->hits, route->hits_n);
}

/* To the phones of its users from `*at` on, group by group until the part is full. The first group
 * is routed even if there is no room. */
static enum cq_status route_pushes(struct user_step *step, struct route *route, size_t *at)
{
    const struct delivery_item *item = route->item;
    enum cq_status st = CQ_OK;
    size_t i = *at;

    while (st == CQ_OK && i < item->to_n && (i == *at || !user_step_full(step))) {
        size_t end = i + USER_GROUP < item->to_n ? i + USER_GROUP : item->to_n;

        for (route->joins = false; st == CQ_OK && i < end; i++) {
            const struct user_entry *entry = sessions_user(&step->state->sessions, item->to[i]);

            if (entry)
                st = item->has_read_by ? push_read(step, entry, item)
                                       : push_away(step, route, entry);
        }
    }
    *at = i;
    return st;
}

/* `*at` counts the recipients twice: first their sockets, then their phones. Sockets come first,
 * and end anywhere: one user's may fill a part. Pushes end between groups, which are few bytes, so
 * that their records are the same wherever a part ends. */
static enum cq_status route_part(struct user_step *step, struct route *route, size_t *at)
{
    size_t users = route->item->to_n, i = *at < users ? *at : *at - users;
    enum cq_status st =
        *at < users ? route_sockets(step, route, &i) : route_pushes(step, route, &i);

    if (st == CQ_OK)
        *at = *at < users ? i : users + i;
    return st;
}

static bool is_held(const struct user_state *state, const struct delivery_batch *batch,
                    const struct delivery_item *item)
{
    /* Items of one source are never cut apart, so what was held before this record is a repeat. */
    return batch->origin == DELIVERY_ORIGIN_CHAT_ACTIONS &&
           item->offset < state->held.next[item->partition];
}

/* Everything in the batch is routed: its sources are held from now on. */
static void hold_sources(struct user_state *state, const struct delivery_batch *batch)
{
    for (size_t i = 0; batch->origin == DELIVERY_ORIGIN_CHAT_ACTIONS && i < batch->items_n; i++) {
        const struct delivery_item *item = &batch->items[i];

        frontier_advance(&state->held, item->partition, item->offset + 1);
        /* a repeat of a client id carries the first one's seq: the view will show nothing at this
         * source */
        if (item->seq && seq_offset(item->seq) == item->offset)
            frontier_advance(&state->events, item->partition, item->offset + 1);
    }
}

enum cq_status rule_delivery_batch(struct user_step *step, const struct delivery_batch *batch)
{
    struct user_state *state = step->state;
    size_t at = (size_t)(step->place & UINT32_MAX);

    for (size_t i = 0; !step->place && i < batch->items_n; i++)
        if (batch->items[i].partition < 0 || batch->items[i].partition >= state->held.n)
            return CQ_POISON;
    for (size_t i = (size_t)(step->place >> PLACE_ITEM_SHIFT); i < batch->items_n; i++, at = 0) {
        struct route route = { .item = &batch->items[i] };

        if (is_held(state, batch, route.item)) {
            step->repeats++;
            continue;
        }
        while (at < 2 * route.item->to_n) {
            size_t outputs_n = step->out->n;
            enum cq_status st = CQ_AGAIN;

            if (!user_step_full(step))
                st = route_part(step, &route, &at);
            if (st == CQ_AGAIN)
                step->out->n = outputs_n; /* the next part makes them */
            if (st != CQ_OK)
                return st;
            step->place = (uint64_t)i << PLACE_ITEM_SHIFT | at;
        }
    }
    hold_sources(state, batch);
    return CQ_OK;
}
