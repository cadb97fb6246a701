/* SPDX-License-Identifier: MIT */
#include "edge/ws/client_frame.h"
#include "edge/ws/conn_state.h"
#include "edge/ws/peers.h"
#include "edge/ws/pressure.h"
#include "edge/ws/rates.h"
#include "edge/ws/receipts.h"
#include "edge/ws/reply.h"
#include "schemas/names.h"
#include "tests/unit/test.h"

#include <stdlib.h>

#define U1 "01234567-89ab-8def-8123-456789abcdef"
#define U2 "11234567-89ab-8def-8123-456789abcdef"

static struct cq_id id_at(const char *text)
{
    struct cq_id id = { 0 };

    return id_parse(span_str(text), &id) ? id : (struct cq_id){ 0 };
}

/* ---- client frames */

TEST(client_ok_is_read_without_a_parser)
{
    static const struct {
        const char *text;
        int64_t n; /* -1: not that form */
    } rows[] = {
        { "{\"t\":\"ok\",\"n\":17}", 17 },
        { "{\"t\":\"ok\",\"n\":0}", 0 },
        { "{\"t\":\"ok\",\"n\":}", -1 },
        { "{\"t\":\"ok\",\"n\":08}", -1 },
        { "{\"t\":\"ok\",\"n\":00}", -1 },
        { "{\"t\":\"ok\",\"n\":1", -1 },
        { "{\"t\":\"ok\",\"n\":-1}", -1 },
        { "{\"t\":\"ok\",\"n\":1.5}", -1 },
        { "{\"t\":\"ok\", \"n\":17}", -1 },
        { "{\"t\":\"ok\",\"n\":999999999999999}", 999999999999999 },
        { "{\"t\":\"ok\",\"n\":1234567890123456}", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t n = -1;
        bool ok = client_ok_parse(span_str(rows[i].text), &n);

        CHECK_EQ_ROW(rows[i].text, ok, rows[i].n >= 0);
        CHECK_EQ_ROW(rows[i].text, ok ? n : -1, rows[i].n);
    }
}

TEST(client_frames_are_checked_for_form_and_size)
{
    static const struct {
        const char *text;
        int kind;         /* -1: refused */
        const char *code; /* of the refusal */
        bool nackable;
    } rows[] = {
        { "{\"t\":\"ping\"}", CLIENT_PING, NULL, false },
        { "{\"t\":\"auth\",\"token\":\"x\"}", CLIENT_AUTH, NULL, false },
        { "{\"t\":\"auth\"}", -1, "bad_request", false },
        { "{\"n\":3,\"t\":\"ok\"}", CLIENT_OK, NULL, false },
        { "{\"n\":-3,\"t\":\"ok\"}", -1, "bad_request", false },
        { "{\"t\":\"look\",\"ticket\":\"x\"}", CLIENT_LOOK, NULL, false },
        { "{\"t\":\"look\"}", -1, "bad_request", false },
        { "{\"t\":\"unlook\",\"chatId\":\"" U1 "\"}", CLIENT_UNLOOK, NULL, false },
        { "{\"t\":\"unlook\",\"userId\":\"" U1 "\"}", CLIENT_UNLOOK, NULL, false },
        { "{\"t\":\"unlook\"}", -1, "bad_request", false },
        { "{\"t\":\"unlook\",\"userId\":\"" U1 "\",\"chatId\":\"" U2 "\"}", -1, "bad_request",
          false },
        { "{\"t\":\"here\"}", CLIENT_HERE, NULL, false },
        { "{\"t\":\"away\"}", CLIENT_AWAY, NULL, false },
        { "{\"t\":\"signal\",\"chatId\":\"" U1 "\",\"state\":\"recording\"}", CLIENT_SIGNAL, NULL,
          false },
        { "{\"t\":\"signal\",\"chatId\":\"" U1 "\",\"state\":\"singing\"}", -1, "bad_request",
          false },
        { "{\"t\":\"signal\",\"state\":\"typing\"}", -1, "bad_request", false },
        { "{\"t\":\"nothing\"}", -1, "bad_request", false },
        { "[1]", -1, "bad_request", false },
        { "not json", -1, "bad_request", false },
        { "", -1, "bad_request", false },
        { "{\"t\":\"receipt\",\"chatId\":\"" U1 "\",\"delivered\":5}", CLIENT_RECEIPT, NULL,
          false },
        { "{\"t\":\"receipt\",\"peer\":\"" U2 "\",\"read\":5}", CLIENT_RECEIPT, NULL, false },
        { "{\"t\":\"receipt\",\"chatId\":\"" U1 "\"}", -1, "bad_request", false },
        { "{\"t\":\"receipt\",\"chatId\":\"" U1 "\",\"read\":9007199254740992}", -1, "bad_request",
          false },
        { "{\"t\":\"receipt\",\"chatId\":\"x\",\"read\":1}", -1, "bad_request", false },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"chatId\":\"" U1
          "\",\"type\":\"text\",\"content\":\"hi\"}",
          CLIENT_ACTION, NULL, true },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"chatID\":\"" U1
          "\",\"type\":\"text\",\"content\":\"hi\"}",
          CLIENT_ACTION, NULL, true },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"peer\":\"" U2
          "\",\"type\":\"text\",\"content\":\"hi\"}",
          CLIENT_ACTION, NULL, true },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"peer\":\"" U2 "\",\"chatId\":\"" U1
          "\",\"type\":\"text\",\"content\":\"hi\"}",
          -1, "bad_request", true },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"chatId\":\"" U1
          "\",\"type\":\"poem\",\"content\":\"hi\"}",
          -1, "bad_request", true },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"chatId\":\"" U1
          "\",\"type\":\"text\",\"content\":\"\"}",
          -1, "bad_request", true },
        { "{\"t\":\"message.send\",\"clientId\":\"c c\",\"chatId\":\"" U1
          "\",\"type\":\"text\",\"content\":\"x\"}",
          -1, "bad_request", false },
        { "{\"t\":\"message.send\",\"clientId\":\"c\",\"type\":\"text\",\"content\":\"x\"}", -1,
          "bad_request", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client_frame frame;
        const char *code = NULL, *why = NULL;
        enum cq_status st =
            client_frame_parse(span_str(rows[i].text), id_at(U1), &frame, &code, &why);

        CHECK_EQ_ROW(rows[i].text, st == CQ_OK ? (int)frame.kind : -1, rows[i].kind);
        CHECK_EQ_ROW(rows[i].text, frame.client_id.n != 0, rows[i].nackable);
        if (st != CQ_OK)
            CHECK_STR(code, rows[i].code);
        client_frame_release(&frame);
    }
}

TEST(client_send_of_a_direct_chat_gets_the_derived_chat)
{
    struct client_frame frame;
    const char *code, *why;

    CHECK_EQ(client_frame_parse(span_str("{\"t\":\"message.send\",\"clientId\":\"c\",\"peer\":\"" U2
                                         "\",\"type\":\"image\",\"content\":\"x\"}"),
                                id_at(U1), &frame, &code, &why),
             CQ_OK);
    CHECK(id_eq(frame.chat, chat_id_direct(id_at(U1), id_at(U2))));
    CHECK_EQ(frame.action.action.kind, CHAT_ACTION_MESSAGE_SENT);
    CHECK_EQ(frame.action.action.u.message_sent.type, MESSAGE_TYPE_IMAGE);
    client_frame_release(&frame);
}

TEST(client_send_says_what_it_answers_whom_it_mentions_and_that_it_is_forwarded)
{
    struct client_frame frame;
    const char *code, *why;
    const struct message_sent *sent = &frame.action.action.u.message_sent;

#define SEND_WITH(rest)                                                                       \
    client_frame_parse(span_str("{\"t\":\"message.send\",\"clientId\":\"c\",\"chatId\":\"" U1 \
                                "\",\"type\":\"text\",\"content\":\"x\"," rest "}"),          \
                       id_at(U1), &frame, &code, &why)
    CHECK_EQ(SEND_WITH("\"replyTo\":{\"id\":\"" U2 "\",\"seq\":7},\"mentions\":[\"" U2
                       "\"],\"forwardedFrom\":4000000000"),
             CQ_OK);
    CHECK(sent->has_reply_to && id_eq(sent->reply_to.id, id_at(U2)));
    CHECK_EQ(sent->reply_to.seq, 7);
    CHECK_EQ(sent->mentions_n, 1);
    CHECK(id_eq(sent->mentions[0], id_at(U2)));
    CHECK(sent->has_forwarded);
    CHECK_EQ(sent->forwarded, LIMIT_MESSAGE_SENT_FORWARDED_MAX);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"mentions\":[]"), CQ_OK);
    CHECK(!sent->has_reply_to && !sent->mentions_n && !sent->has_forwarded);
    client_frame_release(&frame);
    CHECK(!sent->has_contents);
    CHECK_EQ(SEND_WITH("\"location\":{\"latitude\":1.5,\"longitude\":-2,\"accuracy\":7}"), CQ_OK);
    CHECK(sent->has_contents && sent->contents.has_location && !sent->contents.has_contact);
    CHECK_EQ(sent->contents.location.latitude, 15000000);
    CHECK_EQ(sent->contents.location.accuracy, 7);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"contact\":{\"name\":\"Ann\",\"numbers\":[\"1\",\"2\"]}"), CQ_OK);
    CHECK_EQ(sent->contents.contact.numbers_n, 2);
    CHECK(!sent->contents.contact.has_user_id);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"preview\":{\"url\":\"https://a\",\"title\":\"A\"}"), CQ_OK);
    CHECK(sent->has_preview && sent->preview.has_title && !sent->preview.has_media_id);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"preview\":{\"title\":\"A\"}"), CQ_POISON);
    CHECK(strncmp(why, "preview: a url", 14) == 0);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"location\":{\"latitude\":91,\"longitude\":0}"), CQ_POISON);
    CHECK(strncmp(why, "location: latitude -90 to 90", 28) == 0);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"contact\":{\"name\":\"Ann\",\"numbers\":[]}"), CQ_POISON);
    CHECK_STR(why, "contact: a name, 1 to 5 numbers, and a userId if it is known");
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"replyTo\":{\"id\":\"" U2 "\"}"), CQ_POISON);
    CHECK_STR(why, "replyTo: the id and the seq of a message");
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"replyTo\":\"" U2 "\""), CQ_POISON);
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"mentions\":[\"nobody\"]"), CQ_POISON);
    CHECK_STR(why, "mentions: at most 32 user ids");
    client_frame_release(&frame);
    CHECK_EQ(SEND_WITH("\"forwardedFrom\":-1"), CQ_POISON);
    CHECK_STR(why, "forwardedFrom: how often it was forwarded before, from 0");
    client_frame_release(&frame);
#undef SEND_WITH
}

TEST(client_send_of_too_much_content_is_too_large)
{
    static char text[40 * 1024];
    struct client_frame frame;
    const char *code, *why;
    int n = snprintf(text, sizeof text,
                     "{\"t\":\"message.send\",\"clientId\":\"c\",\"chatId\":\"" U1
                     "\",\"type\":\"text\",\"content\":\"");

    memset(text + n, 'x', 32 * 1024 + 1);
    memcpy(text + n + 32 * 1024 + 1, "\"}", 3);
    CHECK_EQ(client_frame_parse(span_str(text), id_at(U1), &frame, &code, &why), CQ_POISON);
    CHECK_STR(code, "too_large");
    CHECK_SPAN(frame.client_id, "c");
    client_frame_release(&frame);
}

TEST(a_refused_frame_is_named_as_far_as_it_could_be_read)
{
    static const struct {
        const char *text, *of, *client;
        bool chat;
    } rows[] = {
        { "{\"t\":\"message.edit\",\"clientId\":\"c7\",\"chatId\":\"" U1 "\"}", "message.edit",
          "c7", true },
        { "{\"t\":\"receipt\",\"peer\":\"" U2 "\"}", "receipt", "", true },
        { "{\"t\":\"receipt\",\"chatId\":\"x\",\"clientId\":7}", "receipt", "", false },
        { "{\"t\":\"a \\\"b\",\"clientId\":\"has space\"}", "", "", false },
        { "{\"t\":", "", "", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client_frame frame;
        struct frame_about about;
        const char *code, *why;

        CHECK_EQ(client_frame_parse(span_str(rows[i].text), id_at(U1), &frame, &code, &why),
                 CQ_POISON);
        about = client_frame_about(&frame);
        CHECK_EQ_ROW(rows[i].text, about.has_of, *rows[i].of != 0);
        CHECK_EQ_ROW(rows[i].text, about.has_client_id, *rows[i].client != 0);
        CHECK_EQ_ROW(rows[i].text, about.has_chat, rows[i].chat);
        if (about.has_of)
            CHECK_SPAN(about.of, rows[i].of);
        if (about.has_client_id)
            CHECK_SPAN(about.client_id, rows[i].client);
        client_frame_release(&frame);
    }
}

/* ---- states of a connection */

TEST(a_connection_moves_only_as_it_is_drawn)
{
    /* Rows: from; columns: to, in the order of the enum. */
    static const char *const rows[] = {
        [CONN_HANDSHAKE] = ".VMG.....", [CONN_VOUCHED] = "..MG.....",
        [CONN_MISPLACED] = "...G.....", [CONN_GUEST] = "....K.CEX",
        [CONN_KNOWN] = ".....DCEX",     [CONN_DOOMED] = "......CEX",
        [CONN_CLOSING] = ".......EX",   [CONN_CLOSED] = "........X",
        [CONN_GONE] = ".........",
    };

    _Static_assert(ARRAY_LEN(rows) == CONN_STATE_N, "a row for each state");
    for (int from = 0; from < CONN_STATE_N; from++)
        for (int to = 0; to < CONN_STATE_N; to++)
            CHECK_EQ_ROW(rows[from], conn_state_may_follow(from, to), rows[from][to] != '.');
}

TEST(a_connection_is_known_while_live_and_live_while_open)
{
    static const struct {
        const char *name;
        enum conn_state state;
        bool open, live, known;
    } rows[] = {
        { "handshake", CONN_HANDSHAKE, false, false, false },
        { "vouched", CONN_VOUCHED, false, false, false },
        { "misplaced", CONN_MISPLACED, false, false, false },
        { "guest", CONN_GUEST, true, true, false },
        { "known", CONN_KNOWN, true, true, true },
        { "doomed", CONN_DOOMED, true, true, true },
        { "closing", CONN_CLOSING, true, false, false },
        { "closed", CONN_CLOSED, true, false, false },
        { "gone", CONN_GONE, false, false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ_ROW(rows[i].name, conn_state_is_open(rows[i].state), rows[i].open);
        CHECK_EQ_ROW(rows[i].name, conn_state_is_live(rows[i].state), rows[i].live);
        CHECK_EQ_ROW(rows[i].name, conn_state_is_known(rows[i].state), rows[i].known);
    }
}

/* ---- answers */

TEST(replies_are_whole_websocket_frames)
{
    struct cq_buf out;
    uint8_t head[WIRE_HEAD_MAX];

    buf_init(&out, 1000);
    reply_pong(&out);
    CHECK_SPAN(buf_span(&out), "\x81\x0c{\"t\":\"pong\"}");
    buf_clear(&out);
    reply_nack(&out, span_str("a\"b"), "retry", 500);
    CHECK_EQ(out.p[1], out.n - 2);
    CHECK_SPAN(span_of(out.p + 2, out.n - 2),
               "{\"t\":\"nack\",\"clientId\":\"a\\\"b\",\"code\":\"retry\",\"retryAfter\":500}");
    buf_clear(&out);
    reply_ack(&out, span_str("k"), id_at(U1));
    CHECK_SPAN(span_of(out.p + 2, out.n - 2),
               "{\"t\":\"ack\",\"clientId\":\"k\",\"id\":\"" U1 "\"}");
    buf_clear(&out);
    reply_error(&out, "bad_request", "t", &(struct frame_about){ .has_of = false });
    CHECK_SPAN(span_of(out.p + 2, out.n - 2),
               "{\"t\":\"error\",\"code\":\"bad_request\",\"message\":\"t\"}");
    buf_clear(&out);
    reply_welcome(&out);
    CHECK_SPAN(
        span_of(out.p + 4, out.n - 4),
        "{\"t\":\"welcome\",\"capabilities\":[\"replies\",\"mentions\",\"forwards\",\"locations\",\"contacts\",\"previews\",\"voices\",\"edits\","
        "\"deletions\",\"reactions\",\"typing\",\"presence\",\"privacy\",\"blocks\",\"readReceipts\",\"timers\",\"hiding\",\"marks\",\"drafts\",\"descriptions\",\"rights\",\"pins\",\"stars\",\"search\",\"links\",\"invites\",\"groupPictures\",\"lines\",\"polls\"],\"limits\":{"
        "\"contentBytes\":32768,\"clientIdChars\":64,\"mentions\":32,\"frameBytes\":65536}}");
    buf_release(&out);
    CHECK_EQ(wire_head(WIRE_FIN_TEXT, 125, head), 2);
    CHECK_EQ(wire_head(WIRE_FIN_TEXT, 126, head), 4);
    CHECK_EQ(head[2] << 8 | head[3], 126);
    CHECK_EQ(wire_head(WIRE_FIN_TEXT, 65535, head), 4);
    CHECK_EQ(wire_head(WIRE_FIN_TEXT, 65536, head), 10);
    CHECK_EQ(head[7] << 16 | head[8] << 8 | head[9], 65536);
}

/* ---- pressure */

/* A system that delivers `per_s` messages and no more while `offered_s` come in, in 10 ms steps. */
struct road {
    struct pressure p;
    uint8_t credit[200]; /* of as many sockets */
    unsigned turn;
    double waiting; /* taken and not delivered */
    double late_ms; /* what the last one delivered took */
    double taken, delivered, refused;
    double view_per_s, unseen; /* what the view takes in, and has not yet; 0: the view is away */
    double tick_late_ms;
    int64_t now_ms;
};

static void road_view(struct road *road, double came)
{
    double out = road->view_per_s / 100;

    road->unseen += came;
    if (out > road->unseen)
        out = road->unseen;
    road->unseen -= out;
    if (road->view_per_s > 0) {
        road->tick_late_ms = 80 + 1000 * road->unseen / road->view_per_s;
        pressure_ticked(&road->p, (int64_t)out, (int64_t)(out * road->tick_late_ms));
    }
}

static void road_go(struct road *road, double per_s, double offered_s, int64_t for_ms)
{
    for (int64_t end_ms = road->now_ms + for_ms; road->now_ms < end_ms; road->now_ms += 10) {
        double out = per_s / 100;

        for (int i = 0; i < (int)(offered_s / 100); i++) {
            bool no = pressure_take(&road->p, &road->credit[road->turn++ % 200], road->now_ms) > 0;

            road->refused += no;
            road->waiting += !no;
            road->taken += !no;
        }
        if (out > road->waiting)
            out = road->waiting;
        road->late_ms = 20 + 1000 * road->waiting / per_s;
        road->waiting -= out;
        road->delivered += out;
        pressure_heard(&road->p, (int64_t)out, (int64_t)(out * road->late_ms));
        road_view(road, out);
        pressure_judge(&road->p, road->now_ms);
    }
}

/* Three times too much: after ten seconds `*late_ms` stays below `most_ms`, and next to all that
 * `per_s` of the slowest part allows is delivered. */
static void road_flood(struct road *road, double road_s, double per_s, int seconds,
                       const double *late_ms, double most_ms)
{
    double before;

    road_go(road, road_s, 90000, 10000);
    before = road->delivered;
    for (int i = 0; i < 10 * seconds; i++) {
        road_go(road, road_s, 90000, 100);
        CHECK(*late_ms < most_ms);
    }
    CHECK(road->delivered - before > 0.9 * per_s * seconds);
}

TEST(a_late_road_is_given_what_it_delivers_and_no_more)
{
    struct road road = { 0 };

    road_go(&road, 30000, 25000, 5000);
    CHECK_EQ(road.refused, 0); /* all it can do, and not late: nobody is refused */
    road_flood(&road, 30000, 30000, 10, &road.late_ms, 1500);
    road_go(&road, 30000, 1000, 10000);
    CHECK(road.late_ms < 100);
    CHECK_EQ(road.p.per_minute, 0); /* it is forgotten */
}

TEST(a_view_that_is_slower_than_the_road_is_waited_for)
{
    struct road road = { .view_per_s = 30000 };

    road_go(&road, 40000, 29000, 5000);
    CHECK_EQ(road.refused, 0);
    road_flood(&road, 40000, 30000, 50, &road.tick_late_ms, 4000);
    road_go(&road, 40000, 1000, 10000);
    CHECK(road.tick_late_ms < 100);
    CHECK_EQ(road.p.per_minute, 0);
}

TEST(a_view_that_is_away_refuses_nobody)
{
    struct road road = { .view_per_s = 30000 };

    road_go(&road, 40000, 20000, 5000);
    road.view_per_s = 0;
    road_go(&road, 40000, 20000, 60000);
    CHECK_EQ(road.refused, 0);
}

TEST(a_road_that_stands_is_not_given_all_that_is_offered)
{
    struct road road = { 0 };

    road_go(&road, 0.1, 90000, 1000);
    CHECK(road.taken < 1.5 * PRESSURE_UNDER_WAY_MAX);
    road = (struct road){ 0 };
    road_go(&road, 0.1, 3000, 30000); /* a quiet place takes on, it is safe in the log */
    CHECK_EQ(road.refused, 0);
}

TEST(late_messages_of_a_few_people_refuse_nobody)
{
    struct road road = { 0 };

    road_go(&road, 30000, 900, 1000);
    for (int i = 0; i < 40; i++) { /* some that were handed back, as late as is told */
        pressure_heard(&road.p, 60, 60 * 5000);
        road_go(&road, 30000, 900, 300);
    }
    CHECK_EQ(road.refused, 0);
}

/* ---- rates */

TEST(rates_allow_a_burst_and_then_the_rate)
{
    struct rates rates;
    uint32_t i;
    int allowed = 0;

    rates_init(&rates, 60, 600, 10); /* one a second, burst 20 */
    CHECK(rates_join(&rates, id_at(U1), 0, &i));
    while (!rates_take(&rates, i, 0))
        allowed++;
    CHECK_EQ(allowed, 20);
    CHECK_EQ(rates_take(&rates, i, 0), 1000);
    CHECK_EQ(rates_take(&rates, i, 999), 1);
    CHECK_EQ(rates_take(&rates, i, 1000), 0);
    CHECK_EQ(rates_take(&rates, i, 1000), 1000);
    rates_release(&rates);
}

TEST(rates_allow_three_seconds_of_messages_at_once)
{
    struct rates rates;
    uint32_t i;
    int allowed = 0;

    rates_init(&rates, 600, 9000, 10);
    CHECK(rates_join(&rates, id_at(U1), 0, &i));
    while (!rates_take(&rates, i, 0))
        allowed++;
    CHECK_EQ(allowed, 30);
    for (allowed = 0; !rates_take_receipt(&rates, i, 0); allowed++)
        ;
    CHECK_EQ(allowed, 1500);
    rates_release(&rates);
}

TEST(rates_count_the_receipts_of_all_sockets_of_a_user_together)
{
    struct rates rates;
    uint32_t first, second, other;
    int allowed = 0;

    rates_init(&rates, 60, 600, 10);
    CHECK(rates_join(&rates, id_at(U1), 0, &first));
    CHECK(rates_join(&rates, id_at(U1), 0, &second));
    CHECK(rates_join(&rates, id_at(U2), 0, &other));
    while (!rates_take_receipt(&rates, allowed % 2 ? first : second, 0))
        allowed++;
    CHECK_EQ(allowed, 100);
    CHECK_EQ(rates_take(&rates, first, 0), 0); /* messages have a bucket of their own */
    CHECK_EQ(rates_take_receipt(&rates, other, 0), 0);
    CHECK_EQ(rates_take_receipt(&rates, second, 100), 0); /* ten a second */
    rates_leave(&rates, first);
    rates_leave(&rates, second);
    rates_sweep(&rates, 10, 5000);
    CHECK(rates_join(&rates, id_at(U1), 5000, &first)); /* not forgotten: not full yet */
    for (allowed = 0; !rates_take_receipt(&rates, first, 5000); allowed++)
        ;
    CHECK_EQ(allowed, 49);
    rates_release(&rates);
}

TEST(rates_outlive_the_socket_until_the_bucket_is_full)
{
    struct rates rates;
    uint32_t first, second;

    rates_init(&rates, 60, 600, 1);
    CHECK(rates_join(&rates, id_at(U1), 0, &first));
    while (!rates_take(&rates, first, 0))
        ;
    rates_leave(&rates, first);
    CHECK(rates_join(&rates, id_at(U1), 100, &second));
    CHECK_EQ(rates_take(&rates, second, 100), 900);     /* a new socket is no new bucket */
    CHECK(!rates_join(&rates, id_at(U2), 100, &first)); /* room for one user only */
    rates_leave(&rates, second);
    rates_sweep(&rates, 1, 10000);
    CHECK(!rates_join(&rates, id_at(U2), 10000, &first)); /* not full yet */
    rates_sweep(&rates, 1, 20000);
    CHECK(rates_join(&rates, id_at(U2), 20000, &first));
    rates_release(&rates);
}

TEST(rates_bound_the_sockets_of_a_user)
{
    struct rates rates;
    uint32_t i;

    rates_init(&rates, 60, 600, 10);
    for (int k = 0; k < RATE_SOCKETS_MAX; k++)
        CHECK(rates_join(&rates, id_at(U1), 0, &i));
    CHECK(!rates_join(&rates, id_at(U1), 0, &i));
    rates_leave(&rates, i);
    CHECK(rates_join(&rates, id_at(U1), 0, &i));
    rates_release(&rates);
}

/* ---- peers */

static struct cq_id person(uint32_t n)
{
    struct cq_id id = { { 7 } };

    memcpy(id.b + 4, &n, sizeof n);
    return id;
}

TEST(a_user_writes_to_so_many_people_a_day)
{
    const int64_t day_ms = 24 * 3600 * 1000, now_ms = 20000 * day_ms + 1000;
    struct peers peers;

    peers_init(&peers, 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(peers_take(&peers, person(100), person(i), now_ms) == 0);
    CHECK(peers_take(&peers, person(100), person(3), now_ms) == day_ms - 1000);
    for (uint32_t i = 0; i < 3; i++) /* the same again */
        CHECK(peers_take(&peers, person(100), person(i), now_ms + 1) == 0);
    CHECK(peers_take(&peers, person(101), person(3), now_ms) == 0); /* another user */
    CHECK(peers_take(&peers, person(100), person(3), now_ms + day_ms - 1001) == 1);
    CHECK(peers_take(&peers, person(100), person(3), now_ms + day_ms - 1000) ==
          0); /* the next day */
    peers_release(&peers);
}

TEST(people_beyond_all_memory_refuse_nobody)
{
    struct peers peers;

    peers_init(&peers, PEERS_PAIRS_MAX);
    for (uint32_t i = 0; i < PEERS_PAIRS_MAX; i++)
        CHECK(peers_take(&peers, person(UINT32_MAX), person(i), 1) == 0);
    CHECK(peers.pairs.n == PEERS_PAIRS_MAX);
    CHECK(peers_take(&peers, person(UINT32_MAX - 1), person(0), 1) == 0);
    CHECK(peers.pairs.n == 1);
    peers_release(&peers);
}

/* ---- receipts */

static struct receipt receipt_of(int chat, int64_t delivered, int64_t read)
{
    return (struct receipt){ .chat_id = { { (uint8_t)chat, (uint8_t)(chat >> 8), 1 } },
                             .user_id = id_at(U1),
                             .device_id = id_at(U2),
                             .delivered_seq = delivered,
                             .read_seq = read };
}

TEST(receipts_leave_at_once_when_idle_and_together_when_not)
{
    struct receipts receipts;
    struct receipt *list, one = receipt_of(1, 5, 0), two = receipt_of(1, 7, 6),
                          other = receipt_of(2, 1, 0);
    size_t n;

    CHECK_EQ(receipts_init(&receipts, 4, 1000), CQ_OK);
    CHECK(receipts_add(&receipts, 2, &one, 1000));
    CHECK_EQ(receipts_take(&receipts, 1000, &list, &n), 2);
    CHECK_EQ(n, 1);
    CHECK_EQ(receipts_take(&receipts, 1000, &list, &n), -1);
    receipts_report(&receipts, 2, CQ_OK, 1005);
    CHECK(receipts_add(&receipts, 2, &two, 1010));
    CHECK(receipts_add(&receipts, 2, &one, 1020)); /* a step back changes nothing */
    CHECK(receipts_add(&receipts, 2, &other, 1030));
    CHECK_EQ(receipts_take(&receipts, 1099, &list, &n), -1);
    CHECK_EQ(receipts_take(&receipts, 1100, &list, &n), 2);
    CHECK_EQ(n, 2);
    CHECK_EQ(list[0].delivered_seq, 7);
    CHECK_EQ(list[0].read_seq, 6);
    CHECK(!receipts_is_empty(&receipts));
    receipts_report(&receipts, 2, CQ_OK, 1105);
    CHECK(receipts_is_empty(&receipts));
    receipts_release(&receipts);
}

TEST(what_is_hidden_does_not_become_told_by_what_is_gathered_with_it)
{
    struct receipts receipts;
    struct receipt_memory memory = { 0 };
    struct receipt *list, told = receipt_of(1, 0, 5), hidden = receipt_of(1, 0, 0);
    size_t n;

    hidden.hidden_seq = 9;
    CHECK_EQ(receipts_init(&receipts, 1, 0), CQ_OK);
    CHECK(receipts_add(&receipts, 0, &told, 0));
    CHECK(receipts_add(&receipts, 0, &hidden, 0));
    CHECK_EQ(receipts_take(&receipts, 0, &list, &n), 0);
    CHECK_EQ(n, 1);
    CHECK_EQ(list[0].read_seq, 5);
    CHECK_EQ(list[0].hidden_seq, 9);
    receipts_release(&receipts);
    /* said again with receipts on it is news */
    receipt_memory_keep(&memory, &hidden);
    CHECK(!receipt_memory_advances(&memory, &hidden));
    told.read_seq = 9;
    CHECK(receipt_memory_advances(&memory, &told));
}

TEST(receipts_not_stored_are_sent_again_with_what_came_since)
{
    struct receipts receipts;
    struct receipt *list, one = receipt_of(1, 5, 5), later = receipt_of(1, 9, 0);
    size_t n;

    CHECK_EQ(receipts_init(&receipts, 1, 0), CQ_OK);
    CHECK(receipts_add(&receipts, 0, &one, 0));
    CHECK_EQ(receipts_take(&receipts, 0, &list, &n), 0);
    CHECK(receipts_add(&receipts, 0, &later, 50));
    CHECK_EQ(receipts_take(&receipts, 500, &list, &n), -1); /* one record at a time */
    receipts_report(&receipts, 0, CQ_AGAIN, 600);
    CHECK_EQ(receipts_take(&receipts, 600 + RECEIPTS_RETRY_MS - 1, &list, &n), -1);
    CHECK_EQ(receipts_take(&receipts, 600 + RECEIPTS_RETRY_MS, &list, &n), 0);
    CHECK_EQ(n, 1);
    CHECK_EQ(list[0].delivered_seq, 9);
    CHECK_EQ(list[0].read_seq, 5);
    receipts_release(&receipts);
}

TEST(receipts_are_cut_and_bounded)
{
    struct receipts receipts;
    struct receipt *list, one;
    size_t n;
    int taken = 0;

    CHECK_EQ(receipts_init(&receipts, 1, 0), CQ_OK);
    for (int i = 0; i < RECEIPTS_WAITING_MAX; i++) {
        one = receipt_of(i, 1, 0);
        one.user_id.b[15] = (uint8_t)(i / RECEIPTS_USER_MAX);
        CHECK(receipts_add(&receipts, 0, &one, 0));
    }
    one = receipt_of(RECEIPTS_WAITING_MAX, 1, 0);
    one.user_id.b[15] = 99;
    CHECK(!receipts_add(&receipts, 0, &one, 0));
    for (int64_t now = 0; now < 1000; now += RECEIPTS_EVERY_MS) {
        if (receipts_take(&receipts, now, &list, &n) < 0)
            continue;
        CHECK(n <= LIMIT_RECEIPTS);
        CHECK_EQ(list[0].chat_id.b[0] | list[0].chat_id.b[1] << 8, taken);
        taken += (int)n;
        receipts_report(&receipts, 0, CQ_OK, now);
    }
    CHECK_EQ(taken, RECEIPTS_WAITING_MAX);
    CHECK(receipts_is_empty(&receipts));
    receipts_release(&receipts);
}

/* During an outage one user cannot take the places of all, and what is under way keeps its own. */
TEST(receipts_leave_room_for_others_and_for_what_comes_back)
{
    struct receipts receipts;
    struct receipt *list, one;
    size_t n, added = 0, back = 0;

    CHECK_EQ(receipts_init(&receipts, 1, 0), CQ_OK);
    for (int i = 0; i < RECEIPTS_USER_MAX; i++) {
        one = receipt_of(i, 1, 0);
        CHECK(receipts_add(&receipts, 0, &one, 0));
    }
    one = receipt_of(RECEIPTS_USER_MAX, 1, 0);
    CHECK(!receipts_add(&receipts, 0, &one, 0));
    one = receipt_of(0, 2, 0); /* a step forward takes no place */
    CHECK(receipts_add(&receipts, 0, &one, 0));
    one = receipt_of(RECEIPTS_USER_MAX, 1, 0);
    one.user_id.b[15] = 1;
    CHECK(receipts_add(&receipts, 0, &one, 0));

    CHECK_EQ(receipts_take(&receipts, 0, &list, &n), 0);
    CHECK_EQ(n, RECEIPTS_USER_MAX + 1);
    for (int i = 0; i < 2 * RECEIPTS_WAITING_MAX; i++) {
        one = receipt_of(i, 1, 0);
        one.user_id.b[14] = 1;
        one.user_id.b[15] = (uint8_t)(i % 100);
        added += receipts_add(&receipts, 0, &one, 0);
    }
    CHECK_EQ(added + n, RECEIPTS_WAITING_MAX);
    receipts_report(&receipts, 0, CQ_AGAIN, 100);
    CHECK_EQ(receipts.buckets[0].waiting_n, RECEIPTS_WAITING_MAX);
    for (uint32_t i = 0; i < receipts.buckets[0].waiting_n; i++)
        back += receipts.buckets[0].waiting[i].user_id.b[14] != 1;
    CHECK_EQ(back, n);
    receipts_release(&receipts);
}

/* One without its peer is refused by the log: it must not speak for the right one. */
TEST(receipts_with_and_without_a_peer_are_two)
{
    struct receipts receipts;
    struct receipt_memory memory = { 0 };
    struct receipt *list, wrong = receipt_of(1, 5, 5), right = wrong;
    size_t n;

    right.has_peer = true;
    right.peer = id_at(U2);
    receipt_memory_keep(&memory, &wrong);
    CHECK(receipt_memory_advances(&memory, &right));
    CHECK_EQ(receipts_init(&receipts, 1, 0), CQ_OK);
    CHECK(receipts_add(&receipts, 0, &wrong, 0));
    CHECK(receipts_add(&receipts, 0, &right, 0));
    CHECK_EQ(receipts_take(&receipts, 0, &list, &n), 0);
    CHECK_EQ(n, 2);
    CHECK(list[1].has_peer);
    receipts_release(&receipts);
}

/* Two chats of one place of the memory, and of one partition: what is said of one is never taken
 * for the other. */
TEST(receipts_of_two_chats_are_told_apart)
{
    struct receipts receipts;
    struct receipt_memory memory = { 0 };
    struct receipt *list, one = receipt_of(1, 9, 9), other = one;
    size_t n;

    for (uint8_t i = 1;
         id_eq(other.chat_id, one.chat_id) ||
         id_hash(other.chat_id) % RECEIPT_MEMORY != id_hash(one.chat_id) % RECEIPT_MEMORY;
         i++)
        other.chat_id.b[15] = i;
    other.delivered_seq = 5;
    other.read_seq = 4;
    receipt_memory_keep(&memory, &one);
    CHECK(receipt_memory_advances(&memory, &other));
    receipt_memory_keep(&memory, &other);
    CHECK(!receipt_memory_advances(&memory, &other));
    CHECK_EQ(receipts_init(&receipts, 1, 0), CQ_OK);
    CHECK(receipts_add(&receipts, 0, &one, 0));
    CHECK(receipts_add(&receipts, 0, &other, 0));
    CHECK_EQ(receipts_take(&receipts, 0, &list, &n), 0);
    CHECK_EQ(n, 2);
    CHECK(id_eq(list[0].chat_id, one.chat_id));
    CHECK_EQ(list[0].read_seq, 9);
    CHECK(id_eq(list[1].chat_id, other.chat_id));
    CHECK_EQ(list[1].delivered_seq, 5);
    CHECK_EQ(list[1].read_seq, 4);
    receipts_release(&receipts);
}

TEST(receipt_memory_stops_repeats)
{
    struct receipt_memory memory = { 0 };
    struct receipt receipt = receipt_of(1, 5, 3), again = receipt_of(1, 5, 2),
                   further = receipt_of(1, 4, 4);

    CHECK(receipt_memory_advances(&memory, &receipt));
    CHECK(receipt_memory_advances(&memory, &receipt)); /* it was not taken: said again, it is new */
    receipt_memory_keep(&memory, &receipt);
    CHECK(!receipt_memory_advances(&memory, &receipt));
    CHECK(!receipt_memory_advances(&memory, &again));
    CHECK(receipt_memory_advances(&memory, &further));
    receipt_memory_keep(&memory, &further);
    CHECK(!receipt_memory_advances(&memory, &receipt));
}
