/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "ingest/ingest.h"
#include "ingest/validate.h"

static struct chat_action message(const char *client_id, struct cq_span content)
{
    struct chat_action action = { .chat_id = { { 1 } },
                                  .user_id = { { 2 } },
                                  .client_id = span_str(client_id) };

    action.action.kind = CHAT_ACTION_MESSAGE_SENT;
    action.action.u.message_sent.content = content;
    return action;
}

/* The name of the field that a verdict begins with, behind which its bound stands. */
static const char *field_of(const char *why)
{
    static char name[64];

    if (!why)
        return "good";
    snprintf(name, sizeof name, "%.*s", (int)strcspn(why, ":"), why);
    return strncmp(why + strlen(name), ": ", 2) == 0 ? name : "a verdict without a bound";
}

static const char *verdict(const char *client_id, struct cq_span content)
{
    struct chat_action action = message(client_id, content);

    return field_of(validate_chat(&action));
}

TEST(a_verdict_names_the_field_and_what_it_may_be)
{
    struct chat_action action = message("c1", span_str(""));
    struct user_action user_action = { .user_id = { { 1 } } };

    CHECK_STR(validate_chat(&action),
              "content: empty only with a mediaId, a location or a contact");
    action.chat_id = (struct cq_id){ { 0 } };
    CHECK_STR(validate_chat(&action), "chatId: an id that is not zero");
    action = message("a b", span_str("hi"));
    CHECK_STR(validate_chat(&action),
              "clientId: at most 64 bytes of printable ASCII without spaces");
    action = message("c1", span_str("hi"));
    action.action.kind = CHAT_ACTION_CHAT_RENAMED;
    action.action.u.chat_renamed.name = span_str("");
    CHECK_STR(validate_chat(&action),
              "name: 1 to 400 bytes of UTF-8 without control characters, one of "
              "them visible, at most 100 characters");
    action.action.kind = CHAT_ACTION_MEMBERS_CHANGED;
    action.action.u.members_changed = (struct members_changed){ NULL, 0 };
    CHECK_STR(validate_chat(&action), "changes: 1 to 1024 items");
    action.action.kind = CHAT_ACTION_ACTION_KIND_N;
    CHECK_STR(validate_chat(&action), "action");
    user_action.action.kind = USER_ACTION_CHAT_MUTED;
    user_action.action.u.chat_muted = (struct chat_muted){ { { 2 } }, -1 };
    CHECK_STR(validate_user(&user_action), "untilMs: 0 to 253402300799999");
    user_action.action.kind = USER_ACTION_PUSH_REGISTERED;
    user_action.action.u.push_registered.address =
        (struct push_address){ .kind = PUSH_KIND_APNS, .token = span_str("abcdefgh") };
    CHECK_STR(validate_user(&user_action), "token: hexadecimal digits, of Apple's");
    user_action.action.u.push_registered.address.privacy = PUSH_PRIVACY_N;
    CHECK_STR(validate_user(&user_action), "privacy: one of FULL, NAME, NONE");
}

/* A name that may be empty, and is one when it is not. */
TEST(who_signs_up_may_have_no_name_yet)
{
    struct user_action action = { .user_id = { { 1 } } };

    action.action.kind = USER_ACTION_USER_SIGNED_UP;
    action.action.u.user_signed_up.name = span_str("");
    CHECK(validate_user(&action) == NULL);
    action.action.u.user_signed_up.name = span_str(" ");
    CHECK_STR(field_of(validate_user(&action)), "name");
    action.action.kind = USER_ACTION_PROFILE_EDITED;
    action.action.u.profile_edited.name = span_str("");
    CHECK_STR(field_of(validate_user(&action)), "name");
}

TEST(a_detail_of_a_profile_may_be_taken_back)
{
    struct user_action action = { .user_id = { { 1 } } };
    struct profile_details_edited *details = &action.action.u.profile_details_edited;
    static char text[LIMIT_ABOUT_BYTES + 2];

    action.action.kind = USER_ACTION_PROFILE_DETAILS_EDITED;
    CHECK_STR(field_of(validate_user(&action)), "about"); /* none of them */
    details->has_last_seen_to = true;
    CHECK(validate_user(&action) == NULL);
    details->has_last_seen_to = false;
    details->has_about = true;
    details->about = span_str("");
    CHECK(validate_user(&action) == NULL);
    memset(text, 'x', sizeof text - 1);
    details->about = span_of(text, LIMIT_ABOUT_CHARS);
    CHECK(validate_user(&action) == NULL && about_good(details->about));
    details->about.n++;
    CHECK_STR(field_of(validate_user(&action)), "about");
    CHECK(!about_good(details->about));
    details->about = span_str("two\nlines");
    CHECK_STR(field_of(validate_user(&action)), "about");
    CHECK(!about_good(details->about));
    details->has_about = false;
    details->has_picture = true; /* zero: none any more */
    CHECK(validate_user(&action) == NULL);
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
        { "a\xc2\x80", false, false },                          /* C1, the first */
        { "a\xc2\x9f", false, false },                          /* and the last */
        { "\xc2\xa0", false, true },                            /* a space that does not break */
        { "\xe2\x80\x8b", false, true },                        /* zero width alone */
        { "\xe3\x85\xa4", false, true },                        /* Hangul filler alone */
        { "\xe2\xa0\x80", false, true },                        /* blank Braille alone */
        { "\xcc\xb6\xcc\xb6", false, true },                    /* strokes through nothing */
        { "\xe2\x80\x8b\xd9\x8b", false, true },                /* a mark on nothing that is seen */
        { "a\xcc\xb6", true, true },                            /* a stroke through something */
        { "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d", true, true }, /* a joiner behind a mark */
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
    struct chat_action action = message("c1", span_str("x"));

    action.action.kind = CHAT_ACTION_GROUP_CREATED;
    action.action.u.group_created =
        (struct group_created){ span_str("Team"), members, LIMIT_GROUP_MEMBERS - 1 };
    CHECK(validate_chat(&action) == NULL);
    action.action.u.group_created.members_n = LIMIT_GROUP_MEMBERS;
    CHECK_STR(field_of(validate_chat(&action)), "members");
    action = message("", span_str("x"));
    action.action.kind = CHAT_ACTION_RECEIPTS_ADVANCED;
    action.action.u.receipts_advanced = (struct receipts_advanced){ receipts, LIMIT_RECEIPTS };
    CHECK(validate_chat(&action) == NULL);
    action.action.u.receipts_advanced.receipts_n++;
    CHECK_STR(field_of(validate_chat(&action)), "receipts");
    action.action.u.receipts_advanced.receipts_n = 1;
    receipts[0].read_seq = -1;
    CHECK_STR(field_of(validate_chat(&action)), "readSeq");
}

/* In code points and in bytes: of four bytes each as many as of one. */
TEST(descriptions_are_counted_in_code_points_and_bytes)
{
    static char text[4 * LIMIT_DESCRIPTION_CHARS + 8];
    struct chat_action action = message("c1", span_str("x"));

    action.action.kind = CHAT_ACTION_GROUP_DESCRIBED;
    for (size_t n = 1; n <= 4; n += 3) {
        for (size_t i = 0; i <= LIMIT_DESCRIPTION_CHARS; i++)
            memcpy(text + n * i, n == 1 ? "x" : "\xF0\x9F\x98\x82", n);
        for (size_t i = LIMIT_DESCRIPTION_CHARS; i <= LIMIT_DESCRIPTION_CHARS + 1; i++) {
            bool fits = i == LIMIT_DESCRIPTION_CHARS;

            action.action.u.group_described.description = span_of(text, n * i);
            CHECK_EQ(description_good(span_of(text, n * i)), fits);
            if (fits)
                CHECK(validate_chat(&action) == NULL);
            else
                CHECK_STR(field_of(validate_chat(&action)), "description");
        }
    }
    CHECK(description_good(span_str("")) && description_good(span_str("two\nlines")));
    CHECK(!description_good(span_of("a\0b", 3)) && !description_good(span_str("\xFF")));
}

/* A control takes six bytes in JSON, and a draft goes to every session. */
TEST(what_is_written_has_no_controls_but_line_ends_and_tabs)
{
    struct user_action action = { .user_id = { { 1 } }, .action.kind = USER_ACTION_CHAT_MARKED };
    struct chat_marked *marked = &action.action.u.chat_marked;

    *marked = (struct chat_marked){ .chat_id = { { 2 } }, .has_draft = true };
    CHECK(draft_good(marked->draft) && validate_user(&action) == NULL);
    for (char code = 0; code <= ' '; code++) {
        bool fits = code == '\n' || code == '\t' || code == '\r' || code == ' ';
        char text[] = { 'a', code, 'b' };

        marked->draft = span_of(text, sizeof text);
        CHECK_EQ(draft_good(marked->draft), fits);
        CHECK_EQ(description_good(marked->draft), fits);
        CHECK_EQ(validate_user(&action) == NULL, fits);
    }
    CHECK(draft_good(span_str("\xF0\x9F\x98\x82 \"dear\"")) && !draft_good(span_str("\xFF")));
}

/* Fields that only our own processes fill have their bounds, too: what stands in the log without
 * one has none anywhere. */
TEST(texts_that_no_client_writes_keep_their_bounds)
{
    static char text[LIMIT_CONTENT_BYTES];
    static struct lost_item items[LIMIT_LOST_ITEMS + 1];
    struct chat_action action = message("c1", span_str("x"));
    struct user_action user_action = { .user_id = { { 1 } } };

    memset(text, 'k', sizeof text);
    action.action.u.message_sent.has_key_id = true;
    action.action.u.message_sent.key_id = span_of(text, LIMIT_KEY_ID_BYTES);
    CHECK(validate_chat(&action) == NULL);
    action.action.u.message_sent.key_id.n++;
    CHECK_STR(field_of(validate_chat(&action)), "keyId");
    action = message("c1", span_str("x"));
    action.action.u.message_sent.content_type = span_of("a\0b", 3); /* no text column takes it */
    CHECK_STR(field_of(validate_chat(&action)), "contentType");
    action.action.u.message_sent.content_type = span_str("\xff");
    CHECK_STR(field_of(validate_chat(&action)), "contentType");

    user_action.action.kind = USER_ACTION_DEVICE_UNLINKED;
    user_action.action.u.device_unlinked.reason = span_of(text, LIMIT_REASON_BYTES);
    CHECK(validate_user(&user_action) == NULL);
    user_action.action.u.device_unlinked.reason.n++;
    CHECK_STR(field_of(validate_user(&user_action)), "reason");
    user_action.action.kind = USER_ACTION_PUSH_UNREGISTERED;
    user_action.action.u.push_unregistered =
        (struct push_unregistered){ span_of(text, LIMIT_REASON_BYTES + 1), span_str(""), -1 };
    CHECK_STR(field_of(validate_user(&user_action)), "reason");
    user_action.action.kind = USER_ACTION_DEVICE_LINKED;
    user_action.action.u.device_linked =
        (struct device_linked){ span_of("web\0", 4), span_str("") };
    CHECK_STR(field_of(validate_user(&user_action)), "platform");
    user_action.action.kind = USER_ACTION_SESSION_LOST;
    user_action.action.u.session_lost = (struct session_lost){ { { 1 } }, items, LIMIT_LOST_ITEMS };
    CHECK(validate_user(&user_action) == NULL);
    user_action.action.u.session_lost.items_n++;
    CHECK_STR(field_of(validate_user(&user_action)), "items");
}

TEST(what_a_message_says_beside_its_content_keeps_its_bounds)
{
    static struct cq_id mentions[LIMIT_MESSAGE_SENT_MENTIONS + 1];
    struct chat_action action = message("c1", span_str("x"));
    struct message_sent *sent = &action.action.u.message_sent;

    sent->has_reply_to = true;
    sent->reply_to = (struct quoted){ { { 1 } }, LIMIT_QUOTED_SEQ_MAX };
    sent->mentions = mentions;
    sent->mentions_n = LIMIT_MESSAGE_SENT_MENTIONS;
    sent->has_forwarded = true;
    sent->forwarded = LIMIT_MESSAGE_SENT_FORWARDED_MAX;
    CHECK(validate_chat(&action) == NULL);
    sent->mentions_n++;
    CHECK_STR(validate_chat(&action), "mentions: at most 32 items");
    sent->mentions_n = 0;
    sent->forwarded++;
    CHECK_STR(validate_chat(&action), "forwarded: 1 to 127");
    sent->has_forwarded = false;
    sent->reply_to.seq = 0;
    CHECK_STR(field_of(validate_chat(&action)), "seq");
    sent->reply_to = (struct quoted){ { { 0 } }, 1 };
    CHECK_STR(field_of(validate_chat(&action)), "id");
}

TEST(what_a_message_shows_keeps_its_bounds)
{
    static struct cq_span numbers[LIMIT_CARD_NUMBERS + 1];
    static const uint8_t waveform[LIMIT_VOICE_WAVEFORM_BYTES];
    struct chat_action action = message("c1", span_str(""));
    struct message_sent *sent = &action.action.u.message_sent;
    struct location *place = &sent->contents.location;
    struct card *card = &sent->contents.contact;

    CHECK_STR(field_of(validate_chat(&action)), "content");
    sent->has_contents = true;
    CHECK_STR(validate_chat(&action), "contents: a location, a contact or a voice");
    sent->contents.has_location = true;
    *place = (struct location){ .latitude = -900000000, .longitude = 1800000000 };
    CHECK(validate_chat(&action) == NULL);
    place->latitude--;
    CHECK_STR(field_of(validate_chat(&action)), "latitude");
    place->latitude++;
    place->longitude++;
    CHECK_STR(field_of(validate_chat(&action)), "longitude");
    place->longitude = 0;
    place->has_accuracy = true;
    place->accuracy = -1;
    CHECK_STR(field_of(validate_chat(&action)), "accuracy");
    place->accuracy = LIMIT_LOCATION_ACCURACY_MAX;
    place->has_name = place->has_address = true;
    place->name = span_str("a\nb");
    CHECK_STR(field_of(validate_chat(&action)), "name");
    place->name = span_str("Caf\xC3\xA9");
    place->address = span_str("\xE2\x80\xAE");
    CHECK_STR(field_of(validate_chat(&action)), "address");
    place->address = span_str("Street 1");
    CHECK(validate_chat(&action) == NULL);
    sent->type = MESSAGE_TYPE_DOCUMENT;
    CHECK_STR(validate_chat(&action), "location, contact: only with type text");
    sent->type = MESSAGE_TYPE_TEXT;
    sent->contents.has_contact = true;
    numbers[0] = span_str("+49 30 1234");
    *card = (struct card){ .name = span_str("Ann"), .numbers = numbers, .numbers_n = 1 };
    CHECK_STR(validate_chat(&action), "contents: a location, a contact or a voice");
    sent->contents.has_location = false;
    CHECK(validate_chat(&action) == NULL);
    card->numbers_n = 0;
    CHECK_STR(validate_chat(&action), "numbers: 1 to 5 items");
    card->numbers_n = LIMIT_CARD_NUMBERS + 1;
    CHECK_STR(validate_chat(&action), "numbers: 1 to 5 items");
    card->numbers_n = 2;
    CHECK_STR(field_of(validate_chat(&action)), "numbers");
    numbers[1] = span_str("\x1b[2J");
    CHECK_STR(field_of(validate_chat(&action)), "numbers");
    card->numbers_n = 1;
    card->has_user_id = true;
    CHECK_STR(field_of(validate_chat(&action)), "userId");
    card->user_id.b[0] = 1;
    CHECK(validate_chat(&action) == NULL);
    sent->contents =
        (struct contents){ .has_voice = true, .voice = { 1, span_of(waveform, sizeof waveform) } };
    sent->type = MESSAGE_TYPE_AUDIO;
    CHECK_STR(validate_chat(&action), "voice: only with type audio and its mediaId");
    sent->has_media_id = true;
    sent->media_id.b[0] = 1;
    CHECK(validate_chat(&action) == NULL);
    sent->type = MESSAGE_TYPE_VIDEO;
    CHECK_STR(validate_chat(&action), "voice: only with type audio and its mediaId");
    sent->type = MESSAGE_TYPE_AUDIO;
    sent->contents.voice.waveform.n--;
    CHECK_STR(field_of(validate_chat(&action)), "waveform");
    sent->contents.voice.waveform.n++;
    sent->contents.voice.duration_ms = 0;
    CHECK_STR(field_of(validate_chat(&action)), "durationMs");
    sent->contents.voice.duration_ms = LIMIT_VOICE_DURATION_MS_MAX + 1;
    CHECK_STR(field_of(validate_chat(&action)), "durationMs");
}

TEST(a_preview_is_of_an_address_in_the_text)
{
    static const struct {
        const char *text, *url, *why; /* the field that is wrong; NULL: none */
    } rows[] = {
        { "see https://a.example/b", "https://a.example/b", NULL },
        { "https://a.example/b", "https://a.example", NULL },
        { "see http://a.example", "http://a.example", NULL },
        { "see https://a.example/b", "https://b.example", "url" },
        { "", "https://a.example", "url" },
        { "javascript:alert(1)", "javascript:alert(1)", "url" },
        { "https://", "https://", "url" },
        { "HTTPS://A.EXAMPLE", "HTTPS://A.EXAMPLE", "url" },
        { "https://a.example b", "https://a.example b", "url" },
        { "https://a.example\n", "https://a.example\n", "url" },
        { "https://a.\xE2\x80\xAE.example", "https://a.\xE2\x80\xAE.example", "url" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct chat_action action = message("c1", span_str(rows[i].text));
        struct message_sent *sent = &action.action.u.message_sent;
        struct message_rewritten *edit = &action.action.u.message_rewritten;
        struct target target = { .from = { { 1 } }, .client_id = span_str("c"), .seq = 1 };
        const char *why;

        sent->has_contents = sent->contents.has_location = !rows[i].text[0];
        sent->has_preview = true;
        sent->preview.url = span_str(rows[i].url);
        why = validate_chat(&action);
        CHECK_STR(why ? field_of(why) : "", rows[i].why ? rows[i].why : "");
        if (!rows[i].text[0])
            continue; /* an edit has a text */
        action.action.kind = CHAT_ACTION_MESSAGE_REWRITTEN;
        *edit = (struct message_rewritten){ .target = target,
                                            .content_type = span_str("text/plain"),
                                            .content = span_str(rows[i].text),
                                            .has_preview = true,
                                            .preview.url = span_str(rows[i].url) };
        why = validate_chat(&action);
        CHECK_STR(why ? field_of(why) : "", rows[i].why ? rows[i].why : "");
        edit->has_key_id = true; /* nobody can tell what such a text has */
        edit->key_id = span_str("k");
        CHECK_STR(field_of(validate_chat(&action)), "url");
    }
}

TEST(polls_keep_their_bounds)
{
    static char question[LIMIT_QUESTION_BYTES + 1], option[LIMIT_POLL_OPTION_CHARS + 1];
    struct cq_span options[LIMIT_POLL_OPTIONS + 1];
    struct chat_action action = message("c1", span_of(question, LIMIT_QUESTION_BYTES));
    struct message_sent *sent = &action.action.u.message_sent;
    struct poll *poll = &sent->poll;

    memset(question, 'q', sizeof question);
    memset(option, 'o', sizeof option);
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        options[i] = span_of("abcdefghijklm" + i, 1);
    options[0] = span_of(option, LIMIT_POLL_OPTION_CHARS);
    sent->has_poll = true;
    *poll = (struct poll){ .options = options,
                           .options_n = LIMIT_POLL_OPTIONS,
                           .choices = LIMIT_POLL_OPTIONS,
                           .has_closes_in = true,
                           .closes_in = LIMIT_POLL_CLOSES_IN_MAX };
    CHECK(validate_chat(&action) == NULL);
    poll->options_n++;
    CHECK_STR(field_of(validate_chat(&action)), "options");
    poll->options_n = 1;
    CHECK_STR(field_of(validate_chat(&action)), "options");
    poll->options_n = 2;
    CHECK_STR(field_of(validate_chat(&action)), "choices");
    poll->choices = 0;
    CHECK_STR(field_of(validate_chat(&action)), "choices");
    poll->choices = 2;
    CHECK(validate_chat(&action) == NULL);
    options[1] = options[0];
    CHECK_STR(validate_chat(&action), "options: each once");
    options[1] = span_of(option, sizeof option);
    CHECK(validate_chat(&action) != NULL);
    options[1] = span_str("");
    CHECK(validate_chat(&action) != NULL);
    options[1] = span_str("two\nlines"); /* options are told apart by line ends */
    CHECK(validate_chat(&action) != NULL);
    options[1] = span_str("b");
    poll->closes_in++;
    CHECK_STR(field_of(validate_chat(&action)), "closesIn");
    poll->closes_in = 1;
    poll->has_closes_at_ms = true;
    CHECK_STR(field_of(validate_chat(&action)), "closesAtMs");
    poll->has_closes_at_ms = false;
    sent->has_media_id = true;
    CHECK(validate_chat(&action) != NULL);
    sent->has_media_id = false;
    sent->has_key_id = true;
    CHECK_STR(field_of(validate_chat(&action)), "poll");
    sent->has_key_id = false;
    sent->content.n++;
    CHECK_STR(field_of(validate_chat(&action)), "content");
}

TEST(forwards_are_counted_up_to_a_limit)
{
    CHECK_EQ(message_forwarded(0), 1);
    CHECK_EQ(message_forwarded(125), 126);
    CHECK_EQ(message_forwarded(126), 127);
    CHECK_EQ(message_forwarded(127), 127);
    CHECK_EQ(message_forwarded(INT64_MAX), 127);
}

TEST(marks_mark_something)
{
    struct user_action action = { .user_id = { { 1 } }, .action.kind = USER_ACTION_CHAT_MARKED };

    action.action.u.chat_marked = (struct chat_marked){ .chat_id = { { 2 } } };
    CHECK_STR(validate_user(&action),
              "archived: it, or pinned, markedUnread, or draft, is required");
    action.action.u.chat_marked.has_pinned = true;
    CHECK(validate_user(&action) == NULL);
    action.action.u.chat_marked.read_seq = -1;
    CHECK_STR(field_of(validate_user(&action)), "readSeq");
}

TEST(times_are_dates_that_every_reader_can_hold)
{
    struct user_action action = { .user_id = { { 1 } } };

    action.action.kind = USER_ACTION_CHAT_MUTED;
    action.action.u.chat_muted = (struct chat_muted){ { { 2 } }, INGEST_TIME_MAX_MS };
    CHECK(validate_user(&action) == NULL);
    action.action.u.chat_muted.until_ms++;
    CHECK_STR(field_of(validate_user(&action)), "untilMs");
}
