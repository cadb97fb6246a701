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

void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->arena = arena_new(64 * 1024 * 1024);
    w->chat_outs.cap = CHAT_OUTPUTS_MAX;
    w->chat_outs.v = calloc(w->chat_outs.cap, sizeof *w->chat_outs.v);
    w->user_outs.max = USER_OUTPUTS_MAX;
    w->delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, 1);
    w->written = -1;
    w->log_ms = 1000000;
    chat_state_init(&w->chat, 0, 1);
    if (!user_state_init(&w->user, 0, 1, SLOTS))
        die("no memory");
}

static void log_release(struct topic_log *l)
{
    for (size_t i = 0; i < l->n; i++)
        free((void *)l->v[i].bytes.p);
}

void world_release(struct world *w)
{
    chat_state_release(&w->chat);
    user_state_release(&w->user);
    arena_free(w->arena);
    free(w->chat_outs.v);
    free(w->user_outs.v);
    delivery_free(w->delivery);
    log_release(&w->actions);
    log_release(&w->events);
    log_release(&w->members);
    log_release(&w->inbox);
    log_release(&w->presence);
    log_release(&w->targets);
    log_release(&w->claims);
    log_release(&w->mutes);
    for (size_t i = 0; i < w->lines_n; i++)
        free(w->lines[i]);
}

struct cq_id world_id(struct world *w, const char *name)
{
    struct cq_span part = span_str(name);

    for (size_t i = 0; i < w->names_n; i++)
        if (strcmp(w->names[i], name) == 0)
            return id_derive("flow", &part, 1);
    if (w->names_n == NAMES_MAX)
        die("too many names");
    snprintf(w->names[w->names_n++], sizeof w->names[0], "%s", name);
    return id_derive("flow", &part, 1);
}

const char *world_name(const struct world *w, struct cq_id id)
{
    for (size_t i = 0; i < w->names_n; i++) {
        struct cq_span part = span_str(w->names[i]);

        if (id_eq(id_derive("flow", &part, 1), id))
            return w->names[i];
    }
    return "?";
}

void world_line(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (w->lines_n == LINES_MAX)
        die("too much comes out");
    va_start(ap, fmt);
    if (vasprintf(&w->lines[w->lines_n], fmt, ap) < 0)
        die("no memory");
    va_end(ap);
    w->lines_n++;
}

static struct kept *keep(struct world *w, struct topic_log *l, struct cq_span bytes)
{
    uint8_t *copy = malloc(bytes.n + 1);

    if (!copy || l->n == LOG_MAX)
        die("a topic is full");
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    l->v[l->n] = (struct kept){ .bytes = span_of(copy, bytes.n), .log_ms = w->log_ms };
    return &l->v[l->n++];
}

static struct kept *keep_record(struct world *w, struct topic_log *l,
                                const struct codec_record *codec, const void *record)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf buf;

    buf_init(&buf, TOPIC_RECORD_MAX);
    if (codec_encode(codec, record, &buf) != CQ_OK)
        die("a record cannot be encoded");
    return keep(w, l, buf_span(&buf));
}

/* ---- user.inbox ----------------------------------------------------------------------- */

static void keep_presence(struct world *w, const struct user_output *o)
{
    const struct presence *p = &o->u.presence.value;
    struct kept *k = keep_record(w, &w->presence, &presence_codec, p);

    k->gone = o->u.presence.gone;
    k->user = p->user_id;
    k->is_device = p->entry.kind == PRESENCE_DEVICE_ENTRY;
    k->entry =
        k->is_device ? p->entry.u.device_entry.device_id : p->entry.u.session_entry.session_id;
}

static void keep_target(struct world *w, const struct user_output *o)
{
    const struct push_target *t = &o->u.target.value;
    struct kept *k = keep_record(w, &w->targets, &push_target_codec, t);

    k->gone = o->u.target.gone;
    k->user = t->user_id;
    k->entry = t->device_id;
}

static void keep_claim(struct world *w, const struct user_output *o)
{
    struct kept *k = keep_record(w, &w->claims, &push_claim_codec, &o->u.claim.value);

    k->gone = o->u.claim.gone;
    k->entry = o->u.claim.value.token;
}

static void keep_mute(struct world *w, const struct user_output *o)
{
    struct kept *k = keep_record(w, &w->mutes, &chat_mute_codec, &o->u.mute.value);

    k->gone = o->u.mute.gone;
    k->user = o->u.mute.value.user_id;
    k->entry = o->u.mute.value.chat_id;
}

static void keep_action(struct world *w, const struct user_output *o)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION,
                                           .u.user_action = o->u.inbox.action } };

    keep_record(w, &w->inbox, &user_inbox_codec, &record);
}

static void keep_user_output(struct world *w, const struct user_output *o)
{
    if (o->topic == TOPIC_PRESENCE)
        keep_presence(w, o);
    if (o->topic == TOPIC_PUSH_TARGETS)
        keep_target(w, o);
    if (o->topic == TOPIC_PUSH_CLAIMS)
        keep_claim(w, o);
    if (o->topic == TOPIC_PUSH_MUTES)
        keep_mute(w, o);
    if (o->topic == TOPIC_USER_INBOX)
        keep_action(w, o);
}

static void step_inbox(struct world *w, int64_t offset)
{
    struct user_inbox record;
    struct user_step step = { .state = &w->user,
                              .offset = offset,
                              .turn = ++w->turn,
                              .log_ms = w->log_ms,
                              .arena = w->arena,
                              .out = &w->user_outs,
                              .room = SIZE_MAX };
    const char *why = "";

    if (codec_decode(&user_inbox_codec, w->inbox.v[offset].bytes, w->arena, &record, &why) != CQ_OK)
        die(why);
    w->user_outs.n = 0;
    if (user_step(&step, &record, &why) != CQ_OK) {
        world_line(w, "user.inbox.dlq %s", why);
        return;
    }
    for (size_t i = 0; i < w->user_outs.n; i++) {
        keep_user_output(w, &w->user_outs.v[i]);
        print_user_output(w, &w->user_outs.v[i]);
    }
}

/* The last record, and what its steps write to the inbox in turn. */
static void step_last(struct world *w)
{
    for (size_t i = w->inbox.n - 1; i < w->inbox.n; i++)
        step_inbox(w, (int64_t)i);
}

static enum cq_status on_batch(void *arg, int32_t partition, struct cq_span value)
{
    struct world *w = arg;

    (void)partition;
    keep(w, &w->inbox, value);
    return CQ_OK;
}

/* ---- chat.actions --------------------------------------------------------------------- */

static void keep_chat_output(struct world *w, const struct chat_output *o)
{
    struct delivery_item item;

    switch (o->topic) {
    case TOPIC_CHAT_EVENTS:
        keep_record(w, &w->events, &chat_event_codec, &o->u.event);
        break;
    case TOPIC_MEMBERS:
        keep_record(w, &w->members, &chat_members_codec, &o->u.members);
        break;
    case TOPIC_USER_INBOX:
        item = o->u.item;
        if (delivery_add(w->delivery, &item, on_batch, w) != CQ_OK)
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
    case TOPIC_N:
        die("a chat wrote what is not its own");
    }
}

static void step_action(struct world *w, int64_t offset)
{
    struct chat_action a;
    struct chat_step step = { .state = &w->chat,
                              .action = &a,
                              .offset = offset,
                              .seq = seq_make(TOPIC_GENERATION, offset),
                              .log_ms = w->actions.v[offset].log_ms,
                              .arena = w->arena,
                              .out = &w->chat_outs };
    const char *why = "";
    size_t inbox_n = w->inbox.n;

    if (codec_decode(&chat_action_codec, w->actions.v[offset].bytes, w->arena, &a, &why) != CQ_OK)
        die(why);
    w->chat_outs.n = 0;
    if (chat_step(&step, &why) != CQ_OK) {
        world_line(w, "chat.actions.dlq %s", why);
        return;
    }
    for (size_t i = 0; i < w->chat_outs.n; i++) {
        const struct chat_output *o = &w->chat_outs.v[i];

        if (o->topic == TOPIC_CHAT_EVENTS && o->u.event.source.offset <= w->written)
            continue; /* as role.c does */
        keep_chat_output(w, o);
        print_chat_output(w, o);
    }
    if (delivery_flush(w->delivery, on_batch, w) != CQ_OK)
        die("a batch cannot be encoded");
    for (; inbox_n < w->inbox.n; inbox_n++)
        step_inbox(w, (int64_t)inbox_n);
}

void world_chat(struct world *w, const struct chat_action *a)
{
    arena_reset(w->arena);
    keep_record(w, &w->actions, &chat_action_codec, a);
    step_action(w, (int64_t)w->actions.n - 1);
}

void world_user(struct world *w, const struct user_action *a)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = *a } };

    arena_reset(w->arena);
    keep_record(w, &w->inbox, &user_inbox_codec, &record);
    step_last(w);
}

void world_deliver(struct world *w, enum delivery_origin origin, struct delivery_item *item)
{
    struct user_inbox record = { .body = {
                                     USER_INBOX_DELIVERY_BATCH,
                                     .u.delivery_batch = { origin, TOPIC_GENERATION, item, 1 } } };

    arena_reset(w->arena);
    keep_record(w, &w->inbox, &user_inbox_codec, &record);
    step_last(w);
}

void world_replay_chat(struct world *w, int64_t from)
{
    arena_reset(w->arena);
    for (; from < (int64_t)w->actions.n; from++)
        step_action(w, from);
}

/* ---- restarts ------------------------------------------------------------------------- */

static void restore_event(struct world *w, const struct kept *k)
{
    struct chat_event e;

    if (codec_decode(&chat_event_codec, k->bytes, w->arena, &e, NULL) != CQ_OK)
        die("an event cannot be decoded");
    if (e.source.offset > w->chat.last_event)
        w->chat.last_event = e.source.offset;
    if (e.event.kind == CHAT_EVENT_MESSAGE_ACCEPTED &&
        dedupe_add(&w->chat.dedupe,
                   &(struct dedupe_entry){
                       e.event.u.message_accepted.id, e.seq, k->log_ms,
                       chat_content_fingerprint(e.event.u.message_accepted.type,
                                                e.event.u.message_accepted.content,
                                                e.event.u.message_accepted.media_id) }) != CQ_OK)
        die("no memory");
}

void world_restart_chat(struct world *w)
{
    struct chat_members value;

    chat_state_release(&w->chat);
    chat_state_init(&w->chat, 0, 1);
    for (size_t i = 0; i < w->members.n; i++)
        if (codec_decode(&chat_members_codec, w->members.v[i].bytes, w->arena, &value, NULL) !=
                CQ_OK ||
            groups_restore(&w->chat.groups, &value) != CQ_OK)
            die("members cannot be restored");
    for (size_t i = 0; i < w->events.n; i++)
        restore_event(w, &w->events.v[i]);
    w->written = w->chat.last_event;
}

static void restore_targets(struct world *w)
{
    struct push_target value;

    for (size_t i = 0; i < w->targets.n; i++) {
        const struct kept *k = &w->targets.v[i];

        if (k->gone)
            user_restore_push_gone(&w->user, k->user, k->entry);
        else if (codec_decode(&push_target_codec, k->bytes, w->arena, &value, NULL) != CQ_OK ||
                 user_restore_push(&w->user, &value) != CQ_OK)
            die("push targets cannot be restored");
    }
}

static void restore_claims(struct world *w)
{
    struct push_claim value;

    for (size_t i = 0; i < w->claims.n; i++) {
        const struct kept *k = &w->claims.v[i];

        if (k->gone)
            claims_remove(&w->user.claims, k->entry);
        else if (codec_decode(&push_claim_codec, k->bytes, w->arena, &value, NULL) != CQ_OK ||
                 claims_restore(&w->user.claims, &value, (int64_t)w->inbox.n) != CQ_OK)
            die("push claims cannot be restored");
    }
}

static void restore_mutes(struct world *w)
{
    struct chat_mute value;

    for (size_t i = 0; i < w->mutes.n; i++) {
        const struct kept *k = &w->mutes.v[i];

        if (k->gone)
            user_restore_unmuted(&w->user, k->user, k->entry);
        else if (codec_decode(&chat_mute_codec, k->bytes, w->arena, &value, NULL) != CQ_OK ||
                 user_restore_mute(&w->user, &value) != CQ_OK)
            die("mutes cannot be restored");
    }
}

void world_restart_user(struct world *w)
{
    struct frontier held = w->user.held, events = w->user.events; /* the text of the commit */
    struct presence value;

    user_state_release(&w->user);
    if (!user_state_init(&w->user, 0, 1, SLOTS))
        die("no memory");
    w->user.held = held;
    w->user.events = events;
    for (size_t i = 0; i < w->presence.n; i++) {
        const struct kept *k = &w->presence.v[i];

        if (k->gone)
            user_restore_gone(&w->user, k->user, k->is_device, k->entry);
        else if (codec_decode(&presence_codec, k->bytes, w->arena, &value, NULL) != CQ_OK ||
                 user_restore(&w->user, &value) != CQ_OK)
            die("presence cannot be restored");
    }
    restore_targets(w);
    restore_claims(w);
    restore_mutes(w);
    user_restore_end(&w->user);
}
