/* SPDX-License-Identifier: MIT */
#include "edge/ws/peers.h"

static const int64_t day_ms = (int64_t)24 * 3600 * 1000;

void peers_init(struct peers *p, int64_t most)
{
    *p = (struct peers){ .most = most };
    idmap_init(&p->pairs, PEERS_PAIRS_MAX);
    idmap_init(&p->counts, PEERS_USERS_MAX);
}

static void forget(struct peers *p)
{
    idmap_release(&p->pairs);
    idmap_release(&p->counts);
}

void peers_release(struct peers *p)
{
    forget(p);
}

static bool note(struct peers *p, struct cq_id pair, struct cq_id user, uint64_t count)
{
    return idmap_put(&p->pairs, pair, 1) && idmap_put(&p->counts, user, count);
}

int64_t peers_take(struct peers *p, struct cq_id user, struct cq_id peer, int64_t now_ms)
{
    /* Derived by a digest: the ids come from the client, who must not be able to make them
     * collide. */
    const struct cq_span parts[] = { span_of(user.b, sizeof user.b),
                                     span_of(peer.b, sizeof peer.b) };
    struct cq_id pair = id_derive("peer", parts, ARRAY_LEN(parts));
    int64_t day = now_ms / day_ms;
    const uint64_t *count;
    uint64_t so_far;

    if (day != p->day)
        forget(p);
    p->day = day;
    if (idmap_get(&p->pairs, pair))
        return 0;
    count = idmap_get(&p->counts, user);
    so_far = count ? *count : 0;
    if (so_far >= (uint64_t)p->most)
        return (day + 1) * day_ms - now_ms;
    if (!note(p, pair, user, so_far + 1)) {
        forget(p);
        if (!note(p, pair, user, so_far + 1))
            return 0; /* no memory: nobody is refused for that */
    }
    return 0;
}
