/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/answer.h - what to do after an answer of a push service (pure).
 */
#pragma once

#include "lib/base/span.h"
#include "lib/http/pool.h"

enum push_verdict {
    PUSH_TAKEN,         /* the provider has it */
    PUSH_DEAD,          /* this token will never work again */
    PUSH_FOREIGN,       /* this token is not ours: dead too, if our own configuration is right */
    PUSH_UNREACHED,     /* we cannot reach this token's platform; those of others we may */
    PUSH_REFUSED,       /* this push will never be taken; the next one may */
    PUSH_LATER,         /* this device, later */
    PUSH_SLOWER,        /* everybody, later: a quota */
    PUSH_DOWN,          /* the provider is in trouble, or the outcome is unknown */
    PUSH_CREDENTIAL,    /* our access token has expired or was refused: make another one */
    PUSH_MISCONFIGURED, /* nothing will work until an operator corrects the configuration */
    PUSH_VERDICT_N
};

enum {
    PUSH_WORDS_MAX = 200,
    RETRY_AFTER_MAX_S = 366 * 24 * 3600, /* what is asked for beyond that is read as this */
};

struct push_answer {
    enum push_verdict verdict;
    int status;                     /* HTTP; 0: no answer came */
    int64_t retry_after_s;          /* 0: not said */
    int64_t dead_since_ms;          /* PUSH_DEAD of APNs: when it saw that; 0: not said */
    char words[PUSH_WORDS_MAX + 1]; /* the provider's own, printable */
};

/** Google's: `details[].errorCode` decides, then `status`, then the HTTP status. */
void answer_fcm(const struct http_answer *answer, struct push_answer *ret);

/** Apple's: `reason` decides, then the HTTP status. */
void answer_apns(const struct http_answer *answer, struct push_answer *ret);

/** Of a push service of browsers (RFC 8030, RFC 8292): the HTTP status decides. */
void answer_web(const struct http_answer *answer, struct push_answer *ret);

/** The token endpoint's refusal: PUSH_DOWN or PUSH_MISCONFIGURED. */
void answer_oauth(const struct http_answer *answer, struct push_answer *ret);
