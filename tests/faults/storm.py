# SPDX-License-Identifier: MIT
"""Thousands of sockets lose their gateway at the same moment: when are they back and caught up, and who else notices?

Two gateways; all the crowd's sockets are on the first, some observers on the second. The first is killed while messages
for the crowd go on. Every socket comes back with full jitter to whichever gateway answers, is registered, and asks for
what it missed. Printed: how long the slowest took, how many queries the database had at one time, what the observers'
messages took meanwhile. Exit code 1: somebody was not back within --within, the database had more than it has workers
for, or something was lost.
"""
from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import random
import statistics
import sys
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import aiohttp  # noqa: E402
from client import MARK  # noqa: E402
from stack import Stack  # noqa: E402
from wire import Quick, more_descriptors  # noqa: E402

SOCKETS_A_USER = 10  # a user may have 32 sessions
BACKOFF_S = 5.0  # full jitter: the first try comes within this
WORKERS = 4  # of each REST edge: its connections to the database
SYNCS = 64  # at one time


class One:
    """A socket of the crowd, and what it knows."""

    def __init__(self, crowd, user: dict, i: int):
        self.crowd, self.user, self.i = crowd, user, i
        self.rng = random.Random(f"storm/{i}")
        self.cursor, self.have, self.wire = "", set(), None
        self.back_at = 0.0
        self.task: asyncio.Task | None = None

    async def connect(self, first: int) -> None:
        loop, tries = asyncio.get_running_loop(), 0
        while True:
            port = self.crowd.ports[(first + tries) % len(self.crowd.ports)]
            try:
                await asyncio.wait_for(loop.create_connection(lambda p=port: self.another(p), "127.0.0.1", port), 15)
                return
            except (OSError, asyncio.TimeoutError):
                tries += 1
                await asyncio.sleep(self.rng.uniform(0, min(60, BACKOFF_S * 2**tries)) / 4)

    def another(self, port: int) -> Quick:
        """Ours from now on: `ready` may be there before create_connection has returned."""
        self.wire = Quick(f"127.0.0.1:{port}", self.user["accessToken"], self.on, self.gone)
        return self.wire

    def on(self, wire, f: dict) -> None:
        if wire is not self.wire:
            return
        if f["t"] == "ready":
            self.task = asyncio.create_task(self.sync(f["at"]))
        elif f["t"] == "message":
            self.have.add(f["id"])

    async def sync(self, at: str) -> None:
        async with self.crowd.syncs:
            while True:
                params = {"cursor": self.cursor, "at_least": at}
                async with self.crowd.http.get(f"{self.crowd.rest[self.i % 2]}/api/sync", params=params,
                                               headers={"Authorization": f"Bearer {self.user['accessToken']}"}) as r:
                    if r.status != 200:
                        await asyncio.sleep(0.2)
                        continue
                    body = await r.json()
                self.have.update(m["id"] for m in body["messages"])
                self.cursor = body["cursor"]
                if not body["more"]:
                    break
        self.back_at = time.monotonic()

    def gone(self, wire) -> None:
        if wire is not self.wire or self.crowd.over:
            return
        self.back_at = 0.0
        if self.task:
            self.task.cancel()
        self.task = asyncio.create_task(self.come_back())

    async def come_back(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, BACKOFF_S))
        await self.connect(self.rng.randrange(2))


class Crowd:
    def __init__(self, stack, users: list[dict], n: int):
        self.stack, self.users = stack, users
        self.ports = [stack.services.ws_port(i) for i in range(2)]
        self.rest = [stack.rest_url(i) for i in range(2)]
        self.syncs = asyncio.Semaphore(SYNCS)
        self.over = False
        self.ones = [One(self, users[i % len(users)], i) for i in range(n)]
        self.took: list[tuple[float, float]] = []  # (when, seconds) of the observers' messages
        self.sent: dict[str, tuple[str, float]] = {}  # id → whom for, when
        self.most_queries = 0

    def missing(self) -> int:
        return sum(not o.back_at for o in self.ones)

    async def until_back(self, within_s: float) -> float:
        began = time.monotonic()
        while self.missing():
            if time.monotonic() - began > within_s:
                left = [o for o in self.ones if not o.back_at]
                raise SystemExit(f"{len(left)} sockets are not back after {within_s:.0f} s: {[(x.wire.open, x.task) for x in left[:2]]}")
            await asyncio.sleep(0.1)
        return max(o.back_at for o in self.ones) - began

    async def watch_database(self) -> None:
        import psycopg

        c = await psycopg.AsyncConnection.connect(self.stack.database_url, autocommit=True)
        async with c:
            while True:
                rows = await (await c.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() "
                    "AND application_name LIKE 'chasqui%rest%'")).fetchone()
                self.most_queries = max(self.most_queries, rows[0])
                await asyncio.sleep(0.05)

    async def chatter(self, pairs: list[tuple[dict, dict]], rate: float) -> None:
        """Observers on the second gateway, each to the next; and to somebody of the crowd."""
        loop, waiting = asyncio.get_running_loop(), {}

        def on(_wire, f):
            if f["t"] == "message" and f["clientId"] in waiting:
                began = waiting.pop(f["clientId"])
                self.took.append((began, time.monotonic() - began))
            elif f["t"] == "ack" and f["clientId"] in to_crowd:
                self.sent[f["id"]] = to_crowd.pop(f["clientId"])

        wires, to_crowd = [], {}
        for user in {id(u): u for pair in pairs for u in pair}.values():
            _, w = await loop.create_connection(lambda u=user: Quick(f"127.0.0.1:{self.ports[1]}", u["accessToken"], on, lambda _w: None),
                                                "127.0.0.1", self.ports[1])
            wires.append((user, w))
        rng = random.Random("storm/chatter")
        by_user = {u["userId"]: w for u, w in wires}
        while True:
            await asyncio.sleep(1 / rate)
            a, b = rng.choice(pairs)
            cid = str(uuid.UUID(int=rng.getrandbits(128)))
            waiting[cid] = time.monotonic()
            by_user[a["userId"]].say({"t": "message.send", "clientId": cid, "peer": b["userId"], "content": f"{MARK} {cid}", "type": "text"})
            cid, to = str(uuid.UUID(int=rng.getrandbits(128))), rng.choice(self.users)
            to_crowd[cid] = (to["userId"], time.monotonic())
            by_user[a["userId"]].say({"t": "message.send", "clientId": cid, "peer": to["userId"], "content": f"{MARK} {cid}", "type": "text"})


def percentile(values: list[float], p: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * p))] if values else 0.0


async def storm(stack, o, users: list[dict]) -> dict:
    more_descriptors()
    observers, crowd_users = users[:20], users[20:]
    crowd = Crowd(stack, crowd_users, o.sockets)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=SYNCS)) as crowd.http:
        gate = asyncio.Semaphore(128)

        async def enter(one):
            async with gate:
                await one.connect(0)

        await asyncio.gather(*(enter(x) for x in crowd.ones))
        first_s = await crowd.until_back(300)
        print(f"{o.sockets} sockets are there and caught up after {first_s:.1f} s", flush=True)
        pairs = [(observers[i], observers[(i + 1) % len(observers)]) for i in range(len(observers))]
        talk = asyncio.create_task(crowd.chatter(pairs, o.rate))
        await asyncio.sleep(5)
        before = [s for _, s in crowd.took]
        watch = asyncio.create_task(crowd.watch_database())
        mb = {p.name: rss(p.pid) for p in stack.roles()}
        killed = time.monotonic()
        await asyncio.to_thread(stack.role("edge-ws", 0).kill9)
        while crowd.missing() < o.sockets * 0.9:
            await asyncio.sleep(0.01)
        await crowd.until_back(o.within * 3)
        seconds = max(x.back_at for x in crowd.ones) - killed
        during = [s for at, s in crowd.took if at >= killed - 0.1]
        await asyncio.sleep(3)
        talk.cancel()
        await asyncio.sleep(3)
        lacking = sum(i not in x.have for i, (user, _) in crowd.sent.items() for x in crowd.ones if x.user["userId"] == user)
        crowd.over = True
        for x in crowd.ones:
            x.wire.transport.abort()
        watch.cancel()
    return {"sockets": o.sockets, "first": round(first_s, 1), "back_s": round(seconds, 1), "queries": crowd.most_queries, "lacking": lacking,
            "to_crowd": len(crowd.sent), "p50_before_ms": round(statistics.median(before) * 1000, 1),
            "p99_before_ms": round(percentile(before, 0.99) * 1000, 1), "p50_during_ms": round(statistics.median(during) * 1000, 1),
            "p99_during_ms": round(percentile(during, 0.99) * 1000, 1), "most_during_ms": round(max(during) * 1000, 1),
            "mb": {n: (a, rss(stack.services.proc(n).pid)) for n, a in mb.items() if n.startswith("edge")}}


def of_the_bench(name: str):
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE.parent / "bench" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rss(pid: int) -> int:
    from drive import Memory

    return Memory.of(pid)[0]


def main() -> int:
    a = argparse.ArgumentParser(prog="tests/faults/storm", description=__doc__)
    a.add_argument("--sockets", type=int, default=5000)
    a.add_argument("--within", type=float, default=60)
    a.add_argument("--rate", type=float, default=20)
    a.add_argument("--base-port", type=int, default=int(os.environ.get("CHASQUI_FAULTS_PORT", "30000")) + 600)
    o = a.parse_args()
    People = of_the_bench("people").People  # users by the thousand; our own people.py has the same name
    with Stack(base_port=o.base_port, copies={"edge-ws": 2, "edge-rest": 2}) as stack:
        stack.start()
        stack.role("edge-ws", 0).auto_restart = True
        people = People(stack.rest_url(), 77)
        people.need(20 + -(-o.sockets // SOCKETS_A_USER))
        print(f"{len(people.users)} users", flush=True)
        r = asyncio.run(storm(stack, o, people.users))
    print(json.dumps(r))
    print(f"{r['sockets']} sockets lost their gateway: all back and caught up after {r['back_s']} s; at most {r['queries']} queries at one "
          f"time; {r['to_crowd']} messages to them meanwhile, {r['lacking']} lacking; others' messages p50 {r['p50_before_ms']} -> "
          f"{r['p50_during_ms']} ms, p99 {r['p99_before_ms']} -> {r['p99_during_ms']} ms, at most {r['most_during_ms']} ms")
    good = r["back_s"] <= o.within and r["queries"] <= 2 * WORKERS and not r["lacking"] and r["to_crowd"]
    print("ok" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
