-- SPDX-License-Identifier: MIT
-- Owner: edge/rest. Schema `media`: uploads on their way. Truth, as `auth` is: what is finished enters the log as
-- MediaReady, what is not is nowhere else.

CREATE SCHEMA media;

CREATE TABLE media.uploads (
    media_id      uuid     PRIMARY KEY,
    user_id       uuid     NOT NULL,
    chat_id       uuid     NOT NULL,
    type          smallint NOT NULL,         -- order of MessageType
    declared_type text     NOT NULL,         -- what the client says; signed into a direct upload, otherwise not believed
    name          text     NOT NULL,
    size          bigint   NOT NULL,
    sha256        bytea,                     -- as declared, null: not; after `stored` as it is
    key           text     NOT NULL,         -- in the store
    created_at    bigint   NOT NULL,
    received      bigint   NOT NULL DEFAULT 0, -- bytes held
    hash          bytea    NOT NULL DEFAULT '', -- state of SHA-256 after them
    memo          text     NOT NULL DEFAULT '', -- the store's own
    stored        boolean  NOT NULL DEFAULT false, -- whole, checked, and never swept from then on
    content_type  text     NOT NULL DEFAULT '' -- by its content, once stored
);
CREATE INDEX uploads_by_user ON media.uploads (user_id, created_at);
CREATE INDEX uploads_unfinished ON media.uploads (created_at) WHERE NOT stored;
