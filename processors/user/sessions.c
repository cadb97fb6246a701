/* SPDX-License-Identifier: MIT */
#include "processors/user/sessions.h"

#include <stdlib.h>

void sessions_init(struct sessions *sessions)
{
    idmap_init(&sessions->users, USERS_MAX);
}

void sessions_release(struct sessions *sessions)
{
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&sessions->users, &at, &id, &value);) {
        struct user_entry *entry = (struct user_entry *)(uintptr_t)value;

        free(entry->sessions);
        for (int i = 0; i < entry->devices_n; i++)
            free(entry->devices[i].push);
        free(entry->devices);
        free(entry->mutes);
        free(entry);
    }
    idmap_release(&sessions->users);
}

struct user_entry *sessions_user(const struct sessions *sessions, struct cq_id user)
{
    const uint64_t *value = idmap_get(&sessions->users, user);

    return value ? (struct user_entry *)(uintptr_t)*value : NULL;
}

struct user_entry *sessions_user_make(struct sessions *sessions, struct cq_id user)
{
    struct user_entry *entry = sessions_user(sessions, user);

    if (entry)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->id = user;
    if (!idmap_put(&sessions->users, user, (uint64_t)(uintptr_t)entry)) {
        free(entry);
        return NULL;
    }
    return entry;
}

struct live_session *user_session(const struct user_entry *entry, struct cq_id session)
{
    for (int i = 0; i < entry->sessions_n; i++)
        if (id_eq(entry->sessions[i].id, session))
            return &entry->sessions[i];
    return NULL;
}

struct known_device *user_device(const struct user_entry *entry, struct cq_id device)
{
    for (int i = 0; i < entry->devices_n; i++)
        if (id_eq(entry->devices[i].id, device))
            return &entry->devices[i];
    return NULL;
}

bool session_opened_by(const struct live_session *session, int64_t offset)
{
    return session->source_offset <= offset;
}

bool user_device_online(const struct user_entry *entry, struct cq_id device, int64_t offset)
{
    for (int i = 0; i < entry->sessions_n; i++)
        if (session_opened_by(&entry->sessions[i], offset) &&
            id_eq(entry->sessions[i].device, device))
            return true;
    return false;
}

enum cq_status user_add_session(struct user_entry *entry, const struct live_session *session)
{
    struct live_session *known = user_session(entry, session->id);
    struct live_session *sessions;

    if (known) {
        *known = *session;
        return CQ_OK;
    }
    if (entry->sessions_n >= USER_SESSIONS_MAX)
        return CQ_FATAL;
    sessions = realloc(entry->sessions, (entry->sessions_n + 1u) * sizeof *sessions);
    if (!sessions)
        return CQ_FATAL;
    entry->sessions = sessions;
    entry->sessions[entry->sessions_n++] = *session;
    return CQ_OK;
}

enum cq_status user_add_device(struct user_entry *entry, const struct known_device *device)
{
    struct known_device *known = user_device(entry, device->id);
    struct known_device *devices;

    if (known) {
        known->source_offset = device->source_offset;
        return CQ_OK;
    }
    if (entry->devices_n >= LIMIT_USER_DEVICES)
        return CQ_FATAL;
    devices = realloc(entry->devices, (entry->devices_n + 1u) * sizeof *devices);
    if (!devices)
        return CQ_FATAL;
    entry->devices = devices;
    entry->devices[entry->devices_n++] = *device;
    return CQ_OK;
}

void user_remove_session(struct user_entry *entry, struct cq_id id)
{
    struct live_session *session = user_session(entry, id);

    if (!session)
        return;
    memmove(session, session + 1,
            (size_t)(entry->sessions + entry->sessions_n - (session + 1)) * sizeof *session);
    entry->sessions_n--;
}

void user_remove_device(struct user_entry *entry, struct cq_id id)
{
    struct known_device *device = user_device(entry, id);

    if (!device)
        return;
    free(device->push);
    memmove(device, device + 1,
            (size_t)(entry->devices + entry->devices_n - (device + 1)) * sizeof *device);
    entry->devices_n--;
}

static struct cq_span put_text(uint8_t **to, struct cq_span text)
{
    struct cq_span copy = span_of(*to, text.n);

    if (text.n)
        memcpy(*to, text.p, text.n);
    *to += text.n;
    return copy;
}

enum cq_status device_set_push(struct known_device *device, int64_t source_offset, int64_t at_ms,
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
    free(device->push);
    device->push = push;
    return CQ_OK;
}

void device_drop_push(struct known_device *device)
{
    free(device->push);
    device->push = NULL;
}

void user_hide_reads(struct user_entry *entry, bool hidden, int64_t offset)
{
    if (offset < entry->hides_source)
        return;
    entry->hides_reads = hidden;
    entry->hides_source = offset;
}

struct muted_chat *user_muted(const struct user_entry *entry, struct cq_id chat)
{
    for (int i = 0; i < entry->mutes_n; i++)
        if (id_eq(entry->mutes[i].chat, chat))
            return &entry->mutes[i];
    return NULL;
}

struct muted_chat *user_muted_least(const struct user_entry *entry)
{
    struct muted_chat *least = NULL;

    for (int i = 0; i < entry->mutes_n; i++)
        if (!least || entry->mutes[i].until_ms < least->until_ms)
            least = &entry->mutes[i];
    return least;
}

enum cq_status user_mute(struct user_entry *entry, const struct muted_chat *muted)
{
    struct muted_chat *known = user_muted(entry, muted->chat);
    struct muted_chat *mutes;

    if (known) {
        *known = *muted;
        return CQ_OK;
    }
    if (entry->mutes_n >= USER_MUTES_MAX)
        return CQ_FATAL;
    mutes = realloc(entry->mutes, (entry->mutes_n + 1u) * sizeof *mutes);
    if (!mutes)
        return CQ_FATAL;
    entry->mutes = mutes;
    entry->mutes[entry->mutes_n++] = *muted;
    return CQ_OK;
}

void user_unmute(struct user_entry *entry, struct cq_id chat)
{
    struct muted_chat *known = user_muted(entry, chat);

    if (known)
        *known = entry->mutes[--entry->mutes_n];
}
