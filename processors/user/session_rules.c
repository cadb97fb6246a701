/* SPDX-License-Identifier: MIT */
/*
 * processors/user/session_rules.c - sockets that open, end and are lost, and gateways that fall
 * silent.
 */
#include "processors/user/rules.h"

#include "schemas/frame.h"

enum { READY_FRAME_MAX = 32 * 1024 };

/* ---- sessions ------------------------------------------------------------------------- */

static enum cq_status emit_ready(struct user_step *step, const struct live_session *session,
                                 const struct user_entry *entry)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf at = { 0 }, frame = { 0 };
    enum cq_status st;

    buf_init(&at, READY_FRAME_MAX);
    buf_init(&frame, READY_FRAME_MAX);
    frontier_format(&step->state->events, &at);
    frame_ready(&frame, session->id, buf_span(&at));
    if (at.failed || frame.failed)
        return CQ_FATAL;
    st = user_emit_push(step, entry->id, session->id, session->slot, WS_ENTRY_KIND_READY,
                        arena_copy(step->arena, buf_span(&frame)));
    if (st == CQ_OK)
        user_push_says_reads(step, entry);
    return st;
}

static enum cq_status rule_session_opened(struct user_step *step, const struct user_action *action)
{
    const struct session_opened *opened = &action->action.u.session_opened;
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct live_session session = { opened->session_id, action->device_id, opened->incarnation,
                                    opened->slot, step->offset };
    enum cq_status st = CQ_OK;

    if (opened->slot < 0 || opened->slot >= step->state->slots_n)
        return CQ_POISON;
    if (!entry || !user_device(entry, action->device_id)) /* logged out, or never logged in */
        return user_emit_close(step, action->user_id, opened->session_id, opened->slot, "revoked");
    if (!user_session(entry, session.id) && entry->sessions_n == USER_SESSIONS_MAX) {
        struct live_session oldest = entry->sessions[0];

        st = user_emit_close(step, entry->id, oldest.id, oldest.slot, "too_many_sessions");
        if (st == CQ_OK)
            st = user_emit_session(step, entry->id, &oldest, true);
        if (st == CQ_OK)
            user_remove_session(entry, oldest.id);
    }
    if (st == CQ_OK && !idmap_get(&step->state->alive, session.incarnation) &&
        !idmap_put(&step->state->alive, session.incarnation, (uint64_t)step->log_ms))
        st = CQ_FATAL;
    if (st == CQ_OK)
        st = user_add_session(entry, &session);
    if (st == CQ_OK)
        st = user_emit_session(step, entry->id, &session, false);
    return st == CQ_OK ? emit_ready(step, &session, entry) : st;
}
const struct user_rule user_rule_session_opened = {
    rule_session_opened, TOPIC_BIT(TOPIC_PRESENCE) | TOPIC_BIT(TOPIC_WS_PUSH)
};

/* Remove it where it is known; *ret_device (may be NULL) is its device. True when it was known. */
static bool end_session(struct user_step *step, struct user_entry *entry, struct cq_id id,
                        struct cq_id *ret_device, enum cq_status *st)
{
    struct live_session *session = entry ? user_session(entry, id) : NULL;
    struct live_session copy;

    *st = CQ_OK;
    if (!session)
        return false;
    copy = *session;
    *ret_device = copy.device;
    *st = user_emit_session(step, entry->id, &copy, true);
    if (*st == CQ_OK)
        user_remove_session(entry, id);
    return true;
}

static enum cq_status rule_session_closed(struct user_step *step, const struct user_action *action)
{
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct cq_id device;
    enum cq_status st;

    end_session(step, entry, action->action.u.session_closed.session_id, &device, &st);
    return st;
}
const struct user_rule user_rule_session_closed = { rule_session_closed,
                                                    TOPIC_BIT(TOPIC_PRESENCE) };

/* What did not reach the device becomes a push, and never goes to another socket. */
static enum cq_status rule_session_lost(struct user_step *step, const struct user_action *action)
{
    const struct session_lost *lost = &action->action.u.session_lost;
    struct user_entry *entry = sessions_user(&step->state->sessions, action->user_id);
    struct push_devices devices = { 0 };
    struct cq_id device;
    enum cq_status st;
    bool known;

    if (lost->items_n > USER_LOST_ITEMS_MAX)
        return CQ_POISON; /* no gateway writes so many */
    known = end_session(step, entry, lost->session_id, &device, &st);
    if (entry && st == CQ_OK)
        st = user_push_devices(step, entry, known ? &device : NULL, &devices);
    for (size_t i = 0; devices.n && st == CQ_OK && i < lost->items_n; i++) {
        struct lost_item item = lost->items[i];

        if (id_eq(item.sender_id, action->user_id))
            continue;
        item.frame = user_push_excerpt(step, item.frame);
        st = user_emit_mobile(step, entry, &devices, &item, false);
    }
    return st;
}
const struct user_rule user_rule_session_lost = {
    rule_session_lost, TOPIC_BIT(TOPIC_PRESENCE) | TOPIC_BIT(TOPIC_MOBILE_PUSH)
};

/* ---- gateways ------------------------------------------------------------------------- */

/* Sessions restored from the topic: the silence of their gateways counts from now. */
static enum cq_status note_restored(struct user_step *step)
{
    struct user_state *state = step->state;
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&state->sessions.users, &at, &id, &value);) {
        const struct user_entry *entry = (const struct user_entry *)(uintptr_t)value;

        for (int i = 0; i < entry->sessions_n; i++)
            if (!idmap_get(&state->alive, entry->sessions[i].incarnation) &&
                !idmap_put(&state->alive, entry->sessions[i].incarnation, (uint64_t)step->log_ms))
                return CQ_FATAL;
    }
    state->swept = true;
    return CQ_OK;
}

static bool is_silent(const struct user_step *step, struct cq_id incarnation)
{
    const uint64_t *last = idmap_get(&step->state->alive, incarnation);

    return last && step->log_ms - (int64_t)*last > SILENT_MS;
}

static enum cq_status drop_silent_of(struct user_step *step, struct user_entry *entry)
{
    enum cq_status st = CQ_OK;

    for (int i = entry->sessions_n; st == CQ_OK && i-- > 0;) {
        struct live_session session = entry->sessions[i];

        /* In a replay its gateway may not have begun yet. A tombstone would end it for good at the
         * next restore. */
        if (!session_opened_by(&session, step->offset) || !is_silent(step, session.incarnation))
            continue;
        st = user_emit_session(step, entry->id, &session, true);
        if (st == CQ_OK)
            user_remove_session(entry, session.id);
    }
    return st;
}

/* The first silent incarnation; false when there is none. */
static bool find_silent(const struct user_step *step, struct cq_id *ret)
{
    struct cq_id id;
    uint64_t last;

    for (size_t at = 0; idmap_next(&step->state->alive, &at, &id, &last);)
        if (is_silent(step, id)) {
            *ret = id;
            return true;
        }
    return false;
}

static enum cq_status drop_silent(struct user_step *step)
{
    struct user_state *state = step->state;
    struct cq_id id;
    uint64_t value;
    enum cq_status st = CQ_OK;

    for (size_t at = 0; st == CQ_OK && idmap_next(&state->sessions.users, &at, &id, &value);) {
        if (user_step_full(step)) { /* sessions dropped by then are not found again */
            step->place++;
            return CQ_AGAIN;
        }
        st = drop_silent_of(step, (struct user_entry *)(uintptr_t)value);
    }
    while (st == CQ_OK && find_silent(step, &id))
        idmap_remove(&state->alive, id);
    return st;
}

static enum cq_status rule_gateway_alive(struct user_step *step, const struct user_action *action)
{
    struct user_state *state = step->state;
    struct cq_id silent;
    enum cq_status st = CQ_OK;

    if (!idmap_put(&state->alive, action->action.u.gateway_alive.incarnation,
                   (uint64_t)step->log_ms))
        return CQ_FATAL;
    if (!state->swept)
        st = note_restored(step);
    /* walking every user is for the rare minute in which a gateway is found gone */
    return st == CQ_OK && find_silent(step, &silent) ? drop_silent(step) : st;
}
const struct user_rule user_rule_gateway_alive = { rule_gateway_alive, TOPIC_BIT(TOPIC_PRESENCE) };
