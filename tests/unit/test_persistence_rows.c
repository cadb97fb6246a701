/* SPDX-License-Identifier: MIT */
#include "schemas/contents.h"
#include "schemas/names.h"
#include "sinks/persistence/rows.h"
#include "sinks/persistence/tables.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#define ID(n) ((struct cq_id){ { (n) } })
enum { A = 1, B, C, CHAT = 100, OTHER };

static struct rows *fresh_rows(void)
{
    static struct rows *rows;

    if (!rows)
        rows = rows_new();
    rows_clear(rows);
    return rows;
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
    struct rows *rows = fresh_rows();
    struct chat_event one = message(CHAT, A, B, 5), two = message(CHAT, B, A, 9);

    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &two), CQ_OK);
    CHECK_EQ(rows->chats.n, 1);
    CHECK_EQ(rows->chats.v[0].kind, 0);
    CHECK_EQ(rows->chats.v[0].part, id_part(ID(CHAT)));
    CHECK_EQ(rows->chats.v[0].created_ms, 1005); /* by the first */
    CHECK(id_eq(rows->chats.v[0].created_by, ID(A)));
    CHECK_EQ(rows->chats.v[0].last_seq, 9);
    CHECK_EQ(rows->chats.v[0].changed_seq, 9);
    CHECK_EQ(rows->members.n, 2);
    CHECK(id_eq(rows->members.v[0].user, ID(A)) && id_eq(rows->members.v[1].user, ID(B)));
    CHECK_EQ(rows->members.v[0].joined_seq, 0);
    CHECK_EQ(rows->members.v[1].part, id_part(ID(CHAT)));
    CHECK_EQ(rows->messages.n, 2);
    CHECK_EQ(rows->messages.v[1].part, id_part(ID(CHAT)));
    CHECK_EQ(rows->messages.v[1].type, 1);
    CHECK(rows->messages.v[0].no_key);
    CHECK_SPAN(rows->messages.v[1].content, "hello");
}

static struct chat_event block(uint8_t chat, uint8_t by, uint8_t peer, int64_t seq, bool blocked)
{
    return (struct chat_event){ .chat_id = ID(chat),
                                .seq = seq,
                                .at_ms = 1000 + seq,
                                .user_id = ID(by),
                                .event = { CHAT_EVENT_BLOCK_CHANGED,
                                           .u.block_changed = { ID(peer), blocked } } };
}

TEST(a_block_ends_a_stay_and_changes_the_chat_for_nobody)
{
    struct rows *rows = fresh_rows();
    struct chat_event on = block(CHAT, B, A, 5, true), off = block(CHAT, B, A, 9, false),
                      one = message(CHAT, A, B, 7);

    CHECK_EQ(rows_chat_event(rows, &on), CQ_OK);
    CHECK_EQ(rows->chats.n, 1); /* of the blocker alone, when there was none */
    CHECK_EQ(rows->chats.v[0].kind + rows->chats.v[0].changed_seq + rows->chats.v[0].last_seq, 0);
    CHECK_EQ(rows->members.n, 1);
    CHECK(id_eq(rows->members.v[0].user, ID(B)));
    CHECK_EQ(rows->ops_n, 2);
    CHECK(rows->ops[0].kind == OP_LEAVE && rows->ops[0].seq == 5 &&
          rows->ops[0].part == id_part(ID(CHAT)) && id_eq(rows->ops[0].user, ID(B)));
    CHECK(rows->ops[1].kind == OP_BLOCK && id_eq(rows->ops[1].peer, ID(A)));
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK); /* the first message makes it for both */
    CHECK_EQ(rows->members.n, 3);
    CHECK_EQ(rows->chats.v[0].changed_seq, 7);
    CHECK_EQ(rows_chat_event(rows, &off), CQ_OK);
    CHECK_EQ(rows->chats.v[0].changed_seq, 7);
    CHECK(rows->ops[2].kind == OP_RETURN && rows->ops[2].seq == 9);
    CHECK(rows->ops[3].kind == OP_UNBLOCK && rows->ops[3].at_ms == 1009);
    rows_clear(rows);
    CHECK_EQ(rows_chat_event(rows, &off), CQ_OK); /* makes nothing */
    CHECK_EQ(rows->chats.n + rows->members.n, 0);
    while (rows->ops_n + 2 <= ROWS_OPS)
        CHECK_EQ(rows_chat_event(rows, &off), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &off), CQ_AGAIN);
}

/* What is rendered has room of its own, and ends a transaction as a table does. */
TEST(a_message_keeps_what_it_shows)
{
    struct rows *rows = fresh_rows();
    struct chat_event one = message(CHAT, A, 0, 5), two = message(CHAT, A, 0, 6);
    struct message_accepted *accepted = &one.event.u.message_accepted;
    enum cq_status st = CQ_OK;
    char long_name[CONTENTS_TEXT_MAX];

    accepted->has_contents = accepted->contents.has_location = true;
    accepted->contents.location = (struct location){ .latitude = 10000000, .longitude = 0 };
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &two), CQ_OK);
    CHECK_SPAN(rows->messages.v[0].contents, "\"location\":{\"latitude\":1,\"longitude\":0}");
    CHECK(!rows->messages.v[0].no_contents && rows->messages.v[1].no_contents);
    CHECK(rows->messages.v[0].shown.no_text && rows->messages.v[0].shown.no_media);
    accepted->has_preview = accepted->preview.has_media_id = true;
    accepted->preview.url = span_str("https://a");
    accepted->preview.media_id = ID(7);
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    CHECK_SPAN(
        rows->messages.v[2].shown.text,
        "\"preview\":{\"url\":\"https://a\",\"mediaId\":\"07000000-0000-0000-0000-000000000000\"}");
    CHECK(id_eq(rows->messages.v[2].shown.media, ID(7)) && !rows->messages.v[2].shown.no_media);
    accepted->has_preview = false;
    memset(long_name, 'x', sizeof long_name);
    accepted->contents.location.has_name = true;
    accepted->contents.location.name = span_of(long_name, sizeof long_name / 2);
    for (int64_t seq = 7; st == CQ_OK; seq++) {
        one.seq = seq;
        st = rows_chat_event(rows, &one);
    }
    CHECK_EQ(st, CQ_AGAIN);
    CHECK(rows->messages.n > 500 && rows->messages.n < ROWS_MESSAGES);
    rows_clear(rows);
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    accepted->contents.location.name = span_of(long_name, sizeof long_name);
    CHECK_EQ(rows_chat_event(rows, &one), CQ_POISON); /* no validation lets it through */
}

TEST(a_message_keeps_what_it_answers_and_whom_it_mentions)
{
    struct rows *rows = fresh_rows();
    struct cq_id mentions[] = { ID(B), ID(C), ID(B), ID(A) };
    struct chat_event one = message(CHAT, A, 0, 5), two = message(CHAT, A, 0, 6);
    struct message_accepted *accepted = &one.event.u.message_accepted;

    accepted->has_reply_to = true;
    accepted->reply_to = (struct quoted){ ID(9), 4 };
    accepted->mentions = mentions;
    accepted->mentions_n = ARRAY_LEN(mentions);
    accepted->has_forwarded = true;
    accepted->forwarded = 3;
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &two), CQ_OK);
    CHECK(id_eq(rows->messages.v[0].reply, ID(9)) && !rows->messages.v[0].no_reply);
    CHECK_EQ(rows->messages.v[0].reply_seq, 4);
    CHECK_EQ(rows->messages.v[0].mentions.n, sizeof mentions); /* as they were sent */
    CHECK_EQ(rows->messages.v[0].forwarded, 3);
    CHECK(rows->messages.v[1].no_reply && !rows->messages.v[1].mentions.n);
    CHECK_EQ(rows->messages.v[1].forwarded, 0);
    CHECK_EQ(rows->tallies.n, 4); /* one's own, and each mention once, of oneself none */
    CHECK(id_eq(rows->tallies.v[0].user, ID(A)) && rows->tallies.v[0].kind == TALLY_OWN);
    CHECK(id_eq(rows->tallies.v[1].user, ID(B)) && id_eq(rows->tallies.v[2].user, ID(C)));
    CHECK_EQ(rows->tallies.v[2].kind, TALLY_MENTION);
    CHECK_EQ(rows->tallies.v[2].seq, 5);
    CHECK_EQ(rows->tallies.v[2].part, id_part(ID(CHAT)));
    CHECK(id_eq(rows->tallies.v[3].user, ID(A)) && rows->tallies.v[3].seq == 6);
    CHECK_EQ(rows->messages.v[0].own, 0);
    rows_clear(rows);
    one = message(CHAT, A, B, 7); /* of a direct chat the messages say it themselves */
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    CHECK_EQ(rows->tallies.n, 0);
    CHECK_EQ(rows->messages.v[0].own, 1);
}

TEST(a_group_begins_and_changes)
{
    struct rows *rows = fresh_rows();
    struct member_entry members[] = { { ID(A), MEMBER_ROLE_OWNER }, { ID(B), MEMBER_ROLE_MEMBER } };
    struct member_change changes[] = { { ID(B), MEMBER_CHANGE_KIND_REMOVE },
                                       { ID(C), MEMBER_CHANGE_KIND_ADD },
                                       { ID(C), MEMBER_CHANGE_KIND_PROMOTE } };
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 7, .at_ms = 70, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_GROUP_STARTED;
    event.event.u.group_started = (struct group_started){ span_str("first"), members, 2 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 8;
    event.event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED;
    event.event.u.membership_changed =
        (struct membership_changed){ .changes = changes, .changes_n = 3 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 9;
    event.event.kind = CHAT_EVENT_GROUP_NAMED;
    event.event.u.group_named.name = span_str("second");
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);

    CHECK_EQ(rows->chats.n, 1);
    CHECK_EQ(rows->chats.v[0].kind, 1);
    CHECK_SPAN(rows->chats.v[0].name, "second");
    CHECK_EQ(rows->chats.v[0].name_seq, 9);
    CHECK_EQ(rows->chats.v[0].last_seq, 0); /* no message yet */
    CHECK_EQ(rows->chats.v[0].changed_seq, 9);
    CHECK_EQ(rows->members.n, 3);
    CHECK_EQ(rows->members.v[1].joined_seq, 7);
    CHECK_EQ(rows->members.v[2].part, id_part(ID(CHAT)));
    CHECK_EQ(rows->members.v[0].role, 2);
    CHECK(id_eq(rows->members.v[2].user, ID(C)));
    CHECK_EQ(rows->members.v[2].joined_seq, 8);
    CHECK_EQ(rows->ops_n, 3);
    CHECK_EQ(rows->ops[0].kind, OP_LEAVE);
    CHECK_EQ(rows->ops[0].seq, 8);
    CHECK_EQ(rows->ops[0].at_ms, 70);
    CHECK_EQ(rows->ops[0].part, id_part(ID(CHAT)));
    CHECK_EQ(rows->ops[1].kind, OP_LET_IN); /* if he had asked */
    CHECK(id_eq(rows->ops[1].user, ID(C)) && rows->ops[1].seq == 8);
    CHECK_EQ(rows->ops[2].kind, OP_ROLE);
    CHECK_EQ(rows->ops[2].role, 1);

    CHECK_EQ(rows->chat_names.n, 2); /* each, for those who leave between them */
    CHECK_SPAN(rows->chat_names.v[0].name, "first");
    CHECK_EQ(rows->chat_names.v[0].seq, 7);
    CHECK_SPAN(rows->chat_names.v[1].name, "second");
    CHECK_EQ(rows->chat_names.v[1].seq, 9);
    CHECK_EQ(rows->chat_names.v[1].part, id_part(ID(CHAT)));
}

TEST(names_have_a_bound)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_GROUP_NAMED;
    event.event.u.group_named.name = span_str("again");
    for (event.seq = 1; event.seq <= ROWS_CHATS; event.seq++)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    CHECK_EQ(rows->chats.n, 1);
}

TEST(an_older_name_does_not_win)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_GROUP_NAMED;
    event.event.u.group_named.name = span_str("newer");
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 8;
    event.event.u.group_named.name = span_str("older");
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_SPAN(rows->chats.v[0].name, "newer");
    CHECK_EQ(rows->chats.v[0].changed_seq, 9);
}

TEST(what_changes_messages_is_kept_in_order)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = {
        .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A), .client_id = span_str("e1")
    };

    event.event.kind = CHAT_EVENT_MESSAGE_EDITED;
    event.event.u.message_edited = (struct message_edited){ .message_id = ID(7),
                                                            .message_seq = 5,
                                                            .content_type = span_str("text/plain"),
                                                            .content = span_str("better") };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 10;
    event.event.kind = CHAT_EVENT_MESSAGE_DELETED;
    event.event.u.message_deleted = (struct message_deleted){ ID(7), 5, ID(B) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->changes_n, 2);
    CHECK_EQ(rows->edits_n, 1);
    CHECK_EQ(rows->deletions_n, 1);
    CHECK_EQ(rows->changes[0].part, id_part(ID(CHAT)));
    CHECK_EQ(rows->changes[0].target, 5);
    CHECK_EQ(rows->changes[0].edited_seq, 9);
    CHECK_EQ(rows->changes[0].deleted_seq, 0);
    CHECK_SPAN(rows->changes[0].content, "better");
    CHECK(id_eq(rows->changes[0].edit, change_id(ID(CHAT), ID(A), span_str("e1"))));
    CHECK_EQ(rows->changes[1].deleted_seq, 10);
    CHECK_EQ(rows->changes[1].edited_seq, 0);
    CHECK(id_is_zero(rows->changes[1].edit));
    CHECK(id_eq(rows->changes[1].by, ID(A)) && id_eq(rows->changes[1].message, ID(7)));
    event.seq = 11;
    event.event.kind = CHAT_EVENT_REACTION_CHANGED;
    event.event.u.reaction_changed = (struct reaction_changed){ ID(7), 5, ID(B), span_str("+1") };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->changes[2].reacted_seq, 11);
    CHECK_SPAN(rows->changes[2].reaction, "+1");
    CHECK_SPAN(rows->changes[2].content, "");
    CHECK(rows->changes[2].no_key && rows->reactions_n == 1);
    CHECK_EQ(rows->chats.n,
             0); /* a chat is not made by what changes a message, which may be none */
    while (rows->changes_n < ROWS_CHANGES)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    rows_clear(rows);
    CHECK_EQ(rows->changes_n + rows->edits_n + rows->deletions_n + rows->reactions_n, 0);
}

TEST(what_everybody_is_told_is_a_line_as_it_was_told)
{
    static const char start[] = "{\"t\":\"rights\",\"chatId\":";
    struct rows *rows = fresh_rows();
    struct member_change gone = { ID(B), MEMBER_CHANGE_KIND_REMOVE };
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED; /* of nobody: nobody was told */
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->lines.n, 0);
    event.event.u.membership_changed =
        (struct membership_changed){ .changes = &gone, .changes_n = 1 };
    event.seq = 10;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->lines.n, 1);
    CHECK(memmem(rows->lines.v[0].line.p, rows->lines.v[0].line.n, "\"change\":\"remove\"", 17) !=
          NULL);
    event.event.kind = CHAT_EVENT_RIGHTS_CHANGED;
    event.event.u.rights_changed = (struct rights_changed){ 0 };
    event.seq = 11;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->lines.v[1].seq, 11);
    CHECK(memcmp(rows->lines.v[1].line.p, start, sizeof start - 1) == 0);
    CHECK_EQ(rows->chats.n, 1);
    CHECK_EQ(rows->chats.v[0].line_seq, 11);
    event.event.kind = CHAT_EVENT_PIN_CHANGED;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->lines.n, 2);
    event.event.kind = CHAT_EVENT_RIGHTS_CHANGED;
    while (rows->lines.n < ROWS_LINES)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    rows_clear(rows);
    CHECK_EQ(rows->lines.n, 0);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
}

TEST(the_latest_picture_of_a_group)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_GROUP_PICTURED;
    event.event.u.group_pictured = (struct group_pictured){ true, ID(77) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 8; /* an older one, of somebody else */
    event.user_id = ID(B);
    event.event.u.group_pictured.picture = ID(66);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->chats.n, 1);
    CHECK(id_eq(rows->chats.v[0].picture, ID(77)) && id_eq(rows->chats.v[0].picture_by, ID(A)));
    CHECK(!rows->chats.v[0].no_picture && rows->chats.v[0].picture_seq == 9);
    event.seq = 10;
    event.event.u.group_pictured.has_picture = false;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->chats.v[0].no_picture);
    CHECK_EQ(rows->chats.v[0].changed_seq, 10);
}

TEST(of_an_account_that_ended_a_direct_chat_keeps_who)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_ACCOUNT_ENDED;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->endings.n, 0);
    CHECK_EQ(rows->lines.n, 1);
    CHECK_EQ(rows->chats.v[0].kind, 1);
    rows_clear(rows);
    event.event.u.account_ended = (struct account_ended){ true, ID(B) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->endings.n, 1);
    CHECK(id_eq(rows->endings.v[0].user, ID(A)) && rows->endings.v[0].seq == 9);
    CHECK_EQ(rows->chats.v[0].kind, 0);
    CHECK_EQ(rows->chats.v[0].line_seq, 9);
}

TEST(the_latest_description_and_rights_of_a_group)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_GROUP_DESCRIBED;
    event.event.u.group_described.description = span_str("newer");
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->chats.v[0].send_by, RIGHT_HOLDERS_EVERYONE); /* as at first */
    CHECK_EQ(rows->chats.v[0].info_by, RIGHT_HOLDERS_ADMINS);
    CHECK_EQ(rows->chats.v[0].add_by, RIGHT_HOLDERS_ADMINS);
    CHECK_EQ(rows->chats.v[0].rights_seq, 0);
    event.seq = 8; /* an older one */
    event.event.u.group_described.description = span_str("older");
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 12;
    event.event.kind = CHAT_EVENT_RIGHTS_CHANGED;
    event.event.u.rights_changed =
        (struct rights_changed){ RIGHT_HOLDERS_ADMINS, RIGHT_HOLDERS_EVERYONE,
                                 RIGHT_HOLDERS_EVERYONE };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.seq = 11; /* an older one */
    event.event.u.rights_changed = (struct rights_changed){ 0 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->chats.n, 1);
    CHECK_EQ(rows->chats.v[0].kind, 1);
    CHECK_SPAN(rows->chats.v[0].description, "newer");
    CHECK_EQ(rows->chats.v[0].description_seq, 9);
    CHECK_EQ(rows->chats.v[0].send_by, RIGHT_HOLDERS_ADMINS);
    CHECK_EQ(rows->chats.v[0].info_by, RIGHT_HOLDERS_EVERYONE);
    CHECK_EQ(rows->chats.v[0].add_by, RIGHT_HOLDERS_EVERYONE);
    CHECK_EQ(rows->chats.v[0].rights_seq, 12);
    CHECK_EQ(rows->chats.v[0].changed_seq, 12);
}

TEST(links_of_a_group_and_who_comes_by_them)
{
    struct rows *rows = fresh_rows();
    struct cq_id ended[] = { ID(7) };
    struct member_change came[] = { { ID(B), MEMBER_CHANGE_KIND_ADD } };
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 5, .at_ms = 50, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_INVITE_MADE;
    event.event.u.invite_made = (struct invite_made){
        .invite_id = ID(8), .hash = ID(9), .uses = 3, .ended = ended, .ended_n = 1
    };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->invites.n, 1);
    CHECK(id_eq(rows->invites.v[0].by, ID(A)) && rows->invites.v[0].expires_ms == 0);
    CHECK(rows->ops[0].kind == OP_INVITE_ENDED && id_eq(rows->ops[0].user, ID(7)));
    CHECK_EQ(rows->chats.n, 0); /* no business of those who are in it */
    event.seq = 6;
    event.user_id = ID(B);
    event.event.kind = CHAT_EVENT_JOIN_REQUESTED;
    event.event.u.join_requested = (struct join_requested){ ID(8), ID(A), 900 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->ops[1].kind == OP_REQUEST && id_eq(rows->ops[1].peer, ID(8)) &&
          id_eq(rows->ops[1].by, ID(A)) && rows->ops[1].until_ms == 900);
    CHECK_EQ(rows->chats.v[0].requested_seq, 6); /* for those who may add, and nobody else */
    CHECK_EQ(rows->chats.v[0].changed_seq, 0);
    event.seq = 7;
    event.event.kind = CHAT_EVENT_REQUEST_ENDED;
    event.event.u.request_ended.user_id = ID(B);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->ops[2].kind == OP_REQUEST_ENDED && rows->ops[2].seq == 7);
    event.seq = 8;
    event.event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED;
    event.event.u.membership_changed = (struct membership_changed){ .changes = came,
                                                                    .changes_n = 1,
                                                                    .has_invite_id = true,
                                                                    .invite_id = ID(8),
                                                                    .has_invited_by = true,
                                                                    .invited_by = ID(A) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->ops[3].kind == OP_INVITE_USED && id_eq(rows->ops[3].user, ID(8)));
    CHECK(rows->members.n == 1 && id_eq(rows->members.v[0].invited_by, ID(A)));
    CHECK_EQ(rows->chats.v[0].changed_seq, 8);
}

TEST(what_does_not_stay)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };
    struct message_ref places[] = { { ID(7), 5 }, { ID(8), 6 } };
    struct chat_event one = message(CHAT, A, B, 10), two = message(CHAT, A, B, 11);

    event.event.kind = CHAT_EVENT_TIMER_CHANGED;
    event.event.u.timer_changed = (struct timer_changed){ 60, true, ID(B) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    one.event.u.message_accepted.has_expires_at_ms = true;
    one.event.u.message_accepted.expires_at_ms = 60090;
    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &two), CQ_OK);
    event.seq = 8; /* an older one */
    event.event.u.timer_changed.seconds = 30;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->chats.n, 1);
    CHECK_EQ(rows->members.n, 2); /* a direct chat may begin with its timer */
    CHECK_EQ(rows->chats.v[0].timer_s, 60);
    CHECK_EQ(rows->chats.v[0].timer_seq, 9);
    CHECK_EQ(rows->chats.v[0].last_seq, 11);
    CHECK(rows->messages.v[0].expires_ms == 60090 && !rows->messages.v[0].stays);
    CHECK(rows->messages.v[1].stays);

    event.seq = 12;
    event.event.kind = CHAT_EVENT_MESSAGES_HIDDEN;
    event.event.u.messages_hidden = (struct messages_hidden){ places, 2 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->hidden_n, 2);
    CHECK(id_eq(rows->hidden[1].message, ID(8)) && id_eq(rows->hidden[1].user, ID(A)));
    CHECK_EQ(rows->hidden[1].target, 6);
    CHECK_EQ(rows->hidden[1].seq, 12);
    CHECK_EQ(rows->chats.v[0].changed_seq, 11); /* nobody else is told */
    while (rows->hidden_n < ROWS_HIDDEN)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    rows_clear(rows);
    CHECK_EQ(rows->hidden_n, 0);
}

TEST(pins_and_stars)
{
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_PIN_CHANGED;
    event.event.u.pin_changed = (struct pin_changed){ ID(7), 5, ID(B), true };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->pins_n, 1);
    CHECK(id_eq(rows->pins[0].message, ID(7)) && id_eq(rows->pins[0].by, ID(A)));
    CHECK(rows->pins[0].target == 5 && rows->pins[0].seq == 9 && rows->pins[0].at_ms == 90);
    CHECK(rows->pins[0].pinned && rows->pins[0].part == id_part(ID(CHAT)));
    while (rows->pins_n < ROWS_PINS)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    event.event.kind = CHAT_EVENT_STAR_CHANGED;
    event.event.u.star_changed = (struct star_changed){ ID(7), 5, true };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->stars_n, 1);
    CHECK(id_eq(rows->stars[0].message, ID(7)) && id_eq(rows->stars[0].user, ID(A)));
    CHECK(rows->stars[0].target == 5 && rows->stars[0].seq == 9 && rows->stars[0].starred == 1);
    while (rows->stars_n < ROWS_STARS)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    CHECK_EQ(rows->chats.n, 0); /* a chat is not made by what may be about no message */
    rows_clear(rows);
    CHECK_EQ(rows->pins_n + rows->stars_n, 0);
}

/* Each message that a fact names is looked for later, under the place and the author of the fact. */
TEST(what_a_fact_names_is_a_target)
{
    struct rows *rows = fresh_rows();
    struct message_ref places[] = { { ID(7), 5 }, { ID(8), 6 } };
    struct chat_event event = { .chat_id = ID(CHAT),
                                .source = { 1, 3, 9 },
                                .seq = 9,
                                .at_ms = 90,
                                .user_id = ID(A),
                                .client_id = span_str("e1") };
    struct chat_event said = message(CHAT, A, B, 8);

    CHECK_EQ(rows_chat_event(rows, &said), CQ_OK);
    CHECK_EQ(rows->targets_n, 0); /* a message is about none */
    event.event.kind = CHAT_EVENT_MESSAGE_EDITED;
    event.event.u.message_edited = (struct message_edited){ .message_id = ID(7),
                                                            .message_seq = 5,
                                                            .content_type = span_str("text/plain"),
                                                            .content = span_str("better") };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.event.kind = CHAT_EVENT_MESSAGE_DELETED;
    event.event.u.message_deleted = (struct message_deleted){ ID(7), 5, ID(B) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.event.kind = CHAT_EVENT_REACTION_CHANGED;
    event.event.u.reaction_changed = (struct reaction_changed){ ID(7), 5, ID(B), span_str("+1") };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.event.kind = CHAT_EVENT_PIN_CHANGED;
    event.event.u.pin_changed = (struct pin_changed){ ID(7), 5, ID(B), true };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.event.kind = CHAT_EVENT_STAR_CHANGED;
    event.event.u.star_changed = (struct star_changed){ ID(7), 5, true };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.event.kind = CHAT_EVENT_VOTE_CHANGED;
    event.event.u.vote_changed = (struct vote_changed){ .message_id = ID(7), .message_seq = 5 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    event.event.kind = CHAT_EVENT_POLL_CLOSED;
    event.event.u.poll_closed = (struct poll_closed){ .message_id = ID(7), .message_seq = 5 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->targets_n, 7);
    for (size_t i = 0; i < 7; i++) {
        CHECK(rows->targets[i].part == id_part(ID(CHAT)) && rows->targets[i].target == 5);
        CHECK(id_eq(rows->targets[i].message, ID(7)) && id_eq(rows->targets[i].by, ID(A)));
        CHECK(id_eq(rows->targets[i].change, change_id(ID(CHAT), ID(A), span_str("e1"))));
        CHECK(rows->targets[i].source_partition == 3 && rows->targets[i].source_offset == 9);
        CHECK_SPAN(rows->targets[i].client, "e1");
    }
    event.event.kind = CHAT_EVENT_MESSAGES_HIDDEN;
    event.event.u.messages_hidden = (struct messages_hidden){ places, 2 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->targets_n == 9 && id_eq(rows->targets[8].message, ID(8)));
    CHECK_EQ(rows->targets[8].target, 6);
    rows_clear(rows);
    CHECK_EQ(rows->targets_n, 0);
}

TEST(whatever_has_room_has_room_for_its_targets)
{
    struct rows *rows = fresh_rows();
    struct message_ref place = { ID(7), 5 };
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .user_id = ID(A) };

    event.event.kind = CHAT_EVENT_PIN_CHANGED;
    event.event.u.pin_changed = (struct pin_changed){ ID(7), 5, ID(B), true };
    while (rows_chat_event(rows, &event) == CQ_OK)
        continue;
    event.event.kind = CHAT_EVENT_STAR_CHANGED;
    event.event.u.star_changed = (struct star_changed){ ID(7), 5, true };
    while (rows_chat_event(rows, &event) == CQ_OK)
        continue;
    event.event.kind = CHAT_EVENT_MESSAGES_HIDDEN;
    event.event.u.messages_hidden = (struct messages_hidden){ &place, 1 };
    while (rows_chat_event(rows, &event) == CQ_OK)
        continue;
    event.event.kind = CHAT_EVENT_VOTE_CHANGED;
    event.event.u.vote_changed = (struct vote_changed){ .message_id = ID(7), .message_seq = 5 };
    while (rows_chat_event(rows, &event) == CQ_OK)
        continue;
    event.event.kind = CHAT_EVENT_MESSAGE_DELETED;
    event.event.u.message_deleted = (struct message_deleted){ ID(7), 5, ID(B) };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    CHECK_EQ(rows->targets_n, ROWS_TARGETS);
}

TEST(polls_and_votes)
{
    static struct cq_span options[LIMIT_POLL_OPTIONS + 1] = { { (const uint8_t *)"a", 1 },
                                                              { (const uint8_t *)"b", 1 } };
    struct rows *rows = fresh_rows();
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 9, .at_ms = 90, .user_id = ID(A) };
    struct message_accepted *asked = &event.event.u.message_accepted;

    event.event.kind = CHAT_EVENT_MESSAGE_ACCEPTED;
    *asked = (struct message_accepted){ .id = ID(7), .has_poll = true };
    asked->poll = (struct poll){ options, 2, 1, true, false, 0, true, 95 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->polls_n, 1);
    CHECK(id_eq(rows->polls[0].message, ID(7)) && rows->polls[0].target == 9);
    CHECK(rows->polls[0].closes_ms == 95 && !rows->polls[0].stays_open);
    CHECK(rows->polls[0].options[1].n == 1 && rows->polls[0].options[2].n == 0);
    while (rows->polls_n < ROWS_POLLS)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    asked->poll.options_n = ARRAY_LEN(options);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_POISON);
    rows_clear(rows);
    event.event.kind = CHAT_EVENT_VOTE_CHANGED;
    event.event.u.vote_changed = (struct vote_changed){ ID(7), 5, ID(B), 5, 91 };
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->votes[0].target == 5 && rows->votes[0].seq == 9 && rows->votes[0].at_ms == 91);
    CHECK(rows->votes[0].chosen == 5 && rows->votes[0].chosen_n == 2 && !rows->votes[0].is_end);
    CHECK(id_eq(rows->votes[0].user, ID(A)) && id_eq(rows->changes[0].message, ID(7)));
    event.event.u.vote_changed.chosen = 4096;
    CHECK_EQ(rows_chat_event(rows, &event), CQ_POISON);
    event.event.kind = CHAT_EVENT_POLL_CLOSED;
    event.event.u.poll_closed = (struct poll_closed){ ID(7), 5, 92 };
    while (rows->votes_n < ROWS_VOTES)
        CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
    CHECK(rows->votes[1].is_end && rows->votes[1].at_ms == 92 && rows->ends_n == ROWS_VOTES - 1);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_AGAIN);
    CHECK_EQ(rows->changes_n, ROWS_VOTES); /* both, or neither */
    rows_clear(rows);
    CHECK_EQ(rows->polls_n + rows->votes_n + rows->ends_n, 0);
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
    struct rows *rows = fresh_rows();
    struct user_event event = user_event_of(A, USER_EVENT_USER_REGISTERED, 4);

    event.event.u.user_registered.name = span_str("Ann");
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    event = user_event_of(A, USER_EVENT_USER_REGISTERED, 6); /* a log-in keeps the name */
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->users.n, 1);
    CHECK_SPAN(rows->users.v[0].name, "Ann");
    CHECK_EQ(rows->users.v[0].registered_ms, 54);
    CHECK_EQ(rows->users.v[0].source, ((int64_t)1 << 48) + 6);
    event = user_event_of(A, USER_EVENT_PROFILE_CHANGED, 7);
    event.event.u.profile_changed.name = span_str("Anna");
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_SPAN(rows->users.v[0].name, "Anna");
}

TEST(about_and_picture_are_changes_of_their_own)
{
    struct rows *rows = fresh_rows();
    struct user_event event = user_event_of(A, USER_EVENT_PROFILE_DETAILS_CHANGED, 7);

    event.event.u.profile_details_changed =
        (struct profile_details_changed){ .has_about = true, .about = span_str("here") };
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    event.event.u.profile_details_changed =
        (struct profile_details_changed){ .has_picture = true, .picture = ID(C) };
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->users.n, 0); /* a name that is there is not touched */
    CHECK_EQ(rows->ops_n, 2);
    CHECK_EQ(rows->ops[0].kind, OP_ABOUT);
    CHECK_SPAN(rows->ops[0].about, "here");
    CHECK_EQ(rows->ops[1].kind, OP_PICTURE);
    CHECK(id_eq(rows->ops[1].user, ID(A)) && id_eq(rows->ops[1].picture, ID(C)));
    CHECK_EQ(rows->ops[1].seq, ((int64_t)1 << 48) + 7);
    rows->ops_n = ROWS_OPS - 1; /* both, or none */
    event.event.u.profile_details_changed.has_about = true;
    CHECK_EQ(rows_user_event(rows, &event), CQ_AGAIN);
    CHECK_EQ(rows->ops_n, ROWS_OPS - 1);
}

TEST(each_setting_is_a_change_of_its_own)
{
    struct rows *rows = fresh_rows();
    struct user_event event = user_event_of(A, USER_EVENT_PROFILE_DETAILS_CHANGED, 7);

    event.event.u.profile_details_changed =
        (struct profile_details_changed){ .has_last_seen_to = true,
                                          .last_seen_to = AUDIENCE_NOBODY,
                                          .has_about_to = true,
                                          .about_to = AUDIENCE_CONTACTS,
                                          .has_read_receipts = true,
                                          .read_receipts = false };
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->ops_n, 3);
    CHECK_EQ(rows->ops[2].setting, 3);
    CHECK_EQ(rows->ops[2].value, 1); /* hidden */
    CHECK_EQ(rows->ops[0].kind, OP_SETTING);
    CHECK_EQ(rows->ops[0].setting, 0); /* as 0017_privacy.sql counts them … */
    CHECK_EQ(rows->ops[0].value, 2);   /* … and what they say */
    CHECK_EQ(rows->ops[1].setting, 2);
    CHECK_EQ(rows->ops[1].value, 1);
    CHECK(id_eq(rows->ops[1].user, ID(A)));
    CHECK_EQ(rows->ops[1].seq, ((int64_t)1 << 48) + 7);
}

TEST(marks_are_one_change)
{
    struct rows *rows = fresh_rows();
    struct user_event event = user_event_of(A, USER_EVENT_CHAT_MARKS_CHANGED, 7);

    event.event.u.chat_marks_changed =
        (struct chat_marks_changed){ .chat_id = ID(C), .has_pinned = true, .pinned = true };
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->ops_n, 1);
    CHECK_EQ(rows->ops[0].kind, OP_MARKS);
    CHECK(id_eq(rows->ops[0].user, ID(A)) && id_eq(rows->ops[0].marks.chat_id, ID(C)));
    CHECK(rows->ops[0].marks.pinned && !rows->ops[0].marks.has_archived);
    CHECK_EQ(rows->ops[0].seq, ((int64_t)1 << 48) + 7);
}

TEST(devices_come_and_go)
{
    struct rows *rows = fresh_rows();
    struct user_event event = user_event_of(A, USER_EVENT_DEVICE_ADDED, 1);

    event.event.u.device_added = (struct device_added){ ID(9), span_str("web"), span_str("x") };
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    event = user_event_of(A, USER_EVENT_DEVICE_REMOVED, 2);
    event.event.u.device_removed = (struct device_removed){ ID(9), span_str("logout") };
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->devices.n, 1);
    CHECK(id_eq(rows->devices.v[0].device, ID(9)));
    CHECK_EQ(rows->ops_n, 1);
    CHECK_EQ(rows->ops[0].kind, OP_DEVICE_GONE);
    CHECK_EQ(rows->ops[0].seq, 52);
}

TEST(a_user_who_is_deleted_is_a_change_with_its_time)
{
    struct rows *rows = fresh_rows();
    struct user_event event = user_event_of(A, USER_EVENT_USER_DELETED, 3);

    event.event.u.user_deleted.deleted_at_ms = 7;
    CHECK_EQ(rows_user_event(rows, &event), CQ_OK);
    CHECK_EQ(rows->users.n, 0); /* his name is emptied behind all inserts */
    CHECK_EQ(rows->ops_n, 1);
    CHECK_EQ(rows->ops[0].kind, OP_USER_GONE);
    CHECK(id_eq(rows->ops[0].user, ID(A)));
    CHECK_EQ(rows->ops[0].seq, 7);
}

TEST(a_full_table_says_again_and_keeps_what_it_has)
{
    struct rows *rows = fresh_rows();
    static struct member_entry members[1000];
    struct chat_event event = { .chat_id = ID(CHAT), .seq = 1, .user_id = ID(A) };
    enum cq_status st = CQ_OK;
    int n = 0;

    event.event.kind = CHAT_EVENT_GROUP_STARTED;
    event.event.u.group_started =
        (struct group_started){ span_str("g"), members, ARRAY_LEN(members) };
    while ((st = rows_chat_event(rows, &event)) == CQ_OK && n < 100) {
        n++;
        event.seq++;
        event.chat_id.b[15]++;
    }
    CHECK_EQ(st, CQ_AGAIN);
    CHECK_EQ(n, ROWS_MEMBERS / 1000);
    CHECK_EQ(rows->members.n, (size_t)n * 1000);
    CHECK_EQ(rows->chats.n, n);
    rows_clear(rows);
    CHECK_EQ(rows_chat_event(rows, &event), CQ_OK);
}

TEST(rejections)
{
    struct rows *rows = fresh_rows();
    struct rejection rejection = { .chat_id = ID(CHAT),
                                   .source = { 1, 2, 77 },
                                   .at_ms = 5,
                                   .user_id = ID(A),
                                   .client_id = span_str("c1"),
                                   .id = ID(3),
                                   .code = span_str("not_found") };

    CHECK_EQ(rows_rejection(rows, &rejection), CQ_OK);
    CHECK_EQ(rows->rejected.n, 1);
    CHECK_EQ(rows->rejected.v[0].source_partition, 2);
    CHECK_EQ(rows->rejected.v[0].source_offset, 77);
    CHECK_SPAN(rows->rejected.v[0].code, "not_found");
}

/* ---- the tables */

static const char *type_name(enum pg_type type)
{
    switch (type) {
    case PG_I32:
        return "int4";
    case PG_I64:
        return "int8";
    case PG_UUID:
        return "uuid";
    case PG_TEXT:
        return "text";
    case PG_BYTEA:
        return "bytea";
    }
    return "";
}

TEST(a_statement_names_the_columns_of_its_table)
{
    for (size_t i = 0; i < ROWS_TABLE_N; i++) {
        const struct rows_table *table = &rows_tables[i];
        char names[512] = "", arrays[512] = "", named[600] = "", insert[64];
        size_t names_n = 0, arrays_n = 0;

        snprintf(insert, sizeof insert, "INSERT INTO view.%s ", table->name);
        for (size_t col = 0; col < table->columns_n; col++) {
            const struct pg_column *column = &table->columns[col];

            names_n += (size_t)snprintf(names + names_n, sizeof names - names_n, "%s%s",
                                        col ? ", " : "(", column->name);
            arrays_n +=
                (size_t)snprintf(arrays + arrays_n, sizeof arrays - arrays_n, "%s$%zu::%s[]",
                                 col ? ", " : "unnest(", col + 1, type_name(column->type));
        }
        if (strstr(table->sql, "SELECT * FROM "))
            snprintf(names + names_n, sizeof names - names_n, ") SELECT * FROM ");
        else /* it adds columns of its own behind them, and names those that it is given */
            snprintf(named, sizeof named, "AS w%s)", names);
        snprintf(arrays + arrays_n, sizeof arrays - arrays_n, ")");
        CHECK_EQ_ROW(table->name, strncmp(table->sql, insert, strlen(insert)), 0);
        CHECK_EQ_ROW(table->name, strstr(table->sql, names) != NULL, true);
        CHECK_EQ_ROW(table->name, strstr(table->sql, arrays) != NULL, true);
        CHECK_EQ_ROW(table->name, strstr(table->sql, named) != NULL, true);
    }
}

TEST(what_a_clear_leaves_is_nothing)
{
    struct rows *rows = fresh_rows();
    struct chat_event one = message(CHAT, A, B, 5);
    size_t n;

    CHECK_EQ(rows_chat_event(rows, &one), CQ_OK);
    rows_clear(rows);
    for (size_t i = 0; i < ROWS_TABLE_N; i++) {
        memcpy(&n, (const char *)rows + rows_tables[i].n_at, sizeof n);
        CHECK_EQ_ROW(rows_tables[i].name, n, 0);
    }
}
