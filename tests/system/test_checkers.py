# SPDX-License-Identifier: MIT
"""The tests' own client and checks, against a toy server with planted faults: each must be noticed."""
import asyncio
import itertools
import json
import random
import uuid

import pytest
from aiohttp import WSMsgType, web
from client import Device, Tokens, until
from look import Load, partition_of

CHAT = "00000000-0000-8000-8000-00000000c0de"
ALICE, BOB = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


class Toy:
    """One chat of two in memory. `plant` names a fault."""

    def __init__(self, plant: str = ""):
        self.plant = plant
        self.log: list[dict] = []  # message frames in order of seq
        self.ids: dict[str, dict] = {}
        self.sockets: list = []
        self.gate: str | None = None  # client id that must come again
        self.receipts: list[dict] = []
        self.oks: list[int] = []
        self.nack_next = 0

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/ws", self.ws)
        app.router.add_get("/api/sync", self.sync)
        self.runner = web.AppRunner(app, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        self.devices = [
            Device(name, Tokens(user, str(uuid.uuid4()), name, name), f"http://127.0.0.1:{port}", [f"ws://127.0.0.1:{port}/ws"],
                   random.Random(name)) for name, user in (("alice", ALICE), ("bob", BOB))]
        await asyncio.gather(*(d.online() for d in self.devices))
        return self

    async def __aexit__(self, *error):
        await asyncio.gather(*(d.close() for d in self.devices))
        await self.runner.cleanup()

    async def sync(self, request):
        start = int(request.query["cursor"] or 0)
        rows = [{k: v for k, v in f.items() if k != "t"} | {"deliveredAt": None, "seenAt": None} for f in self.log[start:]]
        return web.json_response({"messages": rows, "chats": [], "rejected": [], "ticks": [], "marks": [], "cursor": str(len(self.log)), "more": False})

    async def ws(self, request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        n = itertools.count(1).__next__
        me = {"ws": ws, "n": n}
        async for m in ws:
            if m.type != WSMsgType.TEXT:
                break
            f = json.loads(m.data)
            if f["t"] == "auth":
                me["user"] = ALICE if f["token"] == "alice" else BOB
                self.sockets.append(me)
                await ws.send_json({"n": n(), "t": "ready", "session": str(uuid.uuid4()), "at": "f1.0"})
            elif f["t"] == "ok":
                self.oks.append(f["n"])
            elif f["t"] == "receipt":
                self.receipts.append(f)
            elif f["t"] == "message.send":
                await self.on_send(me, f)
        if me in self.sockets:
            self.sockets.remove(me)
        return ws

    async def on_send(self, me, f):
        ws, cid = me["ws"], f["clientId"]
        if self.nack_next:
            self.nack_next -= 1
            self.gate = self.gate or cid
            return await ws.send_json({"t": "nack", "clientId": cid, "code": "retry", "retryAfter": 20})
        if self.gate and cid != self.gate:
            return await ws.send_json({"t": "nack", "clientId": cid, "code": "retry", "retryAfter": 20})
        self.gate = None
        key = cid + (str(uuid.uuid4()) if self.plant == "two rows" else "")
        await ws.send_json({"t": "ack", "clientId": cid, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, key))})
        if self.plant == "lost" and len(self.log) == 5:
            self.plant = ""
            return
        frame = {"t": "message", "id": str(uuid.uuid5(uuid.NAMESPACE_OID, key)), "clientId": cid, "chatId": CHAT,
                 "seq": len(self.log) + 1, "from": me["user"], "peer": ALICE if me["user"] == BOB else BOB, "type": f["type"],
                 "content": f["content"], "sentAt": 1}
        if self.plant == "order" and len(self.log) == 5:
            frame["seq"] = 2
        self.log.append(frame)
        for s in self.sockets:
            one = dict(frame)
            if self.plant == "two seqs" and s["user"] == BOB and len(self.log) == 5:
                await s["ws"].send_json({"n": s["n"](), **one})
                one["seq"] += 1
            if self.plant == "gap" and len(self.log) == 5:
                s["n"]()
            if self.plant != "bob hears nothing" or s["user"] == ALICE:
                await s["ws"].send_json({"n": s["n"](), **one})
            if self.plant == "twice":
                await s["ws"].send_json({"n": s["n"](), **one})


async def run(plant: str = "", nacks_at: int | None = None):
    async with Toy(plant) as toy:
        alice, bob = toy.devices
        load = Load([(alice, CHAT)], 1, "toy")
        alice.peers[CHAT] = BOB
        for i in range(30):
            if i == nacks_at:
                toy.nack_next = 3
            load.one()
        await load.settled(2)
        await load.arrived({CHAT: [alice, bob]}, 2)
        odd = alice.anomalies + bob.anomalies
        assert not odd, odd
        await bob.wait(lambda: toy.receipts, 2, "a receipt")
        await until(lambda: max(toy.oks) >= 31, 2, "an ok that covers all")
        return toy


def test_all_well():
    toy = asyncio.run(run())
    assert len(toy.log) == 30 and len(toy.oks) < 30, "ok is coalesced"
    assert max(r["delivered"] for r in toy.receipts if r.get("delivered")) == 30


def test_a_frame_twice_is_shown_once():
    asyncio.run(run("twice"))


def test_after_nacks_everything_comes_again_in_order():
    toy = asyncio.run(run(nacks_at=0))
    assert [f["seq"] for f in toy.log] == list(range(1, 31))


@pytest.mark.parametrize("plant", ["lost", "order", "two seqs", "gap", "bob hears nothing"])
def test_planted_faults_are_noticed(plant):
    with pytest.raises(AssertionError):
        asyncio.run(run(plant))


def test_a_second_row_of_the_same_message_is_noticed():
    async def body():
        async with Toy("two rows") as toy:
            alice, bob = toy.devices
            load = Load([(alice, CHAT)], 1, "toy")
            alice.peers[CHAT] = BOB
            out = load.one()
            alice.again(out)
            await load.settled(2)
            await bob.wait(lambda: len(bob.shown) == 2, 2, "the double")
            with pytest.raises(AssertionError, match="twice"):
                await load.arrived({CHAT: [bob]}, 2)
            assert alice.anomalies

    asyncio.run(body())


def test_a_device_that_was_away_gets_it_by_sync():
    async def body():
        async with Toy() as toy:
            alice, bob = toy.devices
            await bob.stop()
            out = await alice.told("something longer", CHAT, BOB)
            await bob.online()
            assert bob.sync_rows[out.id] == 1 and not bob.live_frames and bob.contents(CHAT) == ["something longer"]
            await bob.stop(rudely=True)
            await bob.online()
            assert bob.sync_rows[out.id] == 1 and not bob.anomalies

    asyncio.run(body())


def test_partitions_are_those_of_kafkas_default_partitioner():
    # murmur2 of "21" and "foobar" as in Kafka's own tests, made positive
    assert partition_of("21", 1 << 30) == (-973932308 & 0x7FFFFFFF) % (1 << 30)
    assert partition_of("foobar", 1 << 30) == (-790332482 & 0x7FFFFFFF) % (1 << 30)
