# SPDX-License-Identifier: MIT
"""Tokens, log-in, log-out, and starts that must not be."""
import asyncio
import os
import subprocess

import pytest
from client import MARK, scenario, sign_in, until


@scenario()
async def test_a_refresh_token_works_once(stack, net):
    alice, bob = await net.people("alice", "bob")
    first = alice.tokens.refresh
    assert await alice.refresh()
    second = alice.tokens.refresh
    assert second != first and (await alice.rest.get("/api/me")).status == 200
    r = await alice.rest.post("/api/token/refresh", {"refreshToken": first})
    assert (r.status, r.code) == (401, "unauthorized")
    # the whole family is gone: the newest refresh token, the access token, the open socket
    assert (await alice.rest.post("/api/token/refresh", {"refreshToken": second})).status == 401

    async def refused():
        return (await alice.rest.get("/api/me")).status == 401

    await until(refused, 20, "the access token to be refused")
    await alice.wait(lambda: alice.logged_out, 30, "its socket to be closed and no way back")
    assert alice.closes[-1][0] == 4401
    assert bob.connected and (await bob.rest.get("/api/me")).status == 200
    # another device of the same person is not concerned
    again = await (await net.users[0].device()).online()
    out = await bob.told(f"{MARK} to the new device", peer=again.user_id)
    await again.sees(out.content)


@scenario()
async def test_t5_logout_closes_the_devices_sockets(stack, net):
    anna, a1 = await net.user("anna", gateway=0)
    a2 = await anna.device("web", gateway=1)
    (bob,) = await net.people("bob")
    await asyncio.gather(a1.online(), a2.online())
    second_socket = await net.raw(a1.tokens, gateway=1)
    await second_socket.ready()
    r = await a1.rest.post("/api/logout", {})
    assert r.status in (200, 202, 204), r
    assert await second_socket.closed(20) == 4401
    await a1.wait(lambda: a1.logged_out, 30, "its sockets to be closed")
    assert a1.closes[-1][0] == 4401
    late = await net.raw(a1.tokens, gateway=0)
    assert await late.closed(20) == 4401
    assert not [f for f in late.frames if f["t"] == "ready"]
    r = await a1.rest.get("/api/chats")
    assert (r.status, r.code) == (401, "unauthorized")
    out = await bob.told(f"{MARK} for the other device", peer=a2.user_id)
    await a2.sees(out.content)
    assert a2.connected and not a2.closes


@scenario()
async def test_logging_in(stack, net):
    phone = net.phone()
    known = await sign_in(net.rest, phone, "First Name")
    again = await sign_in(net.rest, phone, "Other Name")
    assert again.user_id == known.user_id and again.device_id != known.device_id
    me = await net.rest.call("GET", "/api/me", token=again.access, expect=200)
    assert me.body["userId"] == known.user_id and me.body["phoneNumber"] == phone and me.body["deviceId"] == again.device_id

    async def renamed():
        r = await net.rest.call("GET", "/api/me", token=again.access)
        return r.body.get("name") == "Other Name"

    await until(renamed, 20, "the new name")
    # known and unknown numbers are told the same
    a = await net.rest.post("/api/login", {"phoneNumber": phone}, expect=200)
    b = await net.rest.post("/api/login", {"phoneNumber": net.phone()}, expect=200)
    assert a.body.keys() == b.body.keys() and a.body["retryAfter"] == b.body["retryAfter"]
    # five wrong codes end a challenge
    wrong = f"{(int(a.body['devCode']) + 1) % 1000000:06d}"
    for _ in range(5):
        r = await net.rest.post("/api/verify", {"challenge": a.body["challenge"], "code": wrong})
        assert (r.status, r.code) == (401, "bad_code")
    r = await net.rest.post("/api/verify", {"challenge": a.body["challenge"], "code": a.body["devCode"]})
    assert r.status == 401
    # a code works once
    body = {"challenge": b.body["challenge"], "code": b.body["devCode"]}
    assert (await net.rest.post("/api/verify", body)).status == 200
    assert (await net.rest.post("/api/verify", body)).status == 401


@scenario()
async def test_t6_t10_what_is_no_token(stack, net):
    (alice,) = await net.people("alice")
    good = alice.tokens.access
    head, body, sig = good.split(".")
    for bad in ("", "x", f"{head}.{body}.", f"{head}.{body}.{sig[:-4]}AAAA", f"eyJhbGciOiJub25lIn0.{body}.", good + ".x"):
        r = await net.rest.call("GET", "/api/me", token=bad or None)
        assert (r.status, r.code) == (401, "unauthorized"), bad
        ws = await net.raw(None)
        await ws.send({"t": "auth", "token": bad})
        assert await ws.closed(20) == 4401, bad
    ws = await net.raw(alice.tokens, in_header=True)
    await ws.ready()
    await ws.close()


@pytest.mark.parametrize("role", ["edge-rest", "edge-ws"])
def test_t8_a_weak_secret_stops_the_start(stack, role):
    env = {**os.environ, **stack.services.role_env(role), "JWT_SECRET": "too-short-a-secret", "INSTANCE": ""}
    p = subprocess.run([stack.services.executable, role], env=env, capture_output=True, text=True, timeout=30)
    lines = (p.stderr + p.stdout).strip().splitlines()
    assert p.returncode not in (0, None) and p.returncode > 0
    assert len(lines) == 1 and "JWT_SECRET" in lines[0] and "32" in lines[0], lines
    assert "too-short-a-secret" not in lines[0]


def test_a_missing_setting_stops_the_start(stack):
    env = {**os.environ, **stack.services.role_env("persistence")}
    del env["DATABASE_URL"]
    p = subprocess.run([stack.services.executable, "persistence"], env=env, capture_output=True, text=True, timeout=30)
    lines = (p.stderr + p.stdout).strip().splitlines()
    assert p.returncode > 0 and len(lines) == 1 and "DATABASE_URL" in lines[0], lines
