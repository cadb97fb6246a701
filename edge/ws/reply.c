/* SPDX-License-Identifier: MIT */
#include "edge/ws/reply.h"

#include "edge/ws/client_frame.h"

enum { REPLY_MAX = 1024 };

size_t wire_head(uint8_t first, size_t n, uint8_t out[WIRE_HEAD_MAX])
{
    out[0] = first;
    if (n < 126) {
        out[1] = (uint8_t)n;
        return 2;
    }
    if (n < 65536) {
        out[1] = 126;
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    return 10;
}

static void add_frame(struct cq_buf *out, struct cq_span text)
{
    uint8_t head[WIRE_HEAD_MAX];

    buf_add(out, head, wire_head(WIRE_FIN_TEXT, text.n, head));
    buf_add_span(out, text);
}

/* Rendered apart first: the head needs the length, and a client id may need escaping. */
static void begin(struct cq_buf *text)
{
    buf_init(text, REPLY_MAX);
    buf_add_byte(text, '{');
}

static void end(struct cq_buf *text, struct cq_buf *out)
{
    if (text->failed)
        out->failed = true;
    else
        add_frame(out, buf_span(text));
    buf_release(text);
}

void reply_ack(struct cq_buf *out, struct cq_span client_id, struct cq_id id)
{
    struct cq_buf text;

    begin(&text);
    frame_ack(&text, client_id, id);
    end(&text, out);
}

void reply_nack(struct cq_buf *out, struct cq_span client_id, const char *code,
                int64_t retry_after_ms)
{
    struct cq_buf text;

    begin(&text);
    frame_nack(&text, client_id, code, retry_after_ms);
    end(&text, out);
}

void reply_pong(struct cq_buf *out)
{
    struct cq_buf text;

    begin(&text);
    frame_pong(&text);
    end(&text, out);
}

void reply_looking(struct cq_buf *out, bool is_user, struct cq_id subject, int64_t until_ms)
{
    struct cq_buf text;

    begin(&text);
    frame_looking(&text, is_user, subject, until_ms);
    end(&text, out);
}

void reply_text(struct cq_buf *out, struct cq_span text)
{
    add_frame(out, text);
}

void reply_error(struct cq_buf *out, const char *code, const char *message,
                 const struct frame_about *about)
{
    struct cq_buf text;

    begin(&text);
    frame_error(&text, code, message, about);
    end(&text, out);
}

void reply_welcome(struct cq_buf *out)
{
    struct cq_buf text;

    begin(&text);
    frame_welcome(&text, CLIENT_FRAME_MAX);
    end(&text, out);
}

void reply_wire_ping(struct cq_buf *out)
{
    static const uint8_t ping[] = { WIRE_FIN_PING, 1, 'p' };

    buf_add(out, ping, sizeof ping);
}
