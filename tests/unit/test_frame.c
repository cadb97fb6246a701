/* SPDX-License-Identifier: MIT */
#include "schemas/frame.h"

#include "lib/base/arena.h"
#include "lib/json/write.h"
#include "tests/unit/test.h"

#define ID(c)        \
    ((struct cq_id){ \
        { (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c) } })
#define U1 "\"01010101-0101-0101-0101-010101010101\""
#define U2 "\"02020202-0202-0202-0202-020202020202\""
#define U3 "\"03030303-0303-0303-0303-030303030303\""
#define U4 "\"04040404-0404-0404-0404-040404040404\""

static struct chat_event event(enum chat_event_event_kind kind)
{
    return (struct chat_event){
        .chat_id = ID(1),
        .seq = 281474976710733,
        .at_ms = 1764000000000,
        .user_id = ID(2),
        .client_id = span_str("c-1"),
        .event = { .kind = kind },
    };
}

TEST(message_in_a_direct_chat)
{
    cq_auto(buf) struct cq_buf b;
    struct chat_event e = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    e.event.u.message_accepted = (struct message_accepted){ .id = ID(3),
                                                            .has_peer = true,
                                                            .peer = ID(4),
                                                            .type = MESSAGE_TYPE_IMAGE,
                                                            .content = span_str("a \"b\"") };
    buf_init(&b, 4096);
    frame_message(&b, &e);
    CHECK_SPAN(b, "\"t\":\"message\",\"id\":" U3 ",\"clientId\":\"c-1\",\"chatId\":" U1
                  ",\"seq\":281474976710733,\"from\":" U2 ",\"peer\":" U4
                  ",\"type\":\"image\",\"content\":\"a \\\"b\\\"\",\"sentAt\":1764000000000}");
}

TEST(message_in_a_group_has_no_peer)
{
    cq_auto(buf) struct cq_buf b;
    struct chat_event e = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    e.event.u.message_accepted = (struct message_accepted){ .id = ID(3) };
    buf_init(&b, 4096);
    frame_message(&b, &e);
    CHECK_SPAN(b, "\"t\":\"message\",\"id\":" U3 ",\"clientId\":\"c-1\",\"chatId\":" U1
                  ",\"seq\":281474976710733,\"from\":" U2
                  ",\"type\":\"text\",\"content\":\"\",\"sentAt\":1764000000000}");
}

TEST(group_frames)
{
    cq_auto(buf) struct cq_buf b;
    struct member_entry members[] = { { ID(2), MEMBER_ROLE_OWNER }, { ID(3), MEMBER_ROLE_MEMBER } };
    struct member_change changes[] = { { ID(3), MEMBER_CHANGE_KIND_REMOVE },
                                       { ID(4), MEMBER_CHANGE_KIND_MAKE_OWNER } };
    struct chat_event started = event(CHAT_EVENT_GROUP_STARTED);
    struct chat_event named = event(CHAT_EVENT_GROUP_NAMED);
    struct chat_event changed = event(CHAT_EVENT_MEMBERSHIP_CHANGED);

    started.event.u.group_started = (struct group_started){ span_str("Los Ñ"), members, 2 };
    named.event.u.group_named.name = span_str("N");
    changed.event.u.membership_changed = (struct membership_changed){ changes, 2 };
    buf_init(&b, 4096);
    frame_chat(&b, &started);
    CHECK_SPAN(b, "\"t\":\"chat\",\"chatId\":" U1
                  ",\"seq\":281474976710733,\"name\":\"Los Ñ\",\"by\":" U2
                  ",\"at\":1764000000000,\"members\":[{\"userId\":" U2
                  ",\"role\":\"owner\"},{\"userId\":" U3 ",\"role\":\"member\"}]}");
    buf_clear(&b);
    frame_chat(&b, &named);
    CHECK_SPAN(b, "\"t\":\"chat\",\"chatId\":" U1
                  ",\"seq\":281474976710733,\"name\":\"N\",\"by\":" U2 ",\"at\":1764000000000}");
    buf_clear(&b);
    frame_chat(&b, &changed);
    CHECK_SPAN(b, "\"t\":\"member\",\"chatId\":" U1 ",\"seq\":281474976710733,\"by\":" U2
                  ",\"at\":1764000000000,\"changes\":[{\"userId\":" U3
                  ",\"change\":\"remove\"},{\"userId\":" U4 ",\"change\":\"make_owner\"}]}");
}

TEST(the_other_kind_renders_nothing)
{
    cq_auto(buf) struct cq_buf b;
    struct chat_event message = event(CHAT_EVENT_MESSAGE_ACCEPTED);
    struct chat_event named = event(CHAT_EVENT_GROUP_NAMED);

    buf_init(&b, 4096);
    frame_message(&b, &named);
    frame_chat(&b, &message);
    CHECK_EQ(b.n, 0);
}

TEST(small_frames)
{
    cq_auto(buf) struct cq_buf b;
    struct rejection r = {
        .client_id = span_str("c"), .id = ID(3), .chat_id = ID(1), .code = span_str("forbidden")
    };

    buf_init(&b, 4096);
    frame_rejected(&b, &r);
    CHECK_SPAN(b, "\"t\":\"rejected\",\"clientId\":\"c\",\"id\":" U3 ",\"chatId\":" U1
                  ",\"code\":\"forbidden\"}");
    buf_clear(&b);
    frame_status(&b, ID(1), 9, 0, -1);
    CHECK_SPAN(b, "\"t\":\"status\",\"chatId\":" U1 ",\"delivered\":9,\"read\":0,\"at\":-1}");
    buf_clear(&b);
    frame_ready(&b, ID(2), span_str("f1.12,,45"));
    CHECK_SPAN(b, "\"t\":\"ready\",\"session\":" U2 ",\"at\":\"f1.12,,45\"}");
}

TEST(escapes)
{
    static const struct {
        const char *in;
        size_t n;
        const char *want;
    } rows[] = {
        { "", 0, "\"\"" },
        { "plain text of more than eight bytes", 35, "\"plain text of more than eight bytes\"" },
        { "\"", 1, "\"\\\"\"" },
        { "a\\b", 3, "\"a\\\\b\"" },
        { "\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"" },
        { "\0\1\x0b\x1f", 4, "\"\\u0000\\u0001\\u000b\\u001f\"" },
        { " \x7f", 2, "\" \x7f\"" },
        { "</script>", 9, "\"<\\/script>\"" },
        { "1234567</x", 10, "\"1234567<\\/x\"" }, /* the two on both sides of an eighth byte */
        { "12345678</x", 11, "\"12345678<\\/x\"" },
        { "/<a/", 4, "\"/<a/\"" },
        { "ñ€𝄞", 9, "\"ñ€𝄞\"" },
        { "\xff", 1, "\"\xEF\xBF\xBD\"" },
        { "a\xc3", 2, "\"a\xEF\xBF\xBD\"" },                               /* cut */
        { "\xc0\xaf", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },                 /* overlong */
        { "\xed\xa0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" }, /* surrogate */
        { "\xf0\x9d\x84zzzzzzzz", 11, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDzzzzzzzz\"" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cq_auto(buf) struct cq_buf b;

        buf_init(&b, 4096);
        json_put_text(&b, span_of(rows[i].in, rows[i].n));
        CHECK_SPAN(b, rows[i].want);
    }
}

/* A long text, every byte at every place of the words and stretches that the renderer takes at
 * once. */
TEST(every_byte_at_every_place)
{
    uint8_t text[600];
    cq_auto(buf) struct cq_buf b;

    buf_init(&b, 8192);
    for (int c = 0; c < 256; c++)
        for (size_t at = 240; at < 280; at++) {
            memset(text, 'x', sizeof text);
            text[at] = (uint8_t)c;
            buf_clear(&b);
            json_put_text(&b, span_of(text, sizeof text));
            CHECK(span_is_utf8(buf_span(&b)));
            CHECK(!b.failed && b.p[0] == '"' && b.p[b.n - 1] == '"');
            if (c >= 0x80)
                CHECK_EQ(b.n, sizeof text + 4);
            else if (c >= 0x20 && c != '"' && c != '\\')
                CHECK_EQ(b.n, sizeof text + 2);
            else
                CHECK(b.n == sizeof text + 3 || b.n == sizeof text + 7);
        }
}

TEST(a_full_buffer_is_told)
{
    cq_auto(buf) struct cq_buf b;
    struct chat_event e = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    buf_init(&b, 100);
    frame_message(&b, &e);
    CHECK(b.failed);
}

TEST(words)
{
    enum message_type t;

    for (unsigned i = 0; i < MESSAGE_TYPE_N; i++) {
        CHECK(message_type_parse(span_str(message_type_word((enum message_type)i)), &t));
        CHECK_EQ(t, i);
    }
    CHECK(!message_type_parse(span_str("TEXT"), &t) && !message_type_parse(span_str(""), &t));
    CHECK_STR(message_type_word(MESSAGE_TYPE_DOCUMENT), "document");
    CHECK_STR(member_role_word(MEMBER_ROLE_ADMIN), "admin");
    CHECK_STR(member_change_word(MEMBER_CHANGE_KIND_DEMOTE), "demote");
    CHECK_STR(member_change_word(MEMBER_CHANGE_KIND_N), "");
}
