/* SPDX-License-Identifier: MIT */
#include "ingest/validate.h"

#include "ingest/ingest.h"

bool client_id_good(struct cq_span s)
{
    if (!s.n || s.n > LIMIT_CLIENT_ID_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

static bool short_text(struct cq_span s, size_t max)
{
    return s.n <= max && span_is_utf8(s) && (!s.n || !memchr(s.p, 0, s.n));
}

static const char *validate_message(const struct message_sent *m)
{
    if ((unsigned)m->type >= MESSAGE_TYPE_N)
        return "type";
    if (m->has_media_id && (id_is_zero(m->media_id) || m->type == MESSAGE_TYPE_TEXT))
        return "mediaId";
    if ((!m->content.n && !m->has_media_id) || m->content.n > LIMIT_CONTENT_BYTES ||
        !span_is_utf8(m->content) || (m->content.n && memchr(m->content.p, 0, m->content.n)))
        return "content";
    if (m->has_key_id && !short_text(m->key_id, LIMIT_KEY_ID_BYTES))
        return "keyId";
    return short_text(m->content_type, LIMIT_CONTENT_TYPE_BYTES) ? NULL : "contentType";
}

static const char *validate_media(const struct media_ready *m)
{
    if (id_is_zero(m->media_id))
        return "mediaId";
    if ((unsigned)m->type >= MESSAGE_TYPE_N || m->type == MESSAGE_TYPE_TEXT)
        return "type";
    if (m->size <= 0)
        return "size";
    if (m->sha256.n != 32)
        return "sha256";
    if (!short_text(m->name, LIMIT_FILE_NAME_BYTES))
        return "name";
    if (!m->key.n || !short_text(m->key, LIMIT_STORE_KEY_BYTES))
        return "key";
    return short_text(m->content_type, LIMIT_CONTENT_TYPE_BYTES) ? NULL : "contentType";
}

static const char *validate_processed(const struct media_processed *m)
{
    if (id_is_zero(m->media_id))
        return "mediaId";
    if (m->width < 0 || m->height < 0 || m->duration_ms < 0)
        return "size";
    return short_text(m->thumbnail_key, LIMIT_STORE_KEY_BYTES) &&
                   short_text(m->fault, LIMIT_FAULT_BYTES)
               ? NULL
               : "fault";
}

static const char *validate_receipts(const struct receipts_advanced *r)
{
    if (!r->receipts_n || r->receipts_n > LIMIT_RECEIPTS)
        return "receipts";
    for (size_t i = 0; i < r->receipts_n; i++)
        if (r->receipts[i].delivered_seq < 0 || r->receipts[i].read_seq < 0)
            return "seq";
    return NULL;
}

const char *validate_chat(const struct chat_action *a)
{
    if (id_is_zero(a->chat_id))
        return "chatId";
    if (id_is_zero(a->user_id))
        return "userId";
    if (a->action.kind != CHAT_ACTION_RECEIPTS_ADVANCED && !client_id_good(a->client_id))
        return "clientId";
    switch (a->action.kind) {
    case CHAT_ACTION_MESSAGE_SENT:
        return validate_message(&a->action.u.message_sent);
    case CHAT_ACTION_RECEIPTS_ADVANCED:
        return validate_receipts(&a->action.u.receipts_advanced);
    case CHAT_ACTION_GROUP_CREATED:
        if (!display_name_good(a->action.u.group_created.name))
            return "name";
        return a->action.u.group_created.members_n < LIMIT_GROUP_MEMBERS ? NULL : "members";
    case CHAT_ACTION_MEMBERS_CHANGED:
        return a->action.u.members_changed.changes_n &&
                       a->action.u.members_changed.changes_n <= LIMIT_GROUP_MEMBERS
                   ? NULL
                   : "changes";
    case CHAT_ACTION_CHAT_RENAMED:
        return display_name_good(a->action.u.chat_renamed.name) ? NULL : "name";
    case CHAT_ACTION_MEDIA_READY:
        return validate_media(&a->action.u.media_ready);
    case CHAT_ACTION_MEDIA_PROCESSED:
        return validate_processed(&a->action.u.media_processed);
    case CHAT_ACTION_ACTION_KIND_N:
        break;
    }
    return "action";
}

/* A token is kept as the provider gave it: printable, so that it can stand in a URL path or
 * JSON. */
static bool push_text_good(struct cq_span s, size_t least, size_t most)
{
    if (s.n < least || s.n > most)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '/')
            return false;
    return true;
}

static bool is_hex(struct cq_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

const char *validate_push(const struct push_address *a)
{
    if ((unsigned)a->kind >= PUSH_KIND_N)
        return "kind";
    if (!push_text_good(a->token, LIMIT_PUSH_TOKEN_LEAST_BYTES, LIMIT_PUSH_TOKEN_BYTES) ||
        (a->kind == PUSH_KIND_APNS && !is_hex(a->token)))
        return "token";
    if (!push_text_good(a->app, 0, LIMIT_PUSH_APP_BYTES))
        return "app";
    if ((unsigned)a->environment >= PUSH_ENVIRONMENT_N)
        return "environment";
    if (!push_text_good(a->locale, 0, LIMIT_LOCALE_BYTES))
        return "locale";
    if ((unsigned)a->privacy >= PUSH_PRIVACY_N)
        return "privacy";
    return (unsigned)a->mode < PUSH_MODE_N ? NULL : "mode";
}

const char *validate_user(const struct user_action *a)
{
    if (id_is_zero(a->user_id) && a->action.kind != USER_ACTION_GATEWAY_ALIVE)
        return "userId";
    switch (a->action.kind) {
    case USER_ACTION_USER_SIGNED_UP: /* empty: whoever logs in without registering has no name
                                      * yet */
        return !a->action.u.user_signed_up.name.n ||
                       display_name_good(a->action.u.user_signed_up.name)
                   ? NULL
                   : "name";
    case USER_ACTION_PROFILE_EDITED:
        return display_name_good(a->action.u.profile_edited.name) ? NULL : "name";
    case USER_ACTION_DEVICE_LINKED:
        return short_text(a->action.u.device_linked.platform, LIMIT_PLATFORM_BYTES) &&
                       device_label_good(a->action.u.device_linked.label)
                   ? NULL
                   : "label";
    case USER_ACTION_DEVICE_UNLINKED:
        return short_text(a->action.u.device_unlinked.reason, LIMIT_REASON_BYTES) ? NULL : "reason";
    case USER_ACTION_SESSION_LOST:
        return a->action.u.session_lost.items_n <= LIMIT_LOST_ITEMS ? NULL : "items";
    case USER_ACTION_PUSH_REGISTERED:
        return validate_push(&a->action.u.push_registered.address);
    case USER_ACTION_PUSH_CLAIMED:
        return validate_push(&a->action.u.push_claimed.address);
    case USER_ACTION_PUSH_UNREGISTERED:
        if (!short_text(a->action.u.push_unregistered.reason, LIMIT_REASON_BYTES))
            return "reason";
        return a->action.u.push_unregistered.token.n <= LIMIT_PUSH_TOKEN_BYTES ? NULL : "token";
    case USER_ACTION_CHAT_MUTED:
        return a->action.u.chat_muted.until_ms >= 0 &&
                       a->action.u.chat_muted.until_ms <= INGEST_TIME_MAX_MS &&
                       !id_is_zero(a->action.u.chat_muted.chat_id)
                   ? NULL
                   : "until";
    case USER_ACTION_SESSION_OPENED:
    case USER_ACTION_SESSION_CLOSED:
    case USER_ACTION_GATEWAY_ALIVE:
    case USER_ACTION_PUSH_MOVED:
    case USER_ACTION_PUSH_SETTLED:
        return NULL; /* numbers and ids of our own making */
    case USER_ACTION_ACTION_KIND_N:
        break;
    }
    return "action";
}
