/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/line.h - whose file is looked into next (pure). Owners take turns; each has a budget
 * of milliseconds a minute, and at most so many at work at once, so that one user's large pictures
 * do not hold up another user's small one. One thread.
 */
#pragma once

#include "lib/base/id.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LINE_MAX = 1024,      /* files in line or at work */
    LINE_OWNER_MAX = 512, /* of one owner: an album sent at once */
    LINE_OWNERS = 1024,   /* whose budgets are remembered; those at rest are forgotten first */
    LINE_MINUTE_MS = 60000,
};

enum line_state { LINE_FREE, LINE_WAITING, LINE_WORKING };

struct line_place {
    enum line_state state;
    int32_t owner;  /* index in `owners` */
    int64_t due_ms; /* not before */
    uint64_t order; /* of arrival */
};

struct line_owner {
    struct cq_id id;
    bool used;
    int32_t places, working; /* in `places`; of those at work */
    int64_t left_ms;         /* of the budget at `at_ms`; below 0: it was overdrawn */
    int64_t at_ms;
    uint64_t served; /* larger: later */
};

struct line {
    struct line_place places[LINE_MAX];
    struct line_owner owners[LINE_OWNERS];
    int32_t n, working; /* places not free; at work */
    int64_t budget_ms;  /* a minute; also the most that is saved up */
    int32_t at_once;    /* of one owner at work */
    uint64_t order, served;
};

void line_init(struct line *line, int64_t budget_ms, int32_t at_once);

enum line_answer { LINE_TAKEN, LINE_FULL, LINE_TOO_MANY };

/** A file of `owner` joins. LINE_TAKEN: `*ret` is its place until line_leave(). LINE_FULL: nobody
 * gets in now. LINE_TOO_MANY: this owner has LINE_OWNER_MAX already. */
enum line_answer line_join(struct line *line, struct cq_id owner, int64_t now_ms, int32_t *ret);

/** The place that is next, now at work; -1: none may begin now. Among owners within their budget
 * and below `at_once`, the one served longest ago; of one owner, the first that came. */
int32_t line_next(struct line *line, int64_t now_ms);

/** It used up so much of its owner's budget. */
void line_charge(struct line *line, int32_t place, int64_t cost_ms, int64_t now_ms);

/** Not at work any more; it waits until `due_ms`, keeping its place. */
void line_wait(struct line *line, int32_t place, int64_t due_ms);

/** Not at work any more, but not gone: it is neither next nor counted as at work. */
void line_rest(struct line *line, int32_t place);

void line_leave(struct line *line, int32_t place);

static inline bool line_is_full(const struct line *line)
{
    return line->n == LINE_MAX;
}
