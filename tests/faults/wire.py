# SPDX-License-Identifier: MIT
"""WebSockets by hand, for clients that behave as no library lets them, and for thousands of them at once."""
from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from urllib.parse import urlsplit

UPGRADE = ("GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(text: str | bytes, opcode: int = TEXT) -> bytes:
    """One masked frame."""
    body = text.encode() if isinstance(text, str) else text
    head = bytes([0x80 | opcode])
    if len(body) < 126:
        head += bytes([0x80 | len(body)])
    elif len(body) < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack(">H", len(body))
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", len(body))
    return head + b"\0\0\0\0" + body  # the mask of zeros is a mask


def frames(data: bytearray) -> list[tuple[int, bytes]]:
    """Take the whole frames out of `data`: (opcode, body)."""
    found = []
    at = 0
    while len(data) - at >= 2:
        n, skip = data[at + 1] & 127, 2
        if n == 126:
            if len(data) - at < 4:
                break
            n, skip = struct.unpack_from(">H", data, at + 2)[0], 4
        elif n == 127:
            if len(data) - at < 10:
                break
            n, skip = struct.unpack_from(">Q", data, at + 2)[0], 10
        if len(data) - at < skip + n:
            break
        found.append((data[at] & 15, bytes(data[at + skip:at + skip + n])))
        at += skip + n
    del data[:at]
    return found


class Slow:
    """A socket that is read as slowly as `bytes_a_second` says (0: not at all) and never says a word after `auth`."""

    def __init__(self, url: str, token: str, bytes_a_second: float, receive: int = 4096):
        self.url, self.token, self.pace, self.receive = urlsplit(url), token, bytes_a_second, receive
        self.sock: socket.socket | None = None
        self.code: int | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive)
        self.sock.setblocking(False)
        await asyncio.wait_for(loop.sock_connect(self.sock, (self.url.hostname, self.url.port)), 10)
        await loop.sock_sendall(self.sock, UPGRADE.format(host=self.url.netloc).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await asyncio.wait_for(loop.sock_recv(self.sock, 1), 10)
            if not piece:
                raise OSError("refused")
            head += piece
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError(head.split(b"\r\n")[0].decode())
        await loop.sock_sendall(self.sock, frame(json.dumps({"t": "auth", "token": self.token})))

    async def say_ok(self, within_s: float = 3) -> None:
        """Say `ok` to what comes within that time; never again after it."""
        loop = asyncio.get_running_loop()
        data = bytearray()
        try:
            async with asyncio.timeout(within_s):
                while more := await loop.sock_recv(self.sock, 65536):
                    data += more
                    for opcode, body in frames(data):
                        if opcode == TEXT and (n := json.loads(body).get("n")):
                            await loop.sock_sendall(self.sock, frame(json.dumps({"t": "ok", "n": n})))
        except TimeoutError:
            pass

    async def dawdle(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(min(1, end - loop.time()) if self.pace else end - loop.time())
            if self.pace and not await asyncio.wait_for(loop.sock_recv(self.sock, int(self.pace)), 30):
                return

    async def ended(self, within_s: float) -> bool:
        """Whether the other side has closed; reads what was left, and its close code, if there was one, into `code`."""
        loop = asyncio.get_running_loop()
        left = bytearray()
        try:
            async with asyncio.timeout(within_s):
                while data := await loop.sock_recv(self.sock, 65536):
                    left += data
                    for opcode, body in frames(left):
                        if opcode == CLOSE and len(body) >= 2:
                            self.code = struct.unpack_from(">H", body)[0]
        except TimeoutError:
            return False
        except OSError:
            pass  # a reset is an end, too
        return True

    def close(self) -> None:
        if self.sock:
            self.sock.close()


class Quick(asyncio.Protocol):
    """One of thousands: connects, authenticates, says ok to all it gets, and answers pings. `on` is called with each frame."""

    def __init__(self, host: str, token: str, on, gone):
        self.host, self.token, self.on, self.gone = host, token, on, gone
        self.data, self.open, self.transport = bytearray(), False, None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(UPGRADE.format(host=self.host).encode())

    def data_received(self, data):
        self.data += data
        if not self.open:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            self.open = b" 101 " in self.data[:end].split(b"\r\n")[0]
            if not self.open:
                self.transport.abort()
                return
            del self.data[:end + 4]
            self.say({"t": "auth", "token": self.token})
        last = 0
        for opcode, body in frames(self.data):
            if opcode == TEXT:
                f = json.loads(body)
                last = f.get("n", last)
                self.on(self, f)
            elif opcode == PING:
                self.transport.write(frame(body, PONG))
            elif opcode == CLOSE:
                self.transport.close()
        if last:
            self.say({"t": "ok", "n": last})

    def say(self, f: dict) -> None:
        if self.transport and not self.transport.is_closing():
            self.transport.write(frame(json.dumps(f)))

    def connection_lost(self, error):
        self.open = False
        self.gone(self)


def more_descriptors() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))


async def main(url: str, token: str) -> None:
    """A client of its own process, for whoever wants to stop it: says "open", and "closed" when the other side has closed."""
    slow = Slow(url, token, 0)
    await slow.open()
    print("open", flush=True)
    if await slow.ended(600):
        print("closed", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
