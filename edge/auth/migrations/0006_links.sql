-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. Devices that ask to be linked to an account which nobody knows yet. A row lives for minutes: it goes when its
-- device has its tokens, when it is refused, or with the sweep.

CREATE TABLE auth.links (
    code_hash   bytea  PRIMARY KEY,      -- SHA-256 of the code that is shown to a device that is logged in
    secret_hash bytea  NOT NULL UNIQUE,  -- SHA-256 of what the new device keeps to itself
    platform    text   NOT NULL,
    label       text   NOT NULL,
    network     text   NOT NULL,         -- that it asks from: 16 bits of IPv4, 32 of IPv6
    place       uuid   NOT NULL,         -- HMAC of the address
    created_at  bigint NOT NULL,
    expires_at  bigint NOT NULL,
    seen_by     uuid,                    -- the device that was shown last what asks
    user_id     uuid,                    -- whose device it becomes; null: nobody approved it
    approved_by uuid                     -- the device that did
);
CREATE INDEX links_by_expiry ON auth.links (expires_at);
