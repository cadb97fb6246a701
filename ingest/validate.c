/* SPDX-License-Identifier: MIT */
#include "ingest/validate.h"

#include "schemas/bounds.h"
#include "schemas/contents.h"
#include "schemas/limits.h"
#include "schemas/subscription.h"

#define ENDPOINT_MAX "913"
_Static_assert(LIMIT_PUSH_TOKEN_BYTES - SUBSCRIPTION_KEYS_CHARS == 913, "ENDPOINT_MAX");

static const struct bounds_forms forms = { .name = display_characters_good,
                                           .label = label_characters_good };

bool client_id_good(struct cq_span span)
{
    return span.n && span.n <= LIMIT_CLIENT_ID_BYTES && bounds_word(span, false);
}

int32_t message_forwarded(int64_t before)
{
    return before < LIMIT_MESSAGE_SENT_FORWARDED_MAX ? (int32_t)before + 1
                                                     : (int32_t)LIMIT_MESSAGE_SENT_FORWARDED_MAX;
}

/* ---- what is more than a bound of one field ------------------------------------------- */

static const char *validate_contents(const struct message_sent *message)
{
    const struct contents *contents = &message->contents;

    int given = contents->has_location + contents->has_contact + contents->has_voice;

    if (given != 1)
        return "contents: a location, a contact or a voice";
    if (contents->has_voice)
        return message->type == MESSAGE_TYPE_AUDIO && message->has_media_id
                   ? NULL
                   : "voice: only with type audio and its mediaId";
    return message->type == MESSAGE_TYPE_TEXT ? NULL : "location, contact: only with type text";
}

static bool starts_with(struct cq_span text, const char *head)
{
    return text.n > strlen(head) && memcmp(text.p, head, strlen(head)) == 0;
}

/* Clients open it when it is touched: it must be an address of the web, and no other than stands in the text. */
static const char *validate_preview(struct cq_span content, bool is_secret,
                                    const struct preview *preview)
{
    struct cq_span url = preview->url;

    if ((!starts_with(url, "https://") && !starts_with(url, "http://")) ||
        memchr(url.p, ' ', url.n))
        return "url: http:// or https://, without spaces";
    return !is_secret && content.n && memmem(content.p, content.n, url.p, url.n)
               ? NULL
               : "url: as it stands in the content";
}

static bool is_twice(const struct poll *poll, size_t of)
{
    for (size_t i = 0; i < of; i++)
        if (span_eq(poll->options[i], poll->options[of]))
            return true;
    return false;
}

const char *poll_refusal(const struct message_sent *message)
{
    const struct poll *poll = &message->poll;
    const char *why = message->has_poll ? bounds_check(&poll_codec, poll, &forms) : NULL;

    if (!message->has_poll || why)
        return why;
    if (message->type != MESSAGE_TYPE_TEXT || message->has_media_id || message->has_key_id ||
        message->has_contents)
        return "poll: only with type text, without a mediaId, a location or a contact";
    if (!message->content.n || message->content.n > LIMIT_QUESTION_BYTES)
        return "content: a poll's question, 1 to 1024 bytes";
    if ((size_t)poll->choices > poll->options_n)
        return "choices: no more than there are options";
    for (size_t i = 1; i < poll->options_n; i++)
        if (is_twice(poll, i))
            return "options: each once";
    return poll->has_closes_at_ms ? "closesAtMs: only the log knows it; give closesIn" : NULL;
}

static const char *validate_message(const struct message_sent *message)
{
    const char *why = message->has_preview ? validate_preview(message->content, message->has_key_id,
                                                              &message->preview)
                                           : NULL;

    if (!why)
        why = poll_refusal(message);
    if (why)
        return why;
    if (message->has_media_id && message->type == MESSAGE_TYPE_TEXT)
        return "mediaId: not with type text";
    if (message->has_contents)
        return validate_contents(message);
    return message->content.n || message->has_media_id
               ? NULL
               : "content: empty only with a mediaId, a location or a contact";
}

static const char *validate_media(const struct media_ready *media)
{
    return media->type == MESSAGE_TYPE_TEXT ? "type: not text, which is no file" : NULL;
}

const char *validate_chat(const struct chat_action *action)
{
    const char *why = bounds_check(&chat_action_codec, action, &forms);

    if (why)
        return why;
    if (!action->client_id.n && action->action.kind != CHAT_ACTION_RECEIPTS_ADVANCED)
        return "clientId: at least 1 byte";
    if (action->action.kind == CHAT_ACTION_MESSAGE_SENT)
        return validate_message(&action->action.u.message_sent);
    if (action->action.kind == CHAT_ACTION_MESSAGE_REWRITTEN &&
        action->action.u.message_rewritten.has_preview)
        return validate_preview(action->action.u.message_rewritten.content,
                                action->action.u.message_rewritten.has_key_id,
                                &action->action.u.message_rewritten.preview);
    if (action->action.kind == CHAT_ACTION_BLOCK_SET)
        return action->has_peer ? NULL : "peer: whom it is about";
    if (action->action.kind == CHAT_ACTION_MEDIA_READY)
        return validate_media(&action->action.u.media_ready);
    return NULL;
}

static bool is_hex(struct cq_span span)
{
    for (size_t i = 0; i < span.n; i++)
        if (!((span.p[i] >= '0' && span.p[i] <= '9') || (span.p[i] >= 'a' && span.p[i] <= 'f')))
            return false;
    return true;
}

static const char *validate_token(const struct push_address *address)
{
    struct subscription unused;

    if (address->kind == PUSH_KIND_WEB)
        return subscription_parse(address->token, &unused)
                   ? NULL
                   : "subscription: an https endpoint of at most " ENDPOINT_MAX
                     " bytes, and keys with p256dh and auth, as the browser gives them";
    if (!bounds_word(address->token, true))
        return "token: 8 to 1024 bytes of printable ASCII without spaces, quotes, slashes and "
               "backslashes";
    return address->kind == PUSH_KIND_APNS && !is_hex(address->token)
               ? "token: hexadecimal digits, of Apple's"
               : NULL;
}

const char *validate_push(const struct push_address *address)
{
    const char *why = bounds_check(&push_address_codec, address, &forms);

    return why ? why : validate_token(address);
}

static const char *validate_details(const struct profile_details_edited *details)
{
    return details->has_about || details->has_picture || details->has_last_seen_to ||
                   details->has_picture_to || details->has_about_to || details->has_read_receipts
               ? NULL
               : "about: it, or picture, or who may see them, is required";
}

static const char *validate_marks(const struct chat_marked *marked)
{
    if (!draft_good(marked->draft))
        return "draft: text without control characters but line ends and tabs";
    return marked->has_archived || marked->has_pinned || marked->has_marked_unread ||
                   marked->has_draft
               ? NULL
               : "archived: it, or pinned, markedUnread, or draft, is required";
}

const char *validate_user(const struct user_action *action)
{
    const char *why = bounds_check(&user_action_codec, action, &forms);

    if (why)
        return why;
    if (id_is_zero(action->user_id) && action->action.kind != USER_ACTION_GATEWAY_ALIVE)
        return "userId: an id that is not zero";
    if (action->action.kind == USER_ACTION_PUSH_REGISTERED)
        return validate_token(&action->action.u.push_registered.address);
    if (action->action.kind == USER_ACTION_PUSH_CLAIMED)
        return validate_token(&action->action.u.push_claimed.address);
    if (action->action.kind == USER_ACTION_PROFILE_DETAILS_EDITED)
        return validate_details(&action->action.u.profile_details_edited);
    if (action->action.kind == USER_ACTION_CHAT_MARKED)
        return validate_marks(&action->action.u.chat_marked);
    return NULL;
}
