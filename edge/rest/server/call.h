/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/call.h - one REST request on its way. Its handler runs on a worker thread with a
 * database connection, and says what is to be done then: the loop thread submits actions to Kafka
 * or waits for the view, so that no worker ever waits for either, and has the handler run again.
 */
#pragma once

#include "lib/base/address.h"
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/json/json.h"
#include "lib/json/write.h"
#include "lib/jwt/token.h"
#include "lib/pg/pg.h"
#include "lib/store/store.h"
#include "schemas/records.gen.h"

struct call;
struct api_conf;

#define CALL_BODY_KIB 64 /* of a body that is no piece of a file */
#define CALL_TEXT_OF_(number) #number
#define CALL_TEXT_OF(number) CALL_TEXT_OF_(number)
#define CALL_BODY_WORDS "body: " CALL_TEXT_OF(CALL_BODY_KIB) " KiB at most"

enum {
    CALL_BODY_MAX = CALL_BODY_KIB * 1024,
    CALL_REPLY_MAX = 4 * 1024 * 1024,
    CALL_ARENA_MAX = 4 * 1024 * 1024,
    CALL_SUBMITS_MAX = 4,
    CALL_WAITS_MAX = 2,
    CALL_HEADERS_MAX = 12,
    CALL_WHY_MAX = 160,
    CALL_TEXT_MAX = 256,     /* of an error */
    CALL_DEADLINE_MS = 5000, /* for the broker's report, and again for the view */
    CALL_INCOMPLETE_S = 5,   /* retry-after while the view is being filled */
};

/** What is to be done after a step. */
enum call_next {
    CALL_REPLY,  /* the reply is set */
    CALL_SUBMIT, /* produce the submits, then run the handler again */
    CALL_WAIT,   /* wait until one of the places is passed, 250 ms at most; then run it again */
    CALL_STREAM, /* reply.body is the next piece of the body; the handler is run again when it is
                    sent, unless reply.last */
    CALL_GO_ON,  /* between the steps of one handler: the next one; the loop never sees it */
};

typedef enum call_next call_fn(struct call *call, struct pg *db);

/** Headers of the request that handlers can ask for. */
enum call_in {
    IN_RANGE,
    IN_IF_RANGE,
    IN_IF_NONE_MATCH,
    IN_CONTENT_TYPE,
    IN_TUS_RESUMABLE,
    IN_UPLOAD_OFFSET,
    IN_UPLOAD_LENGTH,
    IN_UPLOAD_METADATA,
    IN_UPLOAD_CHECKSUM,
    IN_N
};

/** What the client sent. Spans live in the arena. */
struct call_request {
    char id[CQ_ID_TEXT_LEN + 1];
    struct cq_id path_id[2];     /* ids in the path, in order */
    struct cq_span query;        /* behind the question mark */
    struct cq_span header[IN_N]; /* {NULL,0}: absent */
    struct cq_span body;         /* in body_bytes, or in a buffer of the connection's */
    struct cq_buf body_bytes;
    void *body_owner; /* owned: that buffer, once the client has gone; NULL: the connection's */
    void (*body_free)(void *body_owner);
    struct json *json;       /* the body, parsed; owned; NULL when there is none */
    struct token_claims who; /* zero for routes without a token */
    struct cq_address client;
    struct cq_id address; /* its key (lib/base/address.h) */
    int64_t at_ms;        /* wall time */
    bool is_head;
};

struct call_header {
    const char *name; /* static */
    struct cq_span value;
};

/** What the client is told. */
struct call_reply {
    int status; /* 0: nothing yet */
    int retry_after_s;
    struct cq_buf body;
    const char *type; /* static or in the arena; NULL: JSON that nobody may keep */
    int64_t length;   /* -1: what body has */
    struct call_header headers[CALL_HEADERS_MAX];
    int headers_n;
    bool last;                      /* of a stream: body is its end */
    const char *error;              /* its code, static; NULL for none … */
    char error_text[CALL_TEXT_MAX]; /* … and its words */
    char why[CALL_WHY_MAX];         /* for the log alone, when the status is 500 or above */
};

struct call_submit {
    bool is_user;
    union {
        struct chat_action chat;
        struct user_action user;
    } u;               /* strings and arrays live in the call's arena */
    int32_t partition; /* set by the report */
    int64_t offset;
};

/** What is to enter the log, and what became of it. */
struct call_log {
    struct call_submit submits[CALL_SUBMITS_MAX];
    int submits_n;
    bool unknown; /* the outcome of one is unknown */
};

/** Topics of the view that can be waited for. */
enum watched {
    WATCH_CHAT_EVENTS,
    WATCH_REJECTIONS,
    WATCH_USER_EVENTS,
    WATCH_PUSH_TARGETS,
    WATCH_N
};

struct call_place {
    enum watched topic;
    int32_t partition;
    int64_t offset; /* passed when the view has applied a source above it */
};

/** What the view is waited for. */
struct call_wait {
    struct call_place places[CALL_WAITS_MAX]; /* any of them */
    int places_n;
    bool passed;    /* the view has applied a source above one of them */
    bool in_vain;   /* no wait has passed, and none will soon: the view is being filled */
    bool timed_out; /* the deadline has passed */
};

/** What the worker that runs a step lends to it: set during that step only. */
struct call_worker {
    struct store *store; /* of a media call; NULL: there is none */
    struct pg *db;       /* what call_database() asks */
};

/** For the loop and the server alone. */
struct call_loop {
    enum call_next said; /* by the last step */
    void *req;           /* h2o_req_t, NULL when the client has gone */
    void *back;          /* struct back (http_answer.h); while `req` is set */
    struct call *next, *prev;
    int64_t deadline_ms, again_ms; /* monotonic */
    bool streaming;                /* its head is sent */
    bool lent;                     /* the server has the call, until its bytes are sent */
};

struct call {
    const struct api_conf *conf; /* NULL, like `route`: refused before it had a route */
    const struct route *route;
    struct cq_arena *arena;
    bool begun;  /* a worker has run it before */
    void *state; /* the handler's own, in the arena; NULL at first */
    struct call_request request;
    struct call_reply reply;
    struct call_log log;
    struct call_wait wait;
    struct call_worker worker;
    struct call_loop loop;
};

/** NULL without memory. `conf` is borrowed and may be NULL. Owned by caller. */
struct call *call_new(const struct api_conf *conf);
void call_free(struct call *call); /* NULL is fine */

/** Add a submit, with what it says of its sender filled in from the token. Never NULL. */
struct chat_action *call_submit_chat(struct call *call, struct cq_id chat,
                                     struct cq_span client_id);
struct user_action *call_submit_user(struct call *call, struct cq_id user, struct cq_id device);

/** Wait until the view has passed submit `i`. */
enum call_next call_wait_for(struct call *call, int i);

/** Run the handler again in a moment: for a result that no position of the view announces. */
enum call_next call_look_again(struct call *call);
