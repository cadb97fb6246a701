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
REFUSED = {
    "two lengths": POST + length(len(BODY)) + length(5) + b"\r\n" + BODY,
    "length and chunks": POST + length(5) + CHUNKED[len(POST):],
    "two hosts": POST + b"Host: y\r\n" + length(len(BODY)) + b"\r\n" + BODY,
    "no host": POST.replace(b"Host: x\r\n", b"") + length(len(BODY)) + b"\r\n" + BODY,
    "a folded header": POST + b"X-A: one\r\n two\r\n" + length(len(BODY)) + b"\r\n" + BODY,
    "bare line feeds": (POST + length(len(BODY)) + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@scenario()
async def test_plain_requests_are_answered(stack, net):
    for raw in (PLAIN, CHUNKED):
        assert (await ask(stack, raw)).startswith(b"HTTP/1.1 200 "), raw


@pytest.mark.parametrize("what", REFUSED)
def test_ambiguous_requests_are_refused(stack, what):
    got = asyncio.run(ask(stack, REFUSED[what]))
    assert got.startswith(b"HTTP/1.1 400 ") or got == b"", got[:80]
    assert b"challenge" not in got
