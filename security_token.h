/* SPDX-License-Identifier: MIT */
/*
 * security_token.h - access tokens for Kafka by client credentials (RFC 6749 4.4). Ours and not the
 * library's: Debian builds librdkafka without an HTTP client.
 */
#pragma once

#include "lib/bus/security.h"

/** Texts are borrowed for the life of the process. */
struct token_service {
    const char *url, *scope, *ca_file; /* scope, ca_file "": none */
    const char *client_id, *client_secret;
};

/** Call once, before any thread. */
void token_service_use(const struct token_service *token_service);

/** The last token of this process while less than half of its life is over, else another one by a
 * request, which takes at most 13 s without a sign of life. A bus_token_fn. */
CQ_MUST_CHECK enum cq_status token_service_get(struct bus_token *ret, char *reterr,
                                               size_t reterr_n);
