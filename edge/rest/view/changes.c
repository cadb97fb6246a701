/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/changes.h"

#include "schemas/topics.h"

enum { PARAMS_BYTES = 64 * 1024 };

/* ---- how far the view is -------------------------------------------------------------- */

static const char sql_positions[] =
    "SELECT topic, partition, next, source_next FROM view.positions "
    "WHERE (consumer = 'persistence' AND topic = 'chat.events') OR (consumer = 'status' AND topic = 'delivery.status')";

enum cq_status view_positions(struct pg *db, int32_t partitions, struct frontier *ret_events,
                              struct frontier *ret_status)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql_positions, NULL, &rows);

    frontier_init(ret_events, TOPIC_GENERATION, partitions);
    frontier_init(ret_status, TOPIC_GENERATION, partitions);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        int32_t part = (int32_t)pg_i64(rows, i, 1);

        if (span_eq_str(pg_bytes(rows, i, 0), "chat.events"))
            frontier_advance(ret_events, part, pg_i64(rows, i, 3));
        else
            frontier_advance(ret_status, part, pg_i64(rows, i, 2));
    }
    return st;
}

/* ---- messages ------------------------------------------------------------------------- */

/* clang-format off */

#define IN_STAY(seq) seq " > i.joined_seq AND (i.left_seq IS NULL OR " seq " < i.left_seq) "
#define FROM_LOW(seq) seq " >= $2[" VIEW_PARTITION("k", "$2") " + 1] "
#define OF_CHAT(t) t ".part = k.part AND " t ".chat_id = k.chat_id AND "

/* Places of one stay, in an order each, by the index alone. A message that was changed within the stay has
 * its place at the change; where it was sent nothing is shown, and the place counts all the same, so that no
 * page looks at more than its share. A change is found at its last; of somebody who left, at the last version
 * that may be read. What the reader hid, or starred, is told where he did. */
#define PLACES                                                                                      \
    "(SELECT y.seq, y.seq AS place, EXISTS (SELECT 1 FROM view.changes h WHERE " OF_CHAT("h")       \
    "h.target = y.seq AND " IN_STAY("h.seq") ") AS moved FROM view.messages y WHERE " OF_CHAT("y")  \
    FROM_LOW("y.seq") "AND " IN_STAY("y.seq") "ORDER BY y.seq LIMIT $3) "                           \
    "UNION ALL (SELECT h.target, h.seq, false FROM view.changes h WHERE " OF_CHAT("h")              \
    FROM_LOW("h.seq") "AND " IN_STAY("h.seq") "ORDER BY h.seq LIMIT $3) "                           \
    "UNION ALL (SELECT v.target, v.seq, false FROM view.versions v WHERE i.left_seq IS NOT NULL "   \
    "AND " OF_CHAT("v") FROM_LOW("v.seq") "AND " IN_STAY("v.seq") "ORDER BY v.seq LIMIT $3) "        \
    "UNION ALL (SELECT r.target, r.seq, false FROM view.reactions r WHERE i.left_seq IS NOT NULL "  \
    "AND " OF_CHAT("r") FROM_LOW("r.seq") "AND " IN_STAY("r.seq") "ORDER BY r.seq LIMIT $3) "       \
    "UNION ALL (SELECT x.target, x.seq, false FROM view.hidden x WHERE i.hidden_seq <> 0 AND "      \
    OF_CHAT("x") "x.user_id = $1 AND " FROM_LOW("x.seq") "AND " IN_STAY("x.target")                 \
    "ORDER BY x.seq LIMIT $3) "                                                                     \
    "UNION ALL (SELECT w.target, w.seq, false FROM view.stars w WHERE i.starred_seq <> 0 AND "      \
    OF_CHAT("w") "w.user_id = $1 AND " FROM_LOW("w.seq") "AND " IN_STAY("w.target")                 \
    "ORDER BY w.seq LIMIT $3) "                                                                     \
    "UNION ALL (SELECT p.target, p.changed_seq, false FROM view.polls p "                           \
    "WHERE i.left_seq IS NOT NULL AND " OF_CHAT("p") FROM_LOW("p.changed_seq") "AND "               \
    IN_STAY("p.changed_seq") "AND p.changed_seq <> p.target ORDER BY p.changed_seq LIMIT $3) "      \
    "UNION ALL (SELECT b.target, b.seq, false FROM view.votes b WHERE i.left_seq IS NOT NULL AND "  \
    OF_CHAT("b") "b.user_id = $1 AND " FROM_LOW("b.seq") "AND " IN_STAY("b.seq")                    \
    "ORDER BY b.seq LIMIT $3)"

/* $1 user, $2 lowest seq a partition, $3 how many, $4 bytes of content that end a page. Places first; then
 * what is at those that come into the page: a message, or nothing. */
static const char sql_messages[] =
    "SELECT " VIEW_MESSAGE_COLUMNS("$1") ", m.partition, m.place, m.found FROM (SELECT z.*, q.partition, "
    "q.place, count(*) OVER () AS found, sum(coalesce(octet_length(z.content), 0)) OVER "
    "(ORDER BY q.partition, q.place ROWS UNBOUNDED PRECEDING) "
    "- coalesce(octet_length(z.content), 0) AS bytes_before FROM ("
    "SELECT k.part, k.chat_id, " VIEW_PARTITION("k", "$2") " AS partition, x.seq, x.place, x.moved "
    "FROM view.members i JOIN view.chats k USING (part, chat_id) JOIN LATERAL (" PLACES ") x ON true "
    "WHERE i.user_id = $1 AND " FROM_LOW("greatest(k.changed_seq, i.hidden_seq, i.starred_seq)") "ORDER BY partition, x.place LIMIT $3) q "
    "LEFT JOIN LATERAL view.message_for(q.part, q.chat_id, q.seq, $1) z ON NOT q.moved) m " VIEW_MESSAGE_TICKED
    "WHERE m.bytes_before < $4 ORDER BY m.partition, m.place";

/* clang-format on */

enum cq_status view_messages_since(struct pg *db, struct cq_id user, const int64_t *lows, int32_t n,
                                   int64_t limit, int64_t bytes, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64_array(&params, lows, (size_t)n);
    pg_add_i64(&params, limit);
    pg_add_i64(&params, bytes);
    return pg_run_once(db, sql_messages, &params, ret);
}

struct message_place message_since_place(const struct pg_result *rows, int i)
{
    return (struct message_place){ (int32_t)pg_i64(rows, i, VIEW_MESSAGE_COLUMNS_N),
                                   pg_i64(rows, i, VIEW_MESSAGE_COLUMNS_N + 1),
                                   pg_null(rows, i, 0) };
}

int64_t messages_since_found(const struct pg_result *rows)
{
    return pg_rows(rows) ? pg_i64(rows, 0, VIEW_MESSAGE_COLUMNS_N + 2) : 0;
}

/* `next`: of a topic, `n` partitions. */
static enum cq_status run_since(struct pg *db, const char *sql, struct cq_id user,
                                const int64_t *next, int32_t n, int64_t limit,
                                struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64_array(&params, next, (size_t)n);
    pg_add_i64(&params, limit);
    return pg_run_once(db, sql, &params, ret);
}

/* ---- changes of nothing --------------------------------------------------------------- */

/* $1 user, $2 next of chat.actions a partition, $3 how many. One index has them in this order, and no others. */
static const char sql_stale[] =
    "SELECT r.client_id, r.id, r.chat_id, r.code, r.at_ms, r.src_partition, r.src_offset "
    "FROM view.rejected r WHERE r.user_id = $1 AND r.code = 'stale_target' "
    "AND r.src_offset >= ($2::bigint[])[r.src_partition + 1] "
    "ORDER BY r.src_partition, r.src_offset LIMIT $3";

enum cq_status view_stale_since(struct pg *db, struct cq_id user, const int64_t *next, int32_t n,
                                int64_t limit, struct pg_result **ret)
{
    return run_since(db, sql_stale, user, next, n, limit, ret);
}

struct stale_row stale_at(const struct pg_result *rows, int i)
{
    return (struct stale_row){ .client = pg_bytes(rows, i, 0),
                               .id = pg_uuid(rows, i, 1),
                               .chat = pg_uuid(rows, i, 2),
                               .code = pg_bytes(rows, i, 3),
                               .at_ms = pg_i64(rows, i, 4),
                               .part = (int32_t)pg_i64(rows, i, 5),
                               .offset = pg_i64(rows, i, 6) };
}

/* ---- ticks ---------------------------------------------------------------------------- */

/* $1 user, $2 next of delivery.status a partition, $3 how many */
static const char sql_ticks[] =
    "SELECT k.chat_id, max(CASE WHEN k.kind = 0 THEN v.seen END), max(CASE WHEN k.kind = 1 THEN "
    "v.seen END), max(k.src_part), max(k.src_next), view.except_for(k.part, k.chat_id, $1) "
    "FROM (SELECT DISTINCT part, chat_id FROM view.members "
    "WHERE user_id = $1 AND left_seq IS NULL) i JOIN view.marks k ON k.part = i.part "
    "AND k.chat_id = i.chat_id AND (k.kind = 0 OR " VIEW_SEES_READS(
        "$1") "), "
              "LATERAL (SELECT CASE WHEN k.low_user = $1 THEN k.next ELSE k.low END AS seen) v "
              "GROUP BY k.part, k.chat_id HAVING bool_or(k.src_next > ($2::bigint[])[k.src_part + 1]) "
              "ORDER BY 4, 5 LIMIT $3";

enum cq_status view_ticks_since(struct pg *db, struct cq_id user, const int64_t *next, int32_t n,
                                int64_t limit, struct pg_result **ret)
{
    return run_since(db, sql_ticks, user, next, n, limit, ret);
}

struct tick_row tick_at(const struct pg_result *rows, int i)
{
    return (struct tick_row){
        pg_uuid(rows, i, 0),         pg_i64(rows, i, 1),
        pg_i64(rows, i, 2),          pg_null(rows, i, 5) ? span_of(NULL, 0) : pg_bytes(rows, i, 5),
        (int32_t)pg_i64(rows, i, 3), pg_i64(rows, i, 4),
    };
}
