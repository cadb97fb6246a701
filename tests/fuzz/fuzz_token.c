/* SPDX-License-Identifier: MIT */
/*
 * Tokens. An even first byte: the rest is one. An odd one: the rest is header, line feed and
 * claims, which are signed with our key, so that the checks after the signature are reached, too.
 * Each is also shown as a ticket.
 */
#include "lib/base/hash.h"
#include "lib/jwt/ticket.h"
#include "lib/jwt/token.h"
#include "tests/fuzz/fuzz.h"

enum { NOW = 1000000, PART_MAX = 1200 };

static const char secret[] = "a secret of at least thirty-two bytes";

static size_t forge(struct cq_span header, struct cq_span claims, char *out)
{
    uint8_t mac[32];
    size_t n = base64url_format(header.p, header.n, out);
    struct cq_span head;

    out[n++] = '.';
    n += base64url_format(claims.p, claims.n, out + n);
    head = span_of(out, n);
    hmac_sha256(span_str(secret), &head, 1, mac);
    out[n++] = '.';
    return n + base64url_format(mac, sizeof mac, out + n);
}

static void check(const struct token_keys *keys, struct cq_span token)
{
    struct token_claims claims;
    struct ticket ticket;
    const char *why = NULL;
    enum cq_status st;

    MUST(ticket_check(keys, token, (int64_t)NOW * 1000, &ticket, &why) == CQ_POISON && why);
    why = NULL;
    st = token_check(keys, token, NOW, &claims, &why);
    MUST(st == CQ_OK || (st == CQ_POISON && why));
    if (st != CQ_OK)
        return;
    MUST(!why && token.n <= TOKEN_TEXT_MAX);
    MUST(claims.expires_s > NOW && claims.issued_s >= 0 && claims.issued_s <= NOW + 60);
    MUST(claims.expires_s - claims.issued_s <= 24 * 3600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct token_keys *keys;
    static char token[4 * PART_MAX];
    const uint8_t *line;
    struct cq_span head, rest;

    if (!keys)
        MUST(token_keys_new(secret, &keys) == CQ_OK);
    if (n == 0 || n > 2 * PART_MAX)
        return 0;
    rest = span_of(data + 1, n - 1);
    if (data[0] % 2 == 0) {
        check(keys, rest);
        return 0;
    }
    line = memchr(rest.p, '\n', rest.n);
    head = span_of(rest.p, line ? (size_t)(line - rest.p) : rest.n);
    rest = line ? span_of(line + 1, rest.n - head.n - 1) : span_of("", 0);
    check(keys, span_of(token, forge(head, rest, token)));
    return 0;
}
