/* SPDX-License-Identifier: MIT */
/*
 * What tus has in headers: lengths, metadata, checksums. The input is Upload-Length,
 * Upload-Metadata, Upload-Checksum, Upload-Offset and the body, a line each.
 */
#include "edge/rest/api/media_tus.c"
#include "tests/fuzz/fuzz.h"

static struct cq_span line(struct cq_span *rest)
{
    const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct cq_span span = span_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);

    *rest = end ? span_of(end + 1, rest->n - span.n - 1) : span_of(NULL, 0);
    return span;
}

static void check_creation(struct call *call)
{
    struct upload upload;

    if (parse_creation(call, &upload) != CALL_GO_ON) {
        MUST(call->reply.status >= 400);
        return;
    }
    MUST(upload.size >= 0 && upload.size < 1000000000000000);
    MUST(upload.type < MESSAGE_TYPE_N && upload.name.n <= VALUE_MAX &&
         upload.declared_type.n <= VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct api_conf conf = { .media.part_bytes = 4096 };
    struct cq_span rest = span_of(data, n);
    struct call *call = call_new(&conf);
    int64_t at = -1;

    MUST(call);
    call->request.header[IN_UPLOAD_LENGTH] = line(&rest);
    call->request.header[IN_UPLOAD_METADATA] = line(&rest);
    call->request.header[IN_UPLOAD_CHECKSUM] = line(&rest);
    call->request.header[IN_UPLOAD_OFFSET] = line(&rest);
    call->request.header[IN_CONTENT_TYPE] = span_str("application/offset+octet-stream");
    call->request.body = rest;
    check_creation(call);
    buf_clear(&call->reply.body);
    call->reply.status = 0;
    if (parse_piece(call, &at) == CALL_GO_ON)
        MUST(at >= 0 && at < 1000000000000000 &&
             (int64_t)call->request.body.n <= conf.media.part_bytes);
    else
        MUST(call->reply.status >= 400);
    call_free(call);
    return 0;
}
