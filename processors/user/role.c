/* SPDX-License-Identifier: MIT */
#include "processors/user/role.h"

#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/bus/stage.h"
#include "processors/user/pushes.h"
#include "processors/user/rules.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum {
    PARTITIONS_MAX = 1024,
    TURN_RECORDS = 1000,
    TURN_BYTES = 2 * 1024 * 1024,
    TURN_ARENA_BYTES = 128 * 1024 * 1024,
    RESTORE_ARENA_BYTES = 64 * 1024,
    PRESENCE_KEY_MAX = 2 * CQ_ID_TEXT_LEN + 16,
};

struct user_role {
    struct reader *reader;                     /* owned */
    struct user_state *states[PARTITIONS_MAX]; /* owned; NULL: not ours */
    int32_t partitions_n, slots_n;
    struct cq_arena *arena;   /* of the turn */
    struct user_outputs outs; /* of one step; v is owned */
    struct pushes *pushes;
    struct cq_buf encoded;
};

/* ---- restore
 * --------------------------------------------------------------------------------------- */

struct restore {
    struct user_state *state;
    struct cq_arena *arena;
};

static void presence_key(const struct presence *p, char out[PRESENCE_KEY_MAX])
{
    bool is_device = p->entry.kind == PRESENCE_DEVICE_ENTRY;
    struct cq_id id =
        is_device ? p->entry.u.device_entry.device_id : p->entry.u.session_entry.session_id;

    snprintf(out, PRESENCE_KEY_MAX, "%s/%s/%s", id_text(p->user_id).s,
             is_device ? "device" : "session", id_text(id).s);
}

/* The reverse of presence_key, for tombstones. */
static bool parse_key(struct cq_span key, struct cq_id *user, bool *is_device, struct cq_id *id)
{
    if (key.n <= 2 * CQ_ID_TEXT_LEN || key.p[CQ_ID_TEXT_LEN] != '/')
        return false;
    *is_device = key.p[CQ_ID_TEXT_LEN + 1] == 'd';
    return id_parse(span_of(key.p, CQ_ID_TEXT_LEN), user) &&
           id_parse(span_of(key.p + key.n - CQ_ID_TEXT_LEN, CQ_ID_TEXT_LEN), id);
}

static enum cq_status on_presence(void *arg, const struct bus_record *rec)
{
    struct restore *r = arg;
    struct presence value;
    struct cq_id user, id;
    bool is_device;

    if (!rec->value.p) {
        if (parse_key(rec->key, &user, &is_device, &id))
            user_restore_gone(r->state, user, is_device, id);
        return CQ_OK;
    }
    arena_reset(r->arena);
    if (codec_decode(&presence_codec, rec->value, r->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* whoever wrote it spoke of no session and no device */
    return user_restore(r->state, &value);
}

static void target_key(const struct push_target *t, char out[PRESENCE_KEY_MAX])
{
    snprintf(out, PRESENCE_KEY_MAX, "%s/%s", id_text(t->user_id).s, id_text(t->device_id).s);
}

static enum cq_status on_target(void *arg, const struct bus_record *rec)
{
    struct restore *r = arg;
    struct push_target value;
    struct cq_id user, device;

    if (!rec->value.p) {
        if (rec->key.n == 2 * CQ_ID_TEXT_LEN + 1 &&
            id_parse(span_of(rec->key.p, CQ_ID_TEXT_LEN), &user) &&
            id_parse(span_of(rec->key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), &device))
            user_restore_push_gone(r->state, user, device);
        return CQ_OK;
    }
    arena_reset(r->arena);
    if (codec_decode(&push_target_codec, rec->value, r->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* whoever wrote it spoke of no device */
    return user_restore_push(r->state, &value);
}

/* "<held>|<events>", two frontiers. A text that is not ours (another N, an old form) means: nothing
 * held. */
static void restore_meta(struct user_state *s, const char *meta)
{
    const char *bar = strchr(meta, '|');
    int32_t n = s->held.n;

    if (!bar)
        return;
    if (!frontier_parse(span_of(meta, (size_t)(bar - meta)), TOPIC_GENERATION, n, &s->held) ||
        !frontier_parse(span_str(bar + 1), TOPIC_GENERATION, n, &s->events))
        log_warn("commit_text_unreadable", LOG_I("partition", s->partition));
}

static void drop_state(struct user_role *r, int32_t partition)
{
    if (!r->states[partition])
        return;
    user_state_release(r->states[partition]);
    free(r->states[partition]);
    r->states[partition] = NULL;
}

static enum cq_status scan_all(struct reader *r, enum topic topic, int32_t partition,
                               reader_scan_fn *fn, void *arg)
{
    int64_t first, next;
    enum cq_status st = reader_watermarks(r, topic_name(topic), partition, &first, &next);

    if (st == CQ_OK && next > first)
        st = reader_scan(r, topic_name(topic), partition, first, next, fn, arg);
    return st;
}

static enum cq_status on_assigned(void *arg, int32_t partition, int64_t committed, const char *meta)
{
    struct user_role *r = arg;
    cq_auto(arena) struct cq_arena *arena = arena_new(RESTORE_ARENA_BYTES);
    struct user_state *s = calloc(1, sizeof *s);
    struct restore restore = { s, arena };
    enum cq_status st;

    if (!s || partition >= r->partitions_n ||
        !user_state_init(s, partition, r->partitions_n, r->slots_n)) {
        free(s);
        return CQ_FATAL;
    }
    drop_state(r, partition);
    r->states[partition] = s;
    restore_meta(s, meta);
    st = scan_all(r->reader, TOPIC_PRESENCE, partition, on_presence, &restore);
    if (st == CQ_OK)
        st = scan_all(r->reader, TOPIC_PUSH_TARGETS, partition, on_target, &restore);
    user_restore_end(s);
    log_info("assigned", LOG_S("topic", topic_name(TOPIC_USER_INBOX)),
             LOG_I("partition", partition), LOG_I("committed", committed),
             LOG_I("users", s->sessions.users.n), LOG_S("status", cq_status_name(st)));
    return st == CQ_OK ? CQ_OK : CQ_FATAL;
}

static void on_revoked(void *arg, int32_t partition)
{
    drop_state(arg, partition);
}

/* ---- turns
 * ----------------------------------------------------------------------------------------- */

static enum cq_status emit_push(void *arg, int32_t slot, struct cq_span value)
{
    return stage_emit(arg, topic_name(TOPIC_WS_PUSH), slot, (struct cq_span){ NULL, 0 }, value, 0);
}

static enum cq_status emit_record(struct user_role *r, struct stage_out *out, enum topic topic,
                                  const struct codec_record *codec, const void *record,
                                  int32_t partition, const char *key)
{
    buf_clear(&r->encoded);
    if (codec_encode(codec, record, &r->encoded) != CQ_OK)
        return CQ_FATAL;
    return stage_emit(out, topic_name(topic), partition, span_str(key), buf_span(&r->encoded), 0);
}

static enum cq_status emit_output(struct user_role *r, struct stage_out *out,
                                  const struct user_output *o, int32_t partition)
{
    char key[PRESENCE_KEY_MAX];

    switch (o->topic) {
    case TOPIC_USER_EVENTS:
        id_format(o->u.event.user_id, key);
        return emit_record(r, out, o->topic, &user_event_codec, &o->u.event, partition, key);
    case TOPIC_PRESENCE:
        presence_key(&o->u.presence.value, key);
        if (o->u.presence.gone)
            return stage_emit(out, topic_name(o->topic), partition, span_str(key),
                              (struct cq_span){ NULL, 0 }, 0);
        return emit_record(r, out, o->topic, &presence_codec, &o->u.presence.value, partition, key);
    case TOPIC_PUSH_TARGETS:
        target_key(&o->u.target.value, key);
        if (o->u.target.gone)
            return stage_emit(out, topic_name(o->topic), partition, span_str(key),
                              (struct cq_span){ NULL, 0 }, 0);
        return emit_record(r, out, o->topic, &push_target_codec, &o->u.target.value, partition,
                           key);
    case TOPIC_MOBILE_PUSH:
        id_format(o->u.mobile.user_id, key);
        return emit_record(r, out, o->topic, &mobile_push_codec, &o->u.mobile, partition, key);
    default:
        return pushes_add(r->pushes, o->u.push.slot, &o->u.push.entry, emit_push, out);
    }
}

static void count_step(const struct user_role *r, const struct user_step *step,
                       const struct user_inbox *record)
{
    const struct user_action *a = &record->body.u.user_action;

    count_add(COUNT_DUPLICATES, step->repeats);
    if (record->body.kind != USER_INBOX_USER_ACTION)
        return;
    if (a->action.kind == USER_ACTION_GATEWAY_ALIVE) /* all it can write are tombstones */
        count_add(COUNT_SILENT_CLEARED, (int64_t)r->outs.n);
    count_add(COUNT_SESSIONS_LOST, a->action.kind == USER_ACTION_SESSION_LOST);
}

static enum cq_status on_step(void *arg, const struct bus_record *in, struct stage_out *out,
                              const char **ret_why)
{
    struct user_role *r = arg;
    struct user_inbox record;
    struct user_step step = {
        .state = r->states[in->partition],
        .offset = in->offset,
        .log_ms = in->at_ms,
        .arena = r->arena,
        .out = &r->outs,
    };
    enum cq_status st;

    if (!step.state)
        return CQ_FATAL; /* a record of a partition that is not ours */
    st = codec_decode(&user_inbox_codec, in->value, r->arena, &record, ret_why);
    if (st != CQ_OK)
        return st;
    r->outs.n = 0;
    st = user_step(&step, &record, ret_why);
    for (size_t i = 0; st == CQ_OK && i < r->outs.n; i++)
        st = emit_output(r, out, &r->outs.v[i], in->partition);
    if (st == CQ_OK)
        count_step(r, &step, &record);
    return st;
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct user_role *r = arg;
    enum cq_status st = pushes_flush(r->pushes, emit_push, out);

    arena_reset(r->arena);
    return st;
}

static size_t on_meta(void *arg, int32_t partition, char *buf, size_t cap)
{
    struct user_role *r = arg;
    const struct user_state *s = r->states[partition];
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text;

    buf_init(&text, cap);
    if (!s)
        return 0;
    frontier_format(&s->held, &text);
    buf_add_byte(&text, '|');
    frontier_format(&s->events, &text);
    if (text.failed)
        return 0; /* more partitions than a commit's text holds: replay is then only deduplicated by
                     clients */
    memcpy(buf, text.p, text.n);
    return text.n;
}

static const struct stage_ops ops = { on_assigned, on_revoked, on_step, on_turn_end, on_meta };

static enum cq_status open_stage(struct user_role *r, struct stage **ret)
{
    return stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                           .client_id = "chasqui-user",
                                           .group = "user",
                                           .instance = setting_text(SET_INSTANCE),
                                           .topic = topic_name(TOPIC_USER_INBOX),
                                           .dlq_topic = "user.inbox.dlq",
                                           .worker = "user",
                                           .batch_max = TURN_RECORDS,
                                           .batch_max_bytes = TURN_BYTES,
                                           .ops = &ops,
                                           .arg = r },
                     ret);
}

static void role_free(struct user_role *r)
{
    if (!r)
        return;
    for (int32_t p = 0; p < PARTITIONS_MAX; p++)
        drop_state(r, p);
    reader_free(r->reader);
    arena_free(r->arena);
    free(r->outs.v);
    pushes_free(r->pushes);
    buf_release(&r->encoded);
    free(r);
}

static struct user_role *role_new(void)
{
    struct user_role *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->partitions_n = (int32_t)setting_int(SET_PARTITIONS);
    r->slots_n = (int32_t)setting_int(SET_SLOTS);
    r->arena = arena_new(TURN_ARENA_BYTES);
    r->outs.max = USER_OUTPUTS_MAX;
    r->pushes = pushes_new(r->slots_n);
    buf_init(&r->encoded, TOPIC_RECORD_MAX);
    if (!r->pushes || reader_new(setting_text(SET_KAFKA_BROKER), &r->reader) != CQ_OK) {
        role_free(r);
        return NULL;
    }
    return r;
}

int user_role_run(const volatile int *stop)
{
    struct user_role *r = role_new();
    struct stage *stage = NULL;
    enum cq_status st = r ? open_stage(r, &stage) : CQ_FATAL;

    if (st == CQ_OK)
        st = stage_join(stage, stop);
    if (st == CQ_OK) {
        log_info("ready");
        st = stage_run(stage, stop);
    }
    if (st != CQ_OK)
        log_error("ended", LOG_S("status", cq_status_name(st)),
                  LOG_S("why", stage ? stage_error(stage) : "no memory, or bad settings"));
    stage_free(stage);
    role_free(r);
    return st == CQ_OK ? 0 : 1;
}
