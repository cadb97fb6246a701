-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. The files of a chat by what they are, the newest last. messages_with_files has them all.

CREATE INDEX messages_with_files_of_type ON view.messages (part, chat_id, type, seq) WHERE media_id IS NOT NULL;
