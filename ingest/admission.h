/* SPDX-License-Identifier: MIT */
/*
 * ingest/admission.h - how much one user may send, at both edges, derived from RATE_PER_MINUTE.
 * Clients read these numbers in /api/config; docs/protocol.md says what answers beyond each.
 */
#pragma once

#include <stdint.h>

enum {
    ADMIT_FANOUT_BURST_SECONDS = 3,    /* of the rate, at once: messages and changes of chats, since
                                          each may be fanned out to a thousand */
    ADMIT_REQUESTS_BURST_SECONDS = 10, /* the same of REST requests … */
    ADMIT_REQUESTS_A_SEARCH = 10,      /* a search is one of so many */
    ADMIT_RECEIPTS_BURST_SECONDS = 10, /* … and of receipts */
    ADMIT_FRAMES_A_MESSAGE = 10,       /* frames a minute: so many times the rate … */
    ADMIT_FRAMES_BASE = 3000,          /* … and these */
    ADMIT_IN_FLIGHT_MAX = 64,          /* messages of one socket without their ack */
    ADMIT_SOCKETS_MAX = 32,            /* of one user, in one gateway */
    ADMIT_SIGNALS_PER_MINUTE = 60,     /* of one socket: looks and signals … */
    ADMIT_SIGNALS_BURST = 40,          /* … and so many at once; */
    ADMIT_SIGNALS_SOCKETS = 4,         /* of one user: as many sockets' worth */
    ADMIT_LOOKS_MAX = 32,              /* chats that one socket looks at */
    ADMIT_LOOKS_USER_MAX = 128,        /* the same of all sockets of a user, in one gateway */
};

/** Searches a minute of one user. */
static inline int64_t admit_searches_per_minute(int64_t rate_per_minute)
{
    return rate_per_minute > ADMIT_REQUESTS_A_SEARCH ? rate_per_minute / ADMIT_REQUESTS_A_SEARCH
                                                     : 1;
}

/** Frames a minute of one socket, whatever their kind; as many receipts of one user. */
static inline int64_t admit_frames_per_minute(int64_t rate_per_minute)
{
    return ADMIT_FRAMES_A_MESSAGE * rate_per_minute + ADMIT_FRAMES_BASE;
}
