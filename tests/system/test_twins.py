# SPDX-License-Identifier: MIT
"""Two of every role: the work is shared, and either half can die."""
import asyncio
import collections

import pytest
from client import by_role, scenario, until
from conftest import BASE_PORT
from look import Load, all_end_in_good_order, log_faults, started
from roles import TABLE
from stack import ROLES, Stack

SHARED = {(topic, group) for role in TABLE for group in role.groups for topic in role.follows}


@pytest.fixture(scope="module")
def twins():
    with Stack(base_port=BASE_PORT + 200, copies={role: 2 for role in ROLES}) as stack:
        yield stack.start()


def shares(stack) -> tuple[dict[tuple[str, str], list[set[int]]], dict[str, set[int]]]:
    """(topic, group) → the partitions of each member that has some; topic → all there are."""
    from confluent_kafka import TopicCollection
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": stack.broker})
    wanted = {group for _, group in SHARED}
    groups = [g.group_id for g in admin.list_consumer_groups().result(20).valid if g.group_id in wanted]
    found: dict[tuple[str, str], list[set[int]]] = collections.defaultdict(list)
    for group, f in admin.describe_consumer_groups(groups).items() if groups else []:
        for m in f.result(20).members:
            mine = collections.defaultdict(set)
            for tp in m.assignment.topic_partitions if m.assignment else []:
                mine[tp.topic].add(tp.partition)
            for topic, partitions in mine.items():
                found[topic, group].append(partitions)
    topics = admin.describe_topics(TopicCollection(sorted({topic for topic, _ in SHARED}))).items()
    return found, {t: set(range(len(f.result(20).partitions))) for t, f in topics}


async def shared_by(stack, n: int) -> None:
    last = {}

    async def so():
        found, whole = await asyncio.to_thread(shares, stack)
        last.clear()
        last.update(found)
        return all(len(found[k]) == n and sum(map(len, found[k])) == len(whole[k[0]])
                   and set().union(*found[k]) == whole[k[0]] for k in SHARED)

    await until(so, 60, lambda: f"{n} members to share each topic: {dict(last)}")


@scenario(limit_s=300, stack="twins")
async def test_partitions_and_slots_are_shared_and_either_half_can_die(twins, net):
    await shared_by(twins, 2)
    people = []
    for i, name in enumerate(("alice", "bob", "carol", "dave", "erin", "frank")):
        u, d = await net.user(name)
        d.url_i = i % 2
        people.append(await d.online())
    alice, bob, carol, dave, erin, frank = people
    chats = {await net.direct(a, b): [a, b] for a, b in ((alice, bob), (carol, dave), (erin, frank))}
    chats[await net.group(alice, *people[1:])] = people
    routes = [(d, chat) for chat, ds in chats.items() for d in ds[:2]]
    second_rest = net.caller(alice, rest_i=1)

    async with Load(routes, 100, "twins") as load:
        await load.passes()
        moved = [d for d in people if d.url_i % 2 == 0]
        n = {d: len(d.readies) for d in people}
        await asyncio.to_thread(by_role(twins, "edge-ws")[0].kill9)
        for d in moved:
            await d.wait(lambda d=d: len(d.readies) > n[d] and d.caught_up, 60, "the other gateway")
        assert {d.url_i % 2 for d in people} == {1} and len(moved) == 3
        await load.passes()
        await started(twins.role("edge-ws", 0))
        await load.passes()

        # one of every stage and of the REST edge
        for role in ROLES:
            if role != "edge-ws":
                await asyncio.to_thread(twins.role(role, 0).kill9)
        await load.passes(90)
        assert (await second_rest.get("/api/chats")).status == 200
        for role in ROLES:
            if role != "edge-ws":
                await started(twins.role(role, 0))
        await load.passes()
        await load.more(100)
    await load.settled()
    await load.arrived(chats)
    await load.in_view(twins)
    await shared_by(twins, 2)


def test_the_twins_end_in_good_order(twins):
    asyncio.run(all_end_in_good_order(twins))
    assert log_faults(twins) == []
