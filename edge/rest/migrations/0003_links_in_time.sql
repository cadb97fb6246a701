-- SPDX-License-Identifier: MIT
-- Owner: edge/rest. Each of the two looks at ended links has an index of its own: in one, the links of a day that wait for the second
-- look stood before those that are due for the first.

DROP INDEX media.uploads_with_links;
CREATE INDEX uploads_links_soon ON media.uploads (links_until)
    WHERE links_until > 0 AND NOT links_swept AND (stored OR ended_at IS NOT NULL);
CREATE INDEX uploads_links_late ON media.uploads (links_until)
    WHERE links_until > 0 AND links_swept AND (stored OR ended_at IS NOT NULL);
