/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/provider.h - Google, Apple and the services of browsers behind one interface: what a request looks like, what
 * its answer means, and the credential that all requests share.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/http/pool.h"
#include "sinks/mobile/answer.h"
#include "sinks/mobile/payload.h"

struct provider; /* one thread */

enum { PROVIDER_URL_MAX = 1536, PROVIDER_HEADER_MAX = 4608, PROVIDER_HEADERS_MAX = 10 };

/** One push as an HTTP request; everything in it is the provider's until its next call. */
struct provider_push {
    const struct push_content *content;
    const struct push_address *to;
    struct cq_id id;    /* of this push: the same at every try */
    int64_t expires_ms; /* wall time */
    bool dry_run;
};

enum provider_state {
    PROVIDER_READY,
    PROVIDER_FETCH, /* post what `*ret` says, and give the answer to provider_fetched() */
};

struct provider_ops {
    const char *name;
    enum push_provider id;
    /** Whether a credential is at hand at wall time `now_ms`; makes one where that needs no
     * request. */
    enum provider_state (*credential)(struct provider *p, int64_t now_ms, struct http_request *ret);
    /** The answer to a fetch. CQ_OK: there is a credential; else *ret says what is wrong. */
    enum cq_status (*fetched)(struct provider *p, const struct http_answer *a, int64_t now_ms,
                              struct push_answer *ret);
    /** The credential was refused. True: it is dropped, another one may help. False: one was
     * refused a moment ago, so it is not the credential; Google's is dropped all the same. */
    bool (*refused)(struct provider *p, int64_t now_ms);
    /** CQ_POISON with static words in *ret_why: this address can never be asked. */
    enum cq_status (*request)(struct provider *p, const struct provider_push *push,
                              struct http_request *ret, const char **ret_why);
    /** Whose address it is: the service's name, borrowed, and whether an operator named just that
     * one. False: it is none that may be asked. NULL: all addresses are of one service. */
    bool (*service)(struct provider *p, const struct push_address *to, struct cq_span *ret,
                    bool *ret_known);
    void (*answer)(const struct http_answer *a, struct push_answer *ret);
    void (*free)(struct provider *p);
};

/** The first member of each provider. */
struct provider {
    const struct provider_ops *ops;
    int64_t credential_no; /* of the last request; rises with each new credential */
    uint32_t fingerprint;  /* of what is configured, but for secrets: who we are to whom */
};

struct fcm_conf {
    const char *key; /* path to, or text of, a service account; "" for none */
    const char *base_url;
};

struct apns_conf {
    const char *key; /* path to, or text of, the .p8; "" for none */
    const char *key_id, *team_id;
    const char *topics; /* bundle ids, comma-separated; the first is the default */
    const char *base_url, *sandbox_url;
};

struct webpush_conf {
    const char *key;             /* path to, or text of, the private key; "" for none */
    const char *public_key;      /* as pages subscribe with it */
    const char *subject;         /* whom a push service can ask */
    const char *services, *more; /* which may be asked (schemas/subscription.h); copied */
};

/**
 * CQ_OK: `*ret` is owned by the caller, NULL when nothing is configured. CQ_POISON: what is
 * configured can never work and is not to be waited for (a legacy key). CQ_FATAL: what is
 * configured is wrong and has to be corrected. The reason is in `reterr`, without anything secret.
 */
CQ_MUST_CHECK enum cq_status fcm_new(const struct fcm_conf *conf, struct provider **ret,
                                     char *reterr, size_t reterr_n);
CQ_MUST_CHECK enum cq_status apns_new(const struct apns_conf *conf, struct provider **ret,
                                      char *reterr, size_t reterr_n);
CQ_MUST_CHECK enum cq_status webpush_new(const struct webpush_conf *conf, struct provider **ret,
                                         char *reterr, size_t reterr_n);
void provider_free(struct provider *provider); /* NULL is fine */

/** `value` itself when it begins with `begins`, else the content of the file it names. False: there
 * is no such file, or it is larger than `out` may grow. */
CQ_MUST_CHECK bool provider_key_text(const char *value, const char *begins, struct cq_buf *out);
