/* SPDX-License-Identifier: MIT */
/*
 * schemas/frame_polls.h - what frames say of polls, for schemas/frame.c, which renders them.
 */
#pragma once

#include "lib/json/members.h"
#include "schemas/records.gen.h"

/** Who voted for what is told to his own devices alone: whether a poll is anonymous no processor knows. */
struct vote_frame {
    struct cq_span client_id;
    struct cq_id chat, message;
    int64_t seq, message_seq, at_ms;
    bool is_own;
    const int32_t *chosen; /* `places`: it is not to be copied */
    size_t chosen_n;
    int32_t places[LIMIT_POLL_OPTIONS];
};

/** `"t":"vote",…}`, to its voter or to others. */
void frame_vote(struct cq_buf *out, const struct chat_event *event, bool is_own);

/** Of a struct poll as a message frame has it, a struct vote_frame, and a chat_event that is a PollClosed. */
extern const struct json_members frame_poll_members, frame_vote_members, frame_poll_closed_members;
