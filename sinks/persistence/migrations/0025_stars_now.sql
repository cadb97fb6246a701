-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Stars that stand, without those that were taken back, the latest of a chat first; and the stars of one
-- message, which go with it.

CREATE INDEX stars_now ON view.stars (part, chat_id, user_id, at_ms, target) WHERE starred;
CREATE INDEX stars_by_target ON view.stars (part, chat_id, target);
