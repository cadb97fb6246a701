/* SPDX-License-Identifier: MIT */
#include "edge/rest/render/changes.h"

#include "lib/json/write.h"

void render_tick(struct cq_buf *out, const struct tick_row *row)
{
    buf_add_byte(out, '{');
    out_id(out, "chatId", row->chat);
    out_i64(out, "delivered", row->delivered);
    out_i64(out, "read", row->read);
    if (row->except.n) {
        out_key(out, "except");
        buf_add_span(out, row->except);
    }
    buf_add_byte(out, '}');
}

void render_stale(struct cq_buf *out, const struct stale_row *row)
{
    buf_add_byte(out, '{');
    out_text(out, "clientId", row->client);
    out_id(out, "id", row->id);
    out_id(out, "chatId", row->chat);
    out_text(out, "code", row->code);
    out_i64(out, "at", row->at_ms);
    buf_add_byte(out, '}');
}
