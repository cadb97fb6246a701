/* SPDX-License-Identifier: MIT */
#include "processors/user/claims.h"

#include <stdlib.h>

void claims_init(struct claims *c)
{
    idmap_init(&c->tokens, CLAIMS_MAX);
}

void claims_release(struct claims *c)
{
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&c->tokens, &at, &id, &value);)
        free((struct token_claim *)(uintptr_t)value);
    idmap_release(&c->tokens);
}

struct token_claim *claims_get(const struct claims *c, struct cq_id token)
{
    const uint64_t *value = idmap_get(&c->tokens, token);

    return value ? (struct token_claim *)(uintptr_t)*value : NULL;
}

struct token_claim *claims_make(struct claims *c, struct cq_id token)
{
    struct token_claim *t = claims_get(c, token);

    if (t)
        return t;
    t = calloc(1, sizeof *t);
    if (t && !idmap_put(&c->tokens, token, (uint64_t)(uintptr_t)t)) {
        free(t);
        return NULL;
    }
    return t;
}

void claims_remove(struct claims *c, struct cq_id token)
{
    free(claims_get(c, token));
    idmap_remove(&c->tokens, token);
}

void claim_begin(struct token_claim *t, uint64_t turn)
{
    if (t->turn == turn)
        return;
    t->before = t->now;
    t->turn = turn;
}

enum cq_status claims_restore(struct claims *c, const struct push_claim *value, int64_t from)
{
    struct push_owner owner = { value->user_id, value->device_id, value->source.offset };
    struct token_claim *t = claims_get(c, value->token);

    if (value->source.offset >= from) {
        if (!value->has_before) {
            claims_remove(c, value->token);
            return CQ_OK;
        }
        owner = value->before;
    }
    if (t && t->now.claim > owner.claim)
        return CQ_OK; /* a late record of a zombie: the highest source wins */
    t = claims_make(c, value->token);
    if (!t)
        return CQ_FATAL;
    *t = (struct token_claim){ .now = owner };
    return CQ_OK;
}
