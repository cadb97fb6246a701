/* SPDX-License-Identifier: MIT */
#include "edge/ws/conn.h"

#include "edge/ws/client_frame.h"
#include "edge/ws/reply.h"
#include "edge/ws/server.h"
#include "lib/base/assert.h"
#include "lib/base/count.h"
#include "schemas/names.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { FRAMES_BURST_SECONDS = 10 };

static const char CONTENT_TYPE[] = "text/plain";

/* ---- who may come in ------------------------------------------------------------------ */

static bool check_token(struct gateway *g, struct cq_span token, struct token_claims *ret)
{
    const char *why = NULL;

    return token_check(g->keys, token, g->wall_ms / 1000, ret, &why) == CQ_OK;
}

bool conn_check_bearer(struct gateway *g, struct conn *c, struct cq_span value)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;

    if (value.n <= n || strncasecmp((const char *)value.p, scheme, n) != 0)
        return false;
    c->has_claims = check_token(g, span_of(value.p + n, value.n - n), &c->claims);
    return c->has_claims;
}

static int64_t frames_burst(const struct gateway *g)
{
    return bucket_burst(g->frames_per_minute, FRAMES_BURST_SECONDS);
}

static void register_conn(struct conn *c)
{
    struct gateway *g = c->g;

    if (!rates_join(&g->rates, c->claims.user, g->mono_ms, &c->rate)) {
        conn_close(c, CLOSE_TOO_MANY, span_str("32 sockets a user at most"));
        return;
    }
    c->authenticated = true;
    socket_is_known(c);
    c->session = sink_open(g->sink, c, c->claims.user, c->claims.device, c->claims.issued_s * 1000);
    if (!c->session)
        conn_close(c, CLOSE_TRY_LATER, span_str("gateway full, connect later"));
}

bool conn_opened(struct gateway *g, struct conn *c, struct lws *wsi)
{
    if (g->conns_n == g->conns_max)
        return false;
    c->wsi = wsi;
    c->g = g;
    c->index = g->conns_n;
    c->opened_ms = c->heard_ms = g->mono_ms;
    c->frames = bucket_full(frames_burst(g), g->mono_ms);
    buf_init(&c->rx, CLIENT_FRAME_MAX);
    buf_init(&c->replies, REPLIES_MAX);
    g->conns[g->conns_n++] = c;
    g->opened++;
    if (c->token_in_query)
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("a token must not be in the address"));
    else if (g->draining)
        conn_close(c, CLOSE_GOING_AWAY, span_str("going away"));
    else if (c->has_claims)
        register_conn(c);
    return true;
}

void conn_ended(struct conn *c)
{
    struct gateway *g = c->g;

    c->closing = true;
    if (c->session) {
        struct session *x = c->session;

        c->session = NULL;
        sink_close(g->sink, x);
    }
    sends_forget(&g->sends, &c->sender);
    if (c->authenticated)
        rates_leave(&g->rates, c->rate);
    c->authenticated = false;
    free(c->cursors);
    c->cursors = NULL;
    buf_release(&c->rx);
    buf_release(&c->replies);
}

void conn_closed(struct conn *c)
{
    struct gateway *g = c->g;

    conn_ended(c);
    CQ_ASSERT(c->index < g->conns_n && g->conns[c->index] == c, c->index, g->conns_n);
    g->conns[c->index] = g->conns[--g->conns_n];
    g->conns[c->index]->index = c->index;
    for (uint32_t i = 0; c->dirty && i < g->dirty_n; i++)
        if (g->dirty[i] == c) {
            g->dirty[i] = g->dirty[--g->dirty_n];
            break;
        }
    c->wsi = NULL;
}

void conn_close(struct conn *c, int code, struct cq_span reason)
{
    if (c->closing)
        return;
    conn_ended(c);
    c->closing_ms = c->g->mono_ms;
    socket_close(c, code, reason);
}

/* ---- what leaves ---------------------------------------------------------------------- */

void conn_wake(struct conn *c)
{
    if (c->dirty || c->closing)
        return;
    c->dirty = true;
    c->g->dirty[c->g->dirty_n++] = c;
}

void conn_flush(struct conn *c)
{
    struct gateway *g = c->g;

    if (c->closing)
        return;
    if (c->doomed) {
        conn_close(c, CLOSE_TRY_LATER, span_str("resync"));
        return;
    }
    if (socket_is_choked(c))
        return; /* it calls again; meanwhile more is gathered for the same write */
    g->out_n = c->replies.n;
    if (c->replies.n)
        memcpy(g->out, c->replies.p, c->replies.n);
    if (c->session && !sink_pump(g->sink, c->session))
        socket_want_write(c);
    if (!g->out_n)
        return;
    buf_release(&c->replies);
    if (!socket_write(c, g->out, g->out_n))
        conn_close(c, CLOSE_GOING_AWAY, span_str("broken"));
}

bool conn_add_frame(void *conn, struct cq_span head, struct cq_span body)
{
    struct gateway *g = ((struct conn *)conn)->g;
    size_t n = head.n + body.n;
    uint8_t *at = g->out + g->out_n;

    if (g->out_n && g->out_n + WIRE_HEAD_MAX + n > OUT_FRAMES_BYTES + REPLIES_MAX)
        return false;
    if (WIRE_HEAD_MAX + n > OUT_MAX) {
        ((struct conn *)conn)->doomed =
            true; /* never, since frames are bounded; if it is, the frame is handed back and the
                   * client syncs */
        return false;
    }
    at += wire_head(WIRE_FIN_TEXT, n, at);
    memcpy(at, head.p, head.n);
    memcpy(at + head.n, body.p, body.n);
    g->out_n = (size_t)(at + n - g->out);
    return true;
}

void conn_session_over(void *conn, int code, struct cq_span reason)
{
    struct conn *c = conn;

    c->session = NULL;
    if (span_eq_str(reason, "too_many_sessions"))
        code = CLOSE_TOO_MANY;
    conn_close(c, code, reason);
}

static void answered(struct conn *c)
{
    c->doomed |= c->replies.failed;
    conn_wake(c);
}

void conn_answer(struct conn *c, bool stored, struct cq_span client_id, struct cq_id id)
{
    if (c->closing)
        return;
    if (stored)
        reply_ack(&c->replies, client_id, id);
    else
        reply_nack(&c->replies, client_id, "retry", RETRY_AFTER_MS);
    c->g->acks += stored;
    c->g->nacks += !stored;
    count_add(COUNT_UNKNOWN_ANSWERS, !stored);
    answered(c);
}

static void nack(struct conn *c, struct cq_span client_id, const char *code, int64_t retry_after_ms)
{
    reply_nack(&c->replies, client_id, code, retry_after_ms);
    c->g->nacks++;
    answered(c);
}

/* ---- what comes ----------------------------------------------------------------------- */

static void on_auth(struct conn *c, const struct client_frame *f)
{
    struct token_claims claims;

    if (!check_token(c->g, f->token, &claims)) {
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("token invalid or expired"));
        return;
    }
    if (!c->authenticated) {
        c->claims = claims;
        register_conn(c);
        return;
    }
    if (!id_eq(claims.user, c->claims.user) || !id_eq(claims.device, c->claims.device)) {
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("another device's token"));
        return;
    }
    if (claims.expires_s > c->claims.expires_s)
        c->claims = claims;
}

/* Refuse it, and everything later on this socket until it is sent again. */
static void push_back(struct conn *c, const struct client_frame *f, struct cq_id id,
                      const char *code, int64_t retry_after_ms)
{
    sends_shut(&c->sender, id);
    nack(c, f->client_id, code, retry_after_ms);
}

static void produce(struct conn *c, const struct client_frame *f, struct cq_id id)
{
    struct gateway *g = c->g;
    struct chat_action a = {
        .chat_id = f->chat,
        .user_id = c->claims.user,
        .device_id = c->claims.device,
        .client_id = f->client_id,
        .at_ms = g->wall_ms,
        .has_peer = f->has_peer,
        .peer = f->peer,
        .action = { CHAT_ACTION_MESSAGE_SENT,
                    .u.message_sent = { .type = f->type,
                                        .content_type = span_str(CONTENT_TYPE),
                                        .content = f->content,
                                        .has_media_id = f->has_media,
                                        .media_id = f->media } },
    };
    uint64_t opaque = sends_add(&g->sends, &c->sender, id, f->client_id, g->mono_ms);
    const char *field = NULL;
    enum cq_status st = ingest_chat(g->ingest, &a, opaque, &field);

    if (st == CQ_OK)
        return;
    sends_undo(&g->sends, opaque);
    if (st == CQ_POISON)
        nack(c, f->client_id, "bad_request", 0);
    else
        push_back(c, f, id, "slow_down", RETRY_AFTER_MS);
}

static void on_send(struct conn *c, const struct client_frame *f)
{
    struct gateway *g = c->g;
    struct cq_id id = message_id(f->chat, c->claims.user, f->client_id);
    struct bus_cut cut;
    int64_t wait_ms;

    if (g->draining) {
        sends_shut(&c->sender, id);
        nack(c, f->client_id, "retry", RETRY_AFTER_MS);
        return;
    }
    switch (sends_admit(&g->sends, &c->sender, id)) {
    case SENDS_SHUT:
        nack(c, f->client_id, "retry", RETRY_AFTER_MS);
        return;
    case SENDS_FULL:
        nack(c, f->client_id, "slow_down", RETRY_AFTER_MS);
        return;
    case SENDS_ADMITTED:
        break;
    }
    wait_ms = rates_take(&g->rates, c->rate, g->mono_ms);
    count_add(COUNT_RATE_REFUSED, wait_ms > 0);
    if (!wait_ms && !log_disk_takes(&g->log_disk, LOG_USE_FANOUT)) {
        count_add(COUNT_LOG_REFUSED, 1);
        push_back(c, f, id, "log_full", LOG_DISK_RETRY_MS);
        return;
    }
    if (!wait_ms && ingest_log_is_cut(g->ingest, &cut)) {
        count_add(COUNT_LOG_CUT_REFUSED, 1);
        push_back(c, f, id, "log_cut", INGEST_CUT_RETRY_MS);
        return;
    }
    if (!wait_ms && ingest_overloaded(g->ingest)) {
        count_add(COUNT_INGEST_REFUSED, 1);
        wait_ms = RETRY_AFTER_MS;
    }
    if (!wait_ms && pressure_take(&g->pressure, &c->credit, g->mono_ms)) {
        count_add(COUNT_ROAD_REFUSED, 1);
        wait_ms = PRESSURE_RETRY_MS;
    }
    if (wait_ms) {
        push_back(c, f, id, "slow_down", wait_ms);
        return;
    }
    wait_ms = f->has_peer ? peers_take(&g->peers, c->claims.user, f->peer, g->wall_ms) : 0;
    count_add(COUNT_PEERS_REFUSED, wait_ms > 0);
    if (wait_ms) /* this message is refused for good: what comes after it may pass */
        nack(c, f->client_id, "too_many_chats", 0);
    else
        produce(c, f, id);
}

static void refuse_receipt(struct conn *c, const char *code, const char *message)
{
    reply_error(&c->replies, code, message);
    answered(c);
}

static void on_receipt(struct conn *c, const struct client_frame *f)
{
    struct gateway *g = c->g;
    struct receipt one = { .chat_id = f->chat,
                           .user_id = c->claims.user,
                           .device_id = c->claims.device,
                           .has_peer = f->has_peer,
                           .peer = f->peer,
                           .delivered_seq = f->delivered,
                           .read_seq = f->read };
    struct bus_cut cut;

    if (!log_disk_takes(&g->log_disk, LOG_USE_SMALL)) {
        count_add(COUNT_LOG_REFUSED, 1);
        refuse_receipt(c, "log_full", "receipt not stored, send it again later");
        return;
    }
    if (ingest_log_is_cut(g->ingest, &cut)) {
        count_add(COUNT_LOG_CUT_REFUSED, 1);
        refuse_receipt(c, "log_cut", "receipt not stored, send it again later");
        return;
    }
    if (!c->cursors)
        c->cursors = calloc(1, sizeof *c->cursors);
    if (c->cursors && !receipt_memory_advances(c->cursors, &one)) {
        count_add(COUNT_DUPLICATES, 1);
        return;
    }
    if (rates_take_receipt(&g->rates, c->rate, g->mono_ms)) {
        count_add(COUNT_RATE_REFUSED, 1);
        refuse_receipt(c, "slow_down", "receipt not stored, send it again in a second");
    } else if (!receipts_add(&g->receipts, topic_partition(f->chat, g->partitions), &one,
                             g->mono_ms)) {
        refuse_receipt(c, "slow_down", "receipt not stored, send it again in a second");
    } else if (c->cursors) {
        receipt_memory_keep(c->cursors, &one);
    }
}

static void on_ok(struct conn *c, int64_t n)
{
    if (c->session && !sink_ok(c->g->sink, c->session, n))
        conn_close(c, CLOSE_BAD_FRAME, span_str("ok of a frame never sent"));
}

static void on_bad(struct conn *c, const struct client_frame *f, const char *code, const char *why)
{
    c->g->bad++;
    if (!c->authenticated) {
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("auth first"));
        return;
    }
    if (++c->bad_frames > BAD_FRAMES_MAX) {
        conn_close(c, CLOSE_BAD_FRAME, span_str("too many bad frames"));
        return;
    }
    if (f->client_id.n) {
        nack(c, f->client_id, code, 0);
        return;
    }
    reply_error(&c->replies, code, why);
    answered(c);
}

static void dispatch(struct conn *c, const struct client_frame *f)
{
    if (!c->authenticated && f->kind != CLIENT_AUTH) {
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("auth first"));
        return;
    }
    switch (f->kind) {
    case CLIENT_AUTH:
        on_auth(c, f);
        break;
    case CLIENT_SEND:
        on_send(c, f);
        break;
    case CLIENT_OK:
        on_ok(c, f->n);
        break;
    case CLIENT_RECEIPT:
        on_receipt(c, f);
        break;
    case CLIENT_PING:
        reply_pong(&c->replies);
        answered(c);
        break;
    }
}

static void on_text(struct conn *c, struct cq_span text)
{
    struct gateway *g = c->g;
    const char *code, *why;
    struct client_frame f;
    int64_t n;

    c->heard_ms = g->mono_ms;
    c->pinged = false;
    if (bucket_take(&c->frames, g->frames_per_minute, frames_burst(g), g->mono_ms)) {
        count_add(COUNT_RATE_REFUSED, 1);
        conn_close(c, CLOSE_TOO_MANY, span_str("too many frames a minute"));
        return;
    }
    if (c->authenticated && client_ok_parse(text, &n)) {
        on_ok(c, n);
        return;
    }
    if (client_frame_parse(text, c->claims.user, &f, &code, &why) == CQ_OK)
        dispatch(c, &f);
    else
        on_bad(c, &f, code, why);
    client_frame_release(&f);
}

void conn_received(struct conn *c, struct cq_span piece, bool first, bool last, bool binary)
{
    if (c->closing)
        return;
    if (binary) {
        conn_close(c, CLOSE_NOT_TEXT, span_str("text frames only"));
        return;
    }
    if (first && last && piece.n <= CLIENT_FRAME_MAX) {
        on_text(c, piece);
        return;
    }
    buf_add_span(&c->rx, piece);
    if (c->rx.failed) {
        conn_close(c, CLOSE_TOO_LARGE, span_str("64 KiB a frame at most"));
        return;
    }
    if (!last)
        return;
    on_text(c, buf_span(&c->rx));
    buf_release(&c->rx);
}

/* ---- time ----------------------------------------------------------------------------- */

void conn_tick(struct conn *c)
{
    struct gateway *g = c->g;
    int64_t silent_ms = g->mono_ms - c->heard_ms;

    if (c->closing) {
        if (g->mono_ms - c->closing_ms > CLOSE_WITHIN_MS)
            socket_kill(c);
        return;
    }
    if (!c->authenticated && g->mono_ms - c->opened_ms > AUTH_WITHIN_MS) {
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("no auth frame within 10 s"));
        return;
    }
    if (c->authenticated && g->wall_ms / 1000 >= c->claims.expires_s) {
        conn_close(c, CLOSE_UNAUTHORIZED, span_str("token expired"));
        return;
    }
    if (silent_ms > DEAD_AFTER_MS) {
        socket_kill(c);
        return;
    }
    if (silent_ms > PING_AFTER_MS && !c->pinged) {
        c->pinged = true;
        reply_wire_ping(&c->replies);
        answered(c);
    }
    if (c->session)
        sink_session_tick(g->sink, c->session);
}
