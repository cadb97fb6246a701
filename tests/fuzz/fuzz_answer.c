/* SPDX-License-Identifier: MIT */
/*
 * Answers of Google, Apple and push services of browsers. The first byte picks who answers and with which status, the rest is
 * the body. What comes out goes into events and logs.
 */
#include "sinks/mobile/answer.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const readers[])(const struct http_answer *,
                                   struct push_answer *) = { answer_fcm, answer_apns, answer_oauth,
                                                             answer_web };
    static const int statuses[] = { 200, 400, 401, 403, 404, 410, 413, 429, 500, 503, 0, 999 };
    struct http_answer answer = { .st = CQ_OK };
    struct push_answer got;

    if (n == 0 || n - 1 > HTTP_ANSWER_MAX)
        return 0;
    answer.status = statuses[data[0] / ARRAY_LEN(readers) % ARRAY_LEN(statuses)];
    answer.body = span_of(data + 1, n - 1);
    readers[data[0] % ARRAY_LEN(readers)](&answer, &got);
    MUST(got.verdict < PUSH_VERDICT_N && got.status == answer.status);
    MUST((got.verdict == PUSH_TAKEN) == (answer.status / 100 == 2));
    MUST(got.retry_after_s >= 0);
    MUST(memchr(got.words, 0, sizeof got.words));
    for (const char *p = got.words; *p; p++)
        MUST(*p >= ' ' && *p <= '~');
    return 0;
}
