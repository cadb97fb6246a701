/* SPDX-License-Identifier: MIT */
/*
 * Where a user can be woken travels with each of his pushes: what all of his devices register is
 * bounded together, and the newest stay. So do his muted chats.
 */
#include "tests/unit/test.h"

#include "ingest/ingest.h"
#include "processors/user/rules.h"

#include <stdlib.h>

enum { ARENA_BYTES = 1 << 20, FIRST_DEVICE = 100 };

static struct cq_id id_of(uint8_t n)
{
    struct cq_id id = { { 0 } };

    id.b[0] = n;
    return id;
}

static const struct cq_id user = { { 1 } };

struct known {
    struct user_state state;
    struct user_outputs out;
    struct cq_arena *arena;
    int64_t offset;
    int told, gone; /* records in push.targets so far */
};

static bool known_open(struct known *known)
{
    *known = (struct known){ .out.max = USER_OUTPUTS_MAX, .arena = arena_new(ARENA_BYTES) };
    if (!user_state_init(&known->state, 0, 1, 8))
        return false;
    for (uint8_t i = 0; i < LIMIT_USER_DEVICES; i++)
        if (user_restore(&known->state,
                         &(struct presence){
                             .user_id = user,
                             .source = { TOPIC_GENERATION, 0, 1 },
                             .entry = { PRESENCE_DEVICE_ENTRY,
                                        .u.device_entry = { id_of((uint8_t)(FIRST_DEVICE + i)),
                                                            span_str("ios") } } }) != CQ_OK)
            return false;
    return true;
}

static void known_close(struct known *known)
{
    free(known->out.v);
    user_state_release(&known->state);
    arena_free(known->arena);
}

/* Device `n` registers an address of so many bytes. */
static enum cq_status registers(struct known *known, uint8_t n, size_t token_n, size_t app_n,
                                size_t locale_n)
{
    static uint8_t text[LIMIT_PUSH_TOKEN_BYTES];
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION,
                                           .u.user_action = {
                                               .user_id = user,
                                               .device_id = id_of((uint8_t)(FIRST_DEVICE + n)),
                                               .action = { USER_ACTION_PUSH_REGISTERED } } } };
    struct push_address *address = &record.body.u.user_action.action.u.push_registered.address;
    struct user_step step = { .state = &known->state,
                              .offset = 10 + known->offset++,
                              .arena = known->arena,
                              .out = &known->out,
                              .room = SIZE_MAX };
    const char *why = "";
    enum cq_status st;

    memset(text, 'a', sizeof text);
    text[0] = n;
    *address = (struct push_address){ .token = span_of(text, token_n),
                                      .app = span_of(text, app_n),
                                      .locale = span_of(text, locale_n) };
    known->out.n = 0;
    st = user_step(&step, &record, &why);
    for (size_t i = 0; i < known->out.n; i++) {
        known->told += known->out.v[i].topic == TOPIC_PUSH_TARGETS;
        known->gone += known->out.v[i].topic == TOPIC_PUSH_TARGETS && known->out.v[i].u.target.gone;
    }
    return st;
}

static bool can_be_woken(const struct known *known, uint8_t n)
{
    const struct user_entry *entry = sessions_user(&known->state.sessions, user);

    return user_device(entry, id_of((uint8_t)(FIRST_DEVICE + n)))->push != NULL;
}

TEST(every_device_has_room_for_an_ordinary_address)
{
    struct known known;

    CHECK(known_open(&known));
    for (uint8_t n = 0; n < LIMIT_USER_DEVICES; n++)
        CHECK_EQ(registers(&known, n, 200, 46, 10), CQ_OK); /* 4,096 in all */
    for (uint8_t n = 0; n < LIMIT_USER_DEVICES; n++)
        CHECK(can_be_woken(&known, n));
    CHECK_EQ(known.told, LIMIT_USER_DEVICES);
    CHECK_EQ(known.gone, 0);
    CHECK_EQ(registers(&known, 5, 201, 46, 10), CQ_OK); /* a byte more, in place of its old one */
    CHECK(!can_be_woken(&known, 0));
    CHECK(can_be_woken(&known, 1));
    CHECK_EQ(known.gone, 1);
    known_close(&known);
}

TEST(of_the_longest_addresses_the_newest_stay)
{
    struct known known;

    CHECK(known_open(&known));
    for (uint8_t n = 0; n < LIMIT_USER_DEVICES; n++)
        CHECK_EQ(
            registers(&known, n, LIMIT_PUSH_TOKEN_BYTES, LIMIT_PUSH_APP_BYTES, LIMIT_LOCALE_BYTES),
            CQ_OK);
    for (uint8_t n = 0; n < LIMIT_USER_DEVICES; n++)
        CHECK_EQ(can_be_woken(&known, n), n >= LIMIT_USER_DEVICES - 3);
    CHECK_EQ(known.told - known.gone, LIMIT_USER_DEVICES);
    CHECK_EQ(known.gone, LIMIT_USER_DEVICES - 3);
    known_close(&known);
}

/* ---- muted chats ---------------------------------------------------------------------- */

static struct cq_id chat_of(int n)
{
    const struct cq_span part = span_of(&n, sizeof n);

    return id_derive("chat", &part, 1);
}

static enum cq_status mutes(struct known *known, int chat, int64_t until_ms)
{
    struct user_inbox record = {
        .body = { USER_INBOX_USER_ACTION,
                  .u.user_action = { .user_id = user,
                                     .action = { USER_ACTION_CHAT_MUTED,
                                                 .u.chat_muted = { chat_of(chat), until_ms } } } }
    };
    struct user_step step = { .state = &known->state,
                              .offset = 10 + known->offset++,
                              .log_ms = 1000,
                              .arena = known->arena,
                              .out = &known->out,
                              .room = SIZE_MAX };
    const char *why = "";

    known->out.n = 0;
    return user_step(&step, &record, &why);
}

static int64_t muted_until(struct known *known, int chat)
{
    const struct user_step step = { .state = &known->state, .offset = INT64_MAX };

    return user_muted_until(&step, sessions_user(&known->state.sessions, user), chat_of(chat));
}

TEST(of_many_muted_chats_those_that_last_longest_stay)
{
    struct known known;
    const struct user_entry *entry;

    CHECK(known_open(&known));
    for (int n = 0; n < USER_MUTES_MAX; n++)
        CHECK_EQ(mutes(&known, n, 2000 + n), CQ_OK);
    entry = sessions_user(&known.state.sessions, user);
    CHECK_EQ(entry->mutes_n, USER_MUTES_MAX);
    CHECK_EQ(mutes(&known, 9999, 5000), CQ_OK); /* one more: the first to end goes, and its key */
    CHECK_EQ(entry->mutes_n, USER_MUTES_MAX);
    CHECK_EQ(known.out.n, 3);
    CHECK(known.out.v[1].u.mute.gone && id_eq(known.out.v[1].u.mute.value.chat_id, chat_of(0)));
    CHECK_EQ(muted_until(&known, 0), 0);
    CHECK_EQ(muted_until(&known, 1), 2001);
    CHECK_EQ(muted_until(&known, 9999), 5000);
    CHECK_EQ(mutes(&known, 1, 0), CQ_OK);
    CHECK_EQ(mutes(&known, 2, 1000), CQ_OK); /* over already */
    CHECK_EQ(mutes(&known, 0, 0), CQ_OK);    /* not muted: nothing to say but the event */
    CHECK_EQ(known.out.n, 1);
    CHECK_EQ(entry->mutes_n, USER_MUTES_MAX - 2);
    known_close(&known);
}
