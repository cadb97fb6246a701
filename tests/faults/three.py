# SPDX-License-Identifier: MIT
"""F6: what is done to three brokers. `tests/faults/run --fault F6`; each goes on only when all replicas are in sync again."""
from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import random
import signal
import time

from client import until
from cluster import IN_SYNC, REPLICAS, cut_tails
from look import partition_of, paused
from nemesis import Listening, Nemesis, fault

BROKERS, CONTROLLERS = 3, 2
BEFORE_S = 6.0  # of steady talk, to know which partition is busy, and what a gap is without a fault
GOES_ON_S = 60.0
IN_SYNC_S = 150.0
REFUSED_S = 15.0
PROBE = "probe"  # a topic of the fault's own
TOLD = {"nack retry", "nack slow_down", "nack overloaded", "nack log_full", "nack log_cut", "REST 429", "REST 503"}  # all of them: do it again


class Acks(Listening):
    """Which sends were acknowledged when, by partition of chat.actions, and what else senders were told."""

    def __init__(self, history, partitions: int):
        super().__init__(history, partitions)
        self.sent: dict[str, tuple[float, int]] = {}
        self.acked: list[tuple[float, float, int]] = []  # acknowledged, first sent, partition
        self.told: collections.Counter[str] = collections.Counter()

    def _hear(self, x: dict) -> None:
        if x["e"] == "send":
            self.sent.setdefault(x["cid"], (x["at"], partition_of(x["chat"], self.n)))
        elif x["e"] == "ack" and x["cid"] in self.sent:
            self.acked.append((x["at"], *self.sent[x["cid"]]))
        elif x["e"] == "nack":
            self.told[f"nack {x['code']}"] += 1
        elif x["e"] == "unknown":
            self.told[f"REST {x['status']}"] += 1

    def fresh(self, since: float, partitions=None) -> set[int]:
        """Those partitions of which something was acknowledged that had not been sent before `since`."""
        return {p for _, sent, p in self.acked if sent > since and (partitions is None or p in partitions)}

    def busiest(self) -> int:
        return collections.Counter(p for _, _, p in self.acked).most_common(1)[0][0]

    def gap(self, partitions, begin: float) -> float:
        """The longest time since `begin` that one of these partitions was without an acknowledgement."""
        longest = 0.0
        for p in partitions:
            at = [begin, *sorted(t for t, _, of in self.acked if of == p and t >= begin), self.now()]
            longest = max(longest, *(b - a for a, b in itertools.pairwise(at)))
        return longest

    def words(self) -> str:
        return ", ".join(f"{n} {what}" for what, n in sorted(self.told.items())) or "nothing but acks"


@contextlib.asynccontextmanager
async def talking(m: Nemesis):
    """Acks, while each partition of chat.actions is sent to steadily."""
    width = int(m.stack.services.settings["PARTITIONS"])
    chats = {partition_of(c, width): c for c in m.cast.direct}
    task = asyncio.create_task(m.cast.talk_in(chats.values()))
    try:
        with Acks(m.h, width) as acks:
            await asyncio.sleep(BEFORE_S)
            await until(lambda: acks.fresh(0.0, chats) == set(chats), GOES_ON_S, "acks in every partition before the fault")
            yield acks
            for what in sorted(set(acks.told) - TOLD - {"REST 0"}):
                m.h.add("odd", text=f"F6: a sender was told {what}")
    finally:
        task.cancel()


# ---- looking ---------------------------------------------------------------------------------------------


def admin(m: Nemesis):
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": m.stack.broker, "log_level": 0})


def topics(m: Nemesis) -> dict:
    return admin(m).list_topics(timeout=10).topics


def led_by(found: dict, number: int, topic: str = "chat.actions") -> set[int]:
    return {p.id for p in found[topic].partitions.values() if p.leader == number}


def nodes(m: Nemesis) -> list:
    return [n for n in m.stack.services.nodes if n.kafka]


async def goes_on(acks: Acks, partitions, since: float, what: str) -> float:
    """Seconds from `since` until each partition has acknowledged something that was sent after it."""
    await until(lambda: acks.fresh(since, partitions) == set(partitions), GOES_ON_S,
                lambda: f"acks {what}; only in {sorted(acks.fresh(since, partitions))} of {sorted(partitions)}, told {acks.words()}")
    return max(next(t for t, sent, of in acks.acked if of == p and sent > since) for p in partitions) - since


async def in_sync(m: Nemesis) -> float:
    """Until every partition of every topic has all its replicas in sync, and has it at the third look too: a broker that was
    away answers at first with what it knew before. Seconds it took."""
    began = time.monotonic()
    lacking: list = []
    good = 0

    async def look() -> bool:
        nonlocal good
        found = await asyncio.to_thread(topics, m)
        lacking[:] = [f"{t.topic}-{p.id} {p.isrs}" for t in found.values() for p in t.partitions.values() if len(p.isrs) < REPLICAS]
        good = good + 1 if found and not lacking else 0
        await asyncio.sleep(1)
        return good >= 3

    await until(look, IN_SYNC_S, lambda: f"all replicas in sync, {len(lacking)} are not: {lacking[:3]}")
    return time.monotonic() - began


async def back(m: Nemesis, *some) -> float:
    """Started, ready, in sync. Seconds."""
    began = time.monotonic()
    for n in some:
        await asyncio.to_thread(n.proc.start)
    for n in some:
        await m.start_again(n.proc)
    await in_sync(m)
    return time.monotonic() - began


async def leader(m: Nemesis, acks: Acks):
    """(the node that leads the busiest partition, all that it leads of chat.actions)"""
    found = await asyncio.to_thread(topics, m)
    number = found["chat.actions"].partitions[acks.busiest()].leader
    return next(n for n in nodes(m) if n.number == number), led_by(found, number)


# ---- faults ----------------------------------------------------------------------------------------------


@fault("F6.leader", "kill -9 the broker that leads the busiest partition", needs="brokers")
async def leader_killed(m: Nemesis, rng: random.Random) -> str:
    async with talking(m) as acks:
        victim, led = await leader(m, acks)
        await asyncio.to_thread(victim.proc.kill9)
        at = acks.now()
        took = await goes_on(acks, led, at, f"of what {victim.name} led, which is dead")
        gap = acks.gap(led, at)
        again = await back(m, victim)
    return (f"{victim.name} led {len(led)} partitions; all acked new sends within {took:.1f} s, while it was dead (longest without "
            f"an ack {gap:.1f} s); back and in sync {again:.1f} s after its start; senders were told {acks.words()}")


@fault("F6.pause", "SIGSTOP the broker that leads the busiest partition for 15 s", needs="brokers")
async def leader_paused(m: Nemesis, rng: random.Random) -> str:
    async with talking(m) as acks:
        victim, led = await leader(m, acks)
        await paused(victim.proc)
        at = acks.now()
        try:
            await asyncio.sleep(15)
            before = len(acks.fresh(at, led))
        finally:
            victim.proc.cont()
        took = await goes_on(acks, led, at, f"of what {victim.name} led, which stood still")
        gap = acks.gap(led, at)
        again = await in_sync(m)
    return (f"{victim.name} led {len(led)} partitions, {before} of them acked new sends while it stood; all within {took:.1f} s "
            f"(longest without an ack {gap:.1f} s); in sync {again:.1f} s later; senders were told {acks.words()}")


@fault("F6.controller", "kill -9 the active controller", needs="brokers")
async def controller_killed(m: Nemesis, rng: random.Random) -> str:
    async with talking(m) as acks:
        every = set(acks.fresh(0.0))
        epoch, victim = m.stack.services.active_controller()
        await asyncio.to_thread(victim.proc.kill9)
        at = acks.now()
        found: list = []

        def another():
            found[:] = m.stack.services.active_controller()
            return found[0] > epoch and found[1] is not victim

        await until(another, GOES_ON_S, "another controller")
        elected = acks.now() - at
        took = await goes_on(acks, every, at, "without that controller")
        again = await back(m, victim)
    return (f"{victim.name} was it, {found[1].name} after {elected:.1f} s; all {len(every)} partitions acked new sends within {took:.1f} s, "
            f"back and in sync {again:.1f} s after its start; senders were told {acks.words()}")


def heard(m: Nemesis, acks: str) -> str:
    """What a producer of ours is told that asks for these acks and tries once."""
    told: list[str] = []
    p = m.stack.producer(**{"acks": acks, "retries": 0, "message.timeout.ms": 8000, "log_level": 0})
    p.produce(PROBE, b"probe", partition=0, on_delivery=lambda e, _: told.append(e.name() if e else "stored"))
    p.flush(10)
    return told[0] if told else "nothing"


def make_probe(m: Nemesis) -> str:
    """The topic; the broker's own min.insync.replicas as it holds for it."""
    from confluent_kafka.admin import ConfigResource, NewTopic

    a = admin(m)
    if PROBE not in a.list_topics(timeout=10).topics:
        (f,) = a.create_topics([NewTopic(PROBE, 1, REPLICAS)], operation_timeout=20).values()
        f.result(30)
    (f,) = a.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, "chat.actions")]).values()
    return f.result(20)["min.insync.replicas"].value


@fault("F6.two", "kill -9 two of three brokers", needs="brokers")
async def two_killed(m: Nemesis, rng: random.Random) -> str:
    """The controllers have a majority still, and shrink what is in sync to one: nothing may be acknowledged on that one."""
    least = await asyncio.to_thread(make_probe, m)
    if least != str(IN_SYNC):
        m.h.add("odd", text=f"min.insync.replicas of chat.actions is {least}")
    async with talking(m) as acks:
        every = set(acks.fresh(0.0))
        left, *dead = rng.sample(nodes(m), BROKERS)
        await asyncio.gather(*(asyncio.to_thread(n.proc.kill9) for n in dead))
        at = acks.now()

        async def alone() -> bool:
            found = await asyncio.to_thread(topics, m)
            return all(p.isrs == [left.number] for t in ("chat.actions", PROBE) for p in found[t].partitions.values())

        await until(alone, GOES_ON_S, f"{left.name} to be the only one in sync")
        one, all_ = await asyncio.to_thread(heard, m, "1"), await asyncio.to_thread(heard, m, "all")
        told = collections.Counter(acks.told)
        await asyncio.sleep(REFUSED_S)
        told = acks.told - told
        wrong = [x for x in acks.acked if x[1] > at]
        if wrong:
            m.h.add("odd", text=f"{len(wrong)} sends were acknowledged on one replica, the first {wrong[0]}")
        if one != "stored" or all_ == "stored":
            m.h.add("odd", text=f"acks=1 heard {one}, acks=all {all_}")
        if not told:
            m.h.add("odd", text="nothing could be stored, and nobody was told")
        begin = acks.now()
        await asyncio.to_thread(dead[0].proc.start)
        await m.start_again(dead[0].proc)
        took = await goes_on(acks, every, begin, "with two of three")
        again = await back(m, dead[1])
    return (f"{left.name} was left; acks=1 heard {one}, acks=all {all_}; of what was sent after the kill {len(wrong)} acked; in {REFUSED_S:.0f} s "
            f"senders were told {', '.join(f'{n} {w}' for w, n in sorted(told.items()))}; all {len(every)} partitions acked new sends "
            f"{took:.1f} s after the start of a second broker; the third in sync {again:.1f} s after its own")


@fault("F6.rolling", "SIGTERM every broker and controller in turn", needs="brokers")
async def rolled(m: Nemesis, rng: random.Random) -> str:
    codes = []
    async with talking(m) as acks:
        every = set(acks.fresh(0.0))
        at = acks.now()
        for n in m.stack.services.nodes:
            n.proc.signal(signal.SIGTERM)
            codes.append(await asyncio.to_thread(n.proc.wait, 120))
            await back(m, n)
        took = acks.now() - at
        gap = acks.gap(every, at)
        await goes_on(acks, every, acks.now(), "after it")
        if acks.told["REST 0"]:
            m.h.add("odd", text="F6.rolling: a REST send got no answer")
    return (f"{len(codes)} nodes in {took:.1f} s, ended with {sorted(set(codes))}; longest that a partition was without an ack {gap:.1f} s; "
            f"senders were told {acks.words()}")


@fault("F6.torn", "kill -9 a broker, cut the ends of its logs off, start it at once", needs="brokers")
async def torn(m: Nemesis, rng: random.Random) -> str:
    async with talking(m) as acks:
        victim, led = await leader(m, acks)
        await asyncio.to_thread(victim.proc.kill9)
        at = acks.now()
        files, cut = await asyncio.to_thread(cut_tails, m.stack.services.data(victim), rng)
        again = await back(m, victim)
        took = await goes_on(acks, led, at, f"of what {victim.name} led")
        other = await follow_up(m, acks, victim, rng)
    return (f"{victim.name}: {cut // 1024} KiB cut off {files} segments; in sync {again:.1f} s after its start, new sends acked within "
            f"{took:.1f} s; {other}; senders were told {acks.words()}")


@fault("F6.empty", "kill -9 a broker and take its disk away: it comes back with an empty folder", needs="brokers")
async def emptied(m: Nemesis, rng: random.Random) -> str:
    async with talking(m) as acks:
        victim, led = await leader(m, acks)
        await asyncio.to_thread(victim.proc.kill9)
        at = acks.now()
        await asyncio.to_thread(m.stack.services.format, victim)
        took = await goes_on(acks, led, at, f"of what {victim.name} led, which is dead")
        again = await back(m, victim)
        other = await follow_up(m, acks, victim, rng)
    return (f"{victim.name}: new sends acked within {took:.1f} s; in sync {again:.1f} s after its start with nothing; {other}; "
            f"senders were told {acks.words()}")


async def follow_up(m: Nemesis, acks: Acks, mended, rng: random.Random) -> str:
    """Another one dies, so that the mended one has to lead with what it got from the others."""
    other = rng.choice([n for n in nodes(m) if n is not mended])
    every = set(acks.fresh(0.0))
    await asyncio.to_thread(other.proc.kill9)
    took = await goes_on(acks, every, acks.now(), f"without {other.name}")
    led = led_by(await asyncio.to_thread(topics, m), mended.number)
    await back(m, other)
    return f"then {other.name} was killed: {mended.name} led {len(led)} partitions, new sends acked within {took:.1f} s"


@fault("F6.all", "kill -9 every broker and controller at once", needs="brokers")
async def all_killed(m: Nemesis, rng: random.Random) -> str:
    every_node = m.stack.services.nodes
    async with talking(m) as acks:
        every = set(acks.fresh(0.0))
        await asyncio.gather(*(asyncio.to_thread(n.proc.kill9) for n in every_node))
        begin = acks.now()
        again = await back(m, *every_node)
        await goes_on(acks, every, begin, "with all of them again")
        gap = acks.gap(every, begin)
    return f"{len(every_node)} nodes, in sync {again:.1f} s after their start; longest without an ack {gap:.1f} s; senders were told {acks.words()}"
