/* SPDX-License-Identifier: MIT */
#include "lib/base/id.h"

#include "lib/base/hash.h"

static const char hex_digits[] = "0123456789abcdef";

/* Where each byte's two digits stand in the text form. */
static const uint8_t text_at[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };

void id_format(struct cq_id id, char out[CQ_ID_TEXT_LEN + 1])
{
    for (size_t i = 0; i < 16; i++) {
        out[text_at[i]] = hex_digits[id.b[i] >> 4];
        out[text_at[i] + 1] = hex_digits[id.b[i] & 15];
    }
    out[8] = out[13] = out[18] = out[23] = '-';
    out[CQ_ID_TEXT_LEN] = '\0';
}

int32_t id_part(struct cq_id id)
{
    return (int32_t)(murmur2_positive(id_text(id).s, CQ_ID_TEXT_LEN) % CQ_PARTS);
}

bool id_parse(struct cq_span text, struct cq_id *ret)
{
    struct cq_id id;

    if (text.n != CQ_ID_TEXT_LEN || text.p[8] != '-' || text.p[13] != '-' || text.p[18] != '-' ||
        text.p[23] != '-')
        return false;
    for (size_t i = 0; i < 16; i++) {
        int high = hex_digit(text.p[text_at[i]]), low = hex_digit(text.p[text_at[i] + 1]);

        if (high < 0 || low < 0)
            return false;
        id.b[i] = (uint8_t)(high << 4 | low);
    }
    *ret = id;
    return true;
}

size_t id_distinct(struct cq_id *ids, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool known = false;

        for (size_t k = 0; k < kept && !known; k++)
            known = id_eq(ids[k], ids[i]);
        if (!known)
            ids[kept++] = ids[i];
    }
    return kept;
}

static void set_version(struct cq_id *id, uint8_t version)
{
    id->b[6] = (uint8_t)((id->b[6] & 0x0F) | version << 4);
    id->b[8] = (uint8_t)((id->b[8] & 0x3F) | 0x80); /* variant of RFC 9562 */
}

struct cq_id id_random(void)
{
    struct cq_id id;

    random_bytes(id.b, sizeof id.b);
    set_version(&id, 4);
    return id;
}

struct cq_id id_from_digest(const uint8_t digest[32])
{
    struct cq_id id;

    memcpy(id.b, digest, sizeof id.b);
    set_version(&id, 8);
    return id;
}

struct cq_id id_derive(const char *domain, const struct cq_span *parts, size_t parts_n)
{
    enum { PARTS_MAX = 8 };
    struct cq_span all[2 + 2 * PARTS_MAX];
    uint8_t lengths[PARTS_MAX][4], digest[32];
    size_t n = 0;

    if (parts_n > PARTS_MAX)
        __builtin_trap(); /* our own constant lists are short */
    all[n++] = span_str(domain);
    all[n++] = span_of("", 1);
    for (size_t i = 0; i < parts_n; i++) {
        uint32_t len = (uint32_t)parts[i].n;

        lengths[i][0] = (uint8_t)(len >> 24);
        lengths[i][1] = (uint8_t)(len >> 16);
        lengths[i][2] = (uint8_t)(len >> 8);
        lengths[i][3] = (uint8_t)len;
        all[n++] = span_of(lengths[i], 4);
        all[n++] = parts[i];
    }
    sha256(all, n, digest);
    return id_from_digest(digest);
}
