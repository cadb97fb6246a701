-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Links by which others join a group. Of the secret of a link only its hash is anywhere.
CREATE TABLE view.invites (
    part       smallint NOT NULL,
    chat_id    uuid     NOT NULL,
    invite_id  uuid     NOT NULL,
    hash       uuid     NOT NULL,            -- of chat and secret: invite_hash() of schemas/names.c
    by_user    uuid     NOT NULL,            -- who made it
    client_id  text     NOT NULL,            -- under which it was asked for
    made_seq   bigint   NOT NULL,
    made_at    bigint   NOT NULL,
    expires_at bigint   NOT NULL,            -- 0: no end
    most       integer  NOT NULL,            -- how many may join by it; 0: any number
    approval   smallint NOT NULL,            -- 1: whoever comes by it only asks to be let in
    used       integer  NOT NULL DEFAULT 0,  -- how many joined by it
    used_seq   bigint   NOT NULL DEFAULT 0,  -- seq of the last of them
    ended_seq  bigint   NOT NULL DEFAULT 0,  -- 0: it was not ended, but may be over
    PRIMARY KEY (part, chat_id, invite_id)
);
CREATE INDEX invites_by_hash ON view.invites (part, chat_id, hash);
-- Of a chat never more than processors/chat allows: before another is made, those that are over are ended.
CREATE INDEX invites_now ON view.invites (part, chat_id, made_seq) WHERE ended_seq = 0;

ALTER TABLE view.members ADD COLUMN invited_by uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'; -- who made the link by which he came; zero: he came by none
