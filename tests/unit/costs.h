/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/costs.h - the dearest records that validation lets through: actions are drawn at its
 * limits, and the two processors make of them what all other consumers read. Switches over kinds
 * have no default, so that a kind without a way to draw it does not compile.
 */
#pragma once

#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/names.h"
#include "tests/unit/memory_bus.h"

#include <time.h>

enum {
    DRAWS = 6,       /* of each kind; the first is the dearest that we know */
    KEPT = 12,       /* records of each kind that other consumers get to read … */
    KINDS_MAX = 16,  /* … and kinds in a topic */
    GROUP = 1024,    /* members, the owner among them */
    DEVICES = 16,    /* as LIMIT_USER_DEVICES */
    WIDTHS = 3,      /* of PARTITIONS, in order of draws */
    OFFSET = 100000, /* of a drawn record; what was before is below it */
};

static const int32_t widths[WIDTHS] = { 256, 2, 1 };

/* ---- drawing -------------------------------------------------------------------------- */

static unsigned draw_seed;

static inline size_t draw_below(size_t n)
{
    return n ? (size_t)rand_r(&draw_seed) % n : 0;
}

/* A length up to `max`: at the limit in the first draw at each width, and in every other. */
static inline size_t draw_length(int draw, size_t least, size_t max)
{
    return draw < WIDTHS || draw_below(2) ? max : least + draw_below(max - least + 1);
}

/* At most `bytes` of UTF-8: what takes six bytes in JSON, or two, four bytes that are one
 * character, or plain text. */
static inline struct cq_span draw_text(struct cq_arena *a, int draw, size_t bytes, bool controls)
{
    static const char *const units[] = { "\x01", "\"", "\xF0\x9F\x98\x82", "x" };
    const char *unit = units[draw < WIDTHS ? (controls ? 0 : 2) : controls + draw_below(3)];
    size_t n = strlen(unit);
    char *text = arena_alloc(a, bytes + 1);

    for (size_t i = 0; i + n <= bytes; i += n)
        memcpy(text + i, unit, n);
    return span_of(text, bytes / n * n);
}

/* As long as a name may be. */
static inline struct cq_span draw_name(struct cq_arena *a, int draw)
{
    size_t most = draw_length(draw, 1, LIMIT_NAME_CHARS);
    char *text = arena_alloc(a, 4 * most + 1);
    const char *unit = draw == 0 || draw_below(2) ? "\xF0\x9F\x98\x82" : "n";

    for (size_t i = 0; i < most; i++)
        memcpy(text + i * strlen(unit), unit, strlen(unit));
    return span_of(text, most * strlen(unit));
}

static inline struct cq_span draw_word(struct cq_arena *a, int draw, size_t least, size_t max)
{
    size_t n = draw_length(draw, least, max);
    char *text = arena_alloc(a, n + 1);

    memset(text, 'a', n);
    return span_of(text, n);
}

/* ---- what was found ------------------------------------------------------------------- */

/* What a record of one kind cost, and the dearest of them so far. */
struct cost {
    size_t in, out, outputs, parts, memory;
    double cpu_ms;
};

static inline double cpu_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline void cost_note(struct cost *most, const struct cost *c)
{
    if (c->out * (most->in + 1) > most->out * (c->in + 1) || !most->in)
        most->in = c->in;
    most->out = larger(most->out, c->out);
    most->outputs = larger(most->outputs, c->outputs);
    most->parts = larger(most->parts, c->parts);
    most->memory = larger(most->memory, c->memory);
    most->cpu_ms = c->cpu_ms > most->cpu_ms ? c->cpu_ms : most->cpu_ms;
}

static inline void cost_print(const char *consumer, const char *record, const struct cost *c)
{
    printf("cost %s %s: %zu bytes in, at most %zu out (%.1f a byte), %zu outputs, %zu parts, "
           "%zu bytes of memory, %.1f ms\n",
           consumer, record, c->in, c->out, (double)c->out / (double)(c->in ? c->in : 1),
           c->outputs, c->parts, c->memory, c->cpu_ms);
}

/* ---- what the processors wrote, by topic and kind ------------------------------------- */

struct kept {
    struct cq_span key, value; /* in the arena of the road */
};

struct road {
    struct cq_arena *arena; /* owned; never reset */
    struct kept kept[TOPIC_N][KINDS_MAX][KEPT];
    size_t kept_n[TOPIC_N][KINDS_MAX];
    size_t seen_n[TOPIC_N][KINDS_MAX];
    struct cost chat[CHAT_ACTION_ACTION_KIND_N];
    struct cost user[USER_ACTION_ACTION_KIND_N + 1]; /* the last: DeliveryBatch */
    int refused;                                     /* draws that validation did not let through */
    const char *fault;                               /* NULL: none */
};

/* The kind of a record: its branch, or 0. */
static inline size_t kind_of(enum topic topic, struct cq_span value, struct cq_arena *a)
{
    struct chat_event chat;
    struct user_event user;
    struct delivery_status status;
    struct presence presence;
    struct ws_push push;

    if (!value.n)
        return KINDS_MAX - 1; /* a tombstone */
    switch (topic) {
    case TOPIC_CHAT_EVENTS:
        return codec_decode(&chat_event_codec, value, a, &chat, NULL) == CQ_OK ? chat.event.kind
                                                                               : KINDS_MAX;
    case TOPIC_USER_EVENTS:
        return codec_decode(&user_event_codec, value, a, &user, NULL) == CQ_OK ? user.event.kind
                                                                               : KINDS_MAX;
    case TOPIC_DELIVERY_STATUS:
        return codec_decode(&delivery_status_codec, value, a, &status, NULL) == CQ_OK ? status.kind
                                                                                      : KINDS_MAX;
    case TOPIC_PRESENCE:
        return codec_decode(&presence_codec, value, a, &presence, NULL) == CQ_OK
                   ? presence.entry.kind
                   : KINDS_MAX;
    case TOPIC_WS_PUSH:
        return codec_decode(&ws_push_codec, value, a, &push, NULL) == CQ_OK && push.entries_n
                   ? push.entries[0].kind
                   : KINDS_MAX;
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_MEMBERS:
    case TOPIC_REJECTIONS:
    case TOPIC_USER_INBOX:
    case TOPIC_PUSH_TARGETS:
    case TOPIC_PUSH_CLAIMS:
    case TOPIC_PUSH_MUTES:
    case TOPIC_MOBILE_PUSH:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_N:
        return 0;
    }
    return KINDS_MAX;
}

/* Keep the largest, and the first few. */
static inline void road_take(void *arg, enum topic topic, struct cq_span key, struct cq_span value)
{
    struct road *r = arg;
    cq_auto(arena) struct cq_arena *a = NULL;
    size_t kind, at;

    if (value.n && r->seen_n[topic][0] > 4096 && value.n < 4096)
        return; /* more of the same */
    a = arena_new(64 << 20);
    kind = kind_of(topic, value, a);
    if (kind >= KINDS_MAX) {
        r->fault = "a processor wrote what cannot be decoded";
        return;
    }
    r->seen_n[topic][kind]++;
    at = r->kept_n[topic][kind];
    if (at == KEPT)
        for (at = 0; at < KEPT && r->kept[topic][kind][at].value.n >= value.n; at++)
            ;
    if (at == KEPT)
        return;
    r->kept_n[topic][kind] += at == r->kept_n[topic][kind];
    r->kept[topic][kind][at] =
        (struct kept){ arena_copy(r->arena, key), arena_copy(r->arena, value) };
}

/* ---- chat.actions --------------------------------------------------------------------- */

/* What draws of one partition share. */
struct scene {
    int draw;
    int32_t partitions;
    struct cq_arena *arena; /* of the draw */
    struct cq_id group;     /* 1,024 members, user 0 owns it, with the longest past there is */
    struct cq_id small;     /* only user 0 */
};

/* The nth chat that stands in partition 0. */
static inline struct cq_id scene_chat(int32_t partitions, int nth)
{
    for (uint32_t n = 0;; n++)
        if (topic_partition(id_of(A_CHAT, n), partitions) == 0 && nth-- == 0)
            return id_of(A_CHAT, n);
}

static inline int64_t past_seq(int64_t offset)
{
    return seq_make(TOPIC_GENERATION, offset);
}

static inline bool scene_fill(struct scene *s, struct chat_state *state)
{
    static const enum member_change_kind turns[] = {
        MEMBER_CHANGE_KIND_ADD, MEMBER_CHANGE_KIND_PROMOTE, MEMBER_CHANGE_KIND_DEMOTE,
        MEMBER_CHANGE_KIND_PROMOTE, MEMBER_CHANGE_KIND_DEMOTE
    };
    struct member_change *all = ARENA_ARRAY(s->arena, struct member_change, GROUP);
    struct group *g, *small;

    s->group = scene_chat(s->partitions, 0);
    s->small = scene_chat(s->partitions, 1);
    g = groups_add(&state->groups, s->group);
    small = groups_add(&state->groups, s->small);
    if (!g || !small || group_join(g, id_of(A_USER, 0), MEMBER_ROLE_OWNER, past_seq(1)) != CQ_OK ||
        group_join(small, id_of(A_USER, 0), MEMBER_ROLE_OWNER, past_seq(1)) != CQ_OK ||
        group_rename(g, draw_name(s->arena, 0), past_seq(1)) != CQ_OK ||
        group_rename(small, draw_name(s->arena, 0), past_seq(1)) != CQ_OK)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        for (uint32_t n = 1; n < GROUP; n++)
            all[n - 1] = (struct member_change){ id_of(A_USER, n), turns[i] };
        if (group_apply(g, all, GROUP - 1, past_seq(2 + (int64_t)i)) != CQ_OK)
            return false;
    }
    state->last_event = 50;
    return g->stays_n == GROUP_STAYS_MAX;
}

static inline void draw_receipts(const struct scene *s, struct receipts_advanced *ret)
{
    size_t n = draw_length(s->draw, 1, LIMIT_RECEIPTS);

    ret->receipts = ARENA_ARRAY(s->arena, struct receipt, n);
    ret->receipts_n = n;
    for (size_t i = 0; i < n; i++) {
        bool mine = s->draw == 0 || draw_below(2); /* or refused */

        ret->receipts[i] = (struct receipt){ .chat_id = mine ? s->group : s->small,
                                             .user_id = id_of(A_USER, (uint32_t)(i + 1) % GROUP),
                                             .device_id = id_of(A_DEVICE, (uint32_t)i),
                                             .delivered_seq = past_seq(40),
                                             .read_seq = past_seq(30) };
    }
}

static inline void draw_group(const struct scene *s, struct chat_action *a)
{
    struct group_created *c = &a->action.u.group_created;

    c->name = draw_name(s->arena, s->draw);
    c->members_n = draw_length(s->draw, 0, LIMIT_GROUP_MEMBERS - 1);
    c->members = ARENA_ARRAY(s->arena, struct cq_id, c->members_n + 1);
    for (size_t i = 0; i < c->members_n; i++)
        c->members[i] = id_of(A_USER, (uint32_t)(s->draw == 1 ? i % 7 : i + 1));
    for (uint32_t n = 0;; n++) { /* its id is derived, and stands in partition 0 */
        char *client = (char *)(uintptr_t)a->client_id.p;

        memcpy(client,
               &(char[]){ (char)('a' + n % 26), (char)('a' + n / 26 % 26),
                          (char)('a' + n / 676 % 26) },
               3);
        a->chat_id = chat_id_group(a->user_id, a->client_id);
        if (topic_partition(a->chat_id, s->partitions) == 0)
            return;
    }
}

static inline void draw_changes(const struct scene *s, struct chat_action *a)
{
    static const enum member_change_kind kinds[] = {
        MEMBER_CHANGE_KIND_ADD, MEMBER_CHANGE_KIND_REMOVE, MEMBER_CHANGE_KIND_PROMOTE,
        MEMBER_CHANGE_KIND_DEMOTE, MEMBER_CHANGE_KIND_MAKE_OWNER
    };
    struct members_changed *m = &a->action.u.members_changed;
    bool adds = s->draw == 0;

    a->chat_id = adds ? s->small : s->group;
    m->changes_n = s->draw < 4 ? GROUP - 1 : 1 + draw_below(GROUP - 1);
    m->changes = ARENA_ARRAY(s->arena, struct member_change, LIMIT_GROUP_MEMBERS);
    for (size_t i = 0; i < m->changes_n; i++)
        m->changes[i] =
            (struct member_change){ id_of(A_USER, (uint32_t)i + 1),
                                    s->draw < 4 ? kinds[s->draw == 3 && i % 2 ? 1 : s->draw]
                                                : kinds[1 + draw_below(3)] };
    if (!adds && s->draw != 2) /* and the owner goes, so that there is an heir */
        m->changes[m->changes_n++] =
            (struct member_change){ a->user_id, MEMBER_CHANGE_KIND_REMOVE };
}

static inline void draw_media(const struct scene *s, struct media_ready *m)
{
    static const uint8_t sha256[32];

    *m = (struct media_ready){ .media_id = id_of(A_MESSAGE, 1),
                               .type = MESSAGE_TYPE_IMAGE,
                               .content_type = draw_text(s->arena, s->draw, 255, false),
                               .size = INT64_MAX,
                               .sha256 = span_of(sha256, sizeof sha256),
                               .name = draw_text(s->arena, s->draw, LIMIT_FILE_NAME_BYTES, true),
                               .key = draw_text(s->arena, s->draw, 255, true) };
}

static inline void draw_message(const struct scene *s, struct chat_action *a)
{
    struct message_sent *m = &a->action.u.message_sent;
    size_t bytes = draw_length(s->draw, 1, LIMIT_CONTENT_BYTES);

    if (s->draw == 4) /* direct: the id is derived, and stands in partition 0 */
        for (uint32_t n = 1; !a->has_peer || topic_partition(a->chat_id, s->partitions); n++) {
            a->has_peer = true;
            a->peer = id_of(A_USER, n);
            a->chat_id = chat_id_direct(a->user_id, a->peer);
        }
    *m = (struct message_sent){ .content_type = draw_text(s->arena, s->draw, 255, true),
                                .content = draw_text(s->arena, s->draw, bytes + 3, true),
                                .has_key_id = true,
                                .key_id = draw_text(s->arena, s->draw, LIMIT_KEY_ID_BYTES, true) };
    if (m->content.n > LIMIT_CONTENT_BYTES)
        m->content.n = LIMIT_CONTENT_BYTES / 4 * 4; /* each unit divides four */
}

static inline void draw_chat_action(const struct scene *s, enum chat_action_action_kind kind,
                                    struct chat_action *a)
{
    *a = (struct chat_action){ .chat_id = s->group,
                               .user_id = id_of(A_USER, 0),
                               .device_id = id_of(A_DEVICE, 0),
                               .client_id = draw_word(s->arena, s->draw, 8, LIMIT_CLIENT_ID_BYTES),
                               .at_ms = 1800000000000,
                               .action.kind = kind };
    switch (kind) {
    case CHAT_ACTION_MESSAGE_SENT:
        draw_message(s, a);
        return;
    case CHAT_ACTION_RECEIPTS_ADVANCED:
        draw_receipts(s, &a->action.u.receipts_advanced);
        return;
    case CHAT_ACTION_GROUP_CREATED:
        draw_group(s, a);
        return;
    case CHAT_ACTION_MEMBERS_CHANGED:
        draw_changes(s, a);
        return;
    case CHAT_ACTION_CHAT_RENAMED:
        a->action.u.chat_renamed.name = draw_name(s->arena, s->draw);
        return;
    case CHAT_ACTION_MEDIA_READY:
        draw_media(s, &a->action.u.media_ready);
        return;
    case CHAT_ACTION_MEDIA_PROCESSED:
        a->action.u.media_processed =
            (struct media_processed){ .media_id = id_of(A_MESSAGE, 1),
                                      .width = INT32_MAX,
                                      .height = INT32_MAX,
                                      .duration_ms = INT64_MAX,
                                      .thumbnail_key = draw_text(s->arena, s->draw, 255, true),
                                      .fault = draw_text(s->arena, s->draw, 255, true) };
        return;
    case CHAT_ACTION_ACTION_KIND_N:
        return;
    }
}

/* What makes it a fault, or NULL. */
static inline const char *judge(enum cq_status st, const struct memory_bus *b)
{
    if (st == CQ_AGAIN)
        return "no progress in an empty turn";
    if (st != CQ_OK)
        return st == CQ_POISON ? "poison that validation lets through" : "fatal";
    if (b->turn_most > TURN_MAX)
        return "a turn's output passes its bound";
    for (int t = 0; t < TOPIC_N; t++)
        if (b->largest[t] > TOPIC_RECORD_MAX)
            return "a record is larger than a topic takes";
    return NULL;
}

static inline struct cost cost_of(const struct memory_bus *b, size_t in, size_t memory,
                                  double cpu_ms)
{
    struct cost c = { .in = in, .out = all_bytes(b), .parts = b->turns, .memory = memory };

    for (int t = 0; t < TOPIC_N; t++)
        c.outputs += b->records[t];
    c.cpu_ms = cpu_ms;
    return c;
}

/* One draw of one kind through processors/chat. */
static inline void road_chat(struct road *r, enum chat_action_action_kind kind, int draw)
{
    struct scene s = { .draw = draw,
                       .partitions = widths[draw % WIDTHS],
                       .arena = arena_new(64 << 20) };
    struct chat_turn *turn = chat_turn_new(s.partitions);
    struct memory_bus b = { .room = ROOM, .taken = road_take, .arg = r };
    struct chat_state state;
    struct chat_action a;
    struct cq_buf value;
    enum cq_status st;
    double from_ms;
    struct cost c;

    chat_state_init(&state, 0, s.partitions);
    if (!scene_fill(&s, &state))
        abort();
    draw_chat_action(&s, kind, &a);
    r->refused += validate_chat(&a) != NULL;
    value = encode(&chat_action_codec, &a);
    from_ms = cpu_now_ms();
    st = run_chat(turn, &(struct chat_input){ &state, buf_span(&value), OFFSET, 1000, -1 }, &b);
    c = cost_of(&b, value.n, chat_turn_memory(turn), cpu_now_ms() - from_ms);
    cost_note(&r->chat[kind], &c);
    if (!r->fault)
        r->fault = judge(st, &b);
    if (!r->fault && c.memory > CHAT_TURN_MEMORY_MAX)
        r->fault = "a turn's memory passes its bound";
    buf_release(&value);
    chat_state_release(&state);
    chat_turn_free(turn);
    arena_free(s.arena);
}

/* ---- user.inbox ----------------------------------------------------------------------- */

enum {
    SLOTS_WIDE = 1024,
    PEOPLE = 64,
    SESSIONS = 32,    /* as USER_SESSIONS_MAX */
    LOST_BYTES = 450, /* so that all items are as large as a gateway lets them be together */
};

static inline struct push_address draw_address(struct cq_arena *a, int draw)
{
    return (struct push_address){ .kind = PUSH_KIND_FCM_TOKEN,
                                  .token = draw_word(a, draw, LIMIT_PUSH_TOKEN_LEAST_BYTES,
                                                     LIMIT_PUSH_TOKEN_BYTES),
                                  .app = draw_word(a, draw, 0, LIMIT_PUSH_APP_BYTES),
                                  .locale = draw_word(a, draw, 0, LIMIT_LOCALE_BYTES) };
}

/* User n with so many devices that can be woken, and so many sessions. */
static inline bool add_person(struct user_state *s, struct cq_arena *a, uint32_t n, int devices,
                              int sessions, int32_t slots)
{
    struct push_address address = draw_address(a, 0);

    for (int d = 0; d < devices; d++) {
        struct presence known = { .user_id = id_of(A_USER, n),
                                  .entry = { PRESENCE_DEVICE_ENTRY,
                                             .u.device_entry.device_id =
                                                 id_of(A_DEVICE, n * 64 + (uint32_t)d) } };
        struct push_target target = { .user_id = id_of(A_USER, n),
                                      .device_id = id_of(A_DEVICE, n * 64 + (uint32_t)d),
                                      .address = address };

        if (user_restore(s, &known) != CQ_OK || user_restore_push(s, &target) != CQ_OK)
            return false;
    }
    for (int k = 0; k < sessions; k++) {
        struct presence open = {
            .user_id = id_of(A_USER, n),
            .source = { TOPIC_GENERATION, 0, 1 },
            .entry = { PRESENCE_SESSION_ENTRY,
                       .u.session_entry = { .session_id = id_of(A_SESSION, n * 64 + (uint32_t)k),
                                            .device_id = id_of(A_DEVICE, n * 64),
                                            .slot = (int32_t)(n * 7 + (uint32_t)k) % slots,
                                            .incarnation = id_of(A_GATEWAY, (uint32_t)k) } }
        };

        if (user_restore(s, &open) != CQ_OK)
            return false;
    }
    return true;
}

static inline void draw_lost(struct cq_arena *a, int draw, struct session_lost *ret)
{
    size_t n = draw_length(draw, 1, LIMIT_LOST_ITEMS);
    struct cq_buf frame;

    buf_init(&frame, 64 * 1024);
    buf_printf(&frame, "\"t\":\"message\",\"type\":\"text\",\"content\":\"%.*s\"}",
               SPAN_FMT(draw_word(a, draw, 1, LOST_BYTES)));
    *ret = (struct session_lost){ .session_id = id_of(A_SESSION, draw % 2 ? 0 : 7777),
                                  .items = ARENA_ARRAY(a, struct lost_item, n),
                                  .items_n = n };
    for (size_t i = 0; i < n; i++)
        ret->items[i] = (struct lost_item){ .chat_id = id_of(A_CHAT, 1),
                                            .seq = past_seq((int64_t)i),
                                            .message_id = id_of(A_MESSAGE, (uint32_t)i),
                                            .sender_id = id_of(A_USER, 9),
                                            .frame = arena_copy(a, buf_span(&frame)) };
    buf_release(&frame);
}

static inline void draw_user_action(struct cq_arena *a, int draw, enum user_action_action_kind kind,
                                    struct user_action *ret)
{
    *ret = (struct user_action){ .user_id = id_of(A_USER, 0),
                                 .device_id = id_of(A_DEVICE, DEVICES - 1),
                                 .at_ms = 1800000000000,
                                 .action.kind = kind };
    switch (kind) {
    case USER_ACTION_USER_SIGNED_UP:
        ret->action.u.user_signed_up.name = draw_name(a, draw);
        return;
    case USER_ACTION_PROFILE_EDITED:
        ret->action.u.profile_edited.name = draw_name(a, draw);
        return;
    case USER_ACTION_DEVICE_LINKED: /* the 17th: the first, with all sessions, goes */
        ret->device_id = id_of(A_DEVICE, 5000);
        ret->action.u.device_linked =
            (struct device_linked){ draw_word(a, draw, 0, 16),
                                    draw_text(a, 0, LIMIT_LABEL_BYTES, false) };
        return;
    case USER_ACTION_DEVICE_UNLINKED:
        ret->device_id = id_of(A_DEVICE, 0);
        ret->action.u.device_unlinked.reason = draw_word(a, draw, 0, LIMIT_REASON_BYTES);
        return;
    case USER_ACTION_SESSION_OPENED: /* the 33rd: the first goes */
        ret->action.u.session_opened =
            (struct session_opened){ id_of(A_SESSION, 5000), SLOTS_WIDE - 1, id_of(A_GATEWAY, 9),
                                     INT64_MAX };
        return;
    case USER_ACTION_SESSION_CLOSED:
        ret->action.u.session_closed.session_id = id_of(A_SESSION, 0);
        return;
    case USER_ACTION_SESSION_LOST:
        draw_lost(a, draw, &ret->action.u.session_lost);
        return;
    case USER_ACTION_GATEWAY_ALIVE:
        ret->user_id = ret->device_id = (struct cq_id){ 0 };
        ret->action.u.gateway_alive = (struct gateway_alive){ id_of(A_GATEWAY, 99), SLOTS_WIDE };
        return;
    case USER_ACTION_PUSH_REGISTERED: /* the token that all its other devices have */
        ret->action.u.push_registered.address = draw_address(a, draw);
        return;
    case USER_ACTION_PUSH_CLAIMED: /* by somebody else: in this world draw 0 has the token */
        ret->device_id = id_of(A_DEVICE, (uint32_t)draw);
        ret->action.u.push_claimed.address = draw_address(a, draw);
        return;
    case USER_ACTION_PUSH_MOVED:
        ret->action.u.push_moved =
            (struct push_moved){ push_token_id(PUSH_KIND_FCM_TOKEN, draw_address(a, 0).token),
                                 INT64_MAX };
        return;
    case USER_ACTION_PUSH_SETTLED: /* a claim that nobody knows of is told that it ended */
        ret->action.u.push_settled = (struct push_settled){ id_of(A_MESSAGE, 1), 5, true };
        return;
    case USER_ACTION_PUSH_UNREGISTERED:
        ret->action.u.push_unregistered =
            (struct push_unregistered){ draw_word(a, draw, 0, LIMIT_REASON_BYTES), span_str(""),
                                        -1 };
        return;
    case USER_ACTION_CHAT_MUTED:
        ret->action.u.chat_muted = (struct chat_muted){ id_of(A_CHAT, 1), INGEST_TIME_MAX_MS };
        return;
    case USER_ACTION_ACTION_KIND_N:
        return;
    }
}

/* One record through processors/user: PEOPLE users with all devices and sessions one can have, or
 * `crowd` users with one each, all on one slot. */
static inline void road_user(struct road *r, struct cq_span value, size_t row, uint32_t crowd)
{
    struct user_turn *turn = user_turn_new(SLOTS_WIDE);
    struct memory_bus b = { .room = ROOM, .taken = road_take, .arg = r };
    cq_auto(arena) struct cq_arena *arena = arena_new(64 << 20);
    struct user_state state;
    struct user_input in = { &state, value, OFFSET, SILENT_MS * 10ll };
    bool good = user_state_init(&state, 0, widths[0], SLOTS_WIDE);
    enum cq_status st = CQ_OK;
    double from_ms;
    struct cost c;

    for (uint32_t n = 0; good && n < (crowd ? crowd : PEOPLE); n++)
        good = add_person(&state, arena, n, crowd ? 1 : DEVICES, crowd ? 1 : SESSIONS,
                          crowd ? 1 : SLOTS_WIDE);
    if (good && row == USER_ACTION_GATEWAY_ALIVE) /* all gateways were heard long ago */
        for (uint32_t k = 0; good && k < SESSIONS; k++)
            good = idmap_put(&state.alive, id_of(A_GATEWAY, k), 1);
    if (!good)
        abort();
    from_ms = cpu_now_ms();
    st = run_user(turn, &in, &b);
    c = cost_of(&b, value.n, user_turn_memory(turn), cpu_now_ms() - from_ms);
    cost_note(&r->user[row], &c);
    if (!r->fault)
        r->fault = judge(st, &b);
    if (!r->fault && c.memory > USER_TURN_MEMORY_MAX)
        r->fault = "a turn's memory passes its bound";
    user_state_release(&state);
    user_turn_free(turn);
}

static inline void road_user_action(struct road *r, enum user_action_action_kind kind, int draw)
{
    cq_auto(arena) struct cq_arena *a = arena_new(64 << 20);
    struct user_inbox record = { .body.kind = USER_INBOX_USER_ACTION };
    struct cq_buf value;

    draw_user_action(a, draw, kind, &record.body.u.user_action);
    r->refused += validate_user(&record.body.u.user_action) != NULL;
    value = encode(&user_inbox_codec, &record);
    road_user(r, buf_span(&value), kind, 0);
    buf_release(&value);
}

/* Draw all kinds. */
static inline struct road *road_new(unsigned seed)
{
    struct road *r = calloc(1, sizeof *r);

    if (!r)
        abort();
    draw_seed = seed;
    r->arena = arena_new((size_t)1 << 30);
    for (int kind = 0; kind < CHAT_ACTION_ACTION_KIND_N; kind++)
        for (int draw = 0; draw < DRAWS && !r->fault; draw++)
            road_chat(r, (enum chat_action_action_kind)kind, draw);
    for (int kind = 0; kind < USER_ACTION_ACTION_KIND_N; kind++)
        for (int draw = 0; draw < DRAWS && !r->fault; draw++)
            road_user_action(r, (enum user_action_action_kind)kind, draw);
    for (size_t i = 0; i < r->kept_n[TOPIC_USER_INBOX][0] && !r->fault; i++)
        for (uint32_t crowd = 0; crowd <= GROUP; crowd += GROUP)
            road_user(r, r->kept[TOPIC_USER_INBOX][0][i].value, USER_ACTION_ACTION_KIND_N, crowd);
    return r;
}

static inline void road_free(struct road *r)
{
    arena_free(r->arena);
    free(r);
}
