/* SPDX-License-Identifier: MIT */
/*
 * Clients that do not know each other (--independent): each says `ok` and its receipts by a clock
 * of its own, as docs/protocol.md recommends, sends when its own time has come, and is written to
 * at once. Nothing here gathers what several clients have to say.
 */
#include "tests/bench/load.h"

#include <math.h>

enum { OK_US = 100 * 1000, OK_FRAMES = 32, START_US = 1000 * 1000 };

double random_unit(struct load *l)
{
    /* xorshift64*: the same run from the same seed */
    l->random ^= l->random >> 12;
    l->random ^= l->random << 25;
    l->random ^= l->random >> 27;
    return ((double)((l->random * 0x2545F4914F6CDD1Dull) >> 11) + 1.0) / 9007199254740993.0;
}

static int64_t own_gap_us(struct load *l)
{
    return (int64_t)(-log(random_unit(l)) * 1e6 * l->senders_n / l->o.rate);
}

void clients_start(struct load *l, int64_t now_us)
{
    for (int i = 0; i < l->senders_n; i++) {
        struct alarm one = { .kind = ALARM_SEND, .who = l->senders[i] };
        int n = l->o.rate > 0 ? 1 : l->o.window;

        for (int k = 0; k < n; k++) {
            one.due_us =
                now_us + (l->o.rate > 0 ? own_gap_us(l) : (int64_t)(random_unit(l) * START_US));
            alarms_add(&l->alarms, one);
        }
    }
}

static void say(struct load *l, struct sock *s)
{
    const struct user *u = &l->w.users[s->user];

    s->owed_n = 0;
    s->says = true;
    sock_dirty(l, s);
    for (int i = 0; i < u->seats_n; i++)
        if (l->w.seats[u->seats[i]].receipt_due)
            receipt_send(l, u->seats[i]);
}

/* 50 to 150 ms after the first frame that wants an answer, or at the 32nd. */
void client_owes(struct load *l, struct sock *s, int64_t now_us)
{
    s->owed_n++;
    if (!s->timed) {
        s->timed = true;
        alarms_add(&l->alarms,
                   (struct alarm){ .kind = ALARM_SAY,
                                   .who = s->user,
                                   .due_us = now_us + (int64_t)(OK_US * (0.5 + random_unit(l))) });
    }
    if (s->owed_n >= OK_FRAMES)
        say(l, s);
}

static void say_when_due(struct load *l, struct sock *s)
{
    s->timed = false;
    if (s->owed_n)
        say(l, s);
}

static void send_when_due(struct load *l, struct alarm one, int64_t now_us)
{
    if (!l->sending)
        return;
    message_send(l, one.who, one.due_us, now_us);
    if (l->o.rate > 0) {
        one.due_us += own_gap_us(l);
        alarms_add(&l->alarms, one);
    }
}

int64_t clients_turn(struct load *l, int64_t now_us)
{
    while (alarms_next_us(&l->alarms) <= now_us) {
        struct alarm one = alarms_take(&l->alarms);

        switch (one.kind) {
        case ALARM_SAY:
            say_when_due(l, &l->socks[one.who]);
            break;
        case ALARM_SEND:
            send_when_due(l, one, now_us);
            break;
        }
        sockets_flush(l, now_us);
    }
    return alarms_next_us(&l->alarms);
}
