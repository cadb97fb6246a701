/* SPDX-License-Identifier: MIT */
/*
 * lib/base/address.h - network addresses of clients: text and ranges to bits, and who sent a
 * request that came through proxies. Pure.
 */
#pragma once

#include "lib/base/id.h"

enum { ADDRESS_RANGES_MAX = 64 };

/** IPv6, or IPv4 in its mapped form (::ffff:0:0/96), in network order. All zero: unknown. */
struct cq_address {
    uint8_t b[16];
};

struct address_range {
    struct cq_address base;
    unsigned bits; /* 0 to 128, of the mapped form */
};

struct address_ranges {
    struct address_range v[ADDRESS_RANGES_MAX];
    size_t n;
};

static inline bool address_eq(struct cq_address a, struct cq_address b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

/** The mapped form of four bytes in network order. */
struct cq_address address_of_v4(const uint8_t bytes[4]);

/** Back to four bytes. False: it is IPv6, and `ret` is untouched. */
bool address_to_v4(struct cq_address address, uint8_t ret[4]);

/** Whether it is a host of the public network: no private, shared, local, reserved or multicast one
 * (IANA's registries of special addresses), and no IPv6 form of such an IPv4 address. */
bool address_is_public(struct cq_address address);

/** Parse IPv4 in dots or IPv6 with colons, nothing around it. False: *ret is untouched. */
CQ_MUST_CHECK bool address_parse(struct cq_span text, struct cq_address *ret);

/** Parse `list`: addresses and `address/bits`, comma-separated, spaces allowed; "" for none. False:
 * an item is neither, or there are more than ADDRESS_RANGES_MAX. */
CQ_MUST_CHECK bool address_ranges_parse(const char *list, struct address_ranges *ret);

/** Whether `address` is in one of `ranges`. */
bool address_is_in(const struct address_ranges *ranges, struct cq_address address);

/**
 * Who sent a request that `peer` passed on. `lists` are the values of X-Forwarded-For in the order
 * of their lines. A trusted peer is believed about the address before its own, and so on from right
 * to left: the first address that is not trusted is the client's. An item that is no address ends
 * the walk at the proxy that wrote it. A peer that is not trusted is the client itself.
 */
struct cq_address address_forwarded(const struct address_ranges *trusted, struct cq_address peer,
                                    const struct cq_span *lists, size_t lists_n);

enum { ADDRESS_NETWORK_MAX = 32 };

/** Where an address is from, roughly, as text: its first 16 bits of IPv4 ("203.0.0.0/16"), 32 of
 * IPv6 ("2001:db8::/32"). */
void address_network(struct cq_address address, char out[ADDRESS_NETWORK_MAX]);

/** The key under which a rate or a number of connections is counted: an IPv4 address, or the /64
 * of an IPv6 address, which is one household. */
struct cq_id address_key(struct cq_address address);
