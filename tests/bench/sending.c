/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include <math.h>
#include <stdlib.h>

enum { PENDING_FIRST = 64, IMPATIENT_MAX = 64, RETRY_DEFAULT_MS = 500, FAR_US = 1000000 };

void sending_prepare(struct load *l)
{
    struct world *w = &l->w;

    l->random = 0x9E3779B97F4A7C15ull ^ l->o.seed;
    l->socks = calloc((size_t)w->users_n, sizeof *l->socks);
    l->dirty = calloc((size_t)w->users_n, sizeof *l->dirty);
    l->blocked = calloc((size_t)w->users_n, sizeof *l->blocked);
    l->receipts_due = calloc((size_t)w->seats_n + 1, sizeof *l->receipts_due);
    l->senders = calloc((size_t)w->seats_n + 1, sizeof *l->senders);
    for (int i = 0; i < w->seats_n; i++)
        if (!l->o.senders || w->seats[i].slot < l->o.senders)
            l->senders[l->senders_n++] = i;
    if (l->o.independent && !alarms_init(&l->alarms, w->users_n + l->senders_n * (l->o.window + 1)))
        abort();
    for (int i = l->senders_n - 1; i > 0; i--) {
        int j = (int)(random_unit(l) * (i + 1)) % (i + 1), kept = l->senders[i];
        l->senders[i] = l->senders[j];
        l->senders[j] = kept;
    }
}

/* ---- messages that wait for their acknowledgement ---- */

static bool pending_add(struct sock *s, int64_t message)
{
    if (s->pending_n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : PENDING_FIRST;
        int64_t *p = malloc(cap * sizeof *p);

        if (!p)
            return false;
        for (size_t i = 0; i < s->pending_n; i++)
            p[i] = s->pending[(s->head + i) & (s->cap - 1)];
        free(s->pending);
        s->pending = p;
        s->cap = cap;
        s->head = 0;
    }
    s->pending[(s->head + s->pending_n++) & (s->cap - 1)] = message;
    return true;
}

static void pending_trim(const struct load *l, struct sock *s)
{
    while (s->pending_n && l->w.messages[s->pending[s->head]].acked) {
        s->head = (s->head + 1) & (s->cap - 1);
        s->pending_n--;
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

static void message_write(struct load *l, int64_t number)
{
    static char frame[CONTENT_MAX + 512]; /* one thread */
    const struct seat *seat = &l->w.seats[l->w.messages[number].seat];
    const struct chat *chat = &l->w.chats[seat->chat];
    size_t n = put(frame, 0, "{\"t\":\"message.send\",\"chatId\":\""), content;

    n = put(frame, n, chat->id);
    if (chat->direct) {
        n = put(frame, n, "\",\"peer\":\"");
        n = put(frame, n, l->w.users[l->w.seats[chat->seat0 + 1 - seat->slot].user].id);
    }
    n = put(frame, n, "\",\"type\":\"text\",\"clientId\":\"");
    n = put(frame, n, l->w.run);
    n = put(frame, n, "-");
    n = put_number(frame, n, number);
    n = put(frame, n, "\",\"content\":\"");
    content = n;
    n = put_number(frame, n, number);
    frame[n++] = ' ';
    while (n - content < (size_t)l->o.content_bytes) {
        frame[n] = (char)('a' + (n - content) % 26);
        n++;
    }
    n = put(frame, n, "\"}");
    sock_text(l, &l->socks[seat->user], span_of(frame, n));
}

void message_send(struct load *l, int seat, int64_t due_us, int64_t now_us)
{
    struct sock *s = &l->socks[l->w.seats[seat].user];
    int64_t number;

    if (s->conn.state != WS_OPEN)
        return;
    if (l->o.impatient && (s->resend_at_us || s->pending_n >= IMPATIENT_MAX)) {
        pending_trim(l, s);
        l->skipped++;
        return;
    }
    number = world_message_new(&l->w, seat, due_us);
    if (number < 0 || !pending_add(s, number)) {
        l->table_full++;
        return;
    }
    l->sent++;
    if (l->w.measuring)
        hist_add(&l->send_lag, now_us - due_us);
    if (!s->resend_at_us && !s->asking)
        message_write(l, number);
}

/* ---- pacing ---- */

static int64_t gap_us(struct load *l)
{
    return (int64_t)(-log(random_unit(l)) * 1e6 / l->o.rate);
}

void sending_start(struct load *l, int64_t now_us)
{
    l->sending = true;
    if (l->senders_n == 0) {
        l->sending = false;
    } else if (l->o.independent) {
        clients_start(l, now_us);
    } else if (l->o.rate > 0) {
        l->due_us = now_us + gap_us(l);
    } else {
        for (int k = 0; k < l->o.window; k++)
            for (int i = 0; i < l->senders_n; i++)
                message_send(l, l->senders[i], now_us, now_us);
    }
}

static void resend_from(struct load *l, struct sock *s, size_t from, size_t to)
{
    for (size_t i = from; i < to && i < s->pending_n; i++) {
        int64_t number = s->pending[(s->head + i) & (s->cap - 1)];
        if (!l->w.messages[number].acked) {
            message_write(l, number);
            l->resent++;
        }
    }
}

/* One asks whether there is room again; the others follow it when it is taken. */
static void resend(struct load *l, struct sock *s)
{
    s->resend_at_us = 0;
    pending_trim(l, s);
    s->asking = s->pending_n > 0;
    resend_from(l, s, 0, 1);
}

void sending_acked(struct load *l, int64_t message)
{
    struct sock *s = &l->socks[l->w.seats[l->w.messages[message].seat].user];

    if (!s->asking)
        return;
    s->asking = false;
    pending_trim(l, s);
    resend_from(l, s, 0, s->pending_n);
}

int64_t sending_turn(struct load *l, int64_t now_us)
{
    int64_t next_us = now_us + FAR_US;

    for (int i = 0; i < l->blocked_n;) {
        struct sock *s = &l->socks[l->blocked[i]];
        if (now_us < s->resend_at_us) {
            next_us = s->resend_at_us < next_us ? s->resend_at_us : next_us;
            i++;
            continue;
        }
        l->blocked[i] = l->blocked[--l->blocked_n];
        resend(l, s);
    }
    if (l->o.independent) {
        int64_t due_us = clients_turn(l, now_us);
        next_us = due_us < next_us ? due_us : next_us;
    } else if (l->sending && l->o.rate > 0) {
        while (l->due_us <= now_us) {
            message_send(l, l->senders[l->sender_next++ % l->senders_n], l->due_us, now_us);
            l->due_us += gap_us(l);
        }
        next_us = l->due_us < next_us ? l->due_us : next_us;
    }
    if (l->receipts_due_n && l->receipts_at_us < next_us)
        next_us = l->receipts_at_us;
    return next_us > now_us ? next_us - now_us : 0;
}

void sending_nack(struct load *l, struct sock *s, const struct scan *f, int64_t now_us)
{
    int64_t number = world_message_find(&l->w, f->client_id);
    int64_t wait_ms = f->retry_after_ms ? f->retry_after_ms : RETRY_DEFAULT_MS;

    l->nacked++;
    if (number < 0 || l->w.messages[number].acked)
        return;
    if (!span_eq_str(f->code, "retry") && !span_eq_str(f->code, "slow_down") &&
        !span_eq_str(f->code, "log_full") && !span_eq_str(f->code, "log_cut")) {
        l->refused++; /* final: this one is not sent again */
        l->w.messages[number].acked = true;
        return;
    }
    s->asking = false;
    if (!s->resend_at_us) {
        s->resend_at_us = now_us + wait_ms * 1000;
        l->blocked[l->blocked_n++] = s->user;
    }
}

void sending_complete(struct load *l, int64_t message, int64_t now_us)
{
    l->complete++;
    pending_trim(l, &l->socks[l->w.seats[l->w.messages[message].seat].user]);
    if (l->sending && l->o.rate <= 0 && !l->o.independent)
        message_send(l, l->w.messages[message].seat, now_us, now_us);
}

void sending_own_done(struct load *l, int64_t message, int64_t now_us)
{
    if (l->sending && l->o.rate <= 0 && l->o.independent)
        message_send(l, l->w.messages[message].seat, now_us, now_us);
}
