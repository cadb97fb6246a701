-- SPDX-License-Identifier: MIT
-- See restore-begin.sql. What is in use is never older than the dump: its rows stay, and only those that are missing come back.

DELETE FROM auth.closed; -- of the time of the dump

DELETE FROM auth.links; -- of minutes that have passed: one that was used or refused since must not come back

-- Exports of before may have gone since, or been taken from whoever asked for them: they go, and what is left of their files with them.
UPDATE auth.archives SET ends_at = 0, free_at = 0;

-- A file that was finished since is in the log: as an upload it would be swept, and its bytes with it.
DELETE FROM media.uploads u USING view.media v WHERE u.media_id = v.media_id;

DO $$
DECLARE
    t record;
    n bigint;
BEGIN
    FOR t IN SELECT schemaname AS in_use, replace(schemaname, '_in_use', '') AS dumped, tablename AS name
             FROM pg_catalog.pg_tables WHERE schemaname IN ('auth_in_use', 'media_in_use') ORDER BY 1, 3 LOOP
        EXECUTE format('INSERT INTO %I.%I SELECT * FROM %I.%I ON CONFLICT DO NOTHING', t.in_use, t.name, t.dumped, t.name);
        GET DIAGNOSTICS n = ROW_COUNT;
        RAISE NOTICE '%.%: % rows came back', t.dumped, t.name, n;
    END LOOP;
END
$$;

-- Who logged out since the dump stays logged out: the log knows.
UPDATE auth_in_use.devices d SET revoked_at = (extract(epoch FROM now()) * 1000)::bigint
FROM view.devices v WHERE v.device_id = d.device_id AND v.removed_at IS NOT NULL AND d.revoked_at IS NULL;
UPDATE auth_in_use.refresh_tokens t SET used_at = (extract(epoch FROM now()) * 1000)::bigint
FROM auth_in_use.devices d WHERE d.device_id = t.device_id AND d.revoked_at IS NOT NULL AND t.used_at IS NULL;

-- What was taken away since: its object goes again, wherever it came from.
INSERT INTO media_in_use.deletions (media_id, key, asked_at, due_at)
SELECT v.media_id, v.key, x.deleted_at, x.deleted_at FROM view.media_ends x JOIN view.media v ON v.media_id = x.media_id AND v.owner_id = x.user_id
ON CONFLICT DO NOTHING;

DROP SCHEMA auth CASCADE;
DROP SCHEMA media CASCADE;
ALTER SCHEMA auth_in_use RENAME TO auth;
ALTER SCHEMA media_in_use RENAME TO media;
