/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/changes_rules.c - the rules of what changes a message that stands already.
 *
 * No message is kept here. A target proves itself: its id is derived from chat, sender and client id, so
 * whose it is needs no look-up; who may have seen it is asked of the stays, and how old it is of the
 * times of the log. A target that fits no message passes and changes nothing: who applies changes does
 * so only where id and seq are one message's.
 */
#include "processors/chat/rules.h"

#include "schemas/frame.h"
#include "schemas/names.h"

enum { PIN_FRAME_MAX = 1024, VOTE_FRAME_MAX = 1024 };

/* Of the two of a direct chat, those who saw the message, the one who acts among them. */
static struct cq_id *pair_witnesses(struct chat_step *step, const struct target *target,
                                    size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *action = step->action;
    struct cq_id *to = chat_recipients(step, ret_n, ret_st);

    if (!to)
        return NULL;
    if (!chat_pair_has(step->state, action->chat_id, action->user_id, target->seq))
        return NULL;
    if (*ret_n == 2 && !chat_pair_has(step->state, action->chat_id, action->peer, target->seq))
        *ret_n = 1;
    return to;
}

typedef struct cq_id *group_list_fn(const struct group *group, int64_t seen, int64_t now,
                                    struct cq_arena *arena, size_t *ret_n);

/* Those of a group whom `list` lists, where the one who acts saw the message, and is here. */
static struct cq_id *group_told(struct chat_step *step, const struct target *target,
                                group_list_fn *list, size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *action = step->action;
    const struct group *group = groups_find(&step->state->groups, action->chat_id);
    struct cq_id *to;

    *ret_st = CQ_OK;
    if (!group || !group_stay(group, action->user_id, step->seq) ||
        !group_saw(group, action->user_id, target->seq))
        return NULL;
    to = list(group, target->seq, step->seq, step->arena, ret_n);
    if (!to)
        *ret_st = CQ_AGAIN;
    return to;
}

/* Those who get what happens to a message: they saw it, and are here. NULL: see chat_recipients(). */
static struct cq_id *witnesses(struct chat_step *step, const struct target *target, size_t *ret_n,
                               enum cq_status *ret_st)
{
    return step->action->has_peer ? pair_witnesses(step, target, ret_n, ret_st)
                                  : group_told(step, target, group_witnesses, ret_n, ret_st);
}

/* Those who get another text of it: witnesses who were here all the time since, and so not always the one who
 * acts. Who was out may have missed that it was deleted: no frame shows him a text after that, and his next sync
 * tells him what the message is now. NULL: as witnesses(). */
static struct cq_id *readers(struct chat_step *step, const struct target *target, size_t *ret_n,
                             enum cq_status *ret_st)
{
    const struct group *pair;
    struct cq_id *to;

    if (!step->action->has_peer)
        return group_told(step, target, group_stayers, ret_n, ret_st);
    to = pair_witnesses(step, target, ret_n, ret_st);
    pair = groups_find(&step->state->pairs, step->action->chat_id);
    if (!to || !pair)
        return to;
    to = group_stayers(pair, target->seq, step->seq, step->arena, ret_n);
    if (!to)
        *ret_st = CQ_AGAIN;
    return to;
}

static bool is_among(const struct cq_id *ids, size_t n, struct cq_id user)
{
    for (size_t i = 0; i < n; i++)
        if (id_eq(ids[i], user))
            return true;
    return false;
}

/* Who is in the direct chat now and was not then has never seen the message. */
static const char *refusal(const struct chat_step *step)
{
    const struct chat_action *action = step->action;

    return chat_pair_has(step->state, action->chat_id, action->user_id, step->seq)
               ? "not_found"
               : chat_refusal(step);
}

static bool is_admin(const struct chat_step *step)
{
    const struct group *group =
        step->action->has_peer ? NULL : groups_find(&step->state->groups, step->action->chat_id);
    const struct member_interval *stay =
        group ? group_stay(group, step->action->user_id, step->seq) : NULL;

    return stay && stay->role != MEMBER_ROLE_MEMBER;
}

/* What any change asks of its target. NULL: it may be changed. */
static const char *refuse_target(const struct chat_step *step, const struct target *target)
{
    if (!step->action->client_id.n || !target->client_id.n)
        return "bad_request";
    if (target->seq >= step->seq || target->seq < seq_make(1, 0))
        return "not_found";
    return target->seq < seq_make(TOPIC_GENERATION, 0) ? "too_late" : NULL;
}

/* The same of one that may be changed for `n` units. A change that was in time is so whenever it comes
 * again. */
static const char *refuse_older(const struct chat_step *step, const struct target *target,
                                struct cq_id id, enum times_unit unit, int n)
{
    const struct chat_state *state = step->state;
    const struct dedupe_entry *known = dedupe_find(&state->dedupe, id, step->log_ms);
    const char *code = refuse_target(step, target);

    if (code || (known && known->seq <= step->seq))
        return code;
    return times_within(&state->times, step->offset, seq_offset(target->seq), unit, n) ? NULL
                                                                                       : "too_late";
}

/* The log's time, by which a poll is closed; of a repeat that of the first. */
static void set_log_time(struct chat_event *event, int64_t log_ms)
{
    if (event->event.kind == CHAT_EVENT_VOTE_CHANGED)
        event->event.u.vote_changed.voted_at_ms = log_ms;
    else if (event->event.kind == CHAT_EVENT_POLL_CLOSED)
        event->event.u.poll_closed.closed_at_ms = log_ms;
}

/* The event of the change, its frame for those who saw the message, and its place in the window; or the
 * frame once more for its author, when it had happened already. `event` has its kind. */
static enum cq_status accept_change(struct chat_step *step, const struct chat_event *change,
                                    struct cq_id id, const struct target *target,
                                    enum frame_class class, struct cq_id *to, size_t to_n)
{
    const struct chat_action *action = step->action;
    struct cq_id message = message_id(action->chat_id, target->from, target->client_id);
    struct chat_event whole = *change, *event;
    struct dedupe_entry entry;
    const struct dedupe_entry *first = chat_first(step, id);
    enum cq_status st;

    whole.chat_id = action->chat_id;
    whole.user_id = action->user_id;
    whole.client_id = action->client_id;
    whole.at_ms = action->at_ms;
    whole.seq = step->seq;
    if (!chat_dedupe_entry(&whole, step->log_ms, &entry))
        return CQ_FATAL;
    if (first) {
        if (first->content != entry.content)
            return chat_reject(step, id, "conflict");
        whole.seq = first->seq;
        set_log_time(&whole, first->at_ms);
        st = chat_tell_again(step, &whole, class, message);
    } else if (change->event.kind == CHAT_EVENT_MESSAGE_EDITED && !chat_may(step, RIGHT_SEND)) {
        return chat_reject(step, id, "forbidden"); /* an edit can say anything */
    } else {
        if (!(event = chat_emit_event(step)))
            return CQ_FATAL;
        event->event = change->event;
        set_log_time(event, step->log_ms);
        st = chat_emit_item(step, class, step->seq, message, chat_render(step, event), to, to_n);
        if (st == CQ_OK)
            st = dedupe_add(&step->state->dedupe, &entry);
    }
    if (st == CQ_OK)
        step->out->v[step->out->n - 1].u.item.message_seq = target->seq;
    return st;
}

/* ---- deletion ------------------------------------------------------------------------- */

static enum cq_status rule_message_withdrawn(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct target *target = &action->action.u.message_withdrawn.target;
    struct cq_id id = change_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event change = { .event.kind = CHAT_EVENT_MESSAGE_DELETED };
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = witnesses(step, target, &to_n, &st);
    const char *code;

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, refusal(step));
    code = refuse_older(step, target, id, TIMES_IN_HOURS, LIMIT_DELETE_HOURS);
    if (!code && !id_eq(target->from, action->user_id) && !is_admin(step))
        code = "forbidden";
    if (code)
        return chat_reject(step, id, code);
    change.event.u.message_deleted =
        (struct message_deleted){ message_id(action->chat_id, target->from, target->client_id),
                                  target->seq, target->from };
    return accept_change(step, &change, id, target, FRAME_CLASS_DELETION, to, to_n);
}
const struct chat_rule chat_rule_message_withdrawn = { rule_message_withdrawn,
                                                       TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                           TOPIC_BIT(TOPIC_USER_INBOX) |
                                                           TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- edits ---------------------------------------------------------------------------- */

static enum cq_status rule_message_rewritten(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct message_rewritten *rewritten = &action->action.u.message_rewritten;
    struct cq_id id = change_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event change = { .event.kind = CHAT_EVENT_MESSAGE_EDITED };
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = readers(step, &rewritten->target, &to_n, &st);
    const char *code;

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, refusal(step));
    code = refuse_older(step, &rewritten->target, id, TIMES_IN_MINUTES, LIMIT_EDIT_MINUTES);
    if (!code && !id_eq(rewritten->target.from, action->user_id))
        code = "forbidden";
    if (!code && (!rewritten->content.n || rewritten->content.n > LIMIT_CONTENT_BYTES))
        code = rewritten->content.n ? "too_large" : "bad_request";
    if (!code && !is_among(to, to_n, action->user_id) && !chat_first(step, id))
        code = "too_late";
    if (code)
        return chat_reject(step, id, code);
    change.event.u.message_edited = (struct message_edited){
        .message_id =
            message_id(action->chat_id, rewritten->target.from, rewritten->target.client_id),
        .message_seq = rewritten->target.seq,
        .content_type = rewritten->content_type,
        .content = rewritten->content,
        .has_key_id = rewritten->has_key_id,
        .key_id = rewritten->key_id,
        .has_preview = rewritten->has_preview,
        .preview = rewritten->preview,
    };
    return accept_change(step, &change, id, &rewritten->target, FRAME_CLASS_EDIT, to, to_n);
}
const struct chat_rule chat_rule_message_rewritten = { rule_message_rewritten,
                                                       TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                           TOPIC_BIT(TOPIC_USER_INBOX) |
                                                           TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- reactions ------------------------------------------------------------------------ */

/* The author of the message is told by an item apart, since it may wake him. True: `to` has him no more. */
static bool take_out(struct cq_id *to, size_t *n, struct cq_id user)
{
    for (size_t i = 0; i < *n; i++)
        if (id_eq(to[i], user)) {
            to[i] = to[--*n];
            return true;
        }
    return false;
}

static enum cq_status tell_author(struct chat_step *step, const struct chat_output *told,
                                  struct cq_id author)
{
    struct delivery_item item = told->u.item;
    struct cq_id *to = ARENA_NEW(step->arena, struct cq_id);
    enum cq_status st;

    if (!to)
        return CQ_AGAIN;
    *to = author;
    st = chat_emit_item(step, FRAME_CLASS_REACTION, item.seq, item.message_id, item.frame, to, 1);
    if (st == CQ_OK) {
        step->out->v[step->out->n - 1].u.item.message_seq = item.message_seq;
        step->out->v[step->out->n - 1].u.item.reaction =
            step->action->action.u.message_reacted.reaction;
    }
    return st;
}

static enum cq_status rule_message_reacted(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct message_reacted *reacted = &action->action.u.message_reacted;
    struct cq_id id = change_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event change = { .event.kind = CHAT_EVENT_REACTION_CHANGED };
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = witnesses(step, &reacted->target, &to_n, &st);
    bool wakes;
    const char *code;

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, refusal(step));
    code = refuse_target(step, &reacted->target);
    if (!code && reacted->reaction.n > LIMIT_REACTION_BYTES)
        code = "too_large";
    if (code)
        return chat_reject(step, id, code);
    change.event.u.reaction_changed =
        (struct reaction_changed){ message_id(action->chat_id, reacted->target.from,
                                              reacted->target.client_id),
                                   reacted->target.seq, reacted->target.from, reacted->reaction };
    wakes = reacted->reaction.n && !id_eq(reacted->target.from, action->user_id) &&
            take_out(to, &to_n, reacted->target.from);
    st = accept_change(step, &change, id, &reacted->target, FRAME_CLASS_CHANGE, to, to_n);
    if (st != CQ_OK || !wakes || step->repeated ||
        step->out->v[step->out->n - 1].u.item.class != FRAME_CLASS_CHANGE)
        return st; /* the author is not there, or there is nothing new to tell */
    return tell_author(step, &step->out->v[step->out->n - 1], reacted->target.from);
}
const struct chat_rule chat_rule_message_reacted = { rule_message_reacted,
                                                     TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                         TOPIC_BIT(TOPIC_USER_INBOX) |
                                                         TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- pins ----------------------------------------------------------------------------- */

/* Those in the chat now who are not among `saw`. NULL without room. */
static struct cq_id *others(struct chat_step *step, const struct cq_id *saw, size_t saw_n,
                            size_t *ret_n, enum cq_status *ret_st)
{
    struct cq_id *all = chat_recipients(step, ret_n, ret_st);
    struct idmap seen;
    bool good = all != NULL;
    size_t n = 0;

    idmap_init(&seen, saw_n + 1);
    for (size_t i = 0; good && i < saw_n; i++)
        good = idmap_put(&seen, saw[i], i);
    for (size_t i = 0; good && i < *ret_n; i++)
        if (!idmap_get(&seen, all[i]))
            all[n++] = all[i];
    idmap_release(&seen);
    *ret_n = n;
    if (!good && *ret_st == CQ_OK)
        *ret_st = CQ_AGAIN;
    return good ? all : NULL;
}

/* Who may not see the message is told that its pin takes a place: of the newest three everybody has the
 * same. */
static enum cq_status tell_others(struct chat_step *step, const struct chat_event *event,
                                  const struct cq_id *saw, size_t saw_n)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    enum cq_status st;
    size_t n = 0;
    struct cq_id *to = others(step, saw, saw_n, &n, &st);

    if (!to)
        return st;
    if (!n)
        return CQ_OK;
    buf_init(&buf, PIN_FRAME_MAX);
    frame_pin_unseen(&buf, event);
    return chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, (struct cq_id){ 0 },
                          arena_copy(step->arena, buf_span(&buf)), to, n);
}

/* In a direct chat either side; in a group who may change its info. How many there are already is not asked: the view
 * and clients keep the newest three. */
static enum cq_status rule_message_pinned(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct message_pinned *pinned = &action->action.u.message_pinned;
    struct cq_id id = change_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event change = { .event.kind = CHAT_EVENT_PIN_CHANGED };
    const struct chat_output *told;
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = witnesses(step, &pinned->target, &to_n, &st);
    const char *code;

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, refusal(step));
    code = refuse_target(step, &pinned->target);
    if (!code && !chat_may(step, RIGHT_INFO) && !chat_first(step, id))
        code = "forbidden";
    if (code)
        return chat_reject(step, id, code);
    change.event.u.pin_changed =
        (struct pin_changed){ message_id(action->chat_id, pinned->target.from,
                                         pinned->target.client_id),
                              pinned->target.seq, pinned->target.from, pinned->pinned };
    st = accept_change(step, &change, id, &pinned->target, FRAME_CLASS_CHANGE, to, to_n);
    if (st != CQ_OK || step->repeated || step->out->n < 2)
        return st;
    told = &step->out->v[step->out->n - 2];
    return told->topic == TOPIC_CHAT_EVENTS ? tell_others(step, &told->u.event, to, to_n) : st;
}
const struct chat_rule chat_rule_message_pinned = { rule_message_pinned,
                                                    TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                        TOPIC_BIT(TOPIC_USER_INBOX) |
                                                        TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- polls ---------------------------------------------------------------------------- */

/* All others who saw the poll are told that its result may be another one: who chose what is asked of the view, which
 * knows whether the poll is anonymous. */
static enum cq_status tell_of_vote(struct chat_step *step, const struct chat_event *event,
                                   struct cq_id *to, size_t to_n)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    enum cq_status st;

    if (!to_n)
        return CQ_OK;
    buf_init(&buf, VOTE_FRAME_MAX);
    frame_vote_of_another(&buf, event);
    st = chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, event->event.u.vote_changed.message_id,
                        arena_copy(step->arena, buf_span(&buf)), to, to_n);
    if (st == CQ_OK)
        step->out->v[step->out->n - 1].u.item.message_seq = event->event.u.vote_changed.message_seq;
    return st;
}

/* Whether the message is a poll, and still takes votes, only the view and clients know. */
static enum cq_status rule_poll_voted(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct poll_voted *voted = &action->action.u.poll_voted;
    struct cq_id id = change_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event change = { .event.kind = CHAT_EVENT_VOTE_CHANGED };
    const struct chat_output *told;
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = witnesses(step, &voted->target, &to_n, &st), *own;
    const char *code;

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, refusal(step));
    code = refuse_target(step, &voted->target);
    if (!code && (voted->chosen < 0 || voted->chosen > LIMIT_POLL_VOTED_CHOSEN_MAX))
        code = "bad_request";
    if (code)
        return chat_reject(step, id, code);
    own = ARENA_NEW(step->arena, struct cq_id);
    if (!own)
        return CQ_AGAIN;
    *own = action->user_id;
    (void)take_out(to, &to_n, action->user_id);
    change.event.u.vote_changed =
        (struct vote_changed){ .message_id = message_id(action->chat_id, voted->target.from,
                                                        voted->target.client_id),
                               .message_seq = voted->target.seq,
                               .from = voted->target.from,
                               .chosen = voted->chosen };
    st = accept_change(step, &change, id, &voted->target, FRAME_CLASS_CHANGE, own, 1);
    if (st != CQ_OK || step->repeated || step->out->n < 2)
        return st;
    told = &step->out->v[step->out->n - 2];
    return told->topic == TOPIC_CHAT_EVENTS ? tell_of_vote(step, &told->u.event, to, to_n) : st;
}
const struct chat_rule chat_rule_poll_voted = { rule_poll_voted, TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                                     TOPIC_BIT(TOPIC_USER_INBOX) |
                                                                     TOPIC_BIT(TOPIC_REJECTIONS) };

static enum cq_status rule_poll_ended(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct target *target = &action->action.u.poll_ended.target;
    struct cq_id id = change_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event change = { .event.kind = CHAT_EVENT_POLL_CLOSED };
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = witnesses(step, target, &to_n, &st);
    const char *code;

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, refusal(step));
    code = refuse_target(step, target);
    if (!code && !id_eq(target->from, action->user_id))
        code = "forbidden";
    if (code)
        return chat_reject(step, id, code);
    change.event.u.poll_closed =
        (struct poll_closed){ .message_id =
                                  message_id(action->chat_id, target->from, target->client_id),
                              .message_seq = target->seq };
    return accept_change(step, &change, id, target, FRAME_CLASS_CHANGE, to, to_n);
}
const struct chat_rule chat_rule_poll_ended = { rule_poll_ended, TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                                     TOPIC_BIT(TOPIC_USER_INBOX) |
                                                                     TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- what concerns one user ------------------------------------------------------------- */

/* Whoever could see a message may keep it, or hide it, also one who has left since. It concerns nobody
 * else, so no target has to prove whose it is. */
static const char *refuse_own(const struct chat_step *step, const struct message_ref *messages,
                              size_t n)
{
    const struct chat_action *action = step->action;
    const struct group *group = chat_kept(step);

    if (action->has_peer
            ? id_eq(action->peer, action->user_id) ||
                  !id_eq(action->chat_id, chat_id_direct(action->user_id, action->peer))
            : !group)
        return "not_found";
    for (size_t i = 0; i < n; i++)
        if (messages[i].seq >= step->seq ||
            (group && !group_saw(group, action->user_id, messages[i].seq)))
            return "not_found";
    return n && n <= LIMIT_MESSAGES_PUT_AWAY_MESSAGES ? NULL : "bad_request";
}

/* A fact that is the user's own has a place in the chat, so that a sync's cursor passes it, and a frame to
 * the user's devices alone. A repeat makes another fact, which changes nothing. */
static enum cq_status tell_own(struct chat_step *step, const char *code, struct chat_event *change)
{
    struct cq_id *to = ARENA_NEW(step->arena, struct cq_id);
    struct chat_event *event;

    if (code)
        return chat_reject(step, step->action->chat_id, code);
    if (!to)
        return CQ_AGAIN;
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event = change->event;
    *to = step->action->user_id;
    return chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, (struct cq_id){ 0 },
                          chat_render(step, event), to, 1);
}

static enum cq_status rule_messages_put_away(struct chat_step *step)
{
    const struct messages_put_away *put_away = &step->action->action.u.messages_put_away;
    struct chat_event change = { .event.kind = CHAT_EVENT_MESSAGES_HIDDEN };

    change.event.u.messages_hidden =
        (struct messages_hidden){ put_away->messages, put_away->messages_n };
    return tell_own(step, refuse_own(step, put_away->messages, put_away->messages_n), &change);
}
const struct chat_rule chat_rule_messages_put_away = { rule_messages_put_away,
                                                       TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                           TOPIC_BIT(TOPIC_USER_INBOX) |
                                                           TOPIC_BIT(TOPIC_REJECTIONS) };

static enum cq_status rule_message_starred(struct chat_step *step)
{
    const struct message_starred *starred = &step->action->action.u.message_starred;
    struct chat_event change = { .event.kind = CHAT_EVENT_STAR_CHANGED };

    change.event.u.star_changed =
        (struct star_changed){ starred->message.id, starred->message.seq, starred->starred };
    return tell_own(step, refuse_own(step, &starred->message, 1), &change);
}
const struct chat_rule chat_rule_message_starred = { rule_message_starred,
                                                     TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                         TOPIC_BIT(TOPIC_USER_INBOX) |
                                                         TOPIC_BIT(TOPIC_REJECTIONS) };
