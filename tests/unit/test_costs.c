/* SPDX-License-Identifier: MIT */
/*
 * What the dearest input of each kind costs the two processors: each is drawn at the limits of
 * validation and stepped to its end, within the bounds of a turn. Prints a line a kind.
 */
#include "tests/unit/test.h"

#include "schemas/frame.h"
#include "tests/unit/costs.h"

static const char *chat_name(int kind)
{
    return choices_of(&chat_action_codec)->sub.choices[kind].record->name;
}

static const char *const user_names[] = {
    [USER_ACTION_USER_SIGNED_UP] = "UserSignedUp",
    [USER_ACTION_PROFILE_EDITED] = "ProfileEdited",
    [USER_ACTION_PROFILE_DETAILS_EDITED] = "ProfileDetailsEdited",
    [USER_ACTION_DEVICE_LINKED] = "DeviceLinked",
    [USER_ACTION_DEVICE_UNLINKED] = "DeviceUnlinked",
    [USER_ACTION_SESSION_OPENED] = "SessionOpened",
    [USER_ACTION_SESSION_CLOSED] = "SessionClosed",
    [USER_ACTION_SESSION_LOST] = "SessionLost",
    [USER_ACTION_GATEWAY_ALIVE] = "GatewayAlive",
    [USER_ACTION_PUSH_REGISTERED] = "PushRegistered",
    [USER_ACTION_PUSH_CLAIMED] = "PushClaimed",
    [USER_ACTION_PUSH_MOVED] = "PushMoved",
    [USER_ACTION_PUSH_SETTLED] = "PushSettled",
    [USER_ACTION_PUSH_UNREGISTERED] = "PushUnregistered",
    [USER_ACTION_CHAT_MUTED] = "ChatMuted",
    [USER_ACTION_CHAT_MARKED] = "ChatMarked",
    [USER_ACTION_ACCOUNT_DELETED] = "AccountDeleted",
    [USER_ACTION_ACTION_KIND_N] = "DeliveryBatch",
};
_Static_assert(ARRAY_LEN(user_names) == USER_ACTION_ACTION_KIND_N + 1,
               "a name for each user action");

TEST(what_validation_lets_through_is_stepped_within_a_turn)
{
    struct road *road = road_new(7);

    for (int kind = 0; kind < CHAT_ACTION_ACTION_KIND_N; kind++)
        cost_print("chat", chat_name(kind), &road->chat[kind]);
    for (int kind = 0; kind <= USER_ACTION_ACTION_KIND_N; kind++) {
        CHECK(user_names[kind] != NULL);
        cost_print("user", user_names[kind], &road->user[kind]);
    }
    if (road->fault)
        CHECK_STR(road->fault, "");
    CHECK_EQ(road->refused, 0);
    for (int kind = 0; kind < CHAT_ACTION_ACTION_KIND_N; kind++) /* or nothing was stepped */
        CHECK(road->chat[kind].in && road->chat[kind].outputs);
    for (int kind = 0; kind <= USER_ACTION_ACTION_KIND_N; kind++)
        CHECK(road->user[kind].in && road->user[kind].outputs);
    road_free(road);
}

/* The rules' tables print a line for each arrow: every rule that they name was drawn. */
TEST(every_rule_has_a_way_to_draw_it)
{
    static char text[64 * 1024];
    FILE *out = fmemopen(text, sizeof text, "w");

    chat_rules_print(out);
    user_rules_print(out);
    fclose(out);
    for (const char *at = text; (at = strstr(at, " -- ")) != NULL;) {
        char name[64];
        bool found = false;

        at += 4;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, " "), at);
        for (int kind = 0; kind < CHAT_ACTION_ACTION_KIND_N; kind++)
            found |= strcmp(name, chat_name(kind)) == 0;
        for (size_t i = 0; i < ARRAY_LEN(user_names); i++)
            found |= strcmp(name, user_names[i]) == 0;
        if (!found)
            CHECK_STR(name, "drawn");
    }
}

/* ---- the contract --------------------------------------------------------------------- */

enum { MARK = 64 /* bytes by which a copy is known */, ENVELOPE = 1024, A_MEMBER = 200 };

/* Bytes that a message of user 0 to a group of `members` writes, its own record among them; 0: it
 * did not go through. */
static size_t message_bytes(int32_t partitions, uint32_t members, struct cq_span content,
                            struct memory_bus *bus)
{
    struct chat_turn *turn = chat_turn_new(partitions);
    struct chat_action action = { .chat_id = scene_chat(partitions, 0),
                                  .user_id = id_of(A_USER, 0),
                                  .client_id = span_str("0123456789abcdef0123456789abcdef"),
                                  .action = { CHAT_ACTION_MESSAGE_SENT,
                                              .u.message_sent = { .content = content } } };
    struct cq_buf value = encode(&chat_action_codec, &action);
    struct chat_state state;
    struct group *group;
    enum cq_status st = CQ_OK;

    chat_state_init(&state, 0, partitions);
    group = groups_add(&state.groups, action.chat_id);
    for (uint32_t n = 0; st == CQ_OK && n < members; n++)
        st = group_join(group, id_of(A_USER, n), MEMBER_ROLE_MEMBER, past_seq(1));
    bus->room = ROOM;
    if (st == CQ_OK)
        st =
            run_chat(turn, &(struct chat_input){ &state, buf_span(&value), OFFSET, 1000, -1 }, bus);
    chat_state_release(&state);
    chat_turn_free(turn);
    buf_release(&value);
    return st == CQ_OK ? value.n + all_bytes(bus) : 0;
}

/* Prints the table of docs/limits.md. */
TEST(a_message_costs_what_the_contract_says)
{
    static const uint32_t groups[] = { 2, 10, 100, GROUP };
    static const int32_t partitions[] = { 1, 2, 12, 256, 1024 };
    static uint8_t text[LIMIT_CONTENT_BYTES];
    struct cq_span contents[3] = { span_of(text, 1), span_of(text, sizeof text),
                                   span_of(text, MARK + 10500) };

    for (size_t i = 0; i < ARRAY_LEN(groups) * ARRAY_LEN(partitions); i++) {
        uint32_t members = groups[i / ARRAY_LEN(partitions)];
        int32_t width = partitions[i % ARRAY_LEN(partitions)];
        size_t most = larger(0, (size_t)width < members ? (size_t)width : members);

        printf("message %u members, %d partitions:", members, width);
        for (size_t row = 0; row < ARRAY_LEN(contents); row++) {
            size_t longest = row == 2 ? MARK + 6 * 10500 : contents[row].n; /* as JSON */
            struct memory_bus bus = { .sought = row ? span_of(text, MARK) : span_of(NULL, 0) };
            size_t bytes;

            memset(text, row == 2 ? 1 : 'x', sizeof text);
            memset(text, 'Q', MARK);
            bytes = message_bytes(width, members, contents[row], &bus);
            printf(" %zu", bytes);
            CHECK(bytes != 0);
            CHECK(bus.copies <= most + 1); /* and the public one */
            CHECK(bus.bytes[TOPIC_USER_INBOX] <= most * (longest + ENVELOPE) + A_MEMBER * members);
            CHECK(bus.bytes[TOPIC_CHAT_EVENTS] <= contents[row].n + ENVELOPE);
            CHECK_EQ(all_bytes(&bus), bus.bytes[TOPIC_USER_INBOX] + bus.bytes[TOPIC_CHAT_EVENTS]);
        }
        printf("\n");
    }
}

/* The deliveries of a message go on through processors/user. */
struct onward {
    struct user_turn *turn;
    struct user_state state;
    struct memory_bus bus;
    int64_t offset;
    bool failed;
};

static void route_on(void *arg, enum topic topic, struct cq_span key, struct cq_span value)
{
    struct onward *onward = arg;

    (void)key;
    if (topic != TOPIC_USER_INBOX)
        return;
    /* each partition has a state of its own; this one holds nothing from one to the next */
    frontier_init(&onward->state.held, TOPIC_GENERATION, 256);
    onward->failed |=
        run_user(onward->turn,
                 &(struct user_input){ &onward->state, value, OFFSET + onward->offset++, 1000 },
                 &onward->bus) != CQ_OK;
}

/* Everybody has one session, or, without `slots`, one device that can be woken. */
static bool onward_open(struct onward *onward, uint32_t members, int32_t slots)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(64 << 20);
    bool good;

    *onward = (struct onward){ .turn = user_turn_new(slots ? slots : 1), .bus.room = ROOM };
    good = user_state_init(&onward->state, 0, 256, slots ? slots : 1);
    for (uint32_t n = 0; good && n < members; n++)
        good = add_person(&onward->state, arena, n, 1, slots ? 1 : 0, slots ? slots : 1);
    return good;
}

static void onward_close(struct onward *onward)
{
    user_state_release(&onward->state);
    user_turn_free(onward->turn);
}

TEST(a_message_to_who_is_online_or_can_be_woken_costs_what_the_contract_says)
{
    static const uint32_t groups[] = { 2, 10, 100, GROUP };
    static const int32_t wide[][2] = { { 1, 1 }, { 2, 4 }, { 12, 8 }, { 256, 1024 } };
    static uint8_t text[LIMIT_CONTENT_BYTES];

    memset(text, 'x', sizeof text);
    memset(text, 'Q', MARK);
    for (size_t i = 0; i < ARRAY_LEN(groups) * ARRAY_LEN(wide); i++) {
        uint32_t members = groups[i / ARRAY_LEN(wide)];
        const int32_t *at = wide[i % ARRAY_LEN(wide)];
        size_t pairs = (size_t)(at[0] * at[1]), most = pairs < members ? pairs : members;
        struct onward online, woken;
        struct memory_bus bus = { .taken = route_on, .arg = &online };

        CHECK(onward_open(&online, members, at[1]));
        CHECK(onward_open(&woken, members, 0));
        online.bus.sought = span_of(text, MARK);
        CHECK(message_bytes(at[0], members, span_of(text, sizeof text), &bus) != 0);
        bus = (struct memory_bus){ .taken = route_on, .arg = &woken };
        CHECK(message_bytes(at[0], members, span_of(text, sizeof text), &bus) != 0);
        CHECK(!online.failed && !woken.failed);
        printf("message %u members, %d partitions, %d slots: ws.push %zu bytes, %zu copies; "
               "mobile.push %zu bytes\n",
               members, at[0], at[1], online.bus.bytes[TOPIC_WS_PUSH], online.bus.copies,
               woken.bus.bytes[TOPIC_MOBILE_PUSH]);
        CHECK(online.bus.copies >= 1 && online.bus.copies <= most);
        CHECK(online.bus.bytes[TOPIC_WS_PUSH] <=
              most * (sizeof text + ENVELOPE) + members * sizeof(struct ws_target) * 2);
        /* once for each 32 of a partition's recipients, not for each of them */
        CHECK(woken.bus.records[TOPIC_MOBILE_PUSH] <= (members - 1) / USER_GROUP + (size_t)at[0]);
        CHECK(woken.bus.bytes[TOPIC_MOBILE_PUSH] <=
              woken.bus.records[TOPIC_MOBILE_PUSH] * (FRAME_EXCERPT_MAX + A_MEMBER) +
                  members * (LIMIT_PUSH_TOKEN_BYTES + LIMIT_PUSH_APP_BYTES + LIMIT_LOCALE_BYTES +
                             A_MEMBER));
        onward_close(&online);
        onward_close(&woken);
    }
}

/* Groups are for ever: one account after the other may fill the table of a partition. */
TEST(a_group_too_many_is_refused_and_ends_nobody)
{
    struct chat_turn *turn = chat_turn_new(1);
    struct memory_bus bus = { .room = ROOM };
    struct scene scene = { .partitions = 1, .arena = arena_new(1 << 20) };
    struct chat_state state;
    struct chat_action action;
    struct cq_buf value;

    chat_state_init(&state, 0, 1);
    state.groups.by_id.max = 1;
    CHECK(groups_add(&state.groups, id_of(A_CHAT, 1)) != NULL);
    draw_chat_action(&scene, CHAT_ACTION_GROUP_CREATED, &action);
    value = encode(&chat_action_codec, &action);
    CHECK_EQ(
        run_chat(turn, &(struct chat_input){ &state, buf_span(&value), OFFSET, 1000, -1 }, &bus),
        CQ_OK);
    CHECK_EQ(bus.records[TOPIC_REJECTIONS], 1);
    CHECK_EQ(bus.records[TOPIC_CHAT_EVENTS], 0);
    buf_release(&value);
    chat_state_release(&state);
    chat_turn_free(turn);
    arena_free(scene.arena);
}

/* Written past the door: what no frame can hold is poison, whether it is accepted or refused. */
TEST(a_client_id_that_no_frame_holds_is_poison)
{
    static char text[300 * 1000];

    memset(text, 'c', sizeof text);
    for (int known = 0; known < 2; known++) {
        struct chat_turn *turn = chat_turn_new(1);
        struct memory_bus bus = { .room = ROOM };
        struct chat_action action = {
            .chat_id = chat_id_direct(id_of(A_USER, 1), id_of(A_USER, 2)),
            .user_id = id_of(A_USER, known ? 1 : 3),
            .has_peer = true,
            .peer = id_of(A_USER, 2),
            .client_id = span_of(text, sizeof text),
            .action = { CHAT_ACTION_MESSAGE_SENT, .u.message_sent = { .content = span_str("x") } }
        };
        struct cq_buf value = encode(&chat_action_codec, &action);
        struct chat_state state;

        chat_state_init(&state, 0, 1);
        CHECK_EQ(run_chat(turn, &(struct chat_input){ &state, buf_span(&value), OFFSET, 1000, -1 },
                          &bus),
                 CQ_POISON);
        CHECK_EQ(all_bytes(&bus), 0);
        buf_release(&value);
        chat_state_release(&state);
        chat_turn_free(turn);
    }
}

/* Whoever goes in the same change inherits nothing: the group would have a member that the view
 * does not have. */
TEST(an_owner_who_goes_with_the_heir_leaves_the_group_to_another)
{
    struct member_change changes[] = { { id_of(A_USER, 1), MEMBER_CHANGE_KIND_REMOVE },
                                       { id_of(A_USER, 0), MEMBER_CHANGE_KIND_REMOVE } };
    struct chat_turn *turn = chat_turn_new(1);
    struct memory_bus bus = { .room = ROOM };
    struct chat_action action = { .chat_id = id_of(A_CHAT, 1),
                                  .user_id = id_of(A_USER, 0),
                                  .client_id = span_str("c1"),
                                  .action = {
                                      CHAT_ACTION_MEMBERS_CHANGED,
                                      .u.members_changed = { changes, ARRAY_LEN(changes) } } };
    struct cq_buf value = encode(&chat_action_codec, &action);
    const struct member_interval *next;
    struct chat_state state;
    struct group *group;

    chat_state_init(&state, 0, 1);
    group = groups_add(&state.groups, action.chat_id);
    CHECK_EQ(group_rename(group, span_str("n"), past_seq(1)), CQ_OK);
    for (uint32_t n = 0; n < 4; n++)
        CHECK_EQ(group_join(group, id_of(A_USER, n), n ? MEMBER_ROLE_MEMBER : MEMBER_ROLE_OWNER,
                            past_seq(1)),
                 CQ_OK);
    CHECK_EQ(
        run_chat(turn, &(struct chat_input){ &state, buf_span(&value), OFFSET, 1000, -1 }, &bus),
        CQ_OK);
    CHECK(!group_stay(group, id_of(A_USER, 0), past_seq(OFFSET + 1)));
    CHECK(!group_stay(group, id_of(A_USER, 1), past_seq(OFFSET + 1)));
    next = group_stay(group, id_of(A_USER, 2), past_seq(OFFSET + 1));
    CHECK(next != NULL);
    CHECK_EQ(next->role, MEMBER_ROLE_OWNER);
    CHECK_EQ(group_count(group, past_seq(OFFSET + 1)), 2);
    buf_release(&value);
    chat_state_release(&state);
    chat_turn_free(turn);
}
