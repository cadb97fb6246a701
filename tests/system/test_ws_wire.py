# SPDX-License-Identifier: MIT
"""The socket's door, byte by byte: threats T1 to T5, T19 and T20 of docs/security.md.

Each check speaks to a Door. test_the_checks_bite gives the same checks a door that lets everything in: every one must fail there.
"""
import asyncio
import json
import os
import re
import struct
import time

import jwt
import pytest
from client import MARK, Secrets, scenario
from stack import TEST_SETTINGS

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FRAME_MAX = 64 * 1024
WITHIN_S = 15
ORIGIN = "https://chat.example"


def frame(opcode, data=b"", final=True, masked=True):
    head = bytes([final << 7 | opcode])
    if len(data) < 126:
        head += bytes([masked << 7 | len(data)])
    elif len(data) < 1 << 16:
        head += struct.pack(">BH", masked << 7 | 126, len(data))
    else:
        head += struct.pack(">BQ", masked << 7 | 127, len(data))
    if masked:
        mask = os.urandom(4)
        data = bytes(b ^ mask[i & 3] for i, b in enumerate(data))
        head += mask
    return head + data


TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0


class Socket:
    """A connection of its own and what came on it."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.status, self.headers = reader, writer, 0, {}

    async def shake(self, lines):
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WITHIN_S)
        except (asyncio.IncompleteReadError, ConnectionError):
            return self  # hung up
        first, *rest = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in rest if ":" in line)}
        return self

    async def send(self, opcode, data=b"", **more):
        try:
            self.writer.write(frame(opcode, data, **more))
            await self.writer.drain()
        except ConnectionError:
            pass  # ended meanwhile: closed() says how

    async def next(self, timeout_s=None):
        """(opcode, payload) of the next frame; None when the connection ends."""
        async def read():
            a, b = await self.reader.readexactly(2)
            n = b & 127
            if n == 126:
                (n,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif n == 127:
                (n,) = struct.unpack(">Q", await self.reader.readexactly(8))
            return a & 15, await self.reader.readexactly(n)

        try:
            return await asyncio.wait_for(read(), timeout_s or WITHIN_S)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def closed(self, timeout_s=None):
        """The close code, 0 for a connection that ended without one, None when nothing closed it in time."""
        end = time.monotonic() + (timeout_s or WITHIN_S)
        while True:
            try:
                got = await self.next(max(0.01, end - time.monotonic()))
            except asyncio.TimeoutError:
                return None
            if got is None:
                return 0
            if got[0] == CLOSE:
                return struct.unpack(">H", got[1][:2])[0] if len(got[1]) >= 2 else 1005

    async def ready(self):
        while True:
            got = await self.next()
            assert got and got[0] != CLOSE, f"closed before ready: {got}"
            if got[0] == TEXT and json.loads(got[1])["t"] == "ready":
                return self


class Door:
    """Where sockets come in, and who may: `token(**claims)` signs one for the user and device of this door."""

    def __init__(self, host, port, user="", device=""):
        self.host, self.port, self.user, self.device, self.open_ones = host, port, user, device, []

    def token(self, secret=TEST_SETTINGS["JWT_SECRET"], **changes):
        now = int(time.time())
        claims = {"iss": "chasqui", "aud": "chasqui", "sub": self.user, "did": self.device, "iat": now, "exp": now + 900, **changes}
        text = jwt.encode(claims, secret, "HS256", headers={"kid": "0"})
        Secrets.tokens.add(text)
        return text

    async def connect(self, *more, path="/ws", version="13", key=KEY, host="x", drop=()):
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}"]
        lines = [line for line in lines if line.split(":")[0] not in drop]
        socket = Socket(*await asyncio.open_connection(self.host, self.port))
        self.open_ones.append(socket)
        return await socket.shake([*lines, *more])

    async def enter(self, token=None):
        """A socket that is signed in and ready."""
        socket = await self.connect()
        assert socket.status == 101
        await socket.send(TEXT, json.dumps({"t": "auth", "token": token or self.token()}).encode())
        return await socket.ready()

    def close(self):
        for socket in self.open_ones:
            socket.writer.close()


async def check_t1_bad_tokens_never_upgrade(door):
    """A bad or expired Authorization: refused before 101. Without one: `auth` within 10 s, or 4401."""
    now = int(time.time())
    for bad in ("x", door.token(secret="another-secret-of-thirty-two-bytes!!"), door.token(iat=now - 1000, exp=now - 100)):
        assert (await door.connect(f"Authorization: Bearer {bad}")).status == 401
    assert (await door.connect("Authorization: Basic eDp5")).status == 401
    silent, hasty = await door.connect(), await door.connect()
    await hasty.send(TEXT, b'{"t":"ping"}')
    assert await hasty.closed() == 4401
    assert await silent.closed() == 4401


async def check_t2_origins_not_in_the_list(door):
    for origin in ("https://evil.example", "null", "*", "http://chat.example", "https://chat.example.evil.example", f"{ORIGIN}:444"):
        assert (await door.connect(f"Origin: {origin}")).status == 403, origin
    assert (await door.connect(f"Origin: {ORIGIN}")).status == 101
    assert (await door.connect()).status == 101, "programs that are no browser send none"


async def check_t3_no_token_in_the_query(door):
    token = door.token()
    for path in (f"/ws?token={token}", f"/ws?x=1&access_token={token}"):
        socket = await door.connect(path=path)
        assert socket.status != 101 or await socket.closed() == 4401, path
    header = await door.connect(f"Authorization: Bearer {token}")
    assert header.status == 101
    await header.ready()
    await door.enter(token)


async def check_t4_tokens_end_while_connected(door):
    """The socket ends with its token within 30 s; a newer one in the same socket prolongs it."""
    ends = int(time.time()) + 4
    short, renewed = await asyncio.gather(door.enter(door.token(exp=ends)), door.enter(door.token(exp=ends)))
    await renewed.send(TEXT, json.dumps({"t": "auth", "token": door.token()}).encode())
    assert await short.closed(2 * WITHIN_S + 4) == 4401
    await renewed.send(TEXT, b'{"t":"ping"}')
    got = await renewed.next()
    assert got and json.loads(got[1])["t"] == "pong", got


async def check_t19_frames_have_a_limit(door):
    """64 KiB are read, one byte more is not: in one frame, in pieces, and as a length that is only announced."""
    whole = await door.enter()
    await whole.send(TEXT, b'{"t":"ping"' + b" " * (FRAME_MAX - 12) + b"}")
    got = await whole.next()
    assert got and json.loads(got[1])["t"] == "pong", got
    await whole.send(TEXT, b" " * (FRAME_MAX + 1))
    assert await whole.closed() == 1009
    pieces = await door.enter()
    await pieces.send(TEXT, b" " * 1000, final=False)
    for _ in range(70):
        await pieces.send(MORE, b" " * 1000, final=False)
    assert await pieces.closed() == 1009
    huge = await door.enter()
    huge.writer.write(struct.pack(">BBQI", 0x81, 0xFF, 1 << 62, 0))
    for _ in range(80):
        try:
            huge.writer.write(b"x" * 1024)
            await huge.writer.drain()
        except ConnectionError:
            break
    assert await huge.closed() in (1009, 0)


async def check_t20_frames_that_are_no_text(door):
    """Wrong frames of RFC 6455 close with their code. 0: libwebsockets hangs up without one."""
    rows = [
        ("invalid UTF-8", frame(TEXT, b"\xff"), {1007}),
        ("invalid UTF-8, in two pieces", frame(TEXT, b"\xe2\x82", final=False) + frame(MORE, b"x"), {1007}),
        ("binary", frame(BINARY, b"{}"), {1003}),
        ("a reserved bit", bytes([0xC1]) + frame(TEXT, b"{}")[1:], {1002}),
        ("an unknown opcode", frame(3, b"{}"), {1002}),
        ("a continuation of nothing", frame(MORE, b"{}"), {1002}),
        ("a ping in pieces", frame(PING, b"x", final=False), {1002}),
        ("a ping of 126 bytes", frame(PING, b"x" * 126), {1002, 0}),
        ("a pong of 126 bytes", frame(PONG, b"x" * 126), {1002, 0}),
        ("a close of 126 bytes", frame(CLOSE, b"\x03\xe8" + b"x" * 124), {1002, 0}),
        ("a close with one byte", frame(CLOSE, b"\x03"), {1002, 0}),
        ("a close with code 999", frame(CLOSE, b"\x03\xe7"), {1002, 0}),
        ("a close with code 1005", frame(CLOSE, b"\x03\xed"), {1002, 0}),
        ("a close with invalid UTF-8", frame(CLOSE, b"\x03\xe8\xff\xfe"), {1007, 0}),
        ("a close with a surrogate", frame(CLOSE, b"\x03\xe8\xed\xa0\x80"), {1007, 0}),
        ("a close with half a character", frame(CLOSE, b"\x03\xe8\xe2\x82"), {1007, 0}),
        ("a length above 2^63", struct.pack(">BBQI", 0x81, 0xFF, 1 << 63, 0), {1002, 1009, 0}),
    ]
    for what, raw, codes in rows:
        socket = await door.enter()
        socket.writer.write(raw)
        code = await socket.closed()
        assert code in codes, f"{what}: {code}"
    fine = await door.enter()
    await fine.send(PING, b"x" * 125)
    assert await fine.next() == (PONG, b"x" * 125)
    await fine.send(CLOSE, b"\x03\xe8" + "grüße".encode())
    assert await fine.closed() == 1000


async def check_handshakes_of_other_versions(door):
    for version in ("8", "7", "0", "14", "-13", "13abc", "013", "", "13, 8"):
        socket = await door.connect(version=version)
        assert socket.status in (400, 426), version
        assert socket.headers.get("sec-websocket-version") == "13", version
    for more in (["Sec-WebSocket-Version: 8"], ["Sec-WebSocket-Version: 13"]):
        assert (await door.connect(*more)).status == 426, more


async def check_t27_handshakes_that_two_would_read_differently(door):
    """The same as for REST. Whatever else a head says, a connection carries one request: it is upgraded, or it ends."""
    rows = {"no key": {"drop": ["Sec-WebSocket-Key"]}, "a short key": {"key": "c2hvcnQ="}, "no host": {"drop": ["Host"]}}
    for what, change in rows.items():
        assert (await door.connect(**change)).status in (400, 0), what
    for more in (["Host: y"], [f"Sec-WebSocket-Key: {KEY}"], ["Content-Length: 5"], ["Transfer-Encoding: chunked"],
                 ["Content-Length: 5", "Transfer-Encoding: chunked"]):
        assert (await door.connect(*more)).status in (400, 0), more
    second = await door.connect(path="/nothing", drop=["Upgrade", "Connection"])
    assert second.status == 404 and second.headers["connection"] == "close"
    second.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await second.reader.read() == b"", "a second answer on the same connection"


CHECKS = [check_t1_bad_tokens_never_upgrade, check_t2_origins_not_in_the_list, check_t3_no_token_in_the_query,
          check_t4_tokens_end_while_connected, check_t19_frames_have_a_limit, check_t20_frames_that_are_no_text,
          check_handshakes_of_other_versions, check_t27_handshakes_that_two_would_read_differently]


async def by_the_front(stack, net, check, gateway=0):
    (alice,) = await net.people("alice")
    door = Door("127.0.0.1", stack.services.ws_port(gateway), alice.user_id, alice.device_id)
    try:
        await check(door)
    finally:
        door.close()


@scenario(limit_s=60)
async def test_t1_bad_tokens_never_upgrade(stack, net):
    await by_the_front(stack, net, check_t1_bad_tokens_never_upgrade)


@scenario()
async def test_t2_origins_not_in_the_list(stack, net):
    gateway = stack.role("edge-ws", 1)
    await asyncio.to_thread(restart, gateway, f"https://other.example, {ORIGIN}")
    try:
        await by_the_front(stack, net, check_t2_origins_not_in_the_list, gateway=1)
    finally:
        await asyncio.to_thread(restart, gateway, "*")


@scenario()
async def test_t3_no_token_in_the_query(stack, net):
    await by_the_front(stack, net, check_t3_no_token_in_the_query)


@scenario(limit_s=60)
async def test_t4_tokens_end_while_connected(stack, net):
    await by_the_front(stack, net, check_t4_tokens_end_while_connected)


@scenario()
async def test_t5_logout_closes_sockets_on_every_gateway(stack, net):
    """Within 5 s, on both gateways; another device of the same person stays."""
    anna, first = await net.user("anna", gateway=0)
    other = await anna.device("web", gateway=1)
    await asyncio.gather(first.online(), other.online())
    sockets = [await net.raw(first.tokens, gateway=i) for i in range(2)]
    for socket in sockets:
        await socket.ready()
    assert (await first.rest.post("/api/logout", {})).status in (200, 202, 204)
    assert [await s.closed(5) for s in sockets] == [4401, 4401]
    await first.wait(lambda: first.logged_out, 5, "its own socket to be closed")
    (bob,) = await net.people("bob")
    out = await bob.told(f"{MARK} to the device that stays", peer=other.user_id)
    await other.sees(out.content)


@scenario(limit_s=60)
async def test_t19_frames_have_a_limit(stack, net):
    pid = stack.role("edge-ws").pid
    before = resident_kib(pid)
    await by_the_front(stack, net, check_t19_frames_have_a_limit)
    assert resident_kib(pid) < before + 8 * 1024


@scenario(limit_s=60)
async def test_t20_frames_that_are_no_text(stack, net):
    await by_the_front(stack, net, check_t20_frames_that_are_no_text)


@scenario()
async def test_handshakes_of_other_versions_are_refused(stack, net):
    await by_the_front(stack, net, check_handshakes_of_other_versions)


@scenario()
async def test_t27_handshakes_that_two_would_read_differently(stack, net):
    await by_the_front(stack, net, check_t27_handshakes_that_two_would_read_differently)


@scenario()
async def test_unmasked_frames_are_taken(stack, net):
    """The exception of SECURITY.md: libwebsockets does not show it. When this fails, strike the exception."""
    (alice,) = await net.people("alice")
    door = Door("127.0.0.1", stack.services.ws_port(0), alice.user_id, alice.device_id)
    try:
        socket = await door.enter()
        await socket.send(TEXT, b'{"t":"ping"}', masked=False)
        got = await socket.next()
        assert got and json.loads(got[1])["t"] == "pong", got
    finally:
        door.close()


def restart(gateway, origins):
    gateway.stop()
    gateway.env.update(ALLOWED_ORIGINS=origins)
    gateway.start().wait_ready(30)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


# ---- a door that lets everything in -------------------------------------------------------------


async def lenient(reader, writer):
    """Upgrades whoever comes, says `ready`, answers each read with a pong, closes nothing."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n" + frame(TEXT, b'{"t":"ready"}', masked=False))
        while await reader.read(65536):
            writer.write(frame(TEXT, b'{"t":"pong"}', masked=False))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_the_checks_bite(check, monkeypatch):
    monkeypatch.setitem(globals(), "WITHIN_S", 0.3)  # nothing ever comes: no need to wait for it

    async def body():
        server = await asyncio.start_server(lenient, "127.0.0.1", 0)
        door = Door("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            with pytest.raises(AssertionError):
                await check(door)
        finally:
            door.close()
            server.close()

    asyncio.run(body())
