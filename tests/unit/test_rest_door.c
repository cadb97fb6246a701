/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/door.h"
#include "tests/unit/test.h"

#define HEAD "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define PROXY "PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: x\r\n"

enum { BODY_MAX = 100 * 1024, CONNS_MAX = 8 };

static const struct address_ranges nobody;

/* The text behind Bearer is the user; what there is of it decides. */
static struct door_grant grant(void *arg, const struct request_head *head)
{
    struct door_grant door_grant = { .body_max = BODY_MAX, .limit = "100 KiB at most" };

    (void)arg;
    if (head->authorization.n == 1) {
        door_grant.has_user = true;
        door_grant.user = id_derive("user", &head->authorization, 1);
    }
    return door_grant;
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

static bool enter(struct door *door, struct door_conn *conn, uint8_t last, struct door_conn **ret)
{
    *conn = (struct door_conn){ 0 };
    return door_enter(door, conn, address(last), 1000, ret);
}

static struct door_answer look(struct door *door, struct door_conn *conn, const char *text)
{
    return door_look(door, conn, span_str(text), 2000);
}

/* A head that announces `n` bytes for `user` ("" for none), and `have` of them. */
static struct door_answer announce(struct door *door, struct door_conn *conn, const char *user,
                                   size_t n, size_t have)
{
    static char text[256 * 1024];
    int head_n = snprintf(text, sizeof text, POST "%s%s%sContent-Length: %zu\r\n\r\n",
                          *user ? "Authorization: " : "", user, *user ? "\r\n" : "", n);

    memset(text + head_n, ' ', have);
    return door_look(door, conn, span_of(text, (size_t)head_n + have), 2000);
}

TEST(less_memory_than_one_body_is_refused)
{
    struct door_conf door_conf = conf(0);
    struct door door;

    door_conf.body_memory_bytes = door_memory_least(&door_conf) - 1;
    CHECK(!door_init(&door, &door_conf));
    door_conf.body_memory_bytes++;
    CHECK(door_init(&door, &door_conf));
    CHECK_EQ(door.pool_bytes + CONNS_MAX * DOOR_SMALL_MAX, door_conf.body_memory_bytes);
    door_release(&door);
}

TEST(the_longest_waiting_makes_room)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn[CONNS_MAX + 1], *instead;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    for (uint8_t i = 0; i < CONNS_MAX; i++)
        CHECK(enter(&door, &conn[i], i / 2, &instead));
    CHECK_EQ(look(&door, &conn[0], HEAD).verdict, DOOR_PASS); /* at work: waits for nobody */
    CHECK(!enter(&door, &conn[CONNS_MAX], 9, &instead));
    CHECK(instead == &conn[1]);
    door_again(&door, &conn[0], 0, 3000);
    CHECK_EQ(look(&door, &conn[1], "GET").verdict, DOOR_WAIT); /* no sooner done for some bytes */
    CHECK(!enter(&door, &conn[CONNS_MAX], 9, &instead));
    CHECK(instead == &conn[1]);
    door_leave(&door, &conn[1]);
    CHECK(enter(&door, &conn[CONNS_MAX], 9, &instead));
    CHECK_EQ(door.conns_n, CONNS_MAX);
    for (int i = 0; i <= CONNS_MAX; i++)
        if (i != 1)
            door_leave(&door, &conn[i]);
    CHECK_EQ(door.conns_n, 0);
    CHECK_EQ(door.by_address.n, 0);
    CHECK(!door.waiting && !door.waiting_last && !door.all);
    door_release(&door);
}

TEST(at_work_all_of_them_nobody_makes_room)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn[CONNS_MAX + 1], *instead;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    for (uint8_t i = 0; i < CONNS_MAX; i++) {
        CHECK(enter(&door, &conn[i], i, &instead));
        CHECK_EQ(look(&door, &conn[i], HEAD).verdict, DOOR_PASS);
    }
    CHECK(!enter(&door, &conn[CONNS_MAX], 9, &instead));
    CHECK(!instead);
    door_release(&door);
}

TEST(an_address_makes_room_by_itself)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn[6], *instead;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn[0], 1, &instead));
    for (int i = 1; i < 5; i++)
        CHECK(enter(&door, &conn[i], 2, &instead));
    CHECK(!enter(&door, &conn[5], 2, &instead));
    CHECK(instead == &conn[1]); /* not c[0], which waits for longer */
    door_leave(&door, &conn[1]);
    CHECK(enter(&door, &conn[1], 2, &instead));
    CHECK(enter(&door, &conn[5], 3, &instead));
    door_release(&door);
}

TEST(small_bodies_need_nothing)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(announce(&door, &conn, "", DOOR_SMALL_MAX, 0).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&door, &conn, "", DOOR_SMALL_MAX, DOOR_SMALL_MAX - 1).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&door, &conn, "", DOOR_SMALL_MAX, DOOR_SMALL_MAX).verdict, DOOR_PASS);
    CHECK_EQ(door.pool_used, 0);
    door_again(&door, &conn, 0, 3000);
    CHECK_EQ(announce(&door, &conn, "", DOOR_SMALL_MAX + 1, 0).status, 413);
    CHECK_EQ(conn.state, DOOR_REFUSED);
    door_release(&door);
}

TEST(large_bodies_are_paid_for_before_they_come)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door_answer answer;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    answer = announce(&door, &conn, "a", BODY_MAX, 0);
    CHECK_EQ(answer.verdict, DOOR_WAIT);
    CHECK(answer.room_n >= BODY_MAX);
    CHECK_EQ(door.pool_used, answer.room_n);
    CHECK_EQ(announce(&door, &conn, "a", BODY_MAX, BODY_MAX).verdict, DOOR_PASS);
    CHECK_EQ(door.pool_used, answer.room_n); /* it is in memory until the answer is sent */
    door_again(&door, &conn, 0, 3000);
    CHECK_EQ(door.pool_used, 0);
    CHECK_EQ(door.by_user.n, 0);
    CHECK_EQ(announce(&door, &conn, "a", BODY_MAX + 1, 0).status, 413);
    door_leave(&door, &conn);
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(announce(&door, &conn, "wrong", BODY_MAX, 0).status, 401);
    door_leave(&door, &conn);
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(announce(&door, &conn, "a", BODY_MAX, 0).verdict, DOOR_WAIT);
    door_leave(&door, &conn);
    CHECK_EQ(door.pool_used, 0);
    door_release(&door);
}

TEST(a_body_that_outlives_its_connection_stays_paid)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door door;
    size_t charge;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(announce(&door, &conn, "a", BODY_MAX, BODY_MAX).verdict, DOOR_PASS);
    charge = door_take_charge(&conn);
    door_leave(&door, &conn);
    CHECK(charge && door.pool_used == charge);
    door_pay(&door, conn.user, charge);
    CHECK_EQ(door.pool_used, 0);
    door_release(&door);
}

TEST(the_pool_is_never_exceeded)
{
    struct door_conf door_conf = conf(0);
    struct door_conn conn[4], *instead;
    struct door door;

    door_conf.body_memory_bytes = door_memory_least(&door_conf) + 100 * 1024;
    CHECK(door_init(&door, &door_conf));
    for (uint8_t i = 0; i < 4; i++)
        CHECK(enter(&door, &conn[i], i, &instead));
    CHECK_EQ(announce(&door, &conn[0], "a", BODY_MAX, 0).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&door, &conn[1], "b", 60 * 1024, 0).verdict, DOOR_WAIT);
    CHECK_EQ(announce(&door, &conn[2], "c", BODY_MAX, 0).status, 503);
    CHECK(door.pool_used <= door.pool_bytes);
    CHECK_EQ(announce(&door, &conn[3], "c", DOOR_SMALL_MAX, DOOR_SMALL_MAX).verdict, DOOR_PASS);
    door_release(&door);
}

TEST(one_user_gets_a_share_of_the_pool)
{
    struct door_conf door_conf = conf(16 * 200 * 1024);
    struct door_conn conn[CONNS_MAX], *instead;
    struct door door;
    int taken = 0;

    CHECK(door_init(&door, &door_conf));
    for (uint8_t i = 0; i < CONNS_MAX; i++) {
        CHECK(enter(&door, &conn[i], i, &instead));
        taken += announce(&door, &conn[i], "a", BODY_MAX, 0).verdict == DOOR_WAIT;
    }
    CHECK_EQ(taken, 3);
    CHECK(door.pool_used <= door.pool_bytes / DOOR_USER_PARTS);
    door_release(&door);
}

TEST(chunks_grow_to_their_bound)
{
    static char text[16 * 1024];
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door door;
    int n = snprintf(text, sizeof text, POST "Transfer-Encoding: chunked\r\n\r\n");

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(look(&door, &conn, text).verdict, DOOR_WAIT);
    n += snprintf(text + n, sizeof text - (size_t)n, "%x\r\n%*s\r\n", DOOR_SMALL_MAX,
                  DOOR_SMALL_MAX, "");
    CHECK_EQ(look(&door, &conn, text).verdict, DOOR_WAIT);
    snprintf(text + n, sizeof text - (size_t)n, "1\r\n");
    CHECK_EQ(look(&door, &conn, text).status, 413);
    CHECK_EQ(door.pool_used, 0);
    door_release(&door);
}

TEST(many_small_chunks_cost_no_more_than_their_share)
{
    static char text[16 * 1024];
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door_answer answer = { .verdict = DOOR_WAIT };
    struct door door;
    size_t n = (size_t)snprintf(text, sizeof text, POST "Transfer-Encoding: chunked\r\n\r\n");

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    while (answer.verdict == DOOR_WAIT && n < sizeof text - 8) {
        n += (size_t)snprintf(text + n, sizeof text - n, "1\r\nx\r\n");
        answer = look(&door, &conn, text);
    }
    CHECK_EQ(answer.status, 413);
    CHECK(n < DOOR_SMALL_MAX + DOOR_SMALL_MAX / 8 + 128);
    door_release(&door);
}

TEST(heads_are_bounded_in_bytes_and_time)
{
    static char text[DOOR_HEAD_MAX + 1];
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead)); /* at 1000 */
    CHECK_EQ(door_tick(&door, &conn, 0, 1000 + DOOR_IDLE_MS - 1).verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&door, &conn, 0, 1000 + DOOR_IDLE_MS).verdict, DOOR_DROP);
    CHECK_EQ(look(&door, &conn, "GET").verdict, DOOR_WAIT); /* at 2000 */
    CHECK_EQ(look(&door, &conn, "GET /").verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&door, &conn, 5, 2000 + DOOR_HEAD_MS - 1).verdict, DOOR_WAIT);
    CHECK_EQ(door_tick(&door, &conn, 5, 2000 + DOOR_HEAD_MS).status, 408);
    CHECK(DOOR_HEAD_MS + DOOR_TICK_MS <= 10000);
    CHECK_EQ(door_tick(&door, &conn, 0, 2000 + DOOR_HEAD_MS + DOOR_REFUSED_MS - 1).verdict,
             DOOR_WAIT);
    CHECK_EQ(door_tick(&door, &conn, 0, 2000 + DOOR_HEAD_MS + DOOR_REFUSED_MS).verdict, DOOR_DROP);
    door_leave(&door, &conn);
    CHECK(enter(&door, &conn, 1, &instead));
    memset(text, 'x', DOOR_HEAD_MAX - 1);
    CHECK_EQ(look(&door, &conn, text).verdict, DOOR_WAIT);
    text[DOOR_HEAD_MAX - 1] = 'x';
    CHECK_EQ(look(&door, &conn, text).status, 431);
    door_release(&door);
}

TEST(a_body_keeps_its_pace)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door door;
    int64_t now_ms = 2000;
    size_t n;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(announce(&door, &conn, "a", BODY_MAX, 0).verdict, DOOR_WAIT);
    n = conn.window_n;
    for (int i = 0; i < 2; i++) {
        now_ms += DOOR_WINDOW_MS;
        n += DOOR_WINDOW_BYTES;
        CHECK_EQ(door_tick(&door, &conn, n - 1, now_ms - 1).verdict, DOOR_WAIT);
        CHECK_EQ(door_tick(&door, &conn, n, now_ms).verdict, DOOR_WAIT);
    }
    CHECK_EQ(door_tick(&door, &conn, n + DOOR_WINDOW_BYTES - 1, now_ms + DOOR_WINDOW_MS).status,
             408);
    CHECK_EQ(door.pool_used, 0);
    CHECK(!door_discard(&conn, DOOR_REFUSED_BYTES + 1));
    door_release(&door);
}

TEST(a_proxys_word_comes_first)
{
    struct address_ranges trusted;
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door_answer answer;
    struct door door;

    CHECK(address_ranges_parse("10.0.0.1", &trusted));
    door_conf.trusted = &trusted;
    door_conf.proxy_protocol = true;
    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(conn.state, DOOR_PROXY);
    CHECK(!conn.counted); /* a proxy is many people */
    answer = look(&door, &conn, PROXY HEAD);
    CHECK_EQ(answer.verdict, DOOR_SKIP);
    CHECK_EQ(answer.skip_n, sizeof PROXY - 1);
    CHECK(answer.renamed && conn.counted && !address_eq(conn.address, address(1)));
    CHECK_EQ(look(&door, &conn, HEAD).verdict, DOOR_PASS);
    door_leave(&door, &conn);
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_EQ(look(&door, &conn, HEAD).verdict, DOOR_DROP);
    door_leave(&door, &conn);
    CHECK(enter(&door, &conn, 2, &instead)); /* no proxy */
    CHECK_EQ(look(&door, &conn, PROXY HEAD).status, 400);
    door_release(&door);
}

TEST(what_comes_behind_a_request_is_looked_at)
{
    struct door_conf door_conf = conf(1024 * 1024);
    struct door_conn conn, *instead;
    struct door door;

    CHECK(door_init(&door, &door_conf));
    CHECK(enter(&door, &conn, 1, &instead));
    CHECK_STR(door_run(&door, &conn, span_str(HEAD), false), NULL);
    CHECK_STR(door_run(&door, &conn, span_str(POST "Content-Length: 1\r\n\r\n "), false), NULL);
    CHECK(door_run(&door, &conn, span_str(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                   false));
    CHECK(door_run(&door, &conn, span_str(POST "Content-Length: 8193\r\n\r\n"), false));
    CHECK(door_run(&door, &conn, span_str("GET / HTTP/1.1\r\n\r\n"), false));
    CHECK_STR(door_run(&door, &conn, span_str("GET / HTTP/1.1\r\n\r\n"), true), NULL);
    door_again(&door, &conn, sizeof POST "Transfer-Encoding: chunked\r\n\r\n" - 1, 3000);
    CHECK_EQ(look(&door, &conn, POST "Transfer-Encoding: chunked\r\n\r\n").status, 400);
    door_release(&door);
}
