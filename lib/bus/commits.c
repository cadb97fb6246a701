/* SPDX-License-Identifier: MIT */
#include "lib/bus/commits.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 1000 }; /* an answer wakes who waits for it; this is how often the clock is read */

void commits_open(struct commits *commits, rd_kafka_t *rk, int fd, commits_failed_fn *failed,
                  void *arg)
{
    static const uint64_t one = 1;

    *commits = (struct commits){ .rk = rk, .failed = failed, .arg = arg };
    commits->answers = rd_kafka_queue_new(rk);
    if (fd >= 0)
        rd_kafka_queue_io_event_enable(commits->answers, fd, &one, sizeof one);
}

void commits_forget(struct commits *commits)
{
    if (!commits->gathered)
        return;
    rd_kafka_topic_partition_list_destroy(commits->gathered);
    commits->gathered = NULL;
    if (commits->begun > commits->sent)
        commits->became = CQ_POISON;
}

void commits_close(struct commits *commits)
{
    commits_forget(commits);
    if (commits->answers) {
        rd_kafka_queue_io_event_enable(commits->answers, -1, NULL, 0);
        rd_kafka_queue_destroy(commits->answers);
    }
    *commits = (struct commits){ 0 };
}

void commits_add(struct commits *commits, const char *topic, int32_t partition, int64_t next,
                 const char *meta)
{
    rd_kafka_topic_partition_t *tp;

    if (!commits->gathered)
        commits->gathered = rd_kafka_topic_partition_list_new(8);
    tp = rd_kafka_topic_partition_list_find(commits->gathered, topic, partition);
    if (!tp)
        tp = rd_kafka_topic_partition_list_add(commits->gathered, topic, partition);
    tp->offset = next;
    free(tp->metadata);
    tp->metadata = meta && *meta ? strdup(meta) : NULL; /* freed with the list */
    tp->metadata_size = tp->metadata ? strlen(meta) : 0;
}

/* The one request that is under way was answered, `list` and all. */
static void take_answer(struct commits *commits, rd_kafka_resp_err_t err,
                        const rd_kafka_topic_partition_list_t *list)
{
    commits->answered++;
    commits->last = err ? CQ_POISON : CQ_OK;
    CQ_ASSERT(commits->answered == commits->sent, commits->answered, commits->sent);
    for (int i = 0; list && i < list->cnt; i++) {
        if (!err && !list->elems[i].err)
            continue;
        commits->last = CQ_POISON;
        commits->failed(commits->arg, list->elems[i].topic, list->elems[i].partition);
    }
    if (commits->begun == commits->answered)
        commits->became = commits->last;
    if (!err)
        return;
    count_add(COUNT_COMMITS_FAILED, 1);
    log_debug("commit_failed", LOG_S("code", rd_kafka_err2name(err)));
}

static void send_gathered(struct commits *commits)
{
    rd_kafka_topic_partition_list_t *list = commits->gathered;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST;

    commits->gathered = NULL;
    commits->sent++;
    /* The member id is gone already. A broker that has just come back fences a static member that
     * commits without its id, and that is fatal to this client. */
    if (!rd_kafka_assignment_lost(commits->rk))
        err = rd_kafka_commit_queue(commits->rk, list, commits->answers, NULL, NULL);
    if (err)
        take_answer(commits, err, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void look(struct commits *commits, int wait_ms)
{
    rd_kafka_event_t *ev =
        commits->answered < commits->sent ? rd_kafka_queue_poll(commits->answers, wait_ms) : NULL;

    if (ev && rd_kafka_event_type(ev) == RD_KAFKA_EVENT_OFFSET_COMMIT)
        take_answer(commits, rd_kafka_event_error(ev), rd_kafka_event_topic_partition_list(ev));
    if (ev)
        rd_kafka_event_destroy(ev);
    if (commits->gathered && commits->answered == commits->sent)
        send_gathered(commits);
}

void commits_serve(struct commits *commits)
{
    look(commits, 0);
}

void commits_drain(struct commits *commits, int wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;

    commits_serve(commits);
    while (commits->answered < commits->sent && clock_left_ms(until_ms))
        look(commits, clock_left_ms(until_ms));
}

/* Number of the request that has what was gathered last. */
static uint64_t latest(const struct commits *commits)
{
    return commits->sent + (commits->gathered != NULL);
}

enum cq_status commits_wait(struct commits *commits, int64_t until_ms)
{
    uint64_t number = latest(commits);

    commits_serve(commits);
    while (commits->answered < number) {
        int left_ms = until_ms ? clock_left_ms(until_ms) : LOOK_MS;

        if (!left_ms)
            return CQ_AGAIN;
        look(commits, left_ms);
    }
    return commits->last == CQ_OK ? CQ_OK : CQ_AGAIN;
}

void commits_begin(struct commits *commits)
{
    commits->begun = latest(commits);
    commits->became = CQ_AGAIN;
    commits_serve(commits);
}

enum cq_status commits_end(struct commits *commits, int wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    enum cq_status st;

    if (!commits->begun)
        return CQ_POISON;
    commits_serve(commits);
    while (commits->became == CQ_AGAIN && clock_left_ms(until_ms))
        look(commits, clock_left_ms(until_ms));
    st = commits->became;
    if (st != CQ_AGAIN)
        commits->begun = 0;
    return st;
}
