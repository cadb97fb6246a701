/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/bus_world.h - a stage on a broker made of paper: librdkafka's own mock cluster, whose
 * two brokers can be taken down, made slow or made to answer with errors. Topic "in" and partition
 * 0 of "out" live on broker 1 with the group; partition 1 of "out" and "in.dlq" on broker 2.
 */
#pragma once

#include "lib/base/clock.h"
#include "lib/bus/stage.h"
#include "schemas/codec.h"

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
    char meta[256]; /* beside what world_committed or world_committed_of found */
};

static inline void world_open(struct bus_world *world)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    rd_kafka_conf_set(conf, "group.id", GROUP, NULL, 0);
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "2", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    world->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    world->cluster = rd_kafka_handle_mock_cluster(world->rk);
    world->brokers = rd_kafka_mock_cluster_bootstraps(world->cluster);
    rd_kafka_mock_topic_create(world->cluster, "in", 1, 1);
    rd_kafka_mock_topic_create(world->cluster, "out", 2, 1);
    rd_kafka_mock_topic_create(world->cluster, "in.dlq", 1, 1);
    rd_kafka_mock_partition_set_leader(world->cluster, "in", 0, NEAR);
    rd_kafka_mock_partition_set_leader(world->cluster, "out", 0, NEAR);
    rd_kafka_mock_partition_set_leader(world->cluster, "out", 1, FAR);
    rd_kafka_mock_partition_set_leader(world->cluster, "in.dlq", 0, FAR);
    rd_kafka_mock_coordinator_set(world->cluster, "group", GROUP, NEAR);
}

static inline void world_close(struct bus_world *world)
{
    rd_kafka_destroy(world->rk);
}

/* Write one record to partition 0. False: not stored. */
static inline bool world_put_bytes(struct bus_world *world, const char *topic, struct cq_span key,
                                   struct cq_span value)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *p;
    bool done;

    rd_kafka_conf_set(conf, "bootstrap.servers", world->brokers, NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    p = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_KEY(key.p, key.n),
                      RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    done = rd_kafka_flush(p, CALL_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_destroy(p);
    return done;
}

/* The same with a record of `codec`. */
static inline bool world_put_record(struct bus_world *world, const char *topic, struct cq_span key,
                                    const struct codec_record *codec, const void *rec)
{
    struct cq_buf value;
    bool done;

    buf_init(&value, 4096);
    done = codec_encode(codec, rec, &value) == CQ_OK &&
           world_put_bytes(world, topic, key, buf_span(&value));
    buf_release(&value);
    return done;
}

/* The same with texts; a key without a value is a tombstone. */
static inline bool world_put_keyed(struct bus_world *world, const char *topic, const char *key,
                                   const char *value)
{
    return world_put_bytes(world, topic, span_of(key, key ? strlen(key) : 0),
                           span_of(value, value ? strlen(value) : 0));
}

static inline bool world_put_to(struct bus_world *world, const char *topic, const char *value)
{
    return world_put_keyed(world, topic, NULL, value);
}

/* The same to "in"; its value says what the stage does with it. */
static inline bool world_put(struct bus_world *world, const char *value)
{
    return world_put_to(world, "in", value);
}

/* Commit for "in" in the name of the group, which has no members. */
static inline bool world_commit(struct bus_world *world, int64_t offset, const char *meta)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, "in", 0);
    rd_kafka_resp_err_t err;

    tp->offset = offset;
    tp->metadata = strdup(meta);
    tp->metadata_size = strlen(meta);
    err = rd_kafka_commit(world->rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What the group has committed for "in"; -1: nothing; -2: no answer. */
static inline int64_t world_committed(struct bus_world *world)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int64_t found = -2;

    rd_kafka_topic_partition_list_add(list, "in", 0);
    if (!rd_kafka_committed(world->rk, list, CALL_MS) && !list->elems[0].err)
        found = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
    snprintf(world->meta, sizeof world->meta, "%.*s", (int)list->elems[0].metadata_size,
             list->elems[0].metadata ? (const char *)list->elems[0].metadata : "");
    rd_kafka_topic_partition_list_destroy(list);
    return found;
}

struct world_commit {
    struct bus_world *world;
    int64_t next;
};

static inline void world_take_commit(void *arg, int32_t partition, int64_t next, const char *meta)
{
    struct world_commit *commit = arg;

    (void)partition;
    commit->next = next;
    snprintf(commit->world->meta, sizeof commit->world->meta, "%s", meta);
}

/* What any group has committed for partition 0 of a topic; -1: nothing; -2: no answer. */
static inline int64_t world_committed_of(struct bus_world *world, struct reader *reader,
                                         const char *group, const char *topic)
{
    struct world_commit commit = { world, -1 };

    world->meta[0] = '\0';
    return reader_commits(reader, group, topic, 1, world_take_commit, &commit) == CQ_OK
               ? commit.next
               : -2;
}

/* Records in a partition; -2: no answer. */
static inline int64_t world_count(struct bus_world *world, const char *topic, int32_t partition)
{
    int64_t low, high;

    return rd_kafka_query_watermark_offsets(world->rk, topic, partition, &low, &high, CALL_MS)
               ? -2
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
    const char *topic;                 /* NULL: "in" */
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
    struct paper_stage *stage = arg;
    int64_t none = -1;

    atomic_compare_exchange_strong(&stage->first, &none, in->offset);
    stage->steps++;
    if (paper_is(in, "killer"))
        raise(SIGKILL);
    if (paper_is(in, "stuck") || (paper_is(in, "late") && ++stage->late < PAPER_LATE)) {
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
    struct paper_stage *stage = arg;

    (void)partition;
    if (stage->die_at_commit && stage->steps)
        raise(SIGKILL);
    return (size_t)snprintf(buf, cap, "%d",
                            stage->first < 0 ? 0 : (int)stage->first + stage->steps);
}

static inline enum cq_status paper_open(struct paper_stage *stage, const char *brokers)
{
    static const struct stage_ops ops = { .step = paper_step, .meta = paper_meta };

    stage->first = -1;
    return stage_new(&(struct stage_conf){ .brokers = brokers,
                                           .client_id = "paper",
                                           .group = GROUP,
                                           .instance = stage->instance,
                                           .topic = stage->topic ? stage->topic : "in",
                                           .worker = "paper",
                                           .session_timeout_ms = 4000, /* a dead member's place */
                                           .batch_max = 100,
                                           .batch_max_bytes = 1 << 20,
                                           .outputs = stage->outputs,
                                           .outputs_n = stage->outputs ? 1 : 0,
                                           .reader = stage->reader,
                                           .tries_max = STAGE_TRIES_MAX,
                                           .ops = &ops,
                                           .arg = stage },
                     &stage->stage);
}

static void *paper_main(void *arg)
{
    struct paper_stage *stage = arg;

    stage->ended = 1 + (int)stage_run(stage->stage, &stage->stop);
    return NULL;
}

static inline bool paper_start(struct paper_stage *stage, struct bus_world *world)
{
    return paper_open(stage, world->brokers) == CQ_OK &&
           pthread_create(&stage->thread, NULL, paper_main, stage) == 0;
}

static inline void paper_end(struct paper_stage *stage)
{
    stage->stop = 1;
    pthread_join(stage->thread, NULL);
    stage_free(stage->stage);
}

/* ---- a stage in a process of its own, to be killed ------------------------------------- */

/* Run in the child, before main(): the same executable with these two in its environment. */
__attribute__((constructor)) static void paper_child(void)
{
    const char *brokers = getenv("PAPER_BROKERS");
    struct paper_stage stage = { .die_at_commit = getenv("PAPER_DIE_AT_COMMIT") != NULL };

    if (!brokers)
        return;
    if (paper_open(&stage, brokers) != CQ_OK)
        _exit(3);
    _exit(stage_run(stage.stage, &stage.stop) == CQ_OK ? 0 : 1);
}

/* The same executable with the brokers in its environment, under that name. */
static inline pid_t world_spawn(const struct bus_world *world, const char *name, bool at_commit)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    setenv(name, world->brokers, 1);
    if (at_commit)
        setenv("PAPER_DIE_AT_COMMIT", "1", 1);
    execl("/proc/self/exe", "child", (char *)NULL);
    _exit(4);
}

static inline pid_t paper_spawn(const struct bus_world *world, bool at_commit)
{
    return world_spawn(world, "PAPER_BROKERS", at_commit);
}

/* Whether this process is such a child, of another test than that of a stage: the brokers it was
 * told; NULL: it is none. To be asked before main(). */
static inline const char *child_brokers(void)
{
    return getenv("CHILD_BROKERS");
}

static inline pid_t child_spawn(const struct bus_world *world)
{
    return world_spawn(world, "CHILD_BROKERS", false);
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
