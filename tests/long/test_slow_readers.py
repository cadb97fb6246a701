# SPDX-License-Identifier: MIT
"""Who asks and does not read the answer is cut off, and holds nothing afterwards (T29); who reads slowly is served."""
import asyncio
import socket

import metrics
from client import scenario, until
from files import Files
from test_rest_door import DOOR, EDGE, an_edge, head, me

MIB = 1 << 20


def ask(path, token):
    """A connection with a small window that has asked for a file."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.connect(("127.0.0.1", EDGE))
    s.sendall(head("GET", path, token=token))
    return s


@scenario(limit_s=180)
async def test_t29_who_does_not_read_is_cut_off(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    files, data = Files(stack.rest_url(), alice.tokens.access), bytes(16 * MIB - 4096)
    media = await asyncio.to_thread(files.send, chat, b"%PDF-1.4\n" + data, "document")
    files.close()
    with an_edge(stack):
        stuck = [ask(f"/api/media/{media}", alice.tokens.access) for _ in range(20)]
        slow = ask(f"/api/media/{media}", alice.tokens.access)
        await until(lambda: metrics.read(DOOR)["connections"] >= 21, 20, "all to be at work")

        async def sip():
            """64 KiB/s for a minute."""
            slow.settimeout(20)
            for _ in range(60):
                left = 65536
                while left:
                    piece = await asyncio.to_thread(slow.recv, left)
                    assert piece, "who reads slowly was cut off"
                    left -= len(piece)
                await asyncio.sleep(1)

        sipping = asyncio.create_task(sip())
        assert await me(alice.tokens.access) == 200, "they hold up nobody"
        await until(lambda: metrics.read(DOOR)["connections"] <= 2, 90, "the stuck ones to be closed")
        await sipping
        for s in [*stuck, slow]:
            s.close()
        await until(lambda: metrics.read(DOOR)["calls"] == 0, 60, "their requests to be over")
