-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Of a message that was changed very often the newest is kept, as sinks/persistence/changes.c does with each change.

DELETE FROM view.versions v USING (
    SELECT part, chat_id, target, seq, row_number() OVER (PARTITION BY part, chat_id, target ORDER BY seq DESC) AS n FROM view.versions) o
WHERE o.n > 8 AND v.part = o.part AND v.chat_id = o.chat_id AND v.target = o.target AND v.seq = o.seq;

DELETE FROM view.edits v USING (
    SELECT part, chat_id, target, seq, row_number() OVER (PARTITION BY part, chat_id, target ORDER BY seq DESC) AS n FROM view.edits) o
WHERE o.n > 64 AND v.part = o.part AND v.chat_id = o.chat_id AND v.target = o.target AND v.seq = o.seq;

DELETE FROM view.reactions v USING (
    SELECT part, chat_id, target, user_id, seq, row_number() OVER (PARTITION BY part, chat_id, target, user_id ORDER BY seq DESC) AS n
    FROM view.reactions) o
WHERE o.n > 8 AND v.part = o.part AND v.chat_id = o.chat_id AND v.target = o.target AND v.user_id = o.user_id AND v.seq = o.seq;
