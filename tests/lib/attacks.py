# SPDX-License-Identifier: MIT
"""The worst that the limits allow, as processes of their own, and bystanders who talk meanwhile.

    world = asyncio.run(World.made(stack))              # people, groups, devices: by the copies of the edges without limits
    with Attack("fanout", world, seconds=10) as attack: # by the copies with the limits that are shipped
        ...
    attack.said                                         # what became of it: counts
"""
from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
from rest import Rest, register_push, sign_in
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

LIMITED, FREE = 0, 1  # copies of both edges
SHIPPED = {"PARTITIONS": "2", "SLOTS": "4", "RATE_PER_MINUTE": "600", "CODE_PER_NUMBER_HOUR": "3"}
WITHOUT = {"RATE_PER_MINUTE": "100000000", "CODE_PER_NUMBER_HOUR": "100000"}
STACK = {"copies": {"edge-rest": 2, "edge-ws": 2}, "settings": SHIPPED,
         "own_settings": {("edge-rest", FREE): WITHOUT, ("edge-ws", FREE): WITHOUT}}
GROUP_MAX = 1024
TEXT_BYTES = 32_000
AT_ONCE = 16


def new_id() -> str:
    return str(uuid.uuid4())


def phone() -> str:
    return f"+4915{random.randrange(10**8, 10**9)}"


@dataclass
class Person:
    user: str
    token: str
    device: str = ""
    phone: str = ""


@dataclass
class World:
    """Who is there. Goes to the attacks as JSON."""

    rest: str
    ws: str
    away: list[str] = field(default_factory=list)  # users without a session
    attackers: list[Person] = field(default_factory=list)
    big: str = ""  # a group of the first attacker with everybody who is away
    people: list[Person] = field(default_factory=list)  # those who are away; not for the attacks
    devices: str = ""  # a group of the attackers with people of 16 devices with long addresses

    @classmethod
    async def made(cls, stack, away: int = GROUP_MAX - 1, many_devices: int = 40) -> "World":
        w = cls(stack.rest_url(LIMITED), stack.ws_url(LIMITED))
        free = Rest(stack.rest_url(FREE))
        gate = asyncio.Semaphore(AT_ONCE)

        async def person(number: str | None = None) -> Person:
            async with gate:
                number = number or phone()
                t = await sign_in(free, number, "Somebody")
                return Person(t.user_id, t.access, t.device_id, number)

        async def with_devices() -> str:
            one = await person()
            for _ in range(16):
                p = await person(one.phone)
                body = {"kind": "fcm_token", "token": (new_id() + "A" * 1024)[:1024], "app": "a" * 155, "locale": "l" * 35}
                while (r := await free.call("PUT", f"/api/devices/{p.device}/push", body, token=p.token)).status == 503:
                    await asyncio.sleep(0.5)
                assert r.status == 200, r
            return one.user

        try:
            w.people = await asyncio.gather(*(person() for _ in range(away)))
            w.away = [p.user for p in w.people]
            w.attackers = await asyncio.gather(*(person() for _ in range(4)))
            w.big = await w._group(free, w.away)
            if many_devices:
                rich = await asyncio.gather(*(with_devices() for _ in range(many_devices)))
                w.devices = await w._group(free, [*rich, *(a.user for a in w.attackers[1:])])
        finally:
            await free.close()
        return w

    async def wake(self, stack) -> None:
        """From now on everybody who is away has a phone with an ordinary address."""
        free = Rest(stack.rest_url(FREE))
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(p: Person) -> None:
            async with gate:
                await register_push(free, p.device, token=(new_id() + "A" * 200)[:180], app="a" * 20, caller=p.token)

        try:
            await asyncio.gather(*(one(p) for p in self.people))
        finally:
            await free.close()

    async def _group(self, free: Rest, members: list[str]) -> str:
        body = {"name": "large", "members": members, "clientId": new_id()}
        for _ in range(20):
            r = await free.call("POST", "/api/chats", body, token=self.attackers[0].token)
            if r.status in (200, 201):
                return r.body["chat"]["chatId"]
            await asyncio.sleep(0.5)
        raise AssertionError(r)

    def text(self) -> str:
        return json.dumps({**asdict(self), "people": []})

    @classmethod
    def of(cls, text: str) -> "World":
        w = cls(**json.loads(text))
        w.attackers = [Person(**a) for a in w.attackers]
        return w


class Attack:
    """One attack in a process of its own. `said` afterwards: its counts."""

    def __init__(self, name: str, world: World, seconds: float):
        assert name in ATTACKS, name
        self.name, self.said = name, {}
        self._file = tempfile.NamedTemporaryFile("w", suffix=".json")
        self._file.write(world.text())
        self._file.flush()
        self._words = [sys.executable, __file__, name, self._file.name, str(seconds)]

    def __enter__(self) -> "Attack":
        self._proc = subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True)
        assert self._proc.stdout.readline() == "begun\n"
        return self

    def wait(self) -> dict:
        """Until it has ended by itself."""
        rest, _ = self._proc.communicate(timeout=120)
        assert self._proc.returncode == 0, f"the attack {self.name} itself failed"
        self.said = json.loads(rest.splitlines()[-1])
        return self.said

    def __exit__(self, kind, *error) -> None:
        try:
            if kind is None and not self.said:
                self.wait()
        finally:
            if self._proc.poll() is None:
                self._proc.kill()
                self._proc.wait()
            self._file.close()


# ---- the attacks -------------------------------------------------------------------------------------


class Sender:
    """A socket that sends as fast as it is allowed to, and does what it is told about when."""

    def __init__(self, world: World, who: Person, chat: str, content, count: collections.Counter):
        self.world, self.who, self.chat, self.content, self.count = world, who, chat, content, count
        self.waiting: dict[str, str] = {}
        self.pause_until = 0.0

    async def run(self, end: float) -> None:
        while time.monotonic() < end:
            try:
                await self._socket(end)
            except ConnectionClosed as e:
                self.count[f"closed {e.rcvd.code if e.rcvd else 0}"] += 1

    async def _socket(self, end: float) -> None:
        async with connect(self.world.ws, compression=None, max_size=None, ping_interval=None) as ws:
            await ws.send(json.dumps({"t": "auth", "token": self.who.token}))
            hears = asyncio.create_task(self._hear(ws))
            for cid in list(self.waiting)[:1]:  # after a close: the outcome of the others stays unknown
                self.waiting = {cid: self.waiting[cid]}
                await self._send(ws, cid)
            while (now := time.monotonic()) < end:
                if now < self.pause_until:
                    await asyncio.sleep(self.pause_until - now)
                    again = next(iter(self.waiting), None)  # the first that was nacked opens the gate
                    self.pause_until = 0.0
                    if again:
                        await self._send(ws, again)
                        await asyncio.sleep(0.05)
                        continue
                if len(self.waiting) < 32:
                    cid = new_id()
                    self.waiting[cid] = self.content()
                    await self._send(ws, cid)
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.5)
            hears.cancel()

    async def _send(self, ws, cid: str) -> None:
        await ws.send(json.dumps({"t": "message.send", "clientId": cid, "chatId": self.chat, "content": self.waiting[cid], "type": "text"}))

    async def _hear(self, ws) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._hear_all(ws)

    async def _hear_all(self, ws) -> None:
        async for text in ws:
            f = json.loads(text)
            if "n" in f:
                await ws.send(json.dumps({"t": "ok", "n": f["n"]}))
            if f["t"] == "ack":
                self.count["ack"] += 1
                self.waiting.pop(f["clientId"], None)
            elif f["t"] == "nack":
                self.count[f"nack {f['code']}"] += 1
                self.pause_until = max(self.pause_until, time.monotonic() + f["retryAfter"] / 1000)


def random_text(n: int) -> str:
    return base64.b64encode(os.urandom(n * 3 // 4)).decode()


async def fanout(world: World, end: float, count) -> None:
    """Texts of 32 KB to a group of 1,023 people who are away."""
    await Sender(world, world.attackers[0], world.big, lambda: random_text(TEXT_BYTES), count).run(end)


async def devices(world: World, end: float, count) -> None:
    """Four people at once to a group whose members have 16 devices with the longest addresses."""
    await asyncio.gather(*(Sender(world, a, world.devices, lambda: "x", count).run(end) for a in world.attackers))


async def calls(world: World, end: float, count, at_once: int, one) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:

        async def worker():
            while time.monotonic() < end:
                try:
                    status, wait_s = await one(http)
                except (aiohttp.ClientError, asyncio.TimeoutError) as e:
                    status, wait_s = type(e).__name__, 0.2
                count[str(status)] += 1
                if wait_s:
                    await asyncio.sleep(min(wait_s, max(0.0, end - time.monotonic())))

        await asyncio.gather(*(worker() for _ in range(at_once)))


async def groups(world: World, end: float, count) -> None:
    """Groups with 1,023 members each, as many as one account may make."""
    who = {"Authorization": f"Bearer {world.attackers[0].token}"}

    async def one(http):
        body = {"name": "G" * 100, "members": world.away, "clientId": new_id()}
        async with http.post(world.rest + "/api/chats", json=body, headers=who) as r:
            await r.read()
            return r.status, float(r.headers.get("Retry-After", 0)) if r.status == 429 else 0

    await calls(world, end, count, 8, one)


async def logins(world: World, end: float, count) -> None:
    """Codes for random numbers and guesses at them, from one address, whatever the answers are."""

    async def one(http):
        async with http.post(world.rest + "/api/login", json={"phoneNumber": phone()}) as r:
            body = await r.json(content_type=None)
            status = r.status
        if status == 200:
            async with http.post(world.rest + "/api/verify", json={"challenge": body["challenge"], "code": "000000"}) as r:
                await r.read()
                count[f"guess {r.status}"] += 1
        return status, 0.02

    await calls(world, end, count, 8, one)


async def slow_bodies(world: World, end: float, count) -> None:
    """Three hundred requests whose bodies come byte by byte, with and without a token; closed ones come again."""
    host, port = world.rest.removeprefix("http://").split(":")

    async def one(i):
        who = f"Authorization: Bearer {world.attackers[i % 4].token}\r\n" if i % 2 else ""
        head = f"POST /api/messages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n{who}\r\n"
        while time.monotonic() < end:
            try:
                _, out = await asyncio.open_connection(host, int(port))
                count["opened"] += 1
                out.write(head.encode())
                while time.monotonic() < end:
                    out.write(b" ")
                    await out.drain()
                    await asyncio.sleep(0.5)
                out.close()
            except OSError:
                count["closed"] += 1
                await asyncio.sleep(0.5)

    await asyncio.gather(*(one(i) for i in range(300)))


async def receipts(world: World, end: float, count) -> None:
    """Sixteen sockets of one user, each as fast as a socket may speak: receipts that all move a cursor, in direct chats with a thousand people."""
    places = itertools.count()

    def receipt():
        i = next(places)
        seq = (1 << 48) + 1 + i // len(world.away)
        return json.dumps({"t": "receipt", "peer": world.away[i % len(world.away)], "delivered": seq, "read": seq})

    async def one():
        try:
            async with connect(world.ws, compression=None, max_size=None, ping_interval=None) as ws:
                await ws.send(json.dumps({"t": "auth", "token": world.attackers[0].token}))
                hears = asyncio.create_task(hear(ws))
                began = time.monotonic()
                sent = 0
                while time.monotonic() < end:
                    while sent < 1400 + 140 * (time.monotonic() - began):
                        sent += 1
                        count["sent"] += 1
                        await ws.send(receipt())
                    await asyncio.sleep(0.05)
                hears.cancel()
                await asyncio.gather(hears, return_exceptions=True)
        except ConnectionClosed as e:
            count[f"closed {e.rcvd.code if e.rcvd else 0}"] += 1

    async def hear(ws):
        async for text in ws:
            f = json.loads(text)
            if "n" in f:
                await ws.send(json.dumps({"t": "ok", "n": f["n"]}))
            if f["t"] == "error":
                count[f"error {f['code']}"] += 1

    await asyncio.gather(*(one() for _ in range(16)))


async def pushes(world: World, end: float, count) -> None:
    """The same texts, when each of the 1,023 has a phone that can be woken: World.wake()."""
    await fanout(world, end, count)


ATTACKS = {f.__name__: f for f in (fanout, devices, groups, logins, slow_bodies, receipts, pushes)}


def main() -> None:
    name, file, seconds = sys.argv[1:]
    world = World.of(Path(file).read_text())
    count: collections.Counter = collections.Counter()
    os.nice(5)  # the attacker has machines of his own: what his clients cost is not what is measured
    print("begun", flush=True)
    asyncio.run(ATTACKS[name](world, time.monotonic() + float(seconds), count))
    print(json.dumps(count))


if __name__ == "__main__":
    main()
