-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Who is in a chat: its ended stays are not looked at, however many there are.
CREATE INDEX members_now ON view.members (part, chat_id, user_id) WHERE left_seq IS NULL;
