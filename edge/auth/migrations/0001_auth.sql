-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. Schema `auth`: truth that is not on the log (codes, refresh tokens, numbers).
-- Back it up; a rebuild of the view never touches it.

CREATE SCHEMA auth;

-- A number's user. The id is derived (HMAC of number and generation); the number itself never enters the log.
CREATE TABLE auth.accounts (
    user_id      uuid    PRIMARY KEY,
    phone_number text    NOT NULL,
    generation   integer NOT NULL DEFAULT 0,
    created_at   bigint  NOT NULL,
    UNIQUE (phone_number, generation)
);

CREATE TABLE auth.challenges (
    challenge    uuid     PRIMARY KEY,
    phone_number text     NOT NULL,
    name         text,                       -- null: log-in, keep the name
    code_hash    bytea    NOT NULL,          -- HMAC of challenge, number and code
    tries_left   smallint NOT NULL,
    created_at   bigint   NOT NULL,
    expires_at   bigint   NOT NULL,
    used_at      bigint
);
CREATE INDEX challenges_by_number ON auth.challenges (phone_number, created_at);

CREATE TABLE auth.devices (
    device_id  uuid   PRIMARY KEY,
    user_id    uuid   NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);

CREATE TABLE auth.refresh_tokens (
    token_hash bytea  PRIMARY KEY,           -- SHA-256 of the random token
    device_id  uuid   NOT NULL,
    user_id    uuid   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at    bigint                        -- rotated; a second use revokes the device
);
CREATE INDEX refresh_tokens_by_device ON auth.refresh_tokens (device_id);
