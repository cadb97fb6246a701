# SPDX-License-Identifier: MIT
"""Sockets of which nobody knows yet whose they are: how many of one address, and whose address counts behind a proxy. An
edge-ws of its own, and an edge-rest that tunnels to it."""
import contextlib
import socket

from client import scenario, until
from conftest import BASE_PORT
from look import one_more
from test_rest_door import EDGE, PROXY, Line, an_edge

WS = BASE_PORT + 712
MOST = 20


def a_gateway(stack, **settings):
    """One more edge-ws of the stack, which takes MOST unknown sockets of an address."""
    env = {"WS_LISTEN": f"127.0.0.1:{WS}", "METRICS_LISTEN": "", "CONNECTIONS_PER_ADDRESS": str(MOST), **settings}
    return one_more(stack, "edge-ws", "edge-ws-door", env)


def upgrade(*headers, token=None):
    lines = ["GET /ws HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


class Crowd(contextlib.AsyncExitStack):
    """Sockets that stay open until the end of the block."""

    async def knock(self, raw=upgrade(), address="127.0.0.2", port=WS, prefix=b""):
        """The status that a handshake gets; 0 when it is closed."""
        line = await Line.open(address, port)
        self.callback(line.close)
        return (await line.ask(prefix + raw))[0]


@scenario()
async def test_unknown_sockets_are_bounded_by_address(stack, net):
    alice, = await net.people("alice")
    with a_gateway(stack):
        async with Crowd() as crowd:
            silent = [await Line.open("127.0.0.2", WS) for _ in range(MOST // 2)]
            for _ in range(MOST // 2):
                assert await crowd.knock() == 101
            assert await crowd.knock() == 0, "one more of this address"
            assert await crowd.knock(address="127.0.0.3") == 101
            # one that ends makes room
            silent.pop().close()
            await until(lambda: crowd.knock(), 10, "room for one")
            # who brings a token counts as a user; the rates of users are theirs
            for line in silent:
                line.close()
            await until(lambda: crowd.knock(upgrade(token=alice.tokens.access)), 10, "room again")
            for _ in range(MOST + 4):
                assert await crowd.knock(upgrade(token=alice.tokens.access)) == 101


@scenario()
async def test_a_gateway_believes_its_proxies(stack, net):
    with a_gateway(stack, TRUSTED_PROXIES=PROXY):
        async with Crowd() as crowd:
            def by(names, address=PROXY):
                return crowd.knock(upgrade(f"X-Forwarded-For: {names}"), address)

            for _ in range(MOST):
                assert await by("203.0.113.7") == 101
            assert await by("203.0.113.7") == 429
            assert await by("198.51.100.9, 203.0.113.7") == 429, "the right-most counts"
            assert await by("203.0.113.7, 198.51.100.9") == 101
            for i in range(MOST):
                assert await by(f"203.0.113.{100 + i}", "127.0.0.5") == 101
            assert await by("203.0.113.200", "127.0.0.5") == 0, "a stranger's word is not taken"


@scenario()
async def test_a_gateway_reads_the_proxy_protocol(stack, net):
    def v1(address):
        return f"PROXY TCP4 {address} 10.0.0.1 4660 80\r\n".encode()

    def v2(address, more=b""):
        return (b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + (12 + len(more)).to_bytes(2, "big") + socket.inet_aton(address) +
                socket.inet_aton("10.0.0.1") + b"\x12\x34\0\x50" + more)

    with a_gateway(stack, TRUSTED_PROXIES=PROXY, PROXY_PROTOCOL="1"):
        async with Crowd() as crowd:
            for i in range(MOST):
                prefix = v1("203.0.113.7") if i % 2 else v2("203.0.113.7", b"\x04\0\1x")
                assert await crowd.knock(address=PROXY, prefix=prefix) == 101
            assert await crowd.knock(address=PROXY, prefix=v1("203.0.113.7")) == 0
            assert await crowd.knock(address=PROXY, prefix=v1("203.0.113.8")) == 101
            assert await crowd.knock(address=PROXY) == 0, "a trusted proxy has to say whose it is"
            assert await crowd.knock(address=PROXY, prefix=b"PROXY TCP4 x y 1 2\r\n") == 0
            assert await crowd.knock() == 101, "others speak plain HTTP"
            for header in (v1("203.0.113.9"), v2("203.0.113.9")):  # however it comes
                line = await Line.open(PROXY, WS)
                crowd.callback(line.close)
                for byte in header:
                    await line.send(bytes([byte]))
                assert (await line.ask(upgrade()))[0] == 101


@scenario()
async def test_a_tunnel_tells_whose_it_is(stack, net):
    """Through edge-rest, which is a proxy to edge-ws: by X-Forwarded-For, and by the PROXY protocol."""
    for protocol in ("0", "1"):
        with a_gateway(stack, TRUSTED_PROXIES="127.0.0.1", PROXY_PROTOCOL=protocol), \
                an_edge(stack, WS_UPSTREAM=f"127.0.0.1:{WS}", TRUSTED_PROXIES=PROXY, PROXY_PROTOCOL=protocol):
            async with Crowd() as crowd:
                for _ in range(MOST):
                    assert await crowd.knock(port=EDGE) == 101
                assert await crowd.knock(port=EDGE) != 101
                assert await crowd.knock(port=EDGE, address="127.0.0.3") == 101
