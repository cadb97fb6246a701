/* SPDX-License-Identifier: MIT */
#include "processors/user/claims.h"

#include <stdlib.h>

void claims_init(struct claims *claims)
{
    idmap_init(&claims->tokens, CLAIMS_MAX);
}

void claims_release(struct claims *claims)
{
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&claims->tokens, &at, &id, &value);)
        free((struct token_claim *)(uintptr_t)value);
    idmap_release(&claims->tokens);
}

struct token_claim *claims_get(const struct claims *claims, struct cq_id token)
{
    const uint64_t *value = idmap_get(&claims->tokens, token);

    return value ? (struct token_claim *)(uintptr_t)*value : NULL;
}

struct token_claim *claims_make(struct claims *claims, struct cq_id token)
{
    struct token_claim *claim = claims_get(claims, token);

    if (claim)
        return claim;
    claim = calloc(1, sizeof *claim);
    if (claim && !idmap_put(&claims->tokens, token, (uint64_t)(uintptr_t)claim)) {
        free(claim);
        return NULL;
    }
    return claim;
}

void claims_remove(struct claims *claims, struct cq_id token)
{
    free(claims_get(claims, token));
    idmap_remove(&claims->tokens, token);
}

void claim_begin(struct token_claim *claim, uint64_t turn)
{
    if (claim->turn == turn)
        return;
    claim->before = claim->now;
    claim->turn = turn;
}

enum cq_status claims_restore(struct claims *claims, const struct push_claim *value, int64_t from)
{
    struct push_owner owner = { value->user_id, value->device_id, value->source.offset };
    struct token_claim *claim = claims_get(claims, value->token);

    if (value->source.offset >= from) {
        if (!value->has_before) {
            claims_remove(claims, value->token);
            return CQ_OK;
        }
        owner = value->before;
    }
    if (claim && claim->now.claim > owner.claim)
        return CQ_OK; /* a late record of a zombie: the highest source wins */
    claim = claims_make(claims, value->token);
    if (!claim)
        return CQ_FATAL;
    *claim = (struct token_claim){ .now = owner };
    return CQ_OK;
}
