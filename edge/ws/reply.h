/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/reply.h - frames that the gateway itself makes, and the WebSocket framing (RFC 6455 §5.2,
 * server to client: not masked) around every text that leaves. Pure.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "schemas/frame.h"

enum { WIRE_HEAD_MAX = 10, WIRE_FIN_TEXT = 0x81, WIRE_FIN_PING = 0x89 };

/** The head of one unfragmented frame with `n` bytes of payload; returns its length. */
size_t wire_head(uint8_t first, size_t n, uint8_t out[WIRE_HEAD_MAX]);

/** Each appends one whole WebSocket frame. */
void reply_ack(struct cq_buf *out, struct cq_span client_id, struct cq_id id);
void reply_nack(struct cq_buf *out, struct cq_span client_id, const char *code,
                int64_t retry_after_ms);
void reply_pong(struct cq_buf *out);
void reply_looking(struct cq_buf *out, bool is_user, struct cq_id subject, int64_t until_ms);
void reply_text(struct cq_buf *out, struct cq_span text); /* rendered before */
void reply_error(struct cq_buf *out, const char *code, const char *message,
                 const struct frame_about *about);
void reply_welcome(struct cq_buf *out);

/** A WebSocket ping. It carries a byte because libwebsockets does not report an empty pong. */
void reply_wire_ping(struct cq_buf *out);
