# SPDX-License-Identifier: MIT
"""A device that can be woken and has no live session gets a mobile.push for each message, whatever the way it was lost."""
import asyncio
import uuid

from client import MARK, by_role, register_push, scenario
from look import push_users, record_when, records, routed, started


async def pushed(stack, message: str, device) -> dict:
    """The mobile.push of this message to this device, and that it ended with 'no provider'."""
    def mine(r):
        return r["messageId"] == message and device.user_id in push_users(r)

    push = await record_when(stack, "mobile.push", lambda r: mine(r) and device.device_id in r["devices"],
                             f"{message} to {device.name}", 60)
    outcome = await record_when(stack, "push.outcomes", lambda r: mine(r) and r["deviceId"] == device.device_id,
                                f"outcome of {message} to {device.name}", 60)
    assert outcome["outcome"] == "NO_PROVIDER"
    assert (push["seq"], push["chatId"]) == (outcome["seq"], outcome["chatId"])
    return push


@scenario()
async def test_offline_device_is_pushed_and_an_online_tab_does_not_silence_it(stack, net):
    (alice,) = await net.people("alice")
    bob, phone = await net.user("bob")
    tab = await bob.device("web")
    _, dora = await net.user("dora")  # all offline
    for d in (phone, tab, dora):
        await register_push(d.rest, d.device_id)
    await tab.online()
    first = await alice.told(f"{MARK} phone off, tab open", peer=bob.user_id)
    await tab.sees(first.content)
    push = await pushed(stack, first.id, phone)
    assert push["devices"] == [phone.device_id] and push["senderId"] == alice.user_id
    second = await alice.told(f"{MARK} nobody there", peer=dora.user_id)
    await pushed(stack, second.id, dora)

    # with the phone online nothing is pushed; what is pushed later in the same partition shows that it would have been
    await phone.online()
    third = await alice.told(f"{MARK} phone on", peer=bob.user_id)
    await asyncio.gather(phone.sees(third.content), tab.sees(third.content))
    await phone.at_rest()
    await phone.stop()
    fourth = await alice.told(f"{MARK} phone off again", peer=bob.user_id)
    await pushed(stack, fourth.id, phone)
    to_bob = [r["messageId"] for _, _, r in await records(stack, "mobile.push") if phone.user_id in push_users(r)]
    assert third.id not in to_bob and set(to_bob) == {first.id, fourth.id}
    # one's own messages are nobody's news; that one has read something takes it back from one's own phones, and names no message
    own = [r for _, _, r in await records(stack, "mobile.push") if r["senderId"] in push_users(r) and uuid.UUID(r["messageId"]).int]
    assert not own, str(own)


@scenario()
async def test_no_ok_for_ten_seconds(stack, net):
    (alice,) = await net.people("alice")
    _, mute = await net.user("mute")
    await register_push(mute.rest, mute.device_id)
    ws = await net.raw(mute.tokens)
    ready = await ws.ready()
    await ws.send({"t": "ok", "n": ready["n"]})
    out = await alice.told(f"{MARK} are you there?", peer=mute.user_id)
    frame = await ws.expect(lambda f: f.get("id") == out.id, "the message")
    assert frame["n"] == ready["n"] + 1
    assert await ws.closed(30) == 4408
    await pushed(stack, out.id, mute)


@scenario()
async def test_a_socket_that_died(stack, net):
    (alice,) = await net.people("alice")
    _, gone = await net.user("gone")
    await register_push(gone.rest, gone.device_id)
    ws = await net.raw(gone.tokens)
    await ws.send({"t": "ok", "n": (await ws.ready())["n"]})
    out = await alice.told(f"{MARK} taken, but not ok'd", peer=gone.user_id)
    await ws.expect(lambda f: f.get("id") == out.id, "the message")
    ws.abort()
    await pushed(stack, out.id, gone)
    later = await alice.told(f"{MARK} and one more", peer=gone.user_id)
    await pushed(stack, later.id, gone)
    # both are there when the device comes back
    await gone.online()
    assert gone.contents() == [out.content, later.content]


@scenario(limit_s=180)
async def test_a_gateway_that_was_killed(stack, net):
    _, alice = await net.user("alice", gateway=1)
    _, lost = await net.user("lost", gateway=0)
    _, oked = await net.user("oked", gateway=0)
    for d in (lost, oked):
        await register_push(d.rest, d.device_id)
    await asyncio.gather(alice.online(), oked.online())
    ws = await net.raw(lost.tokens, gateway=0)
    await ws.send({"t": "ok", "n": (await ws.ready())["n"]})
    before = await alice.told(f"{MARK} before the kill", peer=lost.user_id)
    await ws.expect(lambda f: f.get("id") == before.id, "the message")
    gateway = by_role(stack, "edge-ws")[0]
    await asyncio.to_thread(gateway.kill9)
    await oked.stop()
    try:
        during = await alice.told(f"{MARK} while it lay dead", peer=oked.user_id)
        # what the dead gateway had and did not see ok'd, and what came since, go to mobile.push
        await pushed(stack, during.id, oked)
        await pushed(stack, before.id, lost)
    finally:
        await started(gateway)
    again = await oked.online()
    assert again.contents() == [during.content]


@scenario()
async def test_a_device_that_cannot_be_woken_costs_no_push(stack, net):
    (alice,) = await net.people("alice")
    _, silent = await net.user("silent")
    out = await alice.told(f"{MARK} for nobody's phone", peer=silent.user_id)
    await routed(stack, out.id, silent.user_id)
    assert not [r for _, _, r in await records(stack, "mobile.push") if r["messageId"] == out.id]
    await silent.online()
    assert silent.contents() == [out.content]


@scenario()
async def test_a_push_carries_an_excerpt(stack, net):
    (alice,) = await net.people("alice")
    _, phone = await net.user("phone")
    await register_push(phone.rest, phone.device_id)
    out = await alice.told(f"{MARK} " + "\x01" * 10000, peer=phone.user_id)
    push = await pushed(stack, out.id, phone)
    assert len(push["frame"]) <= 2048 and MARK.encode() in push["frame"]
    await phone.online()
    assert phone.contents() == [out.content]
