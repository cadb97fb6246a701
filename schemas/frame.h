/* SPDX-License-Identifier: MIT */
/*
 * schemas/frame.h - the only renderer of what clients see on a socket (docs/protocol.md). A frame
 * is rendered once, without its opening brace and number, as `"t":"message",…}`; a gateway writes
 * `{"n":17,` in front. A table says which member is which, and docs/frames.schema.json
 * is printed from it.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/json/members.h"
#include "schemas/records.gen.h"

struct frame_spec {
    const char *t;
    bool numbered; /* a gateway writes a number in front */
    const struct json_members *members;
};

/** Every frame that clients get. */
const struct frame_spec *frame_specs(size_t *ret_n);

/** What members of the chat see of an event: `"t":"message",…}`, `"t":"chat",…}` (GroupStarted with
 * members, GroupNamed), `"t":"member",…}`, `"t":"media",…}`, `"t":"blocked",…}`. Appends nothing for a MediaReady. */
void frame_event(struct cq_buf *out, const struct chat_event *event);

/** A pin to whom may not see its message: no more than that one was made, and where the message stands. */
void frame_pin_unseen(struct cq_buf *out, const struct chat_event *event);

/** A vote to all but who gave it: that the result of a poll may be another one, and nothing of who chose what. */
void frame_vote_of_another(struct cq_buf *out, const struct chat_event *event);

enum { FRAME_EXCERPT_MAX = 2048 };

/** What a push may show of a rendered message frame: `"type":…,"content":…}`, with what it answers
 * and whom it mentions, and of a place or a card that it is one, `"shows":"location"`, and without a text what that is called, at most FRAME_EXCERPT_MAX bytes, the content cut between code points and
 * marked with an ellipsis. An
 * excerpt of an excerpt is the same. Appends nothing for what is no such frame. */
void frame_excerpt(struct cq_buf *out, struct cq_span frame);

/** `"t":"rejected",…}` */
void frame_rejected(struct cq_buf *out, const struct rejection *rejection);

/** `"t":"receipt_rejected",…}`: the receipt moved no cursor. */
void frame_receipt_rejected(struct cq_buf *out, const struct rejection *rejection);

/** What lies between two seqs, which are not of it. */
struct frame_gap {
    int64_t after, before;
};

/** `"t":"status",…}`: in `chat` everything up to these seqs is delivered to, read by all others, but
 * for what lies in the gaps of `except`. */
void frame_status(struct cq_buf *out, struct cq_id chat, int64_t delivered, int64_t read,
                  int64_t at_ms, const struct frame_gap *except, size_t except_n);

/** `"t":"read",…}`: this user read `chat` up to `seq` on another device. */
void frame_read(struct cq_buf *out, struct cq_id chat, int64_t seq, int64_t at_ms);

/** Whom a user shows what; a member that is not there is as before. */
struct frame_privacy {
    enum audience last_seen, picture, about;
    bool has_last_seen, has_picture, has_about;
};

/** Its rows, as clients write them and are told them. */
extern const struct json_members frame_privacy_members;

bool frame_privacy_is_empty(const struct frame_privacy *privacy);

/** `"t":"profile",…}`: what a fact changed of the user's own name, about, picture (empty: none) and
 * privacy. */
void frame_profile(struct cq_buf *out, const struct user_event *event);

/** `"t":"marked",…}`: what a fact changed of where a chat stands in its user's own list, its mute among
 * it. */
void frame_marked(struct cq_buf *out, const struct user_event *event);

/** `"t":"ready",…}`; `at` is a frontier's text. */
void frame_ready(struct cq_buf *out, struct cq_id session, struct cq_span at);

/** What a gateway answers to one frame, not numbered. */
void frame_ack(struct cq_buf *out, struct cq_span client_id, struct cq_id id);
void frame_nack(struct cq_buf *out, struct cq_span client_id, const char *code,
                int64_t retry_after_ms);
void frame_pong(struct cq_buf *out);

/** Signals, which are told to whoever looks, and until when somebody does (0: not any more). */
void frame_looking(struct cq_buf *out, bool is_user, struct cq_id subject, int64_t until_ms);
void frame_presence(struct cq_buf *out, const struct presence_signal *signal);
void frame_typing(struct cq_buf *out, const struct signal *signal);

/** What a refused frame said of itself, as far as it could be read. */
struct frame_about {
    bool has_of, has_client_id, has_chat;
    struct cq_span of; /* its t */
    struct cq_span client_id;
    struct cq_id chat;
};
void frame_error(struct cq_buf *out, const char *code, const char *message,
                 const struct frame_about *about);

/** `"t":"welcome",…}`: the first that a gateway says to a socket whose owner it knows: what it can do, and what fits into a frame. Not
 * numbered. */
void frame_welcome(struct cq_buf *out, int64_t frame_bytes);

/** Lower-case wire word of an enum: "text", "image", …; "member", "admin", "owner"; "" for a value
 * out of range. */
const char *message_type_word(enum message_type t);
const char *member_role_word(enum member_role r);

/** `{"id":…,"seq":…}`: the message that another one answers, a struct quoted. */
extern const struct json_members frame_quoted;

/** What a message asks, as clients write it, a struct poll. */
extern const struct json_members frame_poll_asked;

/** What this version can do, for clients of a neighbouring one: words that are added to and never
 * change their meaning. */
extern const struct json_words frame_capabilities;

/** Those of message types. */
extern const struct json_words frame_type_words;

/** Those of what somebody does in a chat. */
extern const struct json_words frame_state_words;

/** Those of who has a right in a group. */
extern const struct json_words frame_holders_words;

/** Parse a wire word of a message type; false for an unknown one. */
CQ_MUST_CHECK bool message_type_parse(struct cq_span word, enum message_type *ret);
