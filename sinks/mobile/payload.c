/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/payload.h"

#include "lib/base/arena.h"
#include "lib/json/json.h"
#include "lib/json/write.h"
#include "schemas/frame.h"
#include "schemas/names.h"

static const char ELLIPSIS[] = "\xE2\x80\xA6";
enum { ELLIPSIS_N = 3, COLLAPSE_KEYS = 4 /* distinct ones that FCM keeps for a device */ };

/* ---- fixed texts ---------------------------------------------------------------------- */

struct texts {
    const char *language;
    const char *fresh;       /* when nothing may be said */
    const char *const *type; /* instead of what is no text: one for each MessageType */
};

#define WORDS(language, ...)                                       \
    static const char *const words_##language[] = { __VA_ARGS__ }; \
    _Static_assert(ARRAY_LEN(words_##language) == MESSAGE_TYPE_N,  \
                   "a word for each type: " #language)

WORDS(en, "Message", "Photo", "Video", "Voice message", "Document");
WORDS(de, "Nachricht", "Foto", "Video", "Sprachnachricht", "Dokument");
WORDS(es, "Mensaje", "Foto", "Video", "Mensaje de voz", "Documento");
WORDS(fr, "Message", "Photo", "Vid\xC3\xA9o", "Message vocal", "Document");
WORDS(pt, "Mensagem", "Foto",
      "V\xC3\xAD"
      "deo",
      "Mensagem de voz", "Documento");

static const struct texts languages[] = {
    { "en", "New message", words_en },   { "de", "Neue Nachricht", words_de },
    { "es", "Mensaje nuevo", words_es }, { "fr", "Nouveau message", words_fr },
    { "pt", "Nova mensagem", words_pt },
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

enum cq_status payload_read_frame(struct cq_span frame, struct cq_arena *arena,
                                  struct push_content *ret)
{
    cq_auto(json) struct json *root = NULL;
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

struct cq_span payload_cut(struct cq_span s, size_t max)
{
    size_t used = 0, i = 0;

    while (i < s.n) {
        size_t n = 1, cost = escaped_bytes(s.p[i]);

        while (i + n < s.n && (s.p[i + n] & 0xC0) == 0x80) {
            n++;
            cost++;
        }
        if (used + cost > max)
            break;
        used += cost;
        i += n;
    }
    return span_of(s.p, i);
}

/* A JSON string of at most `max` bytes, quotes included; what is cut ends with an ellipsis. */
static void put_cut(struct cq_buf *out, struct cq_span s, size_t max)
{
    struct cq_span whole = payload_cut(s, max - 2), cut;
    size_t n;

    if (whole.n == s.n) {
        json_put_text(out, s);
        return;
    }
    cut = payload_cut(s, max - 2 - ELLIPSIS_N);
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
    struct cq_span title;
    struct cq_span before; /* of the body: who says it, in a group */
    struct cq_span kind;   /* of the body: what has this caption */
    struct cq_span body;
};

static struct said say(const struct push_content *c, const struct push_address *to)
{
    const struct texts *t = texts_of(to->locale);
    struct said s = { .title = span_str(t->fresh), .body = span_str(t->type[c->type]) };
    struct cq_span who = c->is_group && c->chat_name.n ? c->chat_name : c->sender;

    if (to->privacy == PUSH_PRIVACY_NONE)
        return (struct said){ .title = span_str("Chasqui"), .body = span_str(t->fresh) };
    if (who.n)
        s.title = who;
    if (to->privacy == PUSH_PRIVACY_NAME) {
        s.body = span_str(t->fresh);
        return s;
    }
    if (c->text.n) {
        if (c->type != MESSAGE_TYPE_TEXT)
            s.kind = s.body;
        s.body = c->text;
    }
    if (c->is_group && c->chat_name.n)
        s.before = c->sender;
    return s;
}

static void put_part(struct cq_buf *out, struct cq_span part)
{
    if (!part.n)
        return;
    buf_add_span(out, part);
    buf_add_str(out, ": ");
}

/* "Ann: Photo: text" as one JSON string of at most `max` bytes. */
static void put_body(struct cq_buf *out, const struct said *s, size_t max)
{
    cq_auto(buf) struct cq_buf whole;

    buf_init(&whole, s->before.n + s->kind.n + 4 + s->body.n);
    if (!s->before.n && !s->kind.n) {
        put_cut(out, s->body, max);
        return;
    }
    put_part(&whole, s->before);
    put_part(&whole, s->kind);
    buf_add_span(&whole, s->body);
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

static void put_badge(struct cq_buf *out, const struct push_content *c)
{
    if (c->badge_known)
        out_i64(out, "badge", c->badge);
}

static void open_member(struct cq_buf *out, const char *name)
{
    out_key(out, name);
    buf_add_byte(out, '{');
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

static void fcm_place(const struct push_content *c, struct cq_buf *out)
{
    put_number_text(out, "seq", c->seq);
    if (c->badge_known)
        put_number_text(out, "badge", c->badge);
}

static void fcm_ids(const struct push_content *c, struct cq_buf *out)
{
    out_id(out, "chatId", c->chat_id);
    out_id(out, "messageId", c->message_id);
    fcm_place(c, out);
}

/* Open: the caller closes it. */
static void fcm_android(const struct push_content *c, const char *priority, struct cq_buf *out)
{
    open_member(out, "android");
    out_word(out, "priority", priority);
    out_key(out, "ttl");
    buf_printf(out, "\"%llds\"", (long long)c->ttl_s);
}

/* The system shows it, and the app learns of it when it is opened. Begins behind a member. */
static void fcm_tail(const struct push_content *c, struct cq_buf *out)
{
    buf_add_byte(out, ',');
    open_member(out, "data");
    fcm_ids(c, out);
    buf_add_byte(out, '}');
    fcm_android(c, "HIGH", out);
    out_key(out, "collapseKey");
    buf_printf(out, "\"c%u\"", collapse_key(c->chat_id));
    open_member(out, "notification");
    out_id(out, "tag", c->chat_id);
    if (c->badge_known)
        out_i64(out, "notificationCount", c->badge);
    buf_add_str(out, "}}");
    open_member(out, "apns");
    open_member(out, "headers");
    out_id(out, "apns-collapse-id", c->chat_id);
    buf_add_byte(out, '}');
    open_member(out, "payload");
    open_member(out, "aps");
    out_word(out, "sound", "default");
    out_id(out, "thread-id", c->chat_id);
    put_badge(out, c);
    buf_add_str(out, "}}}}}");
}

/* To an app on Apple's systems by way of Google, as we would ask Apple. No collapse key for
 * Google's own: the four are shared, and an alert of another chat must not give way to this. */
static void fcm_silent(const struct push_content *c, struct cq_buf *out)
{
    open_member(out, "data");
    out_word(out, "kind", PAYLOAD_KIND_READ);
    out_id(out, "chatId", c->chat_id);
    fcm_place(c, out);
    buf_add_byte(out, '}');
    fcm_android(c, "NORMAL", out);
    buf_add_byte(out, '}');
    open_member(out, "apns");
    open_member(out, "headers");
    out_word(out, "apns-push-type", "background");
    out_word(out, "apns-priority", "5");
    out_id(out, "apns-collapse-id", c->chat_id);
    buf_add_byte(out, '}');
    open_member(out, "payload");
    open_member(out, "aps");
    out_i64(out, "content-available", 1);
    put_badge(out, c);
    buf_add_str(out, "}}}}}");
}

/* Head, title and tail are bounded; the text takes what they leave. */
static void put_whole(const struct said *s, struct cq_span head, struct cq_span tail,
                      const char *before_title, const char *after_text, struct cq_buf *out)
{
    size_t rest;

    buf_add_span(out, head);
    buf_add_str(out, before_title);
    put_cut(out, s->title, PAYLOAD_TITLE_MAX);
    buf_add_str(out, ",\"body\":");
    rest = out->n + strlen(after_text) + tail.n;
    put_body(out, s, rest < PAYLOAD_MAX ? PAYLOAD_MAX - rest : 0);
    buf_add_str(out, after_text);
    buf_add_span(out, tail);
}

void payload_fcm(const struct push_content *c, const struct push_address *to, bool dry_run,
                 struct cq_buf *out)
{
    cq_auto(buf) struct cq_buf head, tail;
    struct said s = say(c, to);

    buf_init(&head, PAYLOAD_MAX);
    buf_init(&tail, PAYLOAD_MAX);
    if (c->silent) {
        fcm_head(to, dry_run, out);
        fcm_silent(c, out);
        return;
    }
    fcm_head(to, dry_run, &head);
    if (to->mode == PUSH_MODE_DATA) { /* no collapse key: the app is woken for each one */
        open_member(&head, "data");
        out_word(&head, "kind", PAYLOAD_KIND_MESSAGE);
        fcm_ids(c, &head);
        buf_add_byte(&tail, ','); /* behind `data`, which `put_whole` closes */
        fcm_android(c, "HIGH", &tail);
        buf_add_str(&tail, "}}}");
        put_whole(&s, buf_span(&head), buf_span(&tail), ",\"title\":", "}", out);
        return;
    }
    fcm_tail(c, &tail);
    put_whole(&s, buf_span(&head), buf_span(&tail), ",\"notification\":{\"title\":", "}", out);
}

/* ---- Apple ---------------------------------------------------------------------------- */

static void apns_silent(const struct push_content *c, struct cq_buf *out)
{
    buf_add_byte(out, '{');
    open_member(out, "aps");
    out_i64(out, "content-available", 1);
    put_badge(out, c);
    buf_add_byte(out, '}');
    out_word(out, "kind", PAYLOAD_KIND_READ);
    out_id(out, "chatId", c->chat_id);
    out_i64(out, "seq", c->seq);
    buf_add_byte(out, '}');
}

void payload_apns(const struct push_content *c, const struct push_address *to, struct cq_buf *out)
{
    cq_auto(buf) struct cq_buf tail;
    struct said s = say(c, to);

    buf_init(&tail, PAYLOAD_MAX);
    if (c->silent) {
        apns_silent(c, out);
        return;
    }
    buf_add_byte(&tail, ','); /* behind `alert` */
    out_word(&tail, "sound", "default");
    out_i64(&tail, "mutable-content", 1);
    out_id(&tail, "thread-id", c->chat_id);
    put_badge(&tail, c);
    buf_add_byte(&tail, '}');
    out_id(&tail, "chatId", c->chat_id);
    out_id(&tail, "messageId", c->message_id);
    out_i64(&tail, "seq", c->seq);
    buf_add_byte(&tail, '}');
    put_whole(&s, span_str("{\"aps\":{\"alert\":{"), buf_span(&tail), "\"title\":", "}", out);
}
