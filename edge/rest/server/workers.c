/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/workers.h"

#include "edge/auth/devices.h"
#include "edge/rest/server/answer.h"
#include "lib/base/assert.h"
#include "lib/pg/view_guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct worker {
    pthread_t thread;
    struct workers *all;
    struct pg *db;       /* owned */
    struct pg *replica;  /* owned; NULL: none is set */
    struct store *store; /* owned; media workers only, NULL: none is set */
};

struct workers {
    const struct server_conf *conf;
    struct mailbox *in, *done; /* borrowed */
    struct worker *v;          /* owned */
    int n;
};

/* A token outlives a log-out by minutes; the device's row does not. Requests that need no device
 * yet (to log in) pass while the doors are open. */
static bool device_refused(struct call *call, struct pg *db, enum call_next *ret)
{
    bool has_device = !id_is_zero(call->request.who.device);
    enum device_state state;
    enum cq_status st;

    if (call->begun || !(has_device || (call->route->flags & ROUTE_LOGIN)))
        return false;
    st = device_look(db, call->request.who.device, &state);
    if (st != CQ_OK)
        *ret = call_database(call, st);
    else if (state == DEVICE_DOORS_CLOSED)
        *ret = call_doors_closed(call);
    else if (state == DEVICE_LOGGED_OUT && has_device)
        *ret = call_error(call, 401, "unauthorized", "this device is logged out: log in again");
    else
        return false;
    return true;
}

/* Sync reads from a replica: it reads the applied positions in the same snapshot as the rows
 * and waits for those the client was told of, so it notices by itself when a replica is behind.
 * Everything else has to show the caller's own writes. */
static struct pg *database_for(struct worker *worker, const struct call *call)
{
    if (worker->replica && (call->route->flags & ROUTE_REPLICA) &&
        pg_ready(worker->replica, NULL) == CQ_OK)
        return worker->replica;
    return worker->db;
}

static enum call_next run_step(struct worker *worker, struct call *call)
{
    const char *why = "";
    enum call_next next = CALL_REPLY;
    enum cq_status st;

    call->worker.store = worker->store;
    call->worker.db = worker->db;
    if (call->loop.streaming) /* the answer is on its way: only bytes are wanted */
        return call->route->fn(call, worker->db);
    st = pg_ready(worker->db, NULL);
    if (st != CQ_OK) {
        snprintf(call->reply.why, sizeof call->reply.why, "%s", pg_error(worker->db));
        return call_unavailable(
            call, "the database cannot be read now: ask again after Retry-After seconds");
    }
    if (device_refused(call, worker->db, &next))
        return next;
    if (!call->begun && call->request.body.n && !(call->route->flags & ROUTE_RAW) &&
        json_parse(call->request.body, &call->request.json, &why) != CQ_OK)
        return call_bad_request(call, "%s", why);
    call->begun = true;
    call->worker.db = database_for(worker, call);
    next = call->route->fn(call, call->worker.db);
    if (next == CALL_REPLY && call->reply.status >= 500)
        snprintf(call->reply.why, sizeof call->reply.why, "%s", pg_error(call->worker.db));
    return next;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct call *call;

    while ((call = mailbox_take_wait(worker->all->in))) {
        bool there_was_room;

        call->loop.said = run_step(worker, call);
        there_was_room = mailbox_put(worker->all->done, call);
        CQ_ASSERT(there_was_room); /* it is as large as the table of calls */
    }
    return NULL;
}

/* Each worker has a store of its own. The role found at its start that it can be opened. */
static bool open_media(struct worker *worker)
{
    const struct server_conf *conf = worker->all->conf;

    if (!*conf->store.where)
        return true;
    return store_new(&conf->store, &worker->store) == CQ_OK;
}

static void worker_close(struct worker *worker)
{
    pg_free(worker->db);
    pg_free(worker->replica);
    store_free(worker->store);
}

enum cq_status workers_start(const struct server_conf *conf, int n, bool media, struct mailbox *in,
                             struct mailbox *done, struct workers **ret)
{
    struct workers *workers = calloc(1, sizeof *workers);

    if (!workers || !(workers->v = calloc((size_t)n, sizeof *workers->v))) {
        free(workers);
        return CQ_FATAL;
    }
    workers->conf = conf;
    workers->in = in;
    workers->done = done;
    for (int i = 0; i < n; i++) {
        workers->v[i].all = workers;
        workers->v[i].db = pg_new(conf->database_url, "chasqui-edge-rest");
        if (*conf->database_read_url)
            workers->v[i].replica = pg_new(conf->database_read_url, "chasqui-edge-rest-read");
        view_guard(workers->v[i].db);
        if (workers->v[i].replica)
            view_guard(workers->v[i].replica);
        if ((media && !open_media(&workers->v[i])) ||
            pthread_create(&workers->v[i].thread, NULL, worker_main, &workers->v[i]) != 0) {
            worker_close(&workers->v[i]);
            workers_stop(workers);
            return CQ_FATAL;
        }
        workers->n++;
    }
    *ret = workers;
    return CQ_OK;
}

void workers_stop(struct workers *workers)
{
    if (!workers)
        return;
    mailbox_close(workers->in);
    for (int i = 0; i < workers->n; i++) {
        pthread_join(workers->v[i].thread, NULL);
        worker_close(&workers->v[i]);
    }
    free(workers->v);
    free(workers);
}
