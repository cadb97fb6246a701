# SPDX-License-Identifier: MIT
"""What strangers may do to accounts: codes, guesses, lookups, devices, chats with nobody. Edges at their default limits.

Each test speaks from a loopback address of its own, so that no other test's budget is touched.
"""
import asyncio
import contextlib
import http.server
import itertools
import threading

import aiohttp
import metrics
from client import Rest, scenario, until
from conftest import BASE_PORT
from process import Proc
from rest import Reply

EDGE, DOOR, HOOK = BASE_PORT + 700, BASE_PORT + 701, BASE_PORT + 702
addresses = itertools.count(2)
RAISED = ("CODE_PER_NUMBER_HOUR", "RATE_PER_MINUTE")  # by TEST_SETTINGS


@contextlib.contextmanager
def an_edge(stack, **settings):
    """One more edge-rest of the stack, at the default limits but for `settings`."""
    env = {**stack.services.role_env("edge-rest"), "REST_LISTEN": f"127.0.0.1:{EDGE}", "METRICS_LISTEN": f"127.0.0.1:{DOOR}",
           "INSTANCE": ""}
    for name in RAISED:
        env.pop(name, None)
    proc = Proc("edge-rest-strict", [stack.services.executable, "edge-rest"], stack.services.log_dir / "edge-rest-strict.log",
                '"ready"', env={**env, **settings})
    try:
        proc.start()
        proc.wait_ready(30)
        yield proc
    finally:
        proc.stop()


class From(Rest):
    """A caller at a loopback address of its own."""

    def __init__(self, base_url=f"http://127.0.0.1:{EDGE}", address=None, token=None):
        super().__init__(base_url, token)
        self.address = address or f"127.0.0.{next(addresses)}"

    async def call(self, *args, **kw) -> Reply:
        if not self._session:
            connector = aiohttp.TCPConnector(local_addr=(self.address, 0), limit=0)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        return await super().call(*args, **kw)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128


class Provider:
    """A double of a provider of codes. `gate` holds every answer back; `status` is what it says."""

    def __init__(self):
        self.gate, self.status, self.got = threading.Event(), 200, []
        self.gate.set()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                provider.got.append(self.rfile.read(int(self.headers["content-length"])))
                provider.gate.wait(30)
                self.send_response(provider.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *a):
                pass

        self.server = Server(("127.0.0.1", HOOK), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


WEBHOOK = {"CODE_DRIVER": "webhook", "CODE_WEBHOOK_URL": f"http://127.0.0.1:{HOOK}/sms", "RATE_PER_MINUTE": "100000000"}


def log_has(proc, event):
    return any(line.get("event") == event for line in proc.log_lines())


@scenario()
async def test_a_provider_that_hangs_holds_up_nobody(stack, net):
    """The provider answers nothing at all: whoever asks for a code or for anything else is answered, the lane fills to its
    bound, and beyond it 503 with Retry-After."""
    (alice,) = await net.people("alice")
    with Provider() as provider, an_edge(stack, **WEBHOOK) as edge:
        provider.gate.clear()
        async with From() as stranger, From(token=alice.tokens.access) as victim:
            async def ask():
                return await stranger.post("/api/login", {"phoneNumber": net.phone()})

            answers = await asyncio.gather(*(ask() for _ in range(300)))
            taken = [r for r in answers if r.status == 200]
            refused = [r for r in answers if r.status == 503]
            assert len(taken) == 256 and len(refused) == 44, [r.status for r in answers]
            assert all(r.code == "unavailable" and int(r.headers["retry-after"]) >= 1 for r in refused)
            assert (await victim.get("/api/me")).status == 200
            shown = metrics.read(DOOR)
            assert shown["codes_held"] == 256 and shown["codes_refused_total"] == 44
            await until(lambda: len(provider.got) == 32, 20, lambda: f"32 requests under way, there are {len(provider.got)}")
            provider.gate.set()
            await until(lambda: metrics.read(DOOR)["codes_sent_total"] == 256, 30, "what waits to leave")
            assert (await ask()).status == 200


@scenario()
async def test_a_provider_that_fails_is_left_alone_and_tried_again(stack, net):
    with Provider() as provider, an_edge(stack, **WEBHOOK) as edge:
        async with From() as asker:
            async def ask():
                return await asker.post("/api/login", {"phoneNumber": net.phone()})

            provider.status = 422  # of a number, not of the provider
            for n in range(6):
                assert (await ask()).status == 200
                await until(lambda: metrics.read(DOOR)["codes_failed_total"] == n + 1, 20, "its answer to be read")
            assert metrics.read(DOOR)["codes_paused"] == 0
            provider.status = 500
            for n in range(5):
                assert (await ask()).status == 200
                await until(lambda: metrics.read(DOOR)["codes_failed_total"] == n + 7, 20, "its answer to be read")
            r = await ask()
            assert (r.status, r.code) == (503, "unavailable") and int(r.headers["retry-after"]) >= 1
            assert metrics.read(DOOR)["codes_paused"] == 1 and len(provider.got) == 11
            await until(lambda: log_has(edge, "code_provider_paused"), 20, "the log to say so")
            provider.status = 200

            async def works():
                return (await ask()).status == 200

            await until(works, 30, "a trial to be let through")
            await until(lambda: metrics.read(DOOR)["codes_paused"] == 0, 20, "the breaker to close")
            await until(lambda: log_has(edge, "code_provider_works"), 20, "the log to say so")
