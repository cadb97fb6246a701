/* SPDX-License-Identifier: MIT */
/*
 * The most expensive records, stepped over a bus in memory: whatever one asks for, a turn
 * stays within its bounds, the record goes on in the next one, and a replay gives the same bytes.
 */
#include "tests/unit/test.h"

#include "schemas/delivery.h"
#include "schemas/frame.h"
#include "tests/unit/memory_bus.h"

#include <stdlib.h>

enum {
    MEMBERS = 1023, /* beside the sender */
    CONTENT = 32 * 1024,
    TOKEN_MAX = 1024,
    APP_MAX = 155,
    LOCALE_MAX = 35,
    COPY_TEXT = 64, /* bytes by which a copy of the content is known */
};

/* ---- a message to the largest group --------------------------------------------------- */

/* A chat whose partition is 0, so that one state serves. */
static struct cq_id chat_in(int32_t partitions)
{
    for (uint32_t n = 0;; n++)
        if (topic_partition(id_of(A_CHAT, n), partitions) == 0)
            return id_of(A_CHAT, n);
}

static bool fill_group(struct chat_state *s, struct cq_id chat)
{
    struct group *g = groups_add(&s->groups, chat);

    for (uint32_t n = 0; g && n <= MEMBERS; n++)
        if (group_join(g, id_of(A_USER, n), n ? MEMBER_ROLE_MEMBER : MEMBER_ROLE_OWNER,
                       seq_make(TOPIC_GENERATION, 1)) != CQ_OK)
            return false;
    return g != NULL;
}

static struct cq_span hostile_content(void)
{
    static uint8_t text[CONTENT];

    memset(text, 1, sizeof text); /* each becomes six bytes in a frame */
    return span_of(text, sizeof text);
}

static struct cq_span known_content(void)
{
    static uint8_t text[CONTENT];

    memset(text, 'x', sizeof text);
    memset(text, 'Q', COPY_TEXT);
    return span_of(text, sizeof text);
}

/* The message of user 0, with `room` a turn. False: it did not go through. */
static bool send_to_group(int32_t partitions, struct cq_span content, size_t room,
                          struct memory_bus *b)
{
    struct chat_turn *turn = chat_turn_new(partitions);
    struct cq_id chat = chat_in(partitions);
    struct chat_action a = { .chat_id = chat,
                             .user_id = id_of(A_USER, 0),
                             .client_id = span_str("c1"),
                             .action = { CHAT_ACTION_MESSAGE_SENT,
                                         .u.message_sent = { .content = content } } };
    struct cq_buf value = encode(&chat_action_codec, &a);
    struct chat_state state;
    bool done;

    chat_state_init(&state, 0, partitions);
    b->room = room;
    done =
        fill_group(&state, chat) &&
        run_chat(turn, &(struct chat_input){ &state, buf_span(&value), 9, 1000, -1 }, b) == CQ_OK;
    chat_state_release(&state);
    chat_turn_free(turn);
    buf_release(&value);
    return done;
}

TEST(t38_a_message_to_the_largest_group_is_cut_at_a_turns_room)
{
    struct memory_bus b = { 0 }, narrow = { 0 };

    CHECK(send_to_group(1024, hostile_content(), ROOM, &b));
    CHECK_EQ(b.records[TOPIC_CHAT_EVENTS], 1);
    CHECK(b.bytes[TOPIC_USER_INBOX] > TURN_MAX); /* or this tests nothing */
    CHECK(b.turn_most <= TURN_MAX);
    CHECK(b.turns > 2);

    CHECK(send_to_group(1024, hostile_content(), 1 << 20, &narrow));
    CHECK(narrow.turns > b.turns);
    CHECK(narrow.turn_most <= (2 << 20));
    CHECK_EQ(narrow.records[TOPIC_USER_INBOX], b.records[TOPIC_USER_INBOX]);
    CHECK(narrow.sum == b.sum); /* the same bytes, wherever it was cut */
}

/* Readers of user.inbox drop by source what they have: a source never comes twice to a
 * partition. */
TEST(a_cut_never_takes_a_source_apart_in_one_partition)
{
    struct memory_bus b = { 0 };

    CHECK(send_to_group(1024, hostile_content(), 300 * 1024, &b));
    CHECK(b.records[TOPIC_USER_INBOX] <= 1024);
    CHECK(b.records[TOPIC_USER_INBOX] > 600); /* partitions that have one of 1,024 members */
}

TEST(the_content_is_copied_once_for_each_partition)
{
    static const int32_t widths[] = { 1, 2, 12, 1024 };

    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        struct memory_bus b = { .sought = span_of(known_content().p, COPY_TEXT) };
        int32_t most = widths[i] < MEMBERS + 1 ? widths[i] : MEMBERS + 1;

        CHECK(send_to_group(widths[i], known_content(), ROOM, &b));
        CHECK(b.copies <= (size_t)most + 1); /* and once in chat.events */
        CHECK(b.copies > (size_t)most / 2);
        CHECK(b.bytes[TOPIC_USER_INBOX] <= (size_t)most * (CONTENT + 1024) + (MEMBERS + 1) * 200);
    }
}

/* ---- users of one partition ----------------------------------------------------------- */

struct crowd {
    struct user_state state;
    struct user_turn *turn;
    struct memory_bus bus;
    struct cq_id *to;
    size_t users;
};

static bool crowd_open(struct crowd *c, size_t users, int32_t slots)
{
    *c = (struct crowd){ .turn = user_turn_new(slots), .users = users, .bus.room = ROOM };
    c->to = calloc(users, sizeof *c->to);
    for (size_t n = 0; n < users; n++)
        c->to[n] = id_of(A_USER, (uint32_t)n);
    return c->turn && user_state_init(&c->state, 0, 4, slots);
}

static void crowd_close(struct crowd *c)
{
    user_state_release(&c->state);
    user_turn_free(c->turn);
    free(c->to);
}

static bool add_devices(struct crowd *c, uint32_t devices, bool woken)
{
    static uint8_t token[TOKEN_MAX], app[APP_MAX], locale[LOCALE_MAX];
    struct push_address address = { .token = span_of(token, sizeof token),
                                    .app = span_of(app, sizeof app),
                                    .locale = span_of(locale, sizeof locale) };

    memset(token, 't', sizeof token);
    memset(app, 'a', sizeof app);
    memset(locale, 'l', sizeof locale);
    for (size_t n = 0; n < c->users; n++)
        for (uint32_t d = 0; d < devices; d++) {
            struct cq_id device = id_of(A_DEVICE, (uint32_t)n * 64 + d);
            struct presence known = { .user_id = c->to[n],
                                      .entry = { PRESENCE_DEVICE_ENTRY,
                                                 .u.device_entry.device_id = device } };
            struct push_target target = { .user_id = c->to[n],
                                          .device_id = device,
                                          .address = address };

            if (user_restore(&c->state, &known) != CQ_OK ||
                (woken && user_restore_push(&c->state, &target) != CQ_OK))
                return false;
        }
    return true;
}

static bool add_sessions(struct crowd *c, uint32_t sessions, int32_t slots)
{
    for (size_t n = 0; n < c->users; n++)
        for (uint32_t k = 0; k < sessions; k++) {
            struct presence open = { .user_id = c->to[n],
                                     .source = { TOPIC_GENERATION, 0, 1 },
                                     .entry = {
                                         PRESENCE_SESSION_ENTRY,
                                         .u.session_entry = {
                                             .session_id = id_of(A_SESSION, (uint32_t)n * 64 + k),
                                             .device_id = id_of(A_DEVICE, (uint32_t)n * 64),
                                             .slot = (int32_t)((n * sessions + k) % (size_t)slots),
                                             .incarnation = id_of(A_GATEWAY, 1) } } };

            if (user_restore(&c->state, &open) != CQ_OK)
                return false;
        }
    return true;
}

/* A batch of `items` copies of one message to all of them. */
static enum cq_status deliver(struct crowd *c, size_t items, struct cq_span content)
{
    struct delivery_item *all = calloc(items, sizeof *all);
    struct chat_event e = { .client_id = span_str("c1"),
                            .event = { CHAT_EVENT_MESSAGE_ACCEPTED,
                                       .u.message_accepted = { .content = content } } };
    struct user_inbox record = { .body = { USER_INBOX_DELIVERY_BATCH,
                                           .u.delivery_batch = { DELIVERY_ORIGIN_CHAT_ACTIONS,
                                                                 TOPIC_GENERATION, all, items } } };
    struct cq_buf frame, value;
    enum cq_status st;

    buf_init(&frame, 256 * 1024);
    frame_message(&frame, &e);
    for (size_t i = 0; i < items; i++)
        all[i] = (struct delivery_item){ .offset = (int64_t)i,
                                         .class = FRAME_CLASS_MESSAGE,
                                         .chat_id = id_of(A_CHAT, 1),
                                         .seq = seq_make(TOPIC_GENERATION, (int64_t)i),
                                         .message_id = id_of(A_MESSAGE, (uint32_t)i),
                                         .sender_id = id_of(A_USER, 99999),
                                         .frame = buf_span(&frame),
                                         .to = c->to,
                                         .to_n = c->users };
    value = encode(&user_inbox_codec, &record);
    st = run_user(c->turn, &(struct user_input){ &c->state, buf_span(&value), 7, 1000 }, &c->bus);
    buf_release(&value);
    buf_release(&frame);
    free(all);
    return st;
}

TEST(people_away_who_cannot_be_woken_cost_nothing)
{
    struct crowd c;

    CHECK(crowd_open(&c, MEMBERS, 4));
    CHECK(add_devices(&c, 1, false));
    CHECK_EQ(deliver(&c, 1, hostile_content()), CQ_OK);
    CHECK_EQ(all_bytes(&c.bus), 0);
    CHECK_EQ(c.state.held.next[0], 1);
    crowd_close(&c);
}

TEST(a_push_carries_an_excerpt)
{
    struct crowd c;

    CHECK(crowd_open(&c, MEMBERS, 4));
    CHECK(add_devices(&c, 1, true));
    CHECK_EQ(deliver(&c, 1, hostile_content()), CQ_OK);
    CHECK_EQ(c.bus.records[TOPIC_MOBILE_PUSH], (MEMBERS + USER_GROUP - 1) / USER_GROUP);
    CHECK(c.bus.largest[TOPIC_MOBILE_PUSH] <=
          FRAME_EXCERPT_MAX + USER_GROUP * (TOKEN_MAX + APP_MAX + LOCALE_MAX + 100) + 200);
    crowd_close(&c);
}

/* What the records of mobile.push say: each device once, with its user. */
struct told_pushes {
    struct cq_arena *arena;
    const struct crowd *crowd;
    size_t devices, wrong;
};

static void note_push(void *arg, enum topic topic, struct cq_span key, struct cq_span value)
{
    struct told_pushes *t = arg;
    struct mobile_push m;

    (void)key;
    if (topic != TOPIC_MOBILE_PUSH)
        return;
    arena_reset(t->arena);
    if (codec_decode(&mobile_push_codec, value, t->arena, &m, NULL) != CQ_OK ||
        m.devices_n != m.targets_n || m.users_n != m.targets_n ||
        m.targets_n > MOBILE_PUSH_TARGETS_MAX) {
        t->wrong++;
        return;
    }
    for (size_t i = 0; i < m.targets_n; i++, t->devices++) {
        size_t user = t->devices / 3;

        t->wrong +=
            user >= t->crowd->users || !id_eq(m.users[i], t->crowd->to[user]) ||
            !id_eq(m.targets[i].device_id, m.devices[i]) ||
            !id_eq(m.devices[i], id_of(A_DEVICE, (uint32_t)user * 64 + (uint32_t)t->devices % 3));
    }
}

TEST(a_shared_push_says_whose_each_device_is)
{
    struct crowd c;
    struct told_pushes told = { .arena = arena_new(4 << 20), .crowd = &c };

    CHECK(crowd_open(&c, 100, 4));
    c.bus.taken = note_push;
    c.bus.arg = &told;
    CHECK(add_devices(&c, 3, true));
    CHECK_EQ(deliver(&c, 1, span_str("x")), CQ_OK);
    CHECK_EQ(told.wrong, 0);
    CHECK_EQ(told.devices, 300);
    /* ten users of three devices fill a record, and a group has 32 users */
    CHECK_EQ(c.bus.records[TOPIC_MOBILE_PUSH], 3 * 4 + 1);
    crowd_close(&c);
    arena_free(told.arena);
}

/* 40 accounts with 16 devices each, the longest addresses, and as many short messages as a batch
 * holds: once more than any turn had, tried for ever. */
TEST(many_devices_with_long_addresses_are_cut)
{
    struct crowd c;
    size_t turns;

    CHECK(crowd_open(&c, 40, 4));
    CHECK(add_devices(&c, LIMIT_USER_DEVICES, true));
    CHECK_EQ(deliver(&c, 500, span_str("x")), CQ_OK);
    CHECK_EQ(c.bus.records[TOPIC_MOBILE_PUSH], 40 / 2 * 500); /* two users fill one */
    CHECK(c.bus.bytes[TOPIC_MOBILE_PUSH] > 10 * TURN_MAX);    /* or this tests nothing */
    CHECK(c.bus.turn_most <= TURN_MAX);
    CHECK_EQ(c.state.held.next[0], 500);
    turns = c.bus.turns;
    CHECK(turns > 10);

    /* a repeat is held: it costs nothing */
    CHECK_EQ(deliver(&c, 500, span_str("x")), CQ_OK);
    CHECK_EQ(c.bus.records[TOPIC_MOBILE_PUSH], 40 / 2 * 500);
    CHECK_EQ(c.bus.turns, turns + 1);
    crowd_close(&c);
}

static uint64_t sum_with(size_t room)
{
    struct crowd c;
    uint64_t sum = 0;

    if (crowd_open(&c, 3 * USER_GROUP - 7, 4) && add_devices(&c, LIMIT_USER_DEVICES, true)) {
        c.bus.room = room;
        if (deliver(&c, 100, span_str("x")) == CQ_OK)
            sum = c.bus.sum;
    }
    crowd_close(&c);
    return sum;
}

TEST(pushes_are_the_same_wherever_a_record_was_cut)
{
    CHECK(sum_with(ROOM) != 0);
    CHECK(sum_with(ROOM) == sum_with(64 * 1024));
    CHECK(sum_with(ROOM) == sum_with(1)); /* one group a turn */
}

TEST(every_session_of_the_largest_group_fits)
{
    static const int32_t widths[] = { 1, 4, 1024 };

    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        struct crowd c;

        CHECK(crowd_open(&c, MEMBERS, widths[i]));
        CHECK(add_devices(&c, 1, false));
        CHECK(add_sessions(&c, USER_SESSIONS_MAX, widths[i]));
        CHECK_EQ(deliver(&c, 1, hostile_content()), CQ_OK);
        CHECK(c.bus.turn_most <= TURN_MAX);
        CHECK(c.bus.largest[TOPIC_WS_PUSH] <= TOPIC_RECORD_MAX);
        CHECK(c.bus.bytes[TOPIC_WS_PUSH] >= MEMBERS * USER_SESSIONS_MAX * sizeof(struct ws_target));
        CHECK_EQ(c.state.held.next[0], 1);
        crowd_close(&c);
    }
}

/* ---- a gateway that fell silent ------------------------------------------------------- */

static enum cq_status say_alive(struct crowd *c, uint32_t gateway, int64_t offset, int64_t log_ms)
{
    struct user_inbox record = { .body = {
                                     USER_INBOX_USER_ACTION,
                                     .u.user_action.action = { USER_ACTION_GATEWAY_ALIVE,
                                                               .u.gateway_alive.incarnation =
                                                                   id_of(A_GATEWAY, gateway) } } };
    struct cq_buf value = encode(&user_inbox_codec, &record);
    enum cq_status st = run_user(
        c->turn, &(struct user_input){ &c->state, buf_span(&value), offset, log_ms }, &c->bus);

    buf_release(&value);
    return st;
}

TEST(more_silent_sessions_than_a_turn_has_outputs)
{
    enum { USERS = 2500 };
    struct crowd c;

    CHECK(crowd_open(&c, USERS, 4));
    CHECK(add_devices(&c, 1, false));
    CHECK(add_sessions(&c, USER_SESSIONS_MAX, 4));
    CHECK_EQ(say_alive(&c, 2, 10, 1000), CQ_OK);
    CHECK_EQ(say_alive(&c, 2, 11, 1000 + SILENT_MS + 1), CQ_OK);
    CHECK_EQ(c.bus.records[TOPIC_PRESENCE], USERS * USER_SESSIONS_MAX);
    CHECK(c.bus.turns > USERS * USER_SESSIONS_MAX / USER_OUTPUTS_MAX);
    crowd_close(&c);
}

/* ---- what a push may show ------------------------------------------------------------- */

static const char *excerpt(const char *frame)
{
    static char text[FRAME_EXCERPT_MAX + 1];
    struct cq_buf b;

    buf_init(&b, FRAME_EXCERPT_MAX);
    frame_excerpt(&b, span_str(frame));
    snprintf(text, sizeof text, "%.*s", (int)b.n, (const char *)b.p);
    if (b.failed)
        snprintf(text, sizeof text, "failed");
    buf_release(&b);
    return text;
}

TEST(an_excerpt_of_a_frame)
{
    static char frame[3 * FRAME_EXCERPT_MAX], once[FRAME_EXCERPT_MAX + 1];
    size_t n;

    CHECK_STR(
        excerpt(
            "\"t\":\"message\",\"seq\":1,\"type\":\"text\",\"content\":\"a\\\"b\",\"sentAt\":5}"),
        "\"type\":\"text\",\"content\":\"a\\\"b\"}");
    CHECK_STR(
        excerpt("\"t\":\"message\",\"content\":\"\\\"type\\\":\\\"image\\\"\",\"type\":\"text\"}"),
        "\"type\":\"text\",\"content\":\"\\\"type\\\":\\\"image\\\"\"}");
    /* what stands beside a file is a caption; beside no file it may be anything */
    CHECK_STR(excerpt("\"type\":\"image\",\"content\":\"the sea\",\"mediaId\":\"x\",\"sentAt\":5}"),
              "\"type\":\"image\",\"caption\":\"the sea\"}");
    CHECK_STR(excerpt("\"type\":\"image\",\"caption\":\"the sea\"}"),
              "\"type\":\"image\",\"caption\":\"the sea\"}");
    CHECK_STR(excerpt("\"type\":\"image\",\"content\":\"https://x\",\"sentAt\":5}"),
              "\"type\":\"image\",\"content\":\"https://x\"}");
    CHECK_STR(excerpt(""), "");
    CHECK_STR(excerpt("\"type\":\"text\",\"content\":\"no end"), "");
    CHECK_STR(excerpt("\"type"), "");
    CHECK_STR(excerpt("nonsense"), "");

    /* cut between characters: escapes and sequences stay whole, and it says so */
    for (size_t shift = 0; shift < 12; shift++) {
        n = (size_t)snprintf(frame, sizeof frame, "\"type\":\"text\",\"content\":\"%.*s",
                             (int)shift, "aaaaaaaaaaaa");
        while (n < FRAME_EXCERPT_MAX + 100)
            n += (size_t)snprintf(frame + n, sizeof frame - n, "\\u0001\xF0\x9F\x98\x80\\n");
        snprintf(frame + n, sizeof frame - n, "\"}");
        snprintf(once, sizeof once, "%s", excerpt(frame));
        n = strlen(once);
        CHECK(n <= FRAME_EXCERPT_MAX && n > FRAME_EXCERPT_MAX - 100);
        CHECK_STR(once + n - 5, "\xE2\x80\xA6\"}");
        CHECK(once[n - 6] == 'n' || once[n - 6] == '1' || once[n - 6] == '\x80');
        CHECK(span_is_utf8(span_str(once)));
        CHECK_STR(excerpt(once), once);
    }
}
