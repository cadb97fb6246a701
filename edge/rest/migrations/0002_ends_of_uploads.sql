-- SPDX-License-Identifier: MIT
-- Owner: edge/rest. How an upload ends. Every object in the store that a link can still make, or that may not be in the log, has a
-- row here; the role `media` takes it away, or brings it into the log.

ALTER TABLE media.uploads
    ADD COLUMN touched_at   bigint   NOT NULL DEFAULT 0, -- last time that bytes came, it was stored, or its fact was submitted; 0: never
    ADD COLUMN links_until  bigint   NOT NULL DEFAULT 0, -- a link to PUT it with was handed out and is good until then; 0: none, or swept
    ADD COLUMN links_swept  boolean  NOT NULL DEFAULT false, -- once, shortly after their end; the second time is the last
    ADD COLUMN ended_at     bigint,                      -- given up, refused or swept: only its objects are left. Null: no
    ADD COLUMN device_id    uuid,                        -- that declared it complete; null: none yet, or before this column
    ADD COLUMN peer         uuid,                        -- the other user of a direct chat, once complete
    ADD COLUMN submit_tries smallint NOT NULL DEFAULT 0, -- of the role `media`
    ADD COLUMN logged       boolean  NOT NULL DEFAULT false; -- the view has its MediaReady: nothing more is asked

UPDATE media.uploads SET links_until = created_at + 900000
    WHERE created_at > (extract(epoch FROM now()) * 1000)::bigint - 86400000;

CREATE INDEX uploads_with_links ON media.uploads (links_until) WHERE links_until > 0;
CREATE INDEX uploads_ended ON media.uploads (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX uploads_unlogged ON media.uploads (touched_at) WHERE stored AND NOT logged AND ended_at IS NULL;
DROP INDEX media.uploads_unfinished;
CREATE INDEX uploads_unfinished ON media.uploads (greatest(created_at, touched_at)) WHERE NOT stored AND ended_at IS NULL;
