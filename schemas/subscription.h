/* SPDX-License-Identifier: MIT */
/*
 * schemas/subscription.h - where a browser can be woken (RFC 8030): the subscription that it made
 * as one text, `https://host/path#p256dh.auth`, and which push services may be asked at all. Pure.
 *
 * The address was chosen by a client, so it is read by a small grammar and compared with a list
 * before anything is sent there: by the edge that takes it, and again by whoever sends.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/status.h"

enum {
    SUBSCRIPTION_POINT_BYTES = 65,
    SUBSCRIPTION_AUTH_BYTES = 16,
    SUBSCRIPTION_KEYS_CHARS = 1 + 87 + 1 + 22, /* #p256dh.auth */
    SUBSCRIPTION_HOST_MAX = 253,
    SUBSCRIPTION_ORIGIN_MAX = 8 + SUBSCRIPTION_HOST_MAX + 6,
};

struct subscription {
    struct cq_span endpoint; /* https://host[:port]/…; borrowed, as are these two: */
    struct cq_span origin;   /* https://host[:port] */
    struct cq_span host;
    int port;
    uint8_t key[SUBSCRIPTION_POINT_BYTES];
    uint8_t auth[SUBSCRIPTION_AUTH_BYTES];
};

/** Read one. False: it is none. Upper case, a user, an address in brackets and the default port
 * written out are refused: no browser writes an address in this way. */
CQ_MUST_CHECK bool subscription_parse(struct cq_span text, struct subscription *ret);

/** Append the text of what a browser says of its subscription; it is read by
 * subscription_parse(). */
void subscription_write(struct cq_span endpoint, struct cq_span key, struct cq_span auth,
                        struct cq_buf *out);

/** Whether `item` of a list is a host, `*.` and a host, or an origin of https. */
bool subscription_service_good(struct cq_span item);

/** Whether `list` has the service: by its host, by `*.` and what its host ends with, both at port
 * 443 only, or by its origin. `*ret_exact`: by host or origin. */
bool subscription_is_at(const struct subscription *subscription, const char *list, bool *ret_exact);
