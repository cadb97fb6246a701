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

static void check_send(const struct client_frame *f)
{
    MUST(client_id_good(f->client_id));
    MUST(span_is_utf8(f->content) && f->content.n <= LIMIT_CONTENT_BYTES);
    MUST(f->content.n || f->has_media);
    MUST(f->type < MESSAGE_TYPE_N && !(f->has_media && f->type == MESSAGE_TYPE_TEXT));
    MUST(!id_is_zero(f->chat));
    if (f->has_peer)
        MUST(id_eq(f->chat, chat_id_direct(user, f->peer)));
}

static void check_frame(const struct client_frame *f)
{
    switch (f->kind) {
    case CLIENT_SEND:
        check_send(f);
        break;
    case CLIENT_RECEIPT:
        MUST(f->delivered >= 0 && f->read >= 0 && (f->delivered || f->read));
        MUST(f->delivered < (int64_t)1 << 53 && f->read < (int64_t)1 << 53);
        break;
    case CLIENT_OK:
        MUST(f->n >= 0);
        break;
    case CLIENT_AUTH:
        MUST(span_is_utf8(f->token));
        break;
    case CLIENT_PING:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cq_span text = span_of(data, n);
    const char *code = NULL, *why = NULL;
    struct client_frame f;
    enum cq_status st;
    int64_t ok = -1;
    bool quick;

    if (n > CLIENT_FRAME_MAX)
        return 0;
    quick = client_ok_parse(text, &ok);
    st = client_frame_parse(text, user, &f, &code, &why);
    MUST(st == CQ_OK || (st == CQ_POISON && code && why));
    if (quick)
        MUST(st == CQ_OK && f.kind == CLIENT_OK && f.n == ok);
    if (st == CQ_OK)
        check_frame(&f);
    else if (f.client_id.n)
        MUST(client_id_good(f.client_id));
    client_frame_release(&f);
    return 0;
}
