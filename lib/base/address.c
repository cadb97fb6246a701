/* SPDX-License-Identifier: MIT */
#include "lib/base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { TEXT_MAX = 45, MAPPED_BITS = 96, ALL_BITS = 128 }; /* TEXT_MAX: INET6_ADDRSTRLEN - 1 */

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };

static bool is_v4(struct cq_address address)
{
    return memcmp(address.b, mapped, sizeof mapped) == 0;
}

struct cq_address address_of_v4(const uint8_t bytes[4])
{
    struct cq_address address;

    memcpy(address.b, mapped, sizeof mapped);
    memcpy(address.b + sizeof mapped, bytes, 4);
    return address;
}

bool address_to_v4(struct cq_address address, uint8_t ret[4])
{
    if (!is_v4(address))
        return false;
    memcpy(ret, address.b + sizeof mapped, 4);
    return true;
}

bool address_parse(struct cq_span text, struct cq_address *ret)
{
    char copy[TEXT_MAX + 1];
    uint8_t v4[4];

    if (!text.n || text.n > TEXT_MAX || memchr(text.p, '\0', text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        *ret = address_of_v4(v4);
        return true;
    }
    return inet_pton(AF_INET6, copy, ret->b) == 1;
}

/* ---- what is public ------------------------------------------------------------------- */

struct block {
    uint8_t base[16];
    uint8_t bits;
};

/* RFC 6890 and its successors: what is not reached globally. */
static const struct block v4_blocks[] = {
    { { 0 }, 8 },            /* this network */
    { { 10 }, 8 },           /* private */
    { { 100, 64 }, 10 },     /* shared by the customers of a carrier */
    { { 127 }, 8 },          /* loopback */
    { { 169, 254 }, 16 },    /* link-local: also where clouds keep their metadata */
    { { 172, 16 }, 12 },     /* private */
    { { 192, 0, 0 }, 24 },   /* protocol assignments */
    { { 192, 0, 2 }, 24 },   /* documentation, as are the next two of their kind */
    { { 192, 88, 99 }, 24 }, /* 6to4 relays */
    { { 192, 168 }, 16 },    /* private */
    { { 198, 18 }, 15 },     /* benchmarks */
    { { 198, 51, 100 }, 24 },
    { { 203, 0, 113 }, 24 },
    { { 224 }, 3 }, /* multicast, reserved, broadcast */
};

static bool is_in_block(const uint8_t *bytes, const struct block *block)
{
    unsigned whole = block->bits / 8, rest = block->bits % 8;
    uint8_t mask = (uint8_t)(0xFF << (8 - rest));

    return memcmp(bytes, block->base, whole) == 0 &&
           (!rest || (bytes[whole] & mask) == (block->base[whole] & mask));
}

static bool is_public_v4(const uint8_t bytes[4])
{
    for (size_t i = 0; i < ARRAY_LEN(v4_blocks); i++)
        if (is_in_block(bytes, &v4_blocks[i]))
            return false;
    return true;
}

bool address_is_public(struct cq_address address)
{
    static const struct block global = { { 0x20 }, 3 }; /* all that is assigned to hosts so far */
    static const struct block special[] = {
        { { 0x20, 0x01, 0, 0 }, 23 },       /* protocols: Teredo, ORCHID and others */
        { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation, as is the last */
        { { 0x3f, 0xff }, 20 },
    };
    static const struct block six_to_four = { { 0x20, 0x02 }, 16 },
                              translated = { { 0x00, 0x64, 0xff, 0x9b }, 96 };
    uint8_t v4[4];

    if (address_to_v4(address, v4))
        return is_public_v4(v4);
    if (is_in_block(address.b, &translated))
        return is_public_v4(address.b + 12);
    if (is_in_block(address.b, &six_to_four))
        return is_public_v4(address.b + 2);
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (is_in_block(address.b, &special[i]))
            return false;
    return is_in_block(address.b, &global);
}

/* ---- ranges --------------------------------------------------------------------------- */

static bool parse_bits(struct cq_span text, unsigned max, unsigned *ret)
{
    unsigned bits = 0;

    if (!text.n || text.n > 3)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        bits = bits * 10 + (text.p[i] - '0');
    }
    *ret = bits;
    return bits <= max;
}

static bool parse_range(struct cq_span item, struct address_range *ret)
{
    const uint8_t *slash = item.n ? memchr(item.p, '/', item.n) : NULL;
    struct cq_span address = span_of(item.p, slash ? (size_t)(slash - item.p) : item.n);
    unsigned before;

    if (!address_parse(address, &ret->base))
        return false;
    before = is_v4(ret->base) && !memchr(address.p, ':', address.n) ? MAPPED_BITS : 0;
    ret->bits = ALL_BITS;
    if (!slash)
        return true;
    if (!parse_bits(span_of(slash + 1, item.n - address.n - 1), ALL_BITS - before, &ret->bits))
        return false;
    ret->bits += before;
    return true;
}

bool address_ranges_parse(const char *list, struct address_ranges *ret)
{
    struct cq_span rest = span_str(list), item;

    for (ret->n = 0; span_next_item(&rest, &item); ret->n++)
        if (ret->n == ADDRESS_RANGES_MAX || !parse_range(item, &ret->v[ret->n]))
            return false;
    return true;
}

static bool is_in_range(const struct address_range *range, struct cq_address address)
{
    size_t whole = range->bits / 8;
    unsigned rest = range->bits % 8, mask = 0xFF00u >> rest & 0xFFu;

    return memcmp(address.b, range->base.b, whole) == 0 &&
           (!rest || (address.b[whole] & mask) == (range->base.b[whole] & mask));
}

bool address_is_in(const struct address_ranges *ranges, struct cq_address address)
{
    for (size_t i = 0; i < ranges->n; i++)
        if (is_in_range(&ranges->v[i], address))
            return true;
    return false;
}

/* ---- X-Forwarded-For ------------------------------------------------------------------ */

/* Cut the last item off `list`. */
static struct cq_span take_last(struct cq_span *list)
{
    size_t from = list->n;
    struct cq_span item;

    while (from && list->p[from - 1] != ',')
        from--;
    item = span_of(list->p + from, list->n - from);
    list->n = from ? from - 1 : 0;
    return span_trim(item);
}

/* An address, also as `1.2.3.4:port` or `[v6]:port`. */
static bool parse_item(struct cq_span item, struct cq_address *ret)
{
    const uint8_t *end;

    if (item.n && item.p[0] == '[') {
        end = memchr(item.p, ']', item.n);
        return end && address_parse(span_of(item.p + 1, (size_t)(end - item.p) - 1), ret);
    }
    end = item.n ? memchr(item.p, ':', item.n) : NULL;
    if (end && memchr(item.p, '.', (size_t)(end - item.p)))
        item.n = (size_t)(end - item.p);
    return address_parse(item, ret);
}

struct cq_address address_forwarded(const struct address_ranges *trusted, struct cq_address peer,
                                    const struct cq_span *lists, size_t lists_n)
{
    struct cq_address at = peer;

    for (size_t i = lists_n; i > 0; i--) {
        struct cq_span rest = lists[i - 1];

        while (rest.n) {
            if (!address_is_in(trusted, at) || !parse_item(take_last(&rest), &at))
                return at;
        }
    }
    return at;
}

void address_network(struct cq_address address, char out[ADDRESS_NETWORK_MAX])
{
    uint8_t v4[4] = { 0 }, v6[sizeof address.b] = { 0 };
    char text[ADDRESS_NETWORK_MAX - sizeof "/32"] = "";

    if (is_v4(address)) {
        memcpy(v4, address.b + sizeof mapped, 2);
        if (inet_ntop(AF_INET, v4, text, sizeof text))
            snprintf(out, ADDRESS_NETWORK_MAX, "%s/16", text);
        return;
    }
    memcpy(v6, address.b, 4);
    if (inet_ntop(AF_INET6, v6, text, sizeof text))
        snprintf(out, ADDRESS_NETWORK_MAX, "%s/32", text);
}

struct cq_id address_key(struct cq_address address)
{
    struct cq_span part = is_v4(address)
                              ? span_of(address.b + sizeof mapped, sizeof address.b - sizeof mapped)
                              : span_of(address.b, 8);

    return id_derive("address", &part, 1);
}
