/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/write.h"

#include "schemas/topics.h"

/* Replays and repeats find their rows there already; columns that may differ between two writes of
 * a row only move forward. */

static const char sql_chats[] =
    "INSERT INTO view.chats AS c (part, chat_id, kind, name, name_seq, created_at, created_by, "
    "last_seq, changed_seq) "
    "SELECT * FROM unnest($1::int4[], $2::uuid[], $3::int4[], $4::text[], $5::int8[], $6::int8[], "
    "$7::uuid[], $8::int8[], "
    "$9::int8[]) ON CONFLICT (part, chat_id) DO UPDATE SET "
    "name = CASE WHEN excluded.name_seq > c.name_seq THEN excluded.name ELSE c.name END, "
    "name_seq = GREATEST(c.name_seq, excluded.name_seq), last_seq = GREATEST(c.last_seq, "
    "excluded.last_seq), "
    "changed_seq = GREATEST(c.changed_seq, excluded.changed_seq)";

#define INSERT_MESSAGES                                                                    \
    "INSERT INTO view.messages (part, chat_id, seq, id, sender_id, client_id, type, "      \
    "content_type, content, key_id, sent_at, media_id) SELECT * FROM unnest($1::int4[], "  \
    "$2::uuid[], $3::int8[], $4::uuid[], $5::uuid[], $6::text[], $7::int4[], $8::text[], " \
    "$9::bytea[], $10::text[], $11::int8[], $12::uuid[])"

/* Looking for a conflict in two indexes costs a third of each insert, and there is almost never
 * one. So the plain form is tried first; if it fails, the turn is written again with the other. */
static const char sql_messages[] = INSERT_MESSAGES;
static const char sql_messages_repeated[] = INSERT_MESSAGES " ON CONFLICT DO NOTHING";

static const char sql_members[] =
    "INSERT INTO view.members (part, chat_id, user_id, joined_seq, role) SELECT * "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::int4[]) "
    "ON CONFLICT DO NOTHING";

static const char sql_names[] =
    "INSERT INTO view.chat_names (part, chat_id, seq, name) SELECT * "
    "FROM unnest($1::int4[], $2::uuid[], $3::int8[], $4::text[]) ON CONFLICT DO NOTHING";

static const char sql_leave[] =
    "UPDATE view.members SET left_seq = $3, left_at = $5 WHERE part = $1 AND chat_id = $2 "
    "AND user_id = ANY ($4::uuid[]) AND joined_seq < $3 AND left_seq IS NULL";

/* An heir may be named twice: the later change counts. */
static const char sql_role[] =
    "UPDATE view.members m SET role = w.role FROM (SELECT DISTINCT ON (user_id) user_id, role "
    "FROM unnest($4::uuid[], $5::int4[]) WITH ORDINALITY AS c(user_id, role, ord) "
    "ORDER BY user_id, ord DESC) w WHERE m.part = $1 AND m.chat_id = $2 AND m.user_id = w.user_id "
    "AND m.joined_seq <= $3 AND m.left_seq IS NULL";

static const char sql_users[] =
    "INSERT INTO view.users AS u (user_id, name, registered_at, src_offset) "
    "SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[]) "
    "ON CONFLICT (user_id) DO UPDATE SET "
    "name = CASE WHEN excluded.name = '' THEN u.name ELSE excluded.name END, "
    "src_offset = excluded.src_offset "
    "WHERE excluded.src_offset > u.src_offset";

static const char sql_devices[] =
    "INSERT INTO view.devices (device_id, user_id, platform, label, added_at) "
    "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int8[]) "
    "ON CONFLICT DO NOTHING";

static const char sql_device_gone[] =
    "UPDATE view.devices SET removed_at = $2 WHERE device_id = $1 AND removed_at IS NULL";

static const char sql_rejected[] = "INSERT INTO view.rejected (src_partition, src_offset, id, "
                                   "chat_id, user_id, client_id, code, at_ms) "
                                   "SELECT * FROM unnest($1::int4[], $2::int8[], $3::uuid[], "
                                   "$4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::int8[]) "
                                   "ON CONFLICT DO NOTHING";

static const char sql_media[] =
    "INSERT INTO view.media (media_id, owner_id, chat_id, type, content_type, sha256, name, key, "
    "size, ready_at, seq) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int4[], "
    "$5::text[], $6::bytea[], $7::text[], $8::text[], $9::int8[], $10::int8[], $11::int8[]) "
    "ON CONFLICT DO NOTHING";

static const char sql_found[] =
    "INSERT INTO view.media_found AS f (media_id, width, height, duration_ms, thumbnail_key, "
    "fault, seq) "
    "SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int8[], $5::text[], $6::text[], "
    "$7::int8[]) ON CONFLICT (media_id) DO UPDATE SET width = excluded.width, "
    "height = excluded.height, duration_ms = excluded.duration_ms, "
    "thumbnail_key = excluded.thumbnail_key, fault = excluded.fault, seq = excluded.seq WHERE excluded.seq > f.seq";

static enum cq_status write_media(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->media_n;

    pg_params_clear(p);
    pg_add_uuid_array(p, r->f_id, NULL, n);
    pg_add_uuid_array(p, r->f_owner, NULL, n);
    pg_add_uuid_array(p, r->f_chat, NULL, n);
    pg_add_i32_array(p, r->f_type, n);
    pg_add_text_array(p, r->f_content_type, NULL, n);
    pg_add_bytea_array(p, r->f_sha256, n);
    pg_add_text_array(p, r->f_name, NULL, n);
    pg_add_text_array(p, r->f_key, NULL, n);
    pg_add_i64_array(p, r->f_size, n);
    pg_add_i64_array(p, r->f_at, n);
    pg_add_i64_array(p, r->f_seq, n);
    return n ? pg_run(c, sql_media, p, NULL) : CQ_OK;
}

static enum cq_status write_found(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->found_n;

    pg_params_clear(p);
    pg_add_uuid_array(p, r->p_id, NULL, n);
    pg_add_i32_array(p, r->p_width, n);
    pg_add_i32_array(p, r->p_height, n);
    pg_add_i64_array(p, r->p_duration, n);
    pg_add_text_array(p, r->p_thumb, NULL, n);
    pg_add_text_array(p, r->p_fault, NULL, n);
    pg_add_i64_array(p, r->p_seq, n);
    return n ? pg_run(c, sql_found, p, NULL) : CQ_OK;
}

static enum cq_status write_chats(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->chats_n;

    pg_params_clear(p);
    pg_add_i32_array(p, r->c_part, n);
    pg_add_uuid_array(p, r->c_chat, NULL, n);
    pg_add_i32_array(p, r->c_kind, n);
    pg_add_text_array(p, r->c_name, NULL, n);
    pg_add_i64_array(p, r->c_name_seq, n);
    pg_add_i64_array(p, r->c_created, n);
    pg_add_uuid_array(p, r->c_by, NULL, n);
    pg_add_i64_array(p, r->c_last, n);
    pg_add_i64_array(p, r->c_changed, n);
    return n ? pg_run(c, sql_chats, p, NULL) : CQ_OK;
}

static enum cq_status write_messages(const struct rows *r, struct pg *c, struct pg_params *p,
                                     bool repeated)
{
    size_t n = r->messages_n;

    pg_params_clear(p);
    pg_add_i32_array(p, r->m_part, n);
    pg_add_uuid_array(p, r->m_chat, NULL, n);
    pg_add_i64_array(p, r->m_seq, n);
    pg_add_uuid_array(p, r->m_id, NULL, n);
    pg_add_uuid_array(p, r->m_sender, NULL, n);
    pg_add_text_array(p, r->m_client, NULL, n);
    pg_add_i32_array(p, r->m_type, n);
    pg_add_text_array(p, r->m_content_type, NULL, n);
    pg_add_bytea_array(p, r->m_content, n);
    pg_add_text_array(p, r->m_key, r->m_no_key, n);
    pg_add_i64_array(p, r->m_sent, n);
    pg_add_uuid_array(p, r->m_media, r->m_no_media, n);
    return n ? pg_run(c, repeated ? sql_messages_repeated : sql_messages, p, NULL) : CQ_OK;
}

static enum cq_status write_names(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->names_n;

    pg_params_clear(p);
    pg_add_i32_array(p, r->n_part, n);
    pg_add_uuid_array(p, r->n_chat, NULL, n);
    pg_add_i64_array(p, r->n_seq, n);
    pg_add_text_array(p, r->n_name, NULL, n);
    return n ? pg_run(c, sql_names, p, NULL) : CQ_OK;
}

static enum cq_status write_members(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->members_n;

    pg_params_clear(p);
    pg_add_i32_array(p, r->i_part, n);
    pg_add_uuid_array(p, r->i_chat, NULL, n);
    pg_add_uuid_array(p, r->i_user, NULL, n);
    pg_add_i64_array(p, r->i_joined, n);
    pg_add_i32_array(p, r->i_role, n);
    return n ? pg_run(c, sql_members, p, NULL) : CQ_OK;
}

static enum cq_status write_users(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->users_n;

    pg_params_clear(p);
    pg_add_uuid_array(p, r->u_user, NULL, n);
    pg_add_text_array(p, r->u_name, NULL, n);
    pg_add_i64_array(p, r->u_at, n);
    pg_add_i64_array(p, r->u_src, n);
    return n ? pg_run(c, sql_users, p, NULL) : CQ_OK;
}

static enum cq_status write_devices(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->devices_n;

    pg_params_clear(p);
    pg_add_uuid_array(p, r->d_device, NULL, n);
    pg_add_uuid_array(p, r->d_user, NULL, n);
    pg_add_text_array(p, r->d_platform, NULL, n);
    pg_add_text_array(p, r->d_label, NULL, n);
    pg_add_i64_array(p, r->d_at, n);
    return n ? pg_run(c, sql_devices, p, NULL) : CQ_OK;
}

static enum cq_status write_rejected(const struct rows *r, struct pg *c, struct pg_params *p)
{
    size_t n = r->rejected_n;

    pg_params_clear(p);
    pg_add_i32_array(p, r->r_part, n);
    pg_add_i64_array(p, r->r_offset, n);
    pg_add_uuid_array(p, r->r_id, NULL, n);
    pg_add_uuid_array(p, r->r_chat, NULL, n);
    pg_add_uuid_array(p, r->r_user, NULL, n);
    pg_add_text_array(p, r->r_client, NULL, n);
    pg_add_text_array(p, r->r_code, NULL, n);
    pg_add_i64_array(p, r->r_at, n);
    return n ? pg_run(c, sql_rejected, p, NULL) : CQ_OK;
}

static const char sql_mute[] =
    "INSERT INTO view.mutes AS m (user_id, chat_id, until_ms, src_offset) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (user_id, chat_id) DO UPDATE SET until_ms = excluded.until_ms, "
    "src_offset = excluded.src_offset WHERE excluded.src_offset >= m.src_offset";

static const char sql_push[] =
    "INSERT INTO view.push_targets AS t (device_id, user_id, kind, token, app, environment, "
    "locale, privacy, registered_at, src_offset, claim, mode) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
    "ON CONFLICT (device_id) DO UPDATE SET user_id = excluded.user_id, kind = excluded.kind, "
    "token = excluded.token, app = excluded.app, environment = excluded.environment, "
    "locale = excluded.locale, privacy = excluded.privacy, "
    "registered_at = excluded.registered_at, src_offset = excluded.src_offset, "
    "claim = excluded.claim, mode = excluded.mode "
    "WHERE excluded.src_offset >= t.src_offset";

static const char sql_push_gone[] = "DELETE FROM view.push_targets WHERE device_id = $1";

static enum cq_status write_push(const struct push_target *t, struct pg *c, struct pg_params *p)
{
    pg_add_uuid(p, t->device_id);
    pg_add_uuid(p, t->user_id);
    pg_add_i32(p, (int32_t)t->address.kind);
    pg_add_text(p, t->address.token);
    pg_add_text(p, t->address.app);
    pg_add_i32(p, (int32_t)t->address.environment);
    pg_add_text(p, t->address.locale);
    pg_add_i32(p, (int32_t)t->address.privacy);
    pg_add_i64(p, t->at_ms);
    pg_add_i64(p, seq_make(t->source.generation, t->source.offset));
    pg_add_i64(p, t->claim);
    pg_add_i32(p, (int32_t)t->address.mode);
    return pg_run(c, sql_push, p, NULL);
}

static enum cq_status write_op(const struct row_op *op, struct pg *c, struct pg_params *p)
{
    pg_params_clear(p);
    if (op->kind == OP_PUSH)
        return write_push(op->push, c, p);
    if (op->kind == OP_PUSH_GONE) {
        pg_add_uuid(p, op->user);
        return pg_run(c, sql_push_gone, p, NULL);
    }
    if (op->kind == OP_MUTE) {
        pg_add_uuid(p, op->user);
        pg_add_uuid(p, op->chat);
        pg_add_i64(p, op->until_ms);
        pg_add_i64(p, op->seq);
        return pg_run(c, sql_mute, p, NULL);
    }
    pg_add_uuid(p, op->user);
    pg_add_i64(p, op->seq);
    return pg_run(c, sql_device_gone, p, NULL);
}

/* Those of `kind` in ops[from, to), which are of one change of a group, in one statement: a change
 * may name everybody. */
static enum cq_status write_change(const struct rows *r, size_t from, size_t to, int kind,
                                   struct pg *c, struct pg_params *p)
{
    struct cq_id users[ROWS_CHANGE_MAX];
    int32_t roles[ROWS_CHANGE_MAX];
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        if ((int)r->ops[i].kind == kind) {
            users[n] = r->ops[i].user;
            roles[n++] = r->ops[i].role;
        }
    if (!n)
        return CQ_OK;
    pg_params_clear(p);
    pg_add_i32(p, r->ops[from].part);
    pg_add_uuid(p, r->ops[from].chat);
    pg_add_i64(p, r->ops[from].seq);
    pg_add_uuid_array(p, users, NULL, n);
    if (kind == OP_LEAVE) {
        pg_add_i64(p, r->ops[from].at_ms);
        return pg_run(c, sql_leave, p, NULL);
    }
    pg_add_i32_array(p, roles, n);
    return pg_run(c, sql_role, p, NULL);
}

static bool of_change(const struct row_op *op)
{
    return op->kind == OP_LEAVE || op->kind == OP_ROLE;
}

/* After all inserts: each names by its seq the stay it speaks of. */
static enum cq_status write_ops(const struct rows *r, struct pg *c, struct pg_params *p)
{
    enum cq_status st = CQ_OK;

    for (size_t from = 0, to; st == CQ_OK && from < r->ops_n; from = to) {
        const struct row_op *first = &r->ops[from];

        to = from + 1;
        if (!of_change(first)) {
            st = write_op(first, c, p);
            continue;
        }
        while (to < r->ops_n && to - from < ROWS_CHANGE_MAX && of_change(&r->ops[to]) &&
               r->ops[to].seq == first->seq && id_eq(r->ops[to].chat, first->chat))
            to++;
        st = write_change(r, from, to, OP_LEAVE, c, p);
        if (st == CQ_OK)
            st = write_change(r, from, to, OP_ROLE, c, p);
    }
    return st;
}

enum cq_status rows_write(const struct rows *r, struct pg *c, struct pg_params *params,
                          bool repeated)
{
    static enum cq_status (*const tables[])(const struct rows *, struct pg *,
                                            struct pg_params *) = {
        write_chats,   write_names,    write_members, write_users,
        write_devices, write_rejected, write_media,   write_found,
    };
    enum cq_status st = write_messages(r, c, params, repeated);

    for (size_t i = 0; st == CQ_OK && i < ARRAY_LEN(tables); i++)
        st = tables[i](r, c, params);
    return st == CQ_OK ? write_ops(r, c, params) : st;
}
