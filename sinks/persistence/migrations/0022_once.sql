-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What statements asked twice, or said in two ways, stands once. The names of before stay, for readers of before this file.

-- ---- ticks of a message --------------------------------------------------------------------------------------------

-- When all who are told by a mark had passed that seq: 0 received it, 1 read it.
CREATE FUNCTION view.passed_at(part smallint, chat uuid, seq bigint, sender uuid, kind smallint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT LEAST(
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.part = $1 AND a.chat_id = $2 AND a.kind = $5 AND a.low >= $3 AND a.low_user <> $4
         ORDER BY a.low, a.at_ms LIMIT 1),
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.part = $1 AND a.chat_id = $2 AND a.kind = $5 AND a.low_user = $4 AND a.next >= $3
         ORDER BY a.next, a.at_ms LIMIT 1))
$$;

-- As 0016_blocks has it. There is one other: what is asked are his stays, and not each of them for the next.
CREATE OR REPLACE FUNCTION view.left_out(of_part smallint, of_chat uuid, of_seq bigint, sender uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.chats k WHERE k.part = of_part AND k.chat_id = of_chat AND k.kind = 0)
       AND EXISTS (SELECT 1 FROM view.members m
                   WHERE m.part = of_part AND m.chat_id = of_chat AND m.user_id <> sender AND m.left_seq < of_seq)
       AND NOT EXISTS (SELECT 1 FROM view.members n
                       WHERE n.part = of_part AND n.chat_id = of_chat AND n.user_id <> sender
                         AND n.joined_seq < of_seq AND (n.left_seq IS NULL OR n.left_seq > of_seq))
$$;

-- Both of a message, unless it was left out of the other's stays. OFFSET keeps the planner from asking that for each.
CREATE FUNCTION view.ticked_at(of_part smallint, of_chat uuid, of_seq bigint, sender uuid) RETURNS TABLE (delivered_at bigint, seen_at bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN NOT o.left_out THEN view.passed_at(of_part, of_chat, of_seq, sender, 0::smallint) END,
           CASE WHEN NOT o.left_out THEN view.passed_at(of_part, of_chat, of_seq, sender, 1::smallint) END
    FROM (SELECT view.left_out(of_part, of_chat, of_seq, sender) AS left_out OFFSET 0) o
$$;

CREATE OR REPLACE FUNCTION view.delivered_at(part smallint, chat uuid, seq bigint, sender uuid, kind smallint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE $5 WHEN 0 THEN t.delivered_at ELSE t.seen_at END FROM view.ticked_at($1, $2, $3, $4) t
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
       to_timestamp(t.delivered_at / 1000.0) AS "deliveredAt",
       to_timestamp(t.seen_at / 1000.0) AS "seenAt"
FROM view.messages m JOIN view.chats c USING (part, chat_id)
CROSS JOIN LATERAL view.ticked_at(m.part, m.chat_id, m.seq, m.sender_id) t
LEFT JOIN LATERAL (
    SELECT n.seq, n.content, n.key_id FROM view.versions n
    WHERE n.part = m.part AND n.chat_id = m.chat_id AND n.target = m.seq ORDER BY n.seq DESC LIMIT 1) v ON true;

-- ---- who may read a file -------------------------------------------------------------------------------------------

-- Whether a message that the reader may read shows it, in a chat that he is in now; false: only where he has left; null: none does. Its
-- owner may always. From the parts of his chats to the messages there that show it, and on to the stays, as 0011_part has it.
CREATE FUNCTION view.file_shown(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN d.owner_id = $2 THEN true ELSE (
        SELECT bool_or(EXISTS (
            SELECT 1 FROM view.members o
            WHERE o.part = m.part AND o.chat_id = m.chat_id AND o.user_id = $2 AND o.left_seq IS NULL))
        FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) p
        CROSS JOIN LATERAL (SELECT y.part, y.chat_id, y.seq FROM view.messages y
                            WHERE y.part = p.part AND y.media_id = $1 AND y.sender_id = d.owner_id
                              AND (y.expires_at IS NULL OR y.expires_at > view.now_ms()) OFFSET 0) m
        JOIN view.members i ON i.part = m.part AND i.chat_id = m.chat_id AND i.user_id = $2
        WHERE m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
          AND (i.hidden_seq = 0 OR NOT EXISTS (
              SELECT 1 FROM view.hidden x
              WHERE x.part = m.part AND x.chat_id = m.chat_id AND x.user_id = $2 AND x.target = m.seq))) END
    FROM view.media d WHERE d.media_id = $1
$$;

CREATE OR REPLACE FUNCTION view.may_read_media(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT view.file_shown($1, $2) IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION view.may_read_media_now(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(view.file_shown($1, $2), false)
$$;

DROP FUNCTION view.shows_media(uuid, uuid, boolean);

-- ---- what is unread ------------------------------------------------------------------------------------------------

-- How many messages of others after < seq < before there are, or with `mentions` how many of these mention the reader: in one stay …
CREATE FUNCTION view.counted(part smallint, chat uuid, reader uuid, mentions boolean, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $4 THEN view.mentioned($1, $2, $3, $5, $6) ELSE view.unread($1, $2, $3, $5, $6) END
$$;

-- … and in all of his stays.
CREATE FUNCTION view.counted_in(of_part smallint, of_chat uuid, reader uuid, mentions boolean, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(view.counted(of_part, of_chat, reader, mentions, greatest($5, s.joined_seq), least($6, coalesce(s.left_seq, 9223372036854775807)))), 0)::bigint
    FROM view.members s
    WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader AND (s.left_seq IS NULL OR s.left_seq > $5) AND s.joined_seq < $6
$$;

CREATE OR REPLACE FUNCTION view.unread_in(of_part smallint, of_chat uuid, reader uuid, after bigint, before bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT view.counted_in(of_part, of_chat, reader, false, $4, $5)
$$;

-- How much of a chat is unread behind the reader's place: of his last stay, from `joined_seq` to `left_seq` (null: he is there); in a
-- direct chat that he came back to, of all his stays.
CREATE FUNCTION view.unread_behind(part smallint, chat uuid, reader uuid, mentions boolean, read bigint, kind smallint, joined_seq bigint,
                                   left_seq bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $6 = 0 AND $7 > 0 THEN view.counted_in($1, $2, $3, $4, $5, 9223372036854775807)
                ELSE view.counted($1, $2, $3, $4, greatest($5, $7), coalesce($8, 9223372036854775807)) END
$$;
