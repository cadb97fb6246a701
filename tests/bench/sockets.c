/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include "lib/base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
    OPENING_MAX = 128,        /* sockets connecting or authenticating at one time */
    SOCKETS_A_SOURCE = 20000, /* client addresses 127.0.0.2, .3, … each with that many ports */
    EVENTS_MAX = 512,
    FRAME_MAX = 512, /* of what is rendered here */
};

void sock_dirty(struct load *l, struct sock *s)
{
    if (!s->dirty) {
        s->dirty = true;
        l->dirty[l->dirty_n++] = s->user;
    }
}

void sock_text(struct load *l, struct sock *s, struct cq_span text)
{
    if (s->conn.state == WS_OPEN && ws_text(&s->conn, text))
        sock_dirty(l, s);
}

static void sock_gone(struct load *l, struct sock *s)
{
    if (s->conn.state == WS_CLOSED)
        return;
    ws_close(&s->conn);
    if (s->ready)
        l->gone_n++;
    else
        l->waiting_n--;
    l->closed[s->conn.close_code % 5000]++;
    l->w.users[s->user].gone = true;
}

static void epoll_want(struct load *l, struct sock *s, bool out, int op)
{
    struct epoll_event ev = {
        .events = EPOLLIN | (out ? EPOLLOUT : 0u),
        .data.u32 = (uint32_t)s->user,
    };

    s->conn.wants_out = out;
    if (epoll_ctl(l->epoll, op, s->conn.fd, &ev))
        sock_gone(l, s);
}

static bool address_parse(const char *text, struct sockaddr_in *ret)
{
    char host[64];
    const char *colon = strrchr(text, ':');

    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *ret = (struct sockaddr_in){ .sin_family = AF_INET };
    ret->sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

bool sockets_open_some(struct load *l)
{
    while (l->opened_n < l->w.users_n && l->waiting_n < OPENING_MAX) {
        struct sock *s = &l->socks[l->opened_n];
        struct sockaddr_in to, from = { .sin_family = AF_INET };

        if (!address_parse(l->w.endpoints[l->opened_n % l->w.endpoints_n], &to))
            return false;
        from.sin_addr.s_addr =
            htonl(INADDR_LOOPBACK + 1 + (uint32_t)(l->opened_n / SOCKETS_A_SOURCE));
        s->user = l->opened_n;
        if (!ws_open(&s->conn, &from, &to))
            return false;
        l->opened_n++;
        l->waiting_n++;
        epoll_want(l, s, true, EPOLL_CTL_ADD);
    }
    return true;
}

static void authenticate(struct load *l, struct sock *s)
{
    char frame[4096];
    int n = snprintf(frame, sizeof frame, "{\"t\":\"auth\",\"token\":\"%s\"}",
                     l->w.users[s->user].token);

    if (n > 0 && (size_t)n < sizeof frame)
        sock_text(l, s, span_of(frame, (size_t)n));
}

static void ready_take(struct load *l, struct sock *s)
{
    if (s->ready)
        return; /* another session: in a run without history there is nothing to sync */
    s->ready = true;
    l->ready_n++;
    l->waiting_n--;
}

static void receipt_owe(struct load *l, int seat, int64_t seq)
{
    struct seat *s = &l->w.seats[seat];

    if (seq > s->delivered)
        s->delivered = seq;
    if (!s->receipt_due && l->o.receipts != RECEIPTS_NONE) {
        s->receipt_due = true;
        if (l->o.independent)
            return; /* with its client's next `ok` */
        l->receipts_due[l->receipts_due_n++] = seat;
    }
}

static void news_take(struct load *l, enum world_news news, int64_t number, int64_t now_us)
{
    if (news != NEWS_NONE)
        l->last_news_us = now_us;
    if (news == NEWS_COMPLETE)
        sending_complete(l, number, now_us);
}

static void message_take(struct load *l, struct sock *s, const struct scan *f, int64_t now_us)
{
    int64_t number;
    int seat;
    enum world_news news = world_show(&l->w, s->user, f, now_us, &seat, &number);

    if (seat >= 0 && (number < 0 || l->w.messages[number].seat != seat))
        receipt_owe(l, seat, f->seq);
    news_take(l, news, number, now_us);
    if (news != NEWS_NONE && l->w.messages[number].seat == seat && l->w.messages[number].acked)
        sending_own_done(l, number, now_us);
}

static void ack_take(struct load *l, const struct scan *f, int64_t now_us)
{
    int64_t number = world_message_find(&l->w, f->client_id);
    enum world_news news;

    if (number < 0)
        return;
    news = world_ack(&l->w, number, now_us);
    sending_acked(l, number);
    news_take(l, news, number, now_us);
    if (news != NEWS_NONE && l->w.messages[number].echoed)
        sending_own_done(l, number, now_us);
}

struct reading {
    struct load *l;
    struct sock *s;
    int64_t now_us;
};

static void text_take(void *arg, struct ws_conn *c, struct cq_span text)
{
    struct reading *r = arg;
    struct load *l = r->l;
    struct scan f;

    (void)c;
    if (text.n == 0) {
        authenticate(l, r->s);
        return;
    }
    if (!scan_frame(text, &f)) {
        l->errors++;
        return;
    }
    if (f.n > r->s->ok_n)
        r->s->ok_n = f.n;
    if (span_eq_str(f.t, "message"))
        message_take(l, r->s, &f, r->now_us);
    else if (span_eq_str(f.t, "ack"))
        ack_take(l, &f, r->now_us);
    else if (span_eq_str(f.t, "status"))
        world_status(&l->w, r->s->user, &f, r->now_us);
    else if (span_eq_str(f.t, "nack"))
        sending_nack(l, r->s, &f, r->now_us);
    else if (span_eq_str(f.t, "ready"))
        ready_take(l, r->s);
    else if (span_eq_str(f.t, "rejected"))
        l->w.all.rejected++;
    else if (span_eq_str(f.t, "error"))
        l->errors++;
    if (f.n && l->o.independent)
        client_owes(l, r->s, r->now_us);
    else if (r->s->ok_n > r->s->ok_sent)
        sock_dirty(l, r->s);
}

static void event_take(struct load *l, const struct epoll_event *ev)
{
    struct sock *s = &l->socks[ev->data.u32];
    struct reading r = { l, s, 0 };

    if (s->conn.state == WS_CLOSED)
        return;
    if (s->conn.state == WS_CONNECTING) {
        if (!ws_begin_upgrade(&s->conn, l->w.endpoints[s->user % l->w.endpoints_n])) {
            sock_gone(l, s);
            return;
        }
        sock_dirty(l, s);
        epoll_want(l, s, false, EPOLL_CTL_MOD);
        return;
    }
    if (ev->events & EPOLLOUT)
        sock_dirty(l, s);
    if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        r.now_us = clock_mono_us();
        if (!ws_read(&s->conn, text_take, &r))
            sock_gone(l, s);
    }
}

void sockets_turn(struct load *l, int64_t wait_us)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = { wait_us / 1000000, wait_us % 1000000 * 1000 };
    int n = epoll_pwait2(l->epoll, events, EVENTS_MAX, &wait, NULL);

    for (int i = 0; i < n; i++) {
        event_take(l, &events[i]);
        if (l->o.independent)
            sockets_flush(l, 0);
    }
}

void receipt_send(struct load *l, int at)
{
    struct seat *seat = &l->w.seats[at];
    const struct chat *chat = &l->w.chats[seat->chat];
    char frame[FRAME_MAX], read[40] = "", peer[60] = "";
    int n;

    seat->receipt_due = false;
    if (l->o.receipts == RECEIPTS_READ)
        snprintf(read, sizeof read, ",\"read\":%lld", (long long)seat->delivered);
    if (chat->direct)
        snprintf(peer, sizeof peer, ",\"peer\":\"%s\"",
                 l->w.users[l->w.seats[chat->seat0 + 1 - seat->slot].user].id);
    n = snprintf(frame, sizeof frame,
                 "{\"t\":\"receipt\",\"chatId\":\"%s\",\"delivered\":%lld%s%s}", chat->id,
                 (long long)seat->delivered, read, peer);
    sock_text(l, &l->socks[seat->user], span_of(frame, (size_t)n));
}

void sockets_flush(struct load *l, int64_t now_us)
{
    if (l->receipts_due_n && now_us >= l->receipts_at_us) {
        for (int i = 0; i < l->receipts_due_n; i++)
            receipt_send(l, l->receipts_due[i]);
        l->receipts_due_n = 0;
        l->receipts_at_us = now_us + l->o.receipts_us;
    }
    for (int i = 0; i < l->dirty_n; i++) {
        struct sock *s = &l->socks[l->dirty[i]];

        s->dirty = false;
        if (s->conn.state == WS_CLOSED)
            continue;
        if (s->ok_n > s->ok_sent && (s->says || !l->o.independent)) {
            char frame[64];
            int n = snprintf(frame, sizeof frame, "{\"t\":\"ok\",\"n\":%lld}", (long long)s->ok_n);
            s->ok_sent = s->ok_n;
            ws_text(&s->conn, span_of(frame, (size_t)n));
        }
        s->says = false;
        if (!ws_flush(&s->conn))
            sock_gone(l, s);
        else if ((s->conn.out.n > 0) != s->conn.wants_out)
            epoll_want(l, s, s->conn.out.n > 0, EPOLL_CTL_MOD);
    }
    l->dirty_n = 0;
}
