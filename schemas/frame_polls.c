/* SPDX-License-Identifier: MIT */
#include "schemas/frame_polls.h"

#include "lib/json/write.h"
#include "schemas/frame.h"

#define POLL_OPTIONS                                                                          \
    JSON_MEMBER("options", JSON_TEXTS, struct poll, options,                                  \
                .n_off = offsetof(struct poll, options_n), .least = LIMIT_POLL_OPTIONS_LEAST, \
                .most = LIMIT_POLL_OPTIONS, .rule = options_rule)
static const char options_rule[] = "options: 2 to " LIMIT_POLL_OPTIONS_TEXT " texts";

static const struct json_member poll_asked_rows[] = {
    POLL_OPTIONS,
    JSON_MEMBER("choices", JSON_INT, struct poll, choices, .optional = true, .least = 1,
                .most = LIMIT_POLL_OPTIONS,
                .rule = "choices: how many options one may choose, 1 to 12"),
    JSON_MEMBER("anonymous", JSON_BOOL, struct poll, anonymous, .optional = true,
                .rule = "anonymous: true or false"),
    JSON_OPTIONAL("closesIn", JSON_NUMBER, struct poll, closes_in, has_closes_in, .least = 1,
                  .most = LIMIT_POLL_CLOSES_IN_MAX, .rule = "closesIn: seconds, 1 to 31536000"),
};
const struct json_members frame_poll_asked = JSON_MEMBERS(poll_asked_rows);

static const struct json_member poll_rows[] = {
    POLL_OPTIONS,
    JSON_MEMBER("choices", JSON_INT, struct poll, choices),
    JSON_MEMBER("anonymous", JSON_BOOL, struct poll, anonymous),
    JSON_OPTIONAL("closesAt", JSON_NUMBER, struct poll, closes_at_ms, has_closes_at_ms),
};
const struct json_members frame_poll_members = JSON_MEMBERS(poll_rows);

static const struct json_member vote_rows[] = {
    JSON_OPTIONAL("clientId", JSON_TEXT, struct vote_frame, client_id, is_own),
    JSON_MEMBER("chatId", JSON_ID, struct vote_frame, chat),
    JSON_MEMBER("seq", JSON_NUMBER, struct vote_frame, seq),
    JSON_MEMBER("messageId", JSON_ID, struct vote_frame, message),
    JSON_MEMBER("messageSeq", JSON_NUMBER, struct vote_frame, message_seq),
    JSON_OPTIONAL("options", JSON_INTS, struct vote_frame, chosen, is_own,
                  .n_off = offsetof(struct vote_frame, chosen_n), .most = LIMIT_POLL_OPTIONS,
                  .each_most = LIMIT_POLL_OPTIONS - 1),
    JSON_OPTIONAL("at", JSON_NUMBER, struct vote_frame, at_ms, is_own),
};
const struct json_members frame_vote_members = JSON_MEMBERS(vote_rows);

#define CLOSED(name, kind, field) \
    JSON_MEMBER(name, kind, struct chat_event, event.u.poll_closed.field)

static const struct json_member closed_rows[] = {
    JSON_MEMBER("clientId", JSON_TEXT, struct chat_event, client_id),
    JSON_MEMBER("chatId", JSON_ID, struct chat_event, chat_id),
    JSON_MEMBER("seq", JSON_NUMBER, struct chat_event, seq),
    CLOSED("messageId", JSON_ID, message_id),
    CLOSED("messageSeq", JSON_NUMBER, message_seq),
    JSON_MEMBER("by", JSON_ID, struct chat_event, user_id),
    CLOSED("at", JSON_NUMBER, closed_at_ms),
};
const struct json_members frame_poll_closed_members = JSON_MEMBERS(closed_rows);

static void vote_frame_fill(struct vote_frame *ret, const struct chat_event *event, bool is_own)
{
    const struct vote_changed *vote = &event->event.u.vote_changed;

    *ret = (struct vote_frame){ .client_id = event->client_id,
                                .chat = event->chat_id,
                                .message = vote->message_id,
                                .seq = event->seq,
                                .message_seq = vote->message_seq,
                                .at_ms = vote->voted_at_ms,
                                .is_own = is_own,
                                .chosen = ret->places };
    for (int32_t i = 0; i < LIMIT_POLL_OPTIONS; i++)
        if (vote->chosen >> i & 1)
            ret->places[ret->chosen_n++] = i;
}

void frame_vote(struct cq_buf *out, const struct chat_event *event, bool is_own)
{
    struct vote_frame told;

    vote_frame_fill(&told, event, is_own);
    out_word(out, "t", "vote");
    json_members_write(out, &frame_vote_members, &told);
    buf_add_byte(out, '}');
}

void frame_vote_of_another(struct cq_buf *out, const struct chat_event *event)
{
    frame_vote(out, event, false);
}
