/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/rows.h"

#include "schemas/topics.h"

#include <stdlib.h>

struct rows *rows_new(void)
{
    struct rows *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    idmap_init(&r->chat_at, ROWS_CHATS);
    idmap_init(&r->user_at, ROWS_USERS);
    return r;
}

void rows_free(struct rows *r)
{
    if (!r)
        return;
    idmap_release(&r->chat_at);
    idmap_release(&r->user_at);
    free(r);
}

void rows_clear(struct rows *r)
{
    r->messages_n = r->chats_n = r->names_n = r->members_n = r->ops_n = 0;
    r->users_n = r->devices_n = r->rejected_n = r->media_n = r->found_n = 0;
    idmap_release(&r->chat_at);
    idmap_release(&r->user_at);
}

/* The row of the event's chat: several events of one chat become one row. *ret_new: it was made
 * now. */
static size_t chat_row(struct rows *r, const struct chat_event *e, int32_t kind, bool *ret_new)
{
    const uint64_t *at = idmap_get(&r->chat_at, e->chat_id);
    size_t i = at ? *at : r->chats_n;

    *ret_new = !at;
    if (!at) {
        if (r->chats_n == ROWS_CHATS || !idmap_put(&r->chat_at, e->chat_id, i))
            return SIZE_MAX;
        r->chats_n++;
        r->c_chat[i] = e->chat_id;
        r->c_by[i] = e->user_id;
        r->c_kind[i] = kind;
        r->c_part[i] = id_part(e->chat_id);
        r->c_name[i] = span_of("", 0);
        r->c_name_seq[i] = r->c_last[i] = r->c_changed[i] = 0;
        r->c_created[i] = e->at_ms;
    }
    if (e->seq > r->c_changed[i])
        r->c_changed[i] = e->seq;
    return i;
}

/* The caller has seen that there is room for one more name. */
static void name_chat(struct rows *r, size_t i, struct cq_span name, int64_t seq)
{
    size_t k = r->names_n++;

    r->n_part[k] = r->c_part[i];
    r->n_chat[k] = r->c_chat[i];
    r->n_name[k] = name;
    r->n_seq[k] = seq;
    if (seq < r->c_name_seq[i])
        return;
    r->c_name[i] = name;
    r->c_name_seq[i] = seq;
}

/* To the chat of row `chat`. */
static void add_member(struct rows *r, size_t chat, struct cq_id user, int64_t joined, int32_t role)
{
    size_t i = r->members_n++;

    r->i_part[i] = r->c_part[chat];
    r->i_chat[i] = r->c_chat[chat];
    r->i_user[i] = user;
    r->i_joined[i] = joined;
    r->i_role[i] = role;
}

static enum cq_status map_message(struct rows *r, const struct chat_event *e)
{
    const struct message_accepted *m = &e->event.u.message_accepted;
    size_t i = r->messages_n, chat;
    bool fresh;

    if (i == ROWS_MESSAGES || r->members_n + 2 > ROWS_MEMBERS)
        return CQ_AGAIN;
    chat = chat_row(r, e, m->has_peer ? 0 : 1, &fresh);
    if (chat == SIZE_MAX)
        return CQ_AGAIN;
    if (e->seq > r->c_last[chat])
        r->c_last[chat] = e->seq;
    if (m->has_peer && fresh) { /* a direct chat is made by its first event */
        add_member(r, chat, e->user_id, 0, MEMBER_ROLE_MEMBER);
        add_member(r, chat, m->peer, 0, MEMBER_ROLE_MEMBER);
    }
    r->messages_n++;
    r->m_part[i] = r->c_part[chat];
    r->m_chat[i] = e->chat_id;
    r->m_id[i] = m->id;
    r->m_sender[i] = e->user_id;
    r->m_seq[i] = e->seq;
    r->m_sent[i] = e->at_ms;
    r->m_client[i] = e->client_id;
    r->m_content_type[i] = m->content_type;
    r->m_content[i] = m->content;
    r->m_no_key[i] = !m->has_key_id;
    r->m_key[i] = m->has_key_id ? m->key_id : span_of("", 0);
    r->m_type[i] = (int32_t)m->type;
    r->m_no_media[i] = !m->has_media_id;
    r->m_media[i] = m->media_id;
    return CQ_OK;
}

static enum cq_status map_group(struct rows *r, const struct chat_event *e)
{
    const struct group_started *g = &e->event.u.group_started;
    size_t chat;
    bool fresh;

    if (r->members_n + g->members_n > ROWS_MEMBERS)
        return r->members_n ? CQ_AGAIN : CQ_POISON;
    if (r->names_n == ROWS_CHATS)
        return CQ_AGAIN;
    chat = chat_row(r, e, 1, &fresh);
    if (chat == SIZE_MAX)
        return CQ_AGAIN;
    name_chat(r, chat, g->name, e->seq);
    for (size_t i = 0; i < g->members_n; i++)
        add_member(r, chat, g->members[i].user_id, e->seq, (int32_t)g->members[i].role);
    return CQ_OK;
}

static int32_t role_after(enum member_change_kind k)
{
    switch (k) {
    case MEMBER_CHANGE_KIND_PROMOTE:
        return MEMBER_ROLE_ADMIN;
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        return MEMBER_ROLE_OWNER;
    case MEMBER_CHANGE_KIND_ADD:
    case MEMBER_CHANGE_KIND_REMOVE:
    case MEMBER_CHANGE_KIND_DEMOTE:
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return MEMBER_ROLE_MEMBER;
}

static enum cq_status map_changes(struct rows *r, const struct chat_event *e)
{
    const struct membership_changed *m = &e->event.u.membership_changed;
    size_t chat;
    bool fresh;

    if (r->members_n + m->changes_n > ROWS_MEMBERS || r->ops_n + m->changes_n > ROWS_OPS)
        return r->members_n || r->ops_n ? CQ_AGAIN : CQ_POISON;
    chat = chat_row(r, e, 1, &fresh);
    if (chat == SIZE_MAX)
        return CQ_AGAIN;
    for (size_t i = 0; i < m->changes_n; i++) {
        const struct member_change *c = &m->changes[i];

        if (c->change == MEMBER_CHANGE_KIND_ADD)
            add_member(r, chat, c->user_id, e->seq, MEMBER_ROLE_MEMBER);
        else
            r->ops[r->ops_n++] = (struct row_op){
                .kind = c->change == MEMBER_CHANGE_KIND_REMOVE ? OP_LEAVE : OP_ROLE,
                .part = r->c_part[chat],
                .chat = e->chat_id,
                .user = c->user_id,
                .seq = e->seq,
                .at_ms = e->at_ms,
                .role = role_after(c->change),
            };
    }
    return CQ_OK;
}

static enum cq_status map_media(struct rows *r, const struct chat_event *e)
{
    const struct media_ready *m = &e->event.u.media_ready;
    size_t i = r->media_n;

    if (i == ROWS_MEDIA)
        return CQ_AGAIN;
    r->media_n++;
    r->f_id[i] = m->media_id;
    r->f_owner[i] = e->user_id;
    r->f_chat[i] = e->chat_id;
    r->f_type[i] = (int32_t)m->type;
    r->f_content_type[i] = m->content_type;
    r->f_sha256[i] = m->sha256;
    r->f_name[i] = m->name;
    r->f_key[i] = m->key;
    r->f_size[i] = m->size;
    r->f_at[i] = e->at_ms;
    r->f_seq[i] = e->seq;
    return CQ_OK;
}

static enum cq_status map_found(struct rows *r, const struct chat_event *e)
{
    const struct media_processed *m = &e->event.u.media_processed;
    size_t i = r->found_n;

    if (i == ROWS_MEDIA)
        return CQ_AGAIN;
    for (size_t k = 0; k < i; k++) /* one statement may touch a row once: the later one counts */
        if (id_eq(r->p_id[k], m->media_id))
            i = k;
    r->found_n += i == r->found_n;
    r->p_id[i] = m->media_id;
    r->p_width[i] = m->width;
    r->p_height[i] = m->height;
    r->p_duration[i] = m->duration_ms;
    r->p_seq[i] = e->seq;
    r->p_thumb[i] = m->thumbnail_key;
    r->p_fault[i] = m->fault;
    return CQ_OK;
}

enum cq_status rows_chat_event(struct rows *r, const struct chat_event *e)
{
    size_t chat;
    bool fresh;

    switch (e->event.kind) {
    case CHAT_EVENT_MESSAGE_ACCEPTED:
        return map_message(r, e);
    case CHAT_EVENT_GROUP_STARTED:
        return map_group(r, e);
    case CHAT_EVENT_MEMBERSHIP_CHANGED:
        return map_changes(r, e);
    case CHAT_EVENT_GROUP_NAMED:
        if (r->names_n == ROWS_CHATS)
            return CQ_AGAIN;
        chat = chat_row(r, e, 1, &fresh);
        if (chat == SIZE_MAX)
            return CQ_AGAIN;
        name_chat(r, chat, e->event.u.group_named.name, e->seq);
        return CQ_OK;
    case CHAT_EVENT_MEDIA_READY:
        return map_media(r, e);
    case CHAT_EVENT_MEDIA_PROCESSED:
        return map_found(r, e);
    case CHAT_EVENT_EVENT_KIND_N:
        break;
    }
    return CQ_POISON;
}

/* Several names of one user: the newest, at the time of the first. */
static enum cq_status map_name(struct rows *r, const struct user_event *e, struct cq_span name)
{
    const uint64_t *at = idmap_get(&r->user_at, e->user_id);
    size_t i = at ? *at : r->users_n;

    if (!at) {
        if (r->users_n == ROWS_USERS || !idmap_put(&r->user_at, e->user_id, i))
            return CQ_AGAIN;
        r->users_n++;
        r->u_user[i] = e->user_id;
        r->u_at[i] = e->at_ms;
        r->u_name[i] = span_of("", 0);
    }
    if (name.n)
        r->u_name[i] = name;
    r->u_src[i] = seq_make(e->source.generation, e->source.offset);
    return CQ_OK;
}

static enum cq_status map_device(struct rows *r, const struct user_event *e)
{
    const struct device_added *d = &e->event.u.device_added;
    size_t i = r->devices_n;

    if (i == ROWS_DEVICES)
        return CQ_AGAIN;
    r->devices_n++;
    r->d_device[i] = d->device_id;
    r->d_user[i] = e->user_id;
    r->d_platform[i] = d->platform;
    r->d_label[i] = d->label;
    r->d_at[i] = e->at_ms;
    return CQ_OK;
}

enum cq_status rows_user_event(struct rows *r, const struct user_event *e)
{
    switch (e->event.kind) {
    case USER_EVENT_USER_REGISTERED:
        return map_name(r, e, e->event.u.user_registered.name);
    case USER_EVENT_PROFILE_CHANGED:
        return map_name(r, e, e->event.u.profile_changed.name);
    case USER_EVENT_DEVICE_ADDED:
        return map_device(r, e);
    case USER_EVENT_DEVICE_REMOVED:
        if (r->ops_n == ROWS_OPS)
            return CQ_AGAIN;
        r->ops[r->ops_n++] = (struct row_op){ .kind = OP_DEVICE_GONE,
                                              .user = e->event.u.device_removed.device_id,
                                              .seq = e->at_ms };
        return CQ_OK;
    case USER_EVENT_CHAT_MUTE_CHANGED:
        if (r->ops_n == ROWS_OPS)
            return CQ_AGAIN;
        r->ops[r->ops_n++] =
            (struct row_op){ .kind = OP_MUTE,
                             .user = e->user_id,
                             .chat = e->event.u.chat_mute_changed.chat_id,
                             .until_ms = e->event.u.chat_mute_changed.until_ms,
                             .seq = seq_make(e->source.generation, e->source.offset) };
        return CQ_OK;
    case USER_EVENT_EVENT_KIND_N:
        break;
    }
    return CQ_POISON;
}

enum cq_status rows_push_target(struct rows *r, const struct push_target *t)
{
    if (r->ops_n == ROWS_OPS)
        return CQ_AGAIN;
    r->ops[r->ops_n++] = (struct row_op){ .kind = OP_PUSH, .push = t };
    return CQ_OK;
}

enum cq_status rows_push_gone(struct rows *r, struct cq_span key)
{
    struct cq_id device;

    if (key.n != 2 * CQ_ID_TEXT_LEN + 1 ||
        !id_parse(span_of(key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), &device))
        return CQ_POISON;
    if (r->ops_n == ROWS_OPS)
        return CQ_AGAIN;
    r->ops[r->ops_n++] = (struct row_op){ .kind = OP_PUSH_GONE, .user = device };
    return CQ_OK;
}

enum cq_status rows_rejection(struct rows *r, const struct rejection *x)
{
    size_t i = r->rejected_n;

    if (i == ROWS_REJECTED)
        return CQ_AGAIN;
    r->rejected_n++;
    r->r_part[i] = x->source.partition;
    r->r_offset[i] = x->source.offset;
    r->r_at[i] = x->at_ms;
    r->r_id[i] = x->id;
    r->r_chat[i] = x->chat_id;
    r->r_user[i] = x->user_id;
    r->r_client[i] = x->client_id;
    r->r_code[i] = x->code;
    return CQ_OK;
}
