/* SPDX-License-Identifier: MIT */
/*
 * processors/user/profile_rules.c - what a user shows of himself: the fact for all, and a frame for
 * his own devices. Nothing is kept but whether his reads are hidden: others ask the view.
 */
#include "processors/user/rules.h"

#include "schemas/frame.h"

enum { PROFILE_FRAME_MAX = 8 * 1024 };

static bool tells_reads(const struct user_event *event)
{
    return event->event.kind == USER_EVENT_PROFILE_DETAILS_CHANGED &&
           event->event.u.profile_details_changed.has_read_receipts;
}

static enum cq_status tell_devices(struct user_step *step, const struct user_event *event)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf frame = { 0 };
    const struct user_entry *entry = sessions_user(&step->state->sessions, event->user_id);

    buf_init(&frame, PROFILE_FRAME_MAX);
    if (!entry || !entry->sessions_n)
        return CQ_OK;
    frame_profile(&frame, event);
    if (frame.failed)
        return CQ_FATAL;
    return user_tell_devices(step, entry, arena_copy(step->arena, buf_span(&frame)),
                             tells_reads(event));
}

static enum cq_status rule_signed_up(struct user_step *step, const struct user_action *action)
{
    struct user_event *event = user_emit_event(step, action, 0);

    if (!event)
        return CQ_FATAL;
    event->event.kind = USER_EVENT_USER_REGISTERED;
    event->event.u.user_registered.name = action->action.u.user_signed_up.name;
    return CQ_OK;
}
const struct user_rule user_rule_user_signed_up = { rule_signed_up, TOPIC_BIT(TOPIC_USER_EVENTS) };

static enum cq_status rule_profile_edited(struct user_step *step, const struct user_action *action)
{
    struct user_event *event = user_emit_event(step, action, 0);

    if (!event)
        return CQ_FATAL;
    event->event.kind = USER_EVENT_PROFILE_CHANGED;
    event->event.u.profile_changed.name = action->action.u.profile_edited.name;
    return tell_devices(step, event);
}
const struct user_rule user_rule_profile_edited = {
    rule_profile_edited, TOPIC_BIT(TOPIC_USER_EVENTS) | TOPIC_BIT(TOPIC_WS_PUSH)
};

/* Gateways mark what the user reads: each of his sessions is told, those to come with `ready`. In a replay
 * of an older action what is known stays. */
static enum cq_status hide_reads(struct user_step *step, struct cq_id user, bool hidden)
{
    struct user_entry *entry = sessions_user_make(&step->state->sessions, user);

    if (!entry)
        return CQ_FATAL;
    user_hide_reads(entry, hidden, step->offset);
    return user_emit_reads(step, entry);
}

static enum cq_status rule_details_edited(struct user_step *step, const struct user_action *action)
{
    const struct profile_details_edited *asked = &action->action.u.profile_details_edited;
    struct user_event *event = user_emit_event(step, action, 0);
    struct user_event told;
    enum cq_status st;

    if (!event)
        return CQ_FATAL;
    event->event.kind = USER_EVENT_PROFILE_DETAILS_CHANGED;
    event->event.u.profile_details_changed = (struct profile_details_changed){
        .has_about = asked->has_about,
        .about = asked->about,
        .has_picture = asked->has_picture,
        .picture = asked->picture,
        .has_last_seen_to = asked->has_last_seen_to,
        .last_seen_to = asked->last_seen_to,
        .has_picture_to = asked->has_picture_to,
        .picture_to = asked->picture_to,
        .has_about_to = asked->has_about_to,
        .about_to = asked->about_to,
        .has_read_receipts = asked->has_read_receipts,
        .read_receipts = asked->read_receipts,
    };
    told = *event; /* the outputs may move */
    st =
        asked->has_read_receipts ? hide_reads(step, action->user_id, !asked->read_receipts) : CQ_OK;
    return st == CQ_OK ? tell_devices(step, &told) : st;
}
const struct user_rule user_rule_profile_details_edited = { rule_details_edited,
                                                            TOPIC_BIT(TOPIC_USER_EVENTS) |
                                                                TOPIC_BIT(TOPIC_PRESENCE) |
                                                                TOPIC_BIT(TOPIC_WS_PUSH) };
