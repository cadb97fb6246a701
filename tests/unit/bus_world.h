/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/bus_world.h - a stage on a broker made of paper: librdkafka's own mock cluster, whose
 * two brokers can be taken down, made slow or made to answer with errors. Topic "in" and partition
 * 0 of "out" live on broker 1 with the group; partition 1 of "out" and "in.dlq" on broker 2.
 */
#pragma once

#include "lib/base/clock.h"
#include "lib/bus/stage.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NEAR = 1, FAR = 2, WITHIN_MS = 20000, CALL_MS = 5000, QUIET_MS = 1000 };
enum { API_PRODUCE = 0, API_OFFSET_COMMIT = 8, API_HEARTBEAT = 12 };

static const char GROUP[] = "paper";

struct bus_world {
    rd_kafka_t *rk; /* owns the cluster, asks it and feeds it */
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
    char meta[256]; /* beside what world_committed found */
};

static inline void world_open(struct bus_world *w)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    rd_kafka_conf_set(conf, "group.id", GROUP, NULL, 0);
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "2", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    w->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    w->cluster = rd_kafka_handle_mock_cluster(w->rk);
    w->brokers = rd_kafka_mock_cluster_bootstraps(w->cluster);
    rd_kafka_mock_topic_create(w->cluster, "in", 1, 1);
    rd_kafka_mock_topic_create(w->cluster, "out", 2, 1);
    rd_kafka_mock_topic_create(w->cluster, "in.dlq", 1, 1);
    rd_kafka_mock_partition_set_leader(w->cluster, "in", 0, NEAR);
    rd_kafka_mock_partition_set_leader(w->cluster, "out", 0, NEAR);
    rd_kafka_mock_partition_set_leader(w->cluster, "out", 1, FAR);
    rd_kafka_mock_partition_set_leader(w->cluster, "in.dlq", 0, FAR);
    rd_kafka_mock_coordinator_set(w->cluster, "group", GROUP, NEAR);
}

static inline void world_close(struct bus_world *w)
{
    rd_kafka_destroy(w->rk);
}

/* Write one record to partition 0; a key without a value is a tombstone. False: not stored. */
static inline bool world_put_keyed(struct bus_world *w, const char *topic, const char *key,
                                   const char *value)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *p;
    bool done;

    rd_kafka_conf_set(conf, "bootstrap.servers", w->brokers, NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    p = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
                      RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    done = rd_kafka_flush(p, CALL_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_destroy(p);
    return done;
}

static inline bool world_put_to(struct bus_world *w, const char *topic, const char *value)
{
    return world_put_keyed(w, topic, NULL, value);
}

/* The same to "in"; its value says what the stage does with it. */
static inline bool world_put(struct bus_world *w, const char *value)
{
    return world_put_to(w, "in", value);
}

/* What the group has committed for "in"; -1: nothing; -2: no answer. */
static inline int64_t world_committed(struct bus_world *w)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int64_t found = -2;

    rd_kafka_topic_partition_list_add(list, "in", 0);
    if (!rd_kafka_committed(w->rk, list, CALL_MS) && !list->elems[0].err)
        found = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
    snprintf(w->meta, sizeof w->meta, "%.*s", (int)list->elems[0].metadata_size,
             list->elems[0].metadata ? (const char *)list->elems[0].metadata : "");
    rd_kafka_topic_partition_list_destroy(list);
    return found;
}

/* Records in a partition; -2: no answer. */
static inline int64_t world_count(struct bus_world *w, const char *topic, int32_t partition)
{
    int64_t low, high;

    return rd_kafka_query_watermark_offsets(w->rk, topic, partition, &low, &high, CALL_MS) ? -2
                                                                                           : high;
}

#define EVENTUALLY(cond)                                       \
    ({                                                         \
        int64_t until_ms_ = clock_mono_ms() + WITHIN_MS;       \
        bool so_;                                              \
        while (!(so_ = (cond)) && clock_mono_ms() < until_ms_) \
            clock_sleep_ms(10);                                \
        so_;                                                   \
    })

/* ---- the stage ------------------------------------------------------------------------ */

/* Every record makes one record in each partition of "out". Values that begin with … are special:
 * "poison" is poison, "killer" kills the process, "parts" makes its outputs in PAPER_PARTS turns,
 * "stuck" never finds room, "late" finds it at its third try. */
enum { PAPER_PARTS = 5, PAPER_LATE = 3 };

struct paper_stage {
    struct stage *stage;
    pthread_t thread;
    volatile int stop;
    _Atomic int steps;     /* calls of step */
    _Atomic int ended;     /* 1 + status of stage_run */
    _Atomic int64_t first; /* offset of the first record stepped; -1 */
    int late;
    bool die_at_commit;
    const char *instance;              /* NULL: dynamic membership */
    const struct bus_watched *outputs; /* one, looked at before it writes; NULL: none */
    struct reader *reader;             /* for that */
};

static inline bool paper_is(const struct bus_record *in, const char *word)
{
    return in->value.n >= strlen(word) && memcmp(in->value.p, word, strlen(word)) == 0;
}

static inline enum cq_status paper_step(void *arg, const struct bus_record *in, uint64_t *place,
                                        struct stage_out *out, const char **ret_why)
{
    struct paper_stage *p = arg;
    int64_t none = -1;

    atomic_compare_exchange_strong(&p->first, &none, in->offset);
    p->steps++;
    if (paper_is(in, "killer"))
        raise(SIGKILL);
    if (paper_is(in, "stuck") || (paper_is(in, "late") && ++p->late < PAPER_LATE)) {
        *ret_why = "no room, ever";
        return CQ_AGAIN;
    }
    for (int32_t partition = 0; partition < 2; partition++)
        if (stage_emit(out, "out", partition, (struct cq_span){ 0 }, in->value, 0) != CQ_OK)
            return CQ_FATAL;
    if (paper_is(in, "poison")) {
        *ret_why = "said so";
        return CQ_POISON;
    }
    return paper_is(in, "parts") && ++*place < PAPER_PARTS ? CQ_AGAIN : CQ_OK;
}

/* Asked for when every report is in and the commit is about to be queued. */
static inline size_t paper_meta(void *arg, int32_t partition, char *buf, size_t cap)
{
    struct paper_stage *p = arg;

    (void)partition;
    if (p->die_at_commit && p->steps)
        raise(SIGKILL);
    return (size_t)snprintf(buf, cap, "%d", p->first < 0 ? 0 : (int)p->first + p->steps);
}

static inline enum cq_status paper_open(struct paper_stage *p, const char *brokers)
{
    static const struct stage_ops ops = { .step = paper_step, .meta = paper_meta };

    p->first = -1;
    return stage_new(&(struct stage_conf){ .brokers = brokers,
                                           .client_id = "paper",
                                           .group = GROUP,
                                           .instance = p->instance,
                                           .topic = "in",
                                           .worker = "paper",
                                           .session_timeout_ms = 4000, /* a dead member's place */
                                           .batch_max = 100,
                                           .batch_max_bytes = 1 << 20,
                                           .outputs = p->outputs,
                                           .outputs_n = p->outputs ? 1 : 0,
                                           .reader = p->reader,
                                           .tries_max = STAGE_TRIES_MAX,
                                           .ops = &ops,
                                           .arg = p },
                     &p->stage);
}

static void *paper_main(void *arg)
{
    struct paper_stage *p = arg;

    p->ended = 1 + (int)stage_run(p->stage, &p->stop);
    return NULL;
}

static inline bool paper_start(struct paper_stage *p, struct bus_world *w)
{
    return paper_open(p, w->brokers) == CQ_OK &&
           pthread_create(&p->thread, NULL, paper_main, p) == 0;
}

static inline void paper_end(struct paper_stage *p)
{
    p->stop = 1;
    pthread_join(p->thread, NULL);
    stage_free(p->stage);
}

/* ---- a stage in a process of its own, to be killed ------------------------------------- */

/* Run in the child, before main(): the same executable with these two in its environment. */
__attribute__((constructor)) static void paper_child(void)
{
    const char *brokers = getenv("PAPER_BROKERS");
    struct paper_stage p = { .die_at_commit = getenv("PAPER_DIE_AT_COMMIT") != NULL };

    if (!brokers)
        return;
    if (paper_open(&p, brokers) != CQ_OK)
        _exit(3);
    _exit(stage_run(p.stage, &p.stop) == CQ_OK ? 0 : 1);
}

static inline pid_t paper_spawn(struct bus_world *w, bool at_commit)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    setenv("PAPER_BROKERS", w->brokers, 1);
    if (at_commit)
        setenv("PAPER_DIE_AT_COMMIT", "1", 1);
    execl("/proc/self/exe", "child", (char *)NULL);
    _exit(4);
}

/* How the child ended: its signal, or -1. */
static inline int paper_await(pid_t pid)
{
    int status;

    for (int64_t until_ms = clock_mono_ms() + WITHIN_MS; clock_mono_ms() < until_ms;) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
        clock_sleep_ms(10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}
