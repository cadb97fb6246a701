/* SPDX-License-Identifier: MIT */
#include "edge/ws/signals.h"
#include "lib/base/count.h"
#include "lib/jwt/ticket.h"
#include "lib/jwt/token.h"
#include "schemas/codec.h"
#include "schemas/topics.h"
#include "tests/unit/test.h"

#include <stdlib.h>

enum { SLOTS = 4, GATEWAYS = 2, NOW = 1000000, QUEUE_MAX = 64, EYES = 3000, FRAME_MAX = 256 };

static struct cq_id id_n(uint8_t kind, uint32_t n)
{
    struct cq_id id = { { kind } };

    memcpy(id.b + 8, &n, sizeof n);
    return id;
}

/* ---- tickets ------------------------------------------------------------------------------ */

static const char SECRET[] = "a secret of at least thirty-two bytes";

static const struct ticket drawn = { .kind = TICKET_CHAT, .issued_ms = NOW };

static const char *verdict(const char *secret, const char *text, int64_t now_ms)
{
    struct token_keys *keys = NULL;
    struct ticket ticket;
    const char *why = "no keys";
    enum cq_status st = token_keys_new(secret, &keys);

    if (st == CQ_OK)
        st = ticket_check(keys, span_str(text), now_ms, &ticket, &why);
    token_keys_free(keys);
    return st == CQ_OK ? "good" : why;
}

static void sign(const char *secret, const struct ticket *ticket, char out[TICKET_TEXT_MAX])
{
    struct token_keys *keys = NULL;

    if (token_keys_new(secret, &keys) != CQ_OK)
        abort();
    ticket_sign(keys, ticket, out);
    token_keys_free(keys);
}

TEST(t46_a_ticket_says_what_was_signed_until_it_ends)
{
    struct ticket ticket = drawn, got;
    struct token_keys *keys = NULL;
    char text[TICKET_TEXT_MAX];
    const char *why;

    ticket.user = id_n(1, 1);
    ticket.session = id_n(2, 2);
    ticket.subject = id_n(3, 3);
    sign(SECRET, &ticket, text);
    CHECK_EQ(strlen(text), TICKET_TEXT_MAX - 1);
    CHECK_EQ(token_keys_new(SECRET, &keys), CQ_OK);
    CHECK_EQ(ticket_check(keys, span_str(text), NOW, &got, &why), CQ_OK);
    CHECK(id_eq(got.user, ticket.user) && id_eq(got.session, ticket.session) &&
          id_eq(got.subject, ticket.subject));
    CHECK_EQ(got.kind, TICKET_CHAT);
    CHECK_EQ(got.issued_ms, NOW);
    token_keys_free(keys);
    CHECK_STR(verdict(SECRET, text, NOW + TICKET_LIFE_MS - 1), "good");
    CHECK_STR(verdict(SECRET, text, NOW + TICKET_LIFE_MS), "ticket: ended, ask for another one");
    CHECK_STR(verdict(SECRET, text, NOW - 60 * 1000), "good"); /* clocks differ */
    CHECK(strcmp(verdict(SECRET, text, NOW - 60 * 1000 - 1), "good") != 0);
}

TEST(t46_no_bit_of_a_ticket_can_be_changed_and_keys_rotate)
{
    static const char other[] = "another secret of more than thirty-two";
    char text[TICKET_TEXT_MAX], both[256];

    sign(SECRET, &drawn, text);
    for (size_t i = 0; text[i]; i++) {
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        CHECK(strcmp(verdict(SECRET, text, NOW), "good") != 0);
        text[i] = was;
    }
    CHECK(strcmp(verdict(other, text, NOW), "good") != 0);
    snprintf(both, sizeof both, "new:%s,0:%s", other, SECRET);
    CHECK_STR(verdict(both, text, NOW), "good");
    for (size_t n = 0; n < TICKET_TEXT_MAX - 1; n++) {
        char cut[TICKET_TEXT_MAX];

        memcpy(cut, text, n);
        cut[n] = '\0';
        CHECK(strcmp(verdict(SECRET, cut, NOW), "good") != 0);
    }
}

TEST(t46_a_ticket_is_no_token_and_a_token_no_ticket)
{
    struct token_claims claims = { id_n(1, 1), id_n(2, 2), 1000, 2000 };
    struct token_keys *keys = NULL;
    char text[TICKET_TEXT_MAX], token[TOKEN_TEXT_MAX];
    struct ticket ticket;
    const char *why;

    CHECK_EQ(token_keys_new(SECRET, &keys), CQ_OK);
    ticket_sign(keys, &drawn, text);
    CHECK_EQ(token_check(keys, span_str(text), NOW / 1000, &claims, NULL), CQ_POISON);
    CHECK_EQ(token_sign(keys, &claims, token, sizeof token), CQ_OK);
    CHECK_EQ(ticket_check(keys, span_str(token), NOW, &ticket, &why), CQ_POISON);
    token_keys_free(keys);
}

/* ---- looks -------------------------------------------------------------------------------- */

TEST(a_socket_looks_at_so_many_chats_and_a_chat_has_so_many_eyes)
{
    static struct looker eyes[LOOKS_SUBJECT_MAX + 1];
    struct looks looks;
    bool first;

    memset(eyes, 0, sizeof eyes);
    looks_init(&looks);
    for (uint32_t i = 0; i < LOOKS_SOCKET_MAX; i++) {
        CHECK_EQ(looks_add(&looks, &eyes[0], id_n(3, i), NOW + 1, &first), CQ_OK);
        CHECK(first);
    }
    CHECK_EQ(looks_add(&looks, &eyes[0], id_n(3, 999), NOW + 1, &first), CQ_AGAIN);
    CHECK(!looks_at(&looks, id_n(3, 999)));
    CHECK_EQ(looks_add(&looks, &eyes[0], id_n(3, 0), NOW + 5, &first), CQ_OK); /* renewed */
    CHECK_EQ(looks_until(&eyes[0], id_n(3, 0), NOW), NOW + 5);
    for (uint32_t i = 1; i < LOOKS_SUBJECT_MAX; i++)
        CHECK_EQ(looks_add(&looks, &eyes[i], id_n(3, 0), NOW + 1, &first), CQ_OK);
    CHECK_EQ(looks_add(&looks, &eyes[LOOKS_SUBJECT_MAX], id_n(3, 0), NOW + 1, &first), CQ_AGAIN);
    CHECK_EQ(looks_at(&looks, id_n(3, 0))->n, LOOKS_SUBJECT_MAX);
    CHECK(looks_drop(&looks, &eyes[1], id_n(3, 0)) && !looks_drop(&looks, &eyes[1], id_n(3, 0)));
    looks_expire(&looks, &eyes[0], NOW + 1);
    CHECK_EQ(eyes[0].n, 1);
    CHECK_EQ(looks_until(&eyes[0], id_n(3, 1), NOW), 0);
    for (size_t i = 0; i < ARRAY_LEN(eyes); i++)
        looks_leave(&looks, &eyes[i]);
    CHECK_EQ(looks.n, 0);
    CHECK_EQ(looks.by_subject.n, 0);
    looks_release(&looks);
}

TEST(a_gateway_has_so_many_looks)
{
    enum { SOCKETS = LOOKS_MAX / LOOKS_SOCKET_MAX };
    struct looker *eyes = calloc(SOCKETS + 1, sizeof *eyes);
    struct looks looks;
    bool first;

    looks_init(&looks);
    for (uint32_t i = 0; i < LOOKS_MAX; i++)
        CHECK_EQ(looks_add(&looks, &eyes[i / LOOKS_SOCKET_MAX], id_n(3, i), NOW, &first), CQ_OK);
    CHECK_EQ(looks_add(&looks, &eyes[SOCKETS], id_n(3, 0), NOW, &first), CQ_AGAIN);
    for (uint32_t i = 0; i < SOCKETS; i++)
        looks_leave(&looks, &eyes[i]);
    CHECK_EQ(looks.n, 0);
    looks_release(&looks);
    free(eyes);
}

/* ---- watches ------------------------------------------------------------------------------ */

TEST(what_is_not_renewed_is_forgotten_in_half_a_minute)
{
    struct watches watches;
    int32_t slots[WATCH_SLOTS_MAX];

    watches_init(&watches);
    for (int32_t slot = 0; slot < WATCH_SLOTS_MAX; slot++)
        CHECK(watches_renew(&watches, id_n(3, 1), slot, NOW));
    CHECK(!watches_renew(&watches, id_n(3, 1), WATCH_SLOTS_MAX, NOW));
    CHECK(watches_renew(&watches, id_n(3, 2), 7, NOW));
    CHECK_EQ(watches_of(&watches, id_n(3, 1), NOW, slots), WATCH_SLOTS_MAX);
    CHECK(watches_renew(&watches, id_n(3, 1), 5, NOW + 1000));
    CHECK_EQ(watches_of(&watches, id_n(3, 1), NOW + WATCH_MS, slots), 1);
    CHECK_EQ(slots[0], 5);
    for (int i = 0; i < 100; i++)
        watches_sweep(&watches, NOW + WATCH_MS, NULL, NULL);
    CHECK_EQ(watches.n, 1);
    CHECK_EQ(watches_of(&watches, id_n(3, 2), NOW, slots), 0);
    CHECK(watches_renew(&watches, id_n(3, 1), 6, NOW + WATCH_MS));
    CHECK_EQ(watches_of(&watches, id_n(3, 1), NOW + WATCH_MS, slots), 2);
    watches_release(&watches);
}

TEST(an_owner_keeps_so_many_watches_and_has_room_again)
{
    struct watches watches;
    int32_t slots[WATCH_SLOTS_MAX];

    watches_init(&watches);
    for (uint32_t i = 0; i < WATCHES_MAX; i++)
        CHECK(watches_renew(&watches, id_n(3, i), 1, NOW));
    CHECK(!watches_renew(&watches, id_n(3, WATCHES_MAX), 1, NOW));
    CHECK(watches_renew(&watches, id_n(3, 0), 1, NOW + 5000)); /* one that is there */
    for (int i = 0; i < 101; i++)
        watches_sweep(&watches, NOW + WATCH_MS, NULL, NULL);
    CHECK_EQ(watches.n, 1);
    CHECK(watches_renew(&watches, id_n(3, WATCHES_MAX), 1, NOW + WATCH_MS));
    CHECK_EQ(watches_of(&watches, id_n(3, 0), NOW + WATCH_MS, slots), 1);
    watches_release(&watches);
}

/* ---- two gateways ------------------------------------------------------------------------- */

struct record {
    int32_t slot;
    struct cq_buf value;
};

struct gateway_world {
    bool owns[SLOTS];
    bool has[256]; /* users, by a byte of their ids */
};

static struct world {
    struct signals signals[GATEWAYS];
    struct gateway_world gates[GATEWAYS];
    struct record queue[QUEUE_MAX];
    size_t queue_n, sent, largest;
    bool lose; /* what is sent */
    uint32_t shown[EYES];
    struct looker eyes[EYES], people[EYES]; /* of one socket each: chats, and users */
    char last[FRAME_MAX];                   /* the frame shown last */
    int64_t now_ms;
} * w;

static bool port_ours(void *arg, int32_t slot)
{
    return ((struct gateway_world *)arg)->owns[slot];
}

static bool port_here(void *arg, struct cq_id user)
{
    return ((struct gateway_world *)arg)->has[user.b[8]];
}

static void port_send(void *arg, int32_t slot, struct cq_span value)
{
    (void)arg;
    w->sent++;
    w->largest = value.n > w->largest ? value.n : w->largest;
    if (w->lose || w->queue_n == QUEUE_MAX)
        return;
    w->queue[w->queue_n].slot = slot;
    buf_init(&w->queue[w->queue_n].value, TOPIC_RECORD_MAX);
    buf_add_span(&w->queue[w->queue_n++].value, value);
}

static bool port_show(void *conn, struct cq_id user, struct cq_span frame)
{
    (void)user;
    snprintf(w->last, sizeof w->last, "%.*s", (int)frame.n, (const char *)frame.p);
    ++*(uint32_t *)conn;
    return true;
}

static bool world_new(void)
{
    w = calloc(1, sizeof *w);
    w->now_ms = NOW;
    for (int i = 0; i < EYES; i++)
        w->eyes[i].conn = w->people[i].conn = &w->shown[i];
    for (int gate = 0; gate < GATEWAYS; gate++) {
        struct signals_port port = { &w->gates[gate], port_ours, port_here, port_send, port_show };

        for (int slot = 0; slot < SLOTS; slot++)
            w->gates[gate].owns[slot] = slot % GATEWAYS == gate;
        if (signals_init(&w->signals[gate], port, SLOTS) != CQ_OK)
            return false;
    }
    return true;
}

static void world_free(void)
{
    for (int i = 0; i < EYES; i++) /* in either gateway: those of the other one have none */
        looks_leave(&w->signals[i % GATEWAYS].looks, &w->eyes[i]),
            looks_leave(&w->signals[i % GATEWAYS].attendance.looks, &w->people[i]);
    for (int gate = 0; gate < GATEWAYS; gate++)
        signals_release(&w->signals[gate]);
    for (size_t i = 0; i < w->queue_n; i++)
        buf_release(&w->queue[i].value);
    free(w);
}

/* Ticks of all gateways, and what they wrote to who owns its slot then; until nothing moves. */
static bool pass(int64_t ms)
{
    w->now_ms += ms;
    do {
        size_t n = w->queue_n;

        for (size_t i = 0; i < n; i++) {
            struct record *record = &w->queue[i];

            for (int gate = 0; gate < GATEWAYS; gate++)
                if (w->gates[gate].owns[record->slot] &&
                    signals_take(&w->signals[gate], buf_span(&record->value), w->now_ms) != CQ_OK)
                    return false;
            buf_release(&record->value);
        }
        memmove(w->queue, w->queue + n, (w->queue_n - n) * sizeof *w->queue);
        w->queue_n -= n;
        for (int gate = 0; gate < GATEWAYS; gate++)
            signals_tick(&w->signals[gate], w->now_ms, w->now_ms);
    } while (w->queue_n);
    return true;
}

/* Chats whose owner is gateway `gate`. */
static struct cq_id chat_of(int gate, uint32_t nth)
{
    for (uint32_t i = 0;; i++)
        if (topic_partition(id_n(3, i), SLOTS) % GATEWAYS == gate && !nth--)
            return id_n(3, i);
}

static enum cq_status look(int eye, struct cq_id chat)
{
    return signals_look(&w->signals[eye % GATEWAYS], &w->eyes[eye], chat, w->now_ms + 300000);
}

static void type(int gate, struct cq_id chat)
{
    signals_say(&w->signals[gate], &(struct signal){ chat, id_n(1, 77), SIGNAL_STATE_TYPING },
                w->now_ms);
}

TEST(one_gateway_needs_no_kafka)
{
    CHECK(world_new());
    for (int slot = 0; slot < SLOTS; slot++)
        w->gates[0].owns[slot] = true;
    CHECK(pass(100));
    CHECK_EQ(look(0, chat_of(0, 0)), CQ_OK);
    CHECK_EQ(look(2, chat_of(1, 0)), CQ_OK);
    type(0, chat_of(0, 0));
    type(0, chat_of(1, 0));
    CHECK_EQ(w->shown[0], 1); /* at once */
    CHECK_EQ(w->shown[2], 1);
    CHECK(pass(60000));
    CHECK_EQ(w->sent, 0);
    world_free();
}

TEST(each_who_looks_is_shown_it_once_whoever_owns_the_chat)
{
    CHECK(world_new());
    CHECK(pass(100));
    for (int owner = 0; owner < GATEWAYS; owner++) {
        struct cq_id chat = chat_of(owner, 0);

        for (int eye = 0; eye < 4; eye++)
            CHECK_EQ(look(eye, chat), CQ_OK);
        CHECK(pass(100));
        for (int gate = 0; gate < GATEWAYS; gate++) {
            memset(w->shown, 0, sizeof w->shown);
            type(gate, chat);
            CHECK(pass(100));
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(w->shown[eye], 1);
        }
    }
    world_free();
}

TEST(looks_are_renewed_and_forgotten_by_owners_when_they_end)
{
    struct cq_id chat = chat_of(0, 0);
    size_t sent;

    CHECK(world_new());
    CHECK(pass(100));
    CHECK_EQ(look(1, chat), CQ_OK); /* at gateway 1; the owner is 0 */
    for (int i = 0; i < 20; i++)
        CHECK(pass(5000));
    type(0, chat);
    CHECK(pass(100));
    CHECK_EQ(w->shown[1], 1);
    CHECK(looks_drop(&w->signals[1].looks, &w->eyes[1], chat));
    for (int i = 0; i < 100; i++)
        CHECK(pass(400));
    CHECK_EQ(w->signals[0].watches.n, 0);
    sent = w->sent;
    type(0, chat);
    CHECK(pass(100));
    CHECK_EQ(w->sent, sent); /* nobody looks: the owner writes nothing */
    world_free();
}

TEST(after_a_slot_has_moved_its_new_owner_knows_in_ten_seconds_who_looks)
{
    struct cq_id chat = chat_of(0, 0);
    int32_t slot = topic_partition(chat, SLOTS);

    CHECK(world_new());
    CHECK(pass(100));
    CHECK_EQ(look(0, chat), CQ_OK);
    CHECK_EQ(look(1, chat), CQ_OK);
    CHECK(pass(100));
    w->gates[0].owns[slot] = false;
    w->gates[1].owns[slot] = true;
    CHECK(pass(SIGNALS_RENEW_MS));
    type(1, chat);
    CHECK(pass(100));
    CHECK_EQ(w->shown[0], 1);
    CHECK_EQ(w->shown[1], 1);
    /* one that owns nothing any more is not reached, and says nothing */
    memset(w->gates[0].owns, 0, sizeof w->gates[0].owns);
    CHECK(pass(SIGNALS_RENEW_MS));
    type(0, chat);
    CHECK(pass(100));
    CHECK_EQ(w->shown[0], 2);
    CHECK_EQ(w->shown[1], 1);
    world_free();
}

TEST(what_is_lost_is_lost_and_the_next_one_comes)
{
    struct cq_id chat = chat_of(0, 0);

    CHECK(world_new());
    CHECK(pass(100));
    CHECK_EQ(look(0, chat), CQ_OK);
    w->lose = true;
    type(1, chat);
    CHECK(pass(100));
    CHECK_EQ(w->shown[0], 0);
    w->lose = false;
    CHECK(pass(100));
    CHECK_EQ(w->shown[0], 0);
    type(1, chat);
    CHECK(pass(100));
    CHECK_EQ(w->shown[0], 1);
    CHECK_EQ(signals_take(&w->signals[0], span_str("no record"), w->now_ms), CQ_POISON);
    world_free();
}

/* More than a tick gathers: the rest is dropped, no record is larger than the topic takes, and its
 * reader has room for it. */
TEST(a_storm_of_signals_has_bounds)
{
    struct cq_id chat = chat_of(0, 0);
    int64_t dropped = count_get(COUNT_SIGNALS_DROPPED);

    CHECK(world_new());
    CHECK(pass(100));
    for (int i = 0; i < 2 * SIGNALS_OUT_MAX; i++)
        type(1, chat);
    CHECK_EQ(w->signals[1].out.n, SIGNALS_OUT_MAX);
    CHECK_EQ(count_get(COUNT_SIGNALS_DROPPED) - dropped, SIGNALS_OUT_MAX);
    w->largest = w->sent = 0;
    CHECK(pass(100));
    CHECK_EQ(w->sent, SIGNALS_OUT_MAX / SIGNALS_RECORD_ITEMS_MAX);
    CHECK(w->largest > 0 && w->largest <= TOPIC_CUT_BYTES);
    world_free();
}

/* ---- presence ----------------------------------------------------------------------------- */

/* Users whose owner is gateway `gate`; the nth has that byte in his id. */
static struct cq_id user_of(int gate, uint32_t nth)
{
    for (uint32_t i = 0;; i++)
        if (topic_partition(id_n(1, i), SLOTS) % GATEWAYS == gate && !nth--)
            return id_n(1, i);
}

static void be(int gate, struct cq_id user, bool here)
{
    w->gates[gate].has[user.b[8]] = here;
    attendance_changed(&w->signals[gate].attendance, user, w->now_ms, w->now_ms);
}

static enum cq_status look_at(int eye, struct cq_id user)
{
    return attendance_look(&w->signals[eye % GATEWAYS].attendance, &w->people[eye], user,
                           w->now_ms + 300000, w->now_ms);
}

static bool last_is(const char *state)
{
    char want[32];

    snprintf(want, sizeof want, "\"state\":\"%s\"", state);
    return strstr(w->last, want) != NULL;
}

TEST(nobody_says_anything_of_whom_nobody_looks_at)
{
    CHECK(world_new());
    CHECK(pass(100));
    for (int i = 0; i < 50; i++)
        be(i % GATEWAYS, user_of(0, (uint32_t)i % 8), i % 3 == 0);
    CHECK(pass(60000));
    CHECK_EQ(w->sent, 0);
    /* nor when others are looked at: only he is asked about */
    CHECK_EQ(look_at(0, user_of(0, 20)), CQ_OK);
    CHECK(pass(100));
    w->sent = 0;
    be(1, user_of(0, 1), true);
    CHECK(pass(100));
    CHECK_EQ(w->sent, 0);
    world_free();
}

TEST(each_who_looks_at_a_user_is_shown_him_coming_and_going_wherever_he_is)
{
    for (int owner = 0; owner < GATEWAYS; owner++)
        for (int at = 0; at < GATEWAYS; at++) {
            struct cq_id user = user_of(owner, 3);

            CHECK(world_new());
            CHECK(pass(100));
            be(at, user, true);
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(look_at(eye, user), CQ_OK);
            CHECK(pass(100));
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(w->shown[eye], 1);
            CHECK(last_is("here"));
            be(1 - at, user, true); /* a second device elsewhere: no news */
            CHECK(pass(100));
            be(at, user, false);
            CHECK(pass(100));
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(w->shown[eye], 1);
            be(1 - at, user, false);
            CHECK(pass(100));
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(w->shown[eye], 2);
            CHECK(last_is("away") && strstr(w->last, "\"at\":"));
            be(at, user, true);
            CHECK(pass(100));
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(w->shown[eye], 3);
            for (int i = 0; i < 20; i++) /* renewals are no news */
                CHECK(pass(5000));
            for (int eye = 0; eye < 4; eye++)
                CHECK_EQ(w->shown[eye], 3);
            world_free();
        }
}

TEST(who_looks_at_somebody_away_is_told_so_once_all_had_time_to_answer)
{
    for (int owner = 0; owner < GATEWAYS; owner++) {
        struct cq_id user = user_of(owner, 3);

        CHECK(world_new());
        CHECK(pass(100));
        CHECK_EQ(look_at(0, user), CQ_OK);
        CHECK(pass(100));
        CHECK_EQ(w->shown[0], 0);
        CHECK(pass(SIGNALS_RENEW_MS));
        CHECK_EQ(w->shown[0], 1);
        CHECK(last_is("away") && !strstr(w->last, "\"at\":")); /* nobody knows since when */
        CHECK_EQ(look_at(2, user), CQ_OK);                     /* one more here: at once */
        CHECK_EQ(w->shown[2], 1);
        world_free();
    }
}

TEST(who_was_with_a_gateway_that_died_is_away_in_half_a_minute)
{
    struct cq_id user = user_of(0, 3);

    CHECK(world_new());
    CHECK(pass(100));
    be(1, user, true);
    CHECK_EQ(look_at(0, user), CQ_OK);
    CHECK(pass(100));
    CHECK(last_is("here"));
    memset(w->gates[1].owns, 0, sizeof w->gates[1].owns); /* it hears and says nothing any more */
    for (int i = 0; i < 400; i++)
        CHECK(pass(100));
    CHECK(last_is("away"));
    CHECK_EQ(w->shown[0], 2);
    CHECK_EQ(w->signals[0].attendance.here.n, 0);
    world_free();
}

TEST(what_is_known_of_users_is_forgotten_when_nobody_looks)
{
    struct cq_id user = user_of(0, 3);

    CHECK(world_new());
    CHECK(pass(100));
    be(1, user, true);
    CHECK_EQ(look_at(1, user), CQ_OK);
    CHECK(pass(100));
    CHECK_EQ(w->signals[1].attendance.asked.n, 1);
    CHECK(looks_drop(&w->signals[1].attendance.looks, &w->people[1], user));
    for (int i = 0; i < 700; i++)
        CHECK(pass(100));
    CHECK_EQ(w->signals[1].attendance.asked.n, 0);
    CHECK_EQ(w->signals[0].attendance.lookers.n, 0);
    CHECK_EQ(w->signals[0].attendance.here.n, 0);
    w->sent = 0;
    be(1, user, false);
    CHECK(pass(SIGNALS_RENEW_MS));
    CHECK_EQ(w->sent, 0);
    world_free();
}
