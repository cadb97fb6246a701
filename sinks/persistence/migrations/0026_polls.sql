-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Messages that ask their readers, and what these chose.

-- A row a poll, with its result: reading it costs no more with a thousand votes than with one. It goes with its message.
CREATE TABLE view.polls (
    part        smallint NOT NULL,
    chat_id     uuid     NOT NULL,
    target      bigint   NOT NULL,           -- seq of the message
    message_id  uuid     NOT NULL,
    options     text[]   NOT NULL,
    choices     smallint NOT NULL,           -- how many of them one may choose
    anonymous   boolean  NOT NULL,
    closes_at   bigint,                      -- from then on, by the log's time, no vote counts; null: not by time
    closed_seq  bigint   NOT NULL DEFAULT 0, -- of the author's word that it is closed, 0: none; no vote above it counts
    closed_at   bigint,                      -- the log's time of it
    counts      integer[] NOT NULL,          -- of each option
    voters      integer  NOT NULL DEFAULT 0, -- who have chosen anything
    changed_seq bigint   NOT NULL,           -- of the last that counted: the poll itself, a vote, its end
    PRIMARY KEY (part, chat_id, target)
);
CREATE INDEX polls_by_seq ON view.polls (part, chat_id, changed_seq);

-- A row a poll and user: his last vote that counted. Only who saw the message can vote, so a poll has no more of them than a chat has members at
-- once.
CREATE TABLE view.votes (
    part    smallint NOT NULL,
    chat_id uuid     NOT NULL,
    target  bigint   NOT NULL,               -- seq of the message
    user_id uuid     NOT NULL,
    seq     bigint   NOT NULL,
    at_ms   bigint   NOT NULL,               -- the log's time
    chosen  smallint NOT NULL,               -- a bit an option; 0: taken back
    PRIMARY KEY (part, chat_id, target, user_id)
);
CREATE INDEX votes_by_user ON view.votes (part, chat_id, user_id, seq);

-- Whether `reader` is shown the result of a poll that changed last at `changed`: who is in the chat now, the whole; who left, only where
-- nothing came after him. So it is one result for all who are shown one.
CREATE FUNCTION view.sees_result(of_part smallint, of_chat uuid, reader uuid, changed bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.members s
                   WHERE s.part = of_part AND s.chat_id = of_chat AND s.user_id = reader AND (s.left_seq IS NULL OR s.left_seq > changed))
$$;

-- A poll as `reader`, who may see its message, is shown it, as JSON; null: the message is none. Of who chose what only his own.
CREATE FUNCTION view.poll_for(of_part smallint, of_chat uuid, of_seq bigint, reader uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT json_strip_nulls(json_build_object(
        'options', to_json(p.options), 'choices', p.choices, 'anonymous', p.anonymous, 'closesAt', p.closes_at,
        'seq', CASE WHEN r.seen THEN p.changed_seq END, 'counts', CASE WHEN r.seen THEN to_json(p.counts) END,
        'voters', CASE WHEN r.seen THEN p.voters END,
        'closed', CASE WHEN r.seen AND p.closed_seq <> 0 THEN json_build_object('seq', p.closed_seq, 'at', p.closed_at) END,
        'mine', (SELECT json_build_object('seq', v.seq, 'options', coalesce((
                    SELECT json_agg(o.i ORDER BY o.i) FROM generate_series(0, cardinality(p.options) - 1) AS o(i)
                    WHERE v.chosen >> o.i & 1 = 1), '[]'::json))
                 FROM view.votes v
                 WHERE v.part = of_part AND v.chat_id = of_chat AND v.target = of_seq AND v.user_id = reader)))::text
    FROM view.polls p CROSS JOIN LATERAL (SELECT view.sees_result(of_part, of_chat, reader, p.changed_seq) AS seen OFFSET 0) r
    WHERE p.part = of_part AND p.chat_id = of_chat AND p.target = of_seq
$$;
