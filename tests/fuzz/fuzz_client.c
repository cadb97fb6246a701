/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a frame of a client: refused with a reason, or within every bound that the rest of
 * edge/ws trusts. The short way for `ok` must say what the parser says.
 */
#include "edge/ws/client_frame.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/names.h"
#include "tests/fuzz/fuzz.h"

static const struct cq_id user = { { 1, 2, 3, 4, 5, 6, 0x80, 8, 0x80, 10, 11, 12, 13, 14, 15,
                                     16 } };

static void check_action(const struct client_frame *frame)
{
    const struct message_sent *sent = &frame->action.action.u.message_sent;

    MUST(client_id_good(frame->client_id));
    MUST(!id_is_zero(frame->chat));
    if (frame->action.action.kind == CHAT_ACTION_MESSAGE_SENT) {
        MUST(span_is_utf8(sent->content) && sent->content.n <= LIMIT_CONTENT_BYTES);
        MUST(sent->content.n || sent->has_media_id);
        MUST(sent->type < MESSAGE_TYPE_N &&
             !(sent->has_media_id && sent->type == MESSAGE_TYPE_TEXT));
    }
    if (frame->has_peer)
        MUST(id_eq(frame->chat, chat_id_direct(user, frame->peer)));
}

static void check_frame(const struct client_frame *frame)
{
    switch (frame->kind) {
    case CLIENT_ACTION:
        check_action(frame);
        break;
    case CLIENT_RECEIPT:
        MUST(frame->delivered >= 0 && frame->read >= 0 && (frame->delivered || frame->read));
        MUST(frame->delivered < (int64_t)1 << 53 && frame->read < (int64_t)1 << 53);
        break;
    case CLIENT_OK:
        MUST(frame->n >= 0);
        break;
    case CLIENT_AUTH:
        MUST(span_is_utf8(frame->token));
        break;
    case CLIENT_LOOK:
        MUST(span_is_utf8(frame->token));
        break;
    case CLIENT_SIGNAL:
        MUST(frame->state < SIGNAL_STATE_N);
        break;
    case CLIENT_UNLOOK:
        MUST(frame->has_chat != frame->has_person);
        break;
    case CLIENT_HERE:
    case CLIENT_AWAY:
    case CLIENT_PING:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cq_span text = span_of(data, n);
    const char *code = NULL, *why = NULL;
    struct client_frame frame;
    enum cq_status st;
    int64_t ok = -1;
    bool quick;

    if (n > CLIENT_FRAME_MAX)
        return 0;
    quick = client_ok_parse(text, &ok);
    st = client_frame_parse(text, user, &frame, &code, &why);
    MUST(st == CQ_OK || (st == CQ_POISON && code && why));
    if (quick)
        MUST(st == CQ_OK && frame.kind == CLIENT_OK && frame.n == ok);
    if (st == CQ_OK)
        check_frame(&frame);
    else if (frame.client_id.n)
        MUST(client_id_good(frame.client_id));
    client_frame_release(&frame);
    return 0;
}
