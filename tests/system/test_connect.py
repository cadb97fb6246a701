# SPDX-License-Identifier: MIT
"""Coming and going under load: between what a sync gives and what comes live there is no gap and no double."""
import asyncio
import random

from client import MARK, scenario
from look import Load, paused

ROUNDS = 50
RATE = 200  # messages a second, all to the one who comes and goes


@scenario(limit_s=180)
async def test_fifty_connections_under_load(stack, net):
    senders = await net.people("alice", "bob", "carol", "erin")
    _, dave = await net.user("dave")
    chats = [await net.direct(s, dave) for s in senders[:2]]
    group = await net.group(senders[2], senders[3], dave)
    rng = random.Random(7)
    routes = [(senders[0], chats[0]), (senders[1], chats[1]), (senders[2], group), (senders[3], group)]
    async with Load(routes, RATE, "rounds") as load:
        for i in range(ROUNDS):
            # leave at some point on the way: while signing in, while catching up, or when it has become live
            how = i % 5
            told = [o.content for _, _, o in load.sent if o.verdict]  # in the log before dave's session is
            view = stack.role("persistence") if i % 10 in (3, 4) else None
            if view:
                await paused(view)  # the view is late: the sync has to wait for it
            dave.start()
            if how == 0:
                await asyncio.sleep(rng.uniform(0, 0.05))
            elif how == 1:
                n = len(dave.readies)
                await dave.wait(lambda: len(dave.readies) > n, 30, "ready")
            else:
                if view:
                    n = len(dave.readies)
                    await dave.wait(lambda: len(dave.readies) > n, 30, "ready")
                    await load.more(20)
                    view.cont()
                await dave.online()
                missing = set(told) - set(dave.contents())
                assert not missing, f"caught up in round {i} without {len(missing)} messages, e.g. {sorted(missing)[:3]}"
                n = sum(dave.live_frames.values())
                more = rng.randrange(0, 20) if how < 4 else 40
                await dave.wait(lambda: sum(dave.live_frames.values()) >= n + more, 30, f"{more} live messages")
            await dave.stop(rudely=rng.random() < 0.5)
    await load.settled()
    await dave.online()
    members = {chats[0]: [dave, senders[0]], chats[1]: [dave, senders[1]], group: [dave, senders[2], senders[3]]}
    await load.arrived(members)
    assert len(load.sent) > ROUNDS and sum(dave.live_frames.values()) > ROUNDS and sum(dave.sync_rows.values()) > ROUNDS
    assert len(dave.readies) >= ROUNDS * 4 // 5
    # a sync never gives what an earlier one gave: its cursor has moved past it
    assert max(dave.sync_rows.values()) == 1
    await load.in_view(stack)


@scenario(limit_s=120)
async def test_a_sync_of_many_pages_comes_to_its_end(stack, net):
    """More messages than a page has, in chats of several partitions: each once, in order, and every page goes on."""
    alice, *others = await net.people("alice", *(f"friend{i}" for i in range(6)))
    outs = []
    for _ in range(100):
        outs += [alice.send(f"{MARK} page {len(outs)}", peer=d.user_id) for d in others]
    await asyncio.gather(*(alice.verdict(o, 60) for o in outs))
    late = await net.users[0].device()
    seen, cursor, pages = [], "", 0
    while True:
        r = await late.rest.get("/api/sync", expect=200, cursor=cursor)
        assert r.body["cursor"] != cursor, f"page {pages} does not go on"
        cursor, pages = r.body["cursor"], pages + 1
        seen += [m["id"] for m in r.body["messages"]]
        if not r.body["more"]:
            break
    assert pages >= 2
    assert sorted(seen) == sorted(o.id for o in outs)
