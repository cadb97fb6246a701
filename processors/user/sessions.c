/* SPDX-License-Identifier: MIT */
#include "processors/user/sessions.h"

#include <stdlib.h>

void sessions_init(struct sessions *s)
{
    idmap_init(&s->users, USERS_MAX);
}

void sessions_release(struct sessions *s)
{
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&s->users, &at, &id, &value);) {
        struct user_entry *u = (struct user_entry *)(uintptr_t)value;

        free(u->sessions);
        for (int i = 0; i < u->devices_n; i++)
            free(u->devices[i].push);
        free(u->devices);
        free(u->mutes);
        free(u);
    }
    idmap_release(&s->users);
}

struct user_entry *sessions_user(const struct sessions *s, struct cq_id user)
{
    const uint64_t *value = idmap_get(&s->users, user);

    return value ? (struct user_entry *)(uintptr_t)*value : NULL;
}

struct user_entry *sessions_user_make(struct sessions *s, struct cq_id user)
{
    struct user_entry *u = sessions_user(s, user);

    if (u)
        return u;
    u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->id = user;
    if (!idmap_put(&s->users, user, (uint64_t)(uintptr_t)u)) {
        free(u);
        return NULL;
    }
    return u;
}

struct live_session *user_session(const struct user_entry *u, struct cq_id session)
{
    for (int i = 0; i < u->sessions_n; i++)
        if (id_eq(u->sessions[i].id, session))
            return &u->sessions[i];
    return NULL;
}

struct known_device *user_device(const struct user_entry *u, struct cq_id device)
{
    for (int i = 0; i < u->devices_n; i++)
        if (id_eq(u->devices[i].id, device))
            return &u->devices[i];
    return NULL;
}

bool session_opened_by(const struct live_session *s, int64_t offset)
{
    return s->source_offset <= offset;
}

bool user_device_online(const struct user_entry *u, struct cq_id device, int64_t offset)
{
    for (int i = 0; i < u->sessions_n; i++)
        if (session_opened_by(&u->sessions[i], offset) && id_eq(u->sessions[i].device, device))
            return true;
    return false;
}

enum cq_status user_add_session(struct user_entry *u, const struct live_session *x)
{
    struct live_session *known = user_session(u, x->id);
    struct live_session *v;

    if (known) {
        *known = *x;
        return CQ_OK;
    }
    if (u->sessions_n >= USER_SESSIONS_MAX)
        return CQ_FATAL;
    v = realloc(u->sessions, (u->sessions_n + 1u) * sizeof *v);
    if (!v)
        return CQ_FATAL;
    u->sessions = v;
    u->sessions[u->sessions_n++] = *x;
    return CQ_OK;
}

enum cq_status user_add_device(struct user_entry *u, const struct known_device *x)
{
    struct known_device *known = user_device(u, x->id);
    struct known_device *v;

    if (known) {
        known->source_offset = x->source_offset;
        return CQ_OK;
    }
    if (u->devices_n >= LIMIT_USER_DEVICES)
        return CQ_FATAL;
    v = realloc(u->devices, (u->devices_n + 1u) * sizeof *v);
    if (!v)
        return CQ_FATAL;
    u->devices = v;
    u->devices[u->devices_n++] = *x;
    return CQ_OK;
}

void user_remove_session(struct user_entry *u, struct cq_id session)
{
    struct live_session *s = user_session(u, session);

    if (!s)
        return;
    memmove(s, s + 1, (size_t)(u->sessions + u->sessions_n - (s + 1)) * sizeof *s);
    u->sessions_n--;
}

void user_remove_device(struct user_entry *u, struct cq_id device)
{
    struct known_device *d = user_device(u, device);

    if (!d)
        return;
    free(d->push);
    memmove(d, d + 1, (size_t)(u->devices + u->devices_n - (d + 1)) * sizeof *d);
    u->devices_n--;
}

static struct cq_span put_text(uint8_t **to, struct cq_span text)
{
    struct cq_span copy = span_of(*to, text.n);

    if (text.n)
        memcpy(*to, text.p, text.n);
    *to += text.n;
    return copy;
}

enum cq_status device_set_push(struct known_device *d, int64_t source_offset, int64_t at_ms,
                               int64_t claim, const struct push_address *address)
{
    size_t texts_n = address->token.n + address->app.n + address->locale.n;
    struct known_push *push = malloc(sizeof *push + texts_n);
    uint8_t *to;

    if (!push)
        return CQ_FATAL;
    to = (uint8_t *)(push + 1);
    *push = (struct known_push){
        .source_offset = source_offset, .at_ms = at_ms, .claim = claim, .address = *address
    };
    push->address.token = put_text(&to, address->token);
    push->address.app = put_text(&to, address->app);
    push->address.locale = put_text(&to, address->locale);
    free(d->push);
    d->push = push;
    return CQ_OK;
}

void device_drop_push(struct known_device *d)
{
    free(d->push);
    d->push = NULL;
}

void user_hide_reads(struct user_entry *u, bool hidden, int64_t offset)
{
    if (offset < u->hides_source)
        return;
    u->hides_reads = hidden;
    u->hides_source = offset;
}

struct muted_chat *user_muted(const struct user_entry *u, struct cq_id chat)
{
    for (int i = 0; i < u->mutes_n; i++)
        if (id_eq(u->mutes[i].chat, chat))
            return &u->mutes[i];
    return NULL;
}

struct muted_chat *user_muted_least(const struct user_entry *u)
{
    struct muted_chat *least = NULL;

    for (int i = 0; i < u->mutes_n; i++)
        if (!least || u->mutes[i].until_ms < least->until_ms)
            least = &u->mutes[i];
    return least;
}

enum cq_status user_mute(struct user_entry *u, const struct muted_chat *x)
{
    struct muted_chat *known = user_muted(u, x->chat);
    struct muted_chat *v;

    if (known) {
        *known = *x;
        return CQ_OK;
    }
    if (u->mutes_n >= USER_MUTES_MAX)
        return CQ_FATAL;
    v = realloc(u->mutes, (u->mutes_n + 1u) * sizeof *v);
    if (!v)
        return CQ_FATAL;
    u->mutes = v;
    u->mutes[u->mutes_n++] = *x;
    return CQ_OK;
}

void user_unmute(struct user_entry *u, struct cq_id chat)
{
    struct muted_chat *known = user_muted(u, chat);

    if (known)
        *known = u->mutes[--u->mutes_n];
}
