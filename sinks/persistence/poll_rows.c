/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/poll_rows.h"

#include "sinks/persistence/targets.h"

void poll_row_add(struct rows *rows, const struct chat_event *event)
{
    const struct message_accepted *message = &event->event.u.message_accepted;
    const struct poll *poll = &message->poll;
    struct poll_row *row = &rows->polls[rows->polls_n++];

    *row = (struct poll_row){ .part = id_part(event->chat_id),
                              .choices = poll->choices,
                              .anonymous = poll->anonymous,
                              .chat = event->chat_id,
                              .message = message->id,
                              .target = event->seq,
                              .closes_ms = poll->closes_at_ms,
                              .stays_open = !poll->has_closes_at_ms };
    for (size_t i = 0; i < LIMIT_POLL_OPTIONS; i++)
        row->options[i] = i < poll->options_n ? poll->options[i] : span_of("", 0);
}

/* Whatever it counts for: that the poll was touched is told by all facts, since a rebuild finds other polls over or
 * deleted than the first writing did. */
static enum cq_status add_vote(struct rows *rows, const struct chat_event *event,
                               struct vote_row vote)
{
    if (rows->votes_n == ROWS_VOTES || rows->changes_n == ROWS_CHANGES)
        return CQ_AGAIN;
    rows->changes[rows->changes_n++] =
        (struct change_row){ .part = id_part(event->chat_id),
                             .chat = event->chat_id,
                             .message = vote.message,
                             .by = event->user_id,
                             .target = vote.target,
                             .seq = event->seq,
                             .at_ms = event->at_ms,
                             .content_type = span_of("", 0),
                             .content = span_of("", 0),
                             .reaction = span_of("", 0),
                             .no_key = true,
                             .shown = { .no_text = true, .no_media = true } };
    target_add(rows, event, vote.message, vote.target);
    vote.part = id_part(event->chat_id);
    vote.chat = event->chat_id;
    vote.user = event->user_id;
    vote.seq = event->seq;
    rows->votes[rows->votes_n++] = vote;
    rows->ends_n += (size_t)vote.is_end;
    return CQ_OK;
}

enum cq_status vote_row_add(struct rows *rows, const struct chat_event *event)
{
    const struct vote_changed *vote = &event->event.u.vote_changed;

    if (vote->chosen < 0 || vote->chosen > LIMIT_POLL_VOTED_CHOSEN_MAX)
        return CQ_POISON; /* no rule lets it through */
    return add_vote(rows, event,
                    (struct vote_row){ .message = vote->message_id,
                                       .target = vote->message_seq,
                                       .chosen = vote->chosen,
                                       .chosen_n = __builtin_popcount((unsigned)vote->chosen),
                                       .at_ms = vote->voted_at_ms });
}

enum cq_status end_row_add(struct rows *rows, const struct chat_event *event)
{
    const struct poll_closed *closed = &event->event.u.poll_closed;

    return add_vote(rows, event,
                    (struct vote_row){ .is_end = 1,
                                       .message = closed->message_id,
                                       .target = closed->message_seq,
                                       .at_ms = closed->closed_at_ms });
}
