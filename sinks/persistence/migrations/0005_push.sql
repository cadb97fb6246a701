-- SPDX-License-Identifier: MIT
-- Owner: sinks/persistence (device_cursors: sinks/status). What waking phones needs to know.

-- From topic push.targets, which has nothing but the present. Order of kind, environment and privacy: schemas/push_target.avsc.
CREATE TABLE view.push_targets (
    device_id     uuid     PRIMARY KEY,
    user_id       uuid     NOT NULL,
    kind          smallint NOT NULL,         -- 0 FCM token, 1 FCM installation id, 2 APNs
    token         text     NOT NULL,
    app           text     NOT NULL,
    environment   smallint NOT NULL,         -- 0 production, 1 sandbox
    locale        text     NOT NULL,
    privacy       smallint NOT NULL,         -- 0 full, 1 name, 2 none
    registered_at bigint   NOT NULL,         -- ms since the epoch
    src_offset    bigint   NOT NULL          -- generation * 2^48 + offset of the registration: an older one never overwrites
);
CREATE INDEX push_targets_by_token ON view.push_targets (token);
CREATE INDEX push_targets_by_user ON view.push_targets (user_id);

CREATE TABLE view.mutes (
    user_id    uuid   NOT NULL,
    chat_id    uuid   NOT NULL,
    until_ms   bigint NOT NULL,              -- 0: not muted any more
    src_offset bigint NOT NULL,
    PRIMARY KEY (user_id, chat_id)
);

-- What each device said it has: a push for it need not be sent any more. (view.cursors is the user's, whatever the device.)
CREATE TABLE view.device_cursors (
    chat_id   uuid   NOT NULL,
    device_id uuid   NOT NULL,
    delivered bigint NOT NULL,
    PRIMARY KEY (chat_id, device_id)
);
ALTER TABLE view.device_cursors SET (fillfactor = 70);
