/* SPDX-License-Identifier: MIT */
#include "tests/bench/world.h"

#include <stdlib.h>

static bool bit_get(const struct world *world, uint64_t at)
{
    return world->shown[at / 64] >> (at % 64) & 1;
}

int64_t world_message_new(struct world *world, int seat, int64_t due_us)
{
    const struct chat *chat = &world->chats[world->seats[seat].chat];
    uint64_t bits = world->shown_n;

    if (world->messages_n == world->messages_max)
        return -1;
    while (bits + (uint64_t)chat->seats_n > world->shown_max) {
        uint64_t max = world->shown_max * 2;
        uint64_t *p = realloc(world->shown, max / 8);
        if (!p)
            return -1;
        memset(p + world->shown_max / 64, 0, (max - world->shown_max) / 8);
        world->shown = p;
        world->shown_max = max;
    }
    world->shown_n += (uint64_t)chat->seats_n;
    world->messages[world->messages_n] = (struct message){
        .due_us = due_us,
        .next = -1,
        .bits_at = bits,
        .seat = seat,
        .left = chat->seats_n + 1,
        .measured = world->measuring,
    };
    return world->messages_n++;
}

int64_t world_message_find(const struct world *world, struct cq_span client_id)
{
    int64_t v = 0;

    if (client_id.n < RUN_TEXT + 2 || memcmp(client_id.p, world->run, RUN_TEXT) != 0 ||
        client_id.p[RUN_TEXT] != '-')
        return -1;
    for (size_t i = RUN_TEXT + 1; i < client_id.n; i++) {
        if (client_id.p[i] < '0' || client_id.p[i] > '9' || v >= world->messages_n)
            return -1;
        v = v * 10 + (client_id.p[i] - '0');
    }
    return v < world->messages_n ? v : -1;
}

static void count(struct world *world, int64_t *all, int64_t *window)
{
    (*all)++;
    if (world->measuring)
        (*window)++;
}
#define COUNT(w, name) count((w), &(w)->all.name, &(w)->window.name)

enum world_news world_ack(struct world *world, int64_t message, int64_t now_us)
{
    struct message *acked_one = &world->messages[message];

    if (acked_one->acked)
        return NEWS_NONE;
    acked_one->acked = true;
    COUNT(world, acked);
    if (acked_one->measured)
        hist_add(&world->ack, now_us - acked_one->due_us);
    return --acked_one->left == 0 ? NEWS_COMPLETE : NEWS_PROGRESS;
}

static int seat_find(const struct world *world, int user, struct cq_span chat_id)
{
    const struct user *who = &world->users[user];

    for (int i = 0; i < who->seats_n; i++) {
        const struct seat *seat = &world->seats[who->seats[i]];
        if (chat_id.n == ID_TEXT && memcmp(world->chats[seat->chat].id, chat_id.p, ID_TEXT) == 0)
            return who->seats[i];
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

static void own_message(struct world *world, struct seat *seat, int64_t number)
{
    COUNT(world, echoes);
    world->messages[number].echoed = true;
    if (number < seat->own_last)
        world->all.overtaken++;
    seat->own_last = number;
    if (seat->tick_tail >= 0)
        world->messages[seat->tick_tail].next = number;
    else
        seat->tick_head = number;
    seat->tick_tail = number;
}

enum world_news world_show(struct world *world, int user, const struct scan *scan, int64_t now_us,
                           int *ret_seat, int64_t *ret_message)
{
    int at = seat_find(world, user, scan->chat_id);
    int64_t number = world_message_find(world, scan->client_id);
    struct message *message;
    struct seat *seat;
    uint64_t bit;

    *ret_seat = at;
    *ret_message = number;
    if (number < 0) {
        world->all.foreign++;
        return NEWS_NONE;
    }
    message = &world->messages[number];
    if (at < 0 || world->seats[at].chat != world->seats[message->seat].chat) {
        world->all.misdelivered++;
        return NEWS_NONE;
    }
    seat = &world->seats[at];
    bit = message->bits_at + (uint64_t)seat->slot;
    if (message->seq != 0 && message->seq != scan->seq)
        world->all.doubled++;
    if (bit_get(world, bit)) {
        world->all.repeats++;
        return NEWS_NONE;
    }
    world->shown[bit / 64] |= (uint64_t)1 << (bit % 64);
    if (!content_fits(scan->content, number))
        world->all.damaged++;
    message->seq = scan->seq;
    if (scan->seq < seat->last_seq)
        world->all.out_of_order++;
    else
        seat->last_seq = scan->seq;
    if (message->seat == at) {
        own_message(world, seat, number);
    } else {
        COUNT(world, deliveries);
        if (message->measured)
            hist_add(&world->delivery, now_us - message->due_us);
    }
    return --message->left == 0 ? NEWS_COMPLETE : NEWS_PROGRESS;
}

void world_status(struct world *world, int user, const struct scan *scan, int64_t now_us)
{
    int at = seat_find(world, user, scan->chat_id);
    struct seat *seat;

    COUNT(world, statuses);
    if (at < 0)
        return;
    seat = &world->seats[at];
    while (seat->tick_head >= 0 && world->messages[seat->tick_head].seq <= scan->delivered) {
        const struct message *message = &world->messages[seat->tick_head];
        if (message->measured)
            hist_add(&world->tick, now_us - message->due_us);
        seat->tick_head = message->next;
        if (seat->tick_head < 0)
            seat->tick_tail = -1;
    }
}

void world_lost(const struct world *world, int64_t *ret_lost, int64_t *ret_lost_gone)
{
    *ret_lost = *ret_lost_gone = 0;
    for (int64_t i = 0; i < world->messages_n; i++) {
        const struct message *message = &world->messages[i];
        const struct chat *chat = &world->chats[world->seats[message->seat].chat];

        for (int slot = 0; message->acked && message->left > 0 && slot < chat->seats_n; slot++) {
            if (bit_get(world, message->bits_at + (uint64_t)slot))
                continue;
            if (world->users[world->seats[chat->seat0 + slot].user].gone)
                (*ret_lost_gone)++;
            else
                (*ret_lost)++;
        }
    }
}
