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
    static char big[INGEST_CONTENT_MAX + 1];
    static char long_id[INGEST_CLIENT_ID_MAX + 2];

    memset(big, 'x', sizeof big);
    memset(long_id, 'i', INGEST_CLIENT_ID_MAX + 1);
    CHECK_STR(verdict("c1", span_str("hi")), "good");
    CHECK_STR(verdict("c1", span_of(big, INGEST_CONTENT_MAX)), "good");
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
}

TEST(groups_and_receipts_keep_their_bounds)
{
    static struct cq_id members[INGEST_GROUP_MAX];
    static struct receipt receipts[INGEST_RECEIPTS_MAX + 1];
    struct chat_action a = message("c1", span_str("x"));

    a.action.kind = CHAT_ACTION_GROUP_CREATED;
    a.action.u.group_created =
        (struct group_created){ span_str("Team"), members, INGEST_GROUP_MAX - 1 };
    CHECK(validate_chat(&a) == NULL);
    a.action.u.group_created.members_n = INGEST_GROUP_MAX;
    CHECK_STR(validate_chat(&a), "members");
    a = message("", span_str("x"));
    a.action.kind = CHAT_ACTION_RECEIPTS_ADVANCED;
    a.action.u.receipts_advanced = (struct receipts_advanced){ receipts, INGEST_RECEIPTS_MAX };
    CHECK(validate_chat(&a) == NULL);
    a.action.u.receipts_advanced.receipts_n++;
    CHECK_STR(validate_chat(&a), "receipts");
    a.action.u.receipts_advanced.receipts_n = 1;
    receipts[0].read_seq = -1;
    CHECK_STR(validate_chat(&a), "seq");
}
