/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/call.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"

#include <stdlib.h>

struct call *call_new(const struct api_conf *conf)
{
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->conf = conf;
    call->arena = arena_new(CALL_ARENA_MAX);
    call->request.at_ms = clock_wall_ms();
    id_format(id_random(), call->request.id);
    buf_init(&call->reply.body, CALL_REPLY_MAX);
    call->reply.length = -1;
    return call;
}

void call_free(struct call *call)
{
    if (!call)
        return;
    json_free(call->request.json);
    arena_free(call->arena);
    buf_release(&call->reply.body);
    buf_release(&call->request.body_bytes);
    if (call->request.body_owner)
        call->request.body_free(call->request.body_owner);
    free(call);
}

/* ---- submits -------------------------------------------------------------------------- */

/* How many a request makes is fixed by its handler. */
static struct call_submit *next_submit(struct call *call)
{
    CQ_ASSERT(call->log.submits_n >= 0 && call->log.submits_n < CALL_SUBMITS_MAX,
              call->log.submits_n);
    return &call->log.submits[call->log.submits_n++];
}

struct chat_action *call_submit_chat(struct call *call, struct cq_id chat, struct cq_span client_id)
{
    struct call_submit *submit = next_submit(call);

    *submit = (struct call_submit){ .is_user = false };
    submit->u.chat = (struct chat_action){
        .chat_id = chat,
        .user_id = call->request.who.user,
        .device_id = call->request.who.device,
        .client_id = client_id,
        .at_ms = clock_wall_ms(),
    };
    return &submit->u.chat;
}

struct user_action *call_submit_user(struct call *call, struct cq_id user, struct cq_id device)
{
    struct call_submit *submit = next_submit(call);

    *submit = (struct call_submit){ .is_user = true };
    submit->u.user =
        (struct user_action){ .user_id = user, .device_id = device, .at_ms = clock_wall_ms() };
    return &submit->u.user;
}

enum call_next call_wait_for(struct call *call, int i)
{
    const struct call_submit *submit = &call->log.submits[i];

    CQ_ASSERT(i >= 0 && i < call->log.submits_n, i, call->log.submits_n);
    call->wait.places_n = 0;
    if (submit->is_user) {
        call->wait.places[call->wait.places_n++] =
            (struct call_place){ WATCH_USER_EVENTS, submit->partition, submit->offset };
        return CALL_WAIT;
    }
    call->wait.places[call->wait.places_n++] =
        (struct call_place){ WATCH_CHAT_EVENTS, submit->partition, submit->offset };
    call->wait.places[call->wait.places_n++] =
        (struct call_place){ WATCH_REJECTIONS, submit->partition, submit->offset };
    return CALL_WAIT;
}

enum call_next call_look_again(struct call *call)
{
    call->wait.places_n = 0;
    return CALL_WAIT;
}
