-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Users who deleted their accounts: what they showed of themselves is gone, and every fact of theirs that comes
-- later is older than what they have here.

ALTER TABLE view.users ADD COLUMN deleted_at bigint;   -- null: he did not
CREATE INDEX users_deleted ON view.users (user_id) WHERE deleted_at IS NOT NULL;
