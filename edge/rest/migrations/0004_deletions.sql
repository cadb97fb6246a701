-- SPDX-License-Identifier: MIT
-- Owner: edge/rest. Files that were taken away, until the role `media` has taken their objects away, too.

CREATE TABLE media.deletions (
    media_id uuid    PRIMARY KEY,
    key      text    NOT NULL,               -- of its object, which other files may share
    asked_at bigint  NOT NULL,
    due_at   bigint  NOT NULL,               -- when to look at it next
    taken    boolean NOT NULL DEFAULT false  -- its object is gone, or left to those who share it; a last look follows
);
CREATE INDEX deletions_due ON media.deletions (due_at);

-- Who is about to share an object: until the view knows it, the object stays. Kept for a day.
CREATE TABLE media.holds (
    media_id uuid   PRIMARY KEY,             -- the new file
    key      text   NOT NULL,
    held_at  bigint NOT NULL
);
CREATE INDEX holds_by_key ON media.holds (key);
CREATE INDEX holds_by_age ON media.holds (held_at);
