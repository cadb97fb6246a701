/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "ingest/ingest.h"
#include "ingest/validate.h"

static struct chat_action message(const char *client_id, struct cq_span content)
{
    struct chat_action a = { .chat_id = { { 1 } },
                             .user_id = { { 2 } },
                             .client_id = span_str(client_id) };

    a.action.kind = CHAT_ACTION_MESSAGE_SENT;
    a.action.u.message_sent.content = content;
    return a;
}

static const char *verdict(const char *client_id, struct cq_span content)
{
    struct chat_action a = message(client_id, content);
    const char *field = validate_chat(&a);

    return field ? field : "good";
}

TEST(messages_keep_their_bounds)
{
    static char big[LIMIT_CONTENT_BYTES + 1];
    static char long_id[LIMIT_CLIENT_ID_BYTES + 2];

    memset(big, 'x', sizeof big);
    memset(long_id, 'i', LIMIT_CLIENT_ID_BYTES + 1);
    CHECK_STR(verdict("c1", span_str("hi")), "good");
    CHECK_STR(verdict("c1", span_of(big, LIMIT_CONTENT_BYTES)), "good");
    CHECK_STR(verdict("c1", span_of(big, sizeof big)), "content");
    CHECK_STR(verdict("c1", span_str("")), "content");
    CHECK_STR(verdict("c1", span_str("\xff")), "content");
    CHECK_STR(verdict("c1", span_of("a\0b", 3)), "content");
    CHECK_STR(verdict("", span_str("hi")), "clientId");
    CHECK_STR(verdict("a b", span_str("hi")), "clientId");
    CHECK_STR(verdict(long_id, span_str("hi")), "clientId");
    CHECK_STR(verdict("\xc3\xa4", span_str("hi")), "clientId");
}

TEST(names_are_text_of_a_hundred_characters)
{
    static char name[401];

    for (int i = 0; i < 200; i += 2)
        memcpy(name + i, "\xc3\xa4", 2);
    CHECK(display_name_good(span_of(name, 200))); /* 100 code points in 200 bytes */
    memcpy(name + 200, "\xc3\xa4", 2);
    CHECK(!display_name_good(span_of(name, 202)));
    CHECK(!display_name_good(span_str("")));
    CHECK(!display_name_good(span_str("line\nbreak")));
    memset(name, 'x', 101);
    CHECK(display_name_good(span_of(name, 100)));
    CHECK(!display_name_good(span_of(name, 101)));
    for (int i = 0; i < 400; i += 4)
        memcpy(name + i, "\xf0\x9f\x98\x80", 4);
    CHECK(display_name_good(span_of(name, 400))); /* 100 code points of four bytes */
    CHECK(!display_name_good(span_of(name, 399)));
}

TEST(t24_names_have_no_characters_that_act_on_what_stands_beside_them)
{
    static const struct {
        const char *text;
        bool name, label;
    } rows[] = {
        { "Ana", true, true },
        { "", false, true },
        { " ", false, true },
        { "a\x7f", false, false },
        { "a\xc2\x80", false, false },   /* C1, the first */
        { "a\xc2\x9f", false, false },   /* and the last */
        { "\xc2\xa0", false, true },     /* a space that does not break */
        { "\xe2\x80\x8b", false, true }, /* zero width alone */
        { "\xe3\x85\xa4", false, true }, /* Hangul filler alone */
        { "\xe2\xa0\x80", false, true }, /* blank Braille alone */
        { "a\xe2\x80\xa8"
          "b",
          false, false }, /* line separator */
        { "a\xe2\x80\xaa"
          "b",
          false, false }, /* embedding */
        { "a\xe2\x80\xae"
          "b",
          false, false }, /* override */
        { "a\xe2\x81\xa6"
          "b",
          false, false }, /* isolate */
        { "a\xe2\x81\xa9"
          "b",
          false, false },                        /* its end */
        { "\xd7\xa9\xe2\x80\x8f!", true, true }, /* Hebrew with a mark of direction */
        { "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae", true, true },         /* Persian with ZWNJ */
        { "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", true, true }, /* a family by ZWJ */
        { "\xe2\x9d\xa4\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x94\xa5", true, true }, /* VS16 and ZWJ */
        { "\xe2\x80\x8d"
          "a",
          false, false }, /* a joiner of nothing */
        { "a \xe2\x80\x8c"
          "b",
          false, false },
        { "a\xe2\x80\x8d\xe2\x80\x8d"
          "b",
          false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ_ROW(rows[i].text, display_name_good(span_str(rows[i].text)), rows[i].name);
        CHECK_EQ_ROW(rows[i].text, device_label_good(span_str(rows[i].text)), rows[i].label);
    }
}

TEST(t24_names_of_files)
{
    static char name[LIMIT_FILE_NAME_BYTES + 1];

    memset(name, 'x', sizeof name);
    CHECK(file_name_good(span_of(name, LIMIT_FILE_NAME_BYTES)));
    CHECK(!file_name_good(span_of(name, sizeof name)));
    CHECK(file_name_good(span_str("")));
    CHECK(file_name_good(span_str("\xe2\x80\x8d.png"))); /* joiners do nobody harm here */
    CHECK(!file_name_good(span_str("photo\xe2\x80\xaegpj.exe")));
    CHECK(!file_name_good(span_str("a\xc2\x85")));
    CHECK(!file_name_good(span_str("a/b")));
    CHECK(!file_name_good(span_str("a\\b")));
}

TEST(t24_content_is_kept_whatever_its_characters)
{
    /* an override and zero-width characters are content, not a name; its length counts in bytes */
    CHECK_STR(verdict("c1", span_str("\xe2\x80\xae\xe2\x80\x8b")), "good");
}

TEST(groups_and_receipts_keep_their_bounds)
{
    static struct cq_id members[LIMIT_GROUP_MEMBERS];
    static struct receipt receipts[LIMIT_RECEIPTS + 1];
    struct chat_action a = message("c1", span_str("x"));

    a.action.kind = CHAT_ACTION_GROUP_CREATED;
    a.action.u.group_created =
        (struct group_created){ span_str("Team"), members, LIMIT_GROUP_MEMBERS - 1 };
    CHECK(validate_chat(&a) == NULL);
    a.action.u.group_created.members_n = LIMIT_GROUP_MEMBERS;
    CHECK_STR(validate_chat(&a), "members");
    a = message("", span_str("x"));
    a.action.kind = CHAT_ACTION_RECEIPTS_ADVANCED;
    a.action.u.receipts_advanced = (struct receipts_advanced){ receipts, LIMIT_RECEIPTS };
    CHECK(validate_chat(&a) == NULL);
    a.action.u.receipts_advanced.receipts_n++;
    CHECK_STR(validate_chat(&a), "receipts");
    a.action.u.receipts_advanced.receipts_n = 1;
    receipts[0].read_seq = -1;
    CHECK_STR(validate_chat(&a), "seq");
}

/* Fields that only our own processes fill have their bounds, too: what stands in the log without
 * one has none anywhere. */
TEST(texts_that_no_client_writes_keep_their_bounds)
{
    static char text[LIMIT_CONTENT_BYTES];
    static struct lost_item items[LIMIT_LOST_ITEMS + 1];
    struct chat_action a = message("c1", span_str("x"));
    struct user_action u = { .user_id = { { 1 } } };

    memset(text, 'k', sizeof text);
    a.action.u.message_sent.has_key_id = true;
    a.action.u.message_sent.key_id = span_of(text, LIMIT_KEY_ID_BYTES);
    CHECK(validate_chat(&a) == NULL);
    a.action.u.message_sent.key_id.n++;
    CHECK_STR(validate_chat(&a), "keyId");
    a = message("c1", span_str("x"));
    a.action.u.message_sent.content_type = span_of("a\0b", 3); /* no text column takes it */
    CHECK_STR(validate_chat(&a), "contentType");
    a.action.u.message_sent.content_type = span_str("\xff");
    CHECK_STR(validate_chat(&a), "contentType");

    u.action.kind = USER_ACTION_DEVICE_UNLINKED;
    u.action.u.device_unlinked.reason = span_of(text, LIMIT_REASON_BYTES);
    CHECK(validate_user(&u) == NULL);
    u.action.u.device_unlinked.reason.n++;
    CHECK_STR(validate_user(&u), "reason");
    u.action.kind = USER_ACTION_PUSH_UNREGISTERED;
    u.action.u.push_unregistered =
        (struct push_unregistered){ span_of(text, LIMIT_REASON_BYTES + 1), span_str(""), -1 };
    CHECK_STR(validate_user(&u), "reason");
    u.action.kind = USER_ACTION_DEVICE_LINKED;
    u.action.u.device_linked = (struct device_linked){ span_of("web\0", 4), span_str("") };
    CHECK_STR(validate_user(&u), "label");
    u.action.kind = USER_ACTION_SESSION_LOST;
    u.action.u.session_lost = (struct session_lost){ { { 1 } }, items, LIMIT_LOST_ITEMS };
    CHECK(validate_user(&u) == NULL);
    u.action.u.session_lost.items_n++;
    CHECK_STR(validate_user(&u), "items");
}

TEST(times_are_dates_that_every_reader_can_hold)
{
    struct user_action u = { .user_id = { { 1 } } };

    u.action.kind = USER_ACTION_CHAT_MUTED;
    u.action.u.chat_muted = (struct chat_muted){ { { 2 } }, INGEST_TIME_MAX_MS };
    CHECK(validate_user(&u) == NULL);
    u.action.u.chat_muted.until_ms++;
    CHECK_STR(validate_user(&u), "until");
}
