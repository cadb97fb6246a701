/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/media_links.h"

#include "edge/rest/api/conf.h"
#include "edge/rest/server/query.h"
#include "lib/base/hash.h"

#include <inttypes.h>
#include <stdio.h>

/* Method, path, reader, device, end and kind are all in it. */
static void link_signature(const struct call *call, const char *path,
                           const struct media_proof *proof, char out[64])
{
    uint8_t digest[32];
    char text[320];
    struct cq_span part;

    snprintf(text, sizeof text, "GET\n%s\n%s\n%s\n%" PRId64 "\n%d", path, id_text(proof->user).s,
             id_text(proof->device).s, proof->until_s, proof->has_left);
    part = span_str(text);
    hmac_sha256(span_of(call->conf->media.link_key, sizeof call->conf->media.link_key), &part, 1,
                digest);
    base64url_format(digest, sizeof digest, out);
}

void media_link(const struct call *call, struct cq_buf *out, const char *path,
                const struct media_proof *proof)
{
    char signature[64];

    link_signature(call, path, proof, signature);
    buf_printf(out, "\"%s?u=%s&d=%s&e=%" PRId64 "%s&s=%s\"", path, id_text(proof->user).s,
               id_text(proof->device).s, proof->until_s, proof->has_left ? "&l=1" : "", signature);
}

bool media_link_good(struct call *call, const char *path, struct media_proof *ret)
{
    struct cq_span given = call_param(call, "s");
    int64_t left = 0;
    char signature[64];

    *ret = (struct media_proof){ .until_s = 0 };
    if (!id_parse(call_param(call, "u"), &ret->user) ||
        !id_parse(call_param(call, "d"), &ret->device) ||
        !call_param_i64(call, "e", &ret->until_s) || !call_param_i64(call, "l", &left) ||
        ret->until_s <= call->request.at_ms / 1000)
        return false;
    ret->has_left = left == 1;
    link_signature(call, path, ret, signature);
    return given.n == strlen(signature) && bytes_equal_ct(given.p, signature, given.n);
}
