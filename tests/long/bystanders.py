#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ordinary people notice while somebody does the worst that the limits allow.

Calm and attack alternate three times. In each phase at least --messages messages of bystanders are sent, by pairs on the attacked gateway and by pairs on the
other one; a few others send by REST. For each attack the median of the three ratios of the p99 latencies (attack / calm before it) is at most RATIO, and
no bystander's message is refused, lost or doubled. Prints a line an attack, and ends with 1 when one is worse. Times on a machine with other work on it
mean nothing, ratios little: the calm phases of the same run say how quiet it was.
"""

import argparse
import asyncio
import collections
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import attacks  # noqa: E402
from attacks import FREE, LIMITED, STACK, Attack, World, new_id  # noqa: E402
from rest import Rest, sign_in  # noqa: E402
from stack import Stack  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

PAIRS, CALLERS = 20, 4
EVERY_S = 0.2  # a sender's pause: half of what the limits allow
LOST_AFTER_S = 30.0
RATIO = 3.0

class Bystanders:
    """Pairs who write to each other, and a few who send by REST."""

    def __init__(self, stack):
        self.stack = stack
        self.phase = ""  # "": nobody sends
        self.late_ms: dict[tuple[str, str], list[float]] = collections.defaultdict(list)  # (phase, door) → ms
        self.refused: collections.Counter[str] = collections.Counter()
        self.open: dict[str, tuple[str, str, float]] = {}  # client id → phase, door, when
        self.came: collections.Counter[str] = collections.Counter()
        self.tasks: list[asyncio.Task] = []
        self.callers: list[Rest] = []

    async def come(self) -> "Bystanders":
        free = Rest(self.stack.rest_url(FREE))
        people = [await sign_in(free, attacks.phone(), "Bystander") for _ in range(2 * PAIRS + 2 * CALLERS)]
        await free.close()
        ready = []
        for i in range(PAIRS):
            a, b = people[2 * i : 2 * i + 2]
            url = self.stack.ws_url((LIMITED, FREE)[i % 2])
            ready += [self._socket(url, a, b.user_id, f"ws {i % 2}"), self._socket(url, b, None, "")]
        for i in range(CALLERS):
            a, b = people[2 * PAIRS + 2 * i : 2 * PAIRS + 2 * i + 2]
            self.tasks.append(asyncio.create_task(self._caller(a, b.user_id)))
        await asyncio.gather(*ready)
        return self

    async def _socket(self, url, who, peer, door):
        ws = await connect(url, compression=None, max_size=None, ping_interval=None)
        await ws.send(json.dumps({"t": "auth", "token": who.access}))
        assert json.loads(await ws.recv())["t"] == "ready"
        await ws.send('{"t":"ok","n":1}')
        self.tasks.append(asyncio.create_task(self._hear(ws, who.user_id)))
        if peer:
            self.tasks.append(asyncio.create_task(self._send(ws, peer, door)))

    async def _hear(self, ws, me):
        async for text in ws:
            f = json.loads(text)
            if f["t"] == "message" and f["from"] != me:
                self.came[f["clientId"]] += 1
                if f["clientId"] in self.open:
                    phase, door, at = self.open.pop(f["clientId"])
                    self.late_ms[phase, door].append(1000 * (time.monotonic() - at))
            elif f["t"] == "nack":
                self.refused[f"{self.phase}: nack {f['code']}"] += 1
            if "n" in f:
                await ws.send(json.dumps({"t": "ok", "n": f["n"]}))
        self.refused[f"{self.phase}: socket closed {ws.close_code}"] += 1

    async def _send(self, ws, peer, door):
        while True:
            await asyncio.sleep(EVERY_S)
            if self.phase:
                cid = new_id()
                self.open[cid] = self.phase, door, time.monotonic()
                await ws.send(json.dumps({"t": "message.send", "clientId": cid, "peer": peer, "content": "hello", "type": "text"}))

    async def _caller(self, who, peer):
        """Not among the counted messages: the time of a whole POST, which waits for the view."""
        rest = Rest(self.stack.rest_url(LIMITED), who.access)
        self.callers.append(rest)
        chat = (await rest.post("/api/chats", {"userId": peer}, expect=(200, 201))).body["chat"]["chatId"]
        while True:
            await asyncio.sleep(EVERY_S)
            if phase := self.phase:
                began = time.monotonic()
                r = await rest.post("/api/messages", {"chatId": chat, "content": "hello", "type": "text", "clientId": new_id()})
                self.late_ms[phase, "rest"].append(1000 * (time.monotonic() - began))
                if r.status != 201:
                    self.refused[f"{phase}: REST {r.status} {r.code}"] += 1

    async def go(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.gather(*(c.close() for c in self.callers))

    def messages(self, phase):
        return [ms for (p, door), all_ms in self.late_ms.items() if p == phase and door != "rest" for ms in all_ms]

    async def settled(self):
        """All that was sent has come. What has not by then is lost."""
        end = time.monotonic() + LOST_AFTER_S
        while self.open and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for phase, _, _ in self.open.values():
            self.refused[f"{phase}: lost"] += 1
        self.open.clear()

    async def talk(self, phase, messages, until=lambda: True):
        """At least so many messages, and as long as `until` is not true."""
        self.phase = phase
        while len(self.messages(phase)) < messages or not until():
            await asyncio.sleep(0.02)
        self.phase = ""
        await self.settled()


def p99(ms):
    return sorted(ms)[min(len(ms) - 1, int(len(ms) * 0.99))]


async def try_attack(people, world, name, options):
    """Lines of one attack, and whether it was good."""
    ratios, rest_ratios, said = [], [], []
    numbers = collections.defaultdict(list)
    for i in range(options.rounds):
        calm, attack = f"{name} calm {i}", f"{name} attack {i}"
        await people.talk(calm, options.messages)
        with Attack(name, world, options.seconds) as a:
            done = asyncio.create_task(asyncio.to_thread(a.wait))
            await people.talk(attack, options.messages, done.done)
            said.append(await done)
        for phase, kind in ((calm, "calm"), (attack, "attack")):
            ms = people.messages(phase)
            numbers[kind].append(f"{statistics.median(ms):.0f}/{p99(ms):.0f}")
            numbers["n"].append(len(ms))
        ratios.append(p99(people.messages(attack)) / p99(people.messages(calm)))
        rest_ratios.append(p99(people.late_ms[attack, "rest"]) / p99(people.late_ms[calm, "rest"]))
        await asyncio.sleep(options.pause)
    bad = {what: n for what, n in people.refused.items() if what.startswith(name)}
    ratio = statistics.median(ratios)
    total = collections.Counter()
    for s in said:
        total.update(s)
    print(f"{name:12} p99 x {ratio:5.2f} of {RATIO:.0f} ({', '.join(f'{r:.2f}' for r in ratios)})  REST x {statistics.median(rest_ratios):5.2f}  "
          f"p50/p99 ms: calm {' '.join(numbers['calm'])}, attack {' '.join(numbers['attack'])}; {min(numbers['n'])}+ messages a phase", flush=True)
    print(f"{'':12} the attack: {dict(total)}; bystanders refused or lost: {bad or 'none'}", flush=True)
    return ratio <= RATIO and not bad


async def run(stack, options):
    world = await World.made(stack, options.members, options.devices)
    people = await Bystanders(stack).come()
    await people.talk("warm", options.messages)
    good = {}
    for name in options.attacks:
        if name == "pushes":  # the last: from then on the others would wake people, too
            await world.wake(stack)
        good[name] = await try_attack(people, world, name, options)
    doubled = [cid for cid, n in people.came.items() if n > 1]
    await people.go()
    ended = {p.name: p.starts for p in stack.roles() if p.starts != 1}
    print(f"{sum(good.values())} of {len(good)} attacks within their ratios; doubled: {len(doubled)}; started again: {ended or 'none'}")
    return all(good.values()) and not doubled and not ended


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--messages", type=int, default=1000, help="of bystanders, a phase")
    args.add_argument("--seconds", type=float, default=12, help="of an attack, at least")
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--pause", type=float, default=3, help="seconds after an attack")
    args.add_argument("--members", type=int, default=attacks.GROUP_MAX - 1)
    args.add_argument("--devices", type=int, default=40, help="people with 16 devices")
    args.add_argument("--port", type=int, default=int(os.environ.get("CHASQUI_TEST_PORT", "25000")) + 400)
    args.add_argument("attacks", nargs="*", default=list(attacks.ATTACKS), metavar="ATTACK", help=", ".join(attacks.ATTACKS))
    options = args.parse_args()
    with Stack(base_port=options.port, keep=bool(os.environ.get("CHASQUI_KEEP")), **STACK) as stack:
        stack.start()
        return 0 if asyncio.run(run(stack, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
