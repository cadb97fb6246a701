/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/conn_state.h - where a connection is between its handshake and its end. Drawn in
 * docs/glossary.md. Pure.
 */
#pragma once

#include <stdbool.h>

enum conn_state {
    CONN_HANDSHAKE, /* zeroed memory is this: not upgraded yet, no token so far */
    CONN_VOUCHED,   /* not upgraded yet; `Authorization` had a good token */
    CONN_MISPLACED, /* not upgraded yet; a token was in the address, where it must not be */
    CONN_GUEST,     /* upgraded; its `auth` frame is due */
    CONN_KNOWN,     /* authenticated: counted as one of its user's */
    CONN_DOOMED,    /* authenticated; too much waits to be written: the next flush closes it */
    CONN_CLOSING,   /* cleaned up; libwebsockets has yet to send our close frame */
    CONN_CLOSED,    /* cleaned up; nothing is read or written any more */
    CONN_GONE,      /* the socket has ended; its memory goes now */
    CONN_STATE_N,
};

/** The one writer of a state. Asserts that `to` may follow `*state`. */
void conn_state_move(enum conn_state *state, enum conn_state to);

/** Whether `to` may follow `from`. */
bool conn_state_may_follow(enum conn_state from, enum conn_state to);

/** Upgraded, and libwebsockets has not ended the socket yet. */
bool conn_state_is_open(enum conn_state state);

/** Open, and still read and written: nobody closes it yet. */
bool conn_state_is_live(enum conn_state state);

/** Live, and its user is known. */
bool conn_state_is_known(enum conn_state state);
