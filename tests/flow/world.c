/* SPDX-License-Identifier: MIT */
#include "tests/flow/world.h"

#include "schemas/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "flow: %s\n", what);
    exit(1);
}

void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    world->arena = arena_new(64 * 1024 * 1024);
    world->chat_outs.cap = CHAT_OUTPUTS_MAX;
    world->chat_outs.v = calloc(world->chat_outs.cap, sizeof *world->chat_outs.v);
    world->user_outs.max = USER_OUTPUTS_MAX;
    world->delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, 1);
    world->written = -1;
    world->log_ms = 1000000;
    chat_state_init(&world->chat, 0, 1);
    if (!user_state_init(&world->user, 0, 1, SLOTS))
        die("no memory");
}

static void log_release(struct topic_log *log)
{
    for (size_t i = 0; i < log->n; i++)
        free((void *)log->v[i].bytes.p);
}

void world_release(struct world *world)
{
    chat_state_release(&world->chat);
    user_state_release(&world->user);
    arena_free(world->arena);
    free(world->chat_outs.v);
    free(world->user_outs.v);
    delivery_free(world->delivery);
    log_release(&world->actions);
    log_release(&world->events);
    log_release(&world->members);
    log_release(&world->inbox);
    log_release(&world->presence);
    log_release(&world->targets);
    log_release(&world->claims);
    log_release(&world->mutes);
    for (size_t i = 0; i < world->lines_n; i++)
        free(world->lines[i]);
}

struct cq_id world_id(struct world *world, const char *name)
{
    struct cq_span part = span_str(name);

    for (size_t i = 0; i < world->names_n; i++)
        if (strcmp(world->names[i], name) == 0)
            return id_derive("flow", &part, 1);
    if (world->names_n == NAMES_MAX)
        die("too many names");
    snprintf(world->names[world->names_n++], sizeof world->names[0], "%s", name);
    return id_derive("flow", &part, 1);
}

const char *world_name(const struct world *world, struct cq_id id)
{
    for (size_t i = 0; i < world->names_n; i++) {
        struct cq_span part = span_str(world->names[i]);

        if (id_eq(id_derive("flow", &part, 1), id))
            return world->names[i];
    }
    return "?";
}

void world_line(struct world *world, const char *fmt, ...)
{
    va_list ap;

    if (world->lines_n == LINES_MAX)
        die("too much comes out");
    va_start(ap, fmt);
    if (vasprintf(&world->lines[world->lines_n], fmt, ap) < 0)
        die("no memory");
    va_end(ap);
    world->lines_n++;
}

static struct kept *keep(struct world *world, struct topic_log *log, struct cq_span bytes)
{
    uint8_t *copy = malloc(bytes.n + 1);

    if (!copy || log->n == LOG_MAX)
        die("a topic is full");
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    log->v[log->n] = (struct kept){ .bytes = span_of(copy, bytes.n), .log_ms = world->log_ms };
    return &log->v[log->n++];
}

static struct kept *keep_record(struct world *world, struct topic_log *log,
                                const struct codec_record *codec, const void *record)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf = { 0 };

    buf_init(&buf, TOPIC_RECORD_MAX);
    if (codec_encode(codec, record, &buf) != CQ_OK)
        die("a record cannot be encoded");
    return keep(world, log, buf_span(&buf));
}

/* ---- user.inbox ----------------------------------------------------------------------- */

static void keep_presence(struct world *world, const struct user_output *output)
{
    const struct presence *presence = &output->u.presence.value;
    struct kept *kept = keep_record(world, &world->presence, &presence_codec, presence);

    kept->gone = output->u.presence.gone;
    kept->user = presence->user_id;
    kept->is_device = presence->entry.kind == PRESENCE_DEVICE_ENTRY;
    if (presence->entry.kind == PRESENCE_READS_ENTRY)
        return;
    kept->entry = kept->is_device ? presence->entry.u.device_entry.device_id
                                  : presence->entry.u.session_entry.session_id;
}

static void keep_target(struct world *world, const struct user_output *output)
{
    const struct push_target *target = &output->u.target.value;
    struct kept *kept = keep_record(world, &world->targets, &push_target_codec, target);

    kept->gone = output->u.target.gone;
    kept->user = target->user_id;
    kept->entry = target->device_id;
}

static void keep_claim(struct world *world, const struct user_output *output)
{
    struct kept *kept =
        keep_record(world, &world->claims, &push_claim_codec, &output->u.claim.value);

    kept->gone = output->u.claim.gone;
    kept->entry = output->u.claim.value.token;
}

static void keep_mute(struct world *world, const struct user_output *output)
{
    struct kept *kept = keep_record(world, &world->mutes, &chat_mute_codec, &output->u.mute.value);

    kept->gone = output->u.mute.gone;
    kept->user = output->u.mute.value.user_id;
    kept->entry = output->u.mute.value.chat_id;
}

static void keep_action(struct world *world, const struct user_output *output)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION,
                                           .u.user_action = output->u.inbox.action } };

    keep_record(world, &world->inbox, &user_inbox_codec, &record);
}

static void keep_user_output(struct world *world, const struct user_output *output)
{
    if (output->topic == TOPIC_PRESENCE)
        keep_presence(world, output);
    if (output->topic == TOPIC_PUSH_TARGETS)
        keep_target(world, output);
    if (output->topic == TOPIC_PUSH_CLAIMS)
        keep_claim(world, output);
    if (output->topic == TOPIC_PUSH_MUTES)
        keep_mute(world, output);
    if (output->topic == TOPIC_USER_INBOX)
        keep_action(world, output);
}

static void step_inbox(struct world *world, int64_t offset)
{
    struct user_inbox record;
    struct user_step step = { .state = &world->user,
                              .offset = offset,
                              .turn = ++world->turn,
                              .log_ms = world->log_ms,
                              .arena = world->arena,
                              .out = &world->user_outs,
                              .room = SIZE_MAX };
    const char *why = "";

    if (codec_decode(&user_inbox_codec, world->inbox.v[offset].bytes, world->arena, &record,
                     &why) != CQ_OK)
        die(why);
    world->user_outs.n = 0;
    if (user_step(&step, &record, &why) != CQ_OK) {
        world_line(world, "user.inbox.dlq %s", why);
        return;
    }
    for (size_t i = 0; i < world->user_outs.n; i++) {
        keep_user_output(world, &world->user_outs.v[i]);
        print_user_output(world, &world->user_outs.v[i]);
    }
}

/* The last record, and what its steps write to the inbox in turn. */
static void step_last(struct world *world)
{
    for (size_t i = world->inbox.n - 1; i < world->inbox.n; i++)
        step_inbox(world, (int64_t)i);
}

static enum cq_status on_batch(void *arg, int32_t partition, struct cq_span value)
{
    struct world *world = arg;

    (void)partition;
    keep(world, &world->inbox, value);
    return CQ_OK;
}

/* ---- chat.actions --------------------------------------------------------------------- */

static void keep_chat_output(struct world *world, const struct chat_output *output)
{
    struct delivery_item item;

    switch (output->topic) {
    case TOPIC_CHAT_EVENTS:
        keep_record(world, &world->events, &chat_event_codec, &output->u.event);
        break;
    case TOPIC_MEMBERS:
        keep_record(world, &world->members, &chat_members_codec, &output->u.members);
        break;
    case TOPIC_USER_INBOX:
        item = output->u.item;
        if (delivery_add(world->delivery, &item, on_batch, world) != CQ_OK)
            die("a delivery cannot be gathered");
        break;
    case TOPIC_REJECTIONS: /* nobody of this world reads them */
    case TOPIC_DELIVERY_STATUS:
        break;
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_USER_EVENTS:
    case TOPIC_PRESENCE:
    case TOPIC_WS_PUSH:
    case TOPIC_PUSH_TARGETS:
    case TOPIC_PUSH_CLAIMS:
    case TOPIC_PUSH_MUTES:
    case TOPIC_MOBILE_PUSH:
    case TOPIC_PUSH_OUTCOMES:
    case TOPIC_SIGNALS:
    case TOPIC_N:
        die("a chat wrote what is not its own");
    }
}

static void step_action(struct world *world, int64_t offset)
{
    struct chat_action action;
    struct chat_step step = { .state = &world->chat,
                              .action = &action,
                              .offset = offset,
                              .seq = seq_make(TOPIC_GENERATION, offset),
                              .log_ms = world->actions.v[offset].log_ms,
                              .arena = world->arena,
                              .out = &world->chat_outs };
    const char *why = "";
    size_t inbox_n = world->inbox.n;

    times_advance(&world->chat.times, offset, step.log_ms);
    if (codec_decode(&chat_action_codec, world->actions.v[offset].bytes, world->arena, &action,
                     &why) != CQ_OK)
        die(why);
    world->chat_outs.n = 0;
    if (chat_step(&step, &why) != CQ_OK) {
        world_line(world, "chat.actions.dlq %s", why);
        return;
    }
    for (size_t i = 0; i < world->chat_outs.n; i++) {
        const struct chat_output *output = &world->chat_outs.v[i];

        if (output->topic == TOPIC_CHAT_EVENTS && output->u.event.source.offset <= world->written)
            continue; /* as role.c does */
        keep_chat_output(world, output);
        print_chat_output(world, output);
    }
    if (delivery_flush(world->delivery, on_batch, world) != CQ_OK)
        die("a batch cannot be encoded");
    for (; inbox_n < world->inbox.n; inbox_n++)
        step_inbox(world, (int64_t)inbox_n);
}

void world_chat(struct world *world, const struct chat_action *action)
{
    arena_reset(world->arena);
    keep_record(world, &world->actions, &chat_action_codec, action);
    step_action(world, (int64_t)world->actions.n - 1);
}

void world_user(struct world *world, const struct user_action *action)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = *action } };

    arena_reset(world->arena);
    keep_record(world, &world->inbox, &user_inbox_codec, &record);
    step_last(world);
}

void world_deliver(struct world *world, enum delivery_origin origin, struct delivery_item *item)
{
    struct user_inbox record = { .body = {
                                     USER_INBOX_DELIVERY_BATCH,
                                     .u.delivery_batch = { origin, TOPIC_GENERATION, item, 1 } } };

    arena_reset(world->arena);
    keep_record(world, &world->inbox, &user_inbox_codec, &record);
    step_last(world);
}

void world_replay_chat(struct world *world, int64_t from)
{
    arena_reset(world->arena);
    world->chat.times = (struct times){ 0 }; /* they are restored as of the commit */
    for (int64_t i = 0; i < from; i++)
        times_advance(&world->chat.times, i, world->actions.v[i].log_ms);
    for (; from < (int64_t)world->actions.n; from++)
        step_action(world, from);
}

/* ---- restarts ------------------------------------------------------------------------- */

static void restore_event(struct world *world, const struct kept *kept)
{
    struct chat_event event;

    if (codec_decode(&chat_event_codec, kept->bytes, world->arena, &event, NULL) != CQ_OK)
        die("an event cannot be decoded");
    if (chat_restore_event(&world->chat, &event, kept->log_ms) != CQ_OK)
        die("no memory");
}

void world_restart_chat(struct world *world)
{
    struct chat_members value;

    chat_state_release(&world->chat);
    chat_state_init(&world->chat, 0, 1);
    for (size_t i = 0; i < world->members.n; i++)
        if (codec_decode(&chat_members_codec, world->members.v[i].bytes, world->arena, &value,
                         NULL) != CQ_OK ||
            chat_restore_members(&world->chat, &value) != CQ_OK)
            die("members cannot be restored");
    for (size_t i = 0; i < world->events.n; i++)
        restore_event(world, &world->events.v[i]);
    world->written = world->chat.last_event;
}

static void restore_targets(struct world *world)
{
    struct push_target value;

    for (size_t i = 0; i < world->targets.n; i++) {
        const struct kept *kept = &world->targets.v[i];

        if (kept->gone)
            user_restore_push_gone(&world->user, kept->user, kept->entry);
        else if (codec_decode(&push_target_codec, kept->bytes, world->arena, &value, NULL) !=
                     CQ_OK ||
                 user_restore_push(&world->user, &value) != CQ_OK)
            die("push targets cannot be restored");
    }
}

static void restore_claims(struct world *world)
{
    struct push_claim value;

    for (size_t i = 0; i < world->claims.n; i++) {
        const struct kept *kept = &world->claims.v[i];

        if (kept->gone)
            claims_remove(&world->user.claims, kept->entry);
        else if (codec_decode(&push_claim_codec, kept->bytes, world->arena, &value, NULL) !=
                     CQ_OK ||
                 claims_restore(&world->user.claims, &value, (int64_t)world->inbox.n) != CQ_OK)
            die("push claims cannot be restored");
    }
}

static void restore_mutes(struct world *world)
{
    struct chat_mute value;

    for (size_t i = 0; i < world->mutes.n; i++) {
        const struct kept *kept = &world->mutes.v[i];

        if (kept->gone)
            user_restore_unmuted(&world->user, kept->user, kept->entry);
        else if (codec_decode(&chat_mute_codec, kept->bytes, world->arena, &value, NULL) != CQ_OK ||
                 user_restore_mute(&world->user, &value) != CQ_OK)
            die("mutes cannot be restored");
    }
}

void world_restart_user(struct world *world)
{
    struct frontier held = world->user.held,
                    events = world->user.events; /* the text of the commit */
    struct presence value;

    user_state_release(&world->user);
    if (!user_state_init(&world->user, 0, 1, SLOTS))
        die("no memory");
    world->user.held = held;
    world->user.events = events;
    for (size_t i = 0; i < world->presence.n; i++) {
        const struct kept *kept = &world->presence.v[i];

        if (kept->gone)
            user_restore_gone(&world->user, kept->user, kept->is_device, kept->entry);
        else if (codec_decode(&presence_codec, kept->bytes, world->arena, &value, NULL) != CQ_OK ||
                 user_restore(&world->user, &value) != CQ_OK)
            die("presence cannot be restored");
    }
    restore_targets(world);
    restore_claims(world);
    restore_mutes(world);
    user_restore_end(&world->user);
}
