/* SPDX-License-Identifier: MIT */
#include "sinks/status/store.h"

/* Stays that ended before the first record of the turn play no part in it. */
static const char sql_stays[] =
    "SELECT t.ord, m.user_id, m.joined_seq, m.left_seq, c.delivered, c.read "
    "FROM unnest($1::int4[], $2::uuid[], $3::int8[]) WITH ORDINALITY AS "
    "t(part, chat_id, since, ord) JOIN view.members m USING (part, chat_id) "
    "LEFT JOIN view.cursors c USING (part, chat_id, user_id) "
    "WHERE m.left_seq IS NULL OR m.left_seq > t.since ORDER BY t.ord, m.user_id, m.joined_seq";

static const char sql_cursors[] = "SELECT t.ord, c.user_id, c.delivered, c.read "
                                  "FROM unnest($1::int4[], $2::uuid[]) WITH ORDINALITY AS "
                                  "t(part, chat_id, ord) JOIN view.cursors c USING (part, chat_id)";

static const char sql_marks[] =
    "SELECT t.ord, k.kind, k.low, k.low_user, k.next "
    "FROM unnest($1::int4[], $2::uuid[]) WITH ORDINALITY AS t(part, chat_id, ord) "
    "JOIN view.marks k USING (part, chat_id)";

static const char sql_save_cursors[] =
    "INSERT INTO view.cursors AS c (part, chat_id, user_id, delivered, read) "
    "SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::int8[]) "
    "ON CONFLICT (part, chat_id, user_id) DO UPDATE SET "
    "delivered = GREATEST(c.delivered, excluded.delivered), "
    "read = GREATEST(c.read, excluded.read)";

static const char sql_save_devices[] =
    "INSERT INTO view.device_cursors AS d (part, chat_id, device_id, delivered) "
    "SELECT part, chat_id, device_id, max(seq) "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[]) "
    "AS n(part, chat_id, device_id, seq) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 "
    "ON CONFLICT (part, chat_id, device_id) DO UPDATE SET delivered = excluded.delivered "
    "WHERE excluded.delivered > d.delivered";

static const char sql_save_receipts[] =
    "INSERT INTO view.receipts (part, chat_id, user_id, kind, seq, at_ms) SELECT * "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int4[], $5::int8[], $6::int8[]) "
    "ON CONFLICT DO NOTHING";

static const char sql_save_advances[] =
    "INSERT INTO view.mark_advances (part, chat_id, kind, low, low_user, next, at_ms) "
    "SELECT * FROM unnest($1::int4[], $2::uuid[], $3::int4[], $4::int8[], $5::uuid[], $6::int8[], "
    "$7::int8[]) ON CONFLICT DO NOTHING";

static const char sql_save_marks[] =
    "INSERT INTO view.marks (part, chat_id, kind, low, low_user, next, at_ms, src_part, src_next) "
    "SELECT * FROM unnest($1::int4[], $2::uuid[], $3::int4[], $4::int8[], $5::uuid[], $6::int8[], "
    "$7::int8[], $8::int4[], $9::int8[]) ON CONFLICT (part, chat_id, kind) DO UPDATE SET "
    "low = excluded.low, "
    "low_user = excluded.low_user, next = excluded.next, at_ms = excluded.at_ms, "
    "src_part = excluded.src_part, src_next = excluded.src_next";

static const char sql_senders[] =
    "SELECT r.ord, m.sender_id "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::int8[]) WITH ORDINALITY "
    "AS r(part, chat_id, who, lo, hi, ord) CROSS JOIN LATERAL (SELECT DISTINCT s.sender_id "
    "FROM view.messages s WHERE s.part = r.part AND s.chat_id = r.chat_id "
    "AND s.seq > r.lo AND s.seq <= r.hi "
    "AND (r.who IS NULL OR s.sender_id = r.who)) m";

/* ---- loading -------------------------------------------------------------------------- */

/* Rows [from, to) of sql_stays are one group, each user's stays one after the other. */
static bool fill_group(struct tick_chat *c, const struct pg_result *res, int from, int to,
                       struct cq_arena *a)
{
    c->users = ARENA_ARRAY(a, struct tick_user, (size_t)(to - from));
    c->stays = ARENA_ARRAY(a, struct tick_stay, (size_t)(to - from));
    if (!c->users || !c->stays)
        return false;
    for (int i = from; i < to; i++) {
        struct cq_id user = pg_uuid(res, i, 1);

        if (!c->users_n || !id_eq(c->users[c->users_n - 1].id, user))
            c->users[c->users_n++] = (struct tick_user){
                .id = user,
                .cursor = { pg_null(res, i, 4) ? 0 : pg_i64(res, i, 4),
                            pg_null(res, i, 5) ? 0 : pg_i64(res, i, 5) },
            };
        c->stays[c->stays_n++] = (struct tick_stay){
            .user = c->users_n - 1,
            .joined = pg_i64(res, i, 2),
            .left = pg_null(res, i, 3) ? INT64_MAX : pg_i64(res, i, 3),
        };
    }
    return true;
}

static enum cq_status load_groups(struct ticks *t, struct pg *c, struct pg_params *p,
                                  struct cq_arena *a)
{
    struct cq_id id[TICKS_GROUPS_MAX];
    int32_t part[TICKS_GROUPS_MAX];
    int64_t since[TICKS_GROUPS_MAX];
    size_t at[TICKS_GROUPS_MAX], n = 0;
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st;

    for (size_t i = 0; i < t->chats_n; i++) {
        if (t->chats[i].direct)
            continue;
        id[n] = t->chats[i].id;
        part[n] = t->chats[i].part;
        since[n] = t->chats[i].since;
        at[n++] = i;
    }
    if (!n)
        return CQ_OK;
    pg_params_clear(p);
    pg_add_i32_array(p, part, n);
    pg_add_uuid_array(p, id, NULL, n);
    pg_add_i64_array(p, since, n);
    st = pg_run(c, sql_stays, p, &res);
    for (int from = 0, to; st == CQ_OK && from < pg_rows(res); from = to) {
        int64_t ord = pg_i64(res, from, 0);

        for (to = from; to < pg_rows(res) && pg_i64(res, to, 0) == ord; to++)
            ;
        if (!fill_group(&t->chats[at[ord - 1]], res, from, to, a))
            st = CQ_FATAL;
    }
    return st;
}

static enum cq_status load_direct_cursors(struct ticks *t, struct pg *c, struct pg_params *p)
{
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st = pg_run(c, sql_cursors, p, &res);

    for (int i = 0; st == CQ_OK && i < pg_rows(res); i++) {
        struct tick_chat *chat = &t->chats[pg_i64(res, i, 0) - 1];
        struct tick_user *u = chat->direct ? ticks_user(chat, pg_uuid(res, i, 1)) : NULL;

        if (!u)
            continue;
        u->cursor[TICK_DELIVERED] = pg_i64(res, i, 2);
        u->cursor[TICK_READ] = pg_i64(res, i, 3);
    }
    return st;
}

static enum cq_status load_marks(struct ticks *t, struct pg *c, struct pg_params *p)
{
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st = pg_run(c, sql_marks, p, &res);

    for (int i = 0; st == CQ_OK && i < pg_rows(res); i++) {
        int64_t kind = pg_i64(res, i, 1);

        if (kind >= 0 && kind < TICK_KINDS)
            t->chats[pg_i64(res, i, 0) - 1].mark[kind] =
                (struct tick_mark){ pg_i64(res, i, 2), pg_uuid(res, i, 3), pg_i64(res, i, 4) };
    }
    return st;
}

enum cq_status store_load(struct ticks *t, struct pg *c, struct pg_params *p, struct cq_arena *a)
{
    struct cq_id *ids = ARENA_ARRAY(a, struct cq_id, t->chats_n);
    int32_t *parts = ARENA_ARRAY(a, int32_t, t->chats_n);
    enum cq_status st;

    if (!t->chats_n)
        return CQ_OK;
    if (!ids || !parts)
        return CQ_FATAL;
    st = load_groups(t, c, p, a);
    for (size_t i = 0; i < t->chats_n; i++) {
        ids[i] = t->chats[i].id;
        parts[i] = t->chats[i].part;
    }
    pg_params_clear(p);
    pg_add_i32_array(p, parts, t->chats_n);
    pg_add_uuid_array(p, ids, NULL, t->chats_n);
    if (st == CQ_OK && t->groups_n < t->chats_n)
        st = load_direct_cursors(t, c, p);
    if (st == CQ_OK)
        st = load_marks(t, c, p);
    return st;
}

/* ---- saving --------------------------------------------------------------------------- */

/* Columns of a statement, in the arena of the turn. */
struct columns {
    int32_t *part;
    struct cq_id *id, *id2;
    int32_t *i32, *i32b;
    int64_t *i64, *i64b, *i64c, *i64d;
};

static bool columns_new(struct columns *k, size_t n, struct cq_arena *a)
{
    *k = (struct columns){
        ARENA_ARRAY(a, int32_t, n),      ARENA_ARRAY(a, struct cq_id, n),
        ARENA_ARRAY(a, struct cq_id, n), ARENA_ARRAY(a, int32_t, n),
        ARENA_ARRAY(a, int32_t, n),      ARENA_ARRAY(a, int64_t, n),
        ARENA_ARRAY(a, int64_t, n),      ARENA_ARRAY(a, int64_t, n),
        ARENA_ARRAY(a, int64_t, n),
    };
    return k->part && k->id && k->id2 && k->i32 && k->i32b && k->i64 && k->i64b && k->i64c &&
           k->i64d;
}

static enum cq_status save_cursors(struct ticks *t, struct pg *c, struct pg_params *p,
                                   struct columns *k)
{
    size_t n = 0;

    for (size_t i = 0; i < t->chats_n; i++)
        for (size_t u = 0; u < t->chats[i].users_n; u++) {
            const struct tick_user *user = &t->chats[i].users[u];

            if (!user->dirty)
                continue;
            k->part[n] = t->chats[i].part;
            k->id[n] = t->chats[i].id;
            k->id2[n] = user->id;
            k->i64[n] = user->cursor[TICK_DELIVERED];
            k->i64b[n++] = user->cursor[TICK_READ];
        }
    pg_params_clear(p);
    pg_add_i32_array(p, k->part, n);
    pg_add_uuid_array(p, k->id, NULL, n);
    pg_add_uuid_array(p, k->id2, NULL, n);
    pg_add_i64_array(p, k->i64, n);
    pg_add_i64_array(p, k->i64b, n);
    return n ? pg_run(c, sql_save_cursors, p, NULL) : CQ_OK;
}

static enum cq_status save_devices(struct ticks *t, struct pg *c, struct pg_params *p,
                                   struct columns *k)
{
    size_t n = t->devices_n;

    for (size_t i = 0; i < n; i++) {
        k->part[i] = id_part(t->devices[i].chat);
        k->id[i] = t->devices[i].chat;
        k->id2[i] = t->devices[i].device;
        k->i64[i] = t->devices[i].seq;
    }
    pg_params_clear(p);
    pg_add_i32_array(p, k->part, n);
    pg_add_uuid_array(p, k->id, NULL, n);
    pg_add_uuid_array(p, k->id2, NULL, n);
    pg_add_i64_array(p, k->i64, n);
    return n ? pg_run(c, sql_save_devices, p, NULL) : CQ_OK;
}

static enum cq_status save_receipts(struct ticks *t, struct pg *c, struct pg_params *p,
                                    struct columns *k)
{
    size_t n = t->receipts_n;

    for (size_t i = 0; i < n; i++) {
        k->part[i] = id_part(t->receipts[i].chat);
        k->id[i] = t->receipts[i].chat;
        k->id2[i] = t->receipts[i].user;
        k->i32[i] = t->receipts[i].kind;
        k->i64[i] = t->receipts[i].seq;
        k->i64b[i] = t->receipts[i].at_ms;
    }
    pg_params_clear(p);
    pg_add_i32_array(p, k->part, n);
    pg_add_uuid_array(p, k->id, NULL, n);
    pg_add_uuid_array(p, k->id2, NULL, n);
    pg_add_i32_array(p, k->i32, n);
    pg_add_i64_array(p, k->i64, n);
    pg_add_i64_array(p, k->i64b, n);
    return n ? pg_run(c, sql_save_receipts, p, NULL) : CQ_OK;
}

static enum cq_status save_advances(struct ticks *t, struct pg *c, struct pg_params *p,
                                    struct columns *k)
{
    size_t n = t->advances_n;

    for (size_t i = 0; i < n; i++) {
        const struct tick_advance *v = &t->advances[i];

        k->part[i] = id_part(v->chat);
        k->id[i] = v->chat;
        k->i32[i] = v->kind;
        k->i64[i] = v->mark.low;
        k->id2[i] = v->mark.low_user;
        k->i64b[i] = v->mark.next;
        k->i64c[i] = v->at_ms;
    }
    pg_params_clear(p);
    pg_add_i32_array(p, k->part, n);
    pg_add_uuid_array(p, k->id, NULL, n);
    pg_add_i32_array(p, k->i32, n);
    pg_add_i64_array(p, k->i64, n);
    pg_add_uuid_array(p, k->id2, NULL, n);
    pg_add_i64_array(p, k->i64b, n);
    pg_add_i64_array(p, k->i64c, n);
    return n ? pg_run(c, sql_save_advances, p, NULL) : CQ_OK;
}

static enum cq_status save_marks(struct ticks *t, struct pg *c, struct pg_params *p,
                                 struct columns *k)
{
    size_t n = 0;

    for (size_t i = 0; i < t->chats_n; i++)
        for (int kind = 0; kind < TICK_KINDS; kind++) {
            const struct tick_chat *chat = &t->chats[i];

            if (!chat->moved[kind])
                continue;
            k->part[n] = chat->part;
            k->id[n] = chat->id;
            k->i32[n] = kind;
            k->i64[n] = chat->mark[kind].low;
            k->id2[n] = chat->mark[kind].low_user;
            k->i64b[n] = chat->mark[kind].next;
            k->i64c[n] = chat->at_ms[kind];
            k->i32b[n] = chat->partition;
            k->i64d[n++] = chat->offset[kind] + 1;
        }
    pg_params_clear(p);
    pg_add_i32_array(p, k->part, n);
    pg_add_uuid_array(p, k->id, NULL, n);
    pg_add_i32_array(p, k->i32, n);
    pg_add_i64_array(p, k->i64, n);
    pg_add_uuid_array(p, k->id2, NULL, n);
    pg_add_i64_array(p, k->i64b, n);
    pg_add_i64_array(p, k->i64c, n);
    pg_add_i32_array(p, k->i32b, n);
    pg_add_i64_array(p, k->i64d, n);
    return n ? pg_run(c, sql_save_marks, p, NULL) : CQ_OK;
}

enum cq_status store_save(struct ticks *t, struct pg *c, struct pg_params *p, struct cq_arena *a)
{
    size_t most = t->receipts_n > t->advances_n ? t->receipts_n : t->advances_n;
    struct columns k;
    enum cq_status st;

    if (most < t->devices_n)
        most = t->devices_n;
    if (!most)
        return CQ_OK; /* no cursor and no mark moves without one of these */
    if (!columns_new(&k, most, a))
        return CQ_FATAL;
    st = save_cursors(t, c, p, &k);
    if (st == CQ_OK)
        st = save_devices(t, c, p, &k);
    if (st == CQ_OK)
        st = save_receipts(t, c, p, &k);
    if (st == CQ_OK)
        st = save_advances(t, c, p, &k);
    return st == CQ_OK ? save_marks(t, c, p, &k) : st;
}

/* ---- senders -------------------------------------------------------------------------- */

enum cq_status store_senders(const struct ticks *t, struct pg *c, struct pg_params *p,
                             struct cq_arena *a, store_sender_fn *fn, void *arg)
{
    size_t n = t->ranges_n;
    struct cq_id *chat = ARENA_ARRAY(a, struct cq_id, n), *who = ARENA_ARRAY(a, struct cq_id, n);
    int64_t *lo = ARENA_ARRAY(a, int64_t, n), *hi = ARENA_ARRAY(a, int64_t, n);
    int32_t *part = ARENA_ARRAY(a, int32_t, n);
    bool *anybody = ARENA_ARRAY(a, bool, n);
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st;

    if (!n)
        return CQ_OK;
    if (!chat || !who || !lo || !hi || !part || !anybody)
        return CQ_FATAL;
    for (size_t i = 0; i < n; i++) {
        const struct tick_range *r = &t->ranges[i];

        part[i] = t->chats[r->chat].part;
        chat[i] = t->chats[r->chat].id;
        who[i] = r->who;
        anybody[i] = id_is_zero(r->who);
        lo[i] = r->lo;
        hi[i] = r->hi;
    }
    pg_params_clear(p);
    pg_add_i32_array(p, part, n);
    pg_add_uuid_array(p, chat, NULL, n);
    pg_add_uuid_array(p, who, anybody, n);
    pg_add_i64_array(p, lo, n);
    pg_add_i64_array(p, hi, n);
    st = pg_run(c, sql_senders, p, &res);
    for (int i = 0; st == CQ_OK && i < pg_rows(res); i++)
        st = fn(arg, &t->ranges[pg_i64(res, i, 0) - 1], pg_uuid(res, i, 1));
    return st;
}
