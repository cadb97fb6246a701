/* SPDX-License-Identifier: MIT */
#include "schemas/names.h"

#include "tests/unit/test.h"

#define ID(c) ((struct cq_id){ { (c), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } })

TEST(direct_chat_is_the_same_from_both_sides)
{
    CHECK(id_eq(chat_id_direct(ID(1), ID(2)), chat_id_direct(ID(2), ID(1))));
    CHECK(!id_eq(chat_id_direct(ID(1), ID(2)), chat_id_direct(ID(1), ID(3))));
}

/* Stored data holds these: a change of the derivation must be seen. */
TEST(derived_ids_never_change)
{
    struct cq_span span = span_str("client-1");

    CHECK_STR(id_text(chat_id_direct(ID(1), ID(2))).s, "8897e991-b556-8f0c-9c34-a8633ddabafd");
    CHECK_STR(id_text(chat_id_group(ID(1), span)).s, "4b154db1-ad9c-81fe-89e4-2d826b75c623");
    CHECK_STR(id_text(message_id(ID(1), ID(2), span)).s, "e31d9f2e-a162-8f44-ad69-b09eb19ed196");
    CHECK_STR(id_text(event_id("chat.actions", 1, 2, 3, 4)).s,
              "f8fd1a48-470f-878c-91e2-e451805727e2");
}

TEST(every_part_counts)
{
    struct cq_span c = span_str("client-1"), d = span_str("client-2");
    struct cq_id id = event_id("chat.actions", 1, 2, 3, 4);

    CHECK(!id_eq(message_id(ID(1), ID(2), c), message_id(ID(2), ID(1), c)));
    CHECK(!id_eq(message_id(ID(1), ID(2), c), message_id(ID(1), ID(2), d)));
    CHECK(!id_eq(chat_id_group(ID(1), c), chat_id_group(ID(1), d)));
    CHECK(!id_eq(chat_id_group(ID(1), c), chat_id_group(ID(2), c)));
    CHECK(!id_eq(id, event_id("user.inbox", 1, 2, 3, 4)));
    CHECK(!id_eq(id, event_id("chat.actions", 2, 2, 3, 4)));
    CHECK(!id_eq(id, event_id("chat.actions", 1, 1, 3, 4)));
    CHECK(!id_eq(id, event_id("chat.actions", 1, 2, 4, 4)));
    CHECK(!id_eq(id, event_id("chat.actions", 1, 2, 3, 5)));
}
