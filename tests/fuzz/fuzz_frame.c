/* SPDX-License-Identifier: MIT */
/*
 * The first byte is the length of the client id, the rest is id and content of a message. Whatever
 * the bytes, the frame is JSON of valid UTF-8; valid text comes out as it went in.
 */
#include "lib/json/json.h"
#include "schemas/frame.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const struct json *frame, const char *key, struct cq_span in)
{
    struct cq_span got;

    MUST(json_get_text(frame, key, &got));
    MUST(span_is_utf8(got));
    if (span_is_utf8(in))
        MUST(span_eq(got, in));
    else
        MUST(got.n >= in.n); /* U+FFFD is longer than the byte it stands for */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct chat_event event = { .event.kind = CHAT_EVENT_MESSAGE_ACCEPTED };
    struct message_accepted *accepted = &event.event.u.message_accepted;
    cq_auto(buf) struct cq_buf buf = { 0 };
    cq_auto(json) struct json *frame = NULL;
    size_t id_n;

    if (n == 0 || n > 16 * 1024)
        return 0;
    id_n = data[0] < n - 1 ? data[0] : n - 1;
    event.client_id = span_of(data + 1, id_n);
    accepted->content = span_of(data + 1 + id_n, n - 1 - id_n);
    accepted->type = data[0] % MESSAGE_TYPE_N;
    accepted->has_peer = data[0] & 1;
    buf_init(&buf, JSON_TEXT_MAX);
    buf_add_byte(&buf, '{');
    frame_event(&buf, &event);
    MUST(!buf.failed && span_is_utf8(buf_span(&buf)));
    for (size_t i = 0; i < buf.n; i++)
        MUST(buf.p[i] >= 0x20); /* one line, no control characters */
    if (memchr(data + 1, 0, n - 1))
        return 0; /* lib/json refuses NUL in text, which is right for what clients send */
    MUST(json_parse(buf_span(&buf), &frame, NULL) == CQ_OK);
    check_text(frame, "clientId", event.client_id);
    check_text(frame, "content", accepted->content);
    return 0;
}
