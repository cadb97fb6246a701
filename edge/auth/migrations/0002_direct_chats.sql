-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. Direct chats that somebody opened by REST: a direct chat has no event before its first message, so
-- this is what lets `POST /api/messages` find the other user from the chat's id alone.

CREATE TABLE auth.direct_chats (
    chat_id    uuid   PRIMARY KEY,
    user_a     uuid   NOT NULL,
    user_b     uuid   NOT NULL,
    opened_by  uuid   NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX direct_chats_by_opener ON auth.direct_chats (opened_by);
