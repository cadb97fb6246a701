/* SPDX-License-Identifier: MIT */
#include "edge/ws/sends.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* Answers as a line of words: "+a" acked, "-b" nacked. */
struct heard {
    char text[4096];
    size_t n;
};

static void hear(void *arg, struct sender *sender, bool stored, struct cq_span client_id,
                 struct cq_id id)
{
    struct heard *h = arg;

    (void)sender;
    (void)id;
    h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%c%.*s ", stored ? '+' : '-',
                             SPAN_FMT(client_id));
}

static struct cq_id id_of(char c)
{
    struct cq_id id = { { (uint8_t)c, 1 } };

    return id;
}

static uint64_t send_one(struct sends *s, struct sender *who, char c, int64_t now_ms)
{
    return sends_add(s, who, id_of(c), span_of(&c, 1), now_ms);
}

TEST(sends_are_acked_by_their_reports)
{
    struct heard h = { 0 };
    struct sender x = { 0 };
    struct sends s;
    uint64_t a, b;

    sends_init(&s, hear, &h);
    CHECK_EQ(sends_admit(&s, &x, id_of('a')), SENDS_ADMITTED);
    a = send_one(&s, &x, 'a', 0);
    CHECK_EQ(sends_admit(&s, &x, id_of('b')), SENDS_ADMITTED);
    b = send_one(&s, &x, 'b', 0);
    sends_report(&s, b, CQ_OK); /* another partition's report may be first */
    sends_report(&s, a, CQ_OK);
    sends_report(&s, a, CQ_OK); /* it is gone */
    CHECK_STR(h.text, "+b +a ");
    CHECK_EQ(x.n, 0);
    CHECK_EQ(s.n, 0);
    sends_forget(&s, &x);
    sends_release(&s);
}

TEST(sends_after_a_nack_wait_for_the_nacked_one)
{
    struct heard h = { 0 };
    struct sender x = { 0 }, other = { 0 };
    struct sends s;
    uint64_t a, b, c, o;

    sends_init(&s, hear, &h);
    a = sends_admit(&s, &x, id_of('a')) == SENDS_ADMITTED ? send_one(&s, &x, 'a', 0) : 0;
    b = sends_admit(&s, &x, id_of('b')) == SENDS_ADMITTED ? send_one(&s, &x, 'b', 0) : 0;
    c = sends_admit(&s, &x, id_of('c')) == SENDS_ADMITTED ? send_one(&s, &x, 'c', 0) : 0;
    o = sends_admit(&s, &other, id_of('o')) == SENDS_ADMITTED ? send_one(&s, &other, 'o', 0) : 0;
    sends_report(&s, b, CQ_AGAIN); /* b and all after it */
    CHECK_STR(h.text, "-b -c ");
    sends_report(&s, c, CQ_OK); /* stored after all, but answered already */
    CHECK_EQ(sends_admit(&s, &x, id_of('d')), SENDS_SHUT);
    sends_report(&s, a, CQ_AGAIN); /* now the gate is at a */
    CHECK_EQ(sends_admit(&s, &x, id_of('b')), SENDS_SHUT);
    CHECK_EQ(sends_admit(&s, &x, id_of('a')), SENDS_ADMITTED);
    CHECK_EQ(sends_admit(&s, &x, id_of('b')), SENDS_ADMITTED);
    sends_report(&s, o, CQ_OK); /* another socket is not concerned */
    CHECK_STR(h.text, "-b -c -a +o ");
    sends_forget(&s, &x);
    sends_release(&s);
}

/* The first that was nacked came back as one's own message, so nobody sends it again. */
TEST(sends_go_on_without_the_nacked_one)
{
    struct heard h = { 0 };
    struct sender x = { 0 };
    struct sends s;
    uint64_t a;

    sends_init(&s, hear, &h);
    CHECK_EQ(sends_admit(&s, &x, id_of('a')), SENDS_ADMITTED);
    a = send_one(&s, &x, 'a', 0);
    CHECK_EQ(sends_admit(&s, &x, id_of('b')), SENDS_ADMITTED);
    send_one(&s, &x, 'b', 0);
    sends_report(&s, a, CQ_AGAIN);
    CHECK_STR(h.text, "-a -b ");
    CHECK_EQ(sends_admit(&s, &x, id_of('c')), SENDS_SHUT); /* written before the nack was seen? */
    CHECK_EQ(sends_admit(&s, &x, id_of('b')), SENDS_ADMITTED);
    sends_shut(&x, id_of('b'));                            /* refused once more, by another rule */
    CHECK_EQ(sends_admit(&s, &x, id_of('c')), SENDS_SHUT); /* it came behind b, unseen again */
    CHECK_EQ(sends_admit(&s, &x, id_of('d')), SENDS_SHUT);
    CHECK_EQ(sends_admit(&s, &x, id_of('d')), SENDS_ADMITTED); /* a new one, after its nack */
    CHECK_EQ(sends_admit(&s, &x, id_of('e')), SENDS_ADMITTED);
    sends_forget(&s, &x);
    sends_release(&s);
}

TEST(sends_without_a_report_are_unknown_after_a_while)
{
    struct heard h = { 0 };
    struct sender x = { 0 };
    struct sends s;
    uint64_t a;

    sends_init(&s, hear, &h);
    CHECK_EQ(sends_admit(&s, &x, id_of('a')), SENDS_ADMITTED);
    a = send_one(&s, &x, 'a', 1000);
    CHECK_EQ(sends_admit(&s, &x, id_of('b')), SENDS_ADMITTED);
    send_one(&s, &x, 'b', 5500);
    sends_expire(&s, 1000 + SENDS_WITHIN_MS);
    CHECK_STR(h.text, "");
    sends_expire(&s, 1001 + SENDS_WITHIN_MS);
    CHECK_STR(h.text, "-a -b ");
    sends_report(&s, a, CQ_OK);
    CHECK_STR(h.text, "-a -b ");
    CHECK_EQ(sends_admit(&s, &x, id_of('c')), SENDS_SHUT);
    CHECK_EQ(sends_admit(&s, &x, id_of('a')), SENDS_ADMITTED);
    sends_forget(&s, &x);
    sends_release(&s);
}

TEST(sends_of_one_socket_are_bounded)
{
    struct heard h = { 0 };
    struct sender x = { 0 };
    struct sends s;
    uint64_t first = 0;

    sends_init(&s, hear, &h);
    for (int i = 0; i < SENDS_SOCKET_MAX; i++) {
        CHECK_EQ(sends_admit(&s, &x, id_of((char)i)), SENDS_ADMITTED);
        first = i ? first : send_one(&s, &x, 'f', 0);
        if (i)
            send_one(&s, &x, 'x', 0);
    }
    CHECK_EQ(sends_admit(&s, &x, id_of('y')), SENDS_FULL);
    sends_report(&s, first, CQ_OK);
    CHECK_EQ(sends_admit(&s, &x, id_of('z')), SENDS_SHUT); /* y first */
    CHECK_EQ(sends_admit(&s, &x, id_of('y')), SENDS_ADMITTED);
    sends_forget(&s, &x);
    sends_release(&s);
}

TEST(sends_undone_and_forgotten_are_not_answered)
{
    struct heard h = { 0 };
    struct sender x = { 0 };
    struct sends s;
    uint64_t a, b;

    sends_init(&s, hear, &h);
    a = sends_admit(&s, &x, id_of('a')) == SENDS_ADMITTED ? send_one(&s, &x, 'a', 0) : 0;
    b = sends_admit(&s, &x, id_of('b')) == SENDS_ADMITTED ? send_one(&s, &x, 'b', 0) : 0;
    sends_undo(&s, a);
    CHECK_EQ(x.n, 1);
    sends_forget(&s, &x);
    sends_report(&s, b, CQ_AGAIN);
    sends_expire(&s, 1000000);
    CHECK_STR(h.text, "");
    CHECK_EQ(s.n, 0);
    sends_release(&s);
}

/* Whatever happens, each admitted send is answered at most once, and exactly once unless it was
 * forgotten. */
TEST(sends_answer_each_once)
{
    enum { SENDERS = 5, STEPS = 20000 };
    static struct heard h;
    struct sender who[SENDERS] = { 0 };
    uint64_t pending[64 * SENDERS];
    struct sends s;
    int pending_n = 0, added = 0, undone = 0, words = 0;
    int64_t now_ms = 0;

    srand(11);
    sends_init(&s, hear, &h);
    for (int step = 0; step < STEPS; step++) {
        int w = rand() % SENDERS, dice = rand() % 100;
        struct cq_id id = id_of((char)(rand() % 100));

        h.n = 0;
        h.text[0] = '\0';
        now_ms += rand() % 50;
        if (dice < 60) {
            if (who[w].shut && rand() % 3 == 0)
                id = who[w].refused[0];
            if (pending_n < 64 * SENDERS && sends_admit(&s, &who[w], id) == SENDS_ADMITTED) {
                pending[pending_n++] = sends_add(&s, &who[w], id, span_str("k"), now_ms);
                added++;
            }
        } else if (pending_n) {
            int i = rand() % pending_n;
            uint32_t before = s.n;

            if (dice < 95) {
                sends_report(&s, pending[i], dice < 90 ? CQ_OK : CQ_AGAIN);
            } else {
                sends_undo(&s, pending[i]);
                undone += (int)(before - s.n);
            }
            pending[i] = pending[--pending_n];
        }
        sends_expire(&s, now_ms);
        for (size_t i = 0; i < h.n; i++)
            words += h.text[i] == ' ';
        CHECK_EQ(added, words + undone + (int)s.n);
    }
    for (int w = 0; w < SENDERS; w++)
        sends_forget(&s, &who[w]);
    sends_release(&s);
}
