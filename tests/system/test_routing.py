# SPDX-License-Identifier: MIT
"""A device without a live session gets a mobile.push for each message, whatever the way it was lost."""
import asyncio

from client import MARK, by_role, scenario
from look import record_when, records, started


async def pushed(stack, message: str, device) -> dict:
    """The mobile.push of this message to this device, and that it ended with 'no provider'."""
    def mine(r):
        return r["messageId"] == message and r["userId"] == device.user_id

    push = await record_when(stack, "mobile.push", lambda r: mine(r) and device.device_id in r["devices"],
                             f"{message} to {device.name}", 60)
    outcome = await record_when(stack, "push.outcomes", lambda r: mine(r) and r["deviceId"] == device.device_id,
                                f"outcome of {message} to {device.name}", 60)
    assert (outcome["outcome"], outcome["provider"]) == ("NO_PROVIDER", "NONE")
    assert (push["seq"], push["chatId"]) == (outcome["seq"], outcome["chatId"])
    return push


@scenario()
async def test_offline_device_is_pushed_and_an_online_tab_does_not_silence_it(stack, net):
    (alice,) = await net.people("alice")
    bob, phone = await net.user("bob")
    tab = await bob.device("web")
    _, dora = await net.user("dora")  # all offline
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
    to_bob = [r["messageId"] for _, _, r in await records(stack, "mobile.push") if r["userId"] == phone.user_id]
    assert third.id not in to_bob and set(to_bob) == {first.id, fourth.id}
    # one's own messages are nobody's news
    assert not [r for _, _, r in await records(stack, "mobile.push") if r["senderId"] == r["userId"]]


@scenario()
async def test_no_ok_for_ten_seconds(stack, net):
    (alice,) = await net.people("alice")
    _, mute = await net.user("mute")
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
