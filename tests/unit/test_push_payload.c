/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/payload.h"
#include "tests/unit/test.h"

#include "lib/base/arena.h"
#include "lib/json/json.h"

static const struct cq_id reader = { { 7 } };
static const char SMILE[] = "\xF0\x9F\x99\x82"; /* four bytes, one code point */

static struct push_content content(struct cq_span text)
{
    return (struct push_content){ .chat_id = { { 1 } },
                                  .message_id = { { 2 } },
                                  .seq = ((int64_t)31 << 48) - 1,
                                  .text = text,
                                  .sender = span_str("Ann"),
                                  .badge = 99,
                                  .badge_known = true,
                                  .ttl_s = 86400 };
}

/* The alert's text as a JSON reader has it; checks that the body is JSON of at most 4,096 bytes. */
static bool read_back(struct cq_span body, bool google, char *title, char *text, size_t n)
{
    cq_auto(json) struct json *root = NULL;
    const struct json *at;
    struct cq_span title_text, body_text;

    if (body.n > PAYLOAD_MAX || json_parse(body, &root, NULL) != CQ_OK)
        return false;
    at = google ? json_get(json_get(root, "message"), "notification")
                : json_get(json_get(root, "aps"), "alert");
    if (!at)
        at = json_get(json_get(root, "message"), "data");
    if (!json_get_text(at, "title", &title_text) || !json_get_text(at, "body", &body_text))
        return false;
    snprintf(title, n, "%.*s", SPAN_FMT(title_text));
    snprintf(text, n, "%.*s", SPAN_FMT(body_text));
    return span_is_utf8(title_text) && span_is_utf8(body_text);
}

#define RENDER(c, a, google)                                         \
    do {                                                             \
        buf_clear(&out);                                             \
        if (google)                                                  \
            payload_fcm(&(c), &(a), false, &out);                    \
        else                                                         \
            payload_apns(&(c), &(a), &out);                          \
        CHECK(!out.failed);                                          \
        CHECK(read_back(buf_span(&out), google, title, text, 8192)); \
    } while (0)

static struct cq_buf out;
static char title[8192], text[8192];

static void fresh(void)
{
    buf_release(&out);
    buf_init(&out, 64 * 1024);
}

TEST(a_silent_push_shows_nothing_and_sets_the_badge)
{
    struct push_content push_content = content(span_str("not to be shown"));
    struct push_address to = { .token = span_str("ok:token") };
    static const char google[] =
        "{\"message\":{\"token\":\"ok:token\",\"data\":{\"kind\":\"read\","
        "\"chatId\":\"01000000-0000-0000-0000-000000000000\",\"seq\":\"8725724278030335\","
        "\"badge\":\"0\"},\"android\":{\"priority\":\"NORMAL\",\"ttl\":\"86400s\"},"
        "\"apns\":{\"headers\":{\"apns-push-type\":\"background\",\"apns-priority\":\"5\","
        "\"apns-collapse-id\":\"01000000-0000-0000-0000-000000000000\"},"
        "\"payload\":{\"aps\":{\"content-available\":1,\"badge\":0}}}}}";

    push_content.silent = true;
    push_content.badge = 0;
    fresh();
    payload_fcm(&push_content, &to, false, &out);
    CHECK_SPAN(out, google);
    buf_clear(&out);
    payload_apns(&push_content, &to, &out);
    CHECK_SPAN(out, "{\"aps\":{\"content-available\":1,\"badge\":0},\"kind\":\"read\","
                    "\"chatId\":\"01000000-0000-0000-0000-000000000000\","
                    "\"seq\":8725724278030335}");
    push_content.badge_known = false;
    buf_clear(&out);
    payload_apns(&push_content, &to, &out);
    CHECK_SPAN(out, "{\"aps\":{\"content-available\":1},\"kind\":\"read\","
                    "\"chatId\":\"01000000-0000-0000-0000-000000000000\","
                    "\"seq\":8725724278030335}");
}

/* A frame as a push carries it, to what is shown. */
static const char *shown(const char *frame, bool group)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(64 * 1024);
    struct push_address to = { .token = span_str("ok:token"), .locale = span_str("de") };
    struct push_content push_content = content(span_of(NULL, 0));

    if (payload_read_frame(span_str(frame), reader, arena, &push_content) != CQ_OK)
        return "unreadable";
    push_content.is_group = group;
    push_content.chat_name = span_str("club");
    fresh();
    payload_apns(&push_content, &to, &out);
    return read_back(buf_span(&out), false, title, text, sizeof text) ? text : "no JSON";
}

/* To somebody who was added to a group: title and body. */
static void added(struct push_content *push_content, enum push_privacy privacy, const char *locale,
                  const char *want)
{
    char both[2 * sizeof text];
    struct push_address to = { .token = span_str("ok:token"),
                               .privacy = privacy,
                               .mode = PUSH_MODE_NOTIFICATION,
                               .locale = span_str(locale) };

    for (int google = 0; google < 2; google++) {
        RENDER(*push_content, to, google);
        CHECK(memmem(out.p, out.n, "messageId", 9) == NULL);
    }
    snprintf(both, sizeof both, "%s|%s", title, text);
    CHECK_STR(both, want);
}

TEST(who_was_added_is_told_by_whom_as_far_as_he_wants_it_shown)
{
    struct push_content push_content = content(span_of(NULL, 0));

    push_content.added = push_content.is_group = true;
    push_content.badge_known = false;
    push_content.chat_name = span_str("Climbing");
    added(&push_content, PUSH_PRIVACY_FULL, "en", "Climbing|Ann added you");
    added(&push_content, PUSH_PRIVACY_FULL, "de", "Climbing|Ann hat dich hinzugef\xC3\xBCgt");
    added(&push_content, PUSH_PRIVACY_FULL, "es-MX",
          "Climbing|Ann te a\xC3\xB1"
          "adi\xC3\xB3");
    added(&push_content, PUSH_PRIVACY_NAME, "en", "Climbing|You were added to a group");
    added(&push_content, PUSH_PRIVACY_NONE, "en", "Chasqui|You were added to a group");
    push_content.sender = push_content.chat_name = span_of(NULL, 0);
    added(&push_content, PUSH_PRIVACY_FULL, "en", "Chasqui|You were added to a group");
}

/* With keys in place of words: `want` is in each form, and each is within its bounds. */
static void keyed(struct push_content *push_content, enum push_privacy privacy, const char *apple,
                  const char *named)
{
    static char token[1024]; /* the longest */
    struct push_address to = { .token = span_of(memset(token, 'x', sizeof token), sizeof token),
                               .privacy = privacy,
                               .locale = span_str("x-keys") };
    cq_auto(json) struct json *root = NULL;

    for (int form = 0; form < 4; form++) {
        const char *want = form < 2 ? apple : named;

        fresh();
        to.mode = form < 2 ? PUSH_MODE_NOTIFICATION : PUSH_MODE_DATA;
        if (form == 0)
            payload_apns(push_content, &to, &out);
        else if (form == 3)
            payload_web(push_content, &to, &out);
        else
            payload_fcm(push_content, &to, false, &out);
        CHECK(!out.failed && out.n <= (form == 3 ? PAYLOAD_WEB_MAX : PAYLOAD_MAX));
        CHECK_EQ(json_parse(buf_span(&out), &root, NULL), CQ_OK);
        json_free(root);
        root = NULL;
        if (!memmem(out.p, out.n, want, strlen(want))) {
            snprintf(text, sizeof text, "%.*s", SPAN_FMT(buf_span(&out)));
            CHECK_STR(text, want);
        }
        CHECK((memmem(out.p, out.n, "\"body\"", 6) == NULL) == (strstr(want, "\"body\"") == NULL));
    }
}

TEST(an_app_with_words_of_its_own_gets_keys)
{
    static char much[8192];
    struct push_content push_content = content(span_str("the sea"));

    push_content.type = MESSAGE_TYPE_IMAGE;
    keyed(&push_content, PUSH_PRIVACY_FULL,
          "\"loc-key\":\"push_image_caption\",\"loc-args\":[\"the sea\"]",
          "\"bodyLocKey\":\"push_image_caption\",\"bodyLocArg1\":\"the sea\"");
    push_content.is_group = push_content.is_mention = true;
    push_content.chat_name = span_str("club");
    keyed(&push_content, PUSH_PRIVACY_FULL,
          "\"loc-key\":\"push_group_mention_image_caption\",\"loc-args\":[\"Ann\",\"the sea\"]",
          "\"bodyLocArg1\":\"Ann\",\"bodyLocArg2\":\"the sea\"");
    keyed(&push_content, PUSH_PRIVACY_NAME, "\"loc-key\":\"push_hidden\",\"loc-args\":[]",
          "\"bodyLocKey\":\"push_hidden\"");
    memset(much, '"', sizeof much);
    push_content.text = push_content.sender = push_content.chat_name = span_of(much, sizeof much);
    keyed(&push_content, PUSH_PRIVACY_FULL, "\"loc-key\":\"push_group_mention_image_caption\"",
          "\"bodyLocKey\":\"push_group_mention_image_caption\"");
    push_content.added = true;
    keyed(&push_content, PUSH_PRIVACY_FULL, "\"loc-key\":\"push_added_by\"",
          "\"bodyLocKey\":\"push_added_by\"");
    push_content = content(span_str("hello")); /* nothing to translate */
    keyed(&push_content, PUSH_PRIVACY_FULL, "\"body\":\"hello\"", "\"body\":\"hello\"");
    push_content.reaction = span_str("+");
    keyed(&push_content, PUSH_PRIVACY_FULL, "\"loc-key\":\"push_reaction\",\"loc-args\":[\"+\"]",
          "\"bodyLocKey\":\"push_reaction\",\"bodyLocArg1\":\"+\"");
}

/* What an alert of Apple's, or of Google's system, says beside its text. */
static void says(struct push_content *push_content, bool google, const char *words)
{
    struct push_address to = { .token = span_str("ok:token"), .mode = PUSH_MODE_NOTIFICATION };

    RENDER(*push_content, to, google);
    CHECK(memmem(out.p, out.n, words, strlen(words)) != NULL);
}

TEST(how_much_an_alert_disturbs)
{
    struct push_content push_content = content(span_str("hello"));

    says(&push_content, false, "\"category\":\"message\",\"interruption-level\":\"active\"");
    says(&push_content, true, "\"channelId\":\"messages\"");
    push_content.is_mention = true;
    says(&push_content, false, "\"interruption-level\":\"time-sensitive\"");
    says(&push_content, true, "\"channelId\":\"mentions\"");
    push_content.is_mention = false;
    push_content.edited = true;
    says(&push_content, false, "\"category\":\"edited\",\"interruption-level\":\"passive\"");
    push_content.edited = false;
    push_content.reaction = span_str("+");
    says(&push_content, false, "\"category\":\"reaction\",\"interruption-level\":\"passive\"");
    says(&push_content, true, "\"channelId\":\"reactions\"");
    push_content.reaction = span_of(NULL, 0);
    push_content.added = true;
    says(&push_content, false, "\"category\":\"added\",\"interruption-level\":\"active\"");
    says(&push_content, true, "\"channelId\":\"groups\"");
}

TEST(a_caption_is_shown_and_what_is_none_is_not)
{
    CHECK_STR(shown("\"type\":\"image\",\"caption\":\"the sea\"}", false), "Foto: the sea");
    CHECK_STR(shown("\"type\":\"video\",\"caption\":\"the sea\"}", true), "Ann: Video: the sea");
    CHECK_STR(shown("\"type\":\"image\",\"caption\":\"\"}", false), "Foto");
    CHECK_STR(shown("\"type\":\"image\",\"content\":\"https://x\"}", false), "Foto");
    CHECK_STR(shown("\"type\":\"text\",\"content\":\"hello\"}", true), "Ann: hello");
    CHECK_STR(shown("\"type\":\"text\",\"caption\":\"hello\"}", false), "Nachricht");
}

TEST(a_place_and_a_card_are_named)
{
    CHECK_STR(shown("\"type\":\"text\",\"content\":\"\",\"shows\":\"location\"}", false),
              "Standort");
    CHECK_STR(shown("\"type\":\"text\",\"content\":\"here\",\"shows\":\"location\"}", true),
              "Ann: Standort: here");
    CHECK_STR(shown("\"type\":\"text\",\"content\":\"Bob\",\"shows\":\"contact\"}", false),
              "Kontakt: Bob");
    CHECK_STR(shown("\"type\":\"audio\",\"caption\":\"\",\"shows\":\"voice\"}", false),
              "Sprachnachricht");
    CHECK_STR(shown("\"type\":\"audio\",\"caption\":\"a\"}", true), "Ann: Audio: a");
    CHECK_STR(shown("\"type\":\"text\",\"content\":\"a\",\"shows\":\"more\"}", false), "a");
    CHECK_STR(shown("\"type\":\"text\",\"content\":\"a\",\"shows\":7}", false), "a");
}

TEST(what_concerns_the_reader_is_said_before_the_text)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(64 * 1024);
    static const char frame[] =
        "\"type\":\"image\",\"caption\":\"the sea\",\"replyTo\":{\"id\":"
        "\"02000000-0000-0000-0000-000000000000\",\"seq\":17},\"mentions\":["
        "\"08000000-0000-0000-0000-000000000000\",\"07000000-0000-0000-0000-000000000000\"]}";
    struct push_address to = { .token = span_str("ok:token"), .locale = span_str("de") };
    struct push_content push_content = content(span_of(NULL, 0));

    CHECK_STR(shown(frame, true), "Ann: Erw\xC3\xA4hnt dich: Foto: the sea");
    CHECK_EQ(payload_read_frame(span_str(frame), (struct cq_id){ { 9 } }, arena, &push_content),
             CQ_OK);
    CHECK(!push_content.is_mention && push_content.has_reply);
    CHECK_EQ(push_content.reply_to.seq, 17);
    CHECK(id_eq(push_content.reply_to.id, (struct cq_id){ { 2 } }));
    fresh();
    RENDER(push_content, to, false); /* of somebody else's message */
    CHECK_STR(text, "Foto: the sea");
    push_content.is_reply = true; /* as the view says */
    RENDER(push_content, to, false);
    CHECK_STR(text, "Antwort an dich: Foto: the sea");
    to.privacy = PUSH_PRIVACY_NAME;
    RENDER(push_content, to, false);
    CHECK_STR(text, "Neue Nachricht");
    CHECK_STR(
        shown("\"type\":\"text\",\"content\":\"a\",\"replyTo\":{\"id\":5},\"mentions\":7}", false),
        "a"); /* none of ours: it still wakes */
}

/* Google's own form of an app that shows alerts itself: data of high priority that nothing
 * collapses; the system is given nothing to show. Apple's does not know the difference. */
TEST(an_app_that_shows_alerts_itself_is_woken_for_each)
{
    struct push_content push_content = content(span_str("hello"));
    struct push_address to = { .token = span_str("ok:token"), .mode = PUSH_MODE_DATA };
    static const char google[] =
        "{\"message\":{\"token\":\"ok:token\",\"data\":{\"kind\":\"message\","
        "\"chatId\":\"01000000-0000-0000-0000-000000000000\","
        "\"messageId\":\"02000000-0000-0000-0000-000000000000\",\"seq\":\"8725724278030335\","
        "\"badge\":\"99\",\"title\":\"Ann\",\"body\":\"hello\"},"
        "\"android\":{\"priority\":\"HIGH\",\"ttl\":\"86400s\"}}}";
    char apple[1024];

    fresh();
    payload_fcm(&push_content, &to, false, &out);
    CHECK_SPAN(out, google);
    buf_clear(&out);
    payload_apns(&push_content, &to, &out);
    snprintf(apple, sizeof apple, "%.*s", (int)out.n, (const char *)out.p);
    to.mode = PUSH_MODE_NOTIFICATION;
    buf_clear(&out);
    payload_apns(&push_content, &to, &out);
    CHECK_SPAN(out, apple);
}

TEST(any_text_fits_and_is_cut_between_code_points)
{
    static const char *const pieces[] = { "a", "\"", "\n", "\x01", "\xC3\xA9", SMILE, "</" };
    struct push_address to = { .token = span_str("ok:token") };
    char big[40000];

    fresh();
    for (size_t p = 0; p < ARRAY_LEN(pieces); p++)
        for (size_t n = 4; n < 32000; n = n * 3 / 2 + 1) {
            size_t len = 0, cut;
            struct push_content push_content;

            while (len + strlen(pieces[p]) <= n)
                for (const char *s = pieces[p]; *s; s++)
                    big[len++] = *s;
            push_content = content(span_of(big, len));
            for (int google = 0; google < 3; google++) {
                to.mode = google == 2 ? PUSH_MODE_DATA : PUSH_MODE_NOTIFICATION;
                RENDER(push_content, to, google);
                CHECK_STR(title, "Ann");
                cut = strlen(text);
                if (cut == len) {
                    CHECK(memcmp(text, big, len) == 0);
                    continue;
                }
                CHECK_EQ_ROW(pieces[p], cut > 400 && cut < len, true); /* as much as fits */
                CHECK(memcmp(text + cut - 3, "\xE2\x80\xA6", 3) == 0);
                CHECK(memcmp(text, big, cut - 3) == 0);
            }
        }
}

TEST(names_are_bounded_too)
{
    struct push_address to = { .token = span_str("ok:token") };
    struct push_content push_content = content(span_str("hi"));
    char name[4000];

    fresh();
    memset(name, '"', sizeof name);
    push_content.sender = span_of(name, sizeof name);
    RENDER(push_content, to, true);
    CHECK(strlen(title) < PAYLOAD_TITLE_MAX);
    CHECK_STR(text, "hi");
    push_content.is_group = true;
    push_content.chat_name = span_of(name, sizeof name);
    RENDER(push_content, to, false);
    CHECK(strlen(title) < PAYLOAD_TITLE_MAX);
}

TEST(a_token_of_the_longest_kind_fits)
{
    char token[1024], big[8000];
    struct push_address to = { .token = span_of(token, sizeof token) };
    struct push_content push_content = content(span_of(big, sizeof big));

    fresh();
    memset(token, 'A', sizeof token);
    memset(big, 'b', sizeof big);
    RENDER(push_content, to, true);
    CHECK(strlen(text) > 1000);
}

TEST(privacy)
{
    struct push_address to = { .token = span_str("ok:token"), .locale = span_str("pt-BR") };
    struct push_content push_content = content(span_str("secret"));

    fresh();
    to.privacy = PUSH_PRIVACY_NAME;
    RENDER(push_content, to, true);
    CHECK_STR(title, "Ann");
    CHECK_STR(text, "Nova mensagem");
    to.privacy = PUSH_PRIVACY_NONE;
    RENDER(push_content, to, false);
    CHECK_STR(title, "Chasqui");
    CHECK_STR(text, "Nova mensagem");
    CHECK(!memmem(out.p, out.n, "secret", 6) && !memmem(out.p, out.n, "Ann", 3));
    to.privacy = PUSH_PRIVACY_FULL;
    to.locale = span_str("xx");
    push_content.sender = span_of(NULL, 0); /* the view is away */
    RENDER(push_content, to, false);
    CHECK_STR(title, "New message");
    CHECK_STR(text, "secret");
    push_content.type = MESSAGE_TYPE_VIDEO;
    push_content.text = span_of(NULL, 0);
    RENDER(push_content, to, false);
    CHECK_STR(text, "Video");
}

TEST(cutting)
{
    CHECK_EQ(payload_cut(span_str("abc"), 2).n, 2);
    CHECK_EQ(payload_cut(span_str("abc"), 0).n, 0);
    CHECK_EQ(payload_cut(span_str("a\"b"), 2).n, 1); /* the quote takes two */
    CHECK_EQ(payload_cut(span_str("\x01"), 5).n, 0);
    CHECK_EQ(payload_cut(span_str(SMILE), 3).n, 0);
    CHECK_EQ(payload_cut(span_str(SMILE), 4).n, 4);
}

TEST(mentions)
{
    static const struct {
        const char *text, *name;
        bool want;
    } rows[] = {
        { "hello @Ann", "Ann", true },    { "@Ann, hello", "Ann", true },
        { "@Anna", "Ann", false },        { "mail ann@x", "Ann", false },
        { "@Ann\xC3\xA9", "Ann", false }, { "@Ann2", "Ann", false },
        { "@Ann Lee", "Ann Lee", true },  { "@", "", false },
        { "@Anna @Ann!", "Ann", true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].text, payload_mentions(span_str(rows[i].text), span_str(rows[i].name)),
                     rows[i].want);
}

TEST(frames)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(1 << 20);
    struct push_content content = { 0 };

    CHECK_EQ(
        payload_read_frame(span_str("\"t\":\"message\",\"type\":\"text\",\"content\":\"a\\nb\"}"),
                           reader, arena, &content),
        CQ_OK);
    CHECK_SPAN(content.text, "a\nb");
    content = (struct push_content){ 0 };
    CHECK_EQ(payload_read_frame(span_str("\"type\":\"image\",\"content\":\"media/1\"}"), reader,
                                arena, &content),
             CQ_OK);
    CHECK_EQ(content.type, MESSAGE_TYPE_IMAGE);
    CHECK_EQ(content.text.n, 0);
    CHECK_EQ(payload_read_frame(span_str("\"type\":\"smoke\"}"), reader, arena, &content),
             CQ_POISON);
    CHECK_EQ(payload_read_frame(span_str("no json"), reader, arena, &content), CQ_POISON);
    CHECK_EQ(payload_read_frame(span_of(NULL, 0), reader, arena, &content), CQ_POISON);
}
