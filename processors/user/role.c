/* SPDX-License-Identifier: MIT */
/*
 * processors/user/role.c - the role `user`: user.inbox in; user.events, presence, push.targets,
 * ws.push and mobile.push out.
 */
#include "processors/role.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "processors/stage_port.h"
#include "processors/user/turn.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum { RESTORE_ARENA_BYTES = 64 * 1024 };

struct user_role {
    struct processor p;
    struct user_turn *turn; /* owned */
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
    struct restore *restore = arg;
    struct presence value;
    struct cq_id user, id;
    bool is_device;

    if (!rec->value.p) {
        if (parse_key(rec->key, &user, &is_device, &id))
            user_restore_gone(restore->state, user, is_device, id);
        return CQ_OK;
    }
    arena_reset(restore->arena);
    if (codec_decode(&presence_codec, rec->value, restore->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a key of ours: it names no session and no device */
    return user_restore(restore->state, &value);
}

static enum cq_status on_target(void *arg, const struct bus_record *rec)
{
    struct restore *restore = arg;
    struct push_target value;
    struct cq_id user, device;

    if (!rec->value.p) {
        if (rec->key.n == 2 * CQ_ID_TEXT_LEN + 1 &&
            id_parse(span_of(rec->key.p, CQ_ID_TEXT_LEN), &user) &&
            id_parse(span_of(rec->key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), &device))
            user_restore_push_gone(restore->state, user, device);
        return CQ_OK;
    }
    arena_reset(restore->arena);
    if (codec_decode(&push_target_codec, rec->value, restore->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a key of ours: it names no device */
    return user_restore_push(restore->state, &value);
}

/* "user/other", for tombstones. */
static bool parse_pair(struct cq_span key, struct cq_id *user, struct cq_id *other)
{
    return key.n == 2 * CQ_ID_TEXT_LEN + 1 && id_parse(span_of(key.p, CQ_ID_TEXT_LEN), user) &&
           id_parse(span_of(key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), other);
}

static enum cq_status on_mute(void *arg, const struct bus_record *rec)
{
    struct restore *restore = arg;
    struct chat_mute value;
    struct cq_id user, chat;

    if (!rec->value.p) {
        if (parse_pair(rec->key, &user, &chat))
            user_restore_unmuted(restore->state, user, chat);
        return CQ_OK;
    }
    arena_reset(restore->arena);
    if (codec_decode(&chat_mute_codec, rec->value, restore->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a key of ours: it names no chat */
    return user_restore_mute(restore->state, &value);
}

static enum cq_status on_claim(void *arg, const struct bus_record *rec)
{
    struct restore *restore = arg;
    struct push_claim value;
    struct cq_id token;

    if (!rec->value.p) {
        if (id_parse(rec->key, &token))
            claims_remove(&restore->state->claims, token);
        return CQ_OK;
    }
    arena_reset(restore->arena);
    if (codec_decode(&push_claim_codec, rec->value, restore->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a key of ours: it names no token */
    return claims_restore(&restore->state->claims, &value, restore->from);
}

/* Both frontiers, packed; up to 0.1.0 "<held>|<events>". A text that is not ours (another N) means:
 * nothing held. */
static void restore_meta(struct user_state *state, const char *meta)
{
    const char *bar = strchr(meta, '|');
    int32_t n = state->held.n;

    if (!*meta ||
        frontier_unpack(span_str(meta), TOPIC_GENERATION, n, &state->held, &state->events))
        return;
    if (!bar) {
        log_warn("commit_text_unreadable", LOG_I("partition", state->partition));
        return;
    }
    if (!frontier_parse(span_of(meta, (size_t)(bar - meta)), TOPIC_GENERATION, n, &state->held) ||
        !frontier_parse(span_str(bar + 1), TOPIC_GENERATION, n, &state->events))
        log_warn("commit_text_unreadable", LOG_I("partition", state->partition));
}

static enum cq_status scan_all(struct reader *reader, enum topic topic, int32_t partition,
                               reader_scan_fn *fn, void *arg)
{
    int64_t first, next;
    enum cq_status st = reader_watermarks(reader, topic_name(topic), partition, &first, &next);

    if (st == CQ_OK && next > first)
        st = reader_scan(reader, topic_name(topic), partition, first, next, fn, arg);
    return st;
}

static enum cq_status on_assigned(void *arg, int32_t partition, int64_t committed, const char *meta)
{
    struct user_role *role = arg;
    cq_auto(arena) struct cq_arena *arena = arena_new(RESTORE_ARENA_BYTES);
    struct user_state *state = calloc(1, sizeof *state);
    struct restore restore = { state, committed, arena };
    int64_t first, next;
    enum cq_status st;

    if (!state || partition >= role->p.partitions_n ||
        !user_state_init(state, partition, role->p.partitions_n, role->p.slots_n)) {
        free(state);
        return CQ_FATAL;
    }
    processor_keep(&role->p, partition, state);
    restore_meta(state, meta);
    st = reader_watermarks(role->p.reader, topic_name(TOPIC_USER_INBOX), partition, &first, &next);
    if (st == CQ_OK && first > restore.from)
        restore.from = first; /* nothing is committed, or what was next has expired */
    if (st == CQ_OK)
        st = scan_all(role->p.reader, TOPIC_PRESENCE, partition, on_presence, &restore);
    if (st == CQ_OK)
        st = scan_all(role->p.reader, TOPIC_PUSH_TARGETS, partition, on_target, &restore);
    if (st == CQ_OK)
        st = scan_all(role->p.reader, TOPIC_PUSH_CLAIMS, partition, on_claim, &restore);
    if (st == CQ_OK)
        st = scan_all(role->p.reader, TOPIC_PUSH_MUTES, partition, on_mute, &restore);
    user_restore_end(state);
    log_info("assigned", LOG_S("topic", topic_name(TOPIC_USER_INBOX)),
             LOG_I("partition", partition), LOG_I("committed", committed),
             LOG_I("users", state->sessions.users.n), LOG_S("status", cq_status_name(st)));
    return st;
}

static void on_revoked(void *arg, int32_t partition)
{
    struct user_role *role = arg;

    processor_drop(&role->p, partition);
}

/* ---- turns ---------------------------------------------------------------------------- */

static enum cq_status on_step(void *arg, const struct bus_record *in, uint64_t *place,
                              struct stage_out *out, const char **ret_why)
{
    struct user_role *role = arg;
    const struct user_input input = { role->p.states[in->partition], in->value, in->offset,
                                      in->at_ms };
    const struct output_port port = stage_port(out);

    if (!input.state)
        return CQ_FATAL; /* a record of a partition that is not ours */
    return user_turn_step(role->turn, &input, &port, place, ret_why);
}

static enum cq_status on_turn_end(void *arg, struct stage_out *out)
{
    struct user_role *role = arg;
    const struct output_port port = stage_port(out);

    return user_turn_end(role->turn, &port);
}

static size_t on_meta(void *arg, int32_t partition, char *buf, size_t cap)
{
    struct user_role *role = arg;
    const struct user_state *state = role->p.states[partition];
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };

    buf_init(&text, cap);
    if (!state)
        return 0;
    frontier_pack(&state->held, &state->events, &text);
    if (text.failed) { /* offsets beyond 2^35: a replay is then deduplicated by clients only */
        log_warn("commit_text_too_long", LOG_I("partition", partition), LOG_I("bytes", cap));
        return 0;
    }
    memcpy(buf, text.p, text.n);
    return text.n;
}

static const struct stage_ops ops = { on_assigned, on_revoked, on_step, on_turn_end, on_meta };

static void release(void *state)
{
    user_state_release(state);
}

int user_role_run(const volatile int *stop)
{
    static const enum topic outputs[] = { TOPIC_USER_EVENTS, TOPIC_PRESENCE,  TOPIC_PUSH_TARGETS,
                                          TOPIC_MOBILE_PUSH, TOPIC_WS_PUSH,   TOPIC_USER_INBOX,
                                          TOPIC_PUSH_CLAIMS, TOPIC_PUSH_MUTES };
    static struct user_role role;
    enum cq_status st;
    int code;

    role.p = (struct processor){ .name = "user",
                                 .input = TOPIC_USER_INBOX,
                                 .outputs = outputs,
                                 .outputs_n = ARRAY_LEN(outputs),
                                 .ops = &ops,
                                 .arg = &role,
                                 .release = release,
                                 .slots_n = (int32_t)setting_int(SET_SLOTS) };
    st = processor_init(&role.p);
    role.turn = user_turn_new(role.p.slots_n);
    code = processor_run(&role.p, st == CQ_OK && role.turn ? CQ_OK : CQ_FATAL, stop);
    user_turn_free(role.turn);
    return code;
}
