# SPDX-License-Identifier: MIT
"""Looking into a running Stack from an asyncio test, steady load, and the check of what everybody got."""
from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import re
import uuid
from pathlib import Path
from typing import Any, Callable, Iterable

from client import MARK, Device, Outgoing, Secrets, until
from stack import ROOT, Proc, encode


def roles_of_setting(name: str) -> set[str]:
    """The roles that have it, as docs/settings.md is printed; `all` for all."""
    row = re.search(rf"^\| `{name}` \|(?:[^|]+\|){{4}} ([^|]+) \|", (ROOT / "docs/settings.md").read_text(), re.M)
    return set(row[1].split(", "))


# ---- database ----------------------------------------------------------------------------------------


def rows_now(stack, sql: str, *args) -> list[dict]:
    """Rows as dicts, ids as text."""
    from psycopg.rows import dict_row

    with stack.db() as c, c.cursor(row_factory=dict_row) as cur:
        cur.execute(sql, args)
        return [{k: str(v) if type(v).__name__ == "UUID" else v for k, v in r.items()} for r in cur.fetchall()]


async def rows(stack, sql: str, *args) -> list[dict]:
    return await asyncio.to_thread(rows_now, stack, sql, *args)


async def rows_when(stack, sql: str, *args, enough: Callable[[list[dict]], Any] = bool, timeout_s: float = 30,
                    what: str = "rows") -> list[dict]:
    """The rows as soon as they are `enough` (default: there is one). PostgreSQL may be away meanwhile."""
    import psycopg

    last: list = []

    async def look():
        last[:] = []
        try:
            last.extend(await rows(stack, sql, *args))
        except psycopg.OperationalError as e:
            last.append(e)
            return False
        return enough(last)

    await until(look, timeout_s, lambda: f"{what}; last {last[:5]}")
    return last


async def short_timer(stack, device, chat: str, seconds: int) -> None:
    """A timer that no edge offers, but the log takes: said as a gateway would. Wait until it stands."""
    peer = device.peers.get(chat)
    action = {"chatId": uuid.UUID(chat), "userId": uuid.UUID(device.user_id), "deviceId": uuid.UUID(device.device_id), "clientId": "short",
              "atMs": 0, "peer": peer and uuid.UUID(peer), "action": ("chasqui.TimerSet", {"seconds": seconds})}

    def produce():
        p = stack.producer()
        p.produce("chat.actions", encode("ChatAction", action), key=chat,
                  partition=partition_of(chat, len(p.list_topics("chat.actions", timeout=20).topics["chat.actions"].partitions)))
        assert p.flush(20) == 0

    await asyncio.to_thread(produce)
    await device.wait(lambda: any(f["chatId"] == chat and f["seconds"] == seconds for f in device.timers_log), 30, "the timer")


# ---- topics ------------------------------------------------------------------------------------------


def push_users(push: dict) -> list[str]:
    """Whom a record of mobile.push is for: `users` says whose each target is, unless all are one user's."""
    return push.get("users") or [push["userId"]]


async def records(stack, topic: str) -> list[tuple[int, int, dict]]:
    """(partition, offset, decoded value) of everything in a topic that decodes; poison and tombstones are left out."""

    def read():
        found = []
        for partition, offset, _, value, _ in stack.read_topic(topic):
            try:
                found.append((partition, offset, stack.decode(value)[1]))
            except Exception:  # noqa: BLE001  (poison that a test put there)
                continue
        return found

    return await asyncio.to_thread(read)


async def record_when(stack, topic: str, match: Callable[[dict], Any], what: str, timeout_s: float = 30) -> dict:
    """The first record that matches, now or soon."""
    found: list = []

    async def look():
        found[:] = [v for _, _, v in await records(stack, topic) if match(v)]
        return found

    await until(look, timeout_s, f"a record in {topic}: {what}")
    return found[0]


async def routed(stack, message: str, user: str) -> None:
    """Wait until processors/user has done with the delivery of this message to this user."""
    place: list = []

    def find(p, o, r):
        kind, body = r["body"]
        if not kind.endswith("DeliveryBatch"):
            return False
        return any(i["messageId"] == message and user in i["to"] for i in body["items"])

    async def look():
        if not place:
            place.extend((p, o) for p, o, r in await records(stack, "user.inbox") if find(p, o, r))
        return place and await asyncio.to_thread(committed, stack, "user", "user.inbox", place[0][0]) > place[0][1]

    await until(look, 30, f"{message} to be routed to {user}")


def committed(stack, group: str, topic: str, partition: int) -> int:
    """What the group has committed; -1: nothing."""
    from confluent_kafka import Consumer, TopicPartition

    c = Consumer({"bootstrap.servers": stack.broker, "group.id": group, "enable.auto.commit": False})
    try:
        return max(c.committed([TopicPartition(topic, partition)], timeout=20)[0].offset, -1)
    finally:
        c.close()


def partition_of(id_text: str, n: int) -> int:
    """Where Kafka's default partitioner puts a key: murmur2, made positive, mod n."""
    data, m, mask = id_text.encode(), 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % n


def ends_now(stack, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Next offset of every partition."""
    from confluent_kafka import Consumer, TopicPartition

    c = Consumer({"bootstrap.servers": stack.broker, "group.id": "look-ends", "enable.auto.commit": False})
    try:
        meta = c.list_topics(timeout=20).topics
        return {(t, p): c.get_watermark_offsets(TopicPartition(t, p), timeout=20)[1]
                for t in topics for p in meta[t].partitions}
    finally:
        c.close()


async def view_is_level(stack, timeout_s: float = 60) -> None:
    """Wait until the view has applied all that is in its topics, and nothing new came meanwhile."""

    async def level():
        ends = await asyncio.to_thread(ends_now, stack, ("chat.events", "rejections", "user.events", "delivery.status"))
        have = {(r["topic"], r["partition"]): r["next"] for r in await rows(stack, "SELECT * FROM view.positions WHERE consumer <> 'search'")}
        return all(have.get(k, 0) >= end for k, end in ends.items() if end)

    await until(level, timeout_s, "the view to have applied everything")


# ---- processes ---------------------------------------------------------------------------------------


async def paused(proc) -> None:
    """SIGSTOP, and wait until every thread has stopped."""
    proc.pause()

    def all_stopped():
        states = [Path(p).read_text().rpartition(")")[2].split()[0] for p in Path(f"/proc/{proc.pid}/task").glob("*/stat")]
        return states and all(s == "T" for s in states)

    await until(all_stopped, 10, f"{proc.name} to stand still")


async def killed_and_back(proc, timeout_s: float = 60) -> None:
    """kill -9, then wait until the runner has started it again and it is ready."""
    assert proc.auto_restart
    starts = proc.starts
    await asyncio.to_thread(proc.kill9)
    await until(lambda: proc.starts > starts and proc.is_ready(), timeout_s, f"{proc.name} to be back")


async def started(proc, timeout_s: float = 60) -> None:
    proc.start()
    await until(proc.is_ready, timeout_s, f"{proc.name} to be ready")


async def made_anew(stack) -> None:
    """The view is dropped, and comes back from the log: wait for what it is to show."""
    sinks = ("persistence", "status", "search")
    for role in sinks:
        await asyncio.to_thread(stack.role(role).stop)
    await asyncio.to_thread(stack.admin, "rebuild")
    for role in sinks:
        await started(stack.role(role))
    await rows_when(stack, "SELECT 1 FROM view.incomplete", enough=lambda found: not found)
    await until(stack.is_whole, 30, "/readyz to say that the view is whole")  # which asks about once a second


@contextlib.contextmanager
def one_more(stack, role: str, name: str, env: dict, without=(), bound=()):
    """One more copy of a role, called `name`, ready: the stack's environment less what begins with one of `without`, and `env`.
    `bound`: a command in front of it."""
    base = {k: v for k, v in stack.services.role_env(role).items() if not k.startswith(tuple(without) or ("\0",))}
    proc = Proc(name, [*bound, stack.services.executable, role], stack.services.log_dir / f"{name}.log", '"ready"',
                env={**base, "INSTANCE": "", **env})
    try:
        proc.start()
        proc.wait_ready(30)
        yield proc
    finally:
        proc.stop()


async def all_end_in_good_order(stack, timeout_s: float = 30) -> None:
    """Ask every role to end; each does, with 0. Sanitizers say at the end what leaked: log_faults() finds it."""
    for p in stack.roles():
        p.term()
    for p in stack.roles():
        await until(lambda p=p: not p.alive(), timeout_s, f"{p.name} to end")
    bad = {p.name: p.returncode for p in stack.roles() if p.returncode != 0}
    assert not bad, f"exit codes: {bad}"


class Supervised:
    """While open, the runner restarts every role that dies; at its end all are up."""

    def __init__(self, stack):
        self.stack = stack

    async def __aenter__(self):
        for p in self.stack.roles():
            p.auto_restart = True
        return self

    async def __aexit__(self, *error):
        for p in self.stack.roles():
            await until(lambda p=p: p.alive() and p.is_ready(), 60, f"{p.name} to be up")
            p.auto_restart = False


# ---- load --------------------------------------------------------------------------------------------


class Load:
    """Messages at a steady rate, in turn over `routes`: (device, chat id) pairs."""

    def __init__(self, routes: list[tuple[Device, str]], rate: float, label: str):
        self.routes, self.rate, self.label = routes, rate, label
        self.sent: list[tuple[Device, str, Outgoing]] = []
        self._task: asyncio.Task | None = None

    async def __aenter__(self) -> "Load":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            while len(self.sent) < (loop.time() - start) * self.rate:
                self.one()
            await asyncio.sleep(0.005)

    def one(self) -> Outgoing:
        device, chat = self.routes[len(self.sent) % len(self.routes)]
        out = device.send(f"{MARK} {self.label}:{len(self.sent):06d}", chat)
        self.sent.append((device, chat, out))
        return out

    async def more(self, n: int, timeout_s: float = 60) -> None:
        """Wait until n more messages have been sent."""
        goal = len(self.sent) + n
        await until(lambda: len(self.sent) >= goal, timeout_s, f"{n} more messages of the load")

    async def passes(self, timeout_s: float = 60) -> None:
        """Wait until something sent from now on is accepted on every route."""
        first = len(self.sent)
        goal = {(d, c) for d, c in self.routes}

        def done():
            return goal <= {(d, c) for d, c, o in self.sent[first:] if o.verdict and not o.rejected}

        await until(done, timeout_s, "new messages to be accepted on every route")

    async def settled(self, timeout_s: float = 90) -> None:
        """Wait until every message has its ack and its verdict."""

        def open_ones():
            return [o for _, _, o in self.sent if not (o.verdict and o.acks)]

        def what():
            left = open_ones()
            return (f"{len(left)} of {len(self.sent)} messages without ack or verdict, first {left[:3]}; "
                    f"{[repr(d) for d in {d for d, _ in self.routes}]}")

        await until(lambda: not open_ones(), timeout_s, what)

    def accepted(self, chat: str) -> list[Outgoing]:
        return [o for _, c, o in self.sent if c == chat and not o.rejected]

    async def arrived(self, members: dict[str, list[Device]], timeout_s: float = 60) -> None:
        """Wait until everybody shows everything accepted, then check each chat: nothing twice, nothing foreign, and
        every sender's messages in the order of sending."""
        for chat, devices in members.items():
            want = collections.Counter(o.content for o in self.accepted(chat))
            for d in devices:
                def missing(d=d, want=want, chat=chat):
                    return want - collections.Counter(d.contents(chat))

                await until(lambda: not missing(), timeout_s,
                            lambda: f"{d.name} lacks {sum(missing().values())} of {len(want)}, e.g. {sorted(missing())[:3]}; {d!r}")
                shown = [c for c in d.contents(chat) if c.startswith(f"{MARK} {self.label}:")]
                doubled = [c for c, n in collections.Counter(shown).items() if n > 1]
                assert not doubled, f"{d.name} shows twice: {doubled[:5]}"
                assert set(shown) == set(want), f"{d.name} shows what was not accepted: {sorted(set(shown) - set(want))[:5]}"
                for sender in {s for s, c, _ in self.sent if c == chat}:
                    theirs = [o.content for s, c, o in self.sent if c == chat and s is sender and not o.rejected]
                    seen = [c for c in shown if c in set(theirs)]
                    assert seen == theirs, f"{d.name}: {sender.name}'s messages out of order, first {first_difference(seen, theirs)}"

    async def in_view(self, stack, timeout_s: float = 60) -> None:
        """Every acknowledged message that was not rejected is in PostgreSQL exactly once, and nothing that was not sent."""
        chats = sorted({o.chat_id for _, _, o in self.sent})
        want = {(o.chat_id, o.client_id): o for _, _, o in self.sent if o.acks and not o.rejected}
        sql = "SELECT chat_id, client_id, id, seq, content FROM view.messages WHERE chat_id = ANY(%s::uuid[])"

        def enough(got):
            return want.keys() <= {(r["chat_id"], r["client_id"]) for r in got}

        got = await rows_when(stack, sql, chats, enough=enough, timeout_s=timeout_s, what=f"{len(want)} messages in the view")
        twice = [k for k, n in collections.Counter((r["chat_id"], r["client_id"]) for r in got).items() if n > 1]
        assert not twice, f"twice in the view: {twice[:5]}"
        for r in got:
            o = want.get((r["chat_id"], r["client_id"]))
            if o:
                assert (r["id"], r["seq"], bytes(r["content"]).decode()) == (o.id, o.seq, o.content)
            else:
                assert not bytes(r["content"]).decode().startswith(f"{MARK} {self.label}:"), f"not sent, or rejected: {r}"


def first_difference(a: list, b: list):
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return i, x, y
    return min(len(a), len(b)), len(a), len(b)


# ---- logs --------------------------------------------------------------------------------------------

TOKEN_LIKE = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|ThreadSanitizer|runtime error:")


def log_faults(stack) -> list[str]:
    """What is wrong with the logs of the roles: form, secrets, sanitizer reports. Also see that there is something."""
    faults: list[str] = []
    words = {c for c in Secrets.contents if MARK not in c} | Secrets.tokens | {p.lstrip("+") for p in Secrets.phones} | {MARK}
    assert all(len(w) >= len(MARK) for w in words), f"too short to be looked for: {words}"
    for proc in stack.roles():
        text = Path(proc.log_path).read_text(errors="replace")
        if '"event":"ready"' not in text:
            faults.append(f"{proc.name}: no ready line")
        lines = text.split("\n")
        faults += [f"{proc.name}: shows {w!r}: {next(x for x in lines if w in x)[:300]}" for w in words if w in text]
        for i, line in enumerate(lines):
            if SANITIZER.search(line):
                faults.append(f"{proc.name}:{i + 1}: {line[:300]}")
            if TOKEN_LIKE.search(line):
                faults.append(f"{proc.name}:{i + 1}: looks like a token: {line[:300]}")
            if line.startswith("{") and i < len(lines) - 1:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # cut by a kill in mid-line
                gone = {"level", "role", "event"} - entry.keys()
                if gone:
                    faults.append(f"{proc.name}:{i + 1}: without {sorted(gone)}: {line[:300]}")
    return faults
