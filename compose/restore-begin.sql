-- SPDX-License-Identifier: MIT
-- The rows of a dump of schemas `auth` and `media` into a database that is in use: this file, then what
-- `pg_restore --data-only --schema=auth --schema=media -f -` prints, then restore-end.sql, all by one `psql --single-transaction`.
-- The dump is read into tables beside those in use, which keep their names for everybody else until the end.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM auth.closed) THEN
        RAISE EXCEPTION 'the doors are open: chasqui admin doors close';
    END IF;
    IF EXISTS (SELECT 1 FROM view.incomplete) THEN
        RAISE EXCEPTION 'the view is being filled, and who logged out since the dump is not known yet: wait until view.incomplete is empty';
    END IF;
END
$$;

ALTER SCHEMA auth RENAME TO auth_in_use;
ALTER SCHEMA media RENAME TO media_in_use;
CREATE SCHEMA auth;
CREATE SCHEMA media;
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT schemaname AS in_use, replace(schemaname, '_in_use', '') AS dumped, tablename AS name
             FROM pg_catalog.pg_tables WHERE schemaname IN ('auth_in_use', 'media_in_use') LOOP
        EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS)', t.dumped, t.name, t.in_use, t.name);
    END LOOP;
END
$$;
