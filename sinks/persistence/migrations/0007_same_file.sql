-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Whether somebody has a file already, without a word about what others have.

CREATE INDEX media_by_owner ON view.media (owner_id, sha256);
DROP INDEX view.media_by_hash;
CREATE INDEX messages_with_files ON view.messages (chat_id, seq) WHERE media_id IS NOT NULL;

-- One of the reader's own files with these bytes, or one that is shown to him; null: none. It goes from the reader to the files and
-- compares last, so that what it costs tells of the reader only: from the hash to its files, a file of strangers would take longer
-- than none. At most 2,000 stays in chats, and the 50 newest files of each: who is shown more sends an old one again.
CREATE FUNCTION view.same_file(sha256 bytea, size bigint, reader uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH own AS MATERIALIZED (
        SELECT s.media_id, s.size FROM view.media s WHERE s.owner_id = $3 AND s.sha256 = $1 LIMIT 50),
    stays AS MATERIALIZED (
        SELECT i.chat_id, i.joined_seq, i.left_seq FROM view.members i WHERE i.user_id = $3 LIMIT 2000),
    seen AS MATERIALIZED (
        SELECT d.media_id, d.sha256, d.size FROM stays i
        CROSS JOIN LATERAL (
            SELECT m.media_id, m.sender_id FROM view.messages m
            WHERE m.chat_id = i.chat_id AND m.media_id IS NOT NULL
              AND m.seq > i.joined_seq AND (i.left_seq IS NULL OR m.seq < i.left_seq)
            ORDER BY m.seq DESC LIMIT 50) m
        JOIN view.media d ON d.media_id = m.media_id AND d.owner_id = m.sender_id)
    SELECT media_id FROM own WHERE own.size = $2
    UNION ALL
    SELECT media_id FROM seen WHERE seen.sha256 = $1 AND seen.size = $2
    LIMIT 1
$$;
