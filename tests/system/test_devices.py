# SPDX-License-Identifier: MIT
"""One's own devices: all others ended at once, and a new one that another lets in.

What is asked at default limits comes from a loopback address of its own, as in test_accounts.py.
"""
import asyncio
import re

import metrics
from client import MARK, Secrets, Tokens, register_push, scenario, sign_in, until
from look import rows, rows_when
from test_accounts import DOOR, QUICK, From, an_edge


async def is_ended(net, tokens: Tokens) -> None:
    """Neither its access token nor its refresh token is good for anything."""
    r = await net.rest.call("GET", "/api/me", token=tokens.access)
    assert (r.status, r.code) == (401, "unauthorized")
    r = await net.rest.post("/api/token/refresh", {"refreshToken": tokens.refresh})
    assert (r.status, r.code) == (401, "unauthorized")


@scenario()
async def test_t5_all_others_are_logged_out_at_once(stack, net):
    """More than one call submits together: tokens at once, sockets of both gateways within 5 s, push addresses. The one that asks stays."""
    anna, here = await net.user("anna")
    (bob,) = await net.people("bob")
    others = await asyncio.gather(*(sign_in(net.rest, anna.phone) for _ in range(6)))
    sockets = [await net.raw(t, gateway=i % 2) for i, t in enumerate(others[:4])]
    await asyncio.gather(here.online(), *(s.ready() for s in sockets))
    for t in (others[0], others[5]):
        await register_push(net.rest, t.device_id, caller=t.access)
    ids = [t.device_id for t in others]
    await rows_when(stack, "SELECT 1 FROM view.push_targets WHERE device_id = ANY(%s)", ids, enough=lambda r: len(r) == 2)
    await here.rest.call("DELETE", "/api/devices", expect=200)
    for t in others:
        await is_ended(net, t)
    assert [await s.closed(5) for s in sockets] == [4401] * 4
    late = await net.raw(others[0])
    assert await late.closed(20) == 4401 and not [f for f in late.frames if f["t"] == "ready"]
    await rows_when(stack, "SELECT 1 FROM view.push_targets WHERE device_id = ANY(%s)", ids, enough=lambda r: not r)
    assert [d["deviceId"] for d in (await here.rest.get("/api/devices", expect=200)).body["devices"]] == [here.device_id]
    await here.rest.call("DELETE", "/api/devices", expect=200)  # there is none
    out = await bob.told(f"{MARK} to the one that stays", peer=here.user_id)
    await here.sees(out.content)
    assert (await bob.rest.get("/api/me")).status == 200 and not here.closes and not bob.closes


# --- Links --------------------------------------------------------------------------------------


async def a_link(caller, **more) -> dict:
    link = (await caller.post("/api/links", {"platform": "web", "label": "Firefox", **more}, expect=200)).body
    Secrets.tokens.update((link["code"], link["secret"]))
    return link


async def look(device, link, expect=200):
    return await device.rest.post("/api/links/look", {"code": link["code"]}, expect=expect)


async def answer(device, link, approve=True, expect=200):
    return await device.rest.post("/api/links/answer", {"code": link["code"], "approve": approve}, expect=expect)


async def claim(caller, link, expect=None):
    return await caller.post("/api/links/claim", {"secret": link["secret"]}, expect=expect)


async def is_no_link(caller, link) -> None:
    r = await claim(caller, link)
    assert (r.status, r.code) == (401, "bad_code"), r


async def approved(net, device) -> dict:
    link = await a_link(net.rest)
    await look(device, link)
    await answer(device, link)
    return link


@scenario()
async def test_t48_a_link_gives_one_device_once(stack, net):
    """What is shown is no secret, the secret approves nothing, hashes are all that is kept, and of many claims one gets tokens."""
    anna, phone = await net.user("anna")
    (bob,) = await net.people("bob")
    r = await net.rest.post("/api/links", [1])
    assert (r.status, r.code) == (400, "bad_request")
    link = await a_link(net.rest)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", link["code"]) and re.fullmatch(r"[A-Za-z0-9_-]{43}", link["secret"])
    kept = await rows(stack, "SELECT octet_length(code_hash) AS c, octet_length(secret_hash) AS s, l::text AS all FROM auth.links l")
    assert kept and all((r["c"], r["s"]) == (32, 32) and link["code"] not in r["all"] and link["secret"] not in r["all"] for r in kept)
    assert (await claim(net.rest, link, expect=202)).body == {"retryAfter": 2}
    swapped = {"code": link["secret"], "secret": link["code"]}
    await look(phone, swapped, expect=404)
    await is_no_link(net.rest, swapped)
    seen = (await look(phone, link)).body["link"]
    assert seen == {"platform": "web", "label": "Firefox", "network": "127.0.0.0/16", "sameAddress": True, "expiresAt": link["expiresAt"]}
    assert (await claim(net.rest, link)).status == 202, "to look is not to approve"
    await answer(phone, link)
    await answer(phone, link)  # the answer may have been lost
    tries = await asyncio.gather(*(claim(net.rest, link) for _ in range(4)))
    assert sorted(r.status for r in tries) == [200, 401, 401, 401]
    new = Tokens.of(next(r.body for r in tries if r.status == 200))
    await is_no_link(net.rest, link)
    for approve in (True, False):
        await answer(phone, link, approve, expect=404)
    await look(phone, link, expect=404)
    # tokens of its own, as a log-in has them
    assert new.user_id == anna.user_id and new.device_id != phone.device_id
    shown = (await net.rest.call("GET", "/api/devices", token=new.access, expect=200)).body["devices"]
    assert [(d["deviceId"], d["platform"], d["label"], d["current"]) for d in shown] == [
        (new.device_id, "web", "Firefox", True), (phone.device_id, "android", "test", False)]
    ws = await net.raw(new, auto_ok=True)
    await ws.ready()
    out = await bob.told(f"{MARK} to the new device", peer=new.user_id)
    await ws.expect(lambda f: f.get("content") == out.content, "the message")
    await net.rest.post("/api/token/refresh", {"refreshToken": new.refresh}, expect=200)


@scenario()
async def test_t48_links_end(stack, net):
    """Refused, not answered in time, approved and not claimed in time."""
    _, phone = await net.user("anna")
    refused, late = await a_link(net.rest), await a_link(net.rest)
    await look(phone, refused)
    await answer(phone, refused, approve=False)
    await is_no_link(net.rest, refused)
    unclaimed, regretted = await approved(net, phone), await approved(net, phone)
    await answer(phone, regretted, approve=False)
    await is_no_link(net.rest, regretted)
    with stack.db() as db:
        left = db.execute("SELECT expires_at - extract(epoch FROM now()) * 1000 FROM auth.links WHERE approved_by = %s", (phone.device_id,)).fetchall()
        assert len(left) == 1 and 0 < left[0][0] <= 61000, "an approval is good for a minute"
        db.execute("UPDATE auth.links SET expires_at = 1")
    for link in (late, unclaimed):
        await is_no_link(net.rest, link)
        await look(phone, link, expect=404)
        await answer(phone, link, expect=404)
    assert len((await phone.rest.get("/api/devices")).body["devices"]) == 1


@scenario()
async def test_t48_guesses_are_told_to_wait_and_lock_nobody_out(stack, net):
    _, phone = await net.user("anna")
    with an_edge(stack, **QUICK, LINK_GUESS_PER_ADDRESS_HOUR="4"):
        async with From() as caller, From(address=caller.address, token=phone.tokens.access) as approver:
            link = await a_link(caller)
            guess = {"code": "A" * 22, "secret": "A" * 43}
            paths = ("/api/links/look", {"code": guess["code"]}), ("/api/links/answer", {"code": guess["code"], "approve": True})
            for _ in range(2):
                await is_no_link(caller, guess)
            for path, body in paths:
                assert (await approver.post(path, body)).status == 404
            for r in (await claim(caller, guess), *[await approver.post(*p) for p in paths]):
                assert (r.status, r.code) == (429, "rate_limited") and 1 <= int(r.headers["retry-after"]) <= 901
            assert metrics.read(DOOR)["link_guesses_refused_total"] == 3
            await approver.post("/api/links/look", {"code": link["code"]}, expect=200)
            assert (await claim(caller, link)).status == 202
            await approver.post("/api/links/answer", {"code": link["code"], "approve": True}, expect=200)
            Tokens.of((await claim(caller, link, expect=200)).body)


@scenario()
async def test_t49_an_approval_is_one_sessions_own(stack, net):
    """Whoever approves has looked, on that device, and nobody after it; once he did, nobody else can."""
    anna, phone = await net.user("anna")
    tablet = await anna.device()
    _, mallory = await net.user("mallory")
    async with From(net.rest_url) as stranger:
        link = await a_link(stranger, platform="none of ours", label="")
    r = await answer(phone, link, expect=409)
    assert r.code == "conflict"
    seen = (await look(phone, link)).body["link"]
    assert (seen["platform"], seen["label"], seen["sameAddress"]) == ("other", "", False)
    for other in (tablet, mallory):
        for approve in (True, False):
            await answer(other, link, approve, expect=409)
    await look(mallory, link)
    await answer(phone, link, expect=409)
    await look(phone, link)
    await answer(phone, link)
    for other in (tablet, mallory):
        await look(other, link, expect=404)
        for approve in (True, False):
            await answer(other, link, approve, expect=404)
    assert Tokens.of((await claim(net.rest, link, expect=200)).body).user_id == anna.user_id
    assert len((await mallory.rest.get("/api/devices")).body["devices"]) == 1


@scenario()
async def test_t49_an_approval_ends_with_its_session(stack, net):
    """Logged out before the claim, and in the middle of it: what ends all others leaves nobody behind whom one of them let in."""
    anna, phone = await net.user("anna")
    stolen = [await anna.device() for _ in range(2)]
    link = await approved(net, stolen[0])
    await phone.rest.call("DELETE", f"/api/devices/{stolen[0].device_id}", expect=200)
    await is_no_link(net.rest, link)
    link = await approved(net, stolen[1])
    with stack.db() as db:
        with db.transaction():  # a claim waits for this before it counts
            db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", (anna.user_id,))
            under_way = asyncio.create_task(claim(net.rest, link))
            waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await until(lambda: db.execute(waiting).fetchone(), 20, "the claim to wait")
            await phone.rest.call("DELETE", "/api/devices", expect=200)
    r = await under_way
    assert (r.status, r.code) == (401, "bad_code"), r
    assert [d["deviceId"] for d in (await phone.rest.get("/api/devices")).body["devices"]] == [phone.device_id]
    shown = await rows(stack, "SELECT device_id::text FROM view.devices WHERE user_id = %s AND removed_at IS NULL", anna.user_id)
    assert [d["device_id"] for d in shown] == [phone.device_id], "the log has it no more"


@scenario()
async def test_t50_links_are_bounded(stack, net):
    """By address, and in all; whatever is asked for at once."""
    with stack.db() as db:
        db.execute("DELETE FROM auth.budgets WHERE kind = 8")
    with an_edge(stack, **QUICK, LINK_PER_ADDRESS_HOUR="4", LINK_TOTAL_HOUR="6"):
        async with From() as one, From() as other:
            asked = await asyncio.gather(*(one.post("/api/links", {}) for _ in range(8)))
            assert sorted(r.status for r in asked) == [200] * 4 + [429] * 4
            assert all(1 <= int(r.headers["retry-after"]) <= 901 for r in asked if r.status == 429)
            asked = await asyncio.gather(*(other.post("/api/links", {}) for _ in range(4)))
            assert sorted(r.status for r in asked) == [200] * 2 + [503] * 2
            refused = next(r for r in asked if r.status == 503)
            assert refused.code == "unavailable" and 1 <= int(refused.headers["retry-after"]) <= 601
            assert metrics.read(DOOR)["links_refused_total"] == 6
    with stack.db() as db:
        db.execute("DELETE FROM auth.budgets WHERE kind = 8")
