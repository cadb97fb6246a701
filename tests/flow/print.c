/* SPDX-License-Identifier: MIT */
#include "tests/flow/world.h"

#include "schemas/frame.h"

#include <stdio.h>
#include <stdlib.h>

struct text {
    char s[1024];
};

static struct text names(const struct world *w, const struct cq_id *ids, size_t n)
{
    struct text t = { "" };
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(t.s + at, sizeof t.s - at, " %s", world_name(w, ids[i]));
    return t;
}

static void print_event(struct world *w, const struct chat_event *e)
{
    const char *who = world_name(w, e->user_id);
    long long seq = seq_offset(e->seq);
    struct text t = { "" };
    size_t at = 0;

    switch (e->event.kind) {
    case CHAT_EVENT_MESSAGE_ACCEPTED:
        world_line(w, "chat.events message #%lld from %s \"%.*s\"", seq, who,
                   SPAN_FMT(e->event.u.message_accepted.content));
        break;
    case CHAT_EVENT_GROUP_STARTED:
        for (size_t i = 0; i < e->event.u.group_started.members_n; i++)
            at += (size_t)snprintf(t.s + at, sizeof t.s - at, " %s:%s",
                                   world_name(w, e->event.u.group_started.members[i].user_id),
                                   member_role_word(e->event.u.group_started.members[i].role));
        world_line(w, "chat.events group #%lld by %s \"%.*s\"%s", seq, who,
                   SPAN_FMT(e->event.u.group_started.name), t.s);
        break;
    case CHAT_EVENT_MEMBERSHIP_CHANGED:
        for (size_t i = 0; i < e->event.u.membership_changed.changes_n; i++) {
            const struct member_change *c = &e->event.u.membership_changed.changes[i];

            at += (size_t)snprintf(t.s + at, sizeof t.s - at, " %s %s",
                                   member_change_word(c->change), world_name(w, c->user_id));
        }
        world_line(w, "chat.events members #%lld by %s%s", seq, who, t.s);
        break;
    case CHAT_EVENT_GROUP_NAMED:
        world_line(w, "chat.events name #%lld by %s \"%.*s\"", seq, who,
                   SPAN_FMT(e->event.u.group_named.name));
        break;
    case CHAT_EVENT_MEDIA_READY:
        world_line(w, "chat.events media ready #%lld by %s", seq, who);
        break;
    case CHAT_EVENT_MEDIA_PROCESSED:
        world_line(w, "chat.events media processed #%lld by %s", seq, who);
        break;
    case CHAT_EVENT_EVENT_KIND_N:
        break;
    }
}

static void print_members(struct world *w, const struct chat_members *m)
{
    struct text t = { "" };
    size_t at = 0;

    for (size_t i = 0; i < m->members_n; i++) {
        const struct member_interval *s = &m->members[i];

        at += (size_t)snprintf(t.s + at, sizeof t.s - at, " %s:%s", world_name(w, s->user_id),
                               member_role_word(s->role));
        if (s->left_seq)
            at += (size_t)snprintf(t.s + at, sizeof t.s - at, "(left #%lld)",
                                   (long long)seq_offset(s->left_seq));
    }
    world_line(w, "members%s", t.s);
}

static const char *class_word(enum frame_class c)
{
    static const char *const words[] = { "message", "member", "rejected", "status", "control" };

    _Static_assert(ARRAY_LEN(words) == FRAME_CLASS_N, "a word for each FrameClass");
    return (unsigned)c < ARRAY_LEN(words) ? words[c] : "?";
}

void print_chat_output(struct world *w, const struct chat_output *o)
{
    static const char *const kinds[] = { "delivered", "read", "members" };

    _Static_assert(ARRAY_LEN(kinds) == RECEIPT_KIND_N, "a word for each ReceiptKind");
    switch (o->topic) {
    case TOPIC_CHAT_EVENTS:
        print_event(w, &o->u.event);
        break;
    case TOPIC_MEMBERS:
        print_members(w, &o->u.members);
        break;
    case TOPIC_REJECTIONS:
        world_line(w, "rejections %s %.*s", world_name(w, o->u.rejection.user_id),
                   SPAN_FMT(o->u.rejection.code));
        break;
    case TOPIC_DELIVERY_STATUS:
        world_line(w, "delivery.status %s %s #%lld", world_name(w, o->u.status.user_id),
                   kinds[o->u.status.kind], (long long)seq_offset(o->u.status.seq));
        break;
    case TOPIC_USER_INBOX:
        if (o->u.item.seq)
            world_line(w, "user.inbox %s #%lld to%s", class_word(o->u.item.class),
                       (long long)seq_offset(o->u.item.seq),
                       names(w, o->u.item.to, o->u.item.to_n).s);
        else
            world_line(w, "user.inbox %s to%s", class_word(o->u.item.class),
                       names(w, o->u.item.to, o->u.item.to_n).s);
        break;
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_USER_EVENTS:
    case TOPIC_PRESENCE:
    case TOPIC_WS_PUSH:
    case TOPIC_PUSH_TARGETS:
    case TOPIC_PUSH_CLAIMS:
    case TOPIC_PUSH_MUTES:
    case TOPIC_MOBILE_PUSH:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_N:
        abort();
    }
}

static void print_push(struct world *w, int32_t slot, const struct ws_entry *e)
{
    static const char *const kinds[] = { "frame", "ready", "close" };
    struct text t = { "" };
    size_t at = 0;

    _Static_assert(ARRAY_LEN(kinds) == WS_ENTRY_KIND_N, "a word for each WsEntryKind");
    for (size_t i = 0; i < e->to_n; i++)
        at += (size_t)snprintf(t.s + at, sizeof t.s - at, " %s/%s", world_name(w, e->to[i].user_id),
                               world_name(w, e->to[i].session_id));
    if (e->kind == WS_ENTRY_KIND_FRAME && e->seq)
        world_line(w, "ws.push %d %s #%lld to%s", slot, class_word(e->class),
                   (long long)seq_offset(e->seq), t.s);
    else if (e->kind == WS_ENTRY_KIND_FRAME)
        world_line(w, "ws.push %d %s to%s", slot, class_word(e->class), t.s);
    else if (e->kind == WS_ENTRY_KIND_CLOSE)
        world_line(w, "ws.push %d close to%s %.*s", slot, t.s, SPAN_FMT(e->frame));
    else
        world_line(w, "ws.push %d %s to%s", slot, kinds[e->kind], t.s);
}

static void print_user_event(struct world *w, const struct user_event *e)
{
    static const char *const kinds[] = { "registered", "profile", "device added", "device removed",
                                         "muted" };
    struct cq_id device = e->event.kind == USER_EVENT_DEVICE_ADDED
                              ? e->event.u.device_added.device_id
                              : e->event.u.device_removed.device_id;

    _Static_assert(ARRAY_LEN(kinds) == USER_EVENT_EVENT_KIND_N, "a word for each user event");
    if (e->event.kind == USER_EVENT_CHAT_MUTE_CHANGED)
        world_line(w, "user.events %s %s a chat until %lld", world_name(w, e->user_id),
                   kinds[e->event.kind], (long long)e->event.u.chat_mute_changed.until_ms);
    else if (e->event.kind >= USER_EVENT_DEVICE_ADDED)
        world_line(w, "user.events %s %s %s", world_name(w, e->user_id), kinds[e->event.kind],
                   world_name(w, device));
    else
        world_line(w, "user.events %s %s", world_name(w, e->user_id), kinds[e->event.kind]);
}

/* The devices of a push by name. */
static struct text target_names(struct world *w, const struct mobile_push *m)
{
    struct cq_id ids[LIMIT_USER_DEVICES];
    size_t n = 0;

    for (; n < m->targets_n && n < LIMIT_USER_DEVICES; n++)
        ids[n] = m->targets[n].device_id;
    return names(w, ids, n);
}

/* " at TOKEN …": where they are woken */
static struct text tokens(const struct mobile_push *m)
{
    struct text t = { "" };
    size_t at = 0;

    for (size_t i = 0; i < m->targets_n; i++)
        at += (size_t)snprintf(t.s + at, sizeof t.s - at, "%s %.*s", i ? "" : " at",
                               SPAN_FMT(m->targets[i].address.token));
    return t;
}

/* " muted until N": as the first device has it */
static struct text muted(const struct mobile_push *m)
{
    struct text t = { "" };

    if (m->targets_n && m->targets[0].muted_until_ms)
        snprintf(t.s, sizeof t.s, " muted until %lld", (long long)m->targets[0].muted_until_ms);
    return t;
}

static void print_action(struct world *w, const struct user_action *a)
{
    const char *user = world_name(w, a->user_id), *device = world_name(w, a->device_id);

    if (a->action.kind == USER_ACTION_PUSH_REGISTERED)
        world_line(w, "user.inbox registered %s/%s %.*s", user, device,
                   SPAN_FMT(a->action.u.push_registered.address.token));
    else if (a->action.kind == USER_ACTION_PUSH_SETTLED)
        world_line(w, "user.inbox settled %s/%s %s", user, device,
                   a->action.u.push_settled.kept ? "kept" : "gone");
    else
        world_line(w, "user.inbox moved %s/%s", user, device);
}

void print_user_output(struct world *w, const struct user_output *o)
{
    const struct presence *p = &o->u.presence.value;
    bool is_device = o->topic == TOPIC_PRESENCE && p->entry.kind == PRESENCE_DEVICE_ENTRY;

    switch (o->topic) {
    case TOPIC_USER_EVENTS:
        print_user_event(w, &o->u.event);
        break;
    case TOPIC_PRESENCE:
        world_line(w, "presence %s/%s%s", world_name(w, p->user_id),
                   world_name(w, is_device ? p->entry.u.device_entry.device_id
                                           : p->entry.u.session_entry.session_id),
                   o->u.presence.gone ? " gone" : "");
        break;
    case TOPIC_PUSH_TARGETS:
        world_line(w, "push.targets %s/%s%s%.*s", world_name(w, o->u.target.value.user_id),
                   world_name(w, o->u.target.value.device_id), o->u.target.gone ? " gone" : " ",
                   SPAN_FMT(o->u.target.value.address.token));
        break;
    case TOPIC_PUSH_CLAIMS:
        if (o->u.claim.gone)
            world_line(w, "push.claims gone");
        else
            world_line(w, "push.claims %s/%s", world_name(w, o->u.claim.value.user_id),
                       world_name(w, o->u.claim.value.device_id));
        break;
    case TOPIC_PUSH_MUTES:
        if (o->u.mute.gone)
            world_line(w, "push.mutes %s gone", world_name(w, o->u.mute.value.user_id));
        else
            world_line(w, "push.mutes %s until %lld", world_name(w, o->u.mute.value.user_id),
                       (long long)o->u.mute.value.until_ms);
        break;
    case TOPIC_USER_INBOX:
        print_action(w, &o->u.inbox.action);
        break;
    case TOPIC_MOBILE_PUSH:
        world_line(
            w, "mobile.push %s %s#%lld devices%s%s%s", world_name(w, o->u.mobile.value.user_id),
            o->u.mobile.value.read_after >= 0 ? "read " : "",
            (long long)seq_offset(o->u.mobile.value.seq), target_names(w, &o->u.mobile.value).s,
            tokens(&o->u.mobile.value).s, muted(&o->u.mobile.value).s);
        break;
    case TOPIC_WS_PUSH:
        print_push(w, o->u.push.slot, &o->u.push.entry);
        break;
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_CHAT_EVENTS:
    case TOPIC_MEMBERS:
    case TOPIC_REJECTIONS:
    case TOPIC_DELIVERY_STATUS:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_N:
        abort();
    }
}
