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

void sock_dirty(struct load *load, struct sock *sock)
{
    if (!sock->dirty) {
        sock->dirty = true;
        load->dirty[load->dirty_n++] = sock->user;
    }
}

void sock_text(struct load *load, struct sock *sock, struct cq_span text)
{
    if (sock->conn.state == WS_OPEN && ws_text(&sock->conn, text))
        sock_dirty(load, sock);
}

static void sock_gone(struct load *load, struct sock *sock)
{
    if (sock->conn.state == WS_CLOSED)
        return;
    ws_close(&sock->conn);
    if (sock->ready)
        load->gone_n++;
    else
        load->waiting_n--;
    load->closed[sock->conn.close_code % 5000]++;
    load->w.users[sock->user].gone = true;
}

static void epoll_want(struct load *load, struct sock *sock, bool out, int op)
{
    struct epoll_event ev = {
        .events = EPOLLIN | (out ? EPOLLOUT : 0u),
        .data.u32 = (uint32_t)sock->user,
    };

    sock->conn.wants_out = out;
    if (epoll_ctl(load->epoll, op, sock->conn.fd, &ev))
        sock_gone(load, sock);
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

bool sockets_open_some(struct load *load)
{
    while (load->opened_n < load->w.users_n && load->waiting_n < OPENING_MAX) {
        struct sock *sock = &load->socks[load->opened_n];
        struct sockaddr_in to, from = { .sin_family = AF_INET };

        if (!address_parse(load->w.endpoints[load->opened_n % load->w.endpoints_n], &to))
            return false;
        from.sin_addr.s_addr =
            htonl(INADDR_LOOPBACK + 1 + (uint32_t)(load->opened_n / SOCKETS_A_SOURCE));
        sock->user = load->opened_n;
        if (!ws_open(&sock->conn, &from, &to))
            return false;
        load->opened_n++;
        load->waiting_n++;
        epoll_want(load, sock, true, EPOLL_CTL_ADD);
    }
    return true;
}

static void authenticate(struct load *load, struct sock *sock)
{
    char frame[4096];
    int n = snprintf(frame, sizeof frame, "{\"t\":\"auth\",\"token\":\"%s\"}",
                     load->w.users[sock->user].token);

    if (n > 0 && (size_t)n < sizeof frame)
        sock_text(load, sock, span_of(frame, (size_t)n));
}

static void ready_take(struct load *load, struct sock *sock)
{
    if (sock->ready)
        return; /* another session: in a run without history there is nothing to sync */
    sock->ready = true;
    load->ready_n++;
    load->waiting_n--;
}

static void receipt_owe(struct load *load, int seat, int64_t seq)
{
    struct seat *owing = &load->w.seats[seat];

    if (seq > owing->delivered)
        owing->delivered = seq;
    if (!owing->receipt_due && load->o.receipts != RECEIPTS_NONE) {
        owing->receipt_due = true;
        if (load->o.independent)
            return; /* with its client's next `ok` */
        load->receipts_due[load->receipts_due_n++] = seat;
    }
}

static void news_take(struct load *load, enum world_news news, int64_t number, int64_t now_us)
{
    if (news != NEWS_NONE)
        load->last_news_us = now_us;
    if (news == NEWS_COMPLETE)
        sending_complete(load, number, now_us);
}

static void message_take(struct load *load, struct sock *sock, const struct scan *scan,
                         int64_t now_us)
{
    int64_t number;
    int seat;
    enum world_news news = world_show(&load->w, sock->user, scan, now_us, &seat, &number);

    if (seat >= 0 && (number < 0 || load->w.messages[number].seat != seat))
        receipt_owe(load, seat, scan->seq);
    news_take(load, news, number, now_us);
    if (news != NEWS_NONE && load->w.messages[number].seat == seat &&
        load->w.messages[number].acked)
        sending_own_done(load, number, now_us);
}

static void ack_take(struct load *load, const struct scan *scan, int64_t now_us)
{
    int64_t number = world_message_find(&load->w, scan->client_id);
    enum world_news news;

    if (number < 0)
        return;
    news = world_ack(&load->w, number, now_us);
    sending_acked(load, number);
    news_take(load, news, number, now_us);
    if (news != NEWS_NONE && load->w.messages[number].echoed)
        sending_own_done(load, number, now_us);
}

struct reading {
    struct load *l;
    struct sock *s;
    int64_t now_us;
};

static void text_take(void *arg, struct ws_conn *conn, struct cq_span text)
{
    struct reading *reading = arg;
    struct load *load = reading->l;
    struct scan scan;

    (void)conn;
    if (text.n == 0) {
        authenticate(load, reading->s);
        return;
    }
    if (!scan_frame(text, &scan)) {
        load->errors++;
        return;
    }
    if (scan.n > reading->s->ok_n)
        reading->s->ok_n = scan.n;
    if (span_eq_str(scan.t, "message"))
        message_take(load, reading->s, &scan, reading->now_us);
    else if (span_eq_str(scan.t, "ack"))
        ack_take(load, &scan, reading->now_us);
    else if (span_eq_str(scan.t, "status"))
        world_status(&load->w, reading->s->user, &scan, reading->now_us);
    else if (span_eq_str(scan.t, "nack"))
        sending_nack(load, reading->s, &scan, reading->now_us);
    else if (span_eq_str(scan.t, "ready"))
        ready_take(load, reading->s);
    else if (span_eq_str(scan.t, "rejected"))
        load->w.all.rejected++;
    else if (span_eq_str(scan.t, "error"))
        load->errors++;
    if (scan.n && load->o.independent)
        client_owes(load, reading->s, reading->now_us);
    else if (reading->s->ok_n > reading->s->ok_sent)
        sock_dirty(load, reading->s);
}

static void event_take(struct load *load, const struct epoll_event *ev)
{
    struct sock *sock = &load->socks[ev->data.u32];
    struct reading reading = { load, sock, 0 };

    if (sock->conn.state == WS_CLOSED)
        return;
    if (sock->conn.state == WS_CONNECTING) {
        if (!ws_begin_upgrade(&sock->conn, load->w.endpoints[sock->user % load->w.endpoints_n])) {
            sock_gone(load, sock);
            return;
        }
        sock_dirty(load, sock);
        epoll_want(load, sock, false, EPOLL_CTL_MOD);
        return;
    }
    if (ev->events & EPOLLOUT)
        sock_dirty(load, sock);
    if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        reading.now_us = clock_mono_us();
        if (!ws_read(&sock->conn, text_take, &reading))
            sock_gone(load, sock);
    }
}

void sockets_turn(struct load *load, int64_t wait_us)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = { wait_us / 1000000, wait_us % 1000000 * 1000 };
    int n = epoll_pwait2(load->epoll, events, EVENTS_MAX, &wait, NULL);

    for (int i = 0; i < n; i++) {
        event_take(load, &events[i]);
        if (load->o.independent)
            sockets_flush(load, 0);
    }
}

void receipt_send(struct load *load, int at)
{
    struct seat *seat = &load->w.seats[at];
    const struct chat *chat = &load->w.chats[seat->chat];
    char frame[FRAME_MAX], read[40] = "", peer[60] = "";
    int n;

    seat->receipt_due = false;
    if (load->o.receipts == RECEIPTS_READ)
        snprintf(read, sizeof read, ",\"read\":%lld", (long long)seat->delivered);
    if (chat->direct)
        snprintf(peer, sizeof peer, ",\"peer\":\"%s\"",
                 load->w.users[load->w.seats[chat->seat0 + 1 - seat->slot].user].id);
    n = snprintf(frame, sizeof frame,
                 "{\"t\":\"receipt\",\"chatId\":\"%s\",\"delivered\":%lld%s%s}", chat->id,
                 (long long)seat->delivered, read, peer);
    sock_text(load, &load->socks[seat->user], span_of(frame, (size_t)n));
}

void sockets_flush(struct load *load, int64_t now_us)
{
    if (load->receipts_due_n && now_us >= load->receipts_at_us) {
        for (int i = 0; i < load->receipts_due_n; i++)
            receipt_send(load, load->receipts_due[i]);
        load->receipts_due_n = 0;
        load->receipts_at_us = now_us + load->o.receipts_us;
    }
    for (int i = 0; i < load->dirty_n; i++) {
        struct sock *sock = &load->socks[load->dirty[i]];

        sock->dirty = false;
        if (sock->conn.state == WS_CLOSED)
            continue;
        if (sock->ok_n > sock->ok_sent && (sock->says || !load->o.independent)) {
            char frame[64];
            int n =
                snprintf(frame, sizeof frame, "{\"t\":\"ok\",\"n\":%lld}", (long long)sock->ok_n);
            sock->ok_sent = sock->ok_n;
            ws_text(&sock->conn, span_of(frame, (size_t)n));
        }
        sock->says = false;
        if (!ws_flush(&sock->conn))
            sock_gone(load, sock);
        else if ((sock->conn.out.n > 0) != sock->conn.wants_out)
            epoll_want(load, sock, sock->conn.out.n > 0, EPOLL_CTL_MOD);
    }
    load->dirty_n = 0;
}
