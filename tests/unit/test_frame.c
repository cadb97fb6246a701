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
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event chat_event = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    chat_event.event.u.message_accepted =
        (struct message_accepted){ .id = ID(3),
                                   .has_peer = true,
                                   .peer = ID(4),
                                   .type = MESSAGE_TYPE_IMAGE,
                                   .content = span_str("a \"b\"") };
    buf_init(&buf, 4096);
    frame_event(&buf, &chat_event);
    CHECK_SPAN(buf, "\"t\":\"message\",\"id\":" U3 ",\"clientId\":\"c-1\",\"chatId\":" U1
                    ",\"seq\":281474976710733,\"from\":" U2 ",\"peer\":" U4
                    ",\"type\":\"image\",\"content\":\"a \\\"b\\\"\",\"sentAt\":1764000000000}");
}

TEST(message_in_a_group_has_no_peer)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event chat_event = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    chat_event.event.u.message_accepted = (struct message_accepted){ .id = ID(3) };
    buf_init(&buf, 4096);
    frame_event(&buf, &chat_event);
    CHECK_SPAN(buf, "\"t\":\"message\",\"id\":" U3 ",\"clientId\":\"c-1\",\"chatId\":" U1
                    ",\"seq\":281474976710733,\"from\":" U2
                    ",\"type\":\"text\",\"content\":\"\",\"sentAt\":1764000000000}");
}

TEST(message_that_answers_mentions_and_was_forwarded)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct cq_id mentions[] = { ID(2), ID(4) };
    struct chat_event chat_event = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    chat_event.event.u.message_accepted = (struct message_accepted){ .id = ID(3),
                                                                     .has_reply_to = true,
                                                                     .reply_to = { ID(4), 17 },
                                                                     .mentions = mentions,
                                                                     .mentions_n = 2,
                                                                     .has_forwarded = true,
                                                                     .forwarded = 5 };
    buf_init(&buf, 4096);
    frame_event(&buf, &chat_event);
    CHECK_SPAN(buf, "\"t\":\"message\",\"id\":" U3 ",\"clientId\":\"c-1\",\"chatId\":" U1
                    ",\"seq\":281474976710733,\"from\":" U2
                    ",\"type\":\"text\",\"content\":\"\",\"replyTo\":{\"id\":" U4
                    ",\"seq\":17},\"mentions\":[" U2 "," U4
                    "],\"forwarded\":5,\"sentAt\":1764000000000}");
}

TEST(message_that_shows_a_place_or_a_card)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event chat_event = event(CHAT_EVENT_MESSAGE_ACCEPTED);
    struct message_accepted *message = &chat_event.event.u.message_accepted;
    struct cq_span numbers[] = { span_str("+49 30 1"), span_str("\"2\"") };
    static const char head[] =
        "\"t\":\"message\",\"id\":" U3 ",\"clientId\":\"c-1\",\"chatId\":" U1
        ",\"seq\":281474976710733,\"from\":" U2 ",\"type\":\"text\",\"content\":\"\",",
                      tail[] = ",\"sentAt\":1764000000000}";
    char want[1024];

    *message = (struct message_accepted){
        .id = ID(3),
        .has_contents = true,
        .contents = { .has_location = true,
                      .location = { .latitude = 525200080,
                                    .longitude = -5,
                                    .has_name = true,
                                    .name = span_str("</a>") } },
    };
    buf_init(&buf, 4096);
    frame_event(&buf, &chat_event);
    snprintf(want, sizeof want, "%s%s%s", head,
             "\"location\":{\"latitude\":52.520008,\"longitude\":-0.0000005,\"name\":\"<\\/a>\"}",
             tail);
    CHECK_SPAN(buf, want);
    message->has_preview = message->preview.has_title = true;
    message->preview.url = span_str("https://a");
    message->preview.title = span_str("A");
    buf_clear(&buf);
    frame_event(&buf, &chat_event);
    snprintf(want, sizeof want, "%s%s%s", head,
             "\"location\":{\"latitude\":52.520008,\"longitude\":-0.0000005,\"name\":\"<\\/a>\"},"
             "\"preview\":{\"url\":\"https://a\",\"title\":\"A\"}",
             tail);
    CHECK_SPAN(buf, want);
    message->has_preview = false;
    message->contents = (struct contents){
        .has_contact = true,
        .contact = { span_str("Ann"), numbers, ARRAY_LEN(numbers), true, ID(4) },
    };
    buf_clear(&buf);
    frame_event(&buf, &chat_event);
    snprintf(want, sizeof want, "%s%s%s", head,
             "\"contact\":{\"name\":\"Ann\",\"numbers\":[\"+49 30 1\",\"\\\"2\\\"\"],\"userId\":" U4
             "}",
             tail);
    CHECK_SPAN(buf, want);
}

TEST(group_frames)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct member_entry members[] = { { ID(2), MEMBER_ROLE_OWNER }, { ID(3), MEMBER_ROLE_MEMBER } };
    struct member_change changes[] = { { ID(3), MEMBER_CHANGE_KIND_REMOVE },
                                       { ID(4), MEMBER_CHANGE_KIND_MAKE_OWNER } };
    struct chat_event started = event(CHAT_EVENT_GROUP_STARTED);
    struct chat_event named = event(CHAT_EVENT_GROUP_NAMED);
    struct chat_event changed = event(CHAT_EVENT_MEMBERSHIP_CHANGED);

    started.event.u.group_started = (struct group_started){ span_str("Los Ñ"), members, 2 };
    named.event.u.group_named.name = span_str("N");
    changed.event.u.membership_changed =
        (struct membership_changed){ .changes = changes, .changes_n = 2 };
    buf_init(&buf, 4096);
    frame_event(&buf, &started);
    CHECK_SPAN(buf, "\"t\":\"chat\",\"chatId\":" U1
                    ",\"seq\":281474976710733,\"name\":\"Los Ñ\",\"by\":" U2
                    ",\"at\":1764000000000,\"members\":[{\"userId\":" U2
                    ",\"role\":\"owner\"},{\"userId\":" U3 ",\"role\":\"member\"}]}");
    buf_clear(&buf);
    frame_event(&buf, &named);
    CHECK_SPAN(buf, "\"t\":\"chat\",\"chatId\":" U1
                    ",\"seq\":281474976710733,\"name\":\"N\",\"by\":" U2 ",\"at\":1764000000000}");
    buf_clear(&buf);
    frame_event(&buf, &changed);
    CHECK_SPAN(buf, "\"t\":\"member\",\"chatId\":" U1 ",\"seq\":281474976710733,\"by\":" U2
                    ",\"at\":1764000000000,\"changes\":[{\"userId\":" U3
                    ",\"change\":\"remove\"},{\"userId\":" U4 ",\"change\":\"make_owner\"}]}");
}

TEST(what_changes_a_message_names_it)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event deleted = event(CHAT_EVENT_MESSAGE_DELETED);
    struct chat_event edited = event(CHAT_EVENT_MESSAGE_EDITED);

    deleted.event.u.message_deleted = (struct message_deleted){ ID(3), 7, ID(4) };
    edited.event.u.message_edited = (struct message_edited){ .message_id = ID(3),
                                                             .message_seq = 7,
                                                             .content = span_str("a \"b\"") };
    buf_init(&buf, 4096);
    frame_event(&buf, &deleted);
    CHECK(strstr((const char *)buf.p, "\"seq\":281474976710733,\"messageId\":" U3
                                      ",\"messageSeq\":7,\"by\":" U2 ",\"at\":1764000000000}"));
    buf_clear(&buf);
    frame_event(&buf, &edited);
    CHECK(strstr((const char *)buf.p, "\"messageId\":" U3 ",\"messageSeq\":7,\"by\":" U2
                                      ",\"content\":\"a \\\"b\\\"\",\"at\":"));
}

TEST(a_block_and_its_end_are_two_frames)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event block = event(CHAT_EVENT_BLOCK_CHANGED);
    struct frame_gap gaps[] = { { 3, 5 }, { 7, 9 } };

    block.event.u.block_changed = (struct block_changed){ ID(3), true };
    buf_init(&buf, 4096);
    frame_event(&buf, &block);
    CHECK(strncmp((const char *)buf.p, "\"t\":\"blocked\",\"chatId\":", 23) == 0);
    CHECK(strstr((const char *)buf.p, ",\"userId\":" U3 ",\"at\":1764000000000}"));
    buf_clear(&buf);
    block.event.u.block_changed.blocked = false;
    frame_event(&buf, &block);
    CHECK(strncmp((const char *)buf.p, "\"t\":\"unblocked\",", 16) == 0);
    buf_clear(&buf);
    frame_status(&buf, ID(1), 12, 8, 4, gaps, 2);
    CHECK_SPAN(buf, "\"t\":\"status\",\"chatId\":" U1 ",\"delivered\":12,\"read\":8,\"except\":"
                    "[{\"after\":3,\"before\":5},{\"after\":7,\"before\":9}],\"at\":4}");
}

TEST(a_reaction_names_its_message)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event reaction = event(CHAT_EVENT_REACTION_CHANGED);

    reaction.event.u.reaction_changed =
        (struct reaction_changed){ ID(3), 7, ID(4), span_str("+1") };
    buf_init(&buf, 4096);
    frame_event(&buf, &reaction);
    CHECK(strstr((const char *)buf.p, "\"messageId\":" U3 ",\"messageSeq\":7,\"by\":" U2
                                      ",\"reaction\":\"+1\",\"at\":1764000000000}"));
}

TEST(what_does_not_stay_says_until_when)
{
    cq_auto(buf) struct cq_buf frame = { 0 }, excerpt = { 0 };
    struct chat_event message = event(CHAT_EVENT_MESSAGE_ACCEPTED);
    struct chat_event timer = event(CHAT_EVENT_TIMER_CHANGED);
    struct chat_event hidden = event(CHAT_EVENT_MESSAGES_HIDDEN);
    struct message_ref places[] = { { ID(3), 7 }, { ID(4), 8 } };

    message.event.u.message_accepted = (struct message_accepted){ .id = ID(3),
                                                                  .content = span_str("soon"),
                                                                  .has_expires_at_ms = true,
                                                                  .expires_at_ms = 1764000086400 };
    buf_init(&frame, 4096);
    buf_init(&excerpt, 4096);
    frame_event(&frame, &message);
    CHECK(strstr((const char *)frame.p, ",\"sentAt\":1764000000000,\"expiresAt\":1764000086400}"));
    frame_excerpt(&excerpt, buf_span(&frame)); /* a push ends with it */
    CHECK_SPAN(excerpt, "\"type\":\"text\",\"content\":\"soon\",\"expiresAt\":1764000086400}");
    buf_clear(&frame);
    timer.event.u.timer_changed = (struct timer_changed){ 86400, true, ID(4) };
    frame_event(&frame, &timer);
    CHECK_SPAN(frame, "\"t\":\"timer\",\"chatId\":" U1 ",\"seq\":281474976710733,\"peer\":" U4
                      ",\"by\":" U2 ",\"seconds\":86400,\"at\":1764000000000}");
    buf_clear(&frame);
    hidden.event.u.messages_hidden = (struct messages_hidden){ places, 2 };
    frame_event(&frame, &hidden);
    CHECK_SPAN(frame, "\"t\":\"hidden\",\"chatId\":" U1
                      ",\"seq\":281474976710733,\"messages\":[{\"id\":" U3 ",\"seq\":7},{\"id\":" U4
                      ",\"seq\":8}],\"at\":1764000000000}");
}

TEST(the_end_of_an_account_names_both_of_a_direct_chat)
{
    cq_auto(buf) struct cq_buf frame = { 0 };
    struct chat_event ended = event(CHAT_EVENT_ACCOUNT_ENDED);

    ended.event.u.account_ended = (struct account_ended){ true, ID(4) };
    buf_init(&frame, 4096);
    frame_event(&frame, &ended);
    CHECK(strstr((const char *)frame.p, "\"t\":\"account_deleted\",") != NULL);
    CHECK(strstr((const char *)frame.p, "\"by\":" U2 ",\"peer\":" U4 ",\"at\":") != NULL);
    buf_clear(&frame);
    ended.event.u.account_ended.has_peer = false;
    frame_event(&frame, &ended);
    CHECK(strstr((const char *)frame.p, "\"by\":" U2 ",\"at\":") != NULL);
}

TEST(a_group_says_what_it_is_about_and_who_may_do_what)
{
    cq_auto(buf) struct cq_buf frame = { 0 };
    struct chat_event described = event(CHAT_EVENT_GROUP_DESCRIBED);
    struct chat_event pictured = event(CHAT_EVENT_GROUP_PICTURED);
    struct chat_event rights = event(CHAT_EVENT_RIGHTS_CHANGED);

    described.event.u.group_described.description = span_str("two\nlines");
    buf_init(&frame, 4096);
    frame_event(&frame, &described);
    CHECK(strstr((const char *)frame.p, "\"t\":\"description\",") != NULL);
    CHECK(strstr((const char *)frame.p, "\"by\":" U2 ",\"description\":\"two\\nlines\",\"at\":") !=
          NULL);
    buf_clear(&frame);
    pictured.event.u.group_pictured = (struct group_pictured){ true, ID(4) };
    frame_event(&frame, &pictured);
    CHECK(strstr((const char *)frame.p, "\"by\":" U2 ",\"picture\":" U4 ",\"at\":") != NULL);
    buf_clear(&frame);
    pictured.event.u.group_pictured.has_picture = false;
    frame_event(&frame, &pictured);
    CHECK(strstr((const char *)frame.p, "\"by\":" U2 ",\"at\":") != NULL);
    buf_clear(&frame);
    rights.event.u.rights_changed =
        (struct rights_changed){ RIGHT_HOLDERS_ADMINS, RIGHT_HOLDERS_EVERYONE,
                                 RIGHT_HOLDERS_ADMINS };
    frame_event(&frame, &rights);
    CHECK_SPAN(frame, "\"t\":\"rights\",\"chatId\":" U1 ",\"seq\":281474976710733,\"by\":" U2
                      ",\"send\":\"admins\",\"info\":\"everyone\",\"add\":\"admins\""
                      ",\"at\":1764000000000}");
}

TEST(a_pin_names_its_message_to_who_may_see_it)
{
    cq_auto(buf) struct cq_buf frame = { 0 };
    struct chat_event pin = event(CHAT_EVENT_PIN_CHANGED);
    struct chat_event star = event(CHAT_EVENT_STAR_CHANGED);

    pin.event.u.pin_changed = (struct pin_changed){ ID(3), 7, ID(4), true };
    buf_init(&frame, 4096);
    frame_event(&frame, &pin);
    CHECK(strncmp((const char *)frame.p, "\"t\":\"pinned\",\"clientId\":", 24) == 0);
    CHECK(strstr((const char *)frame.p,
                 ",\"seq\":281474976710733,\"messageId\":" U3 ",\"messageSeq\":7,\"by\":" U2
                 ",\"pinned\":true,\"at\":1764000000000}"));
    buf_clear(&frame);
    pin.event.u.pin_changed.pinned = false;
    frame_pin_unseen(&frame, &pin);
    CHECK_SPAN(frame, "\"t\":\"pinned\",\"chatId\":" U1 ",\"seq\":281474976710733,\"messageSeq\":7,"
                      "\"pinned\":false,\"at\":1764000000000}");
    buf_clear(&frame);
    star.event.u.star_changed = (struct star_changed){ ID(3), 7, true };
    frame_event(&frame, &star);
    CHECK_SPAN(frame,
               "\"t\":\"starred\",\"chatId\":" U1 ",\"seq\":281474976710733,\"messageId\":" U3
               ",\"messageSeq\":7,\"starred\":true,\"at\":1764000000000}");
}

TEST(who_comes_by_a_link_and_who_asks)
{
    cq_auto(buf) struct cq_buf frame = { 0 };
    struct member_change came[] = { { ID(2), MEMBER_CHANGE_KIND_ADD } };
    struct chat_event joined = event(CHAT_EVENT_MEMBERSHIP_CHANGED);
    struct chat_event asked = event(CHAT_EVENT_JOIN_REQUESTED);
    struct chat_event ended = event(CHAT_EVENT_REQUEST_ENDED);

    joined.event.u.membership_changed = (struct membership_changed){
        .changes = came, .changes_n = 1, .has_invited_by = true, .invited_by = ID(3)
    };
    ended.event.u.request_ended.user_id = ID(3);
    buf_init(&frame, 4096);
    frame_event(&frame, &joined);
    CHECK(strstr((const char *)frame.p, "\"change\":\"add\"}],\"invitedBy\":" U3 "}") != NULL);
    buf_clear(&frame);
    frame_event(&frame, &asked);
    CHECK_SPAN(frame, "\"t\":\"request\",\"chatId\":" U1 ",\"seq\":281474976710733,\"userId\":" U2
                      ",\"by\":" U2 ",\"open\":true,\"at\":1764000000000}");
    buf_clear(&frame);
    frame_event(&frame, &ended);
    CHECK_SPAN(frame, "\"t\":\"request\",\"chatId\":" U1 ",\"seq\":281474976710733,\"userId\":" U3
                      ",\"by\":" U2 ",\"open\":false,\"at\":1764000000000}");
}

TEST(a_vote_is_told_to_its_voter_and_to_others_that_there_was_one)
{
    static struct cq_span options[] = { { (const uint8_t *)"a \"b\"", 5 },
                                        { (const uint8_t *)"c", 1 } };
    cq_auto(buf) struct cq_buf frame = { 0 };
    struct chat_event asked = event(CHAT_EVENT_MESSAGE_ACCEPTED);
    struct chat_event vote = event(CHAT_EVENT_VOTE_CHANGED);
    struct chat_event closed = event(CHAT_EVENT_POLL_CLOSED);

    asked.event.u.message_accepted =
        (struct message_accepted){ .id = ID(3),
                                   .content = span_str("?"),
                                   .has_poll = true,
                                   .poll = { options, 2, 1, true, true, 60, true, 9 } };
    buf_init(&frame, 4096);
    frame_event(&frame, &asked);
    CHECK(strstr((const char *)frame.p,
                 ",\"poll\":{\"options\":[\"a \\\"b\\\"\",\"c\"],\"choices\":1,"
                 "\"anonymous\":true,\"closesAt\":9},\"sentAt\":"));
    buf_clear(&frame);
    vote.event.u.vote_changed = (struct vote_changed){ ID(3), 7, ID(4), 5, 8 };
    frame_event(&frame, &vote);
    CHECK_SPAN(frame, "\"t\":\"vote\",\"clientId\":\"c-1\",\"chatId\":" U1
                      ",\"seq\":281474976710733,\"messageId\":" U3
                      ",\"messageSeq\":7,\"options\":[0,2],\"at\":8}");
    buf_clear(&frame);
    frame_vote_of_another(&frame, &vote);
    CHECK_SPAN(frame, "\"t\":\"vote\",\"chatId\":" U1 ",\"seq\":281474976710733,\"messageId\":" U3
                      ",\"messageSeq\":7}");
    buf_clear(&frame);
    closed.event.u.poll_closed = (struct poll_closed){ ID(3), 7, 8 };
    frame_event(&frame, &closed);
    CHECK_SPAN(frame, "\"t\":\"poll_closed\",\"clientId\":\"c-1\",\"chatId\":" U1
                      ",\"seq\":281474976710733,\"messageId\":" U3 ",\"messageSeq\":7,\"by\":" U2
                      ",\"at\":8}");
}

TEST(an_edit_has_an_excerpt_and_a_deletion_none)
{
    cq_auto(buf) struct cq_buf frame = { 0 }, excerpt = { 0 };
    struct chat_event edited = event(CHAT_EVENT_MESSAGE_EDITED);
    struct chat_event deleted = event(CHAT_EVENT_MESSAGE_DELETED);

    edited.event.u.message_edited.content = span_str("new");
    buf_init(&frame, 4096);
    buf_init(&excerpt, 4096);
    frame_event(&frame, &edited);
    frame_excerpt(&excerpt, buf_span(&frame));
    CHECK_SPAN(excerpt, "\"type\":\"text\",\"content\":\"new\"}");
    buf_clear(&frame);
    buf_clear(&excerpt);
    frame_event(&frame, &deleted);
    frame_excerpt(&excerpt, buf_span(&frame));
    CHECK_EQ(excerpt.n, 0);
}

TEST(a_file_that_is_ready_has_no_frame_and_one_that_was_looked_into_has)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event ready = event(CHAT_EVENT_MEDIA_READY);
    struct chat_event found = event(CHAT_EVENT_MEDIA_PROCESSED);

    buf_init(&buf, 4096);
    frame_event(&buf, &ready);
    CHECK_EQ(buf.n, 0);
    found.event.u.media_processed =
        (struct media_processed){ ID(3), 640, 480, 1500, span_str("k"), span_str("") };
    frame_event(&buf, &found);
    CHECK_SPAN(buf, "\"t\":\"media\",\"mediaId\":" U3 ",\"chatId\":" U1
                    ",\"width\":640,\"height\":480,\"durationMs\":1500,\"thumbnail\":true}");
    found = event(CHAT_EVENT_MEDIA_DELETED);
    found.event.u.media_deleted.media_id = ID(3);
    buf_clear(&buf);
    frame_event(&buf, &found);
    CHECK(memmem(buf.p, buf.n, "\"mediaId\":" U3, strlen("\"mediaId\":" U3)));
    CHECK(memmem(buf.p, buf.n, "\"t\":\"media_deleted\"", strlen("\"t\":\"media_deleted\"")));
}

TEST(small_frames)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct rejection rejection = {
        .client_id = span_str("c"), .id = ID(3), .chat_id = ID(1), .code = span_str("forbidden")
    };

    buf_init(&buf, 4096);
    frame_rejected(&buf, &rejection);
    CHECK_SPAN(buf, "\"t\":\"rejected\",\"clientId\":\"c\",\"id\":" U3 ",\"chatId\":" U1
                    ",\"code\":\"forbidden\"}");
    buf_clear(&buf);
    frame_status(&buf, ID(1), 9, 0, -1, NULL, 0);
    CHECK_SPAN(buf, "\"t\":\"status\",\"chatId\":" U1 ",\"delivered\":9,\"read\":0,\"at\":-1}");
    buf_clear(&buf);
    frame_ready(&buf, ID(2), span_str("f1.12,,45"));
    CHECK_SPAN(buf, "\"t\":\"ready\",\"session\":" U2 ",\"at\":\"f1.12,,45\"}");
}

TEST(marks_say_what_changed_and_when)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct user_event event = { .at_ms = 7,
                                .source = { 1, 0, 5 },
                                .event.kind = USER_EVENT_CHAT_MARKS_CHANGED };

    buf_init(&buf, 4096);
    event.event.u.chat_marks_changed = (struct chat_marks_changed){
        .chat_id = ID(3), .has_archived = true, .has_pinned = true, .pinned = true
    };
    frame_marked(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"marked\",\"chatId\":" U3 ",\"seq\":281474976710661,"
                    "\"archived\":false,\"pinned\":true,\"at\":7}");
    buf_clear(&buf);
    event.event.u.chat_marks_changed = (struct chat_marks_changed){
        .chat_id = ID(3), .has_marked_unread = true, .marked_unread = true, .read_seq = 9
    };
    frame_marked(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"marked\",\"chatId\":" U3 ",\"seq\":281474976710661,"
                    "\"markedUnread\":true,\"readSeq\":9,\"at\":7}");
    buf_clear(&buf);
    event.event.u.chat_marks_changed = (struct chat_marks_changed){
        .chat_id = ID(3), .has_draft = true, .draft = span_str("dear"), .draft_after = 8
    };
    frame_marked(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"marked\",\"chatId\":" U3 ",\"seq\":281474976710661,"
                    "\"draft\":\"dear\",\"draftAfter\":8,\"at\":7}");
    buf_clear(&buf);
    event.event.u.chat_marks_changed.draft = span_str("");
    frame_marked(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"marked\",\"chatId\":" U3 ",\"seq\":281474976710661,"
                    "\"draft\":\"\",\"at\":7}");
    buf_clear(&buf);
    event.event.kind = USER_EVENT_CHAT_MUTE_CHANGED;
    event.event.u.chat_mute_changed = (struct chat_mute_changed){ ID(3), 1000 };
    frame_marked(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"marked\",\"chatId\":" U3 ",\"seq\":281474976710661,"
                    "\"mutedUntil\":1000,\"at\":7}");
    buf_clear(&buf);
    event.event.kind = USER_EVENT_PROFILE_CHANGED;
    frame_marked(&buf, &event);
    CHECK_EQ(buf.n, 0);
}

TEST(a_profile_says_what_changed)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct user_event event = { .at_ms = 7, .event.kind = USER_EVENT_PROFILE_CHANGED };

    buf_init(&buf, 4096);
    event.event.u.profile_changed.name = span_str("Anna");
    frame_profile(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"profile\",\"name\":\"Anna\",\"at\":7}");
    buf_clear(&buf);
    event.event.kind = USER_EVENT_PROFILE_DETAILS_CHANGED;
    event.event.u.profile_details_changed = (struct profile_details_changed){
        .has_about = true, .about = span_str("busy"), .has_picture = true, .picture = ID(3)
    };
    frame_profile(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"profile\",\"about\":\"busy\",\"picture\":" U3 ",\"at\":7}");
    buf_clear(&buf);
    event.event.u.profile_details_changed = (struct profile_details_changed){ .has_picture = true };
    frame_profile(&buf, &event);
    CHECK_SPAN(buf, "\"t\":\"profile\",\"picture\":\"\",\"at\":7}"); /* none any more */
    buf_clear(&buf);
    event.event.u.profile_details_changed =
        (struct profile_details_changed){ .has_last_seen_to = true,
                                          .last_seen_to = AUDIENCE_NOBODY,
                                          .has_about_to = true,
                                          .about_to = AUDIENCE_CONTACTS,
                                          .has_read_receipts = true };
    frame_profile(&buf, &event);
    CHECK_SPAN(buf,
               "\"t\":\"profile\",\"privacy\":{\"lastSeen\":\"nobody\",\"about\":\"contacts\"},"
               "\"readReceipts\":false,\"at\":7}");
    buf_clear(&buf);
    event.event.kind = USER_EVENT_DEVICE_ADDED;
    frame_profile(&buf, &event);
    CHECK_EQ(buf.n, 0);
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
        cq_auto(buf) struct cq_buf buf = { 0 };

        buf_init(&buf, 4096);
        json_put_text(&buf, span_of(rows[i].in, rows[i].n));
        CHECK_SPAN(buf, rows[i].want);
    }
}

/* A long text, every byte at every place of the words and stretches that the renderer takes at
 * once. */
TEST(every_byte_at_every_place)
{
    uint8_t text[600];
    cq_auto(buf) struct cq_buf buf = { 0 };

    buf_init(&buf, 8192);
    for (int byte = 0; byte < 256; byte++)
        for (size_t at = 240; at < 280; at++) {
            memset(text, 'x', sizeof text);
            text[at] = (uint8_t)byte;
            buf_clear(&buf);
            json_put_text(&buf, span_of(text, sizeof text));
            CHECK(span_is_utf8(buf_span(&buf)));
            CHECK(!buf.failed && buf.p[0] == '"' && buf.p[buf.n - 1] == '"');
            if (byte >= 0x80)
                CHECK_EQ(buf.n, sizeof text + 4);
            else if (byte >= 0x20 && byte != '"' && byte != '\\')
                CHECK_EQ(buf.n, sizeof text + 2);
            else
                CHECK(buf.n == sizeof text + 3 || buf.n == sizeof text + 7);
        }
}

TEST(a_full_buffer_is_told)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    struct chat_event chat_event = event(CHAT_EVENT_MESSAGE_ACCEPTED);

    buf_init(&buf, 100);
    frame_event(&buf, &chat_event);
    CHECK(buf.failed);
}

TEST(words)
{
    enum message_type type;

    for (unsigned i = 0; i < MESSAGE_TYPE_N; i++) {
        CHECK(message_type_parse(span_str(message_type_word((enum message_type)i)), &type));
        CHECK_EQ(type, i);
    }
    CHECK(!message_type_parse(span_str("TEXT"), &type) && !message_type_parse(span_str(""), &type));
    CHECK_STR(message_type_word(MESSAGE_TYPE_DOCUMENT), "document");
    CHECK_STR(member_role_word(MEMBER_ROLE_ADMIN), "admin");
    CHECK_STR(member_change_kind_words[MEMBER_CHANGE_KIND_DEMOTE], "demote");
}
