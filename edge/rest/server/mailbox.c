/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/mailbox.h"

#include "lib/base/assert.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct call *first, *last; /* linked by loop.next */
    size_t n, max;
    bool closed;
    int fd;
};

struct mailbox *mailbox_new(size_t max)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);

    if (!mailbox)
        return NULL;
    pthread_mutex_init(&mailbox->lock, NULL);
    pthread_cond_init(&mailbox->some, NULL);
    mailbox->max = max;
    mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    while (mailbox->first) {
        struct call *call = mailbox->first;

        mailbox->first = call->loop.next;
        call_free(call);
    }
    pthread_cond_destroy(&mailbox->some);
    pthread_mutex_destroy(&mailbox->lock);
    close(mailbox->fd);
    free(mailbox);
}

bool mailbox_put(struct mailbox *mailbox, struct call *call)
{
    static const uint64_t one = 1;
    bool room;

    pthread_mutex_lock(&mailbox->lock);
    room = mailbox->n < mailbox->max;
    if (room) {
        call->loop.next = NULL;
        if (mailbox->last)
            mailbox->last->loop.next = call;
        else
            mailbox->first = call;
        mailbox->last = call;
        mailbox->n++;
        pthread_cond_signal(&mailbox->some);
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (room && write(mailbox->fd, &one, sizeof one) < 0)
        return true; /* the counter is full: it is readable already */
    return room;
}

struct call *mailbox_take_all(struct mailbox *mailbox)
{
    struct call *first;
    uint64_t count;

    if (read(mailbox->fd, &count, sizeof count) < 0)
        return NULL;
    pthread_mutex_lock(&mailbox->lock);
    first = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    mailbox->n = 0;
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

struct call *mailbox_take_wait(struct mailbox *mailbox)
{
    struct call *call;

    pthread_mutex_lock(&mailbox->lock);
    while (!mailbox->first && !mailbox->closed)
        pthread_cond_wait(&mailbox->some, &mailbox->lock);
    call = mailbox->closed ? NULL : mailbox->first;
    if (call) {
        CQ_ASSERT(mailbox->n > 0 && (mailbox->n > 1 || mailbox->last == call), mailbox->n);
        mailbox->first = call->loop.next;
        if (!mailbox->first)
            mailbox->last = NULL;
        mailbox->n--;
        call->loop.next = NULL;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return call;
}

void mailbox_close(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->closed = true;
    pthread_cond_broadcast(&mailbox->some);
    pthread_mutex_unlock(&mailbox->lock);
}

int mailbox_fd(struct mailbox *mailbox)
{
    return mailbox->fd;
}
