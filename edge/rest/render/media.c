/* SPDX-License-Identifier: MIT */
#include "edge/rest/render/media.h"

#include "lib/base/hash.h"
#include "lib/json/write.h"
#include "schemas/frame.h"

void render_media(struct cq_buf *out, const struct media *media)
{
    char hex[2 * sizeof media->sha256 + 1];

    hex_format(media->sha256, sizeof media->sha256, hex);
    buf_add_byte(out, '{');
    out_id(out, "id", media->id);
    out_text(out, "state", span_str("ready"));
    out_text(out, "type", span_str(message_type_word(media->type)));
    out_text(out, "contentType", media->content_type);
    out_text(out, "name", media->name);
    out_i64(out, "size", media->size);
    out_text(out, "sha256", span_str(hex));
    out_i64(out, "width", media->width);
    out_i64(out, "height", media->height);
    out_i64(out, "durationMs", media->duration_ms);
    out_bool(out, "thumbnail", *media->thumbnail);
    buf_add_byte(out, '}');
}

void render_pending_media(struct cq_buf *out, struct cq_id id, int64_t size)
{
    buf_add_byte(out, '{');
    out_id(out, "id", id);
    out_text(out, "state", span_str("pending"));
    out_i64(out, "size", size);
    buf_add_byte(out, '}');
}
