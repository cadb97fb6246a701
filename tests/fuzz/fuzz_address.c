/* SPDX-License-Identifier: MIT */
/*
 * The input as a PROXY header, as a value of X-Forwarded-For, and as a list of ranges. A header is
 * decided within its maximum and does not depend on what follows it; who is not trusted is never
 * replaced.
 */
#include "lib/base/proxy_header.h"
#include "tests/fuzz/fuzz.h"

static void check_header(struct cq_span raw)
{
    struct cq_address a = { { 0 } }, b = { { 0 } };
    size_t n = 0, m = 0;
    bool known = false, also = false;
    enum proxy_read got = proxy_header_read(raw, &n, &known, &a);

    MUST(got != PROXY_MORE || raw.n < PROXY_HEADER_MAX);
    if (got != PROXY_DONE)
        return;
    MUST(n <= raw.n && n <= PROXY_HEADER_MAX);
    MUST(proxy_header_read(span_of(raw.p, n), &m, &also, &b) == PROXY_DONE);
    MUST(m == n && known == also && (!known || address_eq(a, b)));
    for (size_t cut = 0; cut < n; cut++)
        MUST(proxy_header_read(span_of(raw.p, cut), &m, &also, &b) == PROXY_MORE);
}

static void check_forwarded(struct cq_span value)
{
    struct address_ranges none = { .n = 0 }, some;
    const uint8_t stranger[4] = { 203, 0, 113, 7 }, proxy[4] = { 10, 0, 0, 1 };
    struct cq_span twice[2] = { value, value };
    struct cq_address from;

    if (!address_ranges_parse("10.0.0.0/8,2001:db8::/32", &some))
        abort();
    from = address_forwarded(&none, address_of_v4(proxy), twice, 2);
    MUST(address_eq(from, address_of_v4(proxy)));
    from = address_forwarded(&some, address_of_v4(stranger), twice, 2);
    MUST(address_eq(from, address_of_v4(stranger)));
    from = address_forwarded(&some, address_of_v4(proxy), twice, 2);
    MUST(!id_is_zero(address_key(from)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct address_ranges ranges;
    char *text;

    if (n > 16 * 1024)
        return 0;
    check_header(span_of(data, n));
    check_forwarded(span_of(data, n));
    text = calloc(1, n + 1);
    MUST(text);
    memcpy(text, data, n);
    if (address_ranges_parse(text, &ranges)) {
        MUST(ranges.n <= ADDRESS_RANGES_MAX);
        for (size_t i = 0; i < ranges.n; i++)
            MUST(ranges.v[i].bits <= 128 && address_is_in(&ranges, ranges.v[i].base));
    }
    free(text);
    return 0;
}
