-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Messages whose text has an address, the newest last; and edits that have one. Which they are is written by
-- the index itself, so that no row says it that could be wrong.

CREATE FUNCTION view.has_link(content bytea) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT position('http://'::bytea in content) > 0 OR position('https://'::bytea in content) > 0
$$;

CREATE INDEX messages_with_links ON view.messages (part, chat_id, seq) WHERE view.has_link(content);
CREATE INDEX versions_with_links ON view.versions (part, chat_id, target) WHERE view.has_link(content);
