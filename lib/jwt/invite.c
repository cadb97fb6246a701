/* SPDX-License-Identifier: MIT */
#include "lib/jwt/invite.h"

#include "lib/base/hash.h"
#include "lib/jwt/token.h"

#include <string.h>

/* As in ticket.c: no other use of the key makes the same bytes. */
static const char PURPOSE[] = "chasqui invite ";

bool invite_secret(const struct token_keys *keys, int i, struct cq_id chat, struct cq_id invite,
                   struct cq_id *ret)
{
    struct cq_span secret = token_key_secret(keys, i);
    const struct cq_span parts[] = { span_str(PURPOSE), span_of(chat.b, sizeof chat.b),
                                     span_of(invite.b, sizeof invite.b) };
    uint8_t mac[32];

    if (!secret.n)
        return false;
    hmac_sha256(secret, parts, 3, mac);
    memcpy(ret->b, mac, sizeof ret->b);
    return true;
}
