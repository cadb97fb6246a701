-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Which edits a message got, so that one that comes again is known, whatever came after it.

-- A row an edit, for as long as the message has a content. What it said is not kept, but a hash: the same id with another content is
-- another edit.
CREATE TABLE view.edits (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    target  bigint   NOT NULL, -- seq of the message
    seq     bigint   NOT NULL, -- of the edit
    edit_id uuid     NOT NULL, -- derived from chat, author and client id
    said    bytea    NOT NULL, -- SHA-256 of the content
    PRIMARY KEY (part, chat_id, target, seq)
);
