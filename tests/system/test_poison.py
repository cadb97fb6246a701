# SPDX-License-Identifier: MIT
"""Records that can never succeed go to <topic>.dlq as they came, with the reason; the partition goes on."""
import asyncio
import collections
import itertools

from client import MARK, register_push, scenario, until
from look import Load, Supervised, killed_and_back, records, rows, view_is_level
from stack import schemas

# topic → record name; `members` and `presence` are only read at a restore and have no dead letters
CONSUMED = {"chat.actions": "ChatAction", "chat.events": "ChatEvent", "rejections": "Rejection",
            "delivery.status": "DeliveryStatus", "user.inbox": "UserInbox", "user.events": "UserEvent",
            "ws.push": "WsPush", "mobile.push": "MobilePush", "push.targets": "PushTarget"}
RESTORED = {"members": "ChatMembers", "presence": "Presence"}
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

    from look import ends_now

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
