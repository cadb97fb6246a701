-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Who shows an alert that comes by Google. Order: schemas/push_target.avsc.

ALTER TABLE view.push_targets ADD COLUMN mode smallint NOT NULL DEFAULT 0; -- 0 notification, 1 data
