/* SPDX-License-Identifier: MIT */
#include "tests/flow/world.h"

#include "schemas/frame.h"

#include <stdio.h>
#include <stdlib.h>

struct text {
    char s[1024];
};

static struct text names(const struct world *world, const struct cq_id *ids, size_t n)
{
    struct text text = { "" };
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " %s", world_name(world, ids[i]));
    return text;
}

/* Of what has no words of its own here. */
static const char *event_name(enum chat_event_event_kind kind)
{
    static const char *const event_names[] = {
#define NAME(kind, constant, name) [constant] = name,
        CHAT_EVENT_EVENT_KINDS(NAME)
#undef NAME
    };

    _Static_assert(ARRAY_LEN(event_names) == CHAT_EVENT_EVENT_KIND_N, "a name for each event");
    return event_names[kind];
}

static struct text preview(bool has, const struct preview *preview)
{
    struct text text = { "" };

    if (has)
        snprintf(text.s, sizeof text.s, " url %.*s", SPAN_FMT(preview->url));
    return text;
}

static struct text contents(const struct message_accepted *message)
{
    struct text text = { "" };

    if (message->has_contents && message->contents.has_location)
        snprintf(text.s, sizeof text.s, " at %d", message->contents.location.latitude);
    else if (message->has_contents)
        snprintf(text.s, sizeof text.s, " card %.*s", SPAN_FMT(message->contents.contact.name));
    return text;
}

static void print_message(struct world *world, const struct chat_event *event)
{
    const struct message_accepted *message = &event->event.u.message_accepted;
    struct text mentions = names(world, message->mentions, message->mentions_n);
    char quoted[32] = "", forwarded[32] = "", expires[48] = "";

    if (message->has_reply_to)
        snprintf(quoted, sizeof quoted, " re #%lld", (long long)seq_offset(message->reply_to.seq));
    if (message->has_forwarded)
        snprintf(forwarded, sizeof forwarded, " fwd %d", message->forwarded);
    if (message->has_expires_at_ms)
        snprintf(expires, sizeof expires, " until %lld", (long long)message->expires_at_ms);
    world_line(world, "chat.events message #%lld from %s \"%.*s\"%s%s%s%s%s%s%s",
               (long long)seq_offset(event->seq), world_name(world, event->user_id),
               SPAN_FMT(message->content), quoted, message->mentions_n ? " mentions" : "",
               mentions.s, forwarded, expires, contents(message).s,
               preview(message->has_preview, &message->preview).s);
}

/* False: it is neither a vote nor the end of a poll. */
static bool print_vote(struct world *world, const struct chat_event *event, long long seq,
                       const char *who)
{
    if (event->event.kind == CHAT_EVENT_VOTE_CHANGED)
        world_line(world, "chat.events vote #%lld by %s in #%lld: %d", seq, who,
                   (long long)seq_offset(event->event.u.vote_changed.message_seq),
                   (int)event->event.u.vote_changed.chosen);
    else if (event->event.kind == CHAT_EVENT_POLL_CLOSED)
        world_line(world, "chat.events closed #%lld by %s of #%lld", seq, who,
                   (long long)seq_offset(event->event.u.poll_closed.message_seq));
    else
        return false;
    return true;
}

static void print_event(struct world *world, const struct chat_event *event)
{
    const char *who = world_name(world, event->user_id);
    long long seq = seq_offset(event->seq);
    struct text text = { "" };
    size_t at = 0;

    if (print_vote(world, event, seq, who))
        return;
    if (event->event.kind == CHAT_EVENT_MESSAGE_ACCEPTED) {
        print_message(world, event);
    } else if (event->event.kind == CHAT_EVENT_GROUP_STARTED) {
        for (size_t i = 0; i < event->event.u.group_started.members_n; i++)
            at +=
                (size_t)snprintf(text.s + at, sizeof text.s - at, " %s:%s",
                                 world_name(world, event->event.u.group_started.members[i].user_id),
                                 member_role_word(event->event.u.group_started.members[i].role));
        world_line(world, "chat.events group #%lld by %s \"%.*s\"%s", seq, who,
                   SPAN_FMT(event->event.u.group_started.name), text.s);
    } else if (event->event.kind == CHAT_EVENT_MEMBERSHIP_CHANGED) {
        for (size_t i = 0; i < event->event.u.membership_changed.changes_n; i++) {
            const struct member_change *change = &event->event.u.membership_changed.changes[i];

            at += (size_t)snprintf(text.s + at, sizeof text.s - at, " %s %s",
                                   member_change_kind_words[change->change],
                                   world_name(world, change->user_id));
        }
        if (event->event.u.membership_changed.has_invited_by)
            snprintf(text.s + at, sizeof text.s - at, " by link of %s",
                     world_name(world, event->event.u.membership_changed.invited_by));
        world_line(world, "chat.events members #%lld by %s%s", seq, who, text.s);
    } else if (event->event.kind == CHAT_EVENT_INVITE_MADE) {
        const struct invite_made *made = &event->event.u.invite_made;

        for (size_t i = 0; i < made->ended_n; i++)
            at += (size_t)snprintf(text.s + at, sizeof text.s - at, " for %s",
                                   world_name(world, made->ended[i]));
        world_line(world, "chat.events invite #%lld by %s %s uses %d until %lld%s", seq, who,
                   world_name(world, made->invite_id), (int)made->uses,
                   made->has_expires_at_ms ? (long long)made->expires_at_ms : 0, text.s);
    } else if (event->event.kind == CHAT_EVENT_JOIN_REQUESTED) {
        world_line(world, "chat.events request #%lld by %s by link of %s until %lld", seq, who,
                   world_name(world, event->event.u.join_requested.invited_by),
                   (long long)event->event.u.join_requested.expires_at_ms);
    } else if (event->event.kind == CHAT_EVENT_REQUEST_ENDED) {
        world_line(world, "chat.events refused #%lld by %s %s", seq, who,
                   world_name(world, event->event.u.request_ended.user_id));
    } else if (event->event.kind == CHAT_EVENT_INVITE_ENDED) {
        world_line(world, "chat.events revoked #%lld by %s %s", seq, who,
                   world_name(world, event->event.u.invite_ended.invite_id));
    } else if (event->event.kind == CHAT_EVENT_MESSAGE_DELETED) {
        world_line(world, "chat.events deleted #%lld by %s of #%lld from %s", seq, who,
                   (long long)seq_offset(event->event.u.message_deleted.message_seq),
                   world_name(world, event->event.u.message_deleted.from));
    } else if (event->event.kind == CHAT_EVENT_MESSAGE_EDITED) {
        world_line(world, "chat.events edited #%lld by %s of #%lld \"%.*s\"", seq, who,
                   (long long)seq_offset(event->event.u.message_edited.message_seq),
                   SPAN_FMT(event->event.u.message_edited.content));
    } else if (event->event.kind == CHAT_EVENT_REACTION_CHANGED) {
        world_line(world, "chat.events reaction #%lld by %s to #%lld \"%.*s\"", seq, who,
                   (long long)seq_offset(event->event.u.reaction_changed.message_seq),
                   SPAN_FMT(event->event.u.reaction_changed.reaction));
    } else if (event->event.kind == CHAT_EVENT_BLOCK_CHANGED) {
        world_line(world, "chat.events %s #%lld by %s of %s",
                   event->event.u.block_changed.blocked ? "block" : "unblock", seq, who,
                   world_name(world, event->event.u.block_changed.peer));
    } else if (event->event.kind == CHAT_EVENT_PIN_CHANGED) {
        world_line(world, "chat.events %s #%lld by %s of #%lld",
                   event->event.u.pin_changed.pinned ? "pin" : "unpin", seq, who,
                   (long long)seq_offset(event->event.u.pin_changed.message_seq));
    } else if (event->event.kind == CHAT_EVENT_STAR_CHANGED) {
        world_line(world, "chat.events %s #%lld by %s of #%lld",
                   event->event.u.star_changed.starred ? "star" : "unstar", seq, who,
                   (long long)seq_offset(event->event.u.star_changed.message_seq));
    } else if (event->event.kind == CHAT_EVENT_MESSAGES_HIDDEN) {
        for (size_t i = 0; i < event->event.u.messages_hidden.messages_n; i++)
            at += (size_t)snprintf(
                text.s + at, sizeof text.s - at, " #%lld",
                (long long)seq_offset(event->event.u.messages_hidden.messages[i].seq));
        world_line(world, "chat.events hidden #%lld by %s:%s", seq, who, text.s);
    } else if (event->event.kind == CHAT_EVENT_TIMER_CHANGED) {
        world_line(world, "chat.events timer #%lld by %s %lld", seq, who,
                   (long long)event->event.u.timer_changed.seconds);
    } else if (event->event.kind == CHAT_EVENT_GROUP_DESCRIBED) {
        world_line(world, "chat.events description #%lld by %s \"%.*s\"", seq, who,
                   SPAN_FMT(event->event.u.group_described.description));
    } else if (event->event.kind == CHAT_EVENT_GROUP_PICTURED) {
        world_line(world, "chat.events picture #%lld by %s %d", seq, who,
                   event->event.u.group_pictured.picture.b[0]);
    } else if (event->event.kind == CHAT_EVENT_RIGHTS_CHANGED) {
        world_line(world, "chat.events rights #%lld by %s send:%s info:%s add:%s", seq, who,
                   right_holders_words[event->event.u.rights_changed.send],
                   right_holders_words[event->event.u.rights_changed.info],
                   right_holders_words[event->event.u.rights_changed.add]);
    } else if (event->event.kind == CHAT_EVENT_GROUP_NAMED) {
        world_line(world, "chat.events name #%lld by %s \"%.*s\"", seq, who,
                   SPAN_FMT(event->event.u.group_named.name));
    } else {
        world_line(world, "chat.events %s #%lld by %s", event_name(event->event.kind), seq, who);
    }
}

/* Each with its end, and who joined by it. */
static size_t print_invites(struct world *world, const struct chat_members *members, char *out,
                            size_t cap)
{
    size_t at = 0;

    for (size_t i = 0; i < members->invites_n; i++) {
        const struct invite_kept *invite = &members->invites[i];

        at += (size_t)snprintf(
            out + at, cap - at, " link %s #%lld-%lld", world_name(world, invite->invite_id),
            (long long)seq_offset(invite->made_seq), (long long)seq_offset(invite->ended_seq));
        for (size_t use = 0; use < invite->uses_n; use++)
            at += (size_t)snprintf(out + at, cap - at, " used #%lld",
                                   (long long)seq_offset(invite->uses[use]));
    }
    return at;
}

static void print_members(struct world *world, const struct chat_members *members)
{
    struct text text = { "" };
    size_t at = 0;

    for (size_t i = 0; i < members->members_n; i++) {
        const struct member_interval *stay = &members->members[i];

        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " %s:%s",
                               world_name(world, stay->user_id), member_role_word(stay->role));
        if (stay->left_seq)
            at += (size_t)snprintf(text.s + at, sizeof text.s - at, "(left #%lld)",
                                   (long long)seq_offset(stay->left_seq));
    }
    for (size_t i = 0; i < members->timers_n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " timer #%lld:%lld",
                               (long long)seq_offset(members->timers[i].seq),
                               (long long)members->timers[i].seconds);
    for (size_t i = 0; i < members->rights_n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " %s #%lld:%s",
                               right_words[members->rights[i].right],
                               (long long)seq_offset(members->rights[i].seq),
                               right_holders_words[members->rights[i].holders]);
    at += print_invites(world, members, text.s + at, sizeof text.s - at);
    for (size_t i = 0; i < members->requests_n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " asks %s #%lld-%lld",
                               world_name(world, members->requests[i].user_id),
                               (long long)seq_offset(members->requests[i].seq),
                               (long long)seq_offset(members->requests[i].ended_seq));
    for (size_t i = 0; i < members->removed_n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " removed %s #%lld-%lld",
                               world_name(world, members->removed[i].user_id),
                               (long long)seq_offset(members->removed[i].seq),
                               (long long)seq_offset(members->removed[i].ended_seq));
    world_line(world, "members%s", text.s);
}

static const char *class_word(enum frame_class class)
{
    static const char *const words[] = { "message", "member",  "rejected", "status",
                                         "control", "deleted", "edited",   "reaction",
                                         "change",  "block",   "member" };

    _Static_assert(ARRAY_LEN(words) == FRAME_CLASS_N, "a word for each FrameClass");
    return (unsigned)class < ARRAY_LEN(words) ? words[class] : "?";
}

void print_chat_output(struct world *world, const struct chat_output *output)
{
    static const char *const kinds[] = { "delivered", "read", "members", "hidden" };

    _Static_assert(ARRAY_LEN(kinds) == RECEIPT_KIND_N, "a word for each ReceiptKind");
    switch (output->topic) {
    case TOPIC_CHAT_EVENTS:
        print_event(world, &output->u.event);
        break;
    case TOPIC_MEMBERS:
        print_members(world, &output->u.members);
        break;
    case TOPIC_REJECTIONS:
        world_line(world, "rejections %s %.*s", world_name(world, output->u.rejection.user_id),
                   SPAN_FMT(output->u.rejection.code));
        break;
    case TOPIC_DELIVERY_STATUS:
        world_line(world, "delivery.status %s %s #%lld",
                   world_name(world, output->u.status.user_id), kinds[output->u.status.kind],
                   (long long)seq_offset(output->u.status.seq));
        break;
    case TOPIC_USER_INBOX:
        if (output->u.item.seq)
            world_line(world, "user.inbox %s #%lld to%s", class_word(output->u.item.class),
                       (long long)seq_offset(output->u.item.seq),
                       names(world, output->u.item.to, output->u.item.to_n).s);
        else
            world_line(world, "user.inbox %s to%s", class_word(output->u.item.class),
                       names(world, output->u.item.to, output->u.item.to_n).s);
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
    case TOPIC_SIGNALS:
    case TOPIC_N:
        abort();
    }
}

static void print_push(struct world *world, int32_t slot, const struct ws_entry *entry)
{
    static const char *const kinds[] = { "frame", "ready", "close" };
    const char *reads = !entry->has_hides_reads || !entry->hides_reads ? "" : " hides reads";
    struct text text = { "" };
    size_t at = 0;

    _Static_assert(ARRAY_LEN(kinds) == WS_ENTRY_KIND_N, "a word for each WsEntryKind");
    for (size_t i = 0; i < entry->to_n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, " %s/%s",
                               world_name(world, entry->to[i].user_id),
                               world_name(world, entry->to[i].session_id));
    if (entry->kind == WS_ENTRY_KIND_FRAME && entry->seq)
        world_line(world, "ws.push %d %s #%lld to%s", slot, class_word(entry->class),
                   (long long)seq_offset(entry->seq), text.s);
    else if (entry->kind == WS_ENTRY_KIND_FRAME)
        world_line(world, "ws.push %d %s to%s%s", slot, class_word(entry->class), text.s, reads);
    else if (entry->kind == WS_ENTRY_KIND_CLOSE)
        world_line(world, "ws.push %d close to%s %.*s", slot, text.s, SPAN_FMT(entry->frame));
    else
        world_line(world, "ws.push %d %s to%s%s", slot, kinds[entry->kind], text.s, reads);
}

static void print_user_event(struct world *world, const struct user_event *event)
{
    static const char *const kinds[] = { "registered",     "profile", "device added",
                                         "device removed", "muted",   "profile details",
                                         "marked",         "deleted" };
    const struct chat_marks_changed *marks = &event->event.u.chat_marks_changed;
    struct cq_id device = event->event.kind == USER_EVENT_DEVICE_ADDED
                              ? event->event.u.device_added.device_id
                              : event->event.u.device_removed.device_id;

    _Static_assert(ARRAY_LEN(kinds) == USER_EVENT_EVENT_KIND_N, "a word for each user event");
    if (event->event.kind == USER_EVENT_CHAT_MUTE_CHANGED)
        world_line(world, "user.events %s %s a chat until %lld", world_name(world, event->user_id),
                   kinds[event->event.kind], (long long)event->event.u.chat_mute_changed.until_ms);
    else if (event->event.kind == USER_EVENT_CHAT_MARKS_CHANGED)
        world_line(world, "user.events %s %s a chat%s%s%s%s%.*s", world_name(world, event->user_id),
                   kinds[event->event.kind],
                   !marks->has_archived ? ""
                   : marks->archived    ? " archived"
                                        : " unarchived",
                   !marks->has_pinned ? ""
                   : marks->pinned    ? " pinned"
                                      : " unpinned",
                   !marks->has_marked_unread ? ""
                   : marks->marked_unread    ? " unread"
                                             : " read",
                   !marks->has_draft ? ""
                   : marks->draft.n  ? " draft "
                                     : " no draft",
                   SPAN_FMT(marks->has_draft ? marks->draft : span_str("")));
    else if (event->event.kind == USER_EVENT_DEVICE_ADDED ||
             event->event.kind == USER_EVENT_DEVICE_REMOVED)
        world_line(world, "user.events %s %s %s", world_name(world, event->user_id),
                   kinds[event->event.kind], world_name(world, device));
    else
        world_line(world, "user.events %s %s", world_name(world, event->user_id),
                   kinds[event->event.kind]);
}

/* The devices of a push by name. */
static struct text target_names(struct world *world, const struct mobile_push *push)
{
    struct cq_id ids[LIMIT_USER_DEVICES];
    size_t n = 0;

    for (; n < push->targets_n && n < LIMIT_USER_DEVICES; n++)
        ids[n] = push->targets[n].device_id;
    return names(world, ids, n);
}

/* " at TOKEN …": where they are woken */
static struct text tokens(const struct mobile_push *push)
{
    struct text text = { "" };
    size_t at = 0;

    for (size_t i = 0; i < push->targets_n; i++)
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, "%s %.*s", i ? "" : " at",
                               SPAN_FMT(push->targets[i].address.token));
    return text;
}

/* " muted until N": as the first device has it */
static struct text muted(const struct mobile_push *push)
{
    struct text text = { "" };

    if (push->targets_n && push->targets[0].muted_until_ms)
        snprintf(text.s, sizeof text.s, " muted until %lld",
                 (long long)push->targets[0].muted_until_ms);
    return text;
}

static void print_action(struct world *world, const struct user_action *action)
{
    const char *user = world_name(world, action->user_id),
               *device = world_name(world, action->device_id);

    if (action->action.kind == USER_ACTION_PUSH_REGISTERED)
        world_line(world, "user.inbox registered %s/%s %.*s", user, device,
                   SPAN_FMT(action->action.u.push_registered.address.token));
    else if (action->action.kind == USER_ACTION_PUSH_SETTLED)
        world_line(world, "user.inbox settled %s/%s %s", user, device,
                   action->action.u.push_settled.kept ? "kept" : "gone");
    else
        world_line(world, "user.inbox moved %s/%s", user, device);
}

static void print_presence(struct world *world, const struct presence *presence, bool gone)
{
    const char *user = world_name(world, presence->user_id);

    switch (presence->entry.kind) {
    case PRESENCE_DEVICE_ENTRY:
        world_line(world, "presence %s/%s%s", user,
                   world_name(world, presence->entry.u.device_entry.device_id),
                   gone ? " gone" : "");
        break;
    case PRESENCE_SESSION_ENTRY:
        world_line(world, "presence %s/%s%s", user,
                   world_name(world, presence->entry.u.session_entry.session_id),
                   gone ? " gone" : "");
        break;
    case PRESENCE_READS_ENTRY:
        world_line(world, "presence %s reads %s", user,
                   presence->entry.u.reads_entry.hidden ? "hidden" : "told");
        break;
    case PRESENCE_ENTRY_KIND_N:
        abort();
    }
}

void print_user_output(struct world *world, const struct user_output *output)
{
    switch (output->topic) {
    case TOPIC_USER_EVENTS:
        print_user_event(world, &output->u.event);
        break;
    case TOPIC_PRESENCE:
        print_presence(world, &output->u.presence.value, output->u.presence.gone);
        break;
    case TOPIC_PUSH_TARGETS:
        world_line(
            world, "push.targets %s/%s%s%.*s", world_name(world, output->u.target.value.user_id),
            world_name(world, output->u.target.value.device_id),
            output->u.target.gone ? " gone" : " ", SPAN_FMT(output->u.target.value.address.token));
        break;
    case TOPIC_PUSH_CLAIMS:
        if (output->u.claim.gone)
            world_line(world, "push.claims gone");
        else
            world_line(world, "push.claims %s/%s", world_name(world, output->u.claim.value.user_id),
                       world_name(world, output->u.claim.value.device_id));
        break;
    case TOPIC_PUSH_MUTES:
        if (output->u.mute.gone)
            world_line(world, "push.mutes %s gone",
                       world_name(world, output->u.mute.value.user_id));
        else
            world_line(world, "push.mutes %s until %lld",
                       world_name(world, output->u.mute.value.user_id),
                       (long long)output->u.mute.value.until_ms);
        break;
    case TOPIC_USER_INBOX:
        print_action(world, &output->u.inbox.action);
        break;
    case TOPIC_MOBILE_PUSH:
        world_line(world, "mobile.push %s %s#%lld devices%s%s%s",
                   world_name(world, output->u.mobile.value.user_id),
                   output->u.mobile.value.read_after >= 0 ? "read "
                   : output->u.mobile.value.added         ? "added "
                                                          : "",
                   (long long)seq_offset(output->u.mobile.value.seq),
                   target_names(world, &output->u.mobile.value).s,
                   tokens(&output->u.mobile.value).s, muted(&output->u.mobile.value).s);
        break;
    case TOPIC_WS_PUSH:
        print_push(world, output->u.push.slot, &output->u.push.entry);
        break;
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_CHAT_EVENTS:
    case TOPIC_MEMBERS:
    case TOPIC_REJECTIONS:
    case TOPIC_DELIVERY_STATUS:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_SIGNALS:
    case TOPIC_N:
        abort();
    }
}
