-- SPDX-License-Identifier: MIT
-- Owner: edge/auth. A user's devices are listed, and counted at each log-in.

CREATE INDEX devices_by_user ON auth.devices (user_id, created_at);
