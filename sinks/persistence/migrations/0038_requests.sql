-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Who asks to be let into a group.
-- A row a group and user who ever asked. It is open unless it ended, its time is over, or the user came into the group since by whatever way.
CREATE TABLE view.requests (
    part       smallint NOT NULL,
    chat_id    uuid     NOT NULL,
    user_id    uuid     NOT NULL,
    invite_id  uuid     NOT NULL,            -- the link by which he came
    invited_by uuid     NOT NULL,            -- who had made it
    seq        bigint   NOT NULL,            -- of the last request
    at_ms      bigint   NOT NULL,
    expires_at bigint   NOT NULL,
    ended_seq  bigint   NOT NULL,            -- of what ended it; 0: nothing did
    PRIMARY KEY (part, chat_id, user_id)
);
-- Of a chat never many more than may be open: whoever asks ends those that are over.
CREATE INDEX requests_now ON view.requests (part, chat_id, seq) WHERE ended_seq = 0;
CREATE INDEX requests_by_user ON view.requests (user_id) WHERE ended_seq = 0;

-- The highest seq of what concerns requests: a sync tells it to who may add alone.
ALTER TABLE view.chats ADD COLUMN requested_seq bigint NOT NULL DEFAULT 0;
