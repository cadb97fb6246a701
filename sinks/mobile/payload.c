/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/payload.h"

#include "lib/base/arena.h"
#include "lib/json/json.h"
#include "lib/json/write.h"
#include "schemas/frame.h"
#include "schemas/names.h"

#include <stdio.h>

enum {
    KEY_MAX = 64,
    /* bytes of a name and of a text as JSON, in place of a body … */
    NAME_ARG_MAX = 512,
    TEXT_ARG_MAX = 900,
    /* … and where they stand twice, for Google's system and for Apple's by way of Google */
    NAME_TWICE_MAX = 128,
    TEXT_TWICE_MAX = 400,
};

static const char ELLIPSIS[] = "\xE2\x80\xA6";
enum { ELLIPSIS_N = 3, COLLAPSE_KEYS = 4 /* distinct ones that FCM keeps for a device */ };

/* ---- fixed texts ---------------------------------------------------------------------- */

struct texts {
    const char *language;
    const char *fresh;               /* when nothing may be said */
    const char *reply;               /* before an answer to the recipient's own message */
    const char *mention;             /* before what mentions the recipient */
    const char *reaction;            /* before a sign */
    const char *const *type;         /* instead of what is no text: one for each MessageType */
    const char *shows[PUSH_SHOWS_N]; /* before what a place or a card is called, or instead of it */
    const char *added_by;            /* behind the name of who added the recipient to a group … */
    const char *added;               /* … and when that is not to be said */
};

#define WORDS(language, ...)                                       \
    static const char *const words_##language[] = { __VA_ARGS__ }; \
    _Static_assert(ARRAY_LEN(words_##language) == MESSAGE_TYPE_N,  \
                   "a word for each type: " #language)

WORDS(en, "Message", "Photo", "Video", "Audio", "Document");
WORDS(de, "Nachricht", "Foto", "Video", "Audio", "Dokument");
WORDS(es, "Mensaje", "Foto", "Video", "Audio", "Documento");
WORDS(fr, "Message", "Photo", "Vid\xC3\xA9o", "Audio", "Document");
WORDS(pt, "Mensagem", "Foto",
      "V\xC3\xAD"
      "deo",
      "\xC3\x81"
      "udio",
      "Documento");

static const struct texts languages[] = {
    { "en",
      "New message",
      "Reply to you",
      "Mentions you",
      "Reaction",
      words_en,
      { "", "Location", "Contact", "Voice message" },
      " added you",
      "You were added to a group" },
    { "de",
      "Neue Nachricht",
      "Antwort an dich",
      "Erw\xC3\xA4hnt dich",
      "Reaktion",
      words_de,
      { "", "Standort", "Kontakt", "Sprachnachricht" },
      " hat dich hinzugef\xC3\xBCgt",
      "Du wurdest zu einer Gruppe hinzugef\xC3\xBCgt" },
    { "es",
      "Mensaje nuevo",
      "Respuesta para ti",
      "Te menciona",
      "Reacci\xC3\xB3n",
      words_es,
      { "", "Ubicaci\xC3\xB3n", "Contacto", "Mensaje de voz" },
      " te a\xC3\xB1"
      "adi\xC3\xB3",
      "Te a\xC3\xB1"
      "adieron a un grupo" },
    { "fr",
      "Nouveau message",
      "R\xC3\xA9ponse pour vous",
      "Vous mentionne",
      "R\xC3\xA9"
      "action",
      words_fr,
      { "", "Position", "Contact", "Message vocal" },
      " vous a ajout\xC3\xA9",
      "Vous avez \xC3\xA9t\xC3\xA9 ajout\xC3\xA9 \xC3\xA0 un groupe" },
    { "pt",
      "Nova mensagem",
      "Resposta para voc\xC3\xAA",
      "Menciona voc\xC3\xAA",
      "Rea\xC3\xA7\xC3\xA3o",
      words_pt,
      { "", "Localiza\xC3\xA7\xC3\xA3o", "Contato", "Mensagem de voz" },
      " adicionou voc\xC3\xAA",
      "Voc\xC3\xAA foi adicionado a um grupo" },
};

/* By the language alone: "pt-BR" is "pt". Unknown languages get English. */
static const struct texts *texts_of(struct cq_span locale)
{
    for (size_t i = 0; i < ARRAY_LEN(languages); i++)
        if (locale.n >= 2 && memcmp(locale.p, languages[i].language, 2) == 0 &&
            (locale.n == 2 || locale.p[2] == '-' || locale.p[2] == '_'))
            return &languages[i];
    return &languages[0];
}

/* ---- reading -------------------------------------------------------------------------- */

static bool names_user(const struct json *mentions, struct cq_id user)
{
    struct cq_id id;

    for (size_t i = 0; i < json_count(mentions); i++)
        if (json_id(json_at(mentions, i), &id) && id_eq(id, user))
            return true;
    return false;
}

/* Words of an excerpt, by enum push_shows. */
static const char *const shows_words[] = { "", "location", "contact", "voice" };
_Static_assert(ARRAY_LEN(shows_words) == PUSH_SHOWS_N, "a word for each");

static enum push_shows shows_of(const struct json *root)
{
    struct cq_span word;

    if (json_get_text(root, "shows", &word))
        for (size_t i = 1; i < PUSH_SHOWS_N; i++)
            if (span_eq_str(word, shows_words[i]))
                return (enum push_shows)i;
    return PUSH_SHOWS_TEXT;
}

enum cq_status payload_read_frame(struct cq_span frame, struct cq_id user, struct cq_arena *arena,
                                  struct push_content *ret)
{
    cq_auto(json) struct json *root = NULL;
    const struct json *quoted;
    uint8_t *whole = arena_alloc(arena, frame.n + 1);
    struct cq_span word, text = { NULL, 0 };

    if (!whole)
        return CQ_AGAIN;
    whole[0] = '{';
    if (frame.n)
        memcpy(whole + 1, frame.p, frame.n);
    if (json_parse(span_of(whole, frame.n + 1), &root, NULL) != CQ_OK ||
        !json_get_text(root, "type", &word) || !message_type_parse(word, &ret->type))
        return CQ_POISON;
    /* what is no text has a caption only where its content is one: beside a file */
    if (json_get_text(root, ret->type == MESSAGE_TYPE_TEXT ? "content" : "caption", &text) &&
        text.n)
        ret->text = arena_copy(arena, text);
    ret->shows = shows_of(root);
    quoted = json_get(root, "replyTo");
    ret->has_reply =
        json_is_object(quoted) && !json_members_read(quoted, &frame_quoted, &ret->reply_to, &arena);
    ret->is_mention = names_user(json_get(root, "mentions"), user);
    if (!json_get_i64(root, "expiresAt", &ret->expires_ms))
        ret->expires_ms = 0;
    return CQ_OK;
}

bool payload_mentions(struct cq_span text, struct cq_span name)
{
    if (!name.n)
        return false;
    for (size_t i = 0; i + 1 + name.n <= text.n; i++)
        if (text.p[i] == '@' && memcmp(text.p + i + 1, name.p, name.n) == 0) {
            uint8_t after = i + 1 + name.n < text.n ? text.p[i + 1 + name.n] : ' ';

            /* "@Ann" is not "@Anna"; a letter beyond ASCII goes on with the name, too */
            if (!((after | 0x20) >= 'a' && (after | 0x20) <= 'z') && after < 0x80 &&
                !(after >= '0' && after <= '9'))
                return true;
        }
    return false;
}

/* ---- cutting -------------------------------------------------------------------------- */

/* Bytes that `c` takes in a JSON string as json_put_text writes it, at most. */
static size_t escaped_bytes(uint8_t c)
{
    if (c < 0x20)
        return 6;
    return c == '"' || c == '\\' || c == '/' ? 2 : 1;
}

struct cq_span payload_cut(struct cq_span span, size_t max)
{
    size_t used = 0, i = 0;

    while (i < span.n) {
        size_t n = 1, cost = escaped_bytes(span.p[i]);

        while (i + n < span.n && (span.p[i + n] & 0xC0) == 0x80) {
            n++;
            cost++;
        }
        if (used + cost > max)
            break;
        used += cost;
        i += n;
    }
    return span_of(span.p, i);
}

/* A JSON string of at most `max` bytes, quotes included; what is cut ends with an ellipsis. */
static void put_cut(struct cq_buf *out, struct cq_span span, size_t max)
{
    struct cq_span whole = payload_cut(span, max - 2), cut;
    size_t n;

    if (whole.n == span.n) {
        json_put_text(out, span);
        return;
    }
    cut = payload_cut(span, max - 2 - ELLIPSIS_N);
    json_put_text(out, cut);
    n = out->n;
    if (out->failed || !n)
        return;
    out->n--; /* the closing quote */
    buf_add(out, ELLIPSIS, ELLIPSIS_N);
    buf_add_byte(out, '"');
}

/* ---- what is said --------------------------------------------------------------------- */

struct said {
    struct cq_span after; /* of the body: behind the name of who did it */
    struct cq_span title;
    struct cq_span before; /* of the body: who says it, in a group */
    struct cq_span why;    /* of the body: what it has to do with the recipient */
    struct cq_span kind;   /* of the body: what has this caption */
    struct cq_span body;
    char key[KEY_MAX]; /* in place of the body: what the app knows it by; "": the body stands */
    struct cq_span args[2]; /* what goes into that: names, then a text */
    size_t args_n;
};

/* A sign is behind a word, and only where texts are. */
static struct said say_reaction(const struct push_content *content, const struct push_address *to,
                                struct cq_span title)
{
    struct said said = { .title = title, .body = span_str(texts_of(to->locale)->reaction) };

    if (to->privacy != PUSH_PRIVACY_FULL)
        return said;
    if (content->is_group && content->chat_name.n)
        said.before = content->sender;
    said.kind = said.body;
    said.body = content->reaction;
    return said;
}

/* The group's name above, who added him below. */
static struct said say_added(const struct push_content *content, const struct push_address *to)
{
    const struct texts *texts = texts_of(to->locale);
    struct said said = { .title = span_str("Chasqui"), .body = span_str(texts->added) };

    if (to->privacy == PUSH_PRIVACY_NONE)
        return said;
    if (content->chat_name.n)
        said.title = content->chat_name;
    if (to->privacy != PUSH_PRIVACY_FULL || !content->sender.n)
        return said;
    said.body = content->sender;
    said.after = span_str(texts->added_by);
    return said;
}

static struct said say(const struct push_content *content, const struct push_address *to)
{
    const struct texts *texts = texts_of(to->locale);
    struct said said = { .title = span_str(texts->fresh),
                         .body = span_str(content->shows ? texts->shows[content->shows]
                                                         : texts->type[content->type]) };
    struct cq_span who;

    if (content->added)
        return say_added(content, to);
    who = content->is_group && content->chat_name.n ? content->chat_name : content->sender;

    if (to->privacy == PUSH_PRIVACY_NONE && content->reaction.n)
        return say_reaction(content, to, span_str("Chasqui"));
    if (to->privacy == PUSH_PRIVACY_NONE)
        return (struct said){ .title = span_str("Chasqui"), .body = span_str(texts->fresh) };
    if (who.n)
        said.title = who;
    if (content->reaction.n)
        return say_reaction(content, to, said.title);
    if (to->privacy == PUSH_PRIVACY_NAME) {
        said.body = span_str(texts->fresh);
        return said;
    }
    if (content->text.n) {
        if (content->type != MESSAGE_TYPE_TEXT || content->shows)
            said.kind = said.body;
        said.body = content->text;
    }
    if (content->is_group && content->chat_name.n)
        said.before = content->sender;
    if (content->is_mention || content->is_reply)
        said.why = span_str(content->is_mention ? texts->mention : texts->reply);
    return said;
}

/* ---- keys in place of words ----------------------------------------------------------- */

static void add_arg(struct said *said, struct cq_span arg)
{
    if (arg.n)
        said->args[said->args_n++] = arg;
}

/* What a message is: "push_group_mention_image_caption". */
static void key_message(const struct push_content *content, struct said *said)
{
    bool has_text = content->text.n > 0;
    bool is_text = content->type == MESSAGE_TYPE_TEXT && !content->shows;

    if (is_text && has_text && !said->why.n)
        return; /* there is no word of ours in it */
    snprintf(said->key, sizeof said->key, "push%s%s_%s%s", said->before.n ? "_group" : "",
             !said->why.n          ? ""
             : content->is_mention ? "_mention"
                                   : "_reply",
             content->shows ? shows_words[content->shows] : message_type_word(content->type),
             is_text ? (has_text ? "" : "_hidden") : (has_text ? "_caption" : ""));
    add_arg(said, said->before);
    add_arg(said, content->text);
}

/* The same as say(), for an app that has the words itself. */
static struct said say_or_key(const struct push_content *content, const struct push_address *to)
{
    struct said said = say(content, to);
    bool full = to->privacy == PUSH_PRIVACY_FULL;
    struct cq_span who = content->is_group ? content->chat_name : content->sender;

    if (!span_eq_str(to->locale, PAYLOAD_LOCALE_KEYS))
        return said;
    if (!who.n && !content->sender.n)
        said.title = span_str("Chasqui");
    if (content->added) {
        snprintf(said.key, sizeof said.key, "push_added%s", said.after.n ? "_by" : "");
        add_arg(&said, said.after.n ? content->sender : span_of(NULL, 0));
    } else if (content->reaction.n) {
        snprintf(said.key, sizeof said.key, "push%s_reaction%s", said.before.n ? "_group" : "",
                 full ? "" : "_hidden");
        add_arg(&said, said.before);
        add_arg(&said, full ? content->reaction : span_of(NULL, 0));
    } else if (!full) {
        snprintf(said.key, sizeof said.key, "push_hidden");
    } else {
        key_message(content, &said);
    }
    return said;
}

/* ["Ann","the sea"] */
static void put_args(struct cq_buf *out, const struct said *said, bool twice)
{
    buf_add_byte(out, '[');
    for (size_t i = 0; i < said->args_n; i++) {
        bool is_text = i + 1 == said->args_n;

        if (i)
            buf_add_byte(out, ',');
        put_cut(out, said->args[i],
                twice ? (is_text ? TEXT_TWICE_MAX : NAME_TWICE_MAX)
                      : (is_text ? TEXT_ARG_MAX : NAME_ARG_MAX));
    }
    buf_add_byte(out, ']');
}

/* The same as members of their own, for apps that show it themselves. */
static void put_named_args(struct cq_buf *out, const struct said *said)
{
    static const char *const names[] = { "bodyLocArg1", "bodyLocArg2" };

    out_word(out, "bodyLocKey", said->key);
    for (size_t i = 0; i < said->args_n; i++) {
        out_key(out, names[i]);
        put_cut(out, said->args[i], i + 1 < said->args_n ? NAME_ARG_MAX : TEXT_ARG_MAX);
    }
}

static void put_part(struct cq_buf *out, struct cq_span part)
{
    if (!part.n)
        return;
    buf_add_span(out, part);
    buf_add_str(out, ": ");
}

/* "Ann: Reply to you: Photo: text" as one JSON string of at most `max` bytes. */
static void put_body(struct cq_buf *out, const struct said *said, size_t max)
{
    cq_auto(buf) struct cq_buf whole = { 0 };

    buf_init(&whole,
             said->before.n + said->why.n + said->kind.n + 6 + said->body.n + said->after.n);
    if (!said->before.n && !said->why.n && !said->kind.n && !said->after.n) {
        put_cut(out, said->body, max);
        return;
    }
    put_part(&whole, said->before);
    put_part(&whole, said->why);
    put_part(&whole, said->kind);
    buf_add_span(&whole, said->body);
    buf_add_span(&whole, said->after);
    put_cut(out, buf_span(&whole), max);
}

/* FCM wants every value of `data` as a string. */
static void put_number_text(struct cq_buf *out, const char *name, int64_t value)
{
    out_key(out, name);
    buf_add_byte(out, '"');
    buf_add_i64(out, value);
    buf_add_byte(out, '"');
}

/* Which chat, and which message, if it is about one. */
static void put_ids(const struct push_content *content, struct cq_buf *out)
{
    out_id(out, "chatId", content->chat_id);
    if (!content->added)
        out_id(out, "messageId", content->message_id);
}

static void put_badge(struct cq_buf *out, const struct push_content *content)
{
    if (content->badge_known)
        out_i64(out, "badge", content->badge);
}

static void open_member(struct cq_buf *out, const char *name)
{
    out_key(out, name);
    buf_add_byte(out, '{');
}

static const char *alert_kind(const struct push_content *content)
{
    if (content->reaction.n)
        return PAYLOAD_KIND_REACTION;
    if (content->added)
        return PAYLOAD_KIND_ADDED;
    return content->edited ? PAYLOAD_KIND_EDITED : PAYLOAD_KIND_MESSAGE;
}

/* Apple's: which buttons the app offers, and how much it may disturb. What names the recipient may
 * break through a focus, if the app has that right; what was there before does not light up a
 * screen. */
static void put_apple_manner(const struct push_content *content, struct cq_buf *out)
{
    bool calm = content->edited || content->reaction.n;

    out_word(out, "category", alert_kind(content));
    out_word(out, "interruption-level",
             content->is_mention ? "time-sensitive"
             : calm              ? "passive"
                                 : "active");
}

/* Apple's, inside of an alert; by way of Google the title stands here, too. */
static void put_apple_key(struct cq_buf *out, const struct said *said, bool by_google)
{
    if (by_google) {
        out_key(out, "title");
        put_cut(out, said->title, NAME_TWICE_MAX);
    }
    out_word(out, "loc-key", said->key);
    out_key(out, "loc-args");
    put_args(out, said, by_google);
}

/* Android's: the app has a channel of each of these names. */
static const char *channel_of(const struct push_content *content)
{
    if (content->reaction.n)
        return "reactions";
    if (content->added)
        return "groups";
    return content->is_mention ? "mentions" : "messages";
}

/* What a silent push is about. */
static void put_silent_ids(const struct push_content *content, struct cq_buf *out)
{
    out_word(out, "kind", content->deleted ? PAYLOAD_KIND_DELETED : PAYLOAD_KIND_READ);
    out_id(out, "chatId", content->chat_id);
    if (content->deleted)
        out_id(out, "messageId", content->message_id);
}

/* ---- Google --------------------------------------------------------------------------- */

/* FCM keeps four collapse keys a device and drops others: chats share them. The tag, which replaces
 * on the screen, is the chat's own. */
static unsigned collapse_key(struct cq_id chat)
{
    return (unsigned)(id_hash(chat) >> 32) % COLLAPSE_KEYS;
}

static void fcm_head(const struct push_address *to, bool dry_run, struct cq_buf *out)
{
    buf_add_byte(out, '{');
    if (dry_run)
        out_bool(out, "validateOnly", true);
    open_member(out, "message");
    out_text(out, to->kind == PUSH_KIND_FCM_FID ? "fid" : "token", to->token);
}

static void fcm_place(const struct push_content *content, struct cq_buf *out)
{
    put_number_text(out, "seq", content->seq);
    if (content->badge_known)
        put_number_text(out, "badge", content->badge);
    if (content->expires_ms)
        put_number_text(out, "expiresAt", content->expires_ms);
}

static void fcm_ids(const struct push_content *content, struct cq_buf *out)
{
    put_ids(content, out);
    fcm_place(content, out);
}

/* Open: the caller closes it. */
static void fcm_android(const struct push_content *content, const char *priority,
                        struct cq_buf *out)
{
    open_member(out, "android");
    out_word(out, "priority", priority);
    out_key(out, "ttl");
    buf_printf(out, "\"%llds\"", (long long)content->ttl_s);
}

/* The system shows it, and the app learns of it when it is opened. Begins behind a member. */
static void fcm_tail(const struct push_content *content, const struct said *said,
                     struct cq_buf *out)
{
    buf_add_byte(out, ',');
    open_member(out, "data");
    fcm_ids(content, out);
    buf_add_byte(out, '}');
    fcm_android(content, "HIGH", out);
    out_key(out, "collapseKey");
    buf_printf(out, "\"c%u\"", collapse_key(content->chat_id));
    open_member(out, "notification");
    out_id(out, "tag", content->chat_id);
    out_word(out, "channelId", channel_of(content));
    if (said->key[0]) {
        out_word(out, "bodyLocKey", said->key);
        out_key(out, "bodyLocArgs");
        put_args(out, said, true);
    }
    if (content->badge_known)
        out_i64(out, "notificationCount", content->badge);
    buf_add_str(out, "}}");
    open_member(out, "apns");
    open_member(out, "headers");
    out_id(out, "apns-collapse-id", content->chat_id);
    buf_add_byte(out, '}');
    open_member(out, "payload");
    open_member(out, "aps");
    if (said->key[0]) {
        open_member(out, "alert");
        put_apple_key(out, said, true);
        buf_add_byte(out, '}');
    }
    out_word(out, "sound", "default");
    out_id(out, "thread-id", content->chat_id);
    put_apple_manner(content, out);
    put_badge(out, content);
    buf_add_str(out, "}}}}}");
}

/* To an app on Apple's systems by way of Google, as we would ask Apple. No collapse key for
 * Google's own: the four are shared, and an alert of another chat must not give way to this. */
static void fcm_silent(const struct push_content *content, struct cq_buf *out)
{
    open_member(out, "data");
    put_silent_ids(content, out);
    fcm_place(content, out);
    buf_add_byte(out, '}');
    fcm_android(content, "NORMAL", out);
    buf_add_byte(out, '}');
    open_member(out, "apns");
    open_member(out, "headers");
    out_word(out, "apns-push-type", "background");
    out_word(out, "apns-priority", "5");
    out_id(out, "apns-collapse-id", content->chat_id);
    buf_add_byte(out, '}');
    open_member(out, "payload");
    open_member(out, "aps");
    out_i64(out, "content-available", 1);
    put_badge(out, content);
    buf_add_str(out, "}}}}}");
}

/* Head, title and tail are bounded; the text takes what they leave. */
static void put_whole(const struct said *said, struct cq_span head, struct cq_span tail,
                      const char *before_title, const char *after_text, size_t max,
                      struct cq_buf *out)
{
    size_t rest;

    buf_add_span(out, head);
    buf_add_str(out, before_title);
    put_cut(out, said->title, PAYLOAD_TITLE_MAX);
    if (!said->key[0]) {
        buf_add_str(out, ",\"body\":");
        rest = out->n + strlen(after_text) + tail.n;
        put_body(out, said, rest < max ? max - rest : 0);
    }
    buf_add_str(out, after_text);
    buf_add_span(out, tail);
}

void payload_fcm(const struct push_content *content, const struct push_address *to, bool dry_run,
                 struct cq_buf *out)
{
    cq_auto(buf) struct cq_buf head = { 0 }, tail = { 0 };
    struct said said = say_or_key(content, to);

    buf_init(&head, PAYLOAD_MAX);
    buf_init(&tail, PAYLOAD_MAX);
    if (content->silent) {
        fcm_head(to, dry_run, out);
        fcm_silent(content, out);
        return;
    }
    fcm_head(to, dry_run, &head);
    if (to->mode == PUSH_MODE_DATA) { /* no collapse key: the app is woken for each one */
        open_member(&head, "data");
        out_word(&head, "kind", alert_kind(content));
        fcm_ids(content, &head);
        if (said.key[0])
            put_named_args(&head, &said);
        buf_add_byte(&tail, ','); /* behind `data`, which `put_whole` closes */
        fcm_android(content, "HIGH", &tail);
        buf_add_str(&tail, "}}}");
        put_whole(&said, buf_span(&head), buf_span(&tail), ",\"title\":", "}", PAYLOAD_MAX, out);
        return;
    }
    fcm_tail(content, &said, &tail);
    put_whole(&said, buf_span(&head), buf_span(&tail), ",\"notification\":{\"title\":", "}",
              PAYLOAD_MAX, out);
}

/* ---- Apple ---------------------------------------------------------------------------- */

static void apns_silent(const struct push_content *content, struct cq_buf *out)
{
    buf_add_byte(out, '{');
    open_member(out, "aps");
    out_i64(out, "content-available", 1);
    put_badge(out, content);
    buf_add_byte(out, '}');
    put_silent_ids(content, out);
    out_i64(out, "seq", content->seq);
    buf_add_byte(out, '}');
}

void payload_apns(const struct push_content *content, const struct push_address *to,
                  struct cq_buf *out)
{
    cq_auto(buf) struct cq_buf head = { 0 }, tail = { 0 };
    struct said said = say_or_key(content, to);

    buf_init(&tail, PAYLOAD_MAX);
    buf_init(&head, PAYLOAD_MAX);
    if (content->silent) {
        apns_silent(content, out);
        return;
    }
    buf_add_byte(&tail, ','); /* behind `alert` */
    if (!content->edited)
        out_word(&tail, "sound", "default");
    out_i64(&tail, "mutable-content", 1);
    out_id(&tail, "thread-id", content->chat_id);
    put_apple_manner(content, &tail);
    put_badge(&tail, content);
    buf_add_byte(&tail, '}');
    if (content->edited || content->reaction.n || content->added)
        out_word(&tail, "kind", alert_kind(content));
    put_ids(content, &tail);
    out_i64(&tail, "seq", content->seq);
    if (content->expires_ms)
        out_i64(&tail, "expiresAt", content->expires_ms);
    buf_add_byte(&tail, '}');
    buf_add_str(&head, "{\"aps\":{\"alert\":{");
    if (said.key[0])
        put_apple_key(&head, &said, false);
    put_whole(&said, buf_span(&head), buf_span(&tail),
              said.key[0] ? ",\"title\":" : "\"title\":", "}", PAYLOAD_MAX, out);
}

/* ---- browsers ------------------------------------------------------------------------- */

static void web_place(const struct push_content *content, struct cq_buf *out)
{
    out_i64(out, "seq", content->seq);
    put_badge(out, content);
    if (content->expires_ms)
        out_i64(out, "expiresAt", content->expires_ms);
}

void payload_web(const struct push_content *content, const struct push_address *to,
                 struct cq_buf *out)
{
    cq_auto(buf) struct cq_buf head = { 0 };
    struct said said = say_or_key(content, to);

    buf_init(&head, PAYLOAD_WEB_MAX);
    buf_add_byte(&head, '{');
    if (content->silent) {
        put_silent_ids(content, &head);
        web_place(content, &head);
        buf_add_byte(&head, '}');
        buf_add_span(out, buf_span(&head));
        return;
    }
    out_word(&head, "kind", alert_kind(content));
    put_ids(content, &head);
    web_place(content, &head);
    if (said.key[0])
        put_named_args(&head, &said);
    put_whole(&said, buf_span(&head), span_of(NULL, 0), ",\"title\":", "}", PAYLOAD_WEB_MAX, out);
}
