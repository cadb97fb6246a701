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
    struct heard *heard = arg;

    (void)sender;
    (void)id;
    heard->n += (size_t)snprintf(heard->text + heard->n, sizeof heard->text - heard->n, "%c%.*s ",
                                 stored ? '+' : '-', SPAN_FMT(client_id));
}

static struct cq_id id_of(char c)
{
    struct cq_id id = { { (uint8_t)c, 1 } };

    return id;
}

static uint64_t send_one(struct sends *sends, struct sender *who, char c, int64_t now_ms)
{
    return sends_add(sends, who, id_of(c), span_of(&c, 1), now_ms);
}

/* 0: it was not admitted. */
static uint64_t admit_one(struct sends *sends, struct sender *who, char c)
{
    return sends_admit(sends, who, id_of(c)) == SENDS_ADMITTED ? send_one(sends, who, c, 0) : 0;
}

TEST(sends_are_acked_by_their_reports)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 };
    struct sends sends;
    uint64_t first, second;

    sends_init(&sends, hear, &heard);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('a')), SENDS_ADMITTED);
    first = send_one(&sends, &sender, 'a', 0);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('b')), SENDS_ADMITTED);
    second = send_one(&sends, &sender, 'b', 0);
    sends_report(&sends, second, CQ_OK); /* another partition's report may be first */
    sends_report(&sends, first, CQ_OK);
    sends_report(&sends, first, CQ_OK); /* it is gone */
    CHECK_STR(heard.text, "+b +a ");
    CHECK_EQ(sender.n, 0);
    CHECK_EQ(sends.n, 0);
    sends_forget(&sends, &sender);
    sends_release(&sends);
}

TEST(sends_after_a_nack_wait_for_the_nacked_one)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 }, other = { 0 };
    struct sends sends;
    uint64_t first, second, third, opaque;

    sends_init(&sends, hear, &heard);
    first = admit_one(&sends, &sender, 'a');
    second = admit_one(&sends, &sender, 'b');
    third = admit_one(&sends, &sender, 'c');
    opaque = admit_one(&sends, &other, 'o');
    sends_report(&sends, second, CQ_AGAIN); /* b and all after it */
    CHECK_STR(heard.text, "-b -c ");
    sends_report(&sends, third, CQ_OK); /* stored after all, but answered already */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('d')), SENDS_SHUT);
    sends_report(&sends, first, CQ_AGAIN); /* now the gate is at a */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('b')), SENDS_SHUT);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('a')), SENDS_ADMITTED);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('b')), SENDS_ADMITTED);
    sends_report(&sends, opaque, CQ_OK); /* another socket is not concerned */
    CHECK_STR(heard.text, "-b -c -a +o ");
    sends_forget(&sends, &sender);
    sends_release(&sends);
}

/* The first that was nacked came back as one's own message, so nobody sends it again. */
TEST(sends_go_on_without_the_nacked_one)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 };
    struct sends sends;
    uint64_t first;

    sends_init(&sends, hear, &heard);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('a')), SENDS_ADMITTED);
    first = send_one(&sends, &sender, 'a', 0);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('b')), SENDS_ADMITTED);
    send_one(&sends, &sender, 'b', 0);
    sends_report(&sends, first, CQ_AGAIN);
    CHECK_STR(heard.text, "-a -b ");
    CHECK_EQ(sends_admit(&sends, &sender, id_of('c')),
             SENDS_SHUT); /* written before the nack was seen? */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('b')), SENDS_ADMITTED);
    sends_shut(&sender, id_of('b'), 0); /* refused once more, by another rule */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('c')),
             SENDS_SHUT); /* it came behind b, unseen again */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('d')), SENDS_SHUT);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('d')),
             SENDS_ADMITTED); /* a new one, after its nack */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('e')), SENDS_ADMITTED);
    sends_forget(&sends, &sender);
    sends_release(&sends);
}

TEST(sends_without_a_report_are_unknown_after_a_while)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 };
    struct sends sends;
    uint64_t first;

    sends_init(&sends, hear, &heard);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('a')), SENDS_ADMITTED);
    first = send_one(&sends, &sender, 'a', 1000);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('b')), SENDS_ADMITTED);
    send_one(&sends, &sender, 'b', 5500);
    sends_expire(&sends, 1000 + SENDS_WITHIN_MS);
    CHECK_STR(heard.text, "");
    sends_expire(&sends, 1001 + SENDS_WITHIN_MS);
    CHECK_STR(heard.text, "-a -b ");
    sends_report(&sends, first, CQ_OK);
    CHECK_STR(heard.text, "-a -b ");
    CHECK_EQ(sends_admit(&sends, &sender, id_of('c')), SENDS_SHUT);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('a')), SENDS_ADMITTED);
    sends_forget(&sends, &sender);
    sends_release(&sends);
}

TEST(sends_of_one_socket_are_bounded)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 };
    struct sends sends;
    uint64_t first = 0;

    sends_init(&sends, hear, &heard);
    for (int i = 0; i < SENDS_SOCKET_MAX; i++) {
        CHECK_EQ(sends_admit(&sends, &sender, id_of((char)i)), SENDS_ADMITTED);
        first = i ? first : send_one(&sends, &sender, 'f', 0);
        if (i)
            send_one(&sends, &sender, 'x', 0);
    }
    CHECK_EQ(sends_admit(&sends, &sender, id_of('y')), SENDS_FULL);
    sends_shut(&sender, id_of('y'), 0);
    sends_report(&sends, first, CQ_OK);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('z')), SENDS_SHUT); /* y first */
    CHECK_EQ(sends_admit(&sends, &sender, id_of('y')), SENDS_ADMITTED);
    sends_forget(&sends, &sender);
    sends_release(&sends);
}

TEST(who_follows_a_refused_one_waits_as_long)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 };
    struct sends sends;
    uint64_t first;

    sends_init(&sends, hear, &heard);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('a')), SENDS_ADMITTED);
    first = send_one(&sends, &sender, 'a', 1000);
    sends_shut(&sender, id_of('b'), 4000);
    CHECK_EQ(sends_admit(&sends, &sender, id_of('c')), SENDS_SHUT);
    CHECK_EQ(sends_wait_ms(&sender, 1000), 3000);
    CHECK_EQ(sends_wait_ms(&sender, 3999), 1);
    CHECK_EQ(sends_wait_ms(&sender, 4000), 0);
    sends_report(&sends, first, CQ_AGAIN); /* nobody knows when that one may come again */
    CHECK_EQ(sends_wait_ms(&sender, 1000), 0);
    sends_forget(&sends, &sender);
    sends_release(&sends);
}

TEST(sends_undone_and_forgotten_are_not_answered)
{
    struct heard heard = { 0 };
    struct sender sender = { 0 };
    struct sends sends;
    uint64_t first, second;

    sends_init(&sends, hear, &heard);
    first = admit_one(&sends, &sender, 'a');
    second = admit_one(&sends, &sender, 'b');
    sends_undo(&sends, first);
    CHECK_EQ(sender.n, 1);
    sends_forget(&sends, &sender);
    sends_report(&sends, second, CQ_AGAIN);
    sends_expire(&sends, 1000000);
    CHECK_STR(heard.text, "");
    CHECK_EQ(sends.n, 0);
    sends_release(&sends);
}

/* Whatever happens, each admitted send is answered at most once, and exactly once unless it was
 * forgotten. */
TEST(sends_answer_each_once)
{
    enum { SENDERS = 5, STEPS = 20000 };
    static struct heard heard;
    struct sender who[SENDERS] = { 0 };
    uint64_t pending[64 * SENDERS];
    struct sends sends;
    int pending_n = 0, added = 0, undone = 0, words = 0;
    int64_t now_ms = 0;

    srand(11);
    sends_init(&sends, hear, &heard);
    for (int step = 0; step < STEPS; step++) {
        int writer = rand() % SENDERS, dice = rand() % 100;
        struct cq_id id = id_of((char)(rand() % 100));

        heard.n = 0;
        heard.text[0] = '\0';
        now_ms += rand() % 50;
        if (dice < 60) {
            if (who[writer].shut && rand() % 3 == 0)
                id = who[writer].refused[0];
            if (pending_n < 64 * SENDERS &&
                sends_admit(&sends, &who[writer], id) == SENDS_ADMITTED) {
                pending[pending_n++] = sends_add(&sends, &who[writer], id, span_str("k"), now_ms);
                added++;
            }
        } else if (pending_n) {
            int i = rand() % pending_n;
            uint32_t before = sends.n;

            if (dice < 95) {
                sends_report(&sends, pending[i], dice < 90 ? CQ_OK : CQ_AGAIN);
            } else {
                sends_undo(&sends, pending[i]);
                undone += (int)(before - sends.n);
            }
            pending[i] = pending[--pending_n];
        }
        sends_expire(&sends, now_ms);
        for (size_t i = 0; i < heard.n; i++)
            words += heard.text[i] == ' ';
        CHECK_EQ(added, words + undone + (int)sends.n);
    }
    for (int writer = 0; writer < SENDERS; writer++)
        sends_forget(&sends, &who[writer]);
    sends_release(&sends);
}
