/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/render/users.h - users and what they log in with as JSON objects (pure).
 */
#pragma once

#include "edge/rest/view/blocks.h"
#include "edge/rest/view/users.h"

/** `number` as the caller wrote it. */
void render_contact(struct cq_buf *out, const struct user_name *user, struct cq_span number);

void render_user(struct cq_buf *out, const struct user_profile *user);

void render_block(struct cq_buf *out, const struct block_row *block);

/** The same of oneself, and whom one shows it to. */
void render_own(struct cq_buf *out, const struct user_profile *user);

/** And what the device is told of itself. */
void render_me(struct cq_buf *out, const struct user_profile *user, const char *number,
               struct cq_id device);

struct token_pair {
    struct cq_id user, device;
    const char *access, *refresh;
    int64_t expires_at_ms; /* of `access` */
};

void render_tokens(struct cq_buf *out, const struct token_pair *pair);
