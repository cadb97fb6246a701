/* SPDX-License-Identifier: MIT */
#include "edge/ws/client_frame.h"

#include "edge/ws/role.h"

#include "ingest/validate.h"
#include "lib/json/members.h"
#include "schemas/bounds.h"
#include "schemas/contents.h"
#include "schemas/frame.h"
#include "schemas/limits.h"
#include "schemas/names.h"
#include "schemas/topics.h"

bool client_ok_parse(struct cq_span text, int64_t *ret_n)
{
    static const char head[] = "{\"t\":\"ok\",\"n\":";
    const size_t head_n = sizeof head - 1;
    int64_t n = 0;

    /* one to fifteen digits and the brace */
    if (text.n < head_n + 2 || text.n > head_n + 16 || memcmp(text.p, head, head_n) != 0 ||
        text.p[text.n - 1] != '}')
        return false;
    if (text.p[head_n] == '0' && text.n > head_n + 2)
        return false; /* no number of JSON begins like that */
    for (size_t i = head_n; i < text.n - 1; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        n = n * 10 + (text.p[i] - '0');
    }
    *ret_n = n;
    return true;
}

/* ---- the table ------------------------------------------------------------------------ */

#define FRAME(name, kind, field, ...) \
    JSON_MEMBER(name, kind, struct client_frame, field, ##__VA_ARGS__)
#define FRAME_MAY(name, kind, field, has, ...) \
    JSON_OPTIONAL(name, kind, struct client_frame, field, has, ##__VA_ARGS__)
#define CHAT FRAME_MAY("chatId", JSON_ID, chat, has_chat, .also = "chatID", .rule = chat_rule)
#define CLIENT_ID                                                   \
    FRAME("clientId", JSON_TEXT, client_id, .good = client_id_good, \
          .rule = "clientId: 1 to " LIMIT_CLIENT_ID_BYTES_TEXT      \
                  " printable ASCII characters without spaces")
#define SENT action.action.u.message_sent
#define WITHDRAWN action.action.u.message_withdrawn
#define REWRITTEN action.action.u.message_rewritten
#define REACTED action.action.u.message_reacted
#define PINNED action.action.u.message_pinned
#define VOTED action.action.u.poll_voted
#define ENDED action.action.u.poll_ended
#define MESSAGE_FROM(of, has)                              \
    FRAME_MAY("messageFrom", JSON_ID, of.target.from, has, \
              .rule = "messageFrom: who sent the message, when it was another one")
#define MESSAGE_CLIENT_ID(of)                                                        \
    FRAME("messageClientId", JSON_TEXT, of.target.client_id, .good = client_id_good, \
          .rule = "messageClientId: the clientId of the message")
#define MESSAGE_SEQ(of)                                                          \
    FRAME("messageSeq", JSON_NUMBER, of.target.seq, .least = 1, .most = SEQ_MAX, \
          .rule = "messageSeq: the seq of the message, 1 to 2^53 - 1")
#define PEER FRAME_MAY("peer", JSON_ID, peer, has_peer, .rule = "peer: the id of a user")

static const char chat_rule[] = "chatId: the id of a chat, or peer in a direct chat";
static const char content_rule[] =
    "content: text, empty only with a mediaId, a location or a contact";
static const char edit_rule[] = "content: text, not empty";
static const char reply_rule[] = "replyTo: the id and the seq of a message";
static const char mentions_rule[] =
    "mentions: at most " LIMIT_MESSAGE_SENT_MENTIONS_TEXT " user ids";
static const char forwarded_rule[] = "forwardedFrom: how often it was forwarded before, from 0";
static const char poll_rule[] =
    "poll: 2 to " LIMIT_POLL_OPTIONS_TEXT " options, each once; choices, anonymous, closesIn";
static const char media_rule[] = "mediaId: the id of a file, with a type other than text";

static const struct json_member auth_rows[] = {
    FRAME("token", JSON_TEXT, token, .rule = "token: an access token"),
};
static const struct json_member send_rows[] = {
    CLIENT_ID,
    CHAT,
    PEER,
    FRAME("type", JSON_WORD, SENT.type, .words = &frame_type_words,
          .rule = "type: text, image, video, audio or document"),
    FRAME_MAY("mediaId", JSON_ID, SENT.media_id, SENT.has_media_id, .rule = media_rule),
    FRAME("content", JSON_TEXT, SENT.content, .rule = content_rule),
    FRAME_MAY("replyTo", JSON_OBJECT, SENT.reply_to, SENT.has_reply_to, .items = &frame_quoted,
              .rule = reply_rule),
    FRAME("mentions", JSON_IDS, SENT.mentions, .optional = true,
          .n_off = offsetof(struct client_frame, SENT.mentions_n),
          .most = LIMIT_MESSAGE_SENT_MENTIONS, .rule = mentions_rule),
    JSON_SPREAD_OF(struct client_frame, SENT.contents, &contents_members),
    FRAME_MAY("preview", JSON_OBJECT, SENT.preview, SENT.has_preview, .items = &preview_members,
              .rule = preview_rule),
    FRAME_MAY("forwardedFrom", JSON_NUMBER, forwarded_from, has_forwarded_from, .most = SEQ_MAX,
              .rule = forwarded_rule),
    FRAME_MAY("poll", JSON_OBJECT, SENT.poll, SENT.has_poll, .items = &frame_poll_asked,
              .rule = poll_rule),
};
static const struct json_member delete_rows[] = {
    CLIENT_ID,
    CHAT,
    PEER,
    MESSAGE_FROM(WITHDRAWN, has_message_from),
    MESSAGE_CLIENT_ID(WITHDRAWN),
    MESSAGE_SEQ(WITHDRAWN),
};
static const struct json_member edit_rows[] = {
    CLIENT_ID,
    CHAT,
    PEER,
    MESSAGE_CLIENT_ID(REWRITTEN),
    MESSAGE_SEQ(REWRITTEN),
    FRAME("content", JSON_TEXT, REWRITTEN.content, .rule = edit_rule),
    FRAME_MAY("preview", JSON_OBJECT, REWRITTEN.preview, REWRITTEN.has_preview,
              .items = &preview_members, .rule = preview_rule),
};
static const struct json_member react_rows[] = {
    CLIENT_ID,
    CHAT,
    PEER,
    MESSAGE_FROM(REACTED, has_message_from),
    MESSAGE_CLIENT_ID(REACTED),
    MESSAGE_SEQ(REACTED),
    FRAME("reaction", JSON_TEXT, REACTED.reaction, .rule = "reaction: a text, empty for none"),
};
static const struct json_member pin_rows[] = {
    CLIENT_ID,
    CHAT,
    PEER,
    MESSAGE_FROM(PINNED, has_message_from),
    MESSAGE_CLIENT_ID(PINNED),
    MESSAGE_SEQ(PINNED),
    FRAME("pinned", JSON_BOOL, PINNED.pinned, .rule = "pinned: true or false"),
};
static const struct json_member vote_rows[] = {
    CLIENT_ID,
    CHAT,
    PEER,
    MESSAGE_FROM(VOTED, has_message_from),
    MESSAGE_CLIENT_ID(VOTED),
    MESSAGE_SEQ(VOTED),
    FRAME("options", JSON_INTS, chosen, .n_off = offsetof(struct client_frame, chosen_n),
          .most = LIMIT_POLL_OPTIONS, .each_most = LIMIT_POLL_OPTIONS - 1,
          .rule = "options: the places of those chosen, from 0; none takes the vote back"),
};
static const struct json_member close_rows[] = {
    CLIENT_ID, CHAT, PEER, MESSAGE_CLIENT_ID(ENDED), MESSAGE_SEQ(ENDED),
};
static const struct json_member receipt_rows[] = {
    CHAT,
    PEER,
    FRAME("delivered", JSON_NUMBER, delivered, .optional = true, .most = SEQ_MAX,
          .rule = "delivered: a seq, 0 to 2^53 - 1"),
    FRAME("read", JSON_NUMBER, read, .optional = true, .most = SEQ_MAX,
          .rule = "read: a seq, 0 to 2^53 - 1"),
};
static const struct json_member look_rows[] = {
    FRAME("ticket", JSON_TEXT, token,
          .rule = "ticket: one of POST /api/chats/{id}/ticket or /api/users/{id}/ticket"),
};
static const struct json_member unlook_rows[] = {
    FRAME_MAY("chatId", JSON_ID, chat, has_chat, .rule = "chatId: the id of a chat"),
    FRAME_MAY("userId", JSON_ID, person, has_person, .rule = "userId: the id of a user"),
};
static const struct json_member signal_rows[] = {
    FRAME("chatId", JSON_ID, chat, .rule = "chatId: the id of a chat"),
    FRAME("state", JSON_WORD, state, .words = &frame_state_words,
          .rule = "state: idle, typing or recording"),
};
static const struct json_member ok_rows[] = {
    FRAME("n", JSON_NUMBER, n, .most = INT64_MAX, .rule = "n: the number of a frame"),
};

/* Frames that a schema names (`asked`, schemas/expand.h): the members are the fields of the fact. */
#define ASKED_ROWS_(fact, constant, word)                                           \
    static const struct json_member asked_##fact##_rows[] = {                       \
        CLIENT_ID,                                                                  \
        CHAT,                                                                       \
        PEER,                                                                       \
        JSON_SPREAD_OF(struct client_frame, action.action.u.fact, &fact##_members), \
    };
CHAT_ACTION_ACTION_ASKED(ASKED_ROWS_)

#define ASKED_FRAME_(fact, constant, word) \
    { word, CLIENT_ACTION, constant, JSON_MEMBERS(asked_##fact##_rows), NULL },

/* ---- what is more than one member ----------------------------------------------------- */

static const char *check_chat(struct client_frame *frame, struct cq_id user)
{
    struct cq_id derived;

    if (!frame->has_peer)
        return frame->has_chat && !id_is_zero(frame->chat) ? NULL : chat_rule;
    derived = chat_id_direct(user, frame->peer);
    if (frame->has_chat && !id_eq(derived, frame->chat))
        return "peer: not the other user of chatId";
    frame->chat = derived;
    return NULL;
}

_Static_assert(LIMIT_CONTENT_BYTES == 32 * 1024, "what is said of a larger content");

static const char *check_send(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    const char *why = check_chat(frame, user);

    if (why)
        return why;
    frame->SENT.content_type = span_str("text/plain");
    if (frame->SENT.has_media_id && frame->SENT.type == MESSAGE_TYPE_TEXT)
        return media_rule;
    frame->SENT.has_contents = contents_any(&frame->SENT.contents);
    if (!frame->SENT.content.n && !frame->SENT.has_media_id && !frame->SENT.has_contents)
        return content_rule;
    frame->SENT.has_forwarded = frame->has_forwarded_from;
    frame->SENT.forwarded =
        frame->has_forwarded_from ? message_forwarded(frame->forwarded_from) : 0;
    if (frame->SENT.content.n > LIMIT_CONTENT_BYTES) {
        *ret_code = "too_large";
        return "content: 32 KiB at most";
    }
    if (frame->SENT.has_poll && !frame->SENT.poll.choices)
        frame->SENT.poll.choices = 1;
    return poll_refusal(&frame->SENT);
}

static const char *check_delete(struct client_frame *frame, struct cq_id user,
                                const char **ret_code)
{
    (void)ret_code;
    if (!frame->has_message_from)
        frame->WITHDRAWN.target.from = user;
    return check_chat(frame, user);
}

static const char *check_react(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    (void)ret_code;
    if (!frame->has_message_from)
        frame->REACTED.target.from = user;
    return check_chat(frame, user);
}

static const char *check_pin(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    (void)ret_code;
    if (!frame->has_message_from)
        frame->PINNED.target.from = user;
    return check_chat(frame, user);
}

static const char *check_vote(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    (void)ret_code;
    if (!frame->has_message_from)
        frame->VOTED.target.from = user;
    frame->VOTED.chosen = 0;
    for (size_t i = 0; i < frame->chosen_n; i++)
        frame->VOTED.chosen |= 1 << frame->chosen[i];
    return check_chat(frame, user);
}

static const char *check_close(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    (void)ret_code;
    frame->ENDED.target.from = user;
    return check_chat(frame, user);
}

static const char *check_edit(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    frame->REWRITTEN.target.from = user;
    frame->REWRITTEN.content_type = span_str("text/plain");
    if (!frame->REWRITTEN.content.n)
        return edit_rule;
    if (frame->REWRITTEN.content.n > LIMIT_CONTENT_BYTES) {
        *ret_code = "too_large";
        return "content: 32 KiB at most";
    }
    return check_chat(frame, user);
}

static const char *check_receipt(struct client_frame *frame, struct cq_id user,
                                 const char **ret_code)
{
    const char *why = check_chat(frame, user);

    (void)ret_code;
    if (why)
        return why;
    return frame->delivered || frame->read ? NULL : "delivered, read: one of them above 0";
}

static const char *check_unlook(struct client_frame *frame, struct cq_id user,
                                const char **ret_code)
{
    (void)user;
    (void)ret_code;
    return frame->has_chat != frame->has_person ? NULL : "chatId, userId: one of them";
}

/* A frame that asks for an action in a chat needs no more than its rows, among them CLIENT_ID,
 * CHAT and PEER, and a row here; if a schema names the frame, it has both. Its bounds are those of
 * the schema, and it is answered as a message is. */
static const struct {
    const char *word;
    enum client_frame_kind kind;
    enum chat_action_action_kind on; /* of an ACTION */
    struct json_members members;
    const char *(*check)(struct client_frame *f, struct cq_id user, const char **ret_code);
} frames[] = {
    { "auth", CLIENT_AUTH, 0, JSON_MEMBERS(auth_rows), NULL },
    { "message.send", CLIENT_ACTION, CHAT_ACTION_MESSAGE_SENT, JSON_MEMBERS(send_rows),
      check_send },
    { "message.delete", CLIENT_ACTION, CHAT_ACTION_MESSAGE_WITHDRAWN, JSON_MEMBERS(delete_rows),
      check_delete },
    { "message.edit", CLIENT_ACTION, CHAT_ACTION_MESSAGE_REWRITTEN, JSON_MEMBERS(edit_rows),
      check_edit },
    { "message.react", CLIENT_ACTION, CHAT_ACTION_MESSAGE_REACTED, JSON_MEMBERS(react_rows),
      check_react },
    { "message.pin", CLIENT_ACTION, CHAT_ACTION_MESSAGE_PINNED, JSON_MEMBERS(pin_rows), check_pin },
    { "poll.vote", CLIENT_ACTION, CHAT_ACTION_POLL_VOTED, JSON_MEMBERS(vote_rows), check_vote },
    { "poll.close", CLIENT_ACTION, CHAT_ACTION_POLL_ENDED, JSON_MEMBERS(close_rows), check_close },
    { "receipt", CLIENT_RECEIPT, 0, JSON_MEMBERS(receipt_rows), check_receipt },
    { "look", CLIENT_LOOK, 0, JSON_MEMBERS(look_rows), NULL },
    { "unlook", CLIENT_UNLOOK, 0, JSON_MEMBERS(unlook_rows), check_unlook },
    { "signal", CLIENT_SIGNAL, 0, JSON_MEMBERS(signal_rows), NULL },
    { "here", CLIENT_HERE, 0, { NULL, 0 }, NULL },
    { "away", CLIENT_AWAY, 0, { NULL, 0 }, NULL },
    { "ok", CLIENT_OK, 0, JSON_MEMBERS(ok_rows), NULL },
    { "ping", CLIENT_PING, 0, { NULL, 0 }, NULL },
    /* clang-format off */
    CHAT_ACTION_ACTION_ASKED(ASKED_FRAME_)
    /* clang-format on */
};

/* "t: " and the words of all rows. */
static const char *kind_rule(void)
{
    static char text[256];
    size_t n = (size_t)snprintf(text, sizeof text, "t: ");

    for (size_t i = 0; i < ARRAY_LEN(frames) && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
                              i == 0                      ? ""
                              : i + 1 < ARRAY_LEN(frames) ? ", "
                                                          : " or ",
                              frames[i].word);
    return text;
}

static const char *parse_kind(struct client_frame *frame, struct cq_id user, const char **ret_code)
{
    struct cq_span word;
    const char *why;

    if (!json_is_object(frame->root) || !json_get_text(frame->root, "t", &word))
        return kind_rule();
    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        if (span_eq_str(word, frames[i].word)) {
            frame->kind = frames[i].kind;
            frame->action.action.kind = frames[i].on;
            why = json_members_read(frame->root, &frames[i].members, frame, &frame->lists);
            if (!why && frames[i].check)
                return frames[i].check(frame, user, ret_code);
            return !why && frame->kind == CLIENT_ACTION ? check_chat(frame, user) : why;
        }
    return kind_rule();
}

void edge_ws_frames_print(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        fprintf(out, "%s\n", frames[i].word);
}

/* One line a frame, so that a change of one is a change of one line. */
static void print_frame(struct cq_buf *out, const char *t, bool numbered,
                        const struct json_members *members)
{
    buf_printf(out, "\"%s\":{\"type\":\"object\",", t);
    json_members_schema(out, members, t, numbered);
    buf_add_str(out, "},\n");
}

static void print_choice(struct cq_buf *out, const char *t, bool first)
{
    buf_printf(out, "%s{\"$ref\":\"#/$defs/%s\"}", first ? "" : ",", t);
}

void edge_ws_frames_schema_print(FILE *to)
{
    cq_auto(buf) struct cq_buf out = { 0 };
    size_t n;
    const struct frame_spec *specs = frame_specs(&n);

    buf_init(&out, JSON_TEXT_MAX);
    buf_add_str(&out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
                      "\"title\":\"Frames of the WebSocket: what clients send, and what they "
                      "get\",\n\"$comment\":\"Printed by chasqui admin print frames-schema; "
                      "docs/protocol.md says what they mean\",\n\"$defs\":{\n");
    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        print_frame(&out, frames[i].word, false, &frames[i].members);
    for (size_t i = 0; i < n; i++)
        print_frame(&out, specs[i].t, specs[i].numbered, specs[i].members);
    buf_add_str(&out, "\"client\":{\"oneOf\":[");
    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        print_choice(&out, frames[i].word, i == 0);
    buf_add_str(&out, "]},\n\"server\":{\"oneOf\":[");
    for (size_t i = 0; i < n; i++)
        print_choice(&out, specs[i].t, i == 0);
    buf_add_str(&out, "]}\n}}\n");
    fwrite(out.p, 1, out.n, to);
}

enum cq_status client_frame_parse(struct cq_span text, struct cq_id user, struct client_frame *ret,
                                  const char **ret_code, const char **ret_why)
{
    const char *why = "json";

    *ret = (struct client_frame){ .kind = CLIENT_PING };
    *ret_code = "bad_request";
    if (json_parse(text, &ret->root, &why) != CQ_OK) {
        *ret_why = why;
        return CQ_POISON;
    }
    why = parse_kind(ret, user, ret_code);
    if (why) {
        *ret_why = why;
        return CQ_POISON;
    }
    return CQ_OK;
}

/* A word that is short and needs no escaping, as all of ours are. */
static bool good_word(struct cq_span word)
{
    return client_id_good(word) && bounds_word(word, true);
}

struct frame_about client_frame_about(const struct client_frame *frame)
{
    struct frame_about about = { .chat = frame->chat };

    about.has_of = json_get_text(frame->root, "t", &about.of) && good_word(about.of);
    about.has_client_id =
        json_get_text(frame->root, "clientId", &about.client_id) && client_id_good(about.client_id);
    about.has_chat = !id_is_zero(frame->chat) || json_get_id(frame->root, "chatId", &about.chat);
    return about;
}

void client_frame_release(struct client_frame *frame)
{
    json_free(frame->root);
    frame->root = NULL;
    arena_free(frame->lists);
    frame->lists = NULL;
}
