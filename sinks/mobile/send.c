/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/send.c - pushes leave after one look at the view, and come back as answers.
 */
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/hash.h"
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
    struct view_fact fact[VIEW_BATCH_MAX];
    size_t n;
    bool known; /* the view answered */
};

struct lane_batch *lane_batch_new(void)
{
    return calloc(1, sizeof(struct lane_batch));
}

static enum cq_status look(struct lane *l, struct lane_batch *b, struct pg_result **rows)
{
    struct view_ask asks[VIEW_BATCH_MAX];

    for (size_t i = 0; i < b->n; i++)
        asks[i] =
            (struct view_ask){ b->push[i].user_id,   b->job[i]->device, b->push[i].chat_id,
                               b->push[i].sender_id, b->push[i].seq,    b->job[i]->read_after };
    return view_look(l->db, &l->params, asks, b->n, b->fact, rows);
}

/* Whether pushes leave without the view because it has been away for too long. Tells so once. */
static bool goes_blind(struct lane *l)
{
    if (clock_mono_ms() - l->view_since_ms < LANE_VIEW_PATIENCE_MS)
        return false;
    if (!l->view_told)
        l->conf.tell(l->conf.arg, LANE_VIEW_AWAY, l->conf.name, pg_error(l->db));
    l->view_told = true;
    return true;
}

/* Ask the view, unless it has been away for too long to wait for it. CQ_AGAIN: the batch has to
 * wait. */
static enum cq_status ask_view(struct lane *l, struct lane_batch *b, int64_t now_ms,
                               struct pg_result **rows)
{
    enum cq_status st;

    b->known = false;
    if (now_ms < l->view_again_ms)
        return goes_blind(l) ? CQ_OK : CQ_AGAIN;
    st = look(l, b, rows);
    if (st == CQ_OK) {
        if (l->view_told)
            l->conf.tell(l->conf.arg, LANE_VIEW_BACK, l->conf.name, "");
        l->view_since_ms = l->view_again_ms = 0;
        l->view_told = false;
        b->known = true;
        return CQ_OK;
    }
    if (st != CQ_AGAIN)
        return CQ_FATAL;
    if (!l->view_since_ms)
        l->view_since_ms = now_ms;
    /* asking may have taken its time */
    l->view_again_ms = clock_mono_ms() + (goes_blind(l) ? VIEW_AWAY_MS : VIEW_RETRY_MS);
    return goes_blind(l) ? CQ_OK : CQ_AGAIN;
}

/* ---- leaving -------------------------------------------------------------------------- */

/* Nothing has to be sent: the job is ended. */
static bool is_settled(struct lane *l, struct job *j, const struct mobile_push *m,
                       const struct view_fact *f, const struct push_device *to, int64_t wall_ms)
{
    bool silent = m->read_after >= 0;

    if (j->overtaken)
        lane_end(l, j, PUSH_RESULT_ALREADY_DELIVERED, 0, OVERTAKEN);
    else if (wall_ms - m->at_ms > l->conf.max_age_ms)
        lane_end(l, j, PUSH_RESULT_DROPPED, 0, "older than PUSH_MAX_AGE_S");
    else if (!f)
        return false;
    else if (silent && !f->outstanding)
        lane_end(l, j, PUSH_RESULT_ALREADY_DELIVERED, 0,
                 "the device shows nothing that was read elsewhere");
    else if (!silent && f->delivered)
        lane_end(l, j, PUSH_RESULT_ALREADY_DELIVERED, 0, "the device has the message already");
    else if (!f->registered && wall_ms - to->registered_ms > VIEW_LAG_MS)
        lane_end(l, j, PUSH_RESULT_DROPPED, 0, "the device is not registered any more");
    else if (f->registered && f->registration > to->registered && !(l->conf.kinds & 1u << f->kind))
        lane_end(l, j, PUSH_RESULT_DROPPED, 0,
                 "the device has registered with another provider since");
    else
        return false;
    return true;
}

/* By the mute that came with the push, or by a later one in the view. A message that mentions the
 * user passes a mute; without the view the user's name is not known, so none does. */
static bool is_muted(const struct push_device *to, const struct view_fact *f,
                     const struct push_content *c, int64_t wall_ms)
{
    if (to->muted_until_ms <= wall_ms && !(f && f->muted_until_ms > wall_ms))
        return false;
    return !f || !payload_mentions(c->text, f->user);
}

static struct cq_id push_id(const struct mobile_push *m, struct cq_id device)
{
    const struct cq_span parts[] = { span_of(m->message_id.b, sizeof m->message_id.b),
                                     span_of(device.b, sizeof device.b),
                                     span_of(m->chat_id.b, sizeof m->chat_id.b),
                                     span_of(&m->seq, sizeof m->seq) };

    /* a silent one is of no message */
    return id_derive("chasqui.push", parts, m->read_after < 0 ? 2 : ARRAY_LEN(parts));
}

static void start(struct lane *l, struct job *j, const struct mobile_push *m,
                  const struct view_fact *f)
{
    const struct push_device *to = &m->targets[j->target];
    struct push_address address = to->address;
    int64_t wall_ms = clock_wall_ms();
    struct push_content c = { .chat_id = m->chat_id,
                              .message_id = m->message_id,
                              .seq = m->seq,
                              .silent = m->read_after >= 0,
                              .ttl_s = (m->at_ms + l->conf.max_age_ms - wall_ms) / 1000 };
    struct http_request request;
    const char *why = "";

    if (is_settled(l, j, m, f, to, wall_ms))
        return;
    j->registered = to->registered;
    if (f && f->registered && f->registration > to->registered) { /* registered again since */
        j->registered = f->registration;
        address.token = f->token;
        address.kind = f->kind;
    }
    if (f) {
        c.sender = f->sender;
        c.is_group = f->is_group;
        c.chat_name = f->chat_name;
        c.badge = f->badge;
        c.badge_known = true;
    }
    if (!c.silent && payload_read_frame(m->frame, l->arena, &c) != CQ_OK)
        c.type = MESSAGE_TYPE_TEXT; /* it still wakes */
    if (is_muted(to, f, &c, wall_ms)) {
        lane_end(l, j, PUSH_RESULT_MUTED, 0, "the chat is muted");
        return;
    }
    if (l->conf.provider->ops->request(l->conf.provider,
                                       &(struct provider_push){ &c, &address, push_id(m, j->device),
                                                                m->at_ms + l->conf.max_age_ms,
                                                                false },
                                       &request, &why) != CQ_OK) {
        lane_end(l, j, PUSH_RESULT_DROPPED, 0, why);
        return;
    }
    request.opaque = (uint64_t)job_index(&l->jobs, j);
    if (http_pool_post(l->pool, &request) != CQ_OK) {
        job_list_add(&l->jobs, &l->jobs.ready, j);
        return;
    }
    j->phase = JOB_FLYING;
    j->credential_no = l->conf.provider->credential_no;
    j->attempt++;
    breaker_started(&l->breaker);
}

static void take_batch(struct lane *l, struct lane_batch *b, size_t most)
{
    b->n = 0;
    while (b->n < most && b->n < VIEW_BATCH_MAX) {
        struct job *j = job_list_take(&l->jobs, &l->jobs.ready);

        if (!j)
            return;
        if (!lane_owns(l, j) || lane_decode_job(l, j, &b->push[b->n]) != CQ_OK) {
            lane_forget(l, j);
            continue;
        }
        b->job[b->n++] = j;
    }
}

static void give_back(struct lane *l, struct lane_batch *b, size_t from)
{
    for (size_t i = from; i < b->n; i++)
        job_list_add(&l->jobs, &l->jobs.ready, b->job[i]);
}

/* Whether a credential is at hand; asks for one where it has to be fetched. */
static bool has_credential(struct lane *l)
{
    struct http_request request;

    if (l->fetching)
        return false;
    if (l->conf.provider->ops->credential(l->conf.provider, clock_wall_ms(), &request) ==
        PROVIDER_READY)
        return true;
    request.opaque = LANE_FETCH;
    if (http_pool_post(l->pool, &request) == CQ_OK) {
        l->fetching = true;
        breaker_started(&l->breaker);
    }
    return false;
}

/* The wait that the provider asked for is over, and it has not asked for another. */
static void look_at_slow(struct lane *l, int64_t now_ms)
{
    if (!l->slow_until_ms || now_ms < l->slow_until_ms)
        return;
    l->slow_until_ms = 0;
    l->conf.tell(l->conf.arg, LANE_GOES_ON, l->conf.name, "");
}

enum cq_status lane_send(struct lane *l, int64_t now_ms)
{
    struct lane_batch *b = l->batch;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    int32_t room = breaker_room(&l->breaker, now_ms);
    int free_n = l->flight.size - http_pool_in_flight(l->pool);
    struct job *j;
    size_t i = 0;
    enum cq_status st;

    look_at_slow(l, now_ms);
    while ((j = jobs_due(&l->jobs, now_ms))) {
        j->phase = JOB_READY;
        job_list_add(&l->jobs, &l->jobs.ready, j);
    }
    if (room > free_n)
        room = free_n;
    if (!l->jobs.ready.n || room <= 0 || !has_credential(l))
        return CQ_OK;
    arena_reset(l->arena);
    take_batch(l, b, (size_t)room);
    if (!b->n)
        return CQ_OK;
    st = ask_view(l, b, now_ms, &rows);
    if (st != CQ_OK) {
        give_back(l, b, 0);
        return st == CQ_AGAIN ? CQ_OK : st;
    }
    for (; i < b->n && breaker_room(&l->breaker, now_ms) > 0; i++)
        start(l, b->job[i], &b->push[i], b->known ? &b->fact[i] : NULL);
    give_back(l, b, i);
    return CQ_OK;
}

/* ---- answers -------------------------------------------------------------------------- */

static void tell_good(struct lane *l)
{
    if (breaker_good(&l->breaker) && l->paused) {
        l->paused = false;
        l->conf.tell(l->conf.arg, LANE_RESUMED, l->conf.name, "");
    }
}

static void tell_bad(struct lane *l, const struct push_answer *a)
{
    bool at_once = a->verdict == PUSH_MISCONFIGURED;

    breaker_bad(&l->breaker, at_once, clock_mono_ms(), dice());
    if (l->paused && l->paused_for == a->verdict)
        return;
    /* one short failure raises no alarm: the trial after it has to fail, too */
    if (l->breaker.state == BREAKER_CLOSED || (!at_once && l->breaker.opened < 2))
        return;
    l->conf.tell(l->conf.arg, l->paused ? LANE_STILL : LANE_PAUSED, l->conf.name, a->words);
    l->paused = true;
    l->paused_for = a->verdict;
}

static void again_now(struct lane *l, struct job *j)
{
    count_add(COUNT_PUSHES_AGAIN, 1);
    j->phase = JOB_READY;
    job_list_add(&l->jobs, &l->jobs.ready, j);
}

/* Try again later: wait in memory if that is soon, otherwise park it in the topic. */
static void again_later(struct lane *l, struct job *j, const struct push_answer *a)
{
    int64_t wait_ms = retry_wait_ms(j->attempt, a->retry_after_s, dice());

    if (j->attempt >= RETRY_ATTEMPTS_MAX && l->breaker.state == BREAKER_CLOSED) {
        char words[PUSH_WORDS_MAX + 1];

        snprintf(words, sizeof words, "given up: %.180s", a->words);
        lane_end(l, j, PUSH_RESULT_DROPPED, a->status, words);
        return;
    }
    count_add(COUNT_PUSHES_AGAIN, 1);
    j->status = a->status;
    if (wait_ms <= LANE_HOLD_MS) {
        jobs_wait(&l->jobs, j, clock_mono_ms() + wait_ms);
        return;
    }
    j->due_ms = clock_mono_ms() + wait_ms;
    lane_park(l, j, a->words);
}

static void token_dead(struct lane *l, struct job *j, const struct push_answer *a)
{
    struct mobile_push m;

    arena_reset(l->arena);
    if (a->dead_since_ms && lane_decode_job(l, j, &m) == CQ_OK &&
        m.targets[j->target].registered_ms > a->dead_since_ms)
        lane_end(l, j, PUSH_RESULT_DROPPED, a->status,
                 "the provider saw the token dead before it was registered again");
    else
        lane_bury(l, j, a->status, a->words);
}

/* Whether the tokens of so many users got this answer that the configuration must be wrong. Then
 * the provider is paused, and the push waits. */
static bool is_our_fault(struct lane *l, struct job *j, struct push_answer *a)
{
    struct mobile_push m;

    arena_reset(l->arena);
    if (lane_decode_job(l, j, &m) != CQ_OK || !evidence_foreign(&l->evidence, m.user_id)) {
        tell_good(l);
        return false;
    }
    a->verdict = PUSH_MISCONFIGURED;
    tell_bad(l, a);
    again_now(l, j);
    return true;
}

/* Not a token of ours: true of one phone that moved, or of all when the configuration is wrong. */
static void token_foreign(struct lane *l, struct job *j, struct push_answer *a)
{
    if (is_our_fault(l, j, a))
        return;
    if (l->evidence.proven)
        lane_bury(l, j, a->status, a->words);
    else
        lane_end(l, j, PUSH_RESULT_DROPPED, a->status, a->words);
}

/* The token is fine, so it is not ended; anybody can register one of that platform, so the provider
 * is not paused for it. */
static void platform_unreached(struct lane *l, struct job *j, struct push_answer *a)
{
    int64_t now_ms = clock_mono_ms();

    if (is_our_fault(l, j, a))
        return;
    if (!l->unreached_ms || now_ms - l->unreached_ms > UNREACHED_EVERY_MS)
        l->conf.tell(l->conf.arg, LANE_UNREACHED, l->conf.name, a->words);
    l->unreached_ms = now_ms;
    lane_end(l, j, PUSH_RESULT_DROPPED, a->status, a->words);
}

/* The whole provider later, as it asks. The wait has a bound, and is told. */
static void slower(struct lane *l, const struct push_answer *a)
{
    int64_t now_ms = clock_mono_ms();
    int64_t wait_ms = breaker_wait(&l->breaker, a->retry_after_s * 1000, now_ms);
    char words[PUSH_WORDS_MAX + 64];

    if (!l->slow_until_ms || wait_ms > 2 * l->slow_said_ms) {
        snprintf(words, sizeof words, "asks for %lld s, gets %lld s: %s",
                 (long long)a->retry_after_s, (long long)(wait_ms / 1000), a->words);
        l->conf.tell(l->conf.arg, l->slow_until_ms ? LANE_SLOWER : LANE_SLOWED, l->conf.name,
                     words);
        l->slow_said_ms = wait_ms;
    }
    if (wait_ms < SLOW_QUIET_MS)
        wait_ms = SLOW_QUIET_MS;
    if (l->slow_until_ms < now_ms + wait_ms)
        l->slow_until_ms = now_ms + wait_ms;
}

/* Adapt the number of requests in flight to the fate of the connections. */
static void note_answer(struct lane *l, const struct http_answer *http)
{
    struct flight *w = &l->flight;
    char words[96];

    if (http->st == CQ_OK) {
        flight_answered(w);
    } else {
        count_add(COUNT_PUSHES_UNKNOWN, 1);
        flight_lost(w, clock_mono_ms());
    }
    if (!l->narrow && w->size <= w->most / 4 && w->size < w->most) {
        l->narrow = true;
        snprintf(words, sizeof words, "%d at once, of %d", w->size, w->most);
        l->conf.tell(l->conf.arg, LANE_NARROWED, l->conf.name, words);
    } else if (l->narrow && w->size >= w->most / 2) {
        l->narrow = false;
        l->conf.tell(l->conf.arg, LANE_WIDENED, l->conf.name, "");
    }
}

static void credential_refused(struct lane *l, struct job *j, struct push_answer *a)
{
    struct provider *p = l->conf.provider;

    j->attempt--; /* it was not this push that was refused */
    if (j->credential_no == p->credential_no && !p->ops->refused(p, clock_wall_ms())) {
        a->verdict = PUSH_MISCONFIGURED;
        tell_bad(l, a);
    } else {
        breaker_go_on(&l->breaker);
    }
    again_now(l, j);
}

static void fetched(struct lane *l, const struct http_answer *a)
{
    struct push_answer answer;

    l->fetching = false;
    if (l->conf.provider->ops->fetched(l->conf.provider, a, clock_wall_ms(), &answer) == CQ_OK)
        breaker_go_on(&l->breaker);
    else
        tell_bad(l, &answer);
}

void lane_answered(void *arg, uint64_t opaque, const struct http_answer *http)
{
    struct lane *l = arg;
    struct push_answer a;
    struct job *j;

    if (opaque == LANE_FETCH) {
        fetched(l, http);
        return;
    }
    j = &l->jobs.v[opaque];
    note_answer(l, http);
    l->conf.provider->ops->answer(http, &a);
    switch (a.verdict) {
    case PUSH_TAKEN:
        evidence_taken(&l->evidence);
        tell_good(l);
        lane_end(l, j, PUSH_RESULT_ACCEPTED, a.status, "");
        break;
    case PUSH_DEAD:
        tell_good(l);
        token_dead(l, j, &a);
        break;
    case PUSH_FOREIGN:
        token_foreign(l, j, &a);
        break;
    case PUSH_UNREACHED:
        platform_unreached(l, j, &a);
        break;
    case PUSH_REFUSED:
        tell_good(l);
        lane_end(l, j, PUSH_RESULT_DROPPED, a.status, a.words);
        break;
    case PUSH_LATER:
        tell_good(l);
        again_later(l, j, &a);
        break;
    case PUSH_SLOWER:
        slower(l, &a);
        again_now(l, j);
        break;
    case PUSH_CREDENTIAL:
        credential_refused(l, j, &a);
        break;
    case PUSH_MISCONFIGURED:
        tell_bad(l, &a);
        again_now(l, j);
        break;
    case PUSH_DOWN:
    case PUSH_VERDICT_N:
        tell_bad(l, &a);
        again_later(l, j, &a);
        break;
    }
}
