-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Where chats stand in each user's own list.

-- Of each thing the last fact counts. One that took everything back stays as a row, so that devices learn of it: the newest 2,000 of a user.
CREATE TABLE view.chat_marks (
    user_id      uuid     NOT NULL,
    chat_id      uuid     NOT NULL,
    part         smallint NOT NULL,          -- of the chat
    archived     boolean  NOT NULL,
    pinned       bigint   NOT NULL,          -- generation * 2^48 + offset of the fact that pinned it; 0: it is not
    unread_after bigint,                     -- marked unread until its user has read further than this seq; null: not marked
    src          bigint   NOT NULL,          -- of the last fact about the chat: an older one never overwrites
    PRIMARY KEY (user_id, chat_id)
);
CREATE INDEX chat_marks_by_src ON view.chat_marks (user_id, src);
CREATE INDEX chat_marks_ended ON view.chat_marks (user_id, src) WHERE NOT archived AND pinned = 0 AND unread_after IS NULL;
CREATE INDEX chat_marks_pinned ON view.chat_marks (user_id, pinned) WHERE pinned <> 0;

-- Whether the reader was in this group, and is not any more. Of it nothing is pinned or marked unread.
CREATE FUNCTION view.has_left(part smallint, chat uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.chats c WHERE c.part = $1 AND c.chat_id = $2 AND c.kind = 1)
       AND NOT EXISTS (SELECT 1 FROM view.members i WHERE i.part = $1 AND i.chat_id = $2 AND i.user_id = $3 AND i.left_seq IS NULL)
$$;

-- The chats whose pins count, the last pinned first: five (LIMIT_PINS), of those that the reader is in.
CREATE FUNCTION view.pins(reader uuid) RETURNS TABLE (part smallint, chat_id uuid, pinned bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.part, m.chat_id, m.pinned FROM view.chat_marks m
    WHERE m.user_id = $1 AND m.pinned <> 0 AND NOT view.has_left(m.part, m.chat_id, $1)
    ORDER BY m.pinned DESC LIMIT 5
$$;

-- What the reader has marked of a chat, and his mute; no row: he never did. What is not so is null.
CREATE FUNCTION view.marks_of(reader uuid, chat uuid)
RETURNS TABLE (seq bigint, archived boolean, pinned_seq bigint, unread boolean, read_seq bigint, muted_until bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(m.src, q.src_offset), CASE WHEN m.archived THEN true END, CASE WHEN m.pinned <> 0 AND NOT g.has_left THEN m.pinned END,
           CASE WHEN g.is_unread THEN true END, CASE WHEN g.is_unread THEN m.unread_after END,
           CASE WHEN q.until_ms > view.now_ms() THEN q.until_ms END
    FROM (SELECT 1) o
    LEFT JOIN view.chat_marks m ON m.user_id = $1 AND m.chat_id = $2
    LEFT JOIN view.mutes q ON q.user_id = $1 AND q.chat_id = $2
    CROSS JOIN LATERAL (SELECT (m.pinned <> 0 OR m.unread_after IS NOT NULL) AND view.has_left(m.part, m.chat_id, $1) AS has_left OFFSET 0) l
    CROSS JOIN LATERAL (
        SELECT l.has_left, NOT l.has_left AND m.unread_after IS NOT NULL AND m.unread_after >= coalesce(
            (SELECT c.read FROM view.cursors c WHERE c.part = m.part AND c.chat_id = m.chat_id AND c.user_id = $1), 0) AS is_unread) g
    WHERE m.src IS NOT NULL OR q.src_offset IS NOT NULL
$$;
