/* SPDX-License-Identifier: MIT */
/*
 * What the dearest records cost those who read them: the pairs of consumer and topic come from the
 * table of topics, the records from the processors, which were given what validation lets through.
 * Each record is taken in an empty turn, within the memory that its consumer gives to one.
 */
#include "tests/unit/test.h"

#include "edge/ws/signals.h"
#include "schemas/delivery.h"
#include "schemas/frame.h"
#include "sinks/mobile/payload.h"
#include "sinks/persistence/tables.h"
#include "sinks/search/texts.h"
#include "sinks/status/ticks.h"
#include "sinks/websocket/sink.h"
#include "tests/unit/costs.h"

/* As in the consumers. */
enum {
    FEED_ARENA = 64 << 20,
    MEDIA_ARENA = 32 << 20,
    SEARCH_ARENA = 16 << 20,
    CHAT_RESTORE_ARENA = 4 << 20,
    LOOK_ARENA = 4 << 20, /* as ingest/log_check.c has it */
    USER_RESTORE_ARENA = 64 * 1024,
    TOLD_MAX = 4096,
    HANDED_BACK = 256, /* bytes beside an excerpt */
};

/* One consumer takes one record. NULL, or what is wrong; `c` gets outputs and bytes out. */
typedef const char *take_fn(struct cq_arena *a, const struct kept *k, struct cost *c);

/* ---- persistence ---------------------------------------------------------------------- */

static struct rows *rows;

static const char *rows_verdict(enum cq_status st, struct cost *cost)
{
    cost->outputs = rows->ops_n;
    for (size_t i = 0; i < ROWS_TABLE_N; i++) {
        size_t n;

        memcpy(&n, (const char *)rows + rows_tables[i].n_at, sizeof n);
        cost->outputs += n;
    }
    for (size_t i = 0; i < rows->messages.n; i++)
        cost->out += rows->messages.v[i].content.n + rows->messages.v[i].client.n +
                     rows->messages.v[i].content_type.n;
    cost->out += cost->outputs * sizeof(struct cq_id) * 4;
    rows_clear(rows);
    return st == CQ_OK ? NULL : cq_status_name(st);
}

static const char *persist_event(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct chat_event *event = ARENA_NEW(arena, struct chat_event);
    enum cq_status st = codec_decode(&chat_event_codec, kept->value, arena, event, NULL);

    return rows_verdict(st == CQ_OK ? rows_chat_event(rows, event) : st, cost);
}

static const char *persist_user(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct user_event *event = ARENA_NEW(arena, struct user_event);
    enum cq_status st = codec_decode(&user_event_codec, kept->value, arena, event, NULL);

    return rows_verdict(st == CQ_OK ? rows_user_event(rows, event) : st, cost);
}

static const char *persist_target(struct cq_arena *arena, const struct kept *kept,
                                  struct cost *cost)
{
    struct push_target *target = ARENA_NEW(arena, struct push_target);
    enum cq_status st;

    if (!kept->value.n)
        return rows_verdict(rows_push_gone(rows, kept->key), cost);
    st = codec_decode(&push_target_codec, kept->value, arena, target, NULL);
    return rows_verdict(st == CQ_OK ? rows_push_target(rows, target) : st, cost);
}

static const char *persist_rejection(struct cq_arena *arena, const struct kept *kept,
                                     struct cost *cost)
{
    struct rejection *rejection = ARENA_NEW(arena, struct rejection);
    enum cq_status st = codec_decode(&rejection_codec, kept->value, arena, rejection, NULL);

    return rows_verdict(st == CQ_OK ? rows_rejection(rows, rejection) : st, cost);
}

/* ---- status --------------------------------------------------------------------------- */

static struct ticks *ticks;

/* A whole turn of this record, in the largest group there is, whose past all plays a part. */
static const char *tick(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct delivery_status status;
    struct tick_chat *chat;
    enum cq_status st = codec_decode(&delivery_status_codec, kept->value, arena, &status, NULL);

    ticks_clear(ticks);
    for (int64_t i = 0; st == CQ_OK && i < TICKS_RECORDS_MAX; i++) {
        status.user_id = id_of(A_USER, (uint32_t)i % GROUP);
        st = ticks_add(ticks, &status, 0, i, false, arena);
    }
    if (st != CQ_OK)
        return cq_status_name(st);
    if (ticks_add(ticks, &status, 0, TICKS_RECORDS_MAX, false, arena) != CQ_AGAIN)
        return "more records than a turn has";
    chat = &ticks->chats[0];
    chat->users = ARENA_ARRAY(arena, struct tick_user, GROUP);
    chat->stays = ARENA_ARRAY(arena, struct tick_stay, GROUP_STAYS_MAX);
    if (!chat->users || !chat->stays)
        return "the arena is full";
    chat->users_n = GROUP;
    chat->stays_n = GROUP_STAYS_MAX;
    for (size_t i = 0; i < GROUP; i++)
        chat->users[i].id = id_of(A_USER, (uint32_t)i);
    for (size_t i = 0; i < GROUP_STAYS_MAX; i++)
        chat->stays[i] =
            (struct tick_stay){ i % GROUP, (int64_t)(i / GROUP),
                                i / GROUP == 3 ? INT64_MAX : (int64_t)(i / GROUP) + 1 };
    ticks_apply(ticks);
    cost->outputs = ticks->receipts_n + ticks->devices_n + ticks->advances_n + ticks->ranges_n;
    cost->out = cost->outputs * sizeof(struct cq_id) * 3;
    return ticks->receipts_n > 2 * TICKS_RECORDS_MAX || ticks->advances_n > 2 * TICKS_RECORDS_MAX ||
                   ticks->devices_n > TICKS_RECORDS_MAX
               ? "more rows than there is room for"
               : NULL;
}

/* ---- edge-ws -------------------------------------------------------------------------- */

static struct {
    uint64_t opaque[TOLD_MAX];
    size_t n, bytes, all, items;
    const char *fault;
} told;

static bool no_frame(void *conn, struct cq_span head, struct cq_span body)
{
    (void)conn;
    (void)head;
    (void)body;
    return true;
}

static void no_wake(void *conn)
{
    (void)conn;
}

static void no_close(void *conn, int code, struct cq_span reason)
{
    (void)conn;
    (void)code;
    (void)reason;
}

/* As the door to user.inbox takes it. */
static enum cq_status on_submit(void *arg, const struct user_action *action, uint64_t opaque)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = *action } };
    struct cq_buf value;

    (void)arg;
    if (told.n == TOLD_MAX)
        return CQ_AGAIN;
    buf_init(&value, TOPIC_CUT_BYTES);
    if (validate_user(action) || codec_encode(&user_inbox_codec, &record, &value) != CQ_OK)
        told.fault = "what is handed back does not enter user.inbox";
    told.bytes += value.n;
    if (action->action.kind == USER_ACTION_SESSION_LOST)
        told.items += action->action.u.session_lost.items_n;
    told.opaque[told.n++] = opaque;
    told.all++;
    buf_release(&value);
    return CQ_OK;
}

static void no_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    (void)arg;
    (void)slot;
    (void)next;
    (void)wait;
}

static void no_pause(void *arg, int32_t slot, bool pause)
{
    (void)arg;
    (void)slot;
    (void)pause;
}

static struct cq_id a_new_id(void *arg)
{
    static uint32_t n;

    (void)arg;
    return id_of(A_SESSION, 900000 + n++);
}

/* None of its sessions is here: all of it is handed back. */
static const char *route_push(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct sink *sink = NULL;
    const char *why = "";
    enum cq_status st;

    (void)arena;
    memset(&told, 0, sizeof told);
    if (sink_new(&(struct sink_conf){ .port = { .frame = no_frame,
                                                .wake = no_wake,
                                                .close = no_close,
                                                .submit = on_submit,
                                                .commit = no_commit,
                                                .pause = no_pause,
                                                .new_id = a_new_id },
                                      .slots = 1,
                                      .sessions_max = 1 },
                 &sink) != CQ_OK)
        return "no sink";
    sink_assigned(sink, 0, 0);
    sink_settled(sink);
    st = sink_record(sink, 0, 0, kept->value, &why);
    for (int i = 0; st == CQ_OK && !sink_is_settled(sink) && i < PARTS_MAX; i++) {
        sink_batch_end(sink);
        while (told.n)
            sink_report(sink, told.opaque[--told.n], CQ_OK);
        sink_tick(sink);
        cost->parts++;
    }
    cost->outputs = told.all;
    cost->out = told.bytes;
    if (st == CQ_OK && !sink_is_settled(sink))
        told.fault = "what is handed back does not end";
    if (told.bytes > told.all * HANDED_BACK + told.items * (FRAME_EXCERPT_MAX + HANDED_BACK))
        told.fault = "what is handed back is more than a push shows";
    sink_free(sink);
    return st == CQ_OK ? told.fault : cq_status_name(st);
}

/* ---- signals -------------------------------------------------------------------------- */

static bool not_ours(void *arg, int32_t slot)
{
    (void)arg;
    return slot == 0;
}

static bool nobody_here(void *arg, struct cq_id user)
{
    (void)arg;
    (void)user;
    return false;
}

static void no_send(void *arg, int32_t slot, struct cq_span value)
{
    (void)slot;
    *(size_t *)arg += value.n;
}

static bool no_show(void *conn, struct cq_id user, struct cq_span frame)
{
    (void)conn;
    (void)user;
    (void)frame;
    return true;
}

/* As many items as a gateway puts into one record. Nobody looks. */
static const char *take_signals(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct signal_batch batch = { .from_slot = 1, .said_n = SIGNALS_RECORD_ITEMS_MAX };
    struct signals_port port = { &cost->out, not_ours, nobody_here, no_send, no_show };
    struct signals signals;
    struct cq_buf value;
    enum cq_status st;

    (void)kept;
    batch.said = ARENA_ARRAY(arena, struct signal, batch.said_n);
    value = encode(&signal_batch_codec, &batch);
    st = signals_init(&signals, port, 1);
    if (st == CQ_OK)
        st = signals_take(&signals, buf_span(&value), 1);
    cost->in = value.n;
    signals_release(&signals);
    buf_release(&value);
    return st == CQ_OK ? NULL : cq_status_name(st);
}

/* ---- mobile --------------------------------------------------------------------------- */

enum { PUSH_FORMS = 3 }; /* Apple's, Google's, that of browsers */

static const char *push_phone(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct mobile_push push;
    struct push_content content = { .ttl_s = 86400, .badge = INT64_MAX, .badge_known = true };
    struct cq_buf body;
    bool failed = false;
    enum cq_status st = codec_decode(&mobile_push_codec, kept->value, arena, &push, NULL);

    if (st == CQ_OK && push.frame.n)
        st = payload_read_frame(push.frame, push.user_id, arena, &content);
    if (st != CQ_OK || push.targets_n > MOBILE_PUSH_TARGETS_MAX)
        return "it is taken for poison";
    content.seq = push.seq;
    content.sender = content.chat_name = draw_name(arena, 0);
    content.is_group = true;
    for (size_t i = 0; i < push.targets_n; i++) {
        for (int of = 0; of < PUSH_FORMS; of++) {
            buf_init(&body, 64 * 1024);
            if (of == 0)
                payload_apns(&content, &push.targets[i].address, &body);
            else if (of == 1)
                payload_fcm(&content, &push.targets[i].address, false, &body);
            else
                payload_web(&content, &push.targets[i].address, &body);
            failed |= body.failed || body.n > (of < 2 ? PAYLOAD_MAX : PAYLOAD_WEB_MAX);
            cost->out += body.n;
            cost->outputs++;
            buf_release(&body);
        }
    }
    return failed ? "a body that the provider refuses" : NULL;
}

/* The longest words that a provider has for us. */
static const char *read_outcome(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct push_outcome outcome = { .detail = draw_text(arena, 0, 1024, true) }, again;
    struct cq_buf value = encode(&push_outcome_codec, &outcome);
    enum cq_status st = codec_decode(&push_outcome_codec, buf_span(&value), arena, &again, NULL);

    (void)kept;
    cost->out = value.n;
    buf_release(&value);
    return st == CQ_OK ? NULL : cq_status_name(st);
}

/* ---- search --------------------------------------------------------------------------- */

static struct texts *texts;

static const char *search_event(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct chat_event *event = ARENA_NEW(arena, struct chat_event);
    enum cq_status st = codec_decode(&chat_event_codec, kept->value, arena, event, NULL);

    texts_clear(texts);
    if (st == CQ_OK)
        st = texts_add(texts, event);
    cost->outputs = texts->rows_n + texts->ops_n + texts->keys_n;
    cost->out = texts->keys_n * 2 * sizeof(int64_t);
    return st == CQ_OK ? NULL : cq_status_name(st);
}

/* ---- media, and what the processors restore ------------------------------------------- */

static const char *media_event(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct chat_event event;

    (void)cost;
    return codec_decode(&chat_event_codec, kept->value, arena, &event, NULL) == CQ_OK
               ? NULL
               : "again or poison";
}

/* A gateway looks at the last records of a partition, for the source they name. */
static const char *look_at_user(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct user_event event;

    (void)cost;
    return codec_decode(&user_event_codec, kept->value, arena, &event, NULL) == CQ_OK
               ? NULL
               : "again or poison";
}

static const char *restore_members(struct cq_arena *arena, const struct kept *kept,
                                   struct cost *cost)
{
    struct chat_members members;
    struct groups groups;
    enum cq_status st = codec_decode(&chat_members_codec, kept->value, arena, &members, NULL);

    groups_init(&groups);
    if (st == CQ_OK)
        st = groups_restore(&groups, &members);
    cost->outputs = members.members_n;
    groups_release(&groups);
    return st == CQ_OK ? NULL : "a group is forgotten";
}

static const char *restore_presence(struct cq_arena *arena, const struct kept *kept,
                                    struct cost *cost)
{
    struct presence presence;
    struct user_state state;
    enum cq_status st =
        kept->value.n ? codec_decode(&presence_codec, kept->value, arena, &presence, NULL) : CQ_OK;

    (void)cost;
    if (st == CQ_OK && kept->value.n) {
        st = user_state_init(&state, 0, widths[0], SLOTS_WIDE) ? user_restore(&state, &presence)
                                                               : CQ_FATAL;
        user_state_release(&state);
    }
    return st == CQ_OK ? NULL : "a session is forgotten";
}

static const char *restore_target(struct cq_arena *arena, const struct kept *kept,
                                  struct cost *cost)
{
    struct push_target target;

    (void)cost;
    return !kept->value.n ||
                   codec_decode(&push_target_codec, kept->value, arena, &target, NULL) == CQ_OK
               ? NULL
               : "an address is forgotten";
}

static const char *restore_claim(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct push_claim claim;

    (void)cost;
    return !kept->value.n ||
                   codec_decode(&push_claim_codec, kept->value, arena, &claim, NULL) == CQ_OK
               ? NULL
               : "a claim is forgotten";
}

static const char *restore_mute(struct cq_arena *arena, const struct kept *kept, struct cost *cost)
{
    struct chat_mute mute;

    (void)cost;
    return !kept->value.n ||
                   codec_decode(&chat_mute_codec, kept->value, arena, &mute, NULL) == CQ_OK
               ? NULL
               : "a mute is forgotten";
}

/* ---- the pairs ------------------------------------------------------------------------ */

static const struct pair {
    const char *reader; /* as the table of topics names it */
    enum topic topic;
    take_fn *take; /* NULL: test_costs.c steps it */
    size_t arena;
    size_t kinds; /* of the topic's records, each of which has to be seen */
} pairs[] = {
    { "chat", TOPIC_CHAT_ACTIONS, NULL, 0, 0 },
    { "user", TOPIC_USER_INBOX, NULL, 0, 0 },
    { "persistence", TOPIC_CHAT_EVENTS, persist_event, FEED_ARENA, CHAT_EVENT_EVENT_KIND_N },
    { "search", TOPIC_CHAT_EVENTS, search_event, SEARCH_ARENA, CHAT_EVENT_EVENT_KIND_N },
    { "media", TOPIC_CHAT_EVENTS, media_event, MEDIA_ARENA, CHAT_EVENT_EVENT_KIND_N },
    { "chat", TOPIC_CHAT_EVENTS, media_event, CHAT_RESTORE_ARENA, CHAT_EVENT_EVENT_KIND_N },
    { "edge-rest", TOPIC_CHAT_EVENTS, media_event, LOOK_ARENA, CHAT_EVENT_EVENT_KIND_N },
    { "edge-ws", TOPIC_CHAT_EVENTS, media_event, LOOK_ARENA, CHAT_EVENT_EVENT_KIND_N },
    { "edge-rest", TOPIC_USER_EVENTS, look_at_user, LOOK_ARENA, USER_EVENT_EVENT_KIND_N },
    { "edge-ws", TOPIC_USER_EVENTS, look_at_user, LOOK_ARENA, USER_EVENT_EVENT_KIND_N },
    { "media", TOPIC_USER_EVENTS, look_at_user, LOOK_ARENA, USER_EVENT_EVENT_KIND_N },
    { "chat", TOPIC_MEMBERS, restore_members, CHAT_RESTORE_ARENA, 1 },
    { "persistence", TOPIC_REJECTIONS, persist_rejection, FEED_ARENA, 1 },
    { "status", TOPIC_DELIVERY_STATUS, tick, FEED_ARENA, RECEIPT_KIND_N },
    { "persistence", TOPIC_USER_EVENTS, persist_user, FEED_ARENA, USER_EVENT_EVENT_KIND_N },
    { "user", TOPIC_PRESENCE, restore_presence, USER_RESTORE_ARENA, PRESENCE_ENTRY_KIND_N },
    { "edge-ws", TOPIC_WS_PUSH, route_push, FEED_ARENA, WS_ENTRY_KIND_N },
    { "edge-ws", TOPIC_SIGNALS, take_signals, FEED_ARENA, 0 },
    { "user", TOPIC_PUSH_TARGETS, restore_target, USER_RESTORE_ARENA, 1 },
    { "user", TOPIC_PUSH_CLAIMS, restore_claim, USER_RESTORE_ARENA, 1 },
    { "user", TOPIC_PUSH_MUTES, restore_mute, USER_RESTORE_ARENA, 1 },
    { "persistence", TOPIC_PUSH_TARGETS, persist_target, FEED_ARENA, 1 },
    { "mobile", TOPIC_MOBILE_PUSH, push_phone, FEED_ARENA, 1 },
    { "mobile", TOPIC_PUSH_OUTCOMES, read_outcome, FEED_ARENA, 0 },
};

static const struct pair *pair_of(const char *reader, enum topic topic)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (pairs[i].topic == topic && strcmp(pairs[i].reader, reader) == 0)
            return &pairs[i];
    return NULL;
}

TEST(every_reader_in_the_table_of_topics_is_here)
{
    for (int t = 0; t < TOPIC_N; t++)
        for (int how = TOPIC_FOLLOWED; how <= TOPIC_READ; how++) {
            const char *one;

            for (size_t i = 0; (one = topic_user((enum topic)t, (enum topic_use)how, i)); i++)
                if (!pair_of(one, (enum topic)t)) {
                    fprintf(stderr, "%s reads %s\n", one, topic_name((enum topic)t));
                    CHECK_STR("a reader that no test feeds", "");
                }
        }
}

/* Whether all kinds of the topic's records are there. */
static bool all_kinds(const struct road *road, const struct pair *pair)
{
    for (size_t kind = 0; kind < pair->kinds; kind++)
        if (!road->kept_n[pair->topic][kind]) {
            fprintf(stderr, "no record of kind %zu of %s\n", kind, topic_name(pair->topic));
            return false;
        }
    return true;
}

static const char *run_kind(const struct road *road, const struct pair *pair, size_t kind,
                            struct cost *most)
{
    static const struct kept nothing;
    size_t n = road->kept_n[pair->topic][kind];

    for (size_t i = 0; i < n || (!pair->kinds && !kind && i < 1); i++) {
        cq_auto(arena) struct cq_arena *arena = arena_new(pair->arena);
        const struct kept *kept = i < n ? &road->kept[pair->topic][kind][i] : &nothing;
        struct cost cost = { .in = kept->value.n + kept->key.n, .parts = 1 };
        double from_ms = cpu_now_ms();
        const char *fault = pair->take(arena, kept, &cost);

        cost.cpu_ms = cpu_now_ms() - from_ms;
        cost.memory = arena_most(arena);
        cost_note(most, &cost);
        if (fault)
            return fault;
    }
    return NULL;
}

TEST(every_record_is_taken_in_an_empty_turn)
{
    struct road *road = road_new(8);

    CHECK(!road->fault);
    rows = rows_new();
    texts = texts_new();
    ticks = ticks_new();
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (!pairs[i].take)
            continue;
        CHECK(all_kinds(road, &pairs[i]));
        for (size_t kind = 0; kind < KINDS_MAX; kind++) {
            struct cost most = { 0 };
            char name[BUS_NAME_MAX + 8];
            const char *fault = run_kind(road, &pairs[i], kind, &most);

            snprintf(name, sizeof name, "%s/%zu", topic_name(pairs[i].topic), kind);
            if (most.in || most.out)
                cost_print(pairs[i].reader, name, &most);
            if (fault)
                CHECK_STR(fault, "");
        }
    }
    rows_free(rows);
    texts_free(texts);
    ticks_free(ticks);
    road_free(road);
}
