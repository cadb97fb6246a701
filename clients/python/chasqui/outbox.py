# SPDX-License-Identifier: MIT
"""What was sent and has no verdict yet, in order. Pure: it is told the time, and says what goes out now."""
from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

OUTBOX_MAX = 1000
ACK_WAIT_S = 10  # then it is sent again
VERDICT_WAIT_S = 30  # after the ack; then it is sent again, and the first verdict comes once more
NEW, SENT, ACKED = "new", "sent", "acked"


class Full(Exception):
    """Too much is waiting for its verdict: OUTBOX_MAX. Send again later."""


class Refused(Exception):
    """The server said no, for good. `code` as of `nack` or `rejected`."""

    def __init__(self, code: str, frame: dict):
        super().__init__(f"{code}: {frame}")
        self.code, self.frame = code, frame


@dataclass
class Entry:
    frame: dict
    done: Any  # a future of the verdict
    state: str = NEW
    since_s: float = 0  # in this state


class Outbox:
    def __init__(self, in_flight_max: int = 32):
        self.in_flight_max = in_flight_max
        self.entries: dict[str, Entry] = {}  # by clientId, in order of sending
        self.wait_until_s = 0.0
        self.probe = False  # after a nack one goes first, and the others when it was acked

    def add(self, frame: dict, done: Any) -> None:
        if len(self.entries) >= OUTBOX_MAX:
            raise Full(f"{OUTBOX_MAX} sends wait for their verdicts: wait for one of them")
        self.entries[frame["clientId"]] = Entry(frame, done)

    def due(self, now_s: float, caught_up: bool) -> list[dict]:
        """Frames to write now, in order; they count as sent."""
        entries = list(self.entries.values())
        late = next((i for i, entry in enumerate(entries) if entry.state == SENT and now_s - entry.since_s >= ACK_WAIT_S), len(entries))
        for entry in entries[late:]:
            if entry.state == SENT:
                entry.state = NEW
        if now_s < self.wait_until_s:
            return []
        frames, most = [], 1 if self.probe else self.in_flight_max
        flying = sum(entry.state == SENT for entry in entries)
        for entry in entries:
            lost = entry.state == ACKED and caught_up and now_s - entry.since_s >= VERDICT_WAIT_S
            if flying + len(frames) >= most:
                break
            if entry.state == NEW or lost:
                entry.state, entry.since_s = SENT, now_s
                frames.append(entry.frame)
        return frames

    def acked(self, client_id: str, now_s: float) -> None:
        entry = self.entries.get(client_id)
        self.probe = False
        if entry:
            entry.state, entry.since_s = ACKED, now_s

    def nacked(self, frame: dict, now_s: float) -> Entry | None:
        """The entry, when the refusal is final. Else it goes again, and all that was sent after it, in order."""
        entry = self.entries.get(frame["clientId"])
        if not entry:
            return None
        wait_s = (frame.get("retryAfter") or 0) / 1000
        if wait_s <= 0:
            return self.entries.pop(frame["clientId"])
        if entry.state == SENT:
            entries = list(self.entries.values())
            for later in entries[entries.index(entry):]:
                if later.state == SENT:
                    later.state = NEW
            self.probe = True
            self.wait_until_s = now_s + wait_s * random.uniform(1, 1.2)
        return None

    def verdict(self, client_id: str) -> Entry | None:
        return self.entries.pop(client_id, None)

    def lost(self) -> None:
        """The socket is gone: what has no ack is unknown, and the same clientId makes sending again harmless."""
        for entry in self.entries.values():
            if entry.state == SENT:
                entry.state = NEW
        self.wait_until_s, self.probe = 0.0, False
