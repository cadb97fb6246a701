/* SPDX-License-Identifier: MIT */
/* sinks/persistence/user_rows.c - rows_user_event() of rows.h: what one user alone did. */
#include "sinks/persistence/rows.h"

#include "schemas/topics.h"

/* Several names of one user: the newest, at the time of the first. */
static enum cq_status map_name(struct rows *rows, const struct user_event *event,
                               struct cq_span name)
{
    const uint64_t *at = idmap_get(&rows->user_at, event->user_id);
    size_t i = at ? *at : rows->users.n;
    struct user_row *user = &rows->users.v[i];

    if (!at) {
        if (i == ROWS_USERS || !idmap_put(&rows->user_at, event->user_id, i))
            return CQ_AGAIN;
        rows->users.n++;
        *user = (struct user_row){ .user = event->user_id,
                                   .name = span_of("", 0),
                                   .registered_ms = event->at_ms };
    }
    if (name.n)
        user->name = name;
    user->source = seq_make(event->source.generation, event->source.offset);
    return CQ_OK;
}

static enum cq_status map_device(struct rows *rows, const struct user_event *event)
{
    const struct device_added *added = &event->event.u.device_added;

    if (rows->devices.n == ROWS_DEVICES)
        return CQ_AGAIN;
    rows->devices.v[rows->devices.n++] = (struct device_row){ .device = added->device_id,
                                                              .user = event->user_id,
                                                              .platform = added->platform,
                                                              .label = added->label,
                                                              .added_ms = event->at_ms };
    return CQ_OK;
}

static enum cq_status map_details(struct rows *rows, const struct user_event *event)
{
    const struct profile_details_changed *details = &event->event.u.profile_details_changed;
    int64_t source = seq_make(event->source.generation, event->source.offset);
    const struct {
        bool has;
        int32_t value;
    } settings[] = {
        [SETTING_LAST_SEEN] = { details->has_last_seen_to, (int32_t)details->last_seen_to },
        [SETTING_PICTURE] = { details->has_picture_to, (int32_t)details->picture_to },
        [SETTING_ABOUT] = { details->has_about_to, (int32_t)details->about_to },
        [SETTING_HIDES_READS] = { details->has_read_receipts, !details->read_receipts },
    };
    enum cq_status st = CQ_OK;

    _Static_assert(ARRAY_LEN(settings) == SETTING_N, "a row for each setting");

    if (rows->ops_n + 2 + SETTING_N > ROWS_OPS)
        return CQ_AGAIN;
    if (details->has_about)
        st = row_op_add(rows, (struct row_op){ .kind = OP_ABOUT,
                                               .user = event->user_id,
                                               .about = details->about,
                                               .seq = source });
    if (st == CQ_OK && details->has_picture)
        st = row_op_add(rows, (struct row_op){ .kind = OP_PICTURE,
                                               .user = event->user_id,
                                               .picture = details->picture,
                                               .seq = source });
    for (int32_t i = 0; st == CQ_OK && i < SETTING_N; i++)
        if (settings[i].has)
            st = row_op_add(rows, (struct row_op){ .kind = OP_SETTING,
                                                   .user = event->user_id,
                                                   .setting = i,
                                                   .value = settings[i].value,
                                                   .seq = source });
    return st;
}

enum cq_status rows_user_event(struct rows *rows, const struct user_event *event)
{
    const struct chat_mute_changed *mute = &event->event.u.chat_mute_changed;

    switch (event->event.kind) {
    case USER_EVENT_PROFILE_DETAILS_CHANGED:
        return map_details(rows, event);
    case USER_EVENT_USER_REGISTERED:
        return map_name(rows, event, event->event.u.user_registered.name);
    case USER_EVENT_PROFILE_CHANGED:
        return map_name(rows, event, event->event.u.profile_changed.name);
    case USER_EVENT_DEVICE_ADDED:
        return map_device(rows, event);
    case USER_EVENT_DEVICE_REMOVED:
        return row_op_add(rows, (struct row_op){ .kind = OP_DEVICE_GONE,
                                                 .user = event->event.u.device_removed.device_id,
                                                 .seq = event->at_ms });
    case USER_EVENT_CHAT_MUTE_CHANGED:
        return row_op_add(rows, (struct row_op){ .kind = OP_MUTE,
                                                 .user = event->user_id,
                                                 .chat = mute->chat_id,
                                                 .until_ms = mute->until_ms,
                                                 .seq = seq_make(event->source.generation,
                                                                 event->source.offset) });
    case USER_EVENT_CHAT_MARKS_CHANGED:
        return row_op_add(rows, (struct row_op){ .kind = OP_MARKS,
                                                 .user = event->user_id,
                                                 .marks = event->event.u.chat_marks_changed,
                                                 .seq = seq_make(event->source.generation,
                                                                 event->source.offset) });
    case USER_EVENT_USER_DELETED:
        return row_op_add(rows,
                          (struct row_op){ .kind = OP_USER_GONE,
                                           .user = event->user_id,
                                           .seq = event->event.u.user_deleted.deleted_at_ms });
    case USER_EVENT_EVENT_KIND_N:
        break;
    }
    return CQ_POISON;
}
