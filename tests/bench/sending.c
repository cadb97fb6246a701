/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include <math.h>
#include <stdlib.h>

enum { PENDING_FIRST = 64, IMPATIENT_MAX = 64, FAR_US = 1000000 };

void sending_prepare(struct load *load)
{
    struct world *world = &load->w;

    load->random = 0x9E3779B97F4A7C15ull ^ load->o.seed;
    load->socks = calloc((size_t)world->users_n, sizeof *load->socks);
    load->dirty = calloc((size_t)world->users_n, sizeof *load->dirty);
    load->blocked = calloc((size_t)world->users_n, sizeof *load->blocked);
    load->receipts_due = calloc((size_t)world->seats_n + 1, sizeof *load->receipts_due);
    load->senders = calloc((size_t)world->seats_n + 1, sizeof *load->senders);
    for (int i = 0; i < world->seats_n; i++)
        if (!load->o.senders || world->seats[i].slot < load->o.senders)
            load->senders[load->senders_n++] = i;
    if (load->o.independent &&
        !alarms_init(&load->alarms, world->users_n + load->senders_n * (load->o.window + 1)))
        abort();
    for (int i = load->senders_n - 1; i > 0; i--) {
        int other = (int)(random_unit(load) * (i + 1)) % (i + 1), kept = load->senders[i];
        load->senders[i] = load->senders[other];
        load->senders[other] = kept;
    }
}

/* ---- messages that wait for their acknowledgement ---- */

static bool pending_add(struct sock *sock, int64_t message)
{
    if (sock->pending_n == sock->cap) {
        size_t cap = sock->cap ? sock->cap * 2 : PENDING_FIRST;
        int64_t *p = malloc(cap * sizeof *p);

        if (!p)
            return false;
        for (size_t i = 0; i < sock->pending_n; i++)
            p[i] = sock->pending[(sock->head + i) & (sock->cap - 1)];
        free(sock->pending);
        sock->pending = p;
        sock->cap = cap;
        sock->head = 0;
    }
    sock->pending[(sock->head + sock->pending_n++) & (sock->cap - 1)] = message;
    return true;
}

static void pending_trim(const struct load *load, struct sock *sock)
{
    while (sock->pending_n && load->w.messages[sock->pending[sock->head]].acked) {
        sock->head = (sock->head + 1) & (sock->cap - 1);
        sock->pending_n--;
    }
}

/* ---- one message ---- */

static size_t put(char *to, size_t at, const char *text)
{
    size_t n = strlen(text);

    memcpy(to + at, text, n);
    return at + n;
}

static size_t put_number(char *to, size_t at, int64_t v)
{
    char digits[24];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n)
        to[at++] = digits[--n];
    return at;
}

static void message_write(struct load *load, int64_t number)
{
    static char frame[CONTENT_MAX + 512]; /* one thread */
    const struct seat *seat = &load->w.seats[load->w.messages[number].seat];
    const struct chat *chat = &load->w.chats[seat->chat];
    size_t n = put(frame, 0, "{\"t\":\"message.send\",\"chatId\":\""), content;

    n = put(frame, n, chat->id);
    if (chat->direct) {
        n = put(frame, n, "\",\"peer\":\"");
        n = put(frame, n, load->w.users[load->w.seats[chat->seat0 + 1 - seat->slot].user].id);
    }
    n = put(frame, n, "\",\"type\":\"text\",\"clientId\":\"");
    n = put(frame, n, load->w.run);
    n = put(frame, n, "-");
    n = put_number(frame, n, number);
    n = put(frame, n, "\",\"content\":\"");
    content = n;
    n = put_number(frame, n, number);
    frame[n++] = ' ';
    while (n - content < (size_t)load->o.content_bytes) {
        frame[n] = (char)('a' + (n - content) % 26);
        n++;
    }
    n = put(frame, n, "\"}");
    sock_text(load, &load->socks[seat->user], span_of(frame, n));
}

void message_send(struct load *load, int seat, int64_t due_us, int64_t now_us)
{
    struct sock *sock = &load->socks[load->w.seats[seat].user];
    int64_t number;

    if (sock->conn.state != WS_OPEN)
        return;
    if (load->o.impatient && (sock->resend_at_us || sock->pending_n >= IMPATIENT_MAX)) {
        pending_trim(load, sock);
        load->skipped++;
        return;
    }
    number = world_message_new(&load->w, seat, due_us);
    if (number < 0 || !pending_add(sock, number)) {
        load->table_full++;
        return;
    }
    load->sent++;
    if (load->w.measuring)
        hist_add(&load->send_lag, now_us - due_us);
    if (!sock->resend_at_us && !sock->asking)
        message_write(load, number);
}

/* ---- pacing ---- */

static int64_t gap_us(struct load *load)
{
    return (int64_t)(-log(random_unit(load)) * 1e6 / load->o.rate);
}

void sending_start(struct load *load, int64_t now_us)
{
    load->sending = true;
    if (load->senders_n == 0) {
        load->sending = false;
    } else if (load->o.independent) {
        clients_start(load, now_us);
    } else if (load->o.rate > 0) {
        load->due_us = now_us + gap_us(load);
    } else {
        for (int k = 0; k < load->o.window; k++)
            for (int i = 0; i < load->senders_n; i++)
                message_send(load, load->senders[i], now_us, now_us);
    }
}

static void resend_from(struct load *load, struct sock *sock, size_t from, size_t to)
{
    for (size_t i = from; i < to && i < sock->pending_n; i++) {
        int64_t number = sock->pending[(sock->head + i) & (sock->cap - 1)];
        if (!load->w.messages[number].acked) {
            message_write(load, number);
            load->resent++;
        }
    }
}

/* One asks whether there is room again; the others follow it when it is taken. */
static void resend(struct load *load, struct sock *sock)
{
    sock->resend_at_us = 0;
    pending_trim(load, sock);
    sock->asking = sock->pending_n > 0;
    resend_from(load, sock, 0, 1);
}

void sending_acked(struct load *load, int64_t message)
{
    struct sock *sock = &load->socks[load->w.seats[load->w.messages[message].seat].user];

    if (!sock->asking)
        return;
    sock->asking = false;
    pending_trim(load, sock);
    resend_from(load, sock, 0, sock->pending_n);
}

int64_t sending_turn(struct load *load, int64_t now_us)
{
    int64_t next_us = now_us + FAR_US;

    for (int i = 0; i < load->blocked_n;) {
        struct sock *sock = &load->socks[load->blocked[i]];
        if (now_us < sock->resend_at_us) {
            next_us = sock->resend_at_us < next_us ? sock->resend_at_us : next_us;
            i++;
            continue;
        }
        load->blocked[i] = load->blocked[--load->blocked_n];
        resend(load, sock);
    }
    if (load->o.independent) {
        int64_t due_us = clients_turn(load, now_us);
        next_us = due_us < next_us ? due_us : next_us;
    } else if (load->sending && load->o.rate > 0) {
        while (load->due_us <= now_us) {
            message_send(load, load->senders[load->sender_next++ % load->senders_n], load->due_us,
                         now_us);
            load->due_us += gap_us(load);
        }
        next_us = load->due_us < next_us ? load->due_us : next_us;
    }
    if (load->receipts_due_n && load->receipts_at_us < next_us)
        next_us = load->receipts_at_us;
    return next_us > now_us ? next_us - now_us : 0;
}

void sending_nack(struct load *load, struct sock *sock, const struct scan *scan, int64_t now_us)
{
    int64_t number = world_message_find(&load->w, scan->client_id);
    int64_t wait_ms = scan->retry_after_ms;

    load->nacked++;
    if (number < 0 || load->w.messages[number].acked)
        return;
    if (!wait_ms) {
        load->refused++; /* final: this one is not sent again */
        load->w.messages[number].acked = true;
        return;
    }
    sock->asking = false;
    if (!sock->resend_at_us) {
        sock->resend_at_us = now_us + wait_ms * 1000;
        load->blocked[load->blocked_n++] = sock->user;
    }
}

void sending_complete(struct load *load, int64_t message, int64_t now_us)
{
    load->complete++;
    pending_trim(load, &load->socks[load->w.seats[load->w.messages[message].seat].user]);
    if (load->sending && load->o.rate <= 0 && !load->o.independent)
        message_send(load, load->w.messages[message].seat, now_us, now_us);
}

void sending_own_done(struct load *load, int64_t message, int64_t now_us)
{
    if (load->sending && load->o.rate <= 0 && load->o.independent)
        message_send(load, load->w.messages[message].seat, now_us, now_us);
}
