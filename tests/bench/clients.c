/* SPDX-License-Identifier: MIT */
/*
 * Clients that do not know each other (--independent): each says `ok` and its receipts by a clock
 * of its own, as docs/protocol.md recommends, sends when its own time has come, and is written to
 * at once. Nothing here gathers what several clients have to say.
 */
#include "tests/bench/load.h"

#include <math.h>

enum { OK_US = 100 * 1000, OK_FRAMES = 32, START_US = 1000 * 1000 };

double random_unit(struct load *load)
{
    /* xorshift64*: the same run from the same seed */
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    return ((double)((load->random * 0x2545F4914F6CDD1Dull) >> 11) + 1.0) / 9007199254740993.0;
}

static int64_t own_gap_us(struct load *load)
{
    return (int64_t)(-log(random_unit(load)) * 1e6 * load->senders_n / load->o.rate);
}

void clients_start(struct load *load, int64_t now_us)
{
    for (int i = 0; i < load->senders_n; i++) {
        struct alarm one = { .kind = ALARM_SEND, .who = load->senders[i] };
        int n = load->o.rate > 0 ? 1 : load->o.window;

        for (int k = 0; k < n; k++) {
            one.due_us = now_us + (load->o.rate > 0 ? own_gap_us(load)
                                                    : (int64_t)(random_unit(load) * START_US));
            alarms_add(&load->alarms, one);
        }
    }
}

static void say(struct load *load, struct sock *sock)
{
    const struct user *user = &load->w.users[sock->user];

    sock->owed_n = 0;
    sock->says = true;
    sock_dirty(load, sock);
    for (int i = 0; i < user->seats_n; i++)
        if (load->w.seats[user->seats[i]].receipt_due)
            receipt_send(load, user->seats[i]);
}

/* 50 to 150 ms after the first frame that wants an answer, or at the 32nd. */
void client_owes(struct load *load, struct sock *sock, int64_t now_us)
{
    sock->owed_n++;
    if (!sock->timed) {
        sock->timed = true;
        alarms_add(
            &load->alarms,
            (struct alarm){ .kind = ALARM_SAY,
                            .who = sock->user,
                            .due_us = now_us + (int64_t)(OK_US * (0.5 + random_unit(load))) });
    }
    if (sock->owed_n >= OK_FRAMES)
        say(load, sock);
}

static void say_when_due(struct load *load, struct sock *sock)
{
    sock->timed = false;
    if (sock->owed_n)
        say(load, sock);
}

static void send_when_due(struct load *load, struct alarm one, int64_t now_us)
{
    if (!load->sending)
        return;
    message_send(load, one.who, one.due_us, now_us);
    if (load->o.rate > 0) {
        one.due_us += own_gap_us(load);
        alarms_add(&load->alarms, one);
    }
}

int64_t clients_turn(struct load *load, int64_t now_us)
{
    while (alarms_next_us(&load->alarms) <= now_us) {
        struct alarm one = alarms_take(&load->alarms);

        switch (one.kind) {
        case ALARM_SAY:
            say_when_due(load, &load->socks[one.who]);
            break;
        case ALARM_SEND:
            send_when_due(load, one, now_us);
            break;
        }
        sockets_flush(load, now_us);
    }
    return alarms_next_us(&load->alarms);
}
