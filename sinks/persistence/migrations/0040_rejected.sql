-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What was refused is kept for 30 days, as in the log, and of each user the newest of each partition, as sinks/persistence/rejected.c does.
-- A change whose id and seq are of no message is among it, with the code stale_target: sync tells it to its author.

CREATE INDEX rejected_stale ON view.rejected (user_id, src_partition, src_offset) WHERE code = 'stale_target';
CREATE INDEX rejected_others ON view.rejected (user_id, src_partition, src_offset) WHERE code <> 'stale_target';
CREATE INDEX rejected_by_time ON view.rejected (src_partition, at_ms);

DELETE FROM view.rejected WHERE at_ms <= view.now_ms() - 30::bigint * 24 * 60 * 60 * 1000;
DELETE FROM view.rejected r USING (
    SELECT src_partition, src_offset, row_number() OVER (PARTITION BY user_id, src_partition ORDER BY src_offset DESC) AS n FROM view.rejected) o
WHERE o.n > 1000 AND r.src_partition = o.src_partition AND r.src_offset = o.src_offset;
