/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/rows.h"
#include "tests/unit/test.h"

#include <stdlib.h>

#define ID(n) ((struct cq_id){ { (n) } })
enum { A = 1, B, C, CHAT = 100, OTHER };

static struct rows *fresh_rows(void)
{
    static struct rows *r;

    if (!r)
        r = rows_new();
    rows_clear(r);
    return r;
}

static struct chat_event message(uint8_t chat, uint8_t from, uint8_t peer, int64_t seq)
{
    return (struct chat_event){
        .chat_id = ID(chat),
        .seq = seq,
        .at_ms = 1000 + seq,
        .user_id = ID(from),
        .client_id = span_str("c"),
        .event = { CHAT_EVENT_MESSAGE_ACCEPTED,
                   .u.message_accepted = { .id = ID((uint8_t)(seq + 10)),
                                           .has_peer = peer != 0,
                                           .peer = ID(peer),
                                           .type = MESSAGE_TYPE_IMAGE,
                                           .content_type = span_str("text/plain"),
                                           .content = span_str("hello") } },
    };
}

TEST(first_message_makes_a_direct_chat_of_two)
{
    struct rows *r = fresh_rows();
    struct chat_event one = message(CHAT, A, B, 5), two = message(CHAT, B, A, 9);

    CHECK_EQ(rows_chat_event(r, &one), CQ_OK);
    CHECK_EQ(rows_chat_event(r, &two), CQ_OK);
    CHECK_EQ(r->chats_n, 1);
    CHECK_EQ(r->c_kind[0], 0);
    CHECK_EQ(r->c_part[0], id_part(ID(CHAT)));
    CHECK_EQ(r->c_created[0], 1005); /* by the first */
    CHECK(id_eq(r->c_by[0], ID(A)));
    CHECK_EQ(r->c_last[0], 9);
    CHECK_EQ(r->c_changed[0], 9);
    CHECK_EQ(r->members_n, 2);
    CHECK(id_eq(r->i_user[0], ID(A)) && id_eq(r->i_user[1], ID(B)));
    CHECK_EQ(r->i_joined[0], 0);
    CHECK_EQ(r->i_part[1], id_part(ID(CHAT)));
    CHECK_EQ(r->messages_n, 2);
    CHECK_EQ(r->m_part[1], id_part(ID(CHAT)));
    CHECK_EQ(r->m_type[1], 1);
    CHECK(r->m_no_key[0]);
    CHECK_SPAN(r->m_content[1], "hello");
}

TEST(a_group_begins_and_changes)
{
    struct rows *r = fresh_rows();
    struct member_entry members[] = { { ID(A), MEMBER_ROLE_OWNER }, { ID(B), MEMBER_ROLE_MEMBER } };
    struct member_change changes[] = { { ID(B), MEMBER_CHANGE_KIND_REMOVE },
                                       { ID(C), MEMBER_CHANGE_KIND_ADD },
                                       { ID(C), MEMBER_CHANGE_KIND_PROMOTE } };
    struct chat_event e = { .chat_id = ID(CHAT), .seq = 7, .at_ms = 70, .user_id = ID(A) };

    e.event.kind = CHAT_EVENT_GROUP_STARTED;
    e.event.u.group_started = (struct group_started){ span_str("first"), members, 2 };
    CHECK_EQ(rows_chat_event(r, &e), CQ_OK);
    e.seq = 8;
    e.event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED;
    e.event.u.membership_changed = (struct membership_changed){ changes, 3 };
    CHECK_EQ(rows_chat_event(r, &e), CQ_OK);
    e.seq = 9;
    e.event.kind = CHAT_EVENT_GROUP_NAMED;
    e.event.u.group_named.name = span_str("second");
    CHECK_EQ(rows_chat_event(r, &e), CQ_OK);

    CHECK_EQ(r->chats_n, 1);
    CHECK_EQ(r->c_kind[0], 1);
    CHECK_SPAN(r->c_name[0], "second");
    CHECK_EQ(r->c_name_seq[0], 9);
    CHECK_EQ(r->c_last[0], 0); /* no message yet */
    CHECK_EQ(r->c_changed[0], 9);
    CHECK_EQ(r->members_n, 3);
    CHECK_EQ(r->i_joined[1], 7);
    CHECK_EQ(r->i_part[2], id_part(ID(CHAT)));
    CHECK_EQ(r->i_role[0], 2);
    CHECK(id_eq(r->i_user[2], ID(C)));
    CHECK_EQ(r->i_joined[2], 8);
    CHECK_EQ(r->ops_n, 2);
    CHECK_EQ(r->ops[0].kind, OP_LEAVE);
    CHECK_EQ(r->ops[0].seq, 8);
    CHECK_EQ(r->ops[0].at_ms, 70);
    CHECK_EQ(r->ops[0].part, id_part(ID(CHAT)));
    CHECK_EQ(r->ops[1].kind, OP_ROLE);
    CHECK_EQ(r->ops[1].role, 1);

    CHECK_EQ(r->names_n, 2); /* each, for those who leave between them */
    CHECK_SPAN(r->n_name[0], "first");
    CHECK_EQ(r->n_seq[0], 7);
    CHECK_SPAN(r->n_name[1], "second");
    CHECK_EQ(r->n_seq[1], 9);
    CHECK_EQ(r->n_part[1], id_part(ID(CHAT)));
}

TEST(names_have_a_bound)
{
    struct rows *r = fresh_rows();
    struct chat_event e = { .chat_id = ID(CHAT), .user_id = ID(A) };

    e.event.kind = CHAT_EVENT_GROUP_NAMED;
    e.event.u.group_named.name = span_str("again");
    for (e.seq = 1; e.seq <= ROWS_CHATS; e.seq++)
        CHECK_EQ(rows_chat_event(r, &e), CQ_OK);
    CHECK_EQ(rows_chat_event(r, &e), CQ_AGAIN);
    CHECK_EQ(r->chats_n, 1);
}

TEST(an_older_name_does_not_win)
{
    struct rows *r = fresh_rows();
    struct chat_event e = { .chat_id = ID(CHAT), .seq = 9, .user_id = ID(A) };

    e.event.kind = CHAT_EVENT_GROUP_NAMED;
    e.event.u.group_named.name = span_str("newer");
    CHECK_EQ(rows_chat_event(r, &e), CQ_OK);
    e.seq = 8;
    e.event.u.group_named.name = span_str("older");
    CHECK_EQ(rows_chat_event(r, &e), CQ_OK);
    CHECK_SPAN(r->c_name[0], "newer");
    CHECK_EQ(r->c_changed[0], 9);
}

static struct user_event user_event_of(uint8_t user, enum user_event_event_kind kind,
                                       int64_t offset)
{
    return (struct user_event){
        .user_id = ID(user), .source = { 1, 0, offset }, .at_ms = 50 + offset, .event.kind = kind
    };
}

TEST(names_of_users)
{
    struct rows *r = fresh_rows();
    struct user_event e = user_event_of(A, USER_EVENT_USER_REGISTERED, 4);

    e.event.u.user_registered.name = span_str("Ann");
    CHECK_EQ(rows_user_event(r, &e), CQ_OK);
    e = user_event_of(A, USER_EVENT_USER_REGISTERED, 6); /* a log-in keeps the name */
    CHECK_EQ(rows_user_event(r, &e), CQ_OK);
    CHECK_EQ(r->users_n, 1);
    CHECK_SPAN(r->u_name[0], "Ann");
    CHECK_EQ(r->u_at[0], 54);
    CHECK_EQ(r->u_src[0], ((int64_t)1 << 48) + 6);
    e = user_event_of(A, USER_EVENT_PROFILE_CHANGED, 7);
    e.event.u.profile_changed.name = span_str("Anna");
    CHECK_EQ(rows_user_event(r, &e), CQ_OK);
    CHECK_SPAN(r->u_name[0], "Anna");
}

TEST(devices_come_and_go)
{
    struct rows *r = fresh_rows();
    struct user_event e = user_event_of(A, USER_EVENT_DEVICE_ADDED, 1);

    e.event.u.device_added = (struct device_added){ ID(9), span_str("web"), span_str("x") };
    CHECK_EQ(rows_user_event(r, &e), CQ_OK);
    e = user_event_of(A, USER_EVENT_DEVICE_REMOVED, 2);
    e.event.u.device_removed = (struct device_removed){ ID(9), span_str("logout") };
    CHECK_EQ(rows_user_event(r, &e), CQ_OK);
    CHECK_EQ(r->devices_n, 1);
    CHECK(id_eq(r->d_device[0], ID(9)));
    CHECK_EQ(r->ops_n, 1);
    CHECK_EQ(r->ops[0].kind, OP_DEVICE_GONE);
    CHECK_EQ(r->ops[0].seq, 52);
}

TEST(a_full_table_says_again_and_keeps_what_it_has)
{
    struct rows *r = fresh_rows();
    static struct member_entry members[1000];
    struct chat_event e = { .chat_id = ID(CHAT), .seq = 1, .user_id = ID(A) };
    enum cq_status st = CQ_OK;
    int n = 0;

    e.event.kind = CHAT_EVENT_GROUP_STARTED;
    e.event.u.group_started = (struct group_started){ span_str("g"), members, ARRAY_LEN(members) };
    while ((st = rows_chat_event(r, &e)) == CQ_OK && n < 100) {
        n++;
        e.seq++;
        e.chat_id.b[15]++;
    }
    CHECK_EQ(st, CQ_AGAIN);
    CHECK_EQ(n, ROWS_MEMBERS / 1000);
    CHECK_EQ(r->members_n, (size_t)n * 1000);
    CHECK_EQ(r->chats_n, n);
    rows_clear(r);
    CHECK_EQ(rows_chat_event(r, &e), CQ_OK);
}

TEST(rejections)
{
    struct rows *r = fresh_rows();
    struct rejection x = { .chat_id = ID(CHAT),
                           .source = { 1, 2, 77 },
                           .at_ms = 5,
                           .user_id = ID(A),
                           .client_id = span_str("c1"),
                           .id = ID(3),
                           .code = span_str("not_found") };

    CHECK_EQ(rows_rejection(r, &x), CQ_OK);
    CHECK_EQ(r->rejected_n, 1);
    CHECK_EQ(r->r_part[0], 2);
    CHECK_EQ(r->r_offset[0], 77);
    CHECK_SPAN(r->r_code[0], "not_found");
}
