-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Which claim gave a device its push token.

-- Offset of the claim in the token's partition of user.inbox: of one token the highest has it. -1: registered before there were claims.
ALTER TABLE view.push_targets ADD COLUMN claim bigint NOT NULL DEFAULT -1;
