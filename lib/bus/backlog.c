/* SPDX-License-Identifier: MIT */
#include "lib/bus/backlog.h"

#include "lib/base/assert.h"

#include <stdlib.h>
#include <string.h>

struct held {
    struct held *next;
    struct bus_send send; /* its spans point behind the headers */
    struct bus_header headers[];
};

bool backlog_must_wait(const struct backlog *l, uint64_t turn)
{
    return l->first || (l->in_flight && l->turn != turn);
}

size_t backlog_bytes_of(const struct bus_send *m)
{
    size_t n = m->key.n + m->value.n;

    for (size_t i = 0; i < m->headers_n; i++)
        n += strlen(m->headers[i].name) + 1 + m->headers[i].value.n;
    return n;
}

static struct cq_span put(uint8_t **at, struct cq_span s)
{
    uint8_t *to = *at;

    if (s.n)
        memcpy(to, s.p, s.n);
    *at += s.n;
    return span_of(to, s.n);
}

bool backlog_hold(struct backlog *l, const struct bus_send *m)
{
    size_t headers = m->headers_n * sizeof(struct bus_header);
    struct held *h = malloc(sizeof *h + headers + backlog_bytes_of(m));
    uint8_t *at;

    if (!h)
        return false;
    h->next = NULL;
    h->send = *m;
    h->send.topic = NULL; /* the same for all of them */
    at = (uint8_t *)h->headers + headers;
    h->send.key = put(&at, m->key);
    h->send.value = put(&at, m->value);
    h->send.headers = h->headers;
    for (size_t i = 0; i < m->headers_n; i++) {
        const struct bus_header *one = &m->headers[i];

        h->headers[i].name = (const char *)at;
        put(&at, span_of(one->name, strlen(one->name) + 1));
        h->headers[i].value = put(&at, one->value);
    }
    if (l->first)
        l->last->next = h;
    else
        l->first = h;
    l->last = h;
    return true;
}

const struct bus_send *backlog_first(const struct backlog *l)
{
    return l->first ? &l->first->send : NULL;
}

void backlog_drop(struct backlog *l)
{
    struct held *h = l->first;

    CQ_ASSERT(h != NULL); /* only what backlog_first() has shown is dropped */
    l->first = h->next;
    free(h);
}

void backlog_sent(struct backlog *l, uint64_t turn)
{
    if (l->in_flight++ == 0)
        l->turn = turn;
}

bool backlog_reported(struct backlog *l)
{
    CQ_ASSERT(l->in_flight > 0, l->in_flight);
    return --l->in_flight == 0 && l->first;
}

void backlog_release(struct backlog *l)
{
    while (l->first)
        backlog_drop(l);
}
