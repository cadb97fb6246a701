/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/rows.h - events as rows of the view, column by column, ready for `unnest`
 * (pure). Rows about a chat begin with its part (lib/base/id.h), as their keys do.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/idmap.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"

enum {
    ROWS_MESSAGES = 2048,
    ROWS_CHATS = 2048,
    ROWS_MEMBERS = 8192,
    ROWS_OPS = 4096,
    ROWS_USERS = 2048,
    ROWS_DEVICES = 2048,
    ROWS_REJECTED = 2048,
    ROWS_MEDIA = 512,
    ROWS_CHANGE_MAX =
        LIMIT_GROUP_MEMBERS + 2, /* ops of one change of a group: everybody, and the heir */
};

/** A change of rows that exist already, in the order of the log. */
struct row_op {
    enum { OP_LEAVE, OP_ROLE, OP_DEVICE_GONE, OP_MUTE, OP_PUSH, OP_PUSH_GONE } kind;
    struct cq_id chat, user; /* OP_DEVICE_GONE, OP_PUSH_GONE: user is the device */
    int32_t part;            /* of the chat: OP_LEAVE, OP_ROLE */
    int64_t seq;             /* or the time; OP_MUTE: the source as a seq */
    int64_t until_ms;        /* OP_MUTE */
    int64_t at_ms;           /* OP_LEAVE */
    int32_t role;
    const struct push_target *push; /* OP_PUSH; borrowed */
};

/** Everything one transaction writes; spans and ids are borrowed from the records of the turn. */
struct rows {
    size_t messages_n;
    struct cq_id m_chat[ROWS_MESSAGES], m_id[ROWS_MESSAGES], m_sender[ROWS_MESSAGES];
    int64_t m_seq[ROWS_MESSAGES], m_sent[ROWS_MESSAGES];
    struct cq_span m_client[ROWS_MESSAGES], m_content_type[ROWS_MESSAGES], m_content[ROWS_MESSAGES],
        m_key[ROWS_MESSAGES];
    bool m_no_key[ROWS_MESSAGES];
    int32_t m_part[ROWS_MESSAGES], m_type[ROWS_MESSAGES];
    struct cq_id m_media[ROWS_MESSAGES];
    bool m_no_media[ROWS_MESSAGES];

    size_t chats_n; /* each chat once */
    struct idmap chat_at;
    struct cq_id c_chat[ROWS_CHATS], c_by[ROWS_CHATS];
    int32_t c_kind[ROWS_CHATS], c_part[ROWS_CHATS];
    struct cq_span c_name[ROWS_CHATS];
    int64_t c_name_seq[ROWS_CHATS], c_created[ROWS_CHATS], c_last[ROWS_CHATS],
        c_changed[ROWS_CHATS];

    size_t names_n; /* each name that a group was given */
    int32_t n_part[ROWS_CHATS];
    struct cq_id n_chat[ROWS_CHATS];
    struct cq_span n_name[ROWS_CHATS];
    int64_t n_seq[ROWS_CHATS];

    size_t members_n;
    struct cq_id i_chat[ROWS_MEMBERS], i_user[ROWS_MEMBERS];
    int64_t i_joined[ROWS_MEMBERS];
    int32_t i_part[ROWS_MEMBERS], i_role[ROWS_MEMBERS];

    size_t ops_n;
    struct row_op ops[ROWS_OPS];

    size_t users_n; /* each user once */
    struct idmap user_at;
    struct cq_id u_user[ROWS_USERS];
    struct cq_span u_name[ROWS_USERS];
    int64_t u_at[ROWS_USERS], u_src[ROWS_USERS];

    size_t devices_n;
    struct cq_id d_device[ROWS_DEVICES], d_user[ROWS_DEVICES];
    struct cq_span d_platform[ROWS_DEVICES], d_label[ROWS_DEVICES];
    int64_t d_at[ROWS_DEVICES];

    size_t media_n; /* MediaReady */
    struct cq_id f_id[ROWS_MEDIA], f_owner[ROWS_MEDIA], f_chat[ROWS_MEDIA];
    int32_t f_type[ROWS_MEDIA];
    struct cq_span f_content_type[ROWS_MEDIA], f_sha256[ROWS_MEDIA], f_name[ROWS_MEDIA],
        f_key[ROWS_MEDIA];
    int64_t f_size[ROWS_MEDIA], f_at[ROWS_MEDIA], f_seq[ROWS_MEDIA];

    size_t found_n; /* MediaProcessed */
    struct cq_id p_id[ROWS_MEDIA];
    int32_t p_width[ROWS_MEDIA], p_height[ROWS_MEDIA];
    int64_t p_duration[ROWS_MEDIA], p_seq[ROWS_MEDIA];
    struct cq_span p_thumb[ROWS_MEDIA], p_fault[ROWS_MEDIA];

    size_t rejected_n;
    int32_t r_part[ROWS_REJECTED];
    int64_t r_offset[ROWS_REJECTED], r_at[ROWS_REJECTED];
    struct cq_id r_id[ROWS_REJECTED], r_chat[ROWS_REJECTED], r_user[ROWS_REJECTED];
    struct cq_span r_client[ROWS_REJECTED], r_code[ROWS_REJECTED];
};

struct rows *rows_new(void); /* NULL without memory; owned by caller */
void rows_free(struct rows *r);
void rows_clear(struct rows *r);

/** Map one fact. CQ_OK; CQ_AGAIN when some table is full: write what is there first. */
CQ_MUST_CHECK enum cq_status rows_chat_event(struct rows *r, const struct chat_event *e);
CQ_MUST_CHECK enum cq_status rows_user_event(struct rows *r, const struct user_event *e);
/** `t` is borrowed until the rows are written. */
CQ_MUST_CHECK enum cq_status rows_push_target(struct rows *r, const struct push_target *t);

/** A tombstone; CQ_POISON when the key is none of ours. */
CQ_MUST_CHECK enum cq_status rows_push_gone(struct rows *r, struct cq_span key);
CQ_MUST_CHECK enum cq_status rows_rejection(struct rows *r, const struct rejection *x);
