/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/send.c - pushes leave after one look at the view, and come back as answers.
 */
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/hash.h"
#include "schemas/names.h"
#include "sinks/mobile/lane_state.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    VIEW_RETRY_MS = 250, /* while pushes wait for the view … */
    VIEW_AWAY_MS = 5000, /* … and once they do not */
    VIEW_LAG_MS = 30000, /* a registration younger than this may not be in the view yet */
    UNREACHED_EVERY_MS = 60 * 1000, /* it is said again */
    SLOW_QUIET_MS = 60 * 1000,      /* waits asked for in a row count as one, until there was none
                                     * for so long */
};

static uint32_t dice(void)
{
    uint32_t x;

    random_bytes(&x, sizeof x);
    return x;
}

/* ---- the view ------------------------------------------------------------------------- */

struct lane_batch {
    struct job *job[VIEW_BATCH_MAX];
    struct mobile_push push[VIEW_BATCH_MAX];
    struct push_content content[VIEW_BATCH_MAX]; /* what the push itself says */
    struct view_fact fact[VIEW_BATCH_MAX];
    size_t n;
    bool known; /* the view answered */
};

struct lane_batch *lane_batch_new(void)
{
    return calloc(1, sizeof(struct lane_batch));
}

/* Before the view is asked: what a message answers is part of the question. */
static void read_contents(struct lane *lane, struct lane_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct mobile_push *push = &batch->push[i];
        struct push_content *content = &batch->content[i];

        bool is_deletion = push->change_seq && !push->frame.n && !push->reaction.n;

        *content = (struct push_content){ .chat_id = push->chat_id,
                                          .message_id = push->message_id,
                                          .seq = push->seq,
                                          .deleted = is_deletion,
                                          .edited = push->change_seq && push->frame.n,
                                          .reaction = push->reaction,
                                          .added = push->added,
                                          .silent = push->read_after >= 0 || is_deletion };
        if (!content->silent && !push->reaction.n && !push->added &&
            payload_read_frame(push->frame, push->user_id, lane->arena, content) != CQ_OK)
            content->type = MESSAGE_TYPE_TEXT; /* it still wakes */
    }
}

static enum cq_status look(struct lane *lane, struct lane_batch *batch, struct pg_result **rows)
{
    struct view_ask asks[VIEW_BATCH_MAX];

    for (size_t i = 0; i < batch->n; i++)
        asks[i] =
            (struct view_ask){ .user = batch->push[i].user_id,
                               .device = batch->job[i]->device,
                               .chat = batch->push[i].chat_id,
                               .sender = batch->push[i].sender_id,
                               .part = id_part(batch->push[i].chat_id),
                               .seq = batch->push[i].seq,
                               .read_after = batch->push[i].change_seq ? batch->push[i].seq - 1
                                                                       : batch->job[i]->read_after,
                               .change_seq = batch->push[i].change_seq,
                               .direct = batch->push[i].added
                                             ? chat_id_direct(batch->push[i].user_id,
                                                              batch->push[i].sender_id)
                                             : (struct cq_id){ { 0 } },
                               .reply_id = batch->content[i].reply_to.id,
                               .reply_seq = batch->content[i].reply_to.seq };
    return view_look(lane->db, &lane->params, asks, batch->n, batch->fact, rows);
}

/* Whether pushes leave without the view because it has been away for too long. Tells so once. */
static bool skips_view(struct lane *lane)
{
    if (clock_mono_ms() - lane->view_since_ms < LANE_VIEW_PATIENCE_MS)
        return false;
    if (!lane->view_told)
        lane->conf.tell(lane->conf.arg, LANE_VIEW_AWAY, lane->conf.name, pg_error(lane->db));
    lane->view_told = true;
    return true;
}

/* Ask the view, unless it has been away for too long to wait for it. CQ_AGAIN: the batch has to
 * wait. */
static enum cq_status ask_view(struct lane *lane, struct lane_batch *batch, int64_t now_ms,
                               struct pg_result **rows)
{
    enum cq_status st;

    batch->known = false;
    if (now_ms < lane->view_again_ms)
        return skips_view(lane) ? CQ_OK : CQ_AGAIN;
    st = look(lane, batch, rows);
    if (st == CQ_OK) {
        if (lane->view_told)
            lane->conf.tell(lane->conf.arg, LANE_VIEW_BACK, lane->conf.name, "");
        lane->view_since_ms = lane->view_again_ms = 0;
        lane->view_told = false;
        batch->known = true;
        return CQ_OK;
    }
    if (st != CQ_AGAIN)
        return CQ_FATAL;
    if (!lane->view_since_ms)
        lane->view_since_ms = now_ms;
    /* asking may have taken its time */
    lane->view_again_ms = clock_mono_ms() + (skips_view(lane) ? VIEW_AWAY_MS : VIEW_RETRY_MS);
    return skips_view(lane) ? CQ_OK : CQ_AGAIN;
}

/* ---- leaving -------------------------------------------------------------------------- */

/* Nothing has to be said of the message any more, or of what changed it: the job is ended. */
static bool is_overtaken(struct lane *lane, struct job *job, const struct mobile_push *push,
                         const struct view_fact *fact)
{
    bool is_deletion = push->change_seq && !push->frame.n && !push->reaction.n;

    if (fact->deleted && !is_deletion)
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0, "the message was deleted");
    else if (!push->change_seq)
        return false;
    else if (push->reaction.n && fact->sign_seq > push->change_seq)
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0, "the sign was changed again");
    else if (push->reaction.n)
        return false;
    else if (fact->edited_seq > push->change_seq)
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0, "the message was edited again");
    else if (fact->read || !fact->outstanding)
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0,
                 "the device shows nothing of the message");
    else
        return false;
    return true;
}

/* That somebody was added is told to who is in the group still, and does not block who added him:
 * only the view knows. The job is ended, or waits for the view to come so far. */
static bool is_unwelcome(struct lane *lane, struct job *job, const struct view_fact *fact,
                         int64_t age_ms)
{
    if (!fact || !fact->is_seen) {
        lane_await_view(lane, job, age_ms);
        return true;
    }
    job->is_late = false;
    if (fact->is_welcome)
        return false;
    lane_end(lane, job, PUSH_RESULT_DROPPED, 0,
             "not in the group any more, or blocks who added him");
    return true;
}

/* Nothing has to be sent: the job is ended. */
static bool is_settled(struct lane *lane, struct job *job, const struct mobile_push *push,
                       const struct view_fact *fact, const struct push_device *to, int64_t wall_ms)
{
    bool silent = push->read_after >= 0;

    if (job->silence == JOB_OVERTAKEN)
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0, OVERTAKEN);
    else if (wall_ms - push->at_ms > lane->conf.max_age_ms)
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0, "older than PUSH_MAX_AGE_S");
    else if (push->added && is_unwelcome(lane, job, fact, wall_ms - push->at_ms))
        return true;
    else if (!fact)
        return false;
    else if (!silent && is_overtaken(lane, job, push, fact))
        return true;
    else if (silent && !fact->outstanding)
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0,
                 "the device shows nothing that was read elsewhere");
    else if (!silent && fact->delivered)
        lane_end(lane, job, PUSH_RESULT_ALREADY_DELIVERED, 0, "the device has the message already");
    else if (!fact->registered && wall_ms - to->registered_ms > VIEW_LAG_MS)
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0, "the device is not registered any more");
    else if (fact->registered && fact->registration > to->registered &&
             !(lane->conf.kinds & 1u << fact->kind))
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0,
                 "the device has registered with another provider since");
    else
        return false;
    return true;
}

/* By the mute that came with the push, or by a later one in the view. A message that mentions the
 * user passes a mute: by id, or by name, which is not known without the view. */
static bool is_muted(const struct push_device *to, const struct view_fact *fact,
                     const struct push_content *content, int64_t wall_ms)
{
    if (to->muted_until_ms <= wall_ms && !(fact && fact->muted_until_ms > wall_ms))
        return false;
    return !content->is_mention && (!fact || !payload_mentions(content->text, fact->user));
}

static struct cq_id push_id(const struct mobile_push *push, struct cq_id device)
{
    const struct cq_span parts[] = { span_of(push->message_id.b, sizeof push->message_id.b),
                                     span_of(device.b, sizeof device.b),
                                     span_of(push->chat_id.b, sizeof push->chat_id.b),
                                     push->change_seq
                                         ? span_of(&push->change_seq, sizeof push->change_seq)
                                         : span_of(&push->seq, sizeof push->seq) };

    /* a silent one is of no message, and a change is another thing than its message */
    return id_derive("chasqui.push", parts,
                     push->read_after < 0 && !push->change_seq && !push->added ? 2
                                                                               : ARRAY_LEN(parts));
}

/* What the view knows of it. Without it, nobody knows whether the text still stands. */
static void fill_content(struct push_content *content, const struct view_fact *fact)
{
    if (!fact) {
        content->text = span_of(NULL, 0);
        return;
    }
    if (fact->edited_seq && !content->reaction.n) {
        content->type = fact->type;
        content->text = fact->text;
    }
    if (fact->expires_ms)
        content->expires_ms = fact->expires_ms;
    content->sender = fact->sender;
    content->is_group = fact->is_group;
    content->chat_name = fact->chat_name;
    content->badge = fact->badge;
    /* a sign makes nothing unread, nor does a group in which nothing was said yet */
    content->badge_known = !content->reaction.n && !content->added;
    content->is_reply = content->has_reply && fact->is_reply;
}

static void note_credential(struct lane *lane, struct job *job, struct service *service)
{
    job->credential_no = lane->conf.provider->credential_no;
    if (services_are_many(&lane->services)) /* each has its own */
        service_renewed(service, job->credential_no);
}

static void start(struct lane *lane, struct lane_batch *batch, size_t i)
{
    struct job *job = batch->job[i];
    struct service *service = lane_service(lane, job);
    const struct mobile_push *push = &batch->push[i];
    const struct view_fact *fact = batch->known ? &batch->fact[i] : NULL;
    struct push_content content = batch->content[i];
    const struct push_device *to = &push->targets[job->target];
    struct push_address address = to->address;
    int64_t wall_ms = clock_wall_ms(), until_ms = push->at_ms + lane->conf.max_age_ms;
    struct http_request request;
    const char *why = "";

    if (is_settled(lane, job, push, fact, to, wall_ms))
        return;
    job->registered = to->registered;
    if (fact && fact->registered &&
        fact->registration > to->registered) { /* registered again since */
        job->registered = fact->registration;
        address.token = fact->token;
        address.kind = fact->kind;
        if (!lane_serves(lane, job, &address)) { /* another one now: into its queue */
            lane_queue(lane, job, &address);
            return;
        }
    }
    fill_content(&content, fact);
    if (!content.silent && content.expires_ms && content.expires_ms < until_ms)
        until_ms = content.expires_ms;
    if (until_ms <= wall_ms) {
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0, "the message is not to be read any more");
        return;
    }
    content.ttl_s = (until_ms - wall_ms) / 1000;
    if (is_muted(to, fact, &content, wall_ms)) {
        lane_end(lane, job, PUSH_RESULT_MUTED, 0, "the chat is muted");
        return;
    }
    if (lane->conf.provider->ops->request(lane->conf.provider,
                                          &(struct provider_push){ &content, &address,
                                                                   push_id(push, job->device),
                                                                   until_ms, false },
                                          &request, &why) != CQ_OK) {
        lane_end(lane, job, PUSH_RESULT_DROPPED, 0, why);
        return;
    }
    request.opaque = (uint64_t)job_index(&lane->jobs, job);
    if (http_pool_post(lane->pool, &request) != CQ_OK) {
        lane_queue_again(lane, job);
        return;
    }
    job_move(job, JOB_FLYING);
    job->ready_ms = 0;
    note_credential(lane, job, service);
    job->attempt++;
    services_started(&lane->services, service);
}

static void take_batch(struct lane *lane, struct service *service, struct lane_batch *batch,
                       size_t most)
{
    batch->n = 0;
    while (batch->n < most && batch->n < VIEW_BATCH_MAX) {
        struct job *job = job_list_take(&lane->jobs, &service->ready);

        if (!job)
            return;
        if (!lane_owns(lane, job) || lane_decode_job(lane, job, &batch->push[batch->n]) != CQ_OK) {
            lane_forget(lane, job);
            continue;
        }
        batch->job[batch->n++] = job;
    }
}

static void give_back(struct lane *lane, struct lane_batch *batch, size_t from)
{
    for (size_t i = from; i < batch->n; i++)
        lane_queue_again(lane, batch->job[i]);
}

/* Whether a credential is at hand; asks for one where it has to be fetched. */
static bool has_credential(struct lane *lane)
{
    struct http_request request;

    if (lane->fetching)
        return false;
    if (lane->conf.provider->ops->credential(lane->conf.provider, clock_wall_ms(), &request) ==
        PROVIDER_READY)
        return true;
    request.opaque = LANE_FETCH;
    if (http_pool_post(lane->pool, &request) == CQ_OK) {
        lane->fetching = true;
        breaker_started(&lane->services.v[0].breaker); /* who has to fetch one is one service */
    }
    return false;
}

/* The wait that the provider asked for is over, and it has not asked for another. */
static void look_at_slow(struct lane *lane, struct service *service, int64_t now_ms)
{
    if (!service->slow_until_ms || now_ms < service->slow_until_ms)
        return;
    service->slow_until_ms = 0;
    lane_say(lane, service, LANE_GOES_ON, "");
}

/* False: not now; the job is still the caller's. */
static bool start_guarded(struct lane *lane, struct lane_batch *batch, size_t i)
{
    struct job *job = batch->job[i];

    if (lane_enter_again(lane, job) != CQ_OK)
        return false;
    start(lane, batch, i);
    lane_leave(lane);
    return true;
}

static enum cq_status send_to(struct lane *lane, struct service *service, int64_t now_ms)
{
    struct lane_batch *batch = lane->batch;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    int room = services_room(&lane->services, service, now_ms);
    int free_n = lane->conf.in_flight - http_pool_in_flight(lane->pool);
    size_t i = 0;
    enum cq_status st;

    look_at_slow(lane, service, now_ms);
    if (room > free_n)
        room = free_n;
    if (!service->ready.n || room <= 0 || !has_credential(lane))
        return CQ_OK;
    arena_reset(lane->arena);
    take_batch(lane, service, batch, (size_t)room);
    if (!batch->n)
        return CQ_OK;
    read_contents(lane, batch);
    st = ask_view(lane, batch, now_ms, &rows);
    if (st != CQ_OK) {
        give_back(lane, batch, 0);
        return st == CQ_AGAIN ? CQ_OK : st;
    }
    service->held = true; /* a push whose address is another now may ask for a place */
    for (; i < batch->n && services_room(&lane->services, service, now_ms) > 0; i++)
        if (!start_guarded(lane, batch, i))
            break;
    service->held = false;
    give_back(lane, batch, i);
    return CQ_OK;
}

/* What waited long enough goes into its queue. Where it goes it says itself when it was taken, and
 * waited, before it had a service. */
static void queue_due(struct lane *lane, int64_t now_ms)
{
    struct job *job;

    while ((job = jobs_due(&lane->jobs, now_ms))) {
        struct mobile_push push;

        job_move(job, JOB_READY);
        job->ready_ms = 0;
        if (job->service != JOB_NOWHERE) {
            lane_queue_again(lane, job);
            continue;
        }
        if (!services_are_many(&lane->services)) {
            lane_queue(lane, job, NULL);
            continue;
        }
        arena_reset(lane->arena);
        if (!lane_owns(lane, job) || lane_decode_job(lane, job, &push) != CQ_OK)
            lane_forget(lane, job);
        else
            lane_queue(lane, job, &push.targets[job->target].address);
    }
}

enum cq_status lane_send(struct lane *lane, int64_t now_ms)
{
    struct services *services = &lane->services;
    enum cq_status st = CQ_OK;

    queue_due(lane, now_ms);
    for (int i = 0; st == CQ_OK && i < services->n; i++) {
        struct service *service = &services->v[(services->turn + i) % services->n];

        if (service->used)
            st = send_to(lane, service, now_ms);
    }
    services->turn = (services->turn + 1) % services->n; /* none is always first */
    return st;
}

/* ---- answers -------------------------------------------------------------------------- */

static void tell_good(struct lane *lane, struct service *service)
{
    if (breaker_good(&service->breaker) && service->paused) {
        service->paused = false;
        lane_say(lane, service, LANE_RESUMED, "");
    }
}

static void tell_bad(struct lane *lane, struct service *service, const struct push_answer *answer)
{
    bool at_once = answer->verdict == PUSH_MISCONFIGURED;

    breaker_bad(&service->breaker, at_once, clock_mono_ms(), dice());
    if (service->paused && service->paused_for == answer->verdict)
        return;
    /* one short failure raises no alarm: the trial after it has to fail, too; and none is raised by
     * a service that anybody may have made up */
    if (service->breaker.state == BREAKER_CLOSED || service_is_stranger(service) ||
        (!at_once && service->breaker.opened < 2))
        return;
    lane_say(lane, service, service->paused ? LANE_STILL : LANE_PAUSED, answer->words);
    service->paused = true;
    service->paused_for = answer->verdict;
}

static void again_now(struct lane *lane, struct job *job)
{
    count_add(COUNT_PUSHES_AGAIN, 1);
    job_move(job, JOB_READY);
    lane_queue_again(lane, job);
}

/* Try again later: wait in memory if that is soon, otherwise park it in the topic. */
static void again_later(struct lane *lane, struct job *job, const struct push_answer *answer)
{
    int64_t wait_ms = retry_wait_ms(job->attempt, answer->retry_after_s, dice());

    if (job->attempt >= RETRY_ATTEMPTS_MAX &&
        lane_service(lane, job)->breaker.state == BREAKER_CLOSED) {
        char words[PUSH_WORDS_MAX + 1];

        snprintf(words, sizeof words, "given up: %.180s", answer->words);
        lane_end(lane, job, PUSH_RESULT_DROPPED, answer->status, words);
        return;
    }
    count_add(COUNT_PUSHES_AGAIN, 1);
    job->status = answer->status;
    if (wait_ms <= LANE_HOLD_MS) {
        jobs_wait(&lane->jobs, job, clock_mono_ms() + wait_ms);
        return;
    }
    job->due_ms = clock_mono_ms() + wait_ms;
    lane_park(lane, job, answer->words);
}

static void token_dead(struct lane *lane, struct job *job, const struct push_answer *answer)
{
    struct mobile_push push;

    arena_reset(lane->arena);
    if (answer->dead_since_ms && lane_decode_job(lane, job, &push) == CQ_OK &&
        push.targets[job->target].registered_ms > answer->dead_since_ms)
        lane_end(lane, job, PUSH_RESULT_DROPPED, answer->status,
                 "the provider saw the token dead before it was registered again");
    else
        lane_unregister(lane, job, answer->status, answer->words);
}

/* Whether the tokens of so many users got this answer that the configuration must be wrong. Then
 * the provider is paused, and the push waits. */
static bool is_our_fault(struct lane *lane, struct job *job, struct push_answer *answer)
{
    struct service *service = lane_service(lane, job);
    struct mobile_push push;

    arena_reset(lane->arena);
    if (lane_decode_job(lane, job, &push) != CQ_OK ||
        !evidence_foreign(&service->evidence, push.user_id)) {
        tell_good(lane, service);
        return false;
    }
    answer->verdict = PUSH_MISCONFIGURED;
    tell_bad(lane, service, answer);
    again_now(lane, job);
    return true;
}

/* Not a token of ours: true of one phone that moved, or of all when the configuration is wrong. */
static void token_foreign(struct lane *lane, struct job *job, struct push_answer *answer)
{
    if (is_our_fault(lane, job, answer))
        return;
    if (services_trust(&lane->services, lane_service(lane, job), job->credential_no))
        lane_unregister(lane, job, answer->status, answer->words);
    else
        lane_end(lane, job, PUSH_RESULT_DROPPED, answer->status, answer->words);
}

/* The token is fine, so it is not ended; anybody can register one of that platform, so the provider
 * is not paused for it. */
static void platform_unreached(struct lane *lane, struct job *job, struct push_answer *answer)
{
    struct service *service = lane_service(lane, job);
    int64_t now_ms = clock_mono_ms();

    if (is_our_fault(lane, job, answer))
        return;
    if (!service->unreached_ms || now_ms - service->unreached_ms > UNREACHED_EVERY_MS)
        lane_say(lane, service, LANE_UNREACHED, answer->words);
    service->unreached_ms = now_ms;
    lane_end(lane, job, PUSH_RESULT_DROPPED, answer->status, answer->words);
}

/* The whole provider later, as it asks. The wait has a bound, and is told. */
static void slower(struct lane *lane, struct service *service, const struct push_answer *answer)
{
    int64_t now_ms = clock_mono_ms();
    int64_t wait_ms = breaker_wait(&service->breaker, answer->retry_after_s * 1000, now_ms);
    char words[PUSH_WORDS_MAX + 64];

    if (!service->slow_until_ms || wait_ms > 2 * service->slow_said_ms) {
        snprintf(words, sizeof words, "asks for %lld s, gets %lld s: %s",
                 (long long)answer->retry_after_s, (long long)(wait_ms / 1000), answer->words);
        lane_say(lane, service, service->slow_until_ms ? LANE_SLOWER : LANE_SLOWED, words);
        service->slow_said_ms = wait_ms;
    }
    if (wait_ms < SLOW_QUIET_MS)
        wait_ms = SLOW_QUIET_MS;
    if (service->slow_until_ms < now_ms + wait_ms)
        service->slow_until_ms = now_ms + wait_ms;
}

/* Adapt the number of requests in flight to the fate of the connections. */
static void note_answer(struct lane *lane, struct service *service, const struct http_answer *http)
{
    struct flight *flight = &service->flight;
    char words[96];

    if (http->st == CQ_OK) {
        flight_answered(flight);
    } else {
        count_add(COUNT_PUSHES_UNKNOWN, 1);
        flight_lost(flight, clock_mono_ms());
    }
    if (service_is_stranger(service))
        return; /* anybody may have made it up */
    if (!service->narrow && flight->size <= flight->most / 4 && flight->size < flight->most) {
        service->narrow = true;
        snprintf(words, sizeof words, "%d at once, of %d", flight->size, flight->most);
        lane_say(lane, service, LANE_NARROWED, words);
    } else if (service->narrow && flight->size >= flight->most / 2) {
        service->narrow = false;
        lane_say(lane, service, LANE_WIDENED, "");
    }
}

static void credential_refused(struct lane *lane, struct job *job, struct push_answer *answer)
{
    struct provider *provider = lane->conf.provider;
    struct service *service = lane_service(lane, job);

    job->attempt--; /* it was not this push that was refused */
    if (job->credential_no == provider->credential_no &&
        !provider->ops->refused(provider, clock_wall_ms())) {
        answer->verdict = PUSH_MISCONFIGURED;
        tell_bad(lane, service, answer);
    } else {
        breaker_go_on(&service->breaker);
    }
    again_now(lane, job);
}

static void fetched(struct lane *lane, const struct http_answer *http_answer)
{
    struct service *service = &lane->services.v[0];
    struct push_answer answer;

    lane->fetching = false;
    if (lane->conf.provider->ops->fetched(lane->conf.provider, http_answer, clock_wall_ms(),
                                          &answer) == CQ_OK)
        breaker_go_on(&service->breaker);
    else
        tell_bad(lane, service, &answer);
}

static void answered(struct lane *lane, struct job *job, const struct http_answer *http)
{
    struct service *service = lane_service(lane, job);
    struct push_answer answer;

    lane->conf.provider->ops->answer(http, &answer);
    switch (answer.verdict) {
    case PUSH_TAKEN:
        service_proven(service, job->credential_no);
        services_good(&lane->services, service, clock_mono_ms());
        tell_good(lane, service);
        lane_end(lane, job, PUSH_RESULT_ACCEPTED, answer.status, "");
        break;
    case PUSH_DEAD:
        tell_good(lane, service);
        token_dead(lane, job, &answer);
        break;
    case PUSH_FOREIGN:
        token_foreign(lane, job, &answer);
        break;
    case PUSH_UNREACHED:
        platform_unreached(lane, job, &answer);
        break;
    case PUSH_REFUSED:
        tell_good(lane, service);
        lane_end(lane, job, PUSH_RESULT_DROPPED, answer.status, answer.words);
        break;
    case PUSH_LATER:
        tell_good(lane, service);
        again_later(lane, job, &answer);
        break;
    case PUSH_SLOWER:
        slower(lane, service, &answer);
        again_now(lane, job);
        break;
    case PUSH_CREDENTIAL:
        credential_refused(lane, job, &answer);
        break;
    case PUSH_MISCONFIGURED:
        tell_bad(lane, service, &answer);
        again_now(lane, job);
        break;
    case PUSH_DOWN:
    case PUSH_VERDICT_N:
        tell_bad(lane, service, &answer);
        again_later(lane, job, &answer);
        break;
    }
}

void lane_answered(void *arg, uint64_t opaque, const struct http_answer *http)
{
    struct lane *lane = arg;
    struct job *job = opaque == LANE_FETCH ? NULL : &lane->jobs.v[opaque];

    if (!job) {
        fetched(lane, http);
        return;
    }
    services_ended(&lane->services, lane_service(lane, job));
    note_answer(lane, lane_service(lane, job), http);
    /* An answer does not wait: without its note it is taken all the same. */
    if (lane_owns(lane, job) && lane_enter_again(lane, job) != CQ_OK)
        log_debug("answer_without_note", LOG_S("lane", lane->conf.name));
    answered(lane, job, http);
    lane_leave(lane);
}
