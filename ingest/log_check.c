/* SPDX-License-Identifier: MIT */
#include "ingest/log_check.h"

#include "lib/base/arena.h"
#include "lib/base/log.h"
#include "schemas/codec.h"
#include "schemas/records.gen.h"
#include "schemas/topics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARENA_BYTES = 4 * 1024 * 1024 };

/* What is written to, who reads it, and what is made of it. */
static const struct watched {
    enum topic topic;
    const char *group;
    enum topic made;
} watched[TRUST_TOPICS] = {
    { TOPIC_CHAT_ACTIONS, "chat", TOPIC_CHAT_EVENTS },
    { TOPIC_USER_INBOX, "user", TOPIC_USER_EVENTS },
};

struct log_check {
    char *brokers; /* owned */
    int32_t partitions;
    int wake_fd;
    pthread_t thread;
    struct reader *reader;  /* the thread's */
    struct cq_arena *arena; /* the thread's */
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t news;
    enum { CHECK_IDLE, CHECK_ASKED, CHECK_WORKING, CHECK_ANSWERED } step;
    bool ending;
    struct log_question question;
    struct trust_found found;
};

const char *log_check_topic(int topic)
{
    return topic_name(watched[topic].topic);
}

/* ---- the questions ---------------------------------------------------------------------- */

static void take_highest(void *arg, int32_t partition, int64_t next, const char *meta)
{
    int64_t *spoken = arg;

    (void)meta;
    if (next > spoken[partition])
        spoken[partition] = next;
}

struct sources {
    struct cq_arena *arena;
    int64_t *spoken;
};

static enum cq_status on_event(void *arg, const struct bus_record *rec)
{
    struct sources *sources = arg;
    struct chat_event event;

    arena_reset(sources->arena);
    if (codec_decode(&chat_event_codec, rec->value, sources->arena, &event, NULL) == CQ_OK)
        take_highest(sources->spoken, rec->partition, event.source.offset + 1, "");
    return CQ_OK; /* a record that cannot be decoded names no source */
}

static enum cq_status on_user_event(void *arg, const struct bus_record *rec)
{
    struct sources *sources = arg;
    struct user_event event;

    arena_reset(sources->arena);
    if (codec_decode(&user_event_codec, rec->value, sources->arena, &event, NULL) == CQ_OK)
        take_highest(sources->spoken, rec->partition, event.source.offset + 1, "");
    return CQ_OK;
}

/* Commits lag a little behind what was produced, or are older than it after a loss of power. */
static enum cq_status ask_made(struct log_check *lc, int topic, int64_t *spoken)
{
    const char *made = topic_name(watched[topic].made);
    int64_t end[PARTITIONS_MAX], sources[PARTITIONS_MAX] = { 0 };
    struct sources into = { lc->arena, sources };
    enum cq_status st = reader_ends(lc->reader, made, lc->partitions, end);

    if (st == CQ_OK)
        st = reader_lasts(lc->reader, made, lc->partitions, end,
                          watched[topic].made == TOPIC_CHAT_EVENTS ? on_event : on_user_event,
                          &into);
    if (st == CQ_OK)
        st = reader_ends(lc->reader, log_check_topic(topic), lc->partitions, end);
    for (int32_t p = 0; st == CQ_OK && p < lc->partitions; p++)
        if (sources[p] - end[p] <= BUS_TAIL_MAX)
            take_highest(spoken, p, sources[p], "");
    return st;
}

/* A position beyond the end is recorded, for all other writers and for the operator's command. */
static void note_cut(struct log_check *lc, int topic, int32_t partition, int64_t end, int64_t floor,
                     struct trust_found *found)
{
    const char *name = log_check_topic(topic);

    if (reader_raise_floor(lc->reader, name, partition, floor) != CQ_OK)
        log_debug("cut_not_told", LOG_S("topic", name));
    if (found->st == CQ_FATAL)
        return;
    found->st = CQ_FATAL;
    found->cut = (struct bus_cut){ .partition = partition, .end = end, .floor = floor };
    snprintf(found->cut.topic, sizeof found->cut.topic, "%s", name);
}

static enum cq_status look_at(struct log_check *lc, int topic, const struct log_question *question,
                              struct trust_found *found)
{
    int64_t *spoken = found->spoken[topic], end[PARTITIONS_MAX];
    const char *name = log_check_topic(topic);
    enum cq_status st =
        reader_commits(lc->reader, BUS_FLOOR_GROUP, name, lc->partitions, take_highest, spoken);

    if (st == CQ_OK && question->full)
        st = reader_commits(lc->reader, watched[topic].group, name, lc->partitions, take_highest,
                            spoken);
    if (st == CQ_OK && question->full)
        st = ask_made(lc, topic, spoken);
    if (st == CQ_OK) /* ends are asked last, so that what was committed meanwhile cannot lie beyond
                      * them */
        st = reader_ends(lc->reader, name, lc->partitions, end);
    for (int32_t p = 0; st == CQ_OK && p < lc->partitions; p++) {
        int64_t floor =
            spoken[p] > question->reached[topic][p] ? spoken[p] : question->reached[topic][p];

        if (end[p] < floor)
            note_cut(lc, topic, p, end[p], floor, found);
    }
    return st;
}

static void look(struct log_check *lc, const struct log_question *question,
                 struct trust_found *found)
{
    memset(found, 0, sizeof *found);
    found->connects = question->connects;
    for (int topic = 0; topic < TRUST_TOPICS; topic++)
        if (look_at(lc, topic, question, found) != CQ_OK && found->st == CQ_OK)
            found->st = CQ_AGAIN;
}

/* ---- the thread ------------------------------------------------------------------------- */

static void log_check_free(struct log_check *lc)
{
    reader_free(lc->reader);
    arena_free(lc->arena);
    free(lc->brokers);
    free(lc);
}

static void wake(const struct log_check *lc)
{
    static const uint64_t one = 1;

    if (write(lc->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable already */
}

static void *check_main(void *arg)
{
    struct log_check *lc = arg;
    struct log_question *question = calloc(1, sizeof *question);
    struct trust_found *found = calloc(1, sizeof *found);

    pthread_mutex_lock(&lc->lock);
    while (!lc->ending) {
        if (lc->step != CHECK_ASKED) {
            pthread_cond_wait(&lc->news, &lc->lock);
            continue;
        }
        lc->step = CHECK_WORKING;
        *question = lc->question;
        pthread_mutex_unlock(&lc->lock);
        look(lc, question, found);
        pthread_mutex_lock(&lc->lock);
        lc->found = *found;
        lc->step = CHECK_ANSWERED;
        if (!lc->ending)
            wake(lc);
    }
    pthread_mutex_unlock(&lc->lock);
    free(question);
    free(found);
    log_check_free(lc);
    return NULL;
}

struct log_check *log_check_start(const char *brokers, int32_t partitions, int wake_fd)
{
    struct log_check *lc = calloc(1, sizeof *lc);

    if (!lc)
        return NULL;
    lc->brokers = strdup(brokers);
    lc->partitions = partitions < PARTITIONS_MAX ? partitions : PARTITIONS_MAX;
    lc->wake_fd = wake_fd;
    lc->arena = arena_new(ARENA_BYTES);
    pthread_mutex_init(&lc->lock, NULL);
    pthread_cond_init(&lc->news, NULL);
    if (!lc->brokers || !lc->arena || reader_new(lc->brokers, &lc->reader) != CQ_OK ||
        pthread_create(&lc->thread, NULL, check_main, lc) != 0) {
        log_check_free(lc);
        return NULL;
    }
    return lc;
}

void log_check_stop(struct log_check *lc)
{
    pthread_t thread;
    bool busy;

    if (!lc)
        return;
    pthread_mutex_lock(&lc->lock);
    lc->ending = true;
    busy = lc->step == CHECK_WORKING;
    thread = lc->thread;
    pthread_cond_signal(&lc->news);
    pthread_mutex_unlock(&lc->lock);
    if (busy) /* it may wait for a broker that is away, and frees itself */
        pthread_detach(thread);
    else
        pthread_join(thread, NULL);
}

/* ---- asking ----------------------------------------------------------------------------- */

void log_check_ask(struct log_check *lc, const struct log_question *question)
{
    pthread_mutex_lock(&lc->lock);
    lc->question = *question;
    lc->step = CHECK_ASKED;
    pthread_cond_signal(&lc->news);
    pthread_mutex_unlock(&lc->lock);
}

bool log_check_take(struct log_check *lc, struct trust_found *ret)
{
    bool done;

    pthread_mutex_lock(&lc->lock);
    done = lc->step == CHECK_ANSWERED;
    if (done) {
        *ret = lc->found;
        lc->step = CHECK_IDLE;
    }
    pthread_mutex_unlock(&lc->lock);
    return done;
}
