-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. From when on the view has the time of every receipt.

-- When this view was made, or when it got this table. What is filled from the log has all receipts of the last 30 days before it
-- (the compaction lag of delivery.status), and of older ones the last of each device alone: its time would be too late for all before.
CREATE TABLE view.began (
    at_ms bigint PRIMARY KEY
);
INSERT INTO view.began VALUES (view.now_ms());

-- The times of receipts of what was sent from here on are those at which they came. A week is left for the filling itself.
CREATE FUNCTION view.times_since() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT b.at_ms - 23 * 86400000::bigint FROM view.began b
$$;
