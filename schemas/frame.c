/* SPDX-License-Identifier: MIT */
#include "schemas/frame.h"

#include "lib/base/status.h"
#include "lib/json/write.h"
#include "schemas/contents.h"
#include "schemas/frame_polls.h"
#include "schemas/topics.h"

/* ---- words ---------------------------------------------------------------------------- */

const struct json_words frame_type_words = { message_type_words, MESSAGE_TYPE_N };
const struct json_words frame_state_words = { signal_state_words, SIGNAL_STATE_N };
const struct json_words frame_holders_words = { right_holders_words, RIGHT_HOLDERS_N };
static const struct json_words roles = { member_role_words, MEMBER_ROLE_N };
static const struct json_words changes = { member_change_kind_words, MEMBER_CHANGE_KIND_N };

const char *message_type_word(enum message_type t)
{
    return t < MESSAGE_TYPE_N ? message_type_words[t] : "";
}

const char *member_role_word(enum member_role r)
{
    return r < MEMBER_ROLE_N ? member_role_words[r] : "";
}

bool message_type_parse(struct cq_span word, enum message_type *ret)
{
    unsigned value;

    if (!json_word_find(&frame_type_words, word, &value))
        return false;
    *ret = (enum message_type)value;
    return true;
}

/* ---- the table ------------------------------------------------------------------------ */

/* Which member of a frame is which of the fact that it tells. The order is that of the frame. */

#define EVENT(name, kind, field) JSON_MEMBER(name, kind, struct chat_event, field)
#define MESSAGE(name, kind, field, ...) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.message_accepted.field, ##__VA_ARGS__)
#define MESSAGE_MAY(name, kind, field, has, ...)                                 \
    JSON_OPTIONAL(name, kind, struct chat_event, event.u.message_accepted.field, \
                  event.u.message_accepted.has, ##__VA_ARGS__)
#define MEDIA(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.media_processed.field)

static const char quoted_rule[] = "replyTo: the id and the seq of a message";

static const struct json_member quoted_rows[] = {
    JSON_MEMBER("id", JSON_ID, struct quoted, id, .rule = quoted_rule),
    JSON_MEMBER("seq", JSON_NUMBER, struct quoted, seq, .least = 1, .most = LIMIT_QUOTED_SEQ_MAX,
                .rule = quoted_rule),
};
const struct json_members frame_quoted = JSON_MEMBERS(quoted_rows);

static const struct json_member message_rows[] = {
    MESSAGE("id", JSON_ID, id),
    EVENT("clientId", JSON_TEXT, client_id),
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    EVENT("from", JSON_ID, user_id),
    MESSAGE_MAY("peer", JSON_ID, peer, has_peer),
    MESSAGE("type", JSON_WORD, type, .words = &frame_type_words),
    MESSAGE("content", JSON_TEXT, content),
    MESSAGE_MAY("mediaId", JSON_ID, media_id, has_media_id),
    MESSAGE_MAY("replyTo", JSON_OBJECT, reply_to, has_reply_to, .items = &frame_quoted),
    MESSAGE("mentions", JSON_IDS, mentions, .optional = true, .least = 1,
            .most = LIMIT_MESSAGE_SENT_MENTIONS,
            .n_off = offsetof(struct chat_event, event.u.message_accepted.mentions_n)),
    MESSAGE_MAY("forwarded", JSON_INT, forwarded, has_forwarded, .least = 1,
                .most = LIMIT_MESSAGE_SENT_FORWARDED_MAX),
    JSON_SPREAD_OF(struct chat_event, event.u.message_accepted.contents, &contents_members),
    MESSAGE_MAY("preview", JSON_OBJECT, preview, has_preview, .items = &preview_members),
    MESSAGE_MAY("poll", JSON_OBJECT, poll, has_poll, .items = &frame_poll_members),
    EVENT("sentAt", JSON_NUMBER, at_ms),
    MESSAGE_MAY("expiresAt", JSON_NUMBER, expires_at_ms, has_expires_at_ms),
};
static const struct json_members message_members = JSON_MEMBERS(message_rows);

static const struct json_member media_rows[] = {
    MEDIA("mediaId", JSON_ID, media_id),
    EVENT("chatId", JSON_ID, chat_id),
    MEDIA("width", JSON_INT, width),
    MEDIA("height", JSON_INT, height),
    MEDIA("durationMs", JSON_NUMBER, duration_ms),
    MEDIA("thumbnail", JSON_SOME, thumbnail_key),
};
static const struct json_members media_members = JSON_MEMBERS(media_rows);

#define DELETED(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.message_deleted.field)
#define EDITED(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.message_edited.field)

static const struct json_member deleted_rows[] = {
    EVENT("clientId", JSON_TEXT, client_id),
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    DELETED("messageId", JSON_ID, message_id),
    DELETED("messageSeq", JSON_NUMBER, message_seq),
    EVENT("by", JSON_ID, user_id),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members deleted_members = JSON_MEMBERS(deleted_rows);

static const struct json_member edited_rows[] = {
    EVENT("clientId", JSON_TEXT, client_id),
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    EDITED("messageId", JSON_ID, message_id),
    EDITED("messageSeq", JSON_NUMBER, message_seq),
    EVENT("by", JSON_ID, user_id),
    EDITED("content", JSON_TEXT, content),
    JSON_OPTIONAL("preview", JSON_OBJECT, struct chat_event, event.u.message_edited.preview,
                  event.u.message_edited.has_preview, .items = &preview_members),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members edited_members = JSON_MEMBERS(edited_rows);

#define REACTION(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.reaction_changed.field)

static const struct json_member reaction_rows[] = {
    EVENT("clientId", JSON_TEXT, client_id),
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    REACTION("messageId", JSON_ID, message_id),
    REACTION("messageSeq", JSON_NUMBER, message_seq),
    EVENT("by", JSON_ID, user_id),
    REACTION("reaction", JSON_TEXT, reaction),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members reaction_members = JSON_MEMBERS(reaction_rows);

#define BLOCK(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.block_changed.field)

/* Whether it is so any more is said by the frame's name. */
static const struct json_member block_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    BLOCK("userId", JSON_ID, peer),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members block_members = JSON_MEMBERS(block_rows);

#define TIMER(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.timer_changed.field)

static const struct json_member timer_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    JSON_OPTIONAL("peer", JSON_ID, struct chat_event, event.u.timer_changed.peer,
                  event.u.timer_changed.has_peer),
    EVENT("by", JSON_ID, user_id),
    TIMER("seconds", JSON_NUMBER, seconds),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members timer_members = JSON_MEMBERS(timer_rows);

#define RIGHT_OF(name, field)                                                     \
    JSON_MEMBER(name, JSON_WORD, struct chat_event, event.u.rights_changed.field, \
                .words = &frame_holders_words)

static const struct json_member rights_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    EVENT("by", JSON_ID, user_id),
    RIGHT_OF("send", send),
    RIGHT_OF("info", info),
    RIGHT_OF("add", add),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members rights_members = JSON_MEMBERS(rights_rows);

static const struct json_member picture_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    EVENT("by", JSON_ID, user_id),
    JSON_OPTIONAL("picture", JSON_ID, struct chat_event, event.u.group_pictured.picture,
                  event.u.group_pictured.has_picture),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members picture_members = JSON_MEMBERS(picture_rows);

static const struct json_member place_rows[] = {
    JSON_MEMBER("id", JSON_ID, struct message_ref, id),
    JSON_MEMBER("seq", JSON_NUMBER, struct message_ref, seq),
};
static const struct json_members place_members = JSON_MEMBERS(place_rows);

static const struct json_member hidden_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    JSON_MEMBER("messages", JSON_LIST, struct chat_event, event.u.messages_hidden.messages,
                .n_off = offsetof(struct chat_event, event.u.messages_hidden.messages_n),
                .item_size = sizeof(struct message_ref), .items = &place_members),
    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members hidden_members = JSON_MEMBERS(hidden_rows);

/* To whom may not see the message only its place is told: what it pushes out is the same for all. */
struct pin_frame {
    struct cq_span client_id;
    struct cq_id chat, message, by;
    int64_t seq, message_seq, at_ms;
    bool is_seen, pinned;
};

static const struct json_member pin_rows[] = {
    JSON_OPTIONAL("clientId", JSON_TEXT, struct pin_frame, client_id, is_seen),
    JSON_MEMBER("chatId", JSON_ID, struct pin_frame, chat),
    JSON_MEMBER("seq", JSON_NUMBER, struct pin_frame, seq),
    JSON_OPTIONAL("messageId", JSON_ID, struct pin_frame, message, is_seen),
    JSON_MEMBER("messageSeq", JSON_NUMBER, struct pin_frame, message_seq),
    JSON_OPTIONAL("by", JSON_ID, struct pin_frame, by, is_seen),
    JSON_MEMBER("pinned", JSON_BOOL, struct pin_frame, pinned),
    JSON_MEMBER("at", JSON_NUMBER, struct pin_frame, at_ms),
};
static const struct json_members pin_members = JSON_MEMBERS(pin_rows);

#define STAR(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.star_changed.field)

static const struct json_member star_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),      EVENT("seq", JSON_NUMBER, seq),
    STAR("messageId", JSON_ID, message_id), STAR("messageSeq", JSON_NUMBER, message_seq),
    STAR("starred", JSON_BOOL, starred),    EVENT("at", JSON_NUMBER, at_ms),
};
static const struct json_members star_members = JSON_MEMBERS(star_rows);

/* Frames that a schema names (`told`, schemas/expand.h): the members of the event, and the fields
 * of the fact. */
#define TOLD_ROWS_(fact, constant, word)                                  \
    static const struct json_member told_##fact##_rows[] = {              \
        EVENT("clientId", JSON_TEXT, client_id),                          \
        EVENT("chatId", JSON_ID, chat_id),                                \
        EVENT("seq", JSON_NUMBER, seq),                                   \
        EVENT("by", JSON_ID, user_id),                                    \
        JSON_SPREAD_OF(struct chat_event, event.u.fact, &fact##_members), \
        EVENT("at", JSON_NUMBER, at_ms),                                  \
    };                                                                    \
    static const struct json_members told_##fact = JSON_MEMBERS(told_##fact##_rows);
CHAT_EVENT_EVENT_TOLD(TOLD_ROWS_)

/* What a group's frames say of its events. */
struct group_frame {
    struct cq_id chat, by;
    int64_t seq, at_ms;
    struct cq_span name;
    bool has_members; /* when the group began */
    const struct member_entry *members;
    size_t members_n;
};

static const struct json_member member_rows[] = {
    JSON_MEMBER("userId", JSON_ID, struct member_entry, user_id),
    JSON_MEMBER("role", JSON_WORD, struct member_entry, role, .words = &roles),
};
static const struct json_members member_members = JSON_MEMBERS(member_rows);

static const struct json_member group_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct group_frame, chat),
    JSON_MEMBER("seq", JSON_NUMBER, struct group_frame, seq),
    JSON_MEMBER("name", JSON_TEXT, struct group_frame, name),
    JSON_MEMBER("by", JSON_ID, struct group_frame, by),
    JSON_MEMBER("at", JSON_NUMBER, struct group_frame, at_ms),
    JSON_OPTIONAL("members", JSON_LIST, struct group_frame, members, has_members,
                  .n_off = offsetof(struct group_frame, members_n),
                  .item_size = sizeof(struct member_entry), .items = &member_members),
};
static const struct json_members group_members = JSON_MEMBERS(group_rows);

static const struct json_member change_rows[] = {
    JSON_MEMBER("userId", JSON_ID, struct member_change, user_id),
    JSON_MEMBER("change", JSON_WORD, struct member_change, change, .words = &changes),
};
static const struct json_members change_members = JSON_MEMBERS(change_rows);

static const struct json_member changed_rows[] = {
    EVENT("chatId", JSON_ID, chat_id),
    EVENT("seq", JSON_NUMBER, seq),
    EVENT("by", JSON_ID, user_id),
    EVENT("at", JSON_NUMBER, at_ms),
    JSON_MEMBER("changes", JSON_LIST, struct chat_event, event.u.membership_changed.changes,
                .n_off = offsetof(struct chat_event, event.u.membership_changed.changes_n),
                .item_size = sizeof(struct member_change), .items = &change_members),
    JSON_OPTIONAL("invitedBy", JSON_ID, struct chat_event, event.u.membership_changed.invited_by,
                  event.u.membership_changed.has_invited_by),
};
static const struct json_members changed_members = JSON_MEMBERS(changed_rows);

/* Somebody asks to be let in, or does not any more. */
struct request_frame {
    struct cq_id chat, user, by;
    int64_t seq, at_ms;
    bool open;
};

static const struct json_member request_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct request_frame, chat),
    JSON_MEMBER("seq", JSON_NUMBER, struct request_frame, seq),
    JSON_MEMBER("userId", JSON_ID, struct request_frame, user),
    JSON_MEMBER("by", JSON_ID, struct request_frame, by),
    JSON_MEMBER("open", JSON_BOOL, struct request_frame, open),
    JSON_MEMBER("at", JSON_NUMBER, struct request_frame, at_ms),
};
static const struct json_members request_members = JSON_MEMBERS(request_rows);

static const struct json_member rejected_rows[] = {
    JSON_MEMBER("clientId", JSON_TEXT, struct rejection, client_id),
    JSON_MEMBER("id", JSON_ID, struct rejection, id),
    JSON_MEMBER("chatId", JSON_ID, struct rejection, chat_id),
    JSON_MEMBER("code", JSON_TEXT, struct rejection, code),
};
static const struct json_members rejected_members = JSON_MEMBERS(rejected_rows);

static const struct json_member receipt_rejected_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct rejection, chat_id),
    JSON_MEMBER("code", JSON_TEXT, struct rejection, code),
};
static const struct json_members receipt_rejected_members = JSON_MEMBERS(receipt_rejected_rows);

struct status_frame {
    struct cq_id chat;
    int64_t delivered, read, at_ms;
    bool has_except;
    const struct frame_gap *except;
    size_t except_n;
};

static const struct json_member gap_rows[] = {
    JSON_MEMBER("after", JSON_NUMBER, struct frame_gap, after),
    JSON_MEMBER("before", JSON_NUMBER, struct frame_gap, before),
};
static const struct json_members gap_members = JSON_MEMBERS(gap_rows);

static const struct json_member status_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct status_frame, chat),
    JSON_MEMBER("delivered", JSON_NUMBER, struct status_frame, delivered),
    JSON_MEMBER("read", JSON_NUMBER, struct status_frame, read),
    JSON_OPTIONAL("except", JSON_LIST, struct status_frame, except, has_except,
                  .n_off = offsetof(struct status_frame, except_n),
                  .item_size = sizeof(struct frame_gap), .items = &gap_members),
    JSON_MEMBER("at", JSON_NUMBER, struct status_frame, at_ms),
};
static const struct json_members status_members = JSON_MEMBERS(status_rows);

struct read_frame {
    struct cq_id chat;
    int64_t seq, at_ms;
};

static const struct json_member read_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct read_frame, chat),
    JSON_MEMBER("seq", JSON_NUMBER, struct read_frame, seq),
    JSON_MEMBER("at", JSON_NUMBER, struct read_frame, at_ms),
};
static const struct json_members read_members = JSON_MEMBERS(read_rows);

static const struct json_words audiences = { audience_words, AUDIENCE_N };

#define PRIVACY(name, field)                                                                      \
    JSON_OPTIONAL(name, JSON_WORD, struct frame_privacy, field, has_##field, .words = &audiences, \
                  .rule = name ": everyone, contacts or nobody")

static const struct json_member privacy_rows[] = {
    PRIVACY("lastSeen", last_seen),
    PRIVACY("picture", picture),
    PRIVACY("about", about),
};
const struct json_members frame_privacy_members = JSON_MEMBERS(privacy_rows);

bool frame_privacy_is_empty(const struct frame_privacy *privacy)
{
    return !privacy->has_last_seen && !privacy->has_picture && !privacy->has_about;
}

struct profile_frame {
    struct cq_span name, about, picture;
    bool has_name, has_about, has_picture, has_privacy, has_read_receipts, read_receipts;
    struct frame_privacy privacy;
    int64_t at_ms;
};

static const struct json_member profile_rows[] = {
    JSON_OPTIONAL("name", JSON_TEXT, struct profile_frame, name, has_name),
    JSON_OPTIONAL("about", JSON_TEXT, struct profile_frame, about, has_about),
    JSON_OPTIONAL("picture", JSON_TEXT, struct profile_frame, picture, has_picture),
    JSON_OPTIONAL("privacy", JSON_OBJECT, struct profile_frame, privacy, has_privacy,
                  .items = &frame_privacy_members),
    JSON_OPTIONAL("readReceipts", JSON_BOOL, struct profile_frame, read_receipts,
                  has_read_receipts),
    JSON_MEMBER("at", JSON_NUMBER, struct profile_frame, at_ms),
};
static const struct json_members profile_members = JSON_MEMBERS(profile_rows);

/* `seq` orders all that one user sets, and is none of the chat's. */
struct marked_frame {
    struct cq_id chat;
    struct cq_span draft;
    int64_t seq, read_seq, draft_after, muted_until_ms, at_ms;
    bool has_archived, has_pinned, has_unread, has_read_seq, has_draft, has_draft_after, has_muted;
    bool archived, pinned, unread;
};

static const struct json_member marked_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct marked_frame, chat),
    JSON_MEMBER("seq", JSON_NUMBER, struct marked_frame, seq),
    JSON_OPTIONAL("archived", JSON_BOOL, struct marked_frame, archived, has_archived),
    JSON_OPTIONAL("pinned", JSON_BOOL, struct marked_frame, pinned, has_pinned),
    JSON_OPTIONAL("markedUnread", JSON_BOOL, struct marked_frame, unread, has_unread),
    JSON_OPTIONAL("readSeq", JSON_NUMBER, struct marked_frame, read_seq, has_read_seq),
    JSON_OPTIONAL("draft", JSON_TEXT, struct marked_frame, draft, has_draft),
    JSON_OPTIONAL("draftAfter", JSON_NUMBER, struct marked_frame, draft_after, has_draft_after),
    JSON_OPTIONAL("mutedUntil", JSON_NUMBER, struct marked_frame, muted_until_ms, has_muted),
    JSON_MEMBER("at", JSON_NUMBER, struct marked_frame, at_ms),
};
static const struct json_members marked_members = JSON_MEMBERS(marked_rows);

struct ready_frame {
    struct cq_id session;
    struct cq_span at;
};

static const struct json_member ready_rows[] = {
    JSON_MEMBER("session", JSON_ID, struct ready_frame, session),
    JSON_MEMBER("at", JSON_TEXT, struct ready_frame, at),
};
static const struct json_members ready_members = JSON_MEMBERS(ready_rows);

/* Answers of a gateway to one frame. */
struct answer_frame {
    struct cq_span client_id, code, message;
    struct cq_id id;
    int64_t retry_after_ms;
    struct frame_about about;
};

static const struct json_member ack_rows[] = {
    JSON_MEMBER("clientId", JSON_TEXT, struct answer_frame, client_id),
    JSON_MEMBER("id", JSON_ID, struct answer_frame, id),
};
static const struct json_members ack_members = JSON_MEMBERS(ack_rows);

static const struct json_member nack_rows[] = {
    JSON_MEMBER("clientId", JSON_TEXT, struct answer_frame, client_id),
    JSON_MEMBER("code", JSON_TEXT, struct answer_frame, code),
    JSON_MEMBER("retryAfter", JSON_NUMBER, struct answer_frame, retry_after_ms),
};
static const struct json_members nack_members = JSON_MEMBERS(nack_rows);

static const struct json_member error_rows[] = {
    JSON_MEMBER("code", JSON_TEXT, struct answer_frame, code),
    JSON_MEMBER("message", JSON_TEXT, struct answer_frame, message),
    JSON_OPTIONAL("of", JSON_TEXT, struct answer_frame, about.of, about.has_of),
    JSON_OPTIONAL("clientId", JSON_TEXT, struct answer_frame, about.client_id, about.has_client_id),
    JSON_OPTIONAL("chatId", JSON_ID, struct answer_frame, about.chat, about.has_chat),
};
static const struct json_members error_members = JSON_MEMBERS(error_rows);

static const char *const capability_words[] = {
    "replies", "mentions",     "forwards",      "locations", "contacts", "previews",
    "voices",  "edits",        "deletions",     "reactions", "typing",   "presence",
    "privacy", "blocks",       "readReceipts",  "timers",    "hiding",   "marks",
    "drafts",  "descriptions", "rights",        "pins",      "stars",    "search",
    "links",   "invites",      "groupPictures", "lines",     "polls"
};
const struct json_words frame_capabilities = { capability_words, ARRAY_LEN(capability_words) };

struct welcome_frame {
    struct {
        int64_t content_bytes, client_id_chars, mentions, frame_bytes;
    } limits;
};

#define WELCOME(name, field) JSON_MEMBER(name, JSON_NUMBER, struct welcome_frame, field)

static const struct json_member limit_rows[] = {
    WELCOME("contentBytes", limits.content_bytes),
    WELCOME("clientIdChars", limits.client_id_chars),
    WELCOME("mentions", limits.mentions),
    WELCOME("frameBytes", limits.frame_bytes),
};
static const struct json_members limit_members = JSON_MEMBERS(limit_rows);

static const struct json_member welcome_rows[] = {
    JSON_MEMBER("capabilities", JSON_WORDS, struct welcome_frame, limits,
                .words = &frame_capabilities),
    JSON_MEMBER("limits", JSON_OBJECT, struct welcome_frame, limits, .items = &limit_members),
};
static const struct json_members welcome_members = JSON_MEMBERS(welcome_rows);

static const struct json_member typing_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct signal, chat_id),
    JSON_MEMBER("userId", JSON_ID, struct signal, user_id),
    JSON_MEMBER("state", JSON_WORD, struct signal, state, .words = &frame_state_words),
};
static const struct json_members typing_members = JSON_MEMBERS(typing_rows);

static const struct json_words presences = { presence_state_words, PRESENCE_STATE_N };

/* A time that nobody knows is left out. */
struct presence_frame {
    struct presence_signal what;
    bool has_at;
};

static const struct json_member presence_rows[] = {
    JSON_MEMBER("userId", JSON_ID, struct presence_frame, what.user_id),
    JSON_MEMBER("state", JSON_WORD, struct presence_frame, what.state, .words = &presences),
    JSON_OPTIONAL("at", JSON_NUMBER, struct presence_frame, what.at_ms, has_at),
};
static const struct json_members presence_members = JSON_MEMBERS(presence_rows);

struct looking_frame {
    struct cq_id subject;
    bool has_chat, has_user;
    int64_t until_ms;
};

static const struct json_member looking_rows[] = {
    JSON_OPTIONAL("chatId", JSON_ID, struct looking_frame, subject, has_chat),
    JSON_OPTIONAL("userId", JSON_ID, struct looking_frame, subject, has_user),
    JSON_MEMBER("until", JSON_NUMBER, struct looking_frame, until_ms),
};
static const struct json_members looking_members = JSON_MEMBERS(looking_rows);

static const struct json_members no_members;

#define TOLD_OF_(fact, constant, word) OF_##constant,
#define TOLD_FRAME_(fact, constant, word) [OF_##constant] = { word, true, &told_##fact },
#define TOLD_CASE_(fact, constant, word) \
    case constant:                       \
        put(out, OF_##constant, event);  \
        break;

enum {
    OF_WELCOME,
    OF_READY,
    OF_ACK,
    OF_NACK,
    OF_MESSAGE,
    OF_REJECTED,
    OF_RECEIPT_REJECTED,
    OF_STATUS,
    OF_READ,
    OF_PROFILE,
    OF_MARKED,
    OF_CHAT,
    OF_MEMBER,
    OF_REQUEST,
    OF_DELETED,
    OF_EDITED,
    OF_REACTION,
    OF_BLOCKED,
    OF_UNBLOCKED,
    OF_TIMER,
    OF_PICTURE,
    OF_RIGHTS,
    OF_HIDDEN,
    OF_PINNED,
    OF_STARRED,
    OF_VOTE,
    OF_POLL_CLOSED,
    OF_MEDIA,
    OF_LOOKING,
    OF_TYPING,
    OF_PRESENCE,
    OF_PONG,
    OF_ERROR,
    CHAT_EVENT_EVENT_TOLD(TOLD_OF_) FRAMES_N
};

static const struct frame_spec frames[] = {
    [OF_WELCOME] = { "welcome", false, &welcome_members },
    [OF_READY] = { "ready", true, &ready_members },
    [OF_ACK] = { "ack", false, &ack_members },
    [OF_NACK] = { "nack", false, &nack_members },
    [OF_MESSAGE] = { "message", true, &message_members },
    [OF_REJECTED] = { "rejected", true, &rejected_members },
    [OF_RECEIPT_REJECTED] = { "receipt_rejected", true, &receipt_rejected_members },
    [OF_STATUS] = { "status", true, &status_members },
    [OF_READ] = { "read", true, &read_members },
    [OF_PROFILE] = { "profile", true, &profile_members },
    [OF_MARKED] = { "marked", true, &marked_members },
    [OF_CHAT] = { "chat", true, &group_members },
    [OF_MEMBER] = { "member", true, &changed_members },
    [OF_REQUEST] = { "request", true, &request_members },
    [OF_DELETED] = { "deleted", true, &deleted_members },
    [OF_EDITED] = { "edited", true, &edited_members },
    [OF_REACTION] = { "reaction", true, &reaction_members },
    [OF_BLOCKED] = { "blocked", true, &block_members },
    [OF_UNBLOCKED] = { "unblocked", true, &block_members },
    [OF_TIMER] = { "timer", true, &timer_members },
    [OF_PICTURE] = { "picture", true, &picture_members },
    [OF_RIGHTS] = { "rights", true, &rights_members },
    [OF_HIDDEN] = { "hidden", true, &hidden_members },
    [OF_PINNED] = { "pinned", true, &pin_members },
    [OF_STARRED] = { "starred", true, &star_members },
    [OF_VOTE] = { "vote", true, &frame_vote_members },
    [OF_POLL_CLOSED] = { "poll_closed", true, &frame_poll_closed_members },
    [OF_MEDIA] = { "media", true, &media_members },
    [OF_LOOKING] = { "looking", false, &looking_members },
    [OF_TYPING] = { "typing", false, &typing_members },
    [OF_PRESENCE] = { "presence", false, &presence_members },
    [OF_PONG] = { "pong", false, &no_members },
    [OF_ERROR] = { "error", false, &error_members },
    CHAT_EVENT_EVENT_TOLD(TOLD_FRAME_)
};

_Static_assert(ARRAY_LEN(frames) == FRAMES_N, "a row for each frame");

const struct frame_spec *frame_specs(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(frames);
    return frames;
}

/* ---- frames --------------------------------------------------------------------------- */

static void put(struct cq_buf *out, int frame, const void *fact)
{
    out_word(out, "t", frames[frame].t);
    json_members_write(out, frames[frame].members, fact);
    buf_add_byte(out, '}');
}

static void put_group(struct cq_buf *out, const struct chat_event *event, struct group_frame frame)
{
    frame.chat = event->chat_id;
    frame.by = event->user_id;
    frame.seq = event->seq;
    frame.at_ms = event->at_ms;
    put(out, OF_CHAT, &frame);
}

static void put_request(struct cq_buf *out, const struct chat_event *event, struct cq_id user,
                        bool open)
{
    put(out, OF_REQUEST,
        &(struct request_frame){ event->chat_id, user, event->user_id, event->seq, event->at_ms,
                                 open });
}

static void put_pin(struct cq_buf *out, const struct chat_event *event, bool is_seen)
{
    const struct pin_changed *pin = &event->event.u.pin_changed;

    put(out, OF_PINNED,
        &(struct pin_frame){ .client_id = event->client_id,
                             .chat = event->chat_id,
                             .message = pin->message_id,
                             .by = event->user_id,
                             .seq = event->seq,
                             .message_seq = pin->message_seq,
                             .at_ms = event->at_ms,
                             .is_seen = is_seen,
                             .pinned = pin->pinned });
}

void frame_pin_unseen(struct cq_buf *out, const struct chat_event *event)
{
    put_pin(out, event, false);
}

void frame_event(struct cq_buf *out, const struct chat_event *event)
{
    switch (event->event.kind) {
    case CHAT_EVENT_MESSAGE_ACCEPTED:
        put(out, OF_MESSAGE, event);
        break;
    case CHAT_EVENT_GROUP_STARTED:
        put_group(out, event,
                  (struct group_frame){ .name = event->event.u.group_started.name,
                                        .has_members = true,
                                        .members = event->event.u.group_started.members,
                                        .members_n = event->event.u.group_started.members_n });
        break;
    case CHAT_EVENT_GROUP_NAMED:
        put_group(out, event, (struct group_frame){ .name = event->event.u.group_named.name });
        break;
    case CHAT_EVENT_MEMBERSHIP_CHANGED:
        put(out, OF_MEMBER, event);
        break;
    case CHAT_EVENT_JOIN_REQUESTED:
        put_request(out, event, event->user_id, true);
        break;
    case CHAT_EVENT_REQUEST_ENDED:
        put_request(out, event, event->event.u.request_ended.user_id, false);
        break;
    case CHAT_EVENT_MESSAGE_DELETED:
        put(out, OF_DELETED, event);
        break;
    case CHAT_EVENT_MESSAGE_EDITED:
        put(out, OF_EDITED, event);
        break;
    case CHAT_EVENT_REACTION_CHANGED:
        put(out, OF_REACTION, event);
        break;
    case CHAT_EVENT_BLOCK_CHANGED:
        put(out, event->event.u.block_changed.blocked ? OF_BLOCKED : OF_UNBLOCKED, event);
        break;
    case CHAT_EVENT_TIMER_CHANGED:
        put(out, OF_TIMER, event);
        break;
    case CHAT_EVENT_GROUP_PICTURED:
        put(out, OF_PICTURE, event);
        break;
    case CHAT_EVENT_RIGHTS_CHANGED:
        put(out, OF_RIGHTS, event);
        break;
    case CHAT_EVENT_MESSAGES_HIDDEN:
        put(out, OF_HIDDEN, event);
        break;
    case CHAT_EVENT_PIN_CHANGED:
        put_pin(out, event, true);
        break;
    case CHAT_EVENT_STAR_CHANGED:
        put(out, OF_STARRED, event);
        break;
    case CHAT_EVENT_VOTE_CHANGED:
        frame_vote(out, event, true);
        break;
    case CHAT_EVENT_POLL_CLOSED:
        put(out, OF_POLL_CLOSED, event);
        break;
    case CHAT_EVENT_MEDIA_PROCESSED:
        put(out, OF_MEDIA, event);
        break;
        CHAT_EVENT_EVENT_TOLD(TOLD_CASE_)
    case CHAT_EVENT_MEDIA_READY: /* its owner's business until a message shows it */
    case CHAT_EVENT_INVITE_MADE: /* the list of links has these */
    case CHAT_EVENT_INVITE_ENDED:
    case CHAT_EVENT_EVENT_KIND_N:
        break;
    }
}

void frame_rejected(struct cq_buf *out, const struct rejection *rejection)
{
    put(out, OF_REJECTED, rejection);
}

void frame_receipt_rejected(struct cq_buf *out, const struct rejection *rejection)
{
    put(out, OF_RECEIPT_REJECTED, rejection);
}

void frame_status(struct cq_buf *out, struct cq_id chat, int64_t delivered, int64_t read,
                  int64_t at_ms, const struct frame_gap *except, size_t except_n)
{
    put(out, OF_STATUS,
        &(struct status_frame){ chat, delivered, read, at_ms, except_n > 0, except, except_n });
}

void frame_read(struct cq_buf *out, struct cq_id chat, int64_t seq, int64_t at_ms)
{
    put(out, OF_READ, &(struct read_frame){ chat, seq, at_ms });
}

static struct frame_privacy privacy_of(const struct profile_details_changed *details)
{
    return (struct frame_privacy){ .last_seen = details->last_seen_to,
                                   .has_last_seen = details->has_last_seen_to,
                                   .picture = details->picture_to,
                                   .has_picture = details->has_picture_to,
                                   .about = details->about_to,
                                   .has_about = details->has_about_to };
}

void frame_profile(struct cq_buf *out, const struct user_event *event)
{
    struct profile_frame told = { .at_ms = event->at_ms };
    struct cq_id_text picture;

    switch (event->event.kind) {
    case USER_EVENT_USER_REGISTERED:
        told.has_name = true;
        told.name = event->event.u.user_registered.name;
        break;
    case USER_EVENT_PROFILE_CHANGED:
        told.has_name = true;
        told.name = event->event.u.profile_changed.name;
        break;
    case USER_EVENT_PROFILE_DETAILS_CHANGED:
        told.has_about = event->event.u.profile_details_changed.has_about;
        told.about = event->event.u.profile_details_changed.about;
        told.has_picture = event->event.u.profile_details_changed.has_picture;
        picture = id_text(event->event.u.profile_details_changed.picture);
        told.picture = id_is_zero(event->event.u.profile_details_changed.picture)
                           ? span_str("")
                           : span_str(picture.s);
        told.privacy = privacy_of(&event->event.u.profile_details_changed);
        told.has_privacy = !frame_privacy_is_empty(&told.privacy);
        told.has_read_receipts = event->event.u.profile_details_changed.has_read_receipts;
        told.read_receipts = event->event.u.profile_details_changed.read_receipts;
        break;
    case USER_EVENT_DEVICE_ADDED: /* nothing of a profile */
    case USER_EVENT_DEVICE_REMOVED:
    case USER_EVENT_CHAT_MUTE_CHANGED:
    case USER_EVENT_CHAT_MARKS_CHANGED:
    case USER_EVENT_USER_DELETED: /* no device of his is left to be told */
    case USER_EVENT_EVENT_KIND_N:
        return;
    }
    put(out, OF_PROFILE, &told);
}

void frame_marked(struct cq_buf *out, const struct user_event *event)
{
    const struct chat_marks_changed *marks = &event->event.u.chat_marks_changed;
    const struct chat_mute_changed *mute = &event->event.u.chat_mute_changed;
    struct marked_frame told = { .seq = seq_make(event->source.generation, event->source.offset),
                                 .at_ms = event->at_ms };

    if (event->event.kind == USER_EVENT_CHAT_MARKS_CHANGED) {
        told.chat = marks->chat_id;
        told.has_archived = marks->has_archived;
        told.archived = marks->archived;
        told.has_pinned = marks->has_pinned;
        told.pinned = marks->pinned;
        told.has_unread = marks->has_marked_unread;
        told.unread = marks->marked_unread;
        told.has_read_seq = told.has_unread && told.unread;
        told.read_seq = marks->read_seq;
        told.has_draft = marks->has_draft;
        told.draft = marks->draft;
        told.has_draft_after = marks->has_draft && marks->draft.n;
        told.draft_after = marks->draft_after;
    } else if (event->event.kind == USER_EVENT_CHAT_MUTE_CHANGED) {
        told.chat = mute->chat_id;
        told.has_muted = true;
        told.muted_until_ms = mute->until_ms;
    } else {
        return;
    }
    put(out, OF_MARKED, &told);
}

void frame_ready(struct cq_buf *out, struct cq_id session, struct cq_span at)
{
    put(out, OF_READY, &(struct ready_frame){ session, at });
}

void frame_ack(struct cq_buf *out, struct cq_span client_id, struct cq_id id)
{
    put(out, OF_ACK, &(struct answer_frame){ .client_id = client_id, .id = id });
}

void frame_nack(struct cq_buf *out, struct cq_span client_id, const char *code,
                int64_t retry_after_ms)
{
    put(out, OF_NACK,
        &(struct answer_frame){
            .client_id = client_id, .code = span_str(code), .retry_after_ms = retry_after_ms });
}

void frame_looking(struct cq_buf *out, bool is_user, struct cq_id subject, int64_t until_ms)
{
    put(out, OF_LOOKING, &(struct looking_frame){ subject, !is_user, is_user, until_ms });
}

void frame_presence(struct cq_buf *out, const struct presence_signal *signal)
{
    put(out, OF_PRESENCE, &(struct presence_frame){ *signal, signal->at_ms != 0 });
}

void frame_typing(struct cq_buf *out, const struct signal *signal)
{
    put(out, OF_TYPING, signal);
}

void frame_pong(struct cq_buf *out)
{
    put(out, OF_PONG, NULL);
}

void frame_error(struct cq_buf *out, const char *code, const char *message,
                 const struct frame_about *about)
{
    put(out, OF_ERROR,
        &(struct answer_frame){
            .code = span_str(code), .message = span_str(message), .about = *about });
}

void frame_welcome(struct cq_buf *out, int64_t frame_bytes)
{
    put(out, OF_WELCOME,
        &(struct welcome_frame){ .limits = { .content_bytes = LIMIT_CONTENT_BYTES,
                                             .client_id_chars = LIMIT_CLIENT_ID_BYTES,
                                             .mentions = LIMIT_MESSAGE_SENT_MENTIONS,
                                             .frame_bytes = frame_bytes } });
}
