-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. `part` begins every key about a chat, and what is unique is so in a part: then a range of parts can live
-- in a database of its own. Rows are moved into tables of the new form; nothing is lost, and nothing is read from the log again.

-- No turn of a sink is half-way from here on: its first statement takes a row of it.
LOCK TABLE view.positions IN ACCESS EXCLUSIVE MODE;

-- murmur2 of the id's text, as Kafka's default partitioner has it, modulo 1,024: id_part() of lib/base/id.h, which says why. The
-- partition of chat.events is this modulo PARTITIONS, which divides 1,024.
CREATE FUNCTION view.part_of(id uuid) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    hex  CONSTANT bytea := convert_to(id::text, 'UTF8'); -- 36 bytes: nine words, no rest
    m    CONSTANT bigint := 1540483477;                  -- 0x5bd1e995
    ones CONSTANT bigint := 4294967295;
    h    bigint := 2538058380 # 36;                      -- the seed 0x9747b28c, and the length
    k    bigint;
BEGIN
    FOR i IN 0..8 LOOP
        k := get_byte(hex, 4 * i) | (get_byte(hex, 4 * i + 1)::bigint << 8) | (get_byte(hex, 4 * i + 2)::bigint << 16)
             | (get_byte(hex, 4 * i + 3)::bigint << 24);
        k := k * m & ones;
        k := (k # (k >> 24)) * m & ones;
        h := (h * m & ones) # k;
    END LOOP;
    h := (h # (h >> 13)) * m & ones;
    RETURN (h # (h >> 15)) & 1023;
END
$$;

-- A sink of before this file names no part. It is to try again until it is replaced, and to dead-letter nothing: class 55.
CREATE FUNCTION view.part_is_needed() RETURNS smallint
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this sink is older than the view' USING ERRCODE = '55V02';
END
$$;

CREATE SCHEMA view_before;
ALTER TABLE view.chats SET SCHEMA view_before;
ALTER TABLE view.chat_names SET SCHEMA view_before;
ALTER TABLE view.members SET SCHEMA view_before;
ALTER TABLE view.messages SET SCHEMA view_before;
ALTER TABLE view.cursors SET SCHEMA view_before;
ALTER TABLE view.device_cursors SET SCHEMA view_before;
ALTER TABLE view.receipts SET SCHEMA view_before;
ALTER TABLE view.marks SET SCHEMA view_before;
ALTER TABLE view.mark_advances SET SCHEMA view_before;

CREATE TABLE view.chats (
    part        smallint NOT NULL,           -- view.part_of(chat_id), here and below
    kind        smallint NOT NULL,           -- 0 direct, 1 group
    chat_id     uuid     NOT NULL,
    name        text     NOT NULL DEFAULT '',
    name_seq    bigint   NOT NULL DEFAULT 0, -- seq that set the name
    created_at  bigint   NOT NULL,
    created_by  uuid     NOT NULL,
    last_seq    bigint   NOT NULL DEFAULT 0, -- last message
    changed_seq bigint   NOT NULL            -- last message, name or membership change
) WITH (fillfactor = 70);
INSERT INTO view.chats SELECT view.part_of(chat_id), kind, chat_id, name, name_seq, created_at, created_by, last_seq, changed_seq
    FROM view_before.chats;
ALTER TABLE view.chats ADD PRIMARY KEY (part, chat_id);

-- Every name a group had.
CREATE TABLE view.chat_names (
    part    smallint NOT NULL DEFAULT view.part_is_needed(),
    chat_id uuid     NOT NULL,
    seq     bigint   NOT NULL,               -- that set the name
    name    text     NOT NULL
);
INSERT INTO view.chat_names SELECT view.part_of(chat_id), chat_id, seq, name FROM view_before.chat_names;
ALTER TABLE view.chat_names ADD PRIMARY KEY (part, chat_id, seq);

-- One row a stay. A user sees messages with joined_seq < seq < left_seq.
CREATE TABLE view.members (
    part       smallint NOT NULL DEFAULT view.part_is_needed(),
    role       smallint NOT NULL,            -- 0 member, 1 admin, 2 owner
    chat_id    uuid     NOT NULL,
    user_id    uuid     NOT NULL,
    joined_seq bigint   NOT NULL,            -- 0 in direct chats
    left_seq   bigint,                       -- null: still a member
    left_at    bigint                        -- ms since the epoch; null while it lasts, and for stays that ended before 0006_stays
);
INSERT INTO view.members SELECT c.part, m.role, m.chat_id, m.user_id, m.joined_seq, m.left_seq, m.left_at
    FROM (SELECT chat_id, view.part_of(chat_id) AS part FROM (SELECT DISTINCT chat_id FROM view_before.members) d) c
    JOIN view_before.members m USING (chat_id);
ALTER TABLE view.members ADD PRIMARY KEY (part, chat_id, user_id, joined_seq);
-- A user's own list of chats: the one key that begins with a user. From it on, everything is asked by part and chat.
CREATE INDEX members_by_user ON view.members (user_id, part, chat_id);

CREATE TABLE view.messages (
    part         smallint NOT NULL DEFAULT view.part_is_needed(),
    type         smallint NOT NULL,          -- order of MessageType in schemas/chat_event.avsc
    chat_id      uuid     NOT NULL,
    seq          bigint   NOT NULL,
    id           uuid     NOT NULL,
    sender_id    uuid     NOT NULL,
    sent_at      bigint   NOT NULL,
    client_id    text     NOT NULL,
    content_type text     NOT NULL,
    content      bytea    NOT NULL,
    key_id       text,
    media_id     uuid
);
INSERT INTO view.messages SELECT c.part, m.type, m.chat_id, m.seq, m.id, m.sender_id, m.sent_at, m.client_id, m.content_type, m.content,
        m.key_id, m.media_id
    FROM (SELECT chat_id, view.part_of(chat_id) AS part FROM (SELECT DISTINCT chat_id FROM view_before.messages) d) c
    JOIN view_before.messages m USING (chat_id);
ALTER TABLE view.messages ADD PRIMARY KEY (part, chat_id, seq);
ALTER TABLE view.messages ADD UNIQUE (part, id); -- the last line against doubling; an id is of one chat
CREATE INDEX messages_by_media ON view.messages (part, media_id) WHERE media_id IS NOT NULL;
CREATE INDEX messages_with_files ON view.messages (part, chat_id, seq) WHERE media_id IS NOT NULL;

-- The four below are written by sinks/status. Cursors never go back.
CREATE TABLE view.cursors (
    part      smallint NOT NULL DEFAULT view.part_is_needed(),
    chat_id   uuid     NOT NULL,
    user_id   uuid     NOT NULL,
    delivered bigint   NOT NULL DEFAULT 0,
    read      bigint   NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
INSERT INTO view.cursors SELECT c.part, v.chat_id, v.user_id, v.delivered, v.read
    FROM (SELECT chat_id, view.part_of(chat_id) AS part FROM (SELECT DISTINCT chat_id FROM view_before.cursors) d) c
    JOIN view_before.cursors v USING (chat_id);
ALTER TABLE view.cursors ADD PRIMARY KEY (part, chat_id, user_id);

-- What each device said it has: a push for it need not be sent any more. (view.cursors is the user's, whatever the device.)
CREATE TABLE view.device_cursors (
    part      smallint NOT NULL DEFAULT view.part_is_needed(),
    chat_id   uuid     NOT NULL,
    device_id uuid     NOT NULL,
    delivered bigint   NOT NULL
) WITH (fillfactor = 70);
INSERT INTO view.device_cursors SELECT c.part, v.chat_id, v.device_id, v.delivered
    FROM (SELECT chat_id, view.part_of(chat_id) AS part FROM (SELECT DISTINCT chat_id FROM view_before.device_cursors) d) c
    JOIN view_before.device_cursors v USING (chat_id);
ALTER TABLE view.device_cursors ADD PRIMARY KEY (part, chat_id, device_id);

CREATE TABLE view.receipts (
    part    smallint NOT NULL DEFAULT view.part_is_needed(),
    kind    smallint NOT NULL,               -- 0 delivered, 1 read
    chat_id uuid     NOT NULL,
    user_id uuid     NOT NULL,
    seq     bigint   NOT NULL,
    at_ms   bigint   NOT NULL
);
INSERT INTO view.receipts SELECT c.part, v.kind, v.chat_id, v.user_id, v.seq, v.at_ms
    FROM (SELECT chat_id, view.part_of(chat_id) AS part FROM (SELECT DISTINCT chat_id FROM view_before.receipts) d) c
    JOIN view_before.receipts v USING (chat_id);
ALTER TABLE view.receipts ADD PRIMARY KEY (part, chat_id, user_id, kind, seq);

-- The two lowest cursors of a chat's present members. What all but `u` have: low, or next when u is low_user.
CREATE TABLE view.marks (
    part      smallint NOT NULL DEFAULT view.part_is_needed(),
    kind      smallint NOT NULL,
    src_part  integer  NOT NULL,             -- partition of delivery.status and …
    src_next  bigint   NOT NULL,             -- … position there, for sync
    chat_id   uuid     NOT NULL,
    low       bigint   NOT NULL,
    low_user  uuid     NOT NULL,
    next      bigint   NOT NULL,
    at_ms     bigint   NOT NULL              -- time of the receipt or change that moved it
) WITH (fillfactor = 70);
INSERT INTO view.marks SELECT view.part_of(chat_id), kind, src_part, src_next, chat_id, low, low_user, next, at_ms FROM view_before.marks;
ALTER TABLE view.marks ADD PRIMARY KEY (part, chat_id, kind);

-- Every value marks had: gives deliveredAt and seenAt.
CREATE TABLE view.mark_advances (
    part     smallint NOT NULL DEFAULT view.part_is_needed(),
    kind     smallint NOT NULL,
    chat_id  uuid     NOT NULL,
    low      bigint   NOT NULL,
    low_user uuid     NOT NULL,
    next     bigint   NOT NULL,
    at_ms    bigint   NOT NULL
);
INSERT INTO view.mark_advances SELECT c.part, v.kind, v.chat_id, v.low, v.low_user, v.next, v.at_ms
    FROM (SELECT chat_id, view.part_of(chat_id) AS part FROM (SELECT DISTINCT chat_id FROM view_before.mark_advances) d) c
    JOIN view_before.mark_advances v USING (chat_id);
ALTER TABLE view.mark_advances ADD PRIMARY KEY (part, chat_id, kind, low, low_user, next);
CREATE INDEX mark_advances_by_next ON view.mark_advances (part, chat_id, kind, low_user, next);

DROP INDEX view.rejected_by_id; -- nothing asks by it

-- ---- what reads them -------------------------------------------------------------------------------------------

CREATE FUNCTION view.delivered_at(part smallint, chat uuid, seq bigint, sender uuid, kind smallint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT LEAST(
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.part = $1 AND a.chat_id = $2 AND a.kind = $5 AND a.low >= $3 AND a.low_user <> $4
         ORDER BY a.low, a.at_ms LIMIT 1),
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.part = $1 AND a.chat_id = $2 AND a.kind = $5 AND a.low_user = $4 AND a.next >= $3
         ORDER BY a.next, a.at_ms LIMIT 1))
$$;

-- From the parts of the reader's chats to the messages there that show the file, and on to the stays: one look into an index a part.
-- OFFSET keeps the planner from looking for the file in all parts.
CREATE OR REPLACE FUNCTION view.may_read_media(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.media d WHERE d.media_id = $1 AND (d.owner_id = $2 OR EXISTS (
        SELECT 1 FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) p
        CROSS JOIN LATERAL (SELECT y.part, y.chat_id, y.seq FROM view.messages y
                            WHERE y.part = p.part AND y.media_id = $1 AND y.sender_id = d.owner_id OFFSET 0) m
        JOIN view.members i ON i.part = m.part AND i.chat_id = m.chat_id AND i.user_id = $2
        WHERE m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq))))
$$;

CREATE OR REPLACE FUNCTION view.may_read_media_now(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.media d WHERE d.media_id = $1 AND (d.owner_id = $2 OR EXISTS (
        SELECT 1 FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) p
        CROSS JOIN LATERAL (SELECT y.part, y.chat_id, y.seq FROM view.messages y
                            WHERE y.part = p.part AND y.media_id = $1 AND y.sender_id = d.owner_id OFFSET 0) m
        JOIN view.members i ON i.part = m.part AND i.chat_id = m.chat_id AND i.user_id = $2
        WHERE m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
          AND EXISTS (SELECT 1 FROM view.members o
                      WHERE o.part = m.part AND o.chat_id = m.chat_id AND o.user_id = $2 AND o.left_seq IS NULL))))
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
            SELECT m.media_id, m.sender_id FROM view.messages m
            WHERE m.part = i.part AND m.chat_id = i.chat_id AND m.media_id IS NOT NULL
              AND m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
            ORDER BY m.seq DESC LIMIT 50) m
        JOIN view.media d ON d.media_id = m.media_id AND d.owner_id = m.sender_id)
    SELECT media_id FROM own WHERE own.size = $2
    UNION ALL
    SELECT media_id FROM seen WHERE seen.sha256 = $1 AND seen.size = $2
    LIMIT 1
$$;

-- Replaced, not dropped: what was granted on them stays.
CREATE OR REPLACE VIEW model.groups AS
SELECT chat_id AS id, name FROM view.chats WHERE kind = 1;

CREATE OR REPLACE VIEW model.users_groups AS
SELECT m.user_id AS "userID", m.chat_id AS "groupID"
FROM view.members m JOIN view.chats c USING (part, chat_id)
WHERE c.kind = 1 AND m.left_seq IS NULL;

CREATE OR REPLACE VIEW model.chats AS
SELECT chat_id AS id, name FROM view.chats WHERE kind = 0;

CREATE OR REPLACE VIEW model.users_chats AS
SELECT m.user_id AS "userID", m.chat_id AS "chatID"
FROM view.members m JOIN view.chats c USING (part, chat_id)
WHERE c.kind = 0;

CREATE OR REPLACE VIEW model.messages AS
SELECT m.id,
       m.sender_id AS "userID",
       CASE WHEN c.kind = 1 THEN m.chat_id END AS "groupID",
       CASE WHEN c.kind = 0 THEN m.chat_id END AS "chatID",
       (ARRAY['text', 'image', 'video', 'audio', 'document'])[m.type + 1] AS type,
       CASE WHEN m.key_id IS NULL THEN view.as_text(m.content) END AS content,
       to_timestamp(m.sent_at / 1000.0) AS "sentAt",
       to_timestamp(view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 0::smallint) / 1000.0) AS "deliveredAt",
       to_timestamp(view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 1::smallint) / 1000.0) AS "seenAt"
FROM view.messages m JOIN view.chats c USING (part, chat_id);

DROP FUNCTION view.delivered_at(uuid, bigint, uuid, smallint);
DROP SCHEMA view_before CASCADE;

-- ---- readers of before this file -------------------------------------------------------------------------------

-- They took chats.part for a partition, and would pass over chats without a word. Each of their statements asks this function, which
-- sends them away as from a view that is being filled, until they are replaced.
CREATE OR REPLACE FUNCTION view.whole(lacking boolean) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION 'this reader is older than the view' USING ERRCODE = '55V01';
END
$$;

-- As 0010_whole has it; `keys` says what the reader's statements take for granted: 2, the keys of this file.
CREATE FUNCTION view.whole(lacking boolean, keys integer) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF lacking OR keys <> 2 THEN
        RAISE EXCEPTION '%', CASE WHEN lacking THEN 'the view is incomplete' ELSE 'this reader does not know the view''s keys' END
            USING ERRCODE = '55V01';
    END IF;
    RETURN true;
END
$$;

-- Autovacuum would come only a minute later. An empty table is better not looked at: it would count as one that stays so.
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM view.chats) THEN
        ANALYZE view.chats, view.chat_names, view.members, view.messages, view.cursors, view.device_cursors, view.receipts, view.marks,
            view.mark_advances;
    END IF;
END
$$;
