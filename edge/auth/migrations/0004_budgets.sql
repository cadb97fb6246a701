-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. What strangers may do with codes, guesses and lookups, counted where a restart does not forget it.
-- No row here holds a number or an address: keys are HMACs under PHONE_PEPPER.

-- A token bucket is one time: when it will be full again. A row whose time has passed says nothing and is swept.
CREATE TABLE auth.budgets (
    kind    smallint NOT NULL,   -- enum budget of edge/auth/budgets.h
    key     uuid     NOT NULL,
    full_at bigint   NOT NULL,   -- us since 1970
    PRIMARY KEY (kind, key)
);

-- Where a number was logged in or refreshed from: codes asked for from there have a share that no stranger can use up.
CREATE TABLE auth.known_places (
    user_id uuid   NOT NULL,
    place   uuid   NOT NULL,     -- HMAC of user and address
    seen_at bigint NOT NULL,
    PRIMARY KEY (user_id, place)
);
CREATE INDEX known_places_by_time ON auth.known_places (seen_at);

-- Null: asked for by a stranger. Otherwise the known place, or the device whose refresh token was shown.
ALTER TABLE auth.challenges ADD COLUMN lane uuid;

-- Whom a user looked up in the last 24 hours without having a chat with them: the same number again is free.
CREATE TABLE auth.lookups (
    user_id uuid   NOT NULL,
    target  uuid   NOT NULL,     -- the user that the number would have
    at      bigint NOT NULL,
    PRIMARY KEY (user_id, target)
);
CREATE INDEX lookups_by_time ON auth.lookups (at);

-- For the sweep.
CREATE INDEX challenges_by_time ON auth.challenges (created_at);
CREATE INDEX refresh_tokens_by_use ON auth.refresh_tokens (used_at) WHERE used_at IS NOT NULL;
CREATE INDEX refresh_tokens_by_expiry ON auth.refresh_tokens (expires_at);
CREATE INDEX devices_by_end ON auth.devices (revoked_at) WHERE revoked_at IS NOT NULL;
