/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/jobs.h"

#include "lib/base/assert.h"

#include <stdlib.h>

void job_list_init(struct job_list *list)
{
    *list = (struct job_list){ JOB_NONE, JOB_NONE, 0 };
}

enum cq_status jobs_init(struct jobs *jobs)
{
    *jobs = (struct jobs){ .free_at = JOB_NONE };
    job_list_init(&jobs->tell);
    idmap_init(&jobs->quiet, JOBS_MAX);
    jobs->v = calloc(JOBS_MAX, sizeof *jobs->v);
    jobs->heap = calloc(JOBS_MAX, sizeof *jobs->heap);
    if (!jobs->v || !jobs->heap)
        return CQ_FATAL;
    for (int32_t i = JOBS_MAX; i-- > 0;) {
        jobs->v[i].next = jobs->free_at;
        jobs->free_at = i;
    }
    return CQ_OK;
}

static void unref(struct jobs *jobs, struct held *held)
{
    CQ_ASSERT(held->refs > 0 && jobs->bytes >= held->rec.value.n, held->refs, jobs->bytes,
              held->rec.value.n);
    if (--held->refs)
        return;
    jobs->bytes -= held->rec.value.n;
    record_release(&held->rec);
    free(held);
}

void jobs_release(struct jobs *jobs)
{
    for (int32_t i = 0; jobs->v && i < JOBS_MAX; i++)
        if (jobs->v[i].phase != JOB_FREE)
            unref(jobs, jobs->v[i].held);
    free(jobs->v);
    free(jobs->heap);
    idmap_release(&jobs->quiet);
    *jobs = (struct jobs){ 0 };
}

struct job *jobs_add(struct jobs *jobs, struct held *held)
{
    struct job *job;

    if (jobs->free_at == JOB_NONE)
        return NULL;
    job = &jobs->v[jobs->free_at];
    jobs->free_at = job->next;
    *job = (struct job){ .held = held, .target = -1, .next = JOB_NONE, .phase = JOB_READY };
    job->service = JOB_NOWHERE;
    if (!held->refs++)
        jobs->bytes += held->rec.value.n;
    jobs->n++;
    return job;
}

void job_move(struct job *job, enum job_phase to)
{
    enum { READY = 1 << JOB_READY, WAITING = 1 << JOB_WAITING, FLYING = 1 << JOB_FLYING };
    enum { HALFWAY = 1 << JOB_PARKING | 1 << JOB_UNREGISTERING }; /* only the outcome is missing */
    static const unsigned before[] = {
        [JOB_FREE] = READY | WAITING | FLYING | HALFWAY | 1 << JOB_REPORTING | 1 << JOB_DEAD_LETTER,
        [JOB_READY] = WAITING | FLYING,
        [JOB_WAITING] = READY | FLYING,
        [JOB_FLYING] = READY,
        [JOB_DEAD_LETTER] = READY,
        [JOB_PARKING] = READY | WAITING | FLYING,
        [JOB_UNREGISTERING] = FLYING,
        [JOB_REPORTING] = READY | WAITING | FLYING | HALFWAY,
    };

    CQ_ASSERT(before[to] >> job->phase & 1, job->phase, to);
    job->phase = to;
}

struct job *jobs_quiet(const struct jobs *jobs, struct cq_id key)
{
    const uint64_t *at = idmap_get(&jobs->quiet, key);
    struct job *job = at ? &jobs->v[*at] : NULL;

    return job && (job->phase == JOB_WAITING || job->phase == JOB_READY) ? job : NULL;
}

void jobs_set_quiet(struct jobs *jobs, struct job *job, struct cq_id key)
{
    struct job *before = jobs_quiet(jobs, key);

    job->quiet_key = key;
    if (idmap_put(&jobs->quiet, key, (uint64_t)job_index(jobs, job)))
        job->silence = JOB_LATEST;
    if (before)
        before->silence = JOB_OVERTAKEN;
}

void jobs_remove(struct jobs *jobs, struct job *job)
{
    const uint64_t *quiet =
        job->silence == JOB_LOUD ? NULL : idmap_get(&jobs->quiet, job->quiet_key);

    CQ_ASSERT(jobs->n > 0, jobs->n);
    if (quiet && *quiet == (uint64_t)job_index(jobs, job))
        (void)idmap_remove(&jobs->quiet, job->quiet_key);
    unref(jobs, job->held);
    job_move(job, JOB_FREE);
    job->next = jobs->free_at;
    jobs->free_at = job_index(jobs, job);
    jobs->n--;
}

void job_list_add(struct jobs *jobs, struct job_list *list, struct job *job)
{
    int32_t i = job_index(jobs, job);

    CQ_ASSERT(job->phase != JOB_FREE && job->next == JOB_NONE && list->last != i, job->phase,
              job->next, i);
    job->next = JOB_NONE;
    if (list->last == JOB_NONE)
        list->first = i;
    else
        jobs->v[list->last].next = i;
    list->last = i;
    list->n++;
}

struct job *job_list_take(struct jobs *jobs, struct job_list *list)
{
    struct job *job = list->first == JOB_NONE ? NULL : &jobs->v[list->first];

    if (!job)
        return NULL;
    CQ_ASSERT(list->n > 0 && (list->n == 1) == (list->first == list->last), list->n, list->first,
              list->last);
    list->first = job->next;
    if (list->first == JOB_NONE)
        list->last = JOB_NONE;
    list->n--;
    job->next = JOB_NONE;
    return job;
}

/* ---- the heap ------------------------------------------------------------------------- */

static bool before(const struct jobs *jobs, int a, int b)
{
    return jobs->v[jobs->heap[a]].due_ms < jobs->v[jobs->heap[b]].due_ms;
}

static void swap(struct jobs *jobs, int a, int b)
{
    int32_t x = jobs->heap[a];

    jobs->heap[a] = jobs->heap[b];
    jobs->heap[b] = x;
}

static void sift_up(struct jobs *jobs, int i)
{
    for (; i && before(jobs, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(jobs, i, (i - 1) / 2);
}

static void sift_down(struct jobs *jobs, int i)
{
    for (;;) {
        int least = i;

        for (int c = 2 * i + 1; c <= 2 * i + 2 && c < jobs->heap_n; c++)
            if (before(jobs, c, least))
                least = c;
        if (least == i)
            return;
        swap(jobs, i, least);
        i = least;
    }
}

static void heap_remove(struct jobs *jobs, int i)
{
    jobs->late_n -= jobs->v[jobs->heap[i]].is_late;
    jobs->heap_n--;
    if (i == jobs->heap_n)
        return;
    jobs->heap[i] = jobs->heap[jobs->heap_n];
    sift_down(jobs, i);
    sift_up(jobs, i);
}

void jobs_wait(struct jobs *jobs, struct job *job, int64_t due_ms)
{
    CQ_ASSERT(jobs->heap_n < JOBS_MAX, jobs->heap_n);
    job_move(job, JOB_WAITING);
    job->due_ms = due_ms;
    jobs->late_n += job->is_late;
    jobs->heap[jobs->heap_n] = job_index(jobs, job);
    sift_up(jobs, jobs->heap_n++);
}

struct job *jobs_due(struct jobs *jobs, int64_t now_ms)
{
    struct job *job = jobs->heap_n ? &jobs->v[jobs->heap[0]] : NULL;

    if (!job || job->due_ms > now_ms)
        return NULL;
    heap_remove(jobs, 0);
    return job;
}

int64_t jobs_next_due(const struct jobs *jobs)
{
    return jobs->heap_n ? jobs->v[jobs->heap[0]].due_ms : -1;
}

void jobs_unwait(struct jobs *jobs, struct job *job)
{
    int i = 0;

    while (i < jobs->heap_n && jobs->heap[i] != job_index(jobs, job))
        i++;
    CQ_ASSERT(i < jobs->heap_n && job->phase == JOB_WAITING, i, jobs->heap_n, job->phase);
    heap_remove(jobs, i);
}
