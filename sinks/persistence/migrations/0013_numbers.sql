-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What a message answers, whom it mentions, how often it was forwarded; and running numbers, so that what is
-- unread is a difference, however much it is.
--
-- Made anew, with its numbers: an UPDATE of every row would leave the table twice as large. It needs room for a second copy while it runs.
CREATE SCHEMA view_before;
ALTER TABLE view.messages SET SCHEMA view_before;

CREATE TABLE view.messages (
    part         smallint NOT NULL DEFAULT view.part_is_needed(),
    type         smallint NOT NULL,          -- order of MessageType in schemas/chat_event.avsc
    forwarded    integer  NOT NULL DEFAULT 0, -- how often; 0: it was not
    chat_id      uuid     NOT NULL,
    seq          bigint   NOT NULL,
    number       bigint   NOT NULL DEFAULT view.part_is_needed(), -- of the chat's messages, from 1, without a hole
    own          bigint,                     -- of its sender's in a direct chat, likewise; null in a group, see tallies
    id           uuid     NOT NULL,
    sender_id    uuid     NOT NULL,
    sent_at      bigint   NOT NULL,
    client_id    text     NOT NULL,
    content_type text     NOT NULL,
    content      bytea    NOT NULL,
    mentions     bytea    NOT NULL DEFAULT '', -- ids of users, 16 bytes each, as they were sent
    key_id       text,
    media_id     uuid,
    reply_id     uuid,                       -- what it answers: id and …
    reply_seq    bigint                      -- … seq. Where no message has both, it stands alone
);
INSERT INTO view.messages (part, type, chat_id, seq, number, own, id, sender_id, sent_at, client_id, content_type, content, key_id, media_id)
SELECT m.part, m.type, m.chat_id, m.seq, row_number() OVER (PARTITION BY m.part, m.chat_id ORDER BY m.seq),
       CASE WHEN c.kind = 0 THEN row_number() OVER (PARTITION BY m.part, m.chat_id, m.sender_id ORDER BY m.seq) END,
       m.id, m.sender_id, m.sent_at, m.client_id, m.content_type, m.content, m.key_id, m.media_id
    FROM view_before.messages m LEFT JOIN view.chats c USING (part, chat_id);
ALTER TABLE view.messages ADD PRIMARY KEY (part, chat_id, seq);
ALTER TABLE view.messages ADD UNIQUE (part, id); -- the last line against doubling; an id is of one chat
CREATE INDEX messages_by_media ON view.messages (part, media_id) WHERE media_id IS NOT NULL;
CREATE INDEX messages_with_files ON view.messages (part, chat_id, seq) WHERE media_id IS NOT NULL;

-- Replaced, not dropped: what was granted on it stays.
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

DROP SCHEMA view_before CASCADE;

-- As 0012_changes has it, and what else a message says. Of a deleted one nothing of it.
DROP FUNCTION view.message_for(smallint, uuid, bigint, uuid);
CREATE FUNCTION view.message_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid)
RETURNS TABLE (part smallint, chat_id uuid, seq bigint, id uuid, sender_id uuid, client_id text, type smallint, content bytea,
               sent_at bigint, media_id uuid, edited_seq bigint, edited_at bigint, deleted boolean, deleted_seq bigint, deleted_by uuid,
               deleted_at bigint, until bigint, reply_id uuid, reply_seq bigint, mentions bytea, forwarded integer)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.part, m.chat_id, m.seq, m.id, m.sender_id, m.client_id, m.type,
           CASE WHEN h.deleted_seq <> 0 THEN '' ELSE coalesce(v.content, m.content) END,
           m.sent_at, CASE WHEN h.deleted_seq <> 0 THEN NULL ELSE m.media_id END,
           v.seq, v.at_ms, coalesce(h.deleted_seq <> 0, false),
           CASE WHEN d.told THEN h.deleted_seq END, CASE WHEN d.told THEN h.deleted_by END, CASE WHEN d.told THEN h.deleted_at END,
           CASE WHEN i.left_seq IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM view.members o
               WHERE o.part = of_part AND o.chat_id = of_chat AND o.user_id = reader AND o.left_seq IS NULL)
           THEN coalesce(i.left_at, 0) END,
           CASE WHEN h.deleted_seq <> 0 THEN NULL ELSE m.reply_id END, CASE WHEN h.deleted_seq <> 0 THEN NULL ELSE m.reply_seq END,
           CASE WHEN h.deleted_seq <> 0 THEN '' ELSE m.mentions END, CASE WHEN h.deleted_seq <> 0 THEN 0 ELSE m.forwarded END
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

-- A row a user for each message of his own in a group, and for each that mentions him, in the chat or not: a reader asks within his stay.
-- It has no other key, so no plan can walk a chat for what one user said in it.
CREATE TABLE view.tallies (
    part    smallint NOT NULL,
    kind    smallint NOT NULL,               -- 0 his own in a group, 1 mentions him
    chat_id uuid     NOT NULL,
    user_id uuid     NOT NULL,
    seq     bigint   NOT NULL,               -- of the message
    number  bigint   NOT NULL                -- of these, from 1, without a hole
);
INSERT INTO view.tallies SELECT m.part, 0, m.chat_id, m.sender_id, m.seq, row_number() OVER (PARTITION BY m.part, m.chat_id, m.sender_id ORDER BY m.seq)
    FROM view.messages m WHERE m.own IS NULL;
ALTER TABLE view.tallies ADD PRIMARY KEY (part, chat_id, user_id, kind, seq);

-- How many of a kind lie in after < seq < before: the difference of the numbers of the last ones at either end.
CREATE FUNCTION view.tally(part smallint, chat uuid, reader uuid, kind smallint, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(0,
        coalesce((SELECT t.number FROM view.tallies t WHERE t.part = $1 AND t.chat_id = $2 AND t.user_id = $3 AND t.kind = $4 AND t.seq < $6
                  ORDER BY t.seq DESC LIMIT 1), 0)
        - coalesce((SELECT t.number FROM view.tallies t WHERE t.part = $1 AND t.chat_id = $2 AND t.user_id = $3 AND t.kind = $4 AND t.seq <= $5
                    ORDER BY t.seq DESC LIMIT 1), 0))
$$;

-- How often `reader` is mentioned in messages of after < seq < before.
CREATE FUNCTION view.mentioned(part smallint, chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT view.tally($1, $2, $3, 1::smallint, $4, $5)
$$;

-- How many messages of others than `reader` a chat has with after < seq < before: the difference of what its last messages at either end
-- say. In a direct chat a message says how many of its sender's there are, and so how many of the other's: two looks into an index. In a
-- group what is the reader's own is asked of the tallies: four looks.
CREATE FUNCTION view.said(part smallint, chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((
        SELECT CASE WHEN e.own IS NULL THEN e.number - coalesce(b.number, 0) - view.tally($1, $2, $3, 0::smallint, $4, $5)
                    ELSE CASE WHEN e.sender_id = $3 THEN e.number - e.own ELSE e.own END
                         - coalesce(CASE WHEN b.sender_id = $3 THEN b.number - b.own ELSE b.own END, 0) END
        FROM (SELECT m.number, m.own, m.sender_id FROM view.messages m
              WHERE m.part = $1 AND m.chat_id = $2 AND m.seq < $5 ORDER BY m.seq DESC LIMIT 1) e
        LEFT JOIN (SELECT m.number, m.own, m.sender_id FROM view.messages m
                   WHERE m.part = $1 AND m.chat_id = $2 AND m.seq <= $4 ORDER BY m.seq DESC LIMIT 1) b ON true), 0)
$$;

CREATE FUNCTION view.unread(part smallint, chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(0, view.said($1, $2, $3, $4, $5))
$$;

-- As 0011_part has it. 3: readers that ask for these numbers; those of before go on.
CREATE OR REPLACE FUNCTION view.whole(lacking boolean, keys integer) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF lacking OR keys NOT IN (2, 3) THEN
        RAISE EXCEPTION '%', CASE WHEN lacking THEN 'the view is incomplete' ELSE 'this reader does not know the view''s keys' END
            USING ERRCODE = '55V01';
    END IF;
    RETURN true;
END
$$;

-- An empty table is better not looked at: it would count as one that stays so.
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM view.messages) THEN
        ANALYZE view.messages, view.tallies;
    END IF;
END
$$;
