/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/costs.h - the dearest records that validation lets through: actions are drawn at its
 * limits, and the two processors make of them what all other consumers read. A kind of chat action
 * that nothing is said about is drawn at the limits of its schema.
 */
#pragma once

#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/bounds.h"
#include "schemas/names.h"
#include "schemas/table.h"
#include "tests/unit/costs_contents.h"
#include "tests/unit/costs_draw.h"
#include "tests/unit/costs_invites.h"
#include "tests/unit/memory_bus.h"

#include <time.h>

enum {
    DRAWS = 6,       /* of each kind; the first is the dearest that we know */
    KEPT = 12,       /* records of each kind that other consumers get to read … */
    KINDS_MAX = 48,  /* … and kinds in a topic, a tombstone the last of them */
    GROUP = 1024,    /* members, the owner among them */
    DEVICES = 16,    /* as LIMIT_USER_DEVICES */
    OFFSET = 100000, /* of a drawn record; what was before is below it */
};

_Static_assert((int)CHAT_EVENT_EVENT_KIND_N < KINDS_MAX, "raise KINDS_MAX");
_Static_assert((int)USER_EVENT_EVENT_KIND_N < KINDS_MAX, "raise KINDS_MAX");

static const int32_t widths[WIDTHS] = { 256, 2, 1 };

/* ---- what was found ------------------------------------------------------------------- */

/* What a record of one kind cost, and the dearest of them so far. */
struct cost {
    size_t in, out, outputs, parts, memory;
    double cpu_ms;
};

static inline double cpu_now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline void cost_note(struct cost *most, const struct cost *cost)
{
    if (cost->out * (most->in + 1) > most->out * (cost->in + 1) || !most->in)
        most->in = cost->in;
    most->out = larger(most->out, cost->out);
    most->outputs = larger(most->outputs, cost->outputs);
    most->parts = larger(most->parts, cost->parts);
    most->memory = larger(most->memory, cost->memory);
    most->cpu_ms = cost->cpu_ms > most->cpu_ms ? cost->cpu_ms : most->cpu_ms;
}

static inline void cost_print(const char *consumer, const char *record, const struct cost *cost)
{
    printf("cost %s %s: %zu bytes in, at most %zu out (%.1f a byte), %zu outputs, %zu parts, "
           "%zu bytes of memory, %.1f ms\n",
           consumer, record, cost->in, cost->out,
           (double)cost->out / (double)(cost->in ? cost->in : 1), cost->outputs, cost->parts,
           cost->memory, cost->cpu_ms);
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
static inline size_t kind_of(enum topic topic, struct cq_span value, struct cq_arena *arena)
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
        return codec_decode(&chat_event_codec, value, arena, &chat, NULL) == CQ_OK ? chat.event.kind
                                                                                   : KINDS_MAX;
    case TOPIC_USER_EVENTS:
        return codec_decode(&user_event_codec, value, arena, &user, NULL) == CQ_OK ? user.event.kind
                                                                                   : KINDS_MAX;
    case TOPIC_DELIVERY_STATUS:
        return codec_decode(&delivery_status_codec, value, arena, &status, NULL) == CQ_OK
                   ? status.kind
                   : KINDS_MAX;
    case TOPIC_PRESENCE:
        return codec_decode(&presence_codec, value, arena, &presence, NULL) == CQ_OK
                   ? presence.entry.kind
                   : KINDS_MAX;
    case TOPIC_WS_PUSH:
        return codec_decode(&ws_push_codec, value, arena, &push, NULL) == CQ_OK && push.entries_n
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
    case TOPIC_SIGNALS:
    case TOPIC_N:
        return 0;
    }
    return KINDS_MAX;
}

/* Keep the largest, and the first few. */
static inline void road_take(void *arg, enum topic topic, struct cq_span key, struct cq_span value)
{
    struct road *road = arg;
    cq_auto(arena) struct cq_arena *arena = NULL;
    size_t kind, at;

    if (value.n && road->seen_n[topic][0] > 4096 && value.n < 4096)
        return; /* more of the same */
    arena = arena_new(64 << 20);
    kind = kind_of(topic, value, arena);
    if (kind >= KINDS_MAX) {
        road->fault = "a processor wrote what cannot be decoded";
        return;
    }
    road->seen_n[topic][kind]++;
    at = road->kept_n[topic][kind];
    if (at == KEPT)
        for (at = 0; at < KEPT && road->kept[topic][kind][at].value.n >= value.n; at++)
            ;
    if (at == KEPT)
        return;
    road->kept_n[topic][kind] += at == road->kept_n[topic][kind];
    road->kept[topic][kind][at] =
        (struct kept){ arena_copy(road->arena, key), arena_copy(road->arena, value) };
}

/* ---- whatever a schema describes ------------------------------------------------------- */

/* The oneOf of a record. */
static inline const struct codec_field *choices_of(const struct codec_record *codec)
{
    const struct codec_field *field = codec->fields;

    while (field->op != CODEC_ONE_OF)
        field++;
    return field;
}

static inline struct cq_span draw_bounded(const struct codec_bound *bound, struct cq_arena *arena,
                                          int draw)
{
    size_t most = bound && bound->most ? (size_t)bound->most : 255;

    if (bound && (bound->form == BOUNDS_FORM_WORD || bound->form == BOUNDS_FORM_TOKEN))
        return draw_word(arena, draw, (size_t)bound->least, most);
    if (bound && bound->form == BOUNDS_FORM_NAME)
        return draw_name(arena, draw);
    if (bound && bound->form == BOUNDS_FORM_TEXT &&
        bound->code_points) /* most bytes in JSON, or here */
        return draw % 2 ? draw_text(arena, 0, most, false)
                        : draw_text(arena, 0, (size_t)bound->code_points, true);
    return draw_text(arena, bound && bound->form == BOUNDS_FORM_LABEL ? 0 : draw, most,
                     !bound || bound->form != BOUNDS_FORM_LABEL);
}

static inline void draw_record(const struct codec_record *codec, void *to, struct cq_arena *arena,
                               int draw);

/* At its limit; an enum and a choice stay at their first. */
static inline void draw_field(const struct codec_field *field, uint8_t *base,
                              struct cq_arena *arena, int draw)
{
    uint8_t *at = base + field->off, *items;
    size_t n;

    if (field->nullable)
        *(bool *)(base + field->has_off) = true;
    switch ((enum codec_op)field->op) {
    case CODEC_INT:
        *(int32_t *)(void *)at = field->bound && field->bound->most < INT32_MAX
                                     ? (int32_t)field->bound->most
                                     : INT32_MAX;
        return;
    case CODEC_LONG:
        *(int64_t *)(void *)at = field->bound ? field->bound->most : INT64_MAX;
        return;
    case CODEC_STRING:
    case CODEC_BYTES:
        *(struct cq_span *)(void *)at = draw_bounded(field->bound, arena, draw);
        return;
    case CODEC_ID:
        *(struct cq_id *)(void *)at = id_of(A_MESSAGE, 1);
        return;
    case CODEC_RECORD:
        draw_record(field->sub.record, at, arena, draw);
        return;
    case CODEC_ARRAY:
        n = draw_length(draw, (size_t)field->bound->least, (size_t)field->bound->most);
        items = arena_alloc(arena, n * field->item_size + 1);
        memset(items, 0, n * field->item_size);
        for (size_t i = 0; i < n; i++)
            draw_field(field->sub.item, items + i * field->item_size, arena, draw);
        *(void **)(void *)at = items;
        *(size_t *)(void *)(base + field->aux_off) = n;
        return;
    case CODEC_BOOL:
    case CODEC_ENUM:
    case CODEC_ONE_OF:
        return;
    }
}

static inline void draw_record(const struct codec_record *codec, void *to, struct cq_arena *arena,
                               int draw)
{
    for (uint32_t i = 0; i < codec->fields_n; i++)
        draw_field(&codec->fields[i], to, arena, draw);
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

static inline bool scene_fill(struct scene *scene, struct chat_state *state)
{
    static const enum member_change_kind turns[] = {
        MEMBER_CHANGE_KIND_ADD, MEMBER_CHANGE_KIND_PROMOTE, MEMBER_CHANGE_KIND_DEMOTE,
        MEMBER_CHANGE_KIND_PROMOTE, MEMBER_CHANGE_KIND_DEMOTE
    };
    struct member_change *all = ARENA_ARRAY(scene->arena, struct member_change, GROUP);
    struct group *group, *small;

    scene->group = scene_chat(scene->partitions, 0);
    scene->small = scene_chat(scene->partitions, 1);
    group = groups_add(&state->groups, scene->group);
    small = groups_add(&state->groups, scene->small);
    if (!group || !small ||
        group_join(group, id_of(A_USER, 0), MEMBER_ROLE_OWNER, past_seq(1)) != CQ_OK ||
        group_join(small, id_of(A_USER, 0), MEMBER_ROLE_OWNER, past_seq(1)) != CQ_OK ||
        group_rename(group, draw_name(scene->arena, 0), past_seq(1)) != CQ_OK ||
        group_rename(small, draw_name(scene->arena, 0), past_seq(1)) != CQ_OK)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        for (uint32_t n = 1; n < GROUP; n++)
            all[n - 1] = (struct member_change){ id_of(A_USER, n), turns[i] };
        if (group_apply(group, all, GROUP - 1, past_seq(2 + (int64_t)i)) != CQ_OK)
            return false;
    }
    state->last_event = 50;
    return group->stays_n == GROUP_STAYS_MAX;
}

static inline void draw_receipts(const struct scene *scene, struct chat_action *action)
{
    struct receipts_advanced *ret = &action->action.u.receipts_advanced;
    size_t n = draw_length(scene->draw, 1, LIMIT_RECEIPTS);

    ret->receipts = ARENA_ARRAY(scene->arena, struct receipt, n);
    ret->receipts_n = n;
    for (size_t i = 0; i < n; i++) {
        bool mine = scene->draw == 0 || draw_below(2); /* or refused */

        ret->receipts[i] = (struct receipt){ .chat_id = mine ? scene->group : scene->small,
                                             .user_id = id_of(A_USER, (uint32_t)(i + 1) % GROUP),
                                             .device_id = id_of(A_DEVICE, (uint32_t)i),
                                             .delivered_seq = past_seq(40),
                                             .read_seq = past_seq(30),
                                             .hidden_seq = past_seq(20) };
    }
}

static inline void draw_group(const struct scene *scene, struct chat_action *action)
{
    struct group_created *created = &action->action.u.group_created;

    created->name = draw_name(scene->arena, scene->draw);
    created->members_n = draw_length(scene->draw, 0, LIMIT_GROUP_MEMBERS - 1);
    created->members = ARENA_ARRAY(scene->arena, struct cq_id, created->members_n + 1);
    for (size_t i = 0; i < created->members_n; i++)
        created->members[i] = id_of(A_USER, (uint32_t)(scene->draw == 1 ? i % 7 : i + 1));
    for (uint32_t n = 0;; n++) { /* its id is derived, and stands in partition 0 */
        char *client = (char *)(uintptr_t)action->client_id.p;

        memcpy(client,
               &(char[]){ (char)('a' + n % 26), (char)('a' + n / 26 % 26),
                          (char)('a' + n / 676 % 26) },
               3);
        action->chat_id = chat_id_group(action->user_id, action->client_id);
        if (topic_partition(action->chat_id, scene->partitions) == 0)
            return;
    }
}

static inline void draw_changes(const struct scene *scene, struct chat_action *action)
{
    static const enum member_change_kind kinds[] = {
        MEMBER_CHANGE_KIND_ADD, MEMBER_CHANGE_KIND_REMOVE, MEMBER_CHANGE_KIND_PROMOTE,
        MEMBER_CHANGE_KIND_DEMOTE, MEMBER_CHANGE_KIND_MAKE_OWNER
    };
    struct members_changed *changed = &action->action.u.members_changed;
    bool adds = scene->draw == 0;

    action->chat_id = adds ? scene->small : scene->group;
    changed->changes_n = scene->draw < 4 ? GROUP - 1 : 1 + draw_below(GROUP - 1);
    changed->changes = ARENA_ARRAY(scene->arena, struct member_change, LIMIT_GROUP_MEMBERS);
    for (size_t i = 0; i < changed->changes_n; i++)
        changed->changes[i] =
            (struct member_change){ id_of(A_USER, (uint32_t)i + 1),
                                    scene->draw < 4
                                        ? kinds[scene->draw == 3 && i % 2 ? 1 : scene->draw]
                                        : kinds[1 + draw_below(3)] };
    if (!adds && scene->draw != 2) /* and the owner goes, so that there is an heir */
        changed->changes[changed->changes_n++] =
            (struct member_change){ action->user_id, MEMBER_CHANGE_KIND_REMOVE };
}

static inline void draw_media(const struct scene *scene, struct chat_action *action)
{
    static const uint8_t sha256[32];

    action->action.u.media_ready =
        (struct media_ready){ .media_id = id_of(A_MESSAGE, 1),
                              .type = MESSAGE_TYPE_IMAGE,
                              .content_type = draw_text(scene->arena, scene->draw, 255, false),
                              .size = INT64_MAX,
                              .sha256 = span_of(sha256, sizeof sha256),
                              .name =
                                  draw_text(scene->arena, scene->draw, LIMIT_FILE_NAME_BYTES, true),
                              .key = draw_text(scene->arena, scene->draw, 255, true) };
}

#include "tests/unit/costs_polls.h"

static inline void draw_message(const struct scene *scene, struct chat_action *action)
{
    struct message_sent *sent = &action->action.u.message_sent;
    size_t bytes = draw_length(scene->draw, 1, LIMIT_CONTENT_BYTES);
    struct cq_id *mentions;

    if (scene->draw == 4) /* direct: the id is derived, and stands in partition 0 */
        for (uint32_t n = 1;
             !action->has_peer || topic_partition(action->chat_id, scene->partitions); n++) {
            action->has_peer = true;
            action->peer = id_of(A_USER, n);
            action->chat_id = chat_id_direct(action->user_id, action->peer);
        }
    mentions = ARENA_ARRAY(scene->arena, struct cq_id, LIMIT_MESSAGE_SENT_MENTIONS);
    for (uint32_t n = 0; n < LIMIT_MESSAGE_SENT_MENTIONS; n++)
        mentions[n] = id_of(A_USER, n + 1);
    *sent = (struct message_sent){ .content_type = draw_text(scene->arena, scene->draw, 255, true),
                                   .content = draw_text(scene->arena, scene->draw, bytes + 3, true),
                                   .has_key_id = true,
                                   .key_id = draw_text(scene->arena, scene->draw,
                                                       LIMIT_KEY_ID_BYTES, true),
                                   .has_reply_to = true,
                                   .reply_to = { id_of(A_MESSAGE, 2), LIMIT_QUOTED_SEQ_MAX },
                                   .mentions = mentions,
                                   .mentions_n = LIMIT_MESSAGE_SENT_MENTIONS,
                                   .has_forwarded = true,
                                   .forwarded = LIMIT_MESSAGE_SENT_FORWARDED_MAX };
    draw_shown(scene->arena, scene->draw % 2 == 0, sent, bytes);
    if (sent->content.n > LIMIT_CONTENT_BYTES)
        sent->content.n = LIMIT_CONTENT_BYTES / 4 * 4; /* each unit divides four */
    if (scene->draw == 5)
        draw_poll(scene->arena, sent);
}

/* In a chat of two, whose id is derived, and stands in partition 0. */
static inline void draw_block(const struct scene *scene, struct chat_action *action)
{
    action->has_peer = true;
    for (uint32_t n = 1; n == 1 || topic_partition(action->chat_id, scene->partitions); n++) {
        action->peer = id_of(A_USER, n);
        action->chat_id = chat_id_direct(action->user_id, action->peer);
    }
    action->action.u.block_set.blocked = true;
}

static inline void draw_deletion(const struct scene *scene, struct chat_action *action)
{
    action->action.u.message_withdrawn.target = draw_target(scene, action);
}

static inline void draw_reaction(const struct scene *scene, struct chat_action *action)
{
    action->action.u.message_reacted =
        (struct message_reacted){ draw_target(scene, action),
                                  draw_word(scene->arena, scene->draw, 1, LIMIT_REACTION_BYTES) };
}

static inline void draw_pin(const struct scene *scene, struct chat_action *action)
{
    action->action.u.message_pinned = (struct message_pinned){ draw_target(scene, action), true };
}

static inline void draw_star(const struct scene *scene, struct chat_action *action)
{
    (void)scene;
    action->action.u.message_starred =
        (struct message_starred){ { id_of(A_MESSAGE, 0), past_seq(OFFSET - 1) }, true };
}

/* Of messages that were there. */
static inline void draw_hiding(const struct scene *scene, struct chat_action *action)
{
    size_t n = draw_length(scene->draw, 1, LIMIT_MESSAGES_PUT_AWAY_MESSAGES);
    struct message_ref *messages = ARENA_ARRAY(scene->arena, struct message_ref, n);

    for (size_t i = 0; i < n; i++)
        messages[i] = (struct message_ref){ id_of(A_MESSAGE, (uint32_t)i),
                                            past_seq(OFFSET - 1 - (int64_t)i) };
    action->action.u.messages_put_away = (struct messages_put_away){ messages, n };
}

/* The link of fill_links(), and who asks there. */
static inline void draw_link(const struct scene *scene, struct chat_action *action)
{
    if (action->action.kind == CHAT_ACTION_INVITE_WITHDRAWN) {
        action->action.u.invite_withdrawn.invite_id = id_of(A_MESSAGE, 0);
    } else if (action->action.kind == CHAT_ACTION_INVITE_USED) {
        action->user_id = id_of(A_USER, GROUP);
        action->action.u.invite_used.hash = id_of(A_MESSAGE, 0);
    } else {
        action->action.u.request_answered =
            (struct request_answered){ id_of(A_USER, GROUP), scene->draw % 2 == 0 };
    }
}

static inline void draw_edit(const struct scene *scene, struct chat_action *action)
{
    struct message_sent sent;

    draw_message(scene, action);
    sent = action->action.u.message_sent;
    action->action.u.message_rewritten = (struct message_rewritten){
        draw_target(scene, action), sent.content_type, sent.content, sent.has_key_id, sent.key_id,
        sent.has_preview,           sent.preview
    };
}

static inline void draw_chat_action(const struct scene *scene, enum chat_action_action_kind kind,
                                    struct chat_action *action)
{
    static void (*const drawn[])(const struct scene *, struct chat_action *) = {
        [CHAT_ACTION_MESSAGE_SENT] = draw_message,
        [CHAT_ACTION_RECEIPTS_ADVANCED] = draw_receipts,
        [CHAT_ACTION_GROUP_CREATED] = draw_group,
        [CHAT_ACTION_MEMBERS_CHANGED] = draw_changes,
        [CHAT_ACTION_MESSAGE_WITHDRAWN] = draw_deletion,
        [CHAT_ACTION_MESSAGE_REWRITTEN] = draw_edit,
        [CHAT_ACTION_MESSAGE_REACTED] = draw_reaction,
        [CHAT_ACTION_BLOCK_SET] = draw_block,
        [CHAT_ACTION_MESSAGES_PUT_AWAY] = draw_hiding,
        [CHAT_ACTION_MESSAGE_PINNED] = draw_pin,
        [CHAT_ACTION_MESSAGE_STARRED] = draw_star,
        [CHAT_ACTION_MEDIA_READY] = draw_media,
        [CHAT_ACTION_INVITE_WITHDRAWN] = draw_link,
        [CHAT_ACTION_INVITE_USED] = draw_link,
        [CHAT_ACTION_REQUEST_ANSWERED] = draw_link,
        [CHAT_ACTION_POLL_VOTED] = draw_vote,
        [CHAT_ACTION_POLL_ENDED] = draw_end,
        [CHAT_ACTION_ACTION_KIND_N] = NULL,
    };

    *action = (struct chat_action){ .chat_id = scene->group,
                                    .user_id = id_of(A_USER, 0),
                                    .device_id = id_of(A_DEVICE, 0),
                                    .client_id = draw_word(scene->arena, scene->draw, 8,
                                                           LIMIT_CLIENT_ID_BYTES),
                                    .at_ms = 1800000000000,
                                    .action.kind = kind };
    if (drawn[kind])
        drawn[kind](scene, action);
    else
        draw_record(choices_of(&chat_action_codec)->sub.choices[kind].record, &action->action.u,
                    scene->arena, scene->draw);
}

/* What makes it a fault, or NULL. */
static inline const char *judge(enum cq_status st, const struct memory_bus *bus)
{
    if (st == CQ_AGAIN)
        return "no progress in an empty turn";
    if (st != CQ_OK)
        return st == CQ_POISON ? "poison that validation lets through" : "fatal";
    if (bus->turn_most > TURN_MAX)
        return "a turn's output passes its bound";
    for (int t = 0; t < TOPIC_N; t++)
        if (bus->largest[t] > TOPIC_RECORD_MAX)
            return "a record is larger than a topic takes";
    return NULL;
}

static inline struct cost cost_of(const struct memory_bus *bus, size_t in, size_t memory,
                                  double cpu_ms)
{
    struct cost cost = { .in = in, .out = all_bytes(bus), .parts = bus->turns, .memory = memory };

    for (int t = 0; t < TOPIC_N; t++)
        cost.outputs += bus->records[t];
    cost.cpu_ms = cpu_ms;
    return cost;
}

/* One draw of one kind through processors/chat. */
static inline void road_chat(struct road *road, enum chat_action_action_kind kind, int draw)
{
    struct scene scene = { .draw = draw,
                           .partitions = widths[draw % WIDTHS],
                           .arena = arena_new(64 << 20) };
    struct chat_turn *turn = chat_turn_new(scene.partitions);
    struct memory_bus bus = { .room = ROOM, .taken = road_take, .arg = road };
    struct chat_state state;
    struct chat_action action;
    struct cq_buf value;
    enum cq_status st;
    double from_ms;
    struct cost cost;

    chat_state_init(&state, 0, scene.partitions);
    if (!scene_fill(&scene, &state))
        abort();
    draw_chat_action(&scene, kind, &action);
    if (!fill_links(kind, groups_find(&state.groups, scene.group), id_of(A_MESSAGE, 0),
                    id_of(A_USER, GROUP - 1), id_of(A_USER, GROUP), past_seq(OFFSET), draw % 2))
        abort();
    road->refused += validate_chat(&action) != NULL;
    value = encode(&chat_action_codec, &action);
    from_ms = cpu_now_ms();
    st = run_chat(turn, &(struct chat_input){ &state, buf_span(&value), OFFSET, 1000, -1 }, &bus);
    cost = cost_of(&bus, value.n, chat_turn_memory(turn), cpu_now_ms() - from_ms);
    cost_note(&road->chat[kind], &cost);
    if (!road->fault)
        road->fault = judge(st, &bus);
    if (!road->fault && cost.memory > CHAT_TURN_MEMORY_MAX)
        road->fault = "a turn's memory passes its bound";
    buf_release(&value);
    chat_state_release(&state);
    chat_turn_free(turn);
    arena_free(scene.arena);
}

/* ---- user.inbox ----------------------------------------------------------------------- */

enum {
    SLOTS_WIDE = 1024,
    PEOPLE = 64,
    SESSIONS = 32,    /* as USER_SESSIONS_MAX */
    LOST_BYTES = 450, /* so that all items are as large as a gateway lets them be together */
};

static inline struct push_address draw_address(struct cq_arena *arena, int draw)
{
    return (struct push_address){ .kind = PUSH_KIND_FCM_TOKEN,
                                  .token = draw_word(arena, draw, LIMIT_PUSH_TOKEN_LEAST_BYTES,
                                                     LIMIT_PUSH_TOKEN_BYTES),
                                  .app = draw_word(arena, draw, 0, LIMIT_PUSH_APP_BYTES),
                                  .locale = draw_word(arena, draw, 0, LIMIT_LOCALE_BYTES) };
}

/* User n with so many devices that can be woken, and so many sessions. */
static inline bool add_person(struct user_state *state, struct cq_arena *arena, uint32_t n,
                              int devices, int sessions, int32_t slots)
{
    struct push_address address = draw_address(arena, 0);

    for (int device = 0; device < devices; device++) {
        struct presence known = { .user_id = id_of(A_USER, n),
                                  .entry = { PRESENCE_DEVICE_ENTRY,
                                             .u.device_entry.device_id =
                                                 id_of(A_DEVICE, n * 64 + (uint32_t)device) } };
        struct push_target target = { .user_id = id_of(A_USER, n),
                                      .device_id = id_of(A_DEVICE, n * 64 + (uint32_t)device),
                                      .address = address };

        if (user_restore(state, &known) != CQ_OK || user_restore_push(state, &target) != CQ_OK)
            return false;
    }
    for (int session = 0; session < sessions; session++) {
        struct presence open = { .user_id = id_of(A_USER, n),
                                 .source = { TOPIC_GENERATION, 0, 1 },
                                 .entry = {
                                     PRESENCE_SESSION_ENTRY,
                                     .u.session_entry = {
                                         .session_id = id_of(A_SESSION, n * 64 + (uint32_t)session),
                                         .device_id = id_of(A_DEVICE, n * 64),
                                         .slot = (int32_t)(n * 7 + (uint32_t)session) % slots,
                                         .incarnation = id_of(A_GATEWAY, (uint32_t)session) } } };

        if (user_restore(state, &open) != CQ_OK)
            return false;
    }
    return true;
}

static inline void draw_lost(struct cq_arena *arena, int draw, struct session_lost *ret)
{
    size_t n = draw_length(draw, 1, LIMIT_LOST_ITEMS);
    struct cq_buf frame;

    buf_init(&frame, 64 * 1024);
    buf_printf(&frame, "\"t\":\"message\",\"type\":\"text\",\"content\":\"%.*s\"}",
               SPAN_FMT(draw_word(arena, draw, 1, LOST_BYTES)));
    *ret = (struct session_lost){ .session_id = id_of(A_SESSION, draw % 2 ? 0 : 7777),
                                  .items = ARENA_ARRAY(arena, struct lost_item, n),
                                  .items_n = n };
    for (size_t i = 0; i < n; i++)
        ret->items[i] = (struct lost_item){ .chat_id = id_of(A_CHAT, 1),
                                            .seq = past_seq((int64_t)i),
                                            .message_id = id_of(A_MESSAGE, (uint32_t)i),
                                            .sender_id = id_of(A_USER, 9),
                                            .frame = arena_copy(arena, buf_span(&frame)) };
    buf_release(&frame);
}

static inline void draw_user_action(struct cq_arena *arena, int draw,
                                    enum user_action_action_kind kind, struct user_action *ret)
{
    *ret = (struct user_action){ .user_id = id_of(A_USER, 0),
                                 .device_id = id_of(A_DEVICE, DEVICES - 1),
                                 .at_ms = 1800000000000,
                                 .action.kind = kind };
    switch (kind) {
    case USER_ACTION_USER_SIGNED_UP:
        ret->action.u.user_signed_up.name = draw_name(arena, draw);
        return;
    case USER_ACTION_PROFILE_EDITED:
        ret->action.u.profile_edited.name = draw_name(arena, draw);
        return;
    case USER_ACTION_PROFILE_DETAILS_EDITED:
        ret->user_id = id_of(A_USER, 0); /* with all sessions that one can have */
        ret->action.u.profile_details_edited = (struct profile_details_edited){
            .has_about = true,
            .about = draw_text(arena, 0, LIMIT_ABOUT_BYTES, false),
            .has_picture = true,
            .picture = id_of(A_MESSAGE, 1),
            .has_last_seen_to = true,
            .last_seen_to = AUDIENCE_CONTACTS,
            .has_picture_to = true,
            .picture_to = AUDIENCE_CONTACTS,
            .has_about_to = true,
            .about_to = AUDIENCE_CONTACTS,
            .has_read_receipts = true,
        };
        return;
    case USER_ACTION_DEVICE_LINKED: /* the 17th: the first, with all sessions, goes */
        ret->device_id = id_of(A_DEVICE, 5000);
        ret->action.u.device_linked =
            (struct device_linked){ draw_word(arena, draw, 0, 16),
                                    draw_text(arena, 0, LIMIT_LABEL_BYTES, false) };
        return;
    case USER_ACTION_DEVICE_UNLINKED:
        ret->device_id = id_of(A_DEVICE, 0);
        ret->action.u.device_unlinked.reason = draw_word(arena, draw, 0, LIMIT_REASON_BYTES);
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
        draw_lost(arena, draw, &ret->action.u.session_lost);
        return;
    case USER_ACTION_GATEWAY_ALIVE:
        ret->user_id = ret->device_id = (struct cq_id){ 0 };
        ret->action.u.gateway_alive = (struct gateway_alive){ id_of(A_GATEWAY, 99), SLOTS_WIDE };
        return;
    case USER_ACTION_PUSH_REGISTERED: /* the token that all its other devices have */
        ret->action.u.push_registered.address = draw_address(arena, draw);
        return;
    case USER_ACTION_PUSH_CLAIMED: /* by somebody else: in this world draw 0 has the token */
        ret->device_id = id_of(A_DEVICE, (uint32_t)draw);
        ret->action.u.push_claimed.address = draw_address(arena, draw);
        return;
    case USER_ACTION_PUSH_MOVED:
        ret->action.u.push_moved =
            (struct push_moved){ push_token_id(PUSH_KIND_FCM_TOKEN, draw_address(arena, 0).token),
                                 INT64_MAX };
        return;
    case USER_ACTION_PUSH_SETTLED: /* a claim that nobody knows of is told that it ended */
        ret->action.u.push_settled = (struct push_settled){ id_of(A_MESSAGE, 1), 5, true };
        return;
    case USER_ACTION_PUSH_UNREGISTERED:
        ret->action.u.push_unregistered =
            (struct push_unregistered){ draw_word(arena, draw, 0, LIMIT_REASON_BYTES), span_str(""),
                                        -1 };
        return;
    case USER_ACTION_CHAT_MUTED:
        ret->action.u.chat_muted = (struct chat_muted){ id_of(A_CHAT, 1), INGEST_TIME_MAX_MS };
        return;
    case USER_ACTION_CHAT_MARKED:
        ret->user_id = id_of(A_USER, 0); /* with all sessions that one can have */
        ret->action.u.chat_marked =
            (struct chat_marked){ .chat_id = id_of(A_CHAT, 1),
                                  .has_archived = true,
                                  .has_pinned = true,
                                  .pinned = true,
                                  .has_marked_unread = true,
                                  .marked_unread = true,
                                  .read_seq = INT64_MAX,
                                  .has_draft = true,
                                  .draft = draw_quotes(arena, LIMIT_DRAFT_BYTES),
                                  .draft_after = INT64_MAX };
        return;
    case USER_ACTION_ACCOUNT_DELETED: /* with all devices, sessions and mutes that one can have */
        ret->user_id = id_of(A_USER, 0);
        ret->action.u.account_deleted.deleted_at_ms = INGEST_TIME_MAX_MS;
        return;
    case USER_ACTION_ACTION_KIND_N:
        return;
    }
}

/* One record through processors/user: PEOPLE users with all devices and sessions one can have, or
 * `crowd` users with one each, all on one slot. */
static inline void road_user(struct road *road, struct cq_span value, size_t row, uint32_t crowd)
{
    struct user_turn *turn = user_turn_new(SLOTS_WIDE);
    struct memory_bus bus = { .room = ROOM, .taken = road_take, .arg = road };
    cq_auto(arena) struct cq_arena *arena = arena_new(64 << 20);
    struct user_state state;
    struct user_input in = { &state, value, OFFSET, SILENT_MS * 10ll };
    bool good = user_state_init(&state, 0, widths[0], SLOTS_WIDE);
    enum cq_status st = CQ_OK;
    double from_ms;
    struct cost cost;

    for (uint32_t n = 0; good && n < (crowd ? crowd : PEOPLE); n++)
        good = add_person(&state, arena, n, crowd ? 1 : DEVICES, crowd ? 1 : SESSIONS,
                          crowd ? 1 : SLOTS_WIDE);
    if (good && row == USER_ACTION_GATEWAY_ALIVE) /* all gateways were heard long ago */
        for (uint32_t gateway = 0; good && gateway < SESSIONS; gateway++)
            good = idmap_put(&state.alive, id_of(A_GATEWAY, gateway), 1);
    if (!good)
        abort();
    from_ms = cpu_now_ms();
    st = run_user(turn, &in, &bus);
    cost = cost_of(&bus, value.n, user_turn_memory(turn), cpu_now_ms() - from_ms);
    cost_note(&road->user[row], &cost);
    if (!road->fault)
        road->fault = judge(st, &bus);
    if (!road->fault && cost.memory > USER_TURN_MEMORY_MAX)
        road->fault = "a turn's memory passes its bound";
    user_state_release(&state);
    user_turn_free(turn);
}

static inline void road_user_action(struct road *road, enum user_action_action_kind kind, int draw)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(64 << 20);
    struct user_inbox record = { .body.kind = USER_INBOX_USER_ACTION };
    struct cq_buf value;

    draw_user_action(arena, draw, kind, &record.body.u.user_action);
    road->refused += validate_user(&record.body.u.user_action) != NULL;
    value = encode(&user_inbox_codec, &record);
    road_user(road, buf_span(&value), kind, 0);
    buf_release(&value);
}

/* Draw all kinds. */
static inline struct road *road_new(unsigned seed)
{
    struct road *road = calloc(1, sizeof *road);

    if (!road)
        abort();
    draw_seed = seed;
    road->arena = arena_new((size_t)1 << 30);
    for (int kind = 0; kind < CHAT_ACTION_ACTION_KIND_N; kind++)
        for (int draw = 0; draw < DRAWS && !road->fault; draw++)
            road_chat(road, (enum chat_action_action_kind)kind, draw);
    for (int kind = 0; kind < USER_ACTION_ACTION_KIND_N; kind++)
        for (int draw = 0; draw < DRAWS && !road->fault; draw++)
            road_user_action(road, (enum user_action_action_kind)kind, draw);
    for (size_t i = 0; i < road->kept_n[TOPIC_USER_INBOX][0] && !road->fault; i++)
        for (uint32_t crowd = 0; crowd <= GROUP; crowd += GROUP)
            road_user(road, road->kept[TOPIC_USER_INBOX][0][i].value, USER_ACTION_ACTION_KIND_N,
                      crowd);
    return road;
}

static inline void road_free(struct road *road)
{
    arena_free(road->arena);
    free(road);
}
