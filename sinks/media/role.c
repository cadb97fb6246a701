/* SPDX-License-Identifier: MIT */
#include "sinks/media/role.h"

#include "ingest/ingest.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "schemas/codec.h"
#include "schemas/names.h"
#include "schemas/topics.h"
#include "sinks/media/cage.h"
#include "sinks/media/sweep.h"
#include "sinks/media/works.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TURN_RECORDS = 1000,
    FETCH_WAIT_MS = 250,
    ARENA_BYTES = 1024 * 1024, /* of one record */
    BUSY_WAIT_MS = 10,         /* for a record, while files are at work */
    IDLE_WAIT_MS = 200,
    COMMIT_EVERY_MS = 1000,
    AGAIN_MS = 1000,
    JOIN_MS = 10 * 1000,
    DRAIN_MS = 5 * 1000,
    TRIES = 3,           /* of a file whose process is killed */
    FETCH_MS_A_MIB = 10, /* what fetching a MiB costs of an owner's budget */
    PROGRAM_MAX = 1100,
};

struct part {
    bool owned, paused;
    int64_t next, committed; /* next to be read; told to the group */
};

struct media_role {
    struct cq_arena *arena;    /* of a record */
    struct ingest *ingest;     /* owned */
    struct sweep *sweep;       /* owned */
    struct pool *pool;         /* owned */
    struct consumer *consumer; /* owned */
    struct works *works;       /* owned */
    struct part *parts;        /* owned; parts_n */
    int32_t parts_n;
    int64_t committed_ms;
    char program[PROGRAM_MAX];
    bool away, stuck; /* the store; anything else that looking needs; as logged */
    bool told_cut;
};

/* ---- what operators hear -------------------------------------------------------------- */

static void tell_trouble(struct media_role *m, const struct pool_job *job)
{
    bool away = job->st == CQ_AGAIN && job->store_away;
    bool stuck = job->st == CQ_AGAIN && !job->store_away;

    if (away && !m->away)
        log_warn("store_away", LOG_S("why", job->why));
    if (!away && m->away && !stuck)
        log_info("store_back");
    if (stuck && !m->stuck)
        log_warn("look_stuck", LOG_S("why", job->why));
    m->away = away || (stuck && m->away);
    m->stuck = stuck || (away && m->stuck);
}

static void tell_cut(struct media_role *m)
{
    struct bus_cut cut;
    bool is_cut = ingest_log_is_cut(m->ingest, &cut);

    if (is_cut && !m->told_cut)
        log_error("log_was_cut", LOG_S("topic", cut.topic), LOG_I("partition", cut.partition),
                  LOG_I("end", cut.end), LOG_I("floor", cut.floor),
                  LOG_S("refused", "what is found in files"),
                  LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (!is_cut && m->told_cut)
        log_info("log_is_whole");
    m->told_cut = is_cut;
}

static void show(const struct media_role *m)
{
    count_set(COUNT_LOOKS_WAITING, m->works->line.n - m->works->line.working);
    count_set(COUNT_LOOKS_WORKING, m->works->line.working);
    consumer_show(m->consumer);
}

/* ---- looking -------------------------------------------------------------------------- */

static void begin_looks(struct media_role *m, int64_t now_ms)
{
    for (int idle = pool_idle(m->pool); idle > 0; idle--) {
        int32_t place = line_next(&m->works->line, now_ms);
        const struct work *w = place < 0 ? NULL : works_at(m->works, place);
        struct pool_job job = { .place = place };

        if (!w)
            return;
        job.media = w->media;
        memcpy(job.key, w->key, sizeof job.key);
        memcpy(job.type, w->type, sizeof job.type);
        pool_begin(m->pool, &job);
    }
}

/* A process may have been killed for a reason outside of its file (no memory on the machine, an
 * operator), so it is tried again. A file that kills its process does so each time. */
static bool try_again(struct media_role *m, struct work *w, const struct pool_job *job,
                      int64_t now_ms)
{
    int64_t wait_ms = AGAIN_MS;

    if (job->st == CQ_OK) {
        if (job->found.end != LOOK_KILLED || ++w->tries >= TRIES)
            return false;
        count_add(COUNT_LOOK_RETRIES, 1);
        log_warn("look_killed", LOG_S("media", id_text(w->media).s), LOG_S("why", job->found.fault),
                 LOG_I("tries", w->tries));
        wait_ms *= w->tries;
    }
    line_wait(&m->works->line, w->place, now_ms + wait_ms);
    return true;
}

static void end_look(struct media_role *m, struct work *w, const struct pool_job *job)
{
    line_leave(&m->works->line, w->place);
    w->place = -1;
    w->found = job->found;
    memcpy(w->thumbnail, job->thumbnail, sizeof w->thumbnail);
    w->state = WORK_TELL;
    count_add(COUNT_LOOKS, 1);
    if (job->found.end == LOOK_FILTERED) {
        count_add(COUNT_LOOK_BREAKOUTS, 1);
        log_error("look_filtered", LOG_S("media", id_text(w->media).s),
                  LOG_S("owner", id_text(w->user).s));
    }
    log_debug("looked", LOG_S("media", id_text(w->media).s), LOG_S("fault", w->found.fault));
}

static void take_looks(struct media_role *m, int64_t now_ms)
{
    struct pool_job job;

    while (pool_take(m->pool, &job)) {
        struct work *w = works_at(m->works, job.place);

        tell_trouble(m, &job);
        if (!w)
            continue;
        line_charge(&m->works->line, job.place,
                    job.found.cpu_ms + (job.bytes >> 20) * FETCH_MS_A_MIB, now_ms);
        if (w->dropped)
            works_remove(m->works, w);
        else if (!try_again(m, w, &job, now_ms))
            end_look(m, w, &job);
    }
}

/* ---- into the log --------------------------------------------------------------------- */

/* An unknown outcome is tried again; the same fact twice is harmless. */
static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct media_role *m = arg;
    struct work *w = &m->works->v[opaque];

    (void)partition;
    (void)offset;
    if (st == CQ_OK || w->dropped) {
        works_remove(m->works, w);
        return;
    }
    w->state = WORK_TELL;
    w->due_ms = clock_mono_ms() + AGAIN_MS;
}

static void tell(struct media_role *m, struct work *w, int64_t now_ms)
{
    const char *field = "";
    struct chat_action a = {
        .chat_id = w->chat,
        .user_id = w->user,
        .device_id = w->device,
        .client_id = span_of(w->client_id, w->client_id_n),
        .at_ms = clock_wall_ms(),
        .has_peer = w->has_peer,
        .peer = w->peer,
        .action = { CHAT_ACTION_MEDIA_PROCESSED,
                    .u.media_processed = { .media_id = w->media,
                                           .width = w->found.width,
                                           .height = w->found.height,
                                           .duration_ms = w->found.duration_ms,
                                           .thumbnail_key = span_str(w->thumbnail),
                                           .fault = span_str(w->found.fault) } },
    };
    enum cq_status st = ingest_chat(m->ingest, &a, (uint64_t)(w - m->works->v), &field);

    if (st == CQ_OK) {
        count_add(COUNT_LOOK_FAULTS, *w->found.fault ? 1 : 0);
        w->state = WORK_TOLD;
    } else if (st == CQ_AGAIN) {
        w->due_ms = now_ms + AGAIN_MS;
    } else {
        log_error("look_untold", LOG_S("media", id_text(w->media).s), LOG_S("field", field));
        works_remove(m->works, w);
    }
}

static void tell_all(struct media_role *m, int64_t now_ms)
{
    for (int32_t i = 0; i < WORKS_MAX; i++)
        if (m->works->v[i].state == WORK_TELL && m->works->v[i].due_ms <= now_ms)
            tell(m, &m->works->v[i], now_ms);
}

/* ---- records -------------------------------------------------------------------------- */

static bool fits(const struct chat_event *e)
{
    return e->client_id.n <= LIMIT_CLIENT_ID_BYTES &&
           e->event.u.media_ready.key.n < STORE_KEY_MAX &&
           e->event.u.media_ready.content_type.n < POOL_TYPE_MAX;
}

static void take_ready(struct media_role *m, const struct bus_record *rec,
                       const struct chat_event *e)
{
    const struct media_ready *ready = &e->event.u.media_ready;
    struct work *w = works_add(m->works);

    w->partition = rec->partition;
    w->offset = rec->offset;
    w->media = ready->media_id;
    w->chat = e->chat_id;
    w->user = e->user_id;
    w->device = e->device_id;
    w->has_peer = ready->has_peer;
    w->peer = ready->peer;
    w->client_id_n = e->client_id.n;
    memcpy(w->client_id, e->client_id.p, e->client_id.n);
    snprintf(w->key, sizeof w->key, "%.*s", SPAN_FMT(ready->key));
    snprintf(w->type, sizeof w->type, "%.*s", SPAN_FMT(ready->content_type));
    if (line_join(&m->works->line, e->user_id, clock_mono_ms(), &w->place) != LINE_TAKEN) {
        w->place = -1; /* there was room, so it is this owner's bound */
        count_add(COUNT_LOOKS_REFUSED, 1);
        snprintf(w->found.fault, sizeof w->found.fault, "too many files of its owner wait");
        w->state = WORK_TELL;
    }
}

static void take_record(struct media_role *m, const struct bus_record *rec)
{
    const char *why = "";
    struct chat_event e;

    arena_reset(m->arena);
    if (codec_decode(&chat_event_codec, rec->value, m->arena, &e, &why) != CQ_OK)
        return; /* dead-lettered by the sink that keeps the view */
    if (e.event.kind == CHAT_EVENT_MEDIA_READY &&
        e.event.u.media_ready.type != MESSAGE_TYPE_DOCUMENT && fits(&e) &&
        !works_has(m->works, e.event.u.media_ready.media_id)) /* the first one holds the commit */
        take_ready(m, rec, &e);
}

static void pause_all(struct media_role *m, bool pause)
{
    for (int32_t p = 0; p < m->parts_n; p++) {
        if (!m->parts[p].owned || m->parts[p].paused == pause)
            continue;
        consumer_pause(m->consumer, topic_name(TOPIC_CHAT_EVENTS), p, pause);
        m->parts[p].paused = pause;
    }
}

static enum cq_status take_records(struct media_role *m)
{
    enum cq_status st = CQ_OK;

    pause_all(m, !works_room(m->works));
    for (int i = 0; st == CQ_OK && i < TURN_RECORDS; i++) {
        int wait_ms = i ? 0 : m->works->n ? BUSY_WAIT_MS : IDLE_WAIT_MS;
        struct bus_record rec;

        st = consumer_poll(m->consumer, wait_ms, &rec);
        if (st != CQ_OK || !rec.topic)
            return st;
        if (!works_room(m->works)) { /* it came before the pause did */
            consumer_seek(m->consumer, rec.topic, rec.partition, rec.offset);
            pause_all(m, true);
        } else if (m->parts[rec.partition].owned) {
            take_record(m, &rec);
            m->parts[rec.partition].next = rec.offset + 1;
        }
        record_release(&rec);
    }
    return st;
}

/* ---- partitions ----------------------------------------------------------------------- */

static void commit_progress(struct media_role *m, int64_t now_ms)
{
    if (now_ms - m->committed_ms < COMMIT_EVERY_MS)
        return;
    m->committed_ms = now_ms;
    for (int32_t p = 0; p < m->parts_n; p++) {
        int64_t next = m->parts[p].owned ? works_undone(m->works, p, m->parts[p].next) : 0;

        if (!m->parts[p].owned || next <= m->parts[p].committed)
            continue;
        consumer_commit(m->consumer, topic_name(TOPIC_CHAT_EVENTS), p, next, NULL);
        m->parts[p].committed = next;
    }
    show(m);
}

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct media_role *m = arg;

    (void)topic;
    (void)meta;
    (void)ret_from;
    if (partition < 0 || partition >= m->parts_n)
        return CQ_FATAL;
    m->parts[partition] = (struct part){ .owned = true, .next = -1, .committed = committed };
    return CQ_OK;
}

/* The results of files at work or in flight are dropped; the new owner of the partition does them
 * again. */
static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct media_role *m = arg;
    struct part *part = &m->parts[partition];
    int64_t next;

    if (!part->owned)
        return;
    next = works_undone(m->works, partition, part->next);
    if (!lost && next > part->committed &&
        consumer_commit_wait(m->consumer, topic, partition, next, NULL) != CQ_OK)
        log_debug("commit_at_revoke_failed", LOG_I("partition", partition));
    part->owned = false;
    works_drop(m->works, partition);
}

static const struct consumer_ops ops = { on_assigned, on_revoked };

static enum cq_status turn(struct media_role *m)
{
    int64_t now_ms = clock_mono_ms();
    enum cq_status st;

    count_beat(now_ms);
    ingest_serve(m->ingest);
    tell_cut(m);
    take_looks(m, now_ms);
    tell_all(m, now_ms);
    begin_looks(m, now_ms);
    st = take_records(m);
    commit_progress(m, now_ms);
    return st == CQ_OK && ingest_is_dead(m->ingest) ? CQ_FATAL : st;
}

/* ---- life ----------------------------------------------------------------------------- */

static bool find_program(struct media_role *m)
{
    const char *set = setting_text(SET_THUMBNAIL_PROGRAM);
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (*set) {
        snprintf(m->program, sizeof m->program, "%s", set);
    } else {
        if (n <= 0)
            return false;
        self[n] = '\0';
        slash = strrchr(self, '/');
        snprintf(m->program, sizeof m->program, "%.*s/chasqui-thumbnail", (int)(slash - self),
                 self);
    }
    if (access(m->program, X_OK) == 0)
        return true;
    log_error("bad_setting", LOG_S("name", "THUMBNAIL_PROGRAM"), LOG_S("why", m->program));
    return false;
}

/* Without its sandbox no file would be looked into: this is checked at the start, and not said for
 * each file. */
static bool check_cage(const struct media_role *m)
{
    cq_auto(buf) struct cq_buf none = { 0 };
    struct look_found found = { .fault = "it does not start" };
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    enum cq_status st;

    buf_init(&none, LOOK_THUMBNAIL_MAX);
    st = fd < 0 ? CQ_AGAIN : look_into(m->program, fd, "cage", 1, NULL, &found, &none);
    if (fd >= 0)
        close(fd);
    if (st == CQ_OK && !*found.fault && found.width & CAGE_FILTER) {
        log_info("cage", LOG_I("own_user", !!(found.width & CAGE_OWN_USER)),
                 LOG_I("namespaces", !!(found.width & CAGE_NAMESPACES)),
                 LOG_I("empty_root", !!(found.width & CAGE_EMPTY_ROOT)),
                 LOG_I("landlock", !!(found.width & CAGE_LANDLOCK)));
        return true;
    }
    log_error("no_cage", LOG_S("program", m->program), LOG_S("why", found.fault));
    return false;
}

static struct store_conf store_conf(void)
{
    return (struct store_conf){ .where = setting_text(SET_MEDIA_STORE),
                                .access_key = setting_text(SET_S3_ACCESS_KEY),
                                .secret_key = setting_text(SET_S3_SECRET_KEY),
                                .region = setting_text(SET_S3_REGION),
                                .public_url = setting_text(SET_S3_PUBLIC_URL) };
}

/* Make the store's folders or bucket when they are not there; if the store is away now, only log
 * that. */
static enum cq_status open_store(struct media_role *m)
{
    const struct store_conf conf = store_conf();
    cq_auto(store) struct store *s = NULL;

    if (store_new(&conf, &s) != CQ_OK) {
        log_error("bad_setting", LOG_S("name", "MEDIA_STORE"));
        return CQ_FATAL;
    }
    m->away = store_prepare(s) != CQ_OK;
    if (m->away)
        log_warn("store_away", LOG_S("why", store_why(s)));
    return CQ_OK;
}

static enum cq_status open_pool(struct media_role *m)
{
    const char *folder = getenv("TMPDIR");
    int threads = (int)setting_int(SET_MEDIA_LOOKERS);

    m->works = calloc(1, sizeof *m->works);
    m->parts_n = (int32_t)setting_int(SET_PARTITIONS);
    m->parts = calloc((size_t)m->parts_n, sizeof *m->parts);
    if (!m->works || !m->parts || !m->arena)
        return CQ_FATAL;
    /* half of them stay for others, whatever one owner sends */
    line_init(&m->works->line, setting_int(SET_MEDIA_USER_LOOK_S) * 1000,
              threads > 1 ? threads / 2 : 1);
    return pool_new(&(struct pool_conf){ .threads = threads,
                                         .program = m->program,
                                         .folder = folder && *folder ? folder : "/tmp",
                                         .megapixels_max = setting_int(SET_MEDIA_PIXELS_MAX),
                                         .store = store_conf() },
                    &m->pool);
}

static enum cq_status open_bus(struct media_role *m)
{
    static const char *topic;
    struct ingest_conf ic = { .brokers = setting_text(SET_KAFKA_BROKER),
                              .client_id = "chasqui-media",
                              .partitions = (int32_t)setting_int(SET_PARTITIONS),
                              .ack = on_report,
                              .arg = m };
    enum cq_status st = ingest_new(&ic, &m->ingest);

    topic = topic_name(TOPIC_CHAT_EVENTS);
    return st != CQ_OK
               ? st
               : consumer_new(&(struct consumer_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                                       .client_id = "chasqui-media",
                                                       .group = "media",
                                                       .instance = setting_text(SET_INSTANCE),
                                                       .topics = &topic,
                                                       .topics_n = 1,
                                                       .fetch_wait_ms = FETCH_WAIT_MS,
                                                       .ops = &ops,
                                                       .arg = m },
                              &m->consumer);
}

static void on_settled(struct cq_id media, enum settled as)
{
    static const char *const words[] = {
        [SETTLED_READY] = "ready", [SETTLED_REFUSED] = "refused", [SETTLED_UNFIT] = "unfit"
    };

    if (as == SETTLED_UNFIT)
        log_error("file_unfit", LOG_S("media", id_text(media).s));
    else
        log_info("file_settled", LOG_S("media", id_text(media).s), LOG_S("as", words[as]));
}

static enum cq_status open_parts(struct media_role *m)
{
    const struct sweep_conf sweep = { .database_url = setting_text(SET_DATABASE_URL),
                                      .brokers = setting_text(SET_KAFKA_BROKER),
                                      .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                      .store = store_conf(),
                                      .pending_ms =
                                          setting_int(SET_MEDIA_PENDING_HOURS) * 3600 * 1000,
                                      .told = on_settled };
    enum cq_status st;

    if (!find_program(m) || !check_cage(m))
        return CQ_FATAL;
    st = open_store(m);
    if (st == CQ_OK)
        st = open_pool(m);
    if (st == CQ_OK)
        st = open_bus(m);
    return st == CQ_OK ? sweep_start(&sweep, &m->sweep) : st;
}

/* Drain: wait for the broker's reports, so that finished files need not be looked into again. */
static void drain(struct media_role *m)
{
    int64_t until_ms = clock_mono_ms() + DRAIN_MS;
    bool open = true;

    while (open && clock_mono_ms() < until_ms) {
        ingest_serve(m->ingest);
        open = false;
        for (int32_t i = 0; i < WORKS_MAX; i++)
            open = open || m->works->v[i].state == WORK_TOLD;
        if (open)
            clock_sleep_ms(1);
    }
    m->committed_ms = 0;
    commit_progress(m, clock_mono_ms());
}

static void close_parts(struct media_role *m)
{
    pool_free(m->pool);
    sweep_stop(m->sweep);
    consumer_free(m->consumer);
    ingest_free(m->ingest);
    arena_free(m->arena);
    free(m->works);
    free(m->parts);
}

/* Without a store there is nothing to do, and nothing wrong. */
static int idle(const volatile int *stop)
{
    log_info("ready", LOG_S("store", "none"));
    while (!*stop) {
        count_beat(clock_mono_ms());
        clock_sleep_ms(200);
    }
    return 0;
}

/* Ready once partitions are ours; more copies than partitions are ready without. */
static enum cq_status run(struct media_role *m, const volatile int *stop)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MS;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*stop && !consumer_owned(m->consumer) && clock_mono_ms() < until_ms)
        st = turn(m);
    if (st == CQ_OK)
        log_info("ready", LOG_S("program", m->program));
    while (st == CQ_OK && !*stop)
        st = turn(m);
    if (st == CQ_OK)
        drain(m);
    return st;
}

static const char *why_of(const struct media_role *m)
{
    if (!m->consumer)
        return "no memory, or bad settings";
    return *consumer_error(m->consumer) ? consumer_error(m->consumer) : ingest_error(m->ingest);
}

int media_role_run(const volatile int *stop)
{
    struct media_role m = { 0 };
    enum cq_status st;

    if (!*setting_text(SET_MEDIA_STORE))
        return idle(stop);
    m.arena = arena_new(ARENA_BYTES);
    st = open_parts(&m);
    if (st == CQ_OK)
        st = run(&m, stop);
    if (st != CQ_OK)
        log_ended(cq_status_name(st), why_of(&m));
    close_parts(&m);
    return st == CQ_OK ? 0 : 1;
}
