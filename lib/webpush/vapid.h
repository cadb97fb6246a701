/* SPDX-License-Identifier: MIT */
/*
 * lib/webpush/vapid.h - the key by which push services of browsers know us (RFC 8292): a pair on
 * P-256. Its public half is what a page hands to `pushManager.subscribe()`.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/status.h"

enum { VAPID_PUBLIC_MAX = 88 /* the public key as base64url, with its end */ };

/** The public half of a private key in PEM. CQ_POISON: it is no key on P-256. */
CQ_MUST_CHECK enum cq_status vapid_public(struct cq_span pem, char ret[VAPID_PUBLIC_MAX]);

/** A new pair: the private key as PEM (PKCS#8), and its public half. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status vapid_make(struct cq_buf *pem, char ret_public[VAPID_PUBLIC_MAX]);
