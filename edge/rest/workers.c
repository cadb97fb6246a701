/* SPDX-License-Identifier: MIT */
#include "edge/auth/devices.h"
#include "edge/rest/rest.h"
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
    const struct rest_conf *conf;
    struct mailbox *in, *done; /* borrowed */
    struct worker *v;          /* owned */
    int n;
};

/* A token outlives a log-out by minutes, the device's row does not. Requests that need no device
 * yet (log-in) pass while the doors are open. */
static bool device_refused(struct call *c, struct pg *db, enum call_next *ret)
{
    bool has_device = !id_is_zero(c->who.device);
    enum device_state state;
    enum cq_status st;

    if (c->step || !(has_device || c->is_login))
        return false;
    st = device_look(db, c->who.device, &state);
    if (st != CQ_OK)
        *ret = call_database(c, st);
    else if (state == DEVICE_DOORS_CLOSED)
        *ret = call_doors_closed(c);
    else if (state == DEVICE_LOGGED_OUT && has_device)
        *ret = call_error(c, 401, "unauthorized", "this device is logged out: log in again");
    else
        return false;
    return true;
}

/* Sync alone reads from a replica: it reads the applied positions in the same snapshot as the rows
 * and waits for those the client was told of, so it notices by itself when a replica is behind.
 * Everything else has to show the caller's own writes. */
static struct pg *database_for(struct worker *w, const struct call *c)
{
    if (w->replica && c->fn == handle_sync && pg_ready(w->replica, NULL) == CQ_OK)
        return w->replica;
    return w->db;
}

static enum call_next run_step(struct worker *w, struct call *c)
{
    const char *why = "";
    enum call_next next = CALL_REPLY;
    enum cq_status st;

    c->store = w->store;
    c->db = w->db;
    if (c->streaming) /* the answer is on its way: only bytes are wanted */
        return c->fn(c, w->db);
    st = pg_ready(w->db, NULL);

    if (st != CQ_OK) {
        snprintf(c->why, sizeof c->why, "%s", pg_error(w->db));
        return call_unavailable(
            c, "the database cannot be read now: ask again after Retry-After seconds");
    }
    if (c->unknown)
        return call_unknown(c);
    if (c->in_vain && c->fn != handle_verify) /* a log-in shows nothing of the view */
        return call_view_incomplete(c);
    if (device_refused(c, w->db, &next))
        return next;
    if (!c->step && c->body.n && !c->is_raw && json_parse(c->body, &c->json, &why) != CQ_OK)
        return call_bad_request(c, why);
    c->db = database_for(w, c);
    next = c->fn(c, c->db);
    if (next == CALL_REPLY && c->status >= 500)
        snprintf(c->why, sizeof c->why, "%s", pg_error(w->db));
    return next;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct call *c;

    while ((c = mailbox_take_wait(w->all->in))) {
        bool there_was_room;

        c->next_step = run_step(w, c);
        there_was_room = mailbox_put(w->all->done, c);
        CQ_ASSERT(there_was_room); /* it is as large as the table of calls */
    }
    return NULL;
}

/* Each has a store of its own; that it can be opened was tried at the start. */
static bool open_media(struct worker *w)
{
    const struct rest_conf *conf = w->all->conf;

    if (!*conf->media.store.where)
        return true;
    return store_new(&conf->media.store, &w->store) == CQ_OK;
}

static void worker_close(struct worker *w)
{
    pg_free(w->db);
    pg_free(w->replica);
    store_free(w->store);
}

enum cq_status workers_start(const struct rest_conf *conf, int n, bool media, struct mailbox *in,
                             struct mailbox *done, struct workers **ret)
{
    struct workers *w = calloc(1, sizeof *w);

    if (!w || !(w->v = calloc((size_t)n, sizeof *w->v))) {
        free(w);
        return CQ_FATAL;
    }
    w->conf = conf;
    w->in = in;
    w->done = done;
    for (int i = 0; i < n; i++) {
        w->v[i].all = w;
        w->v[i].db = pg_new(conf->database_url, "chasqui-edge-rest");
        if (*conf->database_read_url)
            w->v[i].replica = pg_new(conf->database_read_url, "chasqui-edge-rest-read");
        view_guard(w->v[i].db);
        if (w->v[i].replica)
            view_guard(w->v[i].replica);
        if ((media && !open_media(&w->v[i])) ||
            pthread_create(&w->v[i].thread, NULL, worker_main, &w->v[i]) != 0) {
            worker_close(&w->v[i]);
            workers_stop(w);
            return CQ_FATAL;
        }
        w->n++;
    }
    *ret = w;
    return CQ_OK;
}

void workers_stop(struct workers *w)
{
    if (!w)
        return;
    mailbox_close(w->in);
    for (int i = 0; i < w->n; i++) {
        pthread_join(w->v[i].thread, NULL);
        worker_close(&w->v[i]);
    }
    free(w->v);
    free(w);
}
