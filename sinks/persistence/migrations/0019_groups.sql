-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What a group says of itself, and who may do what in it.
ALTER TABLE view.chats ADD COLUMN description text NOT NULL DEFAULT '';      -- empty: nothing
ALTER TABLE view.chats ADD COLUMN description_seq bigint NOT NULL DEFAULT 0; -- seq that set it
ALTER TABLE view.chats ADD COLUMN send_by smallint NOT NULL DEFAULT 0;       -- 0: everyone, 1: owner and admins; so the two below
ALTER TABLE view.chats ADD COLUMN info_by smallint NOT NULL DEFAULT 1;
ALTER TABLE view.chats ADD COLUMN add_by smallint NOT NULL DEFAULT 1;
ALTER TABLE view.chats ADD COLUMN rights_seq bigint NOT NULL DEFAULT 0;      -- seq that set them; 0: they are as at first
