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
    struct fetched *fetched = arg;

    fetched->bytes += (int64_t)bytes.n;
    while (bytes.n) {
        ssize_t n = write(fetched->fd, bytes.p, bytes.n);

        if (n <= 0)
            return false;
        bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

static enum cq_status say_later(struct seat *seat, const char *why, bool store_away)
{
    snprintf(seat->job.why, sizeof seat->job.why, "%s", why);
    seat->job.store_away = store_away;
    return CQ_AGAIN;
}

/* The child gets a copy without a name, never the store's own file. */
static enum cq_status fetch(struct seat *seat, struct fetched *fetched)
{
    enum cq_status st;

    fetched->fd = open(seat->pool->conf.folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fetched->fd < 0)
        return say_later(seat, "no file can be made in TMPDIR", false);
    st = store_stream(seat->store, seat->job.key, on_bytes, fetched);
    if (st == CQ_AGAIN)
        return say_later(seat, store_why(seat->store), true);
    if (st == CQ_POISON && store_fault(seat->store) == STORE_WRONG)
        return say_later(seat, "no room in TMPDIR", false);
    if (st == CQ_OK && lseek(fetched->fd, 0, SEEK_SET) != 0)
        return say_later(seat, "a file in TMPDIR cannot be read", false);
    return st;
}

void pool_thumbnail_key(struct cq_id media, char out[STORE_KEY_MAX])
{
    snprintf(out, STORE_KEY_MAX, "thumbnails/%.2s/%s", id_text(media).s, id_text(media).s);
}

static enum cq_status put_thumbnail(struct seat *seat, const struct cq_buf *jpeg)
{
    char *key = seat->job.thumbnail;
    enum cq_status st;

    pool_thumbnail_key(seat->job.media, key);
    st = store_put(seat->store, key, "image/jpeg", buf_span(jpeg));
    return st == CQ_OK ? CQ_OK : say_later(seat, store_why(seat->store), true);
}

static enum cq_status look(struct seat *seat, int fd)
{
    const struct pool_conf *conf = &seat->pool->conf;
    cq_auto(buf) struct cq_buf jpeg = { 0 };
    enum cq_status st;

    buf_init(&jpeg, LOOK_THUMBNAIL_MAX);
    st = look_into(conf->program, fd, seat->job.type, conf->megapixels_max, &seat->pool->stop,
                   &seat->job.found, &jpeg);
    if (st != CQ_OK)
        return say_later(seat, "chasqui-thumbnail does not start", false);
    return jpeg.n ? put_thumbnail(seat, &jpeg) : CQ_OK;
}

/* What is in the file. Without its bytes a fault says so; CQ_AGAIN while the store is away. */
static void do_job(struct seat *seat)
{
    struct fetched fetched = { .fd = -1 };
    enum cq_status st = fetch(seat, &fetched);

    seat->job.bytes = fetched.bytes;
    if (st == CQ_OK) {
        st = look(seat, fetched.fd);
    } else if (st == CQ_POISON) {
        snprintf(seat->job.found.fault, sizeof seat->job.found.fault, "not in the store");
        st = CQ_OK;
    }
    seat->job.st = st;
    if (fetched.fd >= 0)
        close(fetched.fd);
}

static void *seat_main(void *arg)
{
    struct seat *seat = arg;

    pthread_mutex_lock(&seat->lock);
    for (;;) {
        while (seat->state == SEAT_IDLE || seat->state == SEAT_DONE)
            pthread_cond_wait(&seat->asked, &seat->lock);
        if (seat->state == SEAT_CLOSED)
            break;
        pthread_mutex_unlock(&seat->lock);
        do_job(seat);
        pthread_mutex_lock(&seat->lock);
        if (seat->state == SEAT_ASKED)
            seat->state = SEAT_DONE;
    }
    pthread_mutex_unlock(&seat->lock);
    return NULL;
}

/* ---- all of them ---------------------------------------------------------------------- */

static void set_state(struct seat *seat, enum seat_state state)
{
    pthread_mutex_lock(&seat->lock);
    seat->state = state;
    pthread_cond_signal(&seat->asked);
    pthread_mutex_unlock(&seat->lock);
}

static enum seat_state state_of(struct seat *seat)
{
    enum seat_state state;

    pthread_mutex_lock(&seat->lock);
    state = seat->state;
    pthread_mutex_unlock(&seat->lock);
    return state;
}

static bool open_seat(struct pool *pool, struct seat *seat)
{
    seat->pool = pool;
    if (store_new(&pool->conf.store, &seat->store) != CQ_OK)
        return false;
    pthread_mutex_init(&seat->lock, NULL);
    pthread_cond_init(&seat->asked, NULL);
    if (pthread_create(&seat->thread, NULL, seat_main, seat) == 0)
        return true;
    store_free(seat->store);
    return false;
}

enum cq_status pool_new(const struct pool_conf *conf, struct pool **ret)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return CQ_FATAL;
    pool->conf = *conf;
    for (; pool->n < conf->threads && pool->n < POOL_MAX; pool->n++)
        if (!open_seat(pool, &pool->seats[pool->n])) {
            pool_free(pool);
            return CQ_FATAL;
        }
    *ret = pool;
    return CQ_OK;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    for (int i = 0; i < pool->n; i++)
        set_state(&pool->seats[i], SEAT_CLOSED);
    for (int i = 0; i < pool->n; i++) {
        pthread_join(pool->seats[i].thread, NULL);
        pthread_cond_destroy(&pool->seats[i].asked);
        pthread_mutex_destroy(&pool->seats[i].lock);
        store_free(pool->seats[i].store);
    }
    free(pool);
}

int pool_idle(struct pool *pool)
{
    int n = 0;

    for (int i = 0; i < pool->n; i++)
        n += state_of(&pool->seats[i]) == SEAT_IDLE;
    return n;
}

void pool_begin(struct pool *pool, const struct pool_job *job)
{
    for (int i = 0; i < pool->n; i++) {
        struct seat *seat = &pool->seats[i];

        if (state_of(seat) != SEAT_IDLE)
            continue;
        seat->job = *job;
        seat->job.found = (struct look_found){ 0 };
        seat->job.store_away = false;
        seat->job.thumbnail[0] = seat->job.why[0] = '\0';
        set_state(seat, SEAT_ASKED);
        return;
    }
}

bool pool_take(struct pool *pool, struct pool_job *ret)
{
    for (int i = 0; i < pool->n; i++) {
        struct seat *seat = &pool->seats[i];

        if (state_of(seat) != SEAT_DONE)
            continue;
        *ret = seat->job;
        set_state(seat, SEAT_IDLE);
        return true;
    }
    return false;
}
