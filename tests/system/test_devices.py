# SPDX-License-Identifier: MIT
"""One's own devices: all others ended at once."""
import asyncio

from client import MARK, Tokens, register_push, scenario, sign_in
from look import rows_when


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
