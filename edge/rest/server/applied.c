/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/applied.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/partitions.h"
#include "lib/pg/pg.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

static const char *const topics[] = { "chat.events", "rejections", "user.events", "push.targets" };

_Static_assert(ARRAY_LEN(topics) == WATCH_N, "a name for each watched topic");

struct applied {
    _Atomic int64_t next[WATCH_N][PARTITIONS_MAX];
    struct pg *db; /* owned; the listener thread's */
    pthread_t thread;
    atomic_bool stop, up, incomplete;
    int64_t asked_ms; /* when ask_whole() last asked; the thread's */
    int fd;
};

static void move(struct applied *applied, const char *topic, int64_t partition, int64_t next)
{
    static const uint64_t one = 1;

    if (partition < 0 || partition >= PARTITIONS_MAX)
        return;
    for (int t = 0; t < WATCH_N; t++) {
        if (strcmp(topic, topics[t]) != 0 || next <= atomic_load(&applied->next[t][partition]))
            continue;
        atomic_store(&applied->next[t][partition], next); /* only this thread writes */
        if (write(applied->fd, &one, sizeof one) < 0)
            return; /* readable already */
    }
}

/* `<topic>:<partition>:<source_next>` */
static void on_notify(void *arg, const char *channel, const char *payload)
{
    const char *colon = strchr(payload, ':');
    char topic[64];
    char *end;
    int64_t partition;

    (void)channel;
    if (!colon || (size_t)(colon - payload) >= sizeof topic)
        return;
    memcpy(topic, payload, (size_t)(colon - payload));
    topic[colon - payload] = '\0';
    partition = strtoll(colon + 1, &end, 10);
    if (*end == ':')
        move(arg, topic, partition, strtoll(end + 1, NULL, 10));
}

/* Notifications from before the connection are lost. The table has what they said. */
static enum cq_status begin(struct applied *applied)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_script(applied->db, "LISTEN applied");

    if (st == CQ_OK)
        st = pg_run(applied->db,
                    "SELECT topic, partition, source_next FROM view.positions WHERE consumer "
                    "= 'persistence'",
                    NULL, &rows);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        char topic[64];

        snprintf(topic, sizeof topic, "%.*s", SPAN_FMT(pg_bytes(rows, i, 0)));
        move(applied, topic, pg_i64(rows, i, 1), pg_i64(rows, i, 2));
    }
    return st;
}

/* Ask whether the view is whole, about once a second. */
static enum cq_status ask_whole(struct applied *applied)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    int64_t now_ms = clock_mono_ms();
    enum cq_status st;

    if (applied->asked_ms && now_ms - applied->asked_ms < WAIT_MS)
        return CQ_OK;
    st = pg_run(applied->db, "SELECT EXISTS (SELECT 1 FROM view.incomplete)", NULL, &rows);
    if (st != CQ_OK)
        return st;
    applied->asked_ms = now_ms;
    atomic_store(&applied->incomplete, pg_bool(rows, 0, 0));
    count_set(COUNT_VIEW_INCOMPLETE, pg_bool(rows, 0, 0));
    return CQ_OK;
}

static void *listen_main(void *arg)
{
    struct applied *applied = arg;
    bool listening = false;
    int attempt = 0;

    while (!atomic_load(&applied->stop)) {
        enum cq_status st = listening ? CQ_OK : pg_ready(applied->db, NULL);

        if (st == CQ_OK && !listening)
            st = begin(applied);
        if (st == CQ_OK)
            st = ask_whole(applied);
        if (st == CQ_OK) {
            listening = true;
            attempt = 0;
            atomic_store(&applied->up, true);
            st = pg_wait_notify(applied->db, WAIT_MS, on_notify, applied);
        }
        if (st != CQ_OK) {
            listening = false;
            atomic_store(&applied->up, false);
            clock_sleep_ms(backoff_ms(attempt++, 50, 1000));
        }
    }
    return NULL;
}

enum cq_status applied_start(const char *database_url, struct applied **ret)
{
    struct applied *applied = calloc(1, sizeof *applied);

    if (!applied)
        return CQ_FATAL;
    applied->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    applied->db = pg_new(database_url, "chasqui-edge-rest-listen");
    if (pthread_create(&applied->thread, NULL, listen_main, applied) != 0) {
        pg_free(applied->db);
        close(applied->fd);
        free(applied);
        return CQ_FATAL;
    }
    *ret = applied;
    return CQ_OK;
}

void applied_stop(struct applied *applied)
{
    if (!applied)
        return;
    atomic_store(&applied->stop, true);
    pg_cancel(applied->db);
    pthread_join(applied->thread, NULL);
    pg_free(applied->db);
    close(applied->fd);
    free(applied);
}

int64_t applied_next(const struct applied *applied, enum watched topic, int32_t partition)
{
    return partition >= 0 && partition < PARTITIONS_MAX
               ? atomic_load(&applied->next[topic][partition])
               : 0;
}

bool applied_is_up(const struct applied *applied)
{
    return atomic_load(&applied->up);
}

bool applied_is_whole(const struct applied *applied)
{
    return !atomic_load(&applied->incomplete);
}

int applied_fd(struct applied *applied)
{
    return applied->fd;
}
