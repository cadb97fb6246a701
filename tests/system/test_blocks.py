# SPDX-License-Identifier: MIT
"""A user blocks another: over two gateways and two devices each, by every door, and whoever was away."""
import asyncio
import json
import re

from client import MARK, scenario, until
from files import Files, png
from look import Supervised, killed_and_back, push_users, records, rows, rows_when, view_is_level
from signals import Eye, looks_at, ticket, user_ticket
from test_changes import pairs


async def block(who, whom, method="PUT", expect=200):
    return await who.rest.call(method, f"/api/users/{whom.user_id}/block", expect=expect)


async def history(device, chat):
    return {m["content"]: m for m in (await device.rest.get(f"/api/chats/{chat}/messages", expect=200, after=0)).body["messages"]}


async def chat_of(device, chat):
    return (await device.rest.get(f"/api/chats/{chat}", expect=200)).body["chat"]


async def ticked(device, out, tick):
    await device.wait(lambda: device.tick(out) == tick, 30, f"{tick} of {out.content}")


@scenario(180)
async def test_a_block_leaves_out_its_interval_and_nothing_else(stack, net):
    (alice, alice2), (bob, bob2) = await pairs(net, "alice", "bob")
    group = await net.group(alice, bob)
    chat = await net.direct(alice, bob)
    before = await alice.told(f"{MARK} before", chat)
    await asyncio.gather(bob.sees(before.content), bob2.sees(before.content))
    await ticked(alice, before, "delivered")
    await block(bob, alice)
    for d in (bob, bob2):
        await d.wait(lambda d=d: d.block_log, 30, "the block")
    (frame,) = bob2.block_log
    assert (frame["t"], frame["chatId"], frame["userId"]) == ("blocked", chat, alice.user_id) and frame["seq"] > before.seq

    # for alice a message like any other, with one tick, by either door; bob's devices hear nothing
    during = await alice.told(f"{MARK} during", chat)
    body = {"chatId": chat, "type": "text", "content": f"{MARK} by rest", "clientId": "in-vain"}
    sent = (await alice.rest.post("/api/messages", body, expect=201)).body["message"]
    assert sent["deliveredAt"] is None and sent["peer"] == bob.user_id
    await alice2.sees(body["content"])
    await alice.changed("edit", alice.messages[before.id], f"{MARK} before, edited")
    refused = (await bob.verdict(bob.send(f"{MARK} no", chat))).rejected
    assert refused == "forbidden"
    answer = await bob.rest.post("/api/messages", {**body, "content": f"{MARK} no", "clientId": "no"}, expect=403)
    assert answer.body["error"]["code"] == "forbidden"
    marker = await alice.told(f"{MARK} in the group", group)  # in a group both go on seeing each other
    await asyncio.gather(bob.sees(marker.content), bob2.sees(marker.content))
    await bob.told(f"{MARK} in the group, too", group)
    await view_is_level(stack)
    assert set(await history(bob, chat)) == {before.content}
    assert set(await history(alice, chat)) == {f"{MARK} before, edited", during.content, body["content"]}
    shown = await chat_of(bob, chat)
    assert shown["blocked"] is True and shown["role"] == "member" and shown["peer"] == alice.user_id
    assert shown["lastMessage"]["content"] == before.content and shown["unread"] == 1
    theirs = await chat_of(alice, chat)
    assert "blocked" not in theirs and "except" not in theirs and theirs["delivered"] < during.seq
    assert {m["userId"] for m in theirs["members"]} == {alice.user_id, bob.user_id}
    receipts = (await alice.rest.get(f"/api/messages/{during.id}/receipts", expect=200)).body["receipts"]
    assert receipts == [{"userId": bob.user_id, "deliveredAt": None, "readAt": None, "delivered": False, "read": False}]
    listed = (await bob.rest.get("/api/blocks", expect=200)).body
    assert [b["userId"] for b in listed["blocks"]] == [alice.user_id] and listed["blocks"][0]["since"] == frame["at"] and not listed["more"]
    assert (await alice.rest.get("/api/blocks", expect=200)).body["blocks"] == []

    # a new device has what bob has; one that was away learns of the block by its sync
    late = await net.users[1].device(gateway=0)
    await late.online()
    assert late.contents(chat) == [before.content] and late.chats[chat]["blocked"] is True

    # unblocked: what comes from now on, and nothing of what was left out
    await bob2.stop()
    await block(bob2, alice, "DELETE")
    await bob.wait(lambda: [f["t"] for f in bob.block_log] == ["blocked", "unblocked"], 30, "the end of it")
    after = await alice2.told(f"{MARK} after", chat)
    await asyncio.gather(bob.sees(after.content), late.sees(after.content), bob2.online())
    bob.read(chat)
    for d in (alice, alice2):
        await d.wait(lambda d=d: d.ticks[chat]["read"] >= after.seq, 30, "the ticks")
        await d.wait(lambda d=d: d.gaps.get(chat) == [(frame["seq"], bob.block_log[1]["seq"])], 30, "what they leave out")
    assert (alice.tick(before), alice.tick(during), alice2.tick(after)) == ("read", "sent", "read")
    for d in (bob, bob2, late):
        assert d.contents(chat)[-1] == after.content and not {during.content, body["content"]} & set(d.contents()), d
    await view_is_level(stack)
    seen = await history(alice, chat)
    assert all((m["deliveredAt"] is None, m["seenAt"] is None) == (m["content"] in (during.content, body["content"]),) * 2 for m in seen.values()), seen
    shown, theirs = await chat_of(bob, chat), await chat_of(alice, chat)
    assert "blocked" not in shown and shown["unread"] == 0 and shown["lastMessage"]["content"] == after.content
    assert theirs["except"] == [{"after": frame["seq"], "before": bob.block_log[1]["seq"]}]
    fresh = await net.users[0].device()
    await fresh.online()
    assert fresh.gaps[chat] == alice.gaps[chat] or fresh.chats[chat]["except"] == theirs["except"]
    assert (await bob.rest.get("/api/blocks", expect=200)).body == {"blocks": [], "more": False}
    assert [f for f in (*alice.block_log, *alice2.block_log)] == [] and not any("block" in f for f in alice.frames_n)


def alike(value, own: str):
    """An answer without what two people differ in: names, ids, times. Of numbers only the small ones stay."""
    def ordered(x):
        if isinstance(x, dict):
            return {k: ordered(v) for k, v in x.items() if k not in ("requestId", "n", "ticket")}
        return sorted(map(ordered, x), key=json.dumps) if isinstance(x, list) else x

    text = json.dumps(value).replace(own, "me")
    for what, instead in ((r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "id"), (r"\b\d{7,}\b", "9"), (r"bob|carl", "whom")):
        text = re.sub(what, instead, text)
    return ordered(json.loads(text))


async def does_everything(who, whom, chat, theirs, eye):
    """In the direct chat with somebody: each thing that one may do there. `theirs` is a message of his. What REST answers, and the messages."""
    said = [await who.told(f"{MARK} {word} to {whom.name}", chat) for word in ("first", "second", "third")]
    body = {"chatId": chat, "type": "text", "content": f"{MARK} by rest to {whom.name}", "clientId": f"to-{whom.name}",
            "mentions": [whom.user_id], "replyTo": {"id": theirs.id, "seq": theirs.seq}}
    path = f"/api/chats/{chat}/messages"
    answers = [
        await who.rest.post("/api/messages", body),
        await who.rest.call("PATCH", f"{path}/{said[0].id}", {"content": f"{MARK} edited for {whom.name}"}),
        await who.rest.call("DELETE", f"{path}/{said[1].id}"),
        await who.rest.call("PUT", f"{path}/{theirs.id}/reaction", {"reaction": "+"}),
        await who.rest.call("PUT", f"/api/chats/{chat}/timer", {"seconds": 86400}),
        await who.rest.post(f"/api/chats/{chat}/hidden", {"messages": [said[2].id]}),
        await who.rest.post(f"/api/chats/{chat}/read", {"seq": theirs.seq}),
    ]
    await eye.looks(chat)
    await eye.types(chat)
    return [(r.status, r.body) for r in answers], said


async def asks_everything(who, whom, phone_number, chat, said, session):
    """What REST says of somebody and of the direct chat with him, route by route."""
    answers = {}
    for name, method, path, body in (
            ("user", "GET", f"/api/users/{whom.user_id}", None), ("lookup", "POST", "/api/users/lookup", {"userIds": [whom.user_id]}),
            ("contact", "POST", "/api/contacts/lookup", {"phoneNumbers": [phone_number]}),
            ("direct", "POST", "/api/chats", {"userId": whom.user_id}), ("chat", "GET", f"/api/chats/{chat}", None),
            ("history", "GET", f"/api/chats/{chat}/messages", None), ("here", "POST", f"/api/users/{whom.user_id}/ticket", {"session": session}),
            ("ticket", "POST", f"/api/chats/{chat}/ticket", {"session": session}),
            *((f"receipts {i}", "GET", f"/api/messages/{out.id}/receipts", None) for i, out in enumerate(said))):
        r = await who.rest.call(method, path, body)
        answers[name] = (r.status, r.body)
    (answers["listed"],) = [c for c in (await who.rest.get("/api/chats", expect=200)).body["chats"] if c["chatId"] == chat]
    page = (await who.rest.get("/api/sync", expect=200, limit=1000)).body
    for kind in ("chats", "messages", "ticks"):
        answers[f"sync {kind}"] = [x for x in page[kind] if x["chatId"] == chat]
    return answers


@scenario(180)
async def test_t47_who_is_blocked_reaches_nobody_and_cannot_tell(stack, net):
    """Of bob, who blocks her, alice gets by every route and in every frame what she gets of carl, who is away and shows nothing of himself."""
    alice, bob, carl = await net.people("alice", "bob", "carl")
    phone = await net.users[1].device("android")
    await phone.rest.call("PUT", f"/api/devices/{phone.device_id}/push", {"kind": "fcm_token", "token": "ok:bob-t47"}, expect=200)
    await bob.rest.call("PATCH", "/api/me", {"about": "busy", "privacy": {"lastSeen": "everyone"}}, expect=200)
    await carl.rest.call("PATCH", "/api/me", {"privacy": {"lastSeen": "nobody", "picture": "nobody", "about": "nobody"}}, expect=200)
    group = await net.group(alice, bob, carl, name="three")
    hers = await net.raw(alice.tokens, auto_ok=True)
    eye = Eye(alice, hers, (await hers.ready())["session"])
    chats, theirs = {}, {}
    for d in (bob, carl):
        chats[d] = await net.direct(alice, d)
        out = await alice.told(f"{MARK} hello {d.name}", chats[d])
        await d.sees(out.content)
        answer = await d.told(f"{MARK} hello alice, says {d.name}", chats[d])
        theirs[d] = await alice.sees(answer.content)
        d.read(chats[d])
        await ticked(alice, out, "read")
    await carl.stop()
    for d in (bob, carl):  # neither is in a group with her any more: there both would see each other as before
        await alice.rest.call("DELETE", f"/api/chats/{group}/members/{d.user_id}", expect=200)
    await block(bob, alice)
    socket = await net.raw(bob.tokens, gateway=1, auto_ok=True)
    his = Eye(bob, socket, (await socket.ready())["session"])
    came, begins = len(socket.frames), len(hers.frames)

    answers, said = {}, {}
    for d in (bob, carl):
        answers[d], said[d] = await does_everything(alice, d, chats[d], theirs[d], eye)
    await view_is_level(stack)
    for a, b in zip(answers[bob], answers[carl]):
        assert a[0] in (200, 201, 202) and alike(a, alice.user_id) == alike(b, alice.user_id)
    asked = {d: await asks_everything(alice, d, user.phone, chats[d], said[d], eye.session) for d, user in zip((bob, carl), net.users[1:])}
    for name in asked[bob]:
        assert alike(asked[bob][name], alice.user_id) == alike(asked[carl][name], alice.user_id), name
    assert asked[bob]["user"][1]["user"]["about"] == "" and asked[bob]["here"][0] == 404
    assert asked[bob]["listed"]["read"] < said[bob][0].seq

    # her sockets, too; what is behind all of it comes to either chat
    told = {d: await alice.told(f"{MARK} and that is all, {d.name}", chats[d]) for d in (bob, carl)}
    for d in (bob, carl):
        await hers.expect(lambda f, d=d: f.get("seq") == told[d].seq, "the last frame")
    frames = {d: [f for f in hers.frames[begins:] if f.get("chatId") == chats[d]] for d in (bob, carl)}
    assert [alike(f, alice.user_id) for f in frames[bob]] == [alike(f, alice.user_id) for f in frames[carl]]
    assert {f["t"] for f in frames[bob]} >= {"message", "edited", "deleted", "reaction", "timer", "hidden"}

    # and nothing of all this came to bob: no frame, no push, nobody typing. In a group she reaches him as before
    marker = await alice.told(f"{MARK} to all", await net.group(alice, bob, name="two"))
    await socket.expect(lambda f: f.get("seq") == marker.seq, "the group's message")
    assert [f for f in socket.frames[came:] if f.get("chatId") == chats[bob] or f["t"] == "typing"] == []
    await ticket(bob, chats[bob], his.session, expect=403)
    pushed = [x["messageId"] for _, _, x in await records(stack, "mobile.push") if phone.user_id in push_users(x)]
    assert marker.id in pushed and not {out.id for out in said[bob]} & set(pushed)
    await ticked(alice, marker, "delivered")


@scenario(180)
async def test_a_block_before_any_message_and_one_that_outlives_restarts(stack, net):
    bob, carol = await net.people("bob", "carol")
    away, phone = await net.user("dora")
    await phone.rest.call("PUT", f"/api/devices/{phone.device_id}/push", {"kind": "fcm_token", "token": "ok:dora-block"}, expect=200)
    await block(bob, carol)
    await block(phone, carol)
    await block(phone, carol)  # once more is the same
    await view_is_level(stack)
    (row,) = await rows(stack, "SELECT m.user_id::text, m.joined_seq, m.left_seq FROM view.members m JOIN view.blocks b USING (chat_id) "
                        "WHERE b.user_id = %s", bob.user_id)
    assert row["user_id"] == bob.user_id and row["joined_seq"] == 0 and row["left_seq"]
    (chat,) = (await bob.rest.get("/api/chats", expect=200)).body["chats"]
    assert chat["peer"] == carol.user_id and chat["blocked"] is True and "lastMessage" not in chat
    assert (await carol.rest.get("/api/chats", expect=200)).body["chats"] == []  # nothing of it is shown to the other
    assert (await carol.rest.get("/api/sync", expect=200)).body["chats"] == []

    async with Supervised(stack):
        await killed_and_back(stack.role("chat"))
    outs = [await carol.told(f"{MARK} to {d.name}", peer=d.user_id) for d in (bob, phone)]
    marker = await carol.told(f"{MARK} marker", await net.group(carol, bob))
    await bob.sees(marker.content)
    await view_is_level(stack)
    for d, out in zip((bob, phone), outs):
        assert await history(d, out.chat_id) == {}
        assert (await d.rest.get("/api/sync", expect=200)).body["messages"] == [] or d is bob
        assert set(await history(carol, out.chat_id)) == {out.content}
        assert (await chat_of(d, out.chat_id))["unread"] == 0
    assert outs[0].id not in bob.messages
    pushed = {x["messageId"] for _, _, x in await records(stack, "mobile.push") if phone.user_id in (x.get("users") or [x["userId"]])}
    assert outs[1].id not in pushed
    for method, expect in (("PUT", 400), ("DELETE", 400)):
        await block(bob, bob, method, expect)
    assert (await bob.rest.call("PUT", "/api/users/7a1f0c44-3b7e-4d0e-9c55-2f3a1b6c7d88/block")).status == 404


@scenario(180)
async def test_who_is_blocked_sees_neither_who_is_here_nor_what_is_shown(stack, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    await alice.told(f"{MARK} hello", chat)
    await bob.told(f"{MARK} hello, too", chat)  # contacts of each other
    files = Files(net.rest_url, bob.tokens.access)
    try:
        picture = await asyncio.to_thread(files.send, None, png(seed=81))
        await bob.rest.call("PATCH", "/api/me", {"picture": picture, "about": "busy"}, expect=200)
        media = await asyncio.to_thread(files.send, chat, png(seed=82))
        await bob.rest.post("/api/messages", {"chatId": chat, "type": "image", "content": "", "mediaId": media}, expect=201)
        await asyncio.to_thread(files.found, picture)
    finally:
        files.close()
    await view_is_level(stack)
    eyes = [await Eye.open(net, d, gateway) for d, gateway in ((alice, 0), (bob, 1))]
    given = [await looks_at(eye, other.user_id) for eye, other in zip(eyes, (bob, alice))]
    await asyncio.gather(*(eye.looks(chat) for eye in eyes))

    async def profile():
        return (await alice.rest.get(f"/api/users/{bob.user_id}", expect=200)).body["user"]

    assert (await profile())["about"] == "busy" and (await alice.rest.get(f"/api/media/{picture}")).status == 200
    await block(bob, alice)
    for eye, other in zip(eyes, (bob, alice)):  # both lose sight of each other, the blocker of the chat, too
        await eye.ws.expect(lambda f, other=other: f == {"t": "looking", "userId": other.user_id, "until": 0}, "the end of a look")
    await eyes[1].ws.expect(lambda f: f == {"t": "looking", "chatId": chat, "until": 0}, "the end of the look at the chat")
    for eye, ticket_of, other in zip(eyes, given, (bob, alice)):
        assert [f["code"] for f in await eye.answered({"t": "look", "ticket": ticket_of["ticket"]})] == ["bad_ticket"]
        await user_ticket(eye.device, other.user_id, eye.session, expect=404)
    await ticket(bob, chat, eyes[1].session, expect=403)
    await ticket(alice, chat, eyes[0].session)  # she is not to notice: nobody is there to be seen
    assert not [f for f in eyes[0].ws.frames if f["t"] in ("blocked", "unblocked")]
    assert {k: (await profile())[k] for k in ("name", "about", "picture")} == {"name": "bob", "about": "", "picture": ""}
    assert (await alice.rest.get(f"/api/media/{picture}")).status == 404
    assert (await alice.rest.get(f"/api/media/{media}")).status == 200  # what was sent before the block stays
    await net.group(bob, alice)  # where both are, both are seen
    await rows_when(stack, "SELECT 1 FROM view.members m JOIN view.chats c USING (part, chat_id) WHERE c.kind = 1 AND m.user_id = %s", alice.user_id)
    assert (await profile())["about"] == "busy"
    await block(bob, alice, "DELETE")
    assert (await looks_again(eyes[0], bob))["until"] > 0


async def looks_again(eye, other):
    """With tickets of now until one is taken: not those of within two seconds of the block."""
    async def taken():
        given = await user_ticket(eye.device, other.user_id, eye.session)
        got = await eye.answered({"t": "look", "ticket": given["ticket"]})
        if got[-1]["t"] != "looking":
            await asyncio.sleep(0.1)
        return got[-1] if got[-1]["t"] == "looking" else None

    return await until(taken, 20, "a look")


@scenario(120)
async def test_how_many_blocks_there_may_be(stack, net):
    (bob,) = await net.people("bob")
    others = [(await net.user(f"other{i}"))[1] for i in range(3)]
    limit = (await net.rest.get("/api/config", expect=200)).body["limits"]["blocks"]
    for other in others[:2]:
        await block(bob, other)
    with stack.db() as db:  # all but the last by SQL, in chats of nobody
        db.execute("INSERT INTO view.blocks (user_id, chat_id, peer_id, seq, at_ms) SELECT %s, gen_random_uuid(), gen_random_uuid(), 1, 1 "
                   "FROM generate_series(1, %s)", (bob.user_id, limit - 2))
    full = await block(bob, others[2], expect=409)
    assert full.body["error"]["code"] == "too_many_blocks" and str(limit) in full.body["error"]["message"]
    await block(bob, others[0])  # which counts already
    seen, page = [], {"more": True}
    while page["more"]:
        page = (await bob.rest.get("/api/blocks", expect=200, limit=200, **({"after": seen[-1]["chatId"]} if seen else {}))).body
        seen += page["blocks"]
        assert len(page["blocks"]) == 200 or not page["more"]
    assert len({b["userId"] for b in seen}) == len(seen) == limit and {d.user_id for d in others[:2]} <= {b["userId"] for b in seen}
    assert (await bob.rest.get("/api/blocks", limit=201)).status == 400 and (await bob.rest.get("/api/blocks", after="x")).status == 400
    await block(bob, others[1], "DELETE")
    await block(bob, others[2])
