/* SPDX-License-Identifier: MIT */
/*
 * What tus has in headers: lengths, metadata, checksums. The input is Upload-Length,
 * Upload-Metadata, Upload-Checksum, Upload-Offset and the body, a line each.
 */
#include "edge/rest/media_tus.c"
#include "tests/fuzz/fuzz.h"

static struct cq_span line(struct cq_span *rest)
{
    const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct cq_span s = span_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);

    *rest = end ? span_of(end + 1, rest->n - s.n - 1) : span_of(NULL, 0);
    return s;
}

static void check_creation(struct call *c)
{
    enum call_next next;
    struct upload u;

    if (!parse_creation(c, &u, &next)) {
        MUST(next == CALL_REPLY && c->status >= 400);
        return;
    }
    MUST(u.size >= 0 && u.size < 1000000000000000);
    MUST(u.type < MESSAGE_TYPE_N && u.name.n <= VALUE_MAX && u.declared_type.n <= VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct rest_conf conf = { .media.part_bytes = 4096 };
    struct cq_span rest = span_of(data, n);
    struct call *c = call_new(&conf);
    enum call_next next;
    int64_t at = -1;

    MUST(c);
    c->in[IN_UPLOAD_LENGTH] = line(&rest);
    c->in[IN_UPLOAD_METADATA] = line(&rest);
    c->in[IN_UPLOAD_CHECKSUM] = line(&rest);
    c->in[IN_UPLOAD_OFFSET] = line(&rest);
    c->in[IN_CONTENT_TYPE] = span_str("application/offset+octet-stream");
    c->body = rest;
    check_creation(c);
    buf_clear(&c->out);
    c->status = 0;
    if (piece_good(c, &at, &next))
        MUST(at >= 0 && at < 1000000000000000 && (int64_t)c->body.n <= conf.media.part_bytes);
    else
        MUST(c->status >= 400);
    call_free(c);
    return 0;
}
