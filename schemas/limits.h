/* SPDX-License-Identifier: MIT */
/*
 * schemas/limits.h - how large the parts of an action may be. The schemas say so of each field, and
 * the generator makes a constant of each: LIMIT_CONTENT_BYTES of the shared type Content,
 * LIMIT_MEMBERS_CHANGED_CHANGES of a field's own attribute; with _TEXT behind it it is a string.
 * Gateways refuse what is larger, rules refuse it once more (what is in the log may be another
 * build's), and tables have room for it. docs/limits.md says what the largest costs.
 */
#pragma once

#include "schemas/records.gen.h"

enum {
    LIMIT_GROUP_MEMBERS = LIMIT_MEMBERS_CHANGED_CHANGES, /* present at once */
    LIMIT_RECEIPTS = LIMIT_RECEIPTS_ADVANCED_RECEIPTS,   /* in one action */
    LIMIT_LOST_ITEMS = LIMIT_SESSION_LOST_ITEMS,         /* messages of one SessionLost */
    LIMIT_USER_DEVICES = 16,     /* the oldest is logged out for a new one */
    LIMIT_EDIT_MINUTES = 15,     /* how long a message may be edited … */
    LIMIT_DELETE_HOURS = 60,     /* … and deleted for everybody */
    LIMIT_BLOCKS = 1000,         /* users whom one blocks */
    LIMIT_PINNED = 3,            /* messages of a chat; 0023_pins.sql has it, too */
    LIMIT_QUESTION_BYTES = 1024, /* of a poll */
    LIMIT_STARRED = 1000,        /* messages of one user */
    LIMIT_BLOCKS_CHAT = 64,      /* how often one may block the same user */
    LIMIT_PINS = 5,              /* chats that one pins; 0021_marks.sql has it, too */
    LIMIT_MARKS = 2000,          /* chats of which one has anything marked */
    LIMIT_DRAFTS = 100,          /* chats in which a draft is kept: those with the latest */
    LIMIT_INVITES = 10,          /* links of a group by which others may join */
    LIMIT_REQUESTS = 100,        /* to join a group, that are open */
    LIMIT_REQUESTS_USER = 20,    /* the same of one user */
    LIMIT_REQUEST_DAYS = 7,      /* for so long */
    LIMIT_GROUPS = 1000,         /* groups that one is in, when joining by a link */
};

_Static_assert(LIMIT_GROUP_CREATED_MEMBERS + 1 == LIMIT_GROUP_MEMBERS, "and the creator");
