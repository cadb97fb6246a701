# SPDX-License-Identifier: MIT
"""What is done to a system, and the order in which it is done: both from the seed alone.

A fault is a coroutine that does its harm, ends it, and returns words for the record. FAULTS is the table; `plan` draws
from it like from a bag that is refilled when it is empty, so that a long run meets every fault.
"""
from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import sys
import time
import uuid
from dataclasses import dataclass, replace
from typing import Awaitable, Callable

import topicless
import wire
from client import Rest, by_role, register_push, sign_in, until
from commits import Group
from dump import FOLLOWED
from look import partition_of, paused
from people import SILENT_S
from roles import TABLE
from stack import ROLES
from wire import Slow

SESSION_S = 10.0  # of the consumers; see lib/bus/consumer.c
STAGES = ("chat", "user", "mobile")  # whose commits say it all; those of media are told from its own rows
FEEDS = ("persistence", "status")
BEHIND = tuple(r.word for r in TABLE if r.groups and r.listen == "NONE")  # whom no client sees
READY_S = 90.0
SLOW_READY_S = 300.0  # a start on a slow disk writes thousands of blocks
MANY = 10**6  # as many restarts as it takes


@dataclass
class Fault:
    name: str  # F1 …, as docs/guarantees.md lists them, and what of it
    what: str
    do: Callable[["Nemesis", random.Random], Awaitable[str]]
    weight: int = 1  # how often it is in the bag
    short: bool = True  # fits the short profile
    needs: str = ""  # what the driver has to have set up for it; see Rig.have


FAULTS: list[Fault] = []


def fault(name: str, what: str, weight: int = 1, short: bool = True, needs: str = ""):
    def deco(fn):
        FAULTS.append(Fault(name, what, fn, weight, short, needs))
        return fn

    return deco


def named(name: str) -> list[Fault]:
    """F4 means all of F4, F4.kill one of them."""
    return [f for f in FAULTS if name in (f.name, f.name.split(".")[0])]


def plan(seed: str, n: int, have: set[str], short: bool) -> list[tuple[Fault, str]]:
    """The first n faults of this seed, each with the seed of its own choices. A pure function."""
    rng = random.Random(f"{seed}/plan")
    bag: list[Fault] = []
    found = []
    while len(found) < n:
        if not bag:
            bag = [f for f in FAULTS for _ in range(f.weight) if (not f.needs or f.needs in have) and (f.short or not short)]
            rng.shuffle(bag)
        found.append((bag.pop(), f"{seed}/{len(found)}"))
    return found


class Nemesis:
    def __init__(self, stack, cast, history, proxies=None, disk=None, preloads=None):
        self.stack, self.cast, self.h, self.proxies, self.disk = stack, cast, history, proxies, disk
        self.preloads = preloads or {}
        self.extras: list = []  # copies added for a while
        self.small = False  # the short profile: shorter outages

    # ---- tools ---------------------------------------------------------------------------------

    def copies(self, role: str) -> list:
        return by_role(self.stack, role)

    async def back(self, *procs) -> None:
        for p in procs:
            await until(lambda p=p: p.alive() and p.is_ready(), READY_S, lambda p=p: f"{p.name} to be back")

    async def start_again(self, proc, limit_s: float = READY_S) -> None:
        """Kafka or PostgreSQL, which nobody restarts for us."""
        await asyncio.to_thread(proc.start)
        await until(proc.is_ready, limit_s, f"{proc.name} to be ready")

    def sql(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.stack.database_url, autocommit=True, application_name="nemesis", connect_timeout=5) as c:
            for s in statements:
                c.execute(s)

    async def kill_and_start(self, proc, number: int, down_s: float) -> None:
        proc.signal(number)
        await asyncio.to_thread(proc.wait, 60)
        await asyncio.sleep(down_s)
        await self.start_again(proc)

    def pick(self, rng: random.Random, roles=ROLES):
        return rng.choice([p for r in roles for p in self.copies(r)])

    def produce(self, records: list[tuple[str, int, bytes | None, bytes | None]]) -> None:
        """(topic, partition, key, value), every one stored or an error."""
        p = self.stack.producer(**{"message.max.bytes": 2_000_000})
        failed: list = []
        for topic, partition, key, value in records:
            p.produce(topic, value, key=key, partition=partition,
                      on_delivery=lambda e, m: failed.append(str(e)) if e else None)
        assert p.flush(60) == 0 and not failed, failed

    def some_records(self, rng: random.Random, topic: str, most: int) -> list[tuple[str, int, bytes | None, bytes | None]]:
        """Up to `most` records that stand in the topic, with their bytes."""
        records = [r for r in self.stack.read_topic(topic, timeout=60)]
        return [(topic, p, key, value) for p, _, key, value, _ in rng.sample(records, min(most, len(records)))]

    async def reset_group(self, group: str, back: int | None, keep_text: bool) -> None:
        """Move a group's commits back by `back` records (None: to the beginning). Its members die for it."""
        procs = self.copies(group)
        for p in procs:
            p.auto_restart = False
        for p in procs:
            await asyncio.to_thread(p.kill9)

        def move() -> bool:
            topic = next(t for t, g in FOLLOWED if g == group)
            with Group(self.stack.broker, group) as g:
                # a text that says what was done above the offset (sinks/mobile) would be wrong beside another offset
                g.write([replace(c, offset=0 if back is None else max(0, c.offset - back),
                                 text=c.text if keep_text and c.text.startswith(b"f") else b"")
                         for c in g.read(topic, int(self.stack.services.settings["PARTITIONS"])) if c.offset >= 0])
            return True

        last: list = []  # why it was not moved yet
        try:  # the group is free when the sessions of the dead are over
            await until(lambda: quietly(move, last), 40, lambda: f"the group {group} to be moved: {last[:2]}")
        finally:
            for p in procs:
                p.auto_restart = True
                await asyncio.to_thread(p.start)
        await self.back(*procs)

    async def config(self, topic: str, name: str, value: str) -> None:
        from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

        def set_it():
            entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
            admin = AdminClient({"bootstrap.servers": self.stack.broker})
            (f,) = admin.incremental_alter_configs([resource]).values()
            f.result(20)

        await asyncio.to_thread(set_it)

    def rights(self, topic: str, forbidden: str | None) -> None:
        """Forbid everybody READ or WRITE of a topic, and nothing else of it; None: all is allowed again."""
        from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                           ResourcePatternType, ResourceType)

        admin = AdminClient({"bootstrap.servers": self.stack.broker})
        where = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
        if forbidden:
            # who names a resource in one rule has to allow the rest of it
            rules = [AclBinding(*where, "User:*", "*", AclOperation.ALL, AclPermissionType.ALLOW),
                     AclBinding(*where, "User:*", "*", AclOperation[forbidden], AclPermissionType.DENY)]
            futures = admin.create_acls(rules, request_timeout=20)
        else:
            futures = admin.delete_acls([AclBindingFilter(*where, None, None, AclOperation.ANY, AclPermissionType.ANY)],
                                        request_timeout=20)
        for f in futures.values():
            f.result(30)

    async def proc_like(self, role: str, instance: str, **settings):
        """One more copy of a role; the caller stops it."""
        from process import Proc

        s = self.stack.services
        env = {**s.role_env(role), "INSTANCE": instance, "METRICS_LISTEN": "", **settings}
        proc = Proc(instance, [s.executable, role], s.log_dir / f"{instance}.log", '"event":"ready"', env=env, guard=s.guard)
        self.extras.append(proc)
        await asyncio.to_thread(proc.start)
        return proc

    async def heal(self) -> None:
        """Whatever state things are in: everything runs again. For the end, and after a fault that failed."""
        for p in self.extras:
            await asyncio.to_thread(p.stop, 5)
        for p in (*self.stack.kafkas, self.stack.postgres, *self.stack.roles()):
            p.cont()
        dead = [p for p in (*self.stack.kafkas, self.stack.postgres) if not p.alive()]
        for p in dead:  # all before any is awaited: one node of a cluster alone never gets ready
            await asyncio.to_thread(p.start)
        for p in dead:
            await self.start_again(p)
        for p in self.stack.roles():
            p.auto_restart = True


def quietly(fn, last: list) -> bool:
    """Whether fn() is true; an exception is a no, and noted."""
    try:
        return fn()
    except Exception as e:  # noqa: BLE001  (not yet)
        last[:] = [e]
        return False


# ---- F1, F2, F3, F19: processes ------------------------------------------------------------------------


def killing(role: str):
    async def do(m: Nemesis, rng: random.Random) -> str:
        proc = rng.choice(m.copies(role))
        starts = proc.starts
        await asyncio.to_thread(proc.kill9)
        await until(lambda: proc.starts > starts, READY_S, f"{proc.name} to be started")
        await m.back(proc)
        return proc.name

    return do


for _role in ROLES:
    fault(f"F1.{_role}", f"kill -9 a copy of {_role}")(killing(_role))


@fault("F1.all", "kill -9 one copy of every role at once", short=False)
async def kill_one_of_each(m: Nemesis, rng: random.Random) -> str:
    procs = [rng.choice(m.copies(r)) for r in ROLES]
    await asyncio.gather(*(asyncio.to_thread(p.kill9) for p in procs))
    await m.back(*procs)
    return ", ".join(p.name for p in procs)


def stopping(role: str, factor: float):
    async def do(m: Nemesis, rng: random.Random) -> str:
        proc = rng.choice(m.copies(role))
        await paused(proc)
        try:
            await asyncio.sleep(SESSION_S * factor)
        finally:
            proc.cont()
        await m.back(proc)
        return f"{proc.name} for {SESSION_S * factor:.0f} s"

    return do


for _role, _factor in itertools.product(BEHIND, (0.5, 1.5)):
    fault(f"F2.{_role}.{_factor}", f"SIGSTOP {_role} for {_factor} sessions", short=_role in ("persistence", "chat"))(
        stopping(_role, _factor))
fault("F2.user.3", "SIGSTOP user for 3 sessions", short=False)(stopping("user", 3.0))
fault("F2.persistence.3", "SIGSTOP persistence for 3 sessions", short=False)(stopping("persistence", 3.0))
fault("F3", "SIGSTOP a gateway for 20 s")(stopping("edge-ws", 2.0))
fault("F3.rest", "SIGSTOP a REST edge for 5 s", short=False)(stopping("edge-rest", 0.5))


class Listening:
    """While open, hears every line of the history."""

    def __init__(self, history, partitions: int):
        self.h, self.n = history, partitions

    def __enter__(self):
        self.h.listeners.append(self._hear)
        return self

    def __exit__(self, *_):
        self.h.listeners.remove(self._hear)

    def _hear(self, x: dict) -> None:
        raise NotImplementedError

    def now(self) -> float:
        return time.monotonic() - self.h.begin


class Pauses(Listening):
    """When each chat partition's messages reached somebody live."""

    def __init__(self, history, partitions: int):
        super().__init__(history, partitions)
        self.seen: dict[int, list[float]] = {}

    def _hear(self, x: dict) -> None:
        if x["e"] == "show" and x["how"] == "live":
            self.seen.setdefault(partition_of(x["chat"], self.n), []).append(x["at"])

    def longest(self, begin: float, end: float) -> tuple[float, float]:
        """(the longest of any partition, the mean of each one's longest) times without a message, in seconds."""
        worst = []
        for times in self.seen.values():
            at = [begin, *(t for t in times if begin <= t <= end), end]
            worst.append(max(b - a for a, b in zip(at, at[1:])))
        return (max(worst), sum(worst) / len(worst)) if worst else (end - begin, end - begin)


@fault("F19", "SIGTERM every copy of every role in turn", short=False)
async def rolling_restart(m: Nemesis, rng: random.Random) -> str:
    """Also measured: how long each chat partition is without a delivered message meanwhile (static membership: a copy
    that is back within its session gets its partitions again, and nobody else's move). Each is sent to steadily for it."""
    bad, told = [], []
    width = int(m.stack.services.settings["PARTITIONS"])
    talking = asyncio.create_task(m.cast.talk_in({partition_of(c, width): c for c in m.cast.direct}.values()))
    with Pauses(m.h, width) as pauses, contextlib.ExitStack() as after:
        after.callback(talking.cancel)
        await asyncio.sleep(6)  # as it is without
        told.append(("nobody", *pauses.longest(pauses.now() - 6, pauses.now())))
        for role in rng.sample(ROLES, len(ROLES)):
            begin = pauses.now()
            for proc in m.copies(role):
                starts = proc.starts
                proc.auto_restart = False
                proc.term()
                code = await asyncio.to_thread(proc.wait, 60)
                if code != 0:
                    bad.append(f"{proc.name} ended with {code}")
                proc.auto_restart = True
                await asyncio.to_thread(proc.start)
                await until(lambda p=proc, s=starts: p.starts > s and p.is_ready(), READY_S, f"{proc.name} to be back")
            await asyncio.sleep(3)  # what stood still is there again
            told.append((role, *pauses.longest(begin, pauses.now())))
    if bad:
        m.h.add("odd", text=f"SIGTERM: {', '.join(bad)}")
    m.h.add("pauses", partitions=len(pauses.seen), of=told)
    return (("all ended with 0" if not bad else ", ".join(bad)) + f"; {len(pauses.seen)} partitions, longest/mean pause in s: "
            + ", ".join(f"{role} {most:.1f}/{mean:.1f}" for role, most, mean in told))


# ---- F4, F5: the broker --------------------------------------------------------------------------------


@fault("F4.kill", "kill -9 the broker and start it again")
async def broker_killed(m: Nemesis, rng: random.Random) -> str:
    down = rng.uniform(0, 4)
    await m.kill_and_start(m.stack.kafka, signal.SIGKILL, down)
    return f"down {down:.1f} s"


@fault("F4.restart", "end the broker in good order and start it again", short=False)
async def broker_restarted(m: Nemesis, rng: random.Random) -> str:
    await m.kill_and_start(m.stack.kafka, signal.SIGTERM, 0)
    return ""


@fault("F4.pause", "SIGSTOP the broker for 7 s")
async def broker_paused(m: Nemesis, rng: random.Random) -> str:
    await paused(m.stack.kafka)
    try:
        await asyncio.sleep(7)
    finally:
        m.stack.kafka.cont()
    return ""


@fault("F5", "the broker is down for 60 s", short=False)
async def broker_down(m: Nemesis, rng: random.Random) -> str:
    await m.kill_and_start(m.stack.kafka, signal.SIGKILL, 60)
    return ""


# ---- F7, F8: PostgreSQL --------------------------------------------------------------------------------


@fault("F7.kill", "kill -9 PostgreSQL and start it again")
async def postgres_killed(m: Nemesis, rng: random.Random) -> str:
    await m.kill_and_start(m.stack.postgres, signal.SIGKILL, rng.uniform(0, 3))
    return ""


@fault("F7.immediate", "immediate shutdown of PostgreSQL", short=False)
async def postgres_immediate(m: Nemesis, rng: random.Random) -> str:
    await m.kill_and_start(m.stack.postgres, signal.SIGQUIT, rng.uniform(0, 3))
    return ""


@fault("F7.down", "PostgreSQL is away for 25 s", short=False)
async def postgres_down(m: Nemesis, rng: random.Random) -> str:
    await m.kill_and_start(m.stack.postgres, signal.SIGQUIT, 25)
    return ""


TERMINATE = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
             "WHERE application_name LIKE 'chasqui%' AND pid <> pg_backend_pid()")


@fault("F7.backends", "end the sinks' and readers' backends, again and again")
async def backends_ended(m: Nemesis, rng: random.Random) -> str:
    n = rng.randint(10, 40)
    for _ in range(n):
        await asyncio.to_thread(m.sql, TERMINATE)
        await asyncio.sleep(rng.uniform(0, 0.2))
    return f"{n} times"


@fault("F8", "a table is locked by somebody else")
async def table_locked(m: Nemesis, rng: random.Random) -> str:
    table, hold = rng.choice(("messages", "positions", "cursors", "chats")), rng.uniform(2, 12)
    await asyncio.to_thread(m.sql, f"BEGIN; LOCK view.{table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({hold}); COMMIT")
    return f"{table} for {hold:.1f} s"


# ---- F9, F10: disk, network ----------------------------------------------------------------------------


@fault("F9", "the disk is full for a while, for broker and database", short=False, needs="disk")
async def disk_full(m: Nemesis, rng: random.Random) -> str:
    m.disk.fill()
    try:
        await asyncio.sleep(8)
    finally:
        m.disk.free()
    for p in (m.stack.kafka, m.stack.postgres):  # a broker without a disk ends itself
        died = not p.alive()
        if died:
            await m.start_again(p)
    await m.back(*m.stack.roles())
    return f"{m.disk.filled_mb} MB"


def toxic(name: str, what: str, seconds: float, **attributes):
    @fault(f"F10.{name}", what, short=False, needs="proxies")
    async def do(m: Nemesis, rng: random.Random) -> str:
        where = rng.choice(("kafka", "postgres", "ws"))
        await asyncio.to_thread(m.proxies.harm, where, name, attributes)
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(m.proxies.reset)
        return f"{where} for {seconds:.0f} s"

    return do


toxic("latency", "every byte is 200 ms late", 10, latency=200, jitter=50)
toxic("slicer", "bytes come one by one", 8, average_size=1, size_variation=0, delay=10)
toxic("reset_peer", "connections are reset", 5, timeout=100)
toxic("timeout", "nothing comes through, and nothing says so", 12, timeout=0)
toxic("down", "nothing listens", 20)


def one_way(stream: str, what: str):
    @fault(f"F10.one-way.{stream}", what, short=False, needs="proxies")
    async def do(m: Nemesis, rng: random.Random) -> str:
        where = rng.choice(("kafka", "postgres", "ws"))
        await asyncio.to_thread(m.proxies.harm, where, "timeout", {"timeout": 0}, (stream,))
        try:
            await asyncio.sleep(12)
        finally:
            await asyncio.to_thread(m.proxies.reset)
        return f"{where} for 12 s"


one_way("upstream", "nothing gets there, and answers come")
one_way("downstream", "all gets there, and no answer comes")


# ---- F20 and slow disks ----------------------------------------------------------------------


@contextlib.asynccontextmanager
async def in_another_world(m: Nemesis, proc, preload, limit_s: float = READY_S, first: int = signal.SIGKILL, **env):
    """The process ends by the signal `first`, runs with a library and settings of its own, dies, and is as before."""
    before = proc.env

    async def start(with_env, number=signal.SIGKILL):
        proc.auto_restart = False
        proc.signal(number)
        await asyncio.to_thread(proc.wait, READY_S)
        proc.env = with_env
        await m.start_again(proc, limit_s)

    restarts = proc.auto_restart
    try:
        base = dict(before if before is not None else os.environ)
        loaded = ":".join(x for x in (str(preload), base.get("LD_PRELOAD", "")) if x)
        await start({**base, "LD_PRELOAD": loaded, **env}, first)
        yield
    finally:
        await start(before)
        proc.auto_restart = restarts


@fault("F20", "a role's clock goes up to 50 s wrong, and right again", short=False, needs="clock")
async def clock_wrong(m: Nemesis, rng: random.Random) -> str:
    """Beyond a minute a gateway refuses the others' tokens, as it should."""
    proc, shift = m.pick(rng), rng.choice((-1, 1)) * rng.randint(5, 50)
    async with in_another_world(m, proc, m.preloads["clock"], FAKETIME=f"{shift:+d}s", FAKETIME_DONT_FAKE_MONOTONIC="1"):
        await asyncio.sleep(12)
    return f"{proc.name} by {shift:+d} s"


def slow_disk(name: str):
    @fault(f"F9.slow.{name}", f"each write of {name} takes 30 ms more", short=False, needs="slow")
    async def do(m: Nemesis, rng: random.Random) -> str:
        # PostgreSQL shuts down "fast": a recovery takes 30 ms a block
        first = signal.SIGINT if name == "postgres" else signal.SIGKILL
        async with in_another_world(m, getattr(m.stack, name), m.preloads["slow"], SLOW_READY_S, first, SLOW_DISK_MS="30"):
            await asyncio.sleep(15)
        return "for 15 s"


slow_disk("kafka")
slow_disk("postgres")


# ---- F11, F13, F15: the log ----------------------------------------------------------------------------


@fault("F11.positions", "the view's positions are moved back")
async def positions_back(m: Nemesis, rng: random.Random) -> str:
    n = rng.randint(1, 200)
    await asyncio.to_thread(m.sql, f"UPDATE view.positions SET next = GREATEST(0, next - {n}), "
                                   f"source_next = GREATEST(0, source_next - {3 * n}) WHERE consumer = 'persistence'")
    await asyncio.sleep(1)
    await m.back(*m.copies("persistence"))
    return f"by {n}"


def resetting(group: str, how: str):
    async def do(m: Nemesis, rng: random.Random) -> str:
        n = rng.randint(10, 300) if how == "back" else None
        await m.reset_group(group, n, keep_text=how == "back")
        return f"{group} by {n}" if n else f"{group} to the beginning"

    return do


for _group in STAGES:
    fault(f"F11.{_group}", f"the commits of {_group} are moved back", short=False)(resetting(_group, "back"))
fault("F11.chat.all", "chat reads chat.actions from the beginning", short=False)(resetting("chat", "all"))
fault("F11.user.all", "user reads user.inbox from the beginning", short=False)(resetting("user", "all"))

DERIVED = ("chat.events", "rejections", "delivery.status", "user.events", "user.inbox", "ws.push", "mobile.push", "members",
           "presence")


@fault("F13", "old records of derived topics come again")
async def repeats(m: Nemesis, rng: random.Random) -> str:
    n = 0
    for topic in rng.sample(DERIVED, 4):
        records = await asyncio.to_thread(m.some_records, rng, topic, 30)
        if topic == "user.inbox":
            records = [r for r in records if m.stack.decode(r[3])[1]["body"][0].endswith("DeliveryBatch")]
        await asyncio.to_thread(m.produce, records)
        n += len(records)
    return f"{n} records"


@fault("F13.restore", "old members and sessions come again, and their readers restore")
async def old_state(m: Nemesis, rng: random.Random) -> str:
    records = []
    gone = await m.cast.somebody_out()
    for topic in ("members", "presence"):
        found = await asyncio.to_thread(m.stack.read_topic, topic, 60)
        # the oldest comes last: whoever believes the last word believes the oldest one
        records += [(topic, p, key, value) for p, _, key, value, _ in reversed(found) if value is not None][-400:]
    await asyncio.to_thread(m.produce, records)
    procs = m.copies("chat") + m.copies("user")
    await asyncio.gather(*(asyncio.to_thread(p.kill9) for p in procs))
    await m.back(*procs)
    await m.cast.tell_without(gone)
    return f"{len(records)} records"


POISONED = {"chat.actions": "ChatAction", "chat.events": "ChatEvent", "rejections": "Rejection",
            "delivery.status": "DeliveryStatus", "user.inbox": "UserInbox", "user.events": "UserEvent",
            "ws.push": "WsPush", "mobile.push": "MobilePush", "push.targets": "PushTarget"}


def poisons(rng: random.Random, record: str) -> list[bytes]:
    from stack import schemas

    head = next(b"\0" + number.to_bytes(4, "big") for number, (name, _) in schemas().items() if name == record)
    mark = uuid.UUID(int=rng.getrandbits(128)).bytes  # so that each is one of its kind
    return [b"", b"\xfe\xed" + mark, b"\0\x3f\xff\xff\xfe" + mark, head + b"\x02",
            head + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + mark, head + b"\x80" * 40 + mark]


@fault("F15", "records that cannot be read, in every topic")
async def poison(m: Nemesis, rng: random.Random) -> str:
    meta = m.stack.producer().list_topics(timeout=20).topics
    records = []
    for topic, record in POISONED.items():
        for value in rng.sample(poisons(rng, record), 2):
            records.append((topic, rng.randrange(len(meta[topic].partitions)), b"poison", value))
    await asyncio.to_thread(m.produce, records)
    for topic, partition, _, value in records:
        m.h.add("poison", topic=topic, partition=partition, raw=value.hex()[:200])
    return f"{len(records)} records"


# ---- F14, F16, F24: groups, dead producers, wrong settings ---------------------------------------------


@fault("F14", "copies come and go every 2 s", short=False)
async def rebalance_storm(m: Nemesis, rng: random.Random) -> str:
    n = 12
    for i in range(n):
        role = rng.choice(BEHIND)
        proc = await m.proc_like(role, f"{role}-x{i % 3}")
        await asyncio.sleep(2)
        if rng.random() < 0.5:
            await asyncio.to_thread(proc.kill9)
        await asyncio.to_thread(proc.stop, 30)
        m.extras.remove(proc)
    return f"{n} copies"


@fault("F16", "a producer is told that it is broken for good", needs="fatal")
async def producer_fatal(m: Nemesis, rng: random.Random) -> str:
    proc = m.pick(rng)
    starts = proc.starts
    proc.signal(signal.SIGUSR1)
    await until(lambda: proc.starts > starts, 60, f"{proc.name} to end and be started again")
    await m.back(proc)
    return proc.name


@fault("F24", "a process with another number of partitions, or slots, does not start", short=False)
async def wrong_width(m: Nemesis, rng: random.Random) -> str:
    role = rng.choice([r.word for r in TABLE if r.copies != "ANY"])
    n = int(m.stack.services.settings["PARTITIONS"])
    n = rng.choice((n // 2, n * 2))  # others that the settings allow
    proc = await m.proc_like(role, f"{role}-wrong", PARTITIONS=str(n), WS_LISTEN="127.0.0.1:0")
    code = await asyncio.to_thread(proc.wait, 30)
    if not code or proc.is_ready():
        m.h.add("odd", text=f"{role} with PARTITIONS={n} started, or ended with {code}")
    await asyncio.to_thread(proc.stop, 5)
    m.extras.remove(proc)
    return f"{role} with {n}: ended with {code}"


class Words:
    """What the roles' logs say from now on."""

    def __init__(self, stack):
        self.at = {p.name: (p.log_path, p.log_path.stat().st_size) for p in stack.roles()}

    def found(self, pattern: str) -> list[str]:
        """Names of those who said it."""
        names = []
        for name, (path, size) in self.at.items():
            with open(path, "rb") as log:
                log.seek(size)
                if re.search(pattern, log.read().decode("utf-8", "replace")):
                    names.append(name)
        return names


def failed_sends(m: Nemesis) -> dict[str, float]:
    """Edge → how many of its sends have failed; one that is away has nothing to say."""
    found = {}
    for role in ("edge-ws", "edge-rest"):
        for i, p in enumerate(m.copies(role)):
            with contextlib.suppress(OSError):
                found[p.name] = m.stack.metrics(role, i).get("sends_failed_total", 0)
    return found


def forbidding(topic: str, what: str):
    """A right is taken away at run time: whoever needs it says so and makes no promise; given back, all goes on."""

    async def do(m: Nemesis, rng: random.Random) -> str:
        words = Words(m.stack)
        before = await asyncio.to_thread(failed_sends, m)
        await asyncio.to_thread(m.rights, topic, what)
        try:
            await asyncio.sleep(rng.uniform(6, 10))
            after = await asyncio.to_thread(failed_sends, m)
        finally:
            await asyncio.to_thread(m.rights, topic, None)
        await m.back(*m.stack.roles())
        said = words.found(r"(?i)authoriz|topics_wrong") + [name for name, n in after.items() if n > before.get(name, 0)]
        if not said:
            m.h.add("odd", text=f"{what} of {topic} was forbidden, and nobody said a word")
        return f"{topic}, said by {', '.join(sorted(set(said)))}"

    return do


for _topic, _what in (("chat.actions", "WRITE"), ("chat.events", "WRITE"), ("ws.push", "WRITE"), ("mobile.push", "WRITE"),
                      ("chat.actions", "READ"), ("chat.events", "READ"), ("ws.push", "READ")):
    fault(f"F24.{_what.lower()}.{_topic}", f"{_what} is forbidden for a while", short=False)(forbidding(_topic, _what))


@fault("F24.topics", "in a stack of its own: a topic is not there at the start, one is deleted under load", short=False)
async def topics_gone(m: Nemesis, rng: random.Random) -> str:
    return await topicless.play(m, rng)


# ---- F17: clients that are no more ------------------------------------------------------------------------



@fault("F17.half-open", "sockets whose other end takes everything and never says a word; clients that stand still", short=False)
async def half_open(m: Nemesis, rng: random.Random) -> str:
    """Some belong to people with chats, whose messages must end as pushes (the checker looks); some have taken all
    there was, and hear nothing but pings."""
    tokens = []
    for p in rng.sample(m.cast.people, 3):
        t = await sign_in(m.cast.rest, p.phone)
        await register_push(Rest(m.cast.rest.base_url, t.access), t.device_id)
        m.h.add("device", c=f"gone-{t.device_id[:4]}", user=p.user_id, device=t.device_id, platform="android", mute=True, home=False)
        tokens.append(t)
    for i in range(3):
        tokens.append(await sign_in(m.cast.rest, m.cast.phone(), f"quiet {i}"))
    socks = [Slow(m.stack.ws_url(i % 2), t.access, 0, receive=65536) for i, t in enumerate(tokens)]
    still = [await asyncio.create_subprocess_exec(sys.executable, wire.__file__, m.stack.ws_url(i % 2), t.access,
                                                  stdout=asyncio.subprocess.PIPE)
             for i, t in enumerate(tokens[::3])]
    try:
        for c in still:
            assert (await asyncio.wait_for(c.stdout.readline(), 20)).strip() == b"open"
            c.send_signal(signal.SIGSTOP)
        await asyncio.gather(*(s.open() for s in socks))
        quiet, took = socks[3:], []
        await asyncio.gather(*(s.say_ok() for s in quiet))
        opened = time.monotonic()

        async def swallow(s: Slow) -> None:
            if not await s.ended(SILENT_S):
                m.h.add("odd", text=f"a half-open socket was not closed within {SILENT_S} s")
            took.append((s in quiet, time.monotonic() - opened, s.code))

        await asyncio.gather(*(swallow(s) for s in socks))
        await asyncio.sleep(max(0.0, SILENT_S - (time.monotonic() - opened)))
        for c in still:
            c.send_signal(signal.SIGCONT)
            try:
                said = await asyncio.wait_for(c.stdout.readline(), 5)
            except TimeoutError:
                said = b""
            if said.strip() != b"closed":
                m.h.add("odd", text=f"the socket of a client that stands still was not closed within {SILENT_S} s")
    finally:
        for s in socks:
            s.close()
        for c in still:
            if c.returncode is None:
                c.kill()
            await c.wait()
    def of(silent: bool) -> str:
        return ", ".join(f"{s:.0f} s ({code or 'cut'})" for q, s, code in took if q == silent)

    return f"closed after {of(False)} with messages, {of(True)} without; {len(still)} clients that stood still"


# ---- half a turn, and pairs ----------------------------------------------------------------------------


def refusing(topic: str):
    """No crash can be timed to fall between two records of one turn; a topic that takes nothing for a while can."""

    async def do(m: Nemesis, rng: random.Random) -> str:
        await m.config(topic, "max.message.bytes", "60")
        try:
            await asyncio.sleep(rng.uniform(2, 4))
        finally:
            await m.config(topic, "max.message.bytes", "1048576")
        await m.back(*m.stack.roles())
        return topic

    return do


for _topic in ("user.inbox", "chat.events", "delivery.status", "ws.push", "rejections"):
    fault(f"H1.{_topic}", "one output of a turn is refused, the others are stored", short=_topic == "user.inbox")(refusing(_topic))


@fault("H2", "ticks are refused while everybody reads, and nobody says anything that would make up for it")
async def ticks_refused(m: Nemesis, rng: random.Random) -> str:
    m.cast.paused = True
    n = 0
    try:
        await asyncio.sleep(1)  # what is under way arrives
        await m.config("user.inbox", "max.message.bytes", "60")
        for p in m.cast.people:
            for d in p.players:
                for chat in p.chats if d.caught_up else ():
                    d.read(chat)
                    n += 1
        await asyncio.sleep(2)
    finally:
        await m.config("user.inbox", "max.message.bytes", "1048576")
        m.cast.paused = False
    await m.back(*m.stack.roles())
    return f"{n} chats read"


@fault("P1", "the broker stands still while a sink is dead")
async def pair_broker_sink(m: Nemesis, rng: random.Random) -> str:
    proc = m.pick(rng, FEEDS)
    await asyncio.to_thread(proc.kill9)
    await broker_paused(m, rng)
    await m.back(proc)
    return proc.name


@fault("P2", "a gateway is killed while PostgreSQL is away")
async def pair_gateway_postgres(m: Nemesis, rng: random.Random) -> str:
    proc = rng.choice(m.copies("edge-ws"))
    m.stack.postgres.signal(signal.SIGQUIT)
    await asyncio.to_thread(m.stack.postgres.wait, 60)
    try:
        await asyncio.to_thread(proc.kill9)
        await asyncio.sleep(6)
    finally:
        await m.start_again(m.stack.postgres)
    await m.back(proc)
    return proc.name


@fault("P3", "a processor is killed while the broker stands still")
async def pair_processor_broker(m: Nemesis, rng: random.Random) -> str:
    proc = m.pick(rng, ("chat", "user"))
    await paused(m.stack.kafka)
    try:
        await asyncio.sleep(rng.uniform(0, 2))
        await asyncio.to_thread(proc.kill9)
        await asyncio.sleep(1)
    finally:
        m.stack.kafka.cont()
    await m.back(proc)
    return proc.name


@fault("P6", "the sinks are killed while their rows wait for a lock")
async def pair_lock_sink(m: Nemesis, rng: random.Random) -> str:
    import psycopg

    procs = m.copies("persistence")
    with psycopg.connect(m.stack.database_url, application_name="nemesis") as c:
        c.execute("LOCK view.messages IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(1.5)
        await asyncio.gather(*(asyncio.to_thread(p.kill9) for p in procs))
        c.rollback()
    await m.back(*procs)
    return ""


@fault("F18", "every gateway is killed at once")
async def gateways_killed(m: Nemesis, rng: random.Random) -> str:
    procs = m.copies("edge-ws")
    await asyncio.gather(*(asyncio.to_thread(p.kill9) for p in procs))
    await m.back(*procs)
    return f"{len(procs)} of them"


@fault("P4", "a gateway stands still, the other is killed", short=False)
async def pair_gateways(m: Nemesis, rng: random.Random) -> str:
    a, b = rng.sample(m.copies("edge-ws"), 2)
    await paused(a)
    try:
        await asyncio.to_thread(b.kill9)
        await asyncio.sleep(14)
    finally:
        a.cont()
    await m.back(a, b)
    return f"{a.name} stood, {b.name} died"


@fault("P5", "gateway and broker are killed at once", short=False)
async def pair_gateway_broker(m: Nemesis, rng: random.Random) -> str:
    """What was acknowledged must be in the log, whatever else is lost."""
    proc = rng.choice(m.copies("edge-ws"))
    await paused(m.stack.kafka)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(proc.kill9)
    await m.kill_and_start(m.stack.kafka, signal.SIGKILL, 0)
    await m.back(proc)
    return proc.name
