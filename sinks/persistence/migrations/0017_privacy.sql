-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What users have set for themselves, and who may see what of them.

-- A row for each thing that a user has set. The fact that set it is generation * 2^48 + offset; an older one never overwrites.
CREATE TABLE view.settings (
    user_id uuid     NOT NULL,
    setting smallint NOT NULL,               -- whom it is shown to: 0 when he was last here, 1 his picture, 2 what he says of himself; 3 are his reads hidden
    value   smallint NOT NULL,               -- 0 everyone, 1 contacts, 2 nobody; of 3: 0 no, 1 yes
    src     bigint   NOT NULL,
    PRIMARY KEY (user_id, setting)
);

-- Whom a user shows something to; who has set nothing shows everything to everyone, and to his contacts when he was last here.
CREATE FUNCTION view.audience(who uuid, setting smallint) RETURNS smallint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((SELECT s.value FROM view.settings s WHERE s.user_id = $1 AND s.setting = $2), CASE WHEN $2 = 0 THEN 1 ELSE 0 END)::smallint
$$;

-- Whether the other user of this direct chat is a contact of `who`: one to whom `who` has written. The last message says how many are whose.
CREATE FUNCTION view.has_written(part smallint, chat uuid, who uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((SELECT m.sender_id = $3 OR m.own < m.number FROM view.messages m
                     WHERE m.part = $1 AND m.chat_id = $2 ORDER BY m.seq DESC LIMIT 1), false)
$$;

-- Whether `who` shows it to `reader`, who may know him. The direct chat of the two, and its part.
CREATE FUNCTION view.is_shown(who uuid, setting smallint, reader uuid, chat uuid, part smallint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT $1 = $3 OR CASE view.audience($1, $2) WHEN 0 THEN true WHEN 1 THEN view.has_written($5, $4, $1) ELSE false END
$$;

-- Up to where others are told that the user has read; null: as far as he has. Marks and receipts go by it.
ALTER TABLE view.cursors ADD COLUMN told bigint;

-- Whether others are told what `who` reads, and `who` what they read.
CREATE FUNCTION view.tells_reads(who uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (SELECT 1 FROM view.settings s WHERE s.user_id = $1 AND s.setting = 3 AND s.value = 1)
$$;
