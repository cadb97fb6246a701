-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Direct chats whose other user was told that an account ended: one row for each chat and who ended.

CREATE TABLE view.endings (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    user_id uuid     NOT NULL,               -- whose account ended
    seq     bigint   NOT NULL,
    PRIMARY KEY (part, chat_id, user_id)
);
