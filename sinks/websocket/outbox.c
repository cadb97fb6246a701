/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/outbox.h"

#include "lib/base/assert.h"
#include "schemas/frame.h"

#include <stdlib.h>

enum { FIRST_CAP = 256, REST_MIN_MS = 100, REST_MAX_MS = 5000 };

void outbox_init(struct outbox *outbox, struct frame_pool *frames)
{
    *outbox = (struct outbox){ .frames = frames };
}

static void parcel_free(struct outbox *outbox, struct parcel *parcel)
{
    while (parcel->items) {
        struct frame *frame = parcel->items;

        parcel->items = frame->next;
        frame_drop(outbox->frames, frame);
    }
    if (parcel->owner)
        *parcel->owner = NULL;
    CQ_ASSERT(parcel->index < outbox->cap && outbox->table[parcel->index] == parcel &&
                  outbox->n > 0,
              parcel->index, outbox->cap, outbox->n);
    outbox->table[parcel->index] = NULL;
    outbox->free_index[outbox->free_n++] = parcel->index;
    outbox->n--;
    free(parcel);
}

void outbox_release(struct outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->cap; i++)
        if (outbox->table[i])
            parcel_free(outbox, outbox->table[i]);
    free(outbox->table);
    free(outbox->free_index);
    *outbox = (struct outbox){ 0 };
}

static bool grow(struct outbox *outbox)
{
    uint32_t cap = outbox->cap ? outbox->cap * 2 : FIRST_CAP;
    struct parcel **table = realloc(outbox->table, cap * sizeof(struct parcel *));
    uint32_t *free_index;

    if (!table)
        return false;
    outbox->table = table;
    free_index = realloc(outbox->free_index, cap * sizeof *free_index);
    if (!free_index)
        return false;
    outbox->free_index = free_index;
    for (uint32_t i = cap; i > outbox->cap; i--) {
        outbox->table[i - 1] = NULL;
        outbox->free_index[outbox->free_n++] = i - 1;
    }
    outbox->cap = cap;
    return true;
}

/* The one writer of a state after the first. */
static void move(struct parcel *parcel, enum parcel_state to)
{
    bool queued = parcel->state == PARCEL_NEW || parcel->state == PARCEL_AGAIN;

    CQ_ASSERT((to == PARCEL_SENT && queued) ||
                  (to == PARCEL_RESTING && parcel->state == PARCEL_SENT) ||
                  (to == PARCEL_AGAIN && parcel->state == PARCEL_RESTING) ||
                  (to == PARCEL_CANCELLED && (queued || parcel->state == PARCEL_RESTING)),
              parcel->state, to);
    parcel->state = to;
}

static void append(struct outbox *outbox, struct parcel *parcel)
{
    parcel->next = NULL;
    if (outbox->tail)
        outbox->tail->next = parcel;
    else
        outbox->head = parcel;
    outbox->tail = parcel;
}

struct parcel *outbox_add(struct outbox *outbox, enum parcel_kind kind, struct cq_id session_id,
                          struct cq_id user, struct cq_id device)
{
    struct parcel *parcel;

    if (!outbox->free_n && !grow(outbox))
        return NULL;
    parcel = malloc(sizeof *parcel);
    if (!parcel)
        return NULL;
    *parcel = (struct parcel){ .kind = kind,
                               .session_id = session_id,
                               .user = user,
                               .device = device,
                               .index = outbox->free_index[--outbox->free_n],
                               .generation = outbox->generation++ & PARCEL_GENERATION_MASK };
    outbox->table[parcel->index] = parcel;
    outbox->n++;
    append(outbox, parcel);
    return parcel;
}

enum cq_status parcel_put(struct parcel *parcel, struct frame *frame)
{
    size_t whole = frame->record->entries[frame->entry].frame.n;
    uint32_t bytes = (uint32_t)(whole < FRAME_EXCERPT_MAX ? whole : FRAME_EXCERPT_MAX);

    CQ_ASSERT(parcel->kind == PARCEL_GONE && parcel->state == PARCEL_NEW, parcel->kind,
              parcel->state);
    if (parcel->items_n == LIMIT_LOST_ITEMS ||
        (parcel->items_n && parcel->items_bytes + bytes > SINK_ITEMS_BYTES_MAX))
        return CQ_AGAIN;
    frame->next = NULL;
    if (parcel->items_tail)
        parcel->items_tail->next = frame;
    else
        parcel->items = frame;
    parcel->items_tail = frame;
    parcel->items_n++;
    parcel->items_bytes += bytes;
    return CQ_OK;
}

bool parcel_cancel(struct parcel *parcel)
{
    bool is_new = parcel->state == PARCEL_NEW;

    parcel->owner = NULL;
    if (parcel->state != PARCEL_SENT)
        move(parcel, PARCEL_CANCELLED);
    return is_new;
}

/* Excerpts of one submission: those of a parcel one after the other, and the last one that was
 * made, since a message to many is handed back once for each. */
struct excerpts {
    struct cq_buf all, last;
    const struct ws_entry *of; /* what `last` is an excerpt of; borrowed, alive meanwhile */
};

static void excerpts_add(struct excerpts *excerpts, const struct ws_entry *entry)
{
    if (excerpts->of != entry) {
        buf_clear(&excerpts->last);
        frame_excerpt(&excerpts->last, entry->frame);
        excerpts->of = entry;
    }
    buf_add_span(&excerpts->all, buf_span(&excerpts->last));
}

/* What is handed back becomes a push, which shows an excerpt: a message to a thousand sessions that
 * are gone is not written a thousand times. */
static size_t lay_out_items(const struct parcel *parcel, struct lost_item *out,
                            struct excerpts *excerpts)
{
    size_t n = 0, at = 0;

    for (const struct frame *frame = parcel->items; frame; frame = frame->next) {
        const struct ws_entry *entry = &frame->record->entries[frame->entry];
        size_t from = excerpts->all.n;

        excerpts_add(excerpts, entry);
        out[n++] = (struct lost_item){ .chat_id = entry->chat_id,
                                       .seq = entry->seq,
                                       .message_id = entry->message_id,
                                       .sender_id = entry->sender_id,
                                       .at_ms = entry->at_ms,
                                       .frame = span_of(NULL, excerpts->all.n - from) };
    }
    for (size_t i = 0; i < n; at += out[i++].frame.n) /* the buffer does not move any more */
        out[i].frame.p = excerpts->all.p + at;
    return n;
}

static void describe(const struct parcel *parcel, struct cq_id incarnation, struct lost_item *items,
                     struct excerpts *excerpts, struct user_action *action)
{
    if (parcel->kind == PARCEL_OPENED) {
        action->action.kind = USER_ACTION_SESSION_OPENED;
        action->action.u.session_opened =
            (struct session_opened){ .session_id = parcel->session_id,
                                     .slot = parcel->slot,
                                     .incarnation = incarnation,
                                     .token_at_ms = parcel->token_at_ms };
    } else if (parcel->lost || parcel->items) {
        action->action.kind = USER_ACTION_SESSION_LOST;
        action->action.u.session_lost =
            (struct session_lost){ .session_id = parcel->session_id,
                                   .items = items,
                                   .items_n = lay_out_items(parcel, items, excerpts) };
    } else {
        action->action.kind = USER_ACTION_SESSION_CLOSED;
        action->action.u.session_closed.session_id = parcel->session_id;
    }
}

static int64_t rest_ms(int32_t attempts)
{
    int64_t ms = REST_MIN_MS;

    while (attempts-- > 1 && ms < REST_MAX_MS)
        ms *= 2;
    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

static void rest(struct outbox *outbox, struct parcel *parcel, int64_t mono_ms)
{
    move(parcel, PARCEL_RESTING);
    parcel->due_ms = mono_ms + rest_ms(++parcel->attempts);
    parcel->next = outbox->resting;
    outbox->resting = parcel;
}

void outbox_submit(struct outbox *outbox, const struct sink_port *port, struct cq_id incarnation,
                   int64_t wall_ms, int64_t mono_ms)
{
    struct lost_item items[LIMIT_LOST_ITEMS];
    struct excerpts excerpts = { .of = NULL };

    buf_init(&excerpts.all, SINK_ITEMS_BYTES_MAX + FRAME_EXCERPT_MAX);
    buf_init(&excerpts.last, FRAME_EXCERPT_MAX);
    while (outbox->head && outbox->sent_n < SINK_IN_FLIGHT_MAX &&
           mono_ms >= outbox->shut_until_ms) {
        struct parcel *parcel = outbox->head;
        struct user_action action = { .user_id = parcel->user,
                                      .device_id = parcel->device,
                                      .at_ms = wall_ms };
        enum cq_status st = CQ_POISON;

        if (parcel->state != PARCEL_CANCELLED) {
            buf_clear(&excerpts.all);
            describe(parcel, incarnation, items, &excerpts, &action);
            st = port->submit(port->arg, &action,
                              (uint64_t)parcel->generation << 32 | parcel->index);
        }
        if (st != CQ_OK && st != CQ_POISON) {
            outbox->shut_until_ms = mono_ms + REST_MIN_MS;
            break;
        }
        outbox->head = parcel->next;
        if (!outbox->head)
            outbox->tail = NULL;
        if (st == CQ_POISON) {
            parcel_free(outbox, parcel); /* cancelled, or it can never be stored */
            excerpts.of = NULL;
            continue;
        }
        move(parcel, PARCEL_SENT);
        outbox->sent_n++;
    }
    buf_release(&excerpts.all);
    buf_release(&excerpts.last);
}

void outbox_report(struct outbox *outbox, uint64_t opaque, enum cq_status st, int64_t mono_ms,
                   uint32_t *ret_handed_back)
{
    uint32_t index = (uint32_t)opaque;
    struct parcel *parcel = index < outbox->cap ? outbox->table[index] : NULL;

    *ret_handed_back = 0;
    if (!parcel || parcel->generation != opaque >> 32 || parcel->state != PARCEL_SENT)
        return;
    CQ_ASSERT(outbox->sent_n > 0);
    outbox->sent_n--;
    if (st == CQ_OK || (parcel->kind == PARCEL_OPENED && !parcel->owner)) {
        *ret_handed_back = parcel->items_n;
        parcel_free(outbox, parcel);
        return;
    }
    rest(outbox, parcel, mono_ms);
}

void outbox_wake(struct outbox *outbox, int64_t mono_ms)
{
    struct parcel **at = &outbox->resting;

    while (*at) {
        struct parcel *parcel = *at;

        if (parcel->state == PARCEL_RESTING && parcel->due_ms > mono_ms) {
            at = &parcel->next;
            continue;
        }
        *at = parcel->next;
        if (parcel->state == PARCEL_RESTING)
            move(parcel, PARCEL_AGAIN);
        append(outbox, parcel);
    }
}
