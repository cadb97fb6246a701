-- SPDX-License-Identifier: MIT
-- Owner: sinks/search. Schema `search`: which messages may have a word. It holds no text and no word, only keys of words (lib/words), and
-- decides nothing: who may see what is asked of view.message_for(). It can be dropped and made anew from the log.

CREATE SCHEMA search;

-- What of a message is searched: the keys of each text that somebody may still read of it. The first one has the message's own seq as its
-- version, the others that of their edit.
CREATE TABLE search.texts (
    part       smallint NOT NULL,
    chat_id    uuid     NOT NULL,
    seq        bigint   NOT NULL,
    version    bigint   NOT NULL,
    message_id uuid     NOT NULL,
    at_ms      bigint   NOT NULL,            -- when the message was sent
    expires_at bigint,                       -- from when on it is gone; null: never
    marks      bigint[] NOT NULL,            -- keys that every text of it has: there is a message, there is a file of this kind
    words      bigint[] NOT NULL,            -- all keys
    PRIMARY KEY (part, chat_id, seq, version)
);
CREATE INDEX texts_due ON search.texts (part, expires_at) WHERE expires_at IS NOT NULL;

-- The same the other way round: the newest message of a chat that may have a word is at the end of its rows.
CREATE TABLE search.words (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    word    bigint   NOT NULL,
    at_ms   bigint   NOT NULL,
    seq     bigint   NOT NULL,
    PRIMARY KEY (part, chat_id, word, at_ms, seq)
);

-- At which seqs somebody left: a text that was edited before may still be read by whoever did.
CREATE TABLE search.leaves (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    seq     bigint   NOT NULL,
    PRIMARY KEY (part, chat_id, seq)
);
