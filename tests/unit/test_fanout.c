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

static bool fill_group(struct chat_state *state, struct cq_id chat)
{
    struct group *group = groups_add(&state->groups, chat);

    for (uint32_t n = 0; group && n <= MEMBERS; n++)
        if (group_join(group, id_of(A_USER, n), n ? MEMBER_ROLE_MEMBER : MEMBER_ROLE_OWNER,
                       seq_make(TOPIC_GENERATION, 1)) != CQ_OK)
            return false;
    return group != NULL;
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
                          struct memory_bus *bus)
{
    struct chat_turn *turn = chat_turn_new(partitions);
    struct cq_id chat = chat_in(partitions);
    struct chat_action action = { .chat_id = chat,
                                  .user_id = id_of(A_USER, 0),
                                  .client_id = span_str("c1"),
                                  .action = { CHAT_ACTION_MESSAGE_SENT,
                                              .u.message_sent = { .content = content } } };
    struct cq_buf value = encode(&chat_action_codec, &action);
    struct chat_state state;
    bool done;

    chat_state_init(&state, 0, partitions);
    bus->room = room;
    done =
        fill_group(&state, chat) &&
        run_chat(turn, &(struct chat_input){ &state, buf_span(&value), 9, 1000, -1 }, bus) == CQ_OK;
    chat_state_release(&state);
    chat_turn_free(turn);
    buf_release(&value);
    return done;
}

TEST(t38_a_message_to_the_largest_group_is_cut_at_a_turns_room)
{
    struct memory_bus bus = { 0 }, narrow = { 0 };

    CHECK(send_to_group(1024, hostile_content(), ROOM, &bus));
    CHECK_EQ(bus.records[TOPIC_CHAT_EVENTS], 1);
    CHECK(bus.bytes[TOPIC_USER_INBOX] > TURN_MAX); /* or this tests nothing */
    CHECK(bus.turn_most <= TURN_MAX);
    CHECK(bus.turns > 2);

    CHECK(send_to_group(1024, hostile_content(), 1 << 20, &narrow));
    CHECK(narrow.turns > bus.turns);
    CHECK(narrow.turn_most <= (2 << 20));
    CHECK_EQ(narrow.records[TOPIC_USER_INBOX], bus.records[TOPIC_USER_INBOX]);
    CHECK(narrow.sum == bus.sum); /* the same bytes, wherever it was cut */
}

/* Readers of user.inbox drop by source what they have: a source never comes twice to a
 * partition. */
TEST(a_cut_never_takes_a_source_apart_in_one_partition)
{
    struct memory_bus bus = { 0 };

    CHECK(send_to_group(1024, hostile_content(), 300 * 1024, &bus));
    CHECK(bus.records[TOPIC_USER_INBOX] <= 1024);
    CHECK(bus.records[TOPIC_USER_INBOX] > 600); /* partitions that have one of 1,024 members */
}

TEST(the_content_is_copied_once_for_each_partition)
{
    static const int32_t widths[] = { 1, 2, 12, 1024 };

    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        struct memory_bus bus = { .sought = span_of(known_content().p, COPY_TEXT) };
        int32_t most = widths[i] < MEMBERS + 1 ? widths[i] : MEMBERS + 1;

        CHECK(send_to_group(widths[i], known_content(), ROOM, &bus));
        CHECK(bus.copies <= (size_t)most + 1); /* and once in chat.events */
        CHECK(bus.copies > (size_t)most / 2);
        CHECK(bus.bytes[TOPIC_USER_INBOX] <= (size_t)most * (CONTENT + 1024) + (MEMBERS + 1) * 200);
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

static bool crowd_open(struct crowd *crowd, size_t users, int32_t slots)
{
    *crowd = (struct crowd){ .turn = user_turn_new(slots), .users = users, .bus.room = ROOM };
    crowd->to = calloc(users, sizeof *crowd->to);
    for (size_t n = 0; n < users; n++)
        crowd->to[n] = id_of(A_USER, (uint32_t)n);
    return crowd->turn && user_state_init(&crowd->state, 0, 4, slots);
}

static void crowd_close(struct crowd *crowd)
{
    user_state_release(&crowd->state);
    user_turn_free(crowd->turn);
    free(crowd->to);
}

static bool add_devices(struct crowd *crowd, uint32_t devices, bool woken)
{
    static uint8_t token[TOKEN_MAX], app[APP_MAX], locale[LOCALE_MAX];
    struct push_address address = { .token = span_of(token, sizeof token),
                                    .app = span_of(app, sizeof app),
                                    .locale = span_of(locale, sizeof locale) };

    memset(token, 't', sizeof token);
    memset(app, 'a', sizeof app);
    memset(locale, 'l', sizeof locale);
    for (size_t n = 0; n < crowd->users; n++)
        for (uint32_t number = 0; number < devices; number++) {
            struct cq_id device = id_of(A_DEVICE, (uint32_t)n * 64 + number);
            struct presence known = { .user_id = crowd->to[n],
                                      .entry = { PRESENCE_DEVICE_ENTRY,
                                                 .u.device_entry.device_id = device } };
            struct push_target target = { .user_id = crowd->to[n],
                                          .device_id = device,
                                          .address = address };

            if (user_restore(&crowd->state, &known) != CQ_OK ||
                (woken && user_restore_push(&crowd->state, &target) != CQ_OK))
                return false;
        }
    return true;
}

static bool add_sessions(struct crowd *crowd, uint32_t sessions, int32_t slots)
{
    for (size_t n = 0; n < crowd->users; n++)
        for (uint32_t session = 0; session < sessions; session++) {
            struct presence open = {
                .user_id = crowd->to[n],
                .source = { TOPIC_GENERATION, 0, 1 },
                .entry = { PRESENCE_SESSION_ENTRY,
                           .u.session_entry = { .session_id =
                                                    id_of(A_SESSION, (uint32_t)n * 64 + session),
                                                .device_id = id_of(A_DEVICE, (uint32_t)n * 64),
                                                .slot = (int32_t)((n * sessions + session) %
                                                                  (size_t)slots),
                                                .incarnation = id_of(A_GATEWAY, 1) } }
            };

            if (user_restore(&crowd->state, &open) != CQ_OK)
                return false;
        }
    return true;
}

/* A batch of `items` copies of one message to all of them. */
static enum cq_status deliver(struct crowd *crowd, size_t items, struct cq_span content)
{
    struct delivery_item *all = calloc(items, sizeof *all);
    struct chat_event event = { .client_id = span_str("c1"),
                                .event = { CHAT_EVENT_MESSAGE_ACCEPTED,
                                           .u.message_accepted = { .content = content } } };
    struct user_inbox record = { .body = { USER_INBOX_DELIVERY_BATCH,
                                           .u.delivery_batch = { DELIVERY_ORIGIN_CHAT_ACTIONS,
                                                                 TOPIC_GENERATION, all, items } } };
    struct cq_buf frame, value;
    enum cq_status st;

    buf_init(&frame, 256 * 1024);
    frame_event(&frame, &event);
    for (size_t i = 0; i < items; i++)
        all[i] = (struct delivery_item){ .offset = (int64_t)i,
                                         .class = FRAME_CLASS_MESSAGE,
                                         .chat_id = id_of(A_CHAT, 1),
                                         .seq = seq_make(TOPIC_GENERATION, (int64_t)i),
                                         .message_id = id_of(A_MESSAGE, (uint32_t)i),
                                         .sender_id = id_of(A_USER, 99999),
                                         .frame = buf_span(&frame),
                                         .to = crowd->to,
                                         .to_n = crowd->users };
    value = encode(&user_inbox_codec, &record);
    st = run_user(crowd->turn, &(struct user_input){ &crowd->state, buf_span(&value), 7, 1000 },
                  &crowd->bus);
    buf_release(&value);
    buf_release(&frame);
    free(all);
    return st;
}

TEST(people_away_who_cannot_be_woken_cost_nothing)
{
    struct crowd crowd;

    CHECK(crowd_open(&crowd, MEMBERS, 4));
    CHECK(add_devices(&crowd, 1, false));
    CHECK_EQ(deliver(&crowd, 1, hostile_content()), CQ_OK);
    CHECK_EQ(all_bytes(&crowd.bus), 0);
    CHECK_EQ(crowd.state.held.next[0], 1);
    crowd_close(&crowd);
}

TEST(a_push_carries_an_excerpt)
{
    struct crowd crowd;

    CHECK(crowd_open(&crowd, MEMBERS, 4));
    CHECK(add_devices(&crowd, 1, true));
    CHECK_EQ(deliver(&crowd, 1, hostile_content()), CQ_OK);
    CHECK_EQ(crowd.bus.records[TOPIC_MOBILE_PUSH], (MEMBERS + USER_GROUP - 1) / USER_GROUP);
    CHECK(crowd.bus.largest[TOPIC_MOBILE_PUSH] <=
          FRAME_EXCERPT_MAX + USER_GROUP * (TOKEN_MAX + APP_MAX + LOCALE_MAX + 100) + 200);
    crowd_close(&crowd);
}

/* What the records of mobile.push say: each device once, with its user. */
struct told_pushes {
    struct cq_arena *arena;
    const struct crowd *crowd;
    size_t devices, wrong;
};

static void note_push(void *arg, enum topic topic, struct cq_span key, struct cq_span value)
{
    struct told_pushes *pushes = arg;
    struct mobile_push push;

    (void)key;
    if (topic != TOPIC_MOBILE_PUSH)
        return;
    arena_reset(pushes->arena);
    if (codec_decode(&mobile_push_codec, value, pushes->arena, &push, NULL) != CQ_OK ||
        push.devices_n != push.targets_n || push.users_n != push.targets_n ||
        push.targets_n > MOBILE_PUSH_TARGETS_MAX) {
        pushes->wrong++;
        return;
    }
    for (size_t i = 0; i < push.targets_n; i++, pushes->devices++) {
        size_t user = pushes->devices / 3;

        pushes->wrong +=
            user >= pushes->crowd->users || !id_eq(push.users[i], pushes->crowd->to[user]) ||
            !id_eq(push.targets[i].device_id, push.devices[i]) ||
            !id_eq(push.devices[i],
                   id_of(A_DEVICE, (uint32_t)user * 64 + (uint32_t)pushes->devices % 3));
    }
}

TEST(a_shared_push_says_whose_each_device_is)
{
    struct crowd crowd;
    struct told_pushes told = { .arena = arena_new(4 << 20), .crowd = &crowd };

    CHECK(crowd_open(&crowd, 100, 4));
    crowd.bus.taken = note_push;
    crowd.bus.arg = &told;
    CHECK(add_devices(&crowd, 3, true));
    CHECK_EQ(deliver(&crowd, 1, span_str("x")), CQ_OK);
    CHECK_EQ(told.wrong, 0);
    CHECK_EQ(told.devices, 300);
    /* ten users of three devices fill a record, and a group has 32 users */
    CHECK_EQ(crowd.bus.records[TOPIC_MOBILE_PUSH], 3 * 4 + 1);
    crowd_close(&crowd);
    arena_free(told.arena);
}

/* 40 accounts with 16 devices each, the longest addresses, and as many short messages as a batch
 * holds: once more than any turn had, tried for ever. */
TEST(many_devices_with_long_addresses_are_cut)
{
    struct crowd crowd;
    size_t turns;

    CHECK(crowd_open(&crowd, 40, 4));
    CHECK(add_devices(&crowd, LIMIT_USER_DEVICES, true));
    CHECK_EQ(deliver(&crowd, 500, span_str("x")), CQ_OK);
    CHECK_EQ(crowd.bus.records[TOPIC_MOBILE_PUSH], 40 / 2 * 500); /* two users fill one */
    CHECK(crowd.bus.bytes[TOPIC_MOBILE_PUSH] > 10 * TURN_MAX);    /* or this tests nothing */
    CHECK(crowd.bus.turn_most <= TURN_MAX);
    CHECK_EQ(crowd.state.held.next[0], 500);
    turns = crowd.bus.turns;
    CHECK(turns > 10);

    /* a repeat is held: it costs nothing */
    CHECK_EQ(deliver(&crowd, 500, span_str("x")), CQ_OK);
    CHECK_EQ(crowd.bus.records[TOPIC_MOBILE_PUSH], 40 / 2 * 500);
    CHECK_EQ(crowd.bus.turns, turns + 1);
    crowd_close(&crowd);
}

static uint64_t sum_with(size_t room)
{
    struct crowd crowd;
    uint64_t sum = 0;

    if (crowd_open(&crowd, 3 * USER_GROUP - 7, 4) &&
        add_devices(&crowd, LIMIT_USER_DEVICES, true)) {
        crowd.bus.room = room;
        if (deliver(&crowd, 100, span_str("x")) == CQ_OK)
            sum = crowd.bus.sum;
    }
    crowd_close(&crowd);
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
        struct crowd crowd;

        CHECK(crowd_open(&crowd, MEMBERS, widths[i]));
        CHECK(add_devices(&crowd, 1, false));
        CHECK(add_sessions(&crowd, USER_SESSIONS_MAX, widths[i]));
        CHECK_EQ(deliver(&crowd, 1, hostile_content()), CQ_OK);
        CHECK(crowd.bus.turn_most <= TURN_MAX);
        CHECK(crowd.bus.largest[TOPIC_WS_PUSH] <= TOPIC_RECORD_MAX);
        CHECK(crowd.bus.bytes[TOPIC_WS_PUSH] >=
              MEMBERS * USER_SESSIONS_MAX * sizeof(struct ws_target));
        CHECK_EQ(crowd.state.held.next[0], 1);
        crowd_close(&crowd);
    }
}

/* ---- a gateway that fell silent ------------------------------------------------------- */

static enum cq_status say_alive(struct crowd *crowd, uint32_t gateway, int64_t offset,
                                int64_t log_ms)
{
    struct user_inbox record = { .body = {
                                     USER_INBOX_USER_ACTION,
                                     .u.user_action.action = { USER_ACTION_GATEWAY_ALIVE,
                                                               .u.gateway_alive.incarnation =
                                                                   id_of(A_GATEWAY, gateway) } } };
    struct cq_buf value = encode(&user_inbox_codec, &record);
    enum cq_status st = run_user(
        crowd->turn, &(struct user_input){ &crowd->state, buf_span(&value), offset, log_ms },
        &crowd->bus);

    buf_release(&value);
    return st;
}

TEST(more_silent_sessions_than_a_turn_has_outputs)
{
    enum { USERS = 2500 };
    struct crowd crowd;

    CHECK(crowd_open(&crowd, USERS, 4));
    CHECK(add_devices(&crowd, 1, false));
    CHECK(add_sessions(&crowd, USER_SESSIONS_MAX, 4));
    CHECK_EQ(say_alive(&crowd, 2, 10, 1000), CQ_OK);
    CHECK_EQ(say_alive(&crowd, 2, 11, 1000 + SILENT_MS + 1), CQ_OK);
    CHECK_EQ(crowd.bus.records[TOPIC_PRESENCE], USERS * USER_SESSIONS_MAX);
    CHECK(crowd.bus.turns > USERS * USER_SESSIONS_MAX / USER_OUTPUTS_MAX);
    crowd_close(&crowd);
}

/* ---- what a push may show ------------------------------------------------------------- */

static const char *excerpt(const char *frame)
{
    static char text[FRAME_EXCERPT_MAX + 1];
    struct cq_buf buf;

    buf_init(&buf, FRAME_EXCERPT_MAX);
    frame_excerpt(&buf, span_str(frame));
    snprintf(text, sizeof text, "%.*s", (int)buf.n, (const char *)buf.p);
    if (buf.failed)
        snprintf(text, sizeof text, "failed");
    buf_release(&buf);
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
    /* a list is passed over, whatever it has */
    CHECK_STR(
        excerpt("\"type\":\"text\",\"tags\":[{\"content\":\"no],}\"},[1,2]],\"content\":\"yes\"}"),
        "\"type\":\"text\",\"content\":\"yes\"}");
    /* what stands beside a file is a caption; beside no file it may be anything */
    CHECK_STR(excerpt("\"type\":\"image\",\"content\":\"the sea\",\"mediaId\":\"x\",\"sentAt\":5}"),
              "\"type\":\"image\",\"caption\":\"the sea\"}");
    CHECK_STR(excerpt("\"type\":\"image\",\"caption\":\"the sea\"}"),
              "\"type\":\"image\",\"caption\":\"the sea\"}");
    CHECK_STR(excerpt("\"type\":\"image\",\"content\":\"https://x\",\"sentAt\":5}"),
              "\"type\":\"image\",\"content\":\"https://x\"}");
    /* a place and a card say what they are, and without a text how they are called */
    CHECK_STR(excerpt("\"type\":\"text\",\"content\":\"\",\"location\":{\"latitude\":1.5,\"name\":"
                      "\"\\\"A\\\"\",\"address\":\"b\"},\"sentAt\":5}"),
              "\"type\":\"text\",\"content\":\"\\\"A\\\"\",\"shows\":\"location\"}");
    CHECK_STR(excerpt("\"type\":\"text\",\"content\":\"hi\",\"contact\":{\"name\":\"Ann\"}}"),
              "\"type\":\"text\",\"content\":\"hi\",\"shows\":\"contact\"}");
    CHECK_STR(excerpt("\"type\":\"text\",\"content\":\"\",\"location\":{\"latitude\":1}}"),
              "\"type\":\"text\",\"content\":\"\",\"shows\":\"location\"}");
    CHECK_STR(
        excerpt(
            "\"type\":\"audio\",\"content\":\"\",\"mediaId\":\"x\",\"voice\":{\"durationMs\":1}}"),
        "\"type\":\"audio\",\"caption\":\"\",\"shows\":\"voice\"}");
    CHECK_STR(excerpt("\"type\":\"text\",\"content\":\"hi\",\"shows\":\"contact\"}"),
              "\"type\":\"text\",\"content\":\"hi\",\"shows\":\"contact\"}");
    /* what says whom it wakes is kept, the text gives way to it, and nothing longer than ours is */
    CHECK_STR(excerpt("\"type\":\"text\",\"content\":\"a\",\"replyTo\":{\"id\":\"x\",\"seq\":1},"
                      "\"mentions\":[\"y\",\"z\"],\"sentAt\":5}"),
              "\"type\":\"text\",\"content\":\"a\",\"replyTo\":{\"id\":\"x\",\"seq\":1},"
              "\"mentions\":[\"y\",\"z\"]}");
    n = (size_t)snprintf(frame, sizeof frame, "\"type\":\"text\",\"content\":\"%0*d\",", 2100, 0);
    n += (size_t)snprintf(frame + n, sizeof frame - n, "\"mentions\":[\"%036d\"", 0);
    for (int i = 1; i < LIMIT_MESSAGE_SENT_MENTIONS; i++)
        n += (size_t)snprintf(frame + n, sizeof frame - n, ",\"%036d\"", i);
    snprintf(frame + n, sizeof frame - n, "]}");
    snprintf(once, sizeof once, "%s", excerpt(frame));
    CHECK(strlen(once) > FRAME_EXCERPT_MAX - 100 && strstr(once, "0031\"]}") != NULL);
    CHECK_STR(excerpt(once), once);
    snprintf(frame + n, sizeof frame - n, ",\"one too many, which is %032d\"]}", 0);
    CHECK(strstr(excerpt(frame), "mentions") == NULL);
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
