/* SPDX-License-Identifier: MIT */
#include "edge/ws/conn_signals.h"

#include "edge/ws/conn.h"
#include "edge/ws/reply.h"
#include "lib/base/count.h"
#include "lib/jwt/ticket.h"
#include "schemas/names.h"

#include <stdlib.h>

enum {
    SHOW_ROOM = 4 * 1024, /* a socket with more answers than that to be written is shown nothing */
    /* REST's view may be so much behind what this session was told, and its clock behind ours: a
     * ticket that is not younger than a change of members by that proves nothing. */
    MEMBERS_SETTLE_MS = 2000,
};

/* Of one socket that looks. */
struct signal_conn {
    struct looker chats, people;
    uint32_t counted; /* of what it looks at, what its user was charged with */
    struct bucket bucket;
};

static struct signal_conn *open_signals(struct conn *conn)
{
    struct signal_conn *own = conn->signals;

    if (own)
        return own;
    own = calloc(1, sizeof *own);
    if (!own)
        return NULL;
    own->chats.conn = own->people.conn = conn;
    own->bucket = bucket_full(ADMIT_SIGNALS_BURST, conn->gateway->mono_ms);
    conn->signals = own;
    return own;
}

static void count_looks(struct conn *conn, struct signal_conn *own)
{
    uint32_t n = own->chats.n + own->people.n;

    rates_charge_looks(&conn->gateway->rates, conn->rate, (int32_t)n - (int32_t)own->counted);
    own->counted = n;
}

static void refuse(struct conn *conn, const struct client_frame *frame, const char *code,
                   const char *message)
{
    struct frame_about about = client_frame_about(frame);

    reply_error(&conn->replies, code, message, &about);
    conn_wake(conn);
}

/* One look or signal: of this socket, and of its user. */
static bool admit(struct conn *conn, struct signal_conn *own)
{
    struct gateway *gateway = conn->gateway;

    if (!bucket_take(&own->bucket, ADMIT_SIGNALS_PER_MINUTE, ADMIT_SIGNALS_BURST,
                     gateway->mono_ms) &&
        !rates_take_signal(&gateway->rates, conn->rate, gateway->mono_ms))
        return true;
    count_add(COUNT_SIGNALS_DROPPED, 1);
    return false;
}

/* Why a ticket is not one of this session now; NULL: it is. */
static const char *ticket_fault(struct conn *conn, struct cq_span text, struct ticket *ret)
{
    struct gateway *gateway = conn->gateway;
    const char *why;

    if (ticket_check(gateway->keys, text, gateway->wall_ms, ret, &why) != CQ_OK)
        return why;
    if (!conn->session || !id_eq(ret->user, conn->claims.user) ||
        !id_eq(ret->session, sink_session_id(conn->session)))
        return "ticket: of another session, ask for one of this session";
    if (ret->kind == TICKET_CHAT && ret->issued_ms < conn->tickets_from_ms)
        return "ticket: older than a change of members, ask for another one";
    return ret->kind == TICKET_USER && ret->issued_ms < conn->people_tickets_from_ms
               ? "ticket: too old, ask for another one"
               : NULL;
}

static void expire(struct conn *conn, struct signal_conn *own)
{
    struct signals *signals = &conn->gateway->signals;

    looks_expire(&signals->looks, &own->chats, conn->gateway->mono_ms);
    looks_expire(&signals->attendance.looks, &own->people, conn->gateway->mono_ms);
    count_looks(conn, own);
}

static void add_look(struct conn *conn, const struct client_frame *frame, struct signal_conn *own,
                     const struct ticket *ticket)
{
    struct gateway *gateway = conn->gateway;
    bool is_user = ticket->kind == TICKET_USER;
    struct looker *by = is_user ? &own->people : &own->chats;
    int64_t until_ms = ticket->issued_ms + TICKET_LIFE_MS;
    int64_t until_mono_ms = gateway->mono_ms + until_ms - gateway->wall_ms;
    enum cq_status st;

    expire(conn, own);
    if (!looks_until(by, ticket->subject, gateway->mono_ms) &&
        rates_looks(&gateway->rates, conn->rate) >= ADMIT_LOOKS_USER_MAX) {
        refuse(conn, frame, "too_many_looks", "look: as many as all sockets of a user may");
        return;
    }
    st = is_user ? attendance_look(&gateway->signals.attendance, by, ticket->subject, until_mono_ms,
                                   gateway->mono_ms)
                 : signals_look(&gateway->signals, by, ticket->subject, until_mono_ms);
    if (st != CQ_OK) {
        refuse(conn, frame, "too_many_looks", "look: as many as a socket may");
        return;
    }
    count_looks(conn, own);
    reply_looking(&conn->replies, is_user, ticket->subject, until_ms);
    conn_wake(conn);
}

void conn_look(struct conn *conn, const struct client_frame *frame)
{
    struct signal_conn *own = open_signals(conn);
    struct ticket ticket;
    const char *fault;

    if (!own || !admit(conn, own)) {
        refuse(conn, frame, "slow_down", "look: too many, send it again in a second");
        return;
    }
    fault = ticket_fault(conn, frame->token, &ticket);
    if (fault) {
        refuse(conn, frame, "bad_ticket", fault);
        return;
    }
    add_look(conn, frame, own, &ticket);
}

void conn_unlook(struct conn *conn, const struct client_frame *frame)
{
    struct signals *signals = &conn->gateway->signals;
    struct signal_conn *own = conn->signals;

    if (!own)
        return;
    if (frame->has_person)
        looks_drop(&signals->attendance.looks, &own->people, frame->person);
    else
        looks_drop(&signals->looks, &own->chats, frame->chat);
    count_looks(conn, own);
}

void conn_signal(struct conn *conn, const struct client_frame *frame)
{
    struct gateway *gateway = conn->gateway;
    struct signal_conn *own = conn->signals;
    struct signal signal = { frame->chat, conn->claims.user, frame->state };

    if (!own || !looks_until(&own->chats, frame->chat, gateway->mono_ms)) {
        refuse(conn, frame, "not_looking", "signal: look at the chat first");
        return;
    }
    if (admit(conn, own))
        signals_say(&gateway->signals, &signal, gateway->mono_ms);
}

void conn_set_here(struct conn *conn, bool here)
{
    struct gateway *gateway = conn->gateway;

    if (conn->here == here)
        return;
    conn->here = here;
    if (rates_here(&gateway->rates, conn->rate, here))
        attendance_changed(&gateway->signals.attendance, conn->claims.user, gateway->mono_ms,
                           gateway->wall_ms);
}

void conn_be(struct conn *conn, const struct client_frame *frame)
{
    struct signal_conn *own = open_signals(conn);

    if (!own || !admit(conn, own))
        refuse(conn, frame, "slow_down", "here, away: too often, send it again in a second");
    else
        conn_set_here(conn, frame->kind == CLIENT_HERE);
}

bool conn_show(void *conn, struct cq_id user, struct cq_span frame)
{
    struct conn *this_conn = conn;

    if (!conn_state_is_known(this_conn->state) || id_eq(user, this_conn->claims.user))
        return false;
    if (this_conn->replies.n > SHOW_ROOM) {
        count_add(COUNT_SIGNALS_DROPPED, 1);
        return false;
    }
    reply_text(&this_conn->replies, frame);
    conn_wake(this_conn);
    return true;
}

void conn_members_changed(void *conn, struct cq_id chat)
{
    struct conn *this_conn = conn;
    struct gateway *gateway = this_conn->gateway;
    struct signal_conn *own = this_conn->signals;

    this_conn->tickets_from_ms = gateway->wall_ms + MEMBERS_SETTLE_MS;
    if (!own || !looks_drop(&gateway->signals.looks, &own->chats, chat))
        return;
    count_looks(this_conn, own);
    reply_looking(&this_conn->replies, false, chat, 0);
    conn_wake(this_conn);
}

/* Of the subject only the chat with him is known. */
static bool find_person(const struct conn *conn, struct cq_id chat, struct cq_id *ret)
{
    for (const struct look *look = conn->signals->people.first; look; look = look->next_of_mine)
        if (id_eq(chat_id_direct(conn->claims.user, look->at->subject), chat)) {
            *ret = look->at->subject;
            return true;
        }
    return false;
}

void conn_parted(void *conn, struct cq_id chat)
{
    struct conn *this_conn = conn;
    struct gateway *gateway = this_conn->gateway;
    struct cq_id person;

    this_conn->people_tickets_from_ms = gateway->wall_ms + MEMBERS_SETTLE_MS;
    if (!this_conn->signals || !find_person(this_conn, chat, &person))
        return;
    looks_drop(&gateway->signals.attendance.looks, &this_conn->signals->people, person);
    count_looks(this_conn, this_conn->signals);
    reply_looking(&this_conn->replies, true, person, 0);
    conn_wake(this_conn);
}

void conn_signals_tick(struct conn *conn)
{
    struct signal_conn *own = conn->signals;

    if (own)
        expire(conn, own);
}

void conn_signals_end(struct conn *conn)
{
    struct signal_conn *own = conn->signals;

    if (!own)
        return;
    looks_leave(&conn->gateway->signals.looks, &own->chats);
    looks_leave(&conn->gateway->signals.attendance.looks, &own->people);
    count_looks(conn, own);
    free(own);
    conn->signals = NULL;
}
