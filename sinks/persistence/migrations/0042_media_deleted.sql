-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Files that their owners took away: nobody can read them any more, and what shows one says so.

-- Of its own, as media_found: it counts where user_id is the owner, whoever says it.
CREATE TABLE view.media_ends (
    media_id   uuid   NOT NULL,
    user_id    uuid   NOT NULL,
    deleted_at bigint NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (media_id, user_id)
);

-- Which files share an object of the store: the last of them takes it along.
CREATE INDEX media_by_key ON view.media (key);

CREATE FUNCTION view.media_gone(media uuid, owner uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.media_ends x WHERE x.media_id = $1 AND x.user_id = $2)
$$;

-- As 0004_media has it; of a file that was taken away nothing but that.
CREATE OR REPLACE FUNCTION view.media_json(media uuid, sender uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN view.media_gone(d.media_id, d.owner_id) THEN '{"gone":true}' ELSE
        json_build_object('contentType', d.content_type, 'size', d.size, 'name', d.name,
        'width', coalesce(f.width, 0), 'height', coalesce(f.height, 0), 'durationMs', coalesce(f.duration_ms, 0),
        'thumbnail', coalesce(f.thumbnail_key, '') <> '')::text END
    FROM view.media d LEFT JOIN view.media_found f USING (media_id)
    WHERE d.media_id = $1 AND d.owner_id = $2
$$;

-- As 0018_vanishing has it, without what was taken away.
CREATE OR REPLACE FUNCTION view.same_file(sha256 bytea, size bigint, reader uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH own AS MATERIALIZED (
        SELECT s.media_id, s.size FROM view.media s WHERE s.owner_id = $3 AND s.sha256 = $1
          AND NOT view.media_gone(s.media_id, s.owner_id) LIMIT 50),
    stays AS MATERIALIZED (
        SELECT i.part, i.chat_id, i.joined_seq, i.left_seq FROM view.members i WHERE i.user_id = $3 LIMIT 2000),
    seen AS MATERIALIZED (
        SELECT d.media_id, d.sha256, d.size FROM stays i
        CROSS JOIN LATERAL (
            SELECT m.media_id, m.sender_id, m.expires_at FROM view.messages m
            WHERE m.part = i.part AND m.chat_id = i.chat_id AND m.media_id IS NOT NULL
              AND m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
            ORDER BY m.seq DESC LIMIT 50) m
        JOIN view.media d ON d.media_id = m.media_id AND d.owner_id = m.sender_id
        WHERE (m.expires_at IS NULL OR m.expires_at > view.now_ms()) AND NOT view.media_gone(d.media_id, d.owner_id))
    SELECT media_id FROM own WHERE own.size = $2
    UNION ALL
    SELECT media_id FROM seen WHERE seen.sha256 = $1 AND seen.size = $2
    LIMIT 1
$$;

-- As 0014_profiles and 0030_picture have them: who takes the file of a picture away has none.
CREATE OR REPLACE FUNCTION view.picture_of(who uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.media_id FROM view.profiles p JOIN view.media d ON d.media_id = p.picture_id AND d.owner_id = p.user_id AND d.type = 1
    WHERE p.user_id = $1 AND NOT view.media_gone(d.media_id, d.owner_id)
$$;

CREATE OR REPLACE FUNCTION view.picture_of_group(of_part smallint, of_chat uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.media_id FROM view.chats k JOIN view.media d ON d.media_id = k.picture_id AND d.owner_id = k.picture_by AND d.type = 1
    WHERE k.part = of_part AND k.chat_id = of_chat AND NOT view.media_gone(d.media_id, d.owner_id)
$$;
