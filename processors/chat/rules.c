/* SPDX-License-Identifier: MIT */
#include "processors/chat/rules.h"

#include "lib/base/hash.h"
#include "schemas/frame.h"
#include "schemas/names.h"

enum { FRAME_MAX = 256 * 1024 };

#define FINGERPRINT_START 1469598103934665603ull

void chat_state_init(struct chat_state *state, int32_t partition, int32_t partitions_n)
{
    *state = (struct chat_state){ .partition = partition,
                                  .partitions_n = partitions_n,
                                  .last_event = -1 };
    groups_init(&state->groups);
    groups_init(&state->pairs);
    dedupe_init(&state->dedupe);
}

void chat_state_release(struct chat_state *state)
{
    groups_release(&state->groups);
    groups_release(&state->pairs);
    dedupe_release(&state->dedupe);
}

struct chat_output *chat_emit(struct chat_step *step, enum topic topic)
{
    struct chat_outputs *out = step->out;
    struct chat_output *output;

    if (out->n == out->cap)
        return NULL;
    output = &out->v[out->n++];
    memset(output, 0, sizeof *output);
    output->topic = topic;
    return output;
}

static struct source source_of(const struct chat_step *step)
{
    return (struct source){ TOPIC_GENERATION, step->state->partition, step->offset };
}

struct chat_event *chat_emit_event(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct chat_output *output = chat_emit(step, TOPIC_CHAT_EVENTS);

    if (!output)
        return NULL;
    output->u.event = (struct chat_event){
        .event_id = event_id(topic_name(TOPIC_CHAT_ACTIONS), TOPIC_GENERATION,
                             step->state->partition, step->offset, 0),
        .chat_id = action->chat_id,
        .seq = step->seq,
        .at_ms = action->at_ms,
        .source = source_of(step),
        .user_id = action->user_id,
        .device_id = action->device_id,
        .client_id = action->client_id,
    };
    if (step->offset > step->state->last_event)
        step->state->last_event = step->offset;
    return &output->u.event;
}

struct cq_span chat_render(struct chat_step *step, const struct chat_event *event)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };

    buf_init(&buf, FRAME_MAX);
    frame_event(&buf, event);
    step->unrenderable |= buf.failed;
    return buf.failed ? (struct cq_span){ NULL, 0 } : arena_copy(step->arena, buf_span(&buf));
}

enum cq_status chat_emit_item(struct chat_step *step, enum frame_class class, int64_t seq,
                              struct cq_id message, struct cq_span frame, struct cq_id *to,
                              size_t to_n)
{
    struct chat_output *output;

    if (step->unrenderable)
        return CQ_POISON; /* larger than a frame may be: no turn can send it */
    if (!to || !frame.p)
        return CQ_AGAIN; /* the arena is full: the turn ends here and starts anew */
    output = chat_emit(step, TOPIC_USER_INBOX);
    if (!output)
        return CQ_FATAL;
    output->u.item = (struct delivery_item){
        .offset = step->offset,
        .class = class,
        .chat_id = step->action->chat_id,
        .seq = seq,
        .message_id = message,
        .sender_id = step->action->user_id,
        .at_ms = step->action->at_ms,
        .frame = frame,
        .to = to,
        .to_n = to_n,
    };
    return CQ_OK;
}

static struct cq_id *one_user(struct chat_step *step, struct cq_id user)
{
    struct cq_id *to = ARENA_NEW(step->arena, struct cq_id);

    if (to)
        *to = user;
    return to;
}

enum cq_status chat_reject(struct chat_step *step, struct cq_id id, const char *code)
{
    const struct chat_action *action = step->action;
    struct chat_output *output = chat_emit(step, TOPIC_REJECTIONS);
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };

    if (!output)
        return CQ_FATAL;
    output->u.rejection = (struct rejection){
        .chat_id = action->chat_id,
        .source = source_of(step),
        .at_ms = action->at_ms,
        .user_id = action->user_id,
        .device_id = action->device_id,
        .client_id = action->client_id,
        .id = id,
        .code = span_str(code),
    };
    buf_init(&buf, FRAME_MAX);
    frame_rejected(&buf, &output->u.rejection);
    step->unrenderable |= buf.failed;
    return chat_emit_item(step, FRAME_CLASS_REJECTED, 0, id,
                          arena_copy(step->arena, buf_span(&buf)), one_user(step, action->user_id),
                          1);
}

/* ---- messages ------------------------------------------------------------------------- */

/* FNV-1a, eight bytes a round */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 1099511628211ull;
    return hash ^ hash >> 29;
}

/* Goes on from any `hash`. */
static uint64_t fingerprint(uint64_t hash, struct cq_span span)
{
    uint64_t word;

    for (; span.n >= 8; span.p += 8, span.n -= 8) {
        memcpy(&word, span.p, 8);
        hash = mix(hash, word);
    }
    for (; span.n; span.p++, span.n--)
        hash = (hash ^ *span.p) * 1099511628211ull;
    return hash;
}

/* One that is not there is not as an empty one. */
static uint64_t mix_text(uint64_t hash, bool has, struct cq_span text)
{
    return has ? fingerprint(mix(hash, text.n + 1), text) : mix(hash, 0);
}

static uint64_t mix_location(uint64_t hash, const struct location *place)
{
    hash = mix(mix(hash, (uint32_t)place->latitude), (uint32_t)place->longitude);
    hash = mix(hash, place->has_accuracy ? (uint64_t)place->accuracy + 1 : 0);
    return mix_text(mix_text(hash, place->has_name, place->name), place->has_address,
                    place->address);
}

static uint64_t mix_card(uint64_t hash, const struct card *card)
{
    hash = mix_text(hash, true, card->name);
    for (size_t i = 0; i < card->numbers_n; i++)
        hash = mix_text(hash, true, card->numbers[i]);
    return card->has_user_id ? mix(hash, id_hash(card->user_id)) : hash;
}

static uint64_t mix_contents(uint64_t hash, const struct contents *contents)
{
    if (contents->has_location)
        hash = mix_location(mix(hash, 1), &contents->location);
    if (contents->has_voice)
        hash = mix_text(mix(hash, (uint64_t)contents->voice.duration_ms + 4), true,
                        contents->voice.waveform);
    return contents->has_contact ? mix_card(mix(hash, 2), &contents->contact) : hash;
}

static uint64_t mix_preview(uint64_t hash, const struct preview *preview)
{
    hash = mix_text(mix(hash, 3), true, preview->url);
    hash = mix_text(hash, preview->has_title, preview->title);
    hash = mix_text(hash, preview->has_description, preview->description);
    return preview->has_media_id ? mix(hash, id_hash(preview->media_id)) : hash;
}

static uint64_t poll_fingerprint(uint64_t hash, const struct poll *poll)
{
    for (size_t i = 0; i < poll->options_n; i++)
        hash = mix(fingerprint(hash, poll->options[i]), poll->options[i].n);
    return mix(hash, (uint64_t)poll->choices << 1 | poll->anonymous);
}

/* Of all that others see of it. */
static uint64_t message_fingerprint(const struct message_accepted *message)
{
    uint64_t hash = fingerprint(FINGERPRINT_START + (uint64_t)message->type, message->content);

    if (message->has_media_id)
        hash ^= id_hash(message->media_id);
    if (message->has_reply_to)
        hash = mix(mix(hash, id_hash(message->reply_to.id)), (uint64_t)message->reply_to.seq);
    for (size_t i = 0; i < message->mentions_n; i++)
        hash = mix(hash, id_hash(message->mentions[i]));
    if (message->has_contents)
        hash = mix_contents(hash, &message->contents);
    if (message->has_preview)
        hash = mix_preview(hash, &message->preview);
    if (message->has_poll)
        hash = poll_fingerprint(hash, &message->poll);
    return message->has_forwarded ? mix(hash, (uint64_t)message->forwarded) : hash;
}

enum { FINGERPRINT_OF_CHANGES = 1000 }; /* above every type of a message */

/* What a change is of, and what it says. */
static uint64_t change_fingerprint(const struct chat_event *event, struct cq_id message,
                                   int64_t seq, struct cq_span content)
{
    uint64_t h = FINGERPRINT_START + FINGERPRINT_OF_CHANGES + (uint64_t)event->event.kind;

    return fingerprint(h, content) ^ id_hash(message) ^ (uint64_t)seq;
}

/* Not let in by another. */
static bool came_by_link(const struct chat_event *event)
{
    const struct membership_changed *changed = &event->event.u.membership_changed;

    return changed->has_invite_id && changed->changes_n == 1 &&
           id_eq(changed->changes[0].user_id, event->user_id);
}

static uint64_t edit_fingerprint(const struct chat_event *event, const struct message_edited *edit)
{
    uint64_t hash = change_fingerprint(event, edit->message_id, edit->message_seq, edit->content);

    return edit->has_preview ? mix_preview(hash, &edit->preview) : hash;
}

bool chat_dedupe_entry(const struct chat_event *event, int64_t log_ms, struct dedupe_entry *ret)
{
    const struct message_accepted *message = &event->event.u.message_accepted;
    const struct message_deleted *deleted = &event->event.u.message_deleted;
    const struct message_edited *edited = &event->event.u.message_edited;
    const struct reaction_changed *reaction = &event->event.u.reaction_changed;
    const struct pin_changed *pinned = &event->event.u.pin_changed;
    const struct vote_changed *vote = &event->event.u.vote_changed;
    const struct poll_closed *closed = &event->event.u.poll_closed;

    *ret = (struct dedupe_entry){ .id = change_id(event->chat_id, event->user_id, event->client_id),
                                  .seq = event->seq,
                                  .at_ms = log_ms };
    if (event->event.kind == CHAT_EVENT_MESSAGE_ACCEPTED) {
        ret->id = message->id;
        ret->content = message_fingerprint(message);
        return true;
    }
    if (event->event.kind == CHAT_EVENT_MESSAGE_DELETED)
        ret->content =
            change_fingerprint(event, deleted->message_id, deleted->message_seq, span_of(NULL, 0));
    else if (event->event.kind == CHAT_EVENT_MESSAGE_EDITED)
        ret->content = edit_fingerprint(event, edited);
    else if (event->event.kind == CHAT_EVENT_REACTION_CHANGED)
        ret->content = change_fingerprint(event, reaction->message_id, reaction->message_seq,
                                          reaction->reaction);
    else if (event->event.kind == CHAT_EVENT_PIN_CHANGED)
        ret->content = change_fingerprint(event, pinned->message_id, pinned->message_seq,
                                          span_str(pinned->pinned ? "pinned" : ""));
    else if (event->event.kind == CHAT_EVENT_INVITE_MADE)
        ret->content = change_fingerprint(event, (struct cq_id){ 0 },
                                          event->event.u.invite_made.uses, span_of(NULL, 0));
    else if (event->event.kind == CHAT_EVENT_JOIN_REQUESTED)
        ret->content =
            change_fingerprint(event, event->event.u.join_requested.invite_id, 0, span_of(NULL, 0));
    else if (event->event.kind == CHAT_EVENT_MEMBERSHIP_CHANGED && came_by_link(event))
        ret->content = change_fingerprint(event, event->event.u.membership_changed.invite_id, 0,
                                          span_of(NULL, 0));
    else if (event->event.kind == CHAT_EVENT_VOTE_CHANGED)
        ret->content = change_fingerprint(event, vote->message_id, vote->message_seq,
                                          span_of(&vote->chosen, sizeof vote->chosen));
    else if (event->event.kind == CHAT_EVENT_POLL_CLOSED)
        ret->content =
            change_fingerprint(event, closed->message_id, closed->message_seq, span_of(NULL, 0));
    else if (event->event.kind == CHAT_EVENT_ACCOUNT_ENDED)
        ret->content = change_fingerprint(event, (struct cq_id){ 0 }, 0, span_of(NULL, 0));
    else
        return false;
    return true;
}

/* A group has a name. */
enum cq_status chat_restore_members(struct chat_state *state, const struct chat_members *value)
{
    return groups_restore(value->name.n ? &state->groups : &state->pairs, value);
}

struct group *chat_kept(const struct chat_step *step)
{
    const struct chat_action *action = step->action;

    return groups_find(action->has_peer ? &step->state->pairs : &step->state->groups,
                       action->chat_id);
}

struct group *chat_keep_pair(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct group *pair = groups_add(&step->state->pairs, action->chat_id);

    if (!pair || group_rename(pair, span_str(""), 0) != CQ_OK ||
        group_join(pair, action->user_id, MEMBER_ROLE_MEMBER, 0) != CQ_OK ||
        group_join(pair, action->peer, MEMBER_ROLE_MEMBER, 0) != CQ_OK)
        return NULL;
    return pair;
}

enum cq_status chat_restore_event(struct chat_state *state, const struct chat_event *event,
                                  int64_t log_ms)
{
    struct dedupe_entry entry;

    if (event->source.offset > state->last_event)
        state->last_event = event->source.offset;
    return chat_dedupe_entry(event, log_ms, &entry) ? dedupe_add(&state->dedupe, &entry) : CQ_OK;
}

bool chat_is_pair(struct cq_id chat, struct cq_id user, struct cq_id peer)
{
    return !id_eq(peer, user) && id_eq(chat, chat_id_direct(user, peer));
}

bool chat_pair_has(const struct chat_state *state, struct cq_id chat, struct cq_id user,
                   int64_t seq)
{
    const struct group *pair = groups_find(&state->pairs, chat);

    return !pair || group_stay(pair, user, seq);
}

const char *chat_refusal(const struct chat_step *step)
{
    const struct chat_action *action = step->action;

    return action->has_peer && chat_is_pair(action->chat_id, action->user_id, action->peer)
               ? "forbidden"
               : "not_found";
}

struct cq_id *chat_recipients(struct chat_step *step, size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *action = step->action;
    struct cq_id *to = NULL;

    *ret_st = CQ_OK;
    if (action->has_peer) {
        if (!chat_is_pair(action->chat_id, action->user_id, action->peer) ||
            !chat_pair_has(step->state, action->chat_id, action->user_id, step->seq))
            return NULL;
        to = ARENA_ARRAY(step->arena, struct cq_id, 2);
        if (to) {
            to[0] = action->user_id;
            to[1] = action->peer;
        }
        /* who is blocked is not told: for him it is a message like any other */
        *ret_n = chat_pair_has(step->state, action->chat_id, action->peer, step->seq) ? 2 : 1;
    } else {
        const struct group *group = groups_find(&step->state->groups, action->chat_id);

        if (!group || !group_stay(group, action->user_id, step->seq))
            return NULL;
        to = group_members(group, step->seq, step->arena, ret_n);
    }
    if (!to)
        *ret_st = CQ_AGAIN;
    return to;
}

static void fill_message(struct message_accepted *to, const struct chat_action *action,
                         struct cq_id id)
{
    const struct message_sent *message = &action->action.u.message_sent;

    *to = (struct message_accepted){
        .id = id,
        .has_peer = action->has_peer,
        .peer = action->peer,
        .type = message->type,
        .content_type = message->content_type,
        .content = message->content,
        .has_key_id = message->has_key_id,
        .key_id = message->key_id,
        .has_media_id = message->has_media_id,
        .media_id = message->media_id,
        .has_reply_to = message->has_reply_to,
        .reply_to = message->reply_to,
        .mentions = message->mentions,
        .mentions_n = message->mentions_n,
        .has_forwarded = message->has_forwarded,
        .forwarded = message->forwarded,
        .has_contents = message->has_contents,
        .contents = message->contents,
        .has_preview = message->has_preview,
        .preview = message->preview,
        .has_poll = message->has_poll,
        .poll = message->poll,
    };
}

const struct dedupe_entry *chat_first(const struct chat_step *step, struct cq_id id)
{
    const struct dedupe_entry *first = dedupe_find(&step->state->dedupe, id, step->log_ms);

    return first && first->seq < step->seq ? first : NULL;
}

enum cq_status chat_tell_again(struct chat_step *step, const struct chat_event *event,
                               enum frame_class class, struct cq_id message)
{
    step->repeated = true;
    return chat_emit_item(step, class, event->seq, message, chat_render(step, event),
                          one_user(step, step->action->user_id), 1);
}

static struct chat_event message_event(const struct chat_step *step, struct cq_id id)
{
    const struct chat_action *action = step->action;
    struct chat_event event = {
        .chat_id = action->chat_id,
        .seq = step->seq,
        .at_ms = action->at_ms,
        .user_id = action->user_id,
        .device_id = action->device_id,
        .client_id = action->client_id,
        .event.kind = CHAT_EVENT_MESSAGE_ACCEPTED,
    };

    fill_message(&event.event.u.message_accepted, action, id);
    return event;
}

/* By the timer of its chat at its place, and the log's time of it; and when a poll takes no more votes. */
static void set_times(const struct chat_step *step, struct message_accepted *message, int64_t seq,
                      int64_t log_ms)
{
    int64_t seconds = group_timer(chat_kept(step), seq);

    message->poll.has_closes_at_ms = message->has_poll && message->poll.has_closes_in;
    message->poll.closes_at_ms = log_ms + 1000 * message->poll.closes_in;

    message->has_expires_at_ms = seconds != 0;
    message->expires_at_ms = seconds ? log_ms + 1000 * seconds : 0;
}

/* The same client id again: the sender's devices get the first message once more. */
static enum cq_status repeat_message(struct chat_step *step, struct chat_event *event,
                                     struct cq_id id, const struct dedupe_entry *first,
                                     uint64_t content)
{
    if (first->content != content)
        return chat_reject(step, id, "conflict");
    event->seq = first->seq;
    set_times(step, &event->event.u.message_accepted, first->seq, first->at_ms);
    return chat_tell_again(step, event, FRAME_CLASS_MESSAGE, id);
}

/* The door checks more; this is what others count on. */
static bool is_poll(const struct message_sent *message)
{
    const struct poll *poll = &message->poll;

    for (size_t i = 0; i < poll->options_n; i++)
        if (!poll->options[i].n || poll->options[i].n > LIMIT_POLL_OPTION_BYTES)
            return false;
    return message->content.n <= LIMIT_QUESTION_BYTES &&
           poll->options_n >= LIMIT_POLL_OPTIONS_LEAST && poll->options_n <= LIMIT_POLL_OPTIONS &&
           poll->choices >= 1 && (size_t)poll->choices <= poll->options_n &&
           (!poll->has_closes_in ||
            (poll->closes_in >= 1 && poll->closes_in <= LIMIT_POLL_CLOSES_IN_MAX));
}

static enum cq_status rule_message_sent(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct message_sent *message = &action->action.u.message_sent;
    struct cq_id id = message_id(action->chat_id, action->user_id, action->client_id);
    struct chat_event accepted, *event;
    const struct dedupe_entry *first;
    struct dedupe_entry entry;
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = chat_recipients(step, &to_n, &st);

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, chat_refusal(step));
    if (!action->client_id.n ||
        (!message->content.n && !message->has_media_id && !message->has_contents))
        return chat_reject(step, id, "bad_request");
    if (message->content.n > LIMIT_CONTENT_BYTES ||
        message->mentions_n > LIMIT_MESSAGE_SENT_MENTIONS)
        return chat_reject(step, id, "too_large");
    if (message->has_poll && !is_poll(message))
        return chat_reject(step, id, "bad_request");
    first = chat_first(step, id);
    accepted = message_event(step, id);
    if (!chat_dedupe_entry(&accepted, step->log_ms, &entry))
        return CQ_FATAL;
    if (first)
        return repeat_message(step, &accepted, id, first, entry.content);
    if (!chat_may(step, RIGHT_SEND)) /* a repeat was sent before, under the rights of then */
        return chat_reject(step, id, "forbidden");
    set_times(step, &accepted.event.u.message_accepted, step->seq, step->log_ms);
    event = chat_emit_event(step);
    if (!event)
        return CQ_FATAL;
    event->event = accepted.event;
    st = chat_emit_item(step, FRAME_CLASS_MESSAGE, step->seq, id, chat_render(step, event), to,
                        to_n);
    return st == CQ_OK ? dedupe_add(&step->state->dedupe, &entry) : st;
}
const struct chat_rule chat_rule_message_sent = { rule_message_sent,
                                                  TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                      TOPIC_BIT(TOPIC_USER_INBOX) |
                                                      TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- receipts ------------------------------------------------------------------------- */

/* Nobody can have what comes after their own receipt. */
static bool receipt_possible(const struct chat_step *step, const struct receipt *receipt)
{
    return receipt->delivered_seq >= 0 && receipt->delivered_seq < step->seq &&
           receipt->read_seq >= 0 && receipt->read_seq < step->seq && receipt->hidden_seq >= 0 &&
           receipt->hidden_seq < step->seq;
}

/* Whether this user may move a cursor in this chat, and has reason to. */
static bool receipt_allowed(const struct chat_step *step, const struct receipt *receipt)
{
    if (topic_partition(receipt->chat_id, step->state->partitions_n) != step->state->partition)
        return false;
    if (receipt->has_peer)
        return chat_is_pair(receipt->chat_id, receipt->user_id, receipt->peer) &&
               chat_pair_has(step->state, receipt->chat_id, receipt->user_id, step->seq);
    const struct group *group = groups_find(&step->state->groups, receipt->chat_id);
    return group && group_stay(group, receipt->user_id, step->seq);
}

static enum cq_status emit_cursor(struct chat_step *step, const struct receipt *receipt,
                                  enum receipt_kind kind, int64_t seq)
{
    const struct chat_state *state = step->state;
    struct chat_output *output;

    if (state->last_event < 0)
        return CQ_OK;
    /* Nothing stands between the last event and a higher seq, so both say the same; and the view
     * is sure to reach the event. */
    if (seq > seq_make(TOPIC_GENERATION, state->last_event))
        seq = seq_make(TOPIC_GENERATION, state->last_event);
    if (!(output = chat_emit(step, TOPIC_DELIVERY_STATUS)))
        return CQ_FATAL;
    output->u.status = (struct delivery_status){
        .chat_id = receipt->chat_id,
        .source = source_of(step),
        .at_ms = step->action->at_ms,
        .user_id = receipt->user_id,
        .device_id = receipt->device_id,
        .has_peer = receipt->has_peer,
        .peer = receipt->peer,
        .kind = kind,
        .seq = seq,
    };
    return CQ_OK;
}

/* One record for the log and one frame for the devices of the user who sent the receipt. */
static enum cq_status refuse_receipt(struct chat_step *step, const struct receipt *receipt)
{
    struct chat_output *output = chat_emit(step, TOPIC_REJECTIONS);
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };
    enum cq_status st;

    if (!output)
        return CQ_FATAL;
    output->u.rejection = (struct rejection){
        .chat_id = receipt->chat_id,
        .source = source_of(step),
        .at_ms = step->action->at_ms,
        .user_id = receipt->user_id,
        .device_id = receipt->device_id,
        .code = span_str("bad_receipt"),
    };
    buf_init(&buf, FRAME_MAX);
    frame_receipt_rejected(&buf, &output->u.rejection);
    st = chat_emit_item(step, FRAME_CLASS_REJECTED, 0, (struct cq_id){ 0 },
                        arena_copy(step->arena, buf_span(&buf)), one_user(step, receipt->user_id),
                        1);
    if (st == CQ_OK) { /* a record of receipts names no chat and nobody by itself */
        step->out->v[step->out->n - 1].u.item.chat_id = receipt->chat_id;
        step->out->v[step->out->n - 1].u.item.sender_id = receipt->user_id;
    }
    return st;
}

static enum cq_status rule_receipts_advanced(struct chat_step *step)
{
    const struct receipts_advanced *all = &step->action->action.u.receipts_advanced;
    enum cq_status st = CQ_OK;

    if (all->receipts_n > LIMIT_RECEIPTS)
        return CQ_POISON;
    for (size_t i = 0; st == CQ_OK && i < all->receipts_n; i++) {
        const struct receipt *receipt = &all->receipts[i];

        if (!receipt_possible(step, receipt) || !receipt_allowed(step, receipt)) {
            st = refuse_receipt(step, receipt);
            continue;
        }
        if (receipt->delivered_seq)
            st = emit_cursor(step, receipt, RECEIPT_KIND_DELIVERED, receipt->delivered_seq);
        if (st == CQ_OK && receipt->read_seq)
            st = emit_cursor(step, receipt, RECEIPT_KIND_READ, receipt->read_seq);
        if (st == CQ_OK && receipt->hidden_seq)
            st = emit_cursor(step, receipt, RECEIPT_KIND_READ_HIDDEN, receipt->hidden_seq);
    }
    return st;
}
const struct chat_rule chat_rule_receipts_advanced = { rule_receipts_advanced,
                                                       TOPIC_BIT(TOPIC_DELIVERY_STATUS) |
                                                           TOPIC_BIT(TOPIC_REJECTIONS) |
                                                           TOPIC_BIT(TOPIC_USER_INBOX) };

/* ---- the table ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const struct chat_rule *rule;
} rules[] = {
#define RULE_ROW(kind, constant, name) [constant] = { name, &chat_rule_##kind },
    CHAT_ACTION_ACTION_KINDS(RULE_ROW)
#undef RULE_ROW
};

_Static_assert(ARRAY_LEN(rules) == CHAT_ACTION_ACTION_KIND_N, "a rule for each chat action");

enum cq_status chat_step(struct chat_step *step, const char **ret_why)
{
    const struct chat_action *action = step->action;
    const struct chat_rule *rule;
    enum cq_status st;

    if ((size_t)action->action.kind >= ARRAY_LEN(rules)) {
        *ret_why = "no rule for this action";
        return CQ_POISON;
    }
    rule = rules[action->action.kind].rule;
    if (topic_partition(action->chat_id, step->state->partitions_n) != step->state->partition) {
        *ret_why = "not the chat's partition";
        return CQ_POISON;
    }
    st = rule->step(step);
    if (st == CQ_POISON)
        *ret_why = "more items or a larger frame than an action may have";
    for (size_t i = 0; st == CQ_OK && i < step->out->n; i++)
        if (!(rule->writes & TOPIC_BIT(step->out->v[i].topic)))
            return CQ_FATAL; /* an output that the rule does not name: a bug, not bad data */
    return st;
}

void chat_rules_print(FILE *out)
{
    fputs("flowchart LR\n    chat.actions --> processors/chat\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        for (int t = 0; t < TOPIC_N; t++)
            if (rules[i].rule->writes & TOPIC_BIT(t))
                fprintf(out, "    processors/chat -- %s --> %s\n", rules[i].name,
                        topic_name((enum topic)t));
}
