-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Whether the view has what the log had when its sinks began: one that is being filled is not to be read.

-- What is still to be applied: a row a partition, which goes when view.positions has passed `until`. With topic '' it stands
-- for all partitions of a consumer that has not yet looked where they end. The view is whole when no row is left.
CREATE TABLE view.incomplete (
    consumer  text    NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    until     bigint  NOT NULL,              -- the partition's end when the consumer looked
    PRIMARY KEY (consumer, topic, partition)
);

-- An empty view begins incomplete, whoever made it. One that had positions before this table is what its sinks made of it.
INSERT INTO view.incomplete (consumer, topic, partition, until)
SELECT consumer, '', 0, 0 FROM unnest(ARRAY['persistence', 'status']) AS consumer
WHERE NOT EXISTS (SELECT 1 FROM view.positions);

-- Every statement that reads the view asks this first (lib/feed/whole.h). Class 55: not in the state that is needed.
CREATE FUNCTION view.whole(lacking boolean) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF lacking THEN
        RAISE EXCEPTION 'the view is incomplete' USING ERRCODE = '55V01';
    END IF;
    RETURN true;
END
$$;
