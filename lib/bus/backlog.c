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

bool backlog_must_wait(const struct backlog *backlog, uint64_t turn)
{
    return backlog->first || (backlog->in_flight && backlog->turn != turn);
}

size_t backlog_bytes_of(const struct bus_send *send)
{
    size_t n = send->key.n + send->value.n;

    for (size_t i = 0; i < send->headers_n; i++)
        n += strlen(send->headers[i].name) + 1 + send->headers[i].value.n;
    return n;
}

static struct cq_span put(uint8_t **at, struct cq_span span)
{
    uint8_t *to = *at;

    if (span.n)
        memcpy(to, span.p, span.n);
    *at += span.n;
    return span_of(to, span.n);
}

bool backlog_hold(struct backlog *backlog, const struct bus_send *send)
{
    size_t headers = send->headers_n * sizeof(struct bus_header);
    struct held *held = malloc(sizeof *held + headers + backlog_bytes_of(send));
    uint8_t *at;

    if (!held)
        return false;
    held->next = NULL;
    held->send = *send;
    held->send.topic = NULL; /* the same for all of them */
    at = (uint8_t *)held->headers + headers;
    held->send.key = put(&at, send->key);
    held->send.value = put(&at, send->value);
    held->send.headers = held->headers;
    for (size_t i = 0; i < send->headers_n; i++) {
        const struct bus_header *one = &send->headers[i];

        held->headers[i].name = (const char *)at;
        put(&at, span_of(one->name, strlen(one->name) + 1));
        held->headers[i].value = put(&at, one->value);
    }
    if (backlog->first)
        backlog->last->next = held;
    else
        backlog->first = held;
    backlog->last = held;
    return true;
}

const struct bus_send *backlog_first(const struct backlog *backlog)
{
    return backlog->first ? &backlog->first->send : NULL;
}

void backlog_drop(struct backlog *backlog)
{
    struct held *held = backlog->first;

    CQ_ASSERT(held != NULL); /* only what backlog_first() has shown is dropped */
    backlog->first = held->next;
    free(held);
}

void backlog_sent(struct backlog *backlog, uint64_t turn)
{
    if (backlog->in_flight++ == 0)
        backlog->turn = turn;
}

bool backlog_reported(struct backlog *backlog)
{
    CQ_ASSERT(backlog->in_flight > 0, backlog->in_flight);
    return --backlog->in_flight == 0 && backlog->first;
}

void backlog_release(struct backlog *backlog)
{
    while (backlog->first)
        backlog_drop(backlog);
}
