/* SPDX-License-Identifier: MIT */
#include "edge/rest/door.h"
#include "tests/unit/test.h"

#define HEAD "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define PROXY "PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: x\r\n"

enum { BODY_MAX = 100 * 1024, CONNS_MAX = 8 };

static const struct address_ranges nobody;

/* The text behind Bearer is the user; what there is of it decides. */
static struct door_grant grant(void *arg, const struct request_head *head)
{
    struct door_grant g = { .body_max = BODY_MAX, .limit = "100 KiB at most" };

    (void)arg;
    if (head->authorization.n == 1) {
        g.has_user = true;
        g.user = id_derive("user", &head->authorization, 1);
    }
    return g;
}

static struct door_conf conf(size_t memory_bytes)
{
    return (struct door_conf){ .conns_max = CONNS_MAX,
                               .conns_per_address = 4,
                               .body_memory_bytes = memory_bytes,
                               .body_max = BODY_MAX,
                               .trusted = &nobody,
                               .grant = grant };
}

static struct cq_address address(uint8_t last)
{
    const uint8_t bytes[4] = { 10, 0, 0, last };

    return address_of_v4(bytes);
}

static bool enter(struct door *d, struct door_conn *c, uint8_t last, struct door_conn **ret)
{
    *c = (struct door_conn){ 0 };
    return door_enter(d, c, address(last), 1000, ret);
}

static struct door_answer look(struct door *d, struct door_conn *c, const char *text)
{
    return door_look(d, c, span_str(text), 2000);
}

/* A head that announces `n` bytes for `user` ("" for none), and `have` of them. */
static struct door_answer announce(struct door *d, struct door_conn *c, const char *user, size_t n,
                                   size_t have)
{
    static char text[256 * 1024];
    int head_n = snprintf(text, sizeof text, POST "%s%s%sContent-Length: %zu\r\n\r\n",
                          *user ? "Authorization: " : "", user, *user ? "\r\n" : "", n);

    memset(text + head_n, ' ', have);
    return door_look(d, c, span_of(text, (size_t)head_n + have), 2000);
}

TEST(less_memory_than_one_body_is_refused)
{
    struct door_conf k = conf(0);
    struct door d;

    k.body_memory_bytes = door_memory_least(&k) - 1;
    CHECK(!door_init(&d, &k));
    k.body_memory_bytes++;
    CHECK(door_init(&d, &k));
    CHECK_EQ(d.pool_bytes + CONNS_MAX * DOOR_SMALL_MAX, k.body_memory_bytes);
    door_release(&d);
}

TEST(the_longest_waiting_makes_room)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c[CONNS_MAX + 1], *instead;
    struct door d;

    CHECK(door_init(&d, &k));
    for (uint8_t i = 0; i < CONNS_MAX; i++)
        CHECK(enter(&d, &c[i], i / 2, &instead));
    CHECK_EQ(look(&d, &c[0], HEAD).verdict, DOOR_PASS); /* at work: waits for nobody */
    CHECK(!enter(&d, &c[CONNS_MAX], 9, &instead));
    CHECK(instead == &c[1]);
    door_again(&d, &c[0], 0, 3000);
    CHECK_EQ(look(&d, &c[1], "GET").verdict, DOOR_WAIT); /* no sooner done for some bytes */
    CHECK(!enter(&d, &c[CONNS_MAX], 9, &instead));
    CHECK(instead == &c[1]);
    door_leave(&d, &c[1]);
    CHECK(enter(&d, &c[CONNS_MAX], 9, &instead));
    CHECK_EQ(d.conns_n, CONNS_MAX);
    for (int i = 0; i <= CONNS_MAX; i++)
        if (i != 1)
            door_leave(&d, &c[i]);
    CHECK_EQ(d.conns_n, 0);
    CHECK_EQ(d.by_address.n, 0);
    CHECK(!d.waiting && !d.waiting_last && !d.all);
    door_release(&d);
}

TEST(at_work_all_of_them_nobody_makes_room)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c[CONNS_MAX + 1], *instead;
    struct door d;

    CHECK(door_init(&d, &k));
    for (uint8_t i = 0; i < CONNS_MAX; i++) {
        CHECK(enter(&d, &c[i], i, &instead));
        CHECK_EQ(look(&d, &c[i], HEAD).verdict, DOOR_PASS);
    }
    CHECK(!enter(&d, &c[CONNS_MAX], 9, &instead));
    CHECK(!instead);
    door_release(&d);
}

TEST(an_address_makes_room_by_itself)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c[6], *instead;
    struct door d;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c[0], 1, &instead));
    for (int i = 1; i < 5; i++)
        CHECK(enter(&d, &c[i], 2, &instead));
    CHECK(!enter(&d, &c[5], 2, &instead));
    CHECK(instead == &c[1]); /* not c[0], which waits for longer */
    door_leave(&d, &c[1]);
    CHECK(enter(&d, &c[1], 2, &instead));
    CHECK(enter(&d, &c[5], 3, &instead));
    door_release(&d);
}

TEST(small_bodies_need_nothing)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door d;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(announce(&d, &c, "", DOOR_SMALL_MAX, 0).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&d, &c, "", DOOR_SMALL_MAX, DOOR_SMALL_MAX - 1).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&d, &c, "", DOOR_SMALL_MAX, DOOR_SMALL_MAX).verdict, DOOR_PASS);
    CHECK_EQ(d.pool_used, 0);
    door_again(&d, &c, 0, 3000);
    CHECK_EQ(announce(&d, &c, "", DOOR_SMALL_MAX + 1, 0).status, 413);
    CHECK_EQ(c.state, DOOR_REFUSED);
    door_release(&d);
}

TEST(large_bodies_are_paid_for_before_they_come)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door_answer a;
    struct door d;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    a = announce(&d, &c, "a", BODY_MAX, 0);
    CHECK_EQ(a.verdict, DOOR_WAIT);
    CHECK(a.room_n >= BODY_MAX);
    CHECK_EQ(d.pool_used, a.room_n);
    CHECK_EQ(announce(&d, &c, "a", BODY_MAX, BODY_MAX).verdict, DOOR_PASS);
    CHECK_EQ(d.pool_used, a.room_n); /* it is in memory until the answer is sent */
    door_again(&d, &c, 0, 3000);
    CHECK_EQ(d.pool_used, 0);
    CHECK_EQ(d.by_user.n, 0);
    CHECK_EQ(announce(&d, &c, "a", BODY_MAX + 1, 0).status, 413);
    door_leave(&d, &c);
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(announce(&d, &c, "wrong", BODY_MAX, 0).status, 401);
    door_leave(&d, &c);
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(announce(&d, &c, "a", BODY_MAX, 0).verdict, DOOR_WAIT);
    door_leave(&d, &c);
    CHECK_EQ(d.pool_used, 0);
    door_release(&d);
}

TEST(a_body_that_outlives_its_connection_stays_paid)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door d;
    size_t charge;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(announce(&d, &c, "a", BODY_MAX, BODY_MAX).verdict, DOOR_PASS);
    charge = door_take_charge(&c);
    door_leave(&d, &c);
    CHECK(charge && d.pool_used == charge);
    door_pay(&d, c.user, charge);
    CHECK_EQ(d.pool_used, 0);
    door_release(&d);
}

TEST(the_pool_is_never_exceeded)
{
    struct door_conf k = conf(0);
    struct door_conn c[4], *instead;
    struct door d;

    k.body_memory_bytes = door_memory_least(&k) + 100 * 1024;
    CHECK(door_init(&d, &k));
    for (uint8_t i = 0; i < 4; i++)
        CHECK(enter(&d, &c[i], i, &instead));
    CHECK_EQ(announce(&d, &c[0], "a", BODY_MAX, 0).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&d, &c[1], "b", 60 * 1024, 0).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&d, &c[2], "c", BODY_MAX, 0).status, 503);
    CHECK(d.pool_used <= d.pool_bytes);
    CHECK_EQ(announce(&d, &c[3], "c", DOOR_SMALL_MAX, DOOR_SMALL_MAX).verdict, DOOR_PASS);
    door_release(&d);
}

TEST(one_user_gets_a_share_of_the_pool)
{
    struct door_conf k = conf(16 * 200 * 1024);
    struct door_conn c[CONNS_MAX], *instead;
    struct door d;
    int taken = 0;

    CHECK(door_init(&d, &k));
    for (uint8_t i = 0; i < CONNS_MAX; i++) {
        CHECK(enter(&d, &c[i], i, &instead));
        taken += announce(&d, &c[i], "a", BODY_MAX, 0).verdict == DOOR_WAIT;
    }
    CHECK_EQ(taken, 3);
    CHECK(d.pool_used <= d.pool_bytes / DOOR_USER_PARTS);
    door_release(&d);
}

TEST(chunks_grow_to_their_bound)
{
    static char text[16 * 1024];
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door d;
    int n = snprintf(text, sizeof text, POST "Transfer-Encoding: chunked\r\n\r\n");

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(look(&d, &c, text).verdict, DOOR_WAIT);
    n += snprintf(text + n, sizeof text - (size_t)n, "%x\r\n%*s\r\n", DOOR_SMALL_MAX,
                  DOOR_SMALL_MAX, "");
    CHECK_EQ(look(&d, &c, text).verdict, DOOR_WAIT);
    snprintf(text + n, sizeof text - (size_t)n, "1\r\n");
    CHECK_EQ(look(&d, &c, text).status, 413);
    CHECK_EQ(d.pool_used, 0);
    door_release(&d);
}

TEST(many_small_chunks_cost_no_more_than_their_share)
{
    static char text[16 * 1024];
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door_answer a = { .verdict = DOOR_WAIT };
    struct door d;
    size_t n = (size_t)snprintf(text, sizeof text, POST "Transfer-Encoding: chunked\r\n\r\n");

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    while (a.verdict == DOOR_WAIT && n < sizeof text - 8) {
        n += (size_t)snprintf(text + n, sizeof text - n, "1\r\nx\r\n");
        a = look(&d, &c, text);
    }
    CHECK_EQ(a.status, 413);
    CHECK(n < DOOR_SMALL_MAX + DOOR_SMALL_MAX / 8 + 128);
    door_release(&d);
}

TEST(heads_are_bounded_in_bytes_and_time)
{
    static char text[DOOR_HEAD_MAX + 1];
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door d;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead)); /* at 1000 */
    CHECK_EQ(door_tick(&d, &c, 0, 1000 + DOOR_IDLE_MS - 1).verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&d, &c, 0, 1000 + DOOR_IDLE_MS).verdict, DOOR_DROP);
    CHECK_EQ(look(&d, &c, "GET").verdict, DOOR_WAIT); /* at 2000 */
    CHECK_EQ(look(&d, &c, "GET /").verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&d, &c, 5, 2000 + DOOR_HEAD_MS - 1).verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&d, &c, 5, 2000 + DOOR_HEAD_MS).status, 408);
    CHECK(DOOR_HEAD_MS + DOOR_TICK_MS <= 10000);
    CHECK_EQ(door_tick(&d, &c, 0, 2000 + DOOR_HEAD_MS + DOOR_REFUSED_MS - 1).verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&d, &c, 0, 2000 + DOOR_HEAD_MS + DOOR_REFUSED_MS).verdict, DOOR_DROP);
    door_leave(&d, &c);
    CHECK(enter(&d, &c, 1, &instead));
    memset(text, 'x', DOOR_HEAD_MAX - 1);
    CHECK_EQ(look(&d, &c, text).verdict, DOOR_WAIT);
    text[DOOR_HEAD_MAX - 1] = 'x';
    CHECK_EQ(look(&d, &c, text).status, 431);
    door_release(&d);
}

TEST(a_body_keeps_its_pace)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door d;
    int64_t now_ms = 2000;
    size_t n;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(announce(&d, &c, "a", BODY_MAX, 0).verdict, DOOR_WAIT);
    n = c.window_n;
    for (int i = 0; i < 2; i++) {
        now_ms += DOOR_WINDOW_MS;
        n += DOOR_WINDOW_BYTES;
        CHECK_EQ(door_tick(&d, &c, n - 1, now_ms - 1).verdict, DOOR_WAIT);
        CHECK_EQ(door_tick(&d, &c, n, now_ms).verdict, DOOR_WAIT);
    }
    CHECK_EQ(door_tick(&d, &c, n + DOOR_WINDOW_BYTES - 1, now_ms + DOOR_WINDOW_MS).status, 408);
    CHECK_EQ(d.pool_used, 0);
    CHECK(!door_discard(&c, DOOR_REFUSED_BYTES + 1));
    door_release(&d);
}

TEST(a_proxys_word_comes_first)
{
    struct address_ranges trusted;
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door_answer a;
    struct door d;

    CHECK(address_ranges_parse("10.0.0.1", &trusted));
    k.trusted = &trusted;
    k.proxy_protocol = true;
    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(c.state, DOOR_PROXY);
    CHECK(!c.counted); /* a proxy is many people */
    a = look(&d, &c, PROXY HEAD);
    CHECK_EQ(a.verdict, DOOR_SKIP);
    CHECK_EQ(a.skip_n, sizeof PROXY - 1);
    CHECK(a.renamed && c.counted && !address_eq(c.address, address(1)));
    CHECK_EQ(look(&d, &c, HEAD).verdict, DOOR_PASS);
    door_leave(&d, &c);
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_EQ(look(&d, &c, HEAD).verdict, DOOR_DROP);
    door_leave(&d, &c);
    CHECK(enter(&d, &c, 2, &instead)); /* no proxy */
    CHECK_EQ(look(&d, &c, PROXY HEAD).status, 400);
    door_release(&d);
}

TEST(what_comes_behind_a_request_is_looked_at)
{
    struct door_conf k = conf(1024 * 1024);
    struct door_conn c, *instead;
    struct door d;

    CHECK(door_init(&d, &k));
    CHECK(enter(&d, &c, 1, &instead));
    CHECK_STR(door_run(&d, &c, span_str(HEAD), false), NULL);
    CHECK_STR(door_run(&d, &c, span_str(POST "Content-Length: 1\r\n\r\n "), false), NULL);
    CHECK(door_run(&d, &c, span_str(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), false));
    CHECK(door_run(&d, &c, span_str(POST "Content-Length: 8193\r\n\r\n"), false));
    CHECK(door_run(&d, &c, span_str("GET / HTTP/1.1\r\n\r\n"), false));
    CHECK_STR(door_run(&d, &c, span_str("GET / HTTP/1.1\r\n\r\n"), true), NULL);
    door_again(&d, &c, sizeof POST "Transfer-Encoding: chunked\r\n\r\n" - 1, 3000);
    CHECK_EQ(look(&d, &c, POST "Transfer-Encoding: chunked\r\n\r\n").status, 400);
    door_release(&d);
}
