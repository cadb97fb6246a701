-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Stars that stand, without those that were taken back, the latest of a chat first.

CREATE INDEX stars_now ON view.stars (part, chat_id, user_id, at_ms, target) WHERE starred;
