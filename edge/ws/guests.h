/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/guests.h - sockets whose owner is not known yet: how many of one address, and which of
 * them has been there longest. A valid token ends that: from then on its socket is counted as the
 * user's (rates.h).
 * Pure: times are passed in.
 */
#pragma once

#include "lib/base/address.h"
#include "lib/base/idmap.h"

/** One socket, from the accept to its end. Zeroed before guests_enter(). Owned by the caller. */
struct guest {
    struct cq_address address; /* the peer's, or the client's when a proxy says so */
    struct cq_id key;          /* of the address */
    bool counted;              /* among those of its address */
    bool listed;               /* not known yet */
    int64_t since_ms;
    struct guest *prev, *next; /* the longest first */
};

struct guests {
    const struct address_ranges
        *trusted; /* borrowed; their sockets are many people's: not counted */
    uint32_t per_address;
    struct idmap by_address; /* → guests */
    struct guest *first, *last;
};

/** `trusted` is borrowed; `per_address`: guests of one address at most; `max`: addresses that can
 * be counted. */
void guests_init(struct guests *guests, const struct address_ranges *trusted, uint32_t per_address,
                 size_t max);
void guests_release(struct guests *guests);

/** A socket of `peer` was accepted. False: there are too many of its address, and it is not
 * taken. */
CQ_MUST_CHECK bool guests_enter(struct guests *guests, struct guest *guest, struct cq_address peer,
                                int64_t now_ms);

/** A trusted proxy says that the socket is `client`'s. False: too many of that address. */
CQ_MUST_CHECK bool guests_rename(struct guests *guests, struct guest *guest,
                                 struct cq_address client);

/** Its user is known, or it is closed: it is no longer counted here. May be called twice. */
void guests_leave(struct guests *guests, struct guest *guest);
