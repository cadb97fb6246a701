/* SPDX-License-Identifier: MIT */
#include "lib/bus/versions.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    FRAMING = 5,        /* a zero byte and the id, see schemas/codec.h */
    QUESTIONS_MAX = 64, /* whoever finds no room asks again later */
    AGAIN_MS = 1000,    /* after a question without an answer */
    AWAIT_MS = 30000,
    LOOK_MS = 5,
    STOP_S = 2,
    ID_DIGITS = 8,
};

/* ---- the announcements ---------------------------------------------------------------- */

/* What a reader of the topic has seen, up to `next`. */
struct announced {
    uint32_t ids[VERSIONS_MAX];
    size_t n;
    bool too_many;
    int64_t next;
};

static size_t find(const struct announced *announced, uint32_t id)
{
    size_t i = 0;

    while (i < announced->n && announced->ids[i] != id)
        i++;
    return i;
}

static enum cq_status take_announcement(void *arg, const struct bus_record *rec)
{
    struct announced *announced = arg;
    char digits[ID_DIGITS + 1] = "", *end;
    uint32_t id;
    size_t i;

    if (rec->key.n != ID_DIGITS)
        return CQ_OK;
    memcpy(digits, rec->key.p, ID_DIGITS);
    id = (uint32_t)strtoul(digits, &end, 16);
    if (*end)
        return CQ_OK;
    i = find(announced, id);
    if (!rec->value.p && i < announced->n) /* taken back */
        announced->ids[i] = announced->ids[--announced->n];
    else if (rec->value.p && i == VERSIONS_MAX)
        announced->too_many = true;
    else if (rec->value.p && i == announced->n)
        announced->ids[announced->n++] = id;
    return CQ_OK;
}

/* Read what came since; all of it when the topic was made anew. */
static enum cq_status read_on(struct reader *reader, const char *topic, struct announced *announced)
{
    int64_t first, next;
    enum cq_status st = reader_watermarks(reader, topic, 0, &first, &next);

    if (st == CQ_OK && next < announced->next)
        *announced = (struct announced){ 0 };
    if (st == CQ_OK && announced->next < first)
        announced->next = first;
    if (st == CQ_OK && announced->next < next)
        st = reader_scan(reader, topic, 0, announced->next, next, take_announcement, announced);
    if (st == CQ_OK)
        announced->next = next;
    return st;
}

/* ---- questions ------------------------------------------------------------------------ */

enum question_state { QUESTION_NONE, QUESTION_ASKED, QUESTION_ANSWERED };

struct question {
    enum question_state state;
    char topic[BUS_NAME_MAX];
    int32_t partition;
    int64_t below;
};

/* The one of the process. What follows `lock` is under it. */
static struct {
    const char *brokers, *topic;
    versions_known_fn *known; /* NULL: nothing is judged */
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct question questions[QUESTIONS_MAX];
    size_t turn; /* the question that is looked at first: one without an answer holds up no other */
    struct announced announced;
    pthread_t thread;
    bool threaded; /* since the first question */
    bool stopping;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER };

static struct question *in_state(enum question_state state)
{
    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        struct question *question = &all.questions[(all.turn + i) % QUESTIONS_MAX];

        if (question->state == state)
            return question;
    }
    return NULL;
}

static struct question *question_of(const char *topic, int32_t partition)
{
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        if (all.questions[i].state != QUESTION_NONE && all.questions[i].partition == partition &&
            strcmp(all.questions[i].topic, topic) == 0)
            return &all.questions[i];
    return NULL;
}

/* The end of the partition first: what is below it was announced before. `seen` is the thread's,
 * and is shown when the answer is. */
static enum cq_status answer(struct reader *reader, struct question *question,
                             struct announced *seen)
{
    int64_t first;
    enum cq_status st =
        reader_watermarks(reader, question->topic, question->partition, &first, &question->below);

    return st == CQ_OK ? read_on(reader, all.topic, seen) : st;
}

static bool has_question(struct question *ret)
{
    const struct question *question;

    pthread_mutex_lock(&all.lock);
    question = in_state(QUESTION_ASKED);
    if (question) {
        *ret = *question;
        all.turn = (size_t)(question - all.questions) + 1;
    }
    pthread_mutex_unlock(&all.lock);
    return question != NULL;
}

static bool stops(void)
{
    bool stopping;

    pthread_mutex_lock(&all.lock);
    stopping = all.stopping;
    pthread_mutex_unlock(&all.lock);
    return stopping;
}

static void wait_for_question(void)
{
    pthread_mutex_lock(&all.lock);
    while (!all.stopping && !in_state(QUESTION_ASKED))
        pthread_cond_wait(&all.asked, &all.lock);
    pthread_mutex_unlock(&all.lock);
}

static void publish(const struct question *answered, const struct announced *seen)
{
    struct question *question;

    pthread_mutex_lock(&all.lock);
    all.announced = *seen;
    question = question_of(answered->topic, answered->partition);
    if (question && question->state == QUESTION_ASKED) {
        question->state = QUESTION_ANSWERED;
        question->below = answered->below;
    }
    pthread_mutex_unlock(&all.lock);
}

/* Its client is closed while nobody asks: a client that only waits costs threads that wake. */
static void *judge_main(void *arg)
{
    static struct announced seen; /* there is one such thread at a time */
    struct reader *reader = NULL;
    struct question question;

    (void)arg;
    seen = (struct announced){ 0 };
    while (!stops()) {
        enum cq_status st = CQ_OK;

        if (!has_question(&question)) {
            reader_free(reader);
            reader = NULL;
            wait_for_question();
            continue;
        }
        if (!reader)
            st = reader_new(all.brokers, &reader);
        if (st == CQ_OK)
            st = answer(reader, &question, &seen);
        if (st == CQ_OK) {
            publish(&question, &seen);
            continue;
        }
        unjudged_tell(question.topic, question.partition, cq_status_name(st));
        clock_sleep_ms(AGAIN_MS);
    }
    reader_free(reader);
    return NULL;
}

/* With the lock held. */
static void wake_thread(void)
{
    if (!all.threaded && !all.stopping)
        all.threaded = pthread_create(&all.thread, NULL, judge_main, NULL) == 0;
    pthread_cond_signal(&all.asked);
}

bool versions_ask(const char *topic, int32_t partition, int64_t *ret_below)
{
    struct question *question;
    bool answered;

    pthread_mutex_lock(&all.lock);
    question = question_of(topic, partition);
    answered = question && question->state == QUESTION_ANSWERED;
    if (answered) {
        *ret_below = question->below;
        question->state = QUESTION_NONE;
    } else if (!question) {
        question = in_state(QUESTION_NONE);
        if (!question) /* nobody came for this answer */
            question = in_state(QUESTION_ANSWERED);
        if (question) {
            *question = (struct question){ QUESTION_ASKED, .partition = partition };
            snprintf(question->topic, sizeof question->topic, "%s", topic);
        }
    }
    if (!answered)
        wake_thread();
    pthread_mutex_unlock(&all.lock);
    return answered;
}

bool versions_is_announced(uint32_t id)
{
    bool is;

    pthread_mutex_lock(&all.lock);
    is = all.announced.too_many || find(&all.announced, id) < all.announced.n;
    pthread_mutex_unlock(&all.lock);
    return is;
}

/* ---- records -------------------------------------------------------------------------- */

bool versions_is_unknown(const struct bus_record *rec, uint32_t *last, uint32_t *ret_id)
{
    const uint8_t *p = rec->value.p;
    uint32_t id;

    if (!all.known || rec->value.n < FRAMING || p[0] != 0)
        return false;
    id = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (id == *last)
        return false;
    *ret_id = id;
    if (!all.known(id))
        return true;
    *last = id;
    return false;
}

enum cq_status versions_await(const struct bus_record *rec, int64_t *judged)
{
    int64_t until_ms = clock_mono_ms() + AWAIT_MS;
    uint32_t last = 0, id;

    if (!versions_is_unknown(rec, &last, &id) || strcmp(rec->topic, all.topic) == 0)
        return CQ_OK;
    while (rec->offset >= *judged) {
        if (versions_ask(rec->topic, rec->partition, judged))
            continue;
        if (!clock_left_ms(until_ms))
            return CQ_AGAIN;
        clock_sleep_ms(LOOK_MS);
    }
    if (!versions_is_announced(id))
        return CQ_OK;
    newer_tell(rec, id);
    return CQ_POISON;
}

/* ---- life ----------------------------------------------------------------------------- */

void versions_start(const char *brokers, const char *topic, versions_known_fn *known)
{
    pthread_mutex_lock(&all.lock);
    all.brokers = brokers;
    all.topic = topic;
    all.known = known;
    all.announced = (struct announced){ 0 };
    memset(all.questions, 0, sizeof all.questions);
    all.stopping = false;
    pthread_mutex_unlock(&all.lock);
}

void versions_stop(void)
{
    struct timespec until;

    pthread_mutex_lock(&all.lock);
    all.stopping = true;
    all.known = NULL;
    pthread_cond_signal(&all.asked);
    pthread_mutex_unlock(&all.lock);
    if (!all.threaded)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_S;
    all.threaded = pthread_timedjoin_np(all.thread, NULL, &until) != 0;
}

/* ---- announcing ----------------------------------------------------------------------- */

static enum cq_status read_all(const char *brokers, const char *topic, struct announced *announced,
                               char *reterr, size_t reterr_n)
{
    struct reader *reader = NULL;
    enum cq_status st = reader_new(brokers, &reader);

    *announced = (struct announced){ 0 };
    if (st == CQ_OK)
        st = read_on(reader, topic, announced);
    reader_free(reader);
    if (st != CQ_OK)
        snprintf(reterr, reterr_n, "the announced versions in topic %s cannot be read: %s", topic,
                 cq_status_name(st));
    return st;
}

enum cq_status versions_check(const char *brokers, const char *topic, const struct version *version,
                              size_t n, char *reterr, size_t reterr_n)
{
    static struct announced announced;
    enum cq_status st = read_all(brokers, topic, &announced, reterr, reterr_n);

    for (size_t i = 0; st == CQ_OK && i < n; i++)
        if (find(&announced, version[i].id) == announced.n) {
            snprintf(reterr, reterr_n,
                     "schema %08x of this build is not announced in topic %s: run `chasqui admin "
                     "topics` of the same build first",
                     version[i].id, topic);
            st = CQ_FATAL;
        }
    return st;
}

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    size_t *stored = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    *stored += st == CQ_OK;
}

static enum cq_status announce_one(struct producer *producer, const char *topic,
                                   const struct version *version)
{
    char key[ID_DIGITS + 1];

    snprintf(key, sizeof key, "%08x", version->id);
    return producer_send(producer, &(struct bus_send){ .topic = topic,
                                                       .key = span_str(key),
                                                       .value = span_str(version->schema) });
}

enum cq_status versions_announce(const char *brokers, const char *topic,
                                 const struct version *version, size_t n, char *reterr,
                                 size_t reterr_n)
{
    static struct announced announced;
    size_t stored = 0, sent = 0;
    struct producer *producer = NULL;
    enum cq_status st = read_all(brokers, topic, &announced, reterr, reterr_n);

    if (st != CQ_OK)
        return st;
    st = producer_new(&(struct producer_conf){ .brokers = brokers,
                                               .client_id = "chasqui-admin",
                                               .message_timeout_ms = AWAIT_MS,
                                               .report = on_report,
                                               .arg = &stored },
                      &producer);
    for (size_t i = 0; st == CQ_OK && i < n; i++) {
        if (find(&announced, version[i].id) < announced.n)
            continue;
        st = announce_one(producer, topic, &version[i]);
        sent++;
    }
    if (st == CQ_OK)
        producer_flush(producer, 2 * AWAIT_MS);
    if (st != CQ_OK || stored != sent) {
        snprintf(reterr, reterr_n, "versions cannot be announced in topic %s: %s", topic,
                 producer ? producer_error(producer)
                          : "no memory, or Kafka's client refused its settings");
        st = CQ_AGAIN;
    }
    producer_free(producer);
    return st;
}
