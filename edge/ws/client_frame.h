/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/client_frame.h - the frames that a client may send (docs/protocol.md), checked for form
 * and size alone. Pure.
 */
#pragma once

#include "lib/json/json.h"
#include "schemas/records.gen.h"

enum { CLIENT_FRAME_MAX = 64 * 1024 };

enum client_frame_kind { CLIENT_AUTH, CLIENT_SEND, CLIENT_OK, CLIENT_RECEIPT, CLIENT_PING };

struct client_frame {
    enum client_frame_kind kind;
    struct json *root;        /* owned; the spans point into it */
    struct cq_span token;     /* AUTH */
    int64_t n;                /* OK */
    struct cq_span client_id; /* SEND; also of a refused one when it could be read */
    struct cq_span content;   /* SEND */
    enum message_type type;   /* SEND */
    bool has_media;           /* SEND */
    struct cq_id media;       /* SEND */
    struct cq_id chat;        /* SEND, RECEIPT */
    bool has_peer;
    struct cq_id peer;       /* SEND, RECEIPT */
    int64_t delivered, read; /* RECEIPT; 0: not in the frame */
};

/** `{"t":"ok","n":17}` exactly as most clients write it, without a parser: half of all frames are
 * this. */
CQ_MUST_CHECK bool client_ok_parse(struct cq_span text, int64_t *ret_n);

/** `user` is who speaks: a direct chat's id is derived from it and the peer. CQ_OK: `ret` is owned
 * by the caller. CQ_POISON: `*ret_code` (bad_request or too_large) and `*ret_why`, both static;
 * `ret` is owned all the same, and its client_id is set when it is a send that can be answered by
 * `nack`. */
CQ_MUST_CHECK enum cq_status client_frame_parse(struct cq_span text, struct cq_id user,
                                                struct client_frame *ret, const char **ret_code,
                                                const char **ret_why);

void client_frame_release(struct client_frame *f);
