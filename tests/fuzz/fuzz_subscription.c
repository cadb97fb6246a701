/* SPDX-License-Identifier: MIT */
/*
 * Where a browser can be woken: an address that a client chose. What passes is what a browser
 * writes, and leads to the host that it names.
 */
#include "schemas/subscription.h"
#include "tests/fuzz/fuzz.h"

static bool is_host_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cq_auto(buf) struct cq_buf again = { 0 };
    struct cq_span text = span_of(data, n), keys;
    char host[SUBSCRIPTION_HOST_MAX + 1];
    struct subscription read;
    bool exact;

    if (!subscription_parse(text, &read))
        return 0;
    MUST(read.host.n && read.host.n <= SUBSCRIPTION_HOST_MAX && read.port > 0 && read.port < 65536);
    MUST(read.origin.n <= SUBSCRIPTION_ORIGIN_MAX && read.endpoint.n > read.origin.n);
    MUST(memcmp(read.origin.p, "https://", 8) == 0 && read.endpoint.p[read.origin.n] == '/');
    for (size_t i = 0; i < read.host.n; i++)
        MUST(is_host_byte(read.host.p[i]));
    for (size_t i = 0; i < text.n; i++)
        MUST(text.p[i] > ' ' && text.p[i] <= '~' && text.p[i] != '"' && text.p[i] != '\\');
    snprintf(host, sizeof host, "%.*s", SPAN_FMT(read.host));
    MUST(subscription_is_at(&read, host, &exact) == (read.port == 443));
    MUST(!subscription_is_at(&read, "other.example", &exact) ||
         span_eq_str(read.host, "other.example"));
    keys = span_of(text.p + read.endpoint.n + 1, text.n - read.endpoint.n - 1);
    buf_init(&again, n);
    subscription_write(read.endpoint, span_of(keys.p, 87), span_of(keys.p + 88, 22), &again);
    MUST(!again.failed && span_eq(buf_span(&again), text));
    return 0;
}
