/* SPDX-License-Identifier: MIT */
#include "sinks/media/role.h"

#include "ingest/ingest.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/stage.h"
#include "schemas/codec.h"
#include "schemas/names.h"
#include "schemas/topics.h"
#include "sinks/media/cage.h"
#include "sinks/media/look.h"
#include "sinks/media/sweep.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TURN_RECORDS = 1000,
    TURN_BYTES = 4 * 1024 * 1024,
    FETCH_WAIT_MS = 250,
    ARENA_BYTES = 32 * 1024 * 1024,
    TURN_LONGEST_MS = 2000, /* no look begins later: a kill repeats no more than this */
    REPORT_MS = 30 * 1000,
    PROGRAM_MAX = 1100,
};

struct media_role {
    struct cq_arena *arena; /* of the turn */
    struct store *store;    /* owned */
    struct ingest *ingest;  /* owned */
    struct sweep *sweep;    /* owned */
    char program[PROGRAM_MAX];
    int64_t turn_ms; /* when the turn began */
    bool reported;
    enum cq_status report;
    bool away; /* the store, as logged */
};

/* ---- one file
 * ------------------------------------------------------------------------------------- */

static bool to_file(void *arg, struct cq_span bytes)
{
    int fd = *(int *)arg;

    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n <= 0)
            return false;
        bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

static void tell_store(struct media_role *m, bool away)
{
    if (away == m->away)
        return;
    m->away = away;
    if (away)
        log_warn("store_away", LOG_S("why", store_why(m->store)));
    else
        log_info("store_back");
}

/* The child gets a copy without a name, never the store's own file. */
static enum cq_status fetch(struct media_role *m, const char *key, int *ret_fd)
{
    const char *folder = getenv("TMPDIR");
    int fd = open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    enum cq_status st = fd >= 0 ? store_stream(m->store, key, to_file, &fd) : CQ_AGAIN;

    tell_store(m, st == CQ_AGAIN);
    if (st == CQ_POISON && store_fault(m->store) == STORE_WRONG)
        st = CQ_AGAIN; /* no room in our own folder: later */
    if (st == CQ_OK && lseek(fd, 0, SEEK_SET) == 0) {
        *ret_fd = fd;
        return CQ_OK;
    }
    if (fd >= 0)
        close(fd);
    return st == CQ_OK ? CQ_AGAIN : st;
}

static enum cq_status put_thumbnail(struct media_role *m, struct cq_id id,
                                    const struct cq_buf *jpeg, char key[STORE_KEY_MAX])
{
    enum cq_status st;

    snprintf(key, STORE_KEY_MAX, "thumbnails/%.2s/%s", id_text(id).s, id_text(id).s);
    st = store_put(m->store, key, "image/jpeg", buf_span(jpeg));
    tell_store(m, st == CQ_AGAIN);
    return st;
}

/* What is in the file. Without its bytes a fault says so; CQ_AGAIN while the store is away. */
static enum cq_status find(struct media_role *m, const struct media_ready *ready,
                           struct look_found *found, char key[STORE_KEY_MAX])
{
    char type[256], object[STORE_KEY_MAX];
    struct cq_buf jpeg;
    enum cq_status st;
    int fd = -1;

    key[0] = '\0';
    *found = (struct look_found){ 0 };
    snprintf(type, sizeof type, "%.*s", SPAN_FMT(ready->content_type));
    snprintf(object, sizeof object, "%.*s", SPAN_FMT(ready->key));
    st = fetch(m, object, &fd);
    if (st == CQ_POISON) {
        snprintf(found->fault, sizeof found->fault, "not in the store");
        return CQ_OK;
    }
    if (st != CQ_OK)
        return st;
    buf_init(&jpeg, LOOK_THUMBNAIL_MAX);
    st = look_into(m->program, fd, type, setting_int(SET_MEDIA_PIXELS_MAX), found, &jpeg);
    close(fd);
    if (st == CQ_OK && jpeg.n)
        st = put_thumbnail(m, ready->media_id, &jpeg, key);
    buf_release(&jpeg);
    return st;
}

/* ---- into the log
 * --------------------------------------------------------------------------------- */

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct media_role *m = arg;

    (void)opaque;
    (void)partition;
    (void)offset;
    m->reported = true;
    m->report = st;
}

/* Until the broker has it: unknown means again, and a fact told twice is harmless. */
static enum cq_status submit(struct media_role *m, const struct chat_action *a)
{
    int64_t until_ms = clock_mono_ms() + REPORT_MS;
    const char *field = "";
    enum cq_status st;

    m->reported = false;
    st = ingest_chat(m->ingest, a, 1, &field);
    if (st == CQ_POISON)
        return CQ_POISON;
    while (st == CQ_OK && !m->reported && clock_mono_ms() < until_ms) {
        struct pollfd p = { .fd = ingest_fd(m->ingest), .events = POLLIN };

        poll(&p, 1, 10);
        ingest_serve(m->ingest);
        if (ingest_is_dead(m->ingest))
            return CQ_FATAL;
    }
    return st == CQ_OK && m->reported ? m->report : CQ_AGAIN;
}

static enum cq_status process(struct media_role *m, const struct chat_event *e, bool has_peer,
                              struct cq_id peer)
{
    const struct media_ready *ready = &e->event.u.media_ready;
    struct look_found found;
    char key[STORE_KEY_MAX];
    enum cq_status st = find(m, ready, &found, key);
    struct chat_action a = {
        .chat_id = e->chat_id,
        .user_id = e->user_id,
        .device_id = e->device_id,
        .client_id = e->client_id,
        .at_ms = clock_wall_ms(),
        .has_peer = has_peer,
        .peer = peer,
        .action = { CHAT_ACTION_MEDIA_PROCESSED,
                    .u.media_processed = { .media_id = ready->media_id,
                                           .width = found.width,
                                           .height = found.height,
                                           .duration_ms = found.duration_ms,
                                           .thumbnail_key = span_str(key),
                                           .fault = span_str(found.fault) } },
    };

    if (st == CQ_OK)
        st = submit(m, &a);
    if (st == CQ_OK && *found.fault)
        count_add(COUNT_LOOK_FAULTS, 1);
    log_debug("looked", LOG_S("media", id_text(ready->media_id).s), LOG_S("fault", found.fault),
              LOG_S("status", cq_status_name(st)));
    return st;
}

/* ---- the stage
 * ------------------------------------------------------------------------------------ */

static enum cq_status on_step(void *arg, const struct bus_record *in, uint64_t *place,
                              struct stage_out *out, const char **ret_why)
{
    struct media_role *m = arg;
    struct chat_event e;
    enum cq_status st = codec_decode(&chat_event_codec, in->value, m->arena, &e, ret_why);

    (void)out;
    (void)place;
    if (st == CQ_POISON) /* dead-lettered by the sink that keeps the view */
        return CQ_OK;
    if (st != CQ_OK || e.event.kind != CHAT_EVENT_MEDIA_READY ||
        e.event.u.media_ready.type == MESSAGE_TYPE_DOCUMENT)
        return st;
    if (!m->turn_ms)
        m->turn_ms = clock_mono_ms();
    if (clock_mono_ms() - m->turn_ms > TURN_LONGEST_MS)
        return CQ_AGAIN;
    return process(m, &e, e.event.u.media_ready.has_peer, e.event.u.media_ready.peer);
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct media_role *m = arg;

    (void)out;
    arena_reset(m->arena);
    m->turn_ms = 0;
    return CQ_OK;
}

static const struct stage_ops ops = { NULL, NULL, on_step, on_turn_end, NULL };

/* ---- life
 * ----------------------------------------------------------------------------------------- */

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

/* Without its sandbox no file would be looked into: that is said at the start, not for each. */
static bool check_cage(const struct media_role *m)
{
    cq_auto(buf) struct cq_buf none = { 0 };
    struct look_found found = { .fault = "it does not start" };
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    enum cq_status st;

    buf_init(&none, LOOK_THUMBNAIL_MAX);
    st = fd < 0 ? CQ_AGAIN : look_into(m->program, fd, "cage", 1, &found, &none);
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

static enum cq_status open_parts(struct media_role *m)
{
    struct sweep_conf sweep = {
        .database_url = setting_text(SET_DATABASE_URL),
        .store = { .where = setting_text(SET_MEDIA_STORE),
                   .access_key = setting_text(SET_S3_ACCESS_KEY),
                   .secret_key = setting_text(SET_S3_SECRET_KEY),
                   .region = setting_text(SET_S3_REGION),
                   .public_url = setting_text(SET_S3_PUBLIC_URL) },
        .pending_ms = setting_int(SET_MEDIA_PENDING_HOURS) * 3600 * 1000,
    };
    struct ingest_conf ic = { .brokers = setting_text(SET_KAFKA_BROKER),
                              .client_id = "chasqui-media",
                              .partitions = (int32_t)setting_int(SET_PARTITIONS),
                              .ack = on_report,
                              .arg = m };
    enum cq_status st;

    if (!find_program(m) || !check_cage(m))
        return CQ_FATAL;
    st = store_new(&sweep.store, &m->store);
    if (st != CQ_OK) {
        log_error("bad_setting", LOG_S("name", "MEDIA_STORE"));
        return CQ_FATAL;
    }
    tell_store(m, store_prepare(m->store) != CQ_OK);
    st = ingest_new(&ic, &m->ingest);
    if (st == CQ_OK)
        st = sweep_start(&sweep, &m->sweep);
    return st;
}

static enum cq_status open_stage(struct media_role *m, struct stage **ret)
{
    return stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                           .client_id = "chasqui-media",
                                           .group = "media",
                                           .instance = setting_text(SET_INSTANCE),
                                           .topic = topic_name(TOPIC_CHAT_EVENTS),
                                           .dlq_topic = "chat.events.dlq",
                                           .worker = "media",
                                           .batch_max = TURN_RECORDS,
                                           .batch_max_bytes = TURN_BYTES,
                                           .fetch_wait_ms = FETCH_WAIT_MS,
                                           .ops = &ops,
                                           .arg = m },
                     ret);
}

static void close_parts(struct media_role *m)
{
    sweep_stop(m->sweep);
    ingest_free(m->ingest);
    store_free(m->store);
    arena_free(m->arena);
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

int media_role_run(const volatile int *stop)
{
    struct media_role m = { .arena = arena_new(ARENA_BYTES) };
    struct stage *stage = NULL;
    enum cq_status st;

    if (!*setting_text(SET_MEDIA_STORE)) {
        arena_free(m.arena);
        return idle(stop);
    }
    st = open_parts(&m);
    if (st == CQ_OK)
        st = open_stage(&m, &stage);
    if (st == CQ_OK)
        st = stage_join(stage, stop);
    if (st == CQ_OK) {
        log_info("ready", LOG_S("program", m.program));
        st = stage_run(stage, stop);
    }
    if (st != CQ_OK)
        log_error("ended", LOG_S("status", cq_status_name(st)),
                  LOG_S("why", stage ? stage_error(stage) : "no memory, or bad settings"));
    stage_free(stage);
    close_parts(&m);
    return st == CQ_OK ? 0 : 1;
}
