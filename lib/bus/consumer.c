/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/commits.h"
#include "lib/bus/gather.h"
#include "lib/bus/places.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    OWNED_MAX = 4096,
    CALL_MS = 10000,
    SEEK_MS = 1000,         /* it asks nobody but the library's own thread */
    TAKE_WITHIN_MS = 30000, /* for each question of a take-over; the group waits for 300 s */
    TRIES_ELSE = 6,         /* of a request with an error that does not heal: the answer may be
                             * stale */
    RESETS_MAX = 3,
    CLOSE_SECONDS = 5,
    REVOKE_MS = 5000, /* for the last commits to be answered when partitions go … */
    LEAVE_MS = 2000,  /* … and when the consumer goes, which takes CLOSE_SECONDS in all */
    TOPICS_MAX = 8,
    ERROR_MAX = 256,
    TEXT_MAX = 1024 + 1,
    FILLERS_MS = 500, /* of passing over fillers; then the caller's loop goes round */
    SPELL_MS = 1000,
    SPELL_BUSY = 2000,     /* records in one spell: much was held at a time ... */
    SPELL_CALM = 1000,     /* ... and now no more */
    COMMIT_AGAIN_MS = 500, /* after one that failed */
    TROUBLE_MS = 120000,   /* fenced so soon after the broker was away: by our own earlier self */
};

/* A partition that is ours. The paused bit is our own: resuming one that is not paused can move
 * its position back in librdkafka 2.0.2. */
struct owned {
    char topic[BUS_NAME_MAX];
    int32_t partition;
    bool paused;
    int64_t next;  /* the record that is taken next … */
    int64_t end;   /* … and the end of the partition when it was taken over */
    bool again;    /* the last consumer_commit() failed: it leaves once more */
    int64_t asked; /* its offset; -1: none, or one that was waited for came after it … */
    char *meta;    /* … and its text; owned; NULL: none */
};

struct consumer {
    rd_kafka_t *rk;          /* owned */
    rd_kafka_queue_t *queue; /* owned; only when nonblocking */
    const struct consumer_ops *ops;
    void *arg;
    struct owned owned[OWNED_MAX];
    int owned_n;
    int owned_last; /* the one of the last record: the next is of the same, as a rule */
    struct commits commits;
    int64_t again_ms;      /* when those that failed leave once more; 0: none */
    enum cq_status failed; /* what a callback or a seek said; CQ_AGAIN: the next poll joins anew */
    int resets; /* times that it joined anew because of its place, without a record since */
    int fd;
    /* for joining anew: copies of what was borrowed */
    struct consumer_conf conf;
    char text[4][TEXT_MAX];
    char topic[TOPICS_MAX][BUS_NAME_MAX];
    const char *topics[TOPICS_MAX];
    int64_t spell_ms; /* when this spell began */
    int spell_n;      /* records since */
    struct gather gather;
    bool slack;           /* it was busy, and no memory was given back since */
    int64_t leave_ms;     /* it is being freed, and waits for commits until then; 0: it is not */
    pthread_mutex_t gate; /* while `ops` is called, or ends to be, by the thread that closes */
    int64_t trouble_ms;   /* when the broker or the group was last seen to be away; 0: never */
    char why[ERROR_MAX];  /* of the last fatal status */
};

static void set_why(struct consumer *consumer, const char *what, rd_kafka_resp_err_t err,
                    const char *detail)
{
    snprintf(consumer->why, sizeof consumer->why, "%s: %s%s%s", what, rd_kafka_err2name(err),
             detail ? ": " : "", detail ? detail : "");
}

static rd_kafka_topic_partition_list_t *one_partition(const char *topic, int32_t partition,
                                                      int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

static bool owned_is(const struct owned *owned, const char *topic, int32_t partition)
{
    return owned->partition == partition && strcmp(owned->topic, topic) == 0;
}

static struct owned *find_owned(struct consumer *consumer, const char *topic, int32_t partition)
{
    for (int i = 0; i < consumer->owned_n; i++)
        if (owned_is(&consumer->owned[i], topic, partition))
            return &consumer->owned[i];
    return NULL;
}

static void forget_asked(struct owned *owned)
{
    free(owned->meta);
    owned->meta = NULL;
    owned->asked = -1;
    owned->again = false;
}

/* What was asked for last leaves once more: on a partition that gets nothing more, nobody else would
 * ask for it. */
static void on_commit_failed(void *arg, const char *topic, int32_t partition)
{
    struct consumer *consumer = arg;
    struct owned *owned = find_owned(consumer, topic, partition);

    if (!owned || owned->asked < 0)
        return;
    owned->again = true;
    consumer->again_ms = clock_mono_ms() + COMMIT_AGAIN_MS;
}

/* Commits that failed are added to those gathered for the next request. */
static void gather_again(struct consumer *consumer)
{
    if (!consumer->again_ms || clock_mono_ms() < consumer->again_ms)
        return;
    consumer->again_ms = 0;
    for (int i = 0; i < consumer->owned_n; i++)
        if (consumer->owned[i].again) {
            commits_add(&consumer->commits, consumer->owned[i].topic, consumer->owned[i].partition,
                        consumer->owned[i].asked, consumer->owned[i].meta);
            consumer->owned[i].again = false;
        }
}

static void serve_commits(struct consumer *consumer)
{
    gather_again(consumer);
    commits_serve(&consumer->commits);
}

static void set_paused(struct consumer *consumer, struct owned *owned, bool paused)
{
    rd_kafka_topic_partition_list_t *list =
        one_partition(owned->topic, owned->partition, RD_KAFKA_OFFSET_INVALID);

    if (paused)
        rd_kafka_pause_partitions(consumer->rk, list);
    else
        rd_kafka_resume_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    owned->paused = paused;
}

static void forget_owned(struct consumer *consumer)
{
    for (int i = 0; i < consumer->owned_n; i++)
        forget_asked(&consumer->owned[i]);
    consumer->owned_n = 0;
    consumer->again_ms = 0;
}

static void forget_all(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list,
                       bool lost)
{
    if (lost || consumer->leave_ms) /* nobody waits for what cannot be stored, or a second time */
        commits_serve(&consumer->commits);
    else
        commits_drain(&consumer->commits, REVOKE_MS);
    commits_forget(&consumer->commits);
    /* librdkafka remembers the pause of a partition that went away: it would stand still for ever
     * when it comes back. */
    for (int i = 0; i < consumer->owned_n; i++)
        if (consumer->owned[i].paused)
            set_paused(consumer, &consumer->owned[i], false);
    pthread_mutex_lock(&consumer->gate);
    for (int i = 0; i < list->cnt; i++)
        if (consumer->ops && consumer->ops->revoked)
            consumer->ops->revoked(consumer->arg, list->elems[i].topic, list->elems[i].partition,
                                   lost);
    pthread_mutex_unlock(&consumer->gate);
    forget_owned(consumer); /* the eager protocol takes everything at once */
}

/* One request of a take-over. It is repeated while that may help: for as long as the group waits
 * when the error can heal, otherwise a few times. */
struct asking {
    int64_t began_ms;
    int tries;
};

/* CQ_OK: ask again. CQ_AGAIN: it does not heal in time; take over anew. CQ_FATAL: it never will. */
static enum cq_status ask_again(struct consumer *consumer, struct asking *asking, const char *what,
                                rd_kafka_resp_err_t err, const char *topic)
{
    int64_t now_ms = clock_mono_ms();
    bool heals = rdkafka_heals(err);

    if (!asking->tries)
        asking->began_ms = now_ms;
    set_why(consumer, what, err, topic);
    log_debug("take_over_waits", LOG_S("why", consumer->why));
    if (heals &&
        (now_ms - asking->began_ms > TAKE_WITHIN_MS || rd_kafka_assignment_lost(consumer->rk)))
        return CQ_AGAIN;
    if (!heals && asking->tries >= TRIES_ELSE)
        return CQ_FATAL;
    clock_sleep_ms(backoff_ms(asking->tries++, 50, 1000));
    return CQ_OK;
}

/* The group's offsets and their texts. */
static enum cq_status read_committed(struct consumer *consumer,
                                     rd_kafka_topic_partition_list_t *list)
{
    struct asking asking = { 0 };

    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_committed(consumer->rk, list, CALL_MS);
        enum cq_status st;

        for (int i = 0; !err && i < list->cnt; i++)
            err = list->elems[i].err;
        if (!err)
            return CQ_OK;
        st = ask_again(consumer, &asking, "commits of the group cannot be read", err, NULL);
        if (st != CQ_OK)
            return st;
    }
}

/* First or next offset of a partition. */
static enum cq_status read_end(struct consumer *consumer, const char *topic, int32_t partition,
                               int64_t at, int64_t *ret)
{
    struct asking asking = { 0 };
    rd_kafka_resp_err_t err;

    while ((err = rdkafka_find_offset(consumer->rk, topic, partition, at, CALL_MS, ret))) {
        enum cq_status st =
            ask_again(consumer, &asking, "ends of a partition cannot be read", err, topic);

        if (st != CQ_OK)
            return st;
    }
    return CQ_OK;
}

/* Record the floor, for every writer of the topic. */
static void tell_cut(const struct consumer *consumer, const char *topic, int32_t partition,
                     int64_t at)
{
    rd_kafka_t *rk = places_open(consumer->conf.brokers, BUS_FLOOR_GROUP);

    if (!rk || places_raise(rk, topic, partition, at) != CQ_OK)
        log_debug("cut_not_told", LOG_S("topic", topic)); /* the next start does */
    places_close(rk);
}

/* Bring `*at` into the log. What expired before it was read is passed over, counted and said. A
 * log that ends before `*at` lost its tail: going on would skip what is written from now on, so
 * nobody does. */
static bool fit_into_log(struct consumer *consumer, const rd_kafka_topic_partition_t *tp,
                         int64_t first, int64_t next, int64_t *at)
{
    if (*at > next) {
        snprintf(consumer->why, sizeof consumer->why,
                 "log_was_cut: %s partition %d ends at %lld, before position %lld; it lost records",
                 tp->topic, tp->partition, (long long)next, (long long)*at);
        tell_cut(consumer, tp->topic, tp->partition, *at);
        return false;
    }
    if (*at >= 0 && *at < first) {
        expired_tell(tp->topic, tp->partition, *at, first);
        *at = first;
    }
    return true;
}

static enum cq_status take_one(struct consumer *consumer, rd_kafka_topic_partition_t *tp)
{
    int64_t committed = tp->offset >= 0 ? tp->offset : -1;
    int64_t from = BUS_FROM_COMMIT, first, next, kept;
    char meta[BUS_META_MAX + 1] = "";
    enum cq_status st;

    /* The owner may keep its position elsewhere: only what is read from has to be in the log. */
    st = read_end(consumer, tp->topic, tp->partition, RD_KAFKA_OFFSET_BEGINNING, &first);
    if (st == CQ_OK)
        st = read_end(consumer, tp->topic, tp->partition, RD_KAFKA_OFFSET_END, &next);
    if (st != CQ_OK)
        return st;
    kept = committed >= 0 && committed < first ? first : committed;
    if (tp->metadata && tp->metadata_size && tp->metadata_size <= BUS_META_MAX)
        memcpy(meta, tp->metadata, tp->metadata_size);
    if (consumer->ops && consumer->ops->assigned) {
        st = consumer->ops->assigned(consumer->arg, tp->topic, tp->partition, kept, meta, &from);
        if (st != CQ_OK) {
            snprintf(consumer->why, sizeof consumer->why, "partition %d of %s cannot be taken",
                     tp->partition, tp->topic);
            if (st == CQ_AGAIN && consumer->ops->revoked) /* undo what the callback had begun */
                consumer->ops->revoked(consumer->arg, tp->topic, tp->partition, true);
            return st;
        }
    }
    if (from == BUS_FROM_COMMIT || from == kept)
        from = committed >= 0 ? committed : BUS_FROM_START;
    if (from != BUS_FROM_START && !fit_into_log(consumer, tp, first, next, &from))
        return CQ_FATAL;
    tp->offset = from == BUS_FROM_START ? RD_KAFKA_OFFSET_BEGINNING : from;
    if (consumer->owned_n == OWNED_MAX)
        return CQ_FATAL;
    consumer->owned[consumer->owned_n] =
        (struct owned){ .partition = tp->partition,
                        .asked = -1,
                        .next = from == BUS_FROM_START ? first : from,
                        .end = next };
    snprintf(consumer->owned[consumer->owned_n++].topic, BUS_NAME_MAX, "%s", tp->topic);
    return CQ_OK;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct consumer *consumer = arg;

    if (err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        bool lost = rd_kafka_assignment_lost(rk) != 0;

        if (lost)
            consumer->trouble_ms = clock_mono_ms();
        forget_all(consumer, list, lost);
        rd_kafka_assign(rk, NULL);
        return;
    }
    forget_owned(consumer);
    if (list->cnt)
        consumer->failed = read_committed(consumer, list);
    for (int i = 0; i < list->cnt && consumer->failed == CQ_OK; i++)
        consumer->failed = take_one(consumer, &list->elems[i]);
    err = rd_kafka_assign(rk, consumer->failed == CQ_OK ? list : NULL);
    if (err && consumer->failed == CQ_OK) {
        set_why(consumer, "assigning", err, NULL);
        consumer->failed = CQ_AGAIN;
    }
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *arg)
{
    struct consumer *consumer = arg;

    (void)rk;
    /* A broker that dies behind TLS ends the connection against the rules of TLS: __SSL. */
    if (err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
        err == RD_KAFKA_RESP_ERR__SSL)
        consumer->trouble_ms = clock_mono_ms();
    security_note_error(err, reason);
}

static bool subscribe(struct consumer *consumer, const struct consumer_conf *conf)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)conf->topics_n);
    rd_kafka_resp_err_t err;

    for (size_t i = 0; i < conf->topics_n; i++)
        rd_kafka_topic_partition_list_add(list, conf->topics[i], RD_KAFKA_PARTITION_UA);
    err = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return !err;
}

/* A client of the library for what is in c->conf, subscribed. */
static enum cq_status join_group(struct consumer *consumer)
{
    static const uint64_t one = 1;
    rd_kafka_conf_t *rc = rdkafka_conf_consumer(&consumer->conf);

    if (!rc)
        return CQ_FATAL;
    rd_kafka_conf_set_opaque(rc, consumer);
    rd_kafka_conf_set_rebalance_cb(rc, on_rebalance);
    rd_kafka_conf_set_error_cb(rc, on_error);
    consumer->rk = rdkafka_client_new(RD_KAFKA_CONSUMER, rc);
    if (!consumer->rk)
        return CQ_FATAL;
    commits_open(&consumer->commits, consumer->rk, consumer->fd, on_commit_failed, consumer);
    consumer->gather = (struct gather){ .wait_ms = consumer->conf.fetch_wait_ms };
    rd_kafka_poll_set_consumer(consumer->rk);
    if (consumer->fd >= 0) {
        consumer->queue = rd_kafka_queue_get_consumer(consumer->rk);
        rd_kafka_queue_io_event_enable(consumer->queue, consumer->fd, &one, sizeof one);
    }
    return subscribe(consumer, &consumer->conf) ? CQ_OK : CQ_FATAL;
}

static bool keep_conf(struct consumer *consumer, const struct consumer_conf *conf)
{
    const char *const texts[] = { conf->brokers, conf->client_id, conf->group, conf->instance };

    if (conf->topics_n > TOPICS_MAX)
        return false;
    consumer->conf = *conf;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (snprintf(consumer->text[i], TEXT_MAX, "%s", texts[i] ? texts[i] : "") >= TEXT_MAX)
            return false;
    consumer->conf.brokers = consumer->text[0];
    consumer->conf.client_id = texts[1] ? consumer->text[1] : NULL;
    consumer->conf.group = consumer->text[2];
    consumer->conf.instance = consumer->text[3];
    for (size_t i = 0; i < conf->topics_n; i++) {
        snprintf(consumer->topic[i], BUS_NAME_MAX, "%s", conf->topics[i]);
        consumer->topics[i] = consumer->topic[i];
    }
    consumer->conf.topics = consumer->topics;
    return true;
}

enum cq_status consumer_new(const struct consumer_conf *conf, struct consumer **ret)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);

    if (!consumer)
        return CQ_FATAL;
    pthread_mutex_init(&consumer->gate, NULL);
    consumer->ops = conf->ops;
    consumer->arg = conf->arg;
    consumer->fd = conf->nonblocking ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
    if (!keep_conf(consumer, conf) || join_group(consumer) != CQ_OK) {
        consumer_free(consumer);
        return CQ_FATAL;
    }
    *ret = consumer;
    return CQ_OK;
}

static void *destroy_thread(void *arg)
{
    rd_kafka_destroy_flags(arg, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

/* Drop what is owned or gathered: another member may own it now. */
static void give_up_all(struct consumer *consumer)
{
    commits_close(&consumer->commits);
    for (int i = 0; i < consumer->owned_n; i++)
        if (consumer->ops && consumer->ops->revoked)
            consumer->ops->revoked(consumer->arg, consumer->owned[i].topic,
                                   consumer->owned[i].partition, true);
    forget_owned(consumer);
    if (consumer->queue) {
        rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(consumer->queue);
        consumer->queue = NULL;
    }
}

/* The group has our stable name under another member id. After the broker was away that is our own
 * earlier self: a commit that waited for the broker was sent once more after we had joined anew,
 * and the library calls that the end of the client. Without such trouble somebody else has the
 * name, and to end is right. */
static bool fenced_by_ourselves(const struct consumer *consumer)
{
    return consumer->trouble_ms && clock_mono_ms() - consumer->trouble_ms <= TROUBLE_MS;
}

/* A new client, which takes everything over again from the commits; what the owner holds is given
 * up as lost. This recovers from any state that the old client is stuck in. */
static enum cq_status join_anew(struct consumer *consumer)
{
    rd_kafka_t *old = consumer->rk;
    pthread_t thread;

    count_add(COUNT_REJOINS, 1);
    log_debug("joining_anew", LOG_S("why", consumer->why));
    consumer->failed = CQ_OK;
    give_up_all(consumer);
    consumer->trouble_ms = 0;
    consumer->rk = NULL;
    /* Ending a client can take as long as its requests: nobody waits for that. */
    if (pthread_create(&thread, NULL, destroy_thread, old) != 0)
        return CQ_FATAL;
    pthread_detach(thread);
    return join_group(consumer);
}

static void *close_thread(void *arg)
{
    struct consumer *consumer = arg;

    rd_kafka_consumer_close(consumer->rk);
    return NULL;
}

void consumer_free(struct consumer *consumer)
{
    struct timespec until;
    pthread_t thread;

    if (!consumer)
        return;
    if (!consumer->rk) {
        if (consumer->fd >= 0)
            close(consumer->fd);
        free(consumer);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_SECONDS;
    consumer->leave_ms = clock_mono_ms() + LEAVE_MS;
    commits_drain(&consumer->commits, LEAVE_MS);
    /* A close can block for ever in 2.0.2 (lost partition, deleted topic): give it a deadline. */
    if (pthread_create(&thread, NULL, close_thread, consumer) != 0)
        return;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
        /* Leaked on purpose: the thread still uses it, and the process is ending. What the owner
         * has is freed meanwhile, so the thread does not call it any more. */
        pthread_mutex_lock(&consumer->gate);
        consumer->ops = NULL;
        pthread_mutex_unlock(&consumer->gate);
        log_debug("consumer_close_gave_up");
        return;
    }
    commits_close(&consumer->commits);
    if (consumer->queue)
        rd_kafka_queue_destroy(consumer->queue);
    rd_kafka_destroy_flags(consumer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    forget_owned(consumer);
    if (consumer->fd >= 0)
        close(consumer->fd);
    free(consumer);
}

/* Errors that only a restart, or a person, mends. Everything else heals by itself. */
static bool is_fatal(rd_kafka_resp_err_t err)
{
    switch ((int)err) {
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return true;
    default:
        return false;
    }
}

/* CQ_OK: it heals by itself. CQ_AGAIN: with a new client. CQ_FATAL. */
static enum cq_status take_error(struct consumer *consumer, const rd_kafka_message_t *msg)
{
    rd_kafka_resp_err_t err = msg->err;
    char text[ERROR_MAX / 2] = "";

    if (err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return CQ_OK;
    snprintf(text, sizeof text, "%s", rd_kafka_message_errstr(msg));
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        err = rd_kafka_fatal_error(consumer->rk, text, sizeof text);
    log_debug("consume_error", LOG_S("code", rd_kafka_err2name(err)), LOG_S("reason", text));
    /* The library has no place in the partition any more. Taking it over again finds out why: it
     * expired, it was cut, or its leader changed in the middle of a question. */
    if (err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        set_why(consumer, "reading", err, text);
        return consumer->resets++ < RESETS_MAX ? CQ_AGAIN : CQ_FATAL;
    }
    if (!is_fatal(msg->err))
        return CQ_OK;
    set_why(consumer, "reading", err, text);
    return err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID && fenced_by_ourselves(consumer) ? CQ_AGAIN
                                                                                        : CQ_FATAL;
}

/* There is nothing to read. Memory that was used in a busy spell is free, but the heap keeps it: it
 * is returned to the system once, when load is low. */
static void give_back(struct consumer *consumer)
{
    int64_t now = clock_mono_ms();
    int n = consumer->spell_n;

    if (now - consumer->spell_ms < SPELL_MS)
        return;
    consumer->spell_ms = now;
    consumer->spell_n = 0;
    consumer->slack |= n > SPELL_BUSY;
    if (!consumer->slack || n > SPELL_CALM)
        return;
    consumer->slack = false;
    malloc_trim(0);
}

/* `n` records more: whether the broker is to gather from now on. */
static void note_records(struct consumer *consumer, int n)
{
    if (!consumer->gather.wait_ms || !gather_note(&consumer->gather, clock_mono_ms(), n))
        return;
    rdkafka_fetch_as(consumer->rk,
                     consumer->gather.on ? consumer->gather.wait_ms : RDKAFKA_FETCH_IDLE_MS,
                     consumer->gather.on ? GATHER_BYTES : 1);
}

/* What is read next, for the display of lag. */
static void note_place(struct consumer *consumer, const char *topic, int32_t partition,
                       int64_t next)
{
    int i = consumer->owned_last;

    if (i >= consumer->owned_n || !owned_is(&consumer->owned[i], topic, partition))
        for (i = 0; i < consumer->owned_n && !owned_is(&consumer->owned[i], topic, partition);)
            i++;
    if (i == consumer->owned_n)
        return;
    consumer->owned_last = i;
    consumer->owned[i].next = next;
}

bool record_is_filler(const struct bus_record *rec)
{
    return !rec->value.p && span_eq_str(rec->key, BUS_FILLER_KEY);
}

/* One message, or none with `ret->topic` NULL. */
static enum cq_status poll_one(struct consumer *consumer, int timeout_ms, struct bus_record *ret)
{
    rd_kafka_message_t *msg = rd_kafka_consumer_poll(consumer->rk, timeout_ms);

    *ret = (struct bus_record){ 0 };
    if (consumer->failed != CQ_OK) {
        if (msg)
            rd_kafka_message_destroy(msg);
        return consumer->failed == CQ_AGAIN ? join_anew(consumer) : consumer->failed;
    }
    note_records(consumer, msg && !msg->err);
    if (!msg) {
        give_back(consumer);
        return CQ_OK;
    }
    if (msg->err) {
        enum cq_status st = take_error(consumer, msg);

        rd_kafka_message_destroy(msg);
        return st == CQ_AGAIN ? join_anew(consumer) : st;
    }
    consumer->resets = 0;
    *ret = rdkafka_record(msg);
    ret->handle = msg;
    note_place(consumer, ret->topic, ret->partition, ret->offset + 1);
    return CQ_OK;
}

enum cq_status consumer_poll(struct consumer *consumer, int timeout_ms, struct bus_record *ret)
{
    static const uint64_t one = 1;
    int64_t until_ms = 0;
    enum cq_status st;

    serve_commits(consumer);
    while ((st = poll_one(consumer, timeout_ms, ret)) == CQ_OK && ret->topic &&
           record_is_filler(ret)) {
        record_release(ret);
        count_add(COUNT_FILLERS, 1);
        timeout_ms = 0;
        if (!until_ms)
            until_ms = clock_mono_ms() + FILLERS_MS;
        if (clock_left_ms(until_ms))
            continue;
        if (consumer->fd >= 0 && write(consumer->fd, &one, sizeof one) < 0)
            log_debug("no_wakeup"); /* the counter is full, so it is readable */
        return CQ_OK;
    }
    if (st == CQ_OK && ret->topic) {
        count_add(COUNT_RECORDS_IN, 1);
        consumer->spell_n++;
    }
    return st;
}

void record_release(struct bus_record *rec)
{
    if (rec->handle)
        rd_kafka_message_destroy(rec->handle);
    *rec = (struct bus_record){ 0 };
}

const char *consumer_error(const struct consumer *consumer)
{
    return consumer->why;
}

int consumer_fd(struct consumer *consumer)
{
    return consumer->fd;
}

void consumer_commit(struct consumer *consumer, const char *topic, int32_t partition, int64_t next,
                     const char *meta)
{
    struct owned *owned = find_owned(consumer, topic, partition);

    commits_add(&consumer->commits, topic, partition, next, meta);
    if (!owned)
        return;
    forget_asked(owned);
    owned->asked = next;
    owned->meta = meta && *meta ? strdup(meta) : NULL;
}

/* One whose outcome the caller hears: it is the caller's to repeat. */
static void add_heard(struct consumer *consumer, const char *topic, int32_t partition, int64_t next,
                      const char *meta)
{
    struct owned *owned = find_owned(consumer, topic, partition);

    if (owned)
        forget_asked(owned);
    commits_add(&consumer->commits, topic, partition, next, meta);
}

enum cq_status consumer_commit_wait(struct consumer *consumer, const char *topic, int32_t partition,
                                    int64_t next, const char *meta)
{
    add_heard(consumer, topic, partition, next, meta);
    return commits_wait(&consumer->commits, consumer->leave_ms);
}

void consumer_commit_begin(struct consumer *consumer, const char *topic, int32_t partition,
                           int64_t next, const char *meta)
{
    add_heard(consumer, topic, partition, next, meta);
    commits_begin(&consumer->commits);
}

enum cq_status consumer_commit_end(struct consumer *consumer, int wait_ms)
{
    return commits_end(&consumer->commits, wait_ms);
}

/* Before 2.1, librdkafka takes the milliseconds of this call for microseconds (its pull request
 * 4230), and tells of a time-out when its thread is a little late. So it is asked again while time
 * is left. */
static rd_kafka_resp_err_t seek(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    int64_t until_ms = clock_mono_ms() + SEEK_MS;
    rd_kafka_resp_err_t err;

    do {
        rd_kafka_error_t *error = rd_kafka_seek_partitions(rk, list, CALL_MS);

        err = error ? rd_kafka_error_code(error) : list->elems[0].err;
        if (error)
            rd_kafka_error_destroy(error);
    } while (err == RD_KAFKA_RESP_ERR__TIMED_OUT && clock_left_ms(until_ms));
    return err;
}

void consumer_seek(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, offset);
    rd_kafka_resp_err_t err = seek(consumer->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    if (!err) {
        note_place(consumer, topic, partition, offset);
        return;
    }
    /* The position is not known: another member owns the partition, or it is between two
     * leaders. */
    set_why(consumer, "seeking", err, topic);
    if (consumer->failed == CQ_OK)
        consumer->failed = CQ_AGAIN;
}

void consumer_pause(struct consumer *consumer, const char *topic, int32_t partition, bool pause)
{
    struct owned *owned = find_owned(consumer, topic, partition);

    if (owned && owned->paused != pause)
        set_paused(consumer, owned, pause);
}

int consumer_owned(const struct consumer *consumer)
{
    return consumer->owned_n;
}

void consumer_look(const struct consumer *consumer, int64_t *ret_owned, int64_t *ret_lag)
{
    int64_t lag = 0, low, high;

    for (int i = 0; i < consumer->owned_n; i++) {
        const struct owned *owned = &consumer->owned[i];
        int64_t end = owned->end;

        if (!rd_kafka_get_watermark_offsets(consumer->rk, owned->topic, owned->partition, &low,
                                            &high) &&
            high > end)
            end = high;
        if (end > owned->next)
            lag += end - owned->next;
    }
    *ret_owned = consumer->owned_n;
    *ret_lag = lag;
}

void consumer_show(const struct consumer *consumer, int undone)
{
    int64_t owned, lag;

    consumer_look(consumer, &owned, &lag);
    count_set(COUNT_PARTITIONS, owned);
    count_set(COUNT_LAG, lag + undone);
}
