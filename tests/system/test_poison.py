# SPDX-License-Identifier: MIT
"""Records that can never succeed go to <topic>.dlq as they came, with the reason; the partition goes on."""
import asyncio
import collections
import itertools
import os
import time
import uuid

from client import MARK, register_push, scenario, until
from look import Load, Supervised, ends_now, killed_and_back, partition_of, records, rows, rows_when, view_is_level
from stack import encode, schemas

# topic → record name; `members` and `presence` are only read at a restore and have no dead letters
CONSUMED = {"chat.actions": "ChatAction", "chat.events": "ChatEvent", "rejections": "Rejection",
            "delivery.status": "DeliveryStatus", "user.inbox": "UserInbox", "user.events": "UserEvent",
            "ws.push": "WsPush", "mobile.push": "MobilePush", "push.targets": "PushTarget"}
RESTORED = {"members": "ChatMembers", "presence": "Presence"}
ZERO = bytes(16)
NO_FACT = {"UserInbox": {}, "ChatAction": {"chatId": ZERO, "userId": ZERO, "deviceId": ZERO, "clientId": "", "atMs": 0, "peer": None}}
HUGE = 1_048_000  # as large as a topic takes


def framing(record: str) -> bytes:
    return next(b"\0" + number.to_bytes(4, "big") for number, (name, _) in schemas().items() if name == record)


def poisons(record: str) -> dict[str, bytes]:
    head = framing(record)
    return {
        "empty": b"",
        "noise": b"\xfe\xed poison \x00\xff" * 3,
        "unknown schema": b"\0\x3f\xff\xff\xfe" + b"poison",
        "cut off": head + b"\x02",
        "hostile length": head + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 4,
        "trailing noise": head + b"\x80" * 200,
        **({"no fact": encode(record, NO_FACT[record])} if record in NO_FACT else {}),
    }


def inject(stack, topics: dict[str, str]) -> dict[str, collections.Counter]:
    """Every kind of poison on every partition, and a huge one on the first; what went where."""
    p = stack.producer(**{"message.max.bytes": 2_000_000})
    sent: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    failed: list = []
    meta = p.list_topics(timeout=20).topics
    for topic, record in topics.items():
        for part in meta[topic].partitions:
            values = list(poisons(record).values())
            if part == 0:
                values.append(framing(record) + b"\x07" * (HUGE - 5))
            for v in values:
                # compacted topics refuse records without a key
                p.produce(topic, v, key=b"poison", partition=part,
                          on_delivery=lambda e, m: failed.append((m.topic(), str(e))) if e else None)
                sent[topic][part, v] += 1
    p.flush(60)
    assert not failed, failed
    return sent


def consumed_to_the_end(stack) -> dict:
    """(group, topic, partition) → what the committed offset lacks, where it lacks something."""
    from confluent_kafka import ConsumerGroupTopicPartitions
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": stack.broker})
    ends = ends_now(stack, ("chat.actions", "user.inbox", "mobile.push", "ws.push"))
    have: dict[tuple[str, int], int] = {}
    for g in admin.list_consumer_groups().result(20).valid:
        (f,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(g.group_id)]).values()
        for tp in f.result(20).topic_partitions:
            have[tp.topic, tp.partition] = max(have.get((tp.topic, tp.partition), 0), tp.offset)
    return {k: end - have.get(k, 0) for k, end in ends.items() if have.get(k, 0) < end}


@scenario(limit_s=240)
async def test_poison_in_every_topic(stack, net):
    people = await net.people("alice", "bob", "carol", "dave", "erin")
    _, away = await net.user("away")
    await register_push(away.rest, away.device_id)
    chats = {await net.direct(a, b): [a, b] for a, b in itertools.combinations(people, 2)}
    group = await net.group(people[0], *people[1:], away)
    chats[group] = people
    dlqs = await asyncio.to_thread(lambda: {t for t in stack.producer().list_topics(timeout=20).topics if t.endswith(".dlq")})
    assert dlqs == {f"{t}.dlq" for t in CONSUMED}
    old = {(t, r[0], r[1]) for t in CONSUMED for r in await asyncio.to_thread(stack.read_topic, f"{t}.dlq")}
    starts = {p.name: p.starts for p in stack.roles()}

    async with Load([(ds[0], chat) for chat, ds in chats.items()], 50, "poison") as load:
        await load.passes()
        sent = await asyncio.to_thread(inject, stack, CONSUMED)
        await load.passes()
    await load.settled()
    await load.arrived(chats)

    for topic, want in sent.items():
        got: collections.Counter = collections.Counter()

        async def all_there():
            letters = await asyncio.to_thread(stack.read_topic, f"{topic}.dlq")
            got.clear()
            for partition, offset, _, value, headers in letters:
                if (topic, partition, offset) in old:
                    continue
                h = {k: v.decode() for k, v in headers}
                assert h["src_topic"] == topic and h["error"] and h["worker"] and int(h["src_offset"]) >= 0, h
                got[int(h["src_partition"]), value or b""] += 1
            return not want - got

        await until(all_there, 60, lambda: f"{topic}.dlq lacks {[(p, v[:20], n) for (p, v), n in (want - got).items()][:5]}")
        assert not got - want, f"{topic}.dlq has more: {[(p, v[:40]) for p, v in (got - want)][:5]}"

    # the partitions went on, all of them
    await view_is_level(stack)
    await load.in_view(stack)
    left: dict = {}

    async def at_the_end():
        left.clear()
        left.update(await asyncio.to_thread(consumed_to_the_end, stack))
        return not left

    await until(at_the_end, 60, lambda: f"offsets to reach the ends, lacking {left}")
    last = load.accepted(group)[-1]
    found = await until(lambda: outcome_of(stack, last.id, away.device_id), 30, "the push outcome of the last message")
    assert found["outcome"] == "NO_PROVIDER"
    assert {p.name: p.starts for p in stack.roles()} == starts, "poison killed a role"


async def outcome_of(stack, message, device):
    return next((o for _, _, o in await records(stack, "push.outcomes")
                 if o["messageId"] == message and o["deviceId"] == device), None)


@scenario(limit_s=180)
async def test_poison_where_state_is_restored_from(stack, net):
    alice, bob = await net.people("alice", "bob")
    _, away = await net.user("away")
    chat = await net.group(alice, bob)
    await asyncio.to_thread(inject, stack, RESTORED)
    async with Supervised(stack):
        for role in ("chat", "user"):
            await killed_and_back(stack.role(role))
    # members and sessions of before are known again
    out = await alice.told(f"{MARK} after the restore", chat)
    await bob.sees(out.content)
    outsider = await away.online()
    refused = await outsider.verdict(outsider.send(f"{MARK} not a member", chat))
    assert refused.rejected == "not_found"
    await view_is_level(stack)
    assert len(await rows(stack, "SELECT * FROM view.messages WHERE chat_id = %s", chat)) == 1


async def letters(stack, topic: str, old: int = 0) -> list[tuple[int, bytes, dict[str, str]]]:
    """(partition, value, headers) of the dead letters of a topic but the first `old`. What is one to the view is one to search, too."""
    found = await asyncio.to_thread(stack.read_topic, f"{topic}.dlq")
    found.sort(key=lambda r: dict(r[4])["ts"])
    return [(p, v, {k: x.decode() for k, x in h}) for p, _, _, v, h in found if dict(h)["worker"] != b"search"][old:]


def warned(stack, role: str, topic: str) -> list[dict]:
    return [x for x in stack.role(role).log_lines() if x.get("event") == "dead_letter" and x["topic"] == topic and x["level"] == "warn"]


@scenario(limit_s=90)
async def test_a_record_that_is_too_large_for_its_dead_letter_is_cut(stack, net):
    """A compressed batch may hold records that are larger than any topic takes alone."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    n = partition_of(chat, int(stack.services.settings["PARTITIONS"]))
    whole = {"chat.actions": ("chat", b"\1" + bytes(5_000_000)), "chat.events": ("persistence", b"\1" + bytes(3_000_000)),
             "user.inbox": ("user", b"\1" + bytes(4_000_000)), "mobile.push": ("mobile", b"\1" + bytes(2_000_000)),
             "delivery.status": ("status", b"\1" + os.urandom(1_048_400))}
    had = {t: len(await letters(stack, t)) for t in whole}
    told = {t: len(warned(stack, role, t)) for t, (role, _) in whole.items()}
    p = stack.producer(**{"message.max.bytes": 9_000_000, "compression.type": "lz4"})
    for topic, (_, value) in whole.items():
        p.produce(topic, value, key=chat, partition=n)
    assert await asyncio.to_thread(p.flush, 30) == 0
    for topic, (role, value) in whole.items():
        (got,) = await until(lambda t=topic: letters(stack, t, had[t]), 30, f"a dead letter of {topic}")
        partition, kept, headers = got
        assert partition == n and value.startswith(kept) and 900_000 < len(kept) < 1_048_576, (topic, len(kept))
        assert headers["cut"] == f"of 36 bytes of key, {len(value)} bytes of value", headers
        (line,) = warned(stack, role, topic)[told[topic]:]
        assert (line["partition"], line["offset"]) == (n, int(headers["src_offset"])) and line["why"] == headers["error"]
    await alice.told(f"{MARK} behind what was too large", chat)
    await bob.sees(f"{MARK} behind what was too large")
    await view_is_level(stack)


@scenario(limit_s=120)
async def test_a_record_that_speaks_of_what_the_log_does_not_have(stack, net):
    """Neither a receipt for what will never come, nor a source that makes all that follows a repeat, holds up a chat."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    n = partition_of(chat, int(stack.services.settings["PARTITIONS"]))
    first = await alice.told(f"{MARK} before", chat)
    await view_is_level(stack)
    had = {t: len(await letters(stack, t)) for t in ("delivery.status", "chat.events")}
    far = 10**9
    ids = {"chatId": uuid.UUID(chat).bytes, "userId": uuid.UUID(bob.user_id).bytes, "deviceId": uuid.UUID(bob.device_id).bytes}
    now = {"atMs": int(time.time() * 1000)}
    end = (await asyncio.to_thread(ends_now, stack, ["chat.actions"]))["chat.actions", n]

    def receipt(source: int, seq: int) -> bytes:
        return encode("DeliveryStatus", {**ids, **now, "source": {"generation": 1, "partition": n, "offset": source},
                                         "peer": uuid.UUID(alice.user_id).bytes, "kind": "DELIVERED", "seq": (1 << 48) + seq})

    def event(source: int) -> bytes:
        return encode("ChatEvent", {**ids, **now, "eventId": uuid.uuid4().bytes, "seq": (1 << 48) + source, "clientId": "x",
                                    "source": {"generation": 1, "partition": n, "offset": source},
                                    "event": ("chasqui.GroupNamed", {"name": "x"})})

    sent = {"delivery.status": [receipt(1, far), receipt(far, far), receipt(far, 0), receipt(end + 50, end + 49)],
            "chat.events": [event(far)]}
    p = stack.producer()
    for topic, values in sent.items():
        for value in values:
            p.produce(topic, value, key=chat, partition=n)
    assert await asyncio.to_thread(p.flush, 20) == 0
    for topic, values in sent.items():
        got = await until(lambda t=topic, k=len(values): _enough(letters(stack, t, had[t]), k), 30, f"{len(values)} letters of {topic}")
        assert collections.Counter(v for _, v, _ in got) == collections.Counter(values), [h["error"] for _, _, h in got]
    # neither ticks nor the view stand still, and nothing is taken for a repeat
    last = await alice.told(f"{MARK} after", chat)
    await bob.sees(last.content)
    bob.read(chat, last.seq)
    await alice.wait(lambda: alice.tick(last) == "read", 30, "the tick of the message after")
    got = await rows_when(stack, "SELECT id FROM view.messages WHERE chat_id = %s ORDER BY seq", chat, enough=lambda r: len(r) == 2)
    assert [str(r["id"]) for r in got] == [first.id, last.id]


async def _enough(found, n: int):
    found = await found
    return found if len(found) >= n else None
