# SPDX-License-Identifier: MIT
"""The path of a message as queues that share the cores of one machine: what a turn costs decides how often turns come.

Each stage takes all that waits, works on it and hands it on; a turn's work is what its requests to the broker and its messages
cost. All turns under way share the cores. Nothing else is in the model: no lock, no page cache, no garbage collector.
"""

import random
from collections import deque
from dataclasses import dataclass, field

STEP_S = 0.0002
# Seconds from the beginning of a turn to the next: at least, more for each message in it, at most.
PACE_S = {"ingest": (0.001, 0.001 / 4, 0.004), "chat": (0.001, 0.001 / 4, 0.005), "user": (0.001, 0.001 / 4, 0.005),
          "push": (0.0, 0.0, 0.0), "view": (0.020, 0.001 / 8, 0.040)}
ROAD = ("ingest", "chat", "user", "push")  # the view is beside it
RECEIPT_WINDOW_S = 0.1
BATCH_MAX = 1000


@dataclass
class Costs:
    """Microseconds. A request is a produce or a fetch; its price is paid by the client and by the broker."""
    kafka_request: float = 90.0
    client_request: dict = field(default_factory=lambda: {"ingest": 25.0, "chat": 25.0, "user": 25.0, "push": 25.0, "view": 25.0})
    transaction: float = 600.0
    socket: float = 10.0  # to read from, or to write to, one socket in a turn, however many frames
    message: dict = field(default_factory=lambda: {"ingest": 12.0, "chat": 5.0, "user": 3.0, "push": 14.0, "view": 10.0, "kafka": 4.0})


def touched(partitions, n):
    """How many of `partitions` n records fall on, on average."""
    return partitions * (1 - (1 - 1 / partitions) ** n)


def requests_of(stage, n, partitions):
    """(produce, fetch) requests of a turn with n messages, receipts not counted."""
    if stage == "ingest":
        return touched(partitions, n), 0
    if stage == "chat":  # events keep the partition; the inbox is by user, sender and receiver
        return touched(partitions, n) + touched(partitions, 2 * n), 1
    if stage == "user":
        return 1, 1  # sessions share slots
    return 0, 1


class Turn:
    def __init__(self, stage, messages, work):
        self.stage, self.messages, self.left = stage, messages, work


class Machine:
    """One of each role, Kafka and PostgreSQL on `cores` (less what the load generator takes)."""

    def __init__(self, costs, cores, partitions, users=1000, seed=1):
        self.costs, self.cores, self.partitions, self.users, self.random = costs, cores, partitions, users, random.Random(seed)
        self.waiting = {stage: deque() for stage in (*ROAD, "view")}
        self.running, self.may_begin = {}, {stage: 0.0 for stage in (*ROAD, "view")}
        self.requests = {stage: 0.0 for stage in (*ROAD, "view", "receipts")}
        self.transactions, self.messages, self.busy_s, self.latency, self.sockets = 0, 0, 0.0, [], 0.0

    def _turn(self, stage, now):
        queue = self.waiting[stage]
        taken = [queue.popleft() for _ in range(min(len(queue), BATCH_MAX))]
        produce, fetch = requests_of(stage, len(taken), self.partitions)
        sockets = self._sockets(stage, len(taken))
        work = sockets * self.costs.socket + (produce + fetch) * (self.costs.kafka_request + self.costs.client_request[stage]) + len(taken) * self.costs.message[stage]
        if stage == "view":
            work += self.costs.transaction
            self.transactions += 1
        if stage == "chat":
            work += len(taken) * self.costs.message["kafka"]
        self.requests[stage] += produce + fetch
        self.sockets += sockets
        least, more, most = PACE_S[stage]
        self.may_begin[stage] = now + min(least + more * len(taken), most)
        self.running[stage] = Turn(stage, taken, work * 1e-6)

    def _sockets(self, stage, n):
        """Each message is read from a socket and acknowledged on it; shown on two, which answer."""
        return {"ingest": 2, "push": 4}.get(stage, 0) / 2 * touched(self.users, n if stage == "ingest" else 2 * n)

    def _receipts(self, now, due):
        """Once a window: a record for each partition goes all the way back, whatever is in it."""
        if now < due:
            return due
        if any(self.waiting.values()) or self.running:
            # in at each partition, told by chat and status, routed by user and pushed; with what fetches them
            requests = 3 * self.partitions + 8
            self.requests["receipts"] += requests
            self.running[f"receipts {now}"] = Turn("receipts", [], (requests * (self.costs.kafka_request + self.costs.client_request["chat"])
                                                                    + self.costs.transaction) * 1e-6)
            self.transactions += 1
        return now + RECEIPT_WINDOW_S

    def run(self, seconds, rate=0.0, in_flight=0):
        """Open loop at `rate` messages a second, or `in_flight` messages that each begin anew when delivered."""
        now, next_s, receipts_s, warm = 0.0, 0.0, 0.0, seconds / 4
        self.waiting["ingest"].extend(0.0 for _ in range(in_flight))
        while now < seconds:
            while rate and next_s <= now:
                self.waiting["ingest"].append(next_s)
                next_s += self.random.expovariate(rate)
            for stage in (*ROAD, "view"):
                if stage not in self.running and self.waiting[stage] and now >= self.may_begin[stage]:
                    self._turn(stage, now)
            receipts_s = self._receipts(now, receipts_s)
            self._work(now, warm, in_flight)
            now += STEP_S
        return self

    def _work(self, now, warm, in_flight):
        if not self.running:
            return
        share = STEP_S * min(1.0, self.cores / len(self.running))
        for name, turn in list(self.running.items()):
            self.busy_s += min(share, turn.left)
            turn.left -= share
            if turn.left > 0:
                continue
            del self.running[name]
            if turn.stage == "receipts":
                continue
            if turn.stage == "chat":
                self.waiting["view"].extend(turn.messages)
            if turn.stage == "push":
                self._delivered(turn.messages, now + STEP_S, warm, in_flight)
            elif turn.stage != "view":
                self.waiting[ROAD[ROAD.index(turn.stage) + 1]].extend(turn.messages)

    def _delivered(self, messages, now, warm, in_flight):
        self.messages += len(messages)
        if now > warm:
            self.latency += [now - due for due in messages]
        if in_flight:
            self.waiting["ingest"].extend(now for _ in messages)

    def figures(self, seconds):
        late = sorted(self.latency) or [0.0]
        per = max(self.messages, 1)
        return {"rate": self.messages / seconds, "p50_ms": 1000 * late[len(late) // 2], "p99_ms": 1000 * late[len(late) * 99 // 100],
                "cpu_us": 1e6 * self.busy_s / per, "cores": self.busy_s / seconds,
                "sockets": self.sockets / per, "requests": sum(self.requests.values()) / per, "transactions": self.transactions / per,
                "edge_requests": (self.requests["ingest"] + self.requests["push"]) / per, "chat_requests": self.requests["chat"] / per,
                "user_requests": self.requests["user"] / per}
