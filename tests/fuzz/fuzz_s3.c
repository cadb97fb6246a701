/* SPDX-License-Identifier: MIT */
/*
 * What a store of S3's kind answers, and the memo of an upload in parts that PostgreSQL keeps. The
 * first byte picks a status, the rest is the body or the memo.
 */
#include "lib/store/s3.c"
#include "tests/fuzz/fuzz.h"

enum { SMALL = 24 };

static void check_answer(int status, struct cq_span body)
{
    struct transfer_reply reply = { .status = status, .body = body };
    struct store store = { 0 };
    enum cq_status st = judge(&store, "GET", &reply);
    char id[SMALL];

    MUST((st == CQ_OK) == (status / 100 == 2));
    if (st != CQ_OK)
        MUST(store.fault != STORE_FINE);
    memset(id, 'z', sizeof id);
    if (between(body, "<UploadId>", "</UploadId>", id, sizeof id))
        MUST(memchr(id, 0, sizeof id));
}

static void check_memo(struct cq_span text)
{
    cq_auto(buf) struct cq_buf again = { 0 };
    struct memo memo, back;

    if (!memo_read(text, &memo))
        return;
    MUST(memo.waiting < STORE_PART_LEAST && memo.parts_n <= text.n);
    if (!text.n || memchr(memo.upload, '\n', strlen(memo.upload)))
        return;
    buf_init(&again, STORE_MEMO_MAX);
    memo_write(&memo, NULL, &again);
    if (again.failed)
        return;
    MUST(memo_read(buf_span(&again), &back));
    MUST(back.waiting == memo.waiting && back.in_b == memo.in_b && back.parts_n == memo.parts_n);
    MUST(strcmp(back.upload, memo.upload) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int statuses[] = { 200, 404, 403, 400, 507, 500, 416, 0 };

    if (n == 0)
        return 0;
    check_answer(statuses[data[0] % ARRAY_LEN(statuses)], span_of(data + 1, n - 1));
    check_memo(span_of(data + 1, n - 1));
    return 0;
}
