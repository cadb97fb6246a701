-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What a group looked like when somebody's stay in it ended: whoever left is shown that, and nothing later.

-- When the stay ended, ms since the epoch. Null while it lasts, and for stays that ended before this column: those see no ticks; a rebuild mends it.
ALTER TABLE view.members ADD COLUMN left_at bigint;

-- Every name a group had. What came before this table is known from the present name on; a rebuild has all of it.
CREATE TABLE view.chat_names (
    chat_id uuid   NOT NULL,
    seq     bigint NOT NULL,                 -- that set the name
    name    text   NOT NULL,
    PRIMARY KEY (chat_id, seq)
);
INSERT INTO view.chat_names (chat_id, seq, name) SELECT chat_id, name_seq, name FROM view.chats WHERE kind = 1;

-- Whether somebody may read a file now as he could while he was in the chat that shows it: its owner, and who can read a message
-- that shows it and is in that chat now. view.may_read_media lets those in, too, who left: with their token, not with an old link.
CREATE FUNCTION view.may_read_media_now(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.media d WHERE d.media_id = $1 AND (d.owner_id = $2 OR EXISTS (
        SELECT 1 FROM view.messages m JOIN view.members i ON i.chat_id = m.chat_id AND i.user_id = $2
        WHERE m.media_id = $1 AND m.sender_id = d.owner_id
          AND m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
          AND EXISTS (SELECT 1 FROM view.members o WHERE o.chat_id = m.chat_id AND o.user_id = $2 AND o.left_seq IS NULL))))
$$;
