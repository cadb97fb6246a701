/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/costs_polls.h - the largest poll, and what is done with one, for costs.h, which includes it.
 */
#pragma once

/* Of the owner's own, young enough. */
static inline struct target draw_target(const struct scene *scene, const struct chat_action *action)
{
    return (struct target){ action->user_id,
                            draw_word(scene->arena, scene->draw, 8, LIMIT_CLIENT_ID_BYTES),
                            past_seq(OFFSET - 1) };
}

/* As many options as there may be, as long as they may be, under the longest question. */
static inline void draw_poll(struct cq_arena *arena, struct message_sent *sent)
{
    struct cq_span *options = ARENA_ARRAY(arena, struct cq_span, LIMIT_POLL_OPTIONS);
    for (size_t i = 0; i < LIMIT_POLL_OPTIONS; i++) /* each another one */
        options[i] = draw_text(arena, 0, LIMIT_POLL_OPTION_BYTES - 4 * i, false);
    sent->has_key_id = sent->has_contents = sent->has_preview = false;
    sent->content = draw_text(arena, 0, LIMIT_QUESTION_BYTES, true);
    sent->has_poll = true;
    sent->poll = (struct poll){ options,
                                LIMIT_POLL_OPTIONS,
                                LIMIT_POLL_OPTIONS,
                                true,
                                true,
                                LIMIT_POLL_CLOSES_IN_MAX,
                                false,
                                0 };
}

static inline void draw_vote(const struct scene *scene, struct chat_action *action)
{
    action->action.u.poll_voted =
        (struct poll_voted){ draw_target(scene, action), LIMIT_POLL_VOTED_CHOSEN_MAX };
}

static inline void draw_end(const struct scene *scene, struct chat_action *action)
{
    action->action.u.poll_ended.target = draw_target(scene, action);
}
