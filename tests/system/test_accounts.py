# SPDX-License-Identifier: MIT
"""What strangers may do to accounts: codes, guesses, lookups, devices, chats with nobody. Edges at their default limits.

Each test speaks from a loopback address of its own, so that no other test's budget is touched.
"""
import asyncio
import contextlib
import http.server
import itertools
import threading
import uuid

import aiohttp
import metrics
from client import MARK, Rest, scenario, sign_in, until
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


# --- Devices ------------------------------------------------------------------------------------


@scenario()
async def test_t33_the_17th_device_ends_the_oldest_wholly(stack, net):
    (bob,) = await net.people("bob")
    phone = net.phone()
    oldest = await sign_in(net.rest, phone, "Many")
    socket = await net.raw(oldest, auto_ok=True)
    await socket.ready()
    others = [await sign_in(net.rest, phone, label=f"device {i}") for i in range(15)]
    r = await net.rest.call("GET", "/api/devices", token=oldest.access, expect=200)
    assert [d["deviceId"] for d in r.body["devices"]] == [t.device_id for t in [*reversed(others), oldest]], "at the bound nobody goes"
    newest = await sign_in(net.rest, phone)
    # its access token, its refresh token, its socket: nothing of it is left
    r = await net.rest.call("GET", "/api/me", token=oldest.access)
    assert (r.status, r.code) == (401, "unauthorized")
    r = await net.rest.post("/api/token/refresh", {"refreshToken": oldest.refresh})
    assert (r.status, r.code) == (401, "unauthorized")
    assert await socket.closed(20) == 4401
    late = await net.raw(oldest)
    assert await late.closed(20) == 4401 and not [f for f in late.frames if f["t"] == "ready"]
    # and of the others everything is
    r = await net.rest.call("GET", "/api/devices", token=newest.access, expect=200)
    assert [d["deviceId"] for d in r.body["devices"]] == [t.device_id for t in [newest, *reversed(others)]]
    for t in others:
        r = await net.rest.post("/api/token/refresh", {"refreshToken": t.refresh}, expect=200)
    ws = await net.raw(others[0], auto_ok=True)
    await ws.ready()
    out = await bob.told(f"{MARK} to those who stayed", peer=newest.user_id)
    await ws.expect(lambda f: f.get("content") == out.content, "the message")


@scenario()
async def test_t33_log_ins_at_once_end_one_device_each(stack, net):
    phone = net.phone()
    first = [await sign_in(net.rest, phone, "Many") for _ in range(16)]
    late = await asyncio.gather(*(sign_in(net.rest, phone) for _ in range(3)))
    r = await net.rest.call("GET", "/api/devices", token=late[0].access, expect=200)
    assert {d["deviceId"] for d in r.body["devices"]} == {t.device_id for t in [*first[3:], *late]}
    for t in first[:3]:
        assert (await net.rest.post("/api/token/refresh", {"refreshToken": t.refresh})).status == 401
    for t in [*first[3:], *late]:
        ws = await net.raw(t)
        await ws.ready()


@scenario()
async def test_a_user_sees_and_ends_own_devices(stack, net):
    anna, a1 = await net.user("anna")
    a2 = await anna.device("web")
    (bob,) = await net.people("bob")
    await asyncio.gather(a1.online(), a2.online())
    r = await a1.rest.get("/api/devices", expect=200)
    assert [(d["deviceId"], d["platform"], d["label"], d["current"]) for d in r.body["devices"]] == [
        (a2.device_id, "web", "test", False), (a1.device_id, "android", "test", True)]
    assert all(d["seenAt"] >= d["addedAt"] > 0 for d in r.body["devices"])
    for other in (bob.device_id, str(uuid.uuid4()), "no-id"):
        r = await a1.rest.call("DELETE", f"/api/devices/{other}")
        assert (r.status, r.code) == (404, "not_found"), other
    assert (await bob.rest.get("/api/me")).status == 200 and bob.connected
    await a1.rest.call("DELETE", f"/api/devices/{a2.device_id}", expect=200)
    await a2.wait(lambda: a2.logged_out, 30, "its socket to be closed and no way back")
    assert a2.closes[-1][0] == 4401
    assert (await a2.rest.get("/api/me")).status == 401
    assert (await net.rest.post("/api/token/refresh", {"refreshToken": a2.tokens.refresh})).status == 401
    assert (await a1.rest.call("DELETE", f"/api/devices/{a2.device_id}")).status == 404
    assert [d["deviceId"] for d in (await a1.rest.get("/api/devices")).body["devices"]] == [a1.device_id]
    out = await bob.told(f"{MARK} for the one that stays", peer=a1.user_id)
    await a1.sees(out.content)
    # the one that asks, too
    await a1.rest.call("DELETE", f"/api/devices/{a1.device_id}", expect=200)
    assert (await a1.rest.get("/api/devices")).status == 401
    await a1.wait(lambda: a1.logged_out, 30, "its own socket to be closed")


@scenario()
async def test_t18_nobody_says_how_anothers_device_is_woken(stack, net):
    anna, a1 = await net.user("anna")
    a2 = await anna.device("web")
    _, mallory = await net.user("mallory")
    body = {"kind": "fcm_token", "token": "stolen-stolen-stolen"}
    for device in (mallory, a2):  # a stranger, and another device of the same person
        for method in ("PUT", "DELETE"):
            r = await device.rest.call(method, f"/api/devices/{a1.device_id}/push", body if method == "PUT" else None)
            assert (r.status, r.code) == (403, "forbidden"), (device, method)
    with stack.db() as db:
        rows = db.execute("SELECT device_id FROM view.push_targets WHERE device_id = ANY(%s)",
                          ([a1.device_id, a2.device_id, mallory.device_id],)).fetchall()
    assert rows == []
