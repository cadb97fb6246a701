-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What changed a message after it was sent, and the one function that says what a reader may see of it.

-- A row a message that was changed. Only changes that name its id and its seq count.
CREATE TABLE view.changes (
    part        smallint NOT NULL,
    chat_id     uuid     NOT NULL,
    target      bigint   NOT NULL,           -- seq of the message
    seq         bigint   NOT NULL,           -- of the last change; none counts after a deletion
    edited_seq  bigint   NOT NULL DEFAULT 0, -- of the last edit, 0: none
    deleted_seq bigint   NOT NULL DEFAULT 0, -- of the first deletion, 0: none
    deleted_by  uuid,
    deleted_at  bigint,
    PRIMARY KEY (part, chat_id, target)
);
CREATE INDEX changes_by_seq ON view.changes (part, chat_id, seq);

-- Contents that a message got. The first one is in view.messages. Of those that were overtaken only what somebody who left may read.
CREATE TABLE view.versions (
    part         smallint NOT NULL,
    chat_id      uuid     NOT NULL,
    target       bigint   NOT NULL,          -- seq of the message
    seq          bigint   NOT NULL,          -- of the edit
    at_ms        bigint   NOT NULL,
    content_type text     NOT NULL,
    content      bytea    NOT NULL,
    key_id       text,
    PRIMARY KEY (part, chat_id, target, seq)
);
CREATE INDEX versions_by_seq ON view.versions (part, chat_id, seq);

CREATE INDEX members_by_end ON view.members (part, chat_id, left_seq) WHERE left_seq IS NOT NULL;

-- What `reader` may see of a message: no row, when no stay of the reader has it. Of an edited one the last content that lies within the
-- stays of the reader; of a deleted one, for everybody, that it was there. `until`: up to when, in ms, the reader may know who has it;
-- null: without an end. History, sync, lists and pushes ask this and nothing else.
CREATE FUNCTION view.message_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid)
RETURNS TABLE (part smallint, chat_id uuid, seq bigint, id uuid, sender_id uuid, client_id text, type smallint, content bytea,
               sent_at bigint, media_id uuid, edited_seq bigint, edited_at bigint, deleted boolean, deleted_seq bigint, deleted_by uuid,
               deleted_at bigint, until bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.part, m.chat_id, m.seq, m.id, m.sender_id, m.client_id, m.type,
           CASE WHEN h.deleted_seq <> 0 THEN '' ELSE coalesce(v.content, m.content) END,
           m.sent_at, CASE WHEN h.deleted_seq <> 0 THEN NULL ELSE m.media_id END,
           v.seq, v.at_ms, coalesce(h.deleted_seq <> 0, false),
           CASE WHEN d.told THEN h.deleted_seq END, CASE WHEN d.told THEN h.deleted_by END, CASE WHEN d.told THEN h.deleted_at END,
           CASE WHEN i.left_seq IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM view.members o
               WHERE o.part = of_part AND o.chat_id = of_chat AND o.user_id = reader AND o.left_seq IS NULL)
           THEN coalesce(i.left_at, 0) END
    FROM view.messages m
    JOIN LATERAL (
        SELECT s.left_seq, s.left_at FROM view.members s
        WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
          AND s.joined_seq < of_seq AND (s.left_seq IS NULL OR s.left_seq > of_seq) LIMIT 1) i ON true
    LEFT JOIN view.changes h ON h.part = of_part AND h.chat_id = of_chat AND h.target = of_seq
    LEFT JOIN LATERAL (
        SELECT n.seq, n.at_ms, n.content FROM view.versions n
        WHERE h.edited_seq <> 0 AND h.deleted_seq = 0 AND n.part = of_part AND n.chat_id = of_chat AND n.target = of_seq
          AND EXISTS (SELECT 1 FROM view.members s
                      WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
                        AND s.joined_seq < n.seq AND (s.left_seq IS NULL OR s.left_seq > n.seq))
        ORDER BY n.seq DESC LIMIT 1) v ON true
    LEFT JOIN LATERAL (
        SELECT true AS told FROM view.members s
        WHERE h.deleted_seq <> 0 AND s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
          AND s.joined_seq < h.deleted_seq AND (s.left_seq IS NULL OR s.left_seq > h.deleted_seq) LIMIT 1) d ON true
    WHERE m.part = of_part AND m.chat_id = of_chat AND m.seq = of_seq
$$;

-- As it stands for who is there now. Replaced, not dropped: what was granted on it stays.
CREATE OR REPLACE VIEW model.messages AS
SELECT m.id,
       m.sender_id AS "userID",
       CASE WHEN c.kind = 1 THEN m.chat_id END AS "groupID",
       CASE WHEN c.kind = 0 THEN m.chat_id END AS "chatID",
       (ARRAY['text', 'image', 'video', 'audio', 'document'])[m.type + 1] AS type,
       CASE WHEN (CASE WHEN v.seq IS NULL THEN m.key_id ELSE v.key_id END) IS NULL THEN view.as_text(coalesce(v.content, m.content)) END AS content,
       to_timestamp(m.sent_at / 1000.0) AS "sentAt",
       to_timestamp(view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 0::smallint) / 1000.0) AS "deliveredAt",
       to_timestamp(view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 1::smallint) / 1000.0) AS "seenAt"
FROM view.messages m JOIN view.chats c USING (part, chat_id)
LEFT JOIN LATERAL (
    SELECT n.seq, n.content, n.key_id FROM view.versions n
    WHERE n.part = m.part AND n.chat_id = m.chat_id AND n.target = m.seq ORDER BY n.seq DESC LIMIT 1) v ON true;
