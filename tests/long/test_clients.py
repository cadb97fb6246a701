# SPDX-License-Identifier: MIT
"""Crowds of slow, idle and smuggling clients at both doors, at the limits that operators get, while two people go on talking."""
import asyncio
import contextlib
import os
import time

import pytest
from client import MARK, scenario, until
from conftest import BASE_PORT
from stack import Stack, wait_until
from test_framing import T27, T28
from test_ws_wire import Door, check_t27_handshakes_that_two_would_read_differently

HERE = [f"127.0.1.{i}" for i in range(1, 17)]  # addresses of the crowd
HEAD = b"GET /api/me HTTP/1.1\r\nHost: x\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
BODY = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
IDLE_S, ENDS_S = 90, 45  # REST keeps idle connections for 60 s; heads have 10 s, bodies as long below 4 KiB a second
MESSAGES = 100


@pytest.fixture(scope="module")
def stack():
    with Stack(base_port=BASE_PORT, settings={"RATE_PER_MINUTE": "600", "CONNECTIONS_PER_ADDRESS": "256"},
               copies={"edge-ws": 1}) as s:
        yield s.start()


async def drip(port, address, first, slow, pause_s=0.5):
    """Send `first`, then `slow` byte by byte, over and over, until the other side has enough; how long that took."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        writer.write(first)
        at = 0
        while time.monotonic() < began + 2 * ENDS_S:
            with contextlib.suppress(asyncio.TimeoutError):
                if not await asyncio.wait_for(reader.read(4096), pause_s):
                    break  # closed
                continue
            if slow:
                writer.write(slow[at % len(slow):at % len(slow) + 1])
                at += 1
    writer.close()
    return time.monotonic() - began


def descriptors(proc):
    return len(os.listdir(f"/proc/{proc.pid}/fd"))


@scenario(limit_s=300)
async def test_slow_and_idle_crowds(stack, net):
    alice, bob = await net.people("alice", "bob")
    rest, ws = stack.services.rest_port(0), stack.services.ws_port(0)
    doors = [stack.role("edge-rest"), stack.role("edge-ws")]
    before = [descriptors(p) for p in doors]
    kinds = [(rest, b"", b""), (rest, HEAD, b"X: y\r\n"), (rest, b"", HEAD), (rest, BODY, b" "), (ws, b"", b""), (ws, UPGRADE, b"X: y\r\n"),
             (ws, b"", UPGRADE)]
    crowd = [asyncio.create_task(drip(port, HERE[i % len(HERE)], first, slow)) for port, first, slow in kinds for i in range(100)]
    for i in range(MESSAGES):
        out = await alice.told(f"{MARK} in the crowd {i}", peer=bob.user_id)
        await bob.sees(out.content)
        await alice.rest.get("/api/me", expect=200)
    took = await asyncio.gather(*crowd)
    longest = [max(took[i:i + 100]) for i in range(0, len(took), 100)]
    assert longest[0] < IDLE_S and max(longest[1:]) < ENDS_S, f"let in for at most {[round(s) for s in longest]} s, by kind"

    def back():
        now = [descriptors(p) for p in doors]
        return all(n <= b + 8 for n, b in zip(now, before, strict=True)) and now

    assert await asyncio.to_thread(wait_until, back, 30, "descriptors as before")


@scenario(limit_s=120)
async def test_a_socket_that_is_never_read(stack, net):
    """It is closed; who writes to it, and others, notice nothing."""
    alice, bob, carl = await net.people("alice", "bob", "carl")
    async def sockets(n):
        return await asyncio.to_thread(lambda: stack.metrics("edge-ws")["sockets"]) == n

    await until(lambda: sockets(3), 20, "three sockets")
    deaf = await net.raw(bob.tokens)
    await deaf.ready()
    await until(lambda: sockets(4), 20, "the fourth")
    deaf._ws.transport.pause_reading()
    for i in range(60):
        out = await alice.told(f"{MARK} {'x' * 16000} {i}", peer=bob.user_id)
        await bob.sees(out.content)
    out = await alice.told(f"{MARK} to another", peer=carl.user_id)
    await carl.sees(out.content)
    await until(lambda: sockets(3), 60, "the deaf socket to be closed")


@scenario(limit_s=120)
async def test_smugglers(stack, net):
    """What test_framing.py and test_ws_wire.py refuse, many times over, among good requests."""
    (alice,) = await net.people("alice")
    door = Door("127.0.0.1", stack.services.ws_port(0), alice.user_id, alice.device_id)
    await check_t27_handshakes_that_two_would_read_differently(door)
    door.close()

    async def smuggle(raw, address):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.services.rest_port(0), local_addr=(address, 0))
        with contextlib.suppress(OSError):
            writer.write(raw + b"GET /api/config HTTP/1.1\r\nHost: x\r\n\r\n")
            return await asyncio.wait_for(reader.read(), 20)
        return b""

    for address in HERE[:4]:
        for what, raw in {**T27, **T28}.items():
            got = await smuggle(raw, address)
            assert got.count(b"HTTP/1.1 ") <= 1 and not got.startswith(b"HTTP/1.1 2"), f"{what}: {got[:200]}"
        await alice.rest.get("/api/me", expect=200)
