-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence. The original data model, as SQL views over `view` and `auth`.

CREATE SCHEMA model;

CREATE VIEW model.users AS
SELECT u.user_id AS id, u.name, a.phone_number AS "phoneNumber"
FROM view.users u LEFT JOIN auth.accounts a USING (user_id);

CREATE VIEW model.groups AS
SELECT chat_id AS id, name FROM view.chats WHERE kind = 1;

CREATE VIEW model.users_groups AS
SELECT m.user_id AS "userID", m.chat_id AS "groupID"
FROM view.members m JOIN view.chats c USING (chat_id)
WHERE c.kind = 1 AND m.left_seq IS NULL;

CREATE VIEW model.chats AS
SELECT chat_id AS id, name FROM view.chats WHERE kind = 0;

CREATE VIEW model.users_chats AS
SELECT m.user_id AS "userID", m.chat_id AS "chatID"
FROM view.members m JOIN view.chats c USING (chat_id)
WHERE c.kind = 0;

-- Encrypted content (with a key id) is not text and shows as null.
CREATE VIEW model.messages AS
SELECT m.id,
       m.sender_id AS "userID",
       CASE WHEN c.kind = 1 THEN m.chat_id END AS "groupID",
       CASE WHEN c.kind = 0 THEN m.chat_id END AS "chatID",
       (ARRAY['text', 'image', 'video', 'audio', 'document'])[m.type + 1] AS type,
       CASE WHEN m.key_id IS NULL THEN view.as_text(m.content) END AS content,
       to_timestamp(m.sent_at / 1000.0) AS "sentAt",
       to_timestamp(view.delivered_at(m.chat_id, m.seq, m.sender_id, 0::smallint) / 1000.0) AS "deliveredAt",
       to_timestamp(view.delivered_at(m.chat_id, m.seq, m.sender_id, 1::smallint) / 1000.0) AS "seenAt"
FROM view.messages m JOIN view.chats c USING (chat_id);
