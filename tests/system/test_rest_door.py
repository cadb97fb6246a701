# SPDX-License-Identifier: MIT
"""What a stranger's connection may hold, and for how long; whose address counts behind a proxy. An edge-rest of its own, at
the limits that operators get."""
import asyncio
import contextlib
import socket

import metrics
from client import scenario, until
from conftest import BASE_PORT
from look import one_more

EDGE, DOOR = BASE_PORT + 710, BASE_PORT + 711
MIB = 1 << 20
PART = 4 * MIB - 8192
PROXY = "127.0.0.200"
RARELY = {"RATE_PER_MINUTE": "1"}  # twenty at once; a budget that was used up stays so while a test runs
RAISED = ("RATE_PER_MINUTE", "CONNECTIONS_PER_ADDRESS")  # by TEST_SETTINGS
LOGIN = b"POST /api/login HTTP/1.1\r\nHost: x\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def an_edge(stack, descriptors=None, **settings):
    """One more edge-rest of the stack, at the default limits but for `settings`; `descriptors`: it can have no more."""
    env = {"REST_LISTEN": f"127.0.0.1:{EDGE}", "METRICS_LISTEN": f"127.0.0.1:{DOOR}", **settings}
    return one_more(stack, "edge-rest", "edge-rest-door", env, without=RAISED,
                    bound=["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else ())


class Line:
    """One connection from a loopback address of its own."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @staticmethod
    async def open(address="127.0.0.1", port=EDGE):
        return Line(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))

    def write(self, raw):
        self.writer.write(raw)

    async def send(self, raw):
        """False: the other side has closed."""
        try:
            self.writer.write(raw)
            await self.writer.drain()
            return True
        except OSError:
            return False

    async def read(self, limit_s=20):
        """All until it is closed; a reset counts as closed."""
        got = b""
        with contextlib.suppress(OSError):
            while piece := await asyncio.wait_for(self.reader.read(65536), limit_s):
                got += piece
        return got

    async def answer(self, limit_s=20):
        """One answer with a body as its Content-Length says: (status, headers, body); status 0 when there is none."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), limit_s)
            lines = head.decode().split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
            body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", 0))), limit_s)
            return int(lines[0].split()[1]), headers, body
        except (OSError, asyncio.IncompleteReadError):
            return 0, {}, b""

    async def ask(self, raw, limit_s=20):
        await self.send(raw)
        return await self.answer(limit_s)

    def is_closed(self):
        return self.reader.at_eof() or self.reader.exception() is not None

    def close(self):
        self.writer.close()


@contextlib.asynccontextmanager
async def lines(n, address="127.0.0.1"):
    opened = []
    try:
        for _ in range(n):
            opened.append(await Line.open(address))
        yield opened
    finally:
        for line in opened:
            line.close()


def head(method, path, *headers, length=None, token=None):
    out = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if length is not None:
        out.append(f"Content-Length: {length}")
    if token:
        out.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*out, "", ""]).encode()


def piece_head(token, length=PART):
    path = "/api/media/00000000-0000-4000-8000-000000000000/upload"
    return head("PATCH", path, "Tus-Resumable: 1.0.0", "Upload-Offset: 0", "Content-Type: application/offset+octet-stream",
                length=length, token=token)


def resident_mib(proc):
    with open(f"/proc/{proc.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def held_mib():
    return metrics.read(DOOR)["body_bytes"] / MIB


async def status_of(raw, address="127.0.0.1"):
    line = await Line.open(address)
    try:
        return (await line.ask(raw))[0]
    finally:
        line.close()


async def me(token, address="127.0.0.1"):
    return await status_of(head("GET", "/api/me", token=token), address)


@scenario()
async def test_t30_a_body_over_its_limit_is_refused_unread(stack, net):
    alice, = await net.people("alice")
    token = alice.tokens.access
    rows = [  # head, most of its body that is sent, status, code
        (head("POST", "/api/login", length=8193), 0, 413, b"too_large"),
        (head("POST", "/api/login", length=4 * MIB), 0, 413, b"too_large"),
        (head("POST", "/api/login", length=10**14), MIB, 413, b"too_large"),
        (head("POST", "/api/messages", length=65536, token=token + "x"), 0, 401, b"unauthorized"),
        (head("POST", "/api/messages", length=65537, token=token), 0, 413, b"too_large"),
        (piece_head(token, 4 * MIB + 1), 0, 413, b"too_large"),
        (piece_head(None), 0, 413, b"too_large"),
    ]
    with an_edge(stack):
        for raw, n, status, code in rows:
            line = await Line.open()
            await line.send(raw + bytes(n))
            got, headers, body = await line.answer()
            assert (got, headers["connection"]) == (status, "close") and code in body and b"requestId" in body, raw
            assert await line.read() == b""
            line.close()
        # in chunks the length shows itself only later
        for raw, most in ((head("POST", "/api/login", "Transfer-Encoding: chunked"), 8192),
                          (head("POST", "/api/messages", "Transfer-Encoding: chunked", token=token), 65536)):
            line = await Line.open()
            await line.send(raw + b"%x\r\n" % most + b" " * most + b"\r\n1\r\n")
            assert (await line.answer())[0] == 413
            line.close()
            line = await Line.open()  # at the bound it is the handler's, who wants JSON
            assert (await line.ask(raw + b"%x\r\n" % most + b" " * most + b"\r\n0\r\n\r\n"))[0] == 400
            line.close()
        # at the bound
        assert await status_of(head("POST", "/api/login", length=8192) + b" " * 8192) == 400
        assert await status_of(head("POST", "/api/messages", length=65536, token=token) + b" " * 65536) == 400
        assert await status_of(piece_head(token) + bytes(PART)) == 404
        big = head("GET", "/healthz", *[f"X-{i}: {'x' * 1000}" for i in range(17)])
        assert await status_of(big) == 431
        assert await status_of(head("GET", "/healthz", *[f"X-{i}: {'x' * 1000}" for i in range(15)])) == 200


@scenario()
async def test_t29_who_is_slow_is_cut_off(stack, net):
    """A head within ten seconds, then 4 KiB a second: all at once here, for the time is the test."""
    alice, = await net.people("alice")

    async def drip(first, rest, pause_s):
        """Send `rest` byte by byte; how long it was taken, and the answer."""
        line, loop = await Line.open(), asyncio.get_running_loop()
        began = loop.time()
        reading = asyncio.create_task(line.answer(40))
        await line.send(first)
        for byte in rest:
            if reading.done() or not await line.send(bytes([byte])):
                break
            await asyncio.sleep(pause_s)
        status, _, body = await reading
        line.close()
        return loop.time() - began, status, body

    async def steady():
        """8 KiB/s are enough."""
        line = await Line.open()
        await line.send(piece_head(alice.tokens.access, 128 * 1024))
        for _ in range(32):
            assert await line.send(bytes(4096))
            await asyncio.sleep(0.4)
        status, _, _ = await line.answer()
        line.close()
        return status

    with an_edge(stack):
        enough = asyncio.create_task(steady())
        rows = await asyncio.gather(
            drip(b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"y" * 200, 0.2),
            drip(b"", LOGIN * 5, 0.2),
            drip(LOGIN + b"Content-Length: 200\r\n\r\n", b" " * 200, 0.2),
            drip(LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 40, 0.2),
            drip(piece_head(alice.tokens.access), bytes(200), 0.2))
        for took_s, status, body in rows:
            assert status == 408 and b"too_slow" in body
            assert 5 < took_s < 20  # ten, on a machine that may be busy
        assert await enough == 404


@scenario(limit_s=120)
async def test_bodies_are_bounded_whoever_sends_them(stack, net):
    """400 connections times 4 MiB, first without a token, then of twenty users; others are served meanwhile."""
    bodies = 64
    slack = 48 if stack.build.name == "release" else 2048  # a sanitizer keeps what is freed
    users = await net.people(*[f"user{i}" for i in range(21)])
    victim, senders = users[0].tokens.access, [u.tokens.access for u in users[1:]]

    async def fill(line, raw, n, wait_s):
        """Send all but the last byte, as far as it is taken; the answer, None when it waits for that byte."""
        answering = asyncio.create_task(line.answer(60))
        await line.send(raw)
        sent = 0
        while sent < n - 1 and not answering.done() and await line.send(bytes(min(65536, n - 1 - sent))):
            sent += min(65536, n - 1 - sent)
        await asyncio.wait([answering], timeout=wait_s)
        if answering.done():
            return answering.result()[0]
        answering.cancel()
        return None

    with an_edge(stack, BODY_MEMORY_MB=str(bodies), REST_CONNECTIONS="1024") as edge:
        assert await me(victim) == 200
        before = resident_mib(edge)
        async with lines(200, "127.0.0.2") as some, lines(200, "127.0.0.3") as more:
            raw = head("POST", "/api/login", length=PART)
            got = await asyncio.gather(*[fill(line, raw, PART, 20) for line in some + more])
            assert set(got) <= {413, 0}, "refused, read or not"
            assert held_mib() == 0 and await me(victim) == 200
            assert resident_mib(edge) < before + slack, "without a token"
        async with lines(200, "127.0.0.2") as some, lines(200, "127.0.0.3") as more:
            tasks = [asyncio.create_task(fill(line, piece_head(senders[i % 20]), PART, 1)) for i, line in enumerate(some + more)]
            most = 0
            while not all(t.done() for t in tasks):
                most = max(most, held_mib())
                assert await me(victim) == 200
                assert resident_mib(edge) < before + bodies + slack
                await asyncio.sleep(0.1)
            got = [t.result() for t in tasks]
            assert got.count(None) + got.count(408) >= 10, "some are taken, while they are fast enough"
            assert set(got) <= {None, 503, 408, 0} and got.count(503) > 100
            assert bodies - 8 - 4.1 < most <= bodies - 8, "up to the bound: what small bodies do not need"
            # small ones have room still, with a token and without
            assert await status_of(head("POST", "/api/messages", length=8192, token=victim) + b" " * 8192) == 400
            assert await status_of(head("POST", "/api/login", length=8192) + b" " * 8192) == 400
        await until(lambda: held_mib() == 0, 20, "the bodies to go with their connections")
        assert await status_of(piece_head(victim) + bytes(PART)) == 404
        await until(lambda: resident_mib(edge) < before + slack, 20, "the memory to be given back")


@scenario()
async def test_a_body_counts_until_its_request_is_over(stack, net):
    """Who sends a whole piece and leaves at once does not get its room again before the work is done."""
    alice, = await net.people("alice")
    with an_edge(stack):
        for _ in range(20):
            line = await Line.open()
            await line.send(piece_head(alice.tokens.access) + bytes(PART))
            line.close()
        await until(lambda: held_mib() == 0 and metrics.read(DOOR)["calls"] == 0, 20, "all of it to be over")
        assert await status_of(piece_head(alice.tokens.access) + bytes(PART)) == 404


@scenario()
async def test_idle_connections_lock_nobody_out(stack, net):
    alice, = await net.people("alice")
    token = alice.tokens.access
    with an_edge(stack, REST_CONNECTIONS="300", CONNECTIONS_PER_ADDRESS="100"):
        async with contextlib.AsyncExitStack() as opened:
            crowd = [await opened.enter_async_context(lines(100, f"127.0.0.{i}")) for i in (2, 3, 4)]
            for group in crowd:  # some are in the middle of a head
                for line in group[::2]:
                    await line.send(b"GET / HTTP/1.1\r\nX: ")
            assert await me(token) == 200
            assert await status_of(HEALTH) == 200
            assert metrics.read(DOOR)["connections"] <= 300
            # one address: its own longest waiting ones go
            more = await opened.enter_async_context(lines(50, "127.0.0.4"))
            assert await me(token, "127.0.0.4") == 200
            await until(lambda: sum(line.is_closed() for line in crowd[2]) >= 50, 10, "its oldest to be closed")
            assert not any(line.is_closed() for line in more)
            assert (await more[0].ask(HEALTH))[0] == 200
            assert metrics.read(DOOR)["connections_refused_total"] >= 50


@scenario()
async def test_descriptors_are_kept_for_everything_else(stack, net):
    """With too few of them for REST_CONNECTIONS there are fewer connections, and files can still be opened."""
    alice, = await net.people("alice")
    with an_edge(stack, descriptors=400) as edge:
        said = [line for line in edge.log_lines() if line.get("event") == "connections_bounded"]
        assert said and said[-1]["connections"] == (400 - 256) // 2
        async with lines(200, "127.0.0.2"):
            assert await me(alice.tokens.access) == 200
            assert await status_of(head("GET", "/")) == 200
            assert metrics.read(DOOR)["connections"] <= 72


@scenario()
async def test_a_proxy_is_believed_and_nobody_else(stack, net):
    """Behind a trusted proxy each client has a budget of its own; a stranger's word about his address is not taken."""
    alice, = await net.people("alice")

    def config(name, *more):
        return head("GET", "/api/config", f"X-Forwarded-For: {name}", *more)

    async def use_up(line, raw):
        for _ in range(200):
            if (await line.ask(raw))[0] == 429:
                return
        raise AssertionError("there is no limit")

    with an_edge(stack, TRUSTED_PROXIES=f"{PROXY}/32, 10.0.0.0/8", **RARELY):
        proxy, stranger = await Line.open(PROXY), await Line.open("127.0.0.5")
        await use_up(proxy, config("203.0.113.7"))
        assert (await proxy.ask(config("198.51.100.9")))[0] == 200
        assert (await proxy.ask(config("203.0.113.7, 198.51.100.9")))[0] == 200, "the right-most counts"
        for same in (("198.51.100.9, 203.0.113.7",), ("198.51.100.9, 203.0.113.7, 10.1.2.3",), ("198.51.100.9", "X-Forwarded-For: 203.0.113.7")):
            assert (await proxy.ask(config(*same)))[0] == 429, same
        # with a token one counts as oneself
        bearer = f"Authorization: Bearer {alice.tokens.access}"
        assert (await proxy.ask(config("203.0.113.7", bearer)))[0] == 200
        assert (await proxy.ask(head("GET", "/api/me", "X-Forwarded-For: 203.0.113.7", token=alice.tokens.access)))[0] == 200
        await use_up(stranger, config("198.51.100.10"))
        assert (await stranger.ask(config("198.51.100.11")))[0] == 429
        assert (await proxy.ask(config("198.51.100.10")))[0] == 200
        proxy.close(), stranger.close()


@scenario()
async def test_the_proxy_protocol(stack, net):
    def v1(address):
        return f"PROXY TCP4 {address} 10.0.0.1 4660 80\r\n".encode()

    def v2(address):
        return (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + b"\x12\x34\0\x50")

    config = head("GET", "/api/config")
    with an_edge(stack, TRUSTED_PROXIES=PROXY, PROXY_PROTOCOL="1", CONNECTIONS_PER_ADDRESS="20", **RARELY):
        async def ask(header, raw=config, address=PROXY):
            return await status_of(header + raw, address)

        line = await Line.open(PROXY)
        await line.send(v1("203.0.113.7"))
        for _ in range(200):
            if (status := (await line.ask(config))[0]) != 200:
                break
        assert status == 429
        line.close()
        assert await ask(v2("203.0.113.7")) == 429
        assert await ask(v1("198.51.100.9")) == 200
        assert await ask(v2("198.51.100.9")) == 200
        assert await ask(v2("198.51.100.9"), head("GET", "/api/config", "X-Forwarded-For: 203.0.113.7")) == 200, "not a proxy's word"
        assert await ask(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", HEALTH) == 200, "a check of the proxy's own"
        assert await ask(b"") == 0, "a trusted proxy has to say whose it is"
        assert await ask(b"PROXY TCP4 nobody 10.0.0.1 1 2\r\n") == 0
        assert await ask(v1("198.51.100.9"), address="127.0.0.5") == 400, "a stranger cannot"
        assert await ask(b"", address="127.0.0.5") == 200
        # connections of a client count as its own, not as the proxy's
        async with lines(20, PROXY) as held:
            for i, line in enumerate(held):
                assert (await line.ask(v1("203.0.113.8") + HEALTH))[0] == 200, i
            assert await ask(v1("203.0.113.8"), HEALTH) == 0
            assert await ask(v1("203.0.113.9"), HEALTH) == 200


@scenario()
async def test_t2_pages_of_every_origin_in_the_list(stack, net):
    """As the gateways read it: spaces around the commas do not count. Refusals of the door say the same as the routes."""
    listed = ("https://one.example", "https://two.example", "https://three.example")
    with an_edge(stack, ALLOWED_ORIGINS=f"{listed[0]} , {listed[1]},{listed[2]}"):
        for origin in (*listed, "https://two.example:444", "http://two.example", "null", "*"):
            for raw, status in ((head("GET", "/api/config", f"Origin: {origin}"), 200),
                                (head("POST", "/api/login", f"Origin: {origin}", length=4 * MIB), 413)):
                line = await Line.open()
                try:
                    got = await line.ask(raw)
                finally:
                    line.close()
                assert got[0] == status, (origin, got)
                allowed = {k.lower(): v for k, v in got[1].items()}.get("access-control-allow-origin")
                assert allowed == (origin if origin in listed else None), (origin, got)
