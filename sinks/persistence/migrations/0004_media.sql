-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Files that were uploaded (MediaReady), what was found in them (MediaProcessed), and the
-- messages that show them.

CREATE TABLE view.media (
    media_id     uuid     PRIMARY KEY,
    owner_id     uuid     NOT NULL,
    chat_id      uuid     NOT NULL,          -- where it was uploaded
    type         smallint NOT NULL,          -- order of MessageType
    content_type text     NOT NULL,          -- by its content
    sha256       bytea    NOT NULL,
    name         text     NOT NULL,
    key          text     NOT NULL,          -- in the store; several media may share an object
    size         bigint   NOT NULL,
    ready_at     bigint   NOT NULL,
    seq          bigint   NOT NULL
);
CREATE INDEX media_by_hash ON view.media (sha256, size);

-- Of its own, since the two facts of one file may stand in two turns.
CREATE TABLE view.media_found (
    media_id      uuid    PRIMARY KEY,
    width         integer NOT NULL,          -- 0: unknown or none
    height        integer NOT NULL,
    duration_ms   bigint  NOT NULL,
    thumbnail_key text    NOT NULL,          -- empty: none
    fault         text    NOT NULL,
    seq           bigint  NOT NULL
);

ALTER TABLE view.messages ADD COLUMN media_id uuid;
CREATE INDEX messages_by_media ON view.messages (media_id) WHERE media_id IS NOT NULL;

-- A message shows a file only when its sender owns it: everybody can write any id into a message, so a foreign id
-- must open nothing. A file may be read by its owner, and by whoever can read a message that shows it.
CREATE FUNCTION view.may_read_media(media uuid, reader uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.media d WHERE d.media_id = $1 AND (d.owner_id = $2 OR EXISTS (
        SELECT 1 FROM view.messages m JOIN view.members i ON i.chat_id = m.chat_id AND i.user_id = $2
        WHERE m.media_id = $1 AND m.sender_id = d.owner_id
          AND m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq))))
$$;

-- What a reader of a message is told of the file it shows; null when it shows none.
CREATE FUNCTION view.media_json(media uuid, sender uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT json_build_object('contentType', d.content_type, 'size', d.size, 'name', d.name,
        'width', coalesce(f.width, 0), 'height', coalesce(f.height, 0), 'durationMs', coalesce(f.duration_ms, 0),
        'thumbnail', coalesce(f.thumbnail_key, '') <> '')::text
    FROM view.media d LEFT JOIN view.media_found f USING (media_id)
    WHERE d.media_id = $1 AND d.owner_id = $2
$$;
