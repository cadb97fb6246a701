/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/security.h - how this process reaches Kafka: TLS, and who it says it is. One answer for
 * all its producers, consumers, readers and admin clients; without one they speak plain text.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bus_sasl { BUS_SASL_NONE, BUS_SASL_PLAIN, BUS_SASL_OAUTHBEARER };

enum { BUS_TOKEN_MAX = 16 * 1024 };

struct bus_token {
    char text[BUS_TOKEN_MAX]; /* as the token service gave it, and a NUL */
    int64_t until_ms;         /* Unix time at which it ends */
};

/** Get a new token. Called by a thread of each client, several at once; may block for some seconds.
 * CQ_AGAIN: not now, with the reason in words; it is asked again after ten seconds. */
typedef enum cq_status bus_token_fn(struct bus_token *ret, char *reterr, size_t reterr_n);

/** Hears that brokers cannot be used as things stand: the settings to look at (static text), and
 * why in the library's words. Called by any thread that polls a client, as often as it happens. */
typedef void bus_refused_fn(const char *settings, const char *why);

/** Texts are borrowed for the life of the process; "" or NULL: not given. */
struct bus_security {
    bool tls;            /* certificates of brokers are verified, with their names */
    const char *ca_file; /* PEM; not given: the system's certificates */
    const char *cert_file, *key_file, *key_password; /* PEM, for mTLS */
    enum bus_sasl sasl;
    const char *user, *password; /* for PLAIN */
    bus_token_fn *token;         /* for OAUTHBEARER */
    bus_refused_fn *refused;     /* NULL: nobody */
};

/** From now on every client of this process is made so. Call at most once, before the first client
 * and any thread. Reads the certificates once to see that they can be used. CQ_FATAL: they cannot;
 * the reason, with the setting's name, is in `reterr`. */
CQ_MUST_CHECK enum cq_status bus_security_use(const struct bus_security *how, char *reterr,
                                              size_t reterr_n);
