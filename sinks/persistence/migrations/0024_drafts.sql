-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What users began to write.

ALTER TABLE view.chat_marks ADD COLUMN draft text;                           -- null: there is none
ALTER TABLE view.chat_marks ADD COLUMN draft_after bigint NOT NULL DEFAULT 0; -- it is over once its user has sent something above this seq
ALTER TABLE view.chat_marks ADD COLUMN draft_src bigint NOT NULL DEFAULT 0;   -- of the fact that wrote it
CREATE INDEX chat_marks_drafts ON view.chat_marks (user_id, draft_src) WHERE draft IS NOT NULL;
DROP INDEX view.chat_marks_ended;
CREATE INDEX chat_marks_ended ON view.chat_marks (user_id, src) WHERE NOT archived AND pinned = 0 AND unread_after IS NULL AND draft IS NULL;

-- Whether `who` sent a message above that seq. A group counts each one's own; in a direct chat the last message, and the last one up to there,
-- say how many are whose.
CREATE FUNCTION view.has_sent(part smallint, chat uuid, who uuid, after bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.tallies t WHERE t.part = $1 AND t.chat_id = $2 AND t.user_id = $3 AND t.kind = 0 AND t.seq > $4)
        OR coalesce(
            (SELECT CASE WHEN m.sender_id = $3 THEN m.own ELSE m.number - m.own END FROM view.messages m
             WHERE m.part = $1 AND m.chat_id = $2 ORDER BY m.seq DESC LIMIT 1)
            > coalesce((SELECT CASE WHEN m.sender_id = $3 THEN m.own ELSE m.number - m.own END FROM view.messages m
                        WHERE m.part = $1 AND m.chat_id = $2 AND m.seq <= $4 ORDER BY m.seq DESC LIMIT 1), 0), false)
$$;

-- As 0021_marks has it, and his draft.
DROP FUNCTION view.marks_of(uuid, uuid);
CREATE FUNCTION view.marks_of(reader uuid, chat uuid)
RETURNS TABLE (seq bigint, archived boolean, pinned_seq bigint, unread boolean, read_seq bigint, draft text, draft_after bigint, muted_until bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(m.src, q.src_offset), CASE WHEN m.archived THEN true END, CASE WHEN m.pinned <> 0 AND NOT g.has_left THEN m.pinned END,
           CASE WHEN g.is_unread THEN true END, CASE WHEN g.is_unread THEN m.unread_after END,
           CASE WHEN g.is_drafted THEN m.draft END, CASE WHEN g.is_drafted THEN m.draft_after END,
           CASE WHEN q.until_ms > view.now_ms() THEN q.until_ms END
    FROM (SELECT 1) o
    LEFT JOIN view.chat_marks m ON m.user_id = $1 AND m.chat_id = $2
    LEFT JOIN view.mutes q ON q.user_id = $1 AND q.chat_id = $2
    CROSS JOIN LATERAL (
        SELECT (m.pinned <> 0 OR m.unread_after IS NOT NULL OR m.draft IS NOT NULL) AND view.has_left(m.part, m.chat_id, $1) AS has_left OFFSET 0) l
    CROSS JOIN LATERAL (
        SELECT l.has_left,
               NOT l.has_left AND m.unread_after IS NOT NULL AND m.unread_after >= coalesce(
                   (SELECT c.read FROM view.cursors c WHERE c.part = m.part AND c.chat_id = m.chat_id AND c.user_id = $1), 0) AS is_unread,
               NOT l.has_left AND m.draft IS NOT NULL AND NOT view.has_sent(m.part, m.chat_id, $1, m.draft_after) AS is_drafted OFFSET 0) g
    WHERE m.src IS NOT NULL OR q.src_offset IS NOT NULL
$$;
