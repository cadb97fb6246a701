-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What happened in a chat besides its messages: who made the group, who came and went, what it is called.

-- A row for each fact that everybody in the chat is told and that stands between its messages, as they were told it.
CREATE TABLE view.lines (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    seq     bigint   NOT NULL,
    line    text     NOT NULL,               -- the frame, as JSON
    PRIMARY KEY (part, chat_id, seq)
);

-- The highest of these seqs; 0: there is none. What came before this table has no rows; a rebuild has all of them.
ALTER TABLE view.chats ADD COLUMN line_seq bigint NOT NULL DEFAULT 0;
