-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What a rebuild must not repeat, and when ticks came.

-- While a rebuilt view replays what was applied before, nothing is told outside of it: no ticks, no dead letters.
CREATE TABLE view.rebuild (
    consumer  text    NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    until     bigint  NOT NULL,              -- offset: what is below was told already
    PRIMARY KEY (consumer, topic, partition)
);

-- When all other members had (kind 0), had read (kind 1) what `sender` said at `seq`; null: not yet. The first
-- advance whose minimum over the others reaches seq: `low`, or `next` where the sender is the lowest.
CREATE FUNCTION view.delivered_at(chat uuid, seq bigint, sender uuid, kind smallint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT LEAST(
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.chat_id = $1 AND a.kind = $4 AND a.low >= $2 AND a.low_user <> $3
         ORDER BY a.low, a.at_ms LIMIT 1),
        (SELECT a.at_ms FROM view.mark_advances a
         WHERE a.chat_id = $1 AND a.kind = $4 AND a.low_user = $3 AND a.next >= $2
         ORDER BY a.next, a.at_ms LIMIT 1))
$$;

-- The bytes as text; null when they are not UTF-8.
CREATE FUNCTION view.as_text(content bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(content, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END
$$;

-- These rows change with every message or receipt: leave room for it on their own page.
ALTER TABLE view.chats SET (fillfactor = 70);
ALTER TABLE view.cursors SET (fillfactor = 70);
ALTER TABLE view.marks SET (fillfactor = 70);
ALTER TABLE view.positions SET (fillfactor = 30);
