-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What picture a group has.

ALTER TABLE view.chats ADD COLUMN picture_id uuid;                           -- null: none. It counts only when it is an image …
ALTER TABLE view.chats ADD COLUMN picture_by uuid;                           -- … that this user owns, who set it
ALTER TABLE view.chats ADD COLUMN picture_seq bigint NOT NULL DEFAULT 0;     -- seq that set it
CREATE INDEX chats_by_picture ON view.chats (part, picture_id) WHERE picture_id IS NOT NULL;

-- The picture of a group; null: none that counts.
CREATE FUNCTION view.picture_of_group(of_part smallint, of_chat uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.media_id FROM view.chats k JOIN view.media d ON d.media_id = k.picture_id AND d.owner_id = k.picture_by AND d.type = 1
    WHERE k.part = of_part AND k.chat_id = of_chat
$$;

-- Whether a group that the reader is in now shows this file of that owner as its picture. From the parts of his chats to the groups that do,
-- and on to the stays. OFFSET keeps the planner from looking in all parts.
CREATE FUNCTION view.is_picture_for(media uuid, owner uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT 1 FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $3) p
        CROSS JOIN LATERAL (SELECT k.part, k.chat_id FROM view.chats k
                            WHERE k.part = p.part AND k.picture_id = $1 AND k.picture_by = $2 OFFSET 0) c
        JOIN view.members i ON i.part = c.part AND i.chat_id = c.chat_id AND i.user_id = $3 AND i.left_seq IS NULL)
$$;
