/* SPDX-License-Identifier: MIT */
#include "processors/chat/rules.h"

#include "lib/base/hash.h"
#include "schemas/frame.h"
#include "schemas/names.h"

enum { FRAME_MAX = 256 * 1024 };

#define FINGERPRINT_START 1469598103934665603ull

void chat_state_init(struct chat_state *s, int32_t partition, int32_t partitions_n)
{
    *s = (struct chat_state){ .partition = partition,
                              .partitions_n = partitions_n,
                              .last_event = -1 };
    groups_init(&s->groups);
    groups_init(&s->pairs);
    dedupe_init(&s->dedupe);
}

void chat_state_release(struct chat_state *s)
{
    groups_release(&s->groups);
    groups_release(&s->pairs);
    dedupe_release(&s->dedupe);
}

struct chat_output *chat_emit(struct chat_step *step, enum topic topic)
{
    struct chat_outputs *out = step->out;
    struct chat_output *o;

    if (out->n == out->cap)
        return NULL;
    o = &out->v[out->n++];
    memset(o, 0, sizeof *o);
    o->topic = topic;
    return o;
}

static struct source source_of(const struct chat_step *step)
{
    return (struct source){ TOPIC_GENERATION, step->state->partition, step->offset };
}

struct chat_event *chat_emit_event(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    struct chat_output *o = chat_emit(step, TOPIC_CHAT_EVENTS);

    if (!o)
        return NULL;
    o->u.event = (struct chat_event){
        .event_id = event_id(topic_name(TOPIC_CHAT_ACTIONS), TOPIC_GENERATION,
                             step->state->partition, step->offset, 0),
        .chat_id = a->chat_id,
        .seq = step->seq,
        .at_ms = a->at_ms,
        .source = source_of(step),
        .user_id = a->user_id,
        .device_id = a->device_id,
        .client_id = a->client_id,
    };
    if (step->offset > step->state->last_event)
        step->state->last_event = step->offset;
    return &o->u.event;
}

struct cq_span chat_render(struct chat_step *step, const struct chat_event *e)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };

    buf_init(&buf, FRAME_MAX);
    frame_event(&buf, e);
    step->unrenderable |= buf.failed;
    return buf.failed ? (struct cq_span){ NULL, 0 } : arena_copy(step->arena, buf_span(&buf));
}

enum cq_status chat_emit_item(struct chat_step *step, enum frame_class class, int64_t seq,
                              struct cq_id message, struct cq_span frame, struct cq_id *to,
                              size_t to_n)
{
    struct chat_output *o;

    if (step->unrenderable)
        return CQ_POISON; /* larger than a frame may be: no turn can send it */
    if (!to || !frame.p)
        return CQ_AGAIN; /* the arena is full: the turn ends here and starts anew */
    o = chat_emit(step, TOPIC_USER_INBOX);
    if (!o)
        return CQ_FATAL;
    o->u.item = (struct delivery_item){
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
    const struct chat_action *a = step->action;
    struct chat_output *o = chat_emit(step, TOPIC_REJECTIONS);
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };

    if (!o)
        return CQ_FATAL;
    o->u.rejection = (struct rejection){
        .chat_id = a->chat_id,
        .source = source_of(step),
        .at_ms = a->at_ms,
        .user_id = a->user_id,
        .device_id = a->device_id,
        .client_id = a->client_id,
        .id = id,
        .code = span_str(code),
    };
    buf_init(&buf, FRAME_MAX);
    frame_rejected(&buf, &o->u.rejection);
    step->unrenderable |= buf.failed;
    return chat_emit_item(step, FRAME_CLASS_REJECTED, 0, id,
                          arena_copy(step->arena, buf_span(&buf)), one_user(step, a->user_id), 1);
}

/* ---- messages ------------------------------------------------------------------------- */

/* FNV-1a, eight bytes a round */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 1099511628211ull;
    return hash ^ hash >> 29;
}

/* Goes on from any `hash`. */
static uint64_t fingerprint(uint64_t hash, struct cq_span s)
{
    uint64_t word;

    for (; s.n >= 8; s.p += 8, s.n -= 8) {
        memcpy(&word, s.p, 8);
        hash = mix(hash, word);
    }
    for (; s.n; s.p++, s.n--)
        hash = (hash ^ *s.p) * 1099511628211ull;
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
static uint64_t message_fingerprint(const struct message_accepted *m)
{
    uint64_t hash = fingerprint(FINGERPRINT_START + (uint64_t)m->type, m->content);

    if (m->has_media_id)
        hash ^= id_hash(m->media_id);
    if (m->has_reply_to)
        hash = mix(mix(hash, id_hash(m->reply_to.id)), (uint64_t)m->reply_to.seq);
    for (size_t i = 0; i < m->mentions_n; i++)
        hash = mix(hash, id_hash(m->mentions[i]));
    if (m->has_contents)
        hash = mix_contents(hash, &m->contents);
    if (m->has_preview)
        hash = mix_preview(hash, &m->preview);
    if (m->has_poll)
        hash = poll_fingerprint(hash, &m->poll);
    return m->has_forwarded ? mix(hash, (uint64_t)m->forwarded) : hash;
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
    const struct message_accepted *m = &event->event.u.message_accepted;
    const struct message_deleted *d = &event->event.u.message_deleted;
    const struct message_edited *v = &event->event.u.message_edited;
    const struct reaction_changed *r = &event->event.u.reaction_changed;
    const struct pin_changed *p = &event->event.u.pin_changed;
    const struct vote_changed *vote = &event->event.u.vote_changed;
    const struct poll_closed *closed = &event->event.u.poll_closed;

    *ret = (struct dedupe_entry){ .id = change_id(event->chat_id, event->user_id, event->client_id),
                                  .seq = event->seq,
                                  .at_ms = log_ms };
    if (event->event.kind == CHAT_EVENT_MESSAGE_ACCEPTED) {
        ret->id = m->id;
        ret->content = message_fingerprint(m);
        return true;
    }
    if (event->event.kind == CHAT_EVENT_MESSAGE_DELETED)
        ret->content = change_fingerprint(event, d->message_id, d->message_seq, span_of(NULL, 0));
    else if (event->event.kind == CHAT_EVENT_MESSAGE_EDITED)
        ret->content = edit_fingerprint(event, v);
    else if (event->event.kind == CHAT_EVENT_REACTION_CHANGED)
        ret->content = change_fingerprint(event, r->message_id, r->message_seq, r->reaction);
    else if (event->event.kind == CHAT_EVENT_PIN_CHANGED)
        ret->content = change_fingerprint(event, p->message_id, p->message_seq,
                                          span_str(p->pinned ? "pinned" : ""));
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
enum cq_status chat_restore_members(struct chat_state *s, const struct chat_members *value)
{
    return groups_restore(value->name.n ? &s->groups : &s->pairs, value);
}

struct group *chat_kept(const struct chat_step *step)
{
    const struct chat_action *a = step->action;

    return groups_find(a->has_peer ? &step->state->pairs : &step->state->groups, a->chat_id);
}

struct group *chat_keep_pair(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    struct group *pair = groups_add(&step->state->pairs, a->chat_id);

    if (!pair || group_rename(pair, span_str(""), 0) != CQ_OK ||
        group_join(pair, a->user_id, MEMBER_ROLE_MEMBER, 0) != CQ_OK ||
        group_join(pair, a->peer, MEMBER_ROLE_MEMBER, 0) != CQ_OK)
        return NULL;
    return pair;
}

enum cq_status chat_restore_event(struct chat_state *s, const struct chat_event *event,
                                  int64_t log_ms)
{
    struct dedupe_entry entry;

    if (event->source.offset > s->last_event)
        s->last_event = event->source.offset;
    return chat_dedupe_entry(event, log_ms, &entry) ? dedupe_add(&s->dedupe, &entry) : CQ_OK;
}

bool chat_is_pair(struct cq_id chat, struct cq_id user, struct cq_id peer)
{
    return !id_eq(peer, user) && id_eq(chat, chat_id_direct(user, peer));
}

bool chat_pair_has(const struct chat_state *s, struct cq_id chat, struct cq_id user, int64_t seq)
{
    const struct group *pair = groups_find(&s->pairs, chat);

    return !pair || group_stay(pair, user, seq);
}

const char *chat_refusal(const struct chat_step *step)
{
    const struct chat_action *a = step->action;

    return a->has_peer && chat_is_pair(a->chat_id, a->user_id, a->peer) ? "forbidden" : "not_found";
}

struct cq_id *chat_recipients(struct chat_step *step, size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *a = step->action;
    struct cq_id *to = NULL;

    *ret_st = CQ_OK;
    if (a->has_peer) {
        if (!chat_is_pair(a->chat_id, a->user_id, a->peer) ||
            !chat_pair_has(step->state, a->chat_id, a->user_id, step->seq))
            return NULL;
        to = ARENA_ARRAY(step->arena, struct cq_id, 2);
        if (to) {
            to[0] = a->user_id;
            to[1] = a->peer;
        }
        /* who is blocked is not told: for him it is a message like any other */
        *ret_n = chat_pair_has(step->state, a->chat_id, a->peer, step->seq) ? 2 : 1;
    } else {
        const struct group *g = groups_find(&step->state->groups, a->chat_id);

        if (!g || !group_stay(g, a->user_id, step->seq))
            return NULL;
        to = group_members(g, step->seq, step->arena, ret_n);
    }
    if (!to)
        *ret_st = CQ_AGAIN;
    return to;
}

static void fill_message(struct message_accepted *to, const struct chat_action *a, struct cq_id id)
{
    const struct message_sent *m = &a->action.u.message_sent;

    *to = (struct message_accepted){
        .id = id,
        .has_peer = a->has_peer,
        .peer = a->peer,
        .type = m->type,
        .content_type = m->content_type,
        .content = m->content,
        .has_key_id = m->has_key_id,
        .key_id = m->key_id,
        .has_media_id = m->has_media_id,
        .media_id = m->media_id,
        .has_reply_to = m->has_reply_to,
        .reply_to = m->reply_to,
        .mentions = m->mentions,
        .mentions_n = m->mentions_n,
        .has_forwarded = m->has_forwarded,
        .forwarded = m->forwarded,
        .has_contents = m->has_contents,
        .contents = m->contents,
        .has_preview = m->has_preview,
        .preview = m->preview,
        .has_poll = m->has_poll,
        .poll = m->poll,
    };
}

const struct dedupe_entry *chat_first(const struct chat_step *step, struct cq_id id)
{
    const struct dedupe_entry *first = dedupe_find(&step->state->dedupe, id, step->log_ms);

    return first && first->seq < step->seq ? first : NULL;
}

enum cq_status chat_tell_again(struct chat_step *step, const struct chat_event *e,
                               enum frame_class class, struct cq_id message)
{
    step->repeated = true;
    return chat_emit_item(step, class, e->seq, message, chat_render(step, e),
                          one_user(step, step->action->user_id), 1);
}

static struct chat_event message_event(const struct chat_step *step, struct cq_id id)
{
    const struct chat_action *a = step->action;
    struct chat_event e = {
        .chat_id = a->chat_id,
        .seq = step->seq,
        .at_ms = a->at_ms,
        .user_id = a->user_id,
        .device_id = a->device_id,
        .client_id = a->client_id,
        .event.kind = CHAT_EVENT_MESSAGE_ACCEPTED,
    };

    fill_message(&e.event.u.message_accepted, a, id);
    return e;
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
static enum cq_status repeat_message(struct chat_step *step, struct chat_event *e, struct cq_id id,
                                     const struct dedupe_entry *first, uint64_t content)
{
    if (first->content != content)
        return chat_reject(step, id, "conflict");
    e->seq = first->seq;
    set_times(step, &e->event.u.message_accepted, first->seq, first->at_ms);
    return chat_tell_again(step, e, FRAME_CLASS_MESSAGE, id);
}

/* The door checks more; this is what others count on. */
static bool is_poll(const struct message_sent *m)
{
    const struct poll *poll = &m->poll;

    for (size_t i = 0; i < poll->options_n; i++)
        if (!poll->options[i].n || poll->options[i].n > LIMIT_POLL_OPTION_BYTES)
            return false;
    return m->content.n <= LIMIT_QUESTION_BYTES && poll->options_n >= LIMIT_POLL_OPTIONS_LEAST &&
           poll->options_n <= LIMIT_POLL_OPTIONS && poll->choices >= 1 &&
           (size_t)poll->choices <= poll->options_n &&
           (!poll->has_closes_in ||
            (poll->closes_in >= 1 && poll->closes_in <= LIMIT_POLL_CLOSES_IN_MAX));
}

static enum cq_status rule_message_sent(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    const struct message_sent *m = &a->action.u.message_sent;
    struct cq_id id = message_id(a->chat_id, a->user_id, a->client_id);
    struct chat_event accepted, *e;
    const struct dedupe_entry *first;
    struct dedupe_entry entry;
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = chat_recipients(step, &to_n, &st);

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, chat_refusal(step));
    if (!a->client_id.n || (!m->content.n && !m->has_media_id && !m->has_contents))
        return chat_reject(step, id, "bad_request");
    if (m->content.n > LIMIT_CONTENT_BYTES || m->mentions_n > LIMIT_MESSAGE_SENT_MENTIONS)
        return chat_reject(step, id, "too_large");
    if (m->has_poll && !is_poll(m))
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
    e = chat_emit_event(step);
    if (!e)
        return CQ_FATAL;
    e->event = accepted.event;
    st = chat_emit_item(step, FRAME_CLASS_MESSAGE, step->seq, id, chat_render(step, e), to, to_n);
    return st == CQ_OK ? dedupe_add(&step->state->dedupe, &entry) : st;
}
const struct chat_rule chat_rule_message_sent = { rule_message_sent,
                                                  TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                      TOPIC_BIT(TOPIC_USER_INBOX) |
                                                      TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- receipts ------------------------------------------------------------------------- */

/* Nobody can have what comes after their own receipt. */
static bool receipt_possible(const struct chat_step *step, const struct receipt *r)
{
    return r->delivered_seq >= 0 && r->delivered_seq < step->seq && r->read_seq >= 0 &&
           r->read_seq < step->seq && r->hidden_seq >= 0 && r->hidden_seq < step->seq;
}

/* Whether this user may move a cursor in this chat, and has reason to. */
static bool receipt_allowed(const struct chat_step *step, const struct receipt *r)
{
    if (topic_partition(r->chat_id, step->state->partitions_n) != step->state->partition)
        return false;
    if (r->has_peer)
        return chat_is_pair(r->chat_id, r->user_id, r->peer) &&
               chat_pair_has(step->state, r->chat_id, r->user_id, step->seq);
    const struct group *g = groups_find(&step->state->groups, r->chat_id);
    return g && group_stay(g, r->user_id, step->seq);
}

static enum cq_status emit_cursor(struct chat_step *step, const struct receipt *r,
                                  enum receipt_kind kind, int64_t seq)
{
    const struct chat_state *s = step->state;
    struct chat_output *o;

    if (s->last_event < 0)
        return CQ_OK;
    /* Nothing stands between the last event and a higher seq, so both say the same; and the view
     * is sure to reach the event. */
    if (seq > seq_make(TOPIC_GENERATION, s->last_event))
        seq = seq_make(TOPIC_GENERATION, s->last_event);
    if (!(o = chat_emit(step, TOPIC_DELIVERY_STATUS)))
        return CQ_FATAL;
    o->u.status = (struct delivery_status){
        .chat_id = r->chat_id,
        .source = source_of(step),
        .at_ms = step->action->at_ms,
        .user_id = r->user_id,
        .device_id = r->device_id,
        .has_peer = r->has_peer,
        .peer = r->peer,
        .kind = kind,
        .seq = seq,
    };
    return CQ_OK;
}

/* One record for the log and one frame for the devices of the user who sent the receipt. */
static enum cq_status refuse_receipt(struct chat_step *step, const struct receipt *r)
{
    struct chat_output *o = chat_emit(step, TOPIC_REJECTIONS);
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };
    enum cq_status st;

    if (!o)
        return CQ_FATAL;
    o->u.rejection = (struct rejection){
        .chat_id = r->chat_id,
        .source = source_of(step),
        .at_ms = step->action->at_ms,
        .user_id = r->user_id,
        .device_id = r->device_id,
        .code = span_str("bad_receipt"),
    };
    buf_init(&buf, FRAME_MAX);
    frame_receipt_rejected(&buf, &o->u.rejection);
    st = chat_emit_item(step, FRAME_CLASS_REJECTED, 0, (struct cq_id){ 0 },
                        arena_copy(step->arena, buf_span(&buf)), one_user(step, r->user_id), 1);
    if (st == CQ_OK) { /* a record of receipts names no chat and nobody by itself */
        step->out->v[step->out->n - 1].u.item.chat_id = r->chat_id;
        step->out->v[step->out->n - 1].u.item.sender_id = r->user_id;
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
        const struct receipt *r = &all->receipts[i];

        if (!receipt_possible(step, r) || !receipt_allowed(step, r)) {
            st = refuse_receipt(step, r);
            continue;
        }
        if (r->delivered_seq)
            st = emit_cursor(step, r, RECEIPT_KIND_DELIVERED, r->delivered_seq);
        if (st == CQ_OK && r->read_seq)
            st = emit_cursor(step, r, RECEIPT_KIND_READ, r->read_seq);
        if (st == CQ_OK && r->hidden_seq)
            st = emit_cursor(step, r, RECEIPT_KIND_READ_HIDDEN, r->hidden_seq);
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
    const struct chat_action *a = step->action;
    const struct chat_rule *r;
    enum cq_status st;

    if ((size_t)a->action.kind >= ARRAY_LEN(rules)) {
        *ret_why = "no rule for this action";
        return CQ_POISON;
    }
    r = rules[a->action.kind].rule;
    if (topic_partition(a->chat_id, step->state->partitions_n) != step->state->partition) {
        *ret_why = "not the chat's partition";
        return CQ_POISON;
    }
    st = r->step(step);
    if (st == CQ_POISON)
        *ret_why = "more items or a larger frame than an action may have";
    for (size_t i = 0; st == CQ_OK && i < step->out->n; i++)
        if (!(r->writes & TOPIC_BIT(step->out->v[i].topic)))
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
