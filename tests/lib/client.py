# SPDX-License-Identifier: MIT
"""Clients as docs/protocol.md asks for them, with a history of what each one sent, was told and showed.

Rest     one REST caller
RawWs    a socket that does nothing by itself, for tests of single frames
Device   a strict client: ready, sync, merge, receipts, coalesced ok, resend in order after a nack, reconnect
Net      the people of one test; closes all at its end
scenario turns `async def test_x(stack, net)` into an ordinary pytest function

Whatever a server does against the protocol lands in Device.anomalies; a scenario fails when there is one.
"""
from __future__ import annotations

import asyncio
import collections
import functools
import inspect
import itertools
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Awaitable, Callable

import frames
from rest import ApiError, Reply, Rest, Secrets, Tokens, register_push, sign_in  # noqa: F401  (tests have them from here)
from said import MARK, Message, Outgoing, OutgoingChange  # noqa: F401  (these, too)
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

OK_DELAY_S = 0.03  # one `ok` covers what came meanwhile
RECEIPT_AGAIN_S = 1.0  # after the log took none
RECEIPT_DELAY_S = 0.02
IN_FLIGHT_MAX = 64  # sends without ack or nack on one socket
SYNC_LIMIT_S = 60.0
BACKOFF_MAX_S = 1.0

ticket = itertools.count(1).__next__  # one order for the histories of all clients of the process


class RawWs:
    """A socket under the test's own hand: nothing is sent that the test does not send, but `ok` with auto_ok."""

    def __init__(self, url: str, auto_ok: bool = False):
        self.url, self.auto_ok = url, auto_ok
        self.frames: list[dict] = []  # all that came
        self.faults: list[str] = []  # of frames that docs/frames.schema.json does not allow
        self.close_code: int | None = None
        self._ws = None
        self._reader: asyncio.Task | None = None
        self._news = asyncio.Event()

    async def open(self, token: str | None = None, in_header: bool = False) -> "RawWs":
        headers = {"Authorization": f"Bearer {token}"} if token and in_header else {}
        self._ws = await ws_connect(self.url, compression=None, additional_headers=headers, max_size=1 << 20,
                                    ping_interval=None, open_timeout=10, close_timeout=2, proxy=None)
        self._reader = asyncio.create_task(self._read())
        if token and not in_header:
            await self.send({"t": "auth", "token": token})
        return self

    async def _read(self) -> None:
        try:
            async for text in self._ws:
                f = json.loads(text)
                self.frames.append(f)
                self.faults += frames.faults(f)
                self._news.set()
                if self.auto_ok and "n" in f:
                    await self.send({"t": "ok", "n": f["n"]})
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self._ws.close_code
            self._news.set()

    async def send(self, frame: dict | str | bytes) -> None:
        await self._ws.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    async def expect(self, match: Callable[[dict], bool], what: str, timeout_s: float = 20) -> dict:
        """The first frame, come or to come, that matches."""
        await until(lambda: any(map(match, self.frames)), timeout_s, lambda: f"{what}; got {self.frames[-5:]}",
                    self._news)
        return next(f for f in self.frames if match(f))

    async def ready(self, timeout_s: float = 20) -> dict:
        return await self.expect(lambda f: f["t"] == "ready", "ready", timeout_s)

    async def closed(self, timeout_s: float = 20) -> int | None:
        await until(lambda: self._reader.done(), timeout_s, lambda: f"close; got {self.frames[-5:]}", self._news)
        return self.close_code

    def abort(self) -> None:
        """Vanish: the server sees a reset, no close frame."""
        abort(self._ws)

    async def close(self) -> None:
        if self._ws:
            await self._ws.close()
        if self._reader:
            await asyncio.gather(self._reader, return_exceptions=True)


def abort(ws) -> None:
    ws.transport.abort()


async def until(fn: Callable[[], Any], timeout_s: float, what: str | Callable[[], str],
                news: asyncio.Event | None = None) -> Any:
    """Wait until `fn()` is true, looking again at each piece of news and at least each 100 ms; its value."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while True:
        if news:
            news.clear()
        value = fn()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        left = end - loop.time()
        if left <= 0:
            raise AssertionError(f"timed out after {timeout_s} s waiting for {what() if callable(what) else what}")
        if news:
            try:
                await asyncio.wait_for(news.wait(), min(left, 0.1))
            except asyncio.TimeoutError:
                pass
        else:
            await asyncio.sleep(min(left, 0.05))


class Device:
    """A device of a user, signed in. start() connects and stays connected until stop()."""

    def __init__(self, name: str, tokens: Tokens, rest_url: str, ws_urls: list[str], rng: random.Random,
                 auto_ok: bool = True, auto_delivered: bool = True, auto_read: bool = False):
        self.name, self.tokens, self.ws_urls, self.rng = name, tokens, ws_urls, rng
        self.auto_ok, self.auto_delivered, self.auto_read = auto_ok, auto_delivered, auto_read
        self.rest = Rest(rest_url, lambda: self.tokens.access)
        self.url_i = 0

        # what this client knows
        self.cursor = ""
        self.messages: dict[str, Message] = {}
        self.chats: dict[str, dict] = {}
        self.peers: dict[str, str] = {}  # direct chat → the other
        self.ticks: dict[str, dict[str, int]] = collections.defaultdict(lambda: {"delivered": 0, "read": 0})
        self.outbox: dict[str, Outgoing] = {}  # by client id, in order of sending
        self.waiting: list[Outgoing] = []  # not acked, in order
        self.my_read: dict[str, int] = {}

        # its history
        self.shown: list[str] = []  # message ids, in the order in which they were shown
        self.live_frames: collections.Counter[str] = collections.Counter()  # by message id, doubles too
        self.sync_rows: collections.Counter[str] = collections.Counter()
        self.live_first: dict[str, list[int]] = collections.defaultdict(list)  # chat → seqs of others' news
        self.tick_log: list[tuple[int, str, int, int]] = []  # ticket, chat, delivered, read, as they came
        self.member_log: list[dict] = []
        self.rejected_log: list[dict] = []
        self.stale_log: list[dict] = []  # of syncs
        self.receipts_rejected: list[dict] = []
        self.media_log: list[dict] = []
        self.changes_log: list[dict] = []
        self.block_log, self.gaps = [], {}  # chat → what the last ticks say nothing of
        self.timers_log: list[dict] = []
        self.group_log: list[dict] = []
        self.hidden_log: list[dict] = []
        self.marked_log: list[dict] = []
        self.marks: dict[str, dict] = {}  # chat → what is marked of it, as the server shows it
        self.pins_log, self.stars_log, self.votes_log = [], [], []
        self._early: dict[str, list[dict]] = collections.defaultdict(list)  # changes of messages that are not here yet
        self.read_log: list[dict] = []
        self.readies: list[dict] = []
        self.closes: list[tuple[int | None, str]] = []
        self.frames_n: collections.Counter[str] = collections.Counter()
        self.anomalies: list[str] = []

        # this connection
        self.session: str | None = None
        self.caught_up = False
        self.sync_limit_s = SYNC_LIMIT_S
        self.logged_out = False
        self._news = asyncio.Event()
        self._ws = None
        self._task: asyncio.Task | None = None
        self._sync_task: asyncio.Task | None = None
        self._refreshing: asyncio.Task | None = None
        self._stopping = False
        self._n = 0
        self._ok_sent = 0
        self._held: list[dict] = []
        self._resend_at = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._delivered_sent: dict[str, int] = {}
        self._read_sent: dict[str, int] = {}
        self._writes: collections.deque[dict] = collections.deque()
        self._write_news = asyncio.Event()

    # ---- the outside -----------------------------------------------------------------------------

    @property
    def user_id(self) -> str:
        return self.tokens.user_id

    @property
    def device_id(self) -> str:
        return self.tokens.device_id

    @property
    def connected(self) -> bool:
        return self._ws is not None and self.session is not None

    def __repr__(self) -> str:
        return (f"<{self.name} ready={len(self.readies)} caught_up={self.caught_up} shown={len(self.shown)} "
                f"waiting={len(self.waiting)} frames={dict(self.frames_n)} closes={self.closes[-3:]}>")

    def start(self) -> "Device":
        self._stopping = False
        if not self._task or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self.name)
        return self

    async def online(self, timeout_s: float = 30) -> "Device":
        """Connected and its sync merged."""
        self.start()
        await self.wait(lambda: self.caught_up, timeout_s, "caught up")
        return self

    async def stop(self, rudely: bool = False) -> None:
        """Go offline. `rudely`: the socket is reset instead of closed."""
        self._stopping = True
        if rudely and self._ws:
            abort(self._ws)
        if task := self._task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._task is task:  # else somebody has started it again meanwhile
                self._task = None

    async def at_rest(self, timeout_s: float = 20) -> None:
        """Wait until everything that came has been ok'd and all that was to be said is on the socket."""
        await self.wait(lambda: self._ok_sent >= self._n and not self._timers and not self._writes, timeout_s, "rest")
        await self.ping()

    async def ping(self) -> None:
        """What was sent before has been read by the gateway when the pong is back."""
        n = self.frames_n["pong"]
        self._post({"t": "ping"})
        await self.wait(lambda: self.frames_n["pong"] > n, 20, "pong")

    async def close(self) -> None:
        await self.stop()
        await self.rest.close()

    async def wait(self, fn: Callable[[], Any], timeout_s: float, what: str) -> Any:
        return await until(fn, timeout_s, lambda: f"{self.name}: {what}; {self!r}", self._news)

    def send(self, content: str, chat_id: str | None = None, peer: str | None = None, type: str = "text",
             client_id: str | None = None, media_id: str | None = None, beside: dict | None = None) -> Outgoing:
        """Queue a message; it goes out now or when the device is connected."""
        if chat_id and not peer:
            peer = self.peers.get(chat_id)
        out = Outgoing(client_id or str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), chat_id, peer, content,
                       type, media_id, beside or {})
        if len(content) >= len(MARK):  # a shorter one stands in logs by chance
            Secrets.contents.add(content)
        self.outbox[out.client_id] = out
        self.waiting.append(out)
        self._pump()
        return out

    def change(self, kind: str, message: Message, content: str = "", client_id: str | None = None) -> OutgoingChange:
        """Queue an edit or a deletion."""
        client_id = client_id or str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        out = OutgoingChange(client_id, message.chat_id, self.peers.get(message.chat_id), content, message.type, message=message, kind=kind)
        Secrets.contents.update([content] if len(content) >= len(MARK) else ())
        self.outbox[out.client_id] = out
        self.waiting.append(out)
        self._pump()
        return out

    async def changed(self, kind: str, message: Message, content: str = "") -> OutgoingChange:
        """The same, and wait for the verdict, which must be yes."""
        out = await self.verdict(self.change(kind, message, content), 60)
        assert not out.rejected, out.verdict
        return out

    async def acked(self, out: Outgoing, timeout_s: float = 30) -> Outgoing:
        await self.wait(lambda: out.acks, timeout_s, f"ack of {out.client_id} (nacks {out.nacks})")
        return out

    async def verdict(self, out: Outgoing, timeout_s: float = 30) -> Outgoing:
        await self.wait(lambda: out.verdict, timeout_s, f"verdict on {out.client_id} (acks {out.acks}, nacks {out.nacks})")
        return out

    async def told(self, content: str, chat_id: str | None = None, peer: str | None = None,
                   timeout_s: float = 30, beside: dict | None = None) -> Outgoing:
        """Send, and wait for ack and verdict, which must be yes."""
        out = await self.verdict(self.send(content, chat_id, peer, beside=beside), timeout_s)
        await self.acked(out, timeout_s)
        assert not out.rejected, out.verdict
        return out

    def contents(self, chat_id: str | None = None) -> list[str]:
        """What a person sees: by seq within a chat."""
        ms = [self.messages[i] for i in self.shown]
        return [m.content for m in sorted(ms, key=lambda m: (m.chat_id, m.seq)) if chat_id in (None, m.chat_id)]

    async def sees(self, content: str, timeout_s: float = 30) -> Message:
        def find():
            return next((m for m in self.messages.values() if m.content == content), None)

        return await self.wait(find, timeout_s, f"message {content!r}")

    def read(self, chat_id: str, seq: int | None = None) -> None:
        """The user has read the chat, up to `seq` or to the last message here."""
        last = max((m.seq for m in self.messages.values() if m.chat_id == chat_id), default=0)
        self.my_read[chat_id] = max(self.my_read.get(chat_id, 0), seq or last)
        self._receipts_soon()

    def tick(self, out: Outgoing) -> str:
        """none, sent, delivered or read."""
        if out.seq:
            t, gaps = self.ticks[out.verdict["chatId"]], self.gaps.get(out.verdict["chatId"], ())
            for tick in ("read", "delivered"):
                if t[tick] >= out.seq and not any(after < out.seq < before for after, before in gaps):
                    return tick
        return "sent" if out.acks or out.seq else "none"

    # ---- connecting --------------------------------------------------------------------------------

    async def _run(self) -> None:
        attempt = 0
        while not self._stopping and not self.logged_out:
            before = len(self.readies)
            url = self.ws_urls[self.url_i % len(self.ws_urls)]
            try:
                await self._connection(url)
            except (OSError, InvalidHandshake, asyncio.TimeoutError) as e:
                self.closes.append((None, type(e).__name__))
            if len(self.readies) > before:
                attempt = 0
            elif len(self.ws_urls) > 1:
                self.url_i += 1
            attempt += 1
            # full jitter: many clients of a dead gateway must not come back in one wave
            await asyncio.sleep(self.rng.uniform(0.01, min(BACKOFF_MAX_S, 0.1 * 2**attempt)))

    async def _connection(self, url: str) -> None:
        async with ws_connect(url, compression=None, max_size=1 << 20, ping_interval=5, ping_timeout=15,
                              open_timeout=10, close_timeout=2, proxy=None) as ws:
            self._ws = ws
            self._n = self._ok_sent = 0
            self._held, self._resend_at = [], 0.0
            self._delivered_sent, self._read_sent = {}, {}
            self._writes.clear()
            for out in self.waiting:
                out.state = "queued"  # unknown: the same client id makes sending again harmless
            writer = asyncio.create_task(self._write_loop(ws))
            try:
                await ws.send(json.dumps({"t": "auth", "token": self.tokens.access}))
                async for text in ws:
                    self._take(json.loads(text))
            except ConnectionClosed:
                pass
            finally:
                self._end_connection(ws)
                writer.cancel()
                tasks = [t for t in (writer, self._sync_task) if t]
                await asyncio.gather(*tasks, return_exceptions=True)
                self._sync_task = None
        if ws.close_code == 4401 and not self._stopping:
            await self.refresh()

    def _end_connection(self, ws) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._sync_task:
            self._sync_task.cancel()
        self._ws, self.session, self.caught_up = None, None, False
        if ws.close_code is not None:
            self.closes.append((ws.close_code, ws.close_reason or ""))
        self._news.set()

    async def refresh(self) -> bool:
        """A refresh token works once: whoever else asks meanwhile waits for the same answer, and who gives up does not lose it."""
        if not self._refreshing or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        return await asyncio.shield(self._refreshing)

    async def _refresh(self) -> bool:
        r = await self.rest.call("POST", "/api/token/refresh", {"refreshToken": self.tokens.refresh})
        if r.status == 200:
            self.tokens.access, self.tokens.refresh = r.body["accessToken"], r.body["refreshToken"]
            Secrets.tokens.update((self.tokens.access, self.tokens.refresh))
        elif r.status == 401:
            self.logged_out = True
        self._news.set()
        return r.status == 200

    def again(self, out: Outgoing) -> None:
        """Send it once more, whatever has become of it."""
        self._post(out.frame())

    def _post(self, frame: dict) -> None:
        if self._ws:
            self._writes.append(frame)
            self._write_news.set()

    async def _write_loop(self, ws) -> None:
        try:
            while True:
                while self._writes:
                    await ws.send(json.dumps(self._writes.popleft(), ensure_ascii=False))
                self._write_news.clear()
                if not self._writes:
                    await self._write_news.wait()
        except ConnectionClosed:
            pass

    def _later(self, name: str, delay_s: float, fn: Callable[[], None]) -> None:
        """Run once after the delay; asking again meanwhile changes nothing."""
        if name in self._timers or not self._ws:
            return

        def fire():
            self._timers.pop(name, None)
            fn()

        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, fire)

    # ---- what comes --------------------------------------------------------------------------------

    def _odd(self, text: str) -> None:
        self.anomalies.append(f"{self.name}: {text}")

    def _take(self, f: dict) -> None:
        kind = f.get("t", "?")
        self.frames_n[kind] += 1
        for fault in frames.faults(f):
            self._odd(f"a frame that docs/frames.schema.json does not allow: {fault}")
        numbered = kind in frames.NUMBERED
        if numbered:
            if f.get("n") != self._n + 1:
                self._odd(f"frame {kind} has n {f.get('n')} after {self._n}")
            self._n = f.get("n", self._n)
            if self.auto_ok:
                self._later("ok", OK_DELAY_S, self._send_ok)
        elif "n" in f:
            self._odd(f"frame {kind} has a number")
        if kind == "ready":
            self._on_ready(f)
        elif numbered and not self.session:
            self._odd(f"frame {kind} before ready")
        elif kind == "ack":
            self._on_ack(f)
        elif kind == "nack":
            self._on_nack(f)
        elif kind in ("pong", "welcome", "looking", "typing", "presence", "?"):
            pass
        elif kind == "error":
            self._on_error(f)
        elif not self.caught_up:
            self._held.append(f)
        else:
            self._merge_live(f)
        self._news.set()

    def _send_ok(self) -> None:
        if self._n > self._ok_sent:
            self._ok_sent = self._n
            self._post({"t": "ok", "n": self._n})

    def _on_ready(self, f: dict) -> None:
        if any(r["session"] == f["session"] for r in self.readies):
            self._odd(f"session {f['session']} twice")
        self.readies.append(f)
        self.session, self.caught_up = f["session"], False
        if self._sync_task and not self._sync_task.done():
            self._sync_task.cancel()
        self._sync_task = asyncio.create_task(self._sync(f["at"]))
        self._pump()

    def _on_ack(self, f: dict) -> None:
        out = self.outbox.get(f["clientId"])
        if not out:
            return self._odd(f"ack for {f['clientId']}, which was not sent")
        if out.acks and f["id"] != out.acks[0]:
            self._odd(f"acks of {out.client_id} with ids {out.acks[0]} and {f['id']}")
        out.acks.append(f["id"])
        out.acked_at = out.acked_at or ticket()
        out.state = "acked"
        if out in self.waiting:
            self.waiting.remove(out)
        self._pump()

    def _on_nack(self, f: dict) -> None:
        out = self.outbox.get(f["clientId"])
        if not out:
            return self._odd(f"nack for {f['clientId']}, which was not sent")
        out.nacks.append(f["code"])
        if f["code"] not in ("retry", "slow_down", "overloaded", "log_full", "log_cut"):
            if out in self.waiting:
                self.waiting.remove(out)
            return self._pump()
        if out.state == "sent":
            out.state = "nacked"
        delay = f.get("retryAfter")
        if not isinstance(delay, int) or delay < 0:
            self._odd(f"nack {f['code']} with retryAfter {delay}")
            delay = 100
        self._resend_at = max(self._resend_at, asyncio.get_running_loop().time() + delay / 1000)
        self._later("resend", delay / 1000, self._resend)

    def _resend(self) -> None:
        left = self._resend_at - asyncio.get_running_loop().time()
        if left > 0:
            return self._later("resend", left, self._resend)
        # all that was sent since the first nack is nacked or about to be: the same again, in order
        first = next((i for i, o in enumerate(self.waiting) if o.state == "nacked"), None)
        for out in self.waiting[first:] if first is not None else []:
            out.state = "queued"
        self._pump()

    def _pump(self) -> None:
        if not self.connected or "resend" in self._timers:
            return
        in_flight = sum(o.state == "sent" for o in self.waiting[: 2 * IN_FLIGHT_MAX])
        for out in self.waiting[: 2 * IN_FLIGHT_MAX]:
            if in_flight >= IN_FLIGHT_MAX:
                break
            if out.state == "queued":
                out.state = "sent"
                out.tries += 1
                in_flight += 1
                self._post(out.frame())

    # ---- catching up -------------------------------------------------------------------------------

    async def _sync(self, at: str) -> None:
        if not await self.sync(at):
            return
        held, self._held = self._held, []
        for f in held:
            self._merge_live(f)
        self.caught_up = True
        self._send_receipts()
        self._news.set()

    async def sync(self, at: str | None = None) -> bool:
        """Ask until everything up to `at` is merged: whether it is. Only the answers move the cursor."""
        end = asyncio.get_running_loop().time() + self.sync_limit_s
        while asyncio.get_running_loop().time() < end:
            params = {"cursor": self.cursor}
            if at:
                params["at_least"] = at
            r = await self.rest.call("GET", "/api/sync", params=params)
            if r.status == 401 and not await self.refresh() and self.logged_out:
                return False
            if r.status != 200:
                await asyncio.sleep(min(float(r.headers.get("retry-after", 0.2)), 2.0))
                continue
            for c in r.body["chats"]:
                self.chats[c["chatId"]] = c
                self._take_marks(c["chatId"], c.get("marks"))
                if c["kind"] == "direct" and c.get("peer"):
                    self.peers[c["chatId"]] = c["peer"]
            for m in r.body["messages"]:
                self.sync_rows[m["id"]] += 1
                self._merge(m)
            for t in r.body["ticks"]:
                self._merge_ticks(t)
            for m in r.body["marks"]:
                self._take_marks(m["chatId"], m["marks"])
            for f in r.body["rejected"]:
                self._take_stale(f)
            self.cursor = r.body["cursor"]
            if not r.body["more"]:
                return True
        self._odd(f"sync did not catch up in {self.sync_limit_s} s: {r.status} {r.body}")
        return False

    def _take_stale(self, f: dict) -> None:
        self.stale_log.append(f)

    def _merge_live(self, f: dict) -> None:
        kind = f["t"]
        if kind == "message":
            self.live_frames[f["id"]] += 1
            if f["id"] not in self.messages and f["from"] != self.user_id:
                seqs = self.live_first[f["chatId"]]
                if seqs and f["seq"] <= seqs[-1]:
                    self._odd(f"new message with seq {f['seq']} after {seqs[-1]}")
                seqs.append(f["seq"])
            self._merge(f)
            self._receipts_soon()
        elif kind == "receipt_rejected":
            self.receipts_rejected.append(f)
        elif kind == "rejected":
            self.rejected_log.append(f)
            out = self.outbox.get(f["clientId"])
            if out and not out.verdict:
                out.verdict, out.verdict_at = f, ticket()
        elif kind == "status":
            self._merge_ticks(f)
        elif kind == "read":
            self.read_log.append(f)
        elif kind in ("media", "media_deleted"):
            self.media_log.append(f)
        elif kind in ("deleted", "edited", "reaction"):
            self._merge_change(f)
            self._receipts_soon()
        elif kind in ("member", "chat", "blocked", "unblocked"):
            (self.member_log if kind in ("member", "chat") else self.block_log).append(f)
        elif kind in ("description", "picture", "rights", "request", "account_deleted"):
            self.group_log.append(f)
        elif kind == "hidden":
            self._hide(f)
        elif kind == "marked":
            self._mark(f)
        elif kind in ("pinned", "starred"):
            (self.pins_log if kind == "pinned" else self.stars_log).append(f)
        elif kind in ("vote", "poll_closed"):
            self.votes_log.append(f)
        elif kind == "timer":
            self.timers_log.append(f)
            if f.get("peer"):
                self.peers[f["chatId"]] = f["peer"] if f["by"] == self.user_id else f["by"]

    def _merge(self, f: dict) -> None:
        m = Message.of(f)
        known = self.messages.get(m.id)
        if known:
            same = known.edited == m.edited and not known.deleted and not m.deleted and not known.gone and not m.gone
            for what in ("client_id", "chat_id", "seq", "sender", "type", "expires") + (("content",) if same else ()):
                if getattr(known, what) != getattr(m, what):
                    self._odd(f"message {m.id} has {what} {getattr(known, what)!r} and {getattr(m, what)!r}")
            known.reactions, known.mine, known.starred = m.reactions, m.mine, m.starred
            if m.deleted or m.gone:
                known.deleted, known.content, known.gone = known.deleted or m.deleted, "", m.gone or known.gone
            elif m.edited > known.edited and not known.deleted and not known.gone:
                known.content, known.edited = m.content, m.edited
        else:
            self.messages[m.id] = m
            self.shown.append(m.id)
            for change in self._early.pop(m.id, ()):
                self._apply(m, change)
            if m.peer:
                self.peers[m.chat_id] = m.peer if m.sender == self.user_id else m.sender
        if (m.deleted or m.gone) and m.content:
            self._odd(f"message {m.id} is deleted, or gone, and has a content")
        if m.sender == self.user_id:
            if self.marks.get(m.chat_id, {}).get("draftAfter", m.seq) < m.seq:  # it was sent, or another was
                del self.marks[m.chat_id]["draft"], self.marks[m.chat_id]["draftAfter"]
            out = self.outbox.get(m.client_id)
            if out and out.chat_id in (None, m.chat_id):
                if not out.verdict:
                    out.verdict, out.verdict_at = f, ticket()
                elif out.verdict.get("seq") != m.seq:
                    self._odd(f"own message {m.id}: verdicts {out.verdict} and seq {m.seq}")
                out.chat_id = m.chat_id

    def _take_marks(self, chat: str, marks: dict | None) -> None:
        """As they are now: of frames and answers the one with the highest seq counts."""
        if marks and marks["seq"] >= self.marks.get(chat, {"seq": 0})["seq"]:
            self.marks[chat] = marks

    def _mark(self, f: dict) -> None:
        """Only what changed is named."""
        self.marked_log.append(f)
        marks = self.marks.setdefault(f["chatId"], {"seq": 0})
        if f["seq"] <= marks["seq"]:
            return
        marks["seq"] = f["seq"]
        for name, key, value in (("archived", "archived", True), ("pinned", "pinnedSeq", f["seq"]), ("markedUnread", "markedUnread", True),
                                 ("markedUnread", "readSeq", f.get("readSeq")), ("mutedUntil", "mutedUntil", f.get("mutedUntil")),
                                 ("draft", "draft", f.get("draft")), ("draft", "draftAfter", f.get("draftAfter"))):
            if name in f:
                marks.pop(key, None)
                if f[name]:
                    marks[key] = value

    def _hide(self, f: dict) -> None:
        self.hidden_log.append(f)
        for place in f["messages"]:
            message = self.messages.get(place["id"])
            if message and message.seq == place["seq"]:
                message.gone, message.content = message.gone or "hidden", ""

    def _merge_change(self, f: dict) -> None:
        self.changes_log.append(f)
        message = self.messages.get(f["messageId"])
        if message:
            self._apply(message, f)
        else:
            self._early[f["messageId"]].append(f)
        out = self.outbox.get(f["clientId"]) if f["by"] == self.user_id else None
        if out and not out.verdict:
            out.verdict, out.verdict_at = f, ticket()

    @staticmethod
    def _apply(message: Message, f: dict) -> None:
        """The highest edit counts, and nothing after a deletion; of another seq it is no change of this message."""
        if message.seq != f["messageSeq"] or message.deleted or message.gone:
            return
        if f["t"] == "reaction":
            message.signs[f["by"]] = max(message.signs.get(f["by"], (0, "")), (f["seq"], f["reaction"]))
        elif f["t"] == "deleted":
            message.deleted, message.content = True, ""
        elif f["seq"] > message.edited:
            message.content, message.edited = f["content"], f["seq"]

    def _merge_ticks(self, t: dict) -> None:
        have = self.ticks[t["chatId"]]
        for kind in ("delivered", "read"):
            have[kind] = max(have[kind], t[kind])
        self.gaps[t["chatId"]] = [(g["after"], g["before"]) for g in t.get("except", ())]
        self.tick_log.append((ticket(), t["chatId"], t["delivered"], t["read"]))

    # ---- receipts ----------------------------------------------------------------------------------

    def _on_error(self, f: dict[str, Any]) -> None:
        if f.get("code") not in ("log_full", "log_cut"):
            self._odd(f"error frame {f}")
            return
        self._delivered_sent.clear()  # a receipt was not taken, and which one is not said
        self._read_sent.clear()
        self._later("receipts again", RECEIPT_AGAIN_S, self._send_receipts)

    def _receipts_soon(self) -> None:
        self._later("receipts", RECEIPT_DELAY_S, self._send_receipts)

    def _send_receipts(self) -> None:
        if not self.caught_up:
            return  # something older may be missing
        last: dict[str, int] = {}
        for m in self.messages.values():
            if m.sender != self.user_id:
                last[m.chat_id] = max(last.get(m.chat_id, 0), m.seq, m.edited)
        for chat, seq in last.items():
            if self.auto_read:
                self.my_read[chat] = max(self.my_read.get(chat, 0), seq)
            f: dict[str, Any] = {"t": "receipt", "chatId": chat}
            if self.auto_delivered and seq > self._delivered_sent.get(chat, 0):
                f["delivered"] = self._delivered_sent[chat] = seq
            read = self.my_read.get(chat, 0)
            if read > self._read_sent.get(chat, 0):
                f["read"] = self._read_sent[chat] = read
            if len(f) > 2:
                if chat in self.peers:
                    f["peer"] = self.peers[chat]
                self._post(f)


@dataclass
class User:
    name: str
    phone: str
    net: "Net"
    user_id: str = ""
    devices: list[Device] = field(default_factory=list)

    async def device(self, platform: str = "android", gateway: int | None = None, **options) -> Device:
        """Another device of this user, signed in and not connected. `gateway`: only that one, else any."""
        tokens = await sign_in(self.net.rest, self.phone, None if self.user_id else self.name, platform)
        assert self.user_id in ("", tokens.user_id), "the same number gave another user"
        self.user_id = tokens.user_id
        urls = self.net.ws_urls if gateway is None else [self.net.ws_urls[gateway]]
        name = f"{self.name}{len(self.devices) + 1}"
        d = Device(name, tokens, self.net.rest_url, urls, random.Random(f"{self.net.seed}/{name}"), **options)
        if gateway is None:
            d.url_i = len(self.devices)
        self.devices.append(d)
        return d


class Net:
    """The people of one test."""

    _phones = itertools.count(int(time.time()) % 10_000_000 * 10_000)

    def __init__(self, stack, seed: str = "0", rest_i: int = 0):
        self.stack, self.seed = stack, seed
        self.rest_url = stack.rest_url(rest_i)
        self.ws_urls = [stack.ws_url(i) for i in range(len(by_role(stack, "edge-ws")))]
        self.rest = Rest(self.rest_url)
        self.users: list[User] = []
        self.open: list[Any] = [self.rest]

    def phone(self) -> str:
        return f"+49{next(Net._phones):011d}"

    async def user(self, name: str, **options) -> tuple[User, Device]:
        """A new user and the first device, signed in and not connected."""
        u = User(name, self.phone(), self)
        self.users.append(u)
        return u, await u.device(**options)

    async def people(self, *names: str, **options) -> list[Device]:
        """New users, one connected device each."""
        ds = [(await self.user(n, **options))[1] for n in names]
        await asyncio.gather(*(d.online() for d in ds))
        return ds

    def caller(self, device: Device, rest_i: int = 0) -> Rest:
        r = Rest(self.stack.rest_url(rest_i), lambda: device.tokens.access)
        self.open.append(r)
        return r

    async def raw(self, tokens: Tokens | None, gateway: int = 0, auto_ok: bool = False, **options) -> RawWs:
        ws = RawWs(self.ws_urls[gateway], auto_ok)
        self.open.append(ws)
        return await ws.open(tokens.access if tokens else None, **options)

    async def group(self, owner: Device, *others: Device, name: str = "group") -> str:
        body = {"name": name, "members": [d.user_id for d in others], "clientId": str(uuid.uuid4())}
        r = await owner.rest.post("/api/chats", body, expect=201)
        return r.body["chat"]["chatId"]

    async def direct(self, a: Device, b: Device) -> str:
        r = await a.rest.post("/api/chats", {"userId": b.user_id}, expect=(200, 201))
        chat = r.body["chat"]["chatId"]
        a.peers[chat], b.peers[chat] = b.user_id, a.user_id
        return chat

    def devices(self) -> list[Device]:
        return [d for u in self.users for d in u.devices]

    async def close(self) -> None:
        await asyncio.gather(*(x.close() for x in self.devices() + self.open), return_exceptions=True)


def by_role(stack, role: str) -> list:
    """The copies of a role, in order."""
    found = []
    for i in itertools.count():
        try:
            p = stack.role(role, i)
        except (KeyError, IndexError):
            return found
        if p is None:
            return found
        found.append(p)


def scenario(limit_s: float = 120, stack: str = "stack"):
    """Run `async def test(<fixtures>, net)` in a loop of its own with a Net on the fixture named `stack`."""

    def deco(fn: Callable[..., Awaitable[None]]):
        async def body(fixtures: dict) -> None:
            net = Net(fixtures[stack], seed=fn.__name__)
            try:
                async with asyncio.timeout(limit_s):
                    await fn(**fixtures, net=net)
                odd = [a for d in net.devices() for a in d.anomalies] + [f for x in net.open for f in getattr(x, "faults", [])]
                assert not odd, "against the protocol:\n" + "\n".join(odd[:20])
            except TimeoutError:
                raise AssertionError(f"not done in {limit_s} s; " + "; ".join(map(repr, net.devices()))) from None
            finally:
                await net.close()

        @functools.wraps(fn)
        def run(**fixtures):
            asyncio.run(body(fixtures))

        sig = inspect.signature(fn)
        run.__signature__ = sig.replace(parameters=[p for n, p in sig.parameters.items() if n != "net"])
        return run

    return deco
