-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. What a user exports of his account: a job, and the file that it makes. A row lives for two days; whoever takes it
-- away has taken the file away before.

CREATE TABLE auth.archives (
    archive_id uuid     PRIMARY KEY,
    user_id    uuid     NOT NULL,
    device_id  uuid     NOT NULL,            -- that asked for it, and alone may have it
    state      smallint NOT NULL DEFAULT 0,  -- 0: waits or is made, 1: made, 2: failed for good
    asked_at   bigint   NOT NULL,
    ends_at    bigint   NOT NULL,            -- when it goes
    free_at    bigint   NOT NULL,            -- until then a process works on it
    tries      int      NOT NULL DEFAULT 0,  -- begun so far: each writes a file of its own
    fails      int      NOT NULL DEFAULT 0,  -- of those, not ended well
    percent    int      NOT NULL DEFAULT 0,
    size       bigint   NOT NULL DEFAULT 0,  -- bytes of the file
    sha256     bytea,                        -- of the file; null: it is not made
    left_out   bigint   NOT NULL DEFAULT 0   -- what found no room in it
);
CREATE UNIQUE INDEX archives_one_at_a_time ON auth.archives (user_id) WHERE state = 0;
CREATE INDEX archives_by_user ON auth.archives (user_id, asked_at);
CREATE INDEX archives_by_device ON auth.archives (device_id);
CREATE INDEX archives_to_make ON auth.archives (free_at) WHERE state = 0;
CREATE INDEX archives_by_end ON auth.archives (ends_at);
