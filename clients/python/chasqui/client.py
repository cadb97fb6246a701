# SPDX-License-Identifier: MIT
"""One device: a socket that is opened again for ever, its sends, its receipts, and events in order.

Events are the frames of docs/protocol.md as dicts, typed in events.py, and four of our own:
    {"t":"page","chats","marks"?,"me"?,"cursor","more"}   a page of a sync is told (its messages as `message`, its ticks as `status`,
                                                          changes of ours that fit no message as `rejected`).
                                                          Store the cursor together with what came before it
    {"t":"caught_up"}                                     what comes from here on is live
    {"t":"offline","code"}                                the socket ended; it is opened again
    {"t":"reset"}                                         the cursor was of another server: forget what is stored, all comes again
What they come to, a Book (book.py) says.
Take them with `async for`: what is not taken waits, and beyond a bound the socket is given up until it is.
"""
from __future__ import annotations

import asyncio
import collections
import json
import time
import uuid
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict, Union

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .events import Frame
from .looks import Looks
from .outbox import Entry, Outbox, Refused
from .session import EARLY_S, REPEATED, ApiError, Session, SignedOut, backoff, retry_after

EVENTS_MAX = 1000  # not taken yet
HELD_MAX = 5000  # live frames during a sync, or behind events that nobody takes; more: reconnect and sync
SEEN_MAX = 5000  # messages that are known, so that one is told once
CHATS_MAX = 10000  # chats whose receipts are remembered
FRAME_MAX_BYTES = 1 << 20
OK_EVERY_S = 0.1
OK_EVERY_FRAMES = 32
RECEIPTS_A_TURN = 10  # of OK_EVERY_S: 100 a second; a user may say 150
RECEIPT_AGAIN_S = 1.0
RECEIPT_SURE_S = 60  # one said so shortly before the socket ended is said again
STEADY_S = 10  # a socket that lived so long was a good one: back-off begins anew
SLOW_CODES = {4400: 5.0, 4429: 30.0}  # closes that a quick return would only repeat, and how long to stay away
CHANGES = ("edited", "deleted", "reaction")
VERDICTS = ("message", *CHANGES, "pinned", "vote", "poll_closed")

Page = TypedDict("Page", {"t": Literal["page"], "chats": list[dict], "marks": NotRequired[list[dict]], "me": NotRequired[dict], "cursor": str, "more": bool})
Told = TypedDict("Told", {"t": Literal["caught_up", "reset"]})
Offline = TypedDict("Offline", {"t": Literal["offline"], "code": int | None})
Event = Union[Frame, Page, Told, Offline]


@dataclass
class Chat:
    """What receipts of a chat have to say, and have said on this socket."""

    peer: str | None = None
    delivered: int = 0
    read: int = 0
    said_delivered: int = 0
    said_read: int = 0
    said_s: float = 0


class Client:
    """`async with Client(session, cursor) as client`. `cursor`: what the last `page` event had; "latest" begins with now, ""
    with the first message that there is."""

    def __init__(self, session: Session, cursor: str = "latest"):
        self.session, self.cursor = session, cursor
        self.capabilities: set[str] = set()
        self.limits: dict[str, int] = {}
        self.online = False  # registered at a gateway
        self._sync_cursor = cursor
        self._outbox = Outbox()
        self._events: asyncio.Queue[dict] = asyncio.Queue(EVENTS_MAX)
        self._current: dict | None = None
        self._seen: collections.OrderedDict[str, tuple[int, str]] = collections.OrderedDict()  # by id: seq, and what was told
        self._read_receipts = True
        self._looks = Looks(self._write, lambda path, body: self.session.insist("POST", path, body, tries=3))
        self._chats: collections.OrderedDict[str, Chat] = collections.OrderedDict()
        self._unsaid: dict[str, None] = {}  # chats with receipts to say, in order
        self._receipts_after_s = 0.0
        self._taken_up = False  # the application has taken all of the sync
        self._last_ready: dict | None = None  # of this socket
        self._caught_up: tuple[dict, dict] | tuple[None, None] = None, None  # the latest event, and the `ready` that it is of
        self._error: BaseException | None = None
        self._ws: ClientConnection | None = None
        self._held: asyncio.Queue[dict] = asyncio.Queue(HELD_MAX)
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._n = self._ok_sent = 0
        self._main: asyncio.Task | None = None

    # ---- what an application calls

    async def __aenter__(self) -> "Client":
        self._main = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_) -> None:
        self._main.cancel()
        self._looks.down()
        await asyncio.gather(self._main, return_exceptions=True)
        self._end(SignedOut("the client was closed"))

    def __aiter__(self) -> "Client":
        return self

    async def __anext__(self) -> Event:
        """The next event. Asking for it says that the one before is dealt with: its receipt goes out."""
        if self._current:
            self._took(self._current)
            self._current = None
        if self._error and self._events.empty():
            raise self._error
        self._current = await self._events.get()
        if self._current["t"] == "end":
            raise self._error
        return self._current

    async def send(self, content: str, chat_id: str | None = None, peer: str | None = None, client_id: str | None = None,
                   kind: str = "text", **beside) -> dict:
        """A message, to a group's chat_id or to another user (`peer`). Its own `message` frame, once it has its place; Refused or
        Full else. It is sent until then, whatever becomes of the socket. `beside`: mediaId, replyTo, mentions, forwardedFrom, location, contact, voice, preview."""
        return await self._submit({"t": "message.send", "content": content, "type": kind, **beside}, chat_id, peer, client_id)

    async def reply(self, message: dict, content: str, **beside) -> dict:
        """A message to the chat of this one."""
        return await self.send(content, message["chatId"], self._peer_of(message), **beside)

    async def edit(self, message: dict, content: str, **beside) -> dict:
        """`beside`: a preview of an address in the content; without one the message has none any more."""
        return await self._change("message.edit", message, {"content": content, **beside})

    async def delete(self, message: dict) -> dict:
        return await self._change("message.delete", message, {"messageFrom": message["from"]})

    async def react(self, message: dict, sign: str) -> dict:
        """An empty sign takes it back."""
        return await self._change("message.react", message, {"messageFrom": message["from"], "reaction": sign})

    async def pin(self, message: dict, pinned: bool = True) -> dict:
        """Above the others of its chat, for everybody, or not any more."""
        return await self._change("message.pin", message, {"messageFrom": message["from"], "pinned": pinned})

    async def vote(self, poll: dict, options: list[int]) -> dict:
        """What this user chooses in a poll, in place of what he chose before; nothing takes it back."""
        return await self._change("poll.vote", poll, {"messageFrom": poll["from"], "options": options})

    async def close_poll(self, poll: dict) -> dict:
        """A poll of one's own takes no more votes."""
        return await self._change("poll.close", poll, {})

    async def look(self, chat_id: str | None = None, user_id: str | None = None) -> dict:
        """Be told who types in a chat, or whether somebody is here, by `typing` and `presence`, until unlook(); across sockets, 32 at
        most. The answer has `seenAt`, where it is known; ApiError 404: not for this user to see."""
        return await self._looks.look(chat_id, user_id)

    async def unlook(self, chat_id: str | None = None, user_id: str | None = None) -> None:
        await self._looks.unlook(chat_id, user_id)

    async def signal(self, chat_id: str, state: str) -> None:
        """In a chat that is looked at: `typing` (again every 3 s), `recording`, `idle`."""
        await self._write({"t": "signal", "chatId": chat_id, "state": state})

    async def here(self, is_here: bool = True) -> None:
        """Is this app in the foreground?"""
        await self._looks.here(is_here)

    def read(self, message: dict) -> None:
        """The person has read the chat up to this message, which came as an event."""
        chat = self._chat(message["chatId"], self._peer_of(message))
        chat.read = max(chat.read, message["seq"])
        self._say(message["chatId"])

    # ---- sending

    def _peer_of(self, message: dict) -> str | None:
        """The other user of a direct chat."""
        if message.get("from") == self.session.user_id:
            return message.get("peer")
        return message.get("from") if message.get("peer") else None

    async def _change(self, kind: str, message: dict, more: dict) -> dict:
        frame = {"t": kind, "messageClientId": message["clientId"], "messageSeq": message["seq"], **more}
        return await self._submit(frame, message["chatId"], self._peer_of(message), None)

    async def _submit(self, frame: dict, chat_id: str | None, peer: str | None, client_id: str | None) -> dict:
        if self._error:
            raise self._error
        where = {"chatId": chat_id, "peer": peer}
        frame |= {"clientId": client_id or str(uuid.uuid4())} | {name: value for name, value in where.items() if value}
        done = asyncio.get_running_loop().create_future()
        self._outbox.add(frame, done)
        await self._pump()
        return await done

    async def _pump(self) -> None:
        async with self._writing:  # one at a time: messages go out in their order
            if self._ws and self.online:
                for frame in self._outbox.due(time.monotonic(), self._taken_up):
                    await self._write(frame)

    async def _write(self, frame: dict) -> None:
        try:
            await self._ws.send(json.dumps(frame, ensure_ascii=False))
        except (ConnectionClosed, AttributeError):
            pass  # the reader notices, too, and what had no ack is sent again

    def _settle(self, entry: Entry | None, frame: dict, code: str = "") -> None:
        if entry and not entry.done.done():
            if code:
                entry.done.set_exception(Refused(code, frame))
            else:
                entry.done.set_result(frame)

    # ---- the socket

    async def _run(self) -> None:
        attempt = 0
        try:
            config = None
            while True:
                began, wait_s, code = time.monotonic(), 0.0, None
                try:
                    config = config or await self._config()
                    code = await self._connection(config["wsUrl"])
                    wait_s = SLOW_CODES.get(code, 0.0)
                except InvalidStatus as refusal:
                    wait_s = retry_after(refusal.response.headers)
                except ApiError as refusal:
                    wait_s = refusal.retry_after_s
                except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
                    pass
                if time.monotonic() - began > STEADY_S:
                    attempt = 0
                await self._events.put({"t": "offline", "code": code})  # waits until there is room
                await asyncio.sleep(wait_s + backoff(attempt))
                attempt += 1
        except SignedOut as over:
            self._end(over)

    async def _config(self) -> dict:
        config = await self.session.call("GET", "/api/config")
        self.capabilities, self.limits = set(config.get("capabilities", ())), dict(config.get("limits", {}))
        self._outbox.in_flight_max = min(32, self.limits.get("messagesInFlight", 32))
        return config

    def _end(self, error: BaseException) -> None:
        self._error = self._error or error
        for client_id in list(self._outbox.entries):
            entry = self._outbox.verdict(client_id)
            if not entry.done.done():
                entry.done.set_exception(self._error)
                entry.done.exception()  # whoever gave up waiting is not warned
        if not self._events.full():
            self._events.put_nowait({"t": "end"})

    async def _connection(self, url: str) -> int | None:
        """From handshake to close; the close code."""
        token = await self.session.access_token()
        async with connect(url, compression=None, max_size=FRAME_MAX_BYTES, ping_interval=25, ping_timeout=20) as ws:
            self._ws, self._n, self._ok_sent, self._held = ws, 0, 0, asyncio.Queue(HELD_MAX)
            beside = [asyncio.create_task(work) for work in (self._tick(), self._merge(), self._renew(ws, token))]
            try:
                await self._write({"t": "auth", "token": token})
                async for text in ws:
                    await self._take(ws, json.loads(text))
            except ConnectionClosed:
                pass
            finally:
                self._ws, self.online, self._taken_up, self._last_ready = None, False, False, None
                self._looks.down()
                self._outbox.lost()
                self._unsure()
                for task in beside:
                    task.cancel()
                ended = await asyncio.gather(*beside, return_exceptions=True)
        if ws.close_code == 4401:
            await self.session.access_token(bad=self.session.tokens.access)
        for error in ended:
            if isinstance(error, SignedOut):
                raise error
        return ws.close_code

    async def _renew(self, ws: ClientConnection, token: str) -> None:
        """Keep the socket past the end of its token."""
        while True:
            await asyncio.sleep(max(5.0, self.session.tokens.expires_at_ms / 1000 - time.time() - EARLY_S))
            try:
                fresh = await self.session.access_token()
            except ApiError:
                continue
            except SignedOut:
                await ws.close()
                raise
            if fresh != token:
                token = fresh
                await self._write({"t": "auth", "token": token})

    async def _take(self, ws: ClientConnection, frame: dict) -> None:
        kind = frame.get("t")
        if kind == "ready":
            self.online, self._taken_up, self._last_ready = True, False, frame
            await self._looks.ready(frame["session"])
            await self._pump()
        elif kind == "welcome":
            self.capabilities = set(frame["capabilities"])
            return
        elif kind == "ack":
            self._outbox.acked(frame["clientId"], time.monotonic())
            await self._pump()
        elif kind == "nack":
            if entry := self._outbox.nacked(frame, time.monotonic()):
                self._settle(entry, frame, frame["code"])
            self._wake.set()
            return
        elif kind == "looking":
            self._looks.looking(frame)
        elif kind == "receipt_rejected":
            self._forget_receipts(frame["chatId"])
        elif kind == "error":
            self._not_taken(frame)
        self._judge(frame)
        if kind != "pong":
            try:
                self._held.put_nowait(frame)
            except asyncio.QueueFull:
                return await ws.close(1000, "too far behind")  # a sync brings what is dropped
        if "n" in frame:
            self._n = frame["n"]
            if self._n - self._ok_sent >= OK_EVERY_FRAMES:
                await self._ok()
        self._wake.set()

    def _judge(self, frame: dict) -> None:
        """A frame, or row of a sync, that is the verdict on something of ours."""
        kind = frame.get("t", "message")
        mine = frame.get("from" if kind == "message" else "by") == self.session.user_id or kind == "vote" and "clientId" in frame
        if kind == "rejected":
            self._settle(self._outbox.verdict(frame["clientId"]), frame, frame["code"])
        elif mine and kind in VERDICTS:
            self._settle(self._outbox.verdict(frame["clientId"]), frame)

    async def _ok(self) -> None:
        self._ok_sent = self._n
        await self._write({"t": "ok", "n": self._n})

    async def _tick(self) -> None:
        """All that is said a little later: `ok`, receipts, what has to be sent again."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), 1)
            except asyncio.TimeoutError:
                pass
            self._wake.clear()
            await asyncio.sleep(OK_EVERY_S)
            if self._n > self._ok_sent:
                await self._ok()
            await self._pump()
            await self._say_receipts()

    # ---- catching up

    async def _merge(self) -> None:
        """What came, in order, to the application; a sync at each `ready`."""
        while True:
            frame = await self._held.get()
            kind = frame["t"]
            if kind == "ready":
                await self._events.put(frame)
                await self._catch_up(frame["at"])
                self._caught_up = {"t": "caught_up"}, frame
                await self._events.put(self._caught_up[0])
            elif kind == "message":
                await self._tell_message(frame, frame, True)
            else:
                if kind == "profile":
                    self._shows(frame)
                await self._events.put(frame)

    async def _catch_up(self, at: str) -> None:
        attempt = 0
        while True:
            try:
                page = await self.session.call("GET", "/api/sync", cursor=self._sync_cursor, at_least=at)
            except ApiError as refusal:
                if refusal.status == 400 and self._sync_cursor not in ("", "latest"):
                    self._sync_cursor = "latest"
                    self._seen.clear()
                    await self._events.put({"t": "reset"})
                elif refusal.status not in REPEATED:
                    await self._ws.close()
                    raise
                await asyncio.sleep(refusal.retry_after_s + backoff(attempt))
                attempt += 1
                continue
            except SignedOut:
                await self._ws.close()
                raise
            attempt = 0
            await self._tell(page)
            self._sync_cursor = page["cursor"]
            if not page["more"]:
                return

    async def _tell(self, page: dict) -> None:
        for row in page["chats"]:
            self._chat(row["chatId"], row.get("peer"))
        for row in page["messages"]:
            self._judge(row)
            await self._tell_message(row, {"t": "message", **row}, False)
        for row in page.get("rejected", ()):
            await self._events.put({"t": "rejected", **row})
        for row in page["ticks"]:
            await self._events.put({"t": "status", **row})
        self._shows(page.get("me") or {})
        await self._events.put({"t": "page"} | {name: page[name] for name in ("chats", "marks", "me", "cursor", "more") if name in page})

    async def _tell_message(self, row: dict, event: dict, live: bool) -> None:
        """If it says something that was not told. A live frame of a known message says nothing new, unless its seq is lower: that
        one counts."""
        mark = json.dumps([row.get(name) for name in ("edited", "deleted", "gone", "reactions", "myReaction", "starred", "poll")])
        seq, known = row["seq"], self._seen.get(row["id"])
        if known and (known[0] < seq or known[0] == seq and (live or known[1] == mark)):
            return
        await self._events.put(event)
        self._seen[row["id"]] = seq, mark
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)

    # ---- receipts

    def _chat(self, chat_id: str, peer: str | None) -> Chat:
        chat = self._chats.setdefault(chat_id, Chat())
        chat.peer = peer or chat.peer
        self._chats.move_to_end(chat_id)
        if len(self._chats) > CHATS_MAX:
            oldest, _ = self._chats.popitem(last=False)
            self._unsaid.pop(oldest, None)
        return chat

    def _took(self, event: dict) -> None:
        """The application has dealt with it."""
        kind = event["t"]
        if kind == "page":
            self.cursor = event["cursor"]
        elif kind == "caught_up":
            self._taken_up = event is self._caught_up[0] and self._caught_up[1] is self._last_ready
            self._wake.set()
        elif kind == "message" and event["from"] != self.session.user_id:
            seq = max([event["seq"]] + [event[name].get("seq") or 0 for name in ("edited", "deleted") if event.get(name)])
            self._have(event["chatId"], self._peer_of(event), seq)
        elif kind in CHANGES and event["by"] != self.session.user_id and event["chatId"] in self._chats:
            self._have(event["chatId"], None, event["seq"])

    def _have(self, chat_id: str, peer: str | None, seq: int) -> None:
        chat = self._chat(chat_id, peer)
        chat.delivered = max(chat.delivered, seq)
        self._say(chat_id)

    def _say(self, chat_id: str) -> None:
        self._unsaid.setdefault(chat_id)
        self._wake.set()

    async def _say_receipts(self) -> None:
        if not self._taken_up or time.monotonic() < self._receipts_after_s:
            return
        for chat_id in list(self._unsaid)[:RECEIPTS_A_TURN]:
            del self._unsaid[chat_id]
            chat = self._chats[chat_id]
            news = {}
            if chat.delivered > chat.said_delivered:
                news["delivered"] = chat.said_delivered = chat.delivered
            if chat.read > chat.said_read:
                news["read"] = chat.said_read = chat.read
            if news:
                chat.said_s = time.monotonic()
                await self._write({"t": "receipt", "chatId": chat_id, **news, **({"peer": chat.peer} if chat.peer else {})})
        if self._unsaid:
            self._wake.set()

    def _not_taken(self, frame: dict) -> None:
        if frame.get("of") == "look":
            self._looks.refused()
        elif frame.get("of") == "receipt":
            self._receipts_after_s = time.monotonic() + RECEIPT_AGAIN_S
            self._unsure(frame.get("chatId"))

    def _unsure(self, chat_id: str | None = None) -> None:
        """What was said lately may not have arrived: say it again."""
        since_s = time.monotonic() - RECEIPT_SURE_S
        for other, chat in self._chats.items():
            if chat.said_s > since_s and chat_id in (None, other):
                chat.said_delivered = chat.said_read = 0
                self._unsaid.setdefault(other)

    def _forget_receipts(self, chat_id: str) -> None:
        """It was not for this user to say: the next one is about what comes next."""
        if chat := self._chats.get(chat_id):
            chat.delivered = chat.read = chat.said_delivered = chat.said_read = 0
            chat.said_s = 0

    def _shows(self, me: dict) -> None:
        """`profile`, or `me` of a sync. What was read while receipts were off is not told once they are on."""
        if me.get("readReceipts", self._read_receipts) != self._read_receipts:
            self._read_receipts = me["readReceipts"]
            for chat in self._chats.values():
                chat.read = chat.said_read = 0
