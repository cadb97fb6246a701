# SPDX-License-Identifier: MIT
"""Requests that two readers of one stream would understand differently are refused (RFC 9112)."""
import asyncio
from urllib.parse import urlsplit

import pytest
from client import scenario

BODY = b'{"phoneNumber":"+4915550000001"}'
POST = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def ask(stack, raw: bytes) -> bytes:
    """What comes back on a connection of its own until it ends or the answer is there."""
    url = urlsplit(stack.rest_url())
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(raw)
        await writer.drain()
        return await asyncio.wait_for(reader.read(4096), 20)
    finally:
        writer.close()


def length(n: int) -> bytes:
    return b"Content-Length: %d\r\n" % n


PLAIN = POST + length(len(BODY)) + b"\r\n" + BODY
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LOOK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def chunked(body: bytes) -> bytes:
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + body


T27 = {
    "two lengths": POST + length(len(BODY)) + length(5) + b"\r\n" + BODY,
    "length and chunks": POST + length(5) + CHUNKED[len(POST):],
    "two hosts": POST + b"Host: y\r\n" + length(len(BODY)) + b"\r\n" + BODY,
    "no host": POST.replace(b"Host: x\r\n", b"") + length(len(BODY)) + b"\r\n" + BODY,
    "a folded header": POST + b"X-A: one\r\n two\r\n" + length(len(BODY)) + b"\r\n" + BODY,
    "bare line feeds": (POST + length(len(BODY)) + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "a length with a sign": POST + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a list of lengths": POST + b"Content-Length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
    "chunks by another name": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED[-len(BODY) - 12:],
    "a size in C": chunked(b"0x%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk's bare line feed": chunked(b"%x\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a bare line feed behind a chunk": chunked(b"%x\r\n%s\n0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk's extension": chunked(b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a trailer": chunked(b"%x\r\n%s\r\n0\r\nHost: y\r\n\r\n" % (len(BODY), BODY)),
    "a NUL in the path": b"GET /icon.svg%00.html HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in a header": POST + b"X-A: a\0b\r\n" + length(len(BODY)) + b"\r\n" + BODY,
}
T28 = {
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an upgrade to HTTP/2": LOOK[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
    "an upgrade to anything": LOOK[:-2] + b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n",
    "settings of HTTP/2": LOOK[:-2] + b"HTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
}


@scenario()
async def test_plain_requests_are_answered(stack, net):
    for raw in (PLAIN, CHUNKED):
        assert (await ask(stack, raw)).startswith(b"HTTP/1.1 200 "), raw


async def refused(stack, raw: bytes) -> None:
    got = await ask(stack, raw)
    assert got.startswith(b"HTTP/1.1 400 "), got[:80]
    assert b"challenge" not in got and got.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("what", T27)
def test_t27_ambiguous_requests_are_refused(stack, what):
    asyncio.run(refused(stack, T27[what]))


@pytest.mark.parametrize("what", T28)
def test_t28_there_is_no_way_to_http_2(stack, what):
    asyncio.run(refused(stack, T28[what]))


async def conversation(stack, raw: bytes) -> list[bytes]:
    """Status lines of all that is answered to `raw`, which is sent at once; the last request ends the connection."""
    url = urlsplit(stack.rest_url())
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(raw)
        got = await asyncio.wait_for(reader.read(-1), 20)
    finally:
        writer.close()
    return [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]]


@scenario()
async def test_t27_requests_behind_one_another(stack, net):
    """Several in one packet are answered in order, and each is looked at."""
    last = LOOK[:-2] + b"Connection: close\r\n\r\n"
    assert await conversation(stack, LOOK + LOOK + last) == [b"200"] * 3
    assert await conversation(stack, PLAIN + PLAIN + last) == [b"200"] * 3
    assert await conversation(stack, CHUNKED + last) == [b"200"] * 2
    for what, raw in T27.items():
        assert await conversation(stack, LOOK + raw) == [b"200", b"400"], what
    assert await conversation(stack, LOOK + CHUNKED) == [b"200", b"400"], "libh2o would decode it before it is looked at"
    assert await conversation(stack, LOOK + POST + length(60_000) + b"\r\n" + b"x" * 4000) == [b"200", b"413"]
    assert await conversation(stack, LOOK + b"x" * 60_000) == [], "nobody sends so much before an answer"


@scenario()
async def test_the_whole_head_comes_in_single_bytes(stack, net):
    url = urlsplit(stack.rest_url())
    for raw in (PLAIN, CHUNKED):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        for i in range(len(raw)):
            writer.write(raw[i:i + 1])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(reader.read(4096), 20)).startswith(b"HTTP/1.1 200 ")
        writer.close()


@scenario()
async def test_who_asks_first_is_told_to_go_on(stack, net):
    url = urlsplit(stack.rest_url())
    for head, body in ((PLAIN[:-len(BODY)], BODY), (CHUNKED[:CHUNKED.index(b"\r\n\r\n") + 4], CHUNKED[CHUNKED.index(b"\r\n\r\n") + 4:])):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(head[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(4096), 20)).startswith(b"HTTP/1.1 100 ")
        writer.write(body)
        assert (await asyncio.wait_for(reader.read(4096), 20)).startswith(b"HTTP/1.1 200 ")
        writer.close()


@scenario()
async def test_a_path_tells_its_methods(stack, net):
    for path, allow in (("/api/me", "GET, PATCH, DELETE, OPTIONS"), ("/api/login", "POST, OPTIONS")):
        r = await net.rest.call("PUT", path)
        assert (r.status, r.code, r.headers["allow"]) == (405, "method_not_allowed", allow)
    assert "allow" not in (await net.rest.call("DELETE", "/api/nothing")).headers
