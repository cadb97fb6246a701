/* SPDX-License-Identifier: MIT */
#include "tests/bench/world.h"

#include <stdlib.h>

static bool bit_get(const struct world *w, uint64_t at)
{
    return w->shown[at / 64] >> (at % 64) & 1;
}

int64_t world_message_new(struct world *w, int seat, int64_t due_us)
{
    const struct chat *chat = &w->chats[w->seats[seat].chat];
    uint64_t bits = w->shown_n;

    if (w->messages_n == w->messages_max)
        return -1;
    while (bits + (uint64_t)chat->seats_n > w->shown_max) {
        uint64_t max = w->shown_max * 2;
        uint64_t *p = realloc(w->shown, max / 8);
        if (!p)
            return -1;
        memset(p + w->shown_max / 64, 0, (max - w->shown_max) / 8);
        w->shown = p;
        w->shown_max = max;
    }
    w->shown_n += (uint64_t)chat->seats_n;
    w->messages[w->messages_n] = (struct message){
        .due_us = due_us,
        .next = -1,
        .bits_at = bits,
        .seat = seat,
        .left = chat->seats_n + 1,
        .measured = w->measuring,
    };
    return w->messages_n++;
}

int64_t world_message_find(const struct world *w, struct cq_span client_id)
{
    int64_t v = 0;

    if (client_id.n < RUN_TEXT + 2 || memcmp(client_id.p, w->run, RUN_TEXT) != 0 ||
        client_id.p[RUN_TEXT] != '-')
        return -1;
    for (size_t i = RUN_TEXT + 1; i < client_id.n; i++) {
        if (client_id.p[i] < '0' || client_id.p[i] > '9' || v >= w->messages_n)
            return -1;
        v = v * 10 + (client_id.p[i] - '0');
    }
    return v < w->messages_n ? v : -1;
}

static void count(struct world *w, int64_t *all, int64_t *window)
{
    (*all)++;
    if (w->measuring)
        (*window)++;
}
#define COUNT(w, name) count((w), &(w)->all.name, &(w)->window.name)

enum world_news world_ack(struct world *w, int64_t message, int64_t now_us)
{
    struct message *m = &w->messages[message];

    if (m->acked)
        return NEWS_NONE;
    m->acked = true;
    COUNT(w, acked);
    if (m->measured)
        hist_add(&w->ack, now_us - m->due_us);
    return --m->left == 0 ? NEWS_COMPLETE : NEWS_PROGRESS;
}

static int seat_find(const struct world *w, int user, struct cq_span chat_id)
{
    const struct user *u = &w->users[user];

    for (int i = 0; i < u->seats_n; i++) {
        const struct seat *s = &w->seats[u->seats[i]];
        if (chat_id.n == ID_TEXT && memcmp(w->chats[s->chat].id, chat_id.p, ID_TEXT) == 0)
            return u->seats[i];
    }
    return -1;
}

/* The content is the number of the message and a space, then padding. */
static bool content_fits(struct cq_span content, int64_t message)
{
    int64_t v = 0;
    size_t i = 0;

    for (; i < content.n && content.p[i] >= '0' && content.p[i] <= '9'; i++)
        v = v * 10 + (content.p[i] - '0');
    return i > 0 && v == message;
}

static void own_message(struct world *w, struct seat *s, int64_t number)
{
    COUNT(w, echoes);
    w->messages[number].echoed = true;
    if (number < s->own_last)
        w->all.overtaken++;
    s->own_last = number;
    if (s->tick_tail >= 0)
        w->messages[s->tick_tail].next = number;
    else
        s->tick_head = number;
    s->tick_tail = number;
}

enum world_news world_show(struct world *w, int user, const struct scan *f, int64_t now_us,
                           int *ret_seat, int64_t *ret_message)
{
    int at = seat_find(w, user, f->chat_id);
    int64_t number = world_message_find(w, f->client_id);
    struct message *m;
    struct seat *s;
    uint64_t bit;

    *ret_seat = at;
    *ret_message = number;
    if (number < 0) {
        w->all.foreign++;
        return NEWS_NONE;
    }
    m = &w->messages[number];
    if (at < 0 || w->seats[at].chat != w->seats[m->seat].chat) {
        w->all.misdelivered++;
        return NEWS_NONE;
    }
    s = &w->seats[at];
    bit = m->bits_at + (uint64_t)s->slot;
    if (m->seq != 0 && m->seq != f->seq)
        w->all.doubled++;
    if (bit_get(w, bit)) {
        w->all.repeats++;
        return NEWS_NONE;
    }
    w->shown[bit / 64] |= (uint64_t)1 << (bit % 64);
    if (!content_fits(f->content, number))
        w->all.damaged++;
    m->seq = f->seq;
    if (f->seq < s->last_seq)
        w->all.out_of_order++;
    else
        s->last_seq = f->seq;
    if (m->seat == at) {
        own_message(w, s, number);
    } else {
        COUNT(w, deliveries);
        if (m->measured)
            hist_add(&w->delivery, now_us - m->due_us);
    }
    return --m->left == 0 ? NEWS_COMPLETE : NEWS_PROGRESS;
}

void world_status(struct world *w, int user, const struct scan *f, int64_t now_us)
{
    int at = seat_find(w, user, f->chat_id);
    struct seat *s;

    COUNT(w, statuses);
    if (at < 0)
        return;
    s = &w->seats[at];
    while (s->tick_head >= 0 && w->messages[s->tick_head].seq <= f->delivered) {
        const struct message *m = &w->messages[s->tick_head];
        if (m->measured)
            hist_add(&w->tick, now_us - m->due_us);
        s->tick_head = m->next;
        if (s->tick_head < 0)
            s->tick_tail = -1;
    }
}

void world_lost(const struct world *w, int64_t *ret_lost, int64_t *ret_lost_gone)
{
    *ret_lost = *ret_lost_gone = 0;
    for (int64_t i = 0; i < w->messages_n; i++) {
        const struct message *m = &w->messages[i];
        const struct chat *chat = &w->chats[w->seats[m->seat].chat];

        for (int slot = 0; m->acked && m->left > 0 && slot < chat->seats_n; slot++) {
            if (bit_get(w, m->bits_at + (uint64_t)slot))
                continue;
            if (w->users[w->seats[chat->seat0 + slot].user].gone)
                (*ret_lost_gone)++;
            else
                (*ret_lost)++;
        }
    }
}
