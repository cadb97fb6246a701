/* SPDX-License-Identifier: MIT */
#include "edge/ws/conn.h"

#include "edge/ws/client_frame.h"
#include "edge/ws/conn_signals.h"
#include "edge/ws/reply.h"
#include "edge/ws/server.h"
#include "lib/base/assert.h"
#include "lib/base/count.h"
#include "schemas/names.h"
#include "schemas/topics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRAMES_BURST_SECONDS = 10 };

/* ---- who may come in ------------------------------------------------------------------ */

static bool check_token(struct gateway *gateway, struct cq_span token, struct token_claims *ret)
{
    const char *why = NULL;

    return token_check(gateway->keys, token, gateway->wall_ms / 1000, ret, &why) == CQ_OK;
}

bool conn_check_bearer(struct gateway *gateway, struct conn *conn, struct cq_span value)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;

    if (value.n <= n || strncasecmp((const char *)value.p, scheme, n) != 0)
        return false;
    if (!check_token(gateway, span_of(value.p + n, value.n - n), &conn->claims))
        return false;
    conn_state_move(&conn->state, CONN_VOUCHED);
    return true;
}

void conn_misplaced_token(struct conn *conn)
{
    conn_state_move(&conn->state, CONN_MISPLACED);
}

static int64_t frames_burst(const struct gateway *gateway)
{
    return bucket_burst(gateway->frames_per_minute, FRAMES_BURST_SECONDS);
}

/* The reason names the limit. */
static void __attribute__((format(printf, 3, 4)))
close_at_limit(struct conn *conn, int code, const char *format, ...)
{
    char reason[64];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    conn_close(conn, code, span_str(reason));
}

static void register_conn(struct conn *conn)
{
    struct gateway *gateway = conn->gateway;

    if (!rates_join(&gateway->rates, conn->claims.user, gateway->mono_ms, &conn->rate)) {
        close_at_limit(conn, CLOSE_TOO_MANY, "%d sockets a user at most", RATE_SOCKETS_MAX);
        return;
    }
    conn_state_move(&conn->state, CONN_KNOWN);
    conn_set_here(conn, true);
    socket_is_known(conn);
    conn->session = sink_open(gateway->sink, conn, conn->claims.user, conn->claims.device,
                              conn->claims.issued_s * 1000);
    if (!conn->session) {
        conn_close(conn, CLOSE_TRY_LATER, span_str("gateway full, connect later"));
        return;
    }
    reply_welcome(&conn->replies);
    conn_wake(conn);
}

bool conn_opened(struct gateway *gateway, struct conn *conn, struct lws *wsi)
{
    enum conn_state before = conn->state;

    if (gateway->conns_n == gateway->conns_max)
        return false;
    conn_state_move(&conn->state, CONN_GUEST);
    conn->wsi = wsi;
    conn->gateway = gateway;
    conn->index = gateway->conns_n;
    conn->opened_ms = conn->heard_ms = gateway->mono_ms;
    conn->frames = bucket_full(frames_burst(gateway), gateway->mono_ms);
    buf_init(&conn->rx, CLIENT_FRAME_MAX);
    buf_init(&conn->replies, REPLIES_MAX);
    gateway->conns[gateway->conns_n++] = conn;
    gateway->opened++;
    if (before == CONN_MISPLACED)
        conn_close(conn, CLOSE_UNAUTHORIZED, span_str("a token must not be in the address"));
    else if (gateway_is_draining(gateway))
        conn_close(conn, CLOSE_GOING_AWAY, span_str("going away"));
    else if (before == CONN_VOUCHED)
        register_conn(conn);
    return true;
}

/* Move to a state that is not live, and give back what the connection holds. */
static void clean_up(struct conn *conn, enum conn_state to)
{
    struct gateway *gateway = conn->gateway;
    bool was_known = conn_state_is_known(conn->state);

    conn_state_move(&conn->state, to);
    if (conn->session) {
        struct session *session = conn->session;

        conn->session = NULL;
        sink_close(gateway->sink, session);
    }
    sends_forget(&gateway->sends, &conn->sender);
    conn_signals_end(conn);
    conn_set_here(conn, false);
    if (was_known)
        rates_leave(&gateway->rates, conn->rate);
    free(conn->cursors);
    conn->cursors = NULL;
    buf_release(&conn->rx);
    buf_release(&conn->replies);
}

void conn_ended(struct conn *conn)
{
    if (!conn_state_is_live(conn->state))
        return;
    clean_up(conn, CONN_CLOSED);
    conn->closed_ms = conn->gateway->mono_ms;
}

void conn_gone(struct conn *conn)
{
    struct gateway *gateway = conn->gateway;

    clean_up(conn, CONN_GONE);
    CQ_ASSERT(conn->index < gateway->conns_n && gateway->conns[conn->index] == conn, conn->index,
              gateway->conns_n);
    gateway->conns[conn->index] = gateway->conns[--gateway->conns_n];
    gateway->conns[conn->index]->index = conn->index;
    for (uint32_t i = 0; conn->dirty && i < gateway->dirty_n; i++)
        if (gateway->dirty[i] == conn) {
            gateway->dirty[i] = gateway->dirty[--gateway->dirty_n];
            break;
        }
    conn->wsi = NULL;
}

void conn_close(struct conn *conn, int code, struct cq_span reason)
{
    if (!conn_state_is_live(conn->state))
        return;
    clean_up(conn, CONN_CLOSING);
    conn->closed_ms = conn->gateway->mono_ms;
    socket_close(conn, code, reason);
}

bool conn_take_close(struct conn *conn)
{
    if (conn->state != CONN_CLOSING)
        return false;
    conn_state_move(&conn->state, CONN_CLOSED);
    return true;
}

/* ---- what leaves ---------------------------------------------------------------------- */

void conn_wake(struct conn *conn)
{
    if (conn->dirty || !conn_state_is_live(conn->state))
        return;
    conn->dirty = true;
    conn->gateway->dirty[conn->gateway->dirty_n++] = conn;
}

void conn_flush(struct conn *conn)
{
    struct gateway *gateway = conn->gateway;

    if (!conn_state_is_live(conn->state))
        return;
    if (conn->state == CONN_DOOMED) {
        conn_close(conn, CLOSE_TRY_LATER, span_str("resync"));
        return;
    }
    if (socket_is_choked(conn))
        return; /* server.c calls again; meanwhile more is gathered for the same write */
    gateway->out_n = conn->replies.n;
    if (conn->replies.n)
        memcpy(gateway->out, conn->replies.p, conn->replies.n);
    if (conn->session && !sink_pump(gateway->sink, conn->session))
        socket_want_write(conn);
    if (!gateway->out_n)
        return;
    buf_release(&conn->replies);
    if (!socket_write(conn, gateway->out, gateway->out_n))
        conn_close(conn, CLOSE_GOING_AWAY, span_str("broken"));
}

_Static_assert(AUTH_WITHIN_MS < PING_AFTER_MS, "a guest is closed before a ping is due");

/* Have a known connection closed by its next flush: the caller may be inside the sink, where
 * closing is not safe. (A guest never has anything but a close to be written.) */
static void doom(struct conn *conn)
{
    if (conn->state != CONN_DOOMED)
        conn_state_move(&conn->state, CONN_DOOMED);
}

bool conn_add_frame(void *conn, struct cq_span head, struct cq_span body)
{
    struct gateway *gateway = ((struct conn *)conn)->gateway;
    size_t n = head.n + body.n;
    uint8_t *at = gateway->out + gateway->out_n;

    if (gateway->out_n && gateway->out_n + WIRE_HEAD_MAX + n > OUT_FRAMES_BYTES + REPLIES_MAX)
        return false;
    if (WIRE_HEAD_MAX + n > OUT_MAX) {
        doom(conn); /* no build writes such a frame; it is handed back, and the client syncs */
        return false;
    }
    at += wire_head(WIRE_FIN_TEXT, n, at);
    memcpy(at, head.p, head.n);
    memcpy(at + head.n, body.p, body.n);
    gateway->out_n = (size_t)(at + n - gateway->out);
    return true;
}

void conn_session_over(void *conn, int code, struct cq_span reason)
{
    struct conn *this_conn = conn;

    this_conn->session = NULL;
    if (span_eq_str(reason, "too_many_sessions"))
        code = CLOSE_TOO_MANY;
    conn_close(this_conn, code, reason);
}

static void answered(struct conn *conn)
{
    if (conn->replies.failed)
        doom(conn);
    conn_wake(conn);
}

void conn_answer(struct conn *conn, bool stored, struct cq_span client_id, struct cq_id id)
{
    if (!conn_state_is_live(conn->state))
        return;
    if (stored)
        reply_ack(&conn->replies, client_id, id);
    else
        reply_nack(&conn->replies, client_id, "retry", RETRY_AFTER_MS);
    conn->gateway->acks += stored;
    conn->gateway->nacks += !stored;
    count_add(COUNT_UNKNOWN_ANSWERS, !stored);
    answered(conn);
}

static void nack(struct conn *conn, struct cq_span client_id, const char *code,
                 int64_t retry_after_ms)
{
    reply_nack(&conn->replies, client_id, code, retry_after_ms);
    conn->gateway->nacks++;
    answered(conn);
}

/* ---- what comes ----------------------------------------------------------------------- */

static void on_auth(struct conn *conn, const struct client_frame *frame)
{
    struct token_claims claims;

    if (!check_token(conn->gateway, frame->token, &claims)) {
        conn_close(conn, CLOSE_UNAUTHORIZED, span_str("token invalid or expired"));
        return;
    }
    if (conn->state == CONN_GUEST) {
        conn->claims = claims;
        register_conn(conn);
        return;
    }
    if (!id_eq(claims.user, conn->claims.user) || !id_eq(claims.device, conn->claims.device)) {
        conn_close(conn, CLOSE_UNAUTHORIZED, span_str("another device's token"));
        return;
    }
    if (claims.expires_s > conn->claims.expires_s)
        conn->claims = claims;
}

/* Refuse a message, and everything later on this socket until it is sent again. */
static void push_back(struct conn *conn, const struct client_frame *frame, struct cq_id id,
                      const char *code, int64_t retry_after_ms)
{
    sends_shut(&conn->sender, id, conn->gateway->mono_ms + retry_after_ms);
    nack(conn, frame->client_id, code, retry_after_ms);
}

static void produce(struct conn *conn, const struct client_frame *frame, struct cq_id id)
{
    struct gateway *gateway = conn->gateway;
    struct chat_action action = frame->action;
    uint64_t opaque =
        sends_add(&gateway->sends, &conn->sender, id, frame->client_id, gateway->mono_ms);
    const char *why = NULL;
    enum cq_status st;

    action.chat_id = frame->chat;
    action.user_id = conn->claims.user;
    action.device_id = conn->claims.device;
    action.client_id = frame->client_id;
    action.at_ms = gateway->wall_ms;
    action.has_peer = frame->has_peer;
    action.peer = frame->peer;
    st = ingest_chat(gateway->ingest, &action, opaque, &why);
    if (st == CQ_OK)
        return;
    sends_undo(&gateway->sends, opaque);
    if (st == CQ_POISON)
        nack(conn, frame->client_id, "bad_request", 0);
    else
        push_back(conn, frame, id, "overloaded", RETRY_AFTER_MS);
}

/* Why a message of this socket is not taken now. */
struct refusal {
    const char *code; /* NULL: it is taken */
    enum count_key counter;
    int64_t wait_ms;
};

static struct refusal refusal_now(struct conn *conn)
{
    struct gateway *gateway = conn->gateway;
    int64_t wait_ms = rates_take(&gateway->rates, conn->rate, gateway->mono_ms);
    struct bus_cut cut;

    if (wait_ms)
        return (struct refusal){ "slow_down", COUNT_RATE_REFUSED, wait_ms };
    if (!log_disk_takes(&gateway->log_disk, LOG_USE_FANOUT))
        return (struct refusal){ "log_full", COUNT_LOG_REFUSED, LOG_DISK_RETRY_MS };
    if (ingest_log_is_cut(gateway->ingest, &cut))
        return (struct refusal){ "log_cut", COUNT_LOG_CUT_REFUSED, INGEST_CUT_RETRY_MS };
    if (ingest_overloaded(gateway->ingest))
        return (struct refusal){ "overloaded", COUNT_INGEST_REFUSED, RETRY_AFTER_MS };
    if (pressure_take(&gateway->pressure, &conn->credit, gateway->mono_ms))
        return (struct refusal){ "overloaded", COUNT_OVERLOAD_REFUSED, PRESSURE_RETRY_MS };
    return (struct refusal){ .code = NULL };
}

/* What the answers to it name. */
static struct cq_id asked_id(const struct conn *conn, const struct client_frame *frame)
{
    enum chat_action_action_kind kind = frame->action.action.kind;

    return kind == CHAT_ACTION_MESSAGE_WITHDRAWN || kind == CHAT_ACTION_MESSAGE_REWRITTEN ||
                   kind == CHAT_ACTION_MESSAGE_REACTED
               ? change_id(frame->chat, conn->claims.user, frame->client_id)
               : message_id(frame->chat, conn->claims.user, frame->client_id);
}

static void on_send(struct conn *conn, const struct client_frame *frame)
{
    struct gateway *gateway = conn->gateway;
    struct cq_id id = asked_id(conn, frame);
    struct refusal refusal;
    int64_t wait_ms;

    if (gateway_is_draining(gateway)) {
        push_back(conn, frame, id, "retry", RETRY_AFTER_MS);
        return;
    }
    switch (sends_admit(&gateway->sends, &conn->sender, id)) {
    case SENDS_SHUT: /* it follows one that waits, and waits as long */
        wait_ms = sends_wait_ms(&conn->sender, gateway->mono_ms);
        nack(conn, frame->client_id, "retry", wait_ms ? wait_ms : RETRY_AFTER_MS);
        return;
    case SENDS_FULL:
        push_back(conn, frame, id, "slow_down", RETRY_AFTER_MS);
        return;
    case SENDS_NO_ROOM:
        push_back(conn, frame, id, "overloaded", RETRY_AFTER_MS);
        return;
    case SENDS_ADMITTED:
        break;
    }
    refusal = refusal_now(conn);
    if (refusal.code) {
        count_add(refusal.counter, 1);
        push_back(conn, frame, id, refusal.code, refusal.wait_ms);
        return;
    }
    wait_ms = frame->has_peer
                  ? peers_take(&gateway->peers, conn->claims.user, frame->peer, gateway->wall_ms)
                  : 0;
    count_add(COUNT_PEERS_REFUSED, wait_ms > 0);
    if (wait_ms) /* this message is refused for good: what comes after it may pass */
        nack(conn, frame->client_id, "too_many_chats", 0);
    else
        produce(conn, frame, id);
}

static void refuse(struct conn *conn, const struct client_frame *frame, const char *code,
                   const char *message)
{
    struct frame_about about = client_frame_about(frame);

    reply_error(&conn->replies, code, message, &about);
    answered(conn);
}

/* What is read while read receipts are off is marked where it comes in, so that whoever reads the log
 * later knows it by the record alone. False: it is not known whether they are. */
static bool note_read(const struct conn *conn, int64_t seq, struct receipt *one)
{
    switch (conn->session ? sink_reads(conn->session) : SINK_READS_UNKNOWN) {
    case SINK_READS_TOLD:
        one->read_seq = seq;
        return true;
    case SINK_READS_HIDDEN:
        one->hidden_seq = seq;
        return true;
    case SINK_READS_UNKNOWN:
        break;
    }
    return false;
}

static void on_receipt(struct conn *conn, const struct client_frame *frame)
{
    struct gateway *gateway = conn->gateway;
    struct receipt one = { .chat_id = frame->chat,
                           .user_id = conn->claims.user,
                           .device_id = conn->claims.device,
                           .has_peer = frame->has_peer,
                           .peer = frame->peer,
                           .delivered_seq = frame->delivered };
    bool is_known = !frame->read || note_read(conn, frame->read, &one);
    struct bus_cut cut;

    if (!log_disk_takes(&gateway->log_disk, LOG_USE_SMALL)) {
        count_add(COUNT_LOG_REFUSED, 1);
        refuse(conn, frame, "log_full", "receipt not stored, send it again later");
        return;
    }
    if (ingest_log_is_cut(gateway->ingest, &cut)) {
        count_add(COUNT_LOG_CUT_REFUSED, 1);
        refuse(conn, frame, "log_cut", "receipt not stored, send it again later");
        return;
    }
    if (!conn->cursors)
        conn->cursors = calloc(1, sizeof *conn->cursors);
    if (is_known && conn->cursors && !receipt_memory_advances(conn->cursors, &one)) {
        count_add(COUNT_DUPLICATES, 1);
        return;
    }
    if (rates_take_receipt(&gateway->rates, conn->rate, gateway->mono_ms)) {
        count_add(COUNT_RATE_REFUSED, 1);
        refuse(conn, frame, "slow_down", "receipt not stored, send it again in a second");
    } else if (!is_known) {
        refuse(conn, frame, "overloaded", "receipt not stored, send it again after `ready`");
    } else if (!receipts_add(&gateway->receipts, topic_partition(frame->chat, gateway->partitions),
                             &one, gateway->mono_ms)) {
        refuse(conn, frame, "overloaded", "receipt not stored, send it again in a second");
    } else if (conn->cursors) {
        receipt_memory_keep(conn->cursors, &one);
    }
}

static void on_ok(struct conn *conn, int64_t n)
{
    if (conn->session && !sink_ok(conn->gateway->sink, conn->session, n))
        conn_close(conn, CLOSE_BAD_FRAME, span_str("ok of a frame never sent"));
}

static void on_bad(struct conn *conn, const struct client_frame *frame, const char *code,
                   const char *why)
{
    conn->gateway->bad++;
    if (conn->state == CONN_GUEST) {
        conn_close(conn, CLOSE_UNAUTHORIZED, span_str("auth first"));
        return;
    }
    if (++conn->bad_frames > BAD_FRAMES_MAX) {
        conn_close(conn, CLOSE_BAD_FRAME, span_str("too many bad frames"));
        return;
    }
    if (frame->client_id.n) {
        nack(conn, frame->client_id, code, 0);
        return;
    }
    refuse(conn, frame, code, why);
}

static void dispatch(struct conn *conn, const struct client_frame *frame)
{
    if (conn->state == CONN_GUEST && frame->kind != CLIENT_AUTH) {
        conn_close(conn, CLOSE_UNAUTHORIZED, span_str("auth first"));
        return;
    }
    switch (frame->kind) {
    case CLIENT_AUTH:
        on_auth(conn, frame);
        break;
    case CLIENT_ACTION:
        on_send(conn, frame);
        break;
    case CLIENT_OK:
        on_ok(conn, frame->n);
        break;
    case CLIENT_RECEIPT:
        on_receipt(conn, frame);
        break;
    case CLIENT_LOOK:
        conn_look(conn, frame);
        break;
    case CLIENT_UNLOOK:
        conn_unlook(conn, frame);
        break;
    case CLIENT_SIGNAL:
        conn_signal(conn, frame);
        break;
    case CLIENT_HERE:
    case CLIENT_AWAY:
        conn_be(conn, frame);
        break;
    case CLIENT_PING:
        reply_pong(&conn->replies);
        answered(conn);
        break;
    }
}

static void on_text(struct conn *conn, struct cq_span text)
{
    struct gateway *gateway = conn->gateway;
    const char *code, *why;
    struct client_frame frame;
    int64_t n;

    conn->heard_ms = gateway->mono_ms;
    if (bucket_take(&conn->frames, gateway->frames_per_minute, frames_burst(gateway),
                    gateway->mono_ms)) {
        count_add(COUNT_RATE_REFUSED, 1);
        conn_close(conn, CLOSE_TOO_MANY, span_str("too many frames a minute"));
        return;
    }
    if (conn->state != CONN_GUEST && client_ok_parse(text, &n)) {
        on_ok(conn, n);
        return;
    }
    if (client_frame_parse(text, conn->claims.user, &frame, &code, &why) == CQ_OK)
        dispatch(conn, &frame);
    else
        on_bad(conn, &frame, code, why);
    client_frame_release(&frame);
}

void conn_received(struct conn *conn, struct cq_span piece, bool first, bool last, bool binary)
{
    if (!conn_state_is_live(conn->state))
        return;
    if (binary) {
        conn_close(conn, CLOSE_NOT_TEXT, span_str("text frames only"));
        return;
    }
    if (first && last && piece.n <= CLIENT_FRAME_MAX) {
        on_text(conn, piece);
        return;
    }
    buf_add_span(&conn->rx, piece);
    if (conn->rx.failed) {
        close_at_limit(conn, CLOSE_TOO_LARGE, "%d KiB a frame at most", CLIENT_FRAME_MAX / 1024);
        return;
    }
    if (!last)
        return;
    on_text(conn, buf_span(&conn->rx));
    buf_release(&conn->rx);
}

/* ---- time ----------------------------------------------------------------------------- */

void conn_tick(struct conn *conn)
{
    struct gateway *gateway = conn->gateway;
    int64_t silent_ms = gateway->mono_ms - conn->heard_ms;

    if (!conn_state_is_live(conn->state)) {
        if (gateway->mono_ms - conn->closed_ms > CLOSE_WITHIN_MS)
            socket_kill(conn);
        return;
    }
    if (conn->state == CONN_GUEST && gateway->mono_ms - conn->opened_ms > AUTH_WITHIN_MS) {
        close_at_limit(conn, CLOSE_UNAUTHORIZED, "no auth frame within %d s",
                       AUTH_WITHIN_MS / 1000);
        return;
    }
    if (conn->state != CONN_GUEST && gateway->wall_ms / 1000 >= conn->claims.expires_s) {
        conn_close(conn, CLOSE_UNAUTHORIZED, span_str("token expired"));
        return;
    }
    if (silent_ms > DEAD_AFTER_MS) {
        socket_kill(conn);
        return;
    }
    if (silent_ms > PING_AFTER_MS && conn->pinged_ms <= conn->heard_ms) {
        conn->pinged_ms = gateway->mono_ms;
        reply_wire_ping(&conn->replies);
        answered(conn);
    }
    conn_signals_tick(conn);
    if (conn->session)
        sink_session_tick(gateway->sink, conn->session);
}
