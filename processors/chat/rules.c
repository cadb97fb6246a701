/* SPDX-License-Identifier: MIT */
#include "processors/chat/rules.h"

#include "lib/base/hash.h"
#include "schemas/frame.h"
#include "schemas/names.h"

enum { FRAME_MAX = 256 * 1024 };

void chat_state_init(struct chat_state *s, int32_t partition, int32_t partitions_n)
{
    *s = (struct chat_state){ .partition = partition,
                              .partitions_n = partitions_n,
                              .last_event = -1 };
    groups_init(&s->groups);
    dedupe_init(&s->dedupe);
}

void chat_state_release(struct chat_state *s)
{
    groups_release(&s->groups);
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

struct cq_span chat_render(struct chat_step *step,
                           void (*render)(struct cq_buf *, const struct chat_event *),
                           const struct chat_event *e)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf;

    buf_init(&buf, FRAME_MAX);
    render(&buf, e);
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
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf;

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

uint64_t chat_content_fingerprint(enum message_type type, struct cq_span s, struct cq_id media)
{
    uint64_t h = 1469598103934665603ull + (uint64_t)type; /* FNV-1a, eight bytes a round */
    uint64_t v;

    for (; s.n >= 8; s.p += 8, s.n -= 8) {
        memcpy(&v, s.p, 8);
        h = (h ^ v) * 1099511628211ull;
        h ^= h >> 29;
    }
    for (; s.n; s.p++, s.n--)
        h = (h ^ *s.p) * 1099511628211ull;
    return id_is_zero(media) ? h : h ^ id_hash(media);
}

struct cq_id *chat_recipients(struct chat_step *step, size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *a = step->action;
    struct cq_id *to = NULL;

    *ret_st = CQ_OK;
    if (a->has_peer) {
        /* the id of a direct chat is derived from its two users: that is the proof of membership */
        if (id_eq(a->peer, a->user_id) || !id_eq(a->chat_id, chat_id_direct(a->user_id, a->peer)))
            return NULL;
        to = ARENA_ARRAY(step->arena, struct cq_id, 2);
        if (to) {
            to[0] = a->user_id;
            to[1] = a->peer;
        }
        *ret_n = 2;
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
    };
}

/* The same client id again: the sender's devices get the first message once more. */
static enum cq_status repeat_message(struct chat_step *step, struct cq_id id,
                                     const struct dedupe_entry *first)
{
    const struct chat_action *a = step->action;
    const struct message_sent *m = &a->action.u.message_sent;
    struct chat_event e = {
        .chat_id = a->chat_id,
        .seq = first->seq,
        .at_ms = a->at_ms,
        .user_id = a->user_id,
        .device_id = a->device_id,
        .client_id = a->client_id,
        .event.kind = CHAT_EVENT_MESSAGE_ACCEPTED,
    };

    if (first->content != chat_content_fingerprint(m->type, m->content, m->media_id))
        return chat_reject(step, id, "conflict");
    step->repeated = true;
    fill_message(&e.event.u.message_accepted, a, id);
    return chat_emit_item(step, FRAME_CLASS_MESSAGE, first->seq, id,
                          chat_render(step, frame_message, &e), one_user(step, a->user_id), 1);
}

static enum cq_status rule_message_sent(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    const struct message_sent *m = &a->action.u.message_sent;
    struct cq_id id = message_id(a->chat_id, a->user_id, a->client_id);
    const struct dedupe_entry *first;
    struct chat_event *e;
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = chat_recipients(step, &to_n, &st);

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, id, "not_found");
    if (!a->client_id.n || (!m->content.n && !m->has_media_id))
        return chat_reject(step, id, "bad_request");
    if (m->content.n > LIMIT_CONTENT_BYTES)
        return chat_reject(step, id, "too_large");
    first = dedupe_find(&step->state->dedupe, id, step->log_ms);
    if (first && first->seq != step->seq)
        return repeat_message(step, id, first);
    e = chat_emit_event(step);
    if (!e)
        return CQ_FATAL;
    e->event.kind = CHAT_EVENT_MESSAGE_ACCEPTED;
    fill_message(&e->event.u.message_accepted, a, id);
    st = chat_emit_item(step, FRAME_CLASS_MESSAGE, step->seq, id,
                        chat_render(step, frame_message, e), to, to_n);
    if (st != CQ_OK)
        return st;
    return dedupe_add(&step->state->dedupe,
                      &(struct dedupe_entry){
                          .id = id,
                          .seq = step->seq,
                          .at_ms = step->log_ms,
                          .content = chat_content_fingerprint(m->type, m->content, m->media_id) });
}

/* ---- receipts ------------------------------------------------------------------------- */

/* Whether this user may move a cursor in this chat, and has reason to. */
static bool receipt_allowed(const struct chat_step *step, const struct receipt *r)
{
    if (topic_partition(r->chat_id, step->state->partitions_n) != step->state->partition)
        return false;
    if (r->has_peer)
        return !id_eq(r->peer, r->user_id) &&
               id_eq(r->chat_id, chat_id_direct(r->user_id, r->peer));
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
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf;
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
        int64_t least = r->delivered_seq > r->read_seq ? r->delivered_seq : r->read_seq;

        /* nobody can have what comes after their own receipt */
        if (least >= step->seq || r->delivered_seq < 0 || r->read_seq < 0 ||
            !receipt_allowed(step, r)) {
            st = refuse_receipt(step, r);
            continue;
        }
        if (r->delivered_seq)
            st = emit_cursor(step, r, RECEIPT_KIND_DELIVERED, r->delivered_seq);
        if (st == CQ_OK && r->read_seq)
            st = emit_cursor(step, r, RECEIPT_KIND_READ, r->read_seq);
    }
    return st;
}

/* ---- the table ------------------------------------------------------------------------ */

#define W(topic) (1u << (topic))

static const struct rule {
    enum chat_action_action_kind on;
    const char *name;
    enum cq_status (*step)(struct chat_step *step);
    uint32_t writes; /* W(topic) set */
} rules[] = {
    { CHAT_ACTION_MESSAGE_SENT, "MessageSent", rule_message_sent,
      W(TOPIC_CHAT_EVENTS) | W(TOPIC_USER_INBOX) | W(TOPIC_REJECTIONS) },
    { CHAT_ACTION_RECEIPTS_ADVANCED, "ReceiptsAdvanced", rule_receipts_advanced,
      W(TOPIC_DELIVERY_STATUS) | W(TOPIC_REJECTIONS) | W(TOPIC_USER_INBOX) },
    { CHAT_ACTION_GROUP_CREATED, "GroupCreated", rule_group_created,
      W(TOPIC_CHAT_EVENTS) | W(TOPIC_MEMBERS) | W(TOPIC_USER_INBOX) | W(TOPIC_REJECTIONS) },
    { CHAT_ACTION_MEMBERS_CHANGED, "MembersChanged", rule_members_changed,
      W(TOPIC_CHAT_EVENTS) | W(TOPIC_MEMBERS) | W(TOPIC_USER_INBOX) | W(TOPIC_REJECTIONS) |
          W(TOPIC_DELIVERY_STATUS) },
    { CHAT_ACTION_CHAT_RENAMED, "ChatRenamed", rule_chat_renamed,
      W(TOPIC_CHAT_EVENTS) | W(TOPIC_MEMBERS) | W(TOPIC_USER_INBOX) | W(TOPIC_REJECTIONS) },
    { CHAT_ACTION_MEDIA_READY, "MediaReady", rule_media_ready,
      W(TOPIC_CHAT_EVENTS) | W(TOPIC_USER_INBOX) | W(TOPIC_REJECTIONS) },
    { CHAT_ACTION_MEDIA_PROCESSED, "MediaProcessed", rule_media_processed,
      W(TOPIC_CHAT_EVENTS) | W(TOPIC_USER_INBOX) },
};

_Static_assert(ARRAY_LEN(rules) == CHAT_ACTION_ACTION_KIND_N, "a rule for each chat action");
_Static_assert(TOPIC_N <= 32, "a bit for each topic in rule.writes");

enum cq_status chat_step(struct chat_step *step, const char **ret_why)
{
    const struct chat_action *a = step->action;
    const struct rule *r = NULL;
    enum cq_status st;

    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (rules[i].on == a->action.kind)
            r = &rules[i];
    if (!r) {
        *ret_why = "no rule for this action";
        return CQ_POISON;
    }
    if (topic_partition(a->chat_id, step->state->partitions_n) != step->state->partition) {
        *ret_why = "not the chat's partition";
        return CQ_POISON;
    }
    st = r->step(step);
    if (st == CQ_POISON)
        *ret_why = "more items or a larger frame than an action may have";
    for (size_t i = 0; st == CQ_OK && i < step->out->n; i++)
        if (!(r->writes & W(step->out->v[i].topic)))
            return CQ_FATAL; /* an output that the rule's row does not name: a bug, not bad data */
    return st;
}

void chat_rules_print(FILE *out)
{
    fputs("flowchart LR\n    chat.actions --> processors/chat\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        for (int t = 0; t < TOPIC_N; t++)
            if (rules[i].writes & W(t))
                fprintf(out, "    processors/chat -- %s --> %s\n", rules[i].name,
                        topic_name((enum topic)t));
}
