/* SPDX-License-Identifier: MIT */
#include "edge/rest/rest.h"
#include "lib/base/assert.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct call *first, *last; /* linked by next */
    size_t n, max;
    bool closed;
    int fd;
};

struct mailbox *mailbox_new(size_t max)
{
    struct mailbox *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->some, NULL);
    m->max = max;
    m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return m;
}

void mailbox_free(struct mailbox *m)
{
    if (!m)
        return;
    while (m->first) {
        struct call *c = m->first;

        m->first = c->next;
        call_free(c);
    }
    pthread_cond_destroy(&m->some);
    pthread_mutex_destroy(&m->lock);
    close(m->fd);
    free(m);
}

bool mailbox_put(struct mailbox *m, struct call *c)
{
    static const uint64_t one = 1;
    bool room;

    pthread_mutex_lock(&m->lock);
    room = m->n < m->max;
    if (room) {
        c->next = NULL;
        if (m->last)
            m->last->next = c;
        else
            m->first = c;
        m->last = c;
        m->n++;
        pthread_cond_signal(&m->some);
    }
    pthread_mutex_unlock(&m->lock);
    if (room && write(m->fd, &one, sizeof one) < 0)
        return true; /* the counter is full: it is readable already */
    return room;
}

struct call *mailbox_take_all(struct mailbox *m)
{
    struct call *first;
    uint64_t count;

    if (read(m->fd, &count, sizeof count) < 0)
        return NULL;
    pthread_mutex_lock(&m->lock);
    first = m->first;
    m->first = m->last = NULL;
    m->n = 0;
    pthread_mutex_unlock(&m->lock);
    return first;
}

struct call *mailbox_take_wait(struct mailbox *m)
{
    struct call *c;

    pthread_mutex_lock(&m->lock);
    while (!m->first && !m->closed)
        pthread_cond_wait(&m->some, &m->lock);
    c = m->closed ? NULL : m->first;
    if (c) {
        CQ_ASSERT(m->n > 0 && (m->n > 1 || m->last == c), m->n);
        m->first = c->next;
        if (!m->first)
            m->last = NULL;
        m->n--;
        c->next = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    return c;
}

void mailbox_close(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->closed = true;
    pthread_cond_broadcast(&m->some);
    pthread_mutex_unlock(&m->lock);
}

int mailbox_fd(struct mailbox *m)
{
    return m->fd;
}
