/* SPDX-License-Identifier: MIT */
#include "edge/rest/render/users.h"

#include "lib/json/write.h"

void render_contact(struct cq_buf *out, const struct user_name *user, struct cq_span number)
{
    buf_add_byte(out, '{');
    out_text(out, "phoneNumber", number);
    out_id(out, "userId", user->id);
    out_text(out, "name", user->name);
    buf_add_byte(out, '}');
}

static void out_profile(struct cq_buf *out, const struct user_profile *user)
{
    out_id(out, "userId", user->id);
    out_text(out, "name", user->name);
    out_text(out, "about", user->about);
    out_text(out, "picture", span_str(id_is_zero(user->picture) ? "" : id_text(user->picture).s));
}

void render_user(struct cq_buf *out, const struct user_profile *user)
{
    buf_add_byte(out, '{');
    out_profile(out, user);
    if (user->is_deleted)
        out_bool(out, "deleted", true);
    buf_add_byte(out, '}');
}

static void out_own(struct cq_buf *out, const struct user_profile *user)
{
    out_profile(out, user);
    out_key(out, "privacy");
    buf_add_byte(out, '{');
    out_word(out, "lastSeen", audience_words[user->privacy.last_seen]);
    out_word(out, "picture", audience_words[user->privacy.picture]);
    out_word(out, "about", audience_words[user->privacy.about]);
    buf_add_byte(out, '}');
    out_bool(out, "readReceipts", user->read_receipts);
}

void render_own(struct cq_buf *out, const struct user_profile *user)
{
    buf_add_byte(out, '{');
    out_own(out, user);
    buf_add_byte(out, '}');
}

void render_block(struct cq_buf *out, const struct block_row *block)
{
    buf_add_byte(out, '{');
    out_id(out, "userId", block->user);
    out_id(out, "chatId", block->chat);
    out_text(out, "name", block->name);
    out_i64(out, "since", block->since_ms);
    buf_add_byte(out, '}');
}

void render_me(struct cq_buf *out, const struct user_profile *user, const char *number,
               struct cq_id device)
{
    buf_add_byte(out, '{');
    out_own(out, user);
    out_text(out, "phoneNumber", span_str(number));
    out_id(out, "deviceId", device);
    buf_add_byte(out, '}');
}

void render_tokens(struct cq_buf *out, const struct token_pair *pair)
{
    buf_add_byte(out, '{');
    out_id(out, "userId", pair->user);
    out_id(out, "deviceId", pair->device);
    out_text(out, "accessToken", span_str(pair->access));
    out_i64(out, "expiresAt", pair->expires_at_ms);
    out_text(out, "refreshToken", span_str(pair->refresh));
    buf_add_byte(out, '}');
}
