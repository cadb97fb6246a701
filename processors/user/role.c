/* SPDX-License-Identifier: MIT */
#include "processors/user/role.h"

#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/base/settings.h"
#include "processors/stage_port.h"
#include "processors/user/turn.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum {
    TURN_RECORDS = 1000,
    TURN_BYTES = 2 * 1024 * 1024,
    RESTORE_ARENA_BYTES = 64 * 1024,
    OUTPUTS_N = 8,
};

struct user_role {
    struct reader *reader;                     /* owned */
    struct user_state *states[PARTITIONS_MAX]; /* owned; NULL: not ours */
    int32_t partitions_n, slots_n;
    struct user_turn *turn; /* owned */
    struct bus_watched outputs[OUTPUTS_N];
};

/* ---- restore -------------------------------------------------------------------------- */

struct restore {
    struct user_state *state;
    int64_t from; /* where the replay begins */
    struct cq_arena *arena;
};

/* The reverse of user_presence_key, for tombstones. */
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
        return CQ_OK; /* not a key of ours: it names no session and no device */
    return user_restore(r->state, &value);
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
        return CQ_OK; /* not a key of ours: it names no device */
    return user_restore_push(r->state, &value);
}

/* "user/other", for tombstones. */
static bool parse_pair(struct cq_span key, struct cq_id *user, struct cq_id *other)
{
    return key.n == 2 * CQ_ID_TEXT_LEN + 1 && id_parse(span_of(key.p, CQ_ID_TEXT_LEN), user) &&
           id_parse(span_of(key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), other);
}

static enum cq_status on_mute(void *arg, const struct bus_record *rec)
{
    struct restore *r = arg;
    struct chat_mute value;
    struct cq_id user, chat;

    if (!rec->value.p) {
        if (parse_pair(rec->key, &user, &chat))
            user_restore_unmuted(r->state, user, chat);
        return CQ_OK;
    }
    arena_reset(r->arena);
    if (codec_decode(&chat_mute_codec, rec->value, r->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a key of ours: it names no chat */
    return user_restore_mute(r->state, &value);
}

static enum cq_status on_claim(void *arg, const struct bus_record *rec)
{
    struct restore *r = arg;
    struct push_claim value;
    struct cq_id token;

    if (!rec->value.p) {
        if (id_parse(rec->key, &token))
            claims_remove(&r->state->claims, token);
        return CQ_OK;
    }
    arena_reset(r->arena);
    if (codec_decode(&push_claim_codec, rec->value, r->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a key of ours: it names no token */
    return claims_restore(&r->state->claims, &value, r->from);
}

/* Both frontiers, packed; up to 0.1.0 "<held>|<events>". A text that is not ours (another N) means:
 * nothing held. */
static void restore_meta(struct user_state *s, const char *meta)
{
    const char *bar = strchr(meta, '|');
    int32_t n = s->held.n;

    if (!*meta || frontier_unpack(span_str(meta), TOPIC_GENERATION, n, &s->held, &s->events))
        return;
    if (!bar) {
        log_warn("commit_text_unreadable", LOG_I("partition", s->partition));
        return;
    }
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
    struct restore restore = { s, committed, arena };
    int64_t first, next;
    enum cq_status st;

    if (!s || partition >= r->partitions_n ||
        !user_state_init(s, partition, r->partitions_n, r->slots_n)) {
        free(s);
        return CQ_FATAL;
    }
    drop_state(r, partition);
    r->states[partition] = s;
    restore_meta(s, meta);
    st = reader_watermarks(r->reader, topic_name(TOPIC_USER_INBOX), partition, &first, &next);
    if (st == CQ_OK && first > restore.from)
        restore.from = first; /* nothing is committed, or what was next has expired */
    if (st == CQ_OK)
        st = scan_all(r->reader, TOPIC_PRESENCE, partition, on_presence, &restore);
    if (st == CQ_OK)
        st = scan_all(r->reader, TOPIC_PUSH_TARGETS, partition, on_target, &restore);
    if (st == CQ_OK)
        st = scan_all(r->reader, TOPIC_PUSH_CLAIMS, partition, on_claim, &restore);
    if (st == CQ_OK)
        st = scan_all(r->reader, TOPIC_PUSH_MUTES, partition, on_mute, &restore);
    user_restore_end(s);
    log_info("assigned", LOG_S("topic", topic_name(TOPIC_USER_INBOX)),
             LOG_I("partition", partition), LOG_I("committed", committed),
             LOG_I("users", s->sessions.users.n), LOG_S("status", cq_status_name(st)));
    return st == CQ_AGAIN || st == CQ_OK ? st : CQ_FATAL;
}

static void on_revoked(void *arg, int32_t partition)
{
    drop_state(arg, partition);
}

/* ---- turns ---------------------------------------------------------------------------- */

static enum cq_status on_step(void *arg, const struct bus_record *in, uint64_t *place,
                              struct stage_out *out, const char **ret_why)
{
    struct user_role *r = arg;
    const struct user_input input = { r->states[in->partition], in->value, in->offset, in->at_ms };
    const struct output_port port = stage_port(out);

    if (!input.state)
        return CQ_FATAL; /* a record of a partition that is not ours */
    return user_turn_step(r->turn, &input, &port, place, ret_why);
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct user_role *r = arg;
    const struct output_port port = stage_port(out);

    return user_turn_end(r->turn, &port);
}

static size_t on_meta(void *arg, int32_t partition, char *buf, size_t cap)
{
    struct user_role *r = arg;
    const struct user_state *s = r->states[partition];
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text;

    buf_init(&text, cap);
    if (!s)
        return 0;
    frontier_pack(&s->held, &s->events, &text);
    if (text.failed) { /* offsets beyond 2^35: a replay is then deduplicated by clients only */
        log_warn("commit_text_too_long", LOG_I("partition", partition), LOG_I("bytes", cap));
        return 0;
    }
    memcpy(buf, text.p, text.n);
    return text.n;
}

static const struct stage_ops ops = { on_assigned, on_revoked, on_step, on_turn_end, on_meta };

static enum cq_status open_stage(struct user_role *r, struct stage **ret)
{
    const int32_t n = r->partitions_n;
    struct bus_watched outputs[] = {
        stage_watched(TOPIC_USER_EVENTS, n),      stage_watched(TOPIC_PRESENCE, n),
        stage_watched(TOPIC_PUSH_TARGETS, n),     stage_watched(TOPIC_MOBILE_PUSH, n),
        stage_watched(TOPIC_WS_PUSH, r->slots_n), stage_watched(TOPIC_USER_INBOX, n),
        stage_watched(TOPIC_PUSH_CLAIMS, n),      stage_watched(TOPIC_PUSH_MUTES, n),
    };

    memcpy(r->outputs, outputs, sizeof outputs);
    return stage_new(&(struct stage_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                           .client_id = "chasqui-user",
                                           .group = "user",
                                           .instance = setting_text(SET_INSTANCE),
                                           .topic = topic_name(TOPIC_USER_INBOX),
                                           .worker = "user",
                                           .batch_max = TURN_RECORDS,
                                           .batch_max_bytes = TURN_BYTES,
                                           .outputs = r->outputs,
                                           .outputs_n = OUTPUTS_N,
                                           .reader = r->reader,
                                           .tries_max = STAGE_TRIES_MAX,
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
    user_turn_free(r->turn);
    free(r);
}

static struct user_role *role_new(void)
{
    struct user_role *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->partitions_n = (int32_t)setting_int(SET_PARTITIONS);
    r->slots_n = (int32_t)setting_int(SET_SLOTS);
    r->turn = user_turn_new(r->slots_n);
    if (!r->turn || reader_new(setting_text(SET_KAFKA_BROKER), &r->reader) != CQ_OK) {
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
        log_ended(cq_status_name(st), stage ? stage_error(stage) : "no memory, or bad settings");
    stage_free(stage);
    role_free(r);
    return st == CQ_OK ? 0 : 1;
}
