/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/role.c - the role `media`: each MediaReady of chat.events is looked into by
 * chasqui-thumbnail, and what is found enters the log by ingest as MediaProcessed. Sweeps uploads
 * that nobody finished.
 */
#include "ingest/ingest.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "schemas/codec.h"
#include "schemas/names.h"
#include "schemas/topics.h"
#include "sinks/media/cage.h"
#include "sinks/media/intake.h"
#include "sinks/media/sweep.h"
#include "sinks/media/works.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ARENA_BYTES = 1024 * 1024, /* of one record */
    BUSY_WAIT_MS = 10,         /* for a record, while files are at work */
    IDLE_WAIT_MS = 200,
    AGAIN_MS = 1000,
    JOIN_MS = 10 * 1000,
    DRAIN_MS = 5 * 1000,
    TRIES = 3,           /* of a file whose process is killed */
    FETCH_MS_A_MIB = 10, /* what fetching a MiB costs of an owner's budget */
    PROGRAM_MAX = 1100,
};

struct media_role {
    struct cq_arena *arena; /* of a record */
    struct ingest *ingest;  /* owned */
    struct sweep *sweep;    /* owned */
    struct pool *pool;      /* owned */
    struct intake *intake;  /* owned */
    struct works *works;    /* owned */
    char program[PROGRAM_MAX];
    bool away, stuck; /* the store; anything else that looking needs; as logged */
    bool told_cut;
};

/* ---- what operators hear -------------------------------------------------------------- */

static void tell_trouble(struct media_role *role, const struct pool_job *job)
{
    bool away = job->st == CQ_AGAIN && job->store_away;
    bool stuck = job->st == CQ_AGAIN && !job->store_away;

    if (away && !role->away)
        log_warn("store_away", LOG_S("why", job->why));
    if (!away && role->away && !stuck)
        log_info("store_back");
    if (stuck && !role->stuck)
        log_warn("look_stuck", LOG_S("why", job->why));
    role->away = away || (stuck && role->away);
    role->stuck = stuck || (away && role->stuck);
}

static void tell_cut(struct media_role *role)
{
    struct bus_cut cut;
    bool is_cut = ingest_log_is_cut(role->ingest, &cut);

    if (is_cut && !role->told_cut)
        log_error("log_was_cut", LOG_S("topic", cut.topic), LOG_I("partition", cut.partition),
                  LOG_I("end", cut.end), LOG_I("floor", cut.floor),
                  LOG_S("refused", "what is found in files"),
                  LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (!is_cut && role->told_cut)
        log_info("log_is_whole");
    role->told_cut = is_cut;
}

static void show(const struct media_role *role)
{
    count_set(COUNT_LOOKS_WAITING, role->works->line.n - role->works->line.working);
    count_set(COUNT_LOOKS_WORKING, role->works->line.working);
}

/* ---- looking -------------------------------------------------------------------------- */

static void begin_looks(struct media_role *role, int64_t now_ms)
{
    for (int idle = pool_idle(role->pool); idle > 0; idle--) {
        int32_t place = line_next(&role->works->line, now_ms);
        const struct work *work = place < 0 ? NULL : works_at(role->works, place);
        struct pool_job job = { .place = place };

        if (!work)
            return;
        job.media = work->media;
        memcpy(job.key, work->key, sizeof job.key);
        memcpy(job.type, work->type, sizeof job.type);
        pool_begin(role->pool, &job);
    }
}

/* A process may have been killed for a reason outside of its file (no memory on the machine, an
 * operator), so it is tried again. A file that kills its process does so each time. */
static bool try_again(struct media_role *role, struct work *work, const struct pool_job *job,
                      int64_t now_ms)
{
    int64_t wait_ms = AGAIN_MS;

    if (job->st == CQ_OK) {
        if (job->found.end != LOOK_KILLED || ++work->tries >= TRIES)
            return false;
        count_add(COUNT_LOOK_RETRIES, 1);
        log_warn("look_killed", LOG_S("media", id_text(work->media).s),
                 LOG_S("why", job->found.fault), LOG_I("tries", work->tries));
        wait_ms *= work->tries;
    }
    line_wait(&role->works->line, work->place, now_ms + wait_ms);
    return true;
}

static void end_look(struct media_role *role, struct work *work, const struct pool_job *job)
{
    line_leave(&role->works->line, work->place);
    work->place = -1;
    work->found = job->found;
    memcpy(work->thumbnail, job->thumbnail, sizeof work->thumbnail);
    works_move(work, WORK_TELL);
    count_add(COUNT_LOOKS, 1);
    if (job->found.end == LOOK_FILTERED) {
        count_add(COUNT_LOOK_BREAKOUTS, 1);
        log_error("look_filtered", LOG_S("media", id_text(work->media).s),
                  LOG_S("owner", id_text(work->user).s));
    }
    log_debug("looked", LOG_S("media", id_text(work->media).s), LOG_S("fault", work->found.fault));
}

static void take_looks(struct media_role *role, int64_t now_ms)
{
    struct pool_job job;

    while (pool_take(role->pool, &job)) {
        struct work *work = works_at(role->works, job.place);

        tell_trouble(role, &job);
        if (!work)
            continue;
        line_charge(&role->works->line, job.place,
                    job.found.cpu_ms + (job.bytes >> 20) * FETCH_MS_A_MIB, now_ms);
        if (work->dropped)
            works_remove(role->works, work);
        else if (!try_again(role, work, &job, now_ms))
            end_look(role, work, &job);
    }
}

/* ---- into the log --------------------------------------------------------------------- */

/* An unknown outcome is tried again; the same fact twice is harmless. */
static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct media_role *role = arg;
    struct work *work = &role->works->v[opaque];

    (void)partition;
    (void)offset;
    if (st == CQ_OK || work->dropped) {
        works_remove(role->works, work);
        return;
    }
    works_move(work, WORK_TELL);
    work->due_ms = clock_mono_ms() + AGAIN_MS;
}

static void tell(struct media_role *role, struct work *work, int64_t now_ms)
{
    const char *field = "";
    struct chat_action action = {
        .chat_id = work->chat,
        .user_id = work->user,
        .device_id = work->device,
        .client_id = span_of(work->client_id, work->client_id_n),
        .at_ms = clock_wall_ms(),
        .has_peer = work->has_peer,
        .peer = work->peer,
        .action = { CHAT_ACTION_MEDIA_PROCESSED,
                    .u.media_processed = { .media_id = work->media,
                                           .width = work->found.width,
                                           .height = work->found.height,
                                           .duration_ms = work->found.duration_ms,
                                           .thumbnail_key = span_str(work->thumbnail),
                                           .fault = span_str(work->found.fault) } },
    };
    enum cq_status st =
        ingest_chat(role->ingest, &action, (uint64_t)(work - role->works->v), &field);

    if (st == CQ_OK) {
        count_add(COUNT_LOOK_FAULTS, *work->found.fault ? 1 : 0);
        works_move(work, WORK_TOLD);
    } else if (st == CQ_AGAIN) {
        work->due_ms = now_ms + AGAIN_MS;
    } else {
        log_error("look_untold", LOG_S("media", id_text(work->media).s), LOG_S("field", field));
        works_remove(role->works, work);
    }
}

static void tell_all(struct media_role *role, int64_t now_ms)
{
    for (int32_t i = 0; i < WORKS_MAX; i++)
        if (role->works->v[i].state == WORK_TELL && role->works->v[i].due_ms <= now_ms)
            tell(role, &role->works->v[i], now_ms);
}

/* ---- records -------------------------------------------------------------------------- */

static bool fits(const struct chat_event *event)
{
    return event->client_id.n <= LIMIT_CLIENT_ID_BYTES &&
           event->event.u.media_ready.key.n < STORE_KEY_MAX &&
           event->event.u.media_ready.content_type.n < POOL_TYPE_MAX;
}

static void take_ready(struct media_role *role, const struct bus_record *rec,
                       const struct chat_event *event)
{
    const struct media_ready *ready = &event->event.u.media_ready;
    struct work *work = works_add(role->works);

    work->partition = rec->partition;
    work->offset = rec->offset;
    work->media = ready->media_id;
    work->chat = event->chat_id;
    work->user = event->user_id;
    work->device = event->device_id;
    work->has_peer = ready->has_peer;
    work->peer = ready->peer;
    work->client_id_n = event->client_id.n;
    memcpy(work->client_id, event->client_id.p, event->client_id.n);
    snprintf(work->key, sizeof work->key, "%.*s", SPAN_FMT(ready->key));
    snprintf(work->type, sizeof work->type, "%.*s", SPAN_FMT(ready->content_type));
    if (line_join(&role->works->line, event->user_id, clock_mono_ms(), &work->place) !=
        LINE_TAKEN) {
        work->place = -1; /* there was room, so it is this owner's bound */
        count_add(COUNT_LOOKS_REFUSED, 1);
        snprintf(work->found.fault, sizeof work->found.fault, "too many files of its owner wait");
        works_move(work, WORK_TELL);
    }
}

static void take_record(void *arg, const struct bus_record *rec)
{
    struct media_role *role = arg;
    const char *why = "";
    struct chat_event event;

    arena_reset(role->arena);
    if (codec_decode(&chat_event_codec, rec->value, role->arena, &event, &why) != CQ_OK)
        return; /* dead-lettered by the sink that keeps the view */
    if (event.event.kind == CHAT_EVENT_MEDIA_READY &&
        event.event.u.media_ready.type != MESSAGE_TYPE_DOCUMENT && fits(&event) &&
        !works_has(role->works,
                   event.event.u.media_ready.media_id)) /* the first one holds the commit */
        take_ready(role, rec, &event);
}

static bool has_room(void *arg)
{
    const struct media_role *role = arg;

    return works_room(role->works);
}

static int64_t undone(void *arg, int32_t partition, int64_t next)
{
    const struct media_role *role = arg;

    return works_undone(role->works, partition, next);
}

static void drop(void *arg, int32_t partition)
{
    struct media_role *role = arg;

    works_drop(role->works, partition);
}

static const struct intake_ops ops = { has_room, take_record, undone, drop };

static enum cq_status turn(struct media_role *role)
{
    int64_t now_ms = clock_mono_ms();
    enum cq_status st;

    ingest_serve(role->ingest);
    tell_cut(role);
    take_looks(role, now_ms);
    tell_all(role, now_ms);
    begin_looks(role, now_ms);
    st = intake_turn(role->intake, role->works->n ? BUSY_WAIT_MS : IDLE_WAIT_MS);
    show(role);
    return st == CQ_OK && ingest_is_dead(role->ingest) ? CQ_FATAL : st;
}

/* ---- life ----------------------------------------------------------------------------- */

static bool find_program(struct media_role *role)
{
    const char *set = setting_text(SET_THUMBNAIL_PROGRAM);
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (*set) {
        snprintf(role->program, sizeof role->program, "%s", set);
    } else {
        if (n <= 0)
            return false;
        self[n] = '\0';
        slash = strrchr(self, '/');
        snprintf(role->program, sizeof role->program, "%.*s/chasqui-thumbnail", (int)(slash - self),
                 self);
    }
    if (access(role->program, X_OK) == 0)
        return true;
    log_error("bad_setting", LOG_S("name", "THUMBNAIL_PROGRAM"), LOG_S("why", role->program));
    return false;
}

/* Without its sandbox no file would be looked into: this is checked at the start, and not said for
 * each file. */
static bool check_cage(const struct media_role *role)
{
    cq_auto(buf) struct cq_buf none = { 0 };
    struct look_found found = { .fault = "it does not start" };
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    enum cq_status st;

    buf_init(&none, LOOK_THUMBNAIL_MAX);
    st = fd < 0 ? CQ_AGAIN : look_into(role->program, fd, "cage", 1, NULL, &found, &none);
    if (fd >= 0)
        close(fd);
    if (st == CQ_OK && !*found.fault && found.width & CAGE_FILTER) {
        log_info("cage", LOG_I("own_user", !!(found.width & CAGE_OWN_USER)),
                 LOG_I("namespaces", !!(found.width & CAGE_NAMESPACES)),
                 LOG_I("empty_root", !!(found.width & CAGE_EMPTY_ROOT)),
                 LOG_I("landlock", !!(found.width & CAGE_LANDLOCK)));
        return true;
    }
    log_error("no_cage", LOG_S("program", role->program), LOG_S("why", found.fault));
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
static enum cq_status open_store(struct media_role *role)
{
    const struct store_conf conf = store_conf();
    cq_auto(store) struct store *opened = NULL;

    if (store_new(&conf, &opened) != CQ_OK) {
        log_error("bad_setting", LOG_S("name", "MEDIA_STORE"));
        return CQ_FATAL;
    }
    role->away = store_prepare(opened) != CQ_OK;
    if (role->away)
        log_warn("store_away", LOG_S("why", store_why(opened)));
    return CQ_OK;
}

static enum cq_status open_pool(struct media_role *role)
{
    const char *folder = getenv("TMPDIR");
    int threads = (int)setting_int(SET_MEDIA_LOOKERS);

    role->works = calloc(1, sizeof *role->works);
    if (!role->works || !role->arena)
        return CQ_FATAL;
    /* half of them stay for others, whatever one owner sends */
    line_init(&role->works->line, setting_int(SET_MEDIA_USER_LOOK_S) * 1000,
              threads > 1 ? threads / 2 : 1);
    return pool_new(&(struct pool_conf){ .threads = threads,
                                         .program = role->program,
                                         .folder = folder && *folder ? folder : "/tmp",
                                         .megapixels_max = setting_int(SET_MEDIA_PIXELS_MAX),
                                         .store = store_conf() },
                    &role->pool);
}

static enum cq_status open_bus(struct media_role *role)
{
    struct ingest_conf conf = { .brokers = setting_text(SET_KAFKA_BROKER),
                                .client_id = "chasqui-media",
                                .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                .ack = on_report,
                                .arg = role };
    enum cq_status st = ingest_new(&conf, &role->ingest);

    return st != CQ_OK
               ? st
               : intake_new(&(struct intake_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                                   .instance = setting_text(SET_INSTANCE),
                                                   .ops = &ops,
                                                   .arg = role },
                            &role->intake);
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

static void on_stuck(struct cq_id media, const char *why)
{
    log_warn("file_stuck", LOG_S("media", id_text(media).s), LOG_S("why", why));
}

static enum cq_status open_parts(struct media_role *role)
{
    const struct sweep_conf sweep = { .database_url = setting_text(SET_DATABASE_URL),
                                      .brokers = setting_text(SET_KAFKA_BROKER),
                                      .partitions = (int32_t)setting_int(SET_PARTITIONS),
                                      .store = store_conf(),
                                      .pending_ms =
                                          setting_int(SET_MEDIA_PENDING_HOURS) * 3600 * 1000,
                                      .unshown_ms =
                                          setting_int(SET_MEDIA_UNSHOWN_HOURS) * 3600 * 1000,
                                      .told = on_settled,
                                      .stuck = on_stuck };
    enum cq_status st;

    if (!find_program(role) || !check_cage(role))
        return CQ_FATAL;
    st = open_store(role);
    if (st == CQ_OK)
        st = open_pool(role);
    if (st == CQ_OK)
        st = open_bus(role);
    return st == CQ_OK ? sweep_start(&sweep, &role->sweep) : st;
}

/* Drain: wait for the broker's reports, so that finished files need not be looked into again. */
static void drain(struct media_role *role)
{
    int64_t until_ms = clock_mono_ms() + DRAIN_MS;
    bool open = true;

    while (open && clock_mono_ms() < until_ms) {
        ingest_serve(role->ingest);
        open = false;
        for (int32_t i = 0; i < WORKS_MAX; i++)
            open = open || role->works->v[i].state == WORK_TOLD;
        if (open)
            clock_sleep_ms(1);
    }
    intake_commit(role->intake);
}

static void close_parts(struct media_role *role)
{
    pool_free(role->pool);
    sweep_stop(role->sweep);
    intake_free(role->intake);
    ingest_free(role->ingest);
    arena_free(role->arena);
    free(role->works);
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
static enum cq_status run(struct media_role *role, const volatile int *stop)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MS;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*stop && !intake_owned(role->intake) && clock_mono_ms() < until_ms)
        st = turn(role);
    if (st == CQ_OK)
        log_info("ready", LOG_S("program", role->program));
    while (st == CQ_OK && !*stop)
        st = turn(role);
    if (st == CQ_OK)
        drain(role);
    return st;
}

static const char *why_of(const struct media_role *role)
{
    if (!role->intake)
        return "no memory, or bad settings";
    return *intake_error(role->intake) ? intake_error(role->intake) : ingest_error(role->ingest);
}

int media_role_run(const volatile int *stop)
{
    struct media_role role = { 0 };
    enum cq_status st;

    if (!*setting_text(SET_MEDIA_STORE))
        return idle(stop);
    role.arena = arena_new(ARENA_BYTES);
    st = open_parts(&role);
    if (st == CQ_OK)
        st = run(&role, stop);
    if (st != CQ_OK)
        log_ended(cq_status_name(st), why_of(&role));
    close_parts(&role);
    return st == CQ_OK ? 0 : 1;
}
