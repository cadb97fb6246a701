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
