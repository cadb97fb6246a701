# SPDX-License-Identifier: MIT
"""kill -9 of each role in turn under load; the runner starts it again."""
import asyncio

from client import MARK, register_push, scenario, until
from look import Load, Supervised, killed_and_back, records, rows

RATE = 100


async def post_for_ever(device, chat: str, stored: dict[str, str]) -> None:
    """REST messages one after the other, each again and again with the same client id until it is stored."""
    i = 0
    while True:
        body = {"chatId": chat, "content": f"{MARK} posted {i:05d}", "type": "text", "clientId": f"posted-{i:05d}"}
        while True:
            r = await device.rest.post("/api/messages", body)
            if r.status in (200, 201):
                stored[body["clientId"]] = r.body["message"]["id"]
                break
            assert r.status in (0, 503), r  # 0: the connection broke; both mean unknown
            await asyncio.sleep(0.1)
        i += 1
        await asyncio.sleep(0.05)


@scenario(limit_s=400)
async def test_every_role_killed_under_load(stack, net):
    alice, bob, carol, dave, rita = await net.people("alice", "bob", "carol", "dave", "rita")
    for d in (alice, bob, carol, dave):
        await register_push(d.rest, d.device_id)
    ab, cd, ra = await net.direct(alice, bob), await net.direct(carol, dave), await net.direct(rita, alice)
    group = await net.group(alice, bob, carol, dave)
    routes = [(alice, ab), (bob, ab), (carol, cd), (dave, cd), (alice, group), (carol, group)]
    stored: dict[str, str] = {}
    async with Supervised(stack):
        async with Load(routes, RATE, "kill") as load:
            poster = asyncio.create_task(post_for_ever(rita, ra, stored))
            await load.passes()
            for proc in stack.roles():
                await killed_and_back(proc)
                await load.passes()
                n = len(stored)
                await until(lambda: len(stored) > n + 1 or poster.done(), 60, f"REST after {proc.name}")
                assert not poster.done(), poster.exception()
            await load.more(RATE)
        poster.cancel()
        await asyncio.gather(poster, return_exceptions=True)
        await load.settled()
        assert not [o.rejected for _, _, o in load.sent if o.rejected]
        await load.arrived({ab: [alice, bob], cd: [carol, dave], group: [alice, bob, carol, dave]})
        await load.in_view(stack)
        for content in [f"{MARK} posted {i:05d}" for i in range(len(stored))]:
            await alice.sees(content)
        shown = alice.contents(ra)
        assert len(shown) == len(set(shown)) <= len(stored) + 1  # the last may be stored without our knowing
        got = await rows(stack, "SELECT client_id, id FROM view.messages WHERE chat_id = %s", ra)
        assert len(got) == len({r["client_id"] for r in got})
        assert stored.items() <= {r["client_id"]: r["id"] for r in got}.items()

        # whatever was to be pushed has been dealt with
        async def outcomes_complete():
            asked = {(p["messageId"], d) for _, _, p in await records(stack, "mobile.push") for d in p["devices"]}
            told = {(o["messageId"], o["deviceId"]) for _, _, o in await records(stack, "push.outcomes")}
            return asked <= told

        await until(outcomes_complete, 60, "an outcome for every push")
