-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What messages show beside their text: a place, a card, a preview of an address.

-- As members of JSON, for a reader who may see the message: "location":{…}. They go with the content. Null: there is none. An edit leaves
-- `contents`, and has the `preview` of its own text, or none.
ALTER TABLE view.messages ADD COLUMN contents text;
ALTER TABLE view.messages ADD COLUMN preview text;
ALTER TABLE view.messages ADD COLUMN preview_media uuid;
ALTER TABLE view.versions ADD COLUMN preview text;
ALTER TABLE view.versions ADD COLUMN preview_media uuid;
CREATE INDEX messages_by_preview ON view.messages (part, preview_media) WHERE preview_media IS NOT NULL;
CREATE INDEX versions_by_preview ON view.versions (part, preview_media) WHERE preview_media IS NOT NULL;

-- What view.message_for() found, in the version that it found (null: as it was sent), and neither deleted nor gone, shows this.
CREATE FUNCTION view.contents_of(of_part smallint, of_chat uuid, of_seq bigint, version bigint, empty boolean) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(concat_ws(',', m.contents, CASE WHEN version IS NULL THEN m.preview ELSE (
               SELECT v.preview FROM view.versions v
               WHERE v.part = of_part AND v.chat_id = of_chat AND v.target = of_seq AND v.seq = version) END), '')
    FROM view.messages m
    WHERE NOT empty AND m.part = of_part AND m.chat_id = of_chat AND m.seq = of_seq
$$;

-- Whether a message that the reader may read shows the file: in a chat where he is now, or with `present` false in one that he left. From the
-- parts of these chats to the messages there that show it, and on to the stays; the first that he may read ends it. IS TRUE has the planner
-- look each up among his chats, which it reads once, where it would join them.
CREATE FUNCTION view.file_shown_where(media uuid, owner uuid, reader uuid, present boolean) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH his AS MATERIALIZED (
        SELECT o.part, o.chat_id FROM view.members o WHERE o.user_id = $3
        GROUP BY o.part, o.chat_id HAVING bool_or(o.left_seq IS NULL) = $4)
    SELECT EXISTS (
        SELECT 1
        FROM (SELECT DISTINCT part FROM his) p
        CROSS JOIN LATERAL (SELECT y.part, y.chat_id, y.seq FROM view.messages y
                            WHERE y.part = p.part AND y.media_id = $1 AND y.sender_id = $2
                              AND (y.expires_at IS NULL OR y.expires_at > view.now_ms())
                              AND ((y.part, y.chat_id) IN (SELECT part, chat_id FROM his)) IS TRUE OFFSET 0) m
        JOIN view.members i ON i.part = m.part AND i.chat_id = m.chat_id AND i.user_id = $3
        WHERE m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
          AND (i.hidden_seq = 0 OR NOT EXISTS (
              SELECT 1 FROM view.hidden x
              WHERE x.part = m.part AND x.chat_id = m.chat_id AND x.user_id = $3 AND x.target = m.seq))
    ) OR EXISTS (
        SELECT 1
        FROM (SELECT DISTINCT part FROM his) p
        CROSS JOIN LATERAL (
            (SELECT y.part, y.chat_id, y.seq, NULL::bigint AS version FROM view.messages y
             WHERE y.part = p.part AND y.preview_media = $1 AND y.sender_id = $2
               AND ((y.part, y.chat_id) IN (SELECT part, chat_id FROM his)) IS TRUE)
            UNION ALL
            (SELECT v.part, v.chat_id, v.target, v.seq FROM view.versions v
             WHERE v.part = p.part AND v.preview_media = $1
               AND ((v.part, v.chat_id) IN (SELECT part, chat_id FROM his)) IS TRUE
               AND EXISTS (
                 SELECT 1 FROM view.messages y
                 WHERE y.part = v.part AND y.chat_id = v.chat_id AND y.seq = v.target AND y.sender_id = $2))
            OFFSET 0) q
        CROSS JOIN LATERAL view.message_for(q.part, q.chat_id, q.seq, $3) z
        WHERE z.gone = 0 AND NOT z.deleted AND z.edited_seq IS NOT DISTINCT FROM q.version)
$$;

-- As 0022_once has it, and the picture of a preview, where the reader sees the version of the message that has it.
CREATE OR REPLACE FUNCTION view.file_shown(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN d.owner_id = $2 OR view.file_shown_where($1, d.owner_id, $2, true) THEN true
                WHEN view.file_shown_where($1, d.owner_id, $2, false) THEN false END
    FROM view.media d WHERE d.media_id = $1
$$;
