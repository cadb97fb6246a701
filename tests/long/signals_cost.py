#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What messages cost while many people type and come and go, in turn with calm; and what of it is kept.

--people look at each other's chats and type every three seconds; as many look at each other and come and go every three seconds. The load generator's pairs send as
much as is taken, on the same gateways, calm and with signals in turn. The median of the ratios of messages a second (with signals / the calm before) is at least RATIO, and while nothing
but signals goes on no topic grows but `signals`. Times on a machine with other work on it mean nothing, ratios little: the calm phases say how quiet it was.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "bench"), str(TESTS / "lib")]

import meter  # noqa: E402
import workloads  # noqa: E402
from measure import complaints, figures, generate, heat, log_bytes, shipped_settings  # noqa: E402
from people import AT_A_TIME, People  # noqa: E402
from rest import Rest  # noqa: E402
from stack import Stack  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

RATIO = 0.9
EVERY_S = 3.0
ALIVE_BYTES = 4096  # what gateways say of themselves in user.inbox meanwhile
RENEW_S = 200  # of a ticket's 300


class Crowd:
    """Pairs of sockets in a thread of its own; quiet until `on`."""

    def __init__(self, stack, pairs, typists):
        self.stack, self.pairs, self.typists = stack, pairs, typists  # pairs of (user, user, chat)
        self.on, self.seen, self.said, self.stop = False, 0, 0, False
        self.ready = threading.Event()
        self.failed = None
        self.thread = threading.Thread(target=self._main, daemon=True)

    def start(self):
        self.thread.start()
        while not self.ready.wait(1):
            if self.failed:
                raise self.failed
        return self

    def _main(self):
        try:
            asyncio.run(self._run())
        except Exception as e:  # noqa: BLE001  (told to who waits)
            self.failed = e

    async def _run(self):
        self.slots = asyncio.Semaphore(AT_A_TIME)
        tasks = []
        for i, (a, b, chat) in enumerate(self.pairs):
            for k, (me, other) in enumerate(((a, b), (b, a))):
                tasks.append(asyncio.create_task(self._one(me, other, chat, (i + k) % 2, i < self.typists)))
        self.left = len(tasks)
        await asyncio.gather(*tasks)

    async def _look(self, ws, rest, path, session):
        async with self.slots:
            while (r := await rest.post(path, {"session": session})).status in (429, 503):
                await asyncio.sleep(1)
        assert r.status == 200, (path, r)
        await ws.send(json.dumps({"t": "look", "ticket": r.body["ticket"]}))

    async def _one(self, me, other, chat, gateway, types):
        rest = Rest(self.stack.rest_url(), me["accessToken"])
        async with self.slots:
            ws = await connect(self.stack.ws_url(gateway), compression=None, max_size=None, ping_interval=None, open_timeout=60)
            await ws.send(json.dumps({"t": "auth", "token": me["accessToken"]}))
            while (ready := json.loads(await ws.recv()))["t"] != "ready":
                pass
            await ws.send(json.dumps({"t": "ok", "n": ready["n"]}))
        path = f"/api/chats/{chat}/ticket" if types else f"/api/users/{other['userId']}/ticket"
        hears = asyncio.create_task(self._hear(ws))
        looked, n = 0.0, 0
        while not self.stop:
            if time.monotonic() - looked > RENEW_S:
                await self._look(ws, rest, path, ready["session"])
                self.left -= looked == 0.0
                looked = time.monotonic()
                if not self.left:
                    self.ready.set()
            await asyncio.sleep(EVERY_S)
            if self.on:
                n += 1
                self.said += 1
                await ws.send(json.dumps({"t": "signal", "chatId": chat, "state": "typing"} if types else {"t": ("away", "here")[n % 2]}))
        hears.cancel()
        await ws.close()
        await rest.close()

    async def _hear(self, ws):
        async for text in ws:
            f = json.loads(text)
            self.seen += f["t"] in ("typing", "presence")
            if "n" in f:
                await ws.send(json.dumps({"t": "ok", "n": f["n"]}))


async def write_to_each_other(people, chats):
    """Contacts: each has written to the other."""
    async def write(session, user, chat):
        await people._call(session, "POST", "/api/messages", {"chatId": chat, "content": "hello", "type": "text"}, people.users[user]["accessToken"])

    await people._many([lambda s, u=u, c=c: write(s, u, c) for c, pair in chats for u in pair])


def cores(stack, seconds):
    """{process: cores that it used}, over so many seconds."""
    usage = meter.Meter(stack)
    before = usage.cpu_s()
    time.sleep(seconds)
    return {name: (s - before[name]) / seconds for name, s in usage.cpu_s().items()}


def kept_by_signals(stack, crowd, seconds):
    """Bytes that came to each topic but `signals` while nothing else went on. CPU, unlike time, is the processes' own on a busy machine, too."""
    calm = cores(stack, seconds)
    before, seen = log_bytes(stack), crowd.seen
    crowd.on = True
    busy = cores(stack, seconds)
    crowd.on = False
    print("cores more than without: " + ", ".join(f"{name} {busy[name] - calm[name]:+.3f}" for name in calm), flush=True)
    grown = {topic: size - before.get(topic, 0) for topic, size in log_bytes(stack).items() if size != before.get(topic, 0)}
    print(f"{seconds:.0f} s of signals alone: {crowd.seen - seen} shown, bytes of topics: {grown or 'none'}", flush=True)
    return {t: n for t, n in grown.items() if t != "signals" and not (t == "user.inbox" and n <= ALIVE_BYTES) and not t.startswith("__")}


def run(stack, options):
    people = People(stack.rest_url(), int(time.time()) % 1000000)
    workload = workloads.closed(8, users=options.load)
    people.need(options.load + 2 * options.people)
    heat(stack, SimpleNamespace(**vars(options), profile=None, quick=True), people)
    chats = people.pairs((options.load + 2 * options.people) // 2)[options.load // 2:]
    asyncio.run(write_to_each_other(people, chats[len(chats) // 2:]))
    pairs = [(people.users[a], people.users[b], chat) for chat, (a, b) in chats]
    crowd = Crowd(stack, pairs, len(pairs) // 2).start()
    kept = kept_by_signals(stack, crowd, options.seconds)
    ratios, bad, rates = [], [], {False: [], True: []}
    for seed in range(1, options.rounds + 1):
        for crowd.on in (False, True):
            result = generate(stack, SimpleNamespace(**vars(options)), workload, people, seed=seed)
            bad += complaints(result)
            rates[crowd.on].append(figures(result)["acked_per_s"])
        crowd.on = False
        ratios.append(rates[True][-1] / rates[False][-1])
    crowd.stop = True
    ratio = statistics.median(ratios)
    print(f"{options.people} type and {options.people} come and go, {crowd.said} signals said, {crowd.seen} shown; messages/s calm {' '.join(f'{r:.0f}' for r in rates[False])}, "
          f"with signals {' '.join(f'{r:.0f}' for r in rates[True])}: x {ratio:.2f} ({', '.join(f'{r:.2f}' for r in ratios)}), at least {RATIO}; "
          f"kept: {kept or 'nothing'}; wrong: {bad or 'nothing'}", flush=True)
    return ratio >= RATIO and not kept and not bad and crowd.seen > 0


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--people", type=int, default=1000, help="who type, and as many who come and go")
    args.add_argument("--load", type=int, default=100, help="users who send messages")
    args.add_argument("--seconds", type=float, default=15, help="of a phase")
    args.add_argument("--warmup", type=float, default=3)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--port", type=int, default=int(os.environ.get("CHASQUI_TEST_PORT", "25000")) + 400)
    options = args.parse_args()
    with Stack(base_port=options.port, copies={"edge-ws": 2}, settings=shipped_settings(), durable=True, quick_jit=False) as stack:
        stack.start()
        return 0 if run(stack, options) else 1


if __name__ == "__main__":
    sys.exit(main())
