/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/search.h - where to look for what a user searches. Schema search only says which
 * messages may fit, and may be behind the view; what the user may see of them, and so whether they
 * fit, the view says.
 */
#pragma once

#include "edge/rest/view/messages.h"

enum {
    SEARCH_CHATS_MAX = 4096, /* that a user who names none is in; stays that are looked at */
    SEARCH_PLACES_MAX = 256, /* that a page begins from, over all chats, and of each chat */
    SEARCH_READ_MAX = 128,   /* messages that a page reads */
};

/** How many records of chat.events the view has and search has not, and in how many chats the user
 * is, up to one more than SEARCH_CHATS_MAX. */
struct search_state {
    int64_t late, chats;
};
CQ_MUST_CHECK enum cq_status view_search_state(struct pg *db, struct cq_id user,
                                               struct search_state *ret);

/** A message that may fit. In the order of time, then of seq and part. */
struct search_place {
    int64_t at_ms, seq;
    int32_t part;
    struct cq_id chat;
    bool is_likely; /* has all keys */
};

struct search_ask {
    struct cq_id user, chat;    /* a zero chat: all */
    const int64_t *keys;        /* the first one is the one to go by */
    size_t keys_n;              /* at least 1 */
    int64_t after, before;      /* times, both outside */
    struct search_place behind; /* the last one looked at */
};

/** The newest ones that lie in a stay of the user's, up to SEARCH_PLACES_MAX. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_search_places(struct pg *db, const struct search_ask *ask,
                                                struct pg_result **ret);
struct search_place search_place_at(const struct pg_result *rows, int i);

/** These messages as the user may see them, in this order, without those of which he may see nothing.
 * Behind the first that takes them past `bytes` of content there are no more. */
CQ_MUST_CHECK enum cq_status view_search_read(struct pg *db, struct cq_id user,
                                              const struct search_place *places, size_t n,
                                              int64_t bytes, struct pg_result **ret);

/** Which of the places row `i` is. */
size_t search_read_at(const struct pg_result *rows, int i);

/** How many rows there would be without `bytes`. */
int64_t search_read_found(const struct pg_result *rows);
