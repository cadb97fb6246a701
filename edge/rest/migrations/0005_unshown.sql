-- SPDX-License-Identifier: MIT
-- Owner: edge/rest. Files that nothing shows: the role `media` asks of each once, some time after it was complete.

ALTER TABLE media.uploads ADD COLUMN asked boolean NOT NULL DEFAULT false;
UPDATE media.uploads SET asked = true WHERE stored; -- from before: nobody was told that they go
CREATE INDEX uploads_unasked ON media.uploads (touched_at) WHERE stored AND logged AND NOT asked AND ended_at IS NULL;
