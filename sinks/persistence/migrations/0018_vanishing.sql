-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Messages that do not stay: a chat has a timer, and a message the time from when on nobody may read it.

ALTER TABLE view.chats ADD COLUMN timer_s bigint NOT NULL DEFAULT 0;   -- how long messages stay; 0: for good
ALTER TABLE view.chats ADD COLUMN timer_seq bigint NOT NULL DEFAULT 0; -- seq that set it

ALTER TABLE view.messages ADD COLUMN expires_at bigint; -- from when on it is gone; null: never
ALTER TABLE view.messages ADD COLUMN due_at bigint;     -- the same, until its row is emptied
CREATE INDEX messages_due ON view.messages (part, due_at) WHERE due_at IS NOT NULL;

-- Messages that a user sees no more, and others do.
CREATE TABLE view.hidden (
    part    smallint NOT NULL,
    own     boolean  NOT NULL,               -- the user sent it
    mention boolean  NOT NULL,               -- it mentions the user
    chat_id uuid     NOT NULL,
    user_id uuid     NOT NULL,
    target  bigint   NOT NULL,               -- seq of the message
    seq     bigint   NOT NULL,               -- of the first time that it was hidden
    PRIMARY KEY (part, chat_id, user_id, target)
);
CREATE INDEX hidden_by_seq ON view.hidden (part, chat_id, user_id, seq);
-- The highest of these seqs of the messages of a stay; 0: there is none, and nothing has to be looked for.
ALTER TABLE view.members ADD COLUMN hidden_seq bigint NOT NULL DEFAULT 0;

CREATE FUNCTION view.now_ms() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (date_part('epoch', now()) * 1000)::bigint
$$;

-- As 0015_reactions has it. Of a message that is gone nothing but that it was there: `gone` is 1 when its time is over, 2 when the reader
-- hid it.
DROP FUNCTION view.message_for(smallint, uuid, bigint, uuid);
CREATE FUNCTION view.message_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid)
RETURNS TABLE (part smallint, chat_id uuid, seq bigint, id uuid, sender_id uuid, client_id text, type smallint, content bytea,
               sent_at bigint, media_id uuid, edited_seq bigint, edited_at bigint, deleted boolean, deleted_seq bigint, deleted_by uuid,
               deleted_at bigint, until bigint, reply_id uuid, reply_seq bigint, mentions bytea, forwarded integer, reactions text, my_reaction text,
               my_reaction_seq bigint, expires_at bigint, gone integer)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.part, m.chat_id, m.seq, m.id, m.sender_id, m.client_id, m.type,
           CASE WHEN g.empty THEN '' ELSE coalesce(v.content, m.content) END,
           m.sent_at, CASE WHEN g.empty THEN NULL ELSE m.media_id END,
           v.seq, v.at_ms, coalesce(h.deleted_seq <> 0, false),
           CASE WHEN d.told THEN h.deleted_seq END, CASE WHEN d.told THEN h.deleted_by END, CASE WHEN d.told THEN h.deleted_at END,
           CASE WHEN i.left_seq IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM view.members o
               WHERE o.part = of_part AND o.chat_id = of_chat AND o.user_id = reader AND o.left_seq IS NULL)
           THEN coalesce(i.left_at, 0) END,
           CASE WHEN g.empty THEN NULL ELSE m.reply_id END, CASE WHEN g.empty THEN NULL ELSE m.reply_seq END,
           CASE WHEN g.empty THEN '' ELSE m.mentions END, CASE WHEN g.empty THEN 0 ELSE m.forwarded END,
           r.counted, r.mine, r.mine_seq, m.expires_at, g.gone
    FROM view.messages m
    JOIN LATERAL (
        SELECT s.left_seq, s.left_at, s.hidden_seq FROM view.members s
        WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
          AND s.joined_seq < of_seq AND (s.left_seq IS NULL OR s.left_seq > of_seq) LIMIT 1) i ON true
    LEFT JOIN view.changes h ON h.part = of_part AND h.chat_id = of_chat AND h.target = of_seq
    CROSS JOIN LATERAL (
        SELECT CASE WHEN m.expires_at <= view.now_ms() THEN 1
                    WHEN i.hidden_seq <> 0 AND EXISTS (
                        SELECT 1 FROM view.hidden x
                        WHERE x.part = of_part AND x.chat_id = of_chat AND x.user_id = reader AND x.target = of_seq) THEN 2
                    ELSE 0 END AS gone OFFSET 0) e
    CROSS JOIN LATERAL (SELECT e.gone, e.gone <> 0 OR coalesce(h.deleted_seq <> 0, false) AS empty) g
    LEFT JOIN LATERAL (
        SELECT n.seq, n.at_ms, n.content FROM view.versions n
        WHERE h.edited_seq <> 0 AND NOT g.empty AND n.part = of_part AND n.chat_id = of_chat AND n.target = of_seq
          AND EXISTS (SELECT 1 FROM view.members s
                      WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
                        AND s.joined_seq < n.seq AND (s.left_seq IS NULL OR s.left_seq > n.seq))
        ORDER BY n.seq DESC LIMIT 1) v ON true
    LEFT JOIN LATERAL (
        SELECT true AS told FROM view.members s
        WHERE h.deleted_seq <> 0 AND s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
          AND s.joined_seq < h.deleted_seq AND (s.left_seq IS NULL OR s.left_seq > h.deleted_seq) LIMIT 1) d ON true
    LEFT JOIN LATERAL (SELECT f.* FROM view.reactions_for(of_part, of_chat, of_seq, reader) f
                       WHERE h.reacted_seq <> 0 AND NOT g.empty) r ON true
    WHERE m.part = of_part AND m.chat_id = of_chat AND m.seq = of_seq
$$;

-- As 0011_part has it twice; a message that is gone opens no file. `present`: only of chats that the reader is in now.
CREATE FUNCTION view.shows_media(media uuid, reader uuid, present boolean) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.media d WHERE d.media_id = $1 AND (d.owner_id = $2 OR EXISTS (
        SELECT 1 FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) p
        CROSS JOIN LATERAL (SELECT y.part, y.chat_id, y.seq FROM view.messages y
                            WHERE y.part = p.part AND y.media_id = $1 AND y.sender_id = d.owner_id
                              AND (y.expires_at IS NULL OR y.expires_at > view.now_ms()) OFFSET 0) m
        JOIN view.members i ON i.part = m.part AND i.chat_id = m.chat_id AND i.user_id = $2
        WHERE m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
          AND (i.hidden_seq = 0 OR NOT EXISTS (
              SELECT 1 FROM view.hidden x
              WHERE x.part = m.part AND x.chat_id = m.chat_id AND x.user_id = $2 AND x.target = m.seq))
          AND (NOT $3 OR EXISTS (
              SELECT 1 FROM view.members o
              WHERE o.part = m.part AND o.chat_id = m.chat_id AND o.user_id = $2 AND o.left_seq IS NULL)))))
$$;

CREATE OR REPLACE FUNCTION view.may_read_media(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT view.shows_media($1, $2, false)
$$;

CREATE OR REPLACE FUNCTION view.may_read_media_now(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT view.shows_media($1, $2, true)
$$;

CREATE OR REPLACE FUNCTION view.same_file(sha256 bytea, size bigint, reader uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH own AS MATERIALIZED (
        SELECT s.media_id, s.size FROM view.media s WHERE s.owner_id = $3 AND s.sha256 = $1 LIMIT 50),
    stays AS MATERIALIZED (
        SELECT i.part, i.chat_id, i.joined_seq, i.left_seq FROM view.members i WHERE i.user_id = $3 LIMIT 2000),
    seen AS MATERIALIZED (
        SELECT d.media_id, d.sha256, d.size FROM stays i
        CROSS JOIN LATERAL (
            SELECT m.media_id, m.sender_id, m.expires_at FROM view.messages m
            WHERE m.part = i.part AND m.chat_id = i.chat_id AND m.media_id IS NOT NULL
              AND m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
            ORDER BY m.seq DESC LIMIT 50) m
        JOIN view.media d ON d.media_id = m.media_id AND d.owner_id = m.sender_id
        WHERE m.expires_at IS NULL OR m.expires_at > view.now_ms())
    SELECT media_id FROM own WHERE own.size = $2
    UNION ALL
    SELECT media_id FROM seen WHERE seen.sha256 = $1 AND seen.size = $2
    LIMIT 1
$$;

-- How many of others' messages that `reader` hid lie in after < seq < before; with `mentions` those that mention him.
CREATE FUNCTION view.hid(part smallint, chat uuid, reader uuid, mentions boolean, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT count(*) FROM view.hidden x
    WHERE x.part = $1 AND x.chat_id = $2 AND x.user_id = $3 AND x.target > $5 AND x.target < $6 AND NOT x.own AND (x.mention OR NOT $4)
$$;

-- As 0013_numbers has them, less what the reader hid.
CREATE OR REPLACE FUNCTION view.mentioned(part smallint, chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(0, view.tally($1, $2, $3, 1::smallint, $4, $5) - view.hid($1, $2, $3, true, $4, $5))
$$;

CREATE OR REPLACE FUNCTION view.unread(part smallint, chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(0, view.said($1, $2, $3, $4, $5) - view.hid($1, $2, $3, false, $4, $5))
$$;

-- Replaced, not dropped: what was granted on it stays.
CREATE OR REPLACE VIEW model.messages AS
SELECT m.id,
       m.sender_id AS "userID",
       CASE WHEN c.kind = 1 THEN m.chat_id END AS "groupID",
       CASE WHEN c.kind = 0 THEN m.chat_id END AS "chatID",
       (ARRAY['text', 'image', 'video', 'audio', 'document'])[m.type + 1] AS type,
       CASE WHEN m.expires_at <= view.now_ms() THEN ''
            WHEN (CASE WHEN v.seq IS NULL THEN m.key_id ELSE v.key_id END) IS NULL THEN view.as_text(coalesce(v.content, m.content)) END AS content,
       to_timestamp(m.sent_at / 1000.0) AS "sentAt",
       to_timestamp(view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 0::smallint) / 1000.0) AS "deliveredAt",
       to_timestamp(view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 1::smallint) / 1000.0) AS "seenAt"
FROM view.messages m JOIN view.chats c USING (part, chat_id)
LEFT JOIN LATERAL (
    SELECT n.seq, n.content, n.key_id FROM view.versions n
    WHERE n.part = m.part AND n.chat_id = m.chat_id AND n.target = m.seq ORDER BY n.seq DESC LIMIT 1) v ON true;
