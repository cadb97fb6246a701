/* SPDX-License-Identifier: MIT */
#include "sinks/media/pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum seat_state { SEAT_IDLE, SEAT_ASKED, SEAT_DONE, SEAT_CLOSED };

struct seat {
    struct pool *pool;
    pthread_t thread;
    struct store *store; /* owned; the thread's */
    pthread_mutex_t lock;
    pthread_cond_t asked;
    enum seat_state state; /* under the lock; so is the job in states IDLE and DONE */
    struct pool_job job;
};

struct pool {
    struct pool_conf conf;
    struct seat seats[POOL_MAX];
    int n;
    atomic_bool stop;
};

/* ---- one file, on a thread ------------------------------------------------------------ */

struct fetched {
    int fd;
    int64_t bytes;
};

static bool on_bytes(void *arg, struct cq_span bytes)
{
    struct fetched *f = arg;

    f->bytes += (int64_t)bytes.n;
    while (bytes.n) {
        ssize_t n = write(f->fd, bytes.p, bytes.n);

        if (n <= 0)
            return false;
        bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

static enum cq_status say_later(struct seat *s, const char *why, bool store_away)
{
    snprintf(s->job.why, sizeof s->job.why, "%s", why);
    s->job.store_away = store_away;
    return CQ_AGAIN;
}

/* The child gets a copy without a name, never the store's own file. */
static enum cq_status fetch(struct seat *s, struct fetched *f)
{
    enum cq_status st;

    f->fd = open(s->pool->conf.folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return say_later(s, "no file can be made in TMPDIR", false);
    st = store_stream(s->store, s->job.key, on_bytes, f);
    if (st == CQ_AGAIN)
        return say_later(s, store_why(s->store), true);
    if (st == CQ_POISON && store_fault(s->store) == STORE_WRONG)
        return say_later(s, "no room in TMPDIR", false);
    if (st == CQ_OK && lseek(f->fd, 0, SEEK_SET) != 0)
        return say_later(s, "a file in TMPDIR cannot be read", false);
    return st;
}

static enum cq_status put_thumbnail(struct seat *s, const struct cq_buf *jpeg)
{
    char *key = s->job.thumbnail;
    enum cq_status st;

    snprintf(key, STORE_KEY_MAX, "thumbnails/%.2s/%s", id_text(s->job.media).s,
             id_text(s->job.media).s);
    st = store_put(s->store, key, "image/jpeg", buf_span(jpeg));
    return st == CQ_OK ? CQ_OK : say_later(s, store_why(s->store), true);
}

static enum cq_status look(struct seat *s, int fd)
{
    const struct pool_conf *conf = &s->pool->conf;
    cq_auto(buf) struct cq_buf jpeg = { 0 };
    enum cq_status st;

    buf_init(&jpeg, LOOK_THUMBNAIL_MAX);
    st = look_into(conf->program, fd, s->job.type, conf->megapixels_max, &s->pool->stop,
                   &s->job.found, &jpeg);
    if (st != CQ_OK)
        return say_later(s, "chasqui-thumbnail does not start", false);
    return jpeg.n ? put_thumbnail(s, &jpeg) : CQ_OK;
}

/* What is in the file. Without its bytes a fault says so; CQ_AGAIN while the store is away. */
static void do_job(struct seat *s)
{
    struct fetched f = { .fd = -1 };
    enum cq_status st = fetch(s, &f);

    s->job.bytes = f.bytes;
    if (st == CQ_OK) {
        st = look(s, f.fd);
    } else if (st == CQ_POISON) {
        snprintf(s->job.found.fault, sizeof s->job.found.fault, "not in the store");
        st = CQ_OK;
    }
    s->job.st = st;
    if (f.fd >= 0)
        close(f.fd);
}

static void *seat_main(void *arg)
{
    struct seat *s = arg;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->state == SEAT_IDLE || s->state == SEAT_DONE)
            pthread_cond_wait(&s->asked, &s->lock);
        if (s->state == SEAT_CLOSED)
            break;
        pthread_mutex_unlock(&s->lock);
        do_job(s);
        pthread_mutex_lock(&s->lock);
        if (s->state == SEAT_ASKED)
            s->state = SEAT_DONE;
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- all of them ---------------------------------------------------------------------- */

static void set_state(struct seat *s, enum seat_state state)
{
    pthread_mutex_lock(&s->lock);
    s->state = state;
    pthread_cond_signal(&s->asked);
    pthread_mutex_unlock(&s->lock);
}

static enum seat_state state_of(struct seat *s)
{
    enum seat_state state;

    pthread_mutex_lock(&s->lock);
    state = s->state;
    pthread_mutex_unlock(&s->lock);
    return state;
}

static bool open_seat(struct pool *p, struct seat *s)
{
    s->pool = p;
    if (store_new(&p->conf.store, &s->store) != CQ_OK)
        return false;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->asked, NULL);
    if (pthread_create(&s->thread, NULL, seat_main, s) == 0)
        return true;
    store_free(s->store);
    return false;
}

enum cq_status pool_new(const struct pool_conf *conf, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof *p);

    if (!p)
        return CQ_FATAL;
    p->conf = *conf;
    for (; p->n < conf->threads && p->n < POOL_MAX; p->n++)
        if (!open_seat(p, &p->seats[p->n])) {
            pool_free(p);
            return CQ_FATAL;
        }
    *ret = p;
    return CQ_OK;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    for (int i = 0; i < p->n; i++)
        set_state(&p->seats[i], SEAT_CLOSED);
    for (int i = 0; i < p->n; i++) {
        pthread_join(p->seats[i].thread, NULL);
        pthread_cond_destroy(&p->seats[i].asked);
        pthread_mutex_destroy(&p->seats[i].lock);
        store_free(p->seats[i].store);
    }
    free(p);
}

int pool_idle(struct pool *p)
{
    int n = 0;

    for (int i = 0; i < p->n; i++)
        n += state_of(&p->seats[i]) == SEAT_IDLE;
    return n;
}

void pool_begin(struct pool *p, const struct pool_job *job)
{
    for (int i = 0; i < p->n; i++) {
        struct seat *s = &p->seats[i];

        if (state_of(s) != SEAT_IDLE)
            continue;
        s->job = *job;
        s->job.found = (struct look_found){ 0 };
        s->job.store_away = false;
        s->job.thumbnail[0] = s->job.why[0] = '\0';
        set_state(s, SEAT_ASKED);
        return;
    }
}

bool pool_take(struct pool *p, struct pool_job *ret)
{
    for (int i = 0; i < p->n; i++) {
        struct seat *s = &p->seats[i];

        if (state_of(s) != SEAT_DONE)
            continue;
        *ret = s->job;
        set_state(s, SEAT_IDLE);
        return true;
    }
    return false;
}
