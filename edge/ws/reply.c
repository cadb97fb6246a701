/* SPDX-License-Identifier: MIT */
#include "edge/ws/reply.h"

#include "lib/json/write.h"

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
static void begin(struct cq_buf *text, const char *kind)
{
    buf_init(text, REPLY_MAX);
    buf_add_byte(text, '{');
    out_word(text, "t", kind);
}

static void end(struct cq_buf *text, struct cq_buf *out)
{
    buf_add_byte(text, '}');
    if (text->failed)
        out->failed = true;
    else
        add_frame(out, buf_span(text));
    buf_release(text);
}

void reply_ack(struct cq_buf *out, struct cq_span client_id, struct cq_id id)
{
    struct cq_buf text;

    begin(&text, "ack");
    out_text(&text, "clientId", client_id);
    out_id(&text, "id", id);
    end(&text, out);
}

void reply_nack(struct cq_buf *out, struct cq_span client_id, const char *code,
                int64_t retry_after_ms)
{
    struct cq_buf text;

    begin(&text, "nack");
    out_text(&text, "clientId", client_id);
    out_word(&text, "code", code);
    out_i64(&text, "retryAfter", retry_after_ms);
    end(&text, out);
}

void reply_pong(struct cq_buf *out)
{
    struct cq_buf text;

    begin(&text, "pong");
    end(&text, out);
}

void reply_error(struct cq_buf *out, const char *code, const char *message)
{
    struct cq_buf text;

    begin(&text, "error");
    out_word(&text, "code", code);
    out_text(&text, "message", span_str(message));
    end(&text, out);
}

void reply_wire_ping(struct cq_buf *out)
{
    static const uint8_t ping[] = { WIRE_FIN_PING, 1, 'p' };

    buf_add(out, ping, sizeof ping);
}
