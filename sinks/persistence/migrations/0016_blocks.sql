-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Who blocks whom. What a block leaves out is said by view.members alone: the blocker's stay in the direct
-- chat ends with it, and another begins with an unblock. Nobody but the blocker may learn of it, so what the other sees is told here
-- to look as if nothing had come of a message.

-- A row for each that somebody ever blocked. By the blocker, whose own list it is.
CREATE TABLE view.blocks (
    user_id uuid    NOT NULL,                -- who blocks
    chat_id uuid    NOT NULL,                -- the direct chat of the two
    peer_id uuid    NOT NULL,                -- whom
    seq     bigint  NOT NULL,                -- of the last block or unblock
    at_ms   bigint  NOT NULL,                -- since when it is so
    blocked boolean NOT NULL DEFAULT true,
    PRIMARY KEY (user_id, chat_id)
);
CREATE INDEX blocks_now ON view.blocks (user_id, chat_id) WHERE blocked;

-- How much is unread of after < seq < before, over all stays of the reader.
CREATE FUNCTION view.unread_in(of_part smallint, of_chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(view.unread(of_part, of_chat, reader, greatest($4, s.joined_seq), least($5, coalesce(s.left_seq, 9223372036854775807)))), 0)::bigint
    FROM view.members s
    WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader AND (s.left_seq IS NULL OR s.left_seq > $4) AND s.joined_seq < $5
$$;

-- Between which seqs the other of a direct chat was not in it, and is again, as JSON; null: never. Ticks say nothing of these.
CREATE FUNCTION view.except_for(of_part smallint, of_chat uuid, reader uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN EXISTS (SELECT 1 FROM view.chats k WHERE k.part = of_part AND k.chat_id = of_chat AND k.kind = 0) THEN (
        SELECT json_agg(json_build_object('after', g.after, 'before', g.before) ORDER BY g.after)::text
        FROM (SELECT m.left_seq AS after, (SELECT min(n.joined_seq) FROM view.members n WHERE n.part = of_part AND n.chat_id = of_chat
                                           AND n.user_id = m.user_id AND n.joined_seq >= m.left_seq) AS before
              FROM view.members m
              WHERE m.part = of_part AND m.chat_id = of_chat AND m.left_seq IS NOT NULL AND m.user_id <> reader) g
        WHERE g.before IS NOT NULL) END
$$;

-- Whether the other of a direct chat was not in it at that seq.
CREATE FUNCTION view.left_out(of_part smallint, of_chat uuid, of_seq bigint, sender uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN EXISTS (SELECT 1 FROM view.chats k WHERE k.part = of_part AND k.chat_id = of_chat AND k.kind = 0) THEN EXISTS (
        SELECT 1 FROM view.members m
        WHERE m.part = of_part AND m.chat_id = of_chat AND m.left_seq < of_seq AND m.user_id <> sender AND NOT EXISTS (
            SELECT 1 FROM view.members n
            WHERE n.part = of_part AND n.chat_id = of_chat AND n.user_id = m.user_id
              AND n.joined_seq < of_seq AND (n.left_seq IS NULL OR n.left_seq > of_seq))) ELSE false END
$$;

-- As 0011_part has it, but for what was left out.
CREATE OR REPLACE FUNCTION view.delivered_at(part smallint, chat uuid, seq bigint, sender uuid, kind smallint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN view.left_out($1, $2, $3, $4) THEN NULL ELSE LEAST(
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.part = $1 AND a.chat_id = $2 AND a.kind = $5 AND a.low >= $3 AND a.low_user <> $4
         ORDER BY a.low, a.at_ms LIMIT 1),
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.part = $1 AND a.chat_id = $2 AND a.kind = $5 AND a.low_user = $4 AND a.next >= $3
         ORDER BY a.next, a.at_ms LIMIT 1)) END
$$;
