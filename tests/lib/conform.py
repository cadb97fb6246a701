# SPDX-License-Identifier: MIT
"""The frame of tests/conformance: two people at a server, a list of checks, a line for each. Imports nothing of a stack."""
from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from typing import Any, Awaitable, Callable

import aiohttp
from client import RawWs
from frames import NUMBERED
from rest import Reply, Rest, Tokens

CHECK_LIMIT_S = 60
PATIENCE = 5  # times that an answer asks to wait


class Broken(Exception):
    """A promise that was not kept."""


class Left(Exception):
    """A promise that cannot be tried here, and why."""


@dataclass
class Check:
    name: str
    promise: str
    where: str  # the heading of docs/protocol.md below which it is promised
    fn: Callable[["World"], Awaitable[None]]
    waits: bool  # runs beside the others, since it does nothing but wait


CHECKS: list[Check] = []


def check(promise: str, where: str, waits: bool = False):
    def deco(fn):
        CHECKS.append(Check(fn.__name__, promise, where, fn, waits))
        return fn

    return deco


def names() -> list[str]:
    return [one.name for one in CHECKS]


def expect(kept: Any, what: str) -> None:
    if not kept:
        raise Broken(what)


def status(reply: Reply, wanted: int, code: str | None = None) -> Reply:
    """The reply, when it is the one that was promised; of a refusal also its form."""
    expect(reply.status == wanted and (code is None or reply.code == code),
           f"wanted {wanted} {code or ''}, got {reply.status} {str(reply.body)[:200]}")
    if wanted >= 400:
        error = reply.body.get("error", {}) if isinstance(reply.body, dict) else {}
        expect(all(isinstance(error.get(name), str) and error[name] for name in ("code", "message", "requestId")),
               f"the error of a {wanted} has no code, message or requestId: {reply.body}")
    return reply


class Patient(Rest):
    """What is told to wait (429) waits, as a client does: checks come faster than a person."""

    async def call(self, method: str, path: str, *args: Any, **more: Any) -> Reply:
        for _ in range(PATIENCE):
            reply = await super().call(method, path, *args, **more)
            if reply.status != 429:
                break
            await asyncio.sleep(float(reply.headers["retry-after"]))
        return reply


@dataclass
class Person:
    name: str
    phone: str
    tokens: Tokens
    rest: Rest
    socket: "Socket | None" = None

    @property
    def user_id(self) -> str:
        return self.tokens.user_id


class Socket(RawWs):
    """A socket that says `ok`; what it waits for and does not get is a broken promise."""

    wait_s = 10.0

    async def get(self, what: str, **members: Any) -> dict:
        """The first frame, come or to come, with these members."""
        try:
            return await self.expect(lambda f: all(f.get(name) == value for name, value in members.items()), what, self.wait_s)
        except AssertionError as late:
            raise Broken(str(late)) from None

    async def ends(self, code: int, limit_s: float = 0) -> None:
        try:
            got = await self.closed(limit_s or self.wait_s)
        except AssertionError:
            raise Broken(f"wanted the close code {code}, and the socket stays open; got {self.frames[-2:]}") from None
        expect(got == code, f"wanted the close code {code}, got {got}")

    async def alive(self) -> None:
        """What was sent before has been read, and the socket is open."""
        n = self.count("pong")
        await self.send({"t": "ping"})
        try:
            await self.expect(lambda _: self.count("pong") > n, "pong", self.wait_s)
        except AssertionError:
            raise Broken(f"no pong; close code {self.close_code}") from None

    def count(self, kind: str, **members: Any) -> int:
        return sum(f.get("t") == kind and all(f.get(name) == value for name, value in members.items()) for f in self.frames)

    async def message(self, content: str, client_id: str | None = None, **where: Any) -> str:
        """Send until it is acknowledged, waiting as a nack asks; the clientId."""
        client_id = client_id or str(uuid.uuid4())
        for _ in range(10):
            before = len(self.frames)
            await self.send({"t": "message.send", "clientId": client_id, "content": content, "type": "text", **where})
            try:
                await self.expect(lambda _: self._answer(client_id, before), f"ack of {client_id}", self.wait_s)
            except AssertionError as late:
                raise Broken(str(late)) from None
            answer = self._answer(client_id, before)
            if answer["t"] == "ack":
                return client_id
            expect(answer["retryAfter"] > 0, f"a plain message is refused: {answer}")
            await asyncio.sleep(answer["retryAfter"] / 1000)
        raise Broken(f"ten times nack, at last {answer}")

    def _answer(self, client_id: str, before: int) -> dict | None:
        return next((f for f in self.frames[before:] if f.get("t") in ("ack", "nack") and f.get("clientId") == client_id), None)


@dataclass
class World:
    url: str
    wait_s: float = 10.0  # for a frame, an answer or a close that is promised soon
    config: dict = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    opened: list[Rest] = field(default_factory=list)
    chat_id: str = ""

    def __post_init__(self) -> None:
        self.rest = self.caller(None)

    def caller(self, token: str | None) -> Rest:
        self.opened.append(Patient(self.url, token))
        return self.opened[-1]

    def can(self, *words: str) -> None:
        missing = set(words) - set(self.config.get("capabilities", ()))
        if missing:
            raise Left(f"the server does not have {', '.join(sorted(missing))} among its capabilities")

    async def sign_in(self, phone: str, name: str | None, label: str = "conformance") -> Tokens:
        route, body = ("/api/register", {"name": name, "phoneNumber": phone}) if name else ("/api/login", {"phoneNumber": phone})
        begun = status(await self.rest.post(route, body), 200).body
        expect(begun.get("challenge") and isinstance(begun.get("retryAfter"), int), f"no challenge or retryAfter: {begun}")
        code = begun.get("devCode") or (await asyncio.to_thread(input, f"the code that {phone} got: ")).strip()
        answer = await self.rest.post("/api/verify", {"challenge": begun["challenge"], "code": code, "platform": "other", "label": label})
        return Tokens.of(status(answer, 200).body)

    async def begin(self, phones: list[str]) -> None:
        """Who the server is, and two people of their own."""
        self.config = status(await self.rest.get("/api/config"), 200).body
        if not phones:
            if self.config.get("codeDriver") != "log":
                raise Left("the server does not show its codes: name two numbers by --phones")
            phones = [f"+4915{random.randrange(10**9):09d}" for _ in range(2)]
        for name, phone in zip(("Ana", "Ben"), phones):
            tokens = await self.sign_in(phone, name)
            self.people.append(Person(name, phone, tokens, self.caller(tokens.access)))
        ana, ben = self.people
        self.chat_id = status(await ana.rest.post("/api/chats", {"userId": ben.user_id}), 200).body["chat"]["chatId"]

    async def open(self, tokens: Tokens | None, auto_ok: bool = True) -> Socket:
        socket = Socket(self.config["wsUrl"], auto_ok)
        socket.wait_s = self.wait_s
        self.sockets.append(socket)
        try:
            return await socket.open(tokens.access if tokens else None)
        except Exception as error:
            raise Broken(f"{self.config['wsUrl']}: no WebSocket: {error}") from None

    async def live(self, person: Person) -> Socket:
        """The person's socket, registered: one for all checks, unless it has ended."""
        if not person.socket or person.socket.close_code is not None:
            person.socket = await self.open(person.tokens)
            await person.socket.get("ready", t="ready")
        return person.socket

    async def both(self) -> tuple[Person, Person, Socket, Socket]:
        ana, ben = self.people
        return ana, ben, await self.live(ana), await self.live(ben)

    async def raw(self, method: str, path: str, body: bytes, token: str | None) -> Reply:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path, data=body, headers=headers) as answer:
            try:
                said = await answer.json(content_type=None)
            except ValueError:
                said = None
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, said)

    def misformed(self) -> list[str]:
        """What is wrong with the frames that came. A newer server may have more members and frames."""
        found = [fault for socket in self.sockets for fault in socket.faults if " is unknown" not in fault and not fault.startswith("no frame")]
        for socket in self.sockets:
            numbers = [f["n"] for f in socket.frames if "n" in f]
            if numbers != list(range(1, len(numbers) + 1)):
                found.append(f"numbers of a socket: {numbers[:10]}…")
            found += [f"{f['t']} has no number" for f in socket.frames if f.get("t") in NUMBERED and "n" not in f]
        return found

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in [*self.sockets, *self.opened]), return_exceptions=True)


async def _try(one: Check, world: World, say: Callable[[str], Any]) -> str:
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            await one.fn(world)
        word, why = "ok", ""
    except Left as left:
        word, why = "left", str(left)
    except Broken as broken:
        word, why = "FAIL", str(broken)
    except TimeoutError:
        word, why = "FAIL", f"not done in {CHECK_LIMIT_S} s"
    except Exception as error:  # an answer without what is promised, a socket that ended: whatever it is, the promise was not kept
        word, why = "FAIL", f"{type(error).__name__}: {error}"
    say(f"{word:5}{one.name:18}{one.promise} ({one.where})" + (f"\n     → {why}" if why else ""))
    return word


async def run(url: str, phones: list[str], only: list[str] | None, waiting: bool, wait_s: float, say: Callable[[str], Any]) -> int:
    """`say` gets a line for each check, and one for all. The exit code."""
    world = World(url, wait_s)
    try:
        try:
            await world.begin(phones)
        except Exception as error:
            say(f"FAIL signing in: {type(error).__name__}: {error}\nnothing could be tried at {url}")
            return 2
        checks = [one for one in CHECKS if (not only or one.name in only) and (waiting or not one.waits)]
        beside = [asyncio.create_task(_try(one, world, say)) for one in checks if one.waits]
        words = [await _try(one, world, say) for one in checks if not one.waits]
        words += await asyncio.gather(*beside)
        broken, left = words.count("FAIL"), words.count("left")
        say(f"{len(words) - broken - left} kept, {broken} broken, {left} left out; {world.config.get('version')} at {url}")
        return 1 if broken else 0
    finally:
        await world.close()
