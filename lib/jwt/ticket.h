/* SPDX-License-Identifier: MIT */
/*
 * lib/jwt/ticket.h - a ticket: what REST, which can ask the view, tells a gateway, which cannot:
 * that this session may look at this chat or user until then. Signed with the keys of access tokens
 * in a form of its own, so that neither passes for the other. Pure: times are passed in.
 */
#pragma once

#include "lib/base/id.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

struct token_keys;

enum {
    TICKET_BYTES = 90,           /* form, kind, three ids, a time, the signature */
    TICKET_TEXT_MAX = 121,       /* as base64url, with a NUL */
    TICKET_LIFE_MS = 300 * 1000, /* from its issue on */
};

enum ticket_kind { TICKET_CHAT = 'c', TICKET_USER = 'u' };

struct ticket {
    enum ticket_kind kind;
    struct cq_id user;    /* whose */
    struct cq_id session; /* no other session of that user may show it */
    struct cq_id subject; /* what is looked at: a chat or a user */
    int64_t issued_ms;    /* when the view was asked */
};

/** Sign with the first key. */
void ticket_sign(const struct token_keys *keys, const struct ticket *ticket,
                 char out[TICKET_TEXT_MAX]);

/** CQ_OK: one of our keys signed it, and it has not ended at `now_ms`. CQ_POISON otherwise, with a
 * static reason in *ret_why. */
CQ_MUST_CHECK enum cq_status ticket_check(const struct token_keys *keys, struct cq_span text,
                                          int64_t now_ms, struct ticket *ret, const char **ret_why);
