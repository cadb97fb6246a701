/* SPDX-License-Identifier: MIT */
/*
 * After a crash processors/user steps records again over sessions that were opened later: what was
 * before a session is not that session's.
 */
#include "tests/unit/test.h"

#include "processors/user/rules.h"

#include <stdlib.h>

enum { ARENA_BYTES = 1 << 20, OPENED_AT = 10 };

static struct cq_id id_of(uint8_t n)
{
    struct cq_id id = { { 0 } };

    id.b[0] = n;
    return id;
}

static const struct presence opened = {
    .user_id = { { 1 } },
    .source = { TOPIC_GENERATION, 0, OPENED_AT },
    .entry = { PRESENCE_SESSION_ENTRY,
               .u.session_entry = { { { 2 } }, { { 3 } }, 0, { { 4 } }, 0 } },
};

/* Records of this topic that this one makes when it is stepped at this offset of user.inbox: the
 * device of the user it is for is known all along, and its session was opened at OPENED_AT. */
static int outputs_of(const struct user_inbox *record, enum topic topic, int64_t offset)
{
    struct user_state state;
    struct user_outputs out = { .max = USER_OUTPUTS_MAX };
    struct cq_arena *arena = arena_new(ARENA_BYTES);
    struct cq_id to = id_of(1);
    struct user_step step = {
        .state = &state, .offset = offset, .arena = arena, .out = &out, .room = SIZE_MAX
    };
    const char *why = "";
    int n = 0;

    if (!user_state_init(&state, 0, 1, 8) ||
        user_restore(&state,
                     &(struct presence){
                         .user_id = to,
                         .source = { TOPIC_GENERATION, 0, 1 },
                         .entry = { PRESENCE_DEVICE_ENTRY,
                                    .u.device_entry = { id_of(3), span_str("android") } } }) !=
            CQ_OK ||
        user_restore_push(&state, &(struct push_target){ .user_id = to,
                                                         .device_id = id_of(3),
                                                         .source = { TOPIC_GENERATION, 0, 2 },
                                                         .address.token = span_str("T") }) !=
            CQ_OK ||
        user_restore(&state, &opened) != CQ_OK || user_step(&step, record, &why) != CQ_OK)
        return -1;
    for (size_t i = 0; i < out.n; i++)
        n += out.v[i].topic == topic;
    free(out.v);
    user_state_release(&state);
    arena_free(arena);
    return n;
}

static int outputs_at(enum topic topic, int64_t offset)
{
    struct cq_id to = id_of(1);
    struct delivery_item item = { .class = FRAME_CLASS_MESSAGE,
                                  .chat_id = id_of(8),
                                  .seq = seq_make(TOPIC_GENERATION, 0),
                                  .message_id = id_of(9),
                                  .sender_id = id_of(7),
                                  .frame = span_str("\"t\":\"message\"}"),
                                  .to = &to,
                                  .to_n = 1 };
    struct user_inbox record = { .body = { USER_INBOX_DELIVERY_BATCH,
                                           .u.delivery_batch = { DELIVERY_ORIGIN_CHAT_ACTIONS,
                                                                 TOPIC_GENERATION, &item, 1 } } };

    return outputs_of(&record, topic, offset);
}

/* The same for what the user himself did with another of his devices. */
static int told_at(struct user_action action, int64_t offset)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = action } };

    record.body.u.user_action.user_id = id_of(1);
    return outputs_of(&record, TOPIC_WS_PUSH, offset);
}

TEST(a_session_gets_what_comes_after_its_opening)
{
    CHECK_EQ(outputs_at(TOPIC_WS_PUSH, OPENED_AT + 1), 1);
    CHECK_EQ(outputs_at(TOPIC_MOBILE_PUSH, OPENED_AT + 1), 0);
}

TEST(a_replayed_delivery_from_before_a_session_is_not_for_it)
{
    CHECK_EQ(outputs_at(TOPIC_WS_PUSH, OPENED_AT - 1), 0);
}

/* A client may count on it that `ready` is the first numbered frame of its session. */
TEST(a_replayed_change_of_ones_own_from_before_a_session_is_not_told_to_it)
{
    struct user_action name = { .action = { USER_ACTION_PROFILE_EDITED,
                                            .u.profile_edited = { span_str("Ann") } } };
    struct user_action about = { .action = { USER_ACTION_PROFILE_DETAILS_EDITED,
                                             .u.profile_details_edited = {
                                                 .has_about = true, .about = span_str("Hi") } } };
    struct user_action marks = {
        .action = { USER_ACTION_CHAT_MARKED,
                    .u.chat_marked = { .chat_id = id_of(8), .has_pinned = true, .pinned = true } }
    };

    CHECK_EQ(told_at(name, OPENED_AT + 1), 1);
    CHECK_EQ(told_at(about, OPENED_AT + 1), 1);
    CHECK_EQ(told_at(marks, OPENED_AT + 1), 1);
    CHECK_EQ(told_at(name, OPENED_AT - 1), 0);
    CHECK_EQ(told_at(about, OPENED_AT - 1), 0);
    CHECK_EQ(told_at(marks, OPENED_AT - 1), 0);
}

/* The turn that opened the session failed after presence had kept it: what was a push before is one
 * again. */
TEST(a_replayed_delivery_from_before_a_session_wakes_its_device)
{
    CHECK_EQ(outputs_at(TOPIC_MOBILE_PUSH, OPENED_AT - 1), 1);
}

/* Records of presence when another gateway is heard at this offset, and three minutes and more
 * later at the next. */
static int ends_at(int64_t offset)
{
    struct user_state state;
    struct user_outputs out = { .max = USER_OUTPUTS_MAX };
    struct cq_arena *arena = arena_new(ARENA_BYTES);
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION,
                                           .u.user_action = {
                                               .action = { USER_ACTION_GATEWAY_ALIVE,
                                                           .u.gateway_alive = { id_of(5) } } } } };
    const char *why = "";
    int n = 0;

    if (!user_state_init(&state, 0, 1, 8) || user_restore(&state, &opened) != CQ_OK)
        return -1;
    for (int i = 0; i < 2; i++) {
        struct user_step step = { .state = &state,
                                  .offset = offset + i,
                                  .log_ms = i * (int64_t)(SILENT_MS + 1),
                                  .arena = arena,
                                  .out = &out,
                                  .room = SIZE_MAX };

        if (user_step(&step, &record, &why) != CQ_OK)
            return -1;
    }
    for (size_t i = 0; i < out.n; i++)
        n += out.v[i].topic == TOPIC_PRESENCE;
    free(out.v);
    user_state_release(&state);
    arena_free(arena);
    return n;
}

TEST(a_session_of_a_silent_gateway_ends)
{
    CHECK_EQ(ends_at(OPENED_AT + 1), 1);
}

/* Its gateway, too, came later; an end written now would be final for the next restore, and its
 * socket deaf. */
TEST(a_replay_from_long_before_does_not_end_a_session_opened_since)
{
    CHECK_EQ(ends_at(OPENED_AT - 8), 0);
}

/* A zombie of this role may say once more, too late, that a session is open. */
TEST(an_end_is_final_for_a_restore)
{
    struct user_state state;
    const struct user_entry *entry;

    CHECK(user_state_init(&state, 0, 1, 8));
    CHECK_EQ(user_restore(&state, &opened), CQ_OK);
    user_restore_gone(&state, id_of(1), false, id_of(2));
    CHECK_EQ(user_restore(&state, &opened), CQ_OK);
    user_restore_end(&state);
    entry = sessions_user(&state.sessions, id_of(1));
    CHECK(entry && !user_session(entry, id_of(2)) &&
          !user_device_online(entry, id_of(3), OPENED_AT));
    user_state_release(&state);
}
