/* SPDX-License-Identifier: MIT */
#include "edge/ws/peers.h"

static const int64_t day_ms = (int64_t)24 * 3600 * 1000;

void peers_init(struct peers *peers, int64_t most)
{
    *peers = (struct peers){ .most = most };
    idmap_init(&peers->pairs, PEERS_PAIRS_MAX);
    idmap_init(&peers->counts, PEERS_USERS_MAX);
}

static void forget(struct peers *peers)
{
    idmap_release(&peers->pairs);
    idmap_release(&peers->counts);
}

void peers_release(struct peers *peers)
{
    forget(peers);
}

static bool note(struct peers *peers, struct cq_id pair, struct cq_id user, uint64_t count)
{
    return idmap_put(&peers->pairs, pair, 1) && idmap_put(&peers->counts, user, count);
}

int64_t peers_take(struct peers *peers, struct cq_id user, struct cq_id peer, int64_t now_ms)
{
    /* Derived by a digest: the ids come from the client, who must not be able to make them
     * collide. */
    const struct cq_span parts[] = { span_of(user.b, sizeof user.b),
                                     span_of(peer.b, sizeof peer.b) };
    struct cq_id pair = id_derive("peer", parts, ARRAY_LEN(parts));
    int64_t day = now_ms / day_ms;
    const uint64_t *count;
    uint64_t so_far;

    if (day != peers->day)
        forget(peers);
    peers->day = day;
    if (idmap_get(&peers->pairs, pair))
        return 0;
    count = idmap_get(&peers->counts, user);
    so_far = count ? *count : 0;
    if (so_far >= (uint64_t)peers->most)
        return (day + 1) * day_ms - now_ms;
    if (!note(peers, pair, user, so_far + 1)) {
        forget(peers);
        if (!note(peers, pair, user, so_far + 1))
            return 0; /* no memory: nobody is refused for that */
    }
    return 0;
}
