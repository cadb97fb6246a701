/* SPDX-License-Identifier: MIT */
#include "edge/auth/phone.h"

#include "lib/base/hash.h"

#include <stdio.h>

bool phone_normalize(struct cq_span text, char out[PHONE_MAX + 1])
{
    size_t n = 0, digits;

    for (size_t i = 0; i < text.n; i++) {
        char digit = (char)text.p[i];

        if (digit == ' ' || digit == '-' || digit == '.' || digit == '(' || digit == ')')
            continue;
        if (n == PHONE_MAX + 1 || !((digit == '+' && n == 0) || (digit >= '0' && digit <= '9')))
            return false;
        if (n == 1 && out[0] == '0' && digit == '0') {
            out[0] = '+';
            continue;
        }
        if (n == PHONE_MAX)
            return false;
        out[n++] = digit;
    }
    out[n] = '\0';
    digits = n ? n - 1 : 0;
    return n && out[0] == '+' && digits >= 8 && digits <= 15 && out[1] != '0';
}

struct cq_id phone_user_id(struct cq_span pepper, const char *number, int32_t generation)
{
    char text[12];
    uint8_t digest[32];
    struct cq_span parts[] = { span_str(number), span_str("\n"), { NULL, 0 } };

    parts[2] = span_of(text, (size_t)snprintf(text, sizeof text, "%d", generation));
    hmac_sha256(pepper, parts, ARRAY_LEN(parts), digest);
    return id_from_digest(digest);
}
