-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. While a row is here the doors are closed: nobody logs in, and nobody is told that he is logged out.

CREATE TABLE auth.closed (
    one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
    since    timestamptz NOT NULL DEFAULT now()
);
