/* SPDX-License-Identifier: MIT */
#include "sinks/status/receipts.h"

#include <stdlib.h>

struct receipts *receipts_turn_new(void)
{
    struct receipts *r = calloc(1, sizeof *r);

    if (r)
        idmap_init(&r->chat_at, RECEIPTS_TURN_MAX);
    return r;
}

void receipts_turn_free(struct receipts *r)
{
    if (!r)
        return;
    idmap_release(&r->chat_at);
    free(r);
}

void receipts_turn_clear(struct receipts *r)
{
    r->n = r->chats_n = 0;
    idmap_release(&r->chat_at);
}

static bool touch(struct receipts *r, const struct delivery_status *s, int32_t part, int64_t offset,
                  bool quiet)
{
    const uint64_t *at = idmap_get(&r->chat_at, s->chat_id);
    size_t i = at ? *at : r->chats_n;

    if (!at) {
        if (!idmap_put(&r->chat_at, s->chat_id, i))
            return false;
        r->chats_n++;
        r->t_chat[i] = s->chat_id;
        r->t_at[i] = 0;
        r->t_tell[i] = false;
    }
    if (s->at_ms > r->t_at[i])
        r->t_at[i] = s->at_ms;
    r->t_part[i] = part;
    r->t_offset[i] = offset;
    r->t_tell[i] |= !quiet;
    return true;
}

enum cq_status receipts_turn_add(struct receipts *r, const struct delivery_status *s, int32_t part,
                                 int64_t offset, bool quiet)
{
    size_t i = r->n;

    if (i == RECEIPTS_TURN_MAX ||
        (r->chats_n == RECEIPTS_TURN_MAX && !idmap_get(&r->chat_at, s->chat_id)))
        return CQ_AGAIN;
    if (!touch(r, s, part, offset, quiet))
        return CQ_FATAL;
    if (s->kind == RECEIPT_KIND_MEMBERS)
        return CQ_OK; /* nobody's cursor: the minimum is looked at again */
    r->n++;
    r->chat[i] = s->chat_id;
    r->user[i] = s->user_id;
    r->kind[i] = s->kind == RECEIPT_KIND_READ;
    r->seq[i] = s->seq;
    r->at_ms[i] = s->at_ms;
    return CQ_OK;
}
