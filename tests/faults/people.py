# SPDX-License-Identifier: MIT
"""The people of a run: strict clients (tests/lib/client.py) whose every deed is written to the history.

They talk over WebSocket and REST, in direct chats and groups, with several devices each; they send the same client id
again and at once from elsewhere, come and go, lose sockets, read, are added to and removed from groups, and log in on
new devices. All choices come from the seed; what the system answers, and when, does not.
"""
from __future__ import annotations

import asyncio
import dataclasses
import math
import random
import uuid

from client import MARK, ApiError, Device, Rest, RawWs, Tokens, until
from client import register_push, sign_in
from history import History
from wire import Slow

RETRY_CHANCE = 0.9  # of a REST send whose outcome is unknown; else nobody ever asks again
SILENT_S = 75.0  # a gateway closes what says nothing for DEAD_AFTER_MS; and time to notice
NO = (400, 403, 404, 409, 413)


class Player(Device):
    """A Device that writes history. `home` devices stay online; the others come and go."""

    def __init__(self, history: History, home: bool, *args, **options):
        super().__init__(*args, **options)
        self.h, self.home, self.away_for_good = history, home, False
        self.sync_limit_s = math.inf  # as long as a fault lasts; a run that never settles says so
        self._how = "sync"
        self._states: dict[str, tuple[int, bool]] = {}  # message → what was noted of it
        self._gone: set[str] = set()  # the same of what is gone

    def note(self, e: str, /, **fields) -> None:
        self.h.add(e, c=self.name, user=self.user_id, device=self.device_id, **fields)

    def send(self, content, chat_id=None, peer=None, type="text", client_id=None, beside=None):
        out = super().send(content, chat_id, peer, type, client_id, beside=beside)
        # nothing has left yet: writing is another task
        self.note("send", cid=out.client_id, chat=chat_id, content=content, via="ws", seat=len(self.readies))
        return out

    def _on_ack(self, f):
        super()._on_ack(f)
        self.note("ack", cid=f["clientId"], id=f["id"], seat=len(self.readies))

    def _on_nack(self, f):
        out = self.outbox.get(f["clientId"])
        if out and out.state == "acked":  # a repeat was not taken: nothing else is until it is sent again
            out.state = "sent"
            self.waiting.insert(0, out)
        super()._on_nack(f)
        self.note("nack", cid=f["clientId"], code=f["code"])

    def _on_ready(self, f):
        super()._on_ready(f)
        self.note("ready", session=f["session"], at_least=f["at"])

    async def _sync(self, at):
        await super()._sync(at)
        if not self.caught_up:
            return
        self.note("caught_up", session=self.session)
        # A refusal is told to sockets only, and no sync has it: who was away then asks by sending again.
        for out in self.outbox.values():
            if out.acks and not out.verdict:
                self.again(out)

    def _end_connection(self, ws):
        was = self.session
        for f in self._held:  # said `ok` to, though a sync was still under way: no push of it may be expected
            if f["t"] == "message" and f["n"] <= self._ok_sent:
                self.note("got", id=f["id"])
        super()._end_connection(ws)
        self.note("closed", session=was, code=ws.close_code, reason=ws.close_reason or "")

    def _merge_live(self, f):
        self._how = "live"
        try:
            super()._merge_live(f)
        finally:
            self._how = "sync"
        if f["t"] == "profile" and "readReceipts" in f:
            self.note("hides", about=f.get("about"), on=f["readReceipts"])
        if f["t"] == "rejected":
            self.note("verdict", cid=f["clientId"], id=f["id"], chat=f["chatId"], code=f["code"])

    def _merge(self, f):
        new = f["id"] not in self.messages
        out = self.outbox.get(f["clientId"]) if f["from"] == self.user_id else None
        if out and out.rejected:
            out.verdict = None  # one try was refused, another one, sent elsewhere or later, was not
        told = bool(out and out.verdict)
        super()._merge(f)
        if new:
            self.note("show", id=f["id"], seq=f["seq"], chat=f["chatId"], sender=f["from"], cid=f["clientId"],
                      content=f["content"], how=self._how, beside=self.messages[f["id"]].beside)
        self._note_state(f["id"])
        if out and not told and out.verdict:
            self.note("verdict", cid=f["clientId"], id=f["id"], chat=f["chatId"], seq=f["seq"])

    def change(self, kind, message, content="", client_id=None):
        out = super().change(kind, message, content, client_id)
        self.note("change", kind=kind, cid=out.client_id, id=message.id, chat=message.chat_id, content=content)
        return out

    def _merge_change(self, f):
        super()._merge_change(f)
        if f["t"] == "reaction":
            self.note("sign", id=f["messageId"], by=f["by"], seq=f["seq"], reaction=f["reaction"])
        self._note_state(f["messageId"])

    def _note_state(self, message_id: str) -> None:
        """What this device shows of a message that was changed."""
        m = self.messages.get(message_id)
        if m and m.gone:
            if message_id not in self._gone:
                self._gone.add(message_id)
                self.note("gone", id=m.id, how=self._how)
            return
        if m and (m.edited or m.deleted) and self._states.get(message_id) != (m.edited, m.deleted):
            self._states[message_id] = (m.edited, m.deleted)
            self.note("changed", id=m.id, edited=m.edited, deleted=m.deleted, content=m.content, how=self._how)

    def _take_stale(self, f):
        super()._take_stale(f)
        self.note("stale", chat=f["chatId"], cid=f["clientId"])

    def _hide(self, f):
        super()._hide(f)
        for place in f["messages"]:
            self._note_state(place["id"])

    def _merge_ticks(self, t):
        super()._merge_ticks(t)
        self.note("tick", chat=t["chatId"], delivered=t["delivered"], read=t["read"], how=self._how)

    def _post(self, frame):
        super()._post(frame)
        if frame["t"] == "receipt" and self._ws:
            self.note("receipt", chat=frame["chatId"], delivered=frame.get("delivered", 0), read=frame.get("read", 0))


class Mute:
    """A device that reads and never says `ok`: all it gets is handed back. It shows nothing."""

    def __init__(self, history: History, tokens: Tokens, ws_urls: list[str], rest: Rest):
        self.h, self.tokens, self.ws_urls, self.rest = history, tokens, ws_urls, rest
        self.name = f"mute-{tokens.device_id[:4]}"
        self.task: asyncio.Task | None = None

    async def run(self) -> None:
        i = 0
        while True:
            ws = RawWs(self.ws_urls[i % len(self.ws_urls)])
            try:
                await ws.open(self.tokens.access)
                await ws.closed(60)
                self.h.add("mute_closed", c=self.name, device=self.tokens.device_id, code=ws.close_code,
                           frames=sum(f["t"] == "message" for f in ws.frames))
            except (OSError, AssertionError, asyncio.TimeoutError, Exception):  # noqa: BLE001  (the gateway is away)
                await asyncio.sleep(0.5)
            finally:
                await asyncio.gather(ws.close(), return_exceptions=True)
            i += 1
            await asyncio.sleep(0.2)


    async def end(self) -> None:
        """One cancel may be lost: wait_for forgets it when what it waited for has come at the same moment."""
        while self.task and not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=1)


class Dawdler(Mute):
    """A device that reads nothing, or a byte a second, and whose socket must be closed for it all the same."""

    def __init__(self, pace: float, closed_within_s: float, *args):
        super().__init__(*args)
        self.pace, self.closed_within_s = pace, closed_within_s
        self.name = f"slow{pace:g}-{self.tokens.device_id[:4]}"

    async def run(self) -> None:
        i = 0
        while True:
            slow = Slow(self.ws_urls[i % len(self.ws_urls)], self.tokens.access, self.pace)
            i += 1
            try:
                await slow.open()
                await slow.dawdle(self.closed_within_s)
                closed = await slow.ended(SILENT_S - self.closed_within_s)  # with nothing to read it is only silent
                self.h.add("mute_closed", c=self.name, device=self.tokens.device_id, code=None, closed=closed)
                if not closed:
                    self.h.add("odd", c=self.name, text="a socket that was not read was not closed")
            except (OSError, asyncio.TimeoutError):  # the gateway is away
                await asyncio.sleep(0.5)
            finally:
                slow.close()
            await asyncio.sleep(0.2)


class Person:
    def __init__(self, name: str, phone: str):
        self.name, self.phone = name, phone
        self.user_id = ""
        self.players: list[Player] = []
        self.chats: list[str] = []  # where to send, groups one was removed from too


class Cast:
    """Everybody. `prepare` registers and makes chats while all is well; `play` runs until it is cancelled."""

    def __init__(self, stack, history: History, seed: str, ws_urls: list[str], users: int = 8, rate: float = 30.0,
                 doors: int = 2):
        self.stack, self.h, self.seed, self.rate = stack, history, seed, rate
        self.ws_urls = ws_urls
        self.rest_urls = [stack.rest_url(i) for i in range(doors)]
        self.rest = Rest(self.rest_urls[0])
        self.people = [Person(f"p{i}", "") for i in range(users)]
        self.by_user: dict[str, Person] = {}
        self.mutes: list[Mute] = []
        self.direct: dict[str, tuple[str, str]] = {}
        self.groups: dict[str, dict] = {}  # chat → {"owner": Person, "churn": [Person]}
        self.sent = 0
        self.paused = False  # no new sends
        self.churn_rests = False
        self.deeds: list = []  # more loops, each a function of the cast
        self._tasks: list[asyncio.Task] = []
        self._posts: set[asyncio.Task] = set()
        self._phones = random.Random(f"{seed}/phones").randrange(10**9)

    # ---- making it -----------------------------------------------------------------------------

    def phone(self) -> str:
        self._phones += 1
        return f"+49{self._phones % 10**10:010d}"

    def all_players(self) -> list[Player]:
        return [d for p in self.people for d in p.players]

    async def device(self, person: Person, platform: str = "android", home: bool = False) -> Player:
        tokens = await sign_in(self.rest, person.phone, None if person.user_id else person.name, platform)
        person.user_id = person.user_id or tokens.user_id
        self.by_user[person.user_id] = person
        name = f"{person.name}.{len(person.players) + 1}"
        rng = random.Random(f"{self.seed}/{name}")
        d = Player(self.h, home, name, tokens, self.rest_urls[len(self.all_players()) % len(self.rest_urls)], self.ws_urls, rng,
                   auto_read=rng.random() < 0.3)
        d.url_i = len(self.all_players())
        d.peers.update({c: b if a == person.user_id else a for c, (a, b) in self.direct.items() if person.user_id in (a, b)})
        await register_push(d.rest, d.device_id)  # without an address it could not be woken: then it is nobody's player
        person.players.append(d)
        d.note("device", platform=platform, home=home)
        return d

    async def prepare(self, mutes: int = 3) -> None:
        for i, p in enumerate(self.people):
            p.phone = self.phone()
            await self.device(p, home=True)
            if i % 2 == 0:
                await self.device(p, "web")
        await asyncio.gather(*(d.online() for d in self.all_players()))
        n = len(self.people)
        for i in range(n):
            for step in (1, 3):
                a, b = self.people[i], self.people[(i + step) % n]
                await self._make_direct(a, b)
        await self._make_group(self.people[0], self.people[1:], [])
        await self._make_group(self.people[1], self.people[2:n - 1], self.people[3:n - 1])
        await self._make_group(self.people[2], self.people[3:n // 2 + 2], [])
        makers = (Mute, lambda *a: Dawdler(0, 30, *a), lambda *a: Dawdler(1, 30, *a))
        for i, make in enumerate(makers[:mutes]):
            p = self.people[-1 - i]
            t = await sign_in(self.rest, p.phone)
            m = make(self.h, t, self.ws_urls, self.rest)
            await register_push(Rest(self.rest.base_url, t.access), t.device_id)
            self.h.add("device", c=m.name, user=p.user_id, device=t.device_id, platform="android", mute=True, home=False)
            self.mutes.append(m)

    async def _make_direct(self, a: Person, b: Person) -> None:
        r = await a.players[0].rest.post("/api/chats", {"userId": b.user_id}, expect=(200, 201))
        chat = r.body["chat"]["chatId"]
        self.direct[chat] = (a.user_id, b.user_id)
        for me, you in ((a, b), (b, a)):
            if chat not in me.chats:
                me.chats.append(chat)
            for d in me.players:
                d.peers[chat] = you.user_id
        self.h.add("chat", chat=chat, kind="direct", users=[a.user_id, b.user_id])

    async def _make_group(self, owner: Person, others: list[Person], churn: list[Person]) -> None:
        body = {"name": "group", "members": [p.user_id for p in others], "clientId": str(uuid.uuid4())}
        r = await owner.players[0].rest.post("/api/chats", body, expect=201)
        chat = r.body["chat"]["chatId"]
        self.groups[chat] = {"owner": owner, "churn": churn}
        for p in [owner, *others]:
            p.chats.append(chat)
        self.h.add("chat", chat=chat, kind="group", users=[p.user_id for p in [owner, *others]],
                   churn=[p.user_id for p in churn])

    # ---- playing -------------------------------------------------------------------------------

    def play(self, coming_and_going: bool = True, churning: bool = True) -> None:
        loops = [self._sending(), self._reading(), self._profiles(), self._changing(), self._hiding(), self._blocking(), self._marking(), self._inviting(), self._polling()]
        if churning:
            loops.append(self._churning())
        if coming_and_going:
            loops += [self._coming_and_going(), self._new_devices()]
        self._tasks += [asyncio.create_task(x) for x in loops]
        self._tasks += [asyncio.create_task(deed(self)) for deed in self.deeds]
        for m in self.mutes:
            m.task = asyncio.create_task(m.run())

    async def stop_playing(self) -> None:
        """No new deeds; whatever was begun goes on to its end."""
        for t in self._tasks:
            t.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for t in self._tasks:  # a bug in a loop is a bug in the test
            if not t.cancelled() and t.exception():
                raise t.exception()
        self._tasks.clear()
        for d in self.all_players():
            if not d.away_for_good:
                d.start()

    async def posts_done(self, timeout_s: float) -> None:
        await until(lambda: not self._posts, timeout_s, lambda: f"{len(self._posts)} REST sends to end")

    async def close(self) -> None:
        for t in [*self._tasks, *self._posts, *(m.task for m in self.mutes if m.task)]:
            t.cancel()
        await asyncio.gather(*(d.close() for d in self.all_players()), self.rest.close(), return_exceptions=True)

    async def _sending(self) -> None:
        rng = random.Random(f"{self.seed}/sending")
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + 1 / self.rate, loop.time() - 1)
            await asyncio.sleep(max(0, due - loop.time()))
            waiting = sum(len(d.waiting) for d in self.all_players())
            if self.paused or waiting > 2000 or len(self._posts) > 200:
                continue
            self._send_one(rng)

    async def talk_in(self, chats, every_s: float = 0.3) -> None:
        """Until it is cancelled: something new in each of these direct chats, again and again."""
        chats = list(chats)
        while True:
            for chat in chats:
                d = self.by_user[self.direct[chat][0]].players[0]
                if len(d.waiting) < 100:
                    d.send(f"{MARK} steady {self.h.counts['send']}", chat)
            await asyncio.sleep(every_s)

    def _send_one(self, rng: random.Random) -> None:
        p = rng.choice(self.people)
        chat = rng.choice(p.chats)
        d = rng.choice([x for x in p.players if not x.away_for_good])
        cid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        content, beside = f"{MARK} {cid}", self._beside(d, chat, cid)
        how = rng.random()
        self.sent += 1
        if how < 0.15:
            self._post(d, chat, cid, content, rng.random(), beside)
            return
        out = d.send(content, chat, client_id=cid, beside=beside)
        if how < 0.22:  # again a little later
            asyncio.get_running_loop().call_later(rng.uniform(0, 3), d.again, out)
        elif how < 0.29 and len(p.players) > 1:  # at the same time from another device, through another gateway
            other = rng.choice([x for x in p.players if x is not d])
            if not other.away_for_good:
                other.send(content, chat, client_id=cid, beside=beside)
        elif how < 0.32:
            self._post(d, chat, cid, content, rng.random(), beside)

    def _beside(self, d: Player, chat: str, cid: str) -> dict:
        """What some messages say beside their content: an answer, at times to nothing; mentions, at times of who is not there; a forward; a place."""
        rng, found = random.Random(cid), {}
        seen = [m for m in d.messages.values() if m.chat_id == chat]
        if seen and rng.random() < 0.2:
            m = rng.choice(seen)
            found["replyTo"] = {"id": m.id, "seq": m.seq + (rng.random() < 0.1)}
        if rng.random() < 0.2:
            found["mentions"] = [p.user_id for p in rng.sample(self.people, rng.randint(1, 3))]
        if rng.random() < 0.1:
            found["forwardedFrom"] = rng.randrange(3)
        if rng.random() < 0.05:
            found["poll"] = {"options": ["red", "green", "blue"], "choices": rng.randint(1, 2), "anonymous": rng.random() < 0.5}
            if rng.random() < 0.3:
                found["poll"]["closesIn"] = rng.randint(1, 20)
        elif rng.random() < 0.1:  # a poll has no place
            found["location"] = {"latitude": rng.randrange(-90 * 10**7, 90 * 10**7) / 1e7, "longitude": 0, "name": cid}
        return found

    def _post(self, d: Player, chat: str, cid: str, content: str, luck: float, beside: dict) -> None:
        self._track(self._post_until_known(d, chat, cid, content, luck, beside))

    def _track(self, doing) -> None:
        task = asyncio.create_task(doing)
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _post_until_known(self, d: Player, chat: str, cid: str, content: str, luck: float, beside: dict) -> None:
        body = {"chatId": chat, "content": content, "type": "text", "clientId": cid, **beside}
        if chat in d.peers:
            body["peer"] = d.peers[chat]
        d.note("send", cid=cid, chat=chat, content=content, via="rest")
        for i in range(1, 1000):
            r = await d.rest.post("/api/messages", body)
            if r.status in (200, 201):
                d.note("ack", cid=cid, id=r.body["message"]["id"], seq=r.body["message"]["seq"])
                return
            if r.status in NO:
                d.note("fail", cid=cid, code=r.code, status=r.status)
                return
            if r.status == 401:
                await d.refresh()
            elif r.status not in (0, 429, 503):
                d.note("odd", text=f"REST send: {r.status} {r.body}")
            d.note("unknown", cid=cid, status=r.status)
            if luck > RETRY_CHANCE and i == 1:
                return
            await asyncio.sleep(min(float(r.headers.get("retry-after", 0.3)), 2.0))

    async def _reading(self) -> None:
        rng = random.Random(f"{self.seed}/reading")
        while True:
            await asyncio.sleep(rng.uniform(0.1, 0.5))
            p = rng.choice(self.people)
            d = rng.choice(p.players)
            if d.caught_up and d.messages:
                d.read(rng.choice(p.chats))
            if rng.random() < 0.02 and d.session:  # of what has not been said yet: refused, and by no means a tick
                chat = rng.choice(p.chats)
                f = {"t": "receipt", "chatId": chat, "read": (1 << 48) + (1 << 40)}
                d.note("bad_receipt", chat=chat)
                Device._post(d, {**f, "peer": d.peers[chat]} if chat in d.peers else f)

    async def _profiles(self) -> None:
        """Each says something new of himself now and then, and waits for the answer, whatever it is."""
        rng = random.Random(f"{self.seed}/profiles")
        while True:
            await asyncio.sleep(rng.uniform(0.5, 1.5))
            p = rng.choice(self.people)
            about = f"says {self.h.counts.get('profile', 0)}"
            body = {"about": about, "privacy": {rng.choice(("about", "lastSeen")): rng.choice(("everyone", "contacts", "nobody"))}}
            if p in self.people[::3]:  # some turn their read receipts off and on
                body["readReceipts"] = rng.random() < 0.5
                self.h.add("turn", user=p.user_id, about=about, on=body["readReceipts"])
            r = await p.players[0].rest.call("PATCH", "/api/me", body)
            self.h.add("profile", user=p.user_id, about=about, status=r.status)
            if r.status == 401:
                await p.players[0].refresh()

    async def _marking(self) -> None:
        """Each archives, pins, or marks unread some chat now and then, writes a draft there, and waits for the answer, whatever it is."""
        rng = random.Random(f"{self.seed}/marking")
        while True:
            await asyncio.sleep(rng.uniform(0.5, 1.5))
            p = rng.choice(self.people)
            d, draft = rng.choice(p.players), f"draft {self.h.counts.get('chat_mark', 0)}"
            chat = rng.choice(p.chats) if p.chats else None
            if self.paused or not chat:
                continue
            what = rng.choice(("archived", "pinned", "markedUnread"))
            r = await d.rest.call("PATCH", f"/api/chats/{chat}/marks", {what: rng.random() < 0.6, "draft": draft})
            self.h.add("chat_mark", user=p.user_id, chat=chat, draft=draft, status=r.status)
            if r.status == 401:
                await d.refresh()

    async def _changing(self) -> None:
        """Somebody edits or deletes something of his own, or the owner of a group something of another's; some ask twice, some by REST."""
        rng = random.Random(f"{self.seed}/changing")
        while True:
            await asyncio.sleep(rng.uniform(0.1, 0.6))
            p = rng.choice(self.people)
            d = rng.choice(p.players)
            if self.paused or not d.caught_up:
                continue
            mine = [m for m in list(d.messages.values())[-200:] if m.sender == p.user_id and not m.deleted]
            others = [m for m in list(d.messages.values())[-200:] if self.groups.get(m.chat_id, {}).get("owner") is p and not m.deleted]
            kind, how = rng.choice(("edit", "edit", "delete", "react", "react")), rng.random()
            pool = others if kind == "delete" and how < 0.3 else mine
            if kind == "react":  # often the same, so that many meet at one message
                pool = [m for m in list(d.messages.values())[-30:] if not m.deleted]
            if not pool:
                continue
            m = rng.choice(pool)
            content = {"edit": f"{MARK} edit {rng.getrandbits(40)}", "react": rng.choice(("+1", "-1", "")), "delete": ""}[kind]
            if how > 0.8:
                self._track(self._change_by_rest(d, kind, m, content))
                continue
            out = d.change(kind, dataclasses.replace(m, seq=m.seq + 1) if kind == "edit" and how < 0.1 else m, content)  # some name another place
            if rng.random() < 0.15:
                asyncio.get_running_loop().call_later(rng.uniform(0, 3), d.again, out)

    async def _change_by_rest(self, d: Player, kind: str, m, content: str) -> None:
        path, cid = f"/api/chats/{m.chat_id}/messages/{m.id}", str(uuid.uuid4())
        d.note("change", kind=kind, cid=cid, id=m.id, chat=m.chat_id, content=content)
        for _ in range(1000):
            if kind == "edit":
                r = await d.rest.call("PATCH", path, {"content": content, "clientId": cid})
            elif kind == "react" and content:
                r = await d.rest.call("PUT", f"{path}/reaction", {"reaction": content})
            else:
                r = await d.rest.call("DELETE", f"{path}/reaction" if kind == "react" else path)
            if r.status == 200 or r.status in NO:
                d.note("change_end", cid=cid, id=m.id, kind=kind, status=r.status)
                return
            if r.status == 401:
                await d.refresh()
            elif r.status not in (0, 429, 503):
                d.note("odd", text=f"REST change: {r.status} {r.body}")
            await asyncio.sleep(min(float(r.headers.get("retry-after", 0.3)), 2.0))

    async def _hiding(self) -> None:
        """Somebody deletes a few messages of a chat for himself, and waits for the answer, whatever it is."""
        rng = random.Random(f"{self.seed}/hiding")
        while True:
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            d = rng.choice(rng.choice(self.people).players)
            seen = [m for m in list(d.messages.values())[-100:] if not m.gone]
            if self.paused or not d.caught_up or not seen:
                continue
            chat = rng.choice(seen).chat_id
            here = [m.id for m in seen if m.chat_id == chat]
            self._track(self._hide_until_known(d, chat, rng.sample(here, min(len(here), 3))))

    async def _hide_until_known(self, d: Player, chat: str, ids: list[str]) -> None:
        for _ in range(1000):
            r = await d.rest.post(f"/api/chats/{chat}/hidden", {"messages": ids})
            if r.status == 200 or r.status in NO:
                d.note("hide_end", chat=chat, ids=ids, status=r.status)
                return
            if r.status == 401:
                await d.refresh()
            elif r.status not in (0, 429, 503):
                d.note("odd", text=f"REST hiding: {r.status} {r.body}")
            await asyncio.sleep(min(float(r.headers.get("retry-after", 0.3)), 2.0))

    async def _inviting(self) -> None:
        """Owners make a link for one or two, several use it at once, and it is revoked meanwhile, or then. Each waits for its answer, whatever it is."""
        rng = random.Random(f"{self.seed}/inviting")
        where = [(chat, g) for chat, g in self.groups.items() if g["churn"]]
        while True:
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            if self.churn_rests or not where:
                continue
            chat, g = rng.choice(where)
            owner, path = g["owner"].players[0], f"/api/chats/{chat}/invites"
            approval = rng.random() < 0.3
            r = await owner.rest.post(path, {"uses": rng.randint(1, 2), "approval": approval})
            if r.status == 401:
                await owner.refresh()
            if r.status != 201:
                continue
            link = r.body["invite"]
            await asyncio.gather(self._revoke(owner, f"{path}/{link['id']}", rng.uniform(0.0, 2.0)),
                                 *(self._join(who, chat, link["secret"], f"{link['id'][:8]}-{i}") for i in range(2) for who in g["churn"]),
                                 *(self._grant(owner, chat, who.user_id, rng.uniform(0.5, 1.5)) for who in g["churn"] if approval))

    async def _grant(self, owner: Player, chat: str, user: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await owner.rest.call("PUT", f"/api/chats/{chat}/requests/{user}")

    async def _join(self, who, chat: str, secret: str, cid: str) -> None:
        r = await who.players[0].rest.post(f"/api/invites/{chat}/{secret}", {"clientId": cid})
        self.h.add("invite_end", chat=chat, who=who.user_id, cid=cid, status=r.status)

    async def _revoke(self, owner: Player, path: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        for _ in range(100):
            r = await owner.rest.call("DELETE", path)
            if r.status not in (0, 401, 429, 503):
                return
            if r.status == 401:
                await owner.refresh()
            await asyncio.sleep(min(float(r.headers.get("retry-after", 0.3)), 2.0))

    async def _churning(self) -> None:
        """Owners add, remove, promote and demote; members leave. Each waits for its answer, whatever it is."""
        rng = random.Random(f"{self.seed}/churning")
        where = [(chat, g) for chat, g in self.groups.items() if g["churn"]]
        while True:
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            if self.churn_rests:
                continue
            chat, g = rng.choice(where)
            who, op = rng.choice(g["churn"]), rng.choice(("remove", "add", "add", "leave", "promote", "demote"))
            actor = who if op == "leave" else g["owner"]
            d = actor.players[0]
            path = f"/api/chats/{chat}/members"
            self.h.add("member", chat=chat, op=op, who=who.user_id, by=actor.user_id)
            if op == "add":
                r = await d.rest.post(path, {"add": [who.user_id]})
            elif op in ("remove", "leave"):
                r = await d.rest.call("DELETE", f"{path}/{who.user_id}")
            else:
                r = await d.rest.call("PUT", f"{path}/{who.user_id}", {"role": "admin" if op == "promote" else "member"})
            self.h.add("member_end", chat=chat, op=op, who=who.user_id, status=r.status)
            if r.status == 401:
                await d.refresh()

    def _parting(self) -> list[tuple[str, tuple[str, str]]]:
        return list(self.direct.items())[:2]

    async def _polling(self) -> None:
        """Somebody votes in a poll that he saw, takes his vote back, or closes one of his own, and waits for the answer, whatever it is."""
        rng = random.Random(f"{self.seed}/polling")
        while True:
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            d = rng.choice(rng.choice(self.people).players)
            polls = [m for m in list(d.messages.values())[-300:] if m.options and not m.deleted and not m.gone]
            if self.paused or not d.caught_up or not polls:
                continue
            m = rng.choice(polls[-5:])
            mine = m.sender == d.user_id and rng.random() < 0.2
            how = ("PUT", "close", None) if mine else rng.choice((("DELETE", "vote", None), *[("PUT", "vote", {"options": rng.sample(range(3), rng.choice((1, 1, 2)))})] * 4))
            self._track(self._vote_until_known(d, m, *how))

    async def _vote_until_known(self, d: Player, m, method: str, what: str, body) -> None:
        for _ in range(1000):
            r = await d.rest.call(method, f"/api/chats/{m.chat_id}/messages/{m.id}/{what}", body)
            if r.status == 200 or r.status in NO:
                own = (r.body.get("poll") or {}).get("mine", {})
                d.note("vote_end", id=m.id, what=what, status=r.status, seq=own.get("seq", 0), mine=sum(1 << n for n in own.get("options", ())))
                return
            if r.status == 401:
                await d.refresh()
            elif r.status not in (0, 429, 503):
                d.note("odd", text=f"REST {what}: {r.status} {r.body}")
            await asyncio.sleep(min(float(r.headers.get("retry-after", 0.3)), 2.0))

    async def look_polls(self) -> None:
        """What everybody is shown of the last polls, once all is quiet: who is in the chat a result."""
        for p in self.people:
            d = p.players[0]
            await d.refresh()
            here = {c["chatId"] for c in (await d.rest.get("/api/chats", expect=200, limit=500)).body["chats"] if c["role"] != "left" and not c.get("blocked")}
            for m in [m for m in d.messages.values() if m.options and m.chat_id in here and not m.gone][-15:]:
                r = await d.rest.get(f"/api/chats/{m.chat_id}/messages/{m.id}/votes")
                if r.status == 200:  # else it is deleted, or hidden
                    poll = r.body["poll"]
                    d.note("poll", id=m.id, counts=poll.get("counts"), voters=poll.get("voters"), named=[v["userId"] for v in r.body["votes"]],
                           mine=sum(1 << n for n in poll.get("mine", {}).get("options", ())))

    async def _blocking(self) -> None:
        """In two direct chats the second of the two blocks the first, and unblocks, over and over. Each waits for its answer, whatever it is."""
        rng = random.Random(f"{self.seed}/blocking")
        while True:
            await asyncio.sleep(rng.uniform(1.0, 4.0))
            chat, (other, blocker) = rng.choice(self._parting())
            op, d = rng.choice(("PUT", "DELETE")), self.by_user[blocker].players[0]
            self.h.add("block", chat=chat, op=op, by=blocker)
            r = await d.rest.call(op, f"/api/users/{other}/block")
            self.h.add("block_end", chat=chat, op=op, by=blocker, status=r.status)
            if r.status == 401:
                await d.refresh()

    async def look_parted(self) -> None:
        """What each of the two is shown of such a chat, once all is quiet."""
        for chat, users in self._parting():
            for user in users:
                d = self.by_user[user].players[0]
                await d.refresh()
                seen, page, after = [], {"more": True}, 0
                while page["more"]:
                    page = (await d.rest.get(f"/api/chats/{chat}/messages", expect=200, after=after, limit=200)).body
                    seen += page["messages"]
                    after = seen[-1]["seq"] if seen else 0
                row, page = None, {"more": True}
                while not row and page["more"]:
                    page = (await d.rest.get("/api/chats", expect=200, **({"cursor": page["cursor"]} if "cursor" in page else {}))).body
                    row = next((c for c in page["chats"] if c["chatId"] == chat), None)
                if not row:  # nobody has written there, or opened it
                    if seen:
                        d.note("odd", text=f"chat {chat} has messages, and is not in the list")
                    continue
                d.note("parted", chat=chat, history=[m["id"] for m in seen], last=row.get("lastMessage", {}).get("id"),
                       blocked=row.get("blocked", False), delivered=[m["id"] for m in seen if m["deliveredAt"]],
                       **{"except": [[g["after"], g["before"]] for g in row.get("except", ())]})

    async def _coming_and_going(self) -> None:
        rng = random.Random(f"{self.seed}/coming")
        while True:
            await asyncio.sleep(rng.uniform(0.5, 2.5))
            d = rng.choice(self.all_players())
            if d.home and rng.random() < 0.7:
                continue
            rudely, pause = rng.random() < 0.5, rng.uniform(0.1, 6.0)
            if d.away_for_good:
                continue
            d.note("going", rudely=rudely)
            await d.stop(rudely)
            asyncio.get_running_loop().call_later(pause, self._come_back, d)

    def _come_back(self, d: Player) -> None:
        if not d.away_for_good:
            d.start()

    async def _new_devices(self) -> None:
        rng = random.Random(f"{self.seed}/devices")
        while True:
            await asyncio.sleep(rng.uniform(15, 30))
            p = rng.choice(self.people)
            if len(p.players) >= 4:
                continue
            try:
                d = await self.device(p, rng.choice(("web", "ios", "android")))
            except (ApiError, KeyError) as e:
                self.h.add("sign_in_failed", user=p.user_id, why=str(e)[:200])
                continue
            d.start()

    async def somebody_out(self) -> tuple[str, Person]:
        """Somebody who is not in his group now, and stays out until `tell_without` is done."""
        self.churn_rests = True
        chat, g = next((c, g) for c, g in self.groups.items() if g["churn"])
        who, d = g["churn"][0], g["owner"].players[0]

        async def out():
            r = await d.rest.call("DELETE", f"/api/chats/{chat}/members/{who.user_id}")
            return r.status in (200, 404)

        await until(out, 60, "somebody to be removed")
        return chat, who

    async def tell_without(self, gone: tuple[str, Person]) -> None:
        """A message that does not concern him, and one of his that nobody wants."""
        chat, who = gone
        outs = []
        for d in (self.groups[chat]["owner"].players[0], who.players[0]):
            d.start()
            outs.append(d.send(f"{MARK} without {who.name} {self.h.counts['send']}", chat))
        await until(lambda: all(o.verdict for o in outs), 60, "verdicts on what was said without somebody")
        self.churn_rests = False

    async def leave_some(self) -> None:
        """A third of the visiting devices goes offline until the end."""
        rng = random.Random(f"{self.seed}/leaving")
        visiting = [d for d in self.all_players() if not d.home]
        for d in rng.sample(visiting, max(1, len(visiting) // 3)):
            d.away_for_good = True
            d.note("going", rudely=True, for_good=True)
            await d.stop(rudely=True)
            for out in d.waiting:  # what was not acknowledged by now, nobody will ever ask about again
                d.outbox.pop(out.client_id, None)
            d.waiting.clear()

    async def welcome_back(self) -> None:
        for d in self.all_players():
            d.away_for_good = False
            d.start()
