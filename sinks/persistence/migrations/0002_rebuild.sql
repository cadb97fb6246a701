-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. What was applied before the view was dropped: below `until` a replay tells nobody.

CREATE TABLE view.rebuild (
    consumer  text    NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    until     bigint  NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
);
