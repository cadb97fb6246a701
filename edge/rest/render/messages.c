/* SPDX-License-Identifier: MIT */
#include "edge/rest/render/messages.h"

#include "lib/json/write.h"
#include "schemas/frame.h"

/* What became of it since it was sent. */
static void render_changes(struct cq_buf *out, const struct message_row *row)
{
    if (row->edited_seq) {
        out_key(out, "edited");
        buf_add_byte(out, '{');
        out_i64(out, "seq", row->edited_seq);
        out_i64(out, "at", row->edited_at_ms);
        buf_add_byte(out, '}');
    }
    if (row->reactions.p) {
        out_key(out, "reactions");
        buf_add_span(out, row->reactions);
    }
    if (row->my_reaction.n)
        out_text(out, "myReaction", row->my_reaction);
    if (!row->deleted)
        return;
    out_key(out, "deleted");
    buf_add_byte(out, '{');
    if (row->deleted_seq) {
        out_i64(out, "seq", row->deleted_seq);
        out_id(out, "by", row->deleted_by);
        out_i64(out, "at", row->deleted_at_ms);
    }
    buf_add_byte(out, '}');
}

void render_message(struct cq_buf *out, const struct message_row *row)
{
    buf_add_byte(out, '{');
    out_id(out, "id", row->id);
    out_text(out, "clientId", row->client_id);
    out_id(out, "chatId", row->chat);
    out_i64(out, "seq", row->seq);
    out_id(out, "from", row->sender);
    if (!id_is_zero(row->peer))
        out_id(out, "peer", row->peer);
    out_text(out, "type", span_str(message_type_word(row->type)));
    out_text(out, "content", row->content);
    if (!id_is_zero(row->media_id))
        out_id(out, "mediaId", row->media_id);
    if (row->media.p) {
        out_key(out, "media");
        buf_add_span(out, row->media);
    }
    if (row->has_reply) {
        out_key(out, "replyTo");
        buf_add_byte(out, '{');
        json_members_write(out, &frame_quoted, &row->reply);
        buf_add_byte(out, '}');
    }
    if (row->mentions_n)
        out_ids(out, "mentions", row->mentions, row->mentions_n);
    if (row->forwarded)
        out_i64(out, "forwarded", row->forwarded);
    if (row->contents.n) {
        buf_add_byte(out, ',');
        buf_add_span(out, row->contents);
    }
    out_i64(out, "sentAt", row->sent_at_ms);
    out_time(out, "deliveredAt", row->delivered_at_ms);
    out_time(out, "seenAt", row->seen_at_ms);
    if (row->expires_at_ms)
        out_i64(out, "expiresAt", row->expires_at_ms);
    if (row->gone)
        out_text(out, "gone", span_str(row->gone == GONE_EXPIRED ? "expired" : "hidden"));
    if (row->poll.p) {
        out_key(out, "poll");
        buf_add_span(out, row->poll);
    }
    if (row->starred)
        out_bool(out, "starred", true);
    render_changes(out, row);
    buf_add_byte(out, '}');
}

void render_receipt(struct cq_buf *out, const struct receipt_row *row)
{
    buf_add_byte(out, '{');
    out_id(out, "userId", row->user);
    out_time(out, "deliveredAt", row->delivered_at_ms);
    out_time(out, "readAt", row->read_at_ms);
    out_bool(out, "delivered", row->delivered);
    out_bool(out, "read", row->read);
    buf_add_byte(out, '}');
}
