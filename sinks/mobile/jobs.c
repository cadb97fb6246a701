/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/jobs.h"

#include "lib/base/assert.h"

#include <stdlib.h>

static const struct job_list empty = { JOB_NONE, JOB_NONE, 0 };

enum cq_status jobs_init(struct jobs *js)
{
    *js = (struct jobs){ .ready = empty, .tell = empty, .free_at = JOB_NONE };
    idmap_init(&js->quiet, JOBS_MAX);
    js->v = calloc(JOBS_MAX, sizeof *js->v);
    js->heap = calloc(JOBS_MAX, sizeof *js->heap);
    if (!js->v || !js->heap)
        return CQ_FATAL;
    for (int32_t i = JOBS_MAX; i-- > 0;) {
        js->v[i].next = js->free_at;
        js->free_at = i;
    }
    return CQ_OK;
}

static void unref(struct jobs *js, struct held *h)
{
    CQ_ASSERT(h->refs > 0 && js->bytes >= h->rec.value.n, h->refs, js->bytes, h->rec.value.n);
    if (--h->refs)
        return;
    js->bytes -= h->rec.value.n;
    record_release(&h->rec);
    free(h);
}

void jobs_release(struct jobs *js)
{
    for (int32_t i = 0; js->v && i < JOBS_MAX; i++)
        if (js->v[i].phase != JOB_FREE)
            unref(js, js->v[i].held);
    free(js->v);
    free(js->heap);
    idmap_release(&js->quiet);
    *js = (struct jobs){ 0 };
}

struct job *jobs_add(struct jobs *js, struct held *h)
{
    struct job *j;

    if (js->free_at == JOB_NONE)
        return NULL;
    j = &js->v[js->free_at];
    js->free_at = j->next;
    *j = (struct job){ .held = h, .target = -1, .next = JOB_NONE, .phase = JOB_READY };
    if (!h->refs++)
        js->bytes += h->rec.value.n;
    js->n++;
    return j;
}

struct job *jobs_quiet(const struct jobs *js, struct cq_id key)
{
    const uint64_t *at = idmap_get(&js->quiet, key);
    struct job *j = at ? &js->v[*at] : NULL;

    return j && (j->phase == JOB_WAITING || j->phase == JOB_READY) ? j : NULL;
}

void jobs_set_quiet(struct jobs *js, struct job *j, struct cq_id key)
{
    j->quiet_key = key;
    j->quiet = idmap_put(&js->quiet, key, (uint64_t)job_index(js, j));
}

void jobs_remove(struct jobs *js, struct job *j)
{
    const uint64_t *quiet = j->quiet ? idmap_get(&js->quiet, j->quiet_key) : NULL;

    CQ_ASSERT(j->phase != JOB_FREE && js->n > 0, j->phase, js->n);
    if (quiet && *quiet == (uint64_t)job_index(js, j))
        (void)idmap_remove(&js->quiet, j->quiet_key);
    unref(js, j->held);
    j->phase = JOB_FREE;
    j->next = js->free_at;
    js->free_at = job_index(js, j);
    js->n--;
}

void job_list_add(struct jobs *js, struct job_list *l, struct job *j)
{
    int32_t i = job_index(js, j);

    CQ_ASSERT(j->phase != JOB_FREE && j->next == JOB_NONE && l->last != i, j->phase, j->next, i);
    j->next = JOB_NONE;
    if (l->last == JOB_NONE)
        l->first = i;
    else
        js->v[l->last].next = i;
    l->last = i;
    l->n++;
}

struct job *job_list_take(struct jobs *js, struct job_list *l)
{
    struct job *j = l->first == JOB_NONE ? NULL : &js->v[l->first];

    if (!j)
        return NULL;
    CQ_ASSERT(l->n > 0 && (l->n == 1) == (l->first == l->last), l->n, l->first, l->last);
    l->first = j->next;
    if (l->first == JOB_NONE)
        l->last = JOB_NONE;
    l->n--;
    j->next = JOB_NONE;
    return j;
}

/* ---- the heap ------------------------------------------------------------------------- */

static bool before(const struct jobs *js, int a, int b)
{
    return js->v[js->heap[a]].due_ms < js->v[js->heap[b]].due_ms;
}

static void swap(struct jobs *js, int a, int b)
{
    int32_t x = js->heap[a];

    js->heap[a] = js->heap[b];
    js->heap[b] = x;
}

static void sift_up(struct jobs *js, int i)
{
    for (; i && before(js, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(js, i, (i - 1) / 2);
}

static void sift_down(struct jobs *js, int i)
{
    for (;;) {
        int least = i;

        for (int c = 2 * i + 1; c <= 2 * i + 2 && c < js->heap_n; c++)
            if (before(js, c, least))
                least = c;
        if (least == i)
            return;
        swap(js, i, least);
        i = least;
    }
}

static void heap_remove(struct jobs *js, int i)
{
    js->heap_n--;
    if (i == js->heap_n)
        return;
    js->heap[i] = js->heap[js->heap_n];
    sift_down(js, i);
    sift_up(js, i);
}

void jobs_wait(struct jobs *js, struct job *j, int64_t due_ms)
{
    CQ_ASSERT(j->phase != JOB_WAITING && j->phase != JOB_FREE && js->heap_n < JOBS_MAX, j->phase,
              js->heap_n);
    j->phase = JOB_WAITING;
    j->due_ms = due_ms;
    js->heap[js->heap_n] = job_index(js, j);
    sift_up(js, js->heap_n++);
}

struct job *jobs_due(struct jobs *js, int64_t now_ms)
{
    struct job *j = js->heap_n ? &js->v[js->heap[0]] : NULL;

    if (!j || j->due_ms > now_ms)
        return NULL;
    heap_remove(js, 0);
    return j;
}

int64_t jobs_next_due(const struct jobs *js)
{
    return js->heap_n ? js->v[js->heap[0]].due_ms : -1;
}

void jobs_unwait(struct jobs *js, struct job *j)
{
    int i = 0;

    while (i < js->heap_n && js->heap[i] != job_index(js, j))
        i++;
    CQ_ASSERT(i < js->heap_n && j->phase == JOB_WAITING, i, js->heap_n, j->phase);
    heap_remove(js, i);
}
