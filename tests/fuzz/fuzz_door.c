/* SPDX-License-Identifier: MIT */
/*
 * The input is what a connection sends, in pieces whose length the first byte gives. Whatever the
 * bytes: a request is passed on only when its head reads one way and its body is whole, the pool is
 * paid back, and the pieces make no difference to what is said.
 */
#include "edge/rest/server/door.h"
#include "tests/fuzz/fuzz.h"

enum { BODY_MAX = 64 * 1024 };

static struct door_grant grant(void *arg, const struct request_head *head)
{
    (void)arg;
    return (struct door_grant){ .body_max = BODY_MAX,
                                .limit = "64 KiB",
                                .has_user = head->authorization.n == 1,
                                .user = { { 1 } } };
}

static void check_passed(struct cq_span raw, const struct door_conn *conn)
{
    struct request_head head;

    MUST(framing_read(raw, &head) == NULL);
    MUST(head.n <= DOOR_HEAD_MAX && head.n == conn->head.n);
    if (head.chunked)
        MUST(conn->chunks.state == CHUNKS_DONE && conn->chunks.body_n <= conn->body_max &&
             conn->seen_n <= raw.n);
    else
        MUST(head.body_n <= BODY_MAX && raw.n >= head.n + head.body_n);
}

/* The first verdict that is not to wait, and after how many bytes. */
static struct door_answer walk(struct cq_span raw, size_t piece, size_t *ret_n)
{
    static const struct address_ranges nobody;
    struct door_conf conf = { .conns_max = 1,
                              .conns_per_address = 1,
                              .body_memory_bytes = 1024 * 1024,
                              .body_max = BODY_MAX,
                              .trusted = &nobody,
                              .grant = grant };
    struct door_conn conn = { 0 }, *instead;
    struct door_answer answer = { .verdict = DOOR_WAIT };
    struct door door;

    MUST(door_init(&door, &conf) &&
         door_enter(&door, &conn, (struct cq_address){ { 0 } }, 0, &instead));
    for (*ret_n = 0; *ret_n < raw.n && answer.verdict == DOOR_WAIT;) {
        *ret_n += raw.n - *ret_n < piece ? raw.n - *ret_n : piece;
        answer = door_look(&door, &conn, span_of(raw.p, *ret_n), 0);
        MUST(door.pool_used <= door.pool_bytes);
        MUST(answer.verdict != DOOR_WAIT || conn.charge ||
             *ret_n <= DOOR_HEAD_MAX + DOOR_SMALL_MAX + DOOR_SMALL_MAX / 8 + piece);
        MUST(answer.verdict != DOOR_REFUSE ||
             (answer.status >= 400 && answer.code && answer.message));
    }
    if (answer.verdict == DOOR_PASS && conn.state == DOOR_BUSY)
        check_passed(span_of(raw.p, *ret_n), &conn);
    door_leave(&door, &conn);
    MUST(door.pool_used == 0 && door.conns_n == 0 && door.by_address.n == 0 && door.by_user.n == 0);
    door_release(&door);
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct door_answer whole, cut;
    size_t whole_n, cut_n;

    if (n < 2 || n > 128 * 1024)
        return 0;
    cut = walk(span_of(data + 1, n - 1), (size_t)data[0] + 1, &cut_n);
    if (cut.verdict == DOOR_WAIT || cut.verdict == DOOR_PASS)
        return 0; /* what follows may be another request, or too much of it */
    whole = walk(span_of(data + 1, cut_n), cut_n, &whole_n);
    MUST(whole.verdict == cut.verdict);
    return 0;
}
