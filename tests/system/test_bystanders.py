# SPDX-License-Identifier: MIT
"""Somebody does the worst that the shipped limits allow, and others talk: all of theirs arrives, once, and what it costs the log is bounded. Counts only;
tests/long/bystanders.py has the times."""
import asyncio
import contextlib

import pytest
from attacks import GROUP_MAX, STACK, TEXT_BYTES, Attack, World
from client import MARK, Net, until
from conftest import BASE_PORT
from look import committed, ends_now, view_is_level
from stack import Stack

ATTACK_S = 8
MESSAGES = 60  # a bystander, at half the allowed rate
INTERNAL = ("user.inbox", "ws.push", "mobile.push", "members", "presence", "push.targets", "delivery.status", "rejections", "user.events")


@pytest.fixture(scope="module")
def limited():
    with Stack(base_port=BASE_PORT + 950, **STACK) as s:
        yield s.start()


@pytest.fixture(scope="module")
def world(limited):
    return asyncio.run(World.made(limited, many_devices=0))


def log_bytes(stack, *topics):
    """Bytes in Kafka's folder, of some topics."""
    folders = [f for t in topics for f in (stack.state / "kafka-data").glob(f"{t}-[0-9]*")]
    return sum(f.stat().st_size for folder in folders for f in folder.glob("*.log"))


@contextlib.asynccontextmanager
async def talking(stack, world, attack):
    """Two pairs, one on the attacked gateway, before, during and after the attack. Each of theirs arrives once, none is refused. Yields the attack."""
    net = Net(stack, seed=attack, rest_i=1)
    try:
        people = [(await net.user(f"{attack}{i}", gateway=i // 2))[1] for i in range(4)]
        await asyncio.gather(*(p.online() for p in people))
        pairs = list(zip(people[::2], people[1::2]))
        for a, b in pairs:
            await a.told(f"{MARK} before", peer=b.user_id)
        with Attack(attack, world, ATTACK_S) as under_way:
            done = asyncio.create_task(asyncio.to_thread(under_way.wait))
            sent = []
            for i in range(MESSAGES):
                sent += [(b, a.send(f"{MARK} {i} during", peer=b.user_id)) for a, b in pairs]
                await asyncio.sleep(0.2)  # the rate: bystanders keep to the limits
            await done
            yield under_way
        for i in range(5):
            sent += [(b, a.send(f"{MARK} {i} after", peer=b.user_id)) for a, b in pairs]
        for b, out in sent:
            await b.sees(out.content)
            assert b.contents().count(out.content) == 1
        assert not [out for d in people for out in d.outbox.values() if out.nacks or out.rejected], "a bystander was refused"
        assert all(max(d.live_frames.values()) == 1 for d in people) and not [a for d in people for a in d.anomalies]
        assert all(p.starts == 1 for p in stack.roles()), "a role had to be started again"
    finally:
        await net.close()


def test_t38_a_fan_out_bomb_costs_others_nothing_and_the_log_little(limited, world):
    async def run():
        before = log_bytes(limited, *INTERNAL)
        async with talking(limited, world, "fanout") as attack:
            pass
        await view_is_level(limited)
        for p in range(2):
            await until(lambda p=p: asyncio.to_thread(lambda: committed(limited, "user", "user.inbox", p) == ends_now(limited, ["user.inbox"])["user.inbox", p]),
                        30, "the inbox to be read")
        return attack.said["ack"], log_bytes(limited, *INTERNAL) - before

    taken, grown = asyncio.run(run())
    assert 30 <= taken <= 30 + 12 * (ATTACK_S + 2), f"the limits let {taken} through"
    # docs/limits.md: the text once a partition of user.inbox and once a slot, and 200 bytes a member
    partitions, slots = 2, 4
    others = 4 * 200_000  # what the bystanders wrote
    assert grown <= taken * (TEXT_BYTES * (partitions + slots) + 200 * GROUP_MAX) + others, f"{grown / taken:.0f} bytes a message"
    assert limited.metrics("mobile")["dead_letters_total"] == limited.metrics("user")["dead_letters_total"] == 0


def test_t39_a_flood_of_receipts_is_counted_to_its_user(limited, world):
    async def run():
        numbers = limited.metrics("edge-ws")
        async with talking(limited, world, "receipts") as attack:
            pass
        return attack.said, limited.metrics("edge-ws").since(numbers)

    said, grown = asyncio.run(run())
    # what one socket may send is what all of the user's may: 1,500 at once and 150 a second
    allowed = 1500 + 150 * (ATTACK_S + 6)
    assert said["sent"] > 2 * allowed, "the flood was none"
    assert said["sent"] - grown["rate_refused_total"] <= allowed
