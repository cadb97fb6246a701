-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Signs that users give to messages.

ALTER TABLE view.changes ADD COLUMN reacted_seq bigint NOT NULL DEFAULT 0; -- of the last one that was given or taken back, 0: none

-- The last sign of each user; of those before it only what somebody who left may see.
CREATE TABLE view.reactions (
    part     smallint NOT NULL,
    chat_id  uuid     NOT NULL,
    target   bigint   NOT NULL,              -- seq of the message
    user_id  uuid     NOT NULL,
    seq      bigint   NOT NULL,
    at_ms    bigint   NOT NULL,
    reaction text     NOT NULL,              -- empty: taken back
    PRIMARY KEY (part, chat_id, target, user_id, seq)
);
CREATE INDEX reactions_by_seq ON view.reactions (part, chat_id, seq);

-- The signs of a message as `reader` may see them: of each user the last one that lies within the stays of the reader. The twenty that
-- most have given, counted, as JSON, null for none; and the reader's own, with its seq.
CREATE FUNCTION view.reactions_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid)
RETURNS TABLE (counted text, mine text, mine_seq bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH last AS MATERIALIZED (
        SELECT DISTINCT ON (r.user_id) r.user_id, r.reaction, r.seq
        FROM view.reactions r JOIN view.members s ON s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader
         AND s.joined_seq < r.seq AND (s.left_seq IS NULL OR s.left_seq > r.seq)
        WHERE r.part = of_part AND r.chat_id = of_chat AND r.target = of_seq
        ORDER BY r.user_id, r.seq DESC)
    SELECT (SELECT json_agg(json_build_object('reaction', t.reaction, 'count', t.n))::text
            FROM (SELECT l.reaction, count(*) AS n FROM last l WHERE l.reaction <> '' GROUP BY l.reaction
                  ORDER BY n DESC, l.reaction LIMIT 20) t),
           (SELECT l.reaction FROM last l WHERE l.user_id = reader),
           (SELECT l.seq FROM last l WHERE l.user_id = reader)
$$;

-- As 0013_numbers has it, and the signs.
DROP FUNCTION view.message_for(smallint, uuid, bigint, uuid);
CREATE FUNCTION view.message_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid)
RETURNS TABLE (part smallint, chat_id uuid, seq bigint, id uuid, sender_id uuid, client_id text, type smallint, content bytea,
               sent_at bigint, media_id uuid, edited_seq bigint, edited_at bigint, deleted boolean, deleted_seq bigint, deleted_by uuid,
               deleted_at bigint, until bigint, reply_id uuid, reply_seq bigint, mentions bytea, forwarded integer, reactions text, my_reaction text,
               my_reaction_seq bigint)
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
           CASE WHEN h.deleted_seq <> 0 THEN '' ELSE m.mentions END, CASE WHEN h.deleted_seq <> 0 THEN 0 ELSE m.forwarded END,
           r.counted, r.mine, r.mine_seq
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
    LEFT JOIN LATERAL (SELECT f.* FROM view.reactions_for(of_part, of_chat, of_seq, reader) f
                       WHERE h.reacted_seq <> 0 AND h.deleted_seq = 0) r ON true
    WHERE m.part = of_part AND m.chat_id = of_chat AND m.seq = of_seq
$$;
