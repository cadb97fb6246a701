/* SPDX-License-Identifier: MIT */
#include "edge/ws/client_frame.h"

#include "edge/ws/role.h"

#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/frame.h"
#include "schemas/names.h"

static const int64_t SEQ_MAX = ((int64_t)1 << 53) - 1;

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
        return false; /* no number of JSON begins so */
    for (size_t i = head_n; i < text.n - 1; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        n = n * 10 + (text.p[i] - '0');
    }
    *ret_n = n;
    return true;
}

/* Absent is fine, anything but an id is not. */
static bool optional_id(const struct json *v, const char *key, bool *ret_has, struct cq_id *ret)
{
    *ret_has = json_get(v, key) != NULL;
    return !*ret_has || json_get_id(v, key, ret);
}

static const char chat_rule[] = "chatId: the id of a chat, or peer in a direct chat";

static const char *parse_chat(struct client_frame *f, struct cq_id user)
{
    bool has_chat, has_other;
    struct cq_id other, derived;

    if (!optional_id(f->root, "chatId", &has_chat, &f->chat) ||
        !optional_id(f->root, "chatID", &has_other, &other))
        return chat_rule;
    if (!has_chat && has_other) {
        f->chat = other;
        has_chat = true;
    }
    if (!optional_id(f->root, "peer", &f->has_peer, &f->peer))
        return "peer: the id of a user";
    if (!f->has_peer)
        return has_chat && !id_is_zero(f->chat) ? NULL : chat_rule;
    derived = chat_id_direct(user, f->peer);
    if (has_chat && !id_eq(derived, f->chat))
        return "peer: not the other user of chatId";
    f->chat = derived;
    return NULL;
}

static const char *parse_send(struct client_frame *f, struct cq_id user, const char **ret_code)
{
    struct cq_span type, client_id;
    const char *why;

    if (!json_get_text(f->root, "clientId", &client_id) || !client_id_good(client_id))
        return "clientId: 1 to 64 printable ASCII characters without spaces";
    f->client_id = client_id;
    why = parse_chat(f, user);
    if (why)
        return why;
    if (!json_get_text(f->root, "type", &type) || !message_type_parse(type, &f->type))
        return "type: text, image, video, audio or document";
    if (!optional_id(f->root, "mediaId", &f->has_media, &f->media) ||
        (f->has_media && f->type == MESSAGE_TYPE_TEXT))
        return "mediaId: the id of a file, with a type other than text";
    if (!json_get_text(f->root, "content", &f->content) || (!f->content.n && !f->has_media))
        return "content: text, empty only with a mediaId";
    if (f->content.n > LIMIT_CONTENT_BYTES) {
        *ret_code = "too_large";
        return "content: 32 KiB at most";
    }
    return NULL;
}

static bool optional_seq(const struct json *v, const char *key, int64_t *ret)
{
    *ret = 0;
    return !json_get(v, key) || (json_get_i64(v, key, ret) && *ret >= 0 && *ret <= SEQ_MAX);
}

static const char *parse_receipt(struct client_frame *f, struct cq_id user, const char **ret_code)
{
    const char *why = parse_chat(f, user);

    (void)ret_code;
    if (why)
        return why;
    if (!optional_seq(f->root, "delivered", &f->delivered))
        return "delivered: a seq, 0 to 2^53 - 1";
    if (!optional_seq(f->root, "read", &f->read))
        return "read: a seq, 0 to 2^53 - 1";
    return f->delivered || f->read ? NULL : "delivered, read: one of them above 0";
}

static const char *parse_ok(struct client_frame *f, struct cq_id user, const char **ret_code)
{
    (void)user;
    (void)ret_code;
    return json_get_i64(f->root, "n", &f->n) && f->n >= 0 ? NULL : "n: the number of a frame";
}

static const char *parse_auth(struct client_frame *f, struct cq_id user, const char **ret_code)
{
    (void)user;
    (void)ret_code;
    return json_get_text(f->root, "token", &f->token) ? NULL : "token: an access token";
}

static const char *parse_ping(struct client_frame *f, struct cq_id user, const char **ret_code)
{
    (void)f;
    (void)user;
    (void)ret_code;
    return NULL;
}

static const struct {
    const char *word;
    enum client_frame_kind kind;
    const char *(*parse)(struct client_frame *f, struct cq_id user, const char **ret_code);
} frames[] = {
    { "auth", CLIENT_AUTH, parse_auth },          { "message.send", CLIENT_SEND, parse_send },
    { "receipt", CLIENT_RECEIPT, parse_receipt }, { "ok", CLIENT_OK, parse_ok },
    { "ping", CLIENT_PING, parse_ping },
};

static const char kind_rule[] = "t: auth, message.send, receipt, ok or ping";

static const char *parse_kind(struct client_frame *f, struct cq_id user, const char **ret_code)
{
    struct cq_span word;

    if (!json_is_object(f->root) || !json_get_text(f->root, "t", &word))
        return kind_rule;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        if (span_eq_str(word, frames[i].word)) {
            f->kind = frames[i].kind;
            return frames[i].parse(f, user, ret_code);
        }
    return kind_rule;
}

void edge_ws_frames_print(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        fprintf(out, "%s\n", frames[i].word);
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

void client_frame_release(struct client_frame *f)
{
    json_free(f->root);
    f->root = NULL;
}
