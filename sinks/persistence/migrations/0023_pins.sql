-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Messages that stand above the others of their chat, and those that a user wants to find again.

-- A row a message that ever was pinned. At most three of a chat are (LIMIT_PINNED): a fourth ends the oldest, in the order of the log. A message that is
-- deleted, or whose time is over, takes no place; readers do not wait for its row to change.
CREATE TABLE view.pins (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    target  bigint   NOT NULL,               -- seq of the message
    seq     bigint   NOT NULL,               -- of the last fact about it
    at_ms   bigint   NOT NULL,
    by_user uuid     NOT NULL,
    pinned  boolean  NOT NULL,               -- false: taken back, or three others were pinned since
    PRIMARY KEY (part, chat_id, target)
);
CREATE INDEX pins_now ON view.pins (part, chat_id, seq) WHERE pinned;

-- The highest of these seqs; 0: nothing ever was pinned, and nothing has to be looked for.
ALTER TABLE view.chats ADD COLUMN pinned_seq bigint NOT NULL DEFAULT 0;

-- A row a user and message that he ever starred. It goes with the message, or when the user hides that.
CREATE TABLE view.stars (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    user_id uuid     NOT NULL,
    target  bigint   NOT NULL,               -- seq of the message
    seq     bigint   NOT NULL,               -- of the last fact about it
    at_ms   bigint   NOT NULL,
    starred boolean  NOT NULL,
    PRIMARY KEY (part, chat_id, user_id, target)
);
CREATE INDEX stars_by_seq ON view.stars (part, chat_id, user_id, seq);
-- The highest of these seqs of the messages of a stay; 0: there is none, and nothing has to be looked for.
ALTER TABLE view.members ADD COLUMN starred_seq bigint NOT NULL DEFAULT 0;

-- As 0018_vanishing has it, and whether the reader starred it.
DROP FUNCTION view.message_for(smallint, uuid, bigint, uuid);
CREATE FUNCTION view.message_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid)
RETURNS TABLE (part smallint, chat_id uuid, seq bigint, id uuid, sender_id uuid, client_id text, type smallint, content bytea,
               sent_at bigint, media_id uuid, edited_seq bigint, edited_at bigint, deleted boolean, deleted_seq bigint, deleted_by uuid,
               deleted_at bigint, until bigint, reply_id uuid, reply_seq bigint, mentions bytea, forwarded integer, reactions text, my_reaction text,
               my_reaction_seq bigint, expires_at bigint, gone integer, starred boolean)
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
           r.counted, r.mine, r.mine_seq, m.expires_at, g.gone,
           i.starred_seq <> 0 AND NOT g.empty AND EXISTS (
               SELECT 1 FROM view.stars w
               WHERE w.part = of_part AND w.chat_id = of_chat AND w.user_id = reader AND w.target = of_seq AND w.starred)
    FROM view.messages m
    JOIN LATERAL (
        SELECT s.left_seq, s.left_at, s.hidden_seq, s.starred_seq FROM view.members s
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

-- The pins of a chat for a reader who is in it: none that nobody sees any more. Of a message that he may not see, or hid, and of
-- a pin that was made while he was not there, only that it takes a place: no id.
CREATE FUNCTION view.pins_for(of_part smallint, of_chat uuid, reader uuid)
RETURNS TABLE (seq bigint, target bigint, at_ms bigint, by_user uuid, id uuid)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT n.seq, n.target, n.at_ms, n.by_user, CASE WHEN m.gone = 0 AND EXISTS (
               SELECT 1 FROM view.members s
               WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
                 AND s.joined_seq < n.seq AND (s.left_seq IS NULL OR s.left_seq > n.seq)) THEN m.id END
    FROM view.pins n
    JOIN view.messages y ON y.part = n.part AND y.chat_id = n.chat_id AND y.seq = n.target
    LEFT JOIN LATERAL view.message_for(n.part, n.chat_id, n.target, reader) m ON true
    WHERE n.part = of_part AND n.chat_id = of_chat AND n.pinned AND (y.expires_at IS NULL OR y.expires_at > view.now_ms())
      AND NOT EXISTS (SELECT 1 FROM view.changes h WHERE h.part = n.part AND h.chat_id = n.chat_id AND h.target = n.target AND h.deleted_seq <> 0)
$$;
