-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. Accounts end, and numbers go from hand to hand. An account that was deleted keeps its row without its number, so
-- that its id is never given again.

ALTER TABLE auth.accounts ALTER COLUMN phone_number DROP NOT NULL;   -- null: deleted
ALTER TABLE auth.accounts DROP CONSTRAINT accounts_phone_number_generation_key;
CREATE UNIQUE INDEX accounts_by_number ON auth.accounts (phone_number);

-- The id that the first account of a number has. It stands for the number that this account was made for, whatever its number is now.
-- Null: made by a build that knew generation 0 alone, so user_id is it.
ALTER TABLE auth.accounts ADD COLUMN born_of uuid;
CREATE UNIQUE INDEX accounts_by_birth ON auth.accounts (born_of, generation);

ALTER TABLE auth.accounts ADD COLUMN deleted_at bigint;
-- When it is looked at next whether a deleted account is still in a group; null: it is not deleted.
ALTER TABLE auth.accounts ADD COLUMN look_at bigint;
CREATE INDEX accounts_to_look_at ON auth.accounts (look_at) WHERE look_at IS NOT NULL;
