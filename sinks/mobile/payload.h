/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/payload.h - what a push says, in the form of Google, Apple and browsers (pure).
 *
 * A push wakes; it does not deliver: the app fetches from its cursor. So it may be cut, and may say
 * as little as its user wants seen on a locked screen.
 */
#pragma once

#include "lib/base/buf.h"
#include "schemas/records.gen.h"

enum {
    PAYLOAD_MAX = 4096,      /* bytes of a body, for Google and Apple */
    PAYLOAD_WEB_MAX = 3993,  /* the same for a browser, before it is encrypted */
    PAYLOAD_TITLE_MAX = 512, /* bytes of it for the title, as JSON */
};

/** What a message shows beside its text. */
enum push_shows {
    PUSH_SHOWS_TEXT,
    PUSH_SHOWS_LOCATION,
    PUSH_SHOWS_CONTACT,
    PUSH_SHOWS_VOICE,
    PUSH_SHOWS_N
};

/** Everything borrowed. */
struct push_content {
    struct cq_id chat_id, message_id;
    int64_t seq;
    enum message_type type;
    enum push_shows shows; /* `text` is then its caption, or what it is called */
    struct cq_span text;   /* of a text message, or a file's caption; {NULL,0}: none */
    struct cq_span sender; /* display name; {NULL,0}: not known */
    bool is_group;
    struct cq_span chat_name; /* of a group */
    int64_t badge;            /* chats with something unread … */
    bool badge_known;         /* … as far as that is known */
    bool silent;              /* nothing is shown: `seq` was read on another device, or … */
    bool deleted;             /* … the message was deleted; silent, too */
    struct cq_span reaction; /* not empty: `sender` gave this sign to the recipient's own message */
    bool added;              /* `sender` added the recipient to the group; there is no message */
    bool edited;             /* what is shown of the message is to be replaced */
    int64_t ttl_s;           /* how long the provider may keep it */
    bool has_reply;
    struct quoted reply_to; /* what it answers … */
    bool is_reply;          /* … which is the recipient's own */
    bool is_mention;        /* it names the recipient by his id */
    int64_t expires_ms;     /* nobody is to read it from then on; 0: never */
};

/** `text` and `type` of a rendered message frame (without its opening brace), the text in `arena`;
 * what it answers, whether it mentions `user`, and until when it stays. CQ_POISON: it is none. */
struct cq_arena;
CQ_MUST_CHECK enum cq_status payload_read_frame(struct cq_span frame, struct cq_id user,
                                                struct cq_arena *arena, struct push_content *ret);

/** The locale of an app that has the fixed words itself: it gets keys of them, and what goes into
 * them. BCP 47 leaves names that begin so to whoever agrees on them. */
#define PAYLOAD_LOCALE_KEYS "x-keys"

/** What a silent push says of itself, beside chat, seq and badge: {"kind":"read"}. */
#define PAYLOAD_KIND_READ "read"

/** The same of one about a message that was deleted, which it names. */
#define PAYLOAD_KIND_DELETED "deleted"

/** What an alert about a message that was edited says of itself. */
#define PAYLOAD_KIND_EDITED "edited"

/** What an alert about a sign says of itself. */
#define PAYLOAD_KIND_REACTION "reaction"

/** What an alert about having been added to a group says of itself. */
#define PAYLOAD_KIND_ADDED "added"

/** What an alert for an app that shows it itself says of itself: {"kind":"message"}. */
#define PAYLOAD_KIND_MESSAGE "message"

/** The body for messages:send, at most PAYLOAD_MAX bytes. `dry_run`: validate, send nothing. */
void payload_fcm(const struct push_content *content, const struct push_address *to, bool dry_run,
                 struct cq_buf *out);

/** The body for /3/device/, at most PAYLOAD_MAX bytes. */
void payload_apns(const struct push_content *content, const struct push_address *to,
                  struct cq_buf *out);

/** The text for a browser's service worker, at most PAYLOAD_WEB_MAX bytes. */
void payload_web(const struct push_content *content, const struct push_address *to,
                 struct cq_buf *out);

/** The longest start of `span` that takes at most `max` bytes inside a JSON string, cut between
 * code points. */
struct cq_span payload_cut(struct cq_span span, size_t max);

/** Whether `text` names the user: @ and the display name. Such a message passes a mute, as one does
 * that mentions the user by id. */
bool payload_mentions(struct cq_span text, struct cq_span name);
