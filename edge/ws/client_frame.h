/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/client_frame.h - the frames that a client may send (docs/protocol.md), checked for form
 * and size alone. Pure.
 */
#pragma once

#include "lib/json/json.h"
#include "schemas/frame.h"

enum { CLIENT_FRAME_MAX = 64 * 1024 };

enum client_frame_kind {
    CLIENT_AUTH,
    CLIENT_ACTION,
    CLIENT_OK,
    CLIENT_RECEIPT,
    CLIENT_LOOK,
    CLIENT_UNLOOK,
    CLIENT_SIGNAL,
    CLIENT_HERE,
    CLIENT_AWAY,
    CLIENT_PING
};

struct client_frame {
    enum client_frame_kind kind;
    struct json *root;         /* owned; the spans point into it */
    struct cq_span token;      /* AUTH; LOOK: the ticket */
    int64_t n;                 /* OK */
    struct cq_span client_id;  /* ACTION; also of a refused one when it could be read */
    struct chat_action action; /* ACTION: what is asked; not who asks it, nor where */
    struct cq_arena *lists;    /* owned; what `action` lists. NULL: nothing */
    bool has_chat;
    struct cq_id chat;     /* ACTION, RECEIPT, UNLOOK, SIGNAL; derived when only `peer` was given */
    bool has_message_from; /* ACTION that changes a message; else it is the speaker's own */
    bool has_peer;
    struct cq_id peer; /* ACTION, RECEIPT */
    bool has_person;
    struct cq_id person;     /* UNLOOK */
    int64_t delivered, read; /* RECEIPT; 0: not in the frame */
    bool has_forwarded_from;
    int64_t forwarded_from;  /* ACTION: how often the message was forwarded before */
    enum signal_state state; /* SIGNAL */
    const int32_t *chosen;   /* ACTION: the options that a vote is for */
    size_t chosen_n;
};

/** Read `{"t":"ok","n":17}`, exactly as most clients write it, without a parser: half of all frames
 * look like this. */
CQ_MUST_CHECK bool client_ok_parse(struct cq_span text, int64_t *ret_n);

/** Parse a frame of `user`; a direct chat's id is derived from this user and the peer. CQ_OK: `ret`
 * is owned by the caller. CQ_POISON: `*ret_code` (bad_request or too_large) and `*ret_why`, both
 * static; `ret` is owned all the same, and its client_id is set when it is an action that can be
 * answered by `nack`. */
CQ_MUST_CHECK enum cq_status client_frame_parse(struct cq_span text, struct cq_id user,
                                                struct client_frame *ret, const char **ret_code,
                                                const char **ret_why);

/** What an answer to it names it by: of a refused one, too. Spans point into `frame`. */
struct frame_about client_frame_about(const struct client_frame *frame);

/** After every parse, whatever its status. */
void client_frame_release(struct client_frame *frame);
