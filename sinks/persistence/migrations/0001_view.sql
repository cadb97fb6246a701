-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Schema `view`: a materialized view of the log. It can be dropped and rebuilt, so it
-- holds no truth and no foreign keys between rows of different topics (their order is not given).

CREATE SCHEMA view;

-- How far each consumer has applied each partition. `next` moves by compare-and-set as the first statement
-- of every transaction, which fences zombies. `source_next`: one past the highest source offset applied
-- (chat.actions for chat.events and rejections, user.inbox for user.events).
CREATE TABLE view.positions (
    consumer    text    NOT NULL,
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next        bigint  NOT NULL,
    source_next bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (consumer, topic, partition)
);

CREATE TABLE view.users (
    user_id       uuid   PRIMARY KEY,
    name          text   NOT NULL,
    registered_at bigint NOT NULL,           -- ms since the epoch
    src_offset    bigint NOT NULL            -- generation * 2^48 + offset of the fact that set the name: an older one never overwrites
);

CREATE TABLE view.devices (
    device_id  uuid   PRIMARY KEY,
    user_id    uuid   NOT NULL,
    platform   text   NOT NULL,
    label      text   NOT NULL,
    added_at   bigint NOT NULL,
    removed_at bigint
);
CREATE INDEX devices_by_user ON view.devices (user_id);

CREATE TABLE view.chats (
    chat_id     uuid     PRIMARY KEY,
    kind        smallint NOT NULL,           -- 0 direct, 1 group
    name        text     NOT NULL DEFAULT '',
    name_seq    bigint   NOT NULL DEFAULT 0, -- seq that set the name
    part        integer  NOT NULL,           -- partition of chat.events
    created_at  bigint   NOT NULL,
    created_by  uuid     NOT NULL,
    last_seq    bigint   NOT NULL DEFAULT 0, -- last message
    changed_seq bigint   NOT NULL            -- last message, name or membership change
);

-- One row a stay. A user sees messages with joined_seq < seq < left_seq.
CREATE TABLE view.members (
    chat_id    uuid     NOT NULL,
    user_id    uuid     NOT NULL,
    joined_seq bigint   NOT NULL,            -- 0 in direct chats
    left_seq   bigint,                       -- null: still a member
    role       smallint NOT NULL,            -- 0 member, 1 admin, 2 owner
    PRIMARY KEY (chat_id, user_id, joined_seq)
);
CREATE INDEX members_by_user ON view.members (user_id, chat_id);

CREATE TABLE view.messages (
    chat_id      uuid     NOT NULL,
    seq          bigint   NOT NULL,
    id           uuid     NOT NULL UNIQUE,   -- the last line against doubling
    sender_id    uuid     NOT NULL,
    client_id    text     NOT NULL,
    type         smallint NOT NULL,          -- order of MessageType in schemas/chat_event.avsc
    content_type text     NOT NULL,
    content      bytea    NOT NULL,
    key_id       text,
    sent_at      bigint   NOT NULL,
    PRIMARY KEY (chat_id, seq)
);

CREATE TABLE view.rejected (
    src_partition integer NOT NULL,
    src_offset    bigint  NOT NULL,
    id            uuid    NOT NULL,          -- of the message or group that does not come to be
    chat_id       uuid    NOT NULL,
    user_id       uuid    NOT NULL,
    client_id     text    NOT NULL,
    code          text    NOT NULL,
    at_ms         bigint  NOT NULL,
    PRIMARY KEY (src_partition, src_offset)
);
CREATE INDEX rejected_by_id ON view.rejected (id);

-- Written by sinks/status. Cursors never go back.
CREATE TABLE view.cursors (
    chat_id    uuid   NOT NULL,
    user_id    uuid   NOT NULL,
    delivered  bigint NOT NULL DEFAULT 0,
    read       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (chat_id, user_id)
);

CREATE TABLE view.receipts (
    chat_id uuid     NOT NULL,
    user_id uuid     NOT NULL,
    kind    smallint NOT NULL,               -- 0 delivered, 1 read
    seq     bigint   NOT NULL,
    at_ms   bigint   NOT NULL,
    PRIMARY KEY (chat_id, user_id, kind, seq)
);

-- The two lowest cursors of a chat's present members. What all but `u` have: low, or next when u is low_user.
CREATE TABLE view.marks (
    chat_id   uuid     NOT NULL,
    kind      smallint NOT NULL,
    low       bigint   NOT NULL,
    low_user  uuid     NOT NULL,
    next      bigint   NOT NULL,
    at_ms     bigint   NOT NULL,             -- time of the receipt or change that moved it
    src_part  integer  NOT NULL,             -- position in delivery.status, for sync
    src_next  bigint   NOT NULL,
    PRIMARY KEY (chat_id, kind)
);

-- Every value marks had: gives deliveredAt and seenAt.
CREATE TABLE view.mark_advances (
    chat_id  uuid     NOT NULL,
    kind     smallint NOT NULL,
    low      bigint   NOT NULL,
    low_user uuid     NOT NULL,
    next     bigint   NOT NULL,
    at_ms    bigint   NOT NULL,
    PRIMARY KEY (chat_id, kind, low, low_user, next)
);
CREATE INDEX mark_advances_by_next ON view.mark_advances (chat_id, kind, low_user, next);
