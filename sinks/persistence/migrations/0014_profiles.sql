-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What users show of themselves besides their names (view.users).

-- A row for who ever said something. Each half has the fact that set it: generation * 2^48 + offset; an older one never overwrites.
CREATE TABLE view.profiles (
    user_id     uuid   PRIMARY KEY,
    about       text   NOT NULL DEFAULT '',
    about_src   bigint NOT NULL DEFAULT 0,
    picture_id  uuid,                        -- null: none. It counts only when it is an image that the user owns
    picture_src bigint NOT NULL DEFAULT 0
);

-- The picture of a user; null: none that counts.
CREATE FUNCTION view.picture_of(who uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.media_id FROM view.profiles p JOIN view.media d ON d.media_id = p.picture_id AND d.owner_id = p.user_id AND d.type = 1
    WHERE p.user_id = $1
$$;
