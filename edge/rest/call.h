/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/call.h - one REST request as a small state machine. A handler is a row of steps that
 * run on a worker thread with a database connection; between steps the loop thread submits actions
 * to Kafka or waits for the view, so that no worker ever waits for either.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/json/json.h"
#include "lib/json/write.h"
#include "lib/jwt/token.h"
#include "lib/pg/pg.h"
#include "lib/store/store.h"
#include "schemas/records.gen.h"

struct call;
struct rest_conf;

enum {
    CALL_BODY_MAX = 64 * 1024,
    CALL_REPLY_MAX = 4 * 1024 * 1024, /* pages end long before (REST_PAGE_BYTES) */
    CALL_ARENA_MAX = 4 * 1024 * 1024,
    CALL_SUBMITS_MAX = 4,
    CALL_WAITS_MAX = 2,
    CALL_HEADERS_MAX = 12,
    CALL_WHY_MAX = 160,
    CALL_DEADLINE_MS = 5000, /* for the broker's report, and again for the view */
    CALL_INCOMPLETE_S = 5,   /* retry-after while the view is being filled */
};

/** What the loop does after a step. */
enum call_next {
    CALL_REPLY,  /* status and out are set */
    CALL_SUBMIT, /* produce the submits, then run the step that `step` names */
    CALL_WAIT,   /* until one of the waits is passed or 250 ms are, then run the step that `step`
                    names */
    CALL_STREAM, /* out is the next piece of the body; the step is run again when it is sent, unless
                    `last` */
};

typedef enum call_next call_fn(struct call *c, struct pg *db);

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

struct call_header {
    const char *name; /* static */
    struct cq_span value;
};

/** Topics of the view that can be waited for. */
enum watched {
    WATCH_CHAT_EVENTS,
    WATCH_REJECTIONS,
    WATCH_USER_EVENTS,
    WATCH_PUSH_TARGETS,
    WATCH_N
};

struct call_submit {
    bool is_user;
    union {
        struct chat_action chat;
        struct user_action user;
    } u;               /* strings and arrays live in the call's arena */
    int32_t partition; /* set by the report */
    int64_t offset;
    bool reported;
};

struct call_wait {
    enum watched topic;
    int32_t partition;
    int64_t offset; /* passed when the view has applied a source above it */
};

struct call {
    const struct rest_conf *conf;
    call_fn *fn;
    struct cq_id path_id[2]; /* ids in the path, in order */
    struct cq_span query;    /* behind the question mark; in the arena */
    struct cq_span body;     /* in body_bytes, or in a buffer of the connection's */
    struct cq_buf body_bytes;
    void *body_owner; /* owned: that buffer, once the client has gone; NULL: the connection's */
    void (*body_free)(void *body_owner);
    struct cq_span in[IN_N];        /* headers of the request; {NULL,0}: absent; in the arena */
    bool is_head, is_media, is_raw; /* raw: the body is no JSON */
    bool is_login;                  /* needs no token, and open doors */
    struct store *store;            /* of the worker, during a step of a media call */
    struct pg *db;                  /* of the worker, during a step: what call_database() asks */
    struct json *json;              /* the body, parsed; owned; NULL when there is none */
    struct token_claims who;        /* zero for routes without a token */
    struct cq_id client;            /* key of the client's address (lib/base/address.h) */
    char request_id[CQ_ID_TEXT_LEN + 1];
    const struct route *route; /* NULL: refused before it had one */
    const char *error;      /* the code of the reply, NULL for none; static or in the arena … */
    const char *error_text; /* … and its words */
    char why[CALL_WHY_MAX]; /* for the log alone, when the status is 500 or above */
    struct cq_arena *arena;
    int64_t now_ms; /* wall time at the start */

    int step;       /* the next step; 0 at first */
    bool unknown;   /* a submit's outcome is unknown */
    bool refused;   /* a submit was refused before it left */
    bool timed_out; /* the deadline of a wait has passed */
    bool passed;    /* a wait is passed: the view has applied a source above it */
    bool in_vain;   /* no wait has passed, and none will soon: the view is being filled */
    void *state;    /* the handler's own, in the arena */
    struct call_submit submits[CALL_SUBMITS_MAX];
    int submits_n;
    struct call_wait waits[CALL_WAITS_MAX];
    int waits_n;

    enum call_next next_step; /* what the last step said */
    int status;               /* of the reply */
    int retry_after_s;
    struct cq_buf out;
    const char *content_type; /* static or in the arena; NULL: JSON that nobody may keep */
    int64_t content_length;   /* -1: what out has */
    struct call_header headers[CALL_HEADERS_MAX];
    int headers_n;
    bool last; /* of a stream: out is its end */

    /* the loop's own */
    void *req;  /* h2o_req_t, NULL when the client has gone */
    void *back; /* what the request's pool holds, to be cut */
    struct call *next, *prev;
    uint32_t index; /* in the table of calls that wait for reports */
    int reported_n;
    int64_t deadline_ms, again_ms; /* monotonic */
    bool waiting;
    bool streaming; /* its head is sent */
    bool lent;      /* http has it, until its bytes are sent */
};

struct call *call_new(const struct rest_conf *conf);
void call_free(struct call *c);

/* ---- for handlers --------------------------------------------------------------------- */

/** Reply with the error form: `code` is stable, `message` for people, both static. */
enum call_next call_error(struct call *c, int status, const char *code, const char *message);
enum call_next call_not_found(struct call *c);
enum call_next call_bad_request(struct call *c, const char *message);

/** What the messages about names and labels say (ingest/validate.h has the rule). */
#define CALL_NAME_RULE "no control or direction characters, joiners only behind a character"
#define CALL_NAME_TEXT "name: 1 to 100 characters, at least one of them visible; " CALL_NAME_RULE

/** What the status of the last statement means for the client: 503 when the database is away or the
 * view is being filled, 500 for a bug of ours. */
enum call_next call_database(struct call *c, enum cq_status st);

/** 503: schema auth is being restored (edge/auth/doors.h). */
enum call_next call_doors_closed(struct call *c);

/** 503: the view is being filled from the log. */
enum call_next call_view_incomplete(struct call *c);

/** Unknown outcome or a view that is late: 503, ask again. */
enum call_next call_unavailable(struct call *c, const char *message);

/** The broker did not say whether it is stored: 503, send the same again. */
enum call_next call_unknown(struct call *c);

/** Add a header to the reply; `name` is static, `value` is copied. */
void call_header(struct call *c, const char *name, struct cq_span value);
void call_header_i64(struct call *c, const char *name, int64_t value);

/** 429, with what is over its budget and when to ask again. `message` is static. */
enum call_next call_limited(struct call *c, int64_t wait_ms, const char *message);

/** A rejection's code as a reply. */
enum call_next call_rejected(struct call *c, struct cq_span code);

/** Reply 2xx with what is in c->out. */
enum call_next call_reply(struct call *c, int status);

/** Add a submit with its header filled from the token; NULL never. */
struct chat_action *call_submit_chat(struct call *c, struct cq_id chat, struct cq_span client_id);
struct user_action *call_submit_user(struct call *c, struct cq_id user, struct cq_id device);

/** Wait until the view passed submit `i`, then run `step`. */
enum call_next call_wait_for(struct call *c, int i, int step);

/** Run `step` again in a moment, for what no position of the view tells. */
enum call_next call_look_again(struct call *c, int step);

/** Value of a query parameter, decoded into the arena; {NULL,0} when it is absent. */
struct cq_span call_param(struct call *c, const char *name);

/** The same as a whole number; false when present and none. *ret keeps its default when absent. */
CQ_MUST_CHECK bool call_param_i64(struct call *c, const char *name, int64_t *ret);

/** An id under any of two spellings (`chatId`, `chatID`). */
CQ_MUST_CHECK bool call_chat_id(const struct call *c, struct cq_id *ret);
