/* SPDX-License-Identifier: MIT */
#include "lib/jwt/ticket.h"

#include "lib/base/hash.h"
#include "lib/jwt/token.h"

enum {
    FORM = 1,
    MAC_BYTES = 32,
    ID_BYTES = 16,
    SIGNED_BYTES = TICKET_BYTES - MAC_BYTES,
    CLOCKS_DIFFER_MS = 60 * 1000,
};

_Static_assert(SIGNED_BYTES == 2 + 3 * ID_BYTES + 8, "form, kind, three ids, a time");
_Static_assert(TICKET_TEXT_MAX == 4 * (TICKET_BYTES / 3) + 1 && TICKET_BYTES % 3 == 0, "base64url");

/* Before what is signed, so that no other use of the key makes the same bytes. A token's signature
 * is over text with two dots and no space. */
static const char PURPOSE[] = "chasqui ticket ";

static void mac(struct cq_span secret, const uint8_t *bytes, uint8_t out[MAC_BYTES])
{
    const struct cq_span parts[] = { span_str(PURPOSE), span_of(bytes, SIGNED_BYTES) };

    hmac_sha256(secret, parts, 2, out);
}

static void put_id(uint8_t *at, struct cq_id id)
{
    memcpy(at, id.b, ID_BYTES);
}

static struct cq_id id_at(const uint8_t *at)
{
    struct cq_id id;

    memcpy(id.b, at, ID_BYTES);
    return id;
}

void ticket_sign(const struct token_keys *keys, const struct ticket *ticket,
                 char out[TICKET_TEXT_MAX])
{
    uint8_t bytes[TICKET_BYTES] = { FORM, (uint8_t)ticket->kind };

    put_id(bytes + 2, ticket->user);
    put_id(bytes + 2 + ID_BYTES, ticket->session);
    put_id(bytes + 2 + 2 * ID_BYTES, ticket->subject);
    for (int i = 0; i < 8; i++)
        bytes[2 + 3 * ID_BYTES + i] = (uint8_t)((uint64_t)ticket->issued_ms >> (56 - 8 * i));
    mac(token_key_secret(keys, 0), bytes, bytes + SIGNED_BYTES);
    base64url_format(bytes, sizeof bytes, out);
}

static bool is_signed(const struct token_keys *keys, const uint8_t *bytes)
{
    struct cq_span secret;

    for (int i = 0; (secret = token_key_secret(keys, i)).n; i++) {
        uint8_t want[MAC_BYTES];

        mac(secret, bytes, want);
        if (bytes_equal_ct(want, bytes + SIGNED_BYTES, MAC_BYTES))
            return true;
    }
    return false;
}

enum cq_status ticket_check(const struct token_keys *keys, struct cq_span text, int64_t now_ms,
                            struct ticket *ret, const char **ret_why)
{
    uint8_t bytes[TICKET_BYTES];
    uint64_t issued_ms = 0;
    size_t n;

    *ret_why = "ticket: not one of POST /api/chats/{id}/ticket or /api/users/{id}/ticket";
    if (!base64url_parse(text, bytes, sizeof bytes, &n) || n != sizeof bytes || bytes[0] != FORM ||
        (bytes[1] != TICKET_CHAT && bytes[1] != TICKET_USER) || !is_signed(keys, bytes))
        return CQ_POISON;
    for (int i = 0; i < 8; i++)
        issued_ms = issued_ms << 8 | bytes[2 + 3 * ID_BYTES + i];
    *ret_why = "ticket: ended, ask for another one";
    if ((int64_t)issued_ms > now_ms + CLOCKS_DIFFER_MS ||
        now_ms - (int64_t)issued_ms >= TICKET_LIFE_MS)
        return CQ_POISON;
    *ret = (struct ticket){ .kind = (enum ticket_kind)bytes[1],
                            .user = id_at(bytes + 2),
                            .session = id_at(bytes + 2 + ID_BYTES),
                            .subject = id_at(bytes + 2 + 2 * ID_BYTES),
                            .issued_ms = (int64_t)issued_ms };
    return CQ_OK;
}
