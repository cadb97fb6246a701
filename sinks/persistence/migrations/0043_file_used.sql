-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. Whether anything shows a file, to anybody.

-- A message of its owner, in whichever version, a profile or a group. Whom it is shown to does not matter: who hid a message for himself has not
-- taken its file from others. From the parts of his chats, those that he left too, to what shows it there.
CREATE FUNCTION view.file_used(media uuid, owner uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM view.profiles f WHERE f.user_id = $2 AND f.picture_id = $1) OR EXISTS (
        SELECT 1 FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) p
        CROSS JOIN LATERAL (
            (SELECT 1 FROM view.messages y
             WHERE y.part = p.part AND y.media_id = $1 AND y.sender_id = $2 LIMIT 1)
            UNION ALL
            (SELECT 1 FROM view.messages y
             WHERE y.part = p.part AND y.preview_media = $1 AND y.sender_id = $2 LIMIT 1)
            UNION ALL
            (SELECT 1 FROM view.versions v
             WHERE v.part = p.part AND v.preview_media = $1 LIMIT 1)
            UNION ALL
            (SELECT 1 FROM view.chats k
             WHERE k.part = p.part AND k.picture_id = $1 AND k.picture_by = $2 LIMIT 1)
            OFFSET 0) q)
$$;
