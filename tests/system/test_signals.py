# SPDX-License-Identifier: MIT
"""Who types, and who is here, shown to those who look: over two gateways and two devices, by ticket alone, and nowhere stored."""
import asyncio
import base64
import json
import time

from client import MARK, scenario
from look import ends_now, records, view_is_level
from signals import Eye, looks_at, reaches, shown, states, ticket, user_ticket

KEPT = ("chat.actions", "chat.events", "members", "rejections", "delivery.status", "user.inbox", "user.events", "presence", "push.targets", "push.claims",
        "push.mutes", "mobile.push", "push.outcomes")

MISSING = "7a1f0c44-3b7e-4d0e-9c55-2f3a1b6c7d88"


async def kept_since(stack, ends) -> list:
    """What has come to topics that are kept, but for the gateways' own signs of life."""
    grown = {topic for (topic, partition), end in ends_now(stack, KEPT).items() if end > ends[topic, partition]}
    return [(topic, record) for topic in grown for partition, offset, record in await records(stack, topic)
            if offset >= ends[topic, partition] and "GatewayAlive" not in json.dumps(record, default=str)]


@scenario(180)
async def test_typing_is_seen_on_every_device_of_the_others_at_every_gateway(stack, net):
    alice, bob = await net.people("alice", "bob")
    phone = await net.users[1].device("android")
    chats = [await net.group(alice, bob, name=f"group {i}") for i in range(4)]  # their owners are both gateways, as a rule
    await view_is_level(stack)
    writer = await Eye.open(net, alice, 0)
    eyes = [await Eye.open(net, bob, 0), await Eye.open(net, phone, 1)]
    own = await Eye.open(net, alice, 1)
    for chat in chats:
        for eye in (writer, own, *eyes):
            await eye.looks(chat)
    kept = ends_now(stack, KEPT)
    for chat in chats:
        for eye in eyes:
            await reaches(writer, eye, chat, "typing")
            await reaches(writer, eye, chat, "recording")
        # both ways, from the gateway of one to that of the other
        await reaches(eyes[1], writer, chat, "typing")
        await writer.types(chat, "idle")
    for eye in eyes:
        assert {chat for chat in chats if eye.seen(chat)} == set(chats)
    assert not own.seen(chats[0]) or all(user != alice.user_id for chat in chats for user, _ in own.seen(chat)), "one's own devices are not told"
    # not a byte of it went where anything is kept
    assert not await kept_since(stack, kept)
    assert sum(stack.metrics("edge-ws", i)["signal_records_total"] for i in range(2)) > 0, "some went by the topic"


@scenario(120)
async def test_t46_only_a_ticket_of_ones_own_session_opens_the_view_of_who_types(stack, net):
    alice, bob, eve = await net.people("alice", "bob", "eve")
    chat, other = await net.group(alice, bob, name="two"), await net.group(eve, name="alone")
    await view_is_level(stack)
    writer, eye, spy = [await Eye.open(net, d, i) for d, i in ((alice, 0), (bob, 0), (eve, 0))]
    second = await Eye.open(net, bob, 1)
    await writer.looks(chat)
    await ticket(eve, chat, spy.session, expect=404)

    async def refused(who, text, code="bad_ticket"):
        got = await who.answered({"t": "look", "ticket": text})
        assert [f.get("code") for f in got] == [code], got

    given = (await eye.ask(chat))["ticket"]
    raw = base64.urlsafe_b64decode(given)
    await refused(spy, given)  # of another user
    await refused(second, given)  # of another session of the same user
    for at in (0, 1, 2, 18, 34, 50, 57, 58, 89):  # form, kind, user, session, chat, time, signature
        await refused(eye, base64.urlsafe_b64encode(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:]).decode())
    for text in ("", "x.y.z", given[:-1], given + "A", eve.tokens.access):
        await refused(spy, text)
    # a ticket is no token
    assert (await net.rest.call("GET", "/api/me", token=given)).status == 401
    await spy.looks(other)
    for who, where in ((spy, chat), (eye, chat), (eye, other)):
        got = await who.answered({"t": "signal", "chatId": where, "state": "typing"})
        assert [f["code"] for f in got] == ["not_looking"], got
    await eye.looks(chat)
    await reaches(writer, eye, chat)
    assert not spy.seen(chat) and not second.seen(chat)


@scenario(120)
async def test_t46_who_was_removed_sees_and_shows_nothing_more(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.group(alice, bob, carol, name="three")
    await view_is_level(stack)
    writer, eye, out = [await Eye.open(net, d, i) for d, i in ((alice, 0), (bob, 1), (carol, 1))]
    for one in (writer, eye, out):
        await one.looks(chat)
    await reaches(writer, out, chat)
    old = (await out.ask(chat))["ticket"]
    await alice.rest.call("DELETE", f"/api/chats/{chat}/members/{carol.user_id}", expect=200)
    for one in (writer, eye, out):  # each look there ends with the change; who is still in asks again
        await one.ws.expect(lambda f: f == {"t": "looking", "chatId": chat, "until": 0}, "the end of the look")
    await view_is_level(stack)
    got = await out.answered({"t": "look", "ticket": old})
    assert [f["code"] for f in got] == ["bad_ticket"], got
    await ticket(carol, chat, out.session, expect=404)
    assert [f["code"] for f in await out.answered({"t": "signal", "chatId": chat, "state": "typing"})] == ["not_looking"]
    for one in (writer, eye):
        await one.looks(chat)
    seen = len(out.seen(chat))
    await reaches(writer, eye, chat)
    await out.answered({"t": "ping"})
    assert len(out.seen(chat)) == seen


@scenario(120)
async def test_the_bounds_of_one_socket(stack, net):
    limits = (await net.rest.get("/api/config", expect=200)).body["limits"]
    assert (limits["signalsPerMinute"], limits["signalsAtOnce"], limits["looks"]) == (60, 40, 32)
    (alice,) = await net.people("alice")
    chats = [await net.group(alice, name=f"own {i}") for i in range(limits["looks"] + 1)]
    await view_is_level(stack)
    eye = await Eye.open(net, alice, 0)
    tickets = [(await eye.ask(chat))["ticket"] for chat in chats]
    for text in tickets[:-1]:
        assert (await eye.answered({"t": "look", "ticket": text}))[0]["t"] == "looking"
    assert [f["code"] for f in await eye.answered({"t": "look", "ticket": tickets[-1]})] == ["too_many_looks"]
    await eye.ws.send({"t": "unlook", "chatId": chats[0]})
    assert (await eye.answered({"t": "look", "ticket": tickets[-1]}))[0]["t"] == "looking"
    # what is over the rate is dropped, and the socket lives: nobody is told to slow down for what is worth nothing
    said = stack.metrics("edge-ws", 0)["signals_said_total"]
    began = time.monotonic()
    for _ in range(200):
        await eye.types(chats[1])
    assert not await eye.answered({"t": "ping"})
    taken = 0

    async def counted():
        nonlocal taken
        taken = stack.metrics("edge-ws", 0)["signals_said_total"] - said
        return taken

    while not await counted():
        await asyncio.sleep(0.05)
    assert taken <= limits["signalsAtOnce"] + time.monotonic() - began
    out = await alice.told(f"{MARK} still here", chats[0])
    assert out.seq


@scenario(180)
async def test_who_is_here_is_seen_at_every_gateway_and_leaves_no_trace(stack, net):
    alice, bob, carol = await net.people("alice", "bob", "carol")
    tab = await net.users[0].device("web")
    for peer in (bob, carol):
        await alice.told(f"{MARK} hello", peer=peer.user_id)
    await view_is_level(stack)
    eyes = [await Eye.open(net, bob, 0), await Eye.open(net, carol, 1)]
    phones = [await Eye.open(net, alice, 0), await Eye.open(net, tab, 1)]
    for one in phones:  # in the background, and so is the socket of `alice` herself
        await one.answered({"t": "away"})
    await alice.stop()
    for eye in eyes:
        given = await looks_at(eye, alice.user_id)
        assert abs(given["seenAt"] - time.time() * 1000) < 900_000, "when she had a token last"
        await shown(eye, alice.user_id, ["away"])
    kept = ends_now(stack, KEPT)
    for one in phones:  # comes and goes on one device, then on the other
        for eye in eyes:
            eye.ws.frames.clear()
        await one.answered({"t": "here"})
        for eye in eyes:
            await shown(eye, alice.user_id, ["here"])
        await one.answered({"t": "away"})
        for eye in eyes:
            await shown(eye, alice.user_id, ["here", "away"])
            last = [f for f in eye.ws.frames if f["t"] == "presence"][-1]
            assert abs(last["at"] - time.time() * 1000) < 60_000
    assert not await kept_since(stack, kept)
    # with two sockets she is here until the last one goes; one that comes is here
    twin = await Eye.open(net, tab, 1)
    for eye in eyes:
        await shown(eye, alice.user_id, ["here", "away", "here"])
    await phones[1].answered({"t": "here"})
    await twin.answered({"t": "away"})
    # a socket that ends is as good as `away`
    await phones[1].ws.close()
    for eye in eyes:
        await shown(eye, alice.user_id, ["here", "away", "here", "away"])
    await Eye.open(net, tab, 0)
    for eye in eyes:
        await shown(eye, alice.user_id, ["here", "away", "here", "away", "here"])
    # one more who looks is told at once; who does not look any more is not told
    third = await Eye.open(net, bob, 0)
    await looks_at(third, alice.user_id)
    await shown(third, alice.user_id, ["here"])
    await third.ws.send({"t": "unlook", "userId": alice.user_id})
    await third.answered({"t": "ping"})
    await phones[0].answered({"t": "here"})
    assert states(third, alice.user_id) == ["here"]


@scenario(120)
async def test_t46_only_contacts_see_who_is_here(stack, net):
    alice, bob, eve = await net.people("alice", "bob", "eve")
    await eve.told(f"{MARK} are you there?", peer=alice.user_id)  # who writes to somebody is not his contact by that
    await alice.told(f"{MARK} hello", peer=bob.user_id)
    await net.group(alice, bob, eve, name="three")
    await view_is_level(stack)
    eye, spy = await Eye.open(net, bob, 0), await Eye.open(net, eve, 0)
    missing = await eve.rest.post(f"/api/users/{MISSING}/ticket", {"session": spy.session}, expect=404)
    hidden = await eve.rest.post(f"/api/users/{alice.user_id}/ticket", {"session": spy.session}, expect=404)
    for reply in (missing, hidden):
        reply.body["error"].pop("requestId")
    assert missing.body == hidden.body
    given = (await user_ticket(bob, alice.user_id, eye.session))["ticket"]
    assert [f.get("code") for f in await spy.answered({"t": "look", "ticket": given})] == ["bad_ticket"]
    # a look at a user is none at a chat, and the other way round
    await looks_at(eye, alice.user_id)
    assert [f["code"] for f in await eye.answered({"t": "signal", "chatId": alice.user_id, "state": "typing"})] == ["not_looking"]
    await shown(eye, alice.user_id, ["here"])
    assert not states(spy, alice.user_id)
    # once she has answered, eve is one
    await alice.told(f"{MARK} yes", peer=eve.user_id)
    await view_is_level(stack)
    await looks_at(spy, alice.user_id)
    await shown(spy, alice.user_id, ["here"])
